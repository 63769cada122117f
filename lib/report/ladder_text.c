/* The ladder for a terminal. Each row is a line of cells: time, the client's lifeline, the space
 * between, the server's lifeline. Text stands inside, at its lifeline, so that 80 columns are
 * enough. A segment under way is a vertical lane between its departure and its arrival; lanes lie
 * near their destination, newer ones further from it, so that segments in order never cross. */
#include "report/ladder_render.h"

#include "base/units.h"
#include "report/fields.h"
#include "report/paint.h"
#include <string.h>

#define TIME_COLUMNS 11 /* the client's lifeline stands after them */
#define WIDTH_MOST   140
#define LANES        4 /* a direction; further segments are drawn without a lane */
#define LANE_STEP    2
/* Lifelines, lanes of both directions, and the ends of an arrow. */
#define BESIDE_LABEL (2 * (LANES * LANE_STEP + 3) + 8)

struct cell {
    char text[8]; /* one character; "" is a space */
    enum paint_color color;
};

enum glyph {
    LIFE,
    LIFE_BUSY,
    LIFE_FAINT,
    LINE,
    LINE_DOTTED,
    HEAD_RIGHT,
    HEAD_LEFT,
    LANE,
    LEAVE_RIGHT, /* the tail at the client's lifeline */
    LEAVE_LEFT,
    TURN_DOWN_RIGHT, /* a line from the left turns down */
    TURN_DOWN_LEFT,
    TURN_RIGHT, /* from above to the right */
    TURN_LEFT,
    CROSS,
    DOTS,
    GLYPHS
};

struct board {
    struct buf *out;
    const struct report_style *style;
    const struct ladder *ladder;
    const char *const *glyphs;
    int width, client, server; /* columns */
    struct cell *cells;
    size_t lanes[2][LANES]; /* row of departure + 1, of arrows towards client and server; 0: free */
};

static const char *const unicode_glyphs[GLYPHS] = {"│", "┃", "┊", "─", "╌", "▶", "◀", "╎",
                                                   "├", "┤", "╮", "╭", "╰", "╯", "✗", "⋮"};
static const char *const ascii_glyphs[GLYPHS] = {"|", "#", ":",  "-", ".",  ">", "<", ":",
                                                 "+", "+", "\\", "/", "\\", "/", "X", ":"};

static enum paint_color tone_color(enum ladder_tone tone)
{
    switch (tone) {
    case LADDER_NORMAL:
        return PAINT_PLAIN;
    case LADDER_NOTABLE:
        return PAINT_YELLOW;
    case LADDER_TROUBLE:
        return PAINT_RED;
    }
    return PAINT_PLAIN;
}

static void put_cell(struct board *board, int column, enum paint_color color, const char *text)
{
    if (column < 0 || column >= board->width)
        return;
    struct cell *cell = &board->cells[column];
    size_t bytes = paint_bytes(text, 1);
    memcpy(cell->text, text, bytes < sizeof cell->text ? bytes : 0);
    cell->text[bytes < sizeof cell->text ? bytes : 0] = '\0';
    cell->color = color;
}

static void put_glyph(struct board *board, int column, enum paint_color color, enum glyph glyph)
{
    put_cell(board, column, color, board->glyphs[glyph]);
}

static void put_line(struct board *board, int from, int to, enum paint_color color,
                     enum glyph glyph)
{
    for (int column = from; column <= to; column++)
        put_glyph(board, column, color, glyph);
}

/* Text in the columns from `from` up to `to`, at its left or right end; what does not fit is cut.
 * Returns how many columns it took. */
static int put_text(struct board *board, int from, int to, bool right, enum paint_color color,
                    const char *text)
{
    cleanup(buf) struct buf printable = {0};
    int room = to - from + 1;

    if (room <= 0)
        return 0;
    paint_printable(&printable, text, board->style->unicode);
    board->out->failed |= printable.failed;
    int width = text_width(buf_str(&printable)), shown = width < room ? width : room;
    const char *p = buf_str(&printable);
    int column = right ? to - shown + 1 : from;
    for (int i = 0; i < shown; i++, p += paint_bytes(p, 1))
        put_cell(board, column + i, color,
                 width > room && i == shown - 1 ? (board->style->unicode ? "…" : ">") : p);
    return shown;
}

static void flush_row(struct board *board)
{
    struct paint paint = paint_begin(board->out, board->style);
    enum paint_color color = PAINT_PLAIN;

    for (int i = 0; i < board->width; i++) {
        const struct cell *cell = &board->cells[i];
        enum paint_color wanted = cell->text[0] ? cell->color : PAINT_PLAIN;
        if (board->style->color && wanted != color) {
            if (color != PAINT_PLAIN)
                buf_add_str(board->out, paint_sequence(PAINT_PLAIN));
            if (wanted != PAINT_PLAIN)
                buf_add_str(board->out, paint_sequence(wanted));
        }
        color = wanted;
        buf_add_str(board->out, cell->text[0] ? cell->text : " ");
    }
    if (board->style->color && color != PAINT_PLAIN)
        buf_add_str(board->out, paint_sequence(PAINT_PLAIN));
    paint_newline(&paint);
    memset(board->cells, 0, (size_t)board->width * sizeof *board->cells);
}

/* ---- Lanes */

static int lane_column(const struct board *board, bool to_server, int lane)
{
    int offset = 3 + LANE_STEP * lane;
    return to_server ? board->server - offset : board->client + offset;
}

/* The lane after the last one in use, or -1. */
static int lane_take(struct board *board, bool to_server, size_t departure)
{
    int lane = LANES;

    while (lane > 0 && !board->lanes[to_server][lane - 1])
        lane--;
    if (lane == LANES)
        return -1;
    board->lanes[to_server][lane] = departure + 1;
    return lane;
}

/* The lane of a segment under way, or -1. */
static int lane_find(const struct board *board, bool to_server, size_t departure)
{
    for (int lane = 0; lane < LANES; lane++)
        if (board->lanes[to_server][lane] == departure + 1)
            return lane;
    return -1;
}

/* Where text at a lifeline may begin (client) or end (server): beside the lanes in use. */
static int inner_edge(const struct board *board, bool server)
{
    int edge = server ? board->server - 2 : board->client + 2;

    for (int lane = 0; lane < LANES; lane++)
        if (board->lanes[server][lane])
            edge = lane_column(board, server, lane) + (server ? -2 : 2);
    return edge;
}

/* ---- Rows */

static enum glyph life_glyph(const struct board *board, const struct ladder_row *row, bool server)
{
    if (row && row->busy[server])
        return LIFE_BUSY;
    if ((row && row->kind == LADDER_GAP) || board->ladder->unseen[server])
        return LIFE_FAINT;
    return LIFE;
}

static void put_lives(struct board *board, const struct ladder_row *row)
{
    for (int to_server = 0; to_server < 2; to_server++)
        for (int lane = 0; lane < LANES; lane++)
            if (board->lanes[to_server][lane])
                put_glyph(board, lane_column(board, to_server, lane), PAINT_DIM, LANE);
    for (int side = 0; side < 2; side++) {
        enum glyph glyph = life_glyph(board, row, side);
        put_glyph(board, side ? board->server : board->client,
                  glyph == LIFE_FAINT ? PAINT_DIM : PAINT_PLAIN, glyph);
    }
}

static void put_time(struct board *board, const struct ladder_row *row)
{
    char text[LADDER_TIME_MAX];

    if (row->kind == LADDER_GAP)
        put_glyph(board, TIME_COLUMNS - 6, PAINT_DIM, DOTS);
    else
        put_text(board, 0, TIME_COLUMNS - 3, true, PAINT_DIM,
                 ladder_time(text, sizeof text, row->at_ns, board->ladder->span_ns));
}

static void put_head(struct board *board, bool to_server, enum paint_color color)
{
    put_glyph(board, to_server ? board->server - 1 : board->client + 1, color,
              to_server ? HEAD_RIGHT : HEAD_LEFT);
}

/* A line with the label near its source. `from` and `to` are its outermost columns. */
static void put_labelled_line(struct board *board, const struct ladder_row *row, int from, int to,
                              bool to_server, enum paint_color color)
{
    put_line(board, from, to, color, row->inferred ? LINE_DOTTED : LINE);
    if (!*row->label)
        return;
    int used = put_text(board, from + 3, to - 3, !to_server, color, row->label);
    if (!used)
        return;
    put_cell(board, to_server ? from + 2 : to - 2, color, " ");
    put_cell(board, to_server ? from + 3 + used : to - 3 - used, color, " ");
}

static int label_columns(const struct report_style *style, const char *label)
{
    cleanup(buf) struct buf printable = {0};
    paint_printable(&printable, label, style->unicode);
    return text_width(buf_str(&printable));
}

static void put_arrow(struct board *board, const struct ladder_row *row, size_t number)
{
    enum paint_color color = tone_color(row->tone);
    bool to_server = row->from == LADDER_AT_CLIENT || row->to == LADDER_AT_SERVER;
    int middle = (board->client + board->server) / 2,
        need = label_columns(board->style, row->label) + 8;
    int left = board->client + 1, right = board->server - 1;
    bool slanted = ladder_slanted(board->ladder, number);
    int lane = slanted ? lane_take(board, to_server, number) : -1;

    /* A drop ends, and an answer of the wire begins, in the middle or where the label ends. */
    int reach = need > middle - left ? need : middle - left;
    reach = reach < right - left - 2 ? reach : right - left - 2;
    bool half = row->from == LADDER_AT_WIRE || row->to == LADDER_AT_WIRE;
    bool at_client = row->from == LADDER_AT_CLIENT || row->to == LADDER_AT_CLIENT;
    if (half && at_client)
        right = left + reach;
    else if (half)
        left = right - reach;
    if (lane >= 0 && to_server)
        right = lane_column(board, to_server, lane);
    else if (lane >= 0)
        left = lane_column(board, to_server, lane);

    bool label_left = half            ? at_client
                      : row->inferred ? row->witness == LADDER_AT_CLIENT
                                      : to_server;
    put_labelled_line(board, row, left, right, label_left, color);
    /* An end whose time is not known does not touch its lifeline. */
    if (row->inferred && row->witness == LADDER_AT_CLIENT)
        put_cell(board, board->server - 1, PAINT_PLAIN, " ");
    else if (row->inferred)
        put_cell(board, board->client + 1, PAINT_PLAIN, " ");

    if (row->from != LADDER_AT_WIRE && (!row->inferred || row->witness == row->from))
        put_glyph(board, row->from == LADDER_AT_CLIENT ? board->client : board->server, color,
                  row->from == LADDER_AT_CLIENT ? LEAVE_RIGHT : LEAVE_LEFT);
    else if (row->from == LADDER_AT_WIRE)
        put_cell(board, at_client ? right : left, color, "W");

    if (row->to == LADDER_AT_WIRE)
        put_glyph(board, at_client ? right : left, PAINT_RED, CROSS);
    else if (lane >= 0)
        put_glyph(board, to_server ? right : left, color,
                  to_server ? TURN_DOWN_RIGHT : TURN_DOWN_LEFT);
    else if (slanted)
        put_glyph(board, to_server ? right : left, color, DOTS);
    else if (row->inferred && row->witness != row->to)
        put_glyph(board, to_server ? right - 1 : left + 1, color,
                  to_server ? HEAD_RIGHT : HEAD_LEFT);
    else
        put_head(board, to_server, color);
}

static void put_arrival(struct board *board, const struct ladder_row *row)
{
    bool to_server = row->to == LADDER_AT_SERVER;
    enum paint_color color = tone_color(row->tone);
    int lane = lane_find(board, to_server, row->other);

    if (lane < 0) {
        int edge = inner_edge(board, to_server);
        if (to_server)
            put_text(board, board->client + 2, edge - 1, true, color, row->label);
        else
            put_text(board, edge + 1, board->server - 2, false, color, row->label);
        put_head(board, to_server, color);
        return;
    }
    int column = lane_column(board, to_server, lane);
    put_line(board, to_server ? column : board->client + 1, to_server ? board->server - 1 : column,
             color, LINE);
    put_glyph(board, column, color, to_server ? TURN_RIGHT : TURN_LEFT);
    put_head(board, to_server, color);
    board->lanes[to_server][lane] = 0;
}

static void put_at_life(struct board *board, const struct ladder_row *row)
{
    bool server = row->from == LADDER_AT_SERVER, state = row->kind == LADDER_STATE;
    int edge = inner_edge(board, server);
    cleanup(buf) struct buf text = {0};

    buf_printf(&text, state ? "[%s]" : "%s", row->label);
    put_text(board, server ? board->client + 2 : edge, server ? edge : board->server - 2, server,
             state ? PAINT_CYAN : tone_color(row->tone), buf_str(&text));
}

static void put_middle(struct board *board, const char *before, const char *text, const char *after)
{
    cleanup(buf) struct buf whole = {0};
    int from = inner_edge(board, false), to = inner_edge(board, true);

    buf_printf(&whole, "%s%s%s", before, text, after);
    int width = text_width(buf_str(&whole)), room = to - from + 1;
    put_text(board, width < room ? from + (room - width) / 2 : from, to, false, PAINT_DIM,
             buf_str(&whole));
}

static void put_row(struct board *board, size_t number)
{
    const struct ladder_row *row = &board->ladder->rows[number];
    char duration[UNITS_TEXT_MAX];

    put_time(board, row);
    put_lives(board, row);
    switch (row->kind) {
    case LADDER_EVENT:
    case LADDER_STATE:
        put_at_life(board, row);
        break;
    case LADDER_ARROW:
        put_arrow(board, row, number);
        break;
    case LADDER_ARRIVAL:
        put_arrival(board, row);
        break;
    case LADDER_GAP:
        put_middle(board, "⋯ ", report_duration(duration, sizeof duration, row->gap_ns, true),
                   " ⋯");
        break;
    case LADDER_REMARK:
        put_middle(board, "· ", row->label, " ·");
        break;
    }
    flush_row(board);
}

static void put_names(struct board *board)
{
    const struct ladder *ladder = board->ladder;
    int middle = (board->client + board->server) / 2;

    put_text(board, 0, TIME_COLUMNS - 3, true, PAINT_DIM, ladder_time_unit(ladder->span_ns));
    put_text(board, board->client, middle - 1, false, PAINT_BOLD, ladder->names[0]);
    put_text(board, middle + 1, board->server, true, PAINT_BOLD, ladder->names[1]);
    flush_row(board);
    put_lives(board, NULL);
    flush_row(board);
}

/* As wide as the text around it, or as the longest label needs where there is more room. */
static int board_width(const struct paint *paint, const struct ladder *ladder)
{
    int most = paint->width < WIDTH_MOST ? paint->width : WIDTH_MOST, need = 0;

    if (paint->limit == paint->width)
        return most;
    for (size_t i = 0; i < ladder->count; i++) {
        int columns = label_columns(paint->style, ladder->rows[i].label);
        need = columns > need ? columns : need;
    }
    need += TIME_COLUMNS + BESIDE_LABEL;
    return need < most ? most : need < paint->limit ? need : paint->limit;
}

void ladder_text(struct buf *out, const struct ladder *ladder, const struct report_style *style)
{
    struct paint paint = paint_begin(out, style);
    int width = board_width(&paint, ladder);
    cleanup(mem) struct cell *cells = calloc((size_t)width, sizeof *cells);
    struct board board = {.out = out,
                          .style = style,
                          .ladder = ladder,
                          .glyphs = style->unicode ? unicode_glyphs : ascii_glyphs,
                          .width = width,
                          .client = TIME_COLUMNS,
                          .server = width - 1,
                          .cells = cells};

    if (!cells) {
        out->failed = true;
        return;
    }
    if (ladder->title)
        paint_wrap(&paint, PAINT_BOLD, 0, ladder->title);
    put_names(&board);
    for (size_t i = 0; i < ladder->count; i++)
        put_row(&board, i);
    for (size_t i = 0; i < ladder->note_count; i++) {
        paint_newline(&paint);
        paint_wrap(&paint, PAINT_DIM, 0, ladder->notes[i]);
    }
}
