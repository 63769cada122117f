/* The three renderers of a ladder, and what they and the timeline share. */
#ifndef REPORT_LADDER_RENDER_H
#define REPORT_LADDER_RENDER_H

#include "report/ladder.h"

void ladder_text(struct buf *out, const struct ladder *ladder, const struct report_style *style);
void ladder_mermaid(struct buf *out, const struct ladder *ladder, const struct report_style *style);
void ladder_svg(struct buf *out, const struct ladder *ladder, const struct report_style *style);

/* The events that a source wants, in the order of time; free() releases them. NULL when memory runs
 * out. */
struct trace_event *ladder_events(const struct ladder_source *source, size_t *count);
/* Whether they are of several connections: each label names its own then. */
bool ladder_has_many(const struct trace_event *events, size_t count);

/* Whether an arrow's end is another row. */
static inline bool ladder_slanted(const struct ladder *ladder, size_t row)
{
    return ladder->rows[row].other != row;
}

#endif
