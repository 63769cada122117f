/* An earlier run and this one, target by target.
 *
 * The test is the one that tells the arms apart: Mann-Whitney's rank test, p below
 * DIFFERENCE_P_VALUE, here on the rebuilt samples of both runs (sample.h), with a shift (Hodges and
 * Lehmann's) of at least REGRESSION_SHARE of the earlier median and at least REGRESSION_FLOOR_NS:
 * two runs of an unchanged service differ by that much on an ordinary machine. Fewer than
 * ROUNDS_ENOUGH rounds in either run say nothing. Pure. */
#ifndef DIAGNOSIS_REGRESSION_H
#define DIAGNOSIS_REGRESSION_H

#include "result/result.h"

/* What is needed of the earlier run's target. */
struct regression_before {
    bool ok;
    struct result_latency latency;
    struct result_histogram histogram;
};

/* Appends a finding if the target has become slower, or has stopped answering. Gives what else the
 * reader should know of the comparison ("Faster than …"), or NULL. Texts come from the arena. */
const char *regression_find(struct arena *arena, const struct regression_before *before,
                            const struct result_probe *now, struct finding_list *findings);

#endif
