#include "report/cases.h"

#include "report/fields.h"
#include <errno.h>

static void add_problem(struct report_cases *cases, struct report_case *item,
                        struct report_problem problem)
{
    struct report_problem *problems =
        arena_grow(&cases->arena, item->problems, item->problem_count, sizeof problem);

    if (!problems)
        return;
    item->problems = problems;
    problems[item->problem_count++] = problem;
}

static struct report_problem of_finding(const struct finding *finding)
{
    const struct finding_entry *entry = finding_entry(finding->code);

    return (struct report_problem){.code = finding->code,
                                   .severity = finding->severity,
                                   .message = finding->summary ? finding->summary : entry->title,
                                   .remedy = finding->remedy,
                                   .side = result_side_name(finding->side),
                                   .count = finding->count,
                                   .cost_ns = finding->cost_ns};
}

static struct report_problem of_error(const struct result_error *error)
{
    const struct finding_entry *entry = finding_entry(error->code);

    return (struct report_problem){.code = error->code,
                                   .severity = FINDING_ERROR,
                                   .message = error->message ? error->message : entry->title,
                                   .remedy = entry->remedy,
                                   .count = 1,
                                   .cost_ns = RESULT_UNKNOWN};
}

static struct report_case *add_case(struct report_cases *cases, const char *name,
                                    const struct result *result)
{
    struct report_case *items =
        arena_grow(&cases->arena, cases->items, cases->count, sizeof *items);

    if (!items)
        return NULL;
    cases->items = items;
    items[cases->count] = (struct report_case){.name = name, .result = result};
    return &items[cases->count++];
}

/* A case of its own for a result. */
static void case_of_result(struct report_cases *cases, const struct report *report,
                           const struct result *result)
{
    struct report_kind kind = report_kind_of(result);
    struct report_case *item = add_case(cases, kind.name, result);
    bool told = false;

    for (size_t i = 0; item && i < report->findings.count; i++) {
        const struct finding *finding = &report->findings.items[i];
        if (finding->severity < FINDING_WARNING || !report_concerns(report, finding, result))
            continue;
        told |= finding->code == kind.error->code;
        add_problem(cases, item, of_finding(finding));
    }
    if (item && !told && (!kind.ok || kind.error->code != FINDING_NONE))
        add_problem(cases, item, of_error(kind.error));
}

/* What is about no single result. */
static void case_of_the_rest(struct report_cases *cases, const struct report *report)
{
    struct report_case *item = NULL;

    for (size_t i = 0; i < report->findings.count; i++) {
        const struct finding *finding = &report->findings.items[i];
        bool told = finding->severity < FINDING_WARNING;
        for (size_t r = 0; r < report->result_count && !told; r++)
            told = report_concerns(report, finding, report->results[r]);
        if (told)
            continue;
        item = item ? item : add_case(cases, "the whole run", NULL);
        if (item)
            add_problem(cases, item, of_finding(finding));
    }
}

int cases_of(struct report_cases *out, const struct report *report, struct error *error)
{
    *out = (struct report_cases){0};
    for (size_t i = 0; i < report->result_count; i++)
        case_of_result(out, report, report->results[i]);
    case_of_the_rest(out, report);
    for (size_t i = 0; i < out->count; i++)
        out->failed += out->items[i].problem_count > 0;
    if (!out->arena.failed)
        return 0;
    cases_free(out);
    return error_sys(error, ENOMEM, "cannot list the cases");
}

void cases_free(struct report_cases *cases)
{
    arena_free(&cases->arena);
    *cases = (struct report_cases){0};
}
