/* The cases, and how one is concluded. */
#include "diagnosis/reach_internal.h"

#include "netkit/error.h"

const char *reach_answer_name(enum reach_answer answer)
{
    static const char *const names[REACH_ANSWERS] = {
        [REACH_SILENCE] = "none",  [REACH_CONNECTED] = "connected", [REACH_RST] = "rst",
        [REACH_RESET] = "reset",   [REACH_ICMP] = "icmp",           [REACH_REFUSED] = "local",
        [REACH_ITSELF] = "itself", [REACH_UNTRIED] = "untried",
    };
    return answer < REACH_ANSWERS ? names[answer] : "untried";
}

#define ON_THE_SERVER                                                                              \
    "On the server: ss -ltn (is Recv-Q above Send-Q?), nstat -az TcpExtListenOverflows before "    \
    "and after, and its firewall; a capture there shows whether the SYN arrives."

#define UNSTEADY                                                                                   \
    "Whether several servers share the address and some do not listen, the service is "            \
    "restarting, or something on the path interferes at times.",                                   \
        "More --tries; each server by its own address."

/* Where a field depends on the evidence it is NULL here, and reach_conclude() is told. */
static const struct {
    const char *name;
    enum finding_code code;
    enum result_side side;
    bool ok;
    const char *cannot_tell, *would_tell;
} cases[REACH_CASES] = {
    [REACH_CASE_ACCEPTED] = {"accepted", FINDING_NONE, RESULT_SIDE_NONE, true, NULL, NULL},
    [REACH_CASE_SLOW] =
        {"slow-path", FINDING_HIGH_RTT, RESULT_SIDE_NETWORK, true,
         "Whether distance or a queue on the path makes it slow.",
         "--path shows the hop where the times become long; compare with an hour of less traffic."},
    [REACH_CASE_LATE] =
        {"answered-late", FINDING_LATE_SYNACK, RESULT_SIDE_NONE, true,
         "Whether the path or the host held the SYN or its answer, the answer was lost and the "
         "host sent another (after a second), or this machine was not scheduled.",
         "--path shows whether the routers before it answer quickly at the same time; a capture on "
         "the server shows how long after the SYN the SYN,ACK leaves."},
    [REACH_CASE_RETRIED] = {"answered-after-retries", FINDING_SYN_RETRANSMISSION, RESULT_SIDE_NONE,
                            true,
                            "Whether the SYN or its answer was lost, or the listener's "
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
                            "Whether nothing listens there, or a firewall answered: an RST carries "
                            "the target's address even if another host forged it.",
                            "On the server: ss -ltn, and whether TcpOutRsts (nstat -az) rises with "
                            "each try. In a capture here, an RST whose TTL differs from that of "
                            "the host's other answers comes from another sender."},
    [REACH_CASE_REFUSED_BEFORE] = {"refused-on-the-way", FINDING_CONNECTION_REJECTED,
                                   RESULT_SIDE_NETWORK, false,
                                   "Whether a firewall forges the RST, or the address is shared "
                                   "and its ports lead to different hosts (NAT, a load balancer).",
                                   "The configuration of the device at that hop; a capture on the "
                                   "server: does the SYN arrive?"},
    [REACH_CASE_RESET] = {"reset-at-once", FINDING_CONNECTION_RESET, RESULT_SIDE_SERVER, false,
                          "Whether what accepts has no backend (docker-proxy, a balancer, ssh -L), "
                          "the server's application, its kernel (tcp_abort_on_overflow) or "
                          "something on the path sent the RST.",
                          "The server's log, nstat -az TcpExtListenOverflows, a capture there."},
    [REACH_CASE_ITSELF] = {"met-itself", FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER, false,
                           NULL, NULL},
    [REACH_CASE_REJECTED] = {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_NETWORK, false,
                             NULL, NULL},
    [REACH_CASE_NO_HOST] =
        {"host-unreachable", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE, false,
         "Whether the host is down, or that router has an unreachable route for it.",
         "On that router: ip neigh show and ip route get for the target; "
         "whether the host is up."},
    [REACH_CASE_NO_NEIGHBOUR] = {"no-neighbour", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE, false,
                                 NULL, NULL},
    [REACH_CASE_NO_ROUTE_THERE] = {"network-unreachable", FINDING_NETWORK_UNREACHABLE,
                                   RESULT_SIDE_NETWORK, false, NULL, NULL},
    [REACH_CASE_LOOP] = {"routing-loop", FINDING_ROUTING_LOOP, RESULT_SIDE_NETWORK, false,
                         "Whether it is a loop, or a path of more than 64 hops.",
                         "--path: a loop shows the same routers again and again."},
    [REACH_CASE_OTHER_ICMP] = {"icmp-error", FINDING_INCONCLUSIVE, RESULT_SIDE_NETWORK, false,
                               "What the sender objected to.", "A capture at that router."},
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
                             "Whether a filter drops the SYNs (on the path or on the host), the "
                             "listener's accept queue is full, or the address is shared (NAT, a "
                             "load balancer) and the host behind this port is down.",
                             ON_THE_SERVER},
    [REACH_CASE_NOT_TAKEN] = {"answer-not-taken", FINDING_ANSWER_NOT_TAKEN, RESULT_SIDE_CLIENT,
                              false,
                              "Whether this host drops the SYN,ACK for a firewall rule, its "
                              "reverse path filter (rp_filter), or a bad checksum.",
                              "nft list ruleset; nstat -az, before and after a try."},
    [REACH_CASE_NOT_SENT] = {"not-sent", FINDING_SYN_NOT_SENT, RESULT_SIDE_CLIENT, false,
                             "Whether this host drops its SYNs (a rule, a full or stopped queue, a "
                             "device without carrier), or sends them with another address (NAT) or "
                             "in a tunnel (IPsec).",
                             "nft list ruleset; ip -s link; ip xfrm policy."},
    [REACH_CASE_SILENT] =
        {"silent", FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NONE, false,
         "Whether a filter drops the SYN silently, the host is down or does not exist, "
         "its listener's accept queue is full, or its answers are lost: silence has no sender. "
         "Routers also limit how many ICMP errors "
         "they send.",
         "Another port of the same host as a second --target: any answer, even a refusal, shows "
         "that the host is up. --path shows how far the SYN "
         "gets. " ON_THE_SERVER},
    [REACH_CASE_NO_NAME] = {"no-name", FINDING_NAME_NOT_FOUND, RESULT_SIDE_CLIENT, false, NULL,
                            NULL},
    [REACH_CASE_NO_MEANS] = {"machine-refuses", FINDING_MACHINE_REFUSES, RESULT_SIDE_CLIENT, false,
                             NULL, NULL},
    [REACH_CASE_UNTRIED] = {"untried", FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, false,
                            "Anything: the try was not finished.", "A run with more time."},
};

static void prove(const struct reach_verdict *verdict, struct finding *finding)
{
    struct arena *arena = verdict->arena;
    struct result_map *map = &finding->evidence;
    const struct reach_try *attempt = verdict->decisive;

    if (!attempt)
        return;
    result_set_text(arena, map, "answer", reach_answer_name(attempt->answer));
    result_set_integer(arena, map, "took_ns", attempt->took_ns);
    result_set_integer(arena, map, "syn_retransmits", verdict->retransmits);
    if (attempt->number)
        result_set_text(arena, map, "errno", error_name(attempt->number));
    if (attempt->answer != REACH_ICMP)
        return;
    result_set_text(arena, map, "icmp", reach_icmp_name(&attempt->icmp));
    result_set_text(arena, map, "icmp_from", attempt->icmp.from);
    if (verdict->hop)
        result_set_integer(arena, map, "hop", verdict->hop);
}

struct finding *reach_conclude(struct reach_verdict *verdict, enum reach_case which,
                               const char *summary)
{
    struct result_reach *result = verdict->result;
    static struct finding scratch;

    result->reach_case = cases[which].name;
    result->cannot_tell = cases[which].cannot_tell;
    result->would_tell = cases[which].would_tell;
    result->ok = cases[which].ok;
    if (!result->ok)
        result->error = (struct result_error){
            cases[which].code, verdict->decisive ? verdict->decisive->number : 0, summary, NULL};
    if (cases[which].code == FINDING_NONE)
        return &scratch;
    struct finding *finding =
        finding_add(verdict->arena, verdict->findings, cases[which].code, cases[which].side);
    finding->target = result->target;
    finding->summary = summary;
    if (!result->ok)
        finding->severity = FINDING_ERROR;
    prove(verdict, finding);
    return finding;
}
