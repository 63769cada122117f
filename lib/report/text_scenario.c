/* Scenarios: what was reproduced, what the book says of it, and what this kernel did. */
#include "report/report_text.h"

#include "base/text.h"
#include "report/fields.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL_COLUMN 12
#define FULL_MAX     2 /* results in full, unless verbose */
#define FLAGS_MAX    40

static enum paint_color verdict_color(enum result_verdict verdict)
{
    switch (verdict) {
    case RESULT_OK:
        return PAINT_GREEN;
    case RESULT_DIFFERS:
        return PAINT_RED;
    case RESULT_INCONCLUSIVE:
        return PAINT_YELLOW;
    case RESULT_UNSUPPORTED:
        return PAINT_DIM;
    }
    return PAINT_PLAIN;
}

static const char *verdict_mark(enum result_verdict verdict, bool unicode)
{
    switch (verdict) {
    case RESULT_OK:
        return unicode ? "✓" : "ok";
    case RESULT_DIFFERS:
        return unicode ? "✗" : "x";
    case RESULT_INCONCLUSIVE:
        return "?";
    case RESULT_UNSUPPORTED:
        return "-";
    }
    return "?";
}

static void put_mark(struct paint *paint, enum result_verdict verdict)
{
    paint_put(paint, verdict_color(verdict), verdict_mark(verdict, paint->style->unicode));
    paint_put(paint, PAINT_PLAIN, " ");
}

/* ---- Expected and observed */

static bool same(const struct result_value *expected, const struct result_value *observed)
{
    return observed && result_value_matches(expected, observed);
}

static void show_pair(struct paint *paint, const struct result_value *expected,
                      const struct result_value *observed)
{
    cleanup(buf) struct buf line = {0};
    bool good = same(expected, observed);

    if (observed)
        put_value(&line, observed);
    else
        buf_add_char(&line, '?');
    if (!good || expected->kind == RESULT_RANGE) {
        buf_add_str(&line, good ? " (expected " : ", expected ");
        put_value(&line, expected);
        buf_add_str(&line, good ? ")" : "");
    }
    paint_wrap(paint, good ? PAINT_PLAIN : PAINT_RED, paint->column, buf_str(&line));
    paint->out->failed |= line.failed;
}

static int key_width(const struct result_map *map)
{
    int widest = 0;

    for (size_t i = 0; i < map->count; i++) {
        cleanup(buf) struct buf key = {0};
        put_key(&key, map->values[i].key);
        int width = text_width(buf_str(&key));
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void put_name(struct paint *paint, const char *key, int column)
{
    cleanup(buf) struct buf words = {0};

    put_key(&words, key);
    paint_put(paint, PAINT_DIM, buf_str(&words));
    if (paint->column >= column)
        paint_put(paint, PAINT_PLAIN, " ");
    paint_to(paint, column);
    paint->out->failed |= words.failed;
}

static void show_expectations(struct paint *paint, const struct result_scenario *scenario)
{
    int widest = key_width(&scenario->expected), other = key_width(&scenario->observed);
    int column = LABEL_COLUMN + (widest > other ? widest : other) + 4;

    if (column > paint->width / 2)
        column = paint->width / 2;
    for (size_t i = 0; i < scenario->expected.count; i++) {
        const struct result_value *expected = &scenario->expected.values[i];
        const struct result_value *observed = result_get(&scenario->observed, expected->key);
        bool good = same(expected, observed);
        paint_label(paint, LABEL_COLUMN, i ? "" : "checked");
        put_mark(paint, good ? RESULT_OK : RESULT_DIFFERS);
        put_name(paint, expected->key, column);
        show_pair(paint, expected, observed);
    }
    bool first = true;
    for (size_t i = 0; i < scenario->observed.count; i++) {
        const struct result_value *observed = &scenario->observed.values[i];
        cleanup(buf) struct buf value = {0};
        if (observed->kind == RESULT_NULL || result_get(&scenario->expected, observed->key))
            continue;
        paint_label(paint, LABEL_COLUMN, first ? "also seen" : "");
        first = false;
        put_name(paint, observed->key, column);
        put_value(&value, observed);
        paint_wrap(paint, PAINT_PLAIN, column, buf_str(&value));
        paint->out->failed |= value.failed;
    }
}

/* ---- Times */

static void show_timings(struct paint *paint, const struct result_scenario *scenario)
{
    struct arena arena = {0};
    struct result_map *rows = arena_alloc(&arena, (scenario->timing_count + 1) * sizeof *rows);

    for (size_t i = 0; rows && i < scenario->timing_count; i++) {
        const struct result_timing *timing = &scenario->timings[i];
        bool both = timing->predicted_ns != RESULT_UNKNOWN && timing->measured_ns != RESULT_UNKNOWN;
        result_set_text(&arena, &rows[i], "when", timing->what);
        result_set_integer(&arena, &rows[i], "predicted_ns", timing->predicted_ns);
        result_set_integer(&arena, &rows[i], "measured_ns", timing->measured_ns);
        result_set_integer(&arena, &rows[i], "deviation_ns",
                           both ? timing->measured_ns - timing->predicted_ns : RESULT_UNKNOWN);
        result_set_integer(&arena, &rows[i], "with_this_host's_settings_ns", timing->host_ns);
    }
    if (rows && scenario->timing_count) {
        paint_newline(paint);
        show_table(paint, PAINT_INDENT, rows, scenario->timing_count);
    }
    paint->out->failed |= arena.failed;
    arena_free(&arena);
}

static void show_tables(struct paint *paint, const struct result_scenario *scenario)
{
    for (size_t i = 0; i < scenario->table_count; i++) {
        const struct result_table *table = &scenario->tables[i];
        paint_newline(paint);
        paint_to(paint, PAINT_INDENT);
        paint_wrap(paint, PAINT_BOLD, PAINT_INDENT, table->title ? table->title : table->name);
        show_table(paint, PAINT_INDENT, table->rows, table->row_count);
    }
}

/* ---- One in full */

static void headline(struct paint *paint, const struct result_scenario *scenario)
{
    char text[32];

    put_mark(paint, scenario->verdict);
    paint_put(paint, PAINT_BOLD, scenario->name);
    report_duration(text, sizeof text, scenario->duration_ns, true);
    cleanup(buf) struct buf right = {0};
    buf_printf(&right, "%s, %s", result_verdict_name(scenario->verdict), text);
    paint_right(paint, PAINT_DIM, buf_str(&right), paint->width);
    paint_newline(paint);
    paint_to(paint, PAINT_INDENT);
    paint_wrap(paint, PAINT_PLAIN, PAINT_INDENT, scenario->title);
    paint->out->failed |= right.failed;
}

static void show_outcomes(struct paint *paint, const struct result_scenario *scenario)
{
    for (size_t i = 0; scenario->runs > 1 && i < scenario->outcome_count; i++) {
        cleanup(buf) struct buf line = {0};
        buf_printf(&line, "%" PRId64 " of %" PRId64 ": %s", scenario->outcomes[i].count,
                   scenario->runs, scenario->outcomes[i].text);
        paint_labelled(paint, LABEL_COLUMN, i ? "" : "outcomes", buf_str(&line));
        paint->out->failed |= line.failed;
    }
}

void show_scenario(struct paint *paint, const struct result_scenario *scenario)
{

    headline(paint, scenario);
    paint_newline(paint);
    paint_labelled(paint, LABEL_COLUMN, "book", scenario->book);
    paint_labelled(paint, LABEL_COLUMN, "here", scenario->here);
    if (scenario->why)
        paint_labelled(paint, LABEL_COLUMN, scenario->differs_from_book ? "differs" : "why",
                       scenario->why);
    show_exchange(paint, LABEL_COLUMN, &scenario->flags, FLAGS_MAX, 0, &scenario->client_states,
                  &scenario->server_states);
    show_expectations(paint, scenario);
    show_outcomes(paint, scenario);
    show_timings(paint, scenario);
    show_tables(paint, scenario);
}

/* ---- Many */

static void scenario_row(struct paint *paint, const struct result_scenario *scenario, int column)
{
    char text[32];

    put_mark(paint, scenario->verdict);
    paint_put(paint, PAINT_PLAIN, scenario->name);
    paint_right(paint, PAINT_DIM, report_duration(text, sizeof text, scenario->duration_ns, true),
                column + 8);
    paint_to(paint, column + 10);
    paint_put(paint, PAINT_PLAIN, scenario->title);
    paint_newline(paint);
    if (scenario->outcome_count > 1)
        show_outcomes(paint, scenario);
}

/* What the failures amount to, each once: the scenarios have said the rest. */
static void show_codes(struct paint *paint, const struct report *report)
{
    bool shown[FINDING_CODES] = {false};

    for (size_t i = 0; i < report->result_count; i++) {
        enum finding_code code = report->results[i]->scenario.error.code;
        if (code == FINDING_NONE || shown[code])
            continue;
        const struct result_error error = {.code = code};
        shown[code] = true;
        paint_newline(paint);
        show_failure(paint, &error);
    }
}

/* Why a scenario was not run; once for both address families. */
static void show_unsupported(struct paint *paint, const struct report *report)
{
    const char *last = "";

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_scenario *scenario = &report->results[i]->scenario;
        cleanup(buf) struct buf line = {0};
        if (scenario->verdict != RESULT_UNSUPPORTED || !strcmp(last, scenario->scenario))
            continue;
        if (!*last)
            paint_newline(paint);
        last = scenario->scenario;
        buf_printf(&line, "- %s: %s", last, scenario->why ? scenario->why : "not on this kernel");
        paint_to(paint, PAINT_INDENT);
        paint_wrap(paint, PAINT_PLAIN, PAINT_INDENT, buf_str(&line));
        paint->out->failed |= line.failed;
    }
}

static bool has_overview(const struct report *report)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (report->results[i]->type == RESULT_SCENARIO && report->results[i]->scenario.overview)
            return true;
    return false;
}

static void show_overviews(struct paint *paint, const struct report *report)
{
    for (size_t i = 0; i < report->result_count; i++) {
        if (!report->results[i]->scenario.overview)
            continue;
        paint_newline(paint);
        show_scenario(paint, &report->results[i]->scenario);
    }
}

/* The last line. */
static void show_score(struct paint *paint, size_t ok, size_t unsupported, size_t all, bool failed)
{
    paint_newline(paint);
    paint_printf(paint, failed ? PAINT_RED : PAINT_GREEN,
                 "%zu of %zu scenarios did what was expected", ok, all - unsupported);
    if (unsupported)
        paint_printf(paint, PAINT_PLAIN, "; this kernel cannot show %zu", unsupported);
    paint_newline(paint);
}

bool show_scenarios(struct paint *paint, const struct report *report)
{
    int column = 0;
    size_t ok = 0, unsupported = 0, all = 0;
    bool failed = false, overview = has_overview(report);

    if (paint->style->verbose || paint->style->quiet || report->result_count <= FULL_MAX)
        return false;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_scenario *scenario = &report->results[i]->scenario;
        if (report->results[i]->type != RESULT_SCENARIO)
            return false;
        int width = text_width(scenario->name) + 2;
        column = width > column ? width : column;
        all += !scenario->overview;
        ok += !scenario->overview && scenario->verdict == RESULT_OK;
        unsupported += !scenario->overview && scenario->verdict == RESULT_UNSUPPORTED;
    }
    for (size_t i = 0; i < report->result_count && !overview; i++)
        scenario_row(paint, &report->results[i]->scenario, column);
    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_scenario *scenario = &report->results[i]->scenario;
        if (!result_verdict_fails(scenario->verdict) || scenario->overview)
            continue;
        failed = true;
        paint_newline(paint);
        show_scenario(paint, scenario);
    }
    show_unsupported(paint, report);
    show_overviews(paint, report);
    show_codes(paint, report);
    show_score(paint, ok, unsupported, all, failed);
    return true;
}

/* ---- The summary of all */

static const struct result_scenario *summarised(const struct report *report, size_t i)
{
    const struct result *result = i < report->result_count ? report->results[i] : NULL;

    return result && result->type == RESULT_SCENARIO && result->scenario.summary.count
               ? &result->scenario
               : NULL;
}

static bool of_one_family(const struct report *report)
{
    int64_t family = 0;

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_scenario *scenario = summarised(report, i);
        if (scenario && family && scenario->family != family)
            return false;
        family = scenario ? scenario->family : family;
    }
    return true;
}

/* The same scenario over the other family, which came out the same. */
static bool same_row(const struct result_scenario *a, const struct result_scenario *b)
{
    if (!b || strcmp(a->scenario, b->scenario) || a->summary.count != b->summary.count ||
        a->differs_from_book != b->differs_from_book)
        return false;
    for (size_t i = 0; i < a->summary.count; i++) {
        const struct result_value *other = result_get(&b->summary, a->summary.values[i].key);
        if (!other || !result_value_matches(&a->summary.values[i], other))
            return false;
    }
    return true;
}

static void summary_row(struct arena *arena, struct result_map *row,
                        const struct result_scenario *scenario, const char *name)
{
    result_set_text(arena, row, "scenario",
                    scenario->differs_from_book ? arena_printf(arena, "%s*", name) : name);
    for (size_t v = 0; v < scenario->summary.count; v++)
        result_copy(arena, row, &scenario->summary.values[v]);
}

/* Why what bears a star is not as the book has it. */
static void show_stars(struct paint *paint, const struct report *report)
{
    const char *last = "";

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_scenario *scenario = summarised(report, i);
        cleanup(buf) struct buf line = {0};
        if (!scenario || !scenario->differs_from_book || !strcmp(last, scenario->scenario))
            continue;
        if (!*last)
            paint_newline(paint);
        last = scenario->scenario;
        buf_printf(&line, "* %s: %s", last, scenario->why ? scenario->why : "not as the book says");
        paint_wrap(paint, PAINT_PLAIN, PAINT_INDENT, buf_str(&line));
        paint->out->failed |= line.failed;
    }
}

void show_summary(struct paint *paint, const struct report *report)
{
    struct arena arena = {0};
    struct result_map *rows = arena_alloc(&arena, (report->result_count + 1) * sizeof *rows);
    size_t count = 0, all = 0;
    bool one = of_one_family(report);

    for (size_t i = 0; rows && i < report->result_count; i++) {
        const struct result_scenario *scenario = summarised(report, i);
        if (!scenario)
            continue;
        bool both = same_row(scenario, summarised(report, i + 1));
        summary_row(&arena, &rows[count++], scenario,
                    both || one ? scenario->scenario : scenario->name);
        all += both ? 2 : 1;
        i += both;
    }
    if (all > 1 && !paint->style->quiet) {
        if (!has_overview(report)) {
            paint_newline(paint);
            show_table(paint, 0, rows, count);
        }
        show_stars(paint, report);
    }
    paint->out->failed |= arena.failed;
    arena_free(&arena);
}
