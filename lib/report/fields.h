/* The fields of a report, once: name, label, kind and place in the model. JSON walks these tables;
 * text takes its labels from them; JUnit and TAP take the numbers that they quote from them. */
#ifndef REPORT_FIELDS_H
#define REPORT_FIELDS_H

#include "base/text.h"
#include "result/result.h"

enum field_kind {
    FIELD_TEXT,      /* const char *; NULL is null */
    FIELD_PICTURE,   /* const char *: printable lines that this room drew itself; newlines stay */
    FIELD_INTEGER,   /* int64_t; RESULT_UNKNOWN is null */
    FIELD_DURATION,  /* the same, nanoseconds */
    FIELD_TIME,      /* the same, CLOCK_REALTIME; RFC 3339 */
    FIELD_BOOL,      /* bool */
    FIELD_CODE,      /* enum finding_code, by its name */
    FIELD_SEVERITY,  /* enum finding_severity, by its name */
    FIELD_SIDE,      /* enum result_side, by its name or null */
    FIELD_ERRNO,     /* int; its name, 0 is null */
    FIELD_CAPTURE,   /* enum result_capture, by its name */
    FIELD_END,       /* enum result_program_end, by its name */
    FIELD_HEALTH,    /* enum result_health, by its name */
    FIELD_ERROR,     /* struct result_error, null when there is none */
    FIELD_BREAKDOWN, /* struct result_breakdown */
    FIELD_HISTOGRAM, /* struct result_histogram: its buckets that are not empty */
    FIELD_MAP,       /* struct result_map */
    FIELD_MAPS,      /* struct result_map *, with a count */
    FIELD_OK,        /* enum result_verdict: true, false, or null where it is neither */
    FIELD_VERDICT,   /* the same by its name */
    FIELD_TEXTS,     /* const char *const *, with a count */
    FIELD_TEXTS_IF,  /* the same; NULL is null */
    FIELD_OBJECT,    /* `fields` of the structure at the offset (0: of the same one) */
    FIELD_POINTER,   /* a pointer to a structure with `fields`; NULL is null */
    FIELD_ARRAY,     /* a pointer to structures with `fields`, with a count */
    FIELD_SHARE,     /* int64_t, RESULT_UNIT_SHARE: percent; RESULT_UNKNOWN is null */
    FIELD_CHECKS,    /* struct result_check *, with a count: each by its own unit's fields */
    FIELD_RESULTS,   /* struct result **, with a count: each by its own kind's fields */
};

struct report_field {
    const char *key;
    const char *label; /* for text; NULL where text has no use for it */
    enum field_kind kind;
    size_t offset;
    size_t count_offset;  /* of a size_t: FIELD_TEXTS, FIELD_ARRAY, FIELD_CHECKS, FIELD_RESULTS */
    size_t element_bytes; /* FIELD_POINTER, FIELD_ARRAY */
    const struct report_field *fields;
};

/* Each table ends with an entry without a key. */
extern const struct report_field report_report_fields[];   /* struct report */
extern const struct report_field report_summary_fields[];  /* struct report, without its lists */
extern const struct report_field report_finding_fields[];  /* struct finding */
extern const struct report_field report_error_fields[];    /* struct result_error */
extern const struct report_field report_probe_fields[];    /* struct result_probe */
extern const struct report_field report_connect_fields[];  /* struct result_probe */
extern const struct report_field report_tls_fields[];      /* struct result_tls */
extern const struct report_field report_latency_fields[];  /* struct result_latency */
extern const struct report_field report_arm_fields[];      /* struct result_arm */
extern const struct report_field report_machine_fields[];  /* struct result_machine */
extern const struct report_field report_reach_fields[];    /* struct result_reach */
extern const struct report_field report_listener_fields[]; /* struct result_listener */
extern const struct report_field report_listener_sample_fields[];
extern const struct report_field report_counters_sample_fields[];

extern const struct report_field report_lab_fields[];      /* struct result_lab */
extern const struct report_field report_scenario_fields[]; /* struct result_scenario */

/* struct result_check, by enum result_unit: the keys of a duration end in _ns. */
extern const struct report_field *const report_check_fields[];

static inline const void *field_at(const struct report_field *field, const void *base)
{
    return (const char *)base + field->offset;
}

static inline int64_t field_integer(const struct report_field *field, const void *base)
{
    return *(const int64_t *)field_at(field, base);
}

static inline size_t field_count(const struct report_field *field, const void *base)
{
    return *(const size_t *)((const char *)base + field->count_offset);
}

const char *report_capture_name(enum result_capture capture);

/* What every renderer has to know of a result, whatever its type. */
struct report_kind {
    const struct report_field *fields; /* of `body` */
    const void *body;
    const char *name; /* the target or scenario */
    bool ok;
    const struct result_error *error;
    const char *const *notes;
    size_t note_count;
};
struct report_kind report_kind_of(const struct result *result);

/* A duration as text, "?" when not known. Returns out. */
const char *report_duration(char *out, size_t size, int64_t ns, bool unicode);

/* A measurement or limit of a check: a duration, or "99.5 %"; "?" when not known. Returns out. */
#define REPORT_MEASURE_MAX 40
const char *report_measure(char *out, size_t size, enum result_unit unit, int64_t value,
                           bool unicode);

/* "127.0.0.1:80", "[::1]:80"; nothing when there is no address. */
void report_put_address(struct buf *out, const char *address, int64_t port);

/* Whether every character may be shown as it is. `lines` allows \n, \r and \t. */
bool report_is_plain(const char *text, bool lines);

#endif
