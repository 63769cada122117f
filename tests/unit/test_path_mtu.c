/* Whether trials with small and with full segments show a path MTU black hole. */
#include "diagnosis/path_mtu.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS NS_PER_MS

static struct path_mtu_evidence failed(int64_t sent, int64_t acked)
{
    return (struct path_mtu_evidence){.full_mss = 1460, .sent_bytes = sent, .acked_bytes = acked};
}

/* Has the conversation as a path with that largest MSS would, in `took` each time it completes.
 * Returns how many trials there were. */
static int try_all(struct path_mtu_evidence *evidence, uint32_t largest, int64_t took)
{
    int64_t patience;
    int trials = 0;
    uint32_t mss;

    while ((mss = path_mtu_next(evidence, &patience)) && trials < 100) {
        trials++;
        if (!path_mtu_tried(evidence, mss <= largest, mss <= largest ? took : patience))
            break;
    }
    return trials;
}

static void small_ones_pass_and_large_ones_do_not(void **state)
{
    static const struct {
        uint32_t largest, passed, stuck;
    } rows[] = {{1400, 1220, 1460}, {1219, 536, 1220}, {536, 536, 1220}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct path_mtu_evidence evidence = failed(100, 100);
        assert_int_equal(try_all(&evidence, rows[i].largest, 10 * MS), 6);
        assert_true(path_mtu_found(&evidence));
        assert_int_equal(evidence.passed_mss, rows[i].passed);
        assert_int_equal(evidence.stuck_mss, rows[i].stuck);
    }
}

static void a_silent_server_is_no_black_hole(void **state)
{
    struct path_mtu_evidence evidence = failed(100, 100);

    (void)state;
    assert_int_equal(try_all(&evidence, 500, 10 * MS), 1);
    assert_false(path_mtu_found(&evidence));
}

/* One that only hung the first time answers a full segment, too. */
static void a_server_that_hung_once_is_no_black_hole(void **state)
{
    struct path_mtu_evidence evidence = failed(100, 100);

    (void)state;
    assert_int_equal(try_all(&evidence, 9000, 10 * MS), 3);
    assert_false(path_mtu_found(&evidence));
}

/* Of `period` servers that share an address by turns, every pattern of those that hang, where the
 * first one does. */
static void servers_by_turns_are_no_black_hole(void **state)
{
    (void)state;
    for (unsigned period = 1; period <= 4; period++)
        for (unsigned hang = 1; hang < 1u << period; hang += 2) {
            struct path_mtu_evidence evidence = failed(100, 100);
            int64_t patience;
            bool fits = true;
            for (unsigned turn = 1; fits && !path_mtu_found(&evidence); turn++) {
                path_mtu_next(&evidence, &patience);
                fits = path_mtu_tried(&evidence, !(hang >> turn % period & 1), MS);
            }
            assert_false(path_mtu_found(&evidence));
        }
}

/* A service that is slow by itself has as much more time with full segments. */
static void full_segments_have_their_time(void **state)
{
    static const struct {
        int64_t took, least;
    } rows[] = {{MS, 600 * MS}, {2000 * MS, 4000 * MS}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct path_mtu_evidence evidence = failed(100, 100);
        int64_t patience;
        for (int step = 0; step < 2; step++) {
            assert_int_equal(path_mtu_next(&evidence, &patience), 536);
            assert_true(patience == INT64_MAX);
            assert_true(path_mtu_tried(&evidence, true, rows[i].took));
        }
        assert_int_equal(path_mtu_next(&evidence, &patience), 1460);
        assert_true(patience >= rows[i].least);
    }
}

static void a_connection_of_small_segments_is_not_tried(void **state)
{
    struct path_mtu_evidence evidence = failed(100, 100);

    (void)state;
    assert_true(path_mtu_worth_trying(&evidence));
    evidence.full_mss = 536;
    assert_false(path_mtu_worth_trying(&evidence));
}

static void the_direction_is_the_acknowledgements(void **state)
{
    struct path_mtu_evidence there = failed(46336, 0), back = failed(46336, 46336);
    struct arena arena = {0};

    (void)state;
    try_all(&there, 1400, MS);
    try_all(&back, 1400, MS);
    assert_true(path_mtu_to_server(&there));
    assert_false(path_mtu_to_server(&back));
    assert_non_null(strstr(path_mtu_describe(&arena, &there), "do not reach the server"));
    assert_non_null(strstr(path_mtu_describe(&arena, &there), "acknowledged 0 bytes"));
    assert_non_null(strstr(path_mtu_describe(&arena, &back), "do not reach us"));
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_ones_pass_and_large_ones_do_not),
        cmocka_unit_test(a_silent_server_is_no_black_hole),
        cmocka_unit_test(a_server_that_hung_once_is_no_black_hole),
        cmocka_unit_test(servers_by_turns_are_no_black_hole),
        cmocka_unit_test(full_segments_have_their_time),
        cmocka_unit_test(a_connection_of_small_segments_is_not_tried),
        cmocka_unit_test(the_direction_is_the_acknowledgements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
