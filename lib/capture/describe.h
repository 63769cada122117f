/* A decoded packet as an event of the timeline. */
#ifndef CAPTURE_DESCRIBE_H
#define CAPTURE_DESCRIBE_H

#include "packet/packet.h"
#include "trace/event.h"

/* Fills all that the packet itself says. Direction, fate and fault are the caller's to set, and
 * the departure, which is CLOCK_NONE. */
void capture_describe(struct trace_segment *out, const struct segment *segment,
                      uint32_t wire_bytes);

#endif
