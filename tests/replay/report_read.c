#include "report_read.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/fields.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct arena *arena;

__attribute__((noreturn)) static void bad(const char *key, const char *what)
{
    fprintf(stderr, "report_read: %s: %s\n", key, what);
    exit(2);
}

static int64_t integer(const char *key, const json_t *value)
{
    if (json_is_null(value))
        return RESULT_UNKNOWN;
    if (!json_is_integer(value))
        bad(key, "is no integer");
    return json_integer_value(value);
}

static const char *text(const char *key, const json_t *value)
{
    if (json_is_null(value))
        return NULL;
    if (!json_is_string(value))
        bad(key, "is no text");
    return arena_copy(arena, json_string_value(value));
}

static int64_t time_of(const char *key, const json_t *value)
{
    struct tm tm = {0};
    long ns = 0;
    const char *rest = json_is_string(value) ? strptime(json_string_value(value), "%FT%T", &tm) : 0;

    if (!rest || sscanf(rest, ".%9ldZ", &ns) != 1)
        bad(key, "is no time");
    return (int64_t)timegm(&tm) * NS_PER_SEC + ns;
}

static const char *const *texts(const json_t *array)
{
    const char **items = arena_alloc(arena, json_array_size(array) * sizeof *items);
    for (size_t i = 0; i < json_array_size(array); i++)
        items[i] = text("a list", json_array_get(array, i));
    return items;
}

static void read_map(struct result_map *map, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        const char *kept = arena_copy(arena, key);
        if (json_is_boolean(value))
            result_set_bool(arena, map, kept, json_is_true(value));
        else if (json_is_real(value))
            result_set_real(arena, map, kept, json_real_value(value));
        else if (json_is_string(value))
            result_set_text(arena, map, kept, json_string_value(value));
        else if (json_is_array(value))
            result_set_texts(arena, map, kept, texts(value), json_array_size(value));
        else if (json_is_object(value))
            result_set_range(arena, map, kept, integer("min", json_object_get(value, "min")),
                             integer("max", json_object_get(value, "max")));
        else
            result_set_integer(arena, map, kept, integer(key, value));
    }
}

static void read_histogram(struct result_histogram *histogram, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *bar = json_array_get(array, i);
        int64_t from_ns = integer("from_ns", json_object_get(bar, "from_ns"));
        size_t bucket = 0;
        while (bucket < RESULT_BUCKETS && result_bucket_ns(bucket) < from_ns)
            bucket++;
        if (bucket == RESULT_BUCKETS)
            bad("histogram", "no such bucket");
        histogram->counts[bucket] = (uint32_t)integer("count", json_object_get(bar, "count"));
    }
}

static void read_fields(const struct report_field *fields, void *base, const json_t *object);

static void read_list(const struct report_field *field, void *base, const json_t *array)
{
    size_t count = json_array_size(array);
    void *at = (char *)base + field->offset;
    char *elements = arena_alloc(arena, count * field->element_bytes + 1);

    for (size_t i = 0; i < count; i++)
        read_fields(field->fields, elements + i * field->element_bytes, json_array_get(array, i));
    *(void **)at = elements;
    *(size_t *)((char *)base + field->count_offset) = count;
}

static void read_checks(struct report *report, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *object = json_array_get(array, i);
        struct result_check check = {
            .unit = json_object_get(object, "limit_ns") ? RESULT_UNIT_DURATION : RESULT_UNIT_SHARE};
        read_fields(report_check_fields[check.unit], &check, object);
        check.label = check.name + strcspn(check.name, "-") + 1;
        result_check_add(arena, &report->checks, &check);
    }
}

static int error_number(const json_t *value)
{
    const struct finding_term *term =
        json_is_string(value) ? finding_term_by_name(json_string_value(value)) : NULL;
    return term ? term->number : 0;
}

static enum result_side side_of(const json_t *value)
{
    for (int side = RESULT_SIDE_CLIENT; side <= RESULT_SIDE_NETWORK; side++)
        if (json_is_string(value) &&
            !strcmp(result_side_name((enum result_side)side), json_string_value(value)))
            return (enum result_side)side;
    return RESULT_SIDE_NONE;
}

static enum finding_severity severity_of(const json_t *value)
{
    int severity = FINDING_ERROR;
    while (severity &&
           (!json_is_string(value) || strcmp(finding_severity_name((enum finding_severity)severity),
                                             json_string_value(value))))
        severity--;
    return (enum finding_severity)severity;
}

static enum result_program_end end_of(const char *key, const json_t *value)
{
    int end = RESULT_PROGRAM_NOT_STARTED;

    while (json_is_string(value) && end <= RESULT_PROGRAM_STOPPED &&
           strcmp(result_program_end_name((enum result_program_end)end), json_string_value(value)))
        end++;
    if (!json_is_string(value) || end > RESULT_PROGRAM_STOPPED)
        bad(key, "is no end of a program");
    return (enum result_program_end)end;
}

static enum result_health health_of(const char *key, const json_t *value)
{
    int health = RESULT_HEALTH_OK;

    while (json_is_string(value) && health <= RESULT_HEALTH_PROBLEM &&
           strcmp(result_health_name((enum result_health)health), json_string_value(value)))
        health++;
    if (!json_is_string(value) || health > RESULT_HEALTH_PROBLEM)
        bad(key, "is no state of health");
    return (enum result_health)health;
}

static void read_machine(struct report *report, const json_t *object)
{
    struct result_machine *machine = &report_add(report, RESULT_MACHINE)->machine;

    read_fields(report_machine_fields, machine, object);
    if (machine->health == RESULT_HEALTH_PROBLEM)
        machine->error = (struct result_error){.code = machine->needed ? FINDING_MACHINE_REFUSES
                                                                       : FINDING_MACHINE_SETTING,
                                               .message = machine->meaning};
}

/* What kind a result is shows in its keys. */
static void read_result(struct report *report, const json_t *object)
{
    if (json_object_get(object, "programs")) {
        struct result_lab *lab = &report_add(report, RESULT_LAB)->lab;
        read_fields(report_lab_fields, lab, object);
        lab->name = "a run";
        return;
    }
    if (json_object_get(object, "scenario")) {
        struct result_scenario *scenario = &report_add(report, RESULT_SCENARIO)->scenario;
        read_fields(report_scenario_fields, scenario, object);
        scenario->name =
            arena_printf(&report->arena, "%s (IPv%d)", scenario->scenario, (int)scenario->family);
        return;
    }
    if (json_object_get(object, "listener")) {
        read_fields(report_listener_fields, &report_add(report, RESULT_LISTENER)->listener, object);
        return;
    }
    if (json_object_get(object, "check")) {
        read_machine(report, object);
        return;
    }
    read_fields(report_probe_fields, &report_add(report, RESULT_PROBE)->probe, object);
}

static void read_maps(const struct report_field *field, void *base, const json_t *value)
{
    size_t count = json_array_size(value);
    struct result_map *maps = arena_alloc(arena, (count + 1) * sizeof *maps);

    for (size_t i = 0; i < count; i++)
        read_map(&maps[i], json_array_get(value, i));
    *(struct result_map **)((char *)base + field->offset) = maps;
    *(size_t *)((char *)base + field->count_offset) = count;
}

/* Of "server_ns" also "server_min_ns" and "server_max_ns", which older reports lack. */
static void read_breakdown(struct result_breakdown *out, const json_t *value)
{
    for (int i = 0; i < RESULT_PARTS; i++) {
        const char *key = result_part_key((enum result_part)i);
        int stem = (int)strlen(key) - 3;
        char min[64], max[64];
        snprintf(min, sizeof min, "%.*s_min_ns", stem, key);
        snprintf(max, sizeof max, "%.*s_max_ns", stem, key);
        out->part_ns[i] = integer(key, json_object_get(value, key));
        out->min_ns[i] = out->max_ns[i] = RESULT_UNKNOWN;
        if (json_object_get(value, min)) {
            out->min_ns[i] = integer(min, json_object_get(value, min));
            out->max_ns[i] = integer(max, json_object_get(value, max));
        }
    }
}

static void read_field(const struct report_field *field, void *base, json_t *value)
{
    void *at = (char *)base + field->offset;

    switch (field->kind) {
    case FIELD_TEXT:
    case FIELD_PICTURE:
        *(const char **)at = text(field->key, value);
        return;
    case FIELD_INTEGER:
    case FIELD_DURATION:
        *(int64_t *)at = integer(field->key, value);
        return;
    case FIELD_TIME:
        *(int64_t *)at = time_of(field->key, value);
        return;
    case FIELD_BOOL:
        *(bool *)at = json_is_true(value);
        return;
    case FIELD_CODE:
        *(enum finding_code *)at = finding_by_name(text(field->key, value));
        return;
    case FIELD_SEVERITY:
        *(enum finding_severity *)at = severity_of(value);
        return;
    case FIELD_SIDE:
        *(enum result_side *)at = side_of(value);
        return;
    case FIELD_ERRNO:
        *(int *)at = error_number(value);
        return;
    case FIELD_CAPTURE:
        *(enum result_capture *)at =
            strcmp(json_string_value(value), "pcap") ? RESULT_CAPTURE_NONE : RESULT_CAPTURE_PCAP;
        return;
    case FIELD_HEALTH:
        *(enum result_health *)at = health_of(field->key, value);
        return;
    case FIELD_ERROR:
        if (json_is_object(value))
            read_fields(report_error_fields, at, value);
        return;
    case FIELD_BREAKDOWN:
        read_breakdown(at, value);
        return;
    case FIELD_HISTOGRAM:
        read_histogram(at, value);
        return;
    case FIELD_MAP:
        read_map(at, value);
        return;
    case FIELD_MAPS:
        read_maps(field, base, value);
        return;
    case FIELD_OK: /* the verdict says more */
        return;
    case FIELD_VERDICT:
        for (int i = RESULT_OK; i <= RESULT_UNSUPPORTED; i++)
            if (!strcmp(result_verdict_name((enum result_verdict)i), json_string_value(value)))
                *(enum result_verdict *)at = (enum result_verdict)i;
        return;
    case FIELD_TEXTS_IF:
        if (json_is_null(value))
            return;
        /* fall through */
    case FIELD_TEXTS:
        *(const char *const **)at = texts(value);
        *(size_t *)((char *)base + field->count_offset) = json_array_size(value);
        return;
    case FIELD_OBJECT:
        read_fields(field->fields, at, value);
        return;
    case FIELD_POINTER:
        if (json_is_object(value)) {
            void *target = arena_alloc(arena, field->element_bytes);
            read_fields(field->fields, target, value);
            *(void **)at = target;
        }
        return;
    case FIELD_ARRAY:
        read_list(field, base, value);
        return;
    case FIELD_SHARE:
        *(int64_t *)at = json_is_null(value)
                             ? RESULT_UNKNOWN
                             : (int64_t)(json_number_value(value) * RESULT_SHARE_PERCENT + 0.5);
        return;
    case FIELD_CHECKS:
        read_checks(base, value);
        return;
    case FIELD_END:
        *(enum result_program_end *)at = end_of(field->key, value);
        return;
    case FIELD_RESULTS:
        for (size_t i = 0; i < json_array_size(value); i++)
            read_result(base, json_array_get(value, i));
        return;
    }
}

static void read_fields(const struct report_field *fields, void *base, const json_t *object)
{
    for (; fields->key; fields++) {
        json_t *value = json_object_get(object, fields->key);
        if (!value)
            bad(fields->key, "is missing");
        read_field(fields, base, value);
    }
}

/* Which result a finding of a scenario is about is not written: its family tells. */
static void place_finding(struct finding *finding)
{
    const struct result_value *family = result_get(&finding->evidence, "family");

    if (finding->scenario && family && family->kind == RESULT_INTEGER)
        finding->about = arena_printf(arena, "%s (IPv%d)", finding->scenario, (int)family->integer);
}

void report_read(struct report *out, const char *path)
{
    json_error_t error;
    json_t *object = json_load_file(path, 0, &error);

    *out = (struct report){0};
    if (!object)
        bad(path, error.text);
    arena = &out->arena;
    read_fields(report_report_fields, out, object);
    for (size_t i = 0; i < out->findings.count; i++)
        place_finding(&out->findings.items[i]);
    json_decref(object);
}
