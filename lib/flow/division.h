/* Where the time of a connection went.
 *
 * The packets that move the conversation (data, what is sent again, SYN, FIN, RST) cut a
 * connection's time into waits; pure ACKs only say what a wait was for. Each wait ends with a
 * packet of one side, and is divided among the parts when it does, so that the parts always add up
 * to the time from the first packet to the last.
 *
 * Nagle. A wait is held if all of this is true:
 *     - what is sent at its end is small, in sequence, and fits the receiver's window;
 *     - before it, exactly one small segment of the same side was in flight, its last, and nothing
 *       was being repaired;
 *     - then came an acknowledgement of all, without data;
 *     - and what is sent came right behind it: no later than the sender's path and its variation
 *       explain, and much sooner than the wait took.
 * Held for a delayed ACK if that came later than the receiver's path and its prompt ACKs explain;
 * else for a round trip. A program that just waits does this only by chance, so one hold is none:
 * flow_nagle() wants several, few sends that came a little later, and not a single small segment
 * that left while a small one was in flight, which Nagle's algorithm never allows (RFC 9293
 * §3.7.4). A timer's value plays no part.
 *
 * Until a connection has ended its Nagle parts are a suspicion; flow_division_end() gives the time
 * back to the program where it is not proven. */
#ifndef FLOW_DIVISION_H
#define FLOW_DIVISION_H

#include "flow/track.h"

/* Divides the wait that the step ends, if it does. True: *stall is one. */
bool flow_divide(struct flow_connection *connection, const struct flow_step *step, int64_t stall_ns,
                 struct flow_stall *stall);

/* The rest up to the last packet, and the verdict on Nagle. */
void flow_division_end(struct flow_connection *connection);

#endif
