/* From the cells of the matrix to its tables. */
#include "scenario/crash/crash_matrix.h"

#include "base/cleanup.h"
#include "base/units.h"
#include <string.h>

static const struct result_scenario *find(const struct report *report, int64_t family, int row,
                                          int column)
{
    const char *name = scenario_crash_matrix.items[row * CRASH_FATES + column]->name;

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_scenario *cell = &report->results[i]->scenario;
        if (report->results[i]->type == RESULT_SCENARIO && cell->family == family &&
            !strcmp(cell->scenario, name))
            return cell;
    }
    return NULL;
}

/* ---- What stands in a cell ---- */

static const char *text_of(const struct result_scenario *cell, const char *key)
{
    const struct result_value *value = result_get(&cell->summary, key);
    return value && value->kind == RESULT_TEXT ? value->text : "?";
}

static const char *duration_of(struct arena *arena, const struct result_scenario *cell,
                               const char *key)
{
    const struct result_value *value = result_get(&cell->summary, key);
    char text[UNITS_TEXT_MAX];

    if (!value || value->kind != RESULT_INTEGER)
        return "?";
    return arena_copy(arena, units_format_duration(text, sizeof text, value->integer, "us"));
}

static const char *book(struct arena *arena, const struct result_scenario *cell)
{
    (void)arena;
    return cell->book ? cell->book : "-";
}

static const char *told(struct arena *arena, const struct result_scenario *cell)
{
    const char *call = text_of(cell, "call"), *returns = text_of(cell, "returns");

    return strcmp(call, "none") ? arena_printf(arena, "%s: %s", call, returns) : returns;
}

static const char *measured(struct arena *arena, const struct result_scenario *cell)
{
    const char *when = text_of(cell, "when"), *after = duration_of(arena, cell, "after_ns");

    if (!strcmp(when, "never"))
        return when;
    if (!strcmp(when, "at once"))
        return arena_printf(arena, "at once: %s", after);
    return arena_printf(arena, "%s (%s)", after, duration_of(arena, cell, "predicted_ns"));
}

static const char *here(struct arena *arena, const struct result_scenario *cell)
{
    const char *when = text_of(cell, "when");

    return strcmp(when, "by a timer") ? when : duration_of(arena, cell, "this_host_ns");
}

static const struct {
    const char *name, *title;
    const char *(*text)(struct arena *arena, const struct result_scenario *cell);
} tables[] = {
    {"book", "What the book says (reboots and user timeouts apart)", book},
    {"told", "Which call tells, and what it returns", told},
    {"after", "After how long, with the settings of the lab (and as predicted)", measured},
    {"this_host", "After how long with this host's settings", here},
};

/* ---- The overview of a family ---- */

static void crash_fill_overview(struct report *report, int64_t family, size_t which,
                                struct result_table *table)
{
    struct arena *arena = &report->arena;

    table->rows = arena_alloc(arena, CRASH_SITUATIONS * sizeof *table->rows);
    if (!table->rows)
        return;
    table->name = tables[which].name;
    table->title = tables[which].title;
    table->row_count = CRASH_SITUATIONS;
    for (int row = 0; row < CRASH_SITUATIONS; row++) {
        result_set_text(arena, &table->rows[row], "we_are", crash_situations[row]);
        for (int column = 0; column < CRASH_FATES; column++) {
            const struct result_scenario *cell = find(report, family, row, column);
            result_set_text(arena, &table->rows[row], crash_fates[column],
                            cell ? tables[which].text(arena, cell) : NULL);
        }
    }
}

static void count(struct report *report, int64_t family, struct result_scenario *overview)
{
    int64_t ok = 0, differ = 0, all = 0;

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_scenario *cell = &report->results[i]->scenario;
        if (cell->overview || cell->family != family)
            continue;
        all++;
        ok += cell->verdict == RESULT_OK;
        differ += cell->verdict == RESULT_DIFFERS;
    }
    result_set_integer(&report->arena, &overview->expected, "cells_ok", all);
    result_set_integer(&report->arena, &overview->observed, "cells_ok", ok);
    if (ok == all)
        return;
    overview->verdict = differ ? RESULT_DIFFERS : RESULT_INCONCLUSIVE;
    overview->why = differ ? "Some cells are not as expected; their own results say why."
                           : "Some cells are inconclusive; their own results say why.";
    overview->error = (struct result_error){
        .code = differ ? FINDING_SCENARIO_DIFFERS : FINDING_INCONCLUSIVE, .message = overview->why};
}

static void add_overview(struct report *report, int64_t family, int64_t duration_ns)
{
    struct result *result = report_add(report, RESULT_SCENARIO);
    struct result_table *filled = arena_alloc(&report->arena, ARRAY_SIZE(tables) * sizeof *filled);

    if (!result || !filled)
        return;
    result->scenario = (struct result_scenario){
        .name = family == 4 ? "matrix (IPv4)" : "matrix (IPv6)",
        .scenario = "matrix",
        .family = family,
        .title = "what we are doing, times what becomes of the peer",
        .overview = true,
        .duration_ns = duration_ns,
        .attempts = 1,
        .runs = 1,
        .tables = filled,
        .table_count = ARRAY_SIZE(tables),
    };
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        crash_fill_overview(report, family, i, &filled[i]);
    count(report, family, &result->scenario);
}

void crash_matrix_tables(struct report *report)
{
    size_t cells = report->result_count;

    for (int64_t family = 4; family <= 6; family += 2) {
        int64_t longest_ns = 0;
        bool any = false;
        for (size_t i = 0; i < cells; i++) {
            const struct result_scenario *cell = &report->results[i]->scenario;
            any |= cell->family == family;
            if (cell->family == family && cell->duration_ns > longest_ns)
                longest_ns = cell->duration_ns;
        }
        if (any)
            add_overview(report, family, longest_ns);
    }
}
