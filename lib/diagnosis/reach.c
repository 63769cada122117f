/* From the tries to a case.
 *
 * The tries are counted by what came back, and the order of the questions is the order of how much
 * an answer proves: a connection, then an ICMP message (its sender names itself), then our own
 * kernel's refusal, then an RST (which anybody can send in the target's name), then silence, which
 * proves least, and is narrowed down by what else is known: this host's tables, other targets. */
#include "diagnosis/reach_internal.h"

#include "base/clock.h"
#include "base/units.h"
#include "diagnosis/verdict_thresholds.h"
#include "netkit/error.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- what connected ---- */

static const char *how_often(const struct reach_verdict *verdict, size_t count)
{
    if (verdict->evidence->try_count == 1)
        return "The only try";
    return arena_printf(verdict->arena, "%zu of %zu tries", count, verdict->evidence->try_count);
}

static void retried(struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;
    struct arena *arena = verdict->arena;
    size_t silent = verdict->counts[REACH_SILENCE];
    int64_t worst_ns = 0;

    for (size_t i = 0; i < evidence->try_count; i++)
        if (evidence->tries[i].took_ns > worst_ns)
            worst_ns = evidence->tries[i].took_ns;
    bool full = evidence->listener.seen && evidence->listener.queue > evidence->listener.limit;
    const char *what =
        silent
            ? arena_printf(arena, "%s got no answer within %s, others connected.",
                           how_often(verdict, silent), arena_duration(arena, worst_ns))
            : arena_printf(arena,
                           "%s connected only after %" PRId64 " more SYN%s; the slowest took "
                           "%s.",
                           how_often(verdict, verdict->retried), verdict->retransmits,
                           verdict->retransmits == 1 ? "" : "s", arena_duration(arena, worst_ns));
    if (full)
        what = arena_printf(arena,
                            "%s This host's listener had %" PRId64 " connections waiting, with "
                            "room for %" PRId64 ": the kernel dropped the SYNs.",
                            what, evidence->listener.queue, evidence->listener.limit);
    else if (evidence->other.target && evidence->other.at_once)
        what = arena_printf(arena,
                            "%s %s, on the same address, answered at once in the same run, which "
                            "points to this listener rather than the path, but proves neither.",
                            what, evidence->other.target);
    struct finding *finding =
        reach_conclude(verdict, full ? REACH_CASE_OVERLOADED : REACH_CASE_RETRIED, what);
    finding->count = (int64_t)(verdict->retried + silent);
    finding->cost_ns = worst_ns;
}

/* By how much the answer to the first SYN came later than a loss would make it, which is one round
 * trip after a later SYN. RESULT_UNKNOWN: another SYN was answered, or it is not known which. */
static int64_t late_by(const struct kernel_timers *schedule, const struct reach_try *attempt)
{
    int64_t again = attempt->syn_retransmits;

    if (attempt->answer != REACH_CONNECTED || again < 1 || again >= KERNEL_TIMERS_SENT_MAX ||
        (size_t)again >= schedule->sent_count || attempt->echo_ns == RESULT_UNKNOWN ||
        attempt->echo_ns < attempt->took_ns - schedule->sent_ns[1] / 2)
        return RESULT_UNKNOWN;
    return attempt->took_ns - schedule->sent_ns[again];
}

/* Whether no SYN was lost, although some were sent again: each of those tries says so by its
 * timestamp, and took longer than a lost SYN,ACK and a round trip explain. Where no try tells the
 * round trip, one alone proves nothing. */
static bool late_not_lost(const struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;
    bool known = verdict->rtt_most_ns != RESULT_UNKNOWN;
    struct kernel_timers schedule;

    kernel_timers_connect(&schedule, &evidence->settings, NULL);
    if (verdict->counts[REACH_SILENCE] || (!known && verdict->retried < REACH_LATE_TRIES))
        return false;
    for (size_t i = 0; i < evidence->try_count; i++) {
        const struct reach_try *attempt = &evidence->tries[i];
        if (!attempt->syn_retransmits)
            continue;
        int64_t late_ns = late_by(&schedule, attempt);
        if (late_ns == RESULT_UNKNOWN ||
            late_ns < REACH_LATE_NS + (known ? verdict->rtt_most_ns : 0))
            return false;
    }
    return true;
}

static void late_again(struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;
    int64_t least_ns = INT64_MAX, most_ns = 0;

    for (size_t i = 0; i < evidence->try_count; i++) {
        const struct reach_try *attempt = &evidence->tries[i];
        if (!attempt->syn_retransmits)
            continue;
        least_ns = attempt->took_ns < least_ns ? attempt->took_ns : least_ns;
        most_ns = attempt->took_ns > most_ns ? attempt->took_ns : most_ns;
    }
    struct arena *arena = verdict->arena;
    struct finding *finding = reach_conclude(
        verdict, REACH_CASE_LATE,
        arena_printf(arena,
                     "%s took %s to %s, and a SYN was sent again meanwhile; but by its timestamp "
                     "SYN,ACK answers the first SYN, which was not lost. The answer was late.",
                     how_often(verdict, verdict->retried), arena_duration(arena, least_ns),
                     arena_duration(arena, most_ns)));
    finding->count = (int64_t)verdict->retried;
    finding->cost_ns = least_ns;
}

/* The kernel measures a round trip without waiting for us to wake up. */
static void judge_times(struct reach_verdict *verdict)
{
    struct arena *arena = verdict->arena;
    int64_t least = verdict->rtt_least_ns, most = verdict->rtt_most_ns;
    struct finding *finding;

    if (least != RESULT_UNKNOWN && most - least >= REACH_LATE_NS &&
        most >= REACH_LATE_TIMES * least) {
        finding = reach_conclude(
            verdict, REACH_CASE_LATE,
            arena_printf(arena,
                         "From SYN to SYN,ACK it took %s in one try and %s in another, and no SYN "
                         "was sent again.",
                         arena_duration(arena, most), arena_duration(arena, least)));
        finding->cost_ns = most - least;
    } else if (least != RESULT_UNKNOWN && least >= REACH_SLOW_NS) {
        finding = reach_conclude(verdict, REACH_CASE_SLOW,
                                 arena_printf(arena,
                                              "From SYN to SYN,ACK it takes at least %s: each new "
                                              "connection costs that much.",
                                              arena_duration(arena, least)));
        finding->cost_ns = least;
    } else {
        reach_conclude(verdict, REACH_CASE_ACCEPTED, NULL);
    }
}

static const struct reach_try *first_of(const struct reach_verdict *verdict,
                                        enum reach_answer answer)
{
    for (size_t i = 0; i < verdict->evidence->try_count; i++)
        if (verdict->evidence->tries[i].answer == answer)
            return &verdict->evidence->tries[i];
    return NULL;
}

static void connected(struct reach_verdict *verdict)
{
    static const enum reach_answer failures[] = {REACH_RST, REACH_RESET, REACH_ICMP, REACH_REFUSED};
    size_t failed = 0;

    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        const struct reach_try *attempt = first_of(verdict, failures[i]);
        failed += verdict->counts[failures[i]];
        if (attempt && verdict->decisive->answer == REACH_CONNECTED)
            verdict->decisive = attempt;
    }
    if (failed) {
        const char *how = verdict->decisive->answer == REACH_ICMP
                              ? reach_icmp_name(&verdict->decisive->icmp)
                              : strerror(verdict->decisive->number);
        enum reach_answer answer = verdict->decisive->answer;
        struct finding *finding = reach_conclude(
            verdict,
            answer == REACH_RST     ? REACH_CASE_UNSTEADY
            : answer == REACH_RESET ? REACH_CASE_UNSTEADY_RESET
                                    : REACH_CASE_UNSTEADY_OTHER,
            arena_printf(verdict->arena, "%s failed (%s), the others connected.%s",
                         how_often(verdict, failed), how, reach_ttl_remark(verdict)));
        finding->severity = FINDING_WARNING;
        finding->count = (int64_t)failed;
    } else if (verdict->retransmits && late_not_lost(verdict)) {
        late_again(verdict);
    } else if (verdict->retransmits || verdict->counts[REACH_SILENCE]) {
        retried(verdict);
    } else {
        judge_times(verdict);
    }
}

/* ---- what did not ---- */

static void refused_by_another(struct reach_verdict *verdict)
{
    const struct reach_other *other = &verdict->evidence->other;
    uint8_t ttl = verdict->decisive->wire.rst_ttl;

    reach_conclude(verdict, REACH_CASE_REFUSED_BEFORE,
                   arena_printf(verdict->arena,
                                "The RST arrived with TTL %u, as from %d hops away, but the answer "
                                "of %s, on the same address, with TTL %u, as from %d: they do not "
                                "come from one host over one path.",
                                ttl, reach_ttl_hops(ttl), other->target, other->ttl,
                                reach_ttl_hops(other->ttl)));
    verdict->result->cannot_tell =
        "Whether a firewall forges the RST, the address is shared and its ports lead to different "
        "hosts (NAT, a load balancer), or paths of different length lead to one host.";
    verdict->result->would_tell =
        "--path for both targets: at which hop each answers; a capture on the server: does the "
        "SYN arrive, and which TTL has its RST?";
}

static void refused(struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;
    struct arena *arena = verdict->arena;
    int64_t hop = reach_end_hop(evidence->hops, evidence->hop_count);
    bool here = evidence->route && evidence->route->local;
    const struct reach_other *other = &evidence->other;

    if (hop && evidence->hops[hop - 1].answer == REACH_RST && other->target && other->hop > hop) {
        reach_conclude(verdict, REACH_CASE_REFUSED_BEFORE,
                       arena_printf(arena,
                                    "The RST comes from hop %" PRId64 ", but %s, on the same "
                                    "address, answers at hop %" PRId64
                                    ": something in front of that host sends it.",
                                    hop, other->target, other->hop));
        return;
    }
    if (!here && reach_other_ttl(evidence)) {
        refused_by_another(verdict);
        return;
    }
    bool listens = here && evidence->listener.seen && !evidence->listener.v6_for_v4;
    const char *what =
        listens ? "This host answered with RST although it has a listener there."
        : here  ? "This host answered with RST: nothing listens on that address and port."
                : arena_printf(arena, "The SYN was answered with RST after %s.%s",
                               arena_duration(arena, verdict->decisive->took_ns),
                               reach_ttl_remark(verdict));
    reach_conclude(verdict, REACH_CASE_REFUSED, what);
    if (!here)
        return;
    verdict->result->cannot_tell =
        listens
            ? "Whether a firewall of this host rejects it, or the listener has only just started."
            : NULL;
    verdict->result->would_tell = listens ? "Another run; ss -ltn; nft list ruleset." : NULL;
}

static void judge_reset(struct reach_verdict *verdict)
{
    reach_conclude(verdict, REACH_CASE_RESET,
                   arena_printf(verdict->arena,
                                "The handshake was complete, and an RST followed within %s.%s",
                                arena_duration(verdict->arena, verdict->decisive->took_ns),
                                reach_ttl_remark(verdict)));
}

static void met_itself(struct reach_verdict *verdict)
{
    reach_conclude(verdict, REACH_CASE_ITSELF,
                   "The connection met itself: its own ephemeral port was the target, and nothing "
                   "listens there (simultaneous open, RFC 9293 section 3.5).");
}

static void untried(struct reach_verdict *verdict)
{
    if (verdict->decisive && verdict->decisive->number)
        reach_judge_local(verdict);
    else
        reach_conclude(verdict, REACH_CASE_UNTRIED, "The run ended before it was tried.")
            ->severity = FINDING_WARNING;
}

static void no_name(struct reach_verdict *verdict)
{
    enum failure_cause cause = verdict->evidence->resolve_cause;
    bool refused = failure_entry(cause)->code == FINDING_MACHINE_REFUSES;
    struct finding *finding =
        reach_conclude(verdict, refused ? REACH_CASE_NO_MEANS : REACH_CASE_NO_NAME,
                       verdict->evidence->resolve_error);

    if (cause == FAILURE_NOT_KNOWN)
        return;
    failure_blame(verdict->arena, finding, cause);
    if (!refused && cause != FAILURE_NO_NAME)
        verdict->result->error.number = EAGAIN;
}

static void slow_resolve(struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;

    if (evidence->resolve_ns == RESULT_UNKNOWN || evidence->resolve_ns < RESOLVE_SLOW_NS)
        return;
    struct finding *finding =
        finding_add(verdict->arena, verdict->findings, FINDING_SLOW_RESOLVE, RESULT_SIDE_CLIENT);
    finding->target = verdict->result->target;
    finding->cost_ns = evidence->resolve_ns;
    finding->summary = arena_printf(verdict->arena, "Resolving the name took %s.",
                                    arena_duration(verdict->arena, evidence->resolve_ns));
}

/* ---- all together ---- */

static void count(struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;

    verdict->rtt_least_ns = verdict->rtt_most_ns = RESULT_UNKNOWN;
    for (size_t i = 0; i < evidence->try_count; i++) {
        const struct reach_try *attempt = &evidence->tries[i];
        verdict->counts[attempt->answer]++;
        if (attempt->syn_retransmits > 0) {
            verdict->retransmits += attempt->syn_retransmits;
            verdict->retried++;
        }
        if (attempt->answer != REACH_CONNECTED || attempt->rtt_ns == RESULT_UNKNOWN)
            continue;
        if (verdict->rtt_least_ns == RESULT_UNKNOWN || attempt->rtt_ns < verdict->rtt_least_ns)
            verdict->rtt_least_ns = attempt->rtt_ns;
        if (attempt->rtt_ns > verdict->rtt_most_ns)
            verdict->rtt_most_ns = attempt->rtt_ns;
    }
}

static void describe(const struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;
    struct result_reach *result = verdict->result;
    struct result_reach_try *tries =
        arena_alloc(verdict->arena, evidence->try_count * sizeof *tries);

    result->target = evidence->target;
    result->address = evidence->address;
    result->port = evidence->port;
    result->resolve_ns = evidence->resolve_ns;
    result->route = evidence->route;
    result->strip = evidence->strip;
    result->path = reach_path(verdict->arena, evidence);
    if (evidence->try_count)
        result->syn_retransmits = verdict->retransmits;
    result->rtt_ns = verdict->rtt_least_ns;
    for (size_t i = 0; tries && i < evidence->try_count; i++) {
        const struct reach_try *attempt = &evidence->tries[i];
        tries[i] = (struct result_reach_try){.answer = reach_answer_name(attempt->answer),
                                             .number = attempt->number,
                                             .took_ns = attempt->took_ns,
                                             .rtt_ns = attempt->rtt_ns,
                                             .syn_retransmits = attempt->syn_retransmits,
                                             .wire = reach_wire_result(verdict->arena, attempt)};
        if (attempt->answer == REACH_ICMP)
            tries[i].icmp = reach_icmp_result(verdict->arena, &attempt->icmp);
        if (attempt->answer == REACH_CONNECTED &&
            (result->connect_ns == RESULT_UNKNOWN || attempt->took_ns < result->connect_ns))
            result->connect_ns = attempt->took_ns;
    }
    result->tries = tries;
    result->try_count = tries ? evidence->try_count : 0;
}

void reach_diagnose(struct arena *arena, const struct reach_evidence *evidence,
                    struct result_reach *result, struct finding_list *findings)
{
    /* What proves most comes first. */
    static const struct {
        enum reach_answer answer;
        void (*judge)(struct reach_verdict *verdict);
    } order[] = {
        {REACH_CONNECTED, connected},
        {REACH_ICMP, reach_judge_icmp},
        {REACH_REFUSED, reach_judge_local},
        {REACH_RESET, judge_reset},
        {REACH_RST, refused},
        {REACH_ITSELF, met_itself},
        {REACH_SILENCE, reach_judge_silence},
        {REACH_UNTRIED, untried},
    };
    struct reach_verdict verdict = {
        .arena = arena, .evidence = evidence, .result = result, .findings = findings};
    void (*judge)(struct reach_verdict *) = evidence->resolve_error ? no_name : untried;

    count(&verdict);
    describe(&verdict);
    for (size_t i = 0; i < ARRAY_SIZE(order) && evidence->try_count; i++) {
        if (!verdict.counts[order[i].answer])
            continue;
        verdict.decisive = first_of(&verdict, order[i].answer);
        judge = order[i].judge;
        break;
    }
    judge(&verdict);
    slow_resolve(&verdict);
}
