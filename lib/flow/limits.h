/* Every number that the reading of a capture depends on, with its reason. */
#ifndef FLOW_LIMITS_H
#define FLOW_LIMITS_H

#include "base/clock.h"

/* Without a SYN the MSS is not known; below the least that IPv4 paths carry, a segment is small. */
#define FLOW_SMALL_BYTES 536
/* Half the shortest delayed ACK of Linux (40 ms). */
#define FLOW_ACK_LATE_NS (20 * NS_PER_MS)
/* A path that varies by a third of it may have made it late. */
#define FLOW_ACK_LATE_TIMES 3
/* What follows an ACK within this, and a part of the path, was released by it: the kernel sends it
 * while it handles the ACK, without waking anybody. */
#define FLOW_RELEASE_NS (400 * NS_PER_US)
/* A program that waits on its own comes this much later, too: such sends speak against a hold. */
#define FLOW_NEAR_NS (16 * NS_PER_MS)
/* Fewer are chance. */
#define FLOW_HOLDS_MIN 2
/* A capture may show an ACK and what it releases in the wrong order by less than this. */
#define FLOW_DENIAL_NS (200 * NS_PER_US)
/* TCP_RTO_MIN is 200 ms on Linux, and a timer may fire early by a tick. */
#define FLOW_RTO_MIN_NS (190 * NS_PER_MS)
/* RFC 5681. */
#define FLOW_SAME_ACKS 3
/* Reordering on one path is a matter of microseconds; nobody asks for a segment so soon. */
#define FLOW_DISORDER_NS (3 * NS_PER_MS)
/* The same packet through both ports of a switch; an id comes again after 65536 packets. */
#define FLOW_MIRROR_NS       (50 * NS_PER_MS)
#define FLOW_MIRROR_NO_ID_NS (200 * NS_PER_US)
/* When nobody owes anything, so much silence is rest. */
#define FLOW_REST_NS (1 * NS_PER_SEC)
/* A client that goes on with its own message, not answered yet, is still at it so long. */
#define FLOW_MESSAGE_NS (5 * NS_PER_SEC)
/* Full segments follow each other so closely on any link; slower ones are told as waits. */
#define FLOW_LINK_NS (200 * NS_PER_MS)
/* Waits with the same amount in flight, one after another, that point to a buffer: a congestion
 * window grows. */
#define FLOW_BUFFER_WAITS 8
/* TCP_CORK and MSG_MORE hold for one RTO, at least 200 ms. */
#define FLOW_CORK_NS     (190 * NS_PER_MS)
#define FLOW_CORK_MAX_NS (320 * NS_PER_MS)
/* The timestamps must say less than half of the clock's step. */
#define FLOW_STEP_NS (500 * NS_PER_MS)
/* … by ticks whose length so many have shown. */
#define FLOW_STEP_TICKS 20
/* Stragglers of an ended connection pass within this; then it is told. */
#define FLOW_LINGER_NS (5 * NS_PER_SEC)

#endif
