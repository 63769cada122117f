/* The kernel's network counters as /proc/net/netstat and /proc/net/snmp write them: pairs of lines,
 * the names of a group and then their values. Pure; the text may be anything. */
#ifndef DIAGNOSIS_COUNTERS_H
#define DIAGNOSIS_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

/* The counter `name` of `group` ("TcpExt", "Tcp"). False when the text has none of that name, or no
 * number for it. */
bool counters_find(const char *text, const char *group, const char *name, uint64_t *out);

#endif
