/* The ports of this host that a connection to an address may come from, and how many are in use. */
#ifndef PROBE_LOCAL_PORTS_H
#define PROBE_LOCAL_PORTS_H

#include "base/arena.h"
#include "netkit/sock.h"
#include <stdint.h>

struct local_ports {
    uint32_t first, last; /* net.ipv4.ip_local_port_range (IPv6 has the same); 0: not known */
    uint32_t taken;       /* of these, by sockets to the same address and port; from a given
                             source by all sockets of that family */
};

/* Asks the kernel: what it does not say stays 0. The source may be NULL. */
void local_ports_read(struct local_ports *ports, const struct sock_address *to,
                      const struct sock_address *source);
/* What that says of a connect that failed for the want of an address; a sentence from the arena. */
const char *local_ports_describe(struct arena *arena, const struct local_ports *ports,
                                 const struct sock_address *source);

#endif
