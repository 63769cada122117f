/* Every event on a line of its own. Nothing is left out or merged: this is for the reader who does
 * not believe the ladder. */
#include "report/ladder_render.h"

#include "base/text.h"
#include "report/fields.h"
#include "report/label.h"
#include "report/paint.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WHO_COLUMN  14
#define WHAT_COLUMN 22

static const char *who(const struct trace_event *event)
{
    switch (event->side) {
    case TRACE_CLIENT:
        return "client";
    case TRACE_SERVER:
        return "server";
    case TRACE_WIRE:
        return "wire";
    }
    return "?";
}

static void segment_text(struct buf *out, struct label_memory *memory,
                         const struct trace_event *event)
{
    const struct trace_segment *segment = &event->segment;
    cleanup(buf) struct buf fate = {0};
    char delay[32];

    buf_add_str(out, segment->fate == TRACE_MADE ? (segment->from_client ? "W>S " : "W>C ")
                     : segment->from_client      ? "C>S "
                                                 : "S>C ");
    label_segment(out, memory, event, NULL);
    label_fate(&fate, segment, event->at_real_ns);
    if (fate.len_bytes)
        buf_printf(out, ", %s", buf_str(&fate));
    if (segment->fault)
        buf_printf(out, ", fault %" PRIu32, segment->fault);
    if (segment->fate != TRACE_HELD && segment->departed_real_ns != CLOCK_NONE &&
        segment->departed_real_ns > event->at_real_ns)
        buf_printf(out, ", left the wire after %s",
                   report_duration(delay, sizeof delay,
                                   segment->departed_real_ns - event->at_real_ns, true));
}

static void event_text(struct buf *out, struct label_memory *memory,
                       const struct trace_event *event, bool many)
{
    if (many && event->connection)
        buf_printf(out, "#%" PRIu32 " ", event->connection);
    switch (event->kind) {
    case TRACE_CALL:
        label_call(out, &event->call);
        if (event->call.pid)
            buf_printf(out, "  fd %" PRId32, event->call.fd);
        return;
    case TRACE_STAMP:
        label_stamp(out, &event->stamp);
        return;
    case TRACE_STATE:
        label_state(out, &event->state);
        return;
    case TRACE_SEGMENT:
        segment_text(out, memory, event);
        return;
    case TRACE_MARK:
        text_escape(out, event->text, strnlen(event->text, sizeof event->text));
        return;
    }
}

struct range {
    int64_t start_ns, span_ns;
    bool many; /* several connections: each line names its own */
};

static void timeline_row(struct paint *paint, struct label_memory *memory,
                         const struct trace_event *event, const struct range *range)
{
    char time[LADDER_TIME_MAX];
    cleanup(buf) struct buf what = {0};

    event_text(&what, memory, event, range->many);
    paint->out->failed |= what.failed;
    paint_right(paint, PAINT_DIM,
                ladder_time(time, sizeof time, event->at_real_ns - range->start_ns, range->span_ns),
                WHO_COLUMN - 2);
    paint_to(paint, WHO_COLUMN);
    paint_put(paint, PAINT_CYAN, who(event));
    paint_to(paint, WHAT_COLUMN);
    paint_wrap(paint, PAINT_PLAIN, WHAT_COLUMN + 2, buf_str(&what));
}

static void timeline_table(struct paint *paint, struct label_memory *memory,
                           const struct trace_event *events, size_t count,
                           const struct ladder_source *source)
{
    struct range range = {.many = ladder_has_many(events, count)};

    if (count) {
        range.start_ns = events[0].at_real_ns;
        range.span_ns = events[count - 1].at_real_ns - range.start_ns;
    }
    if (source->title)
        paint_wrap(paint, PAINT_BOLD, 0, source->title);
    paint_right(paint, PAINT_DIM, ladder_time_unit(range.span_ns), WHO_COLUMN - 2);
    paint_to(paint, WHO_COLUMN);
    paint_put(paint, PAINT_DIM, "who");
    paint_to(paint, WHAT_COLUMN);
    paint_put(paint, PAINT_DIM, "what");
    paint_newline(paint);
    for (size_t i = 0; i < count; i++)
        timeline_row(paint, memory, &events[i], &range);
    if (!count)
        paint_wrap(paint, PAINT_DIM, 0, "Nothing was recorded.");
    if (source->lost) {
        paint_printf(paint, PAINT_DIM, "%zu events did not fit and are missing.", source->lost);
        paint_newline(paint);
    }
}

int ladder_timeline(struct buf *out, const struct ladder_source *source,
                    const struct report_style *style, struct error *error)
{
    static const struct report_style plain = {0};
    size_t count;
    cleanup(mem) struct trace_event *events = ladder_events(source, &count);
    cleanup(mem) struct label_memory *memory = calloc(1, sizeof *memory);
    struct paint paint = paint_begin(out, style ? style : &plain);

    if (events && memory)
        timeline_table(&paint, memory, events, count, source);
    if (!events || !memory || out->failed)
        return error_sys(error, ENOMEM, "cannot write the timeline");
    return 0;
}
