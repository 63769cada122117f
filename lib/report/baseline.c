#include "report/baseline.h"

#include "report/fields.h"
#include "report/json.h"
#include <errno.h>
#include <string.h>

/* No round takes longer: 73 years. It keeps sums and differences far from overflow. */
#define TIME_MAX_NS (INT64_C(1) << 61)

struct reader {
    struct baseline *out;
    int64_t bounds[RESULT_BUCKETS]; /* of the buckets; the lowest ones coincide */
    size_t index;                   /* the result that is being read, for messages */
    struct error *error;
};

static int damaged(const struct reader *reader, const char *what)
{
    return error_set(reader->error, EBADMSG, "results[%zu]: %s", reader->index, what);
}

static int read_latency(const struct reader *reader, const json_t *object,
                        struct result_latency *out)
{
    int64_t before = 0;

    for (const struct report_field *field = report_latency_fields; field->key; field++) {
        const json_t *value = json_object_get(object, field->key);
        int64_t *at = (int64_t *)((char *)out + field->offset);
        *at = RESULT_UNKNOWN;
        if (json_is_null(value))
            continue;
        if (!json_is_integer(value) || json_integer_value(value) < before ||
            json_integer_value(value) > TIME_MAX_NS)
            return damaged(reader, "\"latency\" has no valid percentiles");
        *at = before = json_integer_value(value);
    }
    return 0;
}

static int read_bar(const struct reader *reader, const json_t *bar,
                    struct result_histogram *histogram)
{
    const json_t *from = json_object_get(bar, "from_ns"), *count = json_object_get(bar, "count");
    int64_t from_ns = json_integer_value(from);
    size_t bucket = RESULT_BUCKETS;

    if (!json_is_integer(from) || !json_is_integer(count) || json_integer_value(count) < 0 ||
        json_integer_value(count) > UINT32_MAX)
        return damaged(reader, "\"histogram\" has a bar without valid numbers");
    while (bucket > 1 && reader->bounds[bucket - 1] != from_ns)
        bucket--;
    if (bucket == 1 && from_ns)
        return damaged(reader, "\"histogram\" has a bar with unknown bounds");
    histogram->counts[bucket - 1] = (uint32_t)json_integer_value(count);
    return 0;
}

static int read_result(const struct reader *reader, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "target"));
    const json_t *ok = json_object_get(object, "ok");
    const json_t *latency = json_object_get(object, "latency");
    const json_t *histogram = json_object_get(object, "histogram");
    struct baseline_target *target = &reader->out->targets[reader->index];

    if (!name || !json_is_boolean(ok))
        return damaged(reader, "\"target\" and \"ok\" are missing");
    if (!json_is_object(latency) || !json_is_array(histogram))
        return damaged(reader, "\"latency\" and \"histogram\" are missing");
    target->name = arena_copy(&reader->out->arena, name);
    target->before.ok = json_is_true(ok);
    int rc = read_latency(reader, latency, &target->before.latency);
    for (size_t i = 0; !rc && i < json_array_size(histogram); i++)
        rc = read_bar(reader, json_array_get(histogram, i), &target->before.histogram);
    return rc;
}

static void read_parameters(struct baseline *out, const json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        const char *kept = arena_copy(&out->arena, key);
        if (json_is_string(value))
            result_set_text(&out->arena, &out->parameters, kept, json_string_value(value));
        else if (json_is_boolean(value))
            result_set_bool(&out->arena, &out->parameters, kept, json_is_true(value));
        else if (json_is_integer(value))
            result_set_integer(&out->arena, &out->parameters, kept, json_integer_value(value));
        else if (json_is_null(value))
            result_set_null(&out->arena, &out->parameters, kept);
    }
}

static int compare_targets(const void *a, const void *b)
{
    return strcmp(((const struct baseline_target *)a)->name,
                  ((const struct baseline_target *)b)->name);
}

static void sort_targets(struct baseline *out)
{
    size_t kept = 0;

    if (out->count)
        qsort(out->targets, out->count, sizeof *out->targets, compare_targets);
    for (size_t i = 0; i < out->count; i++)
        if (!kept || strcmp(out->targets[kept - 1].name, out->targets[i].name))
            out->targets[kept++] = out->targets[i];
    out->count = kept;
}

static int read_report(struct baseline *out, const json_t *report, struct error *error)
{
    const char *schema = json_string_value(json_object_get(report, "schema"));
    const char *command = json_string_value(json_object_get(report, "command"));
    const json_t *results = json_object_get(report, "results");
    struct reader reader = {.out = out, .error = error};
    int rc = 0;

    if (!schema || strcmp(schema, REPORT_SCHEMA))
        return error_set(error, EPROTOTYPE,
                         "not a report of netkit: \"schema\" is not " REPORT_SCHEMA);
    if (!command || strcmp(command, "tcp-probe"))
        return error_set(error, EPROTOTYPE, "a report of another command, not of tcp-probe");
    if (!json_is_array(results))
        return error_set(error, EBADMSG, "\"results\" is missing");
    out->targets = arena_alloc(&out->arena, (json_array_size(results) + 1) * sizeof *out->targets);
    for (size_t i = 0; i < RESULT_BUCKETS; i++)
        reader.bounds[i] = i ? result_bucket_ns(i) : 0;
    for (; out->targets && !rc && reader.index < json_array_size(results); reader.index++)
        rc = read_result(&reader, json_array_get(results, reader.index));
    if (rc)
        return rc;
    out->count = reader.index;
    read_parameters(out, json_object_get(report, "parameters"));
    if (out->arena.failed)
        return error_sys(error, ENOMEM, "the report");
    sort_targets(out);
    return 0;
}

/* What jansson says quotes the file. */
static int refuse(const char *bytes, size_t len_bytes, const json_error_t *trouble,
                  struct error *error)
{
    cleanup(buf) struct buf text = {0};
    size_t blanks = 0;

    while (blanks < len_bytes && strchr(" \t\r\n", bytes[blanks]))
        blanks++;
    if (blanks == len_bytes || bytes[blanks] != '{')
        return error_set(error, EPROTOTYPE, "not JSON; --json writes a report");
    text_escape(&text, trouble->text, strlen(trouble->text));
    return error_set(error, EBADMSG, "line %d: %s", trouble->line, buf_str(&text));
}

int baseline_parse(struct baseline *out, const char *bytes, size_t len_bytes, struct error *error)
{
    json_error_t trouble;
    json_t *report = json_loadb(bytes, len_bytes, JSON_REJECT_DUPLICATES, &trouble);

    *out = (struct baseline){0};
    if (!report)
        return refuse(bytes, len_bytes, &trouble, error);
    int rc = read_report(out, report, error);
    json_decref(report);
    if (rc)
        baseline_free(out);
    return rc;
}

void baseline_free(struct baseline *baseline)
{
    arena_free(&baseline->arena);
    *baseline = (struct baseline){0};
}

const struct baseline_target *baseline_find(const struct baseline *baseline, const char *name)
{
    json_t *text = report_json_text(name);
    const struct baseline_target wanted = {.name = json_string_value(text)};
    const struct baseline_target *found = NULL;

    if (wanted.name && baseline->count)
        found =
            bsearch(&wanted, baseline->targets, baseline->count, sizeof wanted, compare_targets);
    json_decref(text);
    return found;
}

static bool same_value(const struct result_value *a, const struct result_value *b)
{
    if (!a || !b)
        return a == b;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case RESULT_NULL:
        return true;
    case RESULT_BOOL:
        return a->flag == b->flag;
    case RESULT_INTEGER:
        return a->integer == b->integer;
    case RESULT_TEXT:
        return !strcmp(a->text, b->text);
    case RESULT_REAL:
    case RESULT_RANGE:
    case RESULT_TEXTS:
        return true; /* none of the parameters below */
    }
    return true;
}

const char *baseline_differs(const struct baseline *baseline, const struct result_map *parameters)
{
    static const char *const keys[] = {"preset", "request_bytes", "writes", "until",
                                       "new_connection"};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!same_value(result_get(&baseline->parameters, keys[i]),
                        result_get(parameters, keys[i])))
            return keys[i];
    return NULL;
}
