/* The run over many targets, whatever is done with each: begins them in order, a number at a time,
 * has their names resolved by a few threads beside, turns the loop, and frees those that are over.
 * Everything but the resolving happens in one thread. */
#ifndef PROBE_FLEET_H
#define PROBE_FLEET_H

#include "probe/admission.h"
#include "probe/loop.h"
#include "probe/resolve.h"
#include <signal.h>

/* How the run went as a whole. */
struct probe_totals {
    size_t begun, done, failed, in_flight;
    size_t not_done; /* the run ended before they had anything to tell */
    size_t at_once_wanted;
    size_t at_once; /* targets at once, where descriptors allow fewer than was asked for; else 0 */
    int64_t descriptor_limit;
    const char *capture_failure; /* why packets were not captured, or not all; in the arena */
    bool captured;               /* packets were seen */
};

/* The first member of what is in flight. */
struct fleet_item {
    struct fleet_item *next, *previous;
    size_t index; /* of its target */
};

struct fleet;

struct fleet_rules {
    /* Makes the item of a target, gives it to fleet_add() and begins it. A negative errno ends the
     * run. */
    int (*begin)(struct fleet *fleet, size_t index);
    /* A name that was given to fleet_resolve() is resolved, or not (job->rc). The addresses are the
     * item's to free. */
    void (*resolved)(struct fleet_item *item, const struct resolve_job *job);
    /* The run ends while the item is in flight, by an error (rc), a signal, or its deadline; has to
     * call fleet_leave(). */
    void (*cut)(struct fleet_item *item, int rc, bool interrupted);
    void (*free)(struct fleet_item *item);
};

struct fleet {
    const struct fleet_rules *rules;
    size_t count, parallel;            /* targets in all, and at once */
    int64_t deadline_ns;               /* CLOCK_MONOTONIC; INT64_MAX: none */
    int family;                        /* of the addresses */
    const volatile sig_atomic_t *stop; /* non-zero ends the run; or NULL */
    struct probe_totals *totals;       /* kept up to date */
    struct admission admission;
    struct loop loop;
    struct resolver *resolver;
    struct loop_task resolver_task;
    struct fleet_item *in_flight, *over;
    size_t *postponed, postponed_count; /* indices of those that begin again */
};

/* The fields down to `totals`, and admission.wanted, are the caller's. Raises the limit of open
 * descriptors to the hard one; each target needs this many. Whatever it returns, fleet_close(). */
int fleet_open(struct fleet *fleet, size_t descriptors_each, struct error *error);
void fleet_close(struct fleet *fleet);
/* Until all is done, or the run is over. A negative errno when it cannot go on at all. */
int fleet_run(struct fleet *fleet, struct error *error);
void fleet_add(struct fleet *fleet, struct fleet_item *item, size_t index);
/* Ends in `resolved`, perhaps at once, unless it returns a negative errno. */
int fleet_resolve(struct fleet *fleet, struct fleet_item *item, const struct sock_target *target);
/* It is over, and freed when nothing up the stack looks at it any more. */
void fleet_leave(struct fleet *fleet, struct fleet_item *item);
/* Its target begins again later, with fewer at a time. false when no other is in flight. To be
 * called after fleet_leave(). */
bool fleet_postpone(struct fleet *fleet, const struct fleet_item *item);

#endif
