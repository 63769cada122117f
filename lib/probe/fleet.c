#include "probe/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define DESCRIPTORS_ELSEWHERE 32 /* what the process needs beside connections */

/* ---- items ---- */

void fleet_add(struct fleet *fleet, struct fleet_item *item, size_t index)
{
    *item = (struct fleet_item){.next = fleet->in_flight, .index = index};
    if (item->next)
        item->next->previous = item;
    fleet->in_flight = item;
    fleet->totals->in_flight++;
}

void fleet_leave(struct fleet *fleet, struct fleet_item *item)
{
    if (item->previous)
        item->previous->next = item->next;
    else
        fleet->in_flight = item->next;
    if (item->next)
        item->next->previous = item->previous;
    item->next = fleet->over;
    fleet->over = item;
    fleet->totals->in_flight--;
}

bool fleet_postpone(struct fleet *fleet, const struct fleet_item *item)
{
    if (!fleet->totals->in_flight)
        return false;
    fleet->totals->at_once = fleet->parallel = fleet->totals->in_flight;
    fleet->postponed[fleet->postponed_count++] = item->index;
    return true;
}

static void free_over(struct fleet *fleet)
{
    while (fleet->over) {
        struct fleet_item *item = fleet->over;
        fleet->over = item->next;
        fleet->rules->free(item);
    }
}

/* ---- names ---- */

static void take_resolved(struct fleet *fleet, struct resolve_job *job)
{
    fleet->rules->resolved(job->owner, job);
    free(job);
}

static void resolver_wakes(struct loop_task *task, uint32_t events)
{
    struct fleet *fleet = (struct fleet *)((char *)task - offsetof(struct fleet, resolver_task));
    struct resolve_job *job;

    (void)events;
    while ((job = resolver_take(fleet->resolver)))
        take_resolved(fleet, job);
}

int fleet_resolve(struct fleet *fleet, struct fleet_item *item, const struct sock_target *target)
{
    struct resolve_job *job = calloc(1, sizeof *job);

    if (!job)
        return -ENOMEM;
    job->target = *target;
    job->family = fleet->family;
    job->owner = item;
    if (resolver_start(fleet->resolver, job))
        take_resolved(fleet, job);
    return 0;
}

/* ---- the run ---- */

static bool interrupted(const struct fleet *fleet)
{
    return fleet->stop && *fleet->stop;
}

static bool fleet_over(const struct fleet *fleet)
{
    return interrupted(fleet) ||
           (fleet->deadline_ns != INT64_MAX && clock_mono_ns() >= fleet->deadline_ns);
}

static bool all_begun(const struct fleet *fleet)
{
    return !fleet->postponed_count && fleet->totals->begun == fleet->count;
}

/* Begins as many as may begin now. Returns when the next one may, INT64_MAX when that depends on
 * others. */
static int64_t begin_some(struct fleet *fleet, int *rc)
{
    struct probe_totals *totals = fleet->totals;

    while (!*rc && totals->in_flight < fleet->parallel && !fleet_over(fleet) && !all_begun(fleet)) {
        int64_t next_ns =
            admission_next_ns(&fleet->admission, totals->in_flight, fleet->loop.turn_events);
        if (next_ns)
            return next_ns;
        admission_begin(&fleet->admission, totals->in_flight);
        *rc = fleet->rules->begin(fleet, fleet->postponed_count
                                             ? fleet->postponed[--fleet->postponed_count]
                                             : totals->begun++);
    }
    return INT64_MAX;
}

int fleet_run(struct fleet *fleet, struct error *error)
{
    struct probe_totals *totals = fleet->totals;
    int rc = 0;

    while (!rc && !fleet_over(fleet)) {
        int64_t next_ns = begin_some(fleet, &rc);
        free_over(fleet);
        if (!totals->in_flight && all_begun(fleet))
            break;
        if (totals->in_flight && !rc)
            rc =
                loop_turn(&fleet->loop, next_ns < fleet->deadline_ns ? next_ns : fleet->deadline_ns,
                          fleet->stop);
        rc = rc == -EINTR ? 0 : rc;
        free_over(fleet);
    }
    while (fleet->in_flight)
        fleet->rules->cut(fleet->in_flight, rc, interrupted(fleet));
    totals->not_done += fleet->count - totals->begun + fleet->postponed_count;
    free_over(fleet);
    return rc ? error_sys(error, -rc, "%zu targets", fleet->count) : 0;
}

/* Returns how many descriptors the run may use, SIZE_MAX when that is not known. */
static size_t raise_descriptors(int64_t *limit)
{
    struct rlimit allowed;

    if (getrlimit(RLIMIT_NOFILE, &allowed))
        return SIZE_MAX;
    allowed.rlim_cur = allowed.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &allowed))
        getrlimit(RLIMIT_NOFILE, &allowed);
    *limit = (int64_t)allowed.rlim_cur;
    return allowed.rlim_cur > 2 * DESCRIPTORS_ELSEWHERE ? allowed.rlim_cur - DESCRIPTORS_ELSEWHERE
                                                        : DESCRIPTORS_ELSEWHERE;
}

int fleet_open(struct fleet *fleet, size_t descriptors_each, struct error *error)
{
    struct probe_totals *totals = fleet->totals;

    fleet->loop.epoll_fd = -1;
    *totals = (struct probe_totals){0};
    size_t room = raise_descriptors(&totals->descriptor_limit) / descriptors_each;
    if (fleet->parallel > fleet->count)
        fleet->parallel = fleet->count;
    if (!fleet->parallel)
        fleet->parallel = 1;
    totals->at_once_wanted = fleet->parallel;
    if (fleet->parallel > room)
        totals->at_once = fleet->parallel = room;
    fleet->postponed = calloc(fleet->count + 1, sizeof *fleet->postponed);
    if (!fleet->postponed)
        return error_sys(error, ENOMEM, "%zu targets", fleet->count);
    int rc = loop_open(&fleet->loop, error);
    if (!rc)
        rc = resolver_open(&fleet->resolver, error);
    if (rc)
        return rc;
    loop_task_init(&fleet->resolver_task, resolver_wakes);
    rc = loop_watch(&fleet->loop, &fleet->resolver_task, resolver_fd(fleet->resolver), EPOLLIN);
    return rc ? error_sys(error, -rc, "epoll_ctl") : 0;
}

void fleet_close(struct fleet *fleet)
{
    resolver_close(fleet->resolver);
    loop_close(&fleet->loop);
    free(fleet->postponed);
}
