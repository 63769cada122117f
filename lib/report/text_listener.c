/* The queues of a listener over a watch; of many listeners the fullest; the counters. */
#include "report/report_text.h"

#include "base/units.h"
#include "diagnosis/listener.h"
#include "report/fields.h"
#include "report/spark.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_COLUMN 17
#define ROWS_MAX     10 /* of listeners without a block that had something queued */
#define NUMBER_WIDTH 10

static void show_queue(struct paint *paint, const char *name, const struct result_queue *queue)
{
    enum paint_color color = queue->full ? PAINT_RED : PAINT_PLAIN;

    paint_label(paint, VALUE_COLUMN, name);
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

/* Clients that have gone wait for accept() like the others. */
static void show_gone(struct paint *paint, const struct result_listener *listener)
{
    if (listener->gone == RESULT_UNKNOWN || listener->gone <= 0)
        return;
    paint_label(paint, VALUE_COLUMN, "clients gone");
    paint_printf(paint, PAINT_PLAIN, "%" PRId64 " of those queued, at most", listener->gone);
    paint_newline(paint);
}

static void show_bounds(struct paint *paint, const char *name, const struct result_bounds *bounds,
                        int64_t watched_ns)
{
    paint_label(paint, VALUE_COLUMN, name);
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
    paint_label(paint, VALUE_COLUMN, "over time");
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
    paint_label(paint, VALUE_COLUMN, "drops");
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
    show_gone(paint, listener);
    show_queue(paint, "half-open", &listener->half_open);
    show_bounds(paint, "arrived", &listener->arrived, listener->watched_ns);
    show_bounds(paint, "accepted", &listener->accepted, listener->watched_ns);
    if (listener->drops.most)
        show_bounds(paint, "dropped", &listener->drops, 0);
    show_chart(paint, listener);
}

/* ---- alike ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_findings(struct about_list a, struct about_list b)
{
    for (size_t i = 0; i < a.count && a.count == b.count; i++)
        if (a.entries[i].finding->code != b.entries[i].finding->code)
            return false;
    return a.count == b.count;
}

static bool has_notes_of(const struct result_listener *x, const struct result_listener *y)
{
    for (size_t i = 0; i < y->note_count; i++) {
        bool found = false;
        for (size_t j = 0; j < x->note_count; j++)
            found |= same_text(x->notes[j], y->notes[i]);
        if (!found)
            return false;
    }
    return true;
}

/* Their blocks would differ in names and numbers only. */
static bool are_alike(const struct about *about, const struct result *a, const struct result *b)
{
    const struct result_listener *x = &a->listener, *y = &b->listener;

    return !x->ok && !y->ok && has_notes_of(x, y) && x->error.code == y->error.code &&
           same_text(x->binds, y->binds) && same_text(x->setting, y->setting) &&
           same_text(x->cause, y->cause) &&
           same_findings(about_result(about, a), about_result(about, b));
}

static size_t find_alike(const struct report *report, const struct about *about,
                         const size_t *first, size_t index)
{
    const struct result *result = report->results[index];

    for (size_t i = 0; i < index; i++)
        if (first[i] == i && report->results[i]->type == RESULT_LISTENER &&
            are_alike(about, report->results[i], result))
            return i;
    return index;
}

int join_listeners(size_t **out, const struct report *report, const struct about *about,
                   struct error *error)
{
    size_t *first = calloc(report->result_count + 1, sizeof *first);

    if (!first)
        return error_sys(error, ENOMEM, "cannot write the report");
    for (size_t i = 0; i < report->result_count; i++)
        first[i] =
            report->results[i]->type == RESULT_LISTENER ? find_alike(report, about, first, i) : i;
    *out = first;
    return 0;
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

static void show_counters(struct paint *paint, const struct result_map *counters)
{
    cleanup(buf) struct buf still = {0};

    paint_newline(paint);
    paint_put(paint, PAINT_BOLD, "Network namespace counters");
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
        paint_right(paint, PAINT_PLAIN, text, PAINT_INDENT + NUMBER_WIDTH);
        paint_printf(paint, PAINT_BOLD, "  %s", name);
        paint_put(paint, PAINT_PLAIN, "  ");
        paint_wrap(paint, PAINT_PLAIN, PAINT_INDENT + NUMBER_WIDTH + 2,
                   listener_counter_meaning((enum listener_counter)i));
    }
    paint->out->failed |= still.failed;
    if (!still.len_bytes)
        return;
    paint_right(paint, PAINT_DIM, "0", PAINT_INDENT + NUMBER_WIDTH);
    paint_put(paint, PAINT_PLAIN, "  ");
    paint_wrap(paint, PAINT_DIM, PAINT_INDENT + NUMBER_WIDTH + 2, buf_str(&still));
}

static const struct report_field queue_columns[] = {
    RANKED_COUNT("queued", result_listener, accept_queue.most),
    RANKED_COUNT("of", result_listener, accept_queue.capacity),
    RANKED_COUNT("half-open", result_listener, half_open.most),
    {0}};
static const struct ranked_table queue_table = {"nothing unusual at", NULL, queue_columns,
                                                PAINT_PLAIN, ROWS_MAX};

static const struct report_field joined_columns[] = {
    RANKED_COUNT("queued", result_listener, accept_queue.most),
    RANKED_COUNT("of", result_listener, accept_queue.capacity),
    RANKED_COUNT("half-open", result_listener, half_open.most),
    RANKED_COUNT("gone", result_listener, gone),
    RANKED_COUNT("dropped", result_listener, drops.most),
    {0}};

static struct ranked_row row_of(const struct result_listener *listener, size_t order)
{
    const struct result_queue *queue = &listener->accept_queue;

    return (struct ranked_row){.body = listener,
                               .name = listener->listener ? listener->listener : "?",
                               .weight = queue->capacity > 0
                                             ? (double)queue->most / (double)queue->capacity
                                             : (double)queue->most,
                               .order = order};
}

int show_joined(struct paint *paint, const struct report *report, const size_t *first, size_t index,
                struct error *error)
{
    cleanup(mem) struct ranked_row *rows = calloc(report->result_count + 1, sizeof *rows);
    char name[64];
    size_t count = 0;

    if (!rows)
        return error_sys(error, ENOMEM, "cannot write the report");
    for (size_t i = index + 1; i < report->result_count; i++)
        if (first[i] == index)
            rows[count++] = row_of(&report->results[i]->listener, i);
    if (!count)
        return 0;
    snprintf(name, sizeof name, "the same at %zu more", count);
    paint_newline(paint);
    const struct ranked_table table = {name, NULL, joined_columns, PAINT_PLAIN, ROWS_MAX};
    show_ranked(paint, &table, rows, count);
    return 0;
}

static void show_quiet_ones(struct paint *paint, size_t count, const char *more, const char *what)
{
    paint_put(paint, PAINT_GREEN, paint->style->unicode ? "✓ ok" : "ok");
    paint_printf(paint, PAINT_PLAIN, "  %zu %slistener%s%s", count, more, count == 1 ? "" : "s",
                 what);
    paint_newline(paint);
}

int show_listeners(struct paint *paint, const struct report *report, struct error *error)
{
    cleanup(mem) struct ranked_row *rows = calloc(report->result_count + 1, sizeof *rows);
    const struct result_map *counters = NULL;
    size_t busy = 0, idle = 0;

    if (!rows)
        return error_sys(error, ENOMEM, "cannot write the report");
    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_listener *listener = &report->results[i]->listener;
        if (report->results[i]->type != RESULT_LISTENER)
            continue;
        counters = &listener->counters;
        if (shows_listener(paint, report, listener))
            continue;
        if (listener->accept_queue.most > 0)
            rows[busy++] = row_of(listener, i);
        else
            idle++;
    }
    if (paint->style->quiet) {
        if (busy + idle)
            show_quiet_ones(paint, busy + idle, "", "");
        return 0;
    }
    if (busy + idle)
        paint_newline(paint);
    show_ranked(paint, &queue_table, rows, busy);
    if (idle)
        show_quiet_ones(paint, idle, busy ? "more " : "", ", whose queues never filled");
    if (counters)
        show_counters(paint, counters);
    return 0;
}
