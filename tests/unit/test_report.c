#include "base/text.h"
#include "report/cases.h"
#include "report/report.h"
#include "report_sample.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct buf rendered(enum report_format format, const struct report *report,
                           const struct report_style *style)
{
    struct buf out = {0};
    struct error error = {0};

    assert_int_equal(report_render(&out, format, report, style, &error), 0);
    assert_non_null(out.data);
    return out;
}

static void formats_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < REPORT_FORMATS; i++)
        assert_int_equal(report_format_by_name(report_format_names()[i]), i);
    assert_null(report_format_names()[REPORT_FORMATS]);
    assert_int_equal(report_format_by_name("xml"), REPORT_FORMATS);
    struct buf out = {0};
    struct report report = {0};
    assert_int_equal(report_render(&out, REPORT_FORMATS, &report, NULL, NULL), -EINVAL);
}

/* ---- JSON against the contract: keys, their order and their types. */

struct key {
    const char *name;
    json_type type;
};

static void assert_keys(json_t *object, const struct key *keys, size_t count)
{
    void *iterator = json_object_iter(object);

    for (size_t i = 0; i < count; i++) {
        assert_non_null(iterator);
        assert_string_equal(json_object_iter_key(iterator), keys[i].name);
        if (keys[i].type != JSON_NULL)
            assert_int_equal(json_typeof(json_object_iter_value(iterator)), keys[i].type);
        iterator = json_object_iter_next(object, iterator);
    }
}

#define ASSERT_KEYS(object, ...)                                                                   \
    do {                                                                                           \
        static const struct key keys_[] = {__VA_ARGS__};                                           \
        assert_keys(object, keys_, ARRAY_SIZE(keys_));                                             \
    } while (0)

static json_t *parsed(const struct buf *text)
{
    json_error_t problem;
    json_t *object = json_loadb(text->data, text->len_bytes, JSON_REJECT_DUPLICATES, &problem);
    if (!object)
        fail_msg("%s at %d", problem.text, problem.position);
    return object;
}

static void json_is_the_contracts(void **state)
{
    struct report report = {0};
    (void)state;
    sample_stall(&report);
    struct buf text = rendered(REPORT_JSON, &report, NULL);
    json_t *whole = parsed(&text);
    ASSERT_KEYS(whole, {"schema", JSON_STRING}, {"version", JSON_STRING}, {"command", JSON_STRING},
                {"started", JSON_STRING}, {"duration_ns", JSON_INTEGER}, {"host", JSON_OBJECT},
                {"parameters", JSON_OBJECT}, {"results", JSON_ARRAY}, {"findings", JSON_ARRAY},
                {"verdict", JSON_STRING});
    ASSERT_KEYS(json_object_get(whole, "host"), {"kernel", JSON_STRING}, {"lab", JSON_FALSE},
                {"capture", JSON_STRING}, {"unprivileged", JSON_TRUE});
    assert_string_equal(json_string_value(json_object_get(whole, "started")),
                        "2025-10-09T08:53:20.123456789Z");
    assert_string_equal(json_string_value(json_object_get(whole, "verdict")), "nagle-delayed-ack");

    json_t *result = json_array_get(json_object_get(whole, "results"), 0);
    ASSERT_KEYS(result, {"target", JSON_STRING}, {"address", JSON_STRING}, {"port", JSON_INTEGER},
                {"ok", JSON_TRUE}, {"error", JSON_NULL}, {"connect", JSON_OBJECT},
                {"rounds", JSON_INTEGER}, {"latency", JSON_OBJECT}, {"breakdown", JSON_OBJECT},
                {"arms", JSON_ARRAY}, {"tcp_info", JSON_OBJECT});
    assert_true(json_is_null(json_object_get(result, "error")));
    ASSERT_KEYS(json_object_get(result, "connect"), {"resolve_ns", JSON_INTEGER},
                {"connect_ns", JSON_INTEGER}, {"rtt_ns", JSON_INTEGER},
                {"syn_retransmits", JSON_INTEGER});
    ASSERT_KEYS(json_object_get(result, "latency"), {"min_ns", JSON_INTEGER},
                {"p50_ns", JSON_INTEGER}, {"p90_ns", JSON_INTEGER}, {"p99_ns", JSON_INTEGER},
                {"max_ns", JSON_INTEGER});
    ASSERT_KEYS(json_object_get(result, "breakdown"), {"network_ns", JSON_INTEGER},
                {"send_hold_ns", JSON_INTEGER}, {"peer_ack_delay_ns", JSON_INTEGER},
                {"server_ns", JSON_INTEGER}, {"response_gap_ns", JSON_INTEGER},
                {"other_ns", JSON_INTEGER});
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(result, "breakdown"), "server_min_ns")),
        600 * 1000);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(result, "breakdown"), "server_max_ns")),
        880 * 1000);
    ASSERT_KEYS(json_array_get(json_object_get(result, "arms"), 4), {"name", JSON_STRING},
                {"rounds", JSON_INTEGER}, {"p50_ns", JSON_NULL}, {"p99_ns", JSON_NULL});
    assert_true(json_is_null(
        json_object_get(json_array_get(json_object_get(result, "arms"), 4), "p50_ns")));
    ASSERT_KEYS(json_array_get(json_object_get(whole, "findings"), 0), {"code", JSON_STRING},
                {"severity", JSON_STRING}, {"side", JSON_STRING}, {"target", JSON_STRING},
                {"scenario", JSON_NULL}, {"connection", JSON_NULL}, {"summary", JSON_STRING},
                {"remedy", JSON_STRING}, {"count", JSON_INTEGER}, {"cost_ns", JSON_INTEGER},
                {"evidence", JSON_OBJECT});
    json_decref(whole);
    buf_free(&text);
    report_free(&report);
}

static void what_was_not_measured_is_null(void **state)
{
    struct report report = {0};
    (void)state;
    sample_refused(&report);
    struct buf text = rendered(REPORT_JSON, &report, NULL);
    json_t *whole = parsed(&text), *result = json_array_get(json_object_get(whole, "results"), 0);
    json_t *latency = json_object_get(result, "latency"), *value;
    const char *key;
    json_object_foreach(latency, key, value)
    {
        assert_true(json_is_null(value));
    }
    json_object_foreach(json_object_get(result, "breakdown"), key, value)
    {
        assert_true(json_is_null(value));
    }
    assert_int_equal(json_array_size(json_object_get(result, "histogram")), 0);
    json_t *error = json_object_get(result, "error");
    assert_string_equal(json_string_value(json_object_get(error, "code")), "connection-refused");
    assert_string_equal(json_string_value(json_object_get(error, "errno")), "ECONNREFUSED");
    json_decref(whole);
    buf_free(&text);
    report_free(&report);
}

static void the_histogram_counts_every_round(void **state)
{
    struct report report = {0};
    int64_t sum = 0, before_ns = -1;
    (void)state;
    sample_stall(&report);
    result_histogram_add(&report.results[0]->probe.histogram, 0);
    result_histogram_add(&report.results[0]->probe.histogram, INT64_MAX);
    struct buf text = rendered(REPORT_JSON, &report, NULL);
    json_t *whole = parsed(&text), *result = json_array_get(json_object_get(whole, "results"), 0);
    json_t *bars = json_object_get(result, "histogram"), *bar;
    size_t i;
    json_array_foreach(bars, i, bar)
    {
        int64_t from_ns = json_integer_value(json_object_get(bar, "from_ns"));
        assert_true(from_ns > before_ns);
        before_ns = from_ns;
        sum += json_integer_value(json_object_get(bar, "count"));
    }
    assert_int_equal(sum, 42);
    assert_true(json_is_null(json_object_get(json_array_get(bars, i - 1), "to_ns")));
    json_decref(whole);
    buf_free(&text);
    report_free(&report);
}

static void lines_stream_as_they_render(void **state)
{
    struct report report = {0};
    struct buf piecewise = {0};
    (void)state;
    sample_stall(&report);
    sample_probe(&report, "other:1")->ok = false;
    for (size_t i = 0; i < report.result_count; i++)
        assert_int_equal(report_ndjson_result(&piecewise, report.results[i], NULL), 0);
    assert_int_equal(report_ndjson_finding(&piecewise, &report.findings.items[0], NULL), 0);
    assert_int_equal(report_ndjson_summary(&piecewise, &report, NULL), 0);
    struct buf whole = rendered(REPORT_NDJSON, &report, NULL);
    assert_string_equal(buf_str(&whole), buf_str(&piecewise));

    char *last = whole.data, *end;
    size_t lines = 0;
    for (char *line = whole.data; (end = strchr(line, '\n')); line = end + 1, lines++)
        last = line;
    assert_int_equal(lines, 4);
    struct buf tail = {.data = last, .len_bytes = strlen(last)};
    json_t *summary = parsed(&tail);
    assert_string_equal(json_string_value(json_object_get(summary, "type")), "summary");
    json_t *counts = json_object_get(summary, "counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "results")), 2);
    assert_int_equal(json_integer_value(json_object_get(counts, "failed")), 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "warning")), 1);
    json_decref(summary);
    buf_free(&whole);
    buf_free(&piecewise);
    report_free(&report);
}

/* ---- Cases */

static void a_case_fails_for_each_problem(void **state)
{
    struct report report = {0};
    struct report_cases cases;
    (void)state;
    sample_stall(&report);
    sample_probe(&report, "fine:1");
    struct result_probe *down = sample_probe(&report, "down:1");
    down->ok = false;
    down->error = (struct result_error){FINDING_NO_RESPONSE, 0, "nothing came", NULL};
    finding_add(&report.arena, &report.findings, FINDING_DELAYED_ACK, RESULT_SIDE_NONE)->target =
        "fine:1";
    finding_add(&report.arena, &report.findings, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE);
    assert_int_equal(cases_of(&cases, &report, NULL), 0);
    assert_int_equal(cases.count, 4);
    assert_int_equal(cases.failed, 3);
    assert_string_equal(cases.items[0].problems[0].type,
                        finding_entry(FINDING_NAGLE_DELAYED_ACK)->name);
    assert_int_equal(cases.items[1].problem_count, 0); /* an info is no problem */
    assert_string_equal(cases.items[2].problems[0].type, finding_entry(FINDING_NO_RESPONSE)->name);
    assert_null(cases.items[3].result);
    cases_free(&cases);

    /* A finding that tells the failure is not told twice. */
    finding_add(&report.arena, &report.findings, FINDING_NO_RESPONSE, RESULT_SIDE_SERVER)->target =
        "down:1";
    assert_int_equal(cases_of(&cases, &report, NULL), 0);
    assert_int_equal(cases.items[2].problem_count, 1);
    cases_free(&cases);
    report_free(&report);
}

static void assert_says(const struct report *report, enum report_format format, const char *words)
{
    static const struct report_style style = {.width = 80};
    struct buf text = rendered(format, report, &style);

    if (!strstr(buf_str(&text), words))
        fail_msg("'%s' lacks '%s'", buf_str(&text), words);
    buf_free(&text);
}

static void what_a_kernel_cannot_show_is_no_failure(void **state)
{
    struct report report = {0};
    (void)state;
    for (int64_t family = 4; family <= 6; family += 2) {
        struct result_scenario *made = &report_add(&report, RESULT_SCENARIO)->scenario;
        *made = (struct result_scenario){.name = family == 4 ? "far (IPv4)" : "far (IPv6)",
                                         .scenario = "far",
                                         .family = family,
                                         .title = "a title",
                                         .verdict = RESULT_UNSUPPORTED,
                                         .why = "It lacks <that>."};
    }
    report_add(&report, RESULT_SCENARIO)->scenario =
        (struct result_scenario){.name = "near (IPv4)", .scenario = "near", .title = "a title"};
    assert_says(&report, REPORT_JSON, "\"ok\": null,");
    assert_says(&report, REPORT_JSON, "\"verdict\": \"unsupported\",");
    assert_says(&report, REPORT_JUNIT, "tests=\"3\" failures=\"0\" errors=\"0\" skipped=\"2\"");
    assert_says(&report, REPORT_JUNIT, "<skipped message=\"It lacks &lt;that&gt;.\"/>");
    assert_says(&report, REPORT_TAP, "ok 1 - far (IPv4) # SKIP It lacks <that>.\nok 2 ");
    /* Once for both families. */
    assert_says(
        &report, REPORT_TEXT,
        "\n  - far: It lacks <that>.\n\n1 of 1 scenarios did what was expected; this kernel "
        "cannot show 2\n");
    report_free(&report);
}

/* ---- Text */

static void assert_lines(const struct buf *text, int width, bool unicode)
{
    const char *end;

    for (const char *line = buf_str(text); (end = strchr(line, '\n')); line = end + 1) {
        char copy[1024];
        assert_true((size_t)(end - line) < sizeof copy);
        snprintf(copy, sizeof copy, "%.*s", (int)(end - line), line);
        if (text_width(copy) > width)
            fail_msg("%d columns, not %d: %s", text_width(copy), width, copy);
        for (const char *p = copy; *p; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f || (!unicode && (unsigned char)*p > 0x7f))
                fail_msg("byte %02x in: %s", (unsigned char)*p, copy);
    }
}

#define HOSTILE "\x1b[31m\x07\xff\xc2\x9b\xe2\x80\xae<&>\"'\r\n]]>--;%%#"

static char *long_name(void)
{
    static char name[10001];
    for (size_t i = 0; i + 1 < sizeof name; i++)
        name[i] = HOSTILE[i % (sizeof HOSTILE - 1)];
    return name;
}

/* A report in which every text is hostile. */
static void sample_hostile(struct report *report)
{
    static const char *notes[2] = {HOSTILE};
    struct arena *arena = &report->arena;
    char *name = long_name();

    sample_stall(report);
    notes[1] = name;
    report->kernel = report->version = report->command = HOSTILE;
    struct result_probe *probe = &report->results[0]->probe;
    probe->target = probe->address = name;
    probe->notes = notes;
    probe->note_count = 2;
    probe->arms[0].name = name;
    probe->port = INT64_MIN + 1;
    probe->error = (struct result_error){FINDING_CONNECTION_RESET, 123456, name, NULL};
    struct finding *finding =
        finding_add(arena, &report->findings, FINDING_CONNECTION_RESET, RESULT_SIDE_SERVER);
    finding->target = finding->summary = finding->remedy = finding->connection = name;
    finding->cost_ns = INT64_MAX;
    finding->count = INT64_MAX;
    result_set_text(arena, &finding->evidence, name, name);
    result_set_texts(arena, &finding->evidence, "list", notes, 2);
    result_set_range(arena, &finding->evidence, "range_ns", INT64_MIN, INT64_MAX);
    result_set_real(arena, &finding->evidence, "nan", 0.0 / 0.0);
    result_set_text(arena, &report->parameters, HOSTILE, HOSTILE);
    result_set_text(arena, &probe->tcp_info, name, name);
}

static void nothing_hostile_comes_out_raw(void **state)
{
    struct report report = {0};
    (void)state;
    sample_hostile(&report);
    for (int format = 0; format < REPORT_FORMATS; format++) {
        struct report_style style = {.width = 80, .unicode = true, .verbose = true};
        struct buf text = rendered((enum report_format)format, &report, &style);
        for (size_t i = 0; i < text.len_bytes; i++)
            if ((unsigned char)text.data[i] < 0x20 && text.data[i] != '\n')
                fail_msg("byte %02x in %s", text.data[i], report_format_names()[format]);
        assert_null(strstr(text.data, "\xff"));
        assert_null(strstr(text.data, "\xc2\x9b"));
        assert_null(strstr(text.data, "\xe2\x80\xae"));
        if (format == REPORT_JUNIT) {
            assert_null(strstr(text.data, "<&"));
            assert_null(strstr(text.data, "]]>"));
        }
        if (format == REPORT_JSON)
            json_decref(parsed(&text));
        buf_free(&text);
    }
    report_free(&report);
}

static void no_line_is_wider_than_asked(void **state)
{
    struct report samples[3] = {0};
    (void)state;
    sample_stall(&samples[0]);
    sample_refused(&samples[1]);
    sample_hostile(&samples[2]);
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        for (int width = REPORT_WIDTH_MIN; width <= 200; width += 7)
            for (int bits = 0; bits < 8; bits++) {
                struct report_style style = {
                    .width = width, .unicode = bits & 1, .verbose = bits & 2, .quiet = bits & 4};
                struct buf text = rendered(REPORT_TEXT, &samples[i], &style);
                assert_lines(&text, width, style.unicode);
                buf_free(&text);
            }
        report_free(&samples[i]);
    }
}

static void colour_changes_nothing_but_colour(void **state)
{
    struct report report = {0};
    struct report_style style = {.width = 80, .unicode = true, .verbose = true};
    struct buf bare = {0};
    (void)state;
    sample_stall(&report);
    struct buf plain = rendered(REPORT_TEXT, &report, &style);
    style.color = true;
    struct buf colored = rendered(REPORT_TEXT, &report, &style);
    assert_null(strchr(plain.data, '\033'));
    assert_non_null(strchr(colored.data, '\033'));
    for (const char *p = colored.data; *p;) {
        if (*p == '\033')
            p += strcspn(p, "m") + 1;
        else
            buf_add_char(&bare, *p++);
    }
    /* A colour that ends after the last space of a line keeps that space. */
    assert_string_equal(buf_str(&bare), plain.data);
    buf_free(&bare);
    buf_free(&plain);
    buf_free(&colored);
    report_free(&report);
}

static void quiet_is_the_verdict_alone(void **state)
{
    struct report report = {0};
    struct report_style style = {.width = 200, .quiet = true};
    (void)state;
    sample_head(&report);
    sample_probe(&report, "a:1");
    struct buf text = rendered(REPORT_TEXT, &report, &style);
    assert_string_equal(text.data, "a:1: ok: nothing stands out\n");
    buf_free(&text);
    report_free(&report);
    sample_refused(&report);
    text = rendered(REPORT_TEXT, &report, &style);
    assert_string_equal(text.data, "localhost:9: connection-refused: connect to 127.0.0.1:9: "
                                   "Connection refused\n");
    buf_free(&text);
    report_free(&report);
}

static void a_table_with_room_is_not_cut(void **state)
{
    static const char name[] =
        "a-host-whose-name-is-rather-long.with-a-domain.that-is-long.example:80";
    struct report report = {0};
    struct report_style style = {.width = 80, .unicode = true};
    (void)state;
    sample_head(&report);
    for (int i = 0; i < 5; i++)
        sample_probe(&report, name);
    struct buf text = rendered(REPORT_TEXT, &report, &style);
    assert_non_null(strstr(text.data, "…"));
    assert_null(strstr(text.data, name));
    assert_lines(&text, 80, true);
    buf_free(&text);
    style.table_width = REPORT_WIDTH_MAX;
    text = rendered(REPORT_TEXT, &report, &style);
    assert_null(strstr(text.data, "…"));
    assert_non_null(strstr(text.data, name));
    buf_free(&text);
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_with_room_is_not_cut),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(json_is_the_contracts),
        cmocka_unit_test(what_was_not_measured_is_null),
        cmocka_unit_test(the_histogram_counts_every_round),
        cmocka_unit_test(lines_stream_as_they_render),
        cmocka_unit_test(a_case_fails_for_each_problem),
        cmocka_unit_test(what_a_kernel_cannot_show_is_no_failure),
        cmocka_unit_test(nothing_hostile_comes_out_raw),
        cmocka_unit_test(no_line_is_wider_than_asked),
        cmocka_unit_test(colour_changes_nothing_but_colour),
        cmocka_unit_test(quiet_is_the_verdict_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
