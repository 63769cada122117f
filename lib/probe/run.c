/* Many targets, so many at a time: begins them in order, turns the loop, frees those that are over.
 * Names are resolved by a few threads beside; everything else happens here, in one. */
#include "probe/descriptors.h"
#include "probe/target.h"

#include "base/cleanup.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static void release(struct target *target)
{
    live_capture_forget(target->run->capture, target->strip);
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        round_store_free(&target->arms[arm]);
    round_store_free(&target->fresh);
    round_store_free(&target->fresh_quickack);
    free(target->strip);
    free(target->unfinished);
    round_free(&target->builder);
    sock_address_list_free(&target->addresses);
    free(target);
}

static int make_target(struct run *run, size_t index, struct target **out)
{
    struct target *target = malloc(sizeof *target);

    if (!target)
        return -ENOMEM;
    *target = (struct target){.run = run,
                              .index = index,
                              .asked = &run->targets[index],
                              .request = run->plan->request,
                              .request_bytes = run->plan->request_bytes,
                              .sock = SOCK_INIT,
                              .look_ns = INT64_MAX,
                              .phase_deadline_ns = INT64_MAX,
                              .resolve_ns = RESULT_UNKNOWN,
                              .connect_ns = RESULT_UNKNOWN,
                              .tls_ns = RESULT_UNKNOWN,
                              .handshake_rtt_ns = RESULT_UNKNOWN,
                              .min_rtt_ns = RESULT_UNKNOWN,
                              .slow_ns = RESULT_UNKNOWN};
    if (target->asked->request) {
        target->request = target->asked->request;
        target->request_bytes = target->asked->request_bytes;
    }
    loop_task_init(&target->task, talk_wake);
    if (run->plan->new_connection || run->plan->connect_only)
        target->fresh_left = run->plan->rounds;
    if (run->plan->keep_round) {
        target->strip = calloc(1, sizeof *target->strip);
        target->slow_strip = arena_alloc(run->arena, sizeof *target->slow_strip);
        if (!target->strip || !target->slow_strip) {
            release(target);
            return -ENOMEM;
        }
    }
    *out = target;
    return 0;
}

/* One address that need not be asked for. */
static int take_fixed(struct target *target)
{
    target->addresses.items = malloc(sizeof *target->addresses.items);
    if (!target->addresses.items)
        return -ENOMEM;
    target->addresses.items[0] = *target->asked->fixed;
    target->addresses.count = 1;
    return 0;
}

/* 1: known already, 0: a thread is asking. */
static int ask_resolver(struct target *target)
{
    target->job = calloc(1, sizeof *target->job);
    if (!target->job)
        return -ENOMEM;
    target->job->target = target->asked->where;
    target->job->family = target->run->plan->family;
    target->job->owner = target;
    int rc = resolver_start(target->run->resolver, target->job);
    if (rc < 0) {
        free(target->job);
        target->job = NULL;
    }
    return rc;
}

static int begin_target(struct run *run, size_t index)
{
    struct target *target;
    int rc = make_target(run, index, &target);

    if (rc)
        return rc;
    target->next = run->in_flight;
    if (target->next)
        target->next->previous = target;
    run->in_flight = target;
    run->totals->in_flight++;
    rc = target->asked->fixed ? take_fixed(target) : ask_resolver(target);
    if (rc < 0)
        target_failed(target, FINDING_INCONCLUSIVE, -rc, "cannot look the name up: %s",
                      strerrordesc_np(-rc));
    else if (rc || target->asked->fixed)
        target_begin(target);
    return 0;
}

static void resolver_wakes(struct loop_task *task, uint32_t events)
{
    struct run *run = (struct run *)((char *)task - offsetof(struct run, resolver_task));
    struct resolve_job *job;

    (void)events;
    while ((job = resolver_take(run->resolver)))
        target_begin(job->owner);
}

/* Frees what is over; what was postponed is put back. Returns how many came back: they are the ones
 * begun last. */
static void free_over(struct run *run, size_t *postponed, size_t *postponed_count)
{
    while (run->over) {
        struct target *target = run->over;
        run->over = target->next;
        if (target->postponed)
            postponed[(*postponed_count)++] = target->index;
        release(target);
    }
}

static void count_descriptors(struct run *run)
{
    size_t room = descriptors_room(&run->totals->descriptor_limit);

    if (run->parallel > room)
        run->totals->at_once = run->parallel = room;
}

static bool over(const struct run *run, const volatile sig_atomic_t *stop)
{
    return (stop && *stop) ||
           (run->plan->deadline_ns != INT64_MAX && clock_mono_ns() >= run->plan->deadline_ns);
}

/* Begins as many as may begin now. Returns when the next one may, INT64_MAX when that depends on
 * others. */
static int64_t begin_some(struct run *run, const volatile sig_atomic_t *stop, size_t *postponed,
                          size_t *postponed_count, int *rc)
{
    struct probe_totals *totals = run->totals;

    while (!*rc && totals->in_flight < run->parallel && !over(run, stop) &&
           (*postponed_count || totals->begun < run->count)) {
        int64_t next_ns =
            admission_next_ns(&run->admission, totals->in_flight, run->loop.turn_events);
        if (next_ns)
            return next_ns;
        admission_begin(&run->admission, totals->in_flight);
        size_t index = *postponed_count ? postponed[--*postponed_count] : totals->begun++;
        *rc = begin_target(run, index);
    }
    return INT64_MAX;
}

static int run_targets(struct run *run, const volatile sig_atomic_t *stop)
{
    cleanup(mem) size_t *postponed = calloc(run->count + 1, sizeof *postponed);
    size_t postponed_count = 0;
    struct probe_totals *totals = run->totals;
    int rc = postponed ? 0 : -ENOMEM;

    while (!rc && !over(run, stop)) {
        int64_t next_ns = begin_some(run, stop, postponed, &postponed_count, &rc);
        free_over(run, postponed, &postponed_count);
        if (!totals->in_flight && !postponed_count && totals->begun == run->count)
            break;
        if (totals->in_flight && !rc)
            rc = loop_turn(&run->loop,
                           next_ns < run->plan->deadline_ns ? next_ns : run->plan->deadline_ns,
                           stop);
        rc = rc == -EINTR ? 0 : rc;
        free_over(run, postponed, &postponed_count);
    }
    while (run->in_flight) {
        if (rc)
            target_failed(run->in_flight, FINDING_INCONCLUSIVE, -rc, "cannot go on: %s",
                          strerrordesc_np(-rc));
        else
            target_cut_short(run->in_flight, stop && *stop);
    }
    totals->not_done += run->count - totals->begun + postponed_count;
    free_over(run, postponed, &postponed_count);
    return rc;
}

static int open_run(struct run *run, struct error *error)
{
    int rc = loop_open(&run->loop, error);

    if (!rc && run->plan->tls)
        rc = tls_context_open(&run->tls, run->plan->tls, error);
    if (rc)
        return rc;
    rc = resolver_open(&run->resolver, error);
    if (rc)
        return rc;
    loop_task_init(&run->resolver_task, resolver_wakes);
    rc = loop_watch(&run->loop, &run->resolver_task, resolver_fd(run->resolver), EPOLLIN);
    return rc ? error_sys(error, -rc, "epoll_ctl") : 0;
}

int probe_run(const struct probe_plan *plan, const struct probe_target *targets, size_t count,
              struct arena *arena, const struct probe_sink *sink, const volatile sig_atomic_t *stop,
              struct probe_totals *totals, struct error *error)
{
    cleanup(mem) struct run *run = calloc(1, sizeof *run);

    *totals = (struct probe_totals){0};
    if (!run)
        return error_sys(error, ENOMEM, "%zu targets", count);
    *run = (struct run){.plan = plan,
                        .targets = targets,
                        .count = count,
                        .sink = sink,
                        .arena = arena,
                        .totals = totals,
                        .parallel = plan->parallel ? plan->parallel : 1,
                        .admission.wanted = !plan->connect_only && count > ADMISSION_MAX,
                        .loop = {.epoll_fd = -1}};
    count_descriptors(run);
    int rc = open_run(run, error);
    if (!rc) {
        rc = run_targets(run, stop);
        if (rc)
            error_sys(error, -rc, "%zu targets", count);
    }
    struct error lost = {0};
    if (live_capture_close(run->capture, &lost))
        totals->capture_failure = arena_copy(arena, lost.text);
    resolver_close(run->resolver);
    tls_context_close(run->tls);
    loop_close(&run->loop);
    return rc;
}
