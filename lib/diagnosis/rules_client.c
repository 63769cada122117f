/* What happens to our own writes: held by Nagle's algorithm, by the peer's window, or otherwise. */
#include "diagnosis/rules.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdlib.h>

/* The kernel's stamps: a small write left our queue only when an earlier one was acknowledged. That
 * is Nagle's algorithm or a full congestion window; if the acknowledgement had been delayed, it is
 * hardly the window. */
struct hold {
    size_t rounds, by_ack, by_delayed_ack;
};

/* Acknowledgements of held writes by how late they came, against the path. */
static int64_t ack_excess_ns(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    cleanup(mem) int64_t *acks = shortage_calloc(rounds.count + 1, sizeof *acks);
    size_t count = 0;

    for (size_t i = 0; acks && i < rounds.count; i++)
        if (rounds.rounds[i].hold_ns >= rules->evidence->stall_ns &&
            rounds.rounds[i].held_ack_delay_ns != RESULT_UNKNOWN)
            acks[count++] = rounds.rounds[i].held_ack_delay_ns + rules->evidence->rtt_ns;
    return count ? stats_compare(acks, count, rules->path->sorted, rules->path->count).shift_ns : 0;
}

static struct hold hold_of(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    int64_t stall = rules->evidence->stall_ns;
    struct hold hold = {0};

    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (evidence_measure(round, MEASURE_HOLD) < stall)
            continue;
        bool by_ack = round->hold_small && round->hold_after_ack_ns != RESULT_UNKNOWN &&
                      round->hold_after_ack_ns > -RELEASE_NS &&
                      round->hold_after_ack_ns < RELEASE_NS;
        hold.rounds++;
        hold.by_ack += by_ack;
        hold.by_delayed_ack += by_ack && round->held_ack_delay_ns >= stall;
    }
    return hold;
}

/* A write is held while the client would have paused anyway, or while an earlier one travels: the
 * hold costs no more than the whole round loses. */
static int64_t whole_round_loses_ns(const struct rules *rules)
{
    struct arm_rounds baseline = rules->evidence->arms[ARM_BASELINE];
    struct arm_rounds nodelay = rules->evidence->arms[ARM_NODELAY];
    cleanup(mem) int64_t *totals =
        shortage_calloc(baseline.count + nodelay.count + 1, sizeof *totals);
    size_t held = 0;

    if (!totals)
        return 0;
    for (size_t i = 0; i < baseline.count; i++)
        if (evidence_measure(&baseline.rounds[i], MEASURE_HOLD) >= rules->evidence->stall_ns)
            totals[held++] = baseline.rounds[i].total_ns;
    for (size_t i = 0; i < nodelay.count; i++)
        totals[held + i] = nodelay.rounds[i].total_ns;
    int64_t loses_ns = stats_median(totals, held) - stats_median(totals + held, nodelay.count);
    return loses_ns > 0 ? loses_ns : 0;
}

static int64_t hold_costs_ns(const struct rules *rules, const struct delay *delay,
                             const struct change *change)
{
    if (change->effect != EFFECT_CLEAR)
        return delay->typical_ns;
    int64_t whole_ns = whole_round_loses_ns(rules);
    return whole_ns < change->removed_ns ? whole_ns : change->removed_ns;
}

static void blame_client_nagle(const struct rules *rules, const struct delay *delay,
                               const struct change *change, const struct hold *hold)
{
    int64_t cost = hold_costs_ns(rules, delay, change);
    bool delayed = ack_excess_ns(rules) >= ACK_DELAYED_NS;
    struct finding *finding =
        rules_add(rules, delayed ? FINDING_NAGLE_DELAYED_ACK : FINDING_NAGLE_ROUND_TRIP,
                  RESULT_SIDE_CLIENT, delay->affected, cost);

    finding->summary =
        arena_printf(rules->arena,
                     "In %zu of %zu rounds a small write waited in the client's send queue for %s, "
                     "until the server's %s of the previous write arrived%s.",
                     delay->affected, rules->evidence->arms[ARM_BASELINE].count,
                     arena_duration(rules->arena, delay->typical_ns),
                     delayed ? "delayed ACK" : "acknowledgement, which took a round trip,",
                     change->effect == EFFECT_CLEAR ? "; with TCP_NODELAY it does not" : "");
    finding->remedy = "In the client: send the whole request with one write (writev, or a buffer "
                      "that is flushed once), or set TCP_NODELAY on its socket.";
    rules_prove(rules, finding, "hold_ns", delay->typical_ns);
    rules_prove(rules, finding, "at_least_ns", cost);
    result_set_real(rules->arena, &finding->evidence, "released_by_ack_share",
                    (double)hold->by_ack / (double)hold->rounds);
    rules_prove_change(rules, finding, ARM_NODELAY, change);
}

/* A receive window that was closed or small while we had data. */
bool rules_window(const struct rules *rules, struct arm_rounds rounds)
{
    struct delay delay = evidence_delay(rules->evidence, rounds, MEASURE_RWND);
    size_t closed = 0;

    if (!delay.present)
        return false;
    for (size_t i = 0; i < rounds.count; i++)
        closed += rounds.rounds[i].zero_window;
    bool zero = is_share((int64_t)closed, (int64_t)delay.affected, WINDOW_CLOSED_SHARE);
    struct finding *finding =
        rules_add(rules, zero ? FINDING_ZERO_WINDOW : FINDING_RECEIVE_WINDOW_LIMITED,
                  RESULT_SIDE_SERVER, delay.affected, delay.typical_ns);
    finding->summary =
        arena_printf(rules->arena,
                     "In %zu of %zu rounds the request waited %s because the server's receive "
                     "window was %s: it does not read fast enough.",
                     delay.affected, rounds.count, arena_duration(rules->arena, delay.typical_ns),
                     zero ? "closed" : "full");
    rules_prove(rules, finding, "rwnd_limited_ns", delay.typical_ns);
    rules_prove(rules, finding, "zero_window_rounds", (int64_t)closed);
    return true;
}

/* Our own send buffer, as the kernel's counter says, or as the user set it: smaller than the
 * request, of which something waits. */
static bool blame_send_buffer(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    struct arm_rounds baseline = evidence->arms[ARM_BASELINE];
    struct delay delay = evidence_delay(evidence, baseline, MEASURE_SNDBUF);
    struct delay hold = evidence_delay(evidence, baseline, MEASURE_HOLD);

    if (!delay.present && hold.present && evidence->sndbuf_bytes &&
        baseline.rounds[0].sent_bytes > evidence->sndbuf_bytes)
        delay = hold;
    if (!delay.present)
        return false;
    struct finding *finding = rules_add(rules, FINDING_SEND_BUFFER_LIMITED, RESULT_SIDE_CLIENT,
                                        delay.affected, delay.typical_ns);
    finding->summary = arena_printf(
        rules->arena,
        "%s the request waited %s because our send buffer%s was full of data that the server had "
        "not acknowledged yet.",
        rules_share(rules, delay.affected, baseline.count),
        arena_duration(rules->arena, delay.typical_ns),
        evidence->sndbuf_bytes
            ? arena_printf(rules->arena, ", set to %u bytes (SO_SNDBUF),", evidence->sndbuf_bytes)
            : "");
    rules_prove(rules, finding, "at_least_ns", delay.typical_ns);
    return true;
}

void rules_hold(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    struct arm_rounds baseline = evidence->arms[ARM_BASELINE];
    struct delay delay = evidence_delay(rules->evidence, baseline, MEASURE_HOLD);

    struct hold hold = hold_of(rules);
    bool stamps = evidence->stamps_queued && evidence->stamps_acked;
    bool mechanism =
        stamps && is_share((int64_t)hold.by_ack, (int64_t)hold.rounds, MECHANISM_SHARE);
    bool delayed =
        stamps && is_share((int64_t)hold.by_delayed_ack, (int64_t)hold.rounds, MECHANISM_SHARE);

    /* What the kernel's stamps show to be released by an acknowledgement is no lateness of this
     * machine, however late that is. */
    delay.present |= delayed && delay.share >= DELAY_SHARE && delay.affected >= AFFECTED_MIN;
    if (rules_window(rules, baseline) || blame_send_buffer(rules) || !delay.present)
        return;
    rules_want(rules, ARM_NODELAY);
    struct change nodelay = evidence_change(rules->evidence, ARM_NODELAY, MEASURE_HOLD, &delay);

    if ((mechanism && nodelay.effect == EFFECT_CLEAR) ||
        (delayed && nodelay.effect == EFFECT_UNKNOWN)) {
        blame_client_nagle(rules, &delay, &nodelay, &hold);
    } else if (mechanism && nodelay.effect == EFFECT_UNKNOWN) {
        rules_inconclusive(
            rules,
            "Small writes were held for %s until an acknowledgement came: by Nagle's algorithm, or "
            "by a full congestion window. Running the arms baseline and nodelay would tell.",
            arena_duration(rules->arena, delay.typical_ns));
    } else if (!mechanism && nodelay.effect == EFFECT_CLEAR) {
        rules_inconclusive(rules,
                           "Writes were held for %s and TCP_NODELAY removes that, but the kernel's "
                           "timestamps show no acknowledgement that released them.",
                           arena_duration(rules->arena, delay.typical_ns));
    } else if (mechanism) {
        rules_inconclusive(rules,
                           "Small writes were held for %s until an acknowledgement came, yet "
                           "TCP_NODELAY does not change that.",
                           arena_duration(rules->arena, delay.typical_ns));
    } else if (!rules_slow_start_request(rules)) {
        struct finding *finding = rules_add(rules, FINDING_CONGESTION_WINDOW_LIMITED,
                                            RESULT_SIDE_NETWORK, delay.affected, delay.typical_ns);
        finding->summary = arena_printf(
            rules->arena,
            "In %zu of %zu rounds part of the request waited %s in the send queue for the "
            "congestion window or the device, not for Nagle's algorithm.",
            delay.affected, baseline.count, arena_duration(rules->arena, delay.typical_ns));
    }
}
