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

const char *reach_answer_name(enum reach_answer answer)
{
    static const char *const names[REACH_ANSWERS] = {
        [REACH_SILENCE] = "none",  [REACH_CONNECTED] = "connected", [REACH_RST] = "rst",
        [REACH_RESET] = "reset",   [REACH_ICMP] = "icmp",           [REACH_REFUSED] = "local",
        [REACH_ITSELF] = "itself", [REACH_UNTRIED] = "untried",
    };
    return answer < REACH_ANSWERS ? names[answer] : "untried";
}

const char *reach_span(struct arena *arena, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(arena, units_format_duration(text, sizeof text, ns, "µ"));
}

#define ON_THE_SERVER                                                                              \
    "On the server: ss -ltn (is Recv-Q above Send-Q?), nstat -az TcpExtListenOverflows before "    \
    "and after, and its firewall; a capture there shows whether the SYN arrives."

#define UNSTEADY                                                                                   \
    "Whether several servers share the address and some of them do not listen, the service is "    \
    "being restarted, or something between interferes at times.",                                  \
        "More --tries, and each server asked by its own address."

/* Where a field depends on the evidence it is NULL here, and reach_conclude() is told. */
static const struct {
    const char *name;
    enum finding_code code;
    enum result_side side;
    bool ok;
    const char *cannot_tell, *would_tell;
} cases[REACH_CASES] = {
    [REACH_CASE_ACCEPTED] = {"accepted", FINDING_NONE, RESULT_SIDE_NONE, true, NULL, NULL},
    [REACH_CASE_SLOW] = {"slow-path", FINDING_HIGH_RTT, RESULT_SIDE_NETWORK, true,
                         "Whether the distance makes it slow, or a queue on the way.",
                         "--path: the hop from which on the times are long; the same at an hour "
                         "with less traffic."},
    [REACH_CASE_LATE] = {"answered-late", FINDING_LATE_SYNACK, RESULT_SIDE_NONE, true,
                         "Whether something on the way held the SYN or its answer, the host did, "
                         "the answer was lost and the host sent another (after a second), "
                         "or this machine stood still.",
                         "--path: whether the routers before it answer quickly at the same time; a "
                         "capture on the server: how long after the SYN the SYN,ACK leaves."},
    [REACH_CASE_RETRIED] = {"answered-after-retries", FINDING_SYN_RETRANSMISSION, RESULT_SIDE_NONE,
                            true,
                            "Whether the SYN or its answer was lost on the way, or the listener's "
                            "accept queue was full (Linux drops the SYN then): all three look the "
                            "same from here.",
                            ON_THE_SERVER},
    [REACH_CASE_OVERLOADED] = {"listener-overloaded", FINDING_ACCEPT_QUEUE_OVERFLOW,
                               RESULT_SIDE_SERVER, true, NULL, NULL},
    [REACH_CASE_UNSTEADY] = {"unsteady", FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER, true,
                             UNSTEADY},
    [REACH_CASE_UNSTEADY_RESET] = {"unsteady", FINDING_CONNECTION_RESET, RESULT_SIDE_SERVER, true,
                                   UNSTEADY},
    [REACH_CASE_UNSTEADY_OTHER] = {"unsteady", FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, true,
                                   UNSTEADY},
    [REACH_CASE_REFUSED] = {"refused", FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER, false,
                            "Whether the host has no listener there, or a firewall answered in its "
                            "name: an RST carries the target's address whoever sent it.",
                            "On the server: ss -ltn, and whether TcpOutRsts (nstat -az) rises with "
                            "each try. A capture here: an RST whose TTL differs from that of the "
                            "host's other answers is somebody else's."},
    [REACH_CASE_REFUSED_BEFORE] = {"refused-on-the-way", FINDING_CONNECTION_REJECTED,
                                   RESULT_SIDE_NETWORK, false,
                                   "Whether a firewall forges the RST, or the address is shared "
                                   "and its ports lead to different hosts (NAT, a load balancer).",
                                   "The configuration of what is at that hop; a capture on the "
                                   "server: does the SYN arrive?"},
    [REACH_CASE_RESET] = {"reset-at-once", FINDING_CONNECTION_RESET, RESULT_SIDE_SERVER, false,
                          "Whether the server's application, its kernel (tcp_abort_on_overflow) or "
                          "something between sent the RST.",
                          "The server's log, nstat -az TcpExtListenOverflows, a capture there."},
    [REACH_CASE_ITSELF] = {"met-itself", FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER, false,
                           NULL, NULL},
    [REACH_CASE_REJECTED] = {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_NETWORK, false,
                             NULL, NULL},
    [REACH_CASE_NO_HOST] = {"host-unreachable", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE, false,
                            "Whether the host is down, or that router has a route that says so "
                            "(unreachable).",
                            "On that router: ip neigh show and ip route get for the target; "
                            "whether the host is up."},
    [REACH_CASE_NO_NEIGHBOUR] = {"no-neighbour", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE, false,
                                 NULL, NULL},
    [REACH_CASE_NO_ROUTE_THERE] = {"network-unreachable", FINDING_NETWORK_UNREACHABLE,
                                   RESULT_SIDE_NETWORK, false, NULL, NULL},
    [REACH_CASE_LOOP] = {"routing-loop", FINDING_ROUTING_LOOP, RESULT_SIDE_NETWORK, false,
                         "Whether it is a circle, or a way of more than 64 hops.",
                         "--path: a circle has the same routers again and again."},
    [REACH_CASE_OTHER_ICMP] = {"icmp-error", FINDING_INCONCLUSIVE, RESULT_SIDE_NETWORK, false,
                               "What its sender took exception to.", "A capture at that router."},
    [REACH_CASE_NO_ROUTE] = {"no-route", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_CLIENT, false,
                             NULL, NULL},
    [REACH_CASE_NOT_ALLOWED] = {"not-permitted", FINDING_NOT_PERMITTED, RESULT_SIDE_CLIENT, false,
                                NULL, NULL},
    [REACH_CASE_NO_ADDRESS] = {"no-local-address", FINDING_NO_LOCAL_ADDRESS, RESULT_SIDE_CLIENT,
                               false,
                               "Whether every port is taken, or no source address fits the "
                               "destination.",
                               "ip address; ss -tan dst ADDRESS | wc -l, against "
                               "net.ipv4.ip_local_port_range."},
    [REACH_CASE_FILTERED] = {"filtered", FINDING_FILTERED, RESULT_SIDE_NONE, false,
                             "Whether a filter drops the SYNs (on the way or on the host), the "
                             "listener's accept queue is full, or the address is shared (NAT, a "
                             "load balancer) and the host behind this port is down.",
                             ON_THE_SERVER},
    [REACH_CASE_NOT_TAKEN] = {"answer-not-taken", FINDING_ANSWER_NOT_TAKEN, RESULT_SIDE_CLIENT,
                              false,
                              "Whether this host's firewall drops the SYN,ACK, its check of the "
                              "way back (rp_filter), or its checksum.",
                              "nft list ruleset; nstat -az, before and after a try."},
    [REACH_CASE_NOT_SENT] = {"not-sent", FINDING_SYN_NOT_SENT, RESULT_SIDE_CLIENT, false,
                             "Whether this host drops its SYNs (a rule, a full or stopped queue, a "
                             "device without carrier), or sends them on under another address "
                             "(NAT) or in a tunnel (IPsec).",
                             "nft list ruleset; ip -s link; ip xfrm policy."},
    [REACH_CASE_SILENT] = {"silent", FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NONE, false,
                           "Whether a filter drops silently, the host is down or does not exist, "
                           "its listener's accept queue is full, or answers are lost on the way "
                           "back: silence has no sender. Routers also limit how many ICMP errors "
                           "they send.",
                           "Another port of the same host as a second --target: an answer, also a "
                           "refusal, shows that the host is alive. --path shows how far the SYN "
                           "gets. " ON_THE_SERVER},
    [REACH_CASE_NO_NAME] = {"no-name", FINDING_NAME_NOT_FOUND, RESULT_SIDE_CLIENT, false, NULL,
                            NULL},
    [REACH_CASE_UNTRIED] = {"untried", FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, false,
                            "Anything: it was not tried to the end.", "A run with more time."},
};

static void prove(const struct inquest *inquest, struct finding *finding)
{
    struct arena *arena = inquest->arena;
    struct result_map *map = &finding->evidence;
    const struct reach_try *attempt = inquest->decisive;

    if (!attempt)
        return;
    result_set_text(arena, map, "answer", reach_answer_name(attempt->answer));
    result_set_integer(arena, map, "took_ns", attempt->took_ns);
    result_set_integer(arena, map, "syn_retransmits", inquest->retransmits);
    if (attempt->number)
        result_set_text(arena, map, "errno", error_name(attempt->number));
    if (attempt->answer != REACH_ICMP)
        return;
    result_set_text(arena, map, "icmp", reach_icmp_name(&attempt->icmp));
    result_set_text(arena, map, "icmp_from", attempt->icmp.from);
    if (inquest->hop)
        result_set_integer(arena, map, "hop", inquest->hop);
}

struct finding *reach_conclude(struct inquest *inquest, enum reach_case which, const char *summary)
{
    struct result_reach *result = inquest->result;
    static struct finding scratch;

    result->reach_case = cases[which].name;
    result->cannot_tell = cases[which].cannot_tell;
    result->would_tell = cases[which].would_tell;
    result->ok = cases[which].ok;
    if (!result->ok)
        result->error = (struct result_error){
            cases[which].code, inquest->decisive ? inquest->decisive->number : 0, summary};
    if (cases[which].code == FINDING_NONE)
        return &scratch;
    struct finding *finding =
        finding_add(inquest->arena, inquest->findings, cases[which].code, cases[which].side);
    finding->target = result->target;
    finding->summary = summary;
    if (!result->ok)
        finding->severity = FINDING_ERROR;
    prove(inquest, finding);
    return finding;
}

/* ---- what connected ---- */

static const char *how_often(const struct inquest *inquest, size_t count)
{
    if (inquest->evidence->try_count == 1)
        return "The only try";
    return arena_printf(inquest->arena, "%zu of %zu tries", count, inquest->evidence->try_count);
}

static void retried(struct inquest *inquest)
{
    const struct reach_evidence *evidence = inquest->evidence;
    struct arena *arena = inquest->arena;
    size_t silent = inquest->counts[REACH_SILENCE];
    int64_t worst_ns = 0;

    for (size_t i = 0; i < evidence->try_count; i++)
        if (evidence->tries[i].took_ns > worst_ns)
            worst_ns = evidence->tries[i].took_ns;
    bool full = evidence->listener.seen && evidence->listener.queue > evidence->listener.limit;
    const char *what =
        silent ? arena_printf(arena, "%s got no answer within %s, others connected.",
                              how_often(inquest, silent), reach_span(arena, worst_ns))
               : arena_printf(arena,
                              "%s connected only after %" PRId64 " more SYN%s; the slowest took "
                              "%s.",
                              how_often(inquest, inquest->retried), inquest->retransmits,
                              inquest->retransmits == 1 ? "" : "s", reach_span(arena, worst_ns));
    if (full)
        what = arena_printf(arena,
                            "%s This host's listener had %" PRId64 " connections waiting, with "
                            "room for %" PRId64 ": the kernel dropped the SYNs.",
                            what, evidence->listener.queue, evidence->listener.limit);
    else if (evidence->other.target && evidence->other.at_once)
        what = arena_printf(arena,
                            "%s %s, on the same address, answered at once in the same run, which "
                            "speaks for this listener rather than the way, and proves neither.",
                            what, evidence->other.target);
    struct finding *finding =
        reach_conclude(inquest, full ? REACH_CASE_OVERLOADED : REACH_CASE_RETRIED, what);
    finding->count = (int64_t)(inquest->retried + silent);
    finding->cost_ns = worst_ns;
}

/* The kernel measures a round trip without waiting for us to wake up. */
static void judge_times(struct inquest *inquest)
{
    struct arena *arena = inquest->arena;
    int64_t least = inquest->rtt_least_ns, most = inquest->rtt_most_ns;
    struct finding *finding;

    if (least != RESULT_UNKNOWN && most - least >= REACH_LATE_NS &&
        most >= REACH_LATE_TIMES * least) {
        finding = reach_conclude(
            inquest, REACH_CASE_LATE,
            arena_printf(arena,
                         "From SYN to SYN,ACK it took %s in one try and %s in another, and no SYN "
                         "was sent again.",
                         reach_span(arena, most), reach_span(arena, least)));
        finding->cost_ns = most - least;
    } else if (least != RESULT_UNKNOWN && least >= REACH_SLOW_NS) {
        finding = reach_conclude(inquest, REACH_CASE_SLOW,
                                 arena_printf(arena,
                                              "From SYN to SYN,ACK it takes at least %s: each new "
                                              "connection costs that much.",
                                              reach_span(arena, least)));
        finding->cost_ns = least;
    } else {
        reach_conclude(inquest, REACH_CASE_ACCEPTED, NULL);
    }
}

static const struct reach_try *first_of(const struct inquest *inquest, enum reach_answer answer)
{
    for (size_t i = 0; i < inquest->evidence->try_count; i++)
        if (inquest->evidence->tries[i].answer == answer)
            return &inquest->evidence->tries[i];
    return NULL;
}

static void connected(struct inquest *inquest)
{
    static const enum reach_answer failures[] = {REACH_RST, REACH_RESET, REACH_ICMP, REACH_REFUSED};
    size_t failed = 0;

    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        const struct reach_try *attempt = first_of(inquest, failures[i]);
        failed += inquest->counts[failures[i]];
        if (attempt && inquest->decisive->answer == REACH_CONNECTED)
            inquest->decisive = attempt;
    }
    if (failed) {
        const char *how = inquest->decisive->answer == REACH_ICMP
                              ? reach_icmp_name(&inquest->decisive->icmp)
                              : strerrordesc_np(inquest->decisive->number);
        enum reach_answer answer = inquest->decisive->answer;
        struct finding *finding = reach_conclude(
            inquest,
            answer == REACH_RST     ? REACH_CASE_UNSTEADY
            : answer == REACH_RESET ? REACH_CASE_UNSTEADY_RESET
                                    : REACH_CASE_UNSTEADY_OTHER,
            arena_printf(inquest->arena, "%s failed (%s), the others connected.%s",
                         how_often(inquest, failed), how, reach_ttl_remark(inquest)));
        finding->severity = FINDING_WARNING;
        finding->count = (int64_t)failed;
    } else if (inquest->retransmits || inquest->counts[REACH_SILENCE]) {
        retried(inquest);
    } else {
        judge_times(inquest);
    }
}

/* ---- what did not ---- */

static void refused_by_another(struct inquest *inquest)
{
    const struct reach_other *other = &inquest->evidence->other;
    uint8_t ttl = inquest->decisive->wire.rst_ttl;

    reach_conclude(inquest, REACH_CASE_REFUSED_BEFORE,
                   arena_printf(inquest->arena,
                                "The RST arrived with TTL %u, as from %d hops away, but the answer "
                                "of %s, on the same address, with TTL %u, as from %d: they do not "
                                "come from one host by one way.",
                                ttl, reach_ttl_hops(ttl), other->target, other->ttl,
                                reach_ttl_hops(other->ttl)));
    inquest->result->cannot_tell =
        "Whether a firewall forges the RST, the address is shared and its ports lead to different "
        "hosts (NAT, a load balancer), or ways of different length lead to one host.";
    inquest->result->would_tell =
        "--path for both targets: at which hop each answers; a capture on the server: does the "
        "SYN arrive, and which TTL has its RST?";
}

static void refused(struct inquest *inquest)
{
    const struct reach_evidence *evidence = inquest->evidence;
    struct arena *arena = inquest->arena;
    int64_t hop = reach_end_hop(evidence->hops, evidence->hop_count);
    bool here = evidence->route && evidence->route->local;
    const struct reach_other *other = &evidence->other;

    if (hop && evidence->hops[hop - 1].answer == REACH_RST && other->target && other->hop > hop) {
        reach_conclude(inquest, REACH_CASE_REFUSED_BEFORE,
                       arena_printf(arena,
                                    "The RST comes from hop %" PRId64 ", but %s, on the same "
                                    "address, answers at hop %" PRId64 ": something before that "
                                    "host sends it.",
                                    hop, other->target, other->hop));
        return;
    }
    if (!here && reach_other_ttl(evidence)) {
        refused_by_another(inquest);
        return;
    }
    bool listens = here && evidence->listener.seen && !evidence->listener.v6_for_v4;
    const char *what =
        listens ? "This host answered with RST although it has a listener there."
        : here  ? "This host answered with RST: nothing listens on that address and port."
                : arena_printf(arena, "The SYN was answered with RST after %s.%s",
                               reach_span(arena, inquest->decisive->took_ns),
                               reach_ttl_remark(inquest));
    reach_conclude(inquest, REACH_CASE_REFUSED, what);
    if (!here)
        return;
    inquest->result->cannot_tell =
        listens ? "Whether a firewall of this host rejects, or the listener came only just now."
                : NULL;
    inquest->result->would_tell = listens ? "Another run; ss -ltn; nft list ruleset." : NULL;
}

static void inquire_reset(struct inquest *inquest)
{
    reach_conclude(inquest, REACH_CASE_RESET,
                   arena_printf(inquest->arena,
                                "The handshake was complete, and an RST followed within %s.%s",
                                reach_span(inquest->arena, inquest->decisive->took_ns),
                                reach_ttl_remark(inquest)));
}

static void met_itself(struct inquest *inquest)
{
    reach_conclude(inquest, REACH_CASE_ITSELF,
                   "The connection met itself: its own ephemeral port was the target, and nobody "
                   "listens there (simultaneous open, RFC 9293 section 3.5).");
}

static void untried(struct inquest *inquest)
{
    int number = inquest->decisive ? inquest->decisive->number : 0;
    struct finding *finding = reach_conclude(
        inquest, REACH_CASE_UNTRIED,
        number ? arena_printf(inquest->arena, "It could not be tried: %s.", strerrordesc_np(number))
               : "The run ended before it was tried.");
    finding->severity = FINDING_WARNING;
}

static void no_name(struct inquest *inquest)
{
    reach_conclude(inquest, REACH_CASE_NO_NAME, inquest->evidence->resolve_error);
}

static void slow_resolve(struct inquest *inquest)
{
    const struct reach_evidence *evidence = inquest->evidence;

    if (evidence->resolve_ns == RESULT_UNKNOWN || evidence->resolve_ns < RESOLVE_SLOW_NS)
        return;
    struct finding *finding =
        finding_add(inquest->arena, inquest->findings, FINDING_SLOW_RESOLVE, RESULT_SIDE_CLIENT);
    finding->target = inquest->result->target;
    finding->cost_ns = evidence->resolve_ns;
    finding->summary = arena_printf(inquest->arena, "Resolving the name took %s.",
                                    reach_span(inquest->arena, evidence->resolve_ns));
}

/* ---- all together ---- */

static void count(struct inquest *inquest)
{
    const struct reach_evidence *evidence = inquest->evidence;

    inquest->rtt_least_ns = inquest->rtt_most_ns = RESULT_UNKNOWN;
    for (size_t i = 0; i < evidence->try_count; i++) {
        const struct reach_try *attempt = &evidence->tries[i];
        inquest->counts[attempt->answer]++;
        if (attempt->syn_retransmits > 0) {
            inquest->retransmits += attempt->syn_retransmits;
            inquest->retried++;
        }
        if (attempt->answer != REACH_CONNECTED || attempt->rtt_ns == RESULT_UNKNOWN)
            continue;
        if (inquest->rtt_least_ns == RESULT_UNKNOWN || attempt->rtt_ns < inquest->rtt_least_ns)
            inquest->rtt_least_ns = attempt->rtt_ns;
        if (attempt->rtt_ns > inquest->rtt_most_ns)
            inquest->rtt_most_ns = attempt->rtt_ns;
    }
}

static void describe(const struct inquest *inquest)
{
    const struct reach_evidence *evidence = inquest->evidence;
    struct result_reach *result = inquest->result;
    struct result_reach_try *tries =
        arena_alloc(inquest->arena, evidence->try_count * sizeof *tries);

    result->target = evidence->target;
    result->address = evidence->address;
    result->port = evidence->port;
    result->resolve_ns = evidence->resolve_ns;
    result->route = evidence->route;
    result->strip = evidence->strip;
    result->path = reach_path(inquest->arena, evidence);
    if (evidence->try_count)
        result->syn_retransmits = inquest->retransmits;
    result->rtt_ns = inquest->rtt_least_ns;
    for (size_t i = 0; tries && i < evidence->try_count; i++) {
        const struct reach_try *attempt = &evidence->tries[i];
        tries[i] = (struct result_reach_try){.answer = reach_answer_name(attempt->answer),
                                             .number = attempt->number,
                                             .took_ns = attempt->took_ns,
                                             .rtt_ns = attempt->rtt_ns,
                                             .syn_retransmits = attempt->syn_retransmits,
                                             .wire = reach_wire_result(inquest->arena, attempt)};
        if (attempt->answer == REACH_ICMP)
            tries[i].icmp = reach_icmp_result(inquest->arena, &attempt->icmp);
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
        void (*inquire)(struct inquest *inquest);
    } order[] = {
        {REACH_CONNECTED, connected},
        {REACH_ICMP, reach_inquire_icmp},
        {REACH_REFUSED, reach_inquire_local},
        {REACH_RESET, inquire_reset},
        {REACH_RST, refused},
        {REACH_ITSELF, met_itself},
        {REACH_SILENCE, reach_inquire_silence},
        {REACH_UNTRIED, untried},
    };
    struct inquest inquest = {
        .arena = arena, .evidence = evidence, .result = result, .findings = findings};
    void (*inquire)(struct inquest *) = evidence->resolve_error ? no_name : untried;

    count(&inquest);
    describe(&inquest);
    for (size_t i = 0; i < ARRAY_SIZE(order) && evidence->try_count; i++) {
        if (!inquest.counts[order[i].answer])
            continue;
        inquest.decisive = first_of(&inquest, order[i].answer);
        inquire = order[i].inquire;
        break;
    }
    inquire(&inquest);
    slow_resolve(&inquest);
}
