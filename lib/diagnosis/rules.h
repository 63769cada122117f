/* What the rules of tcp-probe's verdict share. A rule reads the evidence, and appends a finding or
 * nothing; rules_client.c has those of our own writes, rules_server.c those of the server's
 * answer, probe_verdict.c the others and their order. */
#ifndef DIAGNOSIS_RULES_H
#define DIAGNOSIS_RULES_H

#include "diagnosis/evidence.h"

struct rules {
    struct arena *arena; /* of all texts */
    const struct probe_evidence *evidence;
    struct finding_list *findings; /* so far */
};

struct finding *rules_add(const struct rules *rules, enum finding_code code, enum result_side side,
                          size_t count, int64_t cost_ns);
void rules_prove(const struct rules *rules, struct finding *finding, const char *key,
                 int64_t value);
void rules_prove_change(const struct rules *rules, struct finding *finding, enum probe_arm arm,
                        const struct change *change);
__attribute__((format(printf, 2, 3))) void rules_inconclusive(const struct rules *rules,
                                                              const char *format, ...);
bool rules_found(const struct rules *rules, enum finding_code code);

/* Client: data that our own kernel held, for Nagle's algorithm, the peer's window or otherwise. */
void rules_hold(const struct rules *rules);
/* Client: a receive window that was closed or full in these rounds. Says whether. */
bool rules_window(const struct rules *rules, struct arm_rounds rounds);
/* Server: a cork, gaps inside the answer, and the time before it. */
void rules_answer(const struct rules *rules);

#endif
