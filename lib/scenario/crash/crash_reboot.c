/* The server's host comes back without its connections, or goes in good order. */
#include "scenario/crash/crash.h"

/* ---- host-reboot-sending ---- */

static void run_sending(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    crash_happens(bed);
    testbed_reboot(bed, LAB_SERVER);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(bed, "write", "ok", &reply, "0");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read", "ECONNRESET", &reply, "EOF");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read_again", "EOF", &reply, "EOF");
    reply = DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
    crash_call(bed, "write_again", "EPIPE", &reply, "0");
}

static void check_sending(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C RST", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSED", NULL);
}

const struct scenario crash_reboot_sending = {
    .name = "host-reboot-sending",
    .title = "the server's host crashes and boots again, and then the client sends",
    .book = "The host has lost all it knew of the connection and answers with RST; a client that "
            "is blocked in read gets ECONNRESET (section 5.15).",
    .here = "The same, a round trip after the write.",
    .settings = crash_no_haste,
    .play = run_sending,
    .check = check_sending,
};

/* ---- host-reboot-reading ---- */

static void run_reading(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);
    struct kernel_timers plan;

    crash_connected(bed);
    BEGIN(client, ACT_READ, .bytes = 100);
    crash_entered(bed, LAB_CLIENT, "read");
    crash_happens(bed);
    testbed_reboot(bed, LAB_SERVER);
    kernel_timers_send(&plan, &crash_facts(bed)->settings, NULL);
    testbed_pass(bed, plan.failed_ns);
    crash_blocked(bed, "read", client);
    crash_no_timer(bed, LAB_CLIENT, 0, TESTBED_PORT);
    struct act_socket left = testbed_socket_of(bed, LAB_SERVER, TESTBED_PORT, 0);
    testbed_check_text(bed, "server_socket", "none", testbed_state_name(left.state));
}

static void check_reading(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
}

const struct scenario crash_reboot_reading = {
    .name = "host-reboot-reading",
    .title = "the server's host crashes and boots again while the client is blocked in read",
    .book = "If the client must learn of it without sending, it needs SO_KEEPALIVE or a heartbeat "
            "of its own (section 5.15).",
    .here = "The same: the host that is back could say RST, but nobody asks it. read waits for "
            "ever.",
    .settings = crash_few_retries,
    .play = run_reading,
    .check = check_reading,
};

/* ---- host-reboot-idle-keepalive ---- */

static void run_keepalive(struct testbed *bed)
{
    struct crash_facts *facts = crash_facts(bed);
    struct agent *client = testbed_client(bed);
    struct kernel_timers plan;

    DO(client, ACT_OPTION, .text = "SO_KEEPALIVE=on");
    crash_connected(bed);
    BEGIN(client, ACT_READ, .bytes = 100);
    crash_entered(bed, LAB_CLIENT, "read");
    crash_happens(bed);
    testbed_reboot(bed, LAB_SERVER);
    kernel_timers_keepalive(&plan, &facts->settings, &facts->socket);
    crash_booted_in_time(bed);
    struct act_reply reply =
        crash_end(bed, client, plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS);
    crash_call(bed, "read", "ECONNRESET", &reply, "EOF");
    facts->returned_ns = reply.returned_ns;
}

static void check_keepalive(struct testbed *bed)
{
    crash_check_keepalive(bed, false);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S ACK", "S>C RST", NULL);
}

const struct scenario crash_reboot_keepalive = {
    .name = "host-reboot-idle-keepalive",
    .title = "the server's host crashes and boots again, with SO_KEEPALIVE set at the client",
    .book = "A probe draws an RST, and the pending error is ECONNRESET (section 7.5).",
    .here = "The same, at the first probe that finds the host up again: after two hours, unless "
            "tcp_keepalive_time or TCP_KEEPIDLE is lower.",
    .settings =
        (const struct scenario_setting[]){
            {SCENARIO_BOTH, "tcp_rto_min_us", "5000000", SETTING_OPTIONAL},
            {SCENARIO_BOTH, "tcp_keepalive_time", "4", SETTING_TIMER},
            {SCENARIO_BOTH, "tcp_keepalive_intvl", "1", SETTING_TIMER},
            {SCENARIO_BOTH, "tcp_keepalive_probes", "2", SETTING_TIMER},
            {0}},
    .play = run_keepalive,
    .check = check_keepalive,
};
