/* Samples of listening TCP sockets, by sock_diag and /proc, as an ordinary user.
 *
 * A probe watches what was chosen: the sockets that a connection to an address would reach, those
 * of a process, or all of the network namespace. Each sample is one walk of the kernel through its
 * listeners, filtered in the kernel by port, and one through its connections, for the half-open
 * ones, filtered by state and port. Each is as long as the kernel's tables are large, which other
 * people's sockets fill, too: where a walk would take more than a 400th of the time it is made less
 * often. Between two walks few listeners are looked up one by one, and half-open connections are
 * not known; many listeners are sampled less often (listener_probe_due()).
 *
 * Half-open connections belong to an address and port. Where several sockets share them
 * (SO_REUSEPORT) they can't be told apart: each of these has RESULT_UNKNOWN.
 *
 * Where something waits in the queue from one sample to the next, the processes that hold the
 * socket are looked at, too (diagnosis/listener_cause.h). Nothing is sent to them, unless `tries`
 * asks for connections of our own: at most eight a listener, which wait in its queue until the
 * probe is closed.
 *
 * One thread at a time. Sockets that begin to listen during the watch join it. */
#ifndef PROBE_LISTENER_PROBE_H
#define PROBE_LISTENER_PROBE_H

#include "base/wait.h"
#include "diagnosis/listener.h"
#include "netkit/sock.h"

struct listener_choice {
    const struct sock_target *targets; /* an empty host: every address with that port */
    size_t target_count;
    int64_t pid; /* 0: no process */
    bool all;
    int family;              /* AF_UNSPEC: both */
    bool tries;              /* connect where connections wait, to see what that changes */
    struct wait_limit limit; /* of looking names up */
};

struct listener_probe;

/* Looks for what was chosen. -ENOENT: nothing there listens; -ESRCH: there is no such process;
 * -EACCES: it is somebody else's; -EXDEV: it lives in another network namespace; -ETIMEDOUT and
 * -EINTR: no name was found within the limit; otherwise what sock_diag or the resolver says. */
int listener_probe_open(struct listener_probe **out, const struct listener_choice *choice,
                        struct error *error);
void listener_probe_close(struct listener_probe *probe);

/* Takes a sample of each socket and feeds their watches. */
int listener_probe_sample(struct listener_probe *probe, struct error *error);
/* When the next sample is due, for an interval that was asked for. CLOCK_MONOTONIC. */
int64_t listener_probe_due(const struct listener_probe *probe, int64_t interval_ns);
/* Whether there is still something to watch, or may be again: false when all sockets of a process
 * are gone. */
bool listener_probe_alive(const struct listener_probe *probe);

/* One watched socket, for those who look on. */
struct listener_view {
    const struct sock_address *local;
    const struct listener_sample *sample; /* the last one */
    const struct listener_watch *watch;
    bool present;
};
/* The first one for *at 0, and so on; false after the last. */
bool listener_probe_next(const struct listener_probe *probe, size_t *at, struct listener_view *out);
/* The namespace's counters, when the watch began and now. */
const struct listener_counters *listener_probe_from(const struct listener_probe *probe);
const struct listener_counters *listener_probe_now(const struct listener_probe *probe);

/* Looks at all listeners of the namespace once more, ends the watches and adds a result and the
 * findings for each. */
int listener_probe_conclude(struct listener_probe *probe, struct report *report,
                            struct error *error);

/* What the watching itself cost: CPU time of this thread, and how often half-open ones counted. */
struct listener_cost {
    int64_t cpu_ns;
    int64_t samples, half_open_samples;
};
struct listener_cost listener_probe_cost(const struct listener_probe *probe);

#endif
