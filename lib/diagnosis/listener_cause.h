/* Why an application does not take the connections that wait for it: what its processes do
 * meanwhile, and what a new connection changes. Pure.
 *
 * A look is taken while the accept queue has not been empty for a while. What it tells follows from
 * how waiting works: a thread that sleeps in accept(), poll() or a level-triggered epoll set is
 * awake as long as a connection waits. So a process that sleeps beside a queue that is not empty
 * does not ask for connections now: it waits for something else, or has been told already and will
 * not be told again (EPOLLET). The exceptions can be seen, and make a look unclear: an epoll set
 * that should have woken it (another thread's, or EPOLLEXCLUSIVE), accept(), io_uring, a signal.
 *
 * What is sure, whatever else the process does: that all of its threads are stopped, and that every
 * descriptor number below its limit is taken, so that accept() fails with EMFILE.
 *
 * An event loop that registers everything with EPOLLET and takes one connection an event looks the
 * same as one that is occupied (Go, Tokio, Boost.Asio: their clients may wait for it, so that they
 * connect when it accepts, and not the other way round). Only a connection of our own tells: when
 * nothing moved before it, it releases exactly one, at once, each time, after quiet times of
 * different lengths. */
#ifndef DIAGNOSIS_LISTENER_CAUSE_H
#define DIAGNOSIS_LISTENER_CAUSE_H

#include "result/result.h"

/* What a process does, in one look. */
enum listener_posture {
    LISTENER_STOPPED, /* all threads: by a signal, a debugger, or its control group's freezer */
    LISTENER_OUT_OF_DESCRIPTORS,
    LISTENER_RUNS,  /* it wants a processor; threads that wait for a lock do not count */
    LISTENER_WAITS, /* it sleeps, and does not ask for connections */
    LISTENER_UNCLEAR,
    LISTENER_POSTURES
};

#define LISTENER_NAME_MAX 32
struct listener_process {
    int64_t pid, parent;
    char name[LISTENER_NAME_MAX]; /* "" : not known */
    enum listener_posture posture;
    bool edge;                     /* its epoll set has the listener edge-triggered */
    char where[LISTENER_NAME_MAX]; /* the kernel's function that its first thread sleeps in; "" */
    int64_t threads, running;
    int64_t descriptors, descriptor_limit; /* RESULT_UNKNOWN */
    int64_t cpu_ns, kernel_cpu_ns;         /* since it began; RESULT_UNKNOWN */
};

struct listener_look {
    int64_t at_ns;
    const struct listener_process *processes; /* that hold the listener */
    size_t count;
    bool hidden; /* others may hold it, which this user cannot see */
};

#define LISTENER_PROCESSES_KEPT 4
struct listener_looks {
    int64_t looks, hidden, edge;
    int64_t by[LISTENER_POSTURES];
    int64_t first_ns, last_ns;
    struct listener_process first; /* as the first look had it, if it is still kept[0] */
    struct listener_process kept[LISTENER_PROCESSES_KEPT]; /* of the last look */
    size_t count;                                          /* in the last look */
};

void listener_looks_feed(struct listener_looks *looks, const struct listener_look *look);

/* Connections of our own that met a queue in which nothing had moved, each alone in its window. */
struct listener_tries {
    bool wanted;
    int64_t begun;           /* all of them, those that say nothing included */
    int64_t none, one, more; /* how many that had waited were released by one */
};
#define LISTENER_TRIES 3

/* The answer; texts are of the arena. */
struct listener_cause {
    const char *code;   /* "descriptors", "stopped", "edge-triggered", "busy", "waiting"; NULL */
    const char *text;   /* sentences; NULL: nothing to say */
    const char *remedy; /* NULL: the general one */
};
/* `none_accepted`: surely none over all of the watch. */
struct listener_cause listener_cause_of(const struct listener_looks *looks,
                                        const struct listener_tries *tries, bool none_accepted,
                                        struct arena *arena);
/* What the answer rests on, as a finding keeps it. */
void listener_cause_evidence(const struct listener_looks *looks, const struct listener_tries *tries,
                             const char *code, struct result_map *out, struct arena *arena);

#endif
