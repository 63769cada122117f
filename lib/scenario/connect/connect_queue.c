/* What the listener makes of a handshake: a full queue, a queue that resets, one that waits for
 * data. */
#include "scenario/connect/connect.h"

#include <netinet/in.h>
#include <poll.h>

/* ---- accept-queue-full ---- */

struct full_facts {
    struct connect_facts try;
    struct act_reply filler, accept;
    int64_t overflows;
    bool waits;
};

static void run_accept_queue_full(struct testbed *bed)
{
    struct full_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct agent *other = testbed_actor(bed, LAB_CLIENT);

    /* The queue holds one more than the backlog says. */
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 0);
    facts->filler = DO(other, ACT_CONNECT, .port = TESTBED_PORT);
    facts->try.settings = testbed_settings(bed, LAB_CLIENT);
    facts->try.host = testbed_host_settings(bed);
    testbed_subject(bed, 2);
    testbed_from_here(bed);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "delivered c>s:syn#2");
    facts->waits = agent_busy(client);
    facts->overflows = testbed_counter(bed, LAB_SERVER, "TcpExt ListenOverflows");
    facts->accept = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = TESTBED_LIMIT_NS);
    facts->try.connect = agent_end(client, ACT_LIMIT_NS);
}

static void check_accept_queue_full(struct testbed *bed)
{
    const struct full_facts *facts = testbed_facts(bed, sizeof *facts);
    struct kernel_timers plan, host;

    kernel_timers_connect(&plan, &facts->try.settings, NULL);
    kernel_timers_connect(&host, &facts->try.host, NULL);
    int64_t took_ns = facts->try.connect.returned_ns - facts->try.connect.entered_ns;
    connect_summary(bed, &facts->try.connect);
    testbed_check_rc(bed, "first_connect", "0", &facts->filler, "0");
    testbed_check_bool(bed, "connect_waits", true, facts->waits);
    testbed_check_integer(bed, "listen_overflows", 2, facts->overflows);
    testbed_check_rc(bed, "connect_after_an_accept", "0", &facts->try.connect, "0");
    testbed_expect_flags(bed, "C>S SYN", "C>S SYN", "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_time(bed, "took_ns", &facts->try.settings, plan.sent_ns[2]);
    testbed_observe_integer(bed, "took_ns", took_ns);
    for (size_t i = 1; i < plan.sent_count; i++)
        testbed_timing(bed, arena_printf(bed->arena, "SYN %zu is answered", i + 1), plan.sent_ns[i],
                       i == 2 ? took_ns : RESULT_UNKNOWN,
                       i < host.sent_count ? host.sent_ns[i] : RESULT_UNKNOWN);
}

const struct scenario connect_accept_queue_full = {
    .name = "accept-queue-full",
    .title = "the listener's queue is full: SYNs are dropped until somebody accepts",
    .book = "A SYN that finds the queues full is ignored: no RST, because the condition is "
            "temporary, and the client's next SYN may find room (section 4.5).",
    .here =
        "The same, since 4.10: to the client it looks like a filter that drops, until an accept "
        "makes room; then the next SYN of the schedule is answered. The server counts it "
        "(ListenOverflows); tcp_abort_on_overflow changes nothing about it.",
    .settings = connect_few_retries,
    .play = run_accept_queue_full,
    .check = check_accept_queue_full,
};

/* ---- reset-late ---- */

#define FILLERS 3 /* with a backlog of 2 the queue is full then */

struct reset_facts {
    struct act_reply fillers[FILLERS], connect, readable, read;
    int64_t queued;
};

static const struct scenario_setting abort_settings[] = {
    {SCENARIO_SERVER, "tcp_abort_on_overflow", "1", 0},
    {SCENARIO_SERVER, "tcp_syncookies", "0", SETTING_OPTIONAL},
    {SCENARIO_CLIENT, "tcp_syn_retries", "2", SETTING_TIMER},
    {SCENARIO_CLIENT, "tcp_syn_linear_timeouts", "1", SETTING_TIMER | SETTING_OPTIONAL},
    {0}};

/* The last two handshakes find room when they begin, and one place is left when they end. */
static void run_reset_late(struct testbed *bed)
{
    struct reset_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct agent *other = testbed_actor(bed, LAB_CLIENT);
    int held = 0;

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = FILLERS - 1);
    testbed_subject(bed, FILLERS + 1);
    for (int i = 0; i < FILLERS; i++) {
        if (i == FILLERS - 1) {
            testbed_wait(bed, arena_printf(bed->arena, "delivered c>s:ack#%d", i));
            held = testbed_fault(bed, "hold ack dir c>s");
        }
        facts->fillers[i] = DO(other, ACT_CONNECT, .slot = i, .port = TESTBED_PORT);
    }
    facts->connect = DO(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, arena_printf(bed->arena, "seen c>s:ack#%d", FILLERS + 1));
    testbed_release(bed, held);
    facts->readable = DO(client, ACT_POLL, .number = POLLIN, .timeout_ns = 4 * NS_PER_SEC);
    if (facts->readable.rc > 0)
        facts->read = DO(client, ACT_READ, .bytes = 10);
    facts->queued = DO(server, ACT_BACKLOG).rc;
}

static void check_reset_late(struct testbed *bed)
{
    const struct reset_facts *facts = testbed_facts(bed, sizeof *facts);

    connect_summary(bed, &facts->connect);
    testbed_check_rc(bed, "connect", "0", &facts->connect, "0");
    testbed_check_bool(bed, "readable", true, facts->readable.rc > 0);
    testbed_check_rc(bed, "read", "ECONNRESET", &facts->read, "EOF");
    testbed_check_integer(bed, "accept_queue", FILLERS, facts->queued);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C RST", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSED", NULL);
}

const struct scenario connect_reset_late = {
    .name = "reset-late",
    .title = "connect succeeds, and the RST comes after it: the queue filled up meanwhile",
    .book = "A full queue must not answer with RST: the client could not tell it from a port where "
            "nobody listens (section 4.5).",
    .here =
        "With tcp_abort_on_overflow the handshake's last ACK is answered with RST when it finds "
        "the accept queue full: connect has returned 0, and the first read gives ECONNRESET. "
        "Proxies that accept first and connect later look the same from outside. Without the "
        "setting the ACK is ignored, and the server's SYN,ACK is sent again.",
    .differs = "The setting makes Linux do what the book warns of; it is off unless somebody sets "
               "it.",
    .settings = abort_settings,
    .play = run_reset_late,
    .check = check_reset_late,
};

/* ---- deferred-accept ---- */

struct deferred_facts {
    struct kernel_timers_settings server;
    struct act_reply connect, early, accept, readable;
    struct act_reply silent_connect, silent_accept;
    int64_t dropped;
};

static void run_deferred_accept(struct testbed *bed)
{
    struct deferred_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->server = testbed_settings(bed, LAB_SERVER);
    DO(server, ACT_OPTION, .text = "TCP_DEFER_ACCEPT=1s");
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    facts->connect = DO(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "delivered c>s:ack");
    facts->early = DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = 0);
    facts->dropped = testbed_counter(bed, LAB_SERVER, "TcpExt TCPDeferAcceptDrop");
    DO(client, ACT_WRITE, .bytes = 10);
    facts->accept = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = 4 * NS_PER_SEC);
    facts->readable = DO(server, ACT_POLL, .slot = 1, .number = POLLIN, .timeout_ns = 0);
    facts->silent_connect = DO(client, ACT_CONNECT, .slot = 1, .port = TESTBED_PORT);
    facts->silent_accept = DO(server, ACT_ACCEPT, .other = 2, .timeout_ns = 8 * NS_PER_SEC);
}

static void check_deferred_accept(struct testbed *bed)
{
    const struct deferred_facts *facts = testbed_facts(bed, sizeof *facts);
    struct kernel_timers plan;

    kernel_timers_accept(&plan, &facts->server);
    connect_summary(bed, &facts->connect);
    testbed_check_rc(bed, "connect", "0", &facts->connect, "0");
    testbed_check_integer(bed, "acceptable_before_data", 0, facts->early.rc);
    testbed_check_integer(bed, "acks_put_off", 1, facts->dropped);
    testbed_check_rc(bed, "accept_after_data", "0", &facts->accept, "0");
    testbed_check_bool(bed, "readable_when_accepted", true, facts->readable.rc > 0);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK", NULL);
    testbed_check_rc(bed, "silent_connect", "0", &facts->silent_connect, "0");
    testbed_check_rc(bed, "silent_accept", "0", &facts->silent_accept, "0");
    testbed_expect_time(bed, "silent_accept_after_ns", &facts->server, plan.sent_ns[1]);
    testbed_observe_integer(bed, "silent_accept_after_ns",
                            facts->silent_accept.returned_ns - facts->silent_connect.returned_ns);
}

const struct scenario connect_deferred_accept = {
    .name = "deferred-accept",
    .title =
        "TCP_DEFER_ACCEPT: connected for the client, half-open for the server until data comes",
    .here = "The server ignores the handshake's last ACK and stays in SYN-RECEIVED until the first "
            "data, so that accept always finds something to read. A client that says nothing is "
            "handed over when the time is up (1 s here): the SYN,ACK is sent again, and this time "
            "its ACK counts. Who waits for the server's greeting waits that long.",
    .settings = connect_few_retries,
    .play = run_deferred_accept,
    .check = check_deferred_accept,
};
