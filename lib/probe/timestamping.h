/* What the application did, as an event of a strip. */
#ifndef PROBE_TIMESTAMPING_H
#define PROBE_TIMESTAMPING_H

#include "netkit/sock.h"
#include "trace/trace.h"

/* A call that has returned. NULL as the strip records nothing. */
void timestamping_record(struct trace_strip *strip, uint32_t connection,
                         const struct sock_call *call);

#endif
