/* Many targets, so many at a time: begins them in order, turns the loop, frees those that are over.
 * Names are resolved by a few threads beside; everything else happens here, in one. */
#include "probe/descriptors.h"
#include "probe/resolve.h"
#include "probe/summarize.h"

#include "base/cleanup.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* What all targets of a run share, and which are in flight. */
struct run {
    struct target_shared shared; /* the first member */
    const struct probe_plan *plan;
    const struct probe_target *targets;
    size_t count;
    const struct probe_sink *sink;
    struct arena *arena;
    struct probe_totals *totals;
    size_t parallel;
    struct admission admission;
    struct loop loop;
    struct resolver *resolver;
    struct loop_task resolver_task;
    struct target *in_flight, *over;
};

/* ---- the end of a target ---- */

/* What the capture has come to so far. */
static void look_at_capture(struct run *run)
{
    struct live_capture *capture = run->shared.conn.capture;
    struct error error = {0};

    live_capture_take(capture);
    run->totals->captured = live_capture_seen(capture) > 0;
    if (live_capture_failed(capture, &error))
        run->totals->capture_failure = arena_copy(run->arena, error.text);
}

static void report_target(struct run *run, const struct target *target)
{
    struct result_probe result;
    struct summary summary;

    look_at_capture(run);
    summarize(target, run->totals, &result, &summary);
    const struct probe_outcome outcome = {.index = target->index,
                                          .complete = target->session.rounds == 0 &&
                                                      !target->schedule.fresh_left,
                                          .result = &result,
                                          .evidence = &summary.evidence,
                                          .arena = run->arena};
    run->sink->done(run->sink->context, &outcome);
    summary_free(&summary);
}

/* Out of the list of those in flight, and into that of those to be freed. */
static void retire(struct run *run, struct target *target)
{
    admission_leave(&run->admission, &target->conn.place);
    if (target->previous)
        target->previous->next = target->next;
    else
        run->in_flight = target->next;
    if (target->next)
        target->next->previous = target->previous;
    target->next = run->over;
    run->over = target;
    run->totals->in_flight--;
}

static void target_ended(struct target *target, enum target_end end)
{
    struct run *run = (struct run *)target->shared;
    struct probe_totals *totals = run->totals;

    retire(run, target);
    switch (end) {
    case TARGET_NOT_DONE:
        totals->not_done++;
        return;
    case TARGET_POSTPONED:
        if (totals->in_flight) { /* fewer at a time from now on; one alone cannot run at all */
            totals->at_once = run->parallel = totals->in_flight;
            target->postponed = true;
            return;
        }
        break;
    case TARGET_DONE:
        break;
    }
    totals->done++;
    totals->failed += target->failure.code != FINDING_NONE;
    report_target(run, target);
}

/* ---- the beginning of one ---- */

/* Packets of several targets would be too many to keep in step with; a ladder has one target. */
static void begin_capture(struct run *run, const struct target *target)
{
    struct live_capture **capture = &run->shared.conn.capture;
    struct error error = {0};

    if (run->count != 1 || *capture || !(run->plan->keep_round || run->plan->pcap))
        return;
    const struct live_capture_settings settings = {.addresses = target->addresses.items,
                                                   .count = target->addresses.count,
                                                   .source = run->plan->conn.source,
                                                   .interface = run->plan->conn.interface,
                                                   .path = run->plan->pcap,
                                                   .strip = target->strip};
    if (live_capture_open(capture, &run->loop, &settings, &error))
        run->totals->capture_failure = arena_copy(run->arena, error.text);
}

static void begin_resolved(struct run *run, struct target *target)
{
    conn_race_order(target->addresses.items, target->addresses.count);
    begin_capture(run, target);
    target_begin(target);
}

static void take_resolved(struct run *run, struct resolve_job *job)
{
    struct target *target = job->owner;

    target->resolving = false;
    target->resolve_ns = job->took_ns;
    target->addresses = job->addresses;
    if (job->rc)
        target_failed(target, FINDING_NAME_NOT_FOUND, job->rc == -ENOENT ? 0 : -job->rc, "%s",
                      job->error.text);
    else
        begin_resolved(run, target);
    free(job);
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

static int ask_resolver(struct run *run, struct target *target)
{
    struct resolve_job *job = calloc(1, sizeof *job);

    if (!job)
        return -ENOMEM;
    job->target = target->asked->where;
    job->family = run->plan->family;
    job->owner = target;
    target->resolving = true;
    int rc = resolver_start(run->resolver, job);
    if (rc > 0)
        take_resolved(run, job);
    if (rc < 0)
        free(job);
    return rc < 0 ? rc : 0;
}

static int begin_target(struct run *run, size_t index)
{
    struct target *target;
    int rc = target_create(&target, &run->shared, &run->targets[index], index);

    if (rc)
        return rc;
    target->next = run->in_flight;
    if (target->next)
        target->next->previous = target;
    run->in_flight = target;
    run->totals->in_flight++;
    bool fixed = target->asked->fixed;
    rc = fixed ? take_fixed(target) : ask_resolver(run, target);
    if (rc)
        target_failed(target, FINDING_INCONCLUSIVE, -rc, "cannot look the name up: %s",
                      strerrordesc_np(-rc));
    else if (fixed)
        begin_resolved(run, target);
    return 0;
}

static void resolver_wakes(struct loop_task *task, uint32_t events)
{
    struct run *run = (struct run *)((char *)task - offsetof(struct run, resolver_task));
    struct resolve_job *job;

    (void)events;
    while ((job = resolver_take(run->resolver)))
        take_resolved(run, job);
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
        target_free(target);
    }
}

static void count_descriptors(struct run *run)
{
    size_t room = descriptors_room(&run->totals->descriptor_limit);

    if (run->parallel > room)
        run->totals->at_once = run->parallel = room;
}

static bool run_over(const struct run *run, const volatile sig_atomic_t *stop)
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

    while (!*rc && totals->in_flight < run->parallel && !run_over(run, stop) &&
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

    while (!rc && !run_over(run, stop)) {
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
        rc = tls_context_open(&run->shared.conn.tls, run->plan->tls, error);
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
    run->shared.plan = run->plan = plan;
    run->shared.sink = run->sink = sink;
    run->shared.only_one = count == 1;
    run->shared.ended = target_ended;
    run->shared.conn.settings = &plan->conn;
    run->shared.conn.loop = &run->loop;
    run->shared.conn.arena = run->arena = arena;
    run->shared.conn.admission = &run->admission;
    run->targets = targets;
    run->count = count;
    run->totals = totals;
    run->parallel = plan->parallel ? plan->parallel : 1;
    run->admission.wanted = !plan->arms.only_connects && count > ADMISSION_MAX;
    run->loop.epoll_fd = -1;
    count_descriptors(run);
    int rc = open_run(run, error);
    if (!rc) {
        rc = run_targets(run, stop);
        if (rc)
            error_sys(error, -rc, "%zu targets", count);
    }
    struct error lost = {0};
    if (live_capture_close(run->shared.conn.capture, &lost))
        totals->capture_failure = arena_copy(arena, lost.text);
    resolver_close(run->resolver);
    tls_context_close(run->shared.conn.tls);
    loop_close(&run->loop);
    return rc;
}
