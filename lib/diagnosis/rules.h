/* What the rules of tcp-probe's verdict share. A rule reads the evidence, and appends a finding or
 * nothing. rules_client.c has those of our own writes; rules_server.c those of the time before the
 * answer, and rules_cork.c, rules_gap.c and
 * rules_slow_start.c of what may be behind it; rules_network.c those of the
 * path; probe_verdict.c the others and their order. */
#ifndef DIAGNOSIS_RULES_H
#define DIAGNOSIS_RULES_H

#include "diagnosis/evidence.h"

struct rules {
    struct arena *arena; /* of all texts */
    const struct probe_evidence *evidence;
    const struct path_model *path;
    int64_t segment_ns;            /* evidence_segment_ns() */
    struct finding_list *findings; /* so far */
    struct arm_rounds reused;      /* on persistent connections, where the user's are new ones */
    unsigned *wanted;              /* bits 1 << enum probe_arm: arms that would decide */
};

/* How the rounds of a rule are said to be: "In 12 of 40 rounds". */
const char *rules_share(const struct rules *rules, size_t affected, size_t of);
/* An arm would settle what is open here. */
void rules_want(const struct rules *rules, enum probe_arm arm);

struct finding *rules_add(const struct rules *rules, enum finding_code code, enum result_side side,
                          size_t count, int64_t cost_ns);
void rules_prove(const struct rules *rules, struct finding *finding, const char *key,
                 int64_t value);
void rules_prove_change(const struct rules *rules, struct finding *finding, enum probe_arm arm,
                        const struct change *change);
__attribute__((format(printf, 2, 3))) void rules_inconclusive(const struct rules *rules,
                                                              const char *format, ...);
bool rules_found(const struct rules *rules, enum finding_code code);

/* path_model_lateness() of what is taken of each round, an exchange of two packets; none when
 * memory is out. */
struct lateness rules_lateness(const struct rules *rules, struct arm_rounds rounds,
                               int64_t (*took_ns)(const struct rules *, const struct round *));

/* A server's kernel acknowledges what it has received within a delayed ACK, also while the
 * application thinks. An answer that is later than that without an acknowledgement of its request
 * tells of a packet that was lost or held on the way, in either direction. */
bool rules_unacknowledged(const struct rules *rules, const struct round *round);
/* From the last byte's departure to the first of the answer, less what sizes explain; a round trip
 * where nothing can be said. */
int64_t rules_wait_ns(const struct rules *rules, const struct round *round);

/* Client: data that our own kernel held, for Nagle's algorithm, the peer's window, our send buffer
 * or otherwise. */
void rules_hold(const struct rules *rules);
/* Client: a receive window that was closed or full in these rounds. Says whether. */
bool rules_window(const struct rules *rules, struct arm_rounds rounds);
/* Server: the time before the answer, of which a connection may spend some in the accept queue, and
 * gaps inside it. */
void rules_answer(const struct rules *rules);
/* Server: a cork. Says whether the answer's delay is explained, or can't be. */
bool rules_cork(const struct rules *rules);

/* Server: what is its own of the gaps inside the answer, once Nagle's algorithm, buffers, windows
 * and the link are taken out and reported. */
struct gap_rest {
    size_t affected;
    int64_t typical_ns, at_least_ns; /* 0: nothing is left, or it is reported as undecided */
    bool before;                     /* behind what was no part of the answer (TLS's tickets) */
};
struct gap_rest rules_gap(const struct rules *rules);

/* What is known of a sender's congestion window before each round. */
enum window_age {
    WINDOW_IN_USE,  /* it has long grown beyond its first size */
    WINDOW_NEW,     /* new connections: it has that size */
    WINDOW_RESTED,  /* idle for a retransmission timeout: it has that size again (RFC 2861) */
    WINDOW_UNKNOWN, /* it may have, after loss, or an old recording does not say */
};
enum window_age rules_window_age(const struct rules *rules);

/* Network: a message that took several round trips because the sender's window had to open first.
 * Doubtful: it pauses as if it did, but on connections in use as well. */
enum slow_start { SLOW_START_NOT_SEEN, SLOW_START_TOLD, SLOW_START_DOUBTFUL };
enum slow_start rules_slow_start_answer(const struct rules *rules);
bool rules_slow_start_request(const struct rules *rules);

/* Network: loss, jitter and bandwidth. */
void rules_loss(const struct rules *rules, struct arm_rounds rounds);
void rules_jitter(const struct rules *rules, const struct lateness *late);
void rules_bandwidth(const struct rules *rules);

/* rules_idle.c: connections that were dropped while nothing was said. */
void rules_idle(const struct rules *rules);

#endif
