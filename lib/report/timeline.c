/* Every event on a line of its own. Nothing is left out or merged: this is for the reader who does
 * not believe the ladder. */
#include "report/ladder.h"

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
    size_t count;
};

static bool wanted(const struct ladder_source *source, const struct trace_event *event)
{
    return !source->connection || !event->connection || event->connection == source->connection;
}

static struct range survey(const struct trace_event *sorted, const struct ladder_source *source)
{
    struct range range = {0};
    uint32_t connection = 0;

    for (size_t i = 0; i < source->count; i++) {
        const struct trace_event *event = &sorted[i];
        if (!wanted(source, event))
            continue;
        if (!range.count++)
            range.start_ns = event->at_real_ns;
        range.span_ns = event->at_real_ns - range.start_ns;
        range.many |= connection && event->connection && event->connection != connection;
        connection = event->connection ? event->connection : connection;
    }
    return range;
}

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
                           const struct trace_event *events, const struct ladder_source *source)
{
    struct range range = survey(events, source);

    if (source->title)
        paint_wrap(paint, PAINT_BOLD, 0, source->title);
    paint_right(paint, PAINT_DIM, ladder_time_unit(range.span_ns), WHO_COLUMN - 2);
    paint_to(paint, WHO_COLUMN);
    paint_put(paint, PAINT_DIM, "who");
    paint_to(paint, WHAT_COLUMN);
    paint_put(paint, PAINT_DIM, "what");
    paint_newline(paint);
    for (size_t i = 0; i < source->count; i++)
        if (wanted(source, &events[i]))
            timeline_row(paint, memory, &events[i], &range);
    if (!range.count)
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
    cleanup(mem) struct trace_event *sorted = calloc(source->count + 1, sizeof *sorted);
    cleanup(mem) struct label_memory *memory = calloc(1, sizeof *memory);
    struct paint paint = paint_begin(out, style ? style : &plain);

    if (sorted && memory) {
        if (source->count)
            memcpy(sorted, source->events, source->count * sizeof *sorted);
        out->failed |= trace_sort(sorted, source->count) != 0;
        timeline_table(&paint, memory, sorted, source);
    }
    if (!sorted || !memory || out->failed)
        return error_sys(error, ENOMEM, "cannot write the timeline");
    return 0;
}
