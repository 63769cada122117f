/* Why an answer is late: held by the server's Nagle or cork, or not yet written. From here all of
 * these are silence; what tells them apart is what ends it, and what changes it. */
#include "diagnosis/rules.h"

#include "diagnosis/verdict_thresholds.h"

#include "base/cleanup.h"
#include "base/stats.h"

/* ---- the server's writes, held ---- */

struct release {
    size_t gaps;          /* rounds with a gap worth speaking of */
    size_t supporting;    /* it ended right after our delayed ACK had left */
    size_t contradicting; /* it ended long after it, or without one */
    size_t exact;         /* of the supporting: our ACK is known to a few milliseconds */
};

static struct release release_of(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    struct arm_rounds rounds = evidence->arms[ARM_BASELINE];
    int64_t near = evidence->rtt_ns + RELEASE_NS;
    struct release release = {0};

    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (round->gap_ns < evidence->stall_ns || !round->gap_watched)
            continue;
        release.gaps++;
        if (!round->gap_acked || round->gap_ack_lag_min_ns > near) {
            release.contradicting++;
        } else {
            release.supporting++;
            release.exact += round->gap_ack_lag_max_ns <= near + RELEASE_NS;
        }
    }
    return release;
}

enum mechanism { MECHANISM_UNKNOWN, MECHANISM_SEEN, MECHANISM_ABSENT };

static enum mechanism judge_release(const struct release *release)
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

/* Whether most pauses were before the answer, behind something that was none of it: then the pause
 * is also the longest wait, and not a byte of the answer had come. */
static bool pauses_before(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    size_t gaps = 0, before = 0;

    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        bool gap = round->gap_ns >= rules->evidence->stall_ns;
        gaps += gap;
        before += gap && !round->wait_after_bytes && round->wait_ns == round->gap_ns;
    }
    return gaps && 2 * before > gaps;
}

static void blame_server_nagle(const struct rules *rules, const struct delay *delay,
                               const struct change *change, const struct release *release)
{
    struct finding *finding = rules_add(rules, FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER,
                                        delay->affected, change->removed_ns);
    bool before = pauses_before(rules);

    finding->summary = arena_printf(
        rules->arena,
        "In %zu of %zu rounds the server sent %s: %s of waiting, which disappears when "
        "we acknowledge at once (TCP_QUICKACK).",
        delay->affected, rules->evidence->arms[ARM_BASELINE].count,
        before ? "its answer only after our delayed ACK of what it had sent before "
                 "(TLS session tickets)"
               : "the rest of its answer only after our delayed ACK of the first part",
        arena_duration(rules->arena, change->removed_ns));
    finding->remedy =
        before ? "In the server: set TCP_NODELAY on the accepted socket (or on the listener; "
                 "accepted sockets inherit it), or send no session tickets."
               : "In the server: send the whole answer with one write (writev, a buffered writer "
                 "that is flushed once, or MSG_MORE on all writes but the last), or set "
                 "TCP_NODELAY on the accepted socket (or on the listener; accepted sockets inherit "
                 "it).";
    rules_prove(rules, finding, "gap_ns", delay->typical_ns);
    rules_prove(rules, finding, "gaps_ended_by_our_ack", (int64_t)release->supporting);
    rules_prove(rules, finding, "gaps_watched", (int64_t)release->gaps);
    rules_prove_change(rules, finding, ARM_QUICKACK, change);
}

static void blame_think(const struct rules *rules, size_t affected, size_t of, int64_t before_ns,
                        int64_t inside_ns)
{
    struct finding *finding = rules_add(rules, FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER,
                                        affected, before_ns + inside_ns);

    finding->summary =
        !inside_ns
            ? arena_printf(rules->arena,
                           "In %zu of %zu rounds the server had the whole request and began to "
                           "answer only %s later; TCP did not hold the answer.",
                           affected, of, arena_duration(rules->arena, before_ns))
            : arena_printf(rules->arena,
                           "In %zu of %zu rounds the server paused %s inside its answer%s%s; "
                           "acknowledging at once does not shorten the pause.",
                           affected, of, arena_duration(rules->arena, inside_ns),
                           before_ns ? " and took " : "",
                           before_ns ? arena_printf(rules->arena, "%s before it",
                                                    arena_duration(rules->arena, before_ns))
                                     : "");
    rules_prove(rules, finding, "before_answer_ns", before_ns);
    rules_prove(rules, finding, "inside_answer_ns", inside_ns);
}

/* ---- TCP_CORK or think time: the same 200 ms from here, unless full segments get small ---- */

enum cork { CORK_NO, CORK_YES, CORK_PERHAPS };

/* The rounds of an arm that waited about as long as a cork holds, and how many bytes of the answer
 * had come before that. */
struct waits {
    size_t count;
    double share;
    int64_t after_bytes;
};

static struct waits waits_of(struct arm_rounds rounds)
{
    int64_t after[256];
    struct waits waits = {0};

    for (size_t i = 0; i < rounds.count; i++) {
        int64_t wait = evidence_measure(&rounds.rounds[i], MEASURE_WAIT);
        if (wait < CORK_MIN_NS || wait > CORK_MAX_NS)
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

/* A cork releases every full segment at once and holds only the rest; a server that thinks sends
 * nothing before it has thought, however small a segment is. */
static enum cork judge_cork(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    struct arm_rounds baseline = evidence->arms[ARM_BASELINE];
    struct arm_rounds small = evidence->arms[ARM_SMALL_MSS];
    struct arm_rounds quickack = evidence->arms[ARM_QUICKACK];

    if (!evidence_suggests_cork(baseline))
        return CORK_NO;
    /* A late acknowledgement of ours would also be mended by more and smaller segments. */
    if (quickack.count && evidence_median(quickack, MEASURE_WAIT) < CORK_MIN_NS)
        return CORK_NO;
    if (!small.count || !quickack.count || !evidence->small_mss_bytes)
        return CORK_PERHAPS;
    struct waits before = waits_of(baseline), with_small = waits_of(small);
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
    int64_t wait = evidence_median(baseline, MEASURE_WAIT);

    if (cork == CORK_YES) {
        struct finding *finding =
            rules_add(rules, FINDING_CORK_HOLD, RESULT_SIDE_SERVER, baseline.count, wait);
        finding->summary =
            arena_printf(rules->arena,
                         "The server's kernel held back the end of the answer for %s: when we "
                         "announce a small segment size, all full segments come at once and only "
                         "the rest waits, as with TCP_CORK or MSG_MORE.",
                         arena_duration(rules->arena, wait));
        finding->remedy = "In the server: clear TCP_CORK after the last write of an answer, and "
                          "leave MSG_MORE off that write.";
        rules_prove(rules, finding, "wait_ns", wait);
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

/* ---- gaps inside the answer, and the time before it ---- */

/* What is left of the gaps once the Nagle part is taken out. */
struct gap_verdict {
    bool settled;         /* nothing more is to be said of the gap */
    int64_t remaining_ns; /* the server's own */
    size_t affected;
};

static struct gap_verdict inquire_gap(const struct rules *rules, const struct delay *gap)
{
    struct release release = release_of(rules);
    enum mechanism mechanism = judge_release(&release);
    struct change quickack = evidence_change(rules->evidence, ARM_QUICKACK, MEASURE_GAP, gap);
    struct change both = evidence_change(rules->evidence, ARM_BOTH, MEASURE_GAP, gap);
    struct gap_verdict own = {.remaining_ns = gap->typical_ns, .affected = gap->affected};
    bool agree = both.effect == EFFECT_UNKNOWN || both.effect == quickack.effect;
    const char *text = arena_duration(rules->arena, gap->typical_ns);

    if (mechanism == MECHANISM_SEEN && quickack.effect == EFFECT_CLEAR && agree) {
        blame_server_nagle(rules, gap, &quickack, &release);
        own.remaining_ns = quickack.remaining_ns;
        own.settled = own.remaining_ns < rules->evidence->stall_ns;
    } else if (mechanism == MECHANISM_ABSENT && quickack.effect != EFFECT_CLEAR) {
        own.settled = false;
    } else if (mechanism != MECHANISM_ABSENT && quickack.effect == EFFECT_NONE && agree) {
        own.settled = false; /* our ACK happened to leave then, and nothing waited for it */
    } else {
        own.settled = true;
        if (quickack.effect == EFFECT_UNKNOWN)
            rules_inconclusive(rules,
                               "The answer paused for %s and went on when our ACK had left: "
                               "Nagle's algorithm at the server, or a server that takes just as "
                               "long. The arms baseline and quickack would tell, but were not run.",
                               text);
        else
            rules_inconclusive(
                rules,
                "The answer paused for %s. The evidence disagrees: TCP_QUICKACK changes it "
                "%s, our ACK left just before the rest came in %zu of %zu watched pauses. "
                "It is either Nagle's algorithm at the server or the server's own processing.",
                text, quickack.effect == EFFECT_CLEAR ? "clearly" : "not clearly",
                release.supporting, release.gaps);
    }
    return own;
}

static bool blamed_our_hold(const struct rules *rules)
{
    for (size_t i = 0; i < rules->findings->count; i++)
        if (rules->findings->items[i].code == FINDING_NAGLE_DELAYED_ACK &&
            rules->findings->items[i].side == RESULT_SIDE_CLIENT)
            return true;
    return false;
}

/* A server that is late only after it had to wait for a write that we held, and never where nothing
 * is held, does not think: it had gone to sleep, and a busy machine was slow to wake it. What an
 * option removes belongs to the stall. */
static bool goes_with_our_hold(const struct rules *rules, const struct delay *think)
{
    if (!think->present || !blamed_our_hold(rules))
        return false;
    struct change change = evidence_change(rules->evidence, ARM_NODELAY, MEASURE_THINK, think);
    return change.effect == EFFECT_CLEAR && change.remaining_ns < rules->evidence->stall_ns;
}

void rules_answer(const struct rules *rules)
{
    struct arm_rounds baseline = rules->evidence->arms[ARM_BASELINE];
    struct delay gap = evidence_delay(rules->evidence, baseline, MEASURE_GAP);
    struct delay think = evidence_delay(rules->evidence, baseline, MEASURE_THINK);
    enum cork cork = judge_cork(rules);

    if (goes_with_our_hold(rules, &think))
        think = (struct delay){0};
    if (cork != CORK_NO) {
        report_cork(rules, cork);
        return;
    }
    struct gap_verdict own = {.settled = true};
    if (gap.present)
        own = inquire_gap(rules, &gap);
    if (!own.settled && pauses_before(rules)) {
        int64_t longer = own.remaining_ns > think.typical_ns ? own.remaining_ns : think.typical_ns;
        blame_think(rules, own.affected, baseline.count, longer, 0);
        return;
    }

    bool own_gap = !own.settled;
    if (think.present || own_gap)
        blame_think(rules,
                    think.present && think.affected > own.affected ? think.affected
                    : own_gap                                      ? own.affected
                                                                   : think.affected,
                    baseline.count, think.present ? think.typical_ns : 0,
                    own_gap ? own.remaining_ns : 0);
    else if (think.doubtful || gap.doubtful)
        rules_inconclusive(
            rules,
            "The server took %s, but this machine takes %s to wake up a process that has data to "
            "read, so its own load may explain it.",
            arena_duration(rules->arena, think.doubtful ? think.typical_ns : gap.typical_ns),
            arena_duration(rules->arena, evidence_median(baseline, MEASURE_WAKEUP)));
}
