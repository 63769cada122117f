#include "diagnosis/evidence.h"

#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <string.h>

#define ROUNDS_MAX 1024 /* what one arm is thinned to */

static const char *const arm_names[PROBE_ARMS] = {
    [ARM_BASELINE] = "baseline",         [ARM_NODELAY] = "nodelay",
    [ARM_QUICKACK] = "quickack",         [ARM_BOTH] = "nodelay+quickack",
    [ARM_SINGLE_WRITE] = "single-write", [ARM_SMALL_MSS] = "small-mss",
    [ARM_LATE_ACK] = "late-ack",
};

const char *probe_arm_name(enum probe_arm arm)
{
    return arm_names[arm];
}

enum probe_arm probe_arm_by_name(const char *name)
{
    int arm = 0;
    while (arm < PROBE_ARMS && strcmp(arm_names[arm], name))
        arm++;
    return (enum probe_arm)arm;
}

int64_t evidence_measure(const struct round *round, enum measure what)
{
    switch (what) {
    case MEASURE_HOLD:
        return round->part_ns[RESULT_PART_SEND_HOLD];
    case MEASURE_THINK:
        return round->part_ns[RESULT_PART_SERVER];
    case MEASURE_RWND:
        return round->rwnd_limited_ns;
    case MEASURE_SNDBUF:
        return round->sndbuf_limited_ns;
    case MEASURE_WAKEUP:
        return round->part_ns[RESULT_PART_WAKEUP];
    case MEASURE_WAIT:
        return round->wait_ns;
    case MEASURE_WAIT_AFTER:
        return (int64_t)round->wait_after_bytes;
    }
    return 0;
}

struct measures {
    int64_t sorted[ROUNDS_MAX];
    size_t count;
};

static void measure_all(struct measures *out, struct arm_rounds rounds, enum measure what)
{
    out->count = rounds.count < ROUNDS_MAX ? rounds.count : ROUNDS_MAX;
    for (size_t i = 0; i < out->count; i++)
        out->sorted[i] = evidence_measure(&rounds.rounds[i * rounds.count / out->count], what);
    stats_sort(out->sorted, out->count);
}

static int64_t quantile(const struct measures *measures, double p)
{
    return measures->count ? stats_quantile(measures->sorted, measures->count, p) : 0;
}

/* The median of the upper `share`. */
static int64_t upper_median(const struct measures *measures, double share)
{
    return quantile(measures, 1 - share / 2);
}

int64_t evidence_median(struct arm_rounds rounds, enum measure what)
{
    struct measures measures;

    measure_all(&measures, rounds, what);
    return quantile(&measures, 0.5);
}

int64_t evidence_wakeup_ns(const struct probe_evidence *evidence, double share)
{
    struct measures wakeups;

    measure_all(&wakeups, evidence->arms[ARM_BASELINE], MEASURE_WAKEUP);
    return share >= DELAY_COMMON_SHARE ? upper_median(&wakeups, share) : quantile(&wakeups, 0.9);
}

struct delay evidence_delay(const struct probe_evidence *evidence, struct arm_rounds rounds,
                            enum measure what)
{
    int64_t stall_ns = evidence->stall_ns;
    struct measures measures;
    struct delay delay = {0};

    measure_all(&measures, rounds, what);
    delay.affected = stats_count_from(measures.sorted, measures.count, stall_ns);
    if (!delay.affected)
        return delay;
    delay.share = (double)delay.affected / (double)measures.count;
    delay.typical_ns = upper_median(&measures, delay.share);
    int64_t wakeup_ns = evidence_wakeup_ns(evidence, delay.share);
    if (delay.share >= DELAY_COMMON_SHARE) {
        /* Only a machine whose own wake-ups are as slow casts doubt, the same share of them. */
        delay.present = delay.typical_ns >= DELAY_COMMON_WAKEUPS * wakeup_ns;
    } else if (delay.share >= DELAY_SHARE && delay.affected >= AFFECTED_MIN) {
        /* An occasional delay on a machine that is itself late says nothing about the service. */
        delay.present =
            delay.typical_ns >= DELAY_WAKEUPS * wakeup_ns && wakeup_ns < stall_ns / DELAY_WAKEUPS;
    }
    return delay;
}

struct change evidence_change(const struct probe_evidence *evidence, enum probe_arm arm,
                              enum measure what, const struct delay *delay)
{
    struct change change = {.effect = EFFECT_UNKNOWN, .p_value = 1};
    struct measures before, after;

    if (evidence->arms[arm].count < ROUNDS_ENOUGH)
        return change;
    measure_all(&before, evidence->arms[ARM_BASELINE], what);
    measure_all(&after, evidence->arms[arm], what);
    change.p_value = stats_compare(before.sorted, before.count, after.sorted, after.count).p_value;
    change.remaining_ns = upper_median(&after, delay->share);
    change.removed_ns = upper_median(&before, delay->share) - change.remaining_ns;
    if (change.removed_ns < 0)
        change.removed_ns = 0;
    change.effect = change.p_value < DIFFERENCE_P_VALUE && change.removed_ns >= evidence->stall_ns
                        ? EFFECT_CLEAR
                        : EFFECT_NONE;
    return change;
}

void evidence_path(const struct probe_evidence *evidence, struct path_model *path,
                   int64_t samples[EVIDENCE_CONTROL_MAX])
{
    size_t count = evidence->control_count < EVIDENCE_CONTROL_MAX ? evidence->control_count
                                                                  : EVIDENCE_CONTROL_MAX;
    int64_t rtt_ns = evidence->rtt_ns == RESULT_UNKNOWN ? 0 : evidence->rtt_ns;

    for (size_t i = 0; i < count; i++)
        samples[i] = evidence->control_ns[i * evidence->control_count / count];
    if (count < ROUNDS_ENOUGH) {
        count = CONTROL_ASSUMED;
        for (size_t i = 0; i < count; i++)
            samples[i] = rtt_ns + (rtt_ns / 2 + NS_PER_MS) * (int64_t)i / (int64_t)CONTROL_ASSUMED;
    }
    path_model_make(path, samples, count, rtt_ns ? rtt_ns : INT64_MAX);
    if (evidence->control_count < ROUNDS_ENOUGH)
        path->typical_ns = rtt_ns;
}

bool evidence_measured_by_pause(const struct round *round, uint32_t mss_bytes)
{
    int64_t took_ns = round->segment_ns * (int64_t)(round->gap_release_bytes / mss_bytes);

    return round->gap_ns > LINK_TIMES * round->segment_ns && 2 * took_ns >= round->gap_ns;
}

/* Of an arm's rounds the middle one: a host that was late lets segments follow each other quickly.
 */
static int64_t arm_segment_ns(struct arm_rounds rounds, uint32_t mss_bytes)
{
    int64_t known[ROUNDS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < rounds.count && count < ROUNDS_MAX; i++)
        if (rounds.rounds[i].segment_ns != RESULT_UNKNOWN &&
            !(mss_bytes && evidence_measured_by_pause(&rounds.rounds[i], mss_bytes)))
            known[count++] = rounds.rounds[i].segment_ns;
    return count ? stats_median(known, count) : RESULT_UNKNOWN;
}

/* Behind how much of the answer its longest pause is, mostly. */
static int64_t usual_place(struct arm_rounds rounds)
{
    int64_t places[ROUNDS_MAX];
    size_t count = 0;

    for (; count < rounds.count && count < ROUNDS_MAX; count++)
        places[count] = (int64_t)rounds.rounds[count].gap_after_bytes;
    return stats_median(places, count);
}

/* A link that needs that long for a full segment lets small ones follow each other sooner; a server
 * that pauses does so whatever their size, and at the same place of its answer, or where one of
 * several writes of full segments ended. */
static bool pauses_with_small_segments(const struct probe_evidence *evidence, int64_t segment_ns)
{
    struct arm_rounds rounds = evidence->arms[ARM_SMALL_MSS];
    int64_t place = usual_place(evidence->arms[ARM_BASELINE]);
    uint64_t mss = evidence->peer_mss_bytes;
    size_t pauses = 0;

    for (size_t i = 0; i < rounds.count && mss; i++) {
        const struct round *round = &rounds.rounds[i];
        uint64_t after = round->gap_after_bytes;
        pauses += round->gap_ns >= segment_ns - segment_ns / 4 &&
                  (after == (uint64_t)place || (after && after % mss == 0));
    }
    return rounds.count >= ROUNDS_ENOUGH && 2 * pauses > rounds.count;
}

int64_t evidence_segment_ns(const struct probe_evidence *evidence)
{
    int64_t least = RESULT_UNKNOWN;

    for (int arm = 0; arm < PROBE_ARMS; arm++) {
        int64_t ns = arm == ARM_SMALL_MSS
                         ? RESULT_UNKNOWN
                         : arm_segment_ns(evidence->arms[arm], evidence->peer_mss_bytes);
        if (ns != RESULT_UNKNOWN && (least == RESULT_UNKNOWN || ns < least))
            least = ns;
    }
    if (least != RESULT_UNKNOWN && least >= ROUND_PAUSE_NS &&
        pauses_with_small_segments(evidence, least))
        return RESULT_UNKNOWN;
    return least;
}
