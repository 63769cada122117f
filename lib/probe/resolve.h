/* Names to addresses without making anybody wait: a few threads call the system's resolver.
 *
 * Everything else in this room runs in one thread; the threads here touch nothing but their job.
 * Literal addresses are resolved at once, without a thread. */
#ifndef PROBE_RESOLVE_H
#define PROBE_RESOLVE_H

#include "diagnosis/failure.h"
#include "netkit/sock.h"

struct resolver;

struct resolve_job {
    struct sock_target target;
    int family;
    struct sock_address_list addresses; /* the owner of the job takes them */
    int rc;
    struct error error;
    int64_t took_ns;
    void *owner;
    struct resolve_job *next;
};

/* Threads are started as jobs come, up to a handful. */
int resolver_open(struct resolver **out, struct error *error);
/* Readable when jobs are done. */
int resolver_fd(const struct resolver *resolver);
/* Either finishes the job at once and returns 1, or hands it to a thread and returns 0; or a
 * negative errno. The job must stay where it is until it comes back from resolver_take(). */
int resolver_start(struct resolver *resolver, struct resolve_job *job);
/* A finished job, or NULL when there is none now. */
struct resolve_job *resolver_take(struct resolver *resolver);
/* Jobs that a thread still holds are abandoned: their memory is freed by the thread, so they must
 * come from malloc. NULL is allowed. */
void resolver_close(struct resolver *resolver);

/* What sock_resolve() failed by (rc, and its text), with the name servers where nobody answered;
 * took_ns may be RESULT_UNKNOWN. */
const char *resolve_describe(struct arena *arena, int rc, const char *text, int64_t took_ns,
                             enum failure_cause *cause);

#endif
