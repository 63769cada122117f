/* What was measured of one target, as the rules of tcp-probe's verdict read it, and the two
 * questions that every rule asks of it: is there a delay, and does an arm change it?
 *
 * Each question is asked of one number a round. A delay that hits only some rounds is compared by
 * its upper quantiles: the affected share of the baseline's rounds against the same share of the
 * arm's, so that a stall in every fourth round does not vanish in a median. Pure. */
#ifndef DIAGNOSIS_EVIDENCE_H
#define DIAGNOSIS_EVIDENCE_H

#include "diagnosis/path_model.h"
#include "diagnosis/round.h"
#include "result/result.h"
#include <stdbool.h>
#include <stddef.h>

/* The interventions. The first five are the arms that users know; the others are run only where
 * they would settle a question. */
enum probe_arm {
    ARM_BASELINE,
    ARM_NODELAY,  /* our writes are not held by Nagle's algorithm */
    ARM_QUICKACK, /* our acknowledgements are not delayed */
    ARM_BOTH,
    ARM_SINGLE_WRITE, /* the request in one write */
    ARM_SMALL_MSS,    /* full segments are so small that a cork lets most of the data go, and that
                         a slow link takes no time for one */
    ARM_LATE_ACK,     /* our acknowledgements are delayed, where they otherwise are not */
    PROBE_ARMS
};
const char *probe_arm_name(enum probe_arm arm);
/* PROBE_ARMS when there is none of that name. */
enum probe_arm probe_arm_by_name(const char *name);

struct arm_rounds {
    const struct round *rounds;
    size_t count;
};

/* Every number of the evidence beside the rounds: X(kind, member). The struct, what --record keeps
 * of it, and reading that back follow from this list. A new one is a row here and a value in
 * lib/probe; a recording that lacks it says "unknown": NULL, RESULT_UNKNOWN, false, 0. */
#define PROBE_EVIDENCE_FIELDS(X)                                                                   \
    X(TEXT, target)                                                                                \
    X(TEXT, connection)       /* "a:p > b:p" of one of the connections, or NULL */                 \
    X(BOOL, new_connections)  /* the user asked for one connection a round: `fresh` has them */    \
    X(BOOL, persists)         /* the server keeps a connection open after an answer */             \
    X(BOOL, greets)           /* a round is what the server says first: nothing was asked */       \
    X(BOOL, interventions)    /* arms beside the baseline were to be run */                        \
    X(BOOL, stamps_queued)    /* the kernel gave SCHED stamps */                                   \
    X(BOOL, stamps_acked)     /* the kernel gave ACK stamps */                                     \
    X(COUNT, request_writes)  /* how many writes a request is */                                   \
    X(COUNT, mss_bytes)       /* of the segments that we send */                                   \
    X(COUNT, peer_mss_bytes)  /* of the segments that we receive */                                \
    X(COUNT, small_mss_bytes) /* payload of a full segment to us in the SMALL_MSS arm */           \
    X(COUNT, sndbuf_bytes)    /* SO_SNDBUF and SO_RCVBUF as the user set them; 0: not */           \
    X(COUNT, rcvbuf_bytes)                                                                         \
    X(BOOL, local)     /* the server is on this host, and shares its processors */                 \
    X(COUNT, runnable) /* processes that wanted a processor of this host, on average */            \
    X(COUNT, processors)                                                                           \
    X(TEXT, http_server) /* the answer's header line "Server: ...", or NULL */                     \
    X(TEXT, http_proxy)  /* the first that a proxy adds: "Via: ..." or "X-Cache: ...", or NULL */  \
    X(COUNT, surplus_bytes) /* came beyond the end of answers or of the greeting */                \
    X(COUNT, control_lost)  /* handshakes of the control that needed a second SYN, or none did */  \
    X(COUNT, answers)       /* of all rounds, also those that warm up */                           \
    X(COUNT, unexpected)    /* of these: no success, or not what the user expects */               \
    X(COUNT, early_resets) /* of these: before the whole request was read, and a reset followed */ \
    X(COUNT, early_lost)   /* resets of that kind without an answer */                             \
    X(BOOL, chose_http2)   /* the server, by ALPN */                                               \
    X(TIME, continue_ns)   /* a request's body waits so long for 100 (Continue); 0: not at all */  \
    X(TEXT, answer)        /* the first unexpected one says, or NULL */                            \
    /* Connections that the peer ended while they were idle: between rounds, after how long, how   \
     */                                                                                            \
    /* (enum idle_end); and what leaving some idle on purpose found (idle_search.h). */            \
    X(COUNT, idle_closes)                                                                          \
    X(TIME, idle_close_ns)                                                                         \
    X(COUNT, idle_close)                                                                           \
    X(TIME, idle_tried_ns) /* 0: nothing was tried */                                              \
    X(TIME, idle_kept_ns)                                                                          \
    X(TIME, idle_dropped_ns) /* 0: none was dropped */                                             \
    X(COUNT, idle_end)                                                                             \
    X(BOOL, idle_varies)                                                                           \
    X(TIME, idle_keepalive_ns)   /* 0: not tried */                                                \
    X(COUNT, idle_keepalive_end) /* 1: it kept the connection, 2: it did not */                    \
    X(TIME, stall_ns)            /* the shortest delay that is worth a finding */                  \
    X(TIME, interval_ns)         /* between rounds, as the user wants it */                        \
    X(TIME, rtt_ns)              /* smallest seen */                                               \
    X(TIME, resolve_ns)                                                                            \
    X(TIME, fallback_ns)      /* how long addresses tried before kept us from the one that won */  \
    X(TEXT, fallback)         /* what became of the others; NULL: there were none */               \
    X(COUNT, syn_retransmits) /* of all connections together */                                    \
    X(COUNT, slow_connects)   /* connections that needed one */                                    \
    X(COUNT, connections)                                                                          \
    /* Of path-mtu: the largest MSS that passed, the smallest that did not, and on which way. */   \
    X(COUNT, path_mtu_passed)                                                                      \
    X(COUNT, path_mtu_stuck)                                                                       \
    X(BOOL, path_mtu_to_server)                                                                    \
    X(COUNT, port_first) /* of no-local-address: net.ipv4.ip_local_port_range; 0: unknown */       \
    X(COUNT, port_last)                                                                            \
    X(COUNT, ports_taken) /* and how many of those are in use towards the target */                \
    X(CODE, error)        /* the conversation failed: FINDING_NONE when it did not */              \
    X(TEXT, error_message)                                                                         \
    X(TEXT, error_cause) /* by its name; NULL: not known */

#define EVIDENCE_TYPE_TEXT  const char *
#define EVIDENCE_TYPE_BOOL  bool
#define EVIDENCE_TYPE_COUNT uint32_t
#define EVIDENCE_TYPE_TIME  int64_t
#define EVIDENCE_TYPE_CODE  enum finding_code

struct probe_evidence {
#define EVIDENCE_MEMBER(kind, member) EVIDENCE_TYPE_##kind member;
    PROBE_EVIDENCE_FIELDS(EVIDENCE_MEMBER)
#undef EVIDENCE_MEMBER
    struct arm_rounds arms[PROBE_ARMS]; /* on persistent connections, warmed up */
    struct arm_rounds fresh;            /* each the first of its connection */
    struct arm_rounds fresh_quickack;   /* the same with TCP_QUICKACK, where there were gaps */
    const struct round *unfinished;     /* the round in which the conversation failed, or NULL */
    /* Round trips of the control: handshakes that the peer's kernel alone answered, beside the
     * rounds. */
    const int64_t *control_ns;
    size_t control_count;
};

/* The path as the control saw it. Without one (an old recording, a peer that drops what it has no
 * use for) a path that varies by half its shortest round trip, and a little. Needs room for
 * EVIDENCE_CONTROL_MAX samples as long as the model is used. */
#define EVIDENCE_CONTROL_MAX 512
void evidence_path(const struct probe_evidence *evidence, struct path_model *path,
                   int64_t samples[EVIDENCE_CONTROL_MAX]);

/* Whether all that a round knows of a segment's time is one long pause before many of them. */
bool evidence_measured_by_pause(const struct round *round, uint32_t mss_bytes);

/* How long a full segment takes on this path: the quickest at which they follow each other in any
 * arm; RESULT_UNKNOWN when no two did. */
int64_t evidence_segment_ns(const struct probe_evidence *evidence);

enum measure {
    MEASURE_HOLD,
    MEASURE_THINK,
    MEASURE_RWND,
    MEASURE_SNDBUF,
    MEASURE_WAKEUP,
    MEASURE_WAIT,       /* the longest wait for the peer, wherever it is */
    MEASURE_WAIT_AFTER, /* bytes of the answer that came before that */
};
int64_t evidence_measure(const struct round *round, enum measure what);
/* Its median over some rounds; 0 when there are none. */
int64_t evidence_median(struct arm_rounds rounds, enum measure what);

/* How late this machine itself wakes up in the baseline, against which a delay in a `share` of the
 * rounds is held: the median of as many of its slowest wake-ups, or the ninth decile where the
 * delay is only occasional. */
int64_t evidence_wakeup_ns(const struct probe_evidence *evidence, double share);

struct delay {
    size_t affected;    /* rounds that have it: at least stall_ns */
    double share;       /* of all rounds */
    int64_t typical_ns; /* in those */
    bool present;       /* often enough to count, and clear of this machine's noise */
};
struct delay evidence_delay(const struct probe_evidence *evidence, struct arm_rounds rounds,
                            enum measure what);

enum effect {
    EFFECT_UNKNOWN, /* the arm was not run, or too short */
    EFFECT_NONE,    /* the arm changes nothing of note */
    EFFECT_CLEAR,
};
struct change {
    enum effect effect;
    double p_value;
    int64_t removed_ns;   /* of an affected round */
    int64_t remaining_ns; /* in the arm, at the same quantile */
};
/* What the arm makes of a delay of the baseline. */
struct change evidence_change(const struct probe_evidence *evidence, enum probe_arm arm,
                              enum measure what, const struct delay *delay);

#endif
