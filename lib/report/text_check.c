/* The thresholds as text, the exceeded ones first. */
#include "report/report_text.h"

#include "report/fields.h"
#include <string.h>

#define NAME_COLUMN    (PAINT_INDENT + 16)
#define MEASURED_WIDTH 12
#define LIMIT_WIDTH    18 /* "  limit 15 min 24 s" */
#define ROWS_MAX       20
#define WHOLE_RUN      "the whole run"

static void show_check(struct paint *paint, const struct result_check *check, int name_columns)
{
    char measured[REPORT_MEASURE_MAX], limit[REPORT_MEASURE_MAX];
    enum paint_color color = check->ok ? PAINT_GREEN : PAINT_RED;
    bool unicode = paint->style->unicode;
    int column = NAME_COLUMN;

    paint_put(paint, color,
              check->ok ? (unicode ? "✓" : "+") : severity_mark(FINDING_ERROR, unicode));
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, color, check->name);
    paint_to(paint, column);
    paint_middle(paint, PAINT_PLAIN, check->target ? check->target : WHOLE_RUN, name_columns);
    column += name_columns;
    paint_right(paint, PAINT_BOLD,
                report_measure(measured, sizeof measured, check->unit, check->measured, true),
                column += MEASURED_WIDTH);
    paint_printf(paint, PAINT_PLAIN, "  limit %s",
                 report_measure(limit, sizeof limit, check->unit, check->limit, true));
    paint_newline(paint);
}

/* Those of one outcome, as many as there is room for. */
static size_t some_checks(struct paint *paint, const struct result_check_list *checks, bool ok,
                          size_t room, int name_columns)
{
    size_t shown = 0;

    for (size_t i = 0; i < checks->count; i++)
        if (checks->items[i].ok == ok && shown < room) {
            show_check(paint, &checks->items[i], name_columns);
            shown++;
        }
    return shown;
}

static int name_columns(const struct paint *paint, const struct result_check_list *checks)
{
    int most = paint->limit - NAME_COLUMN - MEASURED_WIDTH - LIMIT_WIDTH, widest = 0;

    for (size_t i = 0; i < checks->count; i++) {
        const char *target = checks->items[i].target;
        int width = text_width(target ? target : WHOLE_RUN);
        widest = width > widest ? width : widest;
    }
    return widest < most ? widest : most;
}

void show_checks(struct paint *paint, const struct result_check_list *checks)
{
    size_t exceeded = result_checks_exceeded(checks), left = checks->count;
    bool quiet = paint->style->quiet;
    bool all = paint->style->verbose || checks->count <= ROWS_MAX;
    int columns = name_columns(paint, checks);

    if (!checks->count || (quiet && !exceeded))
        return;
    if (!quiet) {
        paint_newline(paint);
        paint_put(paint, PAINT_BOLD, "Thresholds");
        paint_printf(paint, exceeded ? PAINT_RED : PAINT_GREEN, "  %zu of %zu exceeded", exceeded,
                     checks->count);
        paint_newline(paint);
    }
    left -= some_checks(paint, checks, false, all ? exceeded : ROWS_MAX, columns);
    left -= !quiet && all ? some_checks(paint, checks, true, left, columns) : 0;
    if (quiet || !left)
        return;
    paint_to(paint, PAINT_INDENT);
    if (exceeded > ROWS_MAX)
        paint_printf(paint, PAINT_DIM, "… and %zu more exceeded, %zu within their limits",
                     exceeded - ROWS_MAX, checks->count - exceeded);
    else
        paint_printf(paint, PAINT_DIM, "… and %zu within their limits", left);
    paint_newline(paint);
}
