/* Connects that fail without an answer from the target: an ICMP message, our own kernel's no,
 * silence. */
#include "diagnosis/reach_internal.h"

#include "base/clock.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- ICMP ---- */

static bool from_target(const struct reach_verdict *verdict)
{
    const char *from = verdict->decisive->icmp.from, *address = verdict->evidence->address;
    return from && address && !strcmp(from, address);
}

/* "192.0.2.1 (hop 3 of the path)" */
static const char *sender(struct reach_verdict *verdict)
{
    const char *from = verdict->decisive->icmp.from;

    verdict->hop = reach_hop_of(verdict->evidence->hops, verdict->evidence->hop_count, from);
    if (!from)
        return "an unknown sender";
    return verdict->hop ? arena_printf(verdict->arena, "%s (hop %" PRId64 " of the path)", from,
                                       verdict->hop)
                        : from;
}

static bool neighbour_fails(const struct reach_evidence *evidence)
{
    const char *state = evidence->route ? evidence->route->neighbour : NULL;
    return state && (!strcmp(state, "FAILED") || !strcmp(state, "INCOMPLETE"));
}

/* Our own host says so: nobody answers ARP or neighbour discovery for the next hop. */
static void no_neighbour(struct reach_verdict *verdict)
{
    const struct result_route *route = verdict->evidence->route;
    struct arena *arena = verdict->arena;
    const char *gateway = route ? route->gateway : NULL;
    const char *device = route && route->device ? route->device : "the link";
    /* The kernel does not count a retransmission while the SYN waits for its neighbour. */
    const char *left = verdict->retransmits ? "" : ": no SYN has left this host";
    struct finding *finding = reach_conclude(
        verdict, REACH_CASE_NO_NEIGHBOUR,
        gateway ? arena_printf(
                      arena,
                      "This host's gateway %s on %s does not answer ARP or neighbour discovery%s.",
                      gateway, device, left)
                : arena_printf(arena,
                               "The target is on this host's own link (%s), and nothing there "
                               "answers ARP or neighbour discovery for it%s.",
                               device, left));

    if (gateway)
        finding->side = RESULT_SIDE_NETWORK;
    result_set_text(arena, &finding->evidence, "neighbour", route ? route->neighbour : NULL);
    finding->remedy = gateway ? "Check that the gateway is up and the right one (ip route, ip "
                                "neigh); then the cable, the VLAN, the switch port."
                              : "Check that the host is up and has that address (ip neigh). If it "
                                "is on another network, this host's prefix length is too short.";
    if (neighbour_fails(verdict->evidence))
        return;
    verdict->result->cannot_tell =
        "Whether ARP or neighbour discovery gets no answer, a firewall of this host rejects with "
        "the same ICMP message, or a tunnel of this host has no peer.";
    verdict->result->would_tell = "ip neigh get, right after a try (FAILED?); nft list ruleset.";
}

static void rejected_here(struct reach_verdict *verdict, const char *name)
{
    struct finding *finding = reach_conclude(
        verdict, REACH_CASE_REJECTED,
        arena_printf(verdict->arena, "This host's own firewall rejects it (ICMP %s from itself).",
                     name));
    finding->side = RESULT_SIDE_CLIENT;
    finding->remedy = "nft list ruleset; iptables -S";
}

static void prohibited(struct reach_verdict *verdict, const char *name)
{
    struct arena *arena = verdict->arena;
    bool target = from_target(verdict);
    const char *who = sender(verdict);
    struct finding *finding = reach_conclude(
        verdict, REACH_CASE_REJECTED,
        target
            ? arena_printf(arena,
                           "The target's own address rejects it (ICMP %s): a firewall on the host, "
                           "or one in front of it that uses its address.",
                           name)
            : arena_printf(arena, "%s rejects it (ICMP %s): a firewall or a router's rule there.",
                           who, name));

    finding->side = target ? RESULT_SIDE_SERVER : RESULT_SIDE_NETWORK;
}

static void no_host(struct reach_verdict *verdict, const char *name)
{
    struct arena *arena = verdict->arena;
    const char *after = arena_duration(arena, verdict->decisive->took_ns);

    if (from_target(verdict)) {
        reach_conclude(
            verdict, REACH_CASE_NO_HOST,
            arena_printf(arena,
                         "The target's own address says ICMP %s after %s: it forwards connections "
                         "(NAT, a load balancer) and can't reach the host behind it.",
                         name, after));
        return;
    }
    reach_conclude(verdict, REACH_CASE_NO_HOST,
                   arena_printf(arena, "%s can't reach the host (ICMP %s after %s).",
                                sender(verdict), name, after));
}

void reach_judge_icmp(struct reach_verdict *verdict)
{
    const struct reach_icmp *icmp = &verdict->decisive->icmp;
    const char *name = reach_icmp_name(icmp);
    bool here = icmp->ours || (verdict->evidence->route && verdict->evidence->route->local);
    struct arena *arena = verdict->arena;

    switch (reach_icmp_kind(icmp)) {
    case REACH_ICMP_NO_HOST:
        if (here)
            no_neighbour(verdict);
        else
            no_host(verdict, name);
        return;
    case REACH_ICMP_PROHIBITED:
        if (here)
            rejected_here(verdict, name);
        else
            prohibited(verdict, name);
        return;
    case REACH_ICMP_NO_ROUTE:
        if (here)
            rejected_here(verdict, name);
        else
            reach_conclude(
                verdict, REACH_CASE_NO_ROUTE_THERE,
                arena_printf(arena, "%s has no route to it (ICMP %s).", sender(verdict), name));
        return;
    case REACH_ICMP_TTL:
        reach_conclude(verdict, REACH_CASE_LOOP,
                       arena_printf(arena, "The SYN's time to live ran out at %s (ICMP %s).",
                                    sender(verdict), name));
        return;
    case REACH_ICMP_OTHER:
        reach_conclude(verdict, REACH_CASE_OTHER_ICMP,
                       arena_printf(arena, "%s answered with ICMP type %u code %u (%s).",
                                    sender(verdict), icmp->type, icmp->code, name));
        return;
    }
}

/* ---- our own kernel ---- */

static enum reach_case case_of(enum finding_code code)
{
    return code == FINDING_NO_LOCAL_ADDRESS  ? REACH_CASE_NO_ADDRESS
           : code == FINDING_NOT_PERMITTED   ? REACH_CASE_NOT_ALLOWED
           : code == FINDING_MACHINE_REFUSES ? REACH_CASE_NO_MEANS
                                             : REACH_CASE_NO_ROUTE;
}

void reach_judge_local(struct reach_verdict *verdict)
{
    const struct local_facts *facts = &verdict->evidence->local;
    struct arena *arena = verdict->arena;
    int number = verdict->decisive->number;
    const char *clause;
    enum failure_cause cause = failure_of_refusal(arena, number, facts, &clause);

    if (cause == FAILURE_NOT_KNOWN) {
        reach_conclude(verdict, REACH_CASE_UNTRIED,
                       arena_printf(arena, "It could not be tried: %s.", strerror(number)))
            ->severity = FINDING_WARNING;
        return;
    }
    struct finding *finding = reach_conclude(verdict, case_of(failure_entry(cause)->code),
                                             failure_sentence(arena, clause));
    failure_blame(verdict->arena, finding, cause);
    if (cause != FAILURE_NO_ADDRESS)
        verdict->result->cannot_tell = verdict->result->would_tell = NULL;
    if (!facts->port_last)
        return;
    result_set_integer(arena, &finding->evidence, "port_first", facts->port_first);
    result_set_integer(arena, &finding->evidence, "port_last", facts->port_last);
    result_set_integer(arena, &finding->evidence, "ports_taken", facts->ports_taken);
}

/* ---- silence ---- */

#define LOOK_AT_THE_SERVER                                                                         \
    "Check that the host is up, that its listener's accept queue does not overflow (ss -ltn), "    \
    "and that no firewall there or on the path drops the SYN."

/* How many SYNs the settings make in the time that was waited; timers may be late. */
static void predict(struct reach_verdict *verdict)
{
    struct result_reach *result = verdict->result;
    const struct kernel_timers_settings *settings = &verdict->evidence->settings;
    struct kernel_timers schedule;
    int64_t least = 0, most = 0;

    kernel_timers_connect(&schedule, settings, NULL);
    for (size_t i = 0; i < schedule.sent_count && i < KERNEL_TIMERS_SENT_MAX; i++) {
        int64_t latest_ns = i ? kernel_timers_latest_ns(settings, schedule.sent_ns[i]) : 0;
        least += latest_ns <= verdict->decisive->took_ns;
        most += schedule.sent_ns[i] <= verdict->decisive->took_ns;
    }
    result->syns_least = least;
    result->syns_most = most;
    result->syns_sent = verdict->decisive->syn_retransmits + 1;
    result->gives_up_ns = schedule.failed_ns;
}

static const char *waited(const struct reach_verdict *verdict)
{
    const struct result_reach *result = verdict->result;
    struct arena *arena = verdict->arena;
    const char *span = arena_duration(arena, verdict->decisive->took_ns);

    if (verdict->decisive->number == ETIMEDOUT)
        return arena_printf(arena,
                            "No answer to %" PRId64 " SYNs; the kernel gave up after %s "
                            "(ETIMEDOUT).",
                            result->syns_sent, span);
    return arena_printf(arena,
                        "No answer to %" PRId64 " SYN%s within %s; without a timeout of its own, "
                        "connect() would give up after %s on this host.",
                        result->syns_sent, result->syns_sent == 1 ? "" : "s", span,
                        arena_duration(arena, result->gives_up_ns));
}

static void silent_here(struct reach_verdict *verdict)
{
    const struct reach_listener *listener = &verdict->evidence->listener;
    struct arena *arena = verdict->arena;

    if (listener->seen && listener->queue > listener->limit) {
        reach_conclude(verdict, REACH_CASE_OVERLOADED,
                       arena_printf(arena,
                                    "%s This host's listener has %" PRId64 " connections waiting, "
                                    "with room for %" PRId64 ": the kernel drops every SYN.",
                                    waited(verdict), listener->queue, listener->limit));
        struct result_reach *result = verdict->result;
        struct finding *finding = &verdict->findings->items[verdict->findings->count - 1];
        finding->severity = FINDING_ERROR;
        result->ok = false;
        result->error = (struct result_error){FINDING_ACCEPT_QUEUE_OVERFLOW,
                                              verdict->decisive->number, finding->summary, NULL};
        return;
    }
    reach_conclude(verdict, REACH_CASE_SILENT, waited(verdict));
    verdict->result->cannot_tell = "Which rule drops it: the target is this host, so its own "
                                   "firewall does, or the listener's queue was full for a moment.";
    verdict->result->would_tell = "nft list ruleset; ss -ltn; nstat -az TcpExtListenOverflows.";
}

#define AT_THIS_HOST                                                                               \
    "nft list ruleset; iptables -S; sysctl net.ipv4.conf.all.rp_filter; nstat -az, before and "    \
    "after: TcpInCsumErrors, TcpExtIPReversePathFilter, TcpExtTCPACKSkippedSynRecv."

static void not_taken(struct reach_verdict *verdict, const char *waited)
{
    const struct reach_wire *wire = &verdict->decisive->wire;
    const char *times = wire->synacks == 1
                            ? "once"
                            : arena_printf(verdict->arena, "%" PRId64 " times", wire->synacks);
    struct finding *finding = reach_conclude(
        verdict, REACH_CASE_NOT_TAKEN,
        arena_printf(verdict->arena,
                     "%s Yet the SYN,ACK arrived at this host (captured %s, TTL %u)%s: the target "
                     "answers, and this host drops it.",
                     waited, times, wire->synack_ttl,
                     wire->misfits ? ", but acknowledges something other than this SYN" : ""));

    finding->remedy = AT_THIS_HOST;
    if (!wire->misfits)
        return;
    finding->side = RESULT_SIDE_NETWORK;
    verdict->result->cannot_tell = "Whether the target remembers an older connection from the same "
                                   "port, or something on the path changes sequence numbers.";
    verdict->result->would_tell = "A capture on the server, beside one here (--pcap).";
}

static void not_sent(struct reach_verdict *verdict, const char *waited)
{
    const struct result_route *route = verdict->evidence->route;

    reach_conclude(verdict, REACH_CASE_NOT_SENT,
                   arena_printf(verdict->arena,
                                "%s The capture on all devices of this host saw none leave%s%s.",
                                waited, route && route->device ? "; the route says " : "",
                                route && route->device ? route->device : ""))
        ->remedy = "ip -s link (state, dropped); tc -s qdisc; nft list ruleset; iptables -t nat "
                   "-S; ip xfrm policy.";
}

/* The error that was captured becomes the answer of the try. */
static void unreported(struct reach_verdict *verdict)
{
    const struct reach_try *silent = verdict->decisive;
    struct reach_try heard = *silent;

    heard.answer = REACH_ICMP;
    heard.icmp = silent->wire.icmp;
    verdict->decisive = &heard;
    reach_judge_icmp(verdict);
    verdict->decisive = silent;
    struct finding *finding = &verdict->findings->items[verdict->findings->count - 1];
    finding->summary =
        arena_printf(verdict->arena,
                     "%s It was captured here; the socket did not report it: this host drops ICMP.",
                     finding->summary);
    verdict->result->error.message = finding->summary;
}

/* Says whether the capture concludes. */
static bool judge_sighting(struct reach_verdict *verdict, const char *waited)
{
    switch (reach_wire_sighting(&verdict->decisive->wire)) {
    case REACH_SAW_NOTHING:
        return false;
    case REACH_SAW_ICMP:
        unreported(verdict);
        return true;
    case REACH_SAW_SYNACK:
        not_taken(verdict, waited);
        return true;
    case REACH_SAW_NO_SYN:
        not_sent(verdict, waited);
        return true;
    }
    return false;
}

void reach_judge_silence(struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;
    const struct reach_other *other = &evidence->other;

    predict(verdict);
    const char *silence =
        arena_printf(verdict->arena, "%s%s", waited(verdict), reach_wire_silence(verdict));
    if (evidence->route && evidence->route->local) {
        silent_here(verdict);
    } else if (neighbour_fails(evidence)) {
        no_neighbour(verdict);
    } else if (judge_sighting(verdict, waited(verdict))) {
        return;
    } else if (other->target) {
        const char *how = other->answer == REACH_RST
                              ? "was refused by RST in the same run, so the host is up, unless a "
                                "firewall sent that in its name"
                              : "connected in the same run, so the host is up";
        reach_conclude(verdict, REACH_CASE_FILTERED,
                       arena_printf(verdict->arena, "%s %s, on the same address, %s.", silence,
                                    other->target, how));
    } else {
        struct finding *finding = reach_conclude(verdict, REACH_CASE_SILENT, silence);
        finding->remedy = LOOK_AT_THE_SERVER;
    }
}
