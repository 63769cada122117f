/* A segment of the handshake is lost, or late: who sends again, and what it costs. */
#include "scenario/connect/connect.h"

#include <netinet/in.h>
#include <poll.h>

#define OTHER_PORT (TESTBED_PORT + 1)

static int64_t took_ns(const struct act_reply *reply)
{
    return reply->returned_ns - reply->entered_ns;
}

/* ---- syn-lost ---- */

#define SYNS_LOST 2

struct syn_lost_facts {
    struct connect_facts try;
    int64_t retransmits;
};

static void run_syn_lost(struct testbed *bed)
{
    struct syn_lost_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed);

    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    testbed_fault(bed, "drop syn dir c>s count 2");
    connect_try(bed, ACT_TO_PEER);
    facts->retransmits = DO(client, ACT_INFO).info.total_retrans;
}

static void check_syn_lost(struct testbed *bed)
{
    const struct syn_lost_facts *facts = testbed_facts(bed, sizeof *facts);
    struct kernel_timers plan, host;

    kernel_timers_connect(&plan, &facts->try.settings, &facts->try.socket);
    kernel_timers_connect(&host, &facts->try.host, &facts->try.socket);
    connect_summary(bed, &facts->try.connect);
    testbed_check_rc(bed, "connect", "0", &facts->try.connect, "0");
    testbed_expect_flags(bed, "C>S SYN x", "C>S SYN x", "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_time(bed, "took_ns", &facts->try.settings, plan.sent_ns[SYNS_LOST]);
    testbed_observe_integer(bed, "took_ns", took_ns(&facts->try.connect));
    testbed_check_integer(bed, "syn_retransmissions", SYNS_LOST, facts->retransmits);
    for (size_t lost = 1; lost < plan.sent_count; lost++)
        testbed_timing(
            bed, arena_printf(bed->arena, "cost of %zu lost SYN%s", lost, lost > 1 ? "s" : ""),
            plan.sent_ns[lost], lost == SYNS_LOST ? took_ns(&facts->try.connect) : RESULT_UNKNOWN,
            lost < host.sent_count ? host.sent_ns[lost] : RESULT_UNKNOWN);
}

const struct scenario connect_syn_lost = {
    .name = "syn-lost",
    .title = "the first two SYNs are lost, the third arrives: it works, late",
    .book = "The SYN is sent again until an answer comes (section 4.3); the application sees "
            "nothing but a connect that takes longer.",
    .here = "The same. The first lost SYN costs a second, however near the peer is: no round trip "
            "has been measured yet. tcp_syn_linear_timeouts says how many intervals stay at one "
            "second. TCP_INFO (tcpi_total_retrans) counts them for who connected.",
    .settings = connect_few_retries,
    .play = run_syn_lost,
    .check = check_syn_lost,
};

/* ---- synack-lost ---- */

/* Both ends have lost something then, and both start a timer of a second. So that it is the
 * server's that counts, the client's repeated SYNs are lost, too. */
struct server_facts {
    struct connect_facts try;
    struct kernel_timers_settings server, host;
    struct act_reply accept;
    int64_t state;
};

static void run_synack_lost(struct testbed *bed)
{
    struct server_facts *facts = testbed_facts(bed, sizeof *facts);

    facts->server = testbed_settings(bed, LAB_SERVER);
    facts->host = testbed_host_settings(bed);
    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    testbed_fault(bed, "drop syn-ack dir s>c count 1");
    testbed_fault(bed, "drop syn dir c>s nth 2 count 100");
    connect_try(bed, ACT_TO_PEER);
    facts->accept = DO(testbed_server(bed), ACT_ACCEPT, .other = 1, .timeout_ns = 2 * NS_PER_SEC);
}

/* The SYN,ACKs of the subject: how many, and when the second came. */
static void check_synacks(struct testbed *bed, const struct server_facts *facts)
{
    int64_t seen_ns[KERNEL_TIMERS_SENT_MAX];
    size_t seen = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, KERNEL_TIMERS_SENT_MAX);
    struct kernel_timers plan, host;

    kernel_timers_accept(&plan, &facts->server);
    kernel_timers_accept(&host, &facts->host);
    testbed_check_integer(bed, "synacks", 2, (int64_t)seen);
    int64_t between_ns = seen > 1 ? seen_ns[1] - seen_ns[0] : RESULT_UNKNOWN;
    testbed_expect_time(bed, "second_synack_ns", &facts->server, plan.sent_ns[1]);
    testbed_observe_integer(bed, "second_synack_ns", between_ns);
    for (size_t i = 1; i < plan.sent_count; i++)
        testbed_timing(bed, arena_printf(bed->arena, "SYN,ACK %zu", i + 1), plan.sent_ns[i],
                       i == 1 ? between_ns : RESULT_UNKNOWN,
                       i < host.sent_count ? host.sent_ns[i] : RESULT_UNKNOWN);
    testbed_timing(bed, "the server forgets the request", plan.failed_ns, RESULT_UNKNOWN,
                   host.failed_ns);
}

static void check_synack_lost(struct testbed *bed)
{
    const struct server_facts *facts = testbed_facts(bed, sizeof *facts);
    struct kernel_timers plan;

    kernel_timers_accept(&plan, &facts->server);
    connect_summary(bed, &facts->try.connect);
    testbed_check_rc(bed, "connect", "0", &facts->try.connect, "0");
    testbed_check_rc(bed, "accept", "0", &facts->accept, "0");
    testbed_expect_flags_begin(bed, "C>S SYN", "S>C SYN,ACK x", NULL);
    check_synacks(bed, facts);
    testbed_expect_time(bed, "took_ns", &facts->server, plan.sent_ns[1]);
    testbed_observe_integer(bed, "took_ns", took_ns(&facts->try.connect));
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
}

const struct scenario connect_synack_lost = {
    .name = "synack-lost",
    .title = "the SYN arrives, its SYN,ACK is lost: the server sends it again",
    .here = "The server's timer for a half-open connection is a second, too, and doubles; "
            "tcp_synack_retries (5, TCP_SYNCNT of the listener) bounds it. The client's own second "
            "SYN, due at about the same time, is kept away here; it would have got the SYN,ACK "
            "again just as well.",
    .settings = connect_few_retries,
    .play = run_synack_lost,
    .check = check_synack_lost,
};

/* ---- last-ack-lost ---- */

struct last_ack_facts {
    struct server_facts server; /* the first member: connect_try() fills its beginning */
    struct act_reply second_connect, second_write, second_accept;
};

/* A connection whose client says something at once: its data carries the lost acknowledgement. */
static void run_with_data(struct testbed *bed, struct last_ack_facts *facts)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    testbed_fault(bed, "drop ack dir c>s count 1");
    DO(server, ACT_LISTEN, .slot = 2, .port = OTHER_PORT, .number = 16);
    facts->second_connect = DO(client, ACT_CONNECT, .slot = 2, .port = OTHER_PORT);
    facts->second_write = DO(client, ACT_WRITE, .slot = 2, .bytes = 10);
    facts->second_accept =
        DO(server, ACT_ACCEPT, .slot = 2, .other = 3, .timeout_ns = 4 * NS_PER_SEC);
}

static void run_last_ack_lost(struct testbed *bed)
{
    struct last_ack_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *server = testbed_server(bed);

    facts->server.server = testbed_settings(bed, LAB_SERVER);
    facts->server.host = testbed_host_settings(bed);
    int fault = testbed_fault(bed, "drop ack dir c>s count 1");
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    connect_try(bed, ACT_TO_PEER);
    facts->server.accept = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = 4 * NS_PER_SEC);
    testbed_unfault(bed, fault);
    run_with_data(bed, facts);
}

static size_t synacks_of(const struct testbed *bed, uint32_t number)
{
    size_t count = 0;

    for (size_t i = 0; i < bed->event_count; i++) {
        const struct trace_event *event = &bed->events[i];
        count += event->kind == TRACE_SEGMENT && event->connection == number &&
                 !event->segment.from_client && (event->segment.flags & 0x12) == 0x12;
    }
    return count;
}

static void check_last_ack_lost(struct testbed *bed)
{
    const struct last_ack_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct act_reply *connect = &facts->server.try.connect;
    int64_t seen_ns[4] = {0};
    size_t seen = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, 4);

    connect_summary(bed, connect);
    testbed_check_rc(bed, "connect", "0", connect, "0");
    testbed_check_rc(bed, "accept", "0", &facts->server.accept, "0");
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK x", "S>C SYN,ACK", "C>S ACK",
                         NULL);
    check_synacks(bed, &facts->server);
    testbed_check_bool(bed, "connect_before_it", true,
                       seen > 1 && connect->returned_ns - bed->started_mono_ns < seen_ns[1]);
    testbed_check_bool(bed, "accept_after_it", true,
                       seen > 1 &&
                           facts->server.accept.returned_ns - bed->started_mono_ns > seen_ns[1]);
    testbed_check_rc(bed, "accept_when_data_comes", "0", &facts->second_accept, "0");
    testbed_check_integer(bed, "synacks_when_data_comes", 1, (int64_t)synacks_of(bed, 2));
}

const struct scenario connect_last_ack_lost = {
    .name = "last-ack-lost",
    .title = "the handshake's last ACK is lost: connected on one side, half-open on the other",
    .here = "connect has returned, but accept waits until the server has sent its SYN,ACK again, a "
            "second later, and the client has acknowledged it again. A client that sends at once "
            "is not held up: its data carries the same acknowledgement.",
    .settings = connect_few_retries,
    .play = run_last_ack_lost,
    .check = check_last_ack_lost,
};

/* ---- synack-late ---- */

struct late_facts {
    struct connect_facts try;
    struct act_reply accept, second_accept;
    int64_t retransmits, challenges;
};

static void run_synack_late(struct testbed *bed)
{
    struct late_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    int held = testbed_fault(bed, "hold syn-ack dir s>c");
    facts->try.settings = testbed_settings(bed, LAB_CLIENT);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "delivered c>s:syn#2");
    testbed_wait(bed, "seen s>c:syn-ack#2");
    testbed_release(bed, held);
    facts->try.connect = agent_end(client, ACT_LIMIT_NS);
    facts->retransmits = DO(client, ACT_INFO).info.total_retrans;
    facts->accept = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = 4 * NS_PER_SEC);
    /* The answers to the copies have come when the acknowledgement of this data has. */
    DO(client, ACT_WRITE, .bytes = 10);
    DO(server, ACT_READ_ALL, .slot = 1, .bytes = 10);
    facts->second_accept = DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = 0);
    facts->challenges = testbed_counter(bed, LAB_CLIENT, "TcpExt TCPChallengeACK");
}

static void check_synack_late(struct testbed *bed)
{
    const struct late_facts *facts = testbed_facts(bed, sizeof *facts);
    struct kernel_timers plan;
    int64_t seen_ns[8];

    kernel_timers_connect(&plan, &facts->try.settings, NULL);
    connect_summary(bed, &facts->try.connect);
    testbed_check_rc(bed, "connect", "0", &facts->try.connect, "0");
    testbed_expect_time(bed, "took_ns", &facts->try.settings, plan.sent_ns[1]);
    testbed_observe_integer(bed, "took_ns", took_ns(&facts->try.connect));
    testbed_check_integer(bed, "syns", 2,
                          (int64_t)testbed_times(bed, "syn", LAB_FROM_CLIENT, seen_ns, 8));
    testbed_check_integer(bed, "syn_retransmissions", 1, facts->retransmits);
    testbed_expect_range(bed, "synacks", 2, 3);
    testbed_observe_integer(bed, "synacks",
                            (int64_t)testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, 8));
    testbed_expect_range(bed, "challenge_acks", 1, 2);
    testbed_observe_integer(bed, "challenge_acks", facts->challenges);
    testbed_check_rc(bed, "accept", "0", &facts->accept, "0");
    testbed_check_integer(bed, "further_connections", 0, facts->second_accept.rc);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
}

const struct scenario connect_synack_late = {
    .name = "synack-late",
    .title = "the SYN,ACK takes longer than the first timeout: a second SYN crosses it",
    .here = "The second SYN has the sequence number of the first, so that it opens nothing: the "
            "server answers it with the same SYN,ACK. The client is connected by the first copy "
            "that arrives, and answers the next with a challenge ACK (RFC 5961). The only trace is "
            "a SYN counted as retransmitted, as if one had been lost.",
    .settings = connect_few_retries,
    .play = run_synack_late,
    .check = check_synack_late,
};
