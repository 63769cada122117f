/* The timeline that witnesses in several processes and threads write, and that everything after it
 * reads.
 *
 * A trace is a sparse memfd of fixed capacity: memory is used as events come, up to the cap; what
 * does not fit is counted, never silently lost. A writer reserves a slot, fills it, and commits it;
 * a reader skips slots that were reserved by a writer that died before it committed. The order of
 * slots is the order of reservation, not of time: read with trace_read(), which sorts.
 *
 * Appending is lock-free and safe from any thread and from any process that inherited the trace
 * over fork, and is async-signal-safe. Opening, reading and closing belong to one thread. Memory is
 * released by trace_close() in every process that has it mapped, or by that process's end. */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include "netkit/error.h"
#include "trace/event.h"
#include <stddef.h>

struct trace;

#define TRACE_DEFAULT_EVENTS (1u << 20)

/* A new trace for up to max_events events. -ENOMEM, -EMFILE, … */
int trace_open(struct trace **out, size_t max_events, struct error *error);
void trace_close(struct trace *trace); /* NULL is allowed */

/* Appends a copy. A trace that is full counts the loss. NULL as the trace is allowed and records
 * nothing, so that recording is optional everywhere. */
void trace_append(struct trace *trace, const struct trace_event *event);

/* The two halves of appending, for a writer that fills the slot in place. NULL when full. */
struct trace_event *trace_reserve(struct trace *trace);
void trace_commit(struct trace *trace, struct trace_event *slot);

/* How many events did not fit. */
size_t trace_dropped(const struct trace *trace);
/* How many slots have been reserved so far: a waiter that polls for news compares this. */
size_t trace_reserved(const struct trace *trace);
/* The slot by number, or NULL while it is not committed. Valid until trace_close(). */
const struct trace_event *trace_slot(const struct trace *trace, size_t number);

/* All committed events in the order of time, in memory that the caller frees with free(). An empty
 * trace gives NULL and count 0. -ENOMEM. */
int trace_read(const struct trace *trace, struct trace_event **out, size_t *count,
               struct error *error);

/* Sorts by time, keeping the given order among equals. -ENOMEM leaves the order as it was. */
int trace_sort(struct trace_event *events, size_t count);

/* A bounded recording for one process and one round: the first TRACE_STRIP_MAX events are kept, the
 * rest counted. Plain data: copy it to keep it. */
#define TRACE_STRIP_MAX 96
struct trace_strip {
    size_t count;
    size_t dropped;
    struct trace_event events[TRACE_STRIP_MAX];
};
void trace_strip_reset(struct trace_strip *strip);
/* NULL as the strip is allowed and records nothing. */
void trace_strip_append(struct trace_strip *strip, const struct trace_event *event);

#endif
