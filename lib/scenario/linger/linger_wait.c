/* TIME-WAIT: who gets it, how long it is, what it forbids; and closing at the same time. */
#include "scenario/linger/linger.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>

#define TIME_WAIT_NS (60 * NS_PER_SEC) /* TCP_TIMEWAIT_LEN: compiled in */

static const struct scenario_setting wait_settings[] = {
    {SCENARIO_BOTH, "tcp_early_retrans", "0", 0},
    {SCENARIO_BOTH, "tcp_rto_min_us", "3000000", SETTING_OPTIONAL},
    {SCENARIO_BOTH, "tcp_wmem", "4096 4194304 4194304", SETTING_OPTIONAL},
    {SCENARIO_BOTH, "tcp_tw_reuse", "0", 0},
    {SCENARIO_BOTH, "tcp_timestamps", "1", 0},
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
static uint16_t second_connection(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(client, ACT_OPTION, .slot = 1, .text = "SO_REUSEADDR=on");
    DO(client, ACT_CONNECT, .slot = 1, .port = TESTBED_PORT);
    DO(server, ACT_ACCEPT, .other = 2, .timeout_ns = LINGER_PATIENCE_NS);
    uint16_t port = linger_port(client, 1);
    DO(client, ACT_CLOSE, .slot = 1);
    linger_state(bed, LAB_CLIENT, port, TCP_FIN_WAIT2);
    DO(server, ACT_CLOSE, .slot = 2);
    linger_state(bed, LAB_CLIENT, port, TCP_TIME_WAIT);
    return port;
}

static struct act_reply bind_again(struct agent *client, int slot, uint16_t port, bool reuse)
{
    if (reuse)
        DO(client, ACT_OPTION, .slot = slot, .text = "SO_REUSEADDR=on");
    struct act_reply bound = DO(client, ACT_BIND, .slot = slot, .port = port);
    return bound;
}

/* The kernel chooses the port of a connect, and has only that one. */
static void let_choose(struct testbed *bed, struct wait_facts *facts, uint16_t port)
{
    struct act act = {.verb = ACT_OPTION, .slot = 7};
    struct agent *client = testbed_client(bed);

    snprintf(act.text, sizeof act.text, "IP_LOCAL_PORT_RANGE=%u",
             (unsigned)port | (unsigned)port << 16);
    facts->limited = agent_do(client, &act);
    if (!facts->limited.rc)
        facts->chosen = DO(client, ACT_CONNECT, .slot = 7, .port = TESTBED_PORT);
}

static void wait_it_out(struct testbed *bed, struct wait_facts *facts)
{
    int64_t end_ns = clock_mono_ns() + 2 * TIME_WAIT_NS;

    while (testbed_socket_of(bed, LAB_CLIENT, facts->common.port, TESTBED_PORT).state &&
           clock_mono_ns() < end_ns && !testbed_failed(bed))
        poll(NULL, 0, 10);
    facts->waited_ns = clock_mono_ns() - facts->common.call.entered_ns;
}

static void run_wait(struct testbed *bed)
{
    struct wait_facts *facts = (struct wait_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed);

    testbed_from_here(bed);
    linger_write(bed, common);
    common->call = DO(client, ACT_CLOSE);
    common->before_ack = true;
    common->end = linger_read(testbed_server(bed), 1);
    linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    linger_finish(bed, common, TCP_TIME_WAIT);
    uint16_t second = second_connection(bed);
    facts->plain = bind_again(client, 2, common->port, false);
    facts->reuse = bind_again(client, 3, common->port, true);
    facts->plain2 = bind_again(client, 4, second, false);
    facts->reuse2 = bind_again(client, 5, second, true);
    let_choose(bed, facts, common->port);
    facts->connect = DO(client, ACT_CONNECT, .slot = 5, .port = TESTBED_PORT);
    DO(client, ACT_CLOSE, .slot = 5);
    bind_again(client, 6, second, true);
    facts->listen = DO(client, ACT_LISTEN, .slot = 6, .number = 1);
    if (bed->request->real_time)
        wait_it_out(bed, facts);
}

static void check_wait(struct testbed *bed)
{
    const struct wait_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_text(bed, "client_end", "TIME-WAIT", testbed_state_name(common->client));
    testbed_check_text(bed, "server_end", "none", testbed_state_name(common->server));
    testbed_expect_range(bed, "time_wait_left_ns", TIME_WAIT_NS - 5 * NS_PER_SEC, TIME_WAIT_NS);
    testbed_observe_integer(bed, "time_wait_left_ns", common->time_wait_ns);
    testbed_check_rc(bed, "bind", "EADDRINUSE", &facts->plain, "0");
    testbed_check_rc(bed, "bind_with_so_reuseaddr", "EADDRINUSE", &facts->reuse, "0");
    testbed_check_rc(bed, "bind_if_the_old_one_had_it", "EADDRINUSE", &facts->plain2, "0");
    testbed_check_rc(bed, "bind_if_both_have_it", "0", &facts->reuse2, "0");
    if (!facts->limited.rc) /* Linux 6.3 */
        testbed_check_rc(bed, "connect_without_bind", "EADDRNOTAVAIL", &facts->chosen, "0");
    testbed_check_rc(bed, "connect_after_bind", "0", &facts->connect, "0");
    testbed_check_rc(bed, "listen_after_bind", "0", &facts->listen, "0");
    if (bed->request->real_time) {
        const struct kernel_timers_settings settings = kernel_timers_defaults;
        linger_expect_time(bed, "time_wait_ns", &settings, TIME_WAIT_NS);
        testbed_observe_integer(bed, "time_wait_ns", facts->waited_ns);
    }
    linger_summarise_facts(bed, common, "at once");
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
    .play = run_wait,
    .check = check_wait,
};

/* ---- time-wait-reopened ---- */

struct reopened_facts {
    struct linger_facts common;
    struct act_reply bound, connected, accepted, got;
    int before;
};

static void run_reopened(struct testbed *bed)
{
    struct reopened_facts *facts =
        (struct reopened_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    testbed_from_here(bed);
    linger_write(bed, common);
    struct act_reply all = DO(server, ACT_READ_ALL, .slot = 1, .bytes = common->bytes);
    common->end = (struct linger_end){all.bytes, all.rc};
    DO(server, ACT_CLOSE, .slot = 1);
    linger_state(bed, LAB_SERVER, common->port, TCP_FIN_WAIT2);
    common->call = DO(client, ACT_CLOSE);
    common->before_ack = true;
    facts->before = linger_state(bed, LAB_SERVER, common->port, TCP_TIME_WAIT);
    common->client = linger_state(bed, LAB_CLIENT, common->port, 0);
    common->server = facts->before;
    common->time_wait_ns = linger_time_wait_left(bed, LAB_SERVER, common->port);
    facts->bound = DO(client, ACT_BIND, .slot = 2, .port = common->port);
    facts->connected = DO(client, ACT_CONNECT, .slot = 2, .port = TESTBED_PORT);
    facts->accepted = DO(server, ACT_ACCEPT, .other = 2, .timeout_ns = LINGER_PATIENCE_NS);
    DO(client, ACT_WRITE, .slot = 2, .bytes = 10);
    DO(server, ACT_POLL, .slot = 2, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    facts->got = DO(server, ACT_READ, .slot = 2, .bytes = 100, .flags = MSG_DONTWAIT);
}

static void check_reopened(struct testbed *bed)
{
    const struct reopened_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    testbed_check_text(bed, "client_end", "none", testbed_state_name(common->client));
    testbed_check_text(bed, "server_end", "TIME-WAIT", testbed_state_name(facts->before));
    testbed_expect_range(bed, "time_wait_left_ns", TIME_WAIT_NS - 5 * NS_PER_SEC, TIME_WAIT_NS);
    testbed_observe_integer(bed, "time_wait_left_ns", common->time_wait_ns);
    testbed_check_rc(bed, "bind_same_port", "0", &facts->bound, "0");
    testbed_check_rc(bed, "connect_again", "0", &facts->connected, "0");
    testbed_check_rc(bed, "accept", "0", &facts->accepted, "0");
    testbed_check_integer(bed, "new_bytes", 10, facts->got.bytes);
    if (linger_is_small(common))
        testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK",
                             "S>C FIN,ACK", "C>S ACK", "C>S FIN,ACK", "S>C ACK", NULL);
    linger_summarise_facts(bed, common, "at once");
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
    .play = run_reopened,
    .check = check_reopened,
};

/* ---- simultaneous-close ---- */

struct both_facts {
    struct linger_facts common;
    struct act_reply other;
};

static void run_simultaneous(struct testbed *bed)
{
    struct both_facts *facts = (struct both_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    testbed_from_here(bed);
    linger_write(bed, common);
    struct act_reply all = DO(server, ACT_READ_ALL, .slot = 1, .bytes = common->bytes);
    int hold = testbed_fault(bed, "hold fin");
    common->call = DO(client, ACT_CLOSE);
    testbed_saw(bed, "c>s:fin", LINGER_PATIENCE_NS);
    facts->other = DO(server, ACT_CLOSE, .slot = 1);
    testbed_saw(bed, "s>c:fin", LINGER_PATIENCE_NS);
    testbed_release(bed, hold);
    common->before_ack = true;
    common->end = (struct linger_end){all.bytes, all.rc};
    common->client = linger_state(bed, LAB_CLIENT, common->port, TCP_TIME_WAIT);
    common->server = linger_state(bed, LAB_SERVER, common->port, TCP_TIME_WAIT);
}

static void check_simultaneous(struct testbed *bed)
{
    const struct both_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "close", "0", &common->call, "0");
    testbed_check_rc(bed, "close_of_the_peer", "0", &facts->other, "0");
    testbed_check_text(bed, "client_end", "TIME-WAIT", testbed_state_name(common->client));
    testbed_check_text(bed, "server_end", "TIME-WAIT", testbed_state_name(common->server));
    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    if (linger_is_small(common))
        testbed_expect_flags_begin(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK",
                                   "S>C ACK", "C>S FIN,ACK", "S>C FIN,ACK", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "CLOSING",
                          "TIME-WAIT", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "CLOSING",
                          "TIME-WAIT", NULL);
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_simultaneous_close = {
    .name = "simultaneous-close",
    .title = "both close before the other's FIN comes: CLOSING, and TIME-WAIT at both",
    .book = "Both ends go from FIN-WAIT-1 to CLOSING and then to TIME-WAIT (sections 2.6 and 2.7).",
    .here = "The same.",
    .settings = wait_settings,
    .play = run_simultaneous,
    .check = check_simultaneous,
};
