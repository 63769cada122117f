/* The server's host comes back without its connections, or goes in good order. */
#include "scenario/crash.h"

/* ---- host-reboot-sending ---- */

static void run_sending(struct stage *stage)
{
    struct actor *client = stage_client(stage);

    crash_connected(stage);
    crash_happens(stage);
    stage_reboot(stage, LAB_SERVER);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(stage, "write", "ok", &reply, "0");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(stage, "read", "ECONNRESET", &reply, "EOF");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(stage, "read_again", "EOF", &reply, "EOF");
    reply = DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
    crash_call(stage, "write_again", "EPIPE", &reply, "0");
}

static void check_sending(struct stage *stage)
{
    stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C RST", NULL);
    stage_expect_states(stage, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSED", NULL);
}

const struct scenario crash_reboot_sending = {
    .name = "host-reboot-sending",
    .title = "the server's host crashes and boots again, and then the client sends",
    .book = "The host has lost all it knew of the connection and answers with RST; a client that "
            "is blocked in read gets ECONNRESET (section 5.15).",
    .here = "The same, a round trip after the write.",
    .settings = crash_no_haste,
    .run = run_sending,
    .check = check_sending,
};

/* ---- host-reboot-reading ---- */

static void run_reading(struct stage *stage)
{
    struct actor *client = stage_client(stage);
    struct schedule plan;

    crash_connected(stage);
    BEGIN(client, ACT_READ, .bytes = 100);
    crash_entered(stage, LAB_CLIENT, "read");
    crash_happens(stage);
    stage_reboot(stage, LAB_SERVER);
    schedule_send(&plan, &crash_facts(stage)->settings, NULL);
    stage_pass(stage, plan.failed_ns);
    crash_blocked(stage, "read", client);
    crash_no_timer(stage, LAB_CLIENT, 0, STAGE_PORT);
    struct act_socket left = stage_socket_of(stage, LAB_SERVER, STAGE_PORT, 0);
    stage_check_text(stage, "server_socket", "none", stage_state_name(left.state));
}

static void check_reading(struct stage *stage)
{
    stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
}

const struct scenario crash_reboot_reading = {
    .name = "host-reboot-reading",
    .title = "the server's host crashes and boots again while the client is blocked in read",
    .book = "If the client must learn of it without sending, it needs SO_KEEPALIVE or a heartbeat "
            "of its own (section 5.15).",
    .here = "The same: the host that is back could say RST, but nobody asks it. read waits for "
            "ever.",
    .settings = crash_few_retries,
    .run = run_reading,
    .check = check_reading,
};

/* ---- host-reboot-idle-keepalive ---- */

static void run_keepalive(struct stage *stage)
{
    struct crash_facts *facts = crash_facts(stage);
    struct actor *client = stage_client(stage);
    struct schedule plan;

    DO(client, ACT_OPTION, .text = "SO_KEEPALIVE=on");
    crash_connected(stage);
    BEGIN(client, ACT_READ, .bytes = 100);
    crash_entered(stage, LAB_CLIENT, "read");
    crash_happens(stage);
    stage_reboot(stage, LAB_SERVER);
    schedule_keepalive(&plan, &facts->settings, &facts->socket);
    crash_booted_in_time(stage);
    struct act_reply reply =
        crash_end(stage, client, plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS);
    crash_call(stage, "read", "ECONNRESET", &reply, "EOF");
    facts->returned_ns = reply.returned_ns;
}

static void check_keepalive(struct stage *stage)
{
    crash_check_keepalive(stage, false);
    stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S ACK", "S>C RST", NULL);
}

const struct scenario crash_reboot_keepalive = {
    .name = "host-reboot-idle-keepalive",
    .title = "the server's host crashes and boots again, with SO_KEEPALIVE set at the client",
    .book = "A probe draws an RST, and the pending error is ECONNRESET (section 7.5).",
    .here = "The same, at the first probe that finds the host up again: after two hours, unless "
            "tcp_keepalive_time or TCP_KEEPIDLE is lower.",
    .settings =
        (const struct scenario_setting[]){{SCENARIO_BOTH, "tcp_rto_min_us", "5000000", false, true},
                                          {SCENARIO_BOTH, "tcp_keepalive_time", "4", true, false},
                                          {SCENARIO_BOTH, "tcp_keepalive_intvl", "1", true, false},
                                          {SCENARIO_BOTH, "tcp_keepalive_probes", "2", true, false},
                                          {0}},
    .run = run_keepalive,
    .check = check_keepalive,
};
