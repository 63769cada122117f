/* What the reference programs share. They are the least that does the job: what netkit is compared
 * with must not be slowed by anything that netkit does.
 *
 * Any failure ends the program with a message and status 1: a reference that failed has no time. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/clock.h"
#include "base/stats.h"
#include <err.h>
#include <netinet/in.h>
#include <stdlib.h>

/* An IPv4 address and a port, or the end of the program. */
struct sockaddr_in bench_address(const char *address, const char *port);
/* A number from 1 to max, or the end of the program. */
long bench_number(const char *text, long max);
/* {"unit": name, "per_second": …, "p50_ns": …, "p99_ns": …} on standard output. Sorts `values`. */
void bench_report(const char *name, int64_t took_ns, int64_t *values, size_t count);

#endif
