/* The model as jansson values. Only the JSON-like renderers include this. */
#ifndef REPORT_JSON_H
#define REPORT_JSON_H

#include "report/report.h"
#include <jansson.h>

#define REPORT_SCHEMA "netkit/1"

/* A string value that is always valid: text that jansson or a terminal could not take is escaped.
 * NULL gives null. */
json_t *report_json_text(const char *text);

int report_render_json(struct buf *out, const struct report *report,
                       const struct report_style *style, struct error *error);
int report_render_ndjson(struct buf *out, const struct report *report,
                         const struct report_style *style, struct error *error);

#endif
