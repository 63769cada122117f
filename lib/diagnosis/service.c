/* Each question is asked of one number a round (what was held, the gap, the time before the
 * answer), in three steps: is it there (often enough, and above this machine's own noise), does the
 * mechanism show in the rounds where it is, and does it go away in the arm that takes the mechanism
 * away. What remains in that arm is somebody else's: two delays at once are told apart by what each
 * arm leaves.
 *
 * A delay that hits only some rounds is compared by its upper quantiles: the affected share of the
 * baseline's rounds against the same share of the arm's, so that a stall in every fourth round does
 * not vanish in a median. */
#include "diagnosis/service.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/stats.h"
#include "base/units.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 1024 /* what one arm is thinned to */

static const char *const arm_names[SERVICE_ARMS] = {
    [SERVICE_BASELINE] = "baseline",         [SERVICE_NODELAY] = "nodelay",
    [SERVICE_QUICKACK] = "quickack",         [SERVICE_BOTH] = "nodelay+quickack",
    [SERVICE_SINGLE_WRITE] = "single-write", [SERVICE_SMALL_MSS] = "small-mss",
};

const char *service_arm_name(enum service_arm arm)
{
    return arm_names[arm];
}

enum service_arm service_arm_by_name(const char *name)
{
    int arm = 0;
    while (arm < SERVICE_ARMS && strcmp(arm_names[arm], name))
        arm++;
    return (enum service_arm)arm;
}

/* ---- one number a round ---- */

enum measure {
    MEASURE_HOLD,
    MEASURE_GAP,
    MEASURE_THINK,
    MEASURE_RWND,
    MEASURE_ACK_DELAY,
    MEASURE_WAKEUP,
    MEASURE_TOTAL
};

static int64_t measure(const struct round *round, enum measure what)
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
    case MEASURE_TOTAL:
        return round->total_ns;
    }
    return 0;
}

struct sample {
    int64_t sorted[ROUNDS_MAX];
    size_t count;
};

static void take(struct sample *sample, struct service_rounds rounds, enum measure what)
{
    sample->count = rounds.count < ROUNDS_MAX ? rounds.count : ROUNDS_MAX;
    for (size_t i = 0; i < sample->count; i++)
        sample->sorted[i] = measure(&rounds.rounds[i * rounds.count / sample->count], what);
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

/* ---- how much, how often, and what an arm leaves of it ---- */

struct delay {
    size_t affected;    /* baseline rounds that have it */
    double share;       /* of all baseline rounds */
    int64_t typical_ns; /* in those */
    bool present;       /* often enough to speak of, and clear of the machine's noise */
    bool doubtful;      /* there, but so is the noise */
};

enum effect {
    EFFECT_UNKNOWN, /* the arm was not run, or too short */
    EFFECT_NONE,    /* the arm changes nothing of note */
    EFFECT_CLEAR,
};

struct change {
    enum effect effect;
    double p_value;
    int64_t removed_ns;   /* of an affected round */
    int64_t remaining_ns; /* in the arm, at the same quantile */
};

#define ENOUGH_ROUNDS 5

struct inquiry {
    struct arena *arena;
    const struct service_evidence *evidence;
    struct finding_list *findings;
    int64_t noise_typical_ns, noise_high_ns; /* our own wake-ups: median, and one in ten */
};

static struct delay delay_of(const struct inquiry *inquiry, struct service_rounds rounds,
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
        /* In most rounds: only a machine whose own typical wake-up is as slow casts doubt. */
        delay.present = delay.typical_ns >= 2 * inquiry->noise_typical_ns;
        delay.doubtful = !delay.present;
    } else if (delay.share >= SERVICE_SHARE && sample.count >= ENOUGH_ROUNDS) {
        delay.present =
            delay.typical_ns >= 4 * inquiry->noise_high_ns && inquiry->noise_high_ns < floor / 4;
        /* An occasional delay on a machine that is itself late says nothing about the service. */
    }
    return delay;
}

static struct change change_by(const struct inquiry *inquiry, enum service_arm arm,
                               enum measure what, const struct delay *delay)
{
    const struct service_evidence *evidence = inquiry->evidence;
    struct change change = {.effect = EFFECT_UNKNOWN, .p_value = 1};
    struct sample before, after;

    if (evidence->arms[arm].count < ENOUGH_ROUNDS)
        return change;
    take(&before, evidence->arms[SERVICE_BASELINE], what);
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

/* ---- texts ---- */

static const char *span(const struct inquiry *inquiry, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(inquiry->arena, units_format_duration(text, sizeof text, ns, "µ"));
}

static struct finding *add(const struct inquiry *inquiry, enum finding_code code,
                           enum result_side side, size_t count, int64_t cost_ns)
{
    struct finding *finding = finding_add(inquiry->arena, inquiry->findings, code, side);

    finding->target = inquiry->evidence->target;
    finding->connection = inquiry->evidence->connection;
    finding->count = (int64_t)count;
    finding->cost_ns = cost_ns;
    return finding;
}

static void prove_integer(const struct inquiry *inquiry, struct finding *finding, const char *key,
                          int64_t value)
{
    result_set_integer(inquiry->arena, &finding->evidence, key, value);
}

static void prove_change(const struct inquiry *inquiry, struct finding *finding,
                         enum service_arm arm, const struct change *change)
{
    if (change->effect == EFFECT_UNKNOWN)
        return;
    result_set_text(inquiry->arena, &finding->evidence, "arm", service_arm_name(arm));
    prove_integer(inquiry, finding, "arm_removes_ns", change->removed_ns);
    prove_integer(inquiry, finding, "arm_leaves_ns", change->remaining_ns);
    result_set_real(inquiry->arena, &finding->evidence, "p_value", change->p_value);
}

__attribute__((format(printf, 2, 3))) static void inconclusive(const struct inquiry *inquiry,
                                                               const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct finding *finding =
        add(inquiry, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, 1, RESULT_UNKNOWN);
    finding->summary = arena_copy(inquiry->arena, text);
}

static size_t rounds_of(const struct inquiry *inquiry)
{
    return inquiry->evidence->arms[SERVICE_BASELINE].count;
}

/* ---- our own writes, held ---- */

/* The kernel's stamps: a small write left our queue only when an earlier one was acknowledged, and
 * that acknowledgement had been delayed. */
static double share_released_by_ack(const struct inquiry *inquiry)
{
    struct service_rounds rounds = inquiry->evidence->arms[SERVICE_BASELINE];
    size_t held = 0, released = 0;

    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (measure(round, MEASURE_HOLD) < inquiry->evidence->stall_ns)
            continue;
        held++;
        released += round->hold_small && round->hold_after_ack_ns != RESULT_UNKNOWN &&
                    round->hold_after_ack_ns > -SERVICE_RELEASE_NS &&
                    round->hold_after_ack_ns < SERVICE_RELEASE_NS;
    }
    return held ? (double)released / (double)held : 0;
}

static void blame_client_nagle(const struct inquiry *inquiry, const struct delay *delay,
                               const struct change *change, double released)
{
    int64_t cost = change->effect == EFFECT_CLEAR ? change->removed_ns : delay->typical_ns;
    struct finding *finding =
        add(inquiry, FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, delay->affected, cost);

    finding->summary = arena_printf(
        inquiry->arena,
        "In %zu of %zu rounds a small write of the client stayed in its send queue for %s, until "
        "the server's delayed ACK of the write before it came in%s.",
        delay->affected, rounds_of(inquiry), span(inquiry, delay->typical_ns),
        change->effect == EFFECT_CLEAR ? "; with TCP_NODELAY it did not" : "");
    finding->remedy = "In the client: send the whole request with one write (writev, a buffer that "
                      "is flushed once), or set TCP_NODELAY on its socket.";
    prove_integer(inquiry, finding, "hold_ns", delay->typical_ns);
    result_set_real(inquiry->arena, &finding->evidence, "released_by_ack_share", released);
    prove_change(inquiry, finding, SERVICE_NODELAY, change);
}

/* A receive window that was closed or small while we had data. */
static bool inquire_window(const struct inquiry *inquiry, struct service_rounds rounds)
{
    struct delay delay = delay_of(inquiry, rounds, MEASURE_RWND);
    size_t closed = 0;

    if (!delay.present)
        return false;
    for (size_t i = 0; i < rounds.count; i++)
        closed += rounds.rounds[i].zero_window;
    bool zero = 2 * closed >= delay.affected;
    struct finding *finding =
        add(inquiry, zero ? FINDING_ZERO_WINDOW : FINDING_RECEIVE_WINDOW_LIMITED,
            RESULT_SIDE_SERVER, delay.affected, delay.typical_ns);
    finding->summary = arena_printf(
        inquiry->arena,
        "In %zu of %zu rounds the request waited %s because the server's receive "
        "window was %s: it does not read fast enough.",
        delay.affected, rounds.count, span(inquiry, delay.typical_ns), zero ? "closed" : "full");
    prove_integer(inquiry, finding, "rwnd_limited_ns", delay.typical_ns);
    prove_integer(inquiry, finding, "zero_window_rounds", (int64_t)closed);
    return true;
}

static void inquire_hold(const struct inquiry *inquiry)
{
    const struct service_evidence *evidence = inquiry->evidence;
    struct service_rounds baseline = evidence->arms[SERVICE_BASELINE];
    struct delay delay = delay_of(inquiry, baseline, MEASURE_HOLD);

    if (inquire_window(inquiry, baseline) || !delay.present)
        return;
    struct change nodelay = change_by(inquiry, SERVICE_NODELAY, MEASURE_HOLD, &delay);
    double released = share_released_by_ack(inquiry);
    bool mechanism = evidence->stamps_queued && evidence->stamps_acked && released >= 0.6;

    if (mechanism && nodelay.effect != EFFECT_NONE) {
        blame_client_nagle(inquiry, &delay, &nodelay, released);
    } else if (!mechanism && nodelay.effect == EFFECT_CLEAR) {
        inconclusive(
            inquiry,
            "Writes were held for %s and TCP_NODELAY removes that, but the kernel's stamps "
            "do not show an acknowledgement that released them.",
            span(inquiry, delay.typical_ns));
    } else if (mechanism) {
        inconclusive(inquiry,
                     "Small writes were held for %s until an acknowledgement came, yet "
                     "TCP_NODELAY does not change that.",
                     span(inquiry, delay.typical_ns));
    } else {
        struct finding *finding = add(inquiry, FINDING_CONGESTION_WINDOW_LIMITED,
                                      RESULT_SIDE_NETWORK, delay.affected, delay.typical_ns);
        finding->summary = arena_printf(
            inquiry->arena,
            "In %zu of %zu rounds part of the request waited %s in the send queue for the "
            "congestion window or the device, not for Nagle's algorithm.",
            delay.affected, baseline.count, span(inquiry, delay.typical_ns));
    }
}

/* ---- the server's writes, held ---- */

struct release {
    size_t gaps;          /* rounds with a gap worth speaking of */
    size_t supporting;    /* it ended right after our delayed ACK had left */
    size_t contradicting; /* it ended long after it, or without one */
    size_t exact;         /* of the supporting: our ACK is known to a few milliseconds */
};

static struct release release_of(const struct inquiry *inquiry)
{
    const struct service_evidence *evidence = inquiry->evidence;
    struct service_rounds rounds = evidence->arms[SERVICE_BASELINE];
    int64_t near = evidence->rtt_ns + SERVICE_RELEASE_NS;
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
            release.exact += round->gap_ack_lag_max_ns <= near + SERVICE_RELEASE_NS;
        }
    }
    return release;
}

enum mechanism { MECHANISM_UNKNOWN, MECHANISM_SEEN, MECHANISM_ABSENT };

static enum mechanism judge_release(const struct release *release)
{
    if (!release->gaps)
        return MECHANISM_UNKNOWN;
    if (2 * release->contradicting > release->gaps)
        return MECHANISM_ABSENT;
    if (5 * release->supporting >= 3 * release->gaps && 4 * release->exact >= release->gaps)
        return MECHANISM_SEEN;
    return MECHANISM_UNKNOWN;
}

static void blame_server_nagle(const struct inquiry *inquiry, const struct delay *delay,
                               const struct change *change, const struct release *release)
{
    struct finding *finding = add(inquiry, FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER,
                                  delay->affected, change->removed_ns);

    finding->summary = arena_printf(
        inquiry->arena,
        "In %zu of %zu rounds the server sent the rest of its answer only after our delayed ACK of "
        "the first part: %s in which it waited, and which vanish when we acknowledge at once "
        "(TCP_QUICKACK).",
        delay->affected, rounds_of(inquiry), span(inquiry, change->removed_ns));
    finding->remedy = "In the server: send the whole answer with one write (writev, a buffered "
                      "writer that is flushed once, MSG_MORE on all but the last), or set "
                      "TCP_NODELAY on the accepted socket (or on the listener: it is inherited).";
    prove_integer(inquiry, finding, "gap_ns", delay->typical_ns);
    prove_integer(inquiry, finding, "gaps_ended_by_our_ack", (int64_t)release->supporting);
    prove_integer(inquiry, finding, "gaps_watched", (int64_t)release->gaps);
    prove_change(inquiry, finding, SERVICE_QUICKACK, change);
}

static void blame_think(const struct inquiry *inquiry, size_t affected, size_t of,
                        int64_t before_ns, int64_t inside_ns)
{
    struct finding *finding = add(inquiry, FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, affected,
                                  before_ns + inside_ns);

    finding->summary =
        !inside_ns
            ? arena_printf(inquiry->arena,
                           "In %zu of %zu rounds the server had the whole request and began "
                           "to answer %s later; nothing in TCP held the answer.",
                           affected, of, span(inquiry, before_ns))
            : arena_printf(
                  inquiry->arena,
                  "In %zu of %zu rounds the server paused %s inside its answer%s%s; "
                  "acknowledging at once does not shorten that.",
                  affected, of, span(inquiry, inside_ns), before_ns ? " and took " : "",
                  before_ns ? arena_printf(inquiry->arena, "%s before it", span(inquiry, before_ns))
                            : "");
    prove_integer(inquiry, finding, "before_answer_ns", before_ns);
    prove_integer(inquiry, finding, "inside_answer_ns", inside_ns);
}

/* ---- TCP_CORK or think time: the same 200 ms from here, unless full segments get small ---- */

static int64_t typical_wait(struct service_rounds rounds, bool bytes)
{
    int64_t values[ROUNDS_MAX];
    size_t count = rounds.count < ROUNDS_MAX ? rounds.count : ROUNDS_MAX;

    for (size_t i = 0; i < count; i++)
        values[i] = bytes ? (int64_t)rounds.rounds[i].wait_after_bytes : rounds.rounds[i].wait_ns;
    return stats_median(values, count);
}

bool service_suspects_cork(struct service_rounds baseline)
{
    int64_t wait = typical_wait(baseline, false);
    return baseline.count && wait >= SERVICE_CORK_MIN_NS && wait <= SERVICE_CORK_MAX_NS;
}

enum cork { CORK_NO, CORK_YES, CORK_PERHAPS };

/* A cork releases every full segment at once and holds only the rest; a server that thinks sends
 * nothing before it has thought, however small a segment is. */
static enum cork judge_cork(const struct inquiry *inquiry)
{
    const struct service_evidence *evidence = inquiry->evidence;
    struct service_rounds baseline = evidence->arms[SERVICE_BASELINE];
    struct service_rounds small = evidence->arms[SERVICE_SMALL_MSS];

    struct service_rounds quickack = evidence->arms[SERVICE_QUICKACK];

    if (!service_suspects_cork(baseline))
        return CORK_NO;
    /* A late acknowledgement of ours would also be mended by more and smaller segments. */
    if (quickack.count && typical_wait(quickack, false) < SERVICE_CORK_MIN_NS)
        return CORK_NO;
    if (!small.count || !quickack.count || !evidence->small_mss_bytes)
        return CORK_PERHAPS;
    int64_t before = typical_wait(baseline, true), with_small = typical_wait(small, true);
    /* All of it comes at once where it fills whole segments, or where MSG_MORE held it. */
    if (with_small > before || typical_wait(small, false) < SERVICE_CORK_MIN_NS / 2)
        return CORK_YES;
    uint64_t rest = baseline.rounds[0].received_bytes - (uint64_t)before;
    return rest > evidence->small_mss_bytes && with_small == before ? CORK_NO : CORK_PERHAPS;
}

static void report_cork(const struct inquiry *inquiry, enum cork cork)
{
    struct service_rounds baseline = inquiry->evidence->arms[SERVICE_BASELINE];
    int64_t wait = typical_wait(baseline, false);

    if (cork == CORK_YES) {
        struct finding *finding =
            add(inquiry, FINDING_CORK_HOLD, RESULT_SIDE_SERVER, baseline.count, wait);
        finding->summary = arena_printf(
            inquiry->arena,
            "The server's kernel held back the end of the answer for %s: when we announce a small "
            "segment size all full segments come at once and only the rest waits, which is what "
            "TCP_CORK or MSG_MORE does.",
            span(inquiry, wait));
        finding->remedy = "In the server: clear TCP_CORK after the last write of an answer, and "
                          "leave MSG_MORE off that write.";
        prove_integer(inquiry, finding, "wait_ns", wait);
        prove_integer(inquiry, finding, "bytes_before_wait", typical_wait(baseline, true));
        prove_integer(inquiry, finding, "bytes_before_wait_small_mss",
                      typical_wait(inquiry->evidence->arms[SERVICE_SMALL_MSS], true));
    } else {
        inconclusive(inquiry,
                     "The answer waited %s at the server. TCP_CORK or MSG_MORE holds data for just "
                     "about this long, and a server may also need it to think; the answer is too "
                     "short to tell. strace of the server's setsockopt and send calls would.",
                     span(inquiry, wait));
    }
}

/* ---- gaps inside the answer, and the time before it ---- */

/* What is left of the gaps once the Nagle part is taken out. */
struct gap_verdict {
    bool settled;         /* nothing more is to be said of the gap */
    int64_t remaining_ns; /* the server's own */
    size_t affected;
};

static struct gap_verdict inquire_gap(const struct inquiry *inquiry, const struct delay *gap)
{
    struct release release = release_of(inquiry);
    enum mechanism mechanism = judge_release(&release);
    struct change quickack = change_by(inquiry, SERVICE_QUICKACK, MEASURE_GAP, gap);
    struct change both = change_by(inquiry, SERVICE_BOTH, MEASURE_GAP, gap);
    struct gap_verdict own = {.remaining_ns = gap->typical_ns, .affected = gap->affected};
    bool agree = both.effect == EFFECT_UNKNOWN || both.effect == quickack.effect;
    const char *text = span(inquiry, gap->typical_ns);

    if (mechanism == MECHANISM_SEEN && quickack.effect == EFFECT_CLEAR && agree) {
        blame_server_nagle(inquiry, gap, &quickack, &release);
        own.remaining_ns = quickack.remaining_ns;
        own.settled = own.remaining_ns < inquiry->evidence->stall_ns;
    } else if (mechanism == MECHANISM_ABSENT && quickack.effect != EFFECT_CLEAR) {
        own.settled = false;
    } else if (mechanism != MECHANISM_ABSENT && quickack.effect == EFFECT_NONE && agree) {
        own.settled = false; /* our ACK happened to leave then, and nothing waited for it */
    } else {
        own.settled = true;
        if (quickack.effect == EFFECT_UNKNOWN)
            inconclusive(inquiry,
                         "The answer paused for %s and went on when our ACK had left: Nagle's "
                         "algorithm at the server, or a server that takes just as long. The arms "
                         "baseline and quickack would tell; they were not run.",
                         text);
        else
            inconclusive(
                inquiry,
                "The answer paused for %s. The evidence disagrees: TCP_QUICKACK changes it "
                "%s, our ACK left just before the rest came in %zu of %zu watched pauses. "
                "It is Nagle's algorithm at the server or the server's own time.",
                text, quickack.effect == EFFECT_CLEAR ? "clearly" : "not clearly",
                release.supporting, release.gaps);
    }
    return own;
}

static void inquire_answer(const struct inquiry *inquiry)
{
    struct service_rounds baseline = inquiry->evidence->arms[SERVICE_BASELINE];
    struct delay gap = delay_of(inquiry, baseline, MEASURE_GAP);
    struct delay think = delay_of(inquiry, baseline, MEASURE_THINK);
    enum cork cork = judge_cork(inquiry);

    if (cork != CORK_NO) {
        report_cork(inquiry, cork);
        return;
    }
    struct gap_verdict own = {.settled = true};
    if (gap.present)
        own = inquire_gap(inquiry, &gap);

    bool own_gap = !own.settled;
    if (think.present || own_gap)
        blame_think(inquiry,
                    think.present && think.affected > own.affected ? think.affected
                    : own_gap                                      ? own.affected
                                                                   : think.affected,
                    baseline.count, think.present ? think.typical_ns : 0,
                    own_gap ? own.remaining_ns : 0);
    else if (think.doubtful || gap.doubtful)
        inconclusive(inquiry,
                     "The server took %s, but this machine needs %s to wake up a process that has "
                     "something to read, so its own load may explain that.",
                     span(inquiry, think.doubtful ? think.typical_ns : gap.typical_ns),
                     span(inquiry, inquiry->noise_typical_ns));
}

/* ---- the rest ---- */

static void inquire_delayed_ack(const struct inquiry *inquiry)
{
    struct service_rounds baseline = inquiry->evidence->arms[SERVICE_BASELINE];
    struct delay delay = delay_of(inquiry, baseline, MEASURE_ACK_DELAY);

    if (!delay.present)
        return;
    struct finding *finding =
        add(inquiry, FINDING_DELAYED_ACK, RESULT_SIDE_NONE, delay.affected, 0);
    finding->summary =
        arena_printf(inquiry->arena,
                     "The server acknowledged the request %s late in %zu of %zu "
                     "rounds; nothing waited for it.",
                     span(inquiry, delay.typical_ns), delay.affected, baseline.count);
    prove_integer(inquiry, finding, "ack_delay_ns", delay.typical_ns);
}

static void inquire_loss(const struct inquiry *inquiry, struct service_rounds rounds)
{
    size_t affected = 0, timeouts = 0;
    int64_t worst = 0;

    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (!round->retransmits)
            continue;
        affected++;
        timeouts += round->total_ns >= 190 * NS_PER_MS;
        worst = round->total_ns > worst ? round->total_ns : worst;
    }
    if (!affected)
        return;
    struct finding *finding =
        add(inquiry, timeouts ? FINDING_RETRANSMISSION_TIMEOUT : FINDING_RETRANSMISSION,
            RESULT_SIDE_NETWORK, affected, worst);
    finding->summary =
        arena_printf(inquiry->arena,
                     "Segments of ours were sent again in %zu of %zu rounds; the slowest of these "
                     "took %s.",
                     affected, rounds.count, span(inquiry, worst));
}

static void inquire_connect(const struct inquiry *inquiry)
{
    const struct service_evidence *evidence = inquiry->evidence;

    if (evidence->syn_retransmits) {
        struct finding *finding = add(inquiry, FINDING_SYN_RETRANSMISSION, RESULT_SIDE_NETWORK,
                                      evidence->syn_retransmits, RESULT_UNKNOWN);
        finding->summary =
            arena_printf(inquiry->arena, "The SYN was sent %u times before the server answered.",
                         evidence->syn_retransmits + 1);
    }
    if (evidence->resolve_ns != RESULT_UNKNOWN && evidence->resolve_ns >= 500 * NS_PER_MS) {
        struct finding *finding =
            add(inquiry, FINDING_SLOW_RESOLVE, RESULT_SIDE_CLIENT, 1, evidence->resolve_ns);
        finding->summary = arena_printf(inquiry->arena, "Resolving the name took %s.",
                                        span(inquiry, evidence->resolve_ns));
    }
    if (evidence->rtt_ns != RESULT_UNKNOWN && evidence->rtt_ns >= 100 * NS_PER_MS) {
        struct finding *finding =
            add(inquiry, FINDING_HIGH_RTT, RESULT_SIDE_NETWORK, 1, evidence->rtt_ns);
        finding->summary = arena_printf(inquiry->arena, "One round trip takes at least %s.",
                                        span(inquiry, evidence->rtt_ns));
    }
}

static void inquire_error(const struct inquiry *inquiry)
{
    const struct service_evidence *evidence = inquiry->evidence;
    enum result_side side = evidence->error == FINDING_NAME_NOT_FOUND ? RESULT_SIDE_CLIENT
                            : evidence->error == FINDING_HOST_UNREACHABLE ||
                                    evidence->error == FINDING_NETWORK_UNREACHABLE
                                ? RESULT_SIDE_NETWORK
                            : evidence->error == FINDING_CONNECT_TIMEOUT ? RESULT_SIDE_NONE
                                                                         : RESULT_SIDE_SERVER;
    struct finding *finding = add(inquiry, evidence->error, side, 1, RESULT_UNKNOWN);

    finding->severity = FINDING_ERROR;
    finding->summary = evidence->error_message;
}

/* The user's rounds are on new connections, and the arms on persistent ones: what stalls there but
 * not here is a trap for the day on which somebody reuses connections. */
static void warn_of_persistence(const struct inquiry *inquiry,
                                const struct finding_list *persistent)
{
    for (size_t i = 0; i < persistent->count; i++) {
        const struct finding *stall = &persistent->items[i];
        if (stall->code != FINDING_NAGLE_DELAYED_ACK)
            continue;
        struct finding *finding = add(inquiry, FINDING_STALL_WHEN_PERSISTENT, stall->side,
                                      (size_t)stall->count, stall->cost_ns);
        finding->summary =
            arena_printf(inquiry->arena, "On a persistent connection: %s", stall->summary);
        finding->remedy = stall->remedy;
        finding->evidence = stall->evidence;
    }
}

static bool has(const struct finding_list *list, enum finding_code code)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].code == code)
            return true;
    return false;
}

/* Answers in several segments, or requests in several writes, can stall on a later exchange. */
static bool could_stall(const struct service_evidence *evidence)
{
    size_t parted = 0;
    for (size_t i = 0; i < evidence->fresh.count; i++)
        parted += evidence->fresh.rounds[i].arrivals > 1;
    return evidence->request_writes > 1 || 2 * parted > evidence->fresh.count;
}

static void set_noise(struct inquiry *inquiry, struct service_rounds rounds)
{
    struct sample wakeups;

    take(&wakeups, rounds, MEASURE_WAKEUP);
    if (!wakeups.count)
        return;
    inquiry->noise_typical_ns = stats_quantile(wakeups.sorted, wakeups.count, 0.5);
    inquiry->noise_high_ns = stats_quantile(wakeups.sorted, wakeups.count, 0.9);
}

static void inquire_rounds(struct inquiry *inquiry)
{
    set_noise(inquiry, inquiry->evidence->arms[SERVICE_BASELINE]);
    inquire_hold(inquiry);
    inquire_answer(inquiry);
    inquire_delayed_ack(inquiry);
}

/* With one connection a round the user's rounds are their own baseline: for windows and think time
 * they are judged as they are, and only for stalls the persistent arms speak. */
static void inquire_fresh(struct inquiry *inquiry)
{
    const struct service_evidence *evidence = inquiry->evidence;
    struct service_evidence user = *evidence;
    struct finding_list persistent = {0};
    struct inquiry of_persistent = *inquiry, of_user = *inquiry;

    memset(user.arms, 0, sizeof user.arms);
    user.arms[SERVICE_BASELINE] = evidence->fresh;
    of_user.evidence = &user;
    inquire_rounds(&of_user);
    if (has(inquiry->findings, FINDING_NAGLE_DELAYED_ACK))
        return;
    if (evidence->persists && evidence->arms[SERVICE_BASELINE].count) {
        of_persistent.findings = &persistent;
        inquire_rounds(&of_persistent);
        if (has(&persistent, FINDING_NAGLE_DELAYED_ACK)) {
            warn_of_persistence(inquiry, &persistent);
        } else if (has(&persistent, FINDING_INCONCLUSIVE) && !inquiry->findings->count &&
                   could_stall(evidence)) {
            inconclusive(inquiry, "New connections are fast; on a persistent one the evidence does "
                                  "not decide whether there is a stall.");
        }
    } else if (evidence->persists && could_stall(evidence)) {
        inconclusive(inquiry,
                     "New connections are fast, because Linux acknowledges the first segments at "
                     "once. Whether a persistent connection would stall was not tried "
                     "(--no-interventions).");
    }
}

void service_diagnose(struct arena *arena, const struct service_evidence *evidence,
                      struct finding_list *findings)
{
    struct inquiry inquiry = {.arena = arena, .evidence = evidence, .findings = findings};
    struct service_rounds own =
        evidence->new_connections ? evidence->fresh : evidence->arms[SERVICE_BASELINE];

    inquire_connect(&inquiry);
    if (evidence->new_connections)
        inquire_fresh(&inquiry);
    else if (own.count)
        inquire_rounds(&inquiry);
    inquire_loss(&inquiry, own);
    if (evidence->unfinished && !has(findings, FINDING_ZERO_WINDOW) &&
        !has(findings, FINDING_RECEIVE_WINDOW_LIMITED))
        inquire_window(&inquiry, (struct service_rounds){evidence->unfinished, 1});
    if (evidence->error != FINDING_NONE)
        inquire_error(&inquiry);
}
