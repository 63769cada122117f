/* What the path between two hosts does to a packet, as a control tells it that only the peer's
 * kernel answers: handshakes, taken beside the rounds.
 *
 * A path has no one delay. Its whole distribution counts: what it did to as many handshakes as
 * there were rounds, it may have done to the rounds. A sample is a round trip of two small packets;
 * a message of more packets meets the path more often, and is late when one of them is. Pure. */
#ifndef DIAGNOSIS_PATH_MODEL_H
#define DIAGNOSIS_PATH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct path_model {
    const int64_t *sorted; /* round trips; the caller's */
    size_t count;          /* 0: nothing is known but base_ns */
    int64_t base_ns;       /* the shortest round trip: what the path takes at the least */
    int64_t typical_ns;    /* the median */
    int64_t high_ns;       /* the longest */
};

/* Sorts the samples in place and keeps a pointer to them. rtt_ns is the shortest round trip known
 * from elsewhere (TCP_INFO's min_rtt). */
void path_model_make(struct path_model *path, int64_t *samples, size_t count, int64_t rtt_ns);

/* The chance, estimated from above, that the path alone makes an exchange of `packets` packets take
 * limit_ns or longer. Laplace's rule: of 40 samples without one that long, one in 41 might be. */
double path_model_chance(const struct path_model *path, int64_t limit_ns, size_t packets);

/* Whether the path alone could have made `affected` of `rounds` exchanges that long: p ≥ 0.01. */
bool path_model_explains(const struct path_model *path, int64_t limit_ns, size_t packets,
                         size_t affected, size_t rounds);

/* By how much the path's round trips spread: the ninth decile less the shortest. */
int64_t path_model_spread_ns(const struct path_model *path);

/* What is later than the path makes it. */
enum lateness_kind {
    LATENESS_NONE,   /* too seldom to speak of */
    LATENESS_PATH,   /* the path did the same to the control */
    LATENESS_OPEN,   /* more rounds would decide */
    LATENESS_PROVEN, /* at_least_ns of it is not the path's */
};
struct lateness {
    enum lateness_kind kind;
    size_t affected, rounds;
    int64_t typical_ns;  /* of the affected, less what the path typically takes */
    int64_t at_least_ns; /* of the affected, when it is proven */
    bool undecided; /* the path explains it, and a delay of a stall beside it is not excluded */
};

/* Judges exchanges of `packets` packets each, by how long they took; a delay counts from stall_ns
 * on, in at least `share` of the rounds. Sorts the values. */
struct lateness path_model_lateness(const struct path_model *path, int64_t *values, size_t count,
                                    int64_t stall_ns, size_t packets, double share);

#endif
