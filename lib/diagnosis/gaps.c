#include "diagnosis/gaps.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdlib.h>

static enum gap_kind gap_kind_of(const struct rules *rules, const struct round *round)
{
    uint64_t mss = rules->evidence->peer_mss_bytes;

    if (round->gap_ns <= 0)
        return GAP_NONE;
    if (round->out_of_order || round->retransmits)
        return GAP_LOST;
    if (rules->segment_ns != RESULT_UNKNOWN && mss && round->gap_release_bytes >= mss &&
        round->gap_ns <= LINK_TIMES * rules->segment_ns)
        return GAP_LINK;
    if (!mss || round->gap_after_bytes < mss)
        return GAP_SMALL;
    if (round->gap_after_bytes % mss == 0)
        return GAP_WINDOW;
    /* Behind several writes a window may end anywhere, but what it held back is a segment or more;
     * less than a segment behind less than a segment is what Nagle's algorithm holds. */
    return round->gap_after_bytes >= INITIAL_WINDOW * mss && round->gap_release_bytes >= mss
               ? GAP_WINDOW
               : GAP_SMALL;
}

void gaps_free(struct gaps *gaps)
{
    free(gaps->ns);
}

/* The median of the upper `share`. */
static int64_t upper_median(const struct gaps *gaps, double share)
{
    return stats_quantile_of(gaps->ns, gaps->count, 1 - share / 2);
}

struct gaps gaps_collect(const struct rules *rules, struct arm_rounds rounds, unsigned kinds)
{
    struct gaps gaps = {.ns = shortage_calloc(rounds.count + 1, sizeof(int64_t)),
                        .count = rounds.count};
    cleanup(mem) int64_t *affected = shortage_calloc(rounds.count + 1, sizeof *affected);

    for (size_t i = 0; gaps.ns && affected && i < rounds.count; i++)
        if (GAP_BIT(gap_kind_of(rules, &rounds.rounds[i])) & kinds) {
            gaps.ns[i] = rounds.rounds[i].gap_ns;
            if (gaps.ns[i] >= rules->evidence->stall_ns)
                affected[gaps.affected++] = gaps.ns[i];
        }
    gaps.typical_ns = affected ? stats_median(affected, gaps.affected) : 0;
    return gaps;
}

bool gaps_matter(const struct gaps *gaps)
{
    return gaps->affected >= AFFECTED_MIN &&
           is_share((int64_t)gaps->affected, (int64_t)gaps->count, DELAY_SHARE);
}

/* ---- what ends a pause ---- */

struct release gaps_release(const struct rules *rules, struct arm_rounds rounds)
{
    int64_t least = rules->path->base_ns - RELEASE_NS, most = rules->path->high_ns + RELEASE_NS;
    cleanup(mem) int64_t *delays = shortage_calloc(rounds.count + 1, sizeof *delays);
    uint64_t mss = rules->evidence->peer_mss_bytes;
    struct release out = {0};

    for (size_t i = 0; delays && i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (gap_kind_of(rules, round) < GAP_WINDOW || !round->gap_watched ||
            round->gap_ns < rules->evidence->stall_ns)
            continue;
        int64_t low = round->gap_ack_lag_min_ns, high = round->gap_ack_lag_max_ns;
        /* Full segments are acknowledged as they arrive, before anybody can look; the ACK that is
         * seen to leave with the end of the gap may already be that of what ended it. */
        if (mss && round->gap_after_bytes >= mss && (!round->gap_acked || high < RELEASE_NS))
            continue;
        delays[out.gaps++] = round->gap_acked ? round->gap_ns - (low + high) / 2 : round->gap_ns;
        if (!round->gap_acked || low > most || high < least) {
            out.contradicting++;
        } else {
            out.supporting++;
            out.exact += high <= most + RELEASE_NS;
        }
    }
    out.ack_delay_ns = delays ? stats_median(delays, out.gaps) : 0;
    return out;
}

enum mechanism gaps_mechanism(const struct release *release)
{
    if (!release->gaps)
        return MECHANISM_UNKNOWN;
    if ((double)release->contradicting > MECHANISM_ABSENT_SHARE * (double)release->gaps)
        return MECHANISM_ABSENT;
    if (is_share((int64_t)release->supporting, (int64_t)release->gaps, MECHANISM_SHARE) &&
        is_share((int64_t)release->exact, (int64_t)release->gaps, MECHANISM_EXACT_SHARE))
        return MECHANISM_SEEN;
    return MECHANISM_UNKNOWN;
}

/* ---- what changes it ---- */

/* By how much the arm's pauses are shorter than the baseline's, of the rounds that have one: where
 * only some do, zeros would outweigh them. 0 when that is not clear. */
static int64_t shorter_by_ns(const struct gaps *from, const struct gaps *than, int64_t stall_ns)
{
    cleanup(mem) int64_t *ours = shortage_calloc(than->count + 1, sizeof *ours);
    cleanup(mem) int64_t *theirs = shortage_calloc(from->count + 1, sizeof *theirs);
    size_t our_count = 0, their_count = 0;

    for (size_t i = 0; ours && i < than->count; i++)
        if (than->ns[i] >= stall_ns)
            ours[our_count++] = than->ns[i];
    for (size_t i = 0; theirs && i < from->count; i++)
        if (from->ns[i] >= stall_ns)
            theirs[their_count++] = from->ns[i];
    return our_count >= AFFECTED_MIN && their_count >= AFFECTED_MIN &&
                   stats_compare(theirs, their_count, ours, our_count).p_value < DIFFERENCE_P_VALUE
               ? from->typical_ns - than->typical_ns
               : 0;
}

struct contrast gaps_contrast(const struct rules *rules, const struct gaps *baseline,
                              enum probe_arm arm, unsigned kinds)
{
    struct arm_rounds rounds = rules->evidence->arms[arm];
    int64_t stall_ns = rules->evidence->stall_ns, trip_ns = rules->path->high_ns + RELEASE_NS;
    struct contrast out = {.known = rounds.count >= ROUNDS_ENOUGH, .count = rounds.count};
    struct gaps gaps = gaps_collect(rules, rounds, kinds);
    double share = baseline->count ? (double)baseline->affected / (double)baseline->count : 0;
    cleanup(mem) int64_t *own = shortage_calloc(rounds.count + 1, sizeof *own);

    if (out.known && own && gaps.ns && baseline->ns) {
        struct stats_shift less = stats_compare(baseline->ns, baseline->count, gaps.ns, gaps.count);
        struct stats_shift more = stats_compare(gaps.ns, gaps.count, baseline->ns, baseline->count);
        double fewer = stats_fisher(baseline->affected, baseline->count, gaps.affected, gaps.count);
        out.p_value = less.p_value < fewer ? less.p_value : fewer;
        out.removed_ns = upper_median(baseline, share) - upper_median(&gaps, share);
        out.shorter = (less.p_value < DIFFERENCE_P_VALUE && out.removed_ns >= stall_ns) ||
                      fewer < FEWER_P_VALUE;
        int64_t among_ns = shorter_by_ns(baseline, &gaps, stall_ns);
        if (!out.shorter && among_ns >= stall_ns) {
            out.shorter = true;
            out.removed_ns = among_ns;
            out.p_value = DIFFERENCE_P_VALUE;
        }
        out.longer = more.p_value < DIFFERENCE_P_VALUE && -out.removed_ns >= stall_ns;
        for (size_t i = 0; i < gaps.count; i++)
            if (gaps.ns[i] >= stall_ns && gaps.ns[i] > trip_ns)
                own[out.affected++] = gaps.ns[i];
        out.typical_ns = stats_median(own, out.affected);
    }
    gaps_free(&gaps);
    return out;
}

struct lateness gaps_lateness(const struct rules *rules, const struct gaps *gaps, int64_t path_ns)
{
    cleanup(mem) int64_t *values = shortage_calloc(gaps->count + 1, sizeof *values);

    if (!values)
        return (struct lateness){0};
    for (size_t i = 0; i < gaps->count; i++)
        values[i] = path_ns + gaps->ns[i];
    return path_model_lateness(rules->path, values, gaps->count, rules->evidence->stall_ns, 2,
                               DELAY_SHARE);
}
