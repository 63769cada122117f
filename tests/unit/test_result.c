#include "finding/finding.h"
#include "result/result.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_catalogue_is_complete(void **state)
{
    (void)state;
    for (int code = 0; code < FINDING_CODES; code++) {
        const struct finding_entry *entry = finding_entry((enum finding_code)code);
        assert_non_null(entry->name);
        assert_true(strlen(entry->title) > 5);
        assert_true(strlen(entry->explanation) > 20);
        assert_true(strlen(entry->fault) > 3);
        assert_true(strlen(entry->remedy) > 10);
        assert_int_equal(finding_by_name(entry->name), code);
    }
    assert_int_equal(finding_by_name("no-such-code"), FINDING_CODES);
}

static void terms_are_found_by_any_spelling(void **state)
{
    (void)state;
    assert_int_equal(finding_term_by_name("econnrefused")->number, ECONNREFUSED);
    assert_int_equal(finding_term_by_name("TIME_WAIT")->number, 6);
    assert_null(finding_term_by_name("TIME"));
    assert_string_equal(finding_state_name(8), "CLOSE-WAIT");
    assert_string_equal(finding_state_name(99), "?");
    assert_int_equal(finding_of_errno(EHOSTUNREACH), FINDING_HOST_UNREACHABLE);
    assert_int_equal(finding_of_errno(EAGAIN), FINDING_NONE);
    size_t count = 0;
    while (finding_names()[count])
        count++;
    assert_int_equal(count, FINDING_CODES - 1 + finding_errno_count + finding_state_count);
}

static void a_map_keeps_the_last_value_of_a_key(void **state)
{
    struct arena arena = {0};
    struct result_map map = {0};
    const char *const list[] = {"a", "b"};
    (void)state;
    result_set_integer(&arena, &map, "n", 1);
    result_set_integer(&arena, &map, "n", 2);
    result_set_integer(&arena, &map, "u", RESULT_UNKNOWN);
    result_set_text(&arena, &map, "t", "text");
    result_set_text(&arena, &map, "missing", NULL);
    result_set_range(&arena, &map, "r", 3, 4);
    result_set_texts(&arena, &map, "l", list, 2);
    result_set_bool(&arena, &map, "b", true);
    assert_int_equal(map.count, 7);
    assert_int_equal(result_get(&map, "n")->integer, 2);
    assert_int_equal(result_get(&map, "u")->kind, RESULT_NULL);
    assert_int_equal(result_get(&map, "missing")->kind, RESULT_NULL);
    assert_int_equal(result_get(&map, "r")->range.max, 4);
    assert_string_equal(result_get(&map, "l")->texts.items[1], "b");
    assert_null(result_get(&map, "x"));
    arena_free(&arena);
}

static void the_worst_finding_is_the_verdict(void **state)
{
    struct arena arena = {0};
    struct finding_list list = {0};
    (void)state;
    assert_int_equal(finding_verdict(&list), FINDING_NONE);
    finding_add(&arena, &list, FINDING_DELAYED_ACK, RESULT_SIDE_NONE)->cost_ns = 1000000000;
    assert_int_equal(finding_verdict(&list), FINDING_NONE);
    finding_add(&arena, &list, FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER)->cost_ns = 10;
    struct finding *nagle =
        finding_add(&arena, &list, FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER);
    nagle->cost_ns = 4;
    nagle->count = 3;
    assert_int_equal(finding_verdict(&list), FINDING_NAGLE_DELAYED_ACK);
    finding_add(&arena, &list, FINDING_CONNECTION_RESET, RESULT_SIDE_SERVER);
    assert_int_equal(finding_verdict(&list), FINDING_CONNECTION_RESET);
    arena_free(&arena);
}

static void every_time_falls_into_its_bucket(void **state)
{
    (void)state;
    for (int64_t ns = 1; ns < INT64_C(1) << 39; ns = ns * 3 + 1)
        for (int64_t near = ns - 1; near <= ns + 1; near++) {
            struct result_histogram histogram = {0};
            size_t bucket = 0;
            result_histogram_add(&histogram, near);
            while (!histogram.counts[bucket])
                bucket++;
            assert_true(near < 1 || result_bucket_ns(bucket) <= near);
            assert_true(bucket + 1 == RESULT_BUCKETS || near < result_bucket_ns(bucket + 1));
        }
}

static void a_report_owns_its_results(void **state)
{
    struct report report = {0};
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct result *result = report_add(&report, RESULT_PROBE);
        assert_non_null(result);
        assert_true(result->probe.latency.p99_ns == RESULT_UNKNOWN);
        assert_true(result->probe.breakdown.part_ns[RESULT_PART_GAP] == RESULT_UNKNOWN);
        result->probe.port = i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(report.results[i]->probe.port, i);
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalogue_is_complete),
        cmocka_unit_test(terms_are_found_by_any_spelling),
        cmocka_unit_test(a_map_keeps_the_last_value_of_a_key),
        cmocka_unit_test(the_worst_finding_is_the_verdict),
        cmocka_unit_test(every_time_falls_into_its_bucket),
        cmocka_unit_test(a_report_owns_its_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
