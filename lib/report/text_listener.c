/* The queues of a listener over a watch; of many listeners the fullest; the counters. */
#include "report/text.h"

#include "base/units.h"
#include "diagnosis/listener.h"
#include "report/fields.h"
#include "report/spark.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define INDENT       2
#define VALUE_COLUMN 17
#define ROWS_MAX     10 /* of listeners without a block */
#define NUMBER_WIDTH 10

static void label(struct paint *paint, const char *text)
{
    paint_to(paint, INDENT);
    paint_put(paint, PAINT_DIM, text);
    paint_to(paint, VALUE_COLUMN);
}

static void show_queue(struct paint *paint, const char *name, const struct result_queue *queue)
{
    enum paint_color color = queue->full ? PAINT_RED : PAINT_PLAIN;

    label(paint, name);
    if (queue->most == RESULT_UNKNOWN) {
        paint_put(paint, PAINT_DIM, "not known");
        paint_newline(paint);
        return;
    }
    paint_printf(paint, color, "%" PRId64 " of %" PRId64, queue->most, queue->capacity);
    paint_printf(paint, PAINT_PLAIN, " at most, %" PRId64 " at the end", queue->last);
    if (queue->full)
        paint_printf(paint, PAINT_PLAIN, "; full in %" PRId64 " of %" PRId64 " samples",
                     queue->full, queue->samples);
    paint_newline(paint);
}

/* "120", "between 3 and 120", "3 or more", "at most 120"; nothing when nothing is known. */
static bool put_bounds(struct paint *paint, const struct result_bounds *bounds)
{
    bool least = bounds->least != RESULT_UNKNOWN, most = bounds->most != RESULT_UNKNOWN;

    if (least && most && bounds->least >= bounds->most)
        paint_printf(paint, PAINT_PLAIN, "%" PRId64, bounds->least);
    else if (most && (!least || !bounds->least))
        paint_printf(paint, PAINT_PLAIN, "at most %" PRId64, bounds->most);
    else if (least && most)
        paint_printf(paint, PAINT_PLAIN, "between %" PRId64 " and %" PRId64, bounds->least,
                     bounds->most);
    else if (least)
        paint_printf(paint, PAINT_PLAIN, "%" PRId64 " or more", bounds->least);
    return least || most;
}

static void show_bounds(struct paint *paint, const char *name, const struct result_bounds *bounds,
                        int64_t watched_ns)
{
    label(paint, name);
    if (!put_bounds(paint, bounds))
        paint_put(paint, PAINT_DIM, "not known");
    else if (bounds->least == bounds->most && bounds->most && watched_ns > 0)
        paint_printf(paint, PAINT_PLAIN, ", %.3g a second",
                     (double)bounds->most / (double)watched_ns * (double)NS_PER_SEC);
    paint_newline(paint);
}

static void show_chart(struct paint *paint, const struct result_listener *listener)
{
    int64_t dropped = 0;

    if (!listener->chart_count)
        return;
    label(paint, "over time");
    for (size_t i = 0; i < listener->chart_count; i++) {
        const struct result_chart_column *column = &listener->chart[i];
        bool full = column->most >= listener->accept_queue.capacity;
        paint_put(
            paint, full ? PAINT_RED : PAINT_CYAN,
            report_spark(column->most, listener->accept_queue.capacity, paint->style->unicode));
        dropped += column->drops;
    }
    paint_newline(paint);
    if (!dropped)
        return;
    label(paint, "drops");
    for (size_t i = 0; i < listener->chart_count; i++)
        if (listener->chart[i].drops)
            paint_to(paint, VALUE_COLUMN + (int)i), paint_put(paint, PAINT_RED, "x");
    paint_newline(paint);
}

void show_listener(struct paint *paint, const struct result_listener *listener)
{
    char time[UNITS_TEXT_MAX];
    cleanup(buf) struct buf right = {0};

    paint_put(paint, PAINT_BOLD, listener->listener ? listener->listener : "?");
    if (listener->process)
        paint_printf(paint, PAINT_PLAIN, "  %s", listener->process);
    if (listener->pid != RESULT_UNKNOWN)
        paint_printf(paint, PAINT_DIM, " (%" PRId64 ")", listener->pid);
    buf_printf(&right, "watched %s, %" PRId64 " samples",
               report_duration(time, sizeof time, listener->watched_ns, paint->style->unicode),
               listener->accept_queue.samples);
    paint->out->failed |= right.failed;
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_right(paint, PAINT_DIM, buf_str(&right), paint->width);
    paint_newline(paint);
    show_queue(paint, "accept queue", &listener->accept_queue);
    show_queue(paint, "half-open", &listener->half_open);
    show_bounds(paint, "arrived", &listener->arrived, listener->watched_ns);
    show_bounds(paint, "accepted", &listener->accepted, listener->watched_ns);
    if (listener->drops.most)
        show_bounds(paint, "dropped", &listener->drops, 0);
    show_chart(paint, listener);
}

/* ---- many ---- */

static size_t listeners_of(const struct report *report)
{
    size_t count = 0;

    for (size_t i = 0; i < report->result_count; i++)
        count += report->results[i]->type == RESULT_LISTENER;
    return count;
}

bool shows_listener(const struct paint *paint, const struct report *report,
                    const struct result_listener *listener)
{
    return !listener->ok || paint->style->verbose ||
           (report->result_count <= TEXT_BLOCKS_MAX && listeners_of(report) <= TEXT_BLOCKS_MAX);
}

static double fill_of(const struct result_listener *listener)
{
    return listener->accept_queue.capacity > 0
               ? (double)listener->accept_queue.most / (double)listener->accept_queue.capacity
               : 0;
}

static int fullest_first(const void *a, const void *b)
{
    const struct result_listener *const *x = a, *const *y = b;
    double p = fill_of(*x), q = fill_of(*y);

    return p == q
               ? strcmp((*x)->listener ? (*x)->listener : "", (*y)->listener ? (*y)->listener : "")
               : (p < q) - (p > q);
}

static void show_row(struct paint *paint, const struct result_listener *listener)
{
    char text[48];

    paint_to(paint, INDENT);
    paint_middle(paint, PAINT_PLAIN, listener->listener ? listener->listener : "?",
                 paint->width / 2 - INDENT);
    paint_to(paint, paint->width / 2);
    snprintf(text, sizeof text, "%" PRId64, listener->accept_queue.most);
    paint_right(paint, PAINT_PLAIN, text, paint->column + NUMBER_WIDTH);
    snprintf(text, sizeof text, "%" PRId64, listener->accept_queue.capacity);
    paint_right(paint, PAINT_PLAIN, text, paint->column + NUMBER_WIDTH);
    snprintf(text, sizeof text, "%" PRId64, listener->half_open.most);
    paint_right(paint, PAINT_PLAIN, listener->half_open.most == RESULT_UNKNOWN ? "?" : text,
                paint->column + NUMBER_WIDTH);
    paint_newline(paint);
}

static void show_rest(struct paint *paint, const struct result_listener *fullest, size_t count,
                      size_t shown)
{
    paint_put(paint, PAINT_GREEN, paint->style->unicode ? "✓ ok" : "ok");
    paint_printf(paint, PAINT_PLAIN, "  %zu %slistener%s%s", count, shown ? "more " : "",
                 count == 1 ? "" : "s",
                 fullest->accept_queue.most ? "" : ", whose queues were never seen filled");
    paint_newline(paint);
}

static void show_rows(struct paint *paint, const struct result_listener **others, size_t count)
{
    size_t busy = 0;

    while (busy < count && busy < ROWS_MAX && others[busy]->accept_queue.most > 0)
        busy++;
    paint_newline(paint);
    if (busy) {
        paint_to(paint, INDENT);
        paint_put(paint, PAINT_DIM, "nothing stands out at");
        paint_to(paint, paint->width / 2);
        paint_right(paint, PAINT_DIM, "queued", paint->column + NUMBER_WIDTH);
        paint_right(paint, PAINT_DIM, "of", paint->column + NUMBER_WIDTH);
        paint_right(paint, PAINT_DIM, "half-open", paint->column + NUMBER_WIDTH);
        paint_newline(paint);
    }
    for (size_t i = 0; i < busy; i++)
        show_row(paint, others[i]);
    if (count > busy)
        show_rest(paint, others[busy], count - busy, busy);
}

static void show_counters(struct paint *paint, const struct result_map *counters)
{
    cleanup(buf) struct buf still = {0};

    paint_newline(paint);
    paint_put(paint, PAINT_BOLD, "Counters of the network namespace");
    paint_newline(paint);
    for (int i = 0; i < LISTENER_COUNTERS; i++) {
        const char *name = listener_counter_name((enum listener_counter)i);
        const struct result_value *value = result_get(counters, name);
        char text[32];
        if (!value)
            continue;
        if (value->kind != RESULT_INTEGER || !value->integer) {
            buf_printf(&still, "%s%s%s", still.len_bytes ? ", " : "", name,
                       value->kind == RESULT_INTEGER ? "" : " (not known)");
            continue;
        }
        snprintf(text, sizeof text, "+%" PRId64, value->integer);
        paint_right(paint, PAINT_PLAIN, text, INDENT + NUMBER_WIDTH);
        paint_printf(paint, PAINT_BOLD, "  %s", name);
        paint_put(paint, PAINT_PLAIN, "  ");
        paint_wrap(paint, PAINT_PLAIN, INDENT + NUMBER_WIDTH + 2,
                   listener_counter_meaning((enum listener_counter)i));
    }
    paint->out->failed |= still.failed;
    if (!still.len_bytes)
        return;
    paint_right(paint, PAINT_DIM, "0", INDENT + NUMBER_WIDTH);
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_wrap(paint, PAINT_DIM, INDENT + NUMBER_WIDTH + 2, buf_str(&still));
}

int show_listeners(struct paint *paint, const struct report *report, struct error *error)
{
    size_t count = listeners_of(report), left = 0;

    if (!count)
        return 0;
    cleanup(mem) const struct result_listener **others = calloc(count, sizeof *others);
    if (!others)
        return error_sys(error, ENOMEM, "cannot write the report");
    const struct result_map *counters = NULL;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_listener *listener = &report->results[i]->listener;
        if (report->results[i]->type != RESULT_LISTENER)
            continue;
        counters = &listener->counters;
        if (!shows_listener(paint, report, listener))
            others[left++] = listener;
    }
    qsort(others, left, sizeof *others, fullest_first);
    if (left && paint->style->quiet)
        show_rest(paint, others[0], left, 0);
    if (paint->style->quiet)
        return 0;
    if (left)
        show_rows(paint, others, left);
    show_counters(paint, counters);
    return 0;
}
