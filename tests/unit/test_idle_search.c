/* For how long is an idle connection kept: the search, against connections of every limit. */
#include "diagnosis/idle_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

/* Plays all waves against a path that drops a connection after limit_ns, seen or unseen. Returns
 * how long that would have taken. */
static int64_t play(struct idle_search *search, int64_t max_ns, int64_t limit_ns, enum idle_end end)
{
    int64_t times[IDLE_AT_ONCE], took = 0;
    bool seen = end == IDLE_FIN || end == IDLE_RST;
    size_t count;

    idle_search_begin(search, max_ns);
    while ((count = idle_search_next(search, times))) {
        int64_t longest = 0;
        assert_true(count <= IDLE_AT_ONCE);
        for (size_t i = 0; i < count; i++) {
            assert_true(times[i] > 0 && times[i] <= max_ns && (!i || times[i] > times[i - 1]));
            if (!idle_search_wants(search, times[i]))
                continue;
            bool kept = times[i] < limit_ns;
            longest = kept || !seen ? times[i] : limit_ns;
            idle_search_learn(search, longest, kept ? IDLE_KEPT : end);
        }
        took += longest;
    }
    return took;
}

static void a_silent_limit_is_closed_in_on(void **state)
{
    (void)state;
    for (int64_t limit = S; limit < 120 * S; limit += 7 * S / 3) {
        struct idle_search search;
        int64_t took = play(&search, 120 * S, limit, IDLE_SILENCE);
        assert_true(search.kept_ns < limit && limit <= search.dropped_ns);
        assert_true(search.dropped_ns - search.kept_ns <= S / 2 ||
                    search.dropped_ns - search.kept_ns <= search.dropped_ns / 8);
        assert_int_equal(search.end, IDLE_SILENCE);
        assert_true(took <= 8 * limit + S);
    }
}

static void a_limit_that_is_seen_takes_one_wave(void **state)
{
    struct idle_search search;
    (void)state;
    assert_int_equal(play(&search, 120 * S, 75 * S, IDLE_FIN), 75 * S);
    assert_int_equal(search.dropped_ns, 75 * S);
    assert_int_equal(search.kept_ns, 60 * S);
    assert_int_equal(search.end, IDLE_FIN);
    assert_int_equal(search.waves, 2);
}

static void what_is_kept_is_kept(void **state)
{
    struct idle_search search;
    (void)state;
    assert_int_equal(play(&search, 10 * S, 11 * S, IDLE_SILENCE), 10 * S);
    assert_int_equal(search.kept_ns, 10 * S);
    assert_true(search.dropped_ns == INT64_MAX && search.end == IDLE_KEPT);
}

static void a_limit_below_all_times_has_no_lower_bound(void **state)
{
    struct idle_search search;
    (void)state;
    play(&search, 4 * S, 1, IDLE_RST_ON_USE);
    assert_int_equal(search.kept_ns, 0);
    assert_true(search.dropped_ns <= IDLE_MIN_NS * 2);
}

/* One was kept for longer than another: there is no limit to close in on. */
static void contradictions_end_the_search(void **state)
{
    int64_t times[IDLE_AT_ONCE];
    struct idle_search search;
    (void)state;
    idle_search_begin(&search, 8 * S);
    idle_search_next(&search, times);
    idle_search_learn(&search, 4 * S, IDLE_KEPT);
    idle_search_learn(&search, 2 * S, IDLE_SILENCE);
    assert_true(search.varies);
    assert_int_equal(idle_search_next(&search, times), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_limit_is_closed_in_on),
        cmocka_unit_test(a_limit_that_is_seen_takes_one_wave),
        cmocka_unit_test(what_is_kept_is_kept),
        cmocka_unit_test(a_limit_below_all_times_has_no_lower_bound),
        cmocka_unit_test(contradictions_end_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
