/* TAP version 14. Diagnostics are YAML; its strings are written as JSON, which YAML contains. */
#include "report/cases.h"

#include "report/json.h"
#include "report/paint.h"
#include <errno.h>
#include <inttypes.h>

/* A description ends at an unescaped '#'. */
static void description(struct buf *out, const char *text)
{
    cleanup(buf) struct buf printable = {0};

    paint_printable(&printable, text, true);
    out->failed |= printable.failed;
    for (const char *p = buf_str(&printable); *p; p++) {
        if (*p == '#' || *p == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *p);
    }
}

static void yaml_text(struct buf *out, const char *indent, const char *key, const char *text)
{
    json_t *value = report_json_text(text);
    cleanup(mem) char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

    json_decref(value);
    out->failed |= !quoted;
    if (quoted)
        buf_printf(out, "%s%s: %s\n", indent, key, quoted);
}

static void diagnostics(struct buf *out, const struct report_case *item)
{
    buf_add_str(out, "  ---\n  problems:\n");
    for (size_t i = 0; i < item->problem_count; i++) {
        const struct report_problem *problem = &item->problems[i];
        yaml_text(out, "    - ", "code", problem->type);
        yaml_text(out, "      ", "severity", finding_severity_name(problem->severity));
        yaml_text(out, "      ", "side", problem->side);
        yaml_text(out, "      ", "message", problem->message);
        yaml_text(out, "      ", "remedy", problem->remedy);
        buf_printf(out, "      count: %" PRId64 "\n", problem->count);
        if (problem->cost_ns != RESULT_UNKNOWN)
            buf_printf(out, "      cost_ns: %" PRId64 "\n", problem->cost_ns);
    }
    buf_add_str(out, "  ...\n");
}

int report_render_tap(struct buf *out, const struct report *report,
                      const struct report_style *style, struct error *error)
{
    cleanup(cases) struct report_cases cases = {0};
    int rc = cases_of(&cases, report, error);

    (void)style;
    if (rc)
        return rc;
    buf_printf(out, "TAP version 14\n1..%zu%s\n", cases.count,
               cases.count ? "" : " # SKIP nothing was run");
    for (size_t i = 0; i < cases.count; i++) {
        const struct report_case *item = &cases.items[i];
        buf_printf(out, "%s %zu - ", item->problem_count ? "not ok" : "ok", i + 1);
        description(out, item->name);
        if (item->skipped) {
            buf_add_str(out, " # SKIP ");
            description(out, item->skipped);
        }
        buf_add_char(out, '\n');
        if (item->problem_count)
            diagnostics(out, item);
    }
    return out->failed ? error_sys(error, ENOMEM, "cannot write TAP") : 0;
}
