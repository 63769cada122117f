#include "probe/arm_schedule.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdlib.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- what was measured ---- */

struct round_store *arm_stores_of(struct arm_stores *stores, const struct arm_session *session)
{
    if (!session->fresh)
        return &stores->arms[session->arm];
    return session->arm == ARM_QUICKACK ? &stores->fresh_quickack : &stores->fresh;
}

int64_t arm_stores_measured(const struct arm_stores *stores)
{
    return (int64_t)(stores->fresh.count + stores->arms[ARM_BASELINE].count);
}

void arm_stores_free(struct arm_stores *stores)
{
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        round_store_free(&stores->arms[arm]);
    round_store_free(&stores->fresh);
    round_store_free(&stores->fresh_quickack);
}

static int64_t typical_round(const struct round_store *store)
{
    int64_t totals[64];
    return stats_median(totals, round_store_newest(store, totals, ARRAY_SIZE(totals)));
}

static int64_t total_of(const struct round *round)
{
    return round->total_ns;
}

static int64_t gap_of(const struct round *round)
{
    return round->part_ns[RESULT_PART_GAP];
}

/* Whether a share of the rounds that is worth explaining has a delay that is. */
static bool suspicious(const struct round_store *store, int64_t (*value)(const struct round *),
                       int64_t stall_ns)
{
    cleanup(mem) struct round *rounds = round_store_expand(store);
    size_t slow = 0;

    for (size_t i = 0; rounds && i < store->count; i++)
        slow += value(&rounds[i]) >= stall_ns;
    return slow >= DELAY_SHARE * (double)store->count;
}

/* ---- persistent connections ---- */

static bool arm_wanted(const struct arm_settings *settings, int arm)
{
    return arm == ARM_BASELINE || settings->arms >> arm & 1;
}

/* How many take turns: those that settle an open question do only where they were asked for. */
static int arms_in_turn(const struct arm_settings *settings)
{
    return settings->arms >> ARM_SMALL_MSS ? PROBE_ARMS : ARM_SMALL_MSS;
}

/* Whether only the baseline is run, because nothing else was asked for. */
static bool alone(const struct arm_settings *settings)
{
    return !(settings->arms & ~(1u << ARM_BASELINE));
}

static int64_t baseline_rounds(const struct arm_schedule *schedule)
{
    const struct arm_settings *settings = schedule->settings;

    if (settings->by_time && schedule->blocks)
        return schedule->timed_rounds;
    return settings->new_connection ? FRESH_ARM_ROUNDS : settings->rounds;
}

/* The share of `total` rounds that block number `block` has. */
static int64_t share(int64_t total, int block, int blocks)
{
    return total * (block + 1) / blocks - total * block / blocks;
}

/* Once some rounds are known: how many blocks, and how many rounds for the other arms. When the
 * time is given and not the rounds, the blocks are sized for half of what is left, so that every
 * arm has had its share when the rest is filled with more of them. */
static void set_pace(struct arm_schedule *schedule, const struct arm_stores *stores,
                     int64_t left_ns)
{
    const struct arm_settings *settings = schedule->settings;
    int64_t typical = typical_round(&stores->arms[ARM_BASELINE]);
    int64_t pace = max64(1, typical + settings->interval_ns);
    int64_t rounds = baseline_rounds(schedule), others = -1;

    for (int arm = 0; arm < PROBE_ARMS; arm++)
        others += arm_wanted(settings, arm);
    schedule->blocks = typical >= SLOW_ROUND_NS ? (int)ARM_BLOCKS_SLOW : (int)ARM_BLOCKS;
    schedule->by_question = typical >= QUESTION_NS && schedule->outlook && !settings->arms_given &&
                            !settings->by_time && !settings->new_connection;
    if (settings->by_time) {
        int64_t fit = left_ns / 2 / pace;
        schedule->quota = max64(ARM_ROUNDS_MIN, min64(ARM_BUDGET_NS / pace, fit / (others + 1)));
        schedule->timed_rounds =
            max64(schedule->quota, fit - others * schedule->quota) + FIRST_LOOK;
        schedule->timed_rounds = min64(schedule->timed_rounds, settings->rounds);
        return;
    }
    schedule->quota = typical ? min64(rounds, ARM_BUDGET_NS / typical) : rounds;
    schedule->quota = max64(schedule->quota, ARM_ROUNDS_MIN);
}

static int64_t warmup_of(const struct arm_schedule *schedule, const struct arm_stores *stores)
{
    int64_t warmup = schedule->settings->warmup;

    if (schedule->quota && typical_round(&stores->arms[ARM_BASELINE]) >= SLOW_ROUND_NS)
        return min64(warmup, WARMUP_SLOW);
    return warmup;
}

void arm_session_warmed_up(struct arm_session *session, int64_t round_ns)
{
    session->warmup--;
    session->warmed_up++;
    if (round_ns >= SLOW_ROUND_NS)
        session->warmup = min64(session->warmup, max64(0, WARMUP_SLOW - session->warmed_up));
}

static bool blocks_go_on(const struct arm_schedule *schedule, const struct arm_stores *stores)
{
    int64_t kept = 0;

    if (!schedule->settings->by_time)
        return schedule->step - 1 < schedule->blocks * arms_in_turn(schedule->settings);
    kept = (int64_t)stores->arms[ARM_BASELINE].count;
    return kept < schedule->settings->rounds;
}

/* The sessions in order: number `step` is arm (step + block) of block step / arms. */
static bool next_in_blocks(struct arm_schedule *schedule, const struct arm_stores *stores,
                           struct arm_session *out)
{
    int arms = arms_in_turn(schedule->settings);

    while (!schedule->by_question && blocks_go_on(schedule, stores)) {
        int block = (schedule->step - 1) / arms;
        int arm = ((schedule->step - 1) % arms + block) % arms;
        int64_t left = max64(0, baseline_rounds(schedule) - FIRST_LOOK);
        int64_t rounds = share(arm == ARM_BASELINE ? left : schedule->quota,
                               block % schedule->blocks, schedule->blocks);
        schedule->step++;
        if (rounds && arm_wanted(schedule->settings, arm)) {
            out->arm = (enum probe_arm)arm;
            out->rounds = rounds;
            return true;
        }
    }
    return false;
}

static bool next_persistent(struct arm_schedule *schedule, const struct arm_stores *stores,
                            int64_t left_ns, struct arm_session *out)
{
    const struct arm_settings *settings = schedule->settings;
    const struct round_store *baseline = &stores->arms[ARM_BASELINE];

    if (!schedule->step) { /* a few rounds first, to learn the pace */
        schedule->step = 1;
        out->rounds = baseline_rounds(schedule);
        if (!alone(settings))
            out->rounds = min64(FIRST_LOOK, out->rounds);
        return true;
    }
    if (alone(settings))
        return false;
    if (!schedule->blocks && settings->arms_on_suspicion &&
        !suspicious(baseline, total_of, settings->stall_ns)) {
        /* At scale the arms are for those that need them; the rest of the baseline is enough. */
        out->rounds = baseline_rounds(schedule) - (int64_t)baseline->count;
        return out->rounds > 0;
    }
    if (!schedule->blocks)
        set_pace(schedule, stores, left_ns);
    return next_in_blocks(schedule, stores, out);
}

/* An arm that would settle what is open, and was not asked too often yet. */
static bool next_wanted(const struct arm_schedule *schedule, const struct arm_stores *stores,
                        unsigned wanted, struct arm_session *out)
{
    if (alone(schedule->settings))
        return false;
    for (int arm = 0; arm < PROBE_ARMS; arm++) {
        bool may = arm >= ARM_SMALL_MSS || arm_wanted(schedule->settings, arm);
        if (arm == ARM_BASELINE || !may || !(wanted >> arm & 1) ||
            stores->arms[arm].count >= ARM_ROUNDS_MIN * ARM_TIMES)
            continue;
        out->arm = (enum probe_arm)arm;
        out->rounds = ARM_ROUNDS_MIN;
        return true;
    }
    return false;
}

/* Slow rounds: the baseline up to a number, the questions, the rest. */
static bool next_question(const struct arm_schedule *schedule, const struct arm_stores *stores,
                          struct arm_session *out)
{
    int64_t have = (int64_t)stores->arms[ARM_BASELINE].count, most = baseline_rounds(schedule);

    if (have < min64(QUESTION_ROUNDS, most)) {
        out->rounds = min64(QUESTION_ROUNDS, most) - have;
        return true;
    }
    struct arm_outlook outlook = schedule->outlook(schedule->owner);
    if (next_wanted(schedule, stores, outlook.wanted, out))
        return true;
    if (outlook.found && !schedule->settings->rounds_given)
        return false;
    out->rounds = most - have;
    return out->rounds > 0;
}

static bool next_open(const struct arm_schedule *schedule, const struct arm_stores *stores,
                      struct arm_session *out)
{
    if (!schedule->outlook || alone(schedule->settings) || !schedule->blocks)
        return false;
    if (schedule->by_question)
        return next_question(schedule, stores, out);
    return next_wanted(schedule, stores, schedule->outlook(schedule->owner).wanted, out);
}

/* ---- the whole ---- */

bool arm_settings_fresh(const struct arm_settings *settings)
{
    return settings->new_connection || settings->only_connects;
}

void arm_schedule_begin(struct arm_schedule *schedule, const struct arm_settings *settings)
{
    *schedule =
        (struct arm_schedule){.settings = settings,
                              .fresh_left = arm_settings_fresh(settings) ? settings->rounds : 0,
                              .fresh_arm = ARM_BASELINE};
}

/* The user's rounds on connections of their own; then, where answers paused, some with quick
 * acknowledgements, which may be what they waited for. */
static bool next_fresh(struct arm_schedule *schedule, const struct arm_stores *stores,
                       int64_t left_ns, bool only_fresh, struct arm_session *out)
{
    const struct arm_settings *settings = schedule->settings;
    bool users = schedule->fresh_arm == ARM_BASELINE;

    if (settings->by_time && users && stores->fresh.count && !only_fresh &&
        left_ns < settings->duration_ns / 2)
        schedule->fresh_left = 0; /* the other half is the arms' */
    if (!schedule->fresh_left && users && !only_fresh && stores->fresh.count &&
        arm_wanted(settings, ARM_QUICKACK) &&
        suspicious(&stores->fresh, gap_of, settings->stall_ns)) {
        schedule->fresh_arm = ARM_QUICKACK;
        schedule->fresh_left = ARM_ROUNDS_MIN;
    }
    if (!schedule->fresh_left)
        return false;
    schedule->fresh_left--;
    *out = (struct arm_session){.arm = schedule->fresh_arm, .fresh = true, .rounds = 1};
    return true;
}

bool arm_schedule_next(struct arm_schedule *schedule, const struct arm_stores *stores,
                       int64_t left_ns, struct arm_session *out)
{
    const struct arm_settings *settings = schedule->settings;
    bool only_fresh = settings->only_connects || (settings->new_connection && alone(settings));

    *out = (struct arm_session){.arm = ARM_BASELINE};
    if (next_fresh(schedule, stores, left_ns, only_fresh, out))
        return true;
    if (only_fresh ||
        !(next_persistent(schedule, stores, left_ns, out) || next_open(schedule, stores, out)))
        return false;
    /* Rounds that follow their like need no connection of their own, and no warm-up. */
    out->continues = schedule->by_question && schedule->latest == out->arm;
    schedule->latest = out->arm;
    if (!out->continues)
        out->warmup = warmup_of(schedule, stores);
    return true;
}
