/* Why a conversation failed, by new connections: whether the path lets large segments through
 * (mtu_trial.h), and what a service that brought no byte does without being asked, or asked in TLS
 * (no_answer_trial.h). */
#ifndef PROBE_TARGET_INQUIRY_H
#define PROBE_TARGET_INQUIRY_H

#include "probe/target.h"

/* What is left of --duration; INT64_MAX when there is no such bound, never negative. */
int64_t target_time_left_ns(const struct target *target);
/* Whether the name has another address to try: the first connection, to this one, was ended without
 * a byte of an answer. The addresses left are those to try. Where there is none, the failure tells
 * of those before. */
bool target_pass_over(struct target *target, const struct sock_address *address);
/* false: there is nothing to ask. Else the failed connection is closed, target->failure says more
 * when `ended` is called, and target_inquiry_cut() may end it before. */
bool target_inquiry_begin(struct target *target, const struct target_inquiry *inquiry);
void target_inquiry_cut(struct target *target);

#endif
