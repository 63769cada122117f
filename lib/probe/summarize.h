/* Rounds to numbers: percentiles, the breakdown of a typical round, the arms, notes. */
#ifndef PROBE_SUMMARIZE_H
#define PROBE_SUMMARIZE_H

#include "probe/target.h"

struct summary {
    struct probe_evidence evidence;
    struct round *rounds[PROBE_ARMS + 2]; /* what it points to */
};

/* What a target that is over has come to. Texts and lists of the result are in the run's arena. */
void summarize(const struct target *target, const struct probe_totals *totals,
               struct result_probe *result, struct summary *summary);
/* The evidence alone, also of a target that goes on. */
void summary_evidence(const struct target *target, struct summary *summary);
void summary_free(struct summary *summary);

#endif
