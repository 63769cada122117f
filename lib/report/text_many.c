/* Many targets: a row each, the worst first, and how many there are of which kind. */
#include "report/text.h"

#include "base/units.h"
#include "report/fields.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX     20 /* those that are worst; the rest is counted */
#define INDENT       2
#define TIME_WIDTH   9
#define FAILED_WIDTH 8

struct row {
    const struct result_probe *probe;
    enum finding_code code;
    enum finding_severity severity; /* of the code; nothing with FINDING_NONE */
    bool failed;
    size_t order;
};

struct tally {
    size_t ok, failed, flawed;
    size_t codes[FINDING_CODES][RESULT_SIDE_NETWORK + 1];
};

static bool failed(const struct result_probe *probe)
{
    return !probe->ok || probe->error.code != FINDING_NONE;
}

static struct row row_of(const struct about *about, const struct result *result, size_t order)
{
    struct row row = {.probe = &result->probe, .failed = failed(&result->probe), .order = order};
    struct about_list list = about_result(about, result);

    if (list.count && list.entries[0].finding->severity >= FINDING_WARNING) {
        row.code = list.entries[0].finding->code;
        row.severity = list.entries[0].finding->severity;
    }
    if (row.failed && result->probe.error.code != FINDING_NONE) {
        row.code = result->probe.error.code;
        row.severity = FINDING_ERROR;
    }
    return row;
}

/* The worst first: failed ones, then by severity, then by p99. Otherwise as they were given. */
static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int64_t x_ns = x->probe->latency.p99_ns, y_ns = y->probe->latency.p99_ns;

    if (x->failed != y->failed)
        return x->failed ? -1 : 1;
    if ((x->code != FINDING_NONE) != (y->code != FINDING_NONE))
        return x->code != FINDING_NONE ? -1 : 1;
    if (x->severity != y->severity)
        return x->severity > y->severity ? -1 : 1;
    if (x_ns != y_ns)
        return x_ns > y_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static struct row *rows_of(const struct report *report, const struct about *about)
{
    struct row *rows = calloc(report->result_count, sizeof *rows);

    for (size_t i = 0; rows && i < report->result_count; i++)
        rows[i] = row_of(about, report->results[i], i);
    if (rows)
        qsort(rows, report->result_count, sizeof *rows, compare_rows);
    return rows;
}

struct columns {
    int name, verdict; /* how wide */
    bool failed_rounds;
};

static struct columns columns_of(const struct paint *paint, const struct row *rows, size_t count)
{
    struct columns columns = {.name = (int)strlen("target"), .verdict = (int)strlen("verdict")};
    int most;

    for (size_t i = 0; i < count; i++) {
        cleanup(buf) struct buf shown = {0};
        paint_printable(&shown, rows[i].probe->target ? rows[i].probe->target : "?",
                        paint->style->unicode);
        int width = text_width(buf_str(&shown));
        columns.name = width > columns.name ? width : columns.name;
        int verdict = (int)strlen(finding_entry(rows[i].code)->name);
        columns.verdict = verdict > columns.verdict ? verdict : columns.verdict;
        columns.failed_rounds |= rows[i].probe->failed_rounds > 0;
    }
    most = paint->width - INDENT - 2 - columns.verdict - 3 * TIME_WIDTH -
           (columns.failed_rounds ? FAILED_WIDTH : 0);
    columns.name = columns.name < most ? columns.name : most;
    return columns;
}

static void head(struct paint *paint, const struct columns *columns)
{
    int column = INDENT + columns->name + 2 + columns->verdict;

    paint_to(paint, INDENT);
    paint_put(paint, PAINT_DIM, "target");
    paint_to(paint, INDENT + columns->name + 2);
    paint_put(paint, PAINT_DIM, "verdict");
    paint_right(paint, PAINT_DIM, "p50", column += TIME_WIDTH);
    paint_right(paint, PAINT_DIM, "p99", column += TIME_WIDTH);
    paint_right(paint, PAINT_DIM, "connect", column += TIME_WIDTH);
    if (columns->failed_rounds)
        paint_right(paint, PAINT_DIM, "failed", column + FAILED_WIDTH);
    paint_newline(paint);
}

static void time_cell(struct paint *paint, int64_t ns, int column)
{
    char text[UNITS_TEXT_MAX];

    if (ns != RESULT_UNKNOWN)
        paint_right(paint, PAINT_PLAIN, report_duration(text, sizeof text, ns, true), column);
}

static void show_row(struct paint *paint, const struct columns *columns, const struct row *row)
{
    bool fine = row->code == FINDING_NONE && !row->failed;
    enum paint_color color = fine ? PAINT_GREEN : severity_color(row->severity);
    int column = INDENT + columns->name + 2 + columns->verdict;
    char text[24];

    if (!fine)
        paint_put(paint, color, severity_mark(row->severity, paint->style->unicode));
    paint_to(paint, INDENT);
    paint_middle(paint, PAINT_PLAIN, row->probe->target ? row->probe->target : "?", columns->name);
    paint_to(paint, INDENT + columns->name + 2);
    paint_put(paint, color, finding_entry(row->code)->name);
    time_cell(paint, row->probe->latency.p50_ns, column += TIME_WIDTH);
    time_cell(paint, row->probe->latency.p99_ns, column += TIME_WIDTH);
    time_cell(paint, row->probe->connect_ns, column += TIME_WIDTH);
    if (columns->failed_rounds && row->probe->failed_rounds > 0) {
        snprintf(text, sizeof text, "%" PRId64, row->probe->failed_rounds);
        paint_right(paint, PAINT_YELLOW, text, column + FAILED_WIDTH);
    }
    paint_newline(paint);
}

static void show_rows(struct paint *paint, const struct row *rows, size_t count)
{
    size_t shown = count < ROWS_MAX ? count : ROWS_MAX;
    struct columns columns = columns_of(paint, rows, shown);

    head(paint, &columns);
    for (size_t i = 0; i < shown; i++)
        show_row(paint, &columns, &rows[i]);
    if (shown == count)
        return;
    paint_to(paint, INDENT);
    paint_printf(paint, PAINT_DIM, "… and %zu that are no worse; -v shows all, --json measures",
                 count - shown);
    paint_newline(paint);
}

static void count_codes(struct tally *tally, const struct about *about, const struct result *result)
{
    struct about_list list = about_result(about, result);
    struct report_kind kind = report_kind_of(result);
    enum finding_code error = kind.error->code;
    bool told = error == FINDING_NONE, flawed = false;

    for (size_t i = 0; i < list.count; i++) {
        const struct finding *finding = list.entries[i].finding;
        bool again = false;
        if (finding->severity < FINDING_WARNING)
            break;
        for (size_t j = 0; j < i && !again; j++)
            again = list.entries[j].finding->code == finding->code &&
                    list.entries[j].finding->side == finding->side;
        tally->codes[finding->code][finding->side] += !again;
        told |= finding->code == error;
        flawed = true;
    }
    if (!told)
        tally->codes[error][RESULT_SIDE_NONE]++;
    if (!kind.ok || error != FINDING_NONE)
        tally->failed++;
    else if (flawed)
        tally->flawed++;
    else
        tally->ok++;
}

struct line {
    enum finding_code code;
    enum result_side side;
    size_t count;
};

static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int x_severity = (int)finding_entry(x->code)->severity;
    int y_severity = (int)finding_entry(y->code)->severity;

    if (x_severity != y_severity)
        return y_severity - x_severity;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (int)x->code - (int)y->code;
}

/* "✗ connection-refused  200  nobody listens there" */
static void show_line(struct paint *paint, const struct line *line)
{
    const struct finding_entry *entry = finding_entry(line->code);
    const char *side = result_side_name(line->side);
    enum paint_color color = severity_color(entry->severity);
    char count[24];

    paint_put(paint, color, severity_mark(entry->severity, paint->style->unicode));
    paint_to(paint, INDENT);
    snprintf(count, sizeof count, "%zu", line->count);
    paint_right(paint, PAINT_BOLD, count, INDENT + 5);
    paint_put(paint, PAINT_PLAIN, " ");
    paint_put(paint, color, entry->name);
    if (side)
        paint_printf(paint, PAINT_PLAIN, " (%s)", side);
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_wrap(paint, PAINT_PLAIN, INDENT + 6, entry->title);
}

void show_totals(struct paint *paint, const struct report *report, const struct about *about)
{
    static const struct tally none;
    struct tally tally = none;
    struct line lines[FINDING_CODES * (RESULT_SIDE_NETWORK + 1)];
    size_t count = 0;

    for (size_t i = 0; i < report->result_count; i++)
        count_codes(&tally, about, report->results[i]);
    paint_printf(paint, PAINT_BOLD, "%zu targets: ", report->result_count);
    paint_printf(paint, tally.ok == report->result_count ? PAINT_GREEN : PAINT_BOLD, "%zu ok",
                 tally.ok);
    if (tally.flawed)
        paint_printf(paint, PAINT_YELLOW, ", %zu with findings", tally.flawed);
    if (tally.failed)
        paint_printf(paint, PAINT_RED, ", %zu failed", tally.failed);
    paint_newline(paint);
    if (paint->style->quiet)
        return;
    for (int code = FINDING_NONE + 1; code < FINDING_CODES; code++)
        for (int side = RESULT_SIDE_NONE; side <= RESULT_SIDE_NETWORK; side++)
            if (tally.codes[code][side])
                lines[count++] = (struct line){(enum finding_code)code, (enum result_side)side,
                                               tally.codes[code][side]};
    qsort(lines, count, sizeof lines[0], compare_lines);
    for (size_t i = 0; i < count; i++)
        show_line(paint, &lines[i]);
}

int show_many(struct paint *paint, const struct report *report, const struct about *about,
              struct error *error)
{
    cleanup(mem) struct row *rows = rows_of(report, about);
    size_t count = report->result_count;

    if (!rows)
        return error_sys(error, ENOMEM, "cannot sort the results");
    /* Quietly, only those that are not as they should be. */
    for (size_t i = 0; paint->style->quiet && i < count; i++)
        if (!rows[i].failed && rows[i].code == FINDING_NONE)
            count = i;
    if (count)
        show_rows(paint, rows, count);
    if (!paint->style->quiet)
        paint_newline(paint);
    show_totals(paint, report, about);
    return 0;
}
