/* What leaves the wire: records of packets, the queue's departures, deliveries and losses.
 *
 * A packet is recorded when it arrives, so that a condition can see it while it is held; its
 * departure is filled in later. */
#include "lab/wire.h"

#include "base/wait.h"
#include "capture/describe.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INJECT_WAIT_NS (200 * NS_PER_MS)

/* ---- Recording ---- */

struct trace_event *wire_record(struct wire *wire, enum trace_side side, bool from_client,
                                int64_t at_real_ns, const struct segment *segment,
                                uint32_t wire_bytes, uint32_t connection, enum trace_fate fate,
                                uint32_t fault)
{
    struct trace_event *event = trace_reserve(wire->trace);

    if (!event)
        return NULL;
    event->at_real_ns = at_real_ns == CLOCK_NONE ? clock_real_ns() : at_real_ns;
    event->kind = TRACE_SEGMENT;
    event->side = side;
    event->connection = connection;
    capture_describe(&event->segment, segment, wire_bytes);
    event->segment.from_client = from_client;
    event->segment.fate = fate;
    event->segment.fault = fault;
    trace_commit(wire->trace, event);
    return event;
}

void wire_set_dropped(struct trace_event *event)
{
    if (event)
        __atomic_store_n(&event->segment.fate, TRACE_DROPPED, __ATOMIC_RELEASE);
}

static void set_departed(struct trace_event *event, int64_t real_ns)
{
    if (event)
        __atomic_store_n(&event->segment.departed_real_ns, real_ns, __ATOMIC_RELEASE);
}

/* ---- Delivery ---- */

int64_t wire_age(const struct wire *wire)
{
    return clock_mono_ns() - wire->opened_ns;
}

bool wire_is_cut(const struct wire *wire)
{
    if (wire->cut)
        return true;
    for (uint32_t i = 0; i < wire->rules_count; i++)
        if (wire->rules[i].cutting && rule_awake(&wire->rules[i], wire_age(wire)))
            return true;
    return false;
}

/* A device queue that is full for a moment is waited for: the wire loses nothing by itself. */
static int inject(struct wire *wire, enum lab_host to, const void *bytes, uint32_t len_bytes)
{
    int rc;

    wait_until((rc = capture_inject(wire->port[to], bytes, len_bytes, NULL)) != -ENOBUFS &&
                   rc != -EAGAIN,
               clock_mono_ns() + INJECT_WAIT_NS);
    if (rc)
        wire->shared->lost++;
    else
        wire->shared->delivered++;
    return rc;
}

static void note_lateness(struct wire *wire, int64_t scheduled_ns)
{
    int64_t late_ns = clock_mono_ns() - scheduled_ns;

    if (late_ns > wire->shared->late_max_ns)
        wire->shared->late_max_ns = late_ns;
}

void wire_deliver(struct wire *wire, const struct delivery *d)
{
    bool sampled = !is_background(d->segment);

    if (wire_is_cut(wire)) {
        wire_set_dropped(d->event);
        wire->shared->dropped++;
        return;
    }
    if (sampled)
        sock_sampler_around(wire->sampler, other_host(d->to), d->segment);
    note_lateness(wire, d->scheduled_ns);
    int64_t departed_ns = clock_real_ns();
    int rc = inject(wire, d->to, d->bytes, d->len_bytes);
    if (!rc && d->twice)
        rc = inject(wire, d->to, d->bytes, d->len_bytes);
    if (sampled)
        sock_sampler_around(wire->sampler, other_host(d->to), d->segment);
    if (!rc)
        set_departed(d->event, departed_ns);
}

void wire_deliver_frame(struct wire *wire, struct frame *frame)
{
    wire_deliver(wire, &(struct delivery){.to = frame->to,
                                          .segment = &frame->segment,
                                          .bytes = frame->bytes,
                                          .len_bytes = frame->len_bytes,
                                          .scheduled_ns = frame->depart_ns,
                                          .event = frame->event,
                                          .twice = frame->twice});
    free(frame);
}

void wire_lose_frame(struct wire *wire, struct frame *frame)
{
    wire_set_dropped(frame->event);
    wire->shared->dropped++;
    free(frame);
}

static void enqueue(struct wire *wire, struct frame *frame)
{
    if (queue_add(&wire->queue, frame)) {
        wire->shared->lost++;
        wire_lose_frame(wire, frame);
    }
}

/* When a packet that is ready at ready_ns reaches the other end of the link. */
static int64_t link_departure(struct wire *wire, enum lab_host to, int64_t ready_ns, uint32_t bytes)
{
    const struct lab_link *link = &wire->plan->link;
    int64_t *busy_ns = &wire->busy_until_ns[to];

    if (link->rate_bytes_per_sec) {
        int64_t start_ns = ready_ns > *busy_ns ? ready_ns : *busy_ns;
        *busy_ns = start_ns + (int64_t)((double)bytes * 1e9 / (double)link->rate_bytes_per_sec);
        ready_ns = *busy_ns;
    }
    return ready_ns + link->delay_ns;
}

void wire_schedule(struct wire *wire, struct frame *frame, int64_t ready_ns, int64_t extra_ns)
{
    struct frame *swapped = wire->swapped[frame->to];
    enum lab_host to = frame->to;

    frame->depart_ns = link_departure(wire, to, ready_ns, frame->len_bytes) + extra_ns;
    int64_t depart_ns = frame->depart_ns;
    enqueue(wire, frame);
    if (swapped) {
        /* Same time, later in order: right behind. */
        wire->swapped[to] = NULL;
        swapped->depart_ns = depart_ns;
        enqueue(wire, swapped);
    }
}
