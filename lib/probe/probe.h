/* The experiment on a live service: a conversation, timed from outside and from the kernel's own
 * stamps, repeated, and repeated with one socket option changed.
 *
 * probe_run() talks to targets from one thread without blocking (names are resolved by the system's
 * resolver, which may block), reduces each round as it ends, and hands each finished target to
 * `done`: what was measured (struct result_probe) and the evidence for the diagnosis. It prints
 * nothing and decides nothing. */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include "base/arena.h"
#include "netkit/sock.h"
#include "probe/arm_schedule.h"
#include "probe/conn.h"
#include "probe/fleet.h"
#include "probe/idle_trial.h"
#include "probe/preamble.h"
#include "probe/transaction.h"
#include "probe/url.h"
#include "result/result.h"
#include <signal.h>

/* What to do with each target. Memory belongs to the caller and must outlive the run. */
struct probe_plan {
    struct arm_settings arms; /* which rounds */
    struct transaction_settings
        transaction; /* of one round; nothing of it with only_connects ... */
    bool greets;     /* ... unless a round is what the server says of its own on a new connection */
    struct preamble_settings preamble; /* before the rounds of each connection */
    struct conn_settings conn;         /* of each connection */
    struct idle_settings idle;         /* tried after the rounds */
    const struct tls_settings *tls;    /* NULL: plain TCP */
    struct tls_context *tls_context;   /* made of these */

    int family;          /* AF_UNSPEC, AF_INET, AF_INET6 */
    int64_t deadline_ns; /* CLOCK_MONOTONIC bound on the run; INT64_MAX: none */
    bool keep_round;     /* keep one typical slow round for the ladder */
    /* Of one target, keep the packets in this file (NULL: not). They are captured for the ladder
     * too, where the user may. */
    const char *pcap;
    size_t parallel; /* targets at once; fewer while they would wait for each other (admission.h) */
};

struct probe_target {
    const char *name; /* for messages */
    struct sock_target where;
    enum url_scheme scheme;           /* URL_NONE: it is host and port */
    const char *path;                 /* of a URL; or NULL */
    const struct sock_address *fixed; /* instead of asking the resolver; NULL: ask */
    const char *request;              /* instead of the plan's, as HTTP's Host wants it; or NULL */
    size_t request_bytes;
    size_t body_at; /* where the body begins in it */
};

struct probe_round {
    const char *target;
    enum probe_arm arm;
    bool first_of_connection; /* by the user's wish or the server's habit */
    bool new_connection;      /* on a connection of its own, as --new-connection wants it */
    bool warmup;              /* not part of any result */
    const struct round *round;
};

struct probe_outcome {
    size_t index;                    /* which target */
    bool complete;                   /* false: the run ended before all rounds were done */
    struct result_probe *result;     /* in the arena */
    struct probe_evidence *evidence; /* valid during the callback only */
    struct arena *arena;
};

struct probe_sink {
    void *context;
    /* Hears of each round; may be NULL. */
    void (*round)(void *context, const struct probe_round *round);
    /* A target is done or failed, or the run ended while it had something to tell. */
    void (*done)(void *context, const struct probe_outcome *outcome);
};

/* Probes all targets, the first ones first. The limit of open descriptors is raised to the hard
 * limit. *stop (may be NULL) becoming non-zero in a signal handler ends the run; `done` is then
 * called for the targets that have something to tell. `totals` is kept up to date during the run.
 * `arena` receives the results. Returns 0, or a negative errno when nothing could be run at all. */
int probe_run(const struct probe_plan *plan, const struct probe_target *targets, size_t count,
              struct arena *arena, const struct probe_sink *sink, const volatile sig_atomic_t *stop,
              struct probe_totals *totals, struct error *error);

#endif
