/* The server's host crashes, or cannot be reached: nothing tells the client. */
#include "scenario/crash/crash.h"

#include "base/wait.h"
#include <poll.h>

/* ---- The client sends ---- */

/* A write, then a read until the kernel gives up; and what the calls after that return. */
static void send_until(struct crash *crash, const char *error)
{
    struct agent *client = crash->client;

    crash_take_times(crash, 0);
    struct act_reply sent = CRASH_CALL(crash, "write", "ok", client, ACT_WRITE, .bytes = 10);
    BEGIN(client, ACT_READ, .bytes = 100);
    struct act_reply told =
        crash_end_read(crash, "read", error, client, crash_limit_ns(crash, CRASH_SEND));
    CRASH_CALL(crash, "read_again", "EOF", client, ACT_READ, .bytes = 100);
    CRASH_CALL(crash, "write_again", "EPIPE", client, ACT_WRITE, .bytes = 10,
               .flags = MSG_NOSIGNAL);
    crash_check_timer(crash, CRASH_SEND, sent.entered_ns, told.returned_ns);
}

static void play_sending(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    crash_cut(&crash);
    send_until(&crash, "ETIMEDOUT");
}

const struct scenario crash_host_sending = {
    .name = "host-crash-sending",
    .title = "the server's host crashes, and the client sends",
    .book = "TCP retransmits the segment, 12 times over about nine minutes in 4.4BSD, and then "
            "read returns ETIMEDOUT; or EHOSTUNREACH, if a router said so (section 5.14).",
    .here = "A tail-loss probe, then retransmissions with intervals that double up to 120 s "
            "(tcp_rto_max_ms). tcp_retries2 is not a count but a time: 15 stands for 924.6 s, "
            "checked when a retransmission is due. Then ETIMEDOUT, once; after that end of file "
            "and EPIPE.",
    .differs = "Linux tries for a quarter of an hour or more, and the setting is a time.",
    .settings = crash_few_retries,
    .delay_ns = CRASH_DELAY_NS,
    .play = play_sending,
};

/* ---- host-crash-user-timeout ---- */

static void play_user_timeout(struct testbed *bed)
{
    DO(testbed_client(bed), ACT_OPEN);
    struct act_reply given = DO(testbed_client(bed), ACT_OPTION_READ, .text = "TCP_USER_TIMEOUT");

    /* The user may have set another. */
    if (given.rc || given.text[0] == '0')
        DO(testbed_client(bed), ACT_OPTION, .text = "TCP_USER_TIMEOUT=1s");
    play_sending(bed);
}

const struct scenario crash_host_user_timeout = {
    .name = "host-crash-user-timeout",
    .title = "the server's host crashes, and a client with TCP_USER_TIMEOUT sends",
    .here = "TCP_USER_TIMEOUT (RFC 5482) replaces tcp_retries2 for this socket. It runs from the "
            "first retransmission, not from the write, and shortens the last interval. The error "
            "is the same: ETIMEDOUT.",
    .settings = SETTINGS({SCENARIO_BOTH, "tcp_retries2", "15", SETTING_TIMER}),
    .delay_ns = CRASH_DELAY_NS,
    .play = play_user_timeout,
};

/* ---- host-unreachable-sending ---- */

static void play_unreachable(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    crash_make_unreachable(&crash);
    send_until(&crash, "EHOSTUNREACH");
}

const struct scenario crash_host_unreachable = {
    .name = "host-unreachable-sending",
    .title = "a router says that the server's host is unreachable, and the client sends",
    .book = "A soft error: TCP keeps trying, and when it gives up returns EHOSTUNREACH instead of "
            "ETIMEDOUT (sections 5.14 and 7.5).",
    .here = "The same. Over IPv4 each of these messages also undoes the back-off of the "
            "retransmission timer (RFC 6069), so that many more segments are sent; over IPv6 it "
            "does not.",
    .settings = crash_few_retries,
    .delay_ns = CRASH_DELAY_NS,
    .play = play_unreachable,
};

/* ---- host-crash-closing ---- */

static void play_closing(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    crash_cut(&crash);
    crash_take_times(&crash, 0);
    struct act_reply sent = CRASH_CALL(&crash, "close", "0", crash.client, ACT_CLOSE);
    struct act_socket orphan = testbed_socket_of(bed, LAB_CLIENT, 0, TESTBED_PORT);
    testbed_check_state(bed, "state_left", TCP_FIN_WAIT1, orphan.state);
    wait_until(!orphan.state || testbed_failed(bed) ||
                   !(orphan = testbed_socket_of(bed, LAB_CLIENT, 0, TESTBED_PORT)).state,
               clock_mono_ns() + crash_limit_ns(&crash, CRASH_ORPHAN));
    int64_t gone_ns = clock_mono_ns();
    testbed_check_state(bed, "state_at_last", 0, orphan.state);
    crash_check_timer(&crash, CRASH_ORPHAN, sent.entered_ns, gone_ns);
}

const struct scenario crash_host_closing = {
    .name = "host-crash-closing",
    .title = "the server's host crashes, and the client closes: an orphan",
    .here = "close returns at once, and no call reports how it ended. The kernel keeps the socket "
            "in FIN-WAIT-1 and retransmits the FIN for a while: tcp_orphan_retries, where 0 stands "
            "for 8, which is a time of 102.2 s or more. With SO_LINGER close would wait.",
    .settings = SETTINGS({SCENARIO_BOTH, "tcp_orphan_retries", "2", SETTING_TIMER}),
    .delay_ns = CRASH_DELAY_NS,
    .play = play_closing,
};

/* ---- host-crash-receiving ---- */

static void play_receiving(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    DO(crash.server, ACT_WRITE, .slot = 1, .bytes = 10);
    testbed_wait(bed, "delivered s>c:data");
    CRASH_CALL(&crash, "first_part", "whole", crash.client, ACT_READ_ALL, .bytes = 10);
    testbed_wait(bed, "delivered c>s:ack#2");
    CRASH_BLOCK(&crash, crash.client, ACT_READ, .bytes = 100);
    crash_cut(&crash);
    DO(crash.server, ACT_WRITE, .slot = 1, .bytes = 10);
    crash_blocks_forever(&crash, "read");
}

const struct scenario crash_host_receiving = {
    .name = "host-crash-receiving",
    .title = "the server's host crashes in the middle of its response",
    .book = "The client just receives no more (section 7.5): nothing tells it why.",
    .here = "The same: read blocks forever. The socket has no timer that could end it.",
    .settings = crash_quick_keepalive,
    .play = play_receiving,
};

/* ---- host-crash-idle ---- */

static void play_idle(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    CRASH_BLOCK(&crash, crash.client, ACT_POLL, .number = POLLIN, .timeout_ns = -1);
    crash_cut(&crash);
    crash_blocks_forever(&crash, "poll");
}

const struct scenario crash_host_idle = {
    .name = "host-crash-idle",
    .title = "the server's host crashes while the connection is idle: half-open forever",
    .book = "Nothing happens (section 7.5): without keepalive an idle connection sends nothing, "
            "and so learns nothing.",
    .here = "The same. Keepalive is off unless SO_KEEPALIVE is set, whatever tcp_keepalive_time "
            "says; the socket stays ESTABLISHED, without a timer.",
    .settings = crash_quick_keepalive,
    .play = play_idle,
    .flags = FLAGS(HANDSHAKE),
    .client_states = STATES("SYN-SENT", "ESTABLISHED"),
};

/* ---- host-crash-idle-keepalive ---- */

static void play_keepalive(struct testbed *bed)
{
    DO(testbed_client(bed), ACT_OPTION, .text = "SO_KEEPALIVE=on");
    struct crash crash = crash_connected(bed);

    crash_cut(&crash);
    BEGIN(crash.client, ACT_READ, .bytes = 100);
    struct act_reply told = crash_end_read(&crash, "read", "ETIMEDOUT", crash.client,
                                           crash_limit_ns(&crash, CRASH_KEEPALIVE));
    CRASH_CALL(&crash, "read_again", "EOF", crash.client, ACT_READ, .bytes = 100);
    testbed_expect_count(bed, "resets", "rst", LAB_FROM_CLIENT, 1);
    crash_check_timer(&crash, CRASH_KEEPALIVE, 0, told.returned_ns);
}

const struct scenario crash_host_keepalive = {
    .name = "host-crash-idle-keepalive",
    .title = "the server's host crashes while the connection is idle, with SO_KEEPALIVE set",
    .book = "Nine probes, 75 s apart, after two hours of silence, and then ETIMEDOUT (section "
            "7.5).",
    .here = "The same: tcp_keepalive_time, tcp_keepalive_intvl and tcp_keepalive_probes, or "
            "TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT for one socket. When it gives up, the "
            "kernel also sends an RST, in case the server is there after all.",
    .settings = crash_quick_keepalive,
    .play = play_keepalive,
};
