#include "report/cases.h"

#include "report/about.h"
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

    return (struct report_problem){.type = entry->name,
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

    return (struct report_problem){.type = entry->name,
                                   .severity = FINDING_ERROR,
                                   .message = error->message ? error->message : entry->title,
                                   .remedy = entry->remedy,
                                   .count = 1,
                                   .cost_ns = RESULT_UNKNOWN};
}

static struct report_problem of_check(struct arena *arena, const struct result_check *check)
{
    char measured[REPORT_MEASURE_MAX], limit[REPORT_MEASURE_MAX];

    report_measure(measured, sizeof measured, check->unit, check->measured, true);
    report_measure(limit, sizeof limit, check->unit, check->limit, true);
    const char *message =
        check->measured == RESULT_UNKNOWN
            ? arena_printf(arena, "%s is not known; the limit is %s", check->label, limit)
            : arena_printf(arena, "%s is %s; the limit is %s", check->label, measured, limit);
    return (struct report_problem){.type = check->name,
                                   .severity = FINDING_ERROR,
                                   .message = message,
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
static void case_of_result(struct report_cases *cases, const struct about *about,
                           const struct result *result)
{
    struct report_kind kind = report_kind_of(result);
    struct report_case *item = add_case(cases, kind.name, result);
    struct about_list list = about_result(about, result);
    bool told = false;

    if (item && result->type == RESULT_SCENARIO && result->scenario.verdict == RESULT_UNSUPPORTED)
        item->skipped = result->scenario.why ? result->scenario.why : "";
    for (size_t i = 0; item && i < list.count; i++) {
        const struct finding *finding = list.entries[i].finding;
        if (finding->severity < FINDING_WARNING)
            continue;
        told |= finding->code == kind.error->code;
        add_problem(cases, item, of_finding(finding));
    }
    if (item && !told && (kind.error->code != FINDING_NONE || (!kind.ok && !item->problem_count)))
        add_problem(cases, item, of_error(kind.error));
}

/* What is about no single result. */
static void case_of_the_rest(struct report_cases *cases, const struct about *about)
{
    struct about_list list = about_rest(about);
    struct report_case *item = NULL;

    for (size_t i = 0; i < list.count; i++) {
        const struct finding *finding = list.entries[i].finding;
        if (finding->severity < FINDING_WARNING)
            continue;
        item = item ? item : add_case(cases, "the whole run", NULL);
        if (item)
            add_problem(cases, item, of_finding(finding));
    }
}

/* The name has no measurement in it: CI servers follow a case from run to run by its name. */
static void case_of_check(struct report_cases *cases, const struct result_check *check)
{
    const char *name = check->target
                           ? arena_printf(&cases->arena, "%s: %s", check->target, check->name)
                           : check->name;
    struct report_case *item = add_case(cases, name, NULL);

    if (!item)
        return;
    item->check = check;
    if (!check->ok)
        add_problem(cases, item, of_check(&cases->arena, check));
}

int cases_of(struct report_cases *out, const struct report *report, struct error *error)
{
    cleanup(about) struct about about = {0};
    int rc = about_build(&about, report, error);

    *out = (struct report_cases){0};
    if (rc)
        return rc;
    for (size_t i = 0; i < report->result_count; i++)
        case_of_result(out, &about, report->results[i]);
    case_of_the_rest(out, &about);
    for (size_t i = 0; i < report->checks.count; i++)
        case_of_check(out, &report->checks.items[i]);
    for (size_t i = 0; i < out->count; i++) {
        out->failed += out->items[i].problem_count > 0;
        out->skipped += out->items[i].skipped != NULL;
    }
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
