/* The order of the questions, and those that fit a screen.
 *
 * Each question is asked of one number a round (what was held, the gap, the time before the
 * answer), in three steps: is it there (often enough, and above this machine's own noise), does the
 * mechanism show in the rounds where it is, and does it go away in the arm that takes the mechanism
 * away. What remains in that arm is somebody else's: two delays at once are told apart by what each
 * arm leaves. */
#include "diagnosis/probe_verdict.h"

#include "base/clock.h"
#include "diagnosis/inquiry.h"
#include <string.h>

static const char *const arm_names[PROBE_ARMS] = {
    [ARM_BASELINE] = "baseline",         [ARM_NODELAY] = "nodelay",
    [ARM_QUICKACK] = "quickack",         [ARM_BOTH] = "nodelay+quickack",
    [ARM_SINGLE_WRITE] = "single-write", [SERVICE_SMALL_MSS] = "small-mss",
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

static void inquire_delayed_ack(const struct inquiry *inquiry)
{
    struct arm_rounds baseline = inquiry->evidence->arms[ARM_BASELINE];
    struct delay delay = inquiry_delay(inquiry, baseline, MEASURE_ACK_DELAY);

    if (!delay.present)
        return;
    struct finding *finding =
        inquiry_add(inquiry, FINDING_DELAYED_ACK, RESULT_SIDE_NONE, delay.affected, 0);
    finding->summary =
        arena_printf(inquiry->arena,
                     "The server acknowledged the request %s late in %zu of %zu "
                     "rounds; nothing waited for it.",
                     inquiry_span(inquiry, delay.typical_ns), delay.affected, baseline.count);
    inquiry_prove(inquiry, finding, "ack_delay_ns", delay.typical_ns);
}

static void inquire_loss(const struct inquiry *inquiry, struct arm_rounds rounds)
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
        inquiry_add(inquiry, timeouts ? FINDING_RETRANSMISSION_TIMEOUT : FINDING_RETRANSMISSION,
                    RESULT_SIDE_NETWORK, affected, worst);
    finding->summary =
        arena_printf(inquiry->arena,
                     "Segments of ours were sent again in %zu of %zu rounds; the slowest of these "
                     "took %s.",
                     affected, rounds.count, inquiry_span(inquiry, worst));
    /* A receiver without room drops what comes nevertheless: the window is the cause then. */
    if (inquiry_has(inquiry->findings, FINDING_ZERO_WINDOW) ||
        inquiry_has(inquiry->findings, FINDING_RECEIVE_WINDOW_LIMITED))
        finding->severity = FINDING_INFO;
}

static void inquire_connect(const struct inquiry *inquiry)
{
    const struct probe_evidence *evidence = inquiry->evidence;

    if (evidence->slow_connects) {
        struct finding *finding =
            inquiry_add(inquiry, FINDING_SYN_RETRANSMISSION, RESULT_SIDE_NETWORK,
                        evidence->slow_connects, RESULT_UNKNOWN);
        finding->summary = arena_printf(
            inquiry->arena,
            "%u of %u connections needed %u more SYNs before the server answered: about 1 s for "
            "the first of each. SYNs are lost, or the listener's queue is full.",
            evidence->slow_connects, evidence->connections, evidence->syn_retransmits);
        result_set_integer(inquiry->arena, &finding->evidence, "syn_retransmits",
                           evidence->syn_retransmits);
    }
    if (evidence->fallback) {
        struct finding *finding = inquiry_add(inquiry, FINDING_ADDRESS_FALLBACK, RESULT_SIDE_SERVER,
                                              1, evidence->fallback_ns);
        /* A race that the first address would have won anyway costs nothing. */
        if (evidence->fallback_ns < NS_PER_MS)
            finding->severity = FINDING_INFO;
        finding->summary =
            arena_printf(inquiry->arena,
                         "The address that answered was reached %s later than the "
                         "first was tried (%s).",
                         inquiry_span(inquiry, evidence->fallback_ns), evidence->fallback);
    }
    if (evidence->resolve_ns != RESULT_UNKNOWN && evidence->resolve_ns >= 500 * NS_PER_MS) {
        struct finding *finding =
            inquiry_add(inquiry, FINDING_SLOW_RESOLVE, RESULT_SIDE_CLIENT, 1, evidence->resolve_ns);
        finding->summary = arena_printf(inquiry->arena, "Resolving the name took %s.",
                                        inquiry_span(inquiry, evidence->resolve_ns));
    }
    if (evidence->rtt_ns != RESULT_UNKNOWN && evidence->rtt_ns >= 100 * NS_PER_MS) {
        struct finding *finding =
            inquiry_add(inquiry, FINDING_HIGH_RTT, RESULT_SIDE_NETWORK, 1, evidence->rtt_ns);
        finding->summary = arena_printf(inquiry->arena, "One round trip takes at least %s.",
                                        inquiry_span(inquiry, evidence->rtt_ns));
    }
}

static void inquire_error(const struct inquiry *inquiry)
{
    const struct probe_evidence *evidence = inquiry->evidence;
    enum result_side side = evidence->error == FINDING_NAME_NOT_FOUND ? RESULT_SIDE_CLIENT
                            : evidence->error == FINDING_HOST_UNREACHABLE ||
                                    evidence->error == FINDING_NETWORK_UNREACHABLE
                                ? RESULT_SIDE_NETWORK
                            : evidence->error == FINDING_CONNECT_TIMEOUT ? RESULT_SIDE_NONE
                                                                         : RESULT_SIDE_SERVER;
    struct finding *finding = inquiry_add(inquiry, evidence->error, side, 1, RESULT_UNKNOWN);

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
        struct finding *finding = inquiry_add(inquiry, FINDING_STALL_WHEN_PERSISTENT, stall->side,
                                              (size_t)stall->count, stall->cost_ns);
        finding->summary =
            arena_printf(inquiry->arena, "On a persistent connection: %s", stall->summary);
        finding->remedy = stall->remedy;
        finding->evidence = stall->evidence;
    }
}

/* Answers in several segments, or requests in several writes, can stall on a later exchange. */
static bool could_stall(const struct probe_evidence *evidence)
{
    size_t parted = 0;
    for (size_t i = 0; i < evidence->fresh.count; i++)
        parted += evidence->fresh.rounds[i].arrivals > 1;
    return evidence->request_writes > 1 || 2 * parted > evidence->fresh.count;
}

static void inquire_rounds(struct inquiry *inquiry)
{
    inquiry_learn_noise(inquiry, inquiry->evidence->arms[ARM_BASELINE]);
    inquire_hold(inquiry);
    inquire_answer(inquiry);
    inquire_delayed_ack(inquiry);
}

/* With one connection a round the user's rounds are their own baseline: for windows and think time
 * they are judged as they are, and only for stalls the persistent arms speak. */
static void inquire_fresh(struct inquiry *inquiry)
{
    const struct probe_evidence *evidence = inquiry->evidence;
    struct probe_evidence user = *evidence;
    struct finding_list persistent = {0};
    struct inquiry of_persistent = *inquiry, of_user = *inquiry;

    memset(user.arms, 0, sizeof user.arms);
    user.arms[ARM_BASELINE] = evidence->fresh;
    user.arms[ARM_QUICKACK] = evidence->fresh_quickack;
    of_user.evidence = &user;
    inquire_rounds(&of_user);
    if (inquiry_has(inquiry->findings, FINDING_NAGLE_DELAYED_ACK))
        return;
    if (evidence->persists && evidence->arms[ARM_BASELINE].count) {
        of_persistent.findings = &persistent;
        inquire_rounds(&of_persistent);
        if (inquiry_has(&persistent, FINDING_NAGLE_DELAYED_ACK)) {
            warn_of_persistence(inquiry, &persistent);
        } else if (inquiry_has(&persistent, FINDING_INCONCLUSIVE) && !inquiry->findings->count &&
                   could_stall(evidence)) {
            inquiry_inconclusive(inquiry,
                                 "New connections are fast; on a persistent one the evidence does "
                                 "not decide whether there is a stall.");
        }
    } else if (evidence->persists && could_stall(evidence)) {
        inquiry_inconclusive(
            inquiry, "New connections are fast, because Linux acknowledges the first segments at "
                     "once. Whether a persistent connection would stall was not tried "
                     "(--no-interventions).");
    }
}

void probe_verdict(struct arena *arena, const struct probe_evidence *evidence,
                   struct finding_list *findings)
{
    struct inquiry inquiry = {.arena = arena, .evidence = evidence, .findings = findings};
    struct arm_rounds own =
        evidence->new_connections ? evidence->fresh : evidence->arms[ARM_BASELINE];

    inquire_connect(&inquiry);
    if (evidence->new_connections)
        inquire_fresh(&inquiry);
    else if (own.count)
        inquire_rounds(&inquiry);
    if (evidence->unfinished && !inquiry_has(findings, FINDING_ZERO_WINDOW) &&
        !inquiry_has(findings, FINDING_RECEIVE_WINDOW_LIMITED))
        inquire_window(&inquiry, (struct arm_rounds){evidence->unfinished, 1});
    inquire_loss(&inquiry, own);
    if (evidence->error != FINDING_NONE)
        inquire_error(&inquiry);
}
