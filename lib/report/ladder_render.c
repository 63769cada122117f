#include "report/ladder_render.h"

#include "base/clock.h"
#include "report/fields.h"
#include "report/paint.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int ladder_render(struct buf *out, enum ladder_format format, const struct ladder *ladder,
                  const struct report_style *style, struct error *error)
{
    static void (*const renderers[LADDER_FORMATS])(struct buf *, const struct ladder *,
                                                   const struct report_style *) = {
        [LADDER_TEXT] = ladder_text, [LADDER_MERMAID] = ladder_mermaid, [LADDER_SVG] = ladder_svg};
    static const struct report_style plain = {0};

    if (format == LADDER_NONE || format >= LADDER_FORMATS)
        return error_set(error, EINVAL, "no such form of diagram: %d", (int)format);
    renderers[format](out, ladder, style ? style : &plain);
    return out->failed ? error_sys(error, ENOMEM, "cannot draw the ladder") : 0;
}

/* ---- What a report has to draw */

/* What a source's texts live in. */
struct picture {
    struct ladder_source source;
    struct buf title, client, server;
};

static void cleanup_picture(struct picture *picture)
{
    buf_free(&picture->title);
    buf_free(&picture->client);
    buf_free(&picture->server);
}

static bool slow_round(struct picture *picture, const struct result_probe *probe)
{
    char duration[32];

    if (!probe->slow_round)
        return false;
    buf_printf(&picture->title, "%s: one slow round", probe->target ? probe->target : "?");
    if (probe->slow_round_ns != RESULT_UNKNOWN)
        buf_printf(&picture->title, " of %s",
                   report_duration(duration, sizeof duration, probe->slow_round_ns, true));
    report_put_address(&picture->server, probe->address, probe->port);
    picture->source = (struct ladder_source){.events = probe->slow_round->events,
                                             .count = probe->slow_round->count,
                                             .lost = probe->slow_round->dropped};
    return true;
}

static bool lab_run(struct picture *picture, const struct result_lab *lab)
{
    const struct result_connection_list *list = &lab->connections;

    picture->source = (struct ladder_source){.events = lab->events,
                                             .count = lab->event_count,
                                             .lost = lab->events_lost,
                                             .connection = (uint32_t)lab->shown_connection};
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].number != lab->shown_connection || !list->items[i].client)
            continue;
        buf_add_str(&picture->client, list->items[i].client);
        buf_add_str(&picture->server, list->items[i].server);
    }
    if (list->count > 1)
        buf_printf(&picture->title,
                   "connection %" PRId64 "; --connection N draws another of the %zu",
                   lab->shown_connection, list->count);
    return true;
}

static bool scenario_run(struct picture *picture, const struct result_scenario *scenario)
{
    if (!scenario->event_count)
        return false;
    picture->source = (struct ladder_source){
        .events = scenario->events, .count = scenario->event_count, .lost = scenario->events_lost};
    if (scenario->name && scenario->title)
        buf_printf(&picture->title, "%s: %s", scenario->name, scenario->title);
    return true;
}

static bool tries(struct picture *picture, const struct result_reach *reach)
{
    if (!reach->strip || !reach->strip->count)
        return false;
    buf_printf(&picture->title, "%s: %s", reach->target, reach->reach_case);
    if (reach->try_count > 1)
        buf_printf(&picture->title, ", %zu tries", reach->try_count);
    report_put_address(&picture->server, reach->address, reach->port);
    picture->source = (struct ladder_source){.events = reach->strip->events,
                                             .count = reach->strip->count,
                                             .lost = reach->strip->dropped};
    return true;
}

static const char *text_or_null(const struct buf *text)
{
    return text->len_bytes ? buf_str(text) : NULL;
}

/* False when the result kept nothing to draw. */
static bool picture_of(struct picture *picture, const struct result *result)
{
    bool any = false;

    switch (result->type) {
    case RESULT_PROBE:
        any = slow_round(picture, &result->probe);
        break;
    case RESULT_LAB:
        any = lab_run(picture, &result->lab);
        break;
    case RESULT_MACHINE: /* no conversation */
    case RESULT_LISTENER:
    case RESULT_SCHEDULE:
        break;
    case RESULT_REACH:
        any = tries(picture, &result->reach);
        break;
    case RESULT_SCENARIO:
        any = scenario_run(picture, &result->scenario);
        break;
    }
    picture->source.title = text_or_null(&picture->title);
    picture->source.client = text_or_null(&picture->client);
    picture->source.server = text_or_null(&picture->server);
    return any;
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
    struct ladder_source all = *source;

    (void)format;
    all.connection = 0;
    return ladder_timeline(out, &all, style, error);
}

static int each_picture(struct buf *out, enum ladder_format format, const struct report *report,
                        const struct report_style *style, draw_function *draw, struct error *error)
{
    size_t drawn = 0;

    for (size_t i = 0; i < report->result_count; i++) {
        cleanup(picture) struct picture picture = {0};
        if (!picture_of(&picture, report->results[i]))
            continue;
        if (drawn++)
            buf_add_char(out, '\n');
        int rc = draw(out, format, &picture.source, style, error);
        if (rc || format != LADDER_TEXT)
            return rc;
    }
    return drawn ? 0 : error_set(error, ENOENT, "no round was kept, so there is nothing to draw");
}

int report_ladder(struct buf *out, enum ladder_format format, const struct report *report,
                  const struct report_style *style, struct error *error)
{
    return each_picture(out, format, report, style, draw_ladder, error);
}

int report_timeline(struct buf *out, const struct report *report, const struct report_style *style,
                    struct error *error)
{
    return each_picture(out, LADDER_TEXT, report, style, draw_timeline, error);
}
