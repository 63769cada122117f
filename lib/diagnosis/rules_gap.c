/* Pauses inside an answer. The server's kernel may hold its writes (Nagle's algorithm, a send
 * buffer or a congestion window that is full), the link may need that long for a segment, or the
 * server has written nothing yet. What tells them apart: how much had come before the pause, what
 * ends it, and what changes it. */
#include "diagnosis/gaps.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdlib.h>

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
    cleanup(mem) int64_t *waits = shortage_calloc(rounds.count + 1, sizeof *waits);

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

/* The server's own: pauses of the baseline that neither the path nor our acknowledgements made. */
static struct gap_rest rest_of(const struct rules *rules, const struct gaps *gaps)
{
    struct lateness late = gaps_lateness(rules, gaps, rules->path->base_ns);

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
    if (gaps_mechanism(release) == MECHANISM_ABSENT)
        return rest_of(rules, gaps);
    struct contrast late = gaps_contrast(rules, gaps, ARM_LATE_ACK, GAP_BIT(GAP_SMALL));
    struct release delayed = gaps_release(rules, rules->evidence->arms[ARM_LATE_ACK]);
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
    struct release release = gaps_release(rules, rules->evidence->arms[ARM_BASELINE]);
    struct contrast quick = gaps_contrast(rules, gaps, ARM_QUICKACK, GAP_BIT(GAP_SMALL));
    struct contrast both = gaps_contrast(rules, gaps, ARM_BOTH, GAP_BIT(GAP_SMALL));
    enum mechanism mechanism = gaps_mechanism(&release);
    struct lateness late = gaps_lateness(rules, gaps, rules->path->base_ns);
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
    else if (!release.gaps)
        rules_inconclusive(
            rules,
            "The answer paused for %s, and TCP_QUICKACK shortens it, but in no pause "
            "could be seen whether our ACK released the rest. It is Nagle's "
            "algorithm at the server or the server's own time.",
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

/* How long a pause is against what our ACKs take to open a window. */
enum span { SPAN_TRIP, SPAN_SHORTER, SPAN_PERHAPS_SHORTER, SPAN_LONGER };
static const char *const span_names[] = {
    [SPAN_TRIP] = "about as long as",
    [SPAN_SHORTER] = "less than",
    [SPAN_PERHAPS_SHORTER] = "perhaps less than",
    [SPAN_LONGER] = "longer than",
};

/* What our ACKs release comes a round trip after what they acknowledge, the first byte of the
 * flight before the pause, at the earliest. Behind another pause a path that varies may have made
 * that one, and the flight is older. */
static enum span span_of(const struct rules *rules, const struct gaps *gaps)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    int64_t spread_ns = path_model_spread_ns(rules->path);
    size_t shorter = 0, perhaps = 0;

    if (gaps->typical_ns > rules->path->high_ns + RELEASE_NS)
        return SPAN_LONGER;
    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        int64_t early_ns = rules->path->base_ns - RELEASE_NS - round->flight_ms * NS_PER_MS;
        if (gaps->ns[i] < rules->evidence->stall_ns || !round->flight_ms || early_ns <= 0)
            continue;
        perhaps++;
        shorter += round->pauses <= 1 || early_ns > spread_ns;
    }
    if (2 * shorter > gaps->affected)
        return SPAN_SHORTER;
    return 2 * perhaps > gaps->affected ? SPAN_PERHAPS_SHORTER : SPAN_TRIP;
}

/* Whether most pauses are behind no more than an initial window. */
static bool behind_few(const struct rules *rules, const struct gaps *gaps)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    uint64_t window = (INITIAL_WINDOW + 1) * (uint64_t)rules->evidence->peer_mss_bytes;
    size_t few = 0;

    for (size_t i = 0; i < rounds.count; i++)
        few +=
            gaps->ns[i] >= rules->evidence->stall_ns && rounds.rounds[i].gap_after_bytes <= window;
    return 2 * few > gaps->affected;
}

static struct gap_rest tell_window_or_server(const struct rules *rules, const struct gaps *gaps,
                                             enum span span, bool quick_known)
{
    rules_inconclusive(
        rules,
        "%s the answer paused for %s behind full segments, %s our ACKs take to come in: the server "
        "itself, or its congestion window. %sss -ti at the server shows the window (cwnd), and "
        "strace -f -T what "
        "it wrote when.",
        rules_share(rules, gaps->affected, gaps->count),
        arena_duration(rules->arena, gaps->typical_ns), span_names[span],
        quick_known ? "" : "The arm quickack may tell; ");
    return (struct gap_rest){0};
}

/* Behind full segments a server waits for its congestion window, one round trip at a time; after an
 * initial window of one, or idleness, also for our delayed ACK. What is longer is its own, and so
 * is what a window that has long been open can't explain. */
static struct gap_rest explain_window(const struct rules *rules, const struct gaps *gaps)
{
    struct contrast quick =
        gaps_contrast(rules, gaps, ARM_QUICKACK, GAP_BIT(GAP_WINDOW) | GAP_BIT(GAP_SMALL));
    struct lateness late = gaps_lateness(rules, gaps, 0);
    bool waits_for_us = quick.known && quick.shorter;
    enum span span = span_of(rules, gaps);
    bool plausible =
        span == SPAN_TRIP && (rules_window_age(rules) != WINDOW_IN_USE || !behind_few(rules, gaps));

    if (!waits_for_us && (!plausible || late.kind == LATENESS_PROVEN)) {
        if (span == SPAN_SHORTER)
            return rest_of(rules, gaps);
        rules_want(rules, ARM_QUICKACK);
        if (quick.known && late.kind == LATENESS_PROVEN)
            return (struct gap_rest){late.affected, gaps->typical_ns, late.at_least_ns, false};
        return tell_window_or_server(rules, gaps, span, quick.known);
    }
    /* A congestion window opens with every ACK; a buffer that is full is so again and again. */
    if (waits_for_us && several_waits(rules)) {
        blame_buffer(rules, gaps, &quick);
        return (struct gap_rest){0};
    }
    enum slow_start slow_start =
        waits_for_us ? SLOW_START_NOT_SEEN : rules_slow_start_answer(rules);
    if (slow_start == SLOW_START_TOLD)
        return (struct gap_rest){0};
    if (slow_start == SLOW_START_DOUBTFUL)
        return tell_window_or_server(rules, gaps, span, true);
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
    struct gaps small = gaps_collect(rules, baseline, GAP_BIT(GAP_SMALL));
    struct gaps window = gaps_collect(rules, baseline, GAP_BIT(GAP_WINDOW));
    struct gap_rest rest = {0};

    if (small.ns && window.ns && (gaps_matter(&small) || gaps_matter(&window)) && own_buffer(rules))
        blame_own_buffer(rules, gaps_matter(&window) ? &window : &small);
    else if (small.ns && gaps_matter(&small))
        rest = explain_small(rules, &small);
    else if (window.ns && gaps_matter(&window))
        rest = explain_window(rules, &window);
    gaps_free(&small);
    gaps_free(&window);
    return rest;
}
