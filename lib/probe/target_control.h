/* What is measured beside a target's rounds: the path, and this host's load. */
#ifndef PROBE_TARGET_CONTROL_H
#define PROBE_TARGET_CONTROL_H

#include "probe/target.h"

/* A handshake beside a round of the user's own, so that the control has as many samples. The
 * address must stay. */
void target_control_shake(struct target *target, const struct sock_address *address);
/* How many processes want a processor now: the fourth word of /proc/loadavg (proc(5)). */
void target_control_load(struct target *target);

#endif
