/* What a live service's rounds say about it: measurements in, findings out.
 *
 * A stall is named only when two kinds of evidence agree: the mechanism, seen in the kernel's
 * stamps and counters of the rounds themselves, and the effect, seen when one socket option changes
 * and the stall goes away. What only one of them supports is reported as inconclusive. Pure: no
 * clock, no socket, no format; every verdict is replayed from recorded rounds by the tests. */
#ifndef DIAGNOSIS_SERVICE_H
#define DIAGNOSIS_SERVICE_H

#include "base/arena.h"
#include "diagnosis/round.h"
#include "result/result.h"
#include <stdbool.h>
#include <stddef.h>

/* The interventions. The first five are the arms that users know; SMALL_MSS is run only when the
 * server is slow by about the time that TCP_CORK holds data. */
enum probe_arm {
    ARM_BASELINE,
    ARM_NODELAY,  /* our writes are not held by Nagle's algorithm */
    ARM_QUICKACK, /* our acknowledgements are not delayed */
    ARM_BOTH,
    ARM_SINGLE_WRITE,  /* the request in one write */
    SERVICE_SMALL_MSS, /* full segments are so small that a cork lets most of the data go */
    PROBE_ARMS
};
const char *probe_arm_name(enum probe_arm arm);
/* PROBE_ARMS when there is none of that name. */
enum probe_arm probe_arm_by_name(const char *name);

/* Two samples differ when the one-sided rank test's p is below this. */
#define SERVICE_P_VALUE 0.01
/* A delay counts when it is seen in at least this share of the rounds. */
#define SERVICE_SHARE      0.2
#define SERVICE_RELEASE_NS ROUND_RELEASE_NS
/* TCP_CORK holds for one retransmission timeout, at least 200 ms on Linux. */
#define SERVICE_CORK_MIN_NS INT64_C(190000000)
#define SERVICE_CORK_MAX_NS INT64_C(330000000)

struct arm_rounds {
    const struct round *rounds;
    size_t count;
};

struct probe_evidence {
    const char *target;
    const char *connection;             /* "a:p > b:p" of one of the connections, or NULL */
    struct arm_rounds arms[PROBE_ARMS]; /* on persistent connections, warmed up */
    bool new_connections; /* the user asked for one connection a round: `fresh` has them */
    struct arm_rounds fresh;
    struct arm_rounds fresh_quickack; /* the same with TCP_QUICKACK, where there were gaps */
    bool persists;                    /* the server keeps a connection open after an answer */
    bool interventions;               /* arms beside the baseline were to be run */
    bool stamps_queued, stamps_acked; /* the kernel gave these kinds */
    uint32_t request_writes;          /* how many writes a request is */
    uint32_t mss_bytes;               /* of the segments that we send */
    uint32_t small_mss_bytes;         /* payload of a full segment to us in the SMALL_MSS arm */
    int64_t stall_ns;                 /* the shortest delay that is worth a finding */
    int64_t rtt_ns;                   /* smallest seen */
    int64_t resolve_ns;
    int64_t fallback_ns;      /* how long addresses tried before kept us from the one that won */
    const char *fallback;     /* what became of the others; NULL: there were none */
    uint32_t syn_retransmits; /* of all connections together */
    uint32_t slow_connects;   /* connections that needed one */
    uint32_t connections;
    /* The conversation failed: FINDING_NONE when it did not. */
    enum finding_code error;
    const char *error_message;
    const struct round *unfinished; /* the round in which it failed, or NULL */
};

/* Whether the baseline looks as if TCP_CORK could be behind it, so that SMALL_MSS is worth running.
 */
bool probe_verdict_suspects_cork(struct arm_rounds baseline);

/* Appends what the evidence carries; texts come from the arena. */
void probe_verdict(struct arena *arena, const struct probe_evidence *evidence,
                   struct finding_list *findings);

#endif
