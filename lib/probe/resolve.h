/* Names to addresses without making anybody wait: a few threads call the system's resolver.
 *
 * Everything else in this room runs in one thread; the threads here touch nothing but their job.
 * Literal addresses are resolved at once, without a thread. */
#ifndef PROBE_RESOLVE_H
#define PROBE_RESOLVE_H

#include "base/wait.h"
#include "diagnosis/failure.h"
#include "netkit/sock.h"

struct resolver;

struct resolve_job {
    struct sock_target target;
    int family;
    struct sock_address_list addresses; /* the owner of the job takes them */
    int rc;
    bool no_thread; /* it was not even asked for */
    struct error error;
    int64_t took_ns;
    void *owner;
    struct resolve_job *next;
};

/* Threads are started as jobs come, up to a handful. */
int resolver_open(struct resolver **out, struct error *error);
/* Readable when jobs are done. */
int resolver_fd(const struct resolver *resolver);
/* Either finishes the job at once and returns true, or hands it to a thread. The job must stay
 * where it is until it comes back from resolver_take(). */
bool resolver_start(struct resolver *resolver, struct resolve_job *job);
/* A finished job, or NULL when there is none now. */
struct resolve_job *resolver_take(struct resolver *resolver);
/* Jobs that a thread still holds are abandoned: their memory is freed by the thread, so they must
 * come from malloc. NULL is allowed. */
void resolver_close(struct resolver *resolver);

/* What a job failed by, with the name servers where nobody answered. */
struct result_error resolve_failure(struct arena *arena, const struct resolve_job *job);

/* Looks one name up, for those who have nothing else to do meanwhile. 0, or a negative errno, of
 * which `failure` says more: -ETIMEDOUT and -EINTR are the limit's. */
int resolve_now(struct arena *arena, const struct sock_target *target, int family,
                const struct wait_limit *limit, struct sock_address_list *out,
                struct result_error *failure);

#endif
