/* Findings, as blocks and as lines. */
#include "report/report_text.h"

#include "base/units.h"
#include "report/fields.h"
#include <inttypes.h>
#include <string.h>

#define LABEL_COLUMN (PAINT_INDENT + 12)

enum paint_color severity_color(enum finding_severity severity)
{
    switch (severity) {
    case FINDING_INFO:
        return PAINT_CYAN;
    case FINDING_WARNING:
        return PAINT_YELLOW;
    case FINDING_ERROR:
        return PAINT_RED;
    }
    return PAINT_PLAIN;
}

const char *severity_mark(enum finding_severity severity, bool unicode)
{
    switch (severity) {
    case FINDING_INFO:
        return unicode ? "ℹ" : "i";
    case FINDING_WARNING:
        return unicode ? "▲" : "!";
    case FINDING_ERROR:
        return unicode ? "✗" : "x";
    }
    return "?";
}

/* "The server must change. It cost 41.2 ms × 38 = 1.57 s." Returns the label before it. */
static const char *put_stakes(struct buf *out, const struct finding *finding)
{
    char cost[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX];
    const char *side =
        finding->severity >= FINDING_WARNING ? result_side_name(finding->side) : NULL;
    bool costly = finding->cost_ns != RESULT_UNKNOWN && finding->cost_ns > 0;

    if (side)
        buf_printf(out, "The %s must change.%s", side, costly ? " It cost " : "");
    if (!costly && finding->count > 1)
        buf_printf(out, "%s%" PRId64 " times%s", side ? " Seen " : "", finding->count,
                   side ? "." : "");
    if (costly)
        buf_add_str(out, report_duration(cost, sizeof cost, finding->cost_ns, true));
    if (costly && finding->count > 1) {
        double all_ns = (double)finding->cost_ns * (double)finding->count;
        report_duration(total, sizeof total, all_ns < 9e18 ? (int64_t)all_ns : INT64_MAX, true);
        buf_printf(out, " × %" PRId64 " = %s", finding->count, total);
    }
    if (costly && side)
        buf_add_char(out, '.');
    return side ? "side" : costly ? "cost" : "seen";
}

void show_finding(struct paint *paint, const struct finding *finding)
{
    const struct finding_entry *entry = finding_entry(finding->code);
    enum paint_color color = severity_color(finding->severity);
    cleanup(buf) struct buf stakes = {0};

    const char *label = put_stakes(&stakes, finding);
    paint->out->failed |= stakes.failed;
    paint_put(paint, color, severity_mark(finding->severity, paint->style->unicode));
    paint_put(paint, PAINT_PLAIN, " ");
    paint_put(paint, color, entry->name);
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_wrap(paint, PAINT_BOLD, PAINT_INDENT, entry->title);
    paint_labelled(paint, LABEL_COLUMN, label, buf_str(&stakes));
    if (finding->summary && strcmp(finding->summary, entry->title))
        paint_labelled(paint, LABEL_COLUMN, "what", finding->summary);
    if (finding->severity >= FINDING_WARNING)
        paint_labelled(paint, LABEL_COLUMN, "what to do", finding->remedy);
    if (!paint->style->verbose)
        return;
    paint_labelled(paint, LABEL_COLUMN, "why", entry->explanation);
    paint_labelled(paint, LABEL_COLUMN, "connection", finding->connection);
    if (finding->evidence.count) {
        paint_to(paint, PAINT_INDENT);
        paint_put(paint, PAINT_DIM, "evidence");
        paint_newline(paint);
        show_map(paint, PAINT_INDENT + 2, &finding->evidence);
    }
}

/* What failed, as a finding that was not made. */
struct finding finding_of_error(const struct result_error *error)
{
    const struct finding_entry *entry = finding_entry(error->code);

    return (struct finding){.code = error->code,
                            .severity = FINDING_ERROR,
                            .summary = error->message ? error->message : entry->title,
                            .remedy = entry->remedy,
                            .count = 1,
                            .cost_ns = RESULT_UNKNOWN};
}

void show_errno(struct paint *paint, int number)
{
    const char *name = number ? error_name(number) : NULL;
    const struct finding_term *term = name ? finding_term_by_name(name) : NULL;

    if (!name)
        return;
    paint_label(paint, LABEL_COLUMN, "errno");
    paint_put(paint, PAINT_PLAIN, name);
    if (term)
        paint_printf(paint, PAINT_PLAIN, ": %s", term->title);
    paint_newline(paint);
}

void show_failure(struct paint *paint, const struct result_error *error)
{
    struct finding finding = finding_of_error(error);

    show_finding(paint, &finding);
    show_errno(paint, error->number);
}

void show_verdict_line(struct paint *paint, const char *name, const struct finding *finding)
{
    cleanup(buf) struct buf shown = {0};
    const struct finding_entry *entry = finding_entry(finding->code);
    const char *side = result_side_name(finding->side);

    paint_printable(&shown, name, paint->style->unicode);
    int most = paint->limit / 2;
    if (text_width(buf_str(&shown)) > most)
        paint_printf(paint, PAINT_PLAIN, "%.*s%s: ", (int)paint_bytes(buf_str(&shown), most - 3),
                     buf_str(&shown), paint->style->unicode ? "…" : "...");
    else
        paint_printf(paint, PAINT_PLAIN, "%s: ", buf_str(&shown));
    paint_put(paint,
              finding->code == FINDING_NONE ? PAINT_GREEN : severity_color(finding->severity),
              entry->name);
    if (side)
        paint_printf(paint, PAINT_PLAIN, " (%s)", side);
    paint_put(paint, PAINT_PLAIN, ": ");
    paint_wrap(paint, PAINT_PLAIN, PAINT_INDENT,
               finding->summary ? finding->summary : entry->title);
}

void show_ok(struct paint *paint)
{
    const struct finding_entry *entry = finding_entry(FINDING_NONE);

    paint_put(paint, PAINT_GREEN, paint->style->unicode ? "✓ ok" : "ok");
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_put(paint, PAINT_BOLD, entry->title);
    paint_newline(paint);
    paint_to(paint, PAINT_INDENT);
    paint_wrap(paint, PAINT_PLAIN, PAINT_INDENT, entry->explanation);
}
