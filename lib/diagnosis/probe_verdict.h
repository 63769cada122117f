/* What a live service's rounds say about it: measurements in, findings out.
 *
 * A stall is named only when two kinds of evidence agree: the mechanism, seen in the kernel's
 * stamps and counters of the rounds themselves, and the effect, seen when one socket option changes
 * and the stall goes away. What only one of them supports is reported as inconclusive. Pure: no
 * clock, no socket, no format; every verdict is replayed from recorded rounds by the tests. */
#ifndef DIAGNOSIS_PROBE_VERDICT_H
#define DIAGNOSIS_PROBE_VERDICT_H

#include "diagnosis/evidence.h"

/* Appends what the evidence carries; texts come from the arena. Returns bits 1 << enum probe_arm:
 * arms that were not run, or too briefly, and would settle what is open; 0: nothing would. */
unsigned probe_verdict(struct arena *arena, const struct probe_evidence *evidence,
                       struct finding_list *findings);

#endif
