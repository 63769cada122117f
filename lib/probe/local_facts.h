/* What this host has to say when its kernel refuses to connect (diagnosis/failure.h). */
#ifndef PROBE_LOCAL_FACTS_H
#define PROBE_LOCAL_FACTS_H

#include "diagnosis/failure.h"
#include "netkit/sock.h"

/* Asks the kernel: what it does not say stays {0}. number: what connect() failed by. The source may
 * be NULL. */
void local_facts_read(struct local_facts *facts, int number, const struct sock_address *to,
                      const struct sock_address *source);
/* The name servers of /etc/resolv.conf, "192.0.2.1, 192.0.2.2"; "" when there is none. Escaped. */
const char *local_facts_name_servers(struct arena *arena);

#endif
