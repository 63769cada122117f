/* TIME-WAIT: who gets it, how long it is, what it forbids; and closing at the same time. */
#include "scenario/linger.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>

#define TIME_WAIT_NS (60 * NS_PER_SEC) /* TCP_TIMEWAIT_LEN: compiled in */

static const struct scenario_setting wait_settings[] = {
    {SCENARIO_BOTH, "tcp_early_retrans", "0", false, false},
    {SCENARIO_BOTH, "tcp_rto_min_us", "3000000", false, true},
    {SCENARIO_BOTH, "tcp_wmem", "4096 4194304 4194304", false, true},
    {SCENARIO_BOTH, "tcp_tw_reuse", "0", false, false},
    {SCENARIO_BOTH, "tcp_timestamps", "1", false, false},
    {0}};

/* ---- time-wait ---- */

struct wait_facts {
    struct linger_facts common;
    struct act_reply plain, reuse, connect; /* with the port of a socket without SO_REUSEADDR … */
    struct act_reply plain2, reuse2, listen; /* … and of one with it */
    struct act_reply limited, chosen;        /* connect, where the kernel may choose only that */
    int64_t waited_ns;                       /* with --real-time */
};

/* A connection from a socket with SO_REUSEADDR, which ends in TIME-WAIT, too. */
static uint16_t second_connection(struct stage *stage)
{
    struct actor *client = stage_client(stage), *server = stage_server(stage);

    DO(client, ACT_OPTION, .slot = 1, .text = "SO_REUSEADDR=on");
    DO(client, ACT_CONNECT, .slot = 1, .port = STAGE_PORT);
    DO(server, ACT_ACCEPT, .other = 2, .timeout_ns = LINGER_PATIENCE_NS);
    uint16_t port = linger_port(client, 1);
    DO(client, ACT_CLOSE, .slot = 1);
    linger_state(stage, LAB_CLIENT, port, TCP_FIN_WAIT2);
    DO(server, ACT_CLOSE, .slot = 2);
    linger_state(stage, LAB_CLIENT, port, TCP_TIME_WAIT);
    return port;
}

static struct act_reply bind_again(struct actor *client, int slot, uint16_t port, bool reuse)
{
    if (reuse)
        DO(client, ACT_OPTION, .slot = slot, .text = "SO_REUSEADDR=on");
    struct act_reply bound = DO(client, ACT_BIND, .slot = slot, .port = port);
    return bound;
}

/* The kernel chooses the port of a connect, and has only that one. */
static void let_choose(struct stage *stage, struct wait_facts *facts, uint16_t port)
{
    struct act act = {.verb = ACT_OPTION, .slot = 7};
    struct actor *client = stage_client(stage);

    snprintf(act.text, sizeof act.text, "IP_LOCAL_PORT_RANGE=%u",
             (unsigned)port | (unsigned)port << 16);
    facts->limited = actor_do(client, &act);
    if (!facts->limited.rc)
        facts->chosen = DO(client, ACT_CONNECT, .slot = 7, .port = STAGE_PORT);
}

static void wait_it_out(struct stage *stage, struct wait_facts *facts)
{
    int64_t end_ns = clock_mono_ns() + 2 * TIME_WAIT_NS;

    while (stage_socket_of(stage, LAB_CLIENT, facts->common.port, STAGE_PORT).state &&
           clock_mono_ns() < end_ns && !stage_failed(stage))
        poll(NULL, 0, 10);
    facts->waited_ns = clock_mono_ns() - facts->common.call.entered_ns;
}

static void run_wait(struct stage *stage)
{
    struct wait_facts *facts =
        (struct wait_facts *)linger_begin(stage, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct actor *client = stage_client(stage);

    stage_from_here(stage);
    linger_write(stage, common);
    common->call = DO(client, ACT_CLOSE);
    common->before_ack = true;
    common->end = linger_read(stage_server(stage), 1);
    linger_state(stage, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    linger_finish(stage, common, TCP_TIME_WAIT);
    uint16_t second = second_connection(stage);
    facts->plain = bind_again(client, 2, common->port, false);
    facts->reuse = bind_again(client, 3, common->port, true);
    facts->plain2 = bind_again(client, 4, second, false);
    facts->reuse2 = bind_again(client, 5, second, true);
    let_choose(stage, facts, common->port);
    facts->connect = DO(client, ACT_CONNECT, .slot = 5, .port = STAGE_PORT);
    DO(client, ACT_CLOSE, .slot = 5);
    bind_again(client, 6, second, true);
    facts->listen = DO(client, ACT_LISTEN, .slot = 6, .number = 1);
    if (stage->request->real_time)
        wait_it_out(stage, facts);
}

static void check_wait(struct stage *stage)
{
    const struct wait_facts *facts = stage_facts(stage, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    stage_check_text(stage, "client_end", "TIME-WAIT", stage_state_name(common->client));
    stage_check_text(stage, "server_end", "none", stage_state_name(common->server));
    stage_expect_range(stage, "time_wait_left_ns", TIME_WAIT_NS - 5 * NS_PER_SEC, TIME_WAIT_NS);
    stage_observe_integer(stage, "time_wait_left_ns", common->time_wait_ns);
    stage_check_rc(stage, "bind", "EADDRINUSE", &facts->plain, "0");
    stage_check_rc(stage, "bind_with_so_reuseaddr", "EADDRINUSE", &facts->reuse, "0");
    stage_check_rc(stage, "bind_if_the_old_one_had_it", "EADDRINUSE", &facts->plain2, "0");
    stage_check_rc(stage, "bind_if_both_have_it", "0", &facts->reuse2, "0");
    if (!facts->limited.rc) /* Linux 6.3 */
        stage_check_rc(stage, "connect_without_bind", "EADDRNOTAVAIL", &facts->chosen, "0");
    stage_check_rc(stage, "connect_after_bind", "0", &facts->connect, "0");
    stage_check_rc(stage, "listen_after_bind", "0", &facts->listen, "0");
    if (stage->request->real_time) {
        const struct schedule_settings settings = schedule_defaults;
        linger_expect_time(stage, "time_wait_ns", &settings, TIME_WAIT_NS);
        stage_observe_integer(stage, "time_wait_ns", facts->waited_ns);
    }
    linger_summarise_facts(stage, common, "at once");
}

const struct scenario linger_time_wait = {
    .name = "time-wait",
    .title = "who closes first gets TIME-WAIT: 60 s, and what it forbids meanwhile",
    .book = "The end that closes first stays in TIME-WAIT for twice the maximum segment lifetime, "
            "1 to 4 minutes; a server that is started again needs SO_REUSEADDR to bind its port "
            "(sections 2.7 and 7.5).",
    .here = "60 s, compiled in. bind fails with EADDRINUSE unless both the old socket and the new "
            "one have SO_REUSEADDR (an accepted socket has it from its listener). With it listen "
            "works, and connect to the same peer too, where timestamps tell old segments apart: "
            "it takes the place of TIME-WAIT. A connect without bind passes over such ports "
            "(EADDRNOTAVAIL when no other is left) unless tcp_tw_reuse allows them.",
    .differs = "Linux asks for SO_REUSEADDR on the old socket too, and lets a socket that is "
               "bound to the port connect again.",
    .settings = wait_settings,
    .run = run_wait,
    .check = check_wait,
};

/* ---- time-wait-reopened ---- */

struct reopened_facts {
    struct linger_facts common;
    struct act_reply bound, connected, accepted, got;
    int before;
};

static void run_reopened(struct stage *stage)
{
    struct reopened_facts *facts =
        (struct reopened_facts *)linger_begin(stage, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct actor *client = stage_client(stage), *server = stage_server(stage);

    stage_from_here(stage);
    linger_write(stage, common);
    struct act_reply all = DO(server, ACT_READ_ALL, .slot = 1, .bytes = common->bytes);
    common->end = (struct linger_end){all.bytes, all.rc};
    DO(server, ACT_CLOSE, .slot = 1);
    linger_state(stage, LAB_SERVER, common->port, TCP_FIN_WAIT2);
    common->call = DO(client, ACT_CLOSE);
    common->before_ack = true;
    facts->before = linger_state(stage, LAB_SERVER, common->port, TCP_TIME_WAIT);
    common->client = linger_state(stage, LAB_CLIENT, common->port, 0);
    common->server = facts->before;
    common->time_wait_ns = linger_time_wait_left(stage, LAB_SERVER, common->port);
    facts->bound = DO(client, ACT_BIND, .slot = 2, .port = common->port);
    facts->connected = DO(client, ACT_CONNECT, .slot = 2, .port = STAGE_PORT);
    facts->accepted = DO(server, ACT_ACCEPT, .other = 2, .timeout_ns = LINGER_PATIENCE_NS);
    DO(client, ACT_WRITE, .slot = 2, .bytes = 10);
    DO(server, ACT_POLL, .slot = 2, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    facts->got = DO(server, ACT_READ, .slot = 2, .bytes = 100, .flags = MSG_DONTWAIT);
}

static void check_reopened(struct stage *stage)
{
    const struct reopened_facts *facts = stage_facts(stage, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    stage_check_integer(stage, "delivered_bytes", common->bytes, common->end.bytes);
    stage_check_text(stage, "client_end", "none", stage_state_name(common->client));
    stage_check_text(stage, "server_end", "TIME-WAIT", stage_state_name(facts->before));
    stage_expect_range(stage, "time_wait_left_ns", TIME_WAIT_NS - 5 * NS_PER_SEC, TIME_WAIT_NS);
    stage_observe_integer(stage, "time_wait_left_ns", common->time_wait_ns);
    stage_check_rc(stage, "bind_same_port", "0", &facts->bound, "0");
    stage_check_rc(stage, "connect_again", "0", &facts->connected, "0");
    stage_check_rc(stage, "accept", "0", &facts->accepted, "0");
    stage_check_integer(stage, "new_bytes", 10, facts->got.bytes);
    if (linger_is_small(common))
        stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK",
                           "S>C FIN,ACK", "C>S ACK", "C>S FIN,ACK", "S>C ACK", NULL);
    linger_summarise_facts(stage, common, "at once");
}

const struct scenario linger_time_wait_reopened = {
    .name = "time-wait-reopened",
    .title = "the server closes first and has TIME-WAIT: the same client port comes again at once",
    .book = "A new SYN with a sequence number above those of the old connection may be accepted in "
            "TIME-WAIT (section 2.7 says it for Berkeley-derived systems).",
    .here = "The same, by sequence number or timestamp (RFC 6191): the new connection takes the "
            "place of TIME-WAIT, and connect does not notice. So TIME-WAIT hinders the side that "
            "connects from few ports, and not a server.",
    .settings = wait_settings,
    .run = run_reopened,
    .check = check_reopened,
};

/* ---- simultaneous-close ---- */

struct both_facts {
    struct linger_facts common;
    struct act_reply other;
};

static void run_simultaneous(struct stage *stage)
{
    struct both_facts *facts =
        (struct both_facts *)linger_begin(stage, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct actor *client = stage_client(stage), *server = stage_server(stage);

    stage_from_here(stage);
    linger_write(stage, common);
    struct act_reply all = DO(server, ACT_READ_ALL, .slot = 1, .bytes = common->bytes);
    int hold = stage_fault(stage, "hold fin");
    common->call = DO(client, ACT_CLOSE);
    stage_saw(stage, "c>s:fin", LINGER_PATIENCE_NS);
    facts->other = DO(server, ACT_CLOSE, .slot = 1);
    stage_saw(stage, "s>c:fin", LINGER_PATIENCE_NS);
    stage_release(stage, hold);
    common->before_ack = true;
    common->end = (struct linger_end){all.bytes, all.rc};
    common->client = linger_state(stage, LAB_CLIENT, common->port, TCP_TIME_WAIT);
    common->server = linger_state(stage, LAB_SERVER, common->port, TCP_TIME_WAIT);
}

static void check_simultaneous(struct stage *stage)
{
    const struct both_facts *facts = stage_facts(stage, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    stage_check_rc(stage, "close", "0", &common->call, "0");
    stage_check_rc(stage, "close_of_the_peer", "0", &facts->other, "0");
    stage_check_text(stage, "client_end", "TIME-WAIT", stage_state_name(common->client));
    stage_check_text(stage, "server_end", "TIME-WAIT", stage_state_name(common->server));
    stage_check_integer(stage, "delivered_bytes", common->bytes, common->end.bytes);
    if (linger_is_small(common))
        stage_expect_flags_begin(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK",
                                 "S>C ACK", "C>S FIN,ACK", "S>C FIN,ACK", NULL);
    stage_expect_states(stage, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "CLOSING",
                        "TIME-WAIT", NULL);
    stage_expect_states(stage, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "CLOSING",
                        "TIME-WAIT", NULL);
    linger_summarise_facts(stage, common, "at once");
}

const struct scenario linger_simultaneous_close = {
    .name = "simultaneous-close",
    .title = "both close before the other's FIN comes: CLOSING, and TIME-WAIT at both",
    .book = "Both ends go from FIN-WAIT-1 to CLOSING and then to TIME-WAIT (sections 2.6 and 2.7).",
    .here = "The same.",
    .settings = wait_settings,
    .run = run_simultaneous,
    .check = check_simultaneous,
};
