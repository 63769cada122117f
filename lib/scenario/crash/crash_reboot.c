/* The server's host reboots: it has forgotten its connections. */
#include "scenario/crash/crash.h"

/* ---- host-reboot-sending ---- */

static void play_sending(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);
    struct agent *client = crash.client;

    crash_reboot(&crash);
    CRASH_CALL(&crash, "write", "ok", client, ACT_WRITE, .bytes = 10);
    CRASH_CALL(&crash, "read", "ECONNRESET", client, ACT_READ, .bytes = 100);
    CRASH_CALL(&crash, "read_again", "EOF", client, ACT_READ, .bytes = 100);
    CRASH_CALL(&crash, "write_again", "EPIPE", client, ACT_WRITE, .bytes = 10,
               .flags = MSG_NOSIGNAL);
}

const struct scenario crash_reboot_sending = {
    .name = "host-reboot-sending",
    .title = "the server's host crashes and reboots, and then the client sends",
    .book = "The host has forgotten the connection and answers with RST; a client that is blocked "
            "in read gets ECONNRESET (section 5.15).",
    .here = "The same, a round trip after the write.",
    .settings = crash_no_retransmission,
    .play = play_sending,
    .flags = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C RST"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSED"),
};

/* ---- host-reboot-reading ---- */

static void play_reading(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    CRASH_BLOCK(&crash, crash.client, ACT_READ, .bytes = 100);
    crash_reboot(&crash);
    crash_blocks_forever(&crash, "read");
    struct act_socket left = testbed_socket_of(bed, LAB_SERVER, TESTBED_PORT, 0);
    testbed_check_state(bed, "server_socket", 0, left.state);
}

const struct scenario crash_reboot_reading = {
    .name = "host-reboot-reading",
    .title = "the server's host crashes and reboots while the client is blocked in read",
    .book = "To learn of it without sending, the client needs SO_KEEPALIVE or a heartbeat of its "
            "own (section 5.15).",
    .here = "The same: the host would answer with RST, but the client sends nothing. read blocks "
            "forever.",
    .settings = crash_quick_keepalive,
    .play = play_reading,
    .flags = FLAGS(HANDSHAKE),
};

/* ---- host-reboot-idle-keepalive ---- */

static void play_keepalive(struct testbed *bed)
{
    DO(testbed_client(bed), ACT_OPTION, .text = "SO_KEEPALIVE=on");
    struct crash crash = crash_connected(bed);

    CRASH_BLOCK(&crash, crash.client, ACT_READ, .bytes = 100);
    crash_reboot(&crash);
    crash_check_boot_time(&crash);
    struct act_reply reply = crash_end_read(&crash, "read", "ECONNRESET", crash.client,
                                            crash_limit_ns(&crash, CRASH_KEEPALIVE));
    crash_check_timer(&crash, CRASH_FIRST_PROBE, 0, reply.returned_ns);
}

const struct scenario crash_reboot_keepalive = {
    .name = "host-reboot-idle-keepalive",
    .title = "the server's host crashes and reboots, and the client has SO_KEEPALIVE set",
    .book = "A probe draws an RST, and the pending error is ECONNRESET (section 7.5).",
    .here = "The same, at the first probe after the reboot: after two hours, unless "
            "tcp_keepalive_time or TCP_KEEPIDLE is lower.",
    .settings = crash_late_keepalive,
    .play = play_keepalive,
    .flags = FLAGS(HANDSHAKE, "C>S ACK", "S>C RST"),
};
