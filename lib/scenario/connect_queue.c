/* What the listener makes of a handshake: a full queue, a queue that resets, one that waits for
 * data. */
#include "scenario/connect.h"

#include <netinet/in.h>
#include <poll.h>

/* ---- accept-queue-full ---- */

struct full_facts {
    struct connect_facts try;
    struct act_reply filler, accept;
    int64_t overflows;
    bool waits;
};

static void run_accept_queue_full(struct stage *stage)
{
    struct full_facts *facts = stage_facts(stage, sizeof *facts);
    struct actor *client = stage_client(stage), *server = stage_server(stage);
    struct actor *other = stage_actor(stage, LAB_CLIENT);

    /* The queue holds one more than the backlog says. */
    DO(server, ACT_LISTEN, .port = STAGE_PORT, .number = 0);
    facts->filler = DO(other, ACT_CONNECT, .port = STAGE_PORT);
    facts->try.settings = stage_settings(stage, LAB_CLIENT);
    facts->try.host = stage_host_settings(stage);
    stage_subject(stage, 2);
    stage_from_here(stage);
    BEGIN(client, ACT_CONNECT, .port = STAGE_PORT);
    stage_wait(stage, "delivered c>s:syn#2");
    facts->waits = actor_busy(client);
    facts->overflows = stage_counter(stage, LAB_SERVER, "TcpExt ListenOverflows");
    facts->accept = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = STAGE_LIMIT_NS);
    facts->try.connect = actor_end(client, ACT_LIMIT_NS);
}

static void check_accept_queue_full(struct stage *stage)
{
    const struct full_facts *facts = stage_facts(stage, sizeof *facts);
    struct schedule plan, host;

    schedule_connect(&plan, &facts->try.settings, NULL);
    schedule_connect(&host, &facts->try.host, NULL);
    int64_t took_ns = facts->try.connect.returned_ns - facts->try.connect.entered_ns;
    connect_summary(stage, &facts->try.connect);
    stage_check_rc(stage, "first_connect", "0", &facts->filler, "0");
    stage_check_bool(stage, "connect_waits", true, facts->waits);
    stage_check_integer(stage, "listen_overflows", 2, facts->overflows);
    stage_check_rc(stage, "connect_after_an_accept", "0", &facts->try.connect, "0");
    stage_expect_flags(stage, "C>S SYN", "C>S SYN", "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    stage_expect_time(stage, "took_ns", &facts->try.settings, plan.sent_ns[2]);
    stage_observe_integer(stage, "took_ns", took_ns);
    for (size_t i = 1; i < plan.sent_count; i++)
        stage_timing(stage, arena_printf(stage->arena, "SYN %zu is answered", i + 1),
                     plan.sent_ns[i], i == 2 ? took_ns : RESULT_UNKNOWN,
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
    .run = run_accept_queue_full,
    .check = check_accept_queue_full,
};

/* ---- reset-late ---- */

#define FILLERS 3 /* with a backlog of 2 the queue is full then */

struct reset_facts {
    struct act_reply fillers[FILLERS], connect, readable, read;
    int64_t queued;
};

static const struct scenario_setting abort_settings[] = {
    {SCENARIO_SERVER, "tcp_abort_on_overflow", "1", false, false},
    {SCENARIO_SERVER, "tcp_syncookies", "0", false, true},
    {SCENARIO_CLIENT, "tcp_syn_retries", "2", true, false},
    {SCENARIO_CLIENT, "tcp_syn_linear_timeouts", "1", true, true},
    {0}};

/* The last two handshakes find room when they begin, and one place is left when they end. */
static void run_reset_late(struct stage *stage)
{
    struct reset_facts *facts = stage_facts(stage, sizeof *facts);
    struct actor *client = stage_client(stage), *server = stage_server(stage);
    struct actor *other = stage_actor(stage, LAB_CLIENT);
    int held = 0;

    DO(server, ACT_LISTEN, .port = STAGE_PORT, .number = FILLERS - 1);
    stage_subject(stage, FILLERS + 1);
    for (int i = 0; i < FILLERS; i++) {
        if (i == FILLERS - 1) {
            stage_wait(stage, arena_printf(stage->arena, "delivered c>s:ack#%d", i));
            held = stage_fault(stage, "hold ack dir c>s");
        }
        facts->fillers[i] = DO(other, ACT_CONNECT, .slot = i, .port = STAGE_PORT);
    }
    facts->connect = DO(client, ACT_CONNECT, .port = STAGE_PORT);
    stage_wait(stage, arena_printf(stage->arena, "seen c>s:ack#%d", FILLERS + 1));
    stage_release(stage, held);
    facts->readable = DO(client, ACT_POLL, .number = POLLIN, .timeout_ns = 4 * NS_PER_SEC);
    if (facts->readable.rc > 0)
        facts->read = DO(client, ACT_READ, .bytes = 10);
    facts->queued = DO(server, ACT_BACKLOG).rc;
}

static void check_reset_late(struct stage *stage)
{
    const struct reset_facts *facts = stage_facts(stage, sizeof *facts);

    connect_summary(stage, &facts->connect);
    stage_check_rc(stage, "connect", "0", &facts->connect, "0");
    stage_check_bool(stage, "readable", true, facts->readable.rc > 0);
    stage_check_rc(stage, "read", "ECONNRESET", &facts->read, "EOF");
    stage_check_integer(stage, "accept_queue", FILLERS, facts->queued);
    stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C RST", NULL);
    stage_expect_states(stage, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSED", NULL);
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
    .run = run_reset_late,
    .check = check_reset_late,
};

/* ---- deferred-accept ---- */

struct deferred_facts {
    struct schedule_settings server;
    struct act_reply connect, early, accept, readable;
    struct act_reply silent_connect, silent_accept;
    int64_t dropped;
};

static void run_deferred_accept(struct stage *stage)
{
    struct deferred_facts *facts = stage_facts(stage, sizeof *facts);
    struct actor *client = stage_client(stage), *server = stage_server(stage);

    facts->server = stage_settings(stage, LAB_SERVER);
    DO(server, ACT_OPTION, .text = "TCP_DEFER_ACCEPT=1s");
    DO(server, ACT_LISTEN, .port = STAGE_PORT, .number = 16);
    facts->connect = DO(client, ACT_CONNECT, .port = STAGE_PORT);
    stage_wait(stage, "delivered c>s:ack");
    facts->early = DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = 0);
    facts->dropped = stage_counter(stage, LAB_SERVER, "TcpExt TCPDeferAcceptDrop");
    DO(client, ACT_WRITE, .bytes = 10);
    facts->accept = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = 4 * NS_PER_SEC);
    facts->readable = DO(server, ACT_POLL, .slot = 1, .number = POLLIN, .timeout_ns = 0);
    facts->silent_connect = DO(client, ACT_CONNECT, .slot = 1, .port = STAGE_PORT);
    facts->silent_accept = DO(server, ACT_ACCEPT, .other = 2, .timeout_ns = 8 * NS_PER_SEC);
}

static void check_deferred_accept(struct stage *stage)
{
    const struct deferred_facts *facts = stage_facts(stage, sizeof *facts);
    struct schedule plan;

    schedule_accept(&plan, &facts->server);
    connect_summary(stage, &facts->connect);
    stage_check_rc(stage, "connect", "0", &facts->connect, "0");
    stage_check_integer(stage, "acceptable_before_data", 0, facts->early.rc);
    stage_check_integer(stage, "acks_put_off", 1, facts->dropped);
    stage_check_rc(stage, "accept_after_data", "0", &facts->accept, "0");
    stage_check_bool(stage, "readable_when_accepted", true, facts->readable.rc > 0);
    stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK", NULL);
    stage_check_rc(stage, "silent_connect", "0", &facts->silent_connect, "0");
    stage_check_rc(stage, "silent_accept", "0", &facts->silent_accept, "0");
    stage_expect_time(stage, "silent_accept_after_ns", &facts->server, plan.sent_ns[1]);
    stage_observe_integer(stage, "silent_accept_after_ns",
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
    .run = run_deferred_accept,
    .check = check_deferred_accept,
};
