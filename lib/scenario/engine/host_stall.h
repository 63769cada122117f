/* Whether the machine let processes run while a scenario was played.
 *
 * The wire knows how late its own packets were; it does not know that an agent, or a kernel timer,
 * was not run for a second. A process that does nothing but sleep for a moment, again and again,
 * sees that: how much longer than asked for it slept. */
#ifndef SCENARIO_HOST_STALL_H
#define SCENARIO_HOST_STALL_H

#include <stdint.h>
#include <sys/types.h>

/* Longer than this, and a difference says nothing: expectations of time allow for a little less
 * than twice as much. */
#define HOST_STALL_MOST_NS (INT64_C(350) * 1000 * 1000)

struct host_stall {
    pid_t pid;                /* -1: nobody watches */
    _Atomic int64_t *most_ns; /* shared with the process */
};

/* Where it cannot be had there is none, and host_stall_end() says 0. */
void host_stall_begin(struct host_stall *stall);
/* Ends it. Returns the longest that it was kept from running. */
int64_t host_stall_end(struct host_stall *stall);

#endif
