/* Pauses inside an answer. The server's kernel may hold its writes (Nagle's algorithm, a send
 * buffer or a congestion window that is full), the link may need that long for a segment, or the
 * server has written nothing yet. What tells them apart: how much had come before the pause, what
 * ends it, and what changes it. */
#include "diagnosis/rules.h"

#include "base/cleanup.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdlib.h>

enum gap_kind {
    GAP_NONE,
    GAP_LOST,   /* a segment was lost or overtaken: the network's */
    GAP_LINK,   /* a full segment takes as long on this path */
    GAP_WINDOW, /* behind full segments: a congestion window or a buffer */
    GAP_SMALL,  /* behind less than a full segment: Nagle's algorithm, or the server itself */
};

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

/* The gaps of some kinds in the rounds of an arm; 0 where a round has none of them. */
struct gaps {
    int64_t *ns; /* by round; on the heap */
    size_t count, affected;
    int64_t typical_ns; /* of the affected */
};

static void gaps_free(struct gaps *gaps)
{
    free(gaps->ns);
}

/* The median of the upper `share`. */
static int64_t upper_median(const struct gaps *gaps, double share)
{
    return stats_quantile_of(gaps->ns, gaps->count, 1 - share / 2);
}

#define KIND(kind) (1u << (kind))
static struct gaps gaps_of(const struct rules *rules, struct arm_rounds rounds, unsigned kinds)
{
    struct gaps gaps = {.ns = calloc(rounds.count + 1, sizeof(int64_t)), .count = rounds.count};
    cleanup(mem) int64_t *affected = calloc(rounds.count + 1, sizeof *affected);

    for (size_t i = 0; gaps.ns && affected && i < rounds.count; i++)
        if (KIND(gap_kind_of(rules, &rounds.rounds[i])) & kinds) {
            gaps.ns[i] = rounds.rounds[i].gap_ns;
            if (gaps.ns[i] >= rules->evidence->stall_ns)
                affected[gaps.affected++] = gaps.ns[i];
        }
    gaps.typical_ns = affected ? stats_median(affected, gaps.affected) : 0;
    return gaps;
}

static bool gaps_count(const struct gaps *gaps)
{
    return gaps->affected >= AFFECTED_MIN &&
           is_share((int64_t)gaps->affected, (int64_t)gaps->count, DELAY_SHARE);
}

/* ---- what ends a pause ---- */

struct release {
    size_t gaps;          /* pauses in which our ACKs were watched */
    size_t supporting;    /* it ended a round trip after our ACK had left */
    size_t contradicting; /* it ended sooner, long after it, or without one */
    size_t exact;         /* of the supporting: our ACK is known to a few milliseconds */
    int64_t ack_delay_ns; /* how long our ACKs took to leave, in the middle */
};

static struct release release_of(const struct rules *rules, struct arm_rounds rounds)
{
    int64_t least = rules->path->base_ns - RELEASE_NS, most = rules->path->high_ns + RELEASE_NS;
    cleanup(mem) int64_t *delays = calloc(rounds.count + 1, sizeof *delays);
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

enum mechanism { MECHANISM_UNKNOWN, MECHANISM_SEEN, MECHANISM_ABSENT };

static enum mechanism mechanism_of(const struct release *release)
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

/* An arm's pauses against the baseline's, by the whole distribution and by the share of rounds. */
struct contrast {
    bool known, shorter, longer;
    double p_value;
    size_t affected, count; /* of the arm: pauses that a round trip does not explain */
    int64_t typical_ns;     /* of those */
    int64_t removed_ns;
};

/* By how much the arm's pauses are shorter than the baseline's, of the rounds that have one: where
 * only some do, zeros would outweigh them. 0 when that is not clear. */
static int64_t shorter_by_ns(const struct gaps *from, const struct gaps *than, int64_t stall_ns)
{
    cleanup(mem) int64_t *ours = calloc(than->count + 1, sizeof *ours);
    cleanup(mem) int64_t *theirs = calloc(from->count + 1, sizeof *theirs);
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

static struct contrast contrast_of(const struct rules *rules, const struct gaps *baseline,
                                   enum probe_arm arm, unsigned kinds)
{
    struct arm_rounds rounds = rules->evidence->arms[arm];
    int64_t stall_ns = rules->evidence->stall_ns, trip_ns = rules->path->high_ns + RELEASE_NS;
    struct contrast out = {.known = rounds.count >= ROUNDS_ENOUGH, .count = rounds.count};
    struct gaps gaps = gaps_of(rules, rounds, kinds);
    double share = baseline->count ? (double)baseline->affected / (double)baseline->count : 0;
    cleanup(mem) int64_t *own = calloc(rounds.count + 1, sizeof *own);

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

/* ---- blame ---- */

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

static const char one_write[] =
    "In the server: send the whole answer with one write (writev, a buffered writer that is "
    "flushed once, or MSG_MORE on all writes but the last), or set TCP_NODELAY on the accepted "
    "socket (or on the listener; accepted sockets inherit it). If it is set already, the "
    "application itself waits until its data are acknowledged (SIOCOUTQ, or a stack that sends one "
    "piece per ACK): make it send without waiting.";

static void blame_nagle(const struct rules *rules, enum finding_code code, const struct gaps *gaps,
                        size_t affected, const struct release *release, const struct contrast *arm,
                        enum probe_arm which, int64_t cost_ns)
{
    bool before = pauses_before(rules), delayed = code == FINDING_NAGLE_DELAYED_ACK;
    int64_t spread_ns = path_model_spread_ns(rules->path);
    int64_t least_ns = gaps->typical_ns > spread_ns ? gaps->typical_ns - spread_ns : 0;
    struct finding *finding = rules_add(rules, code, RESULT_SIDE_SERVER, affected, cost_ns);

    finding->summary =
        arena_printf(rules->arena, "%s the server sent %s %s: %s of waiting%s.",
                     rules_share(rules, affected, gaps->count),
                     before ? "its answer only after our" : "the rest of its answer only after our",
                     before    ? "delayed ACK of what it had sent before (TLS session tickets)"
                     : delayed ? "delayed ACK of the first part"
                               : "ACK of the first part, which left at once and took a round trip",
                     arena_duration(rules->arena, gaps->typical_ns),
                     !delayed ? ", and more when we acknowledge later"
                     : gaps->typical_ns - arm->removed_ns < rules->evidence->stall_ns
                         ? ", which disappears when we acknowledge at once (TCP_QUICKACK)"
                         : ", which shrinks when we acknowledge at once (TCP_QUICKACK)");
    finding->remedy =
        before
            ? "In the server: set TCP_NODELAY on the accepted socket (or on the listener; accepted "
              "sockets inherit it), or send no session tickets."
            : one_write;
    rules_prove(rules, finding, "gap_ns", gaps->typical_ns);
    rules_prove(rules, finding, "at_least_ns", least_ns < cost_ns ? least_ns : cost_ns);
    rules_prove(rules, finding, "gaps_ended_by_our_ack", (int64_t)release->supporting);
    rules_prove(rules, finding, "gaps_watched", (int64_t)release->gaps);
    result_set_text(rules->arena, &finding->evidence, "arm", probe_arm_name(which));
    rules_prove(rules, finding, "arm_removes_ns", arm->removed_ns > 0 ? arm->removed_ns : 0);
    rules_prove(rules, finding, "arm_leaves_ns", gaps->typical_ns - arm->removed_ns);
    result_set_real(rules->arena, &finding->evidence, "p_value", arm->p_value);
}

static bool several_waits(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    size_t several = 0;

    /* On a slow link each segment looks like a pause. */
    if (rules->segment_ns != RESULT_UNKNOWN && rules->segment_ns >= ROUND_PAUSE_NS)
        return false;
    for (size_t i = 0; i < rounds.count; i++)
        several += rounds.rounds[i].pauses >= BUFFER_WAITS &&
                   rounds.rounds[i].part_ns[RESULT_PART_GAP] >= rules->evidence->stall_ns;
    return is_share((int64_t)several, (int64_t)rounds.count, DELAY_COMMON_SHARE);
}

static void blame_buffer(const struct rules *rules, const struct gaps *gaps,
                         const struct contrast *arm)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    cleanup(mem) int64_t *waits = calloc(rounds.count + 1, sizeof *waits);

    for (size_t i = 0; waits && i < rounds.count; i++)
        waits[i] = rounds.rounds[i].part_ns[RESULT_PART_GAP];
    int64_t cost_ns = waits ? stats_median(waits, rounds.count) : 0;
    struct finding *finding = rules_add(rules, FINDING_PEER_SEND_BUFFER_LIMITED, RESULT_SIDE_SERVER,
                                        gaps->affected, cost_ns);
    finding->summary = arena_printf(
        rules->arena,
        "%s the answer came in pieces, each when our ACK of the one before had left: %s of waiting "
        "in one answer. The server's send buffer holds no more than a piece.",
        rules_share(rules, gaps->affected, gaps->count), arena_duration(rules->arena, cost_ns));
    rules_prove(rules, finding, "gap_ns", gaps->typical_ns);
    rules_prove(rules, finding, "at_least_ns", cost_ns);
    rules_prove(rules, finding, "arm_removes_ns", arm->removed_ns);
}

/* What our own receive buffer allows is no fault of the server's. */
static bool own_buffer(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    struct arm_rounds rounds = evidence->arms[ARM_BASELINE];
    size_t larger = 0;

    for (size_t i = 0; i < rounds.count && evidence->rcvbuf_bytes; i++)
        larger += rounds.rounds[i].received_bytes > evidence->rcvbuf_bytes / 2;
    return 2 * larger > rounds.count;
}

static void blame_own_buffer(const struct rules *rules, const struct gaps *gaps)
{
    struct finding *finding = rules_add(rules, FINDING_RECEIVE_WINDOW_LIMITED, RESULT_SIDE_CLIENT,
                                        gaps->affected, gaps->typical_ns);

    finding->summary =
        arena_printf(rules->arena,
                     "%s the answer paused %s. Our receive buffer was set to %u bytes (SO_RCVBUF), "
                     "less than the "
                     "answer: the server may not send more than that ahead.",
                     rules_share(rules, gaps->affected, gaps->count),
                     arena_duration(rules->arena, gaps->typical_ns), rules->evidence->rcvbuf_bytes);
    finding->remedy =
        "In the client: leave SO_RCVBUF alone, or make it larger than bandwidth times "
        "round trip.";
}

/* ---- the decision ---- */

/* Pauses that already have path_ns of the path's own: two segments that left together
 * arrive as far apart as its delay varies; a window's pauses are round trips. */
static struct lateness gap_lateness(const struct rules *rules, const struct gaps *gaps,
                                    int64_t path_ns)
{
    cleanup(mem) int64_t *values = calloc(gaps->count + 1, sizeof *values);

    if (!values)
        return (struct lateness){0};
    for (size_t i = 0; i < gaps->count; i++)
        values[i] = path_ns + gaps->ns[i];
    return path_model_lateness(rules->path, values, gaps->count, rules->evidence->stall_ns, 2,
                               DELAY_SHARE);
}

/* The server's own: pauses of the baseline that neither the path nor our acknowledgements made. */
static struct gap_rest rest_of(const struct rules *rules, const struct gaps *gaps)
{
    struct lateness late = gap_lateness(rules, gaps, rules->path->base_ns);

    if (late.kind == LATENESS_PROVEN)
        return (struct gap_rest){gaps->affected, gaps->typical_ns,
                                 late.at_least_ns < gaps->typical_ns ? late.at_least_ns
                                                                     : gaps->typical_ns,
                                 pauses_before(rules)};
    rules_inconclusive(rules,
                       "The answer paused for %s, and this path's delay varies by %s: a few times "
                       "as many rounds would decide (--rounds %zu).",
                       arena_duration(rules->arena, gaps->typical_ns),
                       arena_duration(rules->arena, path_model_spread_ns(rules->path)),
                       4 * gaps->count);
    return (struct gap_rest){0};
}

/* What is left when we acknowledge at once, beyond a round trip. */
static struct gap_rest rest_of_quickack(const struct rules *rules, const struct contrast *quick,
                                        size_t affected)
{
    int64_t least_ns = quick->typical_ns - rules->path->high_ns;

    if (quick->affected < AFFECTED_MIN || least_ns < rules->evidence->stall_ns)
        return (struct gap_rest){0};
    return (struct gap_rest){affected, quick->typical_ns, least_ns, pauses_before(rules)};
}

/* Acknowledging at once shortens the pauses: the server waited for our ACKs, or in part. */
static struct gap_rest explain_by_ack(const struct rules *rules, const struct gaps *gaps,
                                      const struct release *release, const struct contrast *quick)
{
    double left = quick->count ? (double)quick->affected / (double)quick->count : 0;
    size_t own = (size_t)(left * (double)gaps->count + 0.5);

    if (own > gaps->affected)
        own = gaps->affected;
    if (quick->affected < AFFECTED_MIN || left < DELAY_SHARE)
        own = 0;
    /* In fewer rounds than before something is left: the two have each their own rounds. In as
     * many, both are in each, and the pause that is left is the server's. */
    bool apart = own && own < gaps->affected &&
                 stats_fisher(gaps->affected, gaps->count, quick->affected, quick->count) <
                     DIFFERENCE_P_VALUE;
    if (!own && several_waits(rules)) {
        blame_buffer(rules, gaps, quick);
        return (struct gap_rest){0};
    }
    /* What an ACK at once leaves is the server's own, but for the round trip that it takes. */
    int64_t left_ns = gaps->typical_ns - quick->removed_ns, trip_ns = rules->path->typical_ns;
    int64_t cost_ns = quick->removed_ns + (left_ns < trip_ns ? left_ns : trip_ns);
    blame_nagle(rules, FINDING_NAGLE_DELAYED_ACK, gaps,
                apart ? gaps->affected - own : gaps->affected, release, quick, ARM_QUICKACK,
                apart ? gaps->typical_ns : cost_ns);
    return rest_of_quickack(rules, quick, own);
}

/* It does not: our ACKs left at once anyway, or nobody waited for them. */
static struct gap_rest explain_without_ack(const struct rules *rules, const struct gaps *gaps,
                                           const struct release *release,
                                           const struct contrast *quick)
{
    if (quick->affected >= AFFECTED_MIN &&
        is_share((int64_t)quick->affected, (int64_t)quick->count, DELAY_SHARE))
        return rest_of(rules, gaps); /* longer than any ACK takes */
    if (release->gaps && release->ack_delay_ns >= ACK_DELAYED_NS)
        return rest_of(rules, gaps);
    if (mechanism_of(release) == MECHANISM_ABSENT)
        return rest_of(rules, gaps);
    struct contrast late = contrast_of(rules, gaps, ARM_LATE_ACK, KIND(GAP_SMALL));
    struct release delayed = release_of(rules, rules->evidence->arms[ARM_LATE_ACK]);
    if (late.known && late.longer) {
        blame_nagle(rules, FINDING_NAGLE_ROUND_TRIP, gaps, gaps->affected, release, &late,
                    ARM_LATE_ACK, gaps->typical_ns);
        return (struct gap_rest){0};
    }
    if (late.known && delayed.gaps >= AFFECTED_MIN && delayed.ack_delay_ns >= ACK_DELAYED_NS)
        return rest_of(rules, gaps);
    rules_want(rules, ARM_LATE_ACK);
    rules_inconclusive(rules,
                       "The answer paused for %s, %s, and our ACKs left at once: Nagle's algorithm "
                       "at the server, or a server that takes just as long. %s",
                       arena_duration(rules->arena, gaps->typical_ns),
                       gaps->typical_ns <= rules->path->high_ns + RELEASE_NS
                           ? "no longer than a round trip"
                           : "longer than a round trip",
                       late.known ? "Acknowledging later (the arm late-ack) changed nothing: full "
                                    "segments are acknowledged at once. TCP_NODELAY in the server, "
                                    "or strace -f -T there, would tell."
                                  : "Acknowledging later (the arm late-ack) would tell.");
    return (struct gap_rest){0};
}

static struct gap_rest explain_small(const struct rules *rules, const struct gaps *gaps)
{
    struct release release = release_of(rules, rules->evidence->arms[ARM_BASELINE]);
    struct contrast quick = contrast_of(rules, gaps, ARM_QUICKACK, KIND(GAP_SMALL));
    struct contrast both = contrast_of(rules, gaps, ARM_BOTH, KIND(GAP_SMALL));
    enum mechanism mechanism = mechanism_of(&release);
    struct lateness late = gap_lateness(rules, gaps, rules->path->base_ns);
    const char *text = arena_duration(rules->arena, gaps->typical_ns);

    rules_want(rules, ARM_QUICKACK);
    if (late.kind == LATENESS_PATH && !(quick.known && quick.shorter)) {
        rules_jitter(rules, &late);
        return (struct gap_rest){0};
    }
    if (both.known && both.shorter != quick.shorter)
        mechanism = MECHANISM_UNKNOWN; /* two arms that both acknowledge at once disagree */
    if (quick.known && quick.shorter && mechanism == MECHANISM_SEEN)
        return explain_by_ack(rules, gaps, &release, &quick);
    if (quick.known && !quick.shorter)
        return explain_without_ack(rules, gaps, &release, &quick);
    if (!quick.known && mechanism == MECHANISM_ABSENT)
        return rest_of(rules, gaps);
    if (!quick.known)
        rules_inconclusive(rules,
                           "The answer paused for %s and went on when our ACK had left: Nagle's "
                           "algorithm at the server, or a server that takes just as long. The "
                           "arms baseline and quickack would tell, but were not run.",
                           text);
    else
        rules_inconclusive(rules,
                           "The answer paused for %s. The evidence disagrees: TCP_QUICKACK "
                           "shortens it, but our ACK left just before the rest came in only %zu "
                           "of %zu watched pauses. It is Nagle's algorithm at the server or the "
                           "server's own time.",
                           text, release.supporting, release.gaps);
    return (struct gap_rest){0};
}

/* A congestion window that is full waits for the ACK of the segments before: about a round trip,
 * and less of it only where more segments than an initial window's have just come one by one. */
static bool is_short_for_window(const struct rules *rules, const struct gaps *gaps)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    uint64_t mss = rules->evidence->peer_mss_bytes;
    int64_t segment_ns = rules->segment_ns == RESULT_UNKNOWN ? 0 : rules->segment_ns;
    size_t shorter = 0;

    for (size_t i = 0; i < rounds.count; i++) {
        uint64_t segments = rounds.rounds[i].gap_after_bytes / mss;
        /* Twice, because segments that were read together seem to have taken less. */
        int64_t trip_ns = gaps->ns[i] + 2 * (int64_t)segments * segment_ns + RELEASE_NS;
        shorter += gaps->ns[i] >= rules->evidence->stall_ns && segments < INITIAL_WINDOW &&
                   trip_ns < rules->path->base_ns;
    }
    return 2 * shorter > gaps->affected;
}

static struct gap_rest tell_window_or_server(const struct rules *rules, const struct gaps *gaps,
                                             bool quick_known)
{
    rules_inconclusive(
        rules,
        "The answer paused for %s after full segments, which is not a round trip: the server "
        "itself, or a congestion window so small that it met our delayed ACK. %s would tell.",
        arena_duration(rules->arena, gaps->typical_ns),
        quick_known ? "More rounds (--rounds), on a machine with nothing else to do,"
                    : "The arm quickack");
    return (struct gap_rest){0};
}

/* Behind full segments a server waits for its congestion window, one round trip at a time; after an
 * initial window of one, or idleness, also for our delayed ACK. What is longer is its own. */
static struct gap_rest explain_window(const struct rules *rules, const struct gaps *gaps)
{
    struct contrast quick =
        contrast_of(rules, gaps, ARM_QUICKACK, KIND(GAP_WINDOW) | KIND(GAP_SMALL));
    struct lateness late = gap_lateness(rules, gaps, 0);
    bool waits_for_us = quick.known && quick.shorter;

    bool shorter = is_short_for_window(rules, gaps);
    bool longer = gaps->typical_ns > rules->path->high_ns + RELEASE_NS;

    if (shorter || longer)
        rules_want(rules, ARM_QUICKACK);
    if ((shorter || longer) && !quick.known)
        return tell_window_or_server(rules, gaps, false);
    if (late.kind == LATENESS_PROVEN && !waits_for_us)
        return (struct gap_rest){late.affected, gaps->typical_ns, late.at_least_ns, false};
    if (shorter && !waits_for_us)
        return rest_of(rules, gaps);
    if (longer && !waits_for_us)
        return tell_window_or_server(rules, gaps, true);
    /* A congestion window opens with every ACK; a buffer that is full is so again and again. */
    if (waits_for_us && several_waits(rules)) {
        blame_buffer(rules, gaps, &quick);
        return (struct gap_rest){0};
    }
    struct finding *finding = rules_add(rules, FINDING_CONGESTION_WINDOW_LIMITED,
                                        RESULT_SIDE_NETWORK, gaps->affected, gaps->typical_ns);
    finding->summary = arena_printf(
        rules->arena,
        "%s the answer went on only %s after full segments, when our ACKs had reached the server: "
        "its congestion window was full%s.",
        rules_share(rules, gaps->affected, gaps->count),
        arena_duration(rules->arena, gaps->typical_ns),
        waits_for_us ? ", and so small that it met our delayed ACK (an initial window of one "
                       "segment, or slow start after idleness; on a stack that is not Linux "
                       "perhaps Nagle's algorithm)"
                     : "");
    return (struct gap_rest){0};
}

struct gap_rest rules_gap(const struct rules *rules)
{
    struct arm_rounds baseline = rules->evidence->arms[ARM_BASELINE];
    struct gaps small = gaps_of(rules, baseline, KIND(GAP_SMALL));
    struct gaps window = gaps_of(rules, baseline, KIND(GAP_WINDOW));
    struct gap_rest rest = {0};

    if (small.ns && window.ns && (gaps_count(&small) || gaps_count(&window)) && own_buffer(rules))
        blame_own_buffer(rules, gaps_count(&window) ? &window : &small);
    else if (small.ns && gaps_count(&small))
        rest = explain_small(rules, &small);
    else if (window.ns && gaps_count(&window))
        rest = explain_window(rules, &window);
    gaps_free(&small);
    gaps_free(&window);
    return rest;
}
