/* What the application did and the kernel stamped, as events of a strip: a ladder is drawn from
 * those. */
#ifndef PROBE_TIMESTAMPING_H
#define PROBE_TIMESTAMPING_H

#include "netkit/sock.h"
#include "trace/trace.h"

/* A call that has returned. */
void timestamping_record_call(struct trace_strip *strip, uint32_t connection,
                              const struct sock_call *call);
/* A kernel timestamp of our side; end_bytes counts from the strip's beginning. */
void timestamping_record_stamp(struct trace_strip *strip, enum trace_stamp_kind kind,
                               int64_t at_real_ns, uint64_t end_bytes, uint64_t length_bytes);

#endif
