/* The parts of the text report. */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include "report/paint.h"
#include "result/result.h"

int report_render_text(struct buf *out, const struct report *report,
                       const struct report_style *style, struct error *error);

/* Everything measured of one target: phases, percentiles, histogram, breakdown, arms. */
void show_probe(struct paint *paint, const struct result_probe *probe);

/* One finding as a block: what, who has to change what, what it costs, the evidence when verbose.
 */
void show_finding(struct paint *paint, const struct finding *finding);
/* The same of what made a result fail, where no finding says it. */
void show_failure(struct paint *paint, const struct result_error *error);
/* One line: name, code, side, summary. */
void show_verdict_line(struct paint *paint, const char *name, const struct finding *finding);
/* "ok", and what that means. */
void show_ok(struct paint *paint);

/* The values of a map, one a line, keys in words, units by the key's ending. */
void show_map(struct paint *paint, int indent, const struct result_map *map);

#endif
