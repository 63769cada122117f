/* What the path does: it loses, it varies, and it takes time for every byte. */
#include "diagnosis/rules.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdlib.h>

/* ---- loss ---- */

static bool window_is_behind(const struct rules *rules)
{
    /* A receiver without room drops what comes nevertheless: the window is the cause then. */
    return rules_found(rules, FINDING_ZERO_WINDOW) ||
           rules_found(rules, FINDING_RECEIVE_WINDOW_LIMITED);
}

static void tell_spurious(const struct rules *rules, size_t affected, size_t of)
{
    struct finding *finding =
        rules_add(rules, FINDING_SPURIOUS_RETRANSMIT, RESULT_SIDE_NONE, affected, RESULT_UNKNOWN);

    finding->summary = arena_printf(
        rules->arena,
        "%s a segment of ours was sent again although the server had it (it said so by DSACK): its "
        "acknowledgement was late, or lost on the way back.",
        rules_share(rules, affected, of));
}

/* What loss costs a round that meets it: the middle one of them, less the middle one of the others,
 * or less a round trip where all met it. */
static int64_t loss_cost_ns(const struct rules *rules, struct arm_rounds rounds)
{
    cleanup(mem) int64_t *hit = shortage_calloc(rounds.count + 1, sizeof *hit);
    cleanup(mem) int64_t *spared = shortage_calloc(rounds.count + 1, sizeof *spared);
    size_t hits = 0, others = 0;
    int64_t cost_ns = 0;

    for (size_t i = 0; hit && spared && i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (round->retransmits ||
            (round->out_of_order && round->gap_ns >= rules->evidence->stall_ns))
            hit[hits++] = round->total_ns;
        else
            spared[others++] = round->total_ns;
    }
    if (hits)
        cost_ns = stats_median(hit, hits) -
                  (others ? stats_median(spared, others) : rules->path->typical_ns);
    return cost_ns > 0 ? cost_ns : 0;
}

void rules_loss(const struct rules *rules, struct arm_rounds rounds)
{
    size_t ours = 0, theirs = 0, again = 0, in_vain = 0, late_again = 0, timeouts = 0;
    int64_t worst = 0;

    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        bool late = round->out_of_order && round->gap_ns >= rules->evidence->stall_ns;
        again += round->retransmits;
        in_vain += round->spurious;
        ours += round->retransmits > 0;
        late_again += round->retransmits > 0 &&
                      round->total_ns - rules->path->high_ns >= rules->evidence->stall_ns;
        theirs += late;
        if (!round->retransmits && !late)
            continue;
        timeouts += round->total_ns - rules->path->typical_ns >= RTO_MIN_NS;
        worst = round->total_ns > worst ? round->total_ns : worst;
    }
    /* The DSACK may come when the round is over: only their sums can be compared. */
    if (again && in_vain >= again) {
        tell_spurious(rules, ours, rounds.count);
        /* On a path, and late: what carried the acknowledgement was lost, the answer with it. */
        theirs =
            !rules->evidence->local && late_again >= AFFECTED_MIN ? theirs + late_again : theirs;
        ours = 0;
    }
    if (!ours && !theirs)
        return;
    size_t affected = ours > theirs ? ours : theirs;
    struct finding *finding =
        rules_add(rules, timeouts ? FINDING_RETRANSMISSION_TIMEOUT : FINDING_RETRANSMISSION,
                  RESULT_SIDE_NETWORK, affected, loss_cost_ns(rules, rounds));
    finding->summary = arena_printf(
        rules->arena, "%s%s; the slowest of these rounds took %s.",
        ours ? arena_printf(rules->arena, "We retransmitted segments in %zu of %zu rounds", ours,
                            rounds.count)
             : "",
        theirs
            ? arena_printf(rules->arena,
                           "%s of the answer came out of order, or late behind a request that "
                           "had to be sent again in vain, in %zu of %zu rounds: some were lost on "
                           "the way to us",
                           ours ? ", segments" : "Segments", theirs, rounds.count)
            : "",
        arena_duration(rules->arena, worst));
    result_set_text(rules->arena, &finding->evidence, "direction",
                    ours && theirs ? "both"
                    : ours         ? "to the server"
                                   : "from the server");
    if (window_is_behind(rules) || (affected < AFFECTED_MIN && rounds.count >= ROUNDS_ENOUGH))
        finding->severity = FINDING_INFO;
}

/* ---- jitter ---- */

void rules_jitter(const struct rules *rules, const struct lateness *late)
{
    const struct path_model *path = rules->path;
    size_t longer = 0;

    for (size_t i = 0; i < path->count; i++)
        longer += path->sorted[i] >= path->base_ns + rules->evidence->stall_ns;
    if (rules_found(rules, FINDING_PATH_JITTER) || longer < AFFECTED_MIN ||
        !is_share((int64_t)longer, (int64_t)path->count, JITTER_SHARE))
        return;
    struct finding *finding =
        rules_add(rules, FINDING_PATH_JITTER, RESULT_SIDE_NETWORK, late->affected,
                  late->typical_ns > 0 ? late->typical_ns : 0);
    finding->summary =
        arena_printf(rules->arena,
                     "%s the answer was late by %s or more, and so were %zu of %zu handshakes "
                     "beside them, which "
                     "the server's kernel alone answers: the path's delay varies by %s.",
                     rules_share(rules, late->affected, late->rounds),
                     arena_duration(rules->arena, rules->evidence->stall_ns), longer, path->count,
                     arena_duration(rules->arena, path_model_spread_ns(path)));
    rules_prove(rules, finding, "control_handshakes", (int64_t)path->count);
    rules_prove(rules, finding, "control_late", (int64_t)longer);
    rules_prove(rules, finding, "control_spread_ns", path_model_spread_ns(path));
}

/* ---- bandwidth ---- */

/* Of a few segments that are far apart, the link's time for each and a server's pauses look alike,
 * until tiny segments tell. */
static bool may_be_pauses(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    uint64_t few = 2 * INITIAL_WINDOW * (uint64_t)rules->evidence->peer_mss_bytes;
    size_t small = 0;

    for (size_t i = 0; i < rounds.count; i++)
        small += rounds.rounds[i].received_bytes <= few;
    if (rules->segment_ns < ROUND_PAUSE_NS || 2 * small <= rounds.count)
        return false;
    rules_want(rules, ARM_SMALL_MSS);
    if (rules->evidence->arms[ARM_SMALL_MSS].count >= ROUNDS_ENOUGH)
        return false;
    rules_inconclusive(rules,
                       "The segments of the answer came %s apart: a slow link would need that long "
                       "for each, and a server may pause as long. More rounds with tiny segments "
                       "(the arm small-mss) would tell.",
                       arena_duration(rules->arena, rules->segment_ns));
    return true;
}

/* Full segments that follow each other steadily over at least a stall. */
void rules_bandwidth(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    uint32_t mss = rules->evidence->peer_mss_bytes;
    int64_t took[256], rates[256];
    size_t affected = 0;

    for (size_t i = 0; i < rounds.count && mss && rules->segment_ns != RESULT_UNKNOWN; i++) {
        const struct round *round = &rounds.rounds[i];
        if (round->segment_ns == RESULT_UNKNOWN || round->retransmits || round->out_of_order ||
            evidence_measured_by_pause(round, mss))
            continue;
        int64_t ns = rules->segment_ns * (int64_t)(round->received_bytes / mss);
        if (ns < rules->evidence->stall_ns || affected == 256)
            continue;
        took[affected] = ns;
        rates[affected++] = (int64_t)mss * NS_PER_SEC / rules->segment_ns;
    }
    if (affected < AFFECTED_MIN ||
        !is_share((int64_t)affected, (int64_t)rounds.count, DELAY_COMMON_SHARE) ||
        rules_found(rules, FINDING_BANDWIDTH_LIMITED) || may_be_pauses(rules))
        return;
    rules_want(rules, ARM_QUICKACK); /* a sender that waits for our ACKs keeps a steady rate, too */
    int64_t rate = stats_median(rates, affected);
    struct finding *finding = rules_add(rules, FINDING_BANDWIDTH_LIMITED, RESULT_SIDE_NETWORK,
                                        affected, stats_median(took, affected));
    finding->summary =
        arena_printf(rules->arena,
                     "%s full segments of the answer followed each other at %lld kB/s at the most, "
                     "which takes %s "
                     "for the whole of it.",
                     rules_share(rules, affected, rounds.count), (long long)(rate / 1000),
                     arena_duration(rules->arena, stats_median(took, affected)));
    rules_prove(rules, finding, "bytes_per_second", rate);
}
