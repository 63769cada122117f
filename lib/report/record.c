/* One table a struct, read by the writer and by the parser, so that they cannot disagree. */
#include "report/record.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>

enum kind { KIND_TIME, KIND_U64, KIND_U32, KIND_BOOL, KIND_TEXT, KIND_CODE };
#define KIND_COUNT KIND_U32
#define KIND_STAMP KIND_TIME

struct field {
    const char *key;
    enum kind kind;
    size_t offset;
};

/* clang-format off: it takes the # for a directive */
#define FIELD(type, member, kind)                                                                  \
    {                                                                                              \
#member, kind, offsetof(type, member)                                                      \
    }
/* clang-format on */

#define KIND_BYTES KIND_U64

static const struct field round_fields[] = {
#define ROUND_FIELD(kind, member) FIELD(struct round, member, KIND_##kind),
    ROUND_FIELDS(ROUND_FIELD)
#undef ROUND_FIELD
};

static const struct field evidence_fields[] = {
#define EVIDENCE_FIELD(kind, member) FIELD(struct probe_evidence, member, KIND_##kind),
    PROBE_EVIDENCE_FIELDS(EVIDENCE_FIELD)
#undef EVIDENCE_FIELD
};

/* A target's name comes from the command line and may hold any bytes; JSON is UTF-8. */
static json_t *text_value(const char *text)
{
    cleanup(buf) struct buf escaped = {0};
    json_t *value = text ? json_string(text) : json_null();

    if (value || !text)
        return value;
    text_escape(&escaped, text, strlen(text));
    return json_string(buf_str(&escaped));
}

static json_t *write_field(const struct field *field, const void *from)
{
    const char *place = (const char *)from + field->offset;

    switch (field->kind) {
    case KIND_TIME: {
        int64_t ns = *(const int64_t *)place;
        return ns == RESULT_UNKNOWN ? json_null() : json_integer(ns);
    }
    case KIND_U64:
        return json_integer((json_int_t) * (const uint64_t *)place);
    case KIND_U32:
        return json_integer(*(const uint32_t *)place);
    case KIND_BOOL:
        return json_boolean(*(const bool *)place);
    case KIND_TEXT: {
        return text_value(*(const char *const *)place);
    }
    case KIND_CODE:
        return json_string(finding_entry(*(const enum finding_code *)place)->name);
    }
    return NULL;
}

/* A recording of an earlier version lacks what that did not measure: `to` is all zero, which says
 * "unknown" in all kinds but one. */
static int read_field(struct arena *arena, const struct field *field, const json_t *value, void *to)
{
    char *place = (char *)to + field->offset;
    json_int_t number = json_integer_value(value);

    if (!value) {
        if (field->kind == KIND_TIME)
            *(int64_t *)place = RESULT_UNKNOWN;
        return 0;
    }
    switch (field->kind) {
    case KIND_TIME:
        *(int64_t *)place = json_is_integer(value) ? number : RESULT_UNKNOWN;
        return json_is_integer(value) || json_is_null(value) ? 0 : -EINVAL;
    case KIND_U64:
        *(uint64_t *)place = (uint64_t)number;
        return json_is_integer(value) && number >= 0 ? 0 : -EINVAL;
    case KIND_U32:
        *(uint32_t *)place = (uint32_t)number;
        return json_is_integer(value) && number >= 0 && number <= UINT32_MAX ? 0 : -EINVAL;
    case KIND_BOOL:
        *(bool *)place = json_is_true(value);
        return json_is_boolean(value) ? 0 : -EINVAL;
    case KIND_TEXT:
        *(const char **)place = arena_copy(arena, json_string_value(value));
        return json_is_string(value) || json_is_null(value) ? 0 : -EINVAL;
    case KIND_CODE:
        *(enum finding_code *)place =
            finding_by_name(json_is_string(value) ? json_string_value(value) : "");
        return *(enum finding_code *)place == FINDING_CODES ? -EINVAL : 0;
    }
    return -EINVAL;
}

static void write_fields(json_t *object, const struct field *fields, size_t count, const void *from)
{
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, fields[i].key, write_field(&fields[i], from));
}

static int read_fields(struct arena *arena, const json_t *object, const struct field *fields,
                       size_t count, void *to, struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (read_field(arena, &fields[i], json_object_get(object, fields[i].key), to))
            return error_set(error, EINVAL, "\"%s\" is of the wrong kind", fields[i].key);
    return 0;
}

static int append_line(struct buf *out, json_t *object, struct error *error)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);

    json_decref(object);
    if (text) {
        buf_add_str(out, text);
        buf_add_char(out, '\n');
    }
    int failed = !text || out->failed;
    free(text);
    return failed ? error_sys(error, ENOMEM, "a recorded round") : 0;
}

int record_round_line(struct buf *out, const struct record_round *record, struct error *error)
{
    json_t *object = json_pack("{s:s, s:s, s:b, s:b, s:b, s:b}", "type", "round", "arm",
                               probe_arm_name(record->arm), "fresh", record->first_of_connection,
                               "own", record->new_connection, "warmup", record->warmup,
                               "unfinished", record->unfinished);
    json_t *parts = json_object();

    json_object_set_new(object, "target", text_value(record->target));
    write_fields(object, round_fields, ARRAY_SIZE(round_fields), &record->round);
    for (int part = 0; part < RESULT_PARTS; part++)
        json_object_set_new(parts, result_part_key((enum result_part)part),
                            json_integer(record->round.part_ns[part]));
    json_object_set_new(object, "parts", parts);
    return append_line(out, object, error);
}

int record_evidence_line(struct buf *out, const struct probe_evidence *evidence,
                         struct error *error)
{
    json_t *object = json_pack("{s:s}", "type", "evidence");

    json_t *control = json_array();

    write_fields(object, evidence_fields, ARRAY_SIZE(evidence_fields), evidence);
    for (size_t i = 0; i < evidence->control_count; i++)
        json_array_append_new(control, json_integer(evidence->control_ns[i]));
    json_object_set_new(object, "control_ns", control);
    return append_line(out, object, error);
}

static int parse_control(struct arena *arena, const json_t *object, struct probe_evidence *evidence,
                         struct error *error)
{
    const json_t *control = json_object_get(object, "control_ns");
    size_t count = json_array_size(control);
    int64_t *samples = count ? arena_alloc(arena, count * sizeof *samples) : NULL;

    for (size_t i = 0; i < count; i++) {
        const json_t *sample = json_array_get(control, i);
        if (!samples || !json_is_integer(sample) || json_integer_value(sample) < 0)
            return error_set(error, EINVAL, "\"control_ns\" is no list of times");
        samples[i] = json_integer_value(sample);
    }
    evidence->control_ns = samples;
    evidence->control_count = count;
    return 0;
}

static int parse_round(struct arena *arena, const json_t *object, struct record_round *record,
                       struct error *error)
{
    const char *arm = json_string_value(json_object_get(object, "arm"));
    const json_t *parts = json_object_get(object, "parts");

    *record = (struct record_round){
        .target = arena_copy(arena, json_string_value(json_object_get(object, "target"))),
        .arm = arm ? probe_arm_by_name(arm) : PROBE_ARMS,
        .first_of_connection = json_is_true(json_object_get(object, "fresh")),
        .new_connection = json_is_true(json_object_get(object, "own")),
        .warmup = json_is_true(json_object_get(object, "warmup")),
        .unfinished = json_is_true(json_object_get(object, "unfinished")),
    };
    if (record->arm == PROBE_ARMS)
        return error_set(error, EINVAL, "\"arm\" is none that is known");
    if (!record->target || !json_object_get(object, "total_ns"))
        return error_set(error, EINVAL, "\"target\" or \"total_ns\" is missing");
    for (int part = 0; part < RESULT_PARTS; part++) {
        const json_t *value = json_object_get(parts, result_part_key((enum result_part)part));
        if (!json_is_integer(value))
            return error_set(error, EINVAL, "\"parts\" lacks %s",
                             result_part_key((enum result_part)part));
        record->round.part_ns[part] = json_integer_value(value);
    }
    return read_fields(arena, object, round_fields, ARRAY_SIZE(round_fields), &record->round,
                       error);
}

int record_parse(struct arena *arena, const char *line, enum record_type *type,
                 struct record_round *round, struct probe_evidence *evidence, struct error *error)
{
    json_error_t trouble;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &trouble);
    const char *name = json_string_value(json_object_get(object, "type"));
    int rc;

    if (!object) {
        rc = error_set(error, EINVAL, "not JSON: %s", trouble.text);
    } else if (name && !strcmp(name, "round")) {
        *type = RECORD_ROUND;
        rc = parse_round(arena, object, round, error);
    } else if (name && !strcmp(name, "evidence")) {
        *type = RECORD_EVIDENCE;
        *evidence = (struct probe_evidence){0};
        rc = read_fields(arena, object, evidence_fields, ARRAY_SIZE(evidence_fields), evidence,
                         error);
        if (!rc)
            rc = parse_control(arena, object, evidence, error);
    } else {
        rc = error_set(error, EINVAL, "\"type\" is neither round nor evidence");
    }
    json_decref(object);
    return rc;
}
