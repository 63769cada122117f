/* The run of a probe: what all its targets share, their beginning and their end. */
#include "diagnosis/probe_verdict.h"
#include "probe/fleet.h"
#include "probe/summarize.h"

#include "base/cleanup.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* With more targets the control is for those that need it. */
#define CONTROL_TARGETS_MAX 64

struct run {
    struct target_shared shared; /* the first member */
    struct fleet fleet;
    const struct probe_plan *plan;
    const struct probe_target *targets;
    const struct probe_sink *sink;
};

static struct run *run_of(struct fleet *fleet)
{
    return (struct run *)((char *)fleet - offsetof(struct run, fleet));
}

/* ---- the end of a target ---- */

/* What the capture has come to so far. */
static void look_at_capture(struct run *run)
{
    struct live_capture *capture = run->shared.conn.capture;
    struct error error = {0};

    live_capture_take(capture);
    run->fleet.totals->captured = live_capture_seen(capture) > 0;
    if (live_capture_failed(capture, &error))
        run->fleet.totals->capture_failure = arena_copy(run->shared.conn.arena, error.text);
}

static void report_target(struct run *run, const struct target *target)
{
    struct result_probe result;
    struct summary summary;

    look_at_capture(run);
    summarize(target, run->fleet.totals, &result, &summary);
    const struct probe_outcome outcome = {.index = target->item.index,
                                          .complete = target->session.rounds == 0 &&
                                                      !target->schedule.fresh_left,
                                          .result = &result,
                                          .evidence = &summary.evidence,
                                          .arena = run->shared.conn.arena};
    run->sink->done(run->sink->context, &outcome);
    summary_free(&summary);
}

/* The verdict on what there is so far; its texts are thrown away. */
static struct arm_outlook target_outlook(void *owner)
{
    cleanup(arena) struct arena arena = {0};
    struct finding_list findings = {0};
    struct arm_outlook outlook;
    struct summary summary;

    summary_evidence(owner, &summary);
    outlook.wanted = probe_verdict(&arena, &summary.evidence, &findings);
    outlook.found = false;
    for (size_t i = 0; i < findings.count; i++)
        outlook.found |=
            findings.items[i].severity >= FINDING_WARNING &&
            findings.items[i].count * 10 >= (int64_t)summary.evidence.arms[ARM_BASELINE].count * 6;
    summary_free(&summary);
    return outlook;
}

static void target_ended(struct target *target, enum target_end end)
{
    struct run *run = (struct run *)target->shared;
    struct probe_totals *totals = run->fleet.totals;

    admission_leave(&run->fleet.admission, &target->conn.place);
    fleet_leave(&run->fleet, &target->item);
    switch (end) {
    case TARGET_NOT_DONE:
        totals->not_done++;
        return;
    case TARGET_POSTPONED:
        if (fleet_postpone(&run->fleet, &target->item))
            return;
        break; /* one alone that finds no descriptor cannot run at all */
    case TARGET_DONE:
        break;
    }
    totals->done++;
    totals->failed += target->failure.code != FINDING_NONE;
    report_target(run, target);
}

static void cut_target(struct fleet_item *item, int rc, bool interrupted)
{
    struct target *target = (struct target *)item;

    if (rc)
        target_failed(target, FINDING_INCONCLUSIVE, -rc, "cannot go on: %s", strerror(-rc));
    else
        target_cut_short(target, interrupted);
}

static void free_target(struct fleet_item *item)
{
    target_free((struct target *)item);
}

/* ---- the beginning of one ---- */

static bool captures(const struct run *run)
{
    return run->fleet.count == 1 && (run->plan->keep_round || run->plan->pcap);
}

/* Packets of several targets would be too many to keep in step with; a ladder has one target. */
static void begin_capture(struct run *run, const struct target *target)
{
    struct live_capture **capture = &run->shared.conn.capture;
    struct error error = {0};

    if (sock_family(target->addresses.items) == AF_UNIX || *capture || !captures(run))
        return;
    const struct live_capture_settings settings = {.addresses = target->addresses.items,
                                                   .count = target->addresses.count,
                                                   .source = run->plan->conn.source,
                                                   .interface = run->plan->conn.interface,
                                                   .path = run->plan->pcap,
                                                   .strip = target->strip};
    if (live_capture_open(capture, &run->fleet.loop, &settings, &error))
        run->fleet.totals->capture_failure = arena_copy(run->shared.conn.arena, error.text);
    live_capture_renounce();
}

static void begin_resolved(struct run *run, struct target *target)
{
    conn_race_order(target->addresses.items, target->addresses.count);
    begin_capture(run, target);
    target_begin(target);
}

static void name_failed(struct target *target, const struct resolve_job *job)
{
    struct result_error error = resolve_failure(target->shared->conn.arena, job);

    target_fail(target, &error);
}

static void target_resolved(struct fleet_item *item, const struct resolve_job *job)
{
    struct target *target = (struct target *)item;

    target->resolving = false;
    target->resolve_ns = job->took_ns;
    target->addresses = job->addresses;
    if (job->rc)
        name_failed(target, job);
    else
        begin_resolved((struct run *)target->shared, target);
}

/* One address that need not be asked for. */
static int take_fixed(struct run *run, struct target *target)
{
    target->addresses.items = malloc(sizeof *target->addresses.items);
    if (!target->addresses.items)
        return -ENOMEM;
    target->addresses.items[0] = *target->asked->fixed;
    target->addresses.count = 1;
    begin_resolved(run, target);
    return 0;
}

static int begin_target(struct fleet *fleet, size_t index)
{
    struct run *run = run_of(fleet);
    struct target *target;
    int rc = target_create(&target, &run->shared, &run->targets[index]);

    if (rc)
        return rc;
    fleet_add(fleet, &target->item, index);
    target->resolving = !target->asked->fixed;
    rc = target->resolving ? fleet_resolve(fleet, &target->item, &target->asked->where)
                           : take_fixed(run, target);
    if (rc)
        target_failed(target, FINDING_INCONCLUSIVE, -rc, "cannot look the name up: %s",
                      strerror(-rc));
    return 0;
}

/* ---- the run ---- */

static void share_settings(struct run *run, struct arena *arena)
{
    const struct probe_plan *plan = run->plan;

    run->shared.plan = plan;
    run->shared.local_arms = plan->arms;
    run->shared.local_arms.arms = 1u << ARM_BASELINE;
    run->shared.sink = run->sink;
    run->shared.only_one = run->fleet.count == 1;
    run->shared.ended = target_ended;
    run->shared.outlook = target_outlook;
    run->shared.control = run->fleet.count <= CONTROL_TARGETS_MAX;
    run->shared.conn.settings = &plan->conn;
    run->shared.conn.tls = plan->tls_context;
    run->shared.conn.loop = &run->fleet.loop;
    run->shared.conn.arena = arena;
    run->shared.conn.admission = &run->fleet.admission;
}

int probe_run(const struct probe_plan *plan, const struct probe_target *targets, size_t count,
              struct arena *arena, const struct probe_sink *sink, const volatile sig_atomic_t *stop,
              struct probe_totals *totals, struct error *error)
{
    static const struct fleet_rules rules = {
        .begin = begin_target, .resolved = target_resolved, .cut = cut_target, .free = free_target};
    cleanup(mem) struct run *run = calloc(1, sizeof *run);
    struct error lost = {0};

    *totals = (struct probe_totals){0};
    if (!run)
        return error_sys(error, ENOMEM, "%zu targets", count);
    run->plan = plan;
    run->targets = targets;
    run->sink = sink;
    run->fleet.rules = &rules;
    run->fleet.count = count;
    run->fleet.parallel = plan->parallel;
    run->fleet.deadline_ns = plan->deadline_ns;
    run->fleet.family = plan->family;
    run->fleet.stop = stop;
    run->fleet.totals = totals;
    run->fleet.admission.wanted = !plan->arms.only_connects && count > ADMISSION_MAX;
    share_settings(run, arena);
    if (!captures(run))
        live_capture_renounce();
    int rc = fleet_open(&run->fleet, 1, error);
    if (!rc)
        rc = fleet_run(&run->fleet, error);
    if (live_capture_close(run->shared.conn.capture, &lost))
        totals->capture_failure = arena_copy(arena, lost.text);
    sock_diag_close(run->shared.diag);
    fleet_close(&run->fleet);
    return rc;
}
