#include "report/report.h"

#include "report/cases.h"
#include "report/json.h"
#include "report/prometheus.h"
#include "report/report_text.h"
#include <errno.h>
#include <string.h>

typedef int render_function(struct buf *out, const struct report *report,
                            const struct report_style *style, struct error *error);

static render_function *const renderers[REPORT_FORMATS] = {
    [REPORT_TEXT] = report_render_text,     [REPORT_JSON] = report_render_json,
    [REPORT_NDJSON] = report_render_ndjson, [REPORT_JUNIT] = report_render_junit,
    [REPORT_TAP] = report_render_tap,       [REPORT_PROMETHEUS] = report_render_prometheus,
};

const char *const *report_format_names(void)
{
    static const char *const names[REPORT_FORMATS + 1] = {
        [REPORT_TEXT] = "text",   [REPORT_JSON] = "json", [REPORT_NDJSON] = "ndjson",
        [REPORT_JUNIT] = "junit", [REPORT_TAP] = "tap",   [REPORT_PROMETHEUS] = "prometheus",
    };
    return names;
}

enum report_format report_format_by_name(const char *name)
{
    enum report_format format = REPORT_TEXT;

    while (format < REPORT_FORMATS && strcmp(report_format_names()[format], name))
        format++;
    return format;
}

int report_render(struct buf *out, enum report_format format, const struct report *report,
                  const struct report_style *style, struct error *error)
{
    static const struct report_style plain = {0};

    if (format >= REPORT_FORMATS)
        return error_set(error, EINVAL, "no such report format: %d", (int)format);
    return renderers[format](out, report, style ? style : &plain, error);
}
