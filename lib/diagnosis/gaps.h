/* Pauses inside answers, as the rules read them: of what kind they are, what ended them, and what
 * an arm changes. */
#ifndef DIAGNOSIS_GAPS_H
#define DIAGNOSIS_GAPS_H

#include "diagnosis/rules.h"

enum gap_kind {
    GAP_NONE,
    GAP_LOST,   /* a segment was lost or overtaken: the network's */
    GAP_LINK,   /* a full segment takes as long on this path */
    GAP_WINDOW, /* behind full segments: a congestion window or a buffer */
    GAP_SMALL,  /* behind less than a full segment: Nagle's algorithm, or the server itself */
};

#define GAP_BIT(kind) (1u << (kind))

/* The gaps of some kinds in the rounds of an arm; 0 where a round has none of them. */
struct gaps {
    int64_t *ns; /* by round; on the heap */
    size_t count, affected;
    int64_t typical_ns; /* of the affected */
};

struct gaps gaps_collect(const struct rules *rules, struct arm_rounds rounds, unsigned kinds);
void gaps_free(struct gaps *gaps);
/* Whether there are enough of them to speak of. */
bool gaps_matter(const struct gaps *gaps);

/* What ends a pause, by our own ACKs. */
struct release {
    size_t gaps;          /* pauses in which our ACKs were watched */
    size_t supporting;    /* it ended a round trip after our ACK had left */
    size_t contradicting; /* it ended sooner, long after it, or without one */
    size_t exact;         /* of the supporting: our ACK is known to a few milliseconds */
    int64_t ack_delay_ns; /* how long our ACKs took to leave, in the middle */
};

struct release gaps_release(const struct rules *rules, struct arm_rounds rounds);

enum mechanism { MECHANISM_UNKNOWN, MECHANISM_SEEN, MECHANISM_ABSENT };

enum mechanism gaps_mechanism(const struct release *release);

/* An arm's pauses against the baseline's, by the whole distribution and by the share of rounds. */
struct contrast {
    bool known, shorter, longer;
    double p_value;
    size_t affected, count; /* of the arm: pauses that a round trip does not explain */
    int64_t typical_ns;     /* of those */
    int64_t removed_ns;
};

struct contrast gaps_contrast(const struct rules *rules, const struct gaps *baseline,
                              enum probe_arm arm, unsigned kinds);

/* Pauses that already have path_ns of the path's own: two segments that left together
 * arrive as far apart as its delay varies; a window's pauses are round trips. */
struct lateness gaps_lateness(const struct rules *rules, const struct gaps *gaps, int64_t path_ns);

#endif
