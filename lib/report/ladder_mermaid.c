/* The ladder as a Mermaid sequenceDiagram. It cannot slant an arrow, so a segment that the wire
 * delayed goes to the wire in its departure's row and on from there in its arrival's. Text is
 * given with the few characters that the grammar, or HTML, would take for its own written as
 * entity codes (#59; is a semicolon). */
#include "report/ladder_render.h"

#include "report/fields.h"
#include "report/paint.h"
#include <string.h>

static const char *const places[] = {
    [LADDER_AT_CLIENT] = "C", [LADDER_AT_WIRE] = "W", [LADDER_AT_SERVER] = "S"};

static void mermaid_escape(struct buf *out, const char *text)
{
    cleanup(buf) struct buf printable = {0};

    paint_printable(&printable, text, true);
    out->failed |= printable.failed;
    for (const char *p = buf_str(&printable); *p; p++)
        if (strchr("#;<>%&\"\\`$*_~|{}", *p))
            buf_printf(out, "#%d;", *p);
        else
            buf_add_char(out, *p);
}

static void add_time(struct buf *out, const struct ladder *ladder, const struct ladder_row *row)
{
    char time[LADDER_TIME_MAX];
    buf_printf(out, "%s %s · ", ladder_time(time, sizeof time, row->at_ns, ladder->span_ns),
               ladder_time_unit(ladder->span_ns));
}

static void arrow(struct buf *out, const struct ladder *ladder, size_t number)
{
    const struct ladder_row *row = &ladder->rows[number];
    bool slanted = ladder_slanted(ladder, number), arrival = row->kind == LADDER_ARRIVAL;
    enum ladder_place from = arrival ? LADDER_AT_WIRE : row->from;
    enum ladder_place to = slanted && !arrival ? LADDER_AT_WIRE : row->to;
    const char *line = row->inferred                                         ? "-->>"
                       : row->to == LADDER_AT_WIRE && from != LADDER_AT_WIRE ? "-x"
                       : slanted && !arrival                                 ? "->"
                                                                             : "->>";

    buf_printf(out, "    %s%s%s: ", places[from], line, places[to]);
    add_time(out, ladder, row);
    mermaid_escape(out, row->label);
    if (arrival)
        buf_add_str(out, " arrives");
    buf_add_char(out, '\n');
}

static void mermaid_note(struct buf *out, const struct ladder *ladder, const struct ladder_row *row,
                         const char *over)
{
    buf_printf(out, "    Note over %s: ", over);
    add_time(out, ladder, row);
    mermaid_escape(out, row->label);
    buf_add_char(out, '\n');
}

static void put_row(struct buf *out, const struct ladder *ladder, size_t number)
{
    const struct ladder_row *row = &ladder->rows[number];
    char duration[32];

    switch (row->kind) {
    case LADDER_EVENT:
    case LADDER_STATE:
        mermaid_note(out, ladder, row, places[row->from]);
        return;
    case LADDER_ARROW:
    case LADDER_ARRIVAL:
        arrow(out, ladder, number);
        return;
    case LADDER_GAP:
        buf_printf(out, "    Note over C,S: ⋯ %s ⋯\n",
                   report_duration(duration, sizeof duration, row->gap_ns, true));
        return;
    case LADDER_REMARK:
        mermaid_note(out, ladder, row, "C,S");
        return;
    }
}

/* The title stands in YAML, which has other escapes, and is shown as it is. */
static void front_matter(struct buf *out, const char *title)
{
    cleanup(buf) struct buf printable = {0};

    paint_printable(&printable, title, true);
    out->failed |= printable.failed;
    buf_add_str(out, "---\ntitle: \"");
    for (const char *p = buf_str(&printable); *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *p);
    }
    buf_add_str(out, "\"\n---\n");
}

static void participant(struct buf *out, const char *place, const char *name)
{
    buf_printf(out, "    participant %s as ", place);
    mermaid_escape(out, name);
    buf_add_char(out, '\n');
}

void ladder_mermaid(struct buf *out, const struct ladder *ladder, const struct report_style *style)
{
    (void)style;
    if (ladder->title)
        front_matter(out, ladder->title);
    buf_add_str(out, "sequenceDiagram\n");
    participant(out, "C", ladder->names[0]);
    if (ladder->wire)
        participant(out, "W", "wire");
    participant(out, "S", ladder->names[1]);
    for (size_t i = 0; i < ladder->count; i++)
        put_row(out, ladder, i);
    for (size_t i = 0; i < ladder->note_count; i++) {
        buf_add_str(out, "    Note over C,S: ");
        mermaid_escape(out, ladder->notes[i]);
        buf_add_char(out, '\n');
    }
}
