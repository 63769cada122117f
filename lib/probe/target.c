/* What a target does next.
 *
 * Persistent connections: blocks of sessions, in each block every arm once on a fresh connection,
 * in an order that rotates from block to block, so that a machine that gets slower or faster
 * meanwhile touches all arms alike. The baseline has the user's number of rounds; the other arms as
 * many as fit in about a second each, and never fewer than the rank test needs.
 *
 * With --new-connection the user's rounds come first, each on its own connection; the arms then run
 * on persistent ones, to see whether those would stall. */
#include "probe/target.h"

#include "base/cleanup.h"
#include "base/stats.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS         4
#define BLOCKS_SLOW    2
#define SLOW_ROUND_NS  (10 * NS_PER_MS)
#define ARM_BUDGET_NS  NS_PER_SEC
#define ARM_ROUNDS_MIN 10
#define FRESH_ARM_ROUNDS                                                                           \
    20                 /* of the baseline on a persistent connection, beside --new-connection */
#define WARMUP_SLOW 3  /* the first exchange never stalls; a few are enough when each is slow */
#define FIRST_LOOK  4  /* rounds of the first session after which the pace is known */
#define CLOSED_MAX  64 /* rounds in a row for which a new connection is opened */

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool arm_wanted(const struct target *target, int arm)
{
    return arm == SERVICE_BASELINE || target->run->plan->arms >> arm & 1;
}

static int64_t baseline_rounds(const struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    return plan->new_connection ? min64(plan->rounds, FRESH_ARM_ROUNDS) : plan->rounds;
}

/* The share of `total` rounds that block number `block` has. */
static int64_t share(int64_t total, int block, int blocks)
{
    return total * (block + 1) / blocks - total * block / blocks;
}

static int64_t typical_round(const struct round_list *list)
{
    int64_t totals[64];
    size_t count = min64((int64_t)list->count, (int64_t)ARRAY_SIZE(totals));

    for (size_t i = 0; i < count; i++)
        totals[i] = list->rounds[list->count - count + i].total_ns;
    return stats_median(totals, count);
}

/* Once some rounds are known: how many blocks, and how many rounds for the other arms. */
static void set_pace(struct target *target)
{
    int64_t typical = typical_round(&target->arms[SERVICE_BASELINE]);
    int64_t rounds = baseline_rounds(target);

    target->blocks = typical >= SLOW_ROUND_NS ? BLOCKS_SLOW : BLOCKS;
    target->quota =
        min64(rounds, max64(ARM_ROUNDS_MIN, typical ? ARM_BUDGET_NS / typical : rounds));
}

static int64_t warmup_of(const struct target *target)
{
    int64_t warmup = target->run->plan->warmup;

    if (target->quota && typical_round(&target->arms[SERVICE_BASELINE]) >= SLOW_ROUND_NS)
        return min64(warmup, WARMUP_SLOW);
    return warmup;
}

static void start_session(struct target *target, enum service_arm arm, int64_t rounds)
{
    target->session = (struct session){.arm = arm, .warmup = warmup_of(target), .rounds = rounds};
    target->round_retried = false;
    talk_close(target);
    talk_open(target);
}

static bool alone(const struct target *target)
{
    return !(target->run->plan->arms & ~(1u << SERVICE_BASELINE));
}

/* The sessions in order: number `step` is arm (step + block) of block step / arms. Returns false
 * when all are done. */
static bool next_arm_session(struct target *target)
{
    enum { ARMS = SERVICE_SMALL_MSS };

    if (alone(target)) {
        if (target->step++)
            return false;
        start_session(target, SERVICE_BASELINE, baseline_rounds(target));
        return true;
    }
    if (!target->step) { /* a few rounds first, to learn the pace */
        target->step = 1;
        start_session(target, SERVICE_BASELINE, min64(FIRST_LOOK, baseline_rounds(target)));
        return true;
    }
    if (!target->blocks)
        set_pace(target);
    while (target->step - 1 < target->blocks * ARMS) {
        int block = (target->step - 1) / ARMS;
        int arm = ((target->step - 1) % ARMS + block) % ARMS;
        int64_t left = baseline_rounds(target) - min64(FIRST_LOOK, baseline_rounds(target));
        int64_t rounds =
            share(arm == SERVICE_BASELINE ? left : target->quota, block, target->blocks);
        target->step++;
        if (rounds && arm_wanted(target, arm)) {
            start_session(target, (enum service_arm)arm, rounds);
            return true;
        }
    }
    return false;
}

/* TCP_CORK is suspected only after the baseline is known. */
static bool next_cork_session(struct target *target)
{
    struct service_rounds baseline = {target->arms[SERVICE_BASELINE].rounds,
                                      target->arms[SERVICE_BASELINE].count};

    if (alone(target) || target->arms[SERVICE_SMALL_MSS].count || !service_suspects_cork(baseline))
        return false;
    start_session(target, SERVICE_SMALL_MSS, ARM_ROUNDS_MIN / 2);
    return true;
}

static void finish(struct target *target)
{
    struct result *result = arena_alloc(target->run->arena, sizeof *result);
    struct service_evidence evidence;

    if (target->finished)
        return;
    target->finished = true;
    talk_close(target);
    target->run->open_targets--;
    if (!result)
        return;
    gather(target, &result->probe, &evidence);
    struct probe_outcome outcome = {.index = target->index,
                                    .complete = target->session.rounds == 0 && !target->fresh_left,
                                    .result = &result->probe,
                                    .evidence = &evidence,
                                    .arena = target->run->arena};
    target->run->sink->done(target->run->sink->context, &outcome);
}

static bool out_of_time(const struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    return plan->duration_ns != INT64_MAX &&
           clock_mono_ns() - target->started_ns >= plan->duration_ns;
}

static void next_session(struct target *target)
{
    if (target->fresh_left) {
        target->session = (struct session){.arm = SERVICE_BASELINE, .rounds = 1};
        talk_close(target);
        talk_open(target);
        return;
    }
    target->session.rounds = 0;
    bool only_fresh =
        target->run->plan->connect_only || (target->run->plan->new_connection && alone(target));
    if (only_fresh || !(next_arm_session(target) || next_cork_session(target)))
        finish(target);
}

/* ---- rounds ---- */

static bool keep(struct round_list *list, const struct round *round)
{
    if (list->count == list->alloc) {
        size_t alloc = list->alloc ? 2 * list->alloc : 16;
        struct round *rounds = realloc(list->rounds, alloc * sizeof *rounds);
        if (!rounds)
            return false;
        list->rounds = rounds;
        list->alloc = alloc;
    }
    list->rounds[list->count++] = *round;
    return true;
}

/* One round for the ladder: slow, but not the slowest: the one nearest to the ninth decile. */
static void keep_slow_round(struct target *target, const struct round_list *list,
                            const struct round *round)
{
    int64_t totals[256];
    size_t count = min64((int64_t)list->count, (int64_t)ARRAY_SIZE(totals));

    if (!target->strip)
        return;
    for (size_t i = 0; i < count; i++)
        totals[i] = list->rounds[list->count - count + i].total_ns;
    stats_sort(totals, count);
    int64_t wanted = stats_quantile(totals, count, 0.9);
    if (target->slow_ns == RESULT_UNKNOWN ||
        llabs(round->total_ns - wanted) <= llabs(target->slow_ns - wanted)) {
        *target->slow_strip = *target->strip;
        target->slow_ns = round->total_ns;
    }
}

static void measured(struct target *target, const struct round *round)
{
    struct round_list *list =
        target->fresh_left ? &target->fresh : &target->arms[target->session.arm];

    if (!keep(list, round)) {
        target_failed(target, FINDING_INCONCLUSIVE, ENOMEM, "out of memory for rounds");
        return;
    }
    if (target->session.arm == SERVICE_BASELINE)
        keep_slow_round(target, list, round);
    target->session.rounds--;
    target->fresh_left -= target->fresh_left > 0;
}

void target_round_done(struct target *target, const struct round *round)
{
    const struct probe_sink *sink = target->run->sink;
    bool warmup = target->session.warmup > 0 && !target->fresh_left;

    if (target->rounds_on_connection > 1)
        target->persists = true;
    if (sink->round) {
        struct probe_round heard = {.target = target->name,
                                    .arm = target->session.arm,
                                    .fresh = target->rounds_on_connection <= 1,
                                    .warmup = warmup,
                                    .round = round};
        sink->round(sink->context, &heard);
    }
    if (warmup)
        target->session.warmup--;
    else
        measured(target, round);
    if (target->finished)
        return;
    if (out_of_time(target)) {
        target->session.rounds = target->fresh_left = 0;
        finish(target);
    } else if (target->session.rounds > 0 && !target->fresh_left) {
        talk_next_round(target);
    } else {
        next_session(target);
    }
}

void target_closed_between(struct target *target, int number)
{
    (void)number;
    target->closed_between++;
    /* A server that never keeps a connection cannot be warmed up, and every round is a first one.
     */
    if (!target->persists)
        target->session.warmup = 0;
    talk_close(target);
    talk_open(target);
}

void target_failed(struct target *target, enum finding_code code, int number, const char *format,
                   ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    target->failure = (struct failure){
        .code = code, .number = number, .message = arena_copy(target->run->arena, text)};
    finish(target);
}

/* ---- the run ---- */

static void begin(struct target *target)
{
    struct error error = {0};
    int64_t before = clock_mono_ns();
    int rc = sock_resolve(&target->where, target->run->plan->family, &target->addresses, &error);

    target->started_ns = clock_mono_ns();
    target->resolve_ns = target->started_ns - before;
    if (rc) {
        target_failed(target, FINDING_NAME_NOT_FOUND, rc == -ENOENT ? 0 : -rc, "%s", error.text);
        return;
    }
    next_session(target);
}

static int prepare(struct target *target, struct run *run, size_t index,
                   const struct sock_target *where, const char *name)
{
    *target = (struct target){.run = run,
                              .index = index,
                              .name = name,
                              .where = *where,
                              .sock = SOCK_INIT,
                              .look_ns = INT64_MAX,
                              .resolve_ns = RESULT_UNKNOWN,
                              .connect_ns = RESULT_UNKNOWN,
                              .handshake_rtt_ns = RESULT_UNKNOWN,
                              .min_rtt_ns = RESULT_UNKNOWN,
                              .slow_ns = RESULT_UNKNOWN};
    loop_task_init(&target->task, talk_wake);
    if (run->plan->new_connection || run->plan->connect_only)
        target->fresh_left = run->plan->rounds;
    if (run->plan->keep_round) {
        target->strip = calloc(1, sizeof *target->strip);
        target->slow_strip = arena_alloc(run->arena, sizeof *target->slow_strip);
        if (!target->strip || !target->slow_strip)
            return -ENOMEM;
    }
    return 0;
}

static void release(struct target *target)
{
    for (int arm = 0; arm < SERVICE_ARMS; arm++)
        free(target->arms[arm].rounds);
    free(target->fresh.rounds);
    free(target->strip);
    sock_address_list_free(&target->addresses);
}

/* The run's time is over: what is unfinished says how far it came. */
static void cut_short(struct target *target, bool interrupted)
{
    bool any = target->fresh.count || target->arms[SERVICE_BASELINE].count;

    if (target->finished)
        return;
    talk_abandon(target);
    if (any || interrupted)
        finish(target);
    else if (target->phase == TALK_CONNECTING)
        target_failed(target, FINDING_CONNECT_TIMEOUT, ETIMEDOUT,
                      "no answer to the SYN within --timeout");
    else
        target_failed(target, FINDING_NO_RESPONSE, ETIMEDOUT,
                      "connected, but no complete answer within --timeout; %llu bytes came",
                      (unsigned long long)target->reader.seen_bytes);
}

static void run_targets(struct run *run, struct target *targets, size_t count,
                        const volatile sig_atomic_t *stop)
{
    const struct probe_plan *plan = run->plan;

    for (size_t i = 0; i < count && !(stop && *stop); i++)
        begin(&targets[i]);
    while (run->open_targets && !(stop && *stop) && clock_mono_ns() < plan->deadline_ns)
        loop_turn(&run->loop, plan->deadline_ns);
    for (size_t i = 0; i < count; i++)
        cut_short(&targets[i], stop && *stop);
}

int probe_run(const struct probe_plan *plan, const struct sock_target *targets,
              const char *const *names, size_t count, struct arena *arena,
              const struct probe_sink *sink, const volatile sig_atomic_t *stop, struct error *error)
{
    cleanup(mem) struct run *run = calloc(1, sizeof *run);
    cleanup(mem) struct target *all = calloc(count ? count : 1, sizeof *all);
    int rc = 0;

    if (!run || !all)
        return error_sys(error, ENOMEM, "%zu targets", count);
    run->plan = plan;
    run->sink = sink;
    run->arena = arena;
    run->open_targets = count;
    rc = loop_open(&run->loop, count, error);
    if (rc)
        return rc;
    for (size_t i = 0; i < count && !rc; i++)
        rc = prepare(&all[i], run, i, &targets[i], names[i]);
    if (rc)
        error_sys(error, -rc, "%zu targets", count);
    else
        run_targets(run, all, count, stop);
    for (size_t i = 0; i < count; i++)
        release(&all[i]);
    loop_close(&run->loop);
    return rc;
}
