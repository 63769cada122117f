/* The ladder as an SVG document: no scripts, no fonts of its own, colours for light and dark by a
 * media query. Rows have equal heights, so time is not to scale; a segment under way is a slanted
 * line from its departure's row to its arrival's. Calls stand outside the lifelines, segments
 * between them. */
#include "report/ladder_render.h"

#include "base/text.h"
#include "report/fields.h"
#include "report/paint.h"
#include "report/xml.h"
#include <stdio.h>
#include <string.h>

#define CHAR_PX      7.3 /* of the 12 px monospaced text, rounded up */
#define ROW_PX       24
#define GAP_PX       38
#define BELOW_GAP_PX 8
#define TIME_PX      98
#define MARGIN_PX    14
#define LABELS_MOST  44 /* characters of a call's label, and of an arrow's */
#define ARROW_MOST   72

struct canvas {
    struct buf *out;
    const struct ladder *ladder;
    double *y; /* of each row */
    double client, server, width, height, top;
};

static const char style_text[] =
    "<style>\n"
    "svg{--bg:#ffffff;--fg:#1f2328;--dim:#6e7781;--line:#57606a;--seg:#0969da;--note:#9a6700;"
    "--bad:#cf222e;--state:#1a7f37;--stay:#0969da22;--band:#6e77810f}\n"
    "@media (prefers-color-scheme:dark){svg{--bg:#0d1117;--fg:#e6edf3;--dim:#8b949e;"
    "--line:#8b949e;--seg:#58a6ff;--note:#d29922;--bad:#ff7b72;--state:#56d364;"
    "--stay:#58a6ff33;--band:#8b949e14}}\n"
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    "fill:var(--fg)}\n"
    ".bg{fill:var(--bg)}.title{font-weight:600;font-size:14px}.name{font-weight:600}\n"
    ".time,.dim{fill:var(--dim)}.gap{font-weight:600}.state{fill:var(--state)}\n"
    ".halo{paint-order:stroke;stroke:var(--bg);stroke-width:4px;stroke-linejoin:round}\n"
    ".life{stroke:var(--line);stroke-width:1.5}.faint{stroke-dasharray:2 5}\n"
    ".stay{fill:var(--stay);stroke:var(--seg);stroke-width:1}.band{fill:var(--band)}\n"
    ".s0{stroke:var(--seg)}.s1{stroke:var(--note)}.s2{stroke:var(--bad)}\n"
    ".seg{stroke-width:1.5;fill:none}.dotted{stroke-dasharray:5 4}\n"
    ".f0{fill:var(--seg)}.f1{fill:var(--note)}.f2{fill:var(--bad)}.t1{fill:var(--note)}"
    ".t2{fill:var(--bad)}\n"
    "</style>\n";

/* Printable text of at most so many characters. */
static void put_string(struct buf *out, const char *text, int most)
{
    cleanup(buf) struct buf printable = {0}, cut = {0};

    paint_printable(&printable, text, true);
    if (text_width(buf_str(&printable)) <= most) {
        xml_escape(out, buf_str(&printable));
        return;
    }
    buf_add(&cut, buf_str(&printable), paint_bytes(buf_str(&printable), most - 1));
    buf_add_str(&cut, "…");
    xml_escape(out, buf_str(&cut));
    out->failed |= printable.failed || cut.failed;
}

static void put_text(struct canvas *canvas, double x, double y, const char *anchor,
                     const char *class, const char *text, int most)
{
    buf_printf(canvas->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y,
               anchor, class);
    put_string(canvas->out, text, most);
    buf_add_str(canvas->out, "</text>\n");
}

static double column_of(const struct canvas *canvas, enum ladder_place place)
{
    switch (place) {
    case LADDER_AT_CLIENT:
        return canvas->client;
    case LADDER_AT_WIRE:
        return (canvas->client + canvas->server) / 2;
    case LADDER_AT_SERVER:
        return canvas->server;
    }
    return canvas->client;
}

/* ---- Layout */

static int columns_of(const char *text, int most)
{
    int width = text_width(text);
    return width < most ? width : most;
}

static void lay_out(struct canvas *canvas)
{
    const struct ladder *ladder = canvas->ladder;
    int labels[2] = {8, 8}, arrow = 40;

    for (size_t i = 0; i < ladder->count; i++) {
        const struct ladder_row *row = &ladder->rows[i];
        bool life = row->kind == LADDER_EVENT || row->kind == LADDER_STATE;
        int *widest = life ? &labels[row->from == LADDER_AT_SERVER] : &arrow;
        int columns = columns_of(row->label, life ? LABELS_MOST : ARROW_MOST);
        *widest = columns > *widest ? columns : *widest;
    }
    for (int side = 0; side < 2; side++) {
        int half = columns_of(ladder->names[side], 2 * LABELS_MOST) / 2 + 1;
        labels[side] = half > labels[side] ? half : labels[side];
    }
    canvas->client = TIME_PX + 24 + labels[0] * CHAR_PX;
    canvas->server = canvas->client + (arrow + 6) * CHAR_PX;
    canvas->width = canvas->server + 12 + labels[1] * CHAR_PX + MARGIN_PX;
    canvas->top = ladder->title ? 74 : 48;
    double y = canvas->top + ROW_PX;
    for (size_t i = 0; i < ladder->count; i++) {
        double height = ladder->rows[i].kind == LADDER_GAP ? GAP_PX : ROW_PX;
        canvas->y[i] = y + (height - ROW_PX) / 2;
        /* The label of an arrow is above its beginning. */
        y += height + (ladder->rows[i].kind == LADDER_GAP ? BELOW_GAP_PX : 0);
    }
    canvas->height = y;
}

/* ---- Lifelines */

static void life_line(struct canvas *canvas, double x, double from, double to, bool faint)
{
    buf_printf(canvas->out,
               "<line class=\"life%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
               faint ? " faint" : "", x, from, x, to);
}

/* A lifeline is whole between gaps and dotted in them. */
static void put_life(struct canvas *canvas, bool server)
{
    const struct ladder *ladder = canvas->ladder;
    double x = server ? canvas->server : canvas->client, from = canvas->top - 6;

    for (size_t i = 0; i < ladder->count; i++) {
        if (ladder->rows[i].kind != LADDER_GAP)
            continue;
        life_line(canvas, x, from, canvas->y[i] - GAP_PX / 2.0 + 2, ladder->unseen[server]);
        from = canvas->y[i] + GAP_PX / 2.0 - 2;
        life_line(canvas, x, canvas->y[i] - GAP_PX / 2.0 + 2, from, true);
    }
    life_line(canvas, x, from, canvas->height, ladder->unseen[server]);
}

/* Boxes where a side was inside a call. */
static void put_stays(struct canvas *canvas, bool server)
{
    const struct ladder *ladder = canvas->ladder;
    double x = server ? canvas->server : canvas->client;

    for (size_t i = 0; i < ladder->count; i++) {
        size_t first = i;
        if (!ladder->rows[i].busy[server])
            continue;
        while (i + 1 < ladder->count && ladder->rows[i + 1].busy[server])
            i++;
        double from = canvas->y[first ? first - 1 : 0], to = canvas->y[i];
        buf_printf(canvas->out,
                   "<rect class=\"stay\" x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"%.1f\" "
                   "rx=\"3\"/>\n",
                   x - 4, from, to - from);
    }
}

/* ---- Rows */

static void put_head(struct canvas *canvas, double x, double y, bool right, enum ladder_tone tone)
{
    double back = right ? -9 : 9;
    buf_printf(canvas->out, "<path class=\"f%d\" d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fZ\"/>\n",
               (int)tone, x, y, x + back, y - 4.5, x + back, y + 4.5);
}

static void put_cross(struct canvas *canvas, double x, double y)
{
    buf_printf(
        canvas->out,
        "<path class=\"seg s2\" stroke-width=\"2.5\" d=\"M%.1f %.1fl10 10m0 -10l-10 10\"/>\n",
        x - 5, y - 5);
}

/* Where an arrow begins and ends. */
struct span {
    double x1, x2, y1, y2;
    bool right, start; /* it points to the right; its label begins (not ends) near its source */
};

static struct span span_of(const struct canvas *canvas, size_t number)
{
    const struct ladder_row *row = &canvas->ladder->rows[number];
    double whole = canvas->server - canvas->client;
    double half = (columns_of(row->label, ARROW_MOST) + 4) * CHAR_PX;
    struct span span = {column_of(canvas, row->from),
                        column_of(canvas, row->to),
                        canvas->y[number],
                        canvas->y[row->other],
                        false,
                        false};

    /* A drop ends, and an answer of the wire begins, in the middle or where the label ends. */
    half = half < whole / 2 ? whole / 2 : half > whole - 30 ? whole - 30 : half;
    span.right = span.x2 > span.x1;
    if (row->to == LADDER_AT_WIRE)
        span.x2 = span.x1 + (span.right ? half : -half);
    if (row->from == LADDER_AT_WIRE)
        span.x1 = span.x2 + (span.right ? -half : half);
    /* An end whose time is not known does not touch its lifeline. */
    if (row->inferred && row->witness == row->from)
        span.x2 += span.right ? -16 : 16;
    else if (row->inferred)
        span.x1 += span.right ? 16 : -16;
    span.start = row->from == LADDER_AT_WIRE ? !span.right : span.right;
    return span;
}

static void put_arrow(struct canvas *canvas, size_t number)
{
    const struct ladder_row *row = &canvas->ladder->rows[number];
    struct span span = span_of(canvas, number);

    buf_printf(canvas->out,
               "<line class=\"seg s%d%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
               (int)row->tone, row->inferred ? " dotted" : "", span.x1, span.y1, span.x2, span.y2);
    if (row->to == LADDER_AT_WIRE)
        put_cross(canvas, span.x2, span.y2);
    else
        put_head(canvas, span.x2, span.y2, span.right, row->tone);
}

static void put_arrow_label(struct canvas *canvas, size_t number)
{
    static const char *const classes[] = {"halo", "halo t1", "halo t2"};
    const struct ladder_row *row = &canvas->ladder->rows[number];
    struct span span = span_of(canvas, number);
    bool wire = row->to == LADDER_AT_WIRE || row->from == LADDER_AT_WIRE;
    bool beside = wire || ladder_slanted(canvas->ladder, number);
    double near = (row->from == LADDER_AT_WIRE ? span.x2 : span.x1) + (span.start ? 12 : -12);

    if (row->from == LADDER_AT_WIRE)
        put_text(canvas, span.x1 + (span.right ? -4 : 4), span.y1 + 4, span.right ? "end" : "start",
                 "name dim halo", "W", 1);
    put_text(canvas, beside ? near : (span.x1 + span.x2) / 2, span.y1 - 5,
             !beside      ? "middle"
             : span.start ? "start"
                          : "end",
             classes[row->tone], row->label, ARROW_MOST);
}

static void put_at_life(struct canvas *canvas, const struct ladder_row *row, double y)
{
    bool server = row->from == LADDER_AT_SERVER;
    const char *class = row->kind == LADDER_STATE     ? "state"
                        : row->tone == LADDER_TROUBLE ? "t2"
                                                      : "call";

    put_text(canvas, server ? canvas->server + 12 : canvas->client - 12, y + 4,
             server ? "start" : "end", class, row->label, LABELS_MOST);
}

static void put_gap(struct canvas *canvas, const struct ladder_row *row, double y)
{
    char duration[32], text[48];

    buf_printf(canvas->out,
               "<rect class=\"band\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>\n",
               MARGIN_PX, y - GAP_PX / 2.0 + 4, canvas->width - 2 * MARGIN_PX, GAP_PX - 8);
    snprintf(text, sizeof text, "⋯ %s",
             report_duration(duration, sizeof duration, row->gap_ns, true));
    put_text(canvas, TIME_PX, y + 4, "end", "gap", text, sizeof text);
}

static void put_texts(struct canvas *canvas, size_t number)
{
    const struct ladder_row *row = &canvas->ladder->rows[number];
    double y = canvas->y[number];
    char time[LADDER_TIME_MAX];

    if (row->kind != LADDER_GAP)
        put_text(canvas, TIME_PX, y + 4, "end", "time",
                 ladder_time(time, sizeof time, row->at_ns, canvas->ladder->span_ns), 20);
    switch (row->kind) {
    case LADDER_EVENT:
    case LADDER_STATE:
        put_at_life(canvas, row, y);
        return;
    case LADDER_ARROW:
        put_arrow_label(canvas, number);
        return;
    case LADDER_ARRIVAL: /* its departure names it */
    case LADDER_GAP:
        return;
    case LADDER_REMARK:
        put_text(canvas, (canvas->client + canvas->server) / 2, y + 4, "middle", "dim halo",
                 row->label, ARROW_MOST);
        return;
    }
}

/* Notes wrap at the width of the picture. */
static void put_notes(struct canvas *canvas)
{
    int columns = (int)((canvas->width - 2 * MARGIN_PX) / CHAR_PX);
    struct report_style style = {.width = columns, .unicode = true};
    double y = canvas->height + 30;

    for (size_t i = 0; i < canvas->ladder->note_count; i++) {
        cleanup(buf) struct buf lines = {0};
        struct paint paint = paint_begin(&lines, &style);
        paint_wrap(&paint, PAINT_PLAIN, 0, canvas->ladder->notes[i]);
        canvas->out->failed |= lines.failed;
        for (char *line = lines.data, *end; line && *line; line = end + 1, y += 17) {
            end = strchr(line, '\n');
            if (!end)
                break;
            *end = '\0';
            put_text(canvas, MARGIN_PX, y, "start", "dim", line, columns);
        }
        y += 6;
    }
    canvas->height = y - 6;
}

static void put_picture(struct canvas *canvas)
{
    const struct ladder *ladder = canvas->ladder;

    put_text(canvas, TIME_PX, canvas->top - 12, "end", "time", ladder_time_unit(ladder->span_ns),
             4);
    put_text(canvas, canvas->client, canvas->top - 12, "middle", "name", ladder->names[0],
             2 * LABELS_MOST);
    put_text(canvas, canvas->server, canvas->top - 12, "middle", "name", ladder->names[1],
             2 * LABELS_MOST);
    for (size_t i = 0; i < ladder->count; i++)
        if (ladder->rows[i].kind == LADDER_GAP)
            put_gap(canvas, &ladder->rows[i], canvas->y[i]);
    for (int side = 0; side < 2; side++)
        put_life(canvas, side);
    for (int side = 0; side < 2; side++)
        put_stays(canvas, side);
    for (size_t i = 0; i < ladder->count; i++)
        if (ladder->rows[i].kind == LADDER_ARROW)
            put_arrow(canvas, i);
    for (size_t i = 0; i < ladder->count; i++)
        put_texts(canvas, i);
}

void ladder_svg(struct buf *out, const struct ladder *ladder, const struct report_style *style)
{
    cleanup(mem) double *y = calloc(ladder->count + 1, sizeof *y);
    cleanup(buf) struct buf body = {0};
    struct canvas canvas = {.out = &body, .ladder = ladder, .y = y};

    (void)style;
    if (!y) {
        out->failed = true;
        return;
    }
    lay_out(&canvas);
    put_picture(&canvas);
    if (ladder->note_count)
        put_notes(&canvas);
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
               "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
               canvas.width, canvas.height + MARGIN_PX, canvas.width, canvas.height + MARGIN_PX);
    put_string(out, ladder->title ? ladder->title : "A TCP connection", 200);
    buf_printf(out, "</title>\n%s<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n",
               style_text);
    if (ladder->title) {
        buf_printf(out, "<text class=\"title\" x=\"%d\" y=\"30\">", MARGIN_PX);
        put_string(out, ladder->title, (int)(canvas.width / 8.6) - 2);
        buf_add_str(out, "</text>\n");
    }
    buf_add_str(out, buf_str(&body));
    buf_add_str(out, "</svg>\n");
    out->failed |= body.failed;
}
