/* An event of a trace in a few words. The ladder and the timeline share these. */
#ifndef REPORT_LABEL_H
#define REPORT_LABEL_H

#include "base/buf.h"
#include "trace/event.h"

/* What is remembered of one direction, so that numbers can be relative to its first SYN or, when
 * that was not seen, count from 1 at its first segment. */
struct label_direction {
    bool based;
    uint32_t base;
    bool sent;     /* `next` is valid */
    uint32_t next; /* the highest sequence number so far, past the end */
    bool synced;
    int8_t window_scale; /* of its SYN; -1: none */
    bool zero_window;
};

#define LABEL_CONNECTIONS 64
struct label_memory {
    struct label_direction directions[LABEL_CONNECTIONS][2]; /* by connection, from_client */
};

struct label_hint {
    bool again;       /* what it carries had been sent before */
    bool zero_window; /* it announces a window of zero */
};

/* "PSH,ACK seq 1:101 ack 1 len 100". Segments must be given in the order in which they were sent.
 * hint may be NULL. */
void label_segment(struct buf *out, struct label_memory *memory, const struct trace_event *event,
                   struct label_hint *hint);
/* "PSH,ACK 1": enough to recognise it, after label_segment() of the same event. */
void label_segment_short(struct buf *out, const struct label_memory *memory,
                         const struct trace_event *event);
/* What the wire did with it, "" when it was just delivered: "dropped", "held 200 ms". */
void label_fate(struct buf *out, const struct trace_segment *segment, int64_t at_real_ns);

/* "write(100) = 100", "read(4096) = -1 EAGAIN", "connect() = 0 after 41.2 ms". */
void label_call(struct buf *out, const struct trace_call *call);
/* "read(4096) …" */
void label_call_entry(struct buf *out, const struct trace_call *call);
int64_t label_call_duration(const struct trace_call *call); /* CLOCK_NONE while pending */

void label_state(struct buf *out, const struct trace_state *state);
/* "100 B in the device's queue, to byte 100". */
void label_stamp(struct buf *out, const struct trace_stamp *stamp);
/* The same of an arrow: "100 B, to byte 100", "ACK up to byte 100". */
void label_stamp_arrow(struct buf *out, const struct trace_stamp *stamp);

#endif
