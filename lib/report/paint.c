#include "report/paint.h"

#include "base/text.h"
#include "base/units.h"
#include "report/fields.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int between(int least, int value, int most)
{
    return value < least ? least : value > most ? most : value;
}

struct paint paint_begin(struct buf *out, const struct report_style *style)
{
    int width = between(REPORT_WIDTH_MIN, style->width > 0 ? style->width : REPORT_WIDTH_DEFAULT,
                        REPORT_WIDTH_MAX);

    return (struct paint){.out = out,
                          .style = style,
                          .width = width,
                          .limit = between(width, style->table_width, REPORT_WIDTH_MAX)};
}

const char *paint_sequence(enum paint_color color)
{
    static const char *const sequences[PAINT_COLORS] = {
        [PAINT_PLAIN] = "\033[0m", [PAINT_BOLD] = "\033[1m",    [PAINT_DIM] = "\033[2m",
        [PAINT_RED] = "\033[31m",  [PAINT_YELLOW] = "\033[33m", [PAINT_GREEN] = "\033[32m",
        [PAINT_BLUE] = "\033[34m", [PAINT_CYAN] = "\033[36m"};
    return sequences[color];
}

size_t paint_bytes(const char *text, int columns)
{
    size_t bytes = 0;

    while (text[bytes] && columns-- > 0)
        do
            bytes++;
        while (((unsigned char)text[bytes] & 0xc0) == 0x80);
    return bytes;
}

/* What netkit's own sentences use beyond ASCII, and what stands for it. */
static const char *ascii_for(const char *utf8, size_t len_bytes)
{
    static const struct {
        const char *utf8, *ascii;
    } table[] = {
        {"µ", "u"},  {"…", "..."}, {"−", "-"},  {"–", "-"}, {"—", "-"},   {"×", "x"},  {"→", "->"},
        {"←", "<-"}, {"≥", ">="},  {"≤", "<="}, {"’", "'"}, {"“", "\""},  {"”", "\""}, {"≈", "~"},
        {"·", "-"},  {"✗", "x"},   {"✓", "ok"}, {"▲", "!"}, {"⋯", "..."}, {"│", "|"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strlen(table[i].utf8) == len_bytes && !memcmp(table[i].utf8, utf8, len_bytes))
            return table[i].ascii;
    return NULL;
}

static void to_ascii(struct buf *out, const char *text)
{
    while (*text) {
        size_t len_bytes = paint_bytes(text, 1);
        const char *ascii = len_bytes > 1 ? ascii_for(text, len_bytes) : NULL;

        if (len_bytes == 1)
            buf_add_char(out, *text);
        else if (ascii)
            buf_add_str(out, ascii);
        else
            for (size_t i = 0; i < len_bytes; i++)
                buf_printf(out, "\\x%02x", (unsigned char)text[i]);
        text += len_bytes;
    }
}

void paint_printable(struct buf *out, const char *text, bool unicode)
{
    cleanup(buf) struct buf escaped = {0};
    bool plain = report_is_plain(text, false);

    if (!plain)
        text_escape(&escaped, text, strlen(text));
    if (unicode)
        buf_add_str(out, plain ? text : buf_str(&escaped));
    else
        to_ascii(out, plain ? text : buf_str(&escaped));
}

/* Printable text, cut to the room that is left. */
static void put_printable(struct paint *paint, enum paint_color color, const char *text)
{
    int width = text_width(text), room = paint->limit - paint->column;
    const char *ellipsis = paint->style->unicode ? "…" : ">";
    bool colored = paint->style->color && color != PAINT_PLAIN && *text;

    if (room <= 0)
        return;
    if (colored)
        buf_add_str(paint->out, paint_sequence(color));
    if (width <= room) {
        buf_add_str(paint->out, text);
    } else {
        buf_add(paint->out, text, paint_bytes(text, room - 1));
        buf_add_str(paint->out, ellipsis);
    }
    if (colored)
        buf_add_str(paint->out, paint_sequence(PAINT_PLAIN));
    paint->column += width < room ? width : room;
}

void paint_put(struct paint *paint, enum paint_color color, const char *text)
{
    cleanup(buf) struct buf printable = {0};

    paint_printable(&printable, text, paint->style->unicode);
    paint->out->failed |= printable.failed;
    put_printable(paint, color, buf_str(&printable));
}

void paint_printf(struct paint *paint, enum paint_color color, const char *format, ...)
{
    cleanup(buf) struct buf text = {0};
    va_list args;

    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    paint->out->failed |= text.failed;
    paint_put(paint, color, buf_str(&text));
}

void paint_to(struct paint *paint, int column)
{
    column = column < paint->limit ? column : paint->limit;
    for (; paint->column < column; paint->column++)
        buf_add_char(paint->out, ' ');
}

void paint_middle(struct paint *paint, enum paint_color color, const char *text, int columns)
{
    cleanup(buf) struct buf printable = {0}, cut = {0};
    const char *ellipsis = paint->style->unicode ? "…" : "...";

    paint_printable(&printable, text, paint->style->unicode);
    int width = text_width(buf_str(&printable));
    if (width > columns) {
        int room = columns - text_width(ellipsis), tail = room / 3;
        buf_add(&cut, buf_str(&printable), paint_bytes(buf_str(&printable), room - tail));
        buf_add_str(&cut, ellipsis);
        buf_add_str(&cut, buf_str(&printable) + paint_bytes(buf_str(&printable), width - tail));
    }
    paint->out->failed |= printable.failed || cut.failed;
    put_printable(paint, color, buf_str(width > columns ? &cut : &printable));
}

void paint_right(struct paint *paint, enum paint_color color, const char *text, int column)
{
    cleanup(buf) struct buf printable = {0};

    paint_printable(&printable, text, paint->style->unicode);
    paint->out->failed |= printable.failed;
    paint_to(paint, column - text_width(buf_str(&printable)));
    put_printable(paint, color, buf_str(&printable));
}

void paint_bar(struct paint *paint, enum paint_color color, double value, double full, int columns)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    cleanup(buf) struct buf bar = {0};
    double share = full > 0 && value > 0 ? fmin(value / full, 1) : 0;

    if (paint->style->unicode) {
        int parts = (int)lround(share * columns * 8);
        parts = share > 0 && !parts ? 1 : parts;
        buf_add_repeat(&bar, "█", parts / 8);
        buf_add_str(&bar, eighths[parts % 8]);
    } else {
        int parts = (int)lround(share * columns);
        buf_add_repeat(&bar, "#", parts);
        if (share > 0 && !parts)
            buf_add_char(&bar, '.');
    }
    paint->out->failed |= bar.failed;
    put_printable(paint, color, buf_str(&bar));
}

void paint_wrap(struct paint *paint, enum paint_color color, int indent, const char *text)
{
    cleanup(buf) struct buf printable = {0};
    bool first = true;

    paint_printable(&printable, text, paint->style->unicode);
    paint->out->failed |= printable.failed;
    indent = indent < paint->width / 2 ? indent : paint->width / 2;
    for (const char *word = buf_str(&printable); *word;) {
        cleanup(buf) struct buf piece = {0};
        size_t len_bytes = strcspn(word, " ");

        /* A word that fits no line at all is broken at the edge. */
        size_t most = paint_bytes(word, paint->width - indent);
        buf_add(&piece, word, len_bytes < most ? len_bytes : most);
        if (len_bytes) {
            if (!first && paint->column + 1 + text_width(buf_str(&piece)) > paint->width)
                paint_newline(paint), first = true;
            if (first && paint->column < indent)
                paint_to(paint, indent);
            if (!first)
                put_printable(paint, PAINT_PLAIN, " ");
            put_printable(paint, color, buf_str(&piece));
            first = false;
        }
        word += piece.len_bytes;
        word += *word == ' ';
    }
    paint_newline(paint);
}

void paint_newline(struct paint *paint)
{
    struct buf *out = paint->out;

    while (out->len_bytes && out->data[out->len_bytes - 1] == ' ')
        out->data[--out->len_bytes] = '\0';
    buf_add_char(out, '\n');
    paint->column = 0;
}

void paint_label(struct paint *paint, int column, const char *label)
{
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_DIM, label);
    paint_to(paint, column);
}

void paint_labelled(struct paint *paint, int column, const char *label, const char *text)
{
    if (!text || !*text)
        return;
    paint_label(paint, column, label);
    paint_wrap(paint, PAINT_PLAIN, column, text);
}

void paint_duration(struct paint *paint, enum paint_color color, int64_t ns)
{
    char text[UNITS_TEXT_MAX];

    paint_put(paint, color, report_duration(text, sizeof text, ns, true));
}

void paint_duration_right(struct paint *paint, enum paint_color color, int64_t ns, int column)
{
    char text[UNITS_TEXT_MAX];

    paint_right(paint, color, report_duration(text, sizeof text, ns, true), column);
}

void paint_count_right(struct paint *paint, enum paint_color color, int64_t count, int column)
{
    char text[UNITS_TEXT_MAX] = "?";

    if (count != RESULT_UNKNOWN)
        snprintf(text, sizeof text, "%" PRId64, count);
    paint_right(paint, color, text, column);
}
