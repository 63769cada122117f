/* A full accept queue: what becomes of the SYN that meets it, and of the last ACK. */
#include "scenario/backlog/backlog.h"

#include <errno.h>

struct full_facts {
    struct backlog_watch watch;
    struct kernel_timers_settings settings, host;
    const struct backlog_sample *before, *full, *after;
    struct act_reply connect, read, write;
    bool waited;
    int accepted;
    int64_t got_bytes, client_state, server_half_open;
    const char *late_syn;
};

static struct full_facts *begin(struct testbed *bed, int backlog)
{
    struct full_facts *facts = testbed_facts(bed, sizeof *facts);

    facts->settings = testbed_settings(bed, LAB_CLIENT);
    facts->host = testbed_host_settings(bed);
    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = backlog);
    facts->before = backlog_look(bed, TESTBED_PORT, "listening");
    return facts;
}

/* ---- accept-queue-full ---- */

#define FULL_BACKLOG 2
#define FULL_QUEUED  3 /* backlog + 1 */
#define FULL_SUBJECT (FULL_QUEUED + 1)

static void run_accept_queue_full(struct testbed *bed)
{
    struct full_facts *facts = begin(bed, FULL_BACKLOG);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    backlog_fill(bed, TESTBED_PORT, 1, FULL_QUEUED);
    facts->full = backlog_look(bed, TESTBED_PORT, "full");

    /* The third SYN waits until there is room, so that it is the first that finds any. */
    int held = testbed_fault(bed, "hold syn dir c>s nth 3");
    testbed_subject(bed, FULL_SUBJECT);
    testbed_from_here(bed);
    BEGIN(client, ACT_CONNECT, .slot = FULL_SUBJECT, .port = TESTBED_PORT);
    while (agent_busy(client) && !testbed_failed(bed) &&
           !testbed_saw(bed, "delivered c>s:syn#2", 100 * NS_PER_MS))
        ;
    facts->waited = agent_busy(client);
    facts->after = backlog_look(bed, TESTBED_PORT, "two SYNs dropped");
    facts->accepted = backlog_accept(bed, server, 0, 1, 1);
    backlog_look(bed, TESTBED_PORT, "one accepted");
    testbed_unfault(bed, held);
    facts->connect = agent_end(client, TESTBED_LIMIT_NS);
    facts->watch.gave_up |= facts->connect.rc != 0;
    backlog_await_queue(bed, TESTBED_PORT, FULL_QUEUED);
    backlog_look(bed, TESTBED_PORT, "third SYN in");
    facts->accepted += backlog_accept(bed, server, 0, 2, FULL_QUEUED);
    backlog_look(bed, TESTBED_PORT, "all accepted");
}

static void check_accept_queue_full(struct testbed *bed)
{
    const struct full_facts *facts = testbed_facts(bed, sizeof *facts);
    int64_t took_ns = facts->connect.returned_ns - facts->connect.entered_ns;
    int64_t tick_ns = 2 * facts->settings.tick_ns, syn_ns[8];
    size_t syns = testbed_times(bed, "syn", LAB_FROM_CLIENT, syn_ns, 8);
    struct kernel_timers plan, host;

    kernel_timers_connect(&plan, &facts->settings, NULL);
    kernel_timers_connect(&host, &facts->host, NULL);
    testbed_check_text(bed, "accept_queue", "0, 3, 3, 2, 3, 0", backlog_lengths(bed));
    testbed_check_bool(bed, "connect_waits", true, facts->waited);
    testbed_check_integer(bed, "half_open", 0, facts->after->server.states[TCP_SYN_RECV]);
    testbed_check_rc(bed, "connect", "0", &facts->connect, "0");
    testbed_expect_time(bed, "third_syn_ns", &facts->settings, plan.sent_ns[2]);
    testbed_observe_integer(bed, "third_syn_ns",
                            syns >= 3 ? syn_ns[2] - syn_ns[0] : RESULT_UNKNOWN);
    testbed_check_bool(bed, "connect_returns_after_it", true, took_ns >= plan.sent_ns[2] - tick_ns);
    testbed_observe_integer(bed, "connect_took_ns", took_ns);
    testbed_timing(bed, "connect returns", plan.sent_ns[2], took_ns, host.sent_ns[2]);
    testbed_check_integer(bed, "accepted", FULL_SUBJECT, facts->accepted);
    testbed_check_integer(bed, "overflows", 2,
                          backlog_rise(facts->full, facts->after, BACKLOG_OVERFLOWS));
    testbed_check_integer(bed, "drops", 2, backlog_rise(facts->full, facts->after, BACKLOG_DROPS));
    testbed_expect_flags(bed, "C>S SYN", "C>S SYN", "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_accept_queue_full = {
    .name = "accept-queue-full",
    .title = "the server accepts too slowly: SYNs are dropped, and connects take seconds",
    .book = "A SYN that finds the queues full is ignored, and no RST is sent: the condition is "
            "thought temporary, and the client's TCP sends its SYN again (section 4.5).",
    .here = "The same, since Linux 4.10: nothing is kept of the SYN, ListenOverflows and "
            "ListenDrops rise by one each, and the client waits in SYN-SENT. When the server "
            "accepts again, the next SYN that is sent gets through, so that connect takes 1 s or "
            "3 s (1, 2, 3, 4 s with tcp_syn_linear_timeouts) although the server was busy for "
            "milliseconds only.",
    .settings = backlog_settings,
    .play = run_accept_queue_full,
    .check = check_accept_queue_full,
};

/* ---- The last ACK meets a full queue ---- */

/* Backlog 1: one connection is queued, and two handshakes wait for their last ACK, which the wire
 * holds; the first of them to arrive fills the queue, the other is the subject. */
#define ACK_BACKLOG 1
#define ACK_SUBJECT 3

static struct full_facts *meet_full_queue(struct testbed *bed)
{
    struct full_facts *facts = begin(bed, ACK_BACKLOG);
    struct agent *client = testbed_client(bed);

    testbed_subject(bed, ACK_SUBJECT);
    backlog_fill(bed, TESTBED_PORT, 1, 1);
    int held = testbed_fault(bed, "hold ack dir c>s");
    DO(client, ACT_CONNECT, .slot = 2, .port = TESTBED_PORT);
    facts->connect = DO(client, ACT_CONNECT, .slot = ACK_SUBJECT, .port = TESTBED_PORT);
    backlog_await_half_open(bed, TESTBED_PORT, 2);
    facts->full = backlog_look(bed, TESTBED_PORT, "two ACKs held");
    testbed_from_here(bed);
    testbed_unfault(bed, held);
    backlog_await_queue(bed, TESTBED_PORT, ACK_BACKLOG + 1);
    return facts;
}

static void check_believed(struct testbed *bed, const struct full_facts *facts)
{
    testbed_check_rc(bed, "connect", "0", &facts->connect, "0");
    testbed_check_integer(bed, "half_open_before", 2, facts->full->server.states[TCP_SYN_RECV]);
}

/* ---- full-with-abort ---- */

static void run_full_with_abort(struct testbed *bed)
{
    struct full_facts *facts = meet_full_queue(bed);
    struct agent *client = testbed_client(bed);

    testbed_saw(bed, "seen s>c:rst", 3 * NS_PER_SEC);
    facts->after = backlog_look(bed, TESTBED_PORT, "ACKs arrived");
    facts->server_half_open = facts->after->server.states[TCP_SYN_RECV];
    facts->read = DO(client, ACT_READ, .slot = ACK_SUBJECT, .bytes = 1, .flags = MSG_DONTWAIT);
    testbed_from_here(bed);
    DO(client, ACT_CONNECT_START, .slot = 4, .port = TESTBED_PORT);
    backlog_await(bed, "delivered c>s:syn");
    backlog_look(bed, TESTBED_PORT, "SYN to full queue");
    struct act_reply finish = DO(client, ACT_CONNECT_FINISH, .slot = 4, .timeout_ns = 0);
    facts->late_syn = finish.rc == -ETIME ? "dropped" : act_rc_name(finish.rc, "accepted");
}

static void check_full_with_abort(struct testbed *bed)
{
    const struct full_facts *facts = testbed_facts(bed, sizeof *facts);

    check_believed(bed, facts);
    testbed_check_rc(bed, "read", "ECONNRESET", &facts->read, "EOF");
    testbed_check_integer(bed, "half_open_after", 0, facts->server_half_open);
    testbed_check_text(bed, "syn_to_a_full_queue", "dropped", facts->late_syn);
    testbed_check_integer(bed, "embryonic_resets", 1,
                          backlog_rise(facts->full, facts->after, BACKLOG_EMBRYONIC));
    testbed_check_integer(bed, "overflows", 1,
                          backlog_rise(facts->full, facts->after, BACKLOG_OVERFLOWS));
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C RST", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSED", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_full_with_abort = {
    .name = "full-with-abort",
    .title = "tcp_abort_on_overflow: what it resets, and what it does not",
    .book = "Some systems answer a SYN to a full queue with RST, and should not: the client could "
            "not tell a full queue from a port where nobody listens (section 4.5).",
    .here = "The setting resets a connection only when the last ACK of its handshake meets a full "
            "queue: the client has connected, and its next call gives ECONNRESET. A SYN that meets "
            "a full queue is dropped all the same, and since Linux 4.10 that is what nearly always "
            "happens: the setting does not make clients fail fast.",
    .settings =
        (const struct scenario_setting[]){
            BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_abort_on_overflow", "1", 0}, {0}},
    .play = run_full_with_abort,
    .check = check_full_with_abort,
};

/* ---- ack-dropped ---- */

#define ACK_DATA_BYTES 10

static void run_ack_dropped(struct testbed *bed)
{
    struct full_facts *facts = meet_full_queue(bed);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->write = DO(client, ACT_WRITE, .slot = ACK_SUBJECT, .bytes = ACK_DATA_BYTES);
    backlog_await_unless(bed, "delivered c>s:data#2", "seen s>c:rst");
    backlog_await(bed, "seen s>c:syn-ack");
    facts->client_state = DO(client, ACT_INFO, .slot = ACK_SUBJECT).rc;
    facts->after = backlog_look(bed, TESTBED_PORT, "ACK, data dropped");
    facts->server_half_open = facts->after->server.states[TCP_SYN_RECV];
    facts->accepted = backlog_accept(bed, server, 0, 1, 1);
    backlog_look(bed, TESTBED_PORT, "one accepted");
    backlog_await_queue(bed, TESTBED_PORT, ACK_BACKLOG + 1);
    backlog_look(bed, TESTBED_PORT, "next segment in");
    facts->accepted += backlog_accept(bed, server, 0, 2, 2);
    if (!facts->watch.gave_up)
        facts->got_bytes =
            DO(server, ACT_READ_ALL, .slot = ACK_SUBJECT, .bytes = ACK_DATA_BYTES).bytes;
}

static void check_ack_dropped(struct testbed *bed)
{
    const struct full_facts *facts = testbed_facts(bed, sizeof *facts);
    int64_t times[64];
    size_t data = testbed_times(bed, "data", LAB_FROM_CLIENT, times, 64);
    size_t answers = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, times, 64);

    check_believed(bed, facts);
    testbed_check_integer(bed, "write", ACK_DATA_BYTES, facts->write.rc);
    testbed_check_text(bed, "client_state", "ESTABLISHED",
                       testbed_state_name((int)facts->client_state));
    testbed_check_integer(bed, "half_open", 1, facts->server_half_open);
    testbed_check_bool(bed, "data_sent_again", true, data >= 2);
    testbed_check_bool(bed, "syn_ack_sent_again", true, answers >= 2);
    /* The bare ACK, and the data at least twice. */
    testbed_check_bool(bed, "overflows_counted", true,
                       backlog_rise(facts->full, facts->after, BACKLOG_OVERFLOWS) >= 3);
    testbed_check_text(bed, "accept_queue", "0, 1, 2, 1, 2", backlog_lengths(bed));
    testbed_check_integer(bed, "accepted", 3, facts->accepted);
    testbed_check_integer(bed, "data_received", ACK_DATA_BYTES, facts->got_bytes);
    testbed_expect_flags_begin(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_ack_dropped = {
    .name = "ack-dropped",
    .title = "the handshake's last ACK meets a full queue: a connection that only one side has",
    .here = "Connect has returned and writes succeed, but the server keeps the request half-open: "
            "it drops the ACK and all data (ListenOverflows and ListenDrops rise each time), and "
            "sends its SYN,ACK again as if the ACK had been lost. The client's data is "
            "retransmitted until the server has room; then it is all there. If there is none "
            "before tcp_synack_retries are used up, the request is forgotten, and the client's "
            "next segment gets an RST.",
    .settings = backlog_settings,
    .play = run_ack_dropped,
    .check = check_ack_dropped,
};
