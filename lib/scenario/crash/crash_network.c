/* Nobody dies: the network is away for a while, or forgets. */
#include "scenario/crash/crash.h"

#include <stdio.h>

/* ---- network-pause ---- */

#define SENT_BYTES 300

static void run_pause(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    crash_connected(bed);
    testbed_cut(bed);
    crash_happens(bed);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = SENT_BYTES);
    crash_call(bed, "write", "ok", &reply, "0");
    crash_heard(bed, "dropped c>s:data#4", "client=CLOSED");
    testbed_restore(bed);
    int64_t restored_ns = clock_mono_ns(), away_ns = restored_ns - crash_facts(bed)->at_ns;
    BEGIN(server, ACT_READ_ALL, .slot = 1, .bytes = SENT_BYTES);
    reply = agent_try(server, 2 * away_ns + 5 * NS_PER_SEC);
    testbed_check_integer(bed, "arrived_bytes", SENT_BYTES, reply.bytes);
    testbed_observe_integer(bed, "away_ns", away_ns);
    /* The next retransmission comes after at most twice what the last wait was. */
    testbed_expect_range(bed, "recovered_ns", 0, away_ns + away_ns / 7 + 600 * NS_PER_MS);
    testbed_observe_integer(bed, "recovered_ns",
                            reply.late ? RESULT_UNKNOWN : reply.returned_ns - restored_ns);
    if (reply.late)
        return;
    DO(server, ACT_WRITE, .slot = 1, .bytes = 10);
    reply = DO(client, ACT_READ_ALL, .bytes = 10);
    crash_call(bed, "read_answer", "whole", &reply, "whole");
    reply = DO(client, ACT_ERROR);
    crash_call(bed, "SO_ERROR", "none", &reply, "none");
}

static void check_pause(struct testbed *bed)
{
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
}

const struct scenario crash_network_pause = {
    .name = "network-pause",
    .title = "the network goes away and comes back before any timer ends",
    .book = "TCP goes on retransmitting, and nothing is lost (section 2.3).",
    .here = "The same: neither side is told. But the intervals have doubled meanwhile, so that a "
            "connection comes back up to as long after the network as that was away.",
    .settings =
        (const struct scenario_setting[]){{SCENARIO_BOTH, "tcp_retries2", "10", SETTING_TIMER},
                                          {0}},
    .delay_ns = CRASH_DELAY_NS,
    .play = run_pause,
    .check = check_pause,
};

/* ---- nat-timeout ---- */

static void forget(struct testbed *bed)
{
    char line[80];

    snprintf(line, sizeof line, "answer-rst \"tcp port %d\"", TESTBED_PORT);
    testbed_fault(bed, line);
    snprintf(line, sizeof line, "drop \"tcp port %d\"", TESTBED_PORT + 1);
    testbed_fault(bed, line);
    testbed_mark(bed, "the middle forgets");
}

static void run_nat(struct testbed *bed)
{
    struct crash_facts *facts = crash_facts(bed);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct kernel_timers plan;

    crash_connected(bed);
    crash_connect(bed, client, 2, server, 2, TESTBED_PORT + 1);
    facts->socket.rtt_ns = DO(client, ACT_INFO, .slot = 2).info.rtt_ns;
    testbed_subject(bed, 2);
    forget(bed);
    crash_happens(bed);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(bed, "write_rst", "ok", &reply, "0");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read_rst", "ECONNRESET", &reply, "EOF");

    kernel_timers_send(&plan, &facts->settings, &facts->socket);
    reply = DO(client, ACT_WRITE, .slot = 2, .bytes = 10);
    crash_call(bed, "write_silence", "ok", &reply, "0");
    facts->entered_ns = reply.entered_ns;
    BEGIN(client, ACT_READ, .slot = 2, .bytes = 100);
    reply = crash_end(bed, client, plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS);
    facts->returned_ns = reply.returned_ns;
    crash_call(bed, "read_silence", "ETIMEDOUT", &reply, "EOF");
    for (int i = 0; i < 2; i++) {
        struct act_reply info = DO(server, ACT_INFO, .slot = 1 + i);
        testbed_check_text(bed, i ? "server_silence" : "server_rst", "ESTABLISHED",
                           testbed_state_name((int)info.rc));
    }
}

const struct scenario crash_nat_timeout = {
    .name = "nat-timeout",
    .title = "a NAT or firewall on the way forgets an idle connection: it answers RST, or nothing",
    .book = NULL,
    .here = "With RST, the next write is followed by ECONNRESET; with silence it is ETIMEDOUT, "
            "after tcp_retries2. The server is not told in either case: its side is half-open. "
            "RFC 5382 wants idle connections kept for 2 h 4 min, which the keepalive default of 2 "
            "h just meets; many forget sooner, so that keepalive has to be quicker.",
    .settings = crash_few_retries,
    .delay_ns = CRASH_DELAY_NS,
    .play = run_nat,
    .check = crash_check_send,
};
