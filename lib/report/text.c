/* The text report: each result with what was found about it, then what concerns the whole, then
 * notes. The verdict stands last, where the reader's eye and the prompt are. */
#include "report/text.h"

#include "base/units.h"
#include "report/fields.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define INDENT 2

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

static bool ends_with(const char *key, const char *ending)
{
    size_t key_len = strlen(key), len = strlen(ending);
    return key_len > len && !strcmp(key + key_len - len, ending);
}

/* "arm_p50_ns" is "arm p50". */
void put_key(struct buf *out, const char *key)
{
    cleanup(buf) struct buf words = {0};

    buf_add_str(&words, key);
    if (ends_with(key, "_ns"))
        words.data[words.len_bytes -= strlen("_ns")] = '\0';
    for (char *p = words.data; p && *p; p++)
        *p = *p == '_' ? ' ' : *p;
    buf_add_str(out, buf_str(&words));
}

static void put_integer(struct buf *out, const char *key, int64_t value)
{
    char text[UNITS_TEXT_MAX];

    if (value == RESULT_UNKNOWN)
        buf_add_char(out, '?');
    else if (ends_with(key, "_ns"))
        buf_add_str(out, report_duration(text, sizeof text, value, true));
    else if (ends_with(key, "_bytes"))
        buf_add_str(out, units_format_size(text, sizeof text, value));
    else
        buf_printf(out, "%" PRId64, value);
}

void put_value(struct buf *out, const struct result_value *value)
{
    switch (value->kind) {
    case RESULT_NULL:
        buf_add_char(out, '?');
        return;
    case RESULT_BOOL:
        buf_add_str(out, value->flag ? "yes" : "no");
        return;
    case RESULT_INTEGER:
        put_integer(out, value->key, value->integer);
        return;
    case RESULT_REAL:
        buf_printf(out, "%.4g", value->real);
        return;
    case RESULT_TEXT:
        buf_add_str(out, value->text ? value->text : "?");
        return;
    case RESULT_RANGE:
        put_integer(out, value->key, value->range.min);
        buf_add_str(out, " to ");
        put_integer(out, value->key, value->range.max);
        return;
    case RESULT_TEXTS:
        for (size_t i = 0; i < value->texts.count; i++)
            buf_printf(out, "%s%s", i ? ", " : "", value->texts.items[i]);
        return;
    }
}

void show_map(struct paint *paint, int indent, const struct result_map *map)
{
    int widest = 0;

    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < map->count; i++) {
            cleanup(buf) struct buf key = {0}, value = {0};
            put_key(&key, map->values[i].key);
            int width = text_width(buf_str(&key));
            widest = width > widest && width < paint->width / 2 ? width : widest;
            if (!pass)
                continue;
            put_value(&value, &map->values[i]);
            paint->out->failed |= key.failed || value.failed;
            paint_to(paint, indent);
            paint_put(paint, PAINT_DIM, buf_str(&key));
            paint_to(paint, indent + widest + 2);
            paint_wrap(paint, PAINT_PLAIN, indent + widest + 2, buf_str(&value));
        }
}

/* "The server has to change something. 41.2 ms each, 38 times: 1.57 s in all." */
static void put_stakes(struct buf *out, const struct finding *finding)
{
    char cost[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX];
    const char *side = result_side_name(finding->side);

    if (side && finding->severity >= FINDING_WARNING)
        buf_printf(out, "The %s has to change. ", side);
    if (finding->cost_ns == RESULT_UNKNOWN || finding->cost_ns <= 0) {
        if (finding->count > 1)
            buf_printf(out, "Seen %" PRId64 " times.", finding->count);
        return;
    }
    report_duration(cost, sizeof cost, finding->cost_ns, true);
    if (finding->count <= 1) {
        buf_printf(out, "It cost %s.", cost);
        return;
    }
    double all_ns = (double)finding->cost_ns * (double)finding->count;
    report_duration(total, sizeof total, all_ns < 9e18 ? (int64_t)all_ns : INT64_MAX, true);
    buf_printf(out, "It cost %s × %" PRId64 " = %s.", cost, finding->count, total);
}

/* "  What to do  text that wraps under itself" */
static void labelled(struct paint *paint, const char *label, const char *text)
{
    if (!text || !*text)
        return;
    paint_to(paint, INDENT);
    paint_put(paint, PAINT_DIM, label);
    paint_to(paint, INDENT + 12);
    paint_wrap(paint, PAINT_PLAIN, INDENT + 12, text);
}

void show_finding(struct paint *paint, const struct finding *finding)
{
    const struct finding_entry *entry = finding_entry(finding->code);
    enum paint_color color = severity_color(finding->severity);
    cleanup(buf) struct buf stakes = {0};

    put_stakes(&stakes, finding);
    paint->out->failed |= stakes.failed;
    paint_put(paint, color, severity_mark(finding->severity, paint->style->unicode));
    paint_put(paint, PAINT_PLAIN, " ");
    paint_put(paint, color, entry->name);
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_wrap(paint, PAINT_BOLD, INDENT, entry->title);
    if (stakes.len_bytes)
        labelled(paint,
                 finding->side && finding->severity >= FINDING_WARNING ? "whose" : "how much",
                 buf_str(&stakes));
    if (finding->summary && strcmp(finding->summary, entry->title))
        labelled(paint, "what", finding->summary);
    if (finding->severity >= FINDING_WARNING)
        labelled(paint, "what to do", finding->remedy);
    if (!paint->style->verbose)
        return;
    labelled(paint, "why", entry->explanation);
    labelled(paint, "connection", finding->connection);
    if (finding->evidence.count) {
        paint_to(paint, INDENT);
        paint_put(paint, PAINT_DIM, "evidence");
        paint_newline(paint);
        show_map(paint, INDENT + 2, &finding->evidence);
    }
}

/* What failed, as a finding that was not made. */
static struct finding finding_of_error(const struct result_error *error)
{
    const struct finding_entry *entry = finding_entry(error->code);

    return (struct finding){.code = error->code,
                            .severity = FINDING_ERROR,
                            .summary = error->message ? error->message : entry->title,
                            .remedy = entry->remedy,
                            .count = 1,
                            .cost_ns = RESULT_UNKNOWN};
}

static void show_errno(struct paint *paint, int number)
{
    const char *name = number ? error_name(number) : NULL;
    const struct finding_term *term = name ? finding_term_by_name(name) : NULL;

    if (!name)
        return;
    paint_to(paint, INDENT);
    paint_put(paint, PAINT_DIM, "errno");
    paint_to(paint, INDENT + 12);
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
    int most = paint->width / 2;
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
    paint_wrap(paint, PAINT_PLAIN, INDENT, finding->summary ? finding->summary : entry->title);
}

void show_ok(struct paint *paint)
{
    const struct finding_entry *entry = finding_entry(FINDING_NONE);

    paint_put(paint, PAINT_GREEN, paint->style->unicode ? "✓ ok" : "ok");
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_put(paint, PAINT_BOLD, entry->title);
    paint_newline(paint);
    paint_to(paint, INDENT);
    paint_wrap(paint, PAINT_PLAIN, INDENT, entry->explanation);
}

/* Calls `visit` for each, the most severe first. Returns how many are of warning or above. */
static size_t each_finding(struct about_list list,
                           void (*visit)(void *context, const struct finding *finding),
                           void *context)
{
    size_t count = 0;

    for (size_t i = 0; i < list.count; i++) {
        visit(context, list.entries[i].finding);
        count += list.entries[i].finding->severity >= FINDING_WARNING;
    }
    return count;
}

struct full {
    struct paint *paint;
    const struct result_error *error; /* of the result, or NULL */
};

static void visit_fully(void *context, const struct finding *finding)
{
    struct full *full = context;

    paint_newline(full->paint);
    show_finding(full->paint, finding);
    if (full->error && full->error->code == finding->code)
        show_errno(full->paint, full->error->number);
}

struct quiet {
    struct paint *paint;
    const char *name;
};

static void visit_quietly(void *context, const struct finding *finding)
{
    struct quiet *quiet = context;
    if (finding->severity >= FINDING_WARNING)
        show_verdict_line(quiet->paint, quiet->name, finding);
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
    struct quiet quiet = {paint, kind.name};
    struct finding nothing = {.code = FINDING_NONE};
    bool failed = kind.error->code != FINDING_NONE && !failure_is_told(list, result);

    if (failed) {
        struct finding failure = finding_of_error(kind.error);
        show_verdict_line(paint, kind.name, &failure);
    }
    if (!each_finding(list, visit_quietly, &quiet) && !failed)
        show_verdict_line(paint, kind.name, &nothing);
}

static void result_fully(struct paint *paint, struct about_list list, const struct result *result)
{
    const struct result_error *error = report_kind_of(result).error;
    bool failed = error->code != FINDING_NONE;
    struct full full = {paint, error};

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
    if (!each_finding(list, visit_fully, &full) && !failed && result->type != RESULT_SCENARIO) {
        paint_newline(paint);
        show_ok(paint);
    }
}

static void note(struct paint *paint, const char *text)
{
    paint_put(paint, PAINT_DIM, "note: ");
    paint_wrap(paint, PAINT_DIM, 6, text);
}

static void list_notes(struct paint *paint, const char *const *notes, size_t count)
{
    if (count)
        paint_newline(paint);
    for (size_t i = 0; i < count; i++)
        note(paint, notes[i]);
}

static void notes(struct paint *paint, const struct result *result)
{
    switch (result->type) {
    case RESULT_PROBE:
        list_notes(paint, result->probe.notes, result->probe.note_count);
        break;
    case RESULT_LAB:
        list_notes(paint, result->lab.notes, result->lab.note_count);
        break;
    case RESULT_MACHINE:
    case RESULT_REACH:
    case RESULT_SCHEDULE:
        break;
    case RESULT_SCENARIO:
        list_notes(paint, result->scenario.notes, result->scenario.note_count);
        break;
    case RESULT_LISTENER:
        list_notes(paint, result->listener.notes, result->listener.note_count);
        break;
    }
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
    notes(paint, result);
}

static bool all_are(const struct report *report, enum result_type type)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (report->results[i]->type != type)
            return false;
    return true;
}

int report_render_text(struct buf *out, const struct report *report,
                       const struct report_style *style, struct error *error)
{
    struct paint paint = paint_begin(out, style);
    struct full all = {.paint = &paint};
    struct quiet whole = {&paint, report->command ? report->command : "netkit"};
    bool reach = all_are(report, RESULT_REACH);
    bool several = report->result_count > 1 && (reach || all_are(report, RESULT_PROBE));
    bool many = several && report->result_count > TEXT_BLOCKS_MAX && !style->verbose;
    cleanup(about) struct about about = {0};
    int rc = about_build(&about, report, error);

    if (!rc && many)
        rc = reach ? show_many_reach(&paint, report, &about, error)
                   : show_many(&paint, report, &about, error);
    if (rc)
        return rc;
    many = many || show_scenarios(&paint, report);
    for (size_t i = 0; i < report->result_count && !many; i++) {
        const struct result *result = report->results[i];
        if (result->type == RESULT_LISTENER && !shows_listener(&paint, report, &result->listener))
            continue;
        show_result(&paint, about_result(&about, result), result, !out->len_bytes);
    }
    show_summary(&paint, report);
    if (style->quiet)
        each_finding(about_rest(&about), visit_quietly, &whole);
    else
        each_finding(about_rest(&about), visit_fully, &all);
    if (several && !many && !style->quiet) {
        paint_newline(&paint);
        show_totals(&paint, report, &about);
    }
    show_machine(&paint, report);
    rc = show_listeners(&paint, report, error);
    if (rc)
        return rc;
    show_checks(&paint, &report->checks);
    if (!report->result_count && !report->findings.count)
        note(&paint, "Nothing was measured.");
    if (report->interrupted && !style->quiet) {
        paint_newline(&paint);
        note(&paint, "Interrupted: this is what was measured until then.");
    }
    return out->failed ? error_sys(error, ENOMEM, "cannot write the report") : 0;
}
