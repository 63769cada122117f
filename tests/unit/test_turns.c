/* Who may begin. Times are the machine's, so only what must be so however late we are is asserted:
 * that somebody has to wait, and that the waiting ends. */
#include "probe/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 1000

static void few_never_wait(void **state)
{
    struct turns turns = {.wanted = true};
    struct turn turn[TURNS_MAX] = {0};

    (void)state;
    for (size_t i = 0; i < TURNS_MAX; i++) {
        assert_int_equal(turns_next_ns(&turns, i, MANY), 0);
        turns_begin(&turns, i);
        turns_note(&turns, &turn[i]);
    }
    assert_int_equal(turns.count, TURNS_MAX);
}

static void unwanted_turns_cost_nothing(void **state)
{
    struct turns turns = {0};
    struct turn turn = {0};

    (void)state;
    turns_note(&turns, &turn);
    turns_begin(&turns, MANY);
    assert_int_equal(turns.count, 0);
    assert_int_equal(turns_next_ns(&turns, MANY, MANY), 0);
    turns_leave(&turns, &turn);
}

/* Whoever is in conversation keeps others from beginning until nothing has happened for a while. */
static void the_quiet_make_room(void **state)
{
    struct turns turns = {.wanted = true};
    struct turn turn[TURNS_MAX] = {0};
    int64_t next;

    (void)state;
    int64_t before = clock_mono_ns();
    for (size_t i = 0; i < TURNS_MAX; i++)
        turns_note(&turns, &turn[i]);
    while ((next = turns_next_ns(&turns, TURNS_MAX, 0)))
        assert_true(next >= before + TURNS_WINDOW_NS);
    assert_true(clock_mono_ns() >= before + TURNS_WINDOW_NS);
    assert_true(turns.count < TURNS_MAX);
}

static void those_beyond_begin_at_a_pace(void **state)
{
    struct turns turns = {.wanted = true};
    int64_t next;

    (void)state;
    assert_int_equal(turns_next_ns(&turns, MANY, 0), 0);
    int64_t before = clock_mono_ns();
    turns_begin(&turns, MANY);
    while ((next = turns_next_ns(&turns, MANY, 0)))
        assert_true(next >= before + TURNS_PACE_NS);
    assert_true(clock_mono_ns() >= before + TURNS_PACE_NS);
    /* With much to do nobody begins at all, and it is asked again soon. */
    next = turns_next_ns(&turns, MANY, TURNS_MAX);
    assert_true(next > before && next < INT64_MAX);
}

/* The list stays whole whatever happens to whom, in any order. */
static void the_list_is_in_order(void **state)
{
    struct turns turns = {.wanted = true};
    struct turn turn[50] = {0};
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct turn *one = &turn[(seed >> 16) % 50];
        if (seed >> 8 & 3)
            turns_note(&turns, one);
        else
            turns_leave(&turns, one);
    }
    size_t count = 0;
    for (struct turn *one = turns.oldest; one; one = one->newer, count++) {
        assert_true(one->newer ? one->newer->older == one : turns.newest == one);
        assert_true(!one->newer || one->newer->at_ns >= one->at_ns);
    }
    assert_int_equal(count, turns.count);
    for (size_t i = 0; i < 50; i++)
        turns_leave(&turns, &turn[i]);
    assert_true(!turns.count && !turns.oldest && !turns.newest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_never_wait),       cmocka_unit_test(unwanted_turns_cost_nothing),
        cmocka_unit_test(the_quiet_make_room),  cmocka_unit_test(those_beyond_begin_at_a_pace),
        cmocka_unit_test(the_list_is_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
