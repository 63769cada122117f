/* The one painter of ranked tables. */
#include "report/report_text.h"

#include "base/text.h"
#include <stdlib.h>
#include <string.h>

#define GAP 2
/* The least that a duration and a count take. */
#define DURATION_WIDTH 9
#define COUNT_WIDTH    8

static int compare_rows(const void *a, const void *b)
{
    const struct ranked_row *x = a, *y = b;

    if (x->failed != y->failed)
        return x->failed ? -1 : 1;
    if ((x->code != FINDING_NONE) != (y->code != FINDING_NONE))
        return x->code != FINDING_NONE ? -1 : 1;
    if (x->severity != y->severity)
        return x->severity > y->severity ? -1 : 1;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int cell_width(const struct report_field *column)
{
    int width = text_width(column->label) + GAP;
    int least = column->kind == FIELD_DURATION ? DURATION_WIDTH : COUNT_WIDTH;

    return width > least ? width : least;
}

static bool is_shown(const struct report_field *column, const struct ranked_row *rows, size_t count)
{
    bool any = column->kind != FIELD_INTEGER;

    for (size_t i = 0; i < count; i++)
        any |= field_integer(column, rows[i].body) > 0;
    return any;
}

struct layout {
    int verdict, numbers; /* the columns where these begin */
    uint32_t shown;       /* bits: which of the table's columns */
};

static struct layout lay_out(const struct paint *paint, const struct ranked_table *table,
                             const struct ranked_row *rows, size_t count)
{
    struct layout layout = {0};
    int name = text_width(table->name), verdict = table->verdict ? text_width(table->verdict) : 0;
    int most = paint->limit - PAINT_INDENT;

    for (size_t i = 0; i < count; i++) {
        cleanup(buf) struct buf shown = {0};
        paint_printable(&shown, rows[i].name, paint->style->unicode);
        int width = text_width(buf_str(&shown));
        name = width > name ? width : name;
        width = table->verdict ? text_width(rows[i].verdict) : 0;
        verdict = width > verdict ? width : verdict;
    }
    for (size_t i = 0; table->columns[i].label; i++)
        if (is_shown(&table->columns[i], rows, count)) {
            layout.shown |= UINT32_C(1) << i;
            most -= cell_width(&table->columns[i]);
        }
    most -= verdict + (table->verdict ? GAP : 0);
    layout.verdict = PAINT_INDENT + (name < most ? name : most) + (table->verdict ? GAP : 0);
    layout.numbers = layout.verdict + verdict;
    return layout;
}

static void show_head(struct paint *paint, const struct ranked_table *table,
                      const struct layout *layout)
{
    int column = layout->numbers;

    paint_label(paint, layout->verdict, table->name);
    if (table->verdict)
        paint_put(paint, PAINT_DIM, table->verdict);
    for (size_t i = 0; table->columns[i].label; i++)
        if (layout->shown >> i & 1)
            paint_right(paint, PAINT_DIM, table->columns[i].label,
                        column += cell_width(&table->columns[i]));
    paint_newline(paint);
}

static void show_row(struct paint *paint, const struct ranked_table *table,
                     const struct layout *layout, const struct ranked_row *row)
{
    bool fine = row->code == FINDING_NONE && !row->failed;
    enum paint_color color = fine ? PAINT_GREEN : severity_color(row->severity);
    int column = layout->numbers;

    if (!fine)
        paint_put(paint, color, severity_mark(row->severity, paint->style->unicode));
    paint_to(paint, PAINT_INDENT);
    paint_middle(paint, PAINT_PLAIN, row->name,
                 layout->verdict - PAINT_INDENT - (table->verdict ? GAP : 0));
    paint_to(paint, layout->verdict);
    if (table->verdict)
        paint_put(paint, color, row->verdict);
    for (size_t i = 0; table->columns[i].label; i++) {
        const struct report_field *field = &table->columns[i];
        int64_t value = field_integer(field, row->body);
        if (!(layout->shown >> i & 1))
            continue;
        column += cell_width(field);
        if (field->kind == FIELD_DURATION && value != RESULT_UNKNOWN)
            paint_duration_right(paint, PAINT_PLAIN, value, column);
        else if (field->kind == FIELD_INTEGER && value > 0)
            paint_count_right(paint, table->counts, value, column);
    }
    paint_newline(paint);
}

void show_ranked(struct paint *paint, const struct ranked_table *table, struct ranked_row *rows,
                 size_t count)
{
    size_t shown = count < table->most ? count : table->most;

    if (!count)
        return;
    qsort(rows, count, sizeof *rows, compare_rows);
    struct layout layout = lay_out(paint, table, rows, shown);
    show_head(paint, table, &layout);
    for (size_t i = 0; i < shown; i++)
        show_row(paint, table, &layout, &rows[i]);
    if (shown == count)
        return;
    paint_to(paint, PAINT_INDENT);
    paint_printf(paint, PAINT_DIM,
                 "… and %zu more, none of them worse; -v shows all, --json the data",
                 count - shown);
    paint_newline(paint);
}
