/* Who may begin. Times are the machine's, so only what must be so however late we are is asserted:
 * that somebody has to wait, and that the waiting ends. */
#include "probe/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 1000

static void few_never_wait(void **state)
{
    struct admission admission = {.wanted = true};
    struct admission_place place[ADMISSION_MAX] = {0};

    (void)state;
    for (size_t i = 0; i < ADMISSION_MAX; i++) {
        assert_int_equal(admission_next_ns(&admission, i, MANY), 0);
        admission_begin(&admission, i);
        admission_note(&admission, &place[i]);
    }
    assert_int_equal(admission.count, ADMISSION_MAX);
}

static void unwanted_turns_cost_nothing(void **state)
{
    struct admission admission = {0};
    struct admission_place place = {0};

    (void)state;
    admission_note(&admission, &place);
    admission_begin(&admission, MANY);
    assert_int_equal(admission.count, 0);
    assert_int_equal(admission_next_ns(&admission, MANY, MANY), 0);
    admission_leave(&admission, &place);
}

/* Whoever is in conversation keeps others from beginning until nothing has happened for a while. */
static void the_quiet_make_room(void **state)
{
    struct admission admission = {.wanted = true};
    struct admission_place place[ADMISSION_MAX] = {0};
    int64_t next;

    (void)state;
    int64_t before = clock_mono_ns();
    for (size_t i = 0; i < ADMISSION_MAX; i++)
        admission_note(&admission, &place[i]);
    while ((next = admission_next_ns(&admission, ADMISSION_MAX, 0)))
        assert_true(next >= before + ADMISSION_WINDOW_NS);
    assert_true(clock_mono_ns() >= before + ADMISSION_WINDOW_NS);
    assert_true(admission.count < ADMISSION_MAX);
}

static void those_beyond_begin_at_a_pace(void **state)
{
    struct admission admission = {.wanted = true};
    int64_t next;

    (void)state;
    assert_int_equal(admission_next_ns(&admission, MANY, 0), 0);
    int64_t before = clock_mono_ns();
    admission_begin(&admission, MANY);
    while ((next = admission_next_ns(&admission, MANY, 0)))
        assert_true(next >= before + ADMISSION_PACE_NS);
    assert_true(clock_mono_ns() >= before + ADMISSION_PACE_NS);
    /* With much to do nobody begins at all, and it is asked again soon. */
    next = admission_next_ns(&admission, MANY, ADMISSION_MAX);
    assert_true(next > before && next < INT64_MAX);
}

/* The list stays whole whatever happens to whom, in any order. */
static void the_list_is_in_order(void **state)
{
    struct admission admission = {.wanted = true};
    struct admission_place place[50] = {0};
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct admission_place *one = &place[(seed >> 16) % 50];
        if (seed >> 8 & 3)
            admission_note(&admission, one);
        else
            admission_leave(&admission, one);
    }
    size_t count = 0;
    for (struct admission_place *one = admission.oldest; one; one = one->newer, count++) {
        assert_true(one->newer ? one->newer->older == one : admission.newest == one);
        assert_true(!one->newer || one->newer->at_ns >= one->at_ns);
    }
    assert_int_equal(count, admission.count);
    for (size_t i = 0; i < 50; i++)
        admission_leave(&admission, &place[i]);
    assert_true(!admission.count && !admission.oldest && !admission.newest);
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
