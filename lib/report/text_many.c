/* Many targets: a row each, the worst first, and how many there are of which kind. */
#include "report/report_text.h"

#include "base/units.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 20

static const struct report_field probe_columns[] = {
    RANKED_DURATION("p50", result_probe, latency.p50_ns),
    RANKED_DURATION("p99", result_probe, latency.p99_ns),
    RANKED_DURATION("connect", result_probe, connect_ns),
    RANKED_COUNT("failed", result_probe, failed_rounds),
    {0}};
static const struct report_field reach_columns[] = {
    RANKED_DURATION("connect", result_reach, connect_ns),
    RANKED_COUNT("SYNs again", result_reach, syn_retransmits),
    {0}};

static const struct ranked_table probe_table = {"target", "verdict", probe_columns, PAINT_YELLOW,
                                                ROWS_MAX};
static const struct ranked_table reach_table = {"target", "case", reach_columns, PAINT_YELLOW,
                                                ROWS_MAX};

static struct ranked_row row_of(const struct about *about, const struct result *result,
                                size_t order)
{
    struct report_kind kind = report_kind_of(result);
    struct about_list list = about_result(about, result);
    struct ranked_row row = {.body = kind.body,
                             .name = kind.name,
                             .failed = !kind.ok || kind.error->code != FINDING_NONE,
                             .order = order};

    if (list.count && list.entries[0].finding->severity >= FINDING_WARNING) {
        row.code = list.entries[0].finding->code;
        row.severity = list.entries[0].finding->severity;
    }
    if (row.failed && kind.error->code != FINDING_NONE) {
        row.code = kind.error->code;
        row.severity = FINDING_ERROR;
    }
    row.verdict = finding_entry(row.code)->name;
    if (result->type == RESULT_PROBE)
        row.weight = (double)result->probe.latency.p99_ns;
    else
        row.verdict = result->reach.reach_case;
    return row;
}

struct tally {
    size_t ok, failed, flawed;
    size_t codes[FINDING_CODES][RESULT_SIDE_NETWORK + 1];
};

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

    paint_put(paint, color, severity_mark(entry->severity, paint->style->unicode));
    paint_to(paint, PAINT_INDENT);
    paint_count_right(paint, PAINT_BOLD, (int64_t)line->count, PAINT_INDENT + 5);
    paint_put(paint, PAINT_PLAIN, " ");
    paint_put(paint, color, entry->name);
    if (side)
        paint_printf(paint, PAINT_PLAIN, " (%s)", side);
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_wrap(paint, PAINT_PLAIN, PAINT_INDENT + 6, entry->title);
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
    cleanup(mem) struct ranked_row *rows = calloc(report->result_count, sizeof *rows);
    bool reach = report->results[0]->type == RESULT_REACH;
    size_t count = 0;

    if (!rows)
        return error_sys(error, ENOMEM, "cannot sort the results");
    for (size_t i = 0; i < report->result_count; i++) {
        struct ranked_row row = row_of(about, report->results[i], i);
        if (!paint->style->quiet || row.failed || row.code != FINDING_NONE)
            rows[count++] = row;
    }
    show_ranked(paint, reach ? &reach_table : &probe_table, rows, count);
    if (!paint->style->quiet)
        paint_newline(paint);
    show_totals(paint, report, about);
    return 0;
}
