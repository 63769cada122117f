/* A delay that hits only some rounds is compared by its upper quantiles: the affected share of the
 * baseline's rounds against the same share of the arm's, so that a stall in every fourth round does
 * not vanish in a median. */
#include "diagnosis/inquiry.h"

#include "base/stats.h"
#include "base/units.h"
#include <stdio.h>

#define ROUNDS_MAX 1024 /* what one arm is thinned to */

int64_t inquiry_measure(const struct round *round, enum measure what)
{
    switch (what) {
    case MEASURE_HOLD:
        return round->part_ns[RESULT_PART_SEND_HOLD];
    case MEASURE_GAP:
        return round->part_ns[RESULT_PART_GAP];
    case MEASURE_THINK:
        return round->part_ns[RESULT_PART_SERVER];
    case MEASURE_RWND:
        return round->rwnd_limited_ns;
    case MEASURE_ACK_DELAY:
        return round->ack_delay_ns == RESULT_UNKNOWN ? 0 : round->ack_delay_ns;
    case MEASURE_WAKEUP:
        return round->part_ns[RESULT_PART_WAKEUP];
    case MEASURE_WAIT:
        return round->wait_ns;
    case MEASURE_WAIT_AFTER:
        return (int64_t)round->wait_after_bytes;
    }
    return 0;
}

struct sample {
    int64_t sorted[ROUNDS_MAX];
    size_t count;
};

static void take(struct sample *sample, struct arm_rounds rounds, enum measure what)
{
    sample->count = rounds.count < ROUNDS_MAX ? rounds.count : ROUNDS_MAX;
    for (size_t i = 0; i < sample->count; i++)
        sample->sorted[i] = inquiry_measure(&rounds.rounds[i * rounds.count / sample->count], what);
    stats_sort(sample->sorted, sample->count);
}

static size_t at_least(const struct sample *sample, int64_t ns)
{
    size_t below = 0;
    while (below < sample->count && sample->sorted[below] < ns)
        below++;
    return sample->count - below;
}

/* The median of the upper `share` of a sample. */
static int64_t upper_median(const struct sample *sample, double share)
{
    return sample->count ? stats_quantile(sample->sorted, sample->count, 1 - share / 2) : 0;
}

struct delay inquiry_delay(const struct inquiry *inquiry, struct arm_rounds rounds,
                           enum measure what)
{
    int64_t floor = inquiry->evidence->stall_ns;
    struct sample sample;
    struct delay delay = {0};

    take(&sample, rounds, what);
    delay.affected = at_least(&sample, floor);
    if (!delay.affected)
        return delay;
    delay.share = (double)delay.affected / (double)sample.count;
    delay.typical_ns = upper_median(&sample, delay.share);
    if (delay.share >= 0.5) {
        /* In most rounds: only a machine whose own wake-ups are as slow casts doubt, the same share
         * of them. */
        struct sample wakeups;
        take(&wakeups, inquiry->evidence->arms[ARM_BASELINE], MEASURE_WAKEUP);
        delay.present = delay.typical_ns >= 2 * upper_median(&wakeups, delay.share);
        delay.doubtful = !delay.present;
    } else if (delay.share >= SERVICE_SHARE && sample.count >= INQUIRY_ENOUGH_ROUNDS) {
        delay.present =
            delay.typical_ns >= 4 * inquiry->noise_high_ns && inquiry->noise_high_ns < floor / 4;
        /* An occasional delay on a machine that is itself late says nothing about the service. */
    }
    return delay;
}

struct change inquiry_change(const struct inquiry *inquiry, enum probe_arm arm, enum measure what,
                             const struct delay *delay)
{
    const struct probe_evidence *evidence = inquiry->evidence;
    struct change change = {.effect = EFFECT_UNKNOWN, .p_value = 1};
    struct sample before, after;

    if (evidence->arms[arm].count < INQUIRY_ENOUGH_ROUNDS)
        return change;
    take(&before, evidence->arms[ARM_BASELINE], what);
    take(&after, evidence->arms[arm], what);
    change.p_value = stats_compare(before.sorted, before.count, after.sorted, after.count).p_value;
    change.remaining_ns = upper_median(&after, delay->share);
    change.removed_ns = upper_median(&before, delay->share) - change.remaining_ns;
    if (change.removed_ns < 0)
        change.removed_ns = 0;
    change.effect = change.p_value < SERVICE_P_VALUE && change.removed_ns >= evidence->stall_ns
                        ? EFFECT_CLEAR
                        : EFFECT_NONE;
    return change;
}

void inquiry_learn_noise(struct inquiry *inquiry, struct arm_rounds rounds)
{
    struct sample wakeups;

    take(&wakeups, rounds, MEASURE_WAKEUP);
    if (!wakeups.count)
        return;
    inquiry->noise_typical_ns = stats_quantile(wakeups.sorted, wakeups.count, 0.5);
    inquiry->noise_high_ns = stats_quantile(wakeups.sorted, wakeups.count, 0.9);
}

const char *inquiry_span(const struct inquiry *inquiry, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(inquiry->arena, units_format_duration(text, sizeof text, ns, "µ"));
}

struct finding *inquiry_add(const struct inquiry *inquiry, enum finding_code code,
                            enum result_side side, size_t count, int64_t cost_ns)
{
    struct finding *finding = finding_add(inquiry->arena, inquiry->findings, code, side);

    finding->target = inquiry->evidence->target;
    finding->connection = inquiry->evidence->connection;
    finding->count = (int64_t)count;
    finding->cost_ns = cost_ns;
    return finding;
}

void inquiry_prove(const struct inquiry *inquiry, struct finding *finding, const char *key,
                   int64_t value)
{
    result_set_integer(inquiry->arena, &finding->evidence, key, value);
}

void inquiry_prove_change(const struct inquiry *inquiry, struct finding *finding,
                          enum probe_arm arm, const struct change *change)
{
    if (change->effect == EFFECT_UNKNOWN)
        return;
    result_set_text(inquiry->arena, &finding->evidence, "arm", probe_arm_name(arm));
    inquiry_prove(inquiry, finding, "arm_removes_ns", change->removed_ns);
    inquiry_prove(inquiry, finding, "arm_leaves_ns", change->remaining_ns);
    result_set_real(inquiry->arena, &finding->evidence, "p_value", change->p_value);
}

void inquiry_inconclusive(const struct inquiry *inquiry, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct finding *finding =
        inquiry_add(inquiry, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, 1, RESULT_UNKNOWN);
    finding->summary = arena_copy(inquiry->arena, text);
}

size_t inquiry_rounds(const struct inquiry *inquiry)
{
    return inquiry->evidence->arms[ARM_BASELINE].count;
}

bool inquiry_has(const struct finding_list *list, enum finding_code code)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].code == code)
            return true;
    return false;
}
