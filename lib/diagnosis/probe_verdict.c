/* The order of the questions, and those that fit a screen.
 *
 * Each question is asked of one number a round (what was held, the gap, the time before the
 * answer), in three steps: is it there (often enough, and above this machine's own noise), does the
 * mechanism show in the rounds where it is, and does it go away in the arm that takes the mechanism
 * away. What remains in that arm is somebody else's: two delays at once are told apart by what each
 * arm leaves. */
#include "diagnosis/probe_verdict.h"

#include "base/cleanup.h"
#include "diagnosis/failure.h"
#include "diagnosis/rules.h"
#include "diagnosis/verdict_thresholds.h"
#include <string.h>

/* From the departure of the request to its acknowledgement; a round trip where it rode on the
 * answer, or where the size of the request may have made it late. */
static int64_t acknowledged_after_ns(const struct rules *rules, const struct round *round)
{
    uint32_t mss = rules->evidence->mss_bytes;

    if ((mss && round->sent_bytes > mss) || round->retransmits ||
        round->ack_delay_ns == RESULT_UNKNOWN)
        return rules->path->base_ns;
    return round->ack_ns != RESULT_UNKNOWN ? round->ack_ns
                                           : rules->path->base_ns + round->ack_delay_ns;
}

static void judge_delayed_ack(const struct rules *rules)
{
    struct arm_rounds baseline = rules->evidence->arms[ARM_BASELINE];
    struct lateness late = rules_lateness(rules, baseline, acknowledged_after_ns);

    if (late.kind != LATENESS_PROVEN)
        return;
    struct finding *finding =
        rules_add(rules, FINDING_DELAYED_ACK, RESULT_SIDE_NONE, late.affected, 0);
    finding->summary =
        arena_printf(rules->arena,
                     "The server delayed its ACK of the request by %s in %zu of %zu "
                     "rounds; nothing waited for it.",
                     arena_duration(rules->arena, late.typical_ns), late.affected, baseline.count);
    rules_prove(rules, finding, "ack_delay_ns", late.typical_ns);
}

static void judge_connect(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;

    if (evidence->slow_connects) {
        struct finding *finding = rules_add(rules, FINDING_SYN_RETRANSMISSION, RESULT_SIDE_NETWORK,
                                            evidence->slow_connects, RESULT_UNKNOWN);
        finding->summary = arena_printf(
            rules->arena,
            "%u of %u connections needed %u more SYNs before the server answered; the first one "
            "costs about 1 s. SYNs are lost, or the listener's queue is full.",
            evidence->slow_connects, evidence->connections, evidence->syn_retransmits);
        result_set_integer(rules->arena, &finding->evidence, "syn_retransmits",
                           evidence->syn_retransmits);
    }
    if (evidence->fallback) {
        struct finding *finding = rules_add(rules, FINDING_ADDRESS_FALLBACK, RESULT_SIDE_SERVER, 1,
                                            evidence->fallback_ns);
        /* A race that the first address would have won anyway costs nothing. */
        if (evidence->fallback_ns < FALLBACK_NS)
            finding->severity = FINDING_INFO;
        finding->summary =
            arena_printf(rules->arena,
                         "The address that answered was reached %s later than the "
                         "first was tried (%s).",
                         arena_duration(rules->arena, evidence->fallback_ns), evidence->fallback);
    }
    if (evidence->resolve_ns != RESULT_UNKNOWN && evidence->resolve_ns >= RESOLVE_SLOW_NS) {
        struct finding *finding =
            rules_add(rules, FINDING_SLOW_RESOLVE, RESULT_SIDE_CLIENT, 1, evidence->resolve_ns);
        finding->summary = arena_printf(rules->arena, "Resolving the name took %s.",
                                        arena_duration(rules->arena, evidence->resolve_ns));
    }
    if (evidence->rtt_ns != RESULT_UNKNOWN && evidence->rtt_ns >= RTT_HIGH_NS) {
        struct finding *finding =
            rules_add(rules, FINDING_HIGH_RTT, RESULT_SIDE_NETWORK, 1, evidence->rtt_ns);
        finding->summary = arena_printf(rules->arena, "One round trip takes at least %s.",
                                        arena_duration(rules->arena, evidence->rtt_ns));
    }
}

static void judge_error(const struct rules *rules)
{
    /* Who has to change something, where it is not the server. */
    static const struct {
        enum finding_code code;
        enum result_side side;
    } others[] = {{FINDING_NAME_NOT_FOUND, RESULT_SIDE_CLIENT},
                  {FINDING_NO_LOCAL_ADDRESS, RESULT_SIDE_CLIENT},
                  {FINDING_HOST_UNREACHABLE, RESULT_SIDE_NETWORK},
                  {FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_NETWORK},
                  {FINDING_PATH_MTU, RESULT_SIDE_NETWORK},
                  {FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NONE}};
    const struct probe_evidence *evidence = rules->evidence;
    bool ours = evidence->error == FINDING_UNEXPECTED_ANSWER && evidence->chose_http2;
    enum result_side side = ours ? RESULT_SIDE_CLIENT : RESULT_SIDE_SERVER;

    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (others[i].code == evidence->error)
            side = others[i].side;
    enum failure_cause cause = failure_by_name(evidence->error_cause);
    struct finding *finding = rules_add(rules, evidence->error, side, 1, RESULT_UNKNOWN);
    finding->severity = FINDING_ERROR;
    finding->summary = evidence->error_message;
    failure_blame(rules->arena, finding, cause);
    if (evidence->error == FINDING_PATH_MTU) {
        rules_prove(rules, finding, "passed_mss", evidence->path_mtu_passed);
        rules_prove(rules, finding, "stuck_mss", evidence->path_mtu_stuck);
        result_set_text(rules->arena, &finding->evidence, "direction",
                        evidence->path_mtu_to_server ? "to-server" : "from-server");
    }
    if (evidence->error == FINDING_NO_LOCAL_ADDRESS && evidence->port_last) {
        rules_prove(rules, finding, "port_first", evidence->port_first);
        rules_prove(rules, finding, "port_last", evidence->port_last);
        rules_prove(rules, finding, "ports_taken", evidence->ports_taken);
    }
}

static void judge_answers(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;

    if (!evidence->unexpected)
        return;
    struct finding *finding = rules_add(rules, FINDING_UNEXPECTED_ANSWER, RESULT_SIDE_SERVER,
                                        evidence->unexpected, RESULT_UNKNOWN);
    finding->summary = arena_printf(
        rules->arena, "%u of %u answers were not what was asked for: \"%s\".", evidence->unexpected,
        evidence->answers, evidence->answer ? evidence->answer : "");
}

/* Most clients never see such an answer, so it is as bad as none. */
static void judge_early_answers(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    uint32_t tries = evidence->answers + evidence->early_lost;

    if (!evidence->early_resets)
        return;
    struct finding *finding = rules_add(rules, FINDING_EARLY_ANSWER_RESET, RESULT_SIDE_SERVER,
                                        evidence->early_resets, RESULT_UNKNOWN);
    finding->summary = arena_printf(
        rules->arena,
        "In %u of %u tries the server answered%s%s%s before it had read the request, and then "
        "reset "
        "the connection. netkit looks for an answer behind a failed write; %s.",
        evidence->early_resets, tries, evidence->answer ? " \"" : "",
        evidence->answer ? evidence->answer : "", evidence->answer ? "\"" : "",
        evidence->early_lost ? arena_printf(rules->arena, "in %u tries the reset came without one",
                                            evidence->early_lost)
                             : "most clients do not, and report the reset");
    rules_prove(rules, finding, "tries", tries);
    rules_prove(rules, finding, "early_resets", evidence->early_resets);
    rules_prove(rules, finding, "lost", evidence->early_lost);
}

/* The client waits for 100 (Continue) only so long, and then sends the body nevertheless. */
static void judge_expect(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    int64_t waited_ns = rules->evidence->continue_ns;
    size_t missing = 0;

    for (size_t i = 0; i < rounds.count; i++)
        missing += rounds.rounds[i].continue_missing && !rounds.rounds[i].retransmits;
    if (!missing)
        return;
    if (waited_ns < rules->path->high_ns + rules->evidence->stall_ns) {
        rules_inconclusive(
            rules,
            "%s no 100 (Continue) came within %s; that is hardly longer than a round "
            "trip takes, so it says nothing of the server. Give --expect-continue "
            "more time.",
            rules_share(rules, missing, rounds.count), arena_duration(rules->arena, waited_ns));
        return;
    }
    struct finding *finding =
        rules_add(rules, FINDING_EXPECT_CONTINUE_WAIT, RESULT_SIDE_SERVER, missing, waited_ns);
    finding->summary = arena_printf(rules->arena,
                                    "%s the server said neither 100 (Continue) nor a final status "
                                    "within %s, and the client sent the body only then.",
                                    rules_share(rules, missing, rounds.count),
                                    arena_duration(rules->arena, waited_ns));
    rules_prove(rules, finding, "waited_ns", waited_ns);
}

static const char *surplus(const struct rules *rules)
{
    uint32_t bytes = rules->evidence->surplus_bytes;
    return arena_printf(rules->arena, "%u byte%s", bytes, bytes == 1 ? "" : "s");
}

static size_t early_answers(const struct rules *rules, struct arm_rounds rounds)
{
    size_t early = 0;

    for (size_t i = 0; i < rounds.count; i++)
        early += rounds.rounds[i].wire_ns != RESULT_UNKNOWN &&
                 rounds.rounds[i].wire_ns < rules->path->base_ns - RELEASE_NS;
    return early;
}

/* An answer that is there sooner than the path lets one come was on its way before the request.
 * Then the rounds are not what they seem, of whatever arm, and no time of theirs says anything. */
static bool answers_overlap(const struct rules *rules)
{
    size_t early = 0, count = 0;

    for (int arm = 0; arm < PROBE_ARMS; arm++) {
        early += early_answers(rules, rules->evidence->arms[arm]);
        count += rules->evidence->arms[arm].count;
    }
    if (!rules->evidence->surplus_bytes || early < AFFECTED_MIN)
        return false;
    rules_inconclusive(
        rules,
        "%s the answer began sooner than this path lets one come (%s), and %s came beyond the end "
        "of answers: what was taken for an answer is the rest of the one before, or was sent "
        "without being asked for. Let --until fit the protocol.",
        rules_share(rules, early, count), arena_duration(rules->arena, rules->path->base_ns),
        surplus(rules));
    return true;
}

/* Rounds that end before the server has said all are short, whatever the rest of an answer does. */
static void judge_surplus(const struct rules *rules)
{
    if (!rules->evidence->surplus_bytes)
        return;
    for (size_t i = 0; i < rules->findings->count; i++) {
        const struct finding *finding = &rules->findings->items[i];
        if (finding->severity >= FINDING_WARNING && finding->side != RESULT_SIDE_NETWORK)
            return;
    }
    rules_inconclusive(
        rules,
        "Nothing stands out up to where an answer ends by --until, but %s came beyond that and "
        "belong to no round. A stall in the rest of an answer is not seen: let --until fit the "
        "whole of it (http, bytes:N, text:STR or idle:DUR). Only what the server sends without "
        "being asked for, such as notifications, may stay out.",
        surplus(rules));
}

static void judge_rounds(const struct rules *rules)
{
    if (answers_overlap(rules))
        return;
    rules_hold(rules);
    rules_answer(rules);
    rules_bandwidth(rules);
    judge_delayed_ack(rules);
}

/* Answers in several segments, or requests in several writes, can stall on a later exchange. */
static bool could_stall(const struct probe_evidence *evidence)
{
    size_t parted = 0;
    for (size_t i = 0; i < evidence->fresh.count; i++)
        parted += evidence->fresh.rounds[i].arrivals > 1;
    return evidence->request_writes > 1 || 2 * parted > evidence->fresh.count;
}

static void warn_of_stall(const struct rules *rules, const struct finding *stall)
{
    struct finding *finding = rules_add(rules, FINDING_STALL_WHEN_PERSISTENT, stall->side,
                                        (size_t)stall->count, stall->cost_ns);

    finding->summary = arena_printf(rules->arena, "On a persistent connection: %s", stall->summary);
    finding->remedy = stall->remedy;
    finding->evidence = stall->evidence;
}

/* The user's rounds are on new connections, and the arms on persistent ones: what stalls there but
 * not here is a trap for the day on which somebody reuses connections. */
static void judge_persistence(const struct rules *rules, const struct probe_evidence *evidence)
{
    struct finding_list list = {0};
    struct rules persistent = *rules;
    bool clean = !rules->findings->count;

    persistent.evidence = evidence;
    persistent.findings = &list;
    persistent.reused = (struct arm_rounds){0};

    if (rules_found(rules, FINDING_NAGLE_DELAYED_ACK) || !evidence->persists)
        return;
    if (!evidence->arms[ARM_BASELINE].count) {
        if (could_stall(evidence))
            rules_inconclusive(
                rules, "New connections are fast, because Linux acknowledges the first segments at "
                       "once. Whether a persistent connection would stall was not tried "
                       "(--no-interventions).");
        return;
    }
    judge_rounds(&persistent);
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].code == FINDING_NAGLE_DELAYED_ACK ||
            list.items[i].code == FINDING_NAGLE_ROUND_TRIP)
            warn_of_stall(rules, &list.items[i]);
    if (!rules_found(&persistent, FINDING_NAGLE_DELAYED_ACK) &&
        rules_found(&persistent, FINDING_INCONCLUSIVE) && clean && could_stall(evidence))
        rules_inconclusive(rules, "New connections are fast; on a persistent one the evidence does "
                                  "not decide whether there is a stall.");
}

/* With one connection a round the user's rounds are their own baseline: for windows and think time
 * they are judged as they are, and only for stalls the persistent arms speak. */
static struct probe_evidence own_evidence(const struct probe_evidence *evidence)
{
    struct probe_evidence own = *evidence;

    if (!evidence->new_connections)
        return own;
    memset(own.arms, 0, sizeof own.arms);
    own.arms[ARM_BASELINE] = evidence->fresh;
    own.arms[ARM_QUICKACK] = evidence->fresh_quickack;
    return own;
}

unsigned probe_verdict(struct arena *arena, const struct probe_evidence *evidence,
                       struct finding_list *findings)
{
    const struct probe_evidence own = own_evidence(evidence);
    int64_t samples[EVIDENCE_CONTROL_MAX];
    struct path_model path;
    unsigned wanted = 0;

    evidence_path(evidence, &path, samples);
    const struct rules rules = {.arena = arena,
                                .evidence = &own,
                                .path = &path,
                                .segment_ns = evidence_segment_ns(&own),
                                .findings = findings,
                                .reused = evidence->new_connections ? evidence->arms[ARM_BASELINE]
                                                                    : (struct arm_rounds){0},
                                .wanted = &wanted};

    judge_connect(&rules);
    judge_rounds(&rules);
    if (evidence->new_connections)
        judge_persistence(&rules, evidence);
    if (evidence->unfinished && !rules_found(&rules, FINDING_ZERO_WINDOW) &&
        !rules_found(&rules, FINDING_RECEIVE_WINDOW_LIMITED))
        rules_window(&rules, (struct arm_rounds){evidence->unfinished, 1});
    rules_loss(&rules, own.arms[ARM_BASELINE]);
    judge_answers(&rules);
    rules_idle(&rules);
    judge_early_answers(&rules);
    judge_expect(&rules);
    if (evidence->error != FINDING_NONE)
        judge_error(&rules);
    judge_surplus(&rules);
    return wanted;
}
