/* JSON and NDJSON: a walk over the field tables. The order of the tables is the order of the keys
 * (jansson keeps the order of insertion). A NULL from jansson means that memory ran out; adding
 * NULL to an object fails without harm, so a walk notes the failure and goes on to its end. */
#include "report/json.h"

#include "base/clock.h"
#include "report/fields.h"
#include <errno.h>
#include <math.h>
#include <string.h>

json_t *report_json_text(const char *text)
{
    cleanup(buf) struct buf escaped = {0};

    if (!text)
        return json_null();
    if (report_is_plain(text, true))
        return json_string(text);
    text_escape(&escaped, text, strlen(text));
    return escaped.failed ? NULL : json_string(buf_str(&escaped));
}

static json_t *from_integer(int64_t value)
{
    return value == RESULT_UNKNOWN ? json_null() : json_integer(value);
}

static void json_set(json_t *object, const char *key, json_t *value, bool *failed)
{
    *failed |= json_object_set_new(object, key, value) != 0;
}

static void json_append(json_t *array, json_t *value, bool *failed)
{
    *failed |= json_array_append_new(array, value) != 0;
}

static json_t *from_texts(const char *const *texts, size_t count, bool *failed)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_append(array, report_json_text(texts[i]), failed);
    return array;
}

static json_t *from_range(int64_t min, int64_t max, bool *failed)
{
    json_t *object = json_object();

    json_set(object, "min", from_integer(min), failed);
    json_set(object, "max", from_integer(max), failed);
    return object;
}

static json_t *from_value(const struct result_value *value, bool *failed)
{
    switch (value->kind) {
    case RESULT_NULL:
        return json_null();
    case RESULT_BOOL:
        return json_boolean(value->flag);
    case RESULT_INTEGER:
        return from_integer(value->integer);
    case RESULT_REAL:
        return isfinite(value->real) ? json_real(value->real) : json_null();
    case RESULT_TEXT:
        return report_json_text(value->text);
    case RESULT_RANGE:
        return from_range(value->range.min, value->range.max, failed);
    case RESULT_TEXTS:
        return from_texts(value->texts.items, value->texts.count, failed);
    }
    return json_null();
}

static json_t *from_map(const struct result_map *map, bool *failed)
{
    json_t *object = json_object();

    for (size_t i = 0; i < map->count; i++) {
        cleanup(buf) struct buf key = {0};
        text_escape(&key, map->values[i].key, strlen(map->values[i].key));
        *failed |= key.failed;
        json_set(object, buf_str(&key), from_value(&map->values[i], failed), failed);
    }
    return object;
}

static json_t *from_histogram(const struct result_histogram *histogram, bool *failed)
{
    json_t *array = json_array();

    for (size_t i = 0; i < RESULT_BUCKETS; i++) {
        if (!histogram->counts[i])
            continue;
        json_t *object = json_object();
        json_set(object, "from_ns", json_integer(i ? result_bucket_ns(i) : 0), failed);
        json_set(object, "to_ns",
                 i + 1 < RESULT_BUCKETS ? json_integer(result_bucket_ns(i + 1)) : json_null(),
                 failed);
        json_set(object, "count", json_integer(histogram->counts[i]), failed);
        json_append(array, object, failed);
    }
    return array;
}

static json_t *from_breakdown(const struct result_breakdown *breakdown, bool *failed)
{
    /* The contract's order, which is not the order of a round. */
    static const enum result_part order[] = {
        RESULT_PART_NETWORK, RESULT_PART_SEND_HOLD, RESULT_PART_PEER_ACK, RESULT_PART_SERVER,
        RESULT_PART_GAP,     RESULT_PART_OTHER,     RESULT_PART_WAKEUP};
    _Static_assert(ARRAY_SIZE(order) == RESULT_PARTS, "each part has its place");
    json_t *object = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        json_set(object, result_part_key(order[i]), from_integer(breakdown->part_ns[order[i]]),
                 failed);
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        const char *key = result_part_key(order[i]);
        int stem = (int)(strlen(key) - strlen("_ns"));
        char bound[64];
        snprintf(bound, sizeof bound, "%.*s_min_ns", stem, key);
        json_set(object, bound, from_integer(breakdown->min_ns[order[i]]), failed);
        snprintf(bound, sizeof bound, "%.*s_max_ns", stem, key);
        json_set(object, bound, from_integer(breakdown->max_ns[order[i]]), failed);
    }
    return object;
}

static json_t *from_time(int64_t real_ns)
{
    char text[CLOCK_TEXT_MAX];
    return real_ns == RESULT_UNKNOWN ? json_null()
                                     : json_string(clock_format(text, sizeof text, real_ns));
}

static json_t *from_fields(const struct report_field *fields, const void *base, bool *failed);

static json_t *from_array(const struct report_field *field, const void *base, bool *failed)
{
    const char *elements = *(const char *const *)field_at(field, base);
    json_t *array = json_array();

    for (size_t i = 0; i < field_count(field, base); i++)
        json_append(array, from_fields(field->fields, elements + i * field->element_bytes, failed),
                    failed);
    return array;
}

static json_t *from_checks(const struct report_field *field, const void *base, bool *failed)
{
    const struct result_check *checks = *(const struct result_check *const *)field_at(field, base);
    json_t *array = json_array();

    for (size_t i = 0; i < field_count(field, base); i++)
        json_append(array, from_fields(report_check_fields[checks[i].unit], &checks[i], failed),
                    failed);
    return array;
}

static json_t *from_share(int64_t share)
{
    return share == RESULT_UNKNOWN ? json_null()
                                   : json_real((double)share / (double)RESULT_SHARE_PERCENT);
}

static json_t *from_error(const struct result_error *error, bool *failed)
{
    return error->code == FINDING_NONE ? json_null()
                                       : from_fields(report_error_fields, error, failed);
}

static json_t *from_maps(const struct report_field *field, const void *base, bool *failed)
{
    const struct result_map *maps = *(const struct result_map *const *)field_at(field, base);
    json_t *array = json_array();

    for (size_t i = 0; i < field_count(field, base); i++)
        json_append(array, from_map(&maps[i], failed), failed);
    return array;
}

static json_t *from_ok(enum result_verdict verdict)
{
    return verdict == RESULT_OK || verdict == RESULT_DIFFERS ? json_boolean(verdict == RESULT_OK)
                                                             : json_null();
}

static json_t *from_field(const struct report_field *field, const void *base, bool *failed)
{
    const void *at = field_at(field, base);

    switch (field->kind) {
    case FIELD_TEXT:
        return report_json_text(*(const char *const *)at);
    case FIELD_PICTURE: {
        const char *text = *(const char *const *)at;
        return text ? json_string(text) : json_null();
    }
    case FIELD_INTEGER:
    case FIELD_DURATION:
        return from_integer(*(const int64_t *)at);
    case FIELD_TIME:
        return from_time(*(const int64_t *)at);
    case FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case FIELD_CODE:
        return json_string(finding_entry(*(const enum finding_code *)at)->name);
    case FIELD_SEVERITY:
        return json_string(finding_severity_name(*(const enum finding_severity *)at));
    case FIELD_SIDE:
        return report_json_text(result_side_name(*(const enum result_side *)at));
    case FIELD_ERRNO:
        return *(const int *)at ? json_string(error_name(*(const int *)at)) : json_null();
    case FIELD_CAPTURE:
        return json_string(report_capture_name(*(const enum result_capture *)at));
    case FIELD_END:
        return json_string(result_program_end_name(*(const enum result_program_end *)at));
    case FIELD_HEALTH:
        return json_string(result_health_name(*(const enum result_health *)at));
    case FIELD_ERROR:
        return from_error(at, failed);
    case FIELD_BREAKDOWN:
        return from_breakdown(at, failed);
    case FIELD_HISTOGRAM:
        return from_histogram(at, failed);
    case FIELD_MAP:
        return from_map(at, failed);
    case FIELD_MAPS:
        return from_maps(field, base, failed);
    case FIELD_OK:
        return from_ok(*(const enum result_verdict *)at);
    case FIELD_VERDICT:
        return json_string(result_verdict_name(*(const enum result_verdict *)at));
    case FIELD_TEXTS_IF:
        if (!*(const char *const *const *)at)
            return json_null();
        return from_texts(*(const char *const *const *)at, field_count(field, base), failed);
    case FIELD_TEXTS:
        return from_texts(*(const char *const *const *)at, field_count(field, base), failed);
    case FIELD_OBJECT:
        return from_fields(field->fields, at, failed);
    case FIELD_POINTER:
        at = *(const void *const *)at;
        return at ? from_fields(field->fields, at, failed) : json_null();
    case FIELD_ARRAY:
        return from_array(field, base, failed);
    case FIELD_SHARE:
        return from_share(*(const int64_t *)at);
    case FIELD_CHECKS:
        return from_checks(field, base, failed);
    case FIELD_RESULTS:
        return json_array(); /* report_render_json() writes them, one by one */
    }
    return json_null();
}

static void add_fields(json_t *object, const struct report_field *fields, const void *base,
                       bool *failed)
{
    for (; fields->key; fields++)
        json_set(object, fields->key, from_field(fields, base, failed), failed);
}

static json_t *from_fields(const struct report_field *fields, const void *base, bool *failed)
{
    json_t *object = json_object();
    add_fields(object, fields, base, failed);
    return object;
}

static int collect(const char *bytes, size_t len_bytes, void *out)
{
    buf_add(out, bytes, len_bytes);
    return ((struct buf *)out)->failed ? -1 : 0;
}

/* Takes the value over. */
static int dump(struct buf *out, json_t *value, size_t flags, bool failed, struct error *error)
{
    failed |= !value;
    if (!failed)
        failed = json_dump_callback(value, collect, out, flags | JSON_REAL_PRECISION(12)) != 0;
    json_decref(value);
    buf_add_char(out, '\n');
    return failed || out->failed ? error_sys(error, ENOMEM, "cannot write JSON") : 0;
}

/* ---- the document ----
 *
 * Ten thousand results as one tree would take many times their text: the document is made with
 * empty lists, and their elements are put in one by one. A line of that indentation is the
 * document's own member: deeper ones stand further in, and strings have no raw newlines. */

static json_t *result_item(const struct report *report, size_t index, bool *failed)
{
    struct report_kind kind = report_kind_of(report->results[index]);
    return from_fields(kind.fields, kind.body, failed);
}

static json_t *finding_item(const struct report *report, size_t index, bool *failed)
{
    return from_fields(report_finding_fields, &report->findings.items[index], failed);
}

static json_t *check_item(const struct report *report, size_t index, bool *failed)
{
    const struct result_check *check = &report->checks.items[index];
    return from_fields(report_check_fields[check->unit], check, failed);
}

/* In the order of the document. */
enum { LISTS = 3 };
static const struct {
    const char *place;
    json_t *(*item)(const struct report *report, size_t index, bool *failed);
} lists[LISTS] = {
    {"\n  \"results\": []", result_item},
    {"\n  \"findings\": []", finding_item},
    {"\n  \"thresholds\": []", check_item},
};

/* An element, or nothing, with the indentation that it has inside the document. Takes the value
 * over. */
static int add_item(struct buf *out, bool comma, json_t *value, bool failed, struct error *error)
{
    cleanup(buf) struct buf text = {0};
    int rc = dump(&text, value, JSON_INDENT(2), failed, error);

    if (!rc && comma)
        buf_add_char(out, ',');
    for (const char *line = buf_str(&text); !rc && *line;) {
        size_t length = strcspn(line, "\n");
        if (length)
            buf_printf(out, "\n    %.*s", (int)length, line);
        line += length + (line[length] == '\n');
    }
    return rc;
}

/* Copies the frame up to the place of a list, and fills that. Returns what is left of the frame. */
static const char *json_fill_list(struct buf *out, const char *frame, int list,
                                  const struct report *report, size_t count, int *rc,
                                  struct error *error)
{
    const char *hole = count ? strstr(frame, lists[list].place) : NULL;

    if (!hole)
        return frame;
    hole += strlen(lists[list].place) - 1; /* before the closing bracket */
    buf_add(out, frame, (size_t)(hole - frame));
    for (size_t i = 0; i < count && !*rc; i++) {
        bool failed = false;
        json_t *item = lists[list].item(report, i, &failed);
        *rc = add_item(out, i > 0, item, failed, error);
    }
    buf_add_str(out, "\n  ");
    return hole;
}

/* A part of what is poured is out already, and the rest could not be made: what has been said has
 * to end as JSON, and must not be "ok". Returns what is left of the frame behind the verdict. */
static const char *json_take_verdict_back(struct buf *out, const char *frame)
{
    static const char place[] = "\n  \"verdict\": ";
    const char *verdict = strstr(frame, place), *end;

    if (!verdict)
        return frame;
    verdict += sizeof place - 1;
    end = strchr(verdict, ',');
    buf_add(out, frame, (size_t)(verdict - frame));
    buf_printf(out, "\"%s\"", finding_entry(FINDING_INCONCLUSIVE)->name);
    return end;
}

int report_render_json(struct buf *out, const struct report *report,
                       const struct report_style *style, struct error *error)
{
    const size_t counts[LISTS] = {report->result_count, report->findings.count,
                                  report->checks.count};
    struct report bare = *report;
    cleanup(buf) struct buf frame = {0};
    json_t *object = json_object();
    bool failed = false;

    (void)style;
    bare.result_count = bare.findings.count = bare.checks.count = 0;
    json_set(object, "schema", json_string(REPORT_SCHEMA), &failed);
    add_fields(object, report_report_fields, &bare, &failed);
    int rc = dump(&frame, object, JSON_INDENT(2), failed, error);
    if (rc)
        return rc;
    const char *rest = buf_str(&frame);
    for (int list = 0; list < LISTS && !rc; list++)
        rest = json_fill_list(out, rest, list, report, counts[list], &rc, error);
    if (rc)
        rest = json_take_verdict_back(out, rest);
    buf_add_str(out, rest);
    return rc || !out->failed ? rc : error_sys(error, ENOMEM, "a report");
}

static int ndjson_line(struct buf *out, const char *type, const struct report_field *fields,
                       const void *base, struct error *error)
{
    json_t *object = json_object();
    bool failed = false;

    json_set(object, "type", json_string(type), &failed);
    add_fields(object, fields, base, &failed);
    return dump(out, object, JSON_COMPACT, failed, error);
}

int report_ndjson_result(struct buf *out, const struct result *result, struct error *error)
{
    struct report_kind kind = report_kind_of(result);
    return ndjson_line(out, "result", kind.fields, kind.body, error);
}

int report_ndjson_finding(struct buf *out, const struct finding *finding, struct error *error)
{
    return ndjson_line(out, "finding", report_finding_fields, finding, error);
}

int report_ndjson_check(struct buf *out, const struct result_check *check, struct error *error)
{
    return ndjson_line(out, "threshold", report_check_fields[check->unit], check, error);
}

int report_ndjson_sample(struct buf *out, const struct result_listener_sample *sample,
                         struct error *error)
{
    return ndjson_line(out, "sample", report_listener_sample_fields, sample, error);
}

int report_ndjson_counters(struct buf *out, const struct result_counters_sample *sample,
                           struct error *error)
{
    return ndjson_line(out, "counters", report_counters_sample_fields, sample, error);
}

static json_t *counts(const struct report *report, bool *failed)
{
    json_t *object = json_object();
    size_t by_severity[FINDING_ERROR + 1] = {0}, ok = 0;

    for (size_t i = 0; i < report->result_count; i++)
        ok += report_kind_of(report->results[i]).ok;
    for (size_t i = 0; i < report->findings.count; i++)
        by_severity[report->findings.items[i].severity]++;
    json_set(object, "results", json_integer((json_int_t)report->result_count), failed);
    json_set(object, "ok", json_integer((json_int_t)ok), failed);
    json_set(object, "failed", json_integer((json_int_t)(report->result_count - ok)), failed);
    for (int i = FINDING_INFO; i <= FINDING_ERROR; i++)
        json_set(object, finding_severity_name((enum finding_severity)i),
                 json_integer((json_int_t)by_severity[i]), failed);
    json_set(object, "exceeded", json_integer((json_int_t)result_checks_exceeded(&report->checks)),
             failed);
    return object;
}

int report_ndjson_summary(struct buf *out, const struct report *report, struct error *error)
{
    json_t *object = json_object();
    bool failed = false;

    json_set(object, "type", json_string("summary"), &failed);
    json_set(object, "schema", json_string(REPORT_SCHEMA), &failed);
    add_fields(object, report_summary_fields, report, &failed);
    json_set(object, "counts", counts(report, &failed), &failed);
    return dump(out, object, JSON_COMPACT, failed, error);
}

int report_ndjson_rest(struct buf *out, const struct report *report, struct error *error)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < report->findings.count; i++)
        rc = report_ndjson_finding(out, &report->findings.items[i], error);
    for (size_t i = 0; !rc && i < report->checks.count; i++)
        rc = report_ndjson_check(out, &report->checks.items[i], error);
    return rc ? rc : report_ndjson_summary(out, report, error);
}

int report_render_ndjson(struct buf *out, const struct report *report,
                         const struct report_style *style, struct error *error)
{
    int rc = 0;

    (void)style;
    for (size_t i = 0; !rc && i < report->result_count; i++)
        rc = report_ndjson_result(out, report->results[i], error);
    return rc ? rc : report_ndjson_rest(out, report, error);
}
