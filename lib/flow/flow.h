/* Segments → connections → stalls.
 *
 * Feed every packet of a capture in its order; connections are told to the sink as they end, stalls
 * as they are seen. The same code serves capture files, live captures, and the lab's wire.
 *
 *     table.h       connections by their endpoints: open-addressed, bounded
 *     track.h       what TCP did: sequence numbers, acknowledgements, repeats, windows
 *     division.h    where the time went: parts that add up, and stalls
 *
 * Streaming: memory is that of the live connections (below 1 kB each), and no packet allocates.
 * When `max_connections` are live, the one that is least likely to go on makes room: one that
 * ended, else one that was never answered (a flood of SYNs displaces itself), else one that is
 * silent for longest. Connections without a packet for `idle_ns` are given up, too; `expired` says
 * so of both. Ended connections are told a little later, when stragglers have passed.
 *
 * Pure: no clock, no I/O; one thread for each struct flow. */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include "flow/connection.h"
#include "netkit/error.h"
#include <stddef.h>

/* What became of the packet, where the wire is ours. */
enum flow_fate {
    FLOW_OBSERVED, /* a capture decides nothing */
    FLOW_DELIVERED,
    FLOW_LOST,    /* dropped by a fault */
    FLOW_DELAYED, /* by a fault */
};

struct flow_packet {
    const struct segment *segment;
    int64_t at_ns; /* CLOCK_NONE: a stamp that makes no sense; the packet before lends its own */
    uint64_t number;
    uint32_t wire_len;
    enum flow_fate fate;
    uint32_t fault; /* 0: none */
};

struct flow_sink {
    void *context;
    /* The first packet of a connection was seen. May be NULL. */
    void (*began)(void *context, struct flow_connection *connection);
    /* A packet was taken for a connection. May be NULL. */
    void (*packet)(void *context, struct flow_connection *connection,
                   const struct flow_packet *packet, int from);
    /* May be NULL. */
    void (*stall)(void *context, struct flow_connection *connection,
                  const struct flow_stall *stall);
    /* It is gone after this call. */
    void (*ended)(void *context, struct flow_connection *connection);
};

struct flow_options {
    size_t max_connections; /* 0: FLOW_CONNECTIONS_MAX */
    int64_t idle_ns;        /* 0: FLOW_IDLE_NS */
    int64_t stall_ns;       /* shortest wait that is told; 0: FLOW_STALL_NS */
    uint64_t seed;          /* of the table's hash: unknown to who made the capture */
};
#define FLOW_CONNECTIONS_MAX ((size_t)1000000)
#define FLOW_IDLE_NS         (INT64_C(3600) * 1000000000) /* tcp_keepalive_time is twice that */
#define FLOW_STALL_NS        (INT64_C(20) * 1000000)

struct flow_counts {
    uint64_t packets;     /* fed */
    uint64_t tcp;         /* that belong to a connection */
    uint64_t other;       /* no TCP: UDP, ARP, … */
    uint64_t unusable;    /* TCP whose header is cut or damaged, and fragments behind the first */
    uint64_t stray;       /* an RST of no connection that was seen */
    uint64_t mirrored;    /* the same packet twice */
    uint64_t backwards;   /* stamped before the one before */
    uint64_t connections; /* that began */
    uint64_t expired;     /* … and were given up while they were open */
    uint64_t missed;      /* segments that were acknowledged and never seen */
    uint64_t live, live_most;
    int64_t first_ns, last_ns; /* CLOCK_NONE without a packet */
};

struct flow;

/* -ENOMEM. */
int flow_open(struct flow **out, const struct flow_options *options, const struct flow_sink *sink,
              struct error *error);
/* -ENOMEM: there is no memory for another connection, even after giving up others. */
int flow_feed(struct flow *flow, const struct flow_packet *packet);
/* Ends all connections that are left. Nothing may be fed after it. */
void flow_finish(struct flow *flow);
const struct flow_counts *flow_counts(const struct flow *flow);
/* Without a word of what is left. NULL is allowed. */
void flow_close(struct flow *flow);

static inline void cleanup_flow(struct flow **flow)
{
    flow_close(*flow);
}

#endif
