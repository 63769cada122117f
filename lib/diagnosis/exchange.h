/* What a wire's trace says of each connection: its exchange, states and losses, and findings.
 *
 * Feed every event in the order of time (trace_read() gives that order); segments and states of
 * numbered connections count, the rest is passed over. The wire knows what a capture cannot:
 * whether a segment that was sent again had been lost, and to which fault. So a retransmission is
 * named by what happened:
 *
 *     the SYN, or the SYN,ACK, was sent again            syn-retransmission, synack-retransmission
 *     what was sent before was late, not lost            spurious-retransmit
 *     it was lost, and SACK or duplicate ACKs said so    fast-retransmit
 *     it was the last in flight, repeated before a
 *     retransmission timer can expire (RFC 8985 §7)      tail-loss-probe
 *     it was lost, and nothing but a timer said so       retransmission-timeout
 *
 * Memory of a connection is bounded: flags and states are listed up to a limit, and when a segment
 * was sent is remembered for the last EXCHANGE_SENT segments of each direction. Pure; one thread.
 * Everything comes from the arena of exchange_begin(), whose `failed` tells of lost memory.
 */
#ifndef DIAGNOSIS_EXCHANGE_H
#define DIAGNOSIS_EXCHANGE_H

#include "base/arena.h"
#include "result/result.h"
#include "trace/event.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_FLAGS_DEFAULT 100
#define EXCHANGE_STATES        16
#define EXCHANGE_SENT          4096 /* a power of two */

#define EXCHANGE_FAULTS UINT32_MAX

enum exchange_loss {
    EXCHANGE_SYN,
    EXCHANGE_SYNACK,
    EXCHANGE_TIMEOUT,
    EXCHANGE_PROBE,
    EXCHANGE_FAST,
    EXCHANGE_SPURIOUS,
    EXCHANGE_LOSSES
};

/* Retransmissions of one kind. */
struct exchange_losses {
    int64_t count;
    int64_t wait_total_ns, wait_max_ns; /* since the same bytes were sent the last time */
    int64_t by_fault; /* where a fault of the wire took or changed the one before */
    uint32_t fault;   /* one of those */
};

/* A segment that took up sequence numbers. */
struct exchange_sent {
    uint32_t start, end;
    int64_t at_ns;
    uint32_t fault;
    bool lost; /* it never arrived, or with changed bytes */
    bool again;
};

/* What one side sent. */
struct exchange_direction {
    int64_t segments, payload_bytes, retransmissions;
    int64_t lost;        /* segments that never arrived */
    uint32_t lost_fault; /* the fault that took them; 0: none; EXCHANGE_FAULTS: several */
    bool sent_any;
    uint32_t next;              /* past the highest sequence number that was sent */
    struct exchange_sent *sent; /* a ring, once it has grown to EXCHANGE_SENT */
    size_t sent_count;          /* ever */
    size_t sent_room;
    int64_t departed_max_ns; /* of what left the wire so far */
    int64_t overtaken;       /* segments that left after one that was sent later */
    uint32_t acked;          /* by the other side */
    uint32_t duplicate_acks;
    bool sacked;        /* the other side's last ACK had SACK blocks */
    uint32_t ack_fault; /* that took ACKs of this side's data since the last that arrived */
    bool fin;
    struct exchange_losses losses[EXCHANGE_LOSSES];
    /* Its receive window. */
    int64_t zero_since_ns; /* CLOCK_NONE: it is open */
    int64_t zero_windows, zero_total_ns;
    /* States of its socket, without repetitions. */
    const char *states[EXCHANGE_STATES];
    size_t state_count;
};

enum exchange_end {
    EXCHANGE_OPEN,
    EXCHANGE_NO_REPLY, /* nothing came back to the side that connects */
    EXCHANGE_REFUSED,
    EXCHANGE_UNREACHABLE, /* an ICMP error before it was established */
    EXCHANGE_RESET,
    EXCHANGE_FIN,
};

struct exchange_connection {
    uint32_t number;
    uint8_t family;
    uint8_t address[2][16]; /* of the client host, of the server host */
    uint16_t port[2];
    int64_t first_ns, last_ns;
    const char **flags;
    size_t flag_count;
    int64_t flags_omitted;
    struct exchange_direction side[2]; /* 0: the client host */
    int opener;                        /* the side that sent the first SYN, -1: none was seen */
    bool synack, replied;
    bool refused, reset; /* by an RST of reset_by: before it was established, and after */
    int reset_by;
    bool by_wire; /* the wire made that RST or ICMP error */
    uint32_t end_fault;
    const char *icmp; /* the first ICMP error's name, or NULL */
};

enum exchange_end exchange_end_of(const struct exchange_connection *connection);

struct exchange {
    struct arena *arena;
    int64_t start_real_ns;
    size_t flags_max;
    struct exchange_connection **by_number; /* NULL: none of that number */
    size_t numbers;
    size_t connections;
};

/* `start_real_ns` is where the result's times count from. */
void exchange_begin(struct exchange *exchange, struct arena *arena, int64_t start_real_ns);
void exchange_feed(struct exchange *exchange, const struct trace_event *event);

/* The connections so far, in the order of their numbers. */
void exchange_list(const struct exchange *exchange, struct result_connection_list *out);

/* The number for "this fault, and that one": EXCHANGE_FAULTS when they differ; 0 is no fault. */
static inline uint32_t exchange_faults(uint32_t a, uint32_t b)
{
    return !a ? b : !b || a == b ? a : EXCHANGE_FAULTS;
}

/* Appends what was seen, over all connections: a finding for each kind and side. */
void exchange_diagnose(const struct exchange *exchange, struct finding_list *findings);

/* The connection that a picture should show: with most segments, of equals the first; 0: none. */
uint32_t exchange_busiest(const struct exchange *exchange);

#endif
