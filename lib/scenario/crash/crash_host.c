/* The server's host dies, or cannot be reached: nobody is left to say so. */
#include "scenario/crash/crash.h"

#include <poll.h>

/* ---- Sending into the void ---- */

/* A write, and then a read until the news comes; and what the calls after that say. */
static void send_and_wait(struct testbed *bed, const char *news)
{
    struct crash_facts *facts = crash_facts(bed);
    struct agent *client = testbed_client(bed);
    struct kernel_timers plan;

    kernel_timers_send(&plan, &facts->settings, &facts->socket);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(bed, "write", "ok", &reply, "0");
    facts->entered_ns = reply.entered_ns;
    BEGIN(client, ACT_READ, .bytes = 100);
    reply = crash_end(bed, client, plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS);
    crash_call(bed, "read", news, &reply, "EOF");
    facts->returned_ns = reply.returned_ns;
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read_again", "EOF", &reply, "EOF");
    reply = DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
    crash_call(bed, "write_again", "EPIPE", &reply, "0");
}

static void run_sending(struct testbed *bed)
{
    crash_connected(bed);
    testbed_cut(bed);
    crash_happens(bed);
    send_and_wait(bed, "ETIMEDOUT");
}

const struct scenario crash_host_sending = {
    .name = "host-crash-sending",
    .title = "the server's host crashes, and the client sends",
    .book = "TCP sends the segment again and again, 12 times over about nine minutes in 4.4BSD, "
            "and then read returns ETIMEDOUT; or EHOSTUNREACH, if a router said so (section 5.14).",
    .here = "A tail-loss probe, then retransmissions with intervals that double up to 120 s "
            "(tcp_rto_max_ms). tcp_retries2 is no count but a time: 15 stands for 924.6 s, looked "
            "at when a retransmission is due. Then ETIMEDOUT, once; end of file and EPIPE after "
            "that.",
    .differs = "Linux tries for a quarter of an hour or more, and the setting is a time.",
    .settings = crash_few_retries,
    .delay_ns = CRASH_DELAY_NS,
    .play = run_sending,
    .check = crash_check_send,
};

/* ---- host-crash-closing ---- */

static void run_closing(struct testbed *bed)
{
    struct crash_facts *facts = crash_facts(bed);
    struct agent *client = testbed_client(bed);
    struct kernel_timers plan;

    crash_connected(bed);
    kernel_timers_orphan(&plan, &facts->settings, &facts->socket);
    testbed_cut(bed);
    crash_happens(bed);
    struct act_reply reply = DO(client, ACT_CLOSE);
    crash_call(bed, "close", "0", &reply, "0");
    facts->entered_ns = reply.entered_ns;
    struct act_socket orphan = testbed_socket_of(bed, LAB_CLIENT, 0, TESTBED_PORT);
    testbed_check_text(bed, "state_left", "FIN-WAIT-1", testbed_state_name(orphan.state));
    int64_t end_ns = clock_mono_ns() + plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS;
    while (orphan.state && !testbed_failed(bed) && clock_mono_ns() < end_ns) {
        testbed_pass(bed, 5 * NS_PER_MS);
        orphan = testbed_socket_of(bed, LAB_CLIENT, 0, TESTBED_PORT);
    }
    facts->returned_ns = clock_mono_ns();
    testbed_check_text(bed, "state_at_last", "none", testbed_state_name(orphan.state));
}

const struct scenario crash_host_closing = {
    .name = "host-crash-closing",
    .title = "the server's host crashes, and the client closes: an orphan",
    .book = NULL,
    .here = "close returns at once, and nobody is told how it ended. The kernel keeps the socket "
            "in FIN-WAIT-1 and sends the FIN again for a while: tcp_orphan_retries, where 0 "
            "stands for 8, which is a time of 102.2 s or more. With SO_LINGER close would wait.",
    .settings =
        (const struct scenario_setting[]){{SCENARIO_BOTH, "tcp_orphan_retries", "2", SETTING_TIMER},
                                          {0}},
    .delay_ns = CRASH_DELAY_NS,
    .play = run_closing,
    .check = crash_check_orphan,
};

/* ---- host-crash-user-timeout ---- */

static void run_user_timeout(struct testbed *bed)
{
    DO(testbed_client(bed), ACT_OPEN);
    struct act_reply reply = DO(testbed_client(bed), ACT_OPTION_READ, .text = "TCP_USER_TIMEOUT");

    /* The user may have set another. */
    if (reply.rc || reply.text[0] == '0')
        DO(testbed_client(bed), ACT_OPTION, .text = "TCP_USER_TIMEOUT=1s");
    crash_connected(bed);
    testbed_cut(bed);
    crash_happens(bed);
    send_and_wait(bed, "ETIMEDOUT");
}

const struct scenario crash_host_user_timeout = {
    .name = "host-crash-user-timeout",
    .title = "the server's host crashes, and the client, which sends, has TCP_USER_TIMEOUT set",
    .book = NULL,
    .here = "TCP_USER_TIMEOUT (RFC 5482) takes the place of tcp_retries2, for this socket only. It "
            "runs from the first retransmission, not from the write, and shortens the last wait. "
            "The error is the same: ETIMEDOUT.",
    .settings =
        (const struct scenario_setting[]){{SCENARIO_BOTH, "tcp_retries2", "15", SETTING_TIMER},
                                          {0}},
    .delay_ns = CRASH_DELAY_NS,
    .play = run_user_timeout,
    .check = crash_check_send,
};

/* ---- host-crash-receiving, host-crash-idle ---- */

static void run_receiving(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    struct act_reply reply = DO(testbed_server(bed), ACT_WRITE, .slot = 1, .bytes = 10);
    testbed_wait(bed, "delivered s>c:data");
    reply = DO(client, ACT_READ_ALL, .bytes = 10);
    crash_call(bed, "first_part", "whole", &reply, "whole");
    testbed_wait(bed, "delivered c>s:ack#2");
    BEGIN(client, ACT_READ, .bytes = 100);
    crash_entered(bed, LAB_CLIENT, "read");
    testbed_cut(bed);
    crash_happens(bed);
    DO(testbed_server(bed), ACT_WRITE, .slot = 1, .bytes = 10);
    testbed_pass(bed, crash_others_find_out_ns(bed));
    crash_blocked(bed, "read", client);
    crash_no_timer(bed, LAB_CLIENT, 0, TESTBED_PORT);
}

const struct scenario crash_host_receiving = {
    .name = "host-crash-receiving",
    .title = "the server's host crashes in the middle of an answer",
    .book = "The client just receives no more (section 7.5): nothing tells it why.",
    .here = "The same: read waits for ever. The socket has no timer, so nothing is left that could "
            "end it.",
    .settings = crash_quick_keepalive,
    .play = run_receiving,
    .check = NULL,
};

static void run_idle(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    BEGIN(client, ACT_POLL, .number = POLLIN, .timeout_ns = -1);
    crash_entered(bed, LAB_CLIENT, "poll");
    testbed_cut(bed);
    crash_happens(bed);
    testbed_pass(bed, crash_others_find_out_ns(bed));
    crash_blocked(bed, "poll", client);
    crash_no_timer(bed, LAB_CLIENT, 0, TESTBED_PORT);
}

static void check_idle(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", NULL);
}

const struct scenario crash_host_idle = {
    .name = "host-crash-idle",
    .title = "the server's host crashes while nothing is under way: half-open for ever",
    .book = "Nothing happens (section 7.5): without keepalive an idle connection sends nothing, "
            "and so finds out nothing.",
    .here = "The same. Keepalive is off unless SO_KEEPALIVE is set, whatever tcp_keepalive_time "
            "says; the socket stays ESTABLISHED, without a timer.",
    .settings = crash_quick_keepalive,
    .play = run_idle,
    .check = check_idle,
};

/* ---- host-crash-idle-keepalive ---- */

static void run_keepalive(struct testbed *bed)
{
    struct crash_facts *facts = crash_facts(bed);
    struct agent *client = testbed_client(bed);
    struct kernel_timers plan;

    DO(client, ACT_OPTION, .text = "SO_KEEPALIVE=on");
    crash_connected(bed);
    testbed_cut(bed);
    crash_happens(bed);
    kernel_timers_keepalive(&plan, &facts->settings, &facts->socket);
    BEGIN(client, ACT_READ, .bytes = 100);
    struct act_reply reply =
        crash_end(bed, client, plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS);
    crash_call(bed, "read", "ETIMEDOUT", &reply, "EOF");
    facts->returned_ns = reply.returned_ns;
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read_again", "EOF", &reply, "EOF");
}

static void check_keepalive(struct testbed *bed)
{
    crash_check_keepalive(bed, true);
    testbed_check_integer(bed, "resets", 1,
                          (int64_t)testbed_times(bed, "rst", LAB_FROM_CLIENT, NULL, 0));
}

const struct scenario crash_host_keepalive = {
    .name = "host-crash-idle-keepalive",
    .title = "the server's host crashes while nothing is under way, with SO_KEEPALIVE set",
    .book = "Nine probes, 75 s apart, after two hours of silence, and then ETIMEDOUT (section "
            "7.5).",
    .here = "The same: tcp_keepalive_time, tcp_keepalive_intvl and tcp_keepalive_probes, or "
            "TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT for one socket. An RST goes out with the "
            "end, in case somebody is there after all.",
    .settings = crash_quick_keepalive,
    .play = run_keepalive,
    .check = check_keepalive,
};

/* ---- host-unreachable-sending ---- */

static void run_unreachable(struct testbed *bed)
{
    crash_connected(bed);
    crash_facts(bed)->socket.unreachable_v4 = bed->family == AF_INET;
    testbed_fault(bed, "answer-icmp any=host-unreachable dir c>s");
    testbed_fault(bed, "drop any dir s>c");
    crash_happens(bed);
    send_and_wait(bed, "EHOSTUNREACH");
}

const struct scenario crash_host_unreachable = {
    .name = "host-unreachable-sending",
    .title = "a router says that the server's host is unreachable, and the client sends",
    .book = "A soft error: TCP goes on trying, and when it gives up returns EHOSTUNREACH instead "
            "of ETIMEDOUT (sections 5.14 and 7.5).",
    .here = "The same. Over IPv4 each of those messages also undoes the back-off of the "
            "retransmission timer (RFC 6069), so that far more segments are sent; over IPv6 it "
            "does not.",
    .settings = crash_few_retries,
    .delay_ns = CRASH_DELAY_NS,
    .play = run_unreachable,
    .check = crash_check_send,
};
