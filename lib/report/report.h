/* What netkit found out, for people and for programs.
 *
 * Every renderer takes a const report, an error-free model, and appends bytes to a buffer: no
 * output, no arguments, no global state, so any thread may render. What a peer or a user wrote
 * (names, messages, evidence) is arbitrary bytes; it is made printable here, once, and never
 * reaches the output raw. Memory that runs out gives -ENOMEM, and the buffer then holds a part.
 *
 * JSON and NDJSON follow the schema "netkit/1"; JUnit is the XML that CI servers read; TAP is
 * version 14 of the Test Anything Protocol; Prometheus is its text exposition format. Text has no
 * line wider than the style's width, and no row of a table wider than its table_width. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/buf.h"
#include "netkit/error.h"
#include "result/result.h"
#include <stdbool.h>

enum report_format {
    REPORT_TEXT,
    REPORT_JSON,
    REPORT_NDJSON,
    REPORT_JUNIT,
    REPORT_TAP,
    REPORT_PROMETHEUS,
    REPORT_FORMATS /* how many; also: no such format */
};

/* "text", "json", …; NULL after the last. The index is the format. */
const char *const *report_format_names(void);
/* REPORT_FORMATS when there is none of that name. */
enum report_format report_format_by_name(const char *name);

/* How text is to look. Only the text and ladder renderers look at it. {0} is plain ASCII
 * at 80 columns. */
struct report_style {
    int width; /* columns; 0 is 80, less than 60 counts as 60 */
    /* Columns that the lines of tables may take, where that is more than `width`: what is longer is
     * cut. A file or pipe takes REPORT_WIDTH_MAX. */
    int table_width;
    bool color;   /* ANSI colours */
    bool unicode; /* the reader's locale prints UTF-8; else the output is ASCII throughout */
    bool verbose; /* evidence, every part of the breakdown, TCP_INFO, the meaning of codes */
    bool quiet;   /* the verdict lines only */
};
#define REPORT_WIDTH_DEFAULT 80
#define REPORT_WIDTH_MIN     60
#define REPORT_WIDTH_MAX     1000

/* Appends the whole report. */
int report_render(struct buf *out, enum report_format format, const struct report *report,
                  const struct report_style *style, struct error *error);

/* NDJSON piece by piece, for results that come while others are still being measured: a line with
 * its newline for one result, one finding, one threshold and, last, the summary (which counts all
 * results, findings and exceeded thresholds of the report). report_render(REPORT_NDJSON) is exactly
 * these in this order; report_ndjson_rest() is all of it that follows the results. */
int report_ndjson_result(struct buf *out, const struct result *result, struct error *error);
int report_ndjson_finding(struct buf *out, const struct finding *finding, struct error *error);
int report_ndjson_check(struct buf *out, const struct result_check *check, struct error *error);
int report_ndjson_summary(struct buf *out, const struct report *report, struct error *error);
int report_ndjson_rest(struct buf *out, const struct report *report, struct error *error);

/* Lines that come while a listener is watched, before all of these. */
int report_ndjson_sample(struct buf *out, const struct result_listener_sample *sample,
                         struct error *error);
int report_ndjson_counters(struct buf *out, const struct result_counters_sample *sample,
                           struct error *error);

#endif
