#include "report/ladder_render.h"

#include "base/clock.h"
#include "report/fields.h"
#include "report/paint.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Beyond this a picture counts in seconds. */
#define SECONDS_FROM_NS (10 * NS_PER_SEC)

const char *ladder_time(char *out, size_t size, int64_t at_ns, int64_t span_ns)
{
    int64_t unit_ns = span_ns < SECONDS_FROM_NS ? NS_PER_MS : NS_PER_SEC;
    snprintf(out, size, "%.3f", (double)at_ns / (double)unit_ns);
    return out;
}

const char *ladder_time_unit(int64_t span_ns)
{
    return span_ns < SECONDS_FROM_NS ? "ms" : "s";
}

const char *const *ladder_format_names(void)
{
    static const char *const names[LADDER_FORMATS + 1] = {
        [LADDER_TEXT] = "text", [LADDER_MERMAID] = "mermaid", [LADDER_SVG] = "svg"};
    return names;
}

enum ladder_format ladder_format_by_name(const char *name)
{
    enum ladder_format format = LADDER_TEXT;

    while (format < LADDER_FORMATS && strcmp(ladder_format_names()[format], name))
        format++;
    return format;
}

int ladder_render(struct buf *out, enum ladder_format format, const struct ladder *ladder,
                  const struct report_style *style, struct error *error)
{
    static void (*const renderers[LADDER_FORMATS])(struct buf *, const struct ladder *,
                                                   const struct report_style *) = {
        [LADDER_TEXT] = ladder_text, [LADDER_MERMAID] = ladder_mermaid, [LADDER_SVG] = ladder_svg};
    static const struct report_style plain = {0};

    if (format >= LADDER_FORMATS)
        return error_set(error, EINVAL, "no such form of diagram: %d", (int)format);
    renderers[format](out, ladder, style ? style : &plain);
    return out->failed ? error_sys(error, ENOMEM, "cannot draw the ladder") : 0;
}

/* ---- The slow rounds of a report */

/* The source of a result's slow round; false when none was kept. Title and server belong to the
 * buffers. */
static bool slow_round(const struct result *result, struct ladder_source *source, struct buf *title,
                       struct buf *server)
{
    char duration[32];

    switch (result->type) {
    case RESULT_PROBE: {
        const struct result_probe *probe = &result->probe;
        if (!probe->slow_round)
            return false;
        buf_printf(title, "%s: one slow round", probe->target ? probe->target : "?");
        if (probe->slow_round_ns != RESULT_UNKNOWN)
            buf_printf(title, " of %s",
                       report_duration(duration, sizeof duration, probe->slow_round_ns, true));
        if (probe->address)
            buf_printf(server, strchr(probe->address, ':') ? "[%s]:%" PRId64 : "%s:%" PRId64,
                       probe->address, probe->port);
        *source = (struct ladder_source){.events = probe->slow_round->events,
                                         .count = probe->slow_round->count,
                                         .lost = probe->slow_round->dropped,
                                         .title = buf_str(title),
                                         .server = server->len_bytes ? buf_str(server) : NULL};
        return true;
    }
    case RESULT_MACHINE: /* no conversation */
        break;
    }
    return false;
}

typedef int draw_function(struct buf *out, enum ladder_format format,
                          const struct ladder_source *source, const struct report_style *style,
                          struct error *error);

static int draw_ladder(struct buf *out, enum ladder_format format,
                       const struct ladder_source *source, const struct report_style *style,
                       struct error *error)
{
    cleanup(ladder) struct ladder ladder = {0};
    int rc = ladder_build(&ladder, source, error);
    return rc ? rc : ladder_render(out, format, &ladder, style, error);
}

static int draw_timeline(struct buf *out, enum ladder_format format,
                         const struct ladder_source *source, const struct report_style *style,
                         struct error *error)
{
    (void)format;
    return ladder_timeline(out, source, style, error);
}

static int each_slow_round(struct buf *out, enum ladder_format format, const struct report *report,
                           const struct report_style *style, draw_function *draw,
                           struct error *error)
{
    size_t drawn = 0;

    for (size_t i = 0; i < report->result_count; i++) {
        cleanup(buf) struct buf title = {0}, server = {0};
        struct ladder_source source;
        if (!slow_round(report->results[i], &source, &title, &server))
            continue;
        if (drawn++)
            buf_add_char(out, '\n');
        int rc = draw(out, format, &source, style, error);
        if (rc || format != LADDER_TEXT)
            return rc;
    }
    return drawn ? 0 : error_set(error, ENOENT, "no round was kept, so there is nothing to draw");
}

int report_ladder(struct buf *out, enum ladder_format format, const struct report *report,
                  const struct report_style *style, struct error *error)
{
    return each_slow_round(out, format, report, style, draw_ladder, error);
}

int report_timeline(struct buf *out, const struct report *report, const struct report_style *style,
                    struct error *error)
{
    return each_slow_round(out, LADDER_TEXT, report, style, draw_timeline, error);
}
