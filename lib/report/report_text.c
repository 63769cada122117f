/* The text report: each result with what was found about it, then what concerns the whole, then
 * notes. The verdict stands last, where the reader's eye and the prompt are. */
#include "report/report_text.h"

#include "report/fields.h"
#include <errno.h>
#include <string.h>

/* Each of a list, the most severe first; quietly the verdicts only. `error` is the result's, or
 * NULL. Returns how many are of warning or above. */
static size_t show_findings(struct paint *paint, struct about_list list, const char *name,
                            const struct result_error *error)
{
    size_t count = 0;

    for (size_t i = 0; i < list.count; i++) {
        const struct finding *finding = list.entries[i].finding;
        bool counts = finding->severity >= FINDING_WARNING;
        count += counts;
        if (paint->style->quiet) {
            if (counts)
                show_verdict_line(paint, name, finding);
            continue;
        }
        paint_newline(paint);
        show_finding(paint, finding);
        if (error && error->code == finding->code)
            show_errno(paint, error->number);
    }
    return count;
}

/* Whether a finding already says why the result failed. */
static bool failure_is_told(struct about_list list, const struct result *result)
{
    for (size_t i = 0; i < list.count; i++)
        if (list.entries[i].finding->code == report_kind_of(result).error->code)
            return true;
    return false;
}

static void result_quietly(struct paint *paint, struct about_list list, const struct result *result)
{
    struct report_kind kind = report_kind_of(result);
    struct finding nothing = {.code = FINDING_NONE};
    bool failed = kind.error->code != FINDING_NONE && !failure_is_told(list, result);

    if (failed) {
        struct finding failure = finding_of_error(kind.error);
        show_verdict_line(paint, kind.name, &failure);
    }
    if (!show_findings(paint, list, kind.name, NULL) && !failed)
        show_verdict_line(paint, kind.name, &nothing);
}

static void result_fully(struct paint *paint, struct about_list list, const struct result *result)
{
    const struct result_error *error = report_kind_of(result).error;
    bool failed = error->code != FINDING_NONE;

    switch (result->type) {
    case RESULT_PROBE:
        show_probe(paint, &result->probe);
        break;
    case RESULT_LAB:
        show_lab(paint, &result->lab);
        break;
    case RESULT_MACHINE: /* show_machine() has all of them */
        break;
    case RESULT_REACH:
        show_reach(paint, &result->reach);
        break;
    case RESULT_SCHEDULE:
        show_schedule(paint, &result->schedule);
        return;
    case RESULT_SCENARIO:
        show_scenario(paint, &result->scenario);
        break;
    case RESULT_LISTENER:
        show_listener(paint, &result->listener);
        break;
    }
    if (failed && !failure_is_told(list, result)) {
        paint_newline(paint);
        show_failure(paint, error);
    }
    if (!show_findings(paint, list, NULL, error) && !failed && result->type != RESULT_SCENARIO) {
        paint_newline(paint);
        show_ok(paint);
    }
}

static void show_note(struct paint *paint, const char *text)
{
    paint_put(paint, PAINT_DIM, "note: ");
    paint_wrap(paint, PAINT_DIM, 6, text);
}

static void show_notes(struct paint *paint, const struct result *result)
{
    struct report_kind kind = report_kind_of(result);

    if (kind.note_count)
        paint_newline(paint);
    for (size_t i = 0; i < kind.note_count; i++)
        show_note(paint, kind.notes[i]);
}

static void show_result(struct paint *paint, struct about_list list, const struct result *result,
                        bool first)
{
    if (result->type == RESULT_MACHINE)
        return;
    if (paint->style->quiet) {
        result_quietly(paint, list, result);
        return;
    }
    if (!first)
        paint_newline(paint);
    result_fully(paint, list, result);
    show_notes(paint, result);
}

static bool all_are(const struct report *report, enum result_type type)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (report->results[i]->type != type)
            return false;
    return true;
}

/* Blocks of listeners that would be alike are one, with a row for each of the others. */
static int show_results(struct paint *paint, const struct report *report, const struct about *about,
                        struct error *error)
{
    cleanup(mem) size_t *first = NULL;
    bool joined = !paint->style->verbose && !paint->style->quiet;
    int rc = join_listeners(&first, report, about, error);

    for (size_t i = 0; !rc && i < report->result_count; i++) {
        const struct result *result = report->results[i];
        bool listener = result->type == RESULT_LISTENER;
        if (listener &&
            (!shows_listener(paint, report, &result->listener) || (joined && first[i] != i)))
            continue;
        show_result(paint, about_result(about, result), result, !paint->out->len_bytes);
        if (listener && joined)
            rc = show_joined(paint, report, first, i, error);
    }
    return rc;
}

int report_render_text(struct buf *out, const struct report *report,
                       const struct report_style *style, struct error *error)
{
    struct paint paint = paint_begin(out, style);
    bool reach = all_are(report, RESULT_REACH);
    bool several = report->result_count > 1 && (reach || all_are(report, RESULT_PROBE));
    bool many = several && report->result_count > TEXT_BLOCKS_MAX && !style->verbose;
    cleanup(about) struct about about = {0};
    int rc = about_build(&about, report, error);

    if (!rc && many)
        rc = show_many(&paint, report, &about, error);
    if (rc)
        return rc;
    many = many || show_scenarios(&paint, report);
    if (!many)
        rc = show_results(&paint, report, &about, error);
    if (rc)
        return rc;
    show_summary(&paint, report);
    show_findings(&paint, about_rest(&about), report->command ? report->command : "netkit", NULL);
    if (several && !many && !style->quiet) {
        paint_newline(&paint);
        show_totals(&paint, report, &about);
    }
    show_machine(&paint, report);
    rc = show_listeners(&paint, report, error);
    if (rc)
        return rc;
    show_checks(&paint, &report->checks);
    if (report->hint && !style->quiet) {
        paint_newline(&paint);
        paint_wrap(&paint, PAINT_DIM, 0, report->hint);
    }
    if (!report->result_count && !report->findings.count)
        show_note(&paint, "Nothing was measured.");
    if (report->interrupted && !style->quiet) {
        paint_newline(&paint);
        show_note(&paint, "Interrupted: this is what was measured up to then.");
    }
    return out->failed ? error_sys(error, ENOMEM, "cannot write the report") : 0;
}
