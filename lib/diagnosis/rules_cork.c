/* TCP_CORK or think time: the same 200 ms from here, unless full segments get small. */
#include "diagnosis/rules.h"

#include "diagnosis/verdict_thresholds.h"

#include "base/cleanup.h"
#include "base/stats.h"

#define WAITS_MAX 256

enum cork { CORK_NO, CORK_YES, CORK_PERHAPS };

/* How long the peer kept us waiting at the longest, without the round trip of the first byte. The
 * kernel's timer for a cork is a retransmission timeout: 200 ms and a round trip. A cork lets full
 * segments go, so what comes after it is less than one. */
static bool is_cork_time(const struct rules *rules, const struct round *round)
{
    uint32_t mss = rules->evidence->peer_mss_bytes;
    int64_t trip_ns = rules->path->typical_ns;

    if (mss && round->wait_after_bytes && round->wait_ns == round->gap_ns &&
        round->gap_release_bytes >= mss)
        return false;
    int64_t wait_ns =
        round->wait_after_bytes ? round->wait_ns : rules_wait_ns(rules, round) - trip_ns;

    return wait_ns >= CORK_MIN_NS && wait_ns <= CORK_MAX_NS + 2 * trip_ns;
}

static bool looks_like_cork(const struct rules *rules, struct arm_rounds rounds)
{
    int64_t count = 0;

    for (size_t i = 0; i < rounds.count; i++)
        count += is_cork_time(rules, &rounds.rounds[i]);
    return is_share(count, (int64_t)rounds.count, DELAY_COMMON_SHARE);
}

/* The rounds of an arm that waited about as long as a cork holds, and how many bytes of the answer
 * had come before that. */
struct waits {
    size_t count;
    double share;
    int64_t after_bytes;
};

static struct waits waits_of(const struct rules *rules, struct arm_rounds rounds)
{
    int64_t after[WAITS_MAX];
    struct waits waits = {0};

    for (size_t i = 0; i < rounds.count; i++) {
        if (!is_cork_time(rules, &rounds.rounds[i]))
            continue;
        if (waits.count < ARRAY_SIZE(after))
            after[waits.count] = evidence_measure(&rounds.rounds[i], MEASURE_WAIT_AFTER);
        waits.count++;
    }
    waits.share = rounds.count ? (double)waits.count / (double)rounds.count : 0;
    waits.after_bytes =
        stats_median(after, waits.count < ARRAY_SIZE(after) ? waits.count : ARRAY_SIZE(after));
    return waits;
}

/* Whether one arm keeps us waiting longer than another, by a stall or more. */
static bool waits_differ(const struct rules *rules, struct arm_rounds longer,
                         struct arm_rounds shorter)
{
    int64_t a[WAITS_MAX], b[WAITS_MAX];
    size_t na = longer.count < WAITS_MAX ? longer.count : WAITS_MAX;
    size_t nb = shorter.count < WAITS_MAX ? shorter.count : WAITS_MAX;

    for (size_t i = 0; i < na; i++)
        a[i] = evidence_measure(&longer.rounds[i], MEASURE_WAIT);
    for (size_t i = 0; i < nb; i++)
        b[i] = evidence_measure(&shorter.rounds[i], MEASURE_WAIT);
    return stats_shift_at_least(a, na, b, nb, DIFFERENCE_P_VALUE) >= rules->evidence->stall_ns;
}

static bool is_round_trip(const struct rules *rules, struct arm_rounds rounds)
{
    return evidence_median(rounds, MEASURE_WAIT) <= rules->path->high_ns + RELEASE_NS;
}

/* A cork releases every full segment at once and holds only the rest; a server that thinks sends
 * nothing before it has thought, however small a segment is. */
static enum cork judge_cork(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    struct arm_rounds baseline = evidence->arms[ARM_BASELINE];
    struct arm_rounds small = evidence->arms[ARM_SMALL_MSS];
    struct arm_rounds quickack = evidence->arms[ARM_QUICKACK];

    if (!looks_like_cork(rules, baseline))
        return CORK_NO;
    rules_want(rules, ARM_QUICKACK);
    /* A late acknowledgement of ours would also be mended by more and smaller segments; what is
     * left without it is a round trip. */
    if (quickack.count >= ROUNDS_ENOUGH && !looks_like_cork(rules, quickack))
        return CORK_NO;
    if (quickack.count >= ROUNDS_ENOUGH && is_round_trip(rules, quickack))
        return waits_differ(rules, baseline, quickack) ? CORK_NO : CORK_PERHAPS;
    if (quickack.count >= ROUNDS_ENOUGH)
        rules_want(rules, ARM_SMALL_MSS);
    /* So would one that left at once, where a round trip is as long as a cork. */
    if (is_round_trip(rules, baseline) && evidence_median(baseline, MEASURE_WAIT_AFTER)) {
        struct arm_rounds late = evidence->arms[ARM_LATE_ACK];
        rules_want(rules, ARM_LATE_ACK);
        if (late.count < ROUNDS_ENOUGH)
            return CORK_PERHAPS;
        if (waits_differ(rules, late, baseline))
            return CORK_NO;
    }
    if (!small.count || !quickack.count || !evidence->small_mss_bytes)
        return CORK_PERHAPS;
    struct waits before = waits_of(rules, baseline), with_small = waits_of(rules, small);
    /* All of it comes at once where it fills whole segments, or where MSG_MORE held it. A server
     * that is slow now and then may also have been quick just then. */
    if (!with_small.count)
        return before.share >= CORK_SHARE ? CORK_YES : CORK_PERHAPS;
    if (with_small.after_bytes > before.after_bytes)
        return CORK_YES;
    uint64_t rest = baseline.rounds[0].received_bytes - (uint64_t)before.after_bytes;
    return rest > evidence->small_mss_bytes && with_small.after_bytes == before.after_bytes
               ? CORK_NO
               : CORK_PERHAPS;
}

static void report_cork(const struct rules *rules, enum cork cork)
{
    struct arm_rounds baseline = rules->evidence->arms[ARM_BASELINE];
    bool whole = !evidence_median(baseline, MEASURE_WAIT_AFTER);
    int64_t wait = evidence_median(baseline, MEASURE_WAIT) - (whole ? rules->path->typical_ns : 0);

    if (cork == CORK_YES) {
        struct finding *finding =
            rules_add(rules, FINDING_CORK_HOLD, RESULT_SIDE_SERVER, baseline.count, wait);
        finding->summary = arena_printf(
            rules->arena,
            "The server's kernel held back the end of the answer for %s: when we announce a small "
            "segment size, all full segments come at once and only the rest waits, as with "
            "TCP_CORK "
            "or MSG_MORE.",
            arena_duration(rules->arena, wait));
        finding->remedy = "In the server: clear TCP_CORK after the last write of an answer, and "
                          "leave MSG_MORE off that write.";
        rules_prove(rules, finding, "wait_ns", wait);
        rules_prove(rules, finding, "at_least_ns", wait - path_model_spread_ns(rules->path));
        rules_prove(rules, finding, "bytes_before_wait",
                    evidence_median(baseline, MEASURE_WAIT_AFTER));
        rules_prove(rules, finding, "bytes_before_wait_small_mss",
                    evidence_median(rules->evidence->arms[ARM_SMALL_MSS], MEASURE_WAIT_AFTER));
    } else {
        rules_inconclusive(
            rules,
            "The answer waited %s at the server. TCP_CORK and MSG_MORE hold data for about this "
            "long, and a server may also take as long to answer; the answer is too short to tell. "
            "strace of the server's setsockopt and send calls would.",
            arena_duration(rules->arena, wait));
    }
}

bool rules_cork(const struct rules *rules)
{
    enum cork cork = judge_cork(rules);

    if (cork != CORK_NO)
        report_cork(rules, cork);
    return cork != CORK_NO;
}
