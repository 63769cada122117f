/* The network fails, or a NAT on the way forgets; both sides survive. */
#include "scenario/crash/crash.h"

/* ---- network-pause ---- */

#define SENT_BYTES 300

static void play_pause(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    crash_cut(&crash);
    CRASH_CALL(&crash, "write", "ok", crash.client, ACT_WRITE, .bytes = SENT_BYTES);
    crash_wait_either(bed, "dropped c>s:data#4", "client=CLOSED");
    testbed_restore(bed);
    int64_t restored_ns = clock_mono_ns(), away_ns = restored_ns - crash.at_ns;
    BEGIN(crash.server, ACT_READ_ALL, .slot = 1, .bytes = SENT_BYTES);
    struct act_reply reply = agent_try(crash.server, 2 * away_ns + 5 * NS_PER_SEC);
    testbed_check_integer(bed, "arrived_bytes", SENT_BYTES, reply.bytes);
    testbed_observe(bed, INTEGER("away_ns", away_ns));
    /* The next retransmission comes after at most twice the last interval. */
    testbed_check_range(bed, "recovered_ns", 0, away_ns + away_ns / 7 + 600 * NS_PER_MS,
                        reply.late ? RESULT_UNKNOWN : reply.returned_ns - restored_ns);
    if (reply.late)
        return;
    DO(crash.server, ACT_WRITE, .slot = 1, .bytes = 10);
    CRASH_CALL(&crash, "read_answer", "whole", crash.client, ACT_READ_ALL, .bytes = 10);
    CRASH_CALL(&crash, "SO_ERROR", "none", crash.client, ACT_ERROR);
}

const struct scenario crash_network_pause = {
    .name = "network-pause",
    .title = "the network fails, and recovers before any timer ends the connection",
    .book = "TCP keeps retransmitting, and nothing is lost (section 2.3).",
    .here = "The same, and neither side is told. But the intervals have doubled meanwhile, so that "
            "the connection may take as long again to recover as the network was down.",
    .settings = SETTINGS({SCENARIO_BOTH, "tcp_retries2", "10", SETTING_TIMER}),
    .delay_ns = CRASH_DELAY_NS,
    .play = play_pause,
    .client_states = STATES("SYN-SENT", "ESTABLISHED"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED"),
};

/* ---- nat-timeout ---- */

static void check_server_state(struct crash *crash, const char *key, int slot)
{
    struct act_reply info = DO(crash->server, ACT_INFO, .slot = slot);
    testbed_check_state(crash->bed, key, TCP_ESTABLISHED, (int)info.rc);
}

static void play_nat(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);
    struct agent *client = crash.client;

    crash_connect(bed, client, 2, crash.server, 2, TESTBED_PORT + 1);
    crash_take_times(&crash, 2);
    testbed_subject(bed, 2);
    testbed_fault(bed, "answer-rst \"tcp port %d\"", TESTBED_PORT);
    testbed_fault(bed, "drop \"tcp port %d\"", TESTBED_PORT + 1);
    testbed_mark(bed, "the NAT forgets the connections");
    crash_happens(&crash);
    CRASH_CALL(&crash, "write_rst", "ok", client, ACT_WRITE, .bytes = 10);
    CRASH_CALL(&crash, "read_rst", "ECONNRESET", client, ACT_READ, .bytes = 100);

    struct act_reply sent =
        CRASH_CALL(&crash, "write_silence", "ok", client, ACT_WRITE, .slot = 2, .bytes = 10);
    BEGIN(client, ACT_READ, .slot = 2, .bytes = 100);
    struct act_reply told = crash_end_read(&crash, "read_silence", "ETIMEDOUT", client,
                                           crash_limit_ns(&crash, CRASH_SEND));
    check_server_state(&crash, "server_rst", 1);
    check_server_state(&crash, "server_silence", 2);
    crash_check_timer(&crash, CRASH_SEND, sent.entered_ns, told.returned_ns);
}

const struct scenario crash_nat_timeout = {
    .name = "nat-timeout",
    .title = "a NAT or firewall forgets an idle connection, and answers with RST or not at all",
    .here = "If it answers with RST, the call after the next write fails with ECONNRESET; if it "
            "drops, with ETIMEDOUT after tcp_retries2. The server is not told either way: its side "
            "stays half-open. RFC 5382 wants idle connections kept for 2 h 4 min, which the "
            "keepalive default of 2 h just meets; many NATs forget sooner and need a shorter one.",
    .settings = crash_few_retries,
    .delay_ns = CRASH_DELAY_NS,
    .play = play_nat,
};
