/* One round of a conversation, reduced to where its time went.
 *
 * A round is: our writes, the kernel's stamps of them, and the arrivals of the answer. The builder
 * takes these as they happen, in constant memory, and ends with a struct round: disjoint parts that
 * add up to the round's duration, and the facts that tell one cause of a delay from another.
 * Pure: no clock, no socket; times are CLOCK_REALTIME nanoseconds of one clock, offsets count the
 * round's own bytes from 0.
 *
 * The path of a round, and the parts between its points:
 *
 *      first write
 *          other, send hold
 *      last byte leaves our queue
 *          network, server
 *      first byte of the answer
 *          network, gap
 *      last byte of the answer
 *          wakeup
 *      read returns
 *
 * What a delayed acknowledgement of the peer held back is send hold; an acknowledgement that was
 * late but held nothing costs nothing and is only noted (ack_delay_ns). */
#ifndef DIAGNOSIS_ROUND_H
#define DIAGNOSIS_ROUND_H

#include "result/result.h"
#include <stdbool.h>
#include <stdint.h>

/* The fields of a round beside its parts, each once: the struct, what a probe keeps in memory
 * (probe/round_store.h) and what a recording has (report/record.h) are made from this list.
 * X(kind, member). TIME: int64_t nanoseconds, 0 until there is something to count; STAMP: the same,
 * but only a stamp or an event can tell, and it is RESULT_UNKNOWN until one has; BOOL; COUNT:
 * uint32_t, of which no more than 16 bits matter; BYTES: uint64_t. */
#define ROUND_FIELDS(X)                                                                            \
    X(TIME, total_ns)                                                                              \
    X(STAMP, wire_ns) /* last byte sent to first byte received, by kernel stamps */                \
    /* Our side: the longest that a write of this round stayed in the send queue. */               \
    X(TIME, hold_ns)                                                                               \
    X(BOOL, hold_small)         /* what was held is less than a full segment */                    \
    X(STAMP, hold_after_ack_ns) /* it left this long after an ACK of earlier bytes came in */      \
    X(STAMP, held_ack_delay_ns) /* and that ACK had taken this long, less the round trip */        \
    X(TIME, rwnd_limited_ns)    /* counters of TCP_INFO, over the round */                         \
    X(TIME, sndbuf_limited_ns)                                                                     \
    X(BOOL, zero_window) /* the peer's window was seen at 0 */                                     \
    /* The peer's acknowledgement of the whole request: from the last byte's departure on, and     \
     * that less the round trip; RESULT_UNKNOWN when it rode on the answer. */                     \
    X(STAMP, ack_ns)                                                                               \
    X(STAMP, ack_delay_ns)                                                                         \
    /* The longest wait for the peer: before the answer, or inside it. */                          \
    X(TIME, wait_ns)                                                                               \
    X(BYTES, wait_after_bytes) /* this much of the answer had come before it */                    \
    /* The longest gap inside the answer, and our own pure ACK in it. */                           \
    X(TIME, gap_ns)                                                                                \
    X(BOOL, gap_acked)           /* a pure ACK of ours left during the gap ... */                  \
    X(STAMP, gap_ack_lag_min_ns) /* ... this long before the gap ended, at least ... */            \
    X(STAMP, gap_ack_lag_max_ns) /* ... and at most */                                             \
    X(BOOL, gap_watched)         /* our ACKs were watched during the gap */                        \
    X(BYTES, gap_after_bytes)    /* this much of the answer had come before it */                  \
    X(BYTES, gap_release_bytes)  /* this much came at once when it ended */                        \
    /* From the first byte since the pause before it, of half a round trip or more, to its end,    \
     * rounded up; 0: unknown. */                                                                  \
    X(COUNT, flight_ms)                                                                            \
    X(COUNT, pauses)        /* gaps that are long enough to be one */                              \
    X(COUNT, window_pauses) /* of these, about a round trip, behind full segments */               \
    X(STAMP, segment_ns)    /* the quickest that full segments followed each other, or unknown */  \
    X(COUNT, accept_queue)  /* connections before ours in the listener's accept queue, if known */ \
    X(BOOL, continue_missing) /* the body waited for 100 (Continue), which did not come in time */ \
    X(COUNT, retransmits)                                                                          \
    X(COUNT, spurious)     /* of these, the peer had the data already (DSACK) */                   \
    X(COUNT, out_of_order) /* segments of the answer that came out of order */                     \
    X(COUNT, arrivals)     /* reads that brought data */                                           \
    X(BYTES, first_bytes)  /* what the first of them brought */                                    \
    X(BYTES, sent_bytes)                                                                           \
    X(BYTES, received_bytes)

#define ROUND_TYPE_TIME  int64_t
#define ROUND_TYPE_STAMP int64_t
#define ROUND_TYPE_BOOL  bool
#define ROUND_TYPE_COUNT uint32_t
#define ROUND_TYPE_BYTES uint64_t

struct round {
    int64_t part_ns[RESULT_PARTS]; /* disjoint, their sum is total_ns */
#define ROUND_MEMBER(kind, member) ROUND_TYPE_##kind member;
    ROUND_FIELDS(ROUND_MEMBER)
#undef ROUND_MEMBER
};

/* A round of which nothing has been seen yet. */
void round_clear(struct round *round);

enum round_stamp_kind { ROUND_QUEUED, ROUND_SENT, ROUND_ACKED };
#define ROUND_STAMP_KINDS 3

#define ROUND_WRITES_MAX 32
/* Of nearly every round: ten thousand builders have room for no more. */
#define ROUND_WRITES_FEW 2
struct round_write {
    uint64_t end_bytes;
    int64_t entered_ns, returned_ns;
    int64_t stamp_ns[ROUND_STAMP_KINDS];
};

/* What TCP_INFO says at the beginning and at the end. */
struct round_counters {
    int64_t rwnd_limited_ns, sndbuf_limited_ns;
    uint32_t retransmits, spurious, out_of_order;
};

/* Shorter gaps inside an answer are how segments follow each other on a path. */
#define ROUND_PAUSE_NS INT64_C(5000000)

/* All zero before the first round_begin(). */
struct round_builder {
    int64_t rtt_ns;
    uint32_t mss_bytes, peer_mss_bytes;
    struct round_write few[ROUND_WRITES_FEW];
    struct round_write *more; /* those after the few, allocated when there are any */
    uint32_t write_count;
    /* Of the byte before the first one: an answer that came early leaves it unacknowledged. */
    int64_t earlier_stamp_ns[ROUND_STAMP_KINDS];
    struct round_counters before;
    bool zero_window;
    int64_t first_entered_ns;
    int64_t noticed_ns; /* the last arrival that was no part of the answer */
    int64_t first_arrival_ns, last_arrival_ns, last_returned_ns;
    int64_t flight_ns; /* the first arrival since a pause of half a round trip */
    int64_t gaps_ns;
    /* Our pure ACKs: the counter at the last look, and the window of the last increase. */
    bool acks_known;
    uint32_t pure_acks;
    int64_t acks_seen_ns;
    int64_t ack_after_ns, ack_before_ns;
    bool looked_since_arrival;
    struct round round;
};

/* A new connection: what the builder knows of an earlier one doesn't count. */
void round_first(struct round_builder *builder);
/* rtt_ns: the smallest round trip of the connection so far; mss_bytes: of our segments, and of the
 * peer's (0: unknown). */
void round_begin(struct round_builder *builder, int64_t rtt_ns, uint32_t mss_bytes,
                 uint32_t peer_mss_bytes, struct round_counters before);
/* What the builder has allocated, once no round is built any more. */
void round_free(struct round_builder *builder);
/* A write call took the bytes up to end_bytes. Beyond ROUND_WRITES_MAX, or when memory is out, the
 * last one is extended. */
void round_write(struct round_builder *builder, int64_t entered_ns, int64_t returned_ns,
                 uint64_t end_bytes);
/* A kernel stamp for the byte before end_bytes; 0 is the last byte of the round before. Stamps of
 * bytes beyond what was written are ignored. */
void round_stamp(struct round_builder *builder, enum round_stamp_kind kind, uint64_t end_bytes,
                 int64_t at_ns);
/* Whether the kernel has acknowledged the last byte written: no stamp of this round is to come. */
bool round_acknowledged(const struct round_builder *builder);
/* A look at the connection's counters while waiting: how many segments without data we have sent
 * so far, and whether the peer's window is closed. */
void round_look(struct round_builder *builder, int64_t at_ns, uint32_t pure_acks, bool zero_window);
/* A read brought bytes, or none when it brought the end of the connection that was awaited;
 * arrived_ns is the kernel's stamp, RESULT_UNKNOWN without one. */
void round_read(struct round_builder *builder, int64_t arrived_ns, int64_t returned_ns,
                uint64_t bytes);
/* Bytes came that are no part of the answer, before it, such as a session ticket of TLS. They do
 * not begin the answer; but Nagle's algorithm at the peer may hold it until we acknowledge them.
 * When that is how it looks, the time until the answer is a gap, else the server's. */
void round_notice(struct round_builder *builder, int64_t arrived_ns);
/* The body has waited for 100 (Continue) in vain. */
void round_continue_missing(struct round_builder *builder);
/* The answer is complete, or none was awaited and all is written. */
void round_end(struct round_builder *builder, struct round_counters after, struct round *out);
/* The same when the round was given up at at_ns: what is known so far. */
void round_abandon(struct round_builder *builder, int64_t at_ns, struct round_counters after,
                   struct round *out);

#endif
