/* What this host's tables say about an address: the route that a SYN would take, and the neighbour
 * that it would be handed to. rtnetlink(7); no privilege is needed. */
#ifndef PROBE_ROUTE_H
#define PROBE_ROUTE_H

#include "base/arena.h"
#include "netkit/sock.h"
#include "result/result.h"

struct route_table;

int route_open(struct route_table **out, struct error *error);
void route_close(struct route_table *table); /* NULL is allowed */

/* The way to an address, without the neighbour; texts come from the arena. A negative errno when
 * there is none (what connect(2) would give), or the table cannot be asked. */
int route_find(struct route_table *table, const struct sock_address *to, struct arena *arena,
               struct result_route *out);
/* The state of the neighbour that the route leads to: "REACHABLE", "FAILED", …; static. NULL: not
 * in the table, or the kernel does not say (before 5.0). */
const char *route_neighbour(struct route_table *table, const struct sock_address *to,
                            const struct result_route *route);

#endif
