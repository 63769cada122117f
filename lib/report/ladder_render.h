/* The three renderers of a ladder, and what they share. */
#ifndef REPORT_LADDER_RENDER_H
#define REPORT_LADDER_RENDER_H

#include "report/ladder.h"

void ladder_text(struct buf *out, const struct ladder *ladder, const struct report_style *style);
void ladder_mermaid(struct buf *out, const struct ladder *ladder, const struct report_style *style);
void ladder_svg(struct buf *out, const struct ladder *ladder, const struct report_style *style);

/* Whether an arrow's end is another row. */
static inline bool ladder_slanted(const struct ladder *ladder, size_t row)
{
    return ladder->rows[row].other != row;
}

#endif
