/* What a path may have done, by what it did to a control; and the statistics under it. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/stats.h"
#include "diagnosis/path_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS NS_PER_MS

/* `count` round trips of 20 ms; the last `late` of them 50 ms. */
static void fill_path(int64_t *samples, size_t count, size_t late)
{
    for (size_t i = 0; i < count; i++)
        samples[i] = i < count - late ? 20 * MS : 50 * MS;
}

static void a_clean_path_explains_nothing(void **state)
{
    (void)state;
    int64_t samples[40];
    struct path_model path;

    fill_path(samples, 40, 0);
    path_model_make(&path, samples, 40, 21 * MS);
    assert_int_equal(path.base_ns, 20 * MS);
    assert_int_equal(path.high_ns, 20 * MS);
    assert_false(path_model_explains(&path, 30 * MS, 2, 8, 40));
    assert_true(path_model_explains(&path, 30 * MS, 2, 1, 40));
}

static void a_tail_explains_as_many_as_it_has(void **state)
{
    (void)state;
    int64_t samples[40];
    struct path_model path;

    fill_path(samples, 40, 10);
    path_model_make(&path, samples, 40, 20 * MS);
    assert_true(path_model_explains(&path, 30 * MS, 2, 12, 40));
    assert_false(path_model_explains(&path, 30 * MS, 2, 36, 40));
    assert_false(path_model_explains(&path, 60 * MS, 2, 12, 40));
}

/* A message of many packets meets a late one more often than a handshake does. */
static void many_packets_meet_the_tail_more_often(void **state)
{
    (void)state;
    int64_t samples[40];
    struct path_model path;

    fill_path(samples, 40, 4);
    path_model_make(&path, samples, 40, 20 * MS);
    assert_false(path_model_explains(&path, 30 * MS, 2, 30, 40));
    assert_true(path_model_explains(&path, 30 * MS, 20, 30, 40));
}

/* Without a control only the base is known: three of three may still be the path's. */
static void without_samples_little_is_sure(void **state)
{
    (void)state;
    struct path_model path;

    path_model_make(&path, NULL, 0, 20 * MS);
    assert_int_equal(path.typical_ns, 20 * MS);
    assert_true(path_model_explains(&path, 30 * MS, 2, 40, 40));
}

static void shifts_have_a_lower_bound(void **state)
{
    (void)state;
    int64_t a[40], b[40];

    for (int i = 0; i < 40; i++)
        b[i] = 20 * MS + i * MS / 4;
    for (int i = 0; i < 40; i++)
        a[i] = b[(i * 7) % 40] + 15 * MS;
    int64_t least = stats_shift_at_least(a, 40, b, 40, 0.01);
    assert_in_range(least, 12 * MS, 15 * MS);
    int64_t most = stats_shift_at_most(a, 40, b, 40, 0.01);
    assert_in_range(most, 15 * MS, 18 * MS);
    assert_in_range(stats_shift_at_most(b, 40, b, 40, 0.01), 0, 3 * MS);
    assert_int_equal(stats_shift_at_least(b, 40, b, 40, 0.01), 0);
    assert_int_equal(stats_shift_at_least(a, 40, b, 0, 0.01), 0);
}

static bool is_near(double got, double wanted)
{
    return got > wanted - 1e-6 && got < wanted + 1e-6;
}

/* Against values of R's pbinom and fisher.test. */
static void tails_are_those_of_the_tables(void **state)
{
    (void)state;
    assert_true(is_near(stats_binomial_tail(0, 10, 0.3), 1));
    assert_true(is_near(stats_binomial_tail(5, 10, 0.5), 0.623046875));
    assert_true(is_near(stats_binomial_tail(10, 10, 0.5), 0.0009765625));
    assert_true(is_near(stats_binomial_tail(3, 10, 0), 0));
    assert_true(is_near(stats_binomial_tail(3, 10, 1), 1));
    assert_true(is_near(stats_fisher(3, 4, 1, 4), 17.0 / 70));
    assert_true(is_near(stats_fisher(4, 4, 0, 4), 1.0 / 70));
    assert_true(is_near(stats_fisher(0, 4, 4, 4), 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_path_explains_nothing),
        cmocka_unit_test(a_tail_explains_as_many_as_it_has),
        cmocka_unit_test(many_packets_meet_the_tail_more_often),
        cmocka_unit_test(without_samples_little_is_sure),
        cmocka_unit_test(shifts_have_a_lower_bound),
        cmocka_unit_test(tails_are_those_of_the_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
