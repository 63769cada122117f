/* Nobody dies: the network is away for a while, or forgets. */
#include "scenario/crash.h"

#include <stdio.h>

/* ---- network-pause ---- */

#define SENT_BYTES 300

static void run_pause(struct stage *stage)
{
    struct actor *client = stage_client(stage), *server = stage_server(stage);

    crash_connected(stage);
    stage_cut(stage);
    crash_happens(stage);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = SENT_BYTES);
    crash_call(stage, "write", "ok", &reply, "0");
    crash_heard(stage, "dropped c>s:data#4", "client=CLOSED");
    stage_restore(stage);
    int64_t restored_ns = clock_mono_ns(), away_ns = restored_ns - crash_facts(stage)->at_ns;
    BEGIN(server, ACT_READ_ALL, .slot = 1, .bytes = SENT_BYTES);
    reply = actor_try(server, 2 * away_ns + 5 * NS_PER_SEC);
    stage_check_integer(stage, "arrived_bytes", SENT_BYTES, reply.bytes);
    stage_observe_integer(stage, "away_ns", away_ns);
    /* The next retransmission comes after at most twice what the last wait was. */
    stage_expect_range(stage, "recovered_ns", 0, away_ns + away_ns / 7 + 600 * NS_PER_MS);
    stage_observe_integer(stage, "recovered_ns",
                          reply.late ? RESULT_UNKNOWN : reply.returned_ns - restored_ns);
    if (reply.late)
        return;
    DO(server, ACT_WRITE, .slot = 1, .bytes = 10);
    reply = DO(client, ACT_READ_ALL, .bytes = 10);
    crash_call(stage, "read_answer", "whole", &reply, "whole");
    reply = DO(client, ACT_ERROR);
    crash_call(stage, "SO_ERROR", "none", &reply, "none");
}

static void check_pause(struct stage *stage)
{
    stage_expect_states(stage, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", NULL);
    stage_expect_states(stage, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
}

const struct scenario crash_network_pause = {
    .name = "network-pause",
    .title = "the network goes away and comes back before any timer ends",
    .book = "TCP goes on retransmitting, and nothing is lost (section 2.3).",
    .here = "The same: neither side is told. But the intervals have doubled meanwhile, so that a "
            "connection comes back up to as long after the network as that was away.",
    .settings =
        (const struct scenario_setting[]){{SCENARIO_BOTH, "tcp_retries2", "10", true, false}, {0}},
    .delay_ns = CRASH_DELAY_NS,
    .run = run_pause,
    .check = check_pause,
};

/* ---- nat-timeout ---- */

static void forget(struct stage *stage)
{
    char line[80];

    snprintf(line, sizeof line, "answer-rst \"tcp port %d\"", STAGE_PORT);
    stage_fault(stage, line);
    snprintf(line, sizeof line, "drop \"tcp port %d\"", STAGE_PORT + 1);
    stage_fault(stage, line);
    stage_mark(stage, "the middle forgets");
}

static void run_nat(struct stage *stage)
{
    struct crash_facts *facts = crash_facts(stage);
    struct actor *client = stage_client(stage), *server = stage_server(stage);
    struct schedule plan;

    crash_connected(stage);
    crash_connect(stage, client, 2, server, 2, STAGE_PORT + 1);
    facts->socket.rtt_ns = DO(client, ACT_INFO, .slot = 2).info.rtt_ns;
    stage_subject(stage, 2);
    forget(stage);
    crash_happens(stage);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(stage, "write_rst", "ok", &reply, "0");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(stage, "read_rst", "ECONNRESET", &reply, "EOF");

    schedule_send(&plan, &facts->settings, &facts->socket);
    reply = DO(client, ACT_WRITE, .slot = 2, .bytes = 10);
    crash_call(stage, "write_silence", "ok", &reply, "0");
    facts->entered_ns = reply.entered_ns;
    BEGIN(client, ACT_READ, .slot = 2, .bytes = 100);
    reply = crash_end(stage, client, plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS);
    facts->returned_ns = reply.returned_ns;
    crash_call(stage, "read_silence", "ETIMEDOUT", &reply, "EOF");
    for (int i = 0; i < 2; i++) {
        struct act_reply info = DO(server, ACT_INFO, .slot = 1 + i);
        stage_check_text(stage, i ? "server_silence" : "server_rst", "ESTABLISHED",
                         stage_state_name((int)info.rc));
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
    .run = run_nat,
    .check = crash_check_send,
};
