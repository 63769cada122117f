/* Thresholds, and the comparison with an earlier run. */
#include "base/clock.h"
#include "base/stats.h"
#include "diagnosis/regression.h"
#include "diagnosis/sample.h"
#include "diagnosis/threshold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS NS_PER_MS
#define US NS_PER_US

/* ---- Thresholds */

static struct result_probe *probe_in(struct report *report)
{
    struct result_probe *probe = &report_add(report, RESULT_PROBE)->probe;
    probe->target = "a:1";
    probe->ok = true;
    return probe;
}

static void a_limit_itself_is_allowed(void **state)
{
    struct report report = {0};
    struct threshold_limits limits = {.set = {[THRESHOLD_P90] = true, [THRESHOLD_P99] = true}};
    struct result_probe *probe = probe_in(&report);
    (void)state;
    limits.limit_ns[THRESHOLD_P90] = 10 * MS;
    limits.limit_ns[THRESHOLD_P99] = 10 * MS;
    probe->latency.p50_ns = 11 * MS; /* nobody asked */
    probe->latency.p90_ns = 10 * MS;
    probe->latency.p99_ns = 10 * MS + 1;
    threshold_check_target(&report.arena, &limits, probe, &report.checks);
    assert_int_equal(report.checks.count, 2);
    const struct result_check *checks = report.checks.items;
    assert_string_equal(checks[0].name, "max-p90");
    assert_true(checks[0].ok);
    assert_string_equal(checks[1].name, "max-p99");
    assert_string_equal(checks[1].target, "a:1");
    assert_false(checks[1].ok);
    assert_int_equal(checks[1].measured, 10 * MS + 1);
    assert_int_equal(checks[1].limit, 10 * MS);
    assert_int_equal(result_checks_exceeded(&report.checks), 1);
    report_free(&report);
}

static void each_threshold_looks_at_its_own_number(void **state)
{
    (void)state;
    for (int which = 0; which < THRESHOLDS; which++) {
        struct report report = {0};
        struct threshold_limits limits = {.set = {false}};
        struct result_probe *probe = probe_in(&report);
        probe->latency.p50_ns = 1000 + THRESHOLD_P50;
        probe->latency.p90_ns = 1000 + THRESHOLD_P90;
        probe->latency.p99_ns = 1000 + THRESHOLD_P99;
        probe->connect_ns = 1000 + THRESHOLD_CONNECT;
        probe->tls_ns = 1000 + THRESHOLD_TLS;
        limits.set[which] = true;
        threshold_check_target(&report.arena, &limits, probe, &report.checks);
        assert_int_equal(report.checks.count, 1);
        assert_int_equal(report.checks.items[0].measured, 1000 + which);
        report_free(&report);
    }
}

static void what_is_not_known_exceeds(void **state)
{
    struct report report = {0};
    struct threshold_limits limits = {.set = {[THRESHOLD_P50] = true, [THRESHOLD_TLS] = true}};
    struct result_probe *probe = probe_in(&report);
    (void)state;
    limits.limit_ns[THRESHOLD_P50] = limits.limit_ns[THRESHOLD_TLS] = INT64_MAX;
    probe->latency.p50_ns = 1 * MS;
    threshold_check_target(&report.arena, &limits, probe, &report.checks);
    assert_true(report.checks.items[0].ok);
    assert_false(report.checks.items[1].ok); /* no TLS */
    assert_true(report.checks.items[1].measured == RESULT_UNKNOWN);
    /* It failed, after some rounds. */
    probe->ok = false;
    threshold_check_target(&report.arena, &limits, probe, &report.checks);
    assert_false(report.checks.items[2].ok);
    assert_true(report.checks.items[2].measured == RESULT_UNKNOWN);
    report_free(&report);
}

static bool share_is_enough(double percent, size_t ok, size_t total)
{
    struct arena arena = {0};
    struct result_check_list checks = {0};
    const struct threshold_limits limits = {.success_set = true, .success_percent = percent};
    threshold_check_run(&arena, &limits, ok, total, &checks);
    assert_int_equal(checks.count, 1);
    assert_null(checks.items[0].target);
    bool enough = checks.items[0].ok;
    arena_free(&arena);
    return enough;
}

static void the_share_of_the_run_is_exact(void **state)
{
    struct arena arena = {0};
    struct result_check_list checks = {0};
    (void)state;
    assert_true(share_is_enough(100, 10000, 10000));
    assert_false(share_is_enough(100, 9999, 10000));
    assert_true(share_is_enough(99.99, 9999, 10000));
    assert_false(share_is_enough(99.99, 9998, 10000));
    assert_true(share_is_enough(66.6, 2, 3));
    assert_false(share_is_enough(66.7, 2, 3));
    assert_true(share_is_enough(0, 0, 3));
    assert_false(share_is_enough(0, 0, 0)); /* of nothing, nothing is known */
    threshold_check_run(&arena, &(struct threshold_limits){.success_set = false}, 0, 1, &checks);
    assert_int_equal(checks.count, 0);
    arena_free(&arena);
}

/* ---- Samples */

/* A generator of its own, so that every run tests the same. */
static double chance(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* Skewed, as latencies are. */
static void draw(int64_t *out, size_t count, int64_t from_ns, int64_t span_ns, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        double x = chance(&seed);
        out[i] = from_ns + (int64_t)(x * x * x * (double)span_ns);
    }
    stats_sort(out, count);
}

static struct regression_before kept_of(const int64_t *sorted, size_t count)
{
    struct regression_before kept = {.ok = true,
                                     .latency = {sorted[0], stats_quantile(sorted, count, 0.5),
                                                 stats_quantile(sorted, count, 0.9),
                                                 stats_quantile(sorted, count, 0.99),
                                                 sorted[count - 1]}};
    for (size_t i = 0; i < count; i++)
        result_histogram_add(&kept.histogram, sorted[i]);
    return kept;
}

static void a_rebuilt_sample_keeps_what_was_known(void **state)
{
    static const size_t counts[] = {1, 2, 5, 40, 511, 512};
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        int64_t values[512];
        struct sample sample;
        size_t count = counts[c];
        draw(values, count, 50 * US, 3 * MS, 7 + c);
        struct regression_before kept = kept_of(values, count);
        sample_rebuild(&sample, &kept.histogram, &kept.latency);
        assert_int_equal(sample.count, count);
        assert_int_equal(sample.rounds, count);
        assert_int_equal(sample.values[0], values[0]);
        assert_int_equal(sample.values[count - 1], values[count - 1]);
        assert_int_equal(stats_quantile(sample.values, count, 0.5), kept.latency.p50_ns);
        assert_int_equal(stats_quantile(sample.values, count, 0.9), kept.latency.p90_ns);
        assert_int_equal(stats_quantile(sample.values, count, 0.99), kept.latency.p99_ns);
        for (size_t i = 0; i < count; i++) {
            /* Of the right bucket, so within a quarter of an octave; and in order. */
            double off = (double)sample.values[i] / (double)values[i];
            assert_true(off > 0.84 && off < 1.19);
            assert_true(!i || sample.values[i] >= sample.values[i - 1]);
        }
    }
}

static void a_large_sample_is_thinned(void **state)
{
    static int64_t values[100000];
    struct sample sample;
    (void)state;
    draw(values, 100000, 1 * MS, 100 * MS, 3);
    struct regression_before kept = kept_of(values, 100000);
    sample_rebuild(&sample, &kept.histogram, &kept.latency);
    assert_int_equal(sample.count, SAMPLE_VALUES_MAX);
    assert_int_equal(sample.rounds, 100000);
    for (size_t i = 0; i < sample.count; i++) {
        double off = (double)sample.values[i] /
                     (double)values[(size_t)(((double)i + 0.5) * 100000 / SAMPLE_VALUES_MAX)];
        assert_true(off > 0.84 && off < 1.19);
    }
}

static void contradictions_give_a_sorted_sample(void **state)
{
    struct result_histogram histogram = {{0}};
    struct result_latency latency = {5, 4, 3, INT64_C(1) << 61, 1};
    struct sample sample;
    (void)state;
    sample_rebuild(&sample, &histogram, &latency);
    assert_int_equal(sample.count, 0);
    for (size_t i = 0; i < RESULT_BUCKETS; i++)
        histogram.counts[i] = UINT32_MAX;
    sample_rebuild(&sample, &histogram, &latency);
    assert_int_equal(sample.count, SAMPLE_VALUES_MAX);
    for (size_t i = 1; i < sample.count; i++)
        assert_true(sample.values[i] >= sample.values[i - 1]);
    latency = (struct result_latency){RESULT_UNKNOWN, RESULT_UNKNOWN, RESULT_UNKNOWN,
                                      RESULT_UNKNOWN, RESULT_UNKNOWN};
    memset(&histogram, 0, sizeof histogram);
    histogram.counts[80] = 3; /* a bucket from 2^20 ns */
    sample_rebuild(&sample, &histogram, &latency);
    assert_int_equal(sample.count, 3);
    assert_true(sample.values[0] > INT64_C(1) << 20);
    assert_true(sample.values[2] < result_bucket_ns(81));
}

/* ---- Regressions */

struct outcome {
    size_t regressions;
    int64_t shift_ns;
    double p_value;
    bool improved;
};

static struct outcome compared(const struct regression_before *before,
                               const struct regression_before *now)
{
    struct arena arena = {0};
    struct finding_list list = {0};
    const struct result_probe probe = {
        .target = "a:1", .ok = now->ok, .latency = now->latency, .histogram = now->histogram};
    const char *note = regression_find(&arena, before, &probe, &list);
    struct outcome outcome = {.regressions = list.count,
                              .improved = note && !strncmp(note, "Improved", 8)};
    if (list.count) {
        assert_int_equal(list.items[0].code, FINDING_REGRESSION);
        assert_int_equal(list.items[0].severity, FINDING_WARNING);
        assert_string_equal(list.items[0].target, "a:1");
        const struct result_value *p = result_get(&list.items[0].evidence, "p_value");
        outcome.shift_ns = list.items[0].cost_ns;
        outcome.p_value = p ? p->real : 1;
    }
    arena_free(&arena);
    return outcome;
}

static struct regression_before run_of(size_t count, int64_t from_ns, int64_t span_ns,
                                       uint64_t seed)
{
    int64_t values[512];
    draw(values, count, from_ns, span_ns, seed);
    return kept_of(values, count);
}

static void the_rebuilt_test_decides_as_the_raw_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        int64_t before[40], now[40];
        int64_t add = (int64_t)(seed % 5) * 150 * US;
        draw(before, 40, 1 * MS, 2 * MS, seed);
        draw(now, 40, 1 * MS + add, 2 * MS, seed + 1000);
        struct stats_shift raw = stats_compare(now, 40, before, 40);
        struct regression_before a = kept_of(before, 40), b = kept_of(now, 40);
        struct sample x, y;
        sample_rebuild(&x, &a.histogram, &a.latency);
        sample_rebuild(&y, &b.histogram, &b.latency);
        struct stats_shift rebuilt = stats_compare(y.values, 40, x.values, 40);
        /* Each within the other's noise: the estimate to 60 us, the p-value to a small factor. */
        assert_true(llabs(raw.shift_ns - rebuilt.shift_ns) < 60 * US);
        if (raw.p_value < 1e-4)
            assert_true(rebuilt.p_value < 1e-2);
        if (raw.p_value > 0.2)
            assert_true(rebuilt.p_value > 0.02);
    }
}

static void slower_is_a_regression(void **state)
{
    struct regression_before before = run_of(40, 1 * MS, 1 * MS, 1);
    struct regression_before now = run_of(40, 41 * MS, 2 * MS, 2);
    (void)state;
    struct outcome outcome = compared(&before, &now);
    assert_int_equal(outcome.regressions, 1);
    assert_true(outcome.shift_ns > 39 * MS && outcome.shift_ns < 42 * MS);
    assert_true(outcome.p_value < 1e-10);
    outcome = compared(&now, &before);
    assert_int_equal(outcome.regressions, 0);
    assert_true(outcome.improved);
}

static void within_the_noise_is_none(void **state)
{
    size_t alarms = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct regression_before before = run_of(40, 1 * MS, 2 * MS, seed);
        struct regression_before now = run_of(40, 1 * MS, 2 * MS, seed + 777);
        struct outcome outcome = compared(&before, &now);
        alarms += outcome.regressions + outcome.improved;
    }
    /* p < 0.01 on either side: 4 of 200 are to be expected. */
    assert_in_range(alarms, 0, 10);
}

static void a_clear_but_small_shift_is_none(void **state)
{
    (void)state;
    /* 4 % of 50 ms, although each run is within 100 us: clear, but too small. */
    struct regression_before before = run_of(40, 50 * MS, 100 * US, 1);
    struct regression_before now = run_of(40, 52 * MS, 100 * US, 2);
    assert_int_equal(compared(&before, &now).regressions, 0);
    /* 8 %, although both are in one bucket of the histogram. */
    now = run_of(40, 54 * MS, 100 * US, 2);
    assert_int_equal(compared(&before, &now).regressions, 1);
    /* Half again, but of very little. */
    before = run_of(40, 60 * US, 1 * US, 1);
    now = run_of(40, 90 * US, 1 * US, 2);
    assert_int_equal(compared(&before, &now).regressions, 0);
}

static void few_rounds_are_not_compared(void **state)
{
    struct regression_before before = run_of(4, 1 * MS, 1 * MS, 1);
    struct regression_before now = run_of(40, 41 * MS, 1 * MS, 2);
    (void)state;
    struct arena arena = {0};
    struct finding_list list = {0};
    const struct result_probe probe = {
        .target = "a:1", .ok = true, .latency = now.latency, .histogram = now.histogram};
    const char *note = regression_find(&arena, &before, &probe, &list);
    assert_int_equal(list.count, 0);
    assert_non_null(strstr(note, "4 rounds"));
    arena_free(&arena);
    before = run_of(5, 1 * MS, 1 * MS, 1);
    now = run_of(5, 41 * MS, 1 * MS, 2);
    assert_int_equal(compared(&before, &now).regressions, 1);
}

static void failing_is_a_regression(void **state)
{
    struct regression_before well = run_of(40, 1 * MS, 1 * MS, 1), failed = {.ok = false};
    (void)state;
    assert_int_equal(compared(&well, &failed).regressions, 1);
    assert_int_equal(compared(&failed, &failed).regressions, 0);
    assert_true(compared(&failed, &well).improved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_itself_is_allowed),
        cmocka_unit_test(each_threshold_looks_at_its_own_number),
        cmocka_unit_test(what_is_not_known_exceeds),
        cmocka_unit_test(the_share_of_the_run_is_exact),
        cmocka_unit_test(a_rebuilt_sample_keeps_what_was_known),
        cmocka_unit_test(a_large_sample_is_thinned),
        cmocka_unit_test(contradictions_give_a_sorted_sample),
        cmocka_unit_test(the_rebuilt_test_decides_as_the_raw_one),
        cmocka_unit_test(slower_is_a_regression),
        cmocka_unit_test(within_the_noise_is_none),
        cmocka_unit_test(a_clear_but_small_shift_is_none),
        cmocka_unit_test(few_rounds_are_not_compared),
        cmocka_unit_test(failing_is_a_regression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
