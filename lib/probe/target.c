/* What a target does next.
 *
 * Persistent connections: blocks of sessions, in each block every arm once on a fresh connection,
 * in an order that rotates from block to block, so that a machine that gets slower or faster
 * meanwhile touches all arms alike. The baseline has the user's number of rounds; the other arms as
 * many as fit in about a second each, and never fewer than the rank test needs. With --duration the
 * blocks go on until the time is over.
 *
 * With --new-connection the user's rounds come first, each on its own connection; the arms then run
 * on persistent ones, in the second half of a --duration, to see whether those would stall. */
#include "probe/target.h"

#include "base/cleanup.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS         4
#define BLOCKS_SLOW    2
#define SLOW_ROUND_NS  (10 * NS_PER_MS)
#define ARM_BUDGET_NS  NS_PER_SEC
#define ARM_ROUNDS_MIN 10
#define FRESH_ARM_ROUNDS                                                                           \
    20                   /* of the baseline on a persistent connection, beside --new-connection */
#define WARMUP_SLOW    3 /* the first exchange never stalls; a few are enough when each is slow */
#define CUT_ROUNDS_MIN 5
#define FIRST_LOOK     4 /* rounds of the first session after which the pace is known */

#define IN_WARMUP                                                                                  \
    "the server answered, but %s was over before the warm-up: give it more time, or a smaller "    \
    "--warmup"

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
    return arm == ARM_BASELINE || target->run->plan->arms >> arm & 1;
}

static bool by_time(const struct target *target)
{
    return target->run->plan->by_time;
}

static int64_t baseline_rounds(const struct target *target)
{
    const struct probe_plan *plan = target->run->plan;

    if (by_time(target) && target->blocks)
        return target->timed_rounds;
    return plan->new_connection ? FRESH_ARM_ROUNDS : plan->rounds;
}

/* The share of `total` rounds that block number `block` has. */
static int64_t share(int64_t total, int block, int blocks)
{
    return total * (block + 1) / blocks - total * block / blocks;
}

/* The durations of the newest rounds. Returns how many. */
static size_t newest_totals(const struct round_store *store, int64_t *out, size_t max)
{
    size_t count = store->count < max ? store->count : max;

    for (size_t i = 0; i < count; i++)
        out[i] = round_store_total_ns(store, store->count - count + i);
    return count;
}

static int64_t typical_round(const struct round_store *store)
{
    int64_t totals[64];
    return stats_median(totals, newest_totals(store, totals, ARRAY_SIZE(totals)));
}

static int arms_to_run(const struct target *target)
{
    int count = 0;
    for (int arm = 0; arm < ARM_SMALL_MSS; arm++)
        count += arm_wanted(target, arm);
    return count;
}

/* Once some rounds are known: how many blocks, and how many rounds for the other arms. When the
 * time is given and not the rounds, the blocks are sized for half of what is left, so that every
 * arm has had its share when the rest is filled with more of them. */
static void set_pace(struct target *target)
{
    int64_t typical = typical_round(&target->arms[ARM_BASELINE]);
    int64_t pace = max64(1, typical + target->run->plan->interval_ns);
    int64_t rounds = baseline_rounds(target);
    int64_t others = arms_to_run(target) - 1;

    target->blocks = typical >= SLOW_ROUND_NS ? BLOCKS_SLOW : BLOCKS;
    if (by_time(target)) {
        int64_t fit = target_time_left_ns(target) / 2 / pace;
        target->quota = max64(ARM_ROUNDS_MIN, min64(ARM_BUDGET_NS / pace, fit / (others + 1)));
        target->timed_rounds = max64(target->quota, fit - others * target->quota) + FIRST_LOOK;
        return;
    }
    target->quota = typical ? min64(rounds, ARM_BUDGET_NS / typical) : rounds;
    target->quota = max64(target->quota, ARM_ROUNDS_MIN);
}

static int64_t warmup_of(const struct target *target)
{
    int64_t warmup = target->run->plan->warmup;

    if (target->quota && typical_round(&target->arms[ARM_BASELINE]) >= SLOW_ROUND_NS)
        return min64(warmup, WARMUP_SLOW);
    return warmup;
}

/* Rounds are an interval apart, on whatever connections they are. */
static void reopen(struct target *target)
{
    target->round_retried = false;
    talk_close(target);
    if (target->connections && target->run->plan->interval_ns)
        talk_rest(target);
    else
        talk_open(target);
}

static void start_session(struct target *target, enum probe_arm arm, int64_t rounds)
{
    target->session = (struct session){.arm = arm, .warmup = warmup_of(target), .rounds = rounds};
    reopen(target);
}

/* Whether only the baseline is run, because nothing else was asked for. */
static bool alone(const struct target *target)
{
    return !(target->run->plan->arms & ~(1u << ARM_BASELINE));
}

/* Whether the baseline has anything that another arm could explain. */
static bool suspicious(const struct target *target)
{
    struct round *rounds = round_store_expand(&target->arms[ARM_BASELINE]);
    size_t count = target->arms[ARM_BASELINE].count, slow = 0;

    for (size_t i = 0; rounds && i < count; i++)
        slow += rounds[i].total_ns >= target->run->plan->stall_ns;
    free(rounds);
    return slow >= DELAY_SHARE * (double)count;
}

static int64_t rounds_kept(const struct target *target)
{
    size_t count = 0;
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        count += target->arms[arm].count;
    return (int64_t)count;
}

/* The sessions in order: number `step` is arm (step + block) of block step / arms. Returns false
 * when all are done. */
static bool next_arm_session(struct target *target)
{
    enum { ARMS = ARM_SMALL_MSS };

    if (alone(target)) {
        if (target->step++)
            return false;
        start_session(target, ARM_BASELINE, baseline_rounds(target));
        return true;
    }
    if (!target->step) { /* a few rounds first, to learn the pace */
        target->step = 1;
        start_session(target, ARM_BASELINE, min64(FIRST_LOOK, baseline_rounds(target)));
        return true;
    }
    if (!target->blocks && target->run->plan->arms_on_suspicion && !suspicious(target)) {
        /* At scale the arms are for those that need them; the rest of the baseline is enough. */
        int64_t rest = baseline_rounds(target) - (int64_t)target->arms[ARM_BASELINE].count;
        if (rest > 0)
            start_session(target, ARM_BASELINE, rest);
        return rest > 0;
    }
    if (!target->blocks)
        set_pace(target);
    while (by_time(target) ? rounds_kept(target) < target->run->plan->rounds
                           : target->step - 1 < target->blocks * ARMS) {
        int block = (target->step - 1) / ARMS;
        int arm = ((target->step - 1) % ARMS + block) % ARMS;
        int64_t left = baseline_rounds(target) - min64(FIRST_LOOK, baseline_rounds(target));
        int64_t rounds = share(arm == ARM_BASELINE ? left : target->quota, block % target->blocks,
                               target->blocks);
        target->step++;
        if (rounds && arm_wanted(target, arm)) {
            start_session(target, (enum probe_arm)arm, rounds);
            return true;
        }
    }
    return false;
}

/* TCP_CORK is suspected only after the baseline is known. */
static bool next_cork_session(struct target *target)
{
    if (alone(target) || target->arms[ARM_SMALL_MSS].count)
        return false;
    cleanup(mem) struct round *rounds = round_store_expand(&target->arms[ARM_BASELINE]);
    if (!rounds ||
        !evidence_suggests_cork((struct arm_rounds){rounds, target->arms[ARM_BASELINE].count}))
        return false;
    start_session(target, ARM_SMALL_MSS, ARM_ROUNDS_MIN / 2);
    return true;
}

/* Out of the list of those in flight, and into that of those to be freed: callers up the stack
 * still look at the target. */
static void retire(struct target *target)
{
    struct run *run = target->run;

    talk_close(target);
    admission_leave(&run->admission, &target->place);
    target->finished = true;
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

static void finish(struct target *target)
{
    struct run *run = target->run;
    struct result_probe result;
    struct summary summary;

    if (target->finished)
        return;
    retire(target);
    run->totals->done++;
    run->totals->failed += target->failure.code != FINDING_NONE;
    summarize(target, &result, &summary);
    struct probe_outcome outcome = {.index = target->index,
                                    .complete = target->session.rounds == 0 && !target->fresh_left,
                                    .result = &result,
                                    .evidence = &summary.evidence,
                                    .arena = run->arena};
    run->sink->done(run->sink->context, &outcome);
    summarize_free(&summary);
}

int64_t target_time_left_ns(const struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    int64_t passed = clock_mono_ns() - target->started_ns;

    if (plan->duration_ns == INT64_MAX)
        return INT64_MAX;
    return max64(0, plan->duration_ns - passed);
}

static bool measured_any(const struct target *target)
{
    return target->fresh.count || target->arms[ARM_BASELINE].count;
}

static int64_t rounds_measured(const struct target *target)
{
    return (int64_t)(target->fresh.count + target->arms[ARM_BASELINE].count);
}

void target_time_over(struct target *target)
{
    target->session.rounds = target->fresh_left = 0;
    if (measured_any(target))
        finish(target);
    else
        target_failed(target, FINDING_INCONCLUSIVE, 0, IN_WARMUP, "--duration");
}

/* Whether answers on new connections paused, so that our acknowledgements may be what they waited
 * for. */
static bool paused_when_fresh(const struct target *target)
{
    struct round *rounds = round_store_expand(&target->fresh);
    size_t paused = 0;

    for (size_t i = 0; rounds && i < target->fresh.count; i++)
        paused += rounds[i].part_ns[RESULT_PART_GAP] >= target->run->plan->stall_ns;
    free(rounds);
    return paused && paused >= DELAY_SHARE * (double)target->fresh.count;
}

static void next_session(struct target *target)
{
    bool only_fresh =
        target->run->plan->connect_only || (target->run->plan->new_connection && alone(target));
    bool own = target->fresh_arm == ARM_BASELINE;
    bool other_half = by_time(target) && own && target->fresh.count && !only_fresh &&
                      target_time_left_ns(target) < target->run->plan->duration_ns / 2;
    if (other_half)
        target->fresh_left = 0;
    if (!target->fresh_left && own && !only_fresh && arm_wanted(target, ARM_QUICKACK) &&
        paused_when_fresh(target)) {
        target->fresh_arm = ARM_QUICKACK;
        target->fresh_left = ARM_ROUNDS_MIN;
    }
    if (target->fresh_left) {
        target->session = (struct session){.arm = target->fresh_arm, .rounds = 1};
        reopen(target);
        return;
    }
    target->session.rounds = 0;
    if (only_fresh || !(next_arm_session(target) || next_cork_session(target)))
        finish(target);
}

/* ---- rounds ---- */

/* One round for the ladder: slow, but not the slowest: the one nearest to the ninth decile. */
static void keep_slow_round(struct target *target, const struct round_store *store,
                            const struct round *round)
{
    int64_t totals[256];

    if (!target->strip)
        return;
    size_t count = newest_totals(store, totals, ARRAY_SIZE(totals));
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
    enum probe_arm arm = target->session.arm;
    struct round_store *store = !target->fresh_left   ? &target->arms[arm]
                                : arm == ARM_QUICKACK ? &target->fresh_quickack
                                                      : &target->fresh;

    if (!round_store_add(store, round)) {
        target_failed(target, FINDING_INCONCLUSIVE, ENOMEM, "out of memory for rounds");
        return;
    }
    if (target->session.arm == ARM_BASELINE)
        keep_slow_round(target, store, round);
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
        struct probe_round heard = {.target = target->asked->name,
                                    .arm = target->session.arm,
                                    .fresh = target->rounds_on_connection <= 1,
                                    .own = target->fresh_left > 0,
                                    .warmup = warmup,
                                    .round = round};
        sink->round(sink->context, &heard);
    }
    target->warmed_up |= warmup;
    if (warmup)
        target->session.warmup--;
    else
        measured(target, round);
    if (target->finished)
        return;
    if (!target_time_left_ns(target)) {
        target_time_over(target);
    } else if (target->session.rounds > 0 && !target->fresh_left) {
        talk_next_round(target);
    } else {
        next_session(target);
    }
}

void target_closed_between(struct target *target)
{
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

void target_postpone(struct target *target)
{
    struct run *run = target->run;

    /* Fewer at a time from now on; this one alone cannot run at all. */
    if (run->totals->in_flight <= 1) {
        target_failed(target, FINDING_INCONCLUSIVE, EMFILE,
                      "no descriptor is left for a connection (ulimit -n)");
        return;
    }
    run->parallel = run->totals->in_flight - 1;
    run->totals->at_once = run->parallel;
    target->postponed = true;
    retire(target);
}

/* Packets of several targets would be too many to keep in step with; a ladder has one target. */
static void begin_sniffing(struct target *target)
{
    struct run *run = target->run;
    struct error error = {0};

    if (run->count != 1 || run->capture || !(run->plan->keep_round || run->plan->pcap))
        return;
    const struct live_capture_settings settings = {.addresses = target->addresses.items,
                                                   .count = target->addresses.count,
                                                   .source = run->plan->source,
                                                   .interface = run->plan->interface,
                                                   .path = run->plan->pcap,
                                                   .strip = target->strip};
    if (live_capture_open(&run->capture, &run->loop, &settings, &error))
        run->totals->capture_failure = arena_copy(run->arena, error.text);
}

void target_begin(struct target *target)
{
    struct resolve_job *job = target->job;

    target->job = NULL;
    target->started_ns = clock_mono_ns();
    if (job) {
        target->resolve_ns = job->took_ns;
        target->addresses = job->addresses;
        int rc = job->rc;
        if (rc)
            target_failed(target, FINDING_NAME_NOT_FOUND, rc == -ENOENT ? 0 : -rc, "%s",
                          job->error.text);
        free(job);
        if (rc)
            return;
    }
    conn_race_order(target->addresses.items, target->addresses.count);
    begin_sniffing(target);
    next_session(target);
}

void target_cut_short(struct target *target, bool interrupted)
{
    struct run *run = target->run;

    talk_abandon(target);
    target->cut_short = !interrupted;
    /* Of one target even the handshake is worth telling; among many it would look like a result,
     * and so would two rounds, of which one was late. */
    bool alone_connected = interrupted && run->count == 1 && target->connections;
    bool too_few = interrupted && run->count > 1 &&
                   rounds_measured(target) < min64(CUT_ROUNDS_MIN, run->plan->rounds);
    if ((measured_any(target) && !too_few) || alone_connected) {
        finish(target);
    } else if (interrupted) {
        retire(target);
        run->totals->not_done++;
    } else if (target->warmed_up) {
        target_failed(target, FINDING_INCONCLUSIVE, 0, IN_WARMUP, "--timeout");
    } else if (target->job || target->phase == TALK_DIALLING) {
        target_failed(target, target->job ? FINDING_NAME_NOT_FOUND : FINDING_CONNECT_TIMEOUT,
                      ETIMEDOUT, "%s within --timeout",
                      target->job ? "the name did not resolve" : "no answer to the SYN");
    } else if (target->phase == TALK_SECURING) {
        target_failed(target, FINDING_TLS_HANDSHAKE_FAILED, ETIMEDOUT,
                      "connected, but the TLS handshake was not over within --timeout");
    } else {
        target_failed(target, FINDING_NO_RESPONSE, ETIMEDOUT,
                      "connected, but no complete answer within --timeout; %llu bytes came",
                      (unsigned long long)target->reader.seen_bytes);
    }
}
