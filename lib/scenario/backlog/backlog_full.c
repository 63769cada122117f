/* A full accept queue: what becomes of the SYN that meets it, and of the last ACK. */
#include "scenario/backlog/backlog.h"

#include "scenario/connect/connect.h"
#include <errno.h>

/* ---- accept-queue-full ---- */

#define FULL_BACKLOG 2
#define FULL_QUEUED  3 /* backlog + 1 */
#define FULL_SUBJECT (FULL_QUEUED + 1)

/* connect returned when the third SYN of the schedule had been answered, and no sooner. */
static void judge_third_syn(struct testbed *bed, const struct connect_attempt *planned,
                            const struct act_reply *connect)
{
    const struct kernel_timers *plan = &planned->plan;
    int64_t took_ns = connect->returned_ns - connect->entered_ns, syn_ns[8];
    size_t syns = testbed_times(bed, "syn", LAB_FROM_CLIENT, syn_ns, 8);

    testbed_check_time(bed, "third_syn_ns", &planned->settings, plan->sent_ns[2],
                       syns >= 3 ? syn_ns[2] - syn_ns[0] : RESULT_UNKNOWN);
    testbed_check_bool(bed, "connect_returns_after_it", true,
                       took_ns >= plan->sent_ns[2] - 2 * planned->settings.tick_ns);
    testbed_observe(bed, INTEGER("connect_took_ns", took_ns));
    testbed_timing(bed, "connect returns", plan->sent_ns[2], took_ns, planned->host.sent_ns[2]);
}

static void play_accept_queue_full(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct connect_attempt planned = connect_plan(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = FULL_BACKLOG);
    backlog_look(bed, TESTBED_PORT, "listening");
    backlog_fill(bed, TESTBED_PORT, 1, FULL_QUEUED);
    const struct backlog_sample *full = backlog_look(bed, TESTBED_PORT, "full");

    /* The third SYN waits until there is room, so that it is the first that finds any. */
    int held = testbed_fault(bed, "hold syn dir c>s nth 3");
    testbed_subject(bed, FULL_SUBJECT);
    testbed_from_here(bed);
    BEGIN(client, ACT_CONNECT, .slot = FULL_SUBJECT, .port = TESTBED_PORT);
    while (agent_busy(client) && !testbed_failed(bed) &&
           !testbed_saw(bed, "delivered c>s:syn#2", 100 * NS_PER_MS))
        ;
    testbed_check_bool(bed, "connect_waits", true, agent_busy(client));
    const struct backlog_sample *after = backlog_look(bed, TESTBED_PORT, "two SYNs dropped");
    testbed_check_integer(bed, "half_open", 0, after->server.states[TCP_SYN_RECV]);
    backlog_check_rise(bed, "overflows", 2, full, after, BACKLOG_OVERFLOWS);
    backlog_check_rise(bed, "drops", 2, full, after, BACKLOG_DROPS);

    int accepted = backlog_accept(bed, server, 0, 1, 1);
    backlog_look(bed, TESTBED_PORT, "one accepted");
    testbed_unfault(bed, held);
    struct act_reply connect = agent_end(client, TESTBED_LIMIT_NS);
    testbed_check_rc(bed, "connect", "0", &connect, "0");
    backlog_give_up_if(bed, connect.rc != 0);
    backlog_await_queue(bed, TESTBED_PORT, FULL_QUEUED);
    backlog_look(bed, TESTBED_PORT, "third SYN in");
    accepted += backlog_accept(bed, server, 0, 2, FULL_QUEUED);
    testbed_check_integer(bed, "accepted", FULL_SUBJECT, accepted);
    backlog_look(bed, TESTBED_PORT, "all accepted");
    backlog_tables(bed, "0, 3, 3, 2, 3, 0");
    testbed_finish(bed);
    judge_third_syn(bed, &planned, &connect);
    connect_summary(bed, &connect);
}

const struct scenario backlog_accept_queue_full = {
    .name = "accept-queue-full",
    .title = "the server accepts too slowly: SYNs are dropped, and connect takes seconds",
    .book = "A SYN that finds the queues full is ignored, and no RST is sent: the condition is "
            "considered temporary, and the client's TCP sends its SYN again (section 4.5).",
    .here = "The same, since Linux 4.10: nothing is kept of the SYN, ListenOverflows and "
            "ListenDrops rise by one each, and the client waits in SYN-SENT, as it would behind a "
            "filter that drops. When the server accepts again, the next SYN gets through, so "
            "connect takes 1 s or 3 s (1, 2, 3 or 4 s with tcp_syn_linear_timeouts) although the "
            "server was busy for only milliseconds. tcp_abort_on_overflow changes nothing here.",
    .settings = backlog_settings,
    .flags = FLAGS("C>S SYN", "C>S SYN", HANDSHAKE),
    .client_states = STATES("SYN-SENT", "ESTABLISHED"),
    .play = play_accept_queue_full,
};

/* ---- The last ACK meets a full queue ---- */

/* As many connections are queued as the backlog says, and two handshakes wait for their last ACK,
 * which the wire holds; the first of them to arrive fills the queue, the other is the subject. Some
 * kernels allow no more half-open ones than the backlog. Returns how it was before the ACKs
 * arrived, and the subject's connect. */
#define ACK_BACKLOG 2
#define ACK_SUBJECT (ACK_BACKLOG + 2)

static const struct backlog_sample *meet_full_queue(struct testbed *bed, struct act_reply *connect)
{
    struct agent *client = testbed_client(bed);

    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = ACK_BACKLOG);
    backlog_look(bed, TESTBED_PORT, "listening");
    testbed_subject(bed, ACK_SUBJECT);
    backlog_fill(bed, TESTBED_PORT, 1, ACK_BACKLOG);
    int held = testbed_fault(bed, "hold ack dir c>s");
    DO(client, ACT_CONNECT, .slot = ACK_BACKLOG + 1, .port = TESTBED_PORT);
    *connect = DO(client, ACT_CONNECT, .slot = ACK_SUBJECT, .port = TESTBED_PORT);
    testbed_check_rc(bed, "connect", "0", connect, "0");
    backlog_await_half_open(bed, TESTBED_PORT, 2);
    const struct backlog_sample *before = backlog_look(bed, TESTBED_PORT, "two ACKs held");
    testbed_check_integer(bed, "half_open_before", 2, before->server.states[TCP_SYN_RECV]);
    testbed_from_here(bed);
    testbed_unfault(bed, held);
    backlog_await_queue(bed, TESTBED_PORT, ACK_BACKLOG + 1);
    return before;
}

/* ---- full-with-abort, reset-late ---- */

static void play_full_with_abort(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);
    struct act_reply connect;
    const struct backlog_sample *before = meet_full_queue(bed, &connect);

    testbed_saw(bed, "seen s>c:rst", 3 * NS_PER_SEC);
    const struct backlog_sample *after = backlog_look(bed, TESTBED_PORT, "ACKs arrived");
    testbed_check_integer(bed, "half_open_after", 0, after->server.states[TCP_SYN_RECV]);
    backlog_check_rise(bed, "embryonic_resets", 1, before, after, BACKLOG_EMBRYONIC);
    backlog_check_rise(bed, "overflows", 1, before, after, BACKLOG_OVERFLOWS);
    CHECK(bed, "read", "ECONNRESET", client, ACT_READ, .slot = ACK_SUBJECT, .bytes = 1,
          .flags = MSG_DONTWAIT);

    testbed_from_here(bed);
    DO(client, ACT_CONNECT_START, .slot = ACK_SUBJECT + 1, .port = TESTBED_PORT);
    backlog_await(bed, "delivered c>s:syn");
    backlog_look(bed, TESTBED_PORT, "SYN to full queue");
    struct act_reply finish =
        DO(client, ACT_CONNECT_FINISH, .slot = ACK_SUBJECT + 1, .timeout_ns = 0);
    testbed_check_text(bed, "syn_to_a_full_queue", "dropped",
                       finish.rc == -ETIME ? "dropped" : act_rc_name(finish.rc, "accepted"));
    backlog_tables(bed, NULL);
    testbed_finish(bed);
    connect_summary(bed, &connect);
}

/* One condition under two names: what the server's setting does, and what the client meets. */
#define FULL_WITH_ABORT                                                                            \
    .book =                                                                                        \
        "Some systems answer a SYN to a full queue with RST, and should not: the client could "    \
        "not tell a full queue from a port where nobody listens (section 4.5).",                   \
    .here =                                                                                        \
        "The setting resets a connection only when the last ACK of its handshake meets a full "    \
        "queue: connect has returned 0, and the client's next call fails with ECONNRESET. "        \
        "Proxies that accept first and connect later look the same from outside. Without the "     \
        "setting the ACK is ignored, and the server sends its SYN,ACK again. A SYN that meets "    \
        "a full queue is dropped either way, and since Linux 4.10 that is what nearly always "     \
        "happens: the setting does not make clients fail fast.",                                   \
    .differs = "Linux does what the book warns of only if the setting is on, and only for the "    \
               "last ACK, never for a SYN.",                                                       \
    .settings = SETTINGS(BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_abort_on_overflow", "1", 0}),    \
    .flags = FLAGS(HANDSHAKE, "S>C RST"),                                                          \
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSED"), .play = play_full_with_abort

const struct scenario backlog_full_with_abort = {
    .name = "full-with-abort",
    .title = "tcp_abort_on_overflow: what it resets, and what it does not",
    FULL_WITH_ABORT,
};

const struct scenario connect_reset_late = {
    .name = "reset-late",
    .title = "connect succeeds, and the RST comes after it: the queue filled up meanwhile",
    FULL_WITH_ABORT,
};

/* ---- ack-dropped ---- */

#define ACK_DATA_BYTES 10

/* Waits for the condition, and gives up when the other one comes true. */
static void await_unless(struct testbed *bed, const char *condition, const char *unless)
{
    int64_t end_ns = clock_mono_ns() + TESTBED_LIMIT_NS;

    while (!backlog_gave_up(bed) && !testbed_saw(bed, condition, 20 * NS_PER_MS))
        backlog_give_up_if(bed, testbed_saw(bed, unless, 0) || clock_mono_ns() >= end_ns);
}

static void play_ack_dropped(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct act_reply connect;
    const struct backlog_sample *before = meet_full_queue(bed, &connect);

    CHECK_NUMBER(bed, "write", ACK_DATA_BYTES, client, ACT_WRITE, .slot = ACK_SUBJECT,
                 .bytes = ACK_DATA_BYTES);
    await_unless(bed, "delivered c>s:data#2", "seen s>c:rst");
    backlog_await(bed, "seen s>c:syn-ack");
    testbed_check_state(bed, "client_state", TCP_ESTABLISHED,
                        (int)DO(client, ACT_INFO, .slot = ACK_SUBJECT).rc);
    const struct backlog_sample *after = backlog_look(bed, TESTBED_PORT, "ACK, data dropped");
    testbed_check_integer(bed, "half_open", 1, after->server.states[TCP_SYN_RECV]);
    /* The bare ACK, and the data at least twice. */
    testbed_check_bool(bed, "overflows_counted", true,
                       backlog_rise(before, after, BACKLOG_OVERFLOWS) >= 3);

    int accepted = backlog_accept(bed, server, 0, 1, 1);
    backlog_look(bed, TESTBED_PORT, "one accepted");
    backlog_await_queue(bed, TESTBED_PORT, ACK_BACKLOG + 1);
    backlog_look(bed, TESTBED_PORT, "next segment in");
    accepted += backlog_accept(bed, server, 0, 2, ACK_BACKLOG + 1);
    testbed_check_integer(bed, "accepted", ACK_SUBJECT, accepted);
    testbed_check_integer(bed, "data_received", ACK_DATA_BYTES,
                          backlog_read(bed, ACK_SUBJECT, ACK_DATA_BYTES));
    backlog_tables(bed, "0, 2, 3, 2, 3");
    testbed_finish(bed);
    testbed_check_bool(bed, "data_sent_again", true,
                       testbed_times(bed, "data", LAB_FROM_CLIENT, NULL, 0) >= 2);
    testbed_check_bool(bed, "syn_ack_sent_again", true,
                       testbed_times(bed, "syn-ack", LAB_FROM_SERVER, NULL, 0) >= 2);
}

const struct scenario backlog_ack_dropped = {
    .name = "ack-dropped",
    .title = "the handshake's last ACK meets a full queue: a connection that only one side has",
    .here = "connect has returned and writes succeed, but the server keeps the request half-open: "
            "it drops the ACK and all data (ListenOverflows and ListenDrops rise each time), and "
            "sends its SYN,ACK again as if the ACK had been lost. The client retransmits its data "
            "until the server has room; then all of it arrives. If there is no room before "
            "tcp_synack_retries are used up, the request is forgotten, and the client's next "
            "segment is answered with RST.",
    .settings = backlog_settings,
    .play = play_ack_dropped,
    .flags_begin = FLAGS(HANDSHAKE, "C>S PSH,ACK"),
};
