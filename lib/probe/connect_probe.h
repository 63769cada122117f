/* The experiment behind connect-timeout on live targets: connect, a few times, and look at what
 * comes back; then, where it is wanted, SYNs with a rising time to live, to see how far they get.
 *
 * One thread, non-blocking, as many targets at once as is asked for; names are resolved by a few
 * threads beside. Every address of a name is a target of its own. Nothing is sent but SYNs (and
 * what our kernel answers to a SYN,ACK: each connection is closed at once). Nothing is decided
 * here: the evidence goes to the caller, who gives it to diagnosis/reach.h. */
#ifndef PROBE_CONNECT_PROBE_H
#define PROBE_CONNECT_PROBE_H

#include "diagnosis/reach.h"
#include "probe/probe.h"

#define CONNECT_PROBE_TRIES_MAX 100
#define CONNECT_PROBE_HOPS_MAX  64

struct connect_probe_plan {
    int family;             /* AF_UNSPEC, AF_INET, AF_INET6 */
    int64_t tries;          /* after one that was not answered there is no other */
    int64_t try_timeout_ns; /* patience with each */
    int64_t deadline_ns;    /* CLOCK_MONOTONIC bound on the run; INT64_MAX: none */
    bool path;              /* look for the path of each target */
    int64_t hops;           /* at most */
    int64_t hop_timeout_ns; /* patience with each hop: the kernel sends again after 1 s */
    size_t parallel;        /* targets at once */
    const char *pcap;       /* keep the packets in this file; NULL: not */
    bool keep_strip;        /* keep the calls and packets of each target, for a ladder */
    struct kernel_timers_settings settings; /* passed on to the diagnosis */
};

struct connect_probe_sink {
    void *context;
    /* A target is done; the evidence is in the arena. */
    void (*done)(void *context, struct reach_evidence *evidence);
};

/* Where this user may, the run is captured: the tries' `wire` has what was seen, and `totals` says
 * whether (captured) or why not (capture_failure). More targets at once than
 * CONNECT_PROBE_CAPTURE_MAX are not, unless the packets are to be kept. */
#define CONNECT_PROBE_CAPTURE_MAX 256
#define CONNECT_PROBE_STRIPS_MAX  64 /* more targets have no strip */

/* Asks all targets. The limit of open descriptors is raised to the hard limit. *stop (may be NULL)
 * becoming non-zero ends the run: what is under way is then told as far as it came. `totals` is
 * kept up to date. 0, or a negative errno when nothing could be run at all, or packets that are to
 * be kept cannot be (before anything is sent, or at the end). */
int connect_probe_run(const struct connect_probe_plan *plan, const struct probe_target *targets,
                      size_t count, struct arena *arena, const struct connect_probe_sink *sink,
                      const volatile sig_atomic_t *stop, struct probe_totals *totals,
                      struct error *error);

#endif
