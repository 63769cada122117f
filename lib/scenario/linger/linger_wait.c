/* TIME-WAIT: who gets it, how long it is, what it forbids; and closing at the same time. */
#include "scenario/linger/linger.h"

#include <poll.h>
#include <stdio.h>

static const struct scenario_setting wait_settings[] = {
    {SCENARIO_BOTH, "tcp_early_retrans", "0", 0},
    {SCENARIO_BOTH, "rto_min", "3000", SETTING_ROUTE},
    {SCENARIO_BOTH, "tcp_wmem", "4096 4194304 4194304", SETTING_OPTIONAL},
    {SCENARIO_BOTH, "tcp_tw_reuse", "0", 0},
    {SCENARIO_BOTH, "tcp_timestamps", "1", 0},
    {0}};

/* ---- time-wait ---- */

/* A connection from a socket with SO_REUSEADDR, which ends in TIME-WAIT, too. */
static uint16_t second_connection(struct linger_scene *s)
{
    DO(s->client, ACT_OPTION, .slot = 1, .text = "SO_REUSEADDR=on");
    testbed_connect(s->bed, s->client, 1, TESTBED_PORT, s->server, 0, 2);
    uint16_t port = linger_port(s->client, 1);
    DO(s->client, ACT_CLOSE, .slot = 1);
    linger_state(s->bed, LAB_CLIENT, port, TCP_FIN_WAIT2);
    DO(s->server, ACT_CLOSE, .slot = 2);
    linger_state(s->bed, LAB_CLIENT, port, TCP_TIME_WAIT);
    return port;
}

/* The kernel chooses the port of a connect, and has only that one. */
static void check_chosen_port(struct linger_scene *s)
{
    struct act act = {.verb = ACT_OPTION, .slot = 7};

    snprintf(act.text, sizeof act.text, "IP_LOCAL_PORT_RANGE=%u",
             (unsigned)s->port | (unsigned)s->port << 16);
    if (!agent_do(s->client, &act).rc) /* Linux 6.3 */
        CHECK(s->bed, "connect_without_bind", "EADDRNOTAVAIL", s->client, ACT_CONNECT, .slot = 7,
              .port = TESTBED_PORT);
}

/* Binding to the port of a socket without SO_REUSEADDR, and to that of one with it. */
static void check_ports(struct linger_scene *s, uint16_t reusable)
{
    struct testbed *bed = s->bed;
    struct agent *client = s->client;

    CHECK(bed, "bind", "EADDRINUSE", client, ACT_BIND, .slot = 2, .port = s->port);
    DO(client, ACT_OPTION, .slot = 3, .text = "SO_REUSEADDR=on");
    CHECK(bed, "bind_with_so_reuseaddr", "EADDRINUSE", client, ACT_BIND, .slot = 3,
          .port = s->port);
    CHECK(bed, "bind_if_the_old_one_had_it", "EADDRINUSE", client, ACT_BIND, .slot = 4,
          .port = reusable);
    DO(client, ACT_OPTION, .slot = 5, .text = "SO_REUSEADDR=on");
    CHECK(bed, "bind_if_both_have_it", "0", client, ACT_BIND, .slot = 5, .port = reusable);
    check_chosen_port(s);
    CHECK(bed, "connect_after_bind", "0", client, ACT_CONNECT, .slot = 5, .port = TESTBED_PORT);
    DO(client, ACT_CLOSE, .slot = 5);
    DO(client, ACT_OPTION, .slot = 6, .text = "SO_REUSEADDR=on");
    DO(client, ACT_BIND, .slot = 6, .port = reusable);
    CHECK(bed, "listen_after_bind", "0", client, ACT_LISTEN, .slot = 6, .number = 1);
}

static void check_whole_time(struct linger_scene *s, int64_t closed_ns)
{
    linger_wait_gone(s, 2 * LINGER_TIME_WAIT_NS);
    linger_check_time(s->bed, "time_wait_ns", &kernel_timers_defaults, LINGER_TIME_WAIT_NS,
                      clock_mono_ns() - closed_ns);
}

static void play_wait(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));

    linger_write(&s);
    struct act_reply call = DO(s.client, ACT_CLOSE);
    s.end = linger_read(s.server, 1);
    linger_state(bed, LAB_CLIENT, s.port, TCP_FIN_WAIT2);
    linger_finish(&s, TCP_TIME_WAIT);
    linger_check_ends(&s, TCP_TIME_WAIT, 0);
    linger_check_time_wait(&s, LAB_CLIENT);
    check_ports(&s, second_connection(&s));
    if (bed->request->real_time)
        check_whole_time(&s, call.entered_ns);
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_time_wait = {
    .name = "time-wait",
    .title = "who closes first gets TIME-WAIT: for 60 s, and what it forbids meanwhile",
    .book = "The end that closes first stays in TIME-WAIT for twice the maximum segment lifetime, "
            "1 to 4 minutes; a server that is restarted needs SO_REUSEADDR to bind its port "
            "(sections 2.7 and 7.5).",
    .here = "60 s, compiled in. bind fails with EADDRINUSE unless both the old socket and the new "
            "one have SO_REUSEADDR (an accepted socket has it from its listener). With it listen "
            "works, and so does connect to the same peer, where timestamps tell old segments "
            "apart: it replaces TIME-WAIT. A connect without bind skips such ports (EADDRNOTAVAIL "
            "when no other is left) unless tcp_tw_reuse allows them.",
    .differs = "Linux wants SO_REUSEADDR on the old socket, too, and lets a socket that is bound "
               "to the port connect again.",
    .settings = wait_settings,
    .play = play_wait,
};

/* ---- time-wait-reopened ---- */

#define NEW_BYTES 10

static void check_reopened(struct linger_scene *s)
{
    struct testbed *bed = s->bed;

    CHECK(bed, "bind_same_port", "0", s->client, ACT_BIND, .slot = 2, .port = s->port);
    CHECK(bed, "connect_again", "0", s->client, ACT_CONNECT, .slot = 2, .port = TESTBED_PORT);
    CHECK(bed, "accept", "0", s->server, ACT_ACCEPT, .other = 2, .timeout_ns = LINGER_PATIENCE_NS);
    DO(s->client, ACT_WRITE, .slot = 2, .bytes = NEW_BYTES);
    DO(s->server, ACT_POLL, .slot = 2, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    struct act_reply got = DO(s->server, ACT_READ, .slot = 2, .bytes = 100, .flags = MSG_DONTWAIT);
    testbed_check_integer(bed, "new_bytes", NEW_BYTES, got.bytes);
}

static void play_reopened(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));

    linger_write(&s);
    linger_read_bytes(&s);
    testbed_check_integer(bed, "delivered_bytes", s.bytes, s.end.bytes);
    DO(s.server, ACT_CLOSE, .slot = 1);
    linger_state(bed, LAB_SERVER, s.port, TCP_FIN_WAIT2);
    DO(s.client, ACT_CLOSE);
    s.server_end = linger_state(bed, LAB_SERVER, s.port, TCP_TIME_WAIT);
    s.client_end = linger_state(bed, LAB_CLIENT, s.port, 0);
    linger_check_ends(&s, 0, TCP_TIME_WAIT);
    linger_check_time_wait(&s, LAB_SERVER);
    check_reopened(&s);
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_time_wait_reopened = {
    .name = "time-wait-reopened",
    .title = "the server closes first and has TIME-WAIT: the same client port reconnects at once",
    .book = "A new SYN with a sequence number above those of the old connection may be accepted in "
            "TIME-WAIT (section 2.7, for Berkeley-derived systems).",
    .here = "The same, by sequence number or timestamp (RFC 6191): the new connection replaces "
            "TIME-WAIT, and connect does not notice. So TIME-WAIT hinders the side that connects "
            "from few ports, not a server.",
    .settings = wait_settings,
    .play = play_reopened,
    .flags = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C ACK", "S>C FIN,ACK", "C>S ACK", "C>S FIN,ACK",
                   "S>C ACK"),
};

/* ---- simultaneous-close ---- */

static void play_simultaneous(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));

    linger_write(&s);
    linger_read_bytes(&s);
    testbed_check_integer(bed, "delivered_bytes", s.bytes, s.end.bytes);
    int hold = testbed_fault(bed, "hold fin");
    CHECK(bed, "close", "0", s.client, ACT_CLOSE);
    linger_saw(&s, "c>s:fin");
    CHECK(bed, "close_of_the_peer", "0", s.server, ACT_CLOSE, .slot = 1);
    linger_saw(&s, "s>c:fin");
    testbed_release(bed, hold);
    s.client_end = linger_state(bed, LAB_CLIENT, s.port, TCP_TIME_WAIT);
    s.server_end = linger_state(bed, LAB_SERVER, s.port, TCP_TIME_WAIT);
    linger_check_ends(&s, TCP_TIME_WAIT, TCP_TIME_WAIT);
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_simultaneous_close = {
    .name = "simultaneous-close",
    .title = "both close before the other's FIN arrives: CLOSING, then TIME-WAIT on both sides",
    .book = "Both ends go from FIN-WAIT-1 to CLOSING and then to TIME-WAIT (sections 2.6 and 2.7).",
    .here = "The same.",
    .settings = wait_settings,
    .delay_ns = 10 * NS_PER_MS,
    .play = play_simultaneous,
    .flags_begin = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C FIN,ACK"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT"),
};
