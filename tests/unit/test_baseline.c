/* An earlier run read back: what was written comes back, and nothing damaged gets in. */
#include "report/baseline.h"
#include "report/report.h"
#include "report_sample.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct buf written(const struct report *report)
{
    struct buf text = {0};
    assert_int_equal(report_render(&text, REPORT_JSON, report, NULL, NULL), 0);
    return text;
}

static void what_was_written_comes_back(void **state)
{
    struct report report = {0};
    struct baseline baseline;
    (void)state;
    sample_head(&report);
    struct result_probe *probe = sample_probe(&report, "b:1");
    sample_probe(&report, "evil\x1b[31m\"\\:2");
    sample_probe(&report, "a:1");
    sample_probe(&report, "a:1");
    struct result_probe *down = &report_add(&report, RESULT_PROBE)->probe;
    down->target = "down:1";
    struct buf text = written(&report);
    assert_int_equal(baseline_parse(&baseline, buf_str(&text), text.len_bytes, NULL), 0);
    assert_int_equal(baseline.count, 4); /* a:1 once */
    const struct baseline_target *target = baseline_find(&baseline, "b:1");
    assert_non_null(target);
    assert_true(target->before.ok);
    assert_memory_equal(&target->before.latency, &probe->latency, sizeof probe->latency);
    assert_memory_equal(&target->before.histogram, &probe->histogram, sizeof probe->histogram);
    target = baseline_find(&baseline, "evil\x1b[31m\"\\:2");
    assert_non_null(target);
    target = baseline_find(&baseline, "down:1");
    assert_non_null(target);
    assert_false(target->before.ok);
    assert_true(target->before.latency.p50_ns == RESULT_UNKNOWN);
    assert_null(baseline_find(&baseline, "c:1"));
    baseline_free(&baseline);
    buf_free(&text);
    report_free(&report);
}

static void another_conversation_is_noticed(void **state)
{
    struct report report = {0};
    struct baseline baseline;
    struct result_map now = {0};
    struct arena arena = {0};
    (void)state;
    sample_head(&report);
    result_set_integer(&report.arena, &report.parameters, "request_bytes", 10);
    result_set_bool(&report.arena, &report.parameters, "new_connection", false);
    result_set_text(&report.arena, &report.parameters, "until", NULL);
    struct buf text = written(&report);
    assert_int_equal(baseline_parse(&baseline, buf_str(&text), text.len_bytes, NULL), 0);
    result_set_text(&arena, &now, "preset", "http");
    result_set_integer(&arena, &now, "request_bytes", 10);
    result_set_integer(&arena, &now, "rounds", 99); /* does not matter */
    result_set_bool(&arena, &now, "new_connection", false);
    result_set_text(&arena, &now, "until", NULL);
    assert_null(baseline_differs(&baseline, &now));
    result_set_bool(&arena, &now, "new_connection", true);
    assert_string_equal(baseline_differs(&baseline, &now), "new_connection");
    result_set_text(&arena, &now, "preset", "redis");
    assert_string_equal(baseline_differs(&baseline, &now), "preset");
    result_set_text(&arena, &now, "preset", NULL);
    assert_string_equal(baseline_differs(&baseline, &now), "preset");
    arena_free(&arena);
    baseline_free(&baseline);
    buf_free(&text);
    report_free(&report);
}

#define HEAD "{\"schema\":\"netkit/1\",\"command\":\"tcp-probe\",\"results\":"
#define RESULT(latency, histogram)                                                                 \
    HEAD "[{\"target\":\"a:1\",\"ok\":true,\"latency\":" latency ",\"histogram\":" histogram "}]}"
#define LATENCY(min, p50, max)                                                                     \
    "{\"min_ns\":" min ",\"p50_ns\":" p50 ",\"p90_ns\":null,\"p99_ns\":null,\"max_ns\":" max "}"
#define NONE             LATENCY("null", "null", "null")
#define BAR(from, count) "[{\"from_ns\":" from ",\"to_ns\":null,\"count\":" count "}]"

static void damage_is_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *says;
    } cases[] = {
        {RESULT(NONE, "[]"), 0, NULL},
        {RESULT(NONE, BAR("0", "1")), 0, NULL},
        {RESULT(LATENCY("1", "1", "2"), "[]"), 0, NULL},
        {RESULT(NONE, BAR("1048576", "4294967295")), 0, NULL},
        {"", -EPROTOTYPE, "not JSON"},
        {" \n root:x:0", -EPROTOTYPE, "not JSON"},
        {"[]", -EPROTOTYPE, "not a report"},
        {"{}", -EPROTOTYPE, "schema"},
        {"{\"schema\":\"netkit/2\"}", -EPROTOTYPE, "schema"},
        {"{\"schema\":7}", -EPROTOTYPE, "schema"},
        {"{\"schema\":\"netkit/1\",\"command\":\"readiness\"}", -EPROTOTYPE, "another command"},
        {HEAD "[", -EBADMSG, "line 1"},
        {HEAD "[]", -EBADMSG, "line 1"},
        {HEAD "7}", -EBADMSG, "\"results\""},
        {HEAD "[7]}", -EBADMSG, "results[0]"},
        {HEAD "[{\"target\":null,\"ok\":true}]}", -EBADMSG, "\"target\""},
        {HEAD "[{\"target\":\"a\",\"ok\":1}]}", -EBADMSG, "\"ok\""},
        {HEAD "[{\"target\":\"a\",\"ok\":true}]}", -EBADMSG, "\"latency\""},
        {HEAD "[{\"target\":\"a\",\"target\":\"b\"}]}", -EBADMSG, "duplicate"},
        {HEAD "[{\"target\":\"\033[2J", -EBADMSG, "line 1"},
        {RESULT("{}", "[]"), -EBADMSG, "percentiles"},
        {RESULT(LATENCY("-1", "2", "3"), "[]"), -EBADMSG, "percentiles"},
        {RESULT(LATENCY("5", "4", "6"), "[]"), -EBADMSG, "percentiles"},
        {RESULT(LATENCY("1", "2", "9223372036854775807"), "[]"), -EBADMSG, "percentiles"},
        {RESULT(LATENCY("1.5", "2", "3"), "[]"), -EBADMSG, "percentiles"},
        {RESULT(NONE, "[7]"), -EBADMSG, "valid numbers"},
        {RESULT(NONE, BAR("0", "-1")), -EBADMSG, "valid numbers"},
        {RESULT(NONE, BAR("0", "4294967296")), -EBADMSG, "valid numbers"},
        {RESULT(NONE, BAR("1000", "1")), -EBADMSG, "unknown bounds"},
        {RESULT(NONE, BAR("-5", "1")), -EBADMSG, "unknown bounds"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct baseline baseline;
        struct error error = {0};
        int rc = baseline_parse(&baseline, cases[i].text, strlen(cases[i].text), &error);
        if (rc != cases[i].rc)
            fail_msg("%d, not %d: %s", rc, cases[i].rc, cases[i].text);
        if (rc && !strstr(error.text, cases[i].says))
            fail_msg("'%s' is not in '%s'", cases[i].says, error.text);
        assert_null(strchr(error.text, '\033'));
        if (!rc)
            baseline_free(&baseline);
    }
}

/* Wherever the file is cut, it is noticed. */
static void every_cut_is_noticed(void **state)
{
    struct report report = {0};
    (void)state;
    sample_stall(&report);
    struct buf text = written(&report);
    size_t end = text.len_bytes;
    while (end && text.data[end - 1] != '}')
        end--;
    for (size_t len = 0; len < end; len++) {
        struct baseline baseline;
        assert_int_not_equal(baseline_parse(&baseline, buf_str(&text), len, NULL), 0);
    }
    buf_free(&text);
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_comes_back),
        cmocka_unit_test(another_conversation_is_noticed),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(every_cut_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
