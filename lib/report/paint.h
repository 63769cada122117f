/* Lines of text for a terminal: columns, colours, bars, wrapping.
 *
 * A painter appends to a buffer and knows the column that it is in. Text is laid out in `width`
 * columns; tables may use up to `limit`. Nothing passes the limit: what would is cut, with an
 * ellipsis. Text from anywhere may be put: it is escaped, and
 * turned into ASCII where the style is not Unicode. Escape sequences appear only with colour, and
 * never count as columns. */
#ifndef REPORT_PAINT_H
#define REPORT_PAINT_H

#include "report/report.h"

enum paint_color {
    PAINT_PLAIN,
    PAINT_BOLD,
    PAINT_DIM,
    PAINT_RED,
    PAINT_YELLOW,
    PAINT_GREEN,
    PAINT_BLUE,
    PAINT_CYAN,
    PAINT_COLORS /* how many */
};

struct paint {
    struct buf *out;
    const struct report_style *style;
    int width; /* what text is wrapped to */
    int limit; /* where lines end at the latest; at least the width */
    int column;
};

/* Where the lines of a block begin, behind the mark of a finding or row. */
#define PAINT_INDENT 2

struct paint paint_begin(struct buf *out, const struct report_style *style);
void paint_put(struct paint *paint, enum paint_color color, const char *text);
__attribute__((format(printf, 3, 4))) void paint_printf(struct paint *paint, enum paint_color color,
                                                        const char *format, ...);
/* Spaces up to a column; nothing when it is passed already. */
void paint_to(struct paint *paint, int column);
/* Text of at most `columns`. What is longer loses its middle: names differ at their end (a port, a
 * number) as much as at their start. */
void paint_middle(struct paint *paint, enum paint_color color, const char *text, int columns);
/* Text that ends before a column. */
void paint_right(struct paint *paint, enum paint_color color, const char *text, int column);
/* A bar of value / full of `columns`; anything above 0 shows at least a trace. */
void paint_bar(struct paint *paint, enum paint_color color, double value, double full, int columns);
/* Words from the current column on, further lines from `indent`; ends the last line. */
void paint_wrap(struct paint *paint, enum paint_color color, int indent, const char *text);
void paint_newline(struct paint *paint);

/* "  label" at the start of a line, then up to `column`. */
void paint_label(struct paint *paint, int column, const char *label);
/* The same with text that wraps under itself; nothing where the text is NULL or empty. */
void paint_labelled(struct paint *paint, int column, const char *label, const char *text);
/* Numbers; "?" when not known. The last two end before a column. */
void paint_duration(struct paint *paint, enum paint_color color, int64_t ns);
void paint_duration_right(struct paint *paint, enum paint_color color, int64_t ns, int column);
void paint_count_right(struct paint *paint, enum paint_color color, int64_t count, int column);

/* The printable form of arbitrary text, appended: escaped, and ASCII where asked for. */
void paint_printable(struct buf *out, const char *text, bool unicode);
/* The escape sequence that begins a colour; of PAINT_PLAIN, the one that ends every colour. */
const char *paint_sequence(enum paint_color color);
/* The bytes of the first `columns` characters of printable text. */
size_t paint_bytes(const char *text, int columns);

#endif
