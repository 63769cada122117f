/* An ICMP error answers the SYN: a router or filter on the way, or the host's own kernel when
 * nobody on the link answers. */
#include "scenario/connect/connect.h"

#include "scenario/engine/agent_self.h"
#include <string.h>

#define MESSAGES_MAX 4
#define ANSWER_WITH  "answer-icmp syn=%s dir c>s"

/* What one message makes of a connect. By net/ipv4/icmp.c (icmp_err_convert) and net/ipv6/icmp.c
 * (icmpv6_err_convert), which tcp_v4_err() and tcp_v6_err() hand on as they are while the socket is
 * in SYN-SENT. */
struct icmp_case {
    const char *message; /* a name of packet/icmp.h */
    const char *error;
};

/* The first is the scenario's subject, the others are its relatives. */
struct icmp_cases {
    struct icmp_case ipv4[MESSAGES_MAX + 1], ipv6[MESSAGES_MAX + 1];
};

static const struct icmp_case *cases_of(const struct testbed *bed)
{
    const struct icmp_cases *cases = bed->scenario->arg;
    return bed->family == AF_INET ? cases->ipv4 : cases->ipv6;
}

/* Usually the error ends the connect. When it arrives while the call holds the socket (a busy
 * machine) the kernel only notes it, and the SYN that is sent again gets the next one. */
static void check_exchange(struct testbed *bed, const char *message)
{
    size_t syns = testbed_times(bed, "syn", LAB_FROM_CLIENT, NULL, 0);
    const char *error = arena_printf(bed->arena, "W>C ICMP %s", message);

    if (syns != 2) {
        testbed_expect_flags(bed, FLAGS("C>S SYN x", error));
        return;
    }
    testbed_explain(bed, "The error came while the call still held the socket: the kernel noted it "
                         "only, and connect ended with the error that answered the second SYN.");
    testbed_expect_flags(bed, FLAGS("C>S SYN x", error, "C>S SYN x", error));
}

static void play_icmp(struct testbed *bed)
{
    const struct icmp_case *cases = cases_of(bed);
    int fault = testbed_fault(bed, ANSWER_WITH, cases->message);
    struct connect_attempt attempt = connect_try(bed, ACT_TO_PEER);

    testbed_check_rc(bed, "connect", cases->error, &attempt.connect, "0");
    testbed_observe(bed, INTEGER("took_ns", connect_took_ns(&attempt.connect)));
    testbed_check_state(bed, "state_left", TCP_CLOSE, attempt.state_left);
    testbed_table(bed, "messages", "What else may come, and what connect makes of it");
    testbed_row(bed, TEXT("icmp", cases->message),
                TEXT("connect", act_rc_name(attempt.connect.rc, "0")));
    for (int i = 1; cases[i].message; i++) {
        testbed_unfault(bed, fault);
        fault = testbed_fault(bed, ANSWER_WITH, cases[i].message);
        struct act_reply other =
            CHECK(bed, connect_key(bed, cases[i].message), cases[i].error, testbed_client(bed),
                  ACT_CONNECT, .slot = i, .port = TESTBED_PORT);
        testbed_row(bed, TEXT("icmp", cases[i].message),
                    TEXT("connect", act_rc_name(other.rc, "0")));
    }
    connect_summary(bed, &attempt.connect);
    check_exchange(bed, cases->message);
}

static const char soft_error[] =
    "A soft error: the kernel keeps it, keeps sending SYNs, and returns it only when no answer has "
    "come by the end, after 75 s in 4.4BSD (section 4.3).";

static const char at_once[] =
    "Linux treats any ICMP error that answers a SYN as final, and returns it when it arrives.";

#define ICMP_ROW .settings = connect_one_retry, .delay_ns = 10 * NS_PER_MS, .play = play_icmp

const struct scenario connect_unreachable_net = {
    .name = "unreachable-net",
    .title = "a router has no route to the network: ICMP network unreachable",
    .book = soft_error,
    .here = "connect returns ENETUNREACH when the ICMP error arrives. The same errno at once, "
            "without a SYN on the wire, comes from this host's own routing table.",
    .differs = at_once,
    .arg =
        &(const struct icmp_cases){
            .ipv4 = {{"net-unreachable", "ENETUNREACH"}, {"net-unknown", "ENETUNREACH"}},
            .ipv6 = {{"net-unreachable", "ENETUNREACH"}},
        },
    ICMP_ROW,
};

const struct scenario connect_unreachable_host = {
    .name = "unreachable-host",
    .title = "the last router gets no answer from the host: ICMP host unreachable",
    .book = soft_error,
    .here = "connect returns EHOSTUNREACH when the ICMP error arrives; EHOSTDOWN for the code "
            "\"host unknown\", which routers hardly ever send.",
    .differs = at_once,
    .arg =
        &(const struct icmp_cases){
            .ipv4 = {{"host-unreachable", "EHOSTUNREACH"},
                     {"host-unknown", "EHOSTDOWN"},
                     {"ttl-exceeded", "EHOSTUNREACH"}},
            .ipv6 = {{"host-unreachable", "EHOSTUNREACH"},
                     {"beyond-scope", "EHOSTUNREACH"},
                     {"ttl-exceeded", "EHOSTUNREACH"}},
        },
    ICMP_ROW,
};

const struct scenario connect_unreachable_port = {
    .name = "unreachable-port",
    .title = "a filter rejects with ICMP port unreachable instead of RST",
    .book = soft_error,
    .here = "ECONNREFUSED, as after an RST: only the error queue or a capture tells them apart. A "
            "firewall's REJECT sends it by default. Protocol unreachable gives ENOPROTOOPT, its "
            "ICMPv6 counterpart (unknown next header) EPROTO.",
    .differs = at_once,
    .arg =
        &(const struct icmp_cases){
            .ipv4 = {{"port-unreachable", "ECONNREFUSED"}, {"proto-unreachable", "ENOPROTOOPT"}},
            .ipv6 = {{"port-unreachable", "ECONNREFUSED"}, {"proto-unreachable", "EPROTO"}},
        },
    ICMP_ROW,
};

const struct scenario connect_prohibited = {
    .name = "prohibited",
    .title = "a filter says that it blocks the SYN: ICMP prohibited",
    .book = soft_error,
    .here = "IPv4: EHOSTUNREACH (codes 13 and 10) or ENETUNREACH (code 9), so that the errno looks "
            "like a missing route. IPv6: EACCES (codes 1, 5 and 6), which says what it is.",
    .differs = at_once,
    .arg =
        &(const struct icmp_cases){
            .ipv4 = {{"admin-prohibited", "EHOSTUNREACH"},
                     {"host-prohibited", "EHOSTUNREACH"},
                     {"net-prohibited", "ENETUNREACH"}},
            .ipv6 = {{"admin-prohibited", "EACCES"},
                     {"policy-failed", "EACCES"},
                     {"reject-route", "EACCES"}},
        },
    ICMP_ROW,
};

/* ---- no-neighbour ---- */

static AGENT_CALL(do_resolution)
{
    struct lab_resolution resolution;
    int rc = lab_resolution_of(self->start.family, &resolution);

    memcpy(reply->data, &resolution, sizeof resolution);
    return rc;
}

/* Without tcp_syn_linear_timeouts two SYNs that go unanswered take as long as the neighbour's
 * address, and either could end the connect. */
static const struct scenario_setting more_retries[] = {
    {SCENARIO_CLIENT, "tcp_syn_retries", "5", SETTING_TIMER}, {0}};

static void play_no_neighbour(struct testbed *bed)
{
    struct lab_resolution resolution = {0};

    LOOK(bed, LAB_CLIENT, "address resolution", &resolution, do_resolution);
    int64_t planned_ns = resolution.solicitations * resolution.interval_ns;
    struct connect_attempt attempt = connect_try(bed, ACT_TO_NOBODY);

    testbed_check_rc(bed, "connect", "EHOSTUNREACH", &attempt.connect, "0");
    connect_check_took(bed, &attempt, planned_ns);
    testbed_timing(bed, "the neighbour counts as unreachable", planned_ns,
                   connect_took_ns(&attempt.connect), RESULT_UNKNOWN);
    testbed_observe(bed, INTEGER("solicitations", resolution.solicitations));
    connect_summary(bed, &attempt.connect);
    testbed_check_integer(bed, "segments_on_the_wire", 0,
                          bed->subject ? (int64_t)bed->subject->flags.count : 0);
}

const struct scenario connect_no_neighbour = {
    .name = "no-neighbour",
    .title = "an address on the link that nobody has: no answer to ARP or neighbour discovery",
    .book = "Connecting to an address on the local subnet that no host has: the ARP requests go "
            "unanswered, and connect times out (section 4.3).",
    .here = "EHOSTUNREACH after three solicitations a second apart (mcast_solicit, "
            "retrans_time_ms). The SYN never leaves the host: it waits for the neighbour's "
            "address, and the host's own kernel answers it with ICMP host unreachable.",
    .differs = "Linux gives up when address resolution does, long before the SYNs would, and says "
               "so with another errno.",
    .settings = more_retries,
    .resolve_neighbours = true,
    .play = play_no_neighbour,
};
