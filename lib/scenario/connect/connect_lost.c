/* A segment of the handshake is lost, or late: who sends again, and what it costs. */
#include "scenario/connect/connect.h"

#include <poll.h>

#define OTHER_PORT (TESTBED_PORT + 1)

/* ---- syn-lost ---- */

#define SYNS_LOST 2

static void play_syn_lost(struct testbed *bed)
{
    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    testbed_fault(bed, "drop syn dir c>s count 2");
    struct connect_attempt attempt = connect_try(bed, ACT_TO_PEER);
    const struct kernel_timers *plan = &attempt.plan, *host = &attempt.host;
    int64_t took_ns = connect_took_ns(&attempt.connect);
    testbed_check_rc(bed, "connect", "0", &attempt.connect, "0");
    testbed_check_integer(bed, "syn_retransmissions", SYNS_LOST,
                          DO(testbed_client(bed), ACT_INFO).info.total_retrans);
    connect_check_took(bed, &attempt, plan->sent_ns[SYNS_LOST]);
    for (size_t lost = 1; lost < plan->sent_count; lost++)
        testbed_timing(
            bed, arena_printf(bed->arena, "cost of %zu lost SYN%s", lost, lost > 1 ? "s" : ""),
            plan->sent_ns[lost], lost == SYNS_LOST ? took_ns : RESULT_UNKNOWN,
            lost < host->sent_count ? host->sent_ns[lost] : RESULT_UNKNOWN);
    connect_summary(bed, &attempt.connect);
}

const struct scenario connect_syn_lost = {
    .name = "syn-lost",
    .title = "the first two SYNs are lost, the third arrives: it works, late",
    .book = "The SYN is sent again until an answer comes (section 4.3); the application sees "
            "nothing but a connect that takes longer.",
    .here = "The same. The first lost SYN costs a second, however near the peer is: no round trip "
            "has been measured yet. tcp_syn_linear_timeouts says how many intervals stay at one "
            "second. TCP_INFO (tcpi_total_retrans) counts them for the client.",
    .settings = connect_few_retries,
    .play = play_syn_lost,
    .flags = FLAGS("C>S SYN x", "C>S SYN x", HANDSHAKE),
};

/* ---- synack-lost ---- */

struct connect_accept_plan connect_accept_plan(struct testbed *bed)
{
    struct connect_accept_plan plan = {.settings = testbed_settings(bed, LAB_SERVER)};
    struct kernel_timers_settings host = machine_timers();

    kernel_timers_accept(&plan.timers, &plan.settings);
    kernel_timers_accept(&plan.host, &host);
    return plan;
}

/* The SYN,ACKs of the subject, when the run is finished: how many. Returns when the second came,
 * since the start of the run. */
static int64_t check_synacks(struct testbed *bed, const struct connect_accept_plan *plan)
{
    const struct kernel_timers *timers = &plan->timers, *host = &plan->host;
    int64_t seen_ns[2];
    size_t seen = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, 2);
    int64_t between_ns = seen > 1 ? seen_ns[1] - seen_ns[0] : RESULT_UNKNOWN;

    testbed_check_integer(bed, "synacks", 2, (int64_t)seen);
    testbed_check_time(bed, "second_synack_ns", &plan->settings, timers->sent_ns[1], between_ns);
    testbed_timings(bed, "SYN,ACK", timers, host, 1, seen_ns, seen < 2 ? seen : 2);
    testbed_timing(bed, "the server forgets the request", timers->failed_ns, RESULT_UNKNOWN,
                   host->failed_ns);
    return seen > 1 ? seen_ns[1] : RESULT_UNKNOWN;
}

/* Both ends have lost something then, and both start a timer of a second. To make the server's the
 * one that counts, the client's repeated SYNs are lost, too. */
static void play_synack_lost(struct testbed *bed)
{
    struct connect_accept_plan plan = connect_accept_plan(bed);

    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    testbed_fault(bed, "drop syn-ack dir s>c count 1");
    testbed_fault(bed, "drop syn dir c>s nth 2 count 100");
    struct connect_attempt attempt = connect_try(bed, ACT_TO_PEER);
    testbed_check_rc(bed, "connect", "0", &attempt.connect, "0");
    CHECK(bed, "accept", "0", testbed_server(bed), ACT_ACCEPT, .other = 1,
          .timeout_ns = 2 * NS_PER_SEC);
    testbed_check_time(bed, "took_ns", &plan.settings, plan.timers.sent_ns[1],
                       connect_took_ns(&attempt.connect));
    connect_summary(bed, &attempt.connect);
    check_synacks(bed, &plan);
}

const struct scenario connect_synack_lost = {
    .name = "synack-lost",
    .title = "the SYN arrives, its SYN,ACK is lost: the server sends it again",
    .here = "The server's timer for a half-open connection starts at a second, too, and doubles; "
            "tcp_synack_retries (5, or TCP_SYNCNT of the listener) limits it. The client's own "
            "second SYN, due at about the same time, is dropped here; it would have brought the "
            "SYN,ACK again just as well.",
    .settings = connect_few_retries,
    .play = play_synack_lost,
    .flags_begin = FLAGS("C>S SYN", "S>C SYN,ACK x"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED"),
};

/* ---- last-ack-lost ---- */

/* A connection whose client says something at once: its data carries the lost acknowledgement. */
static void check_with_data(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    testbed_fault(bed, "drop ack dir c>s count 1");
    DO(server, ACT_LISTEN, .slot = 2, .port = OTHER_PORT, .number = 16);
    DO(client, ACT_CONNECT, .slot = 2, .port = OTHER_PORT);
    DO(client, ACT_WRITE, .slot = 2, .bytes = 10);
    CHECK(bed, "accept_when_data_comes", "0", server, ACT_ACCEPT, .slot = 2, .other = 3,
          .timeout_ns = 4 * NS_PER_SEC);
}

static void play_last_ack_lost(struct testbed *bed)
{
    struct connect_accept_plan plan = connect_accept_plan(bed);
    int fault = testbed_fault(bed, "drop ack dir c>s count 1");

    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    struct act_reply connect = connect_try(bed, ACT_TO_PEER).connect;
    testbed_check_rc(bed, "connect", "0", &connect, "0");
    struct act_reply accept = CHECK(bed, "accept", "0", testbed_server(bed), ACT_ACCEPT, .other = 1,
                                    .timeout_ns = 4 * NS_PER_SEC);
    testbed_unfault(bed, fault);
    check_with_data(bed);
    connect_summary(bed, &connect);
    int64_t second_ns = check_synacks(bed, &plan);
    bool seen = second_ns != RESULT_UNKNOWN;
    testbed_check_bool(bed, "connect_before_it", true,
                       seen && connect.returned_ns - bed->started_mono_ns < second_ns);
    testbed_check_bool(bed, "accept_after_it", true,
                       seen && accept.returned_ns - bed->started_mono_ns > second_ns);
    testbed_check_integer(bed, "synacks_when_data_comes", 1,
                          testbed_count(bed, 2, "syn-ack", LAB_FROM_SERVER));
}

const struct scenario connect_last_ack_lost = {
    .name = "last-ack-lost",
    .title = "the handshake's last ACK is lost: connected on one side, half-open on the other",
    .here = "connect has returned, but accept waits until the server has sent its SYN,ACK again, a "
            "second later, and the client has acknowledged it again. A client that sends at once "
            "is not delayed: its data carries the same acknowledgement.",
    .settings = connect_few_retries,
    .play = play_last_ack_lost,
    .flags = FLAGS("C>S SYN", "S>C SYN,ACK", "C>S ACK x", "S>C SYN,ACK", "C>S ACK"),
};

/* ---- synack-late ---- */

static void play_synack_late(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    int held = testbed_fault(bed, "hold syn-ack dir s>c");
    struct connect_attempt attempt = connect_plan(bed);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "delivered c>s:syn#2");
    testbed_wait(bed, "seen s>c:syn-ack#2");
    testbed_release(bed, held);
    attempt.connect = agent_end(client, ACT_LIMIT_NS);
    testbed_check_rc(bed, "connect", "0", &attempt.connect, "0");
    connect_check_took(bed, &attempt, attempt.plan.sent_ns[1]);
    testbed_check_integer(bed, "syn_retransmissions", 1, DO(client, ACT_INFO).info.total_retrans);
    CHECK(bed, "accept", "0", server, ACT_ACCEPT, .other = 1, .timeout_ns = 4 * NS_PER_SEC);
    /* The answers to the copies have come when the acknowledgement of this data has. */
    DO(client, ACT_WRITE, .bytes = 10);
    DO(server, ACT_READ_ALL, .slot = 1, .bytes = 10);
    CHECK_NUMBER(bed, "further_connections", 0, server, ACT_POLL, .number = POLLIN,
                 .timeout_ns = 0);
    testbed_check_range(bed, "challenge_acks", 1, 2,
                        testbed_counter(bed, LAB_CLIENT, "TcpExt TCPChallengeACK"));
    testbed_expect_count(bed, "syns", "syn", LAB_FROM_CLIENT, 2);
    connect_summary(bed, &attempt.connect);
    testbed_check_range(bed, "synacks", 2, 3,
                        (int64_t)testbed_times(bed, "syn-ack", LAB_FROM_SERVER, NULL, 0));
}

const struct scenario connect_synack_late = {
    .name = "synack-late",
    .title = "the SYN,ACK takes longer than the first timeout: a second SYN crosses it",
    .here = "The second SYN has the sequence number of the first, so it opens no second "
            "connection: the server answers it with the same SYN,ACK. The first copy that arrives "
            "connects the client, which answers the next with a challenge ACK (RFC 5961). The "
            "only trace is a SYN counted as retransmitted, as if one had been lost.",
    .settings = connect_few_retries,
    .play = play_synack_late,
    .client_states = STATES("SYN-SENT", "ESTABLISHED"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED"),
};
