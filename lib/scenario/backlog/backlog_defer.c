/* Two options that change when a connection may be accepted: TCP_DEFER_ACCEPT and TCP_FASTOPEN. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include "scenario/connect/connect.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <poll.h>
#include <string.h>

#define DATA_BYTES 10

/* ---- deferred-accept ---- */

#define DEFER_SUBJECT   2
#define DEFER_MARGIN_NS (50 * NS_PER_MS)

/* The SYN,ACK comes again when the time is up. */
static void judge_second_syn_ack(struct testbed *bed, const struct connect_accept_plan *plan)
{
    int64_t seen_ns[4];
    size_t seen = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, 4);
    int64_t again_ns = seen >= 2 ? seen_ns[1] - seen_ns[0] : RESULT_UNKNOWN;

    testbed_check_time(bed, "syn_ack_again_ns", &plan->settings, plan->timers.sent_ns[1], again_ns);
    testbed_timing(bed, "SYN,ACK again", plan->timers.sent_ns[1], again_ns, plan->host.sent_ns[1]);
}

/* The server counts from its SYN,ACK, which was not sent before the connect began: what was looked
 * at later than that time says nothing. */
static void check_not_yet_up(struct testbed *bed, const struct connect_accept_plan *plan,
                             const struct act_reply *connect)
{
    if (clock_mono_ns() - connect->entered_ns > plan->timers.sent_ns[1] - DEFER_MARGIN_NS)
        testbed_fail(bed, "this machine was so busy that the time was up before the queue was "
                          "looked at");
}

static void play_deferred_accept(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct connect_accept_plan plan = connect_accept_plan(bed);

    testbed_subject(bed, DEFER_SUBJECT);
    DO(server, ACT_OPTION, .text = "TCP_DEFER_ACCEPT=1");
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    const struct backlog_sample *first = backlog_look(bed, TESTBED_PORT, "listening");

    struct act_reply connect =
        CHECK(bed, "connect", "0", client, ACT_CONNECT, .slot = 1, .port = TESTBED_PORT);
    backlog_await(bed, "delivered c>s:ack");
    const struct backlog_sample *silent = backlog_look(bed, TESTBED_PORT, "one, silent");
    testbed_check_integer(bed, "half_open_silent", 1, silent->server.states[TCP_SYN_RECV]);
    DO(client, ACT_WRITE, .slot = 1, .bytes = DATA_BYTES);
    backlog_await_queue(bed, TESTBED_PORT, 1);
    check_not_yet_up(bed, &plan, &connect);
    backlog_look(bed, TESTBED_PORT, "it sent data");
    int accepted = backlog_accept(bed, server, 0, 1, 1);
    testbed_check_bool(bed, "readable_when_accepted", true,
                       DO(server, ACT_POLL, .slot = 1, .number = POLLIN, .timeout_ns = 0).rc > 0);
    testbed_check_integer(bed, "data_received", DATA_BYTES, backlog_read(bed, 1, DATA_BYTES));

    testbed_from_here(bed);
    struct act_reply again = CHECK(bed, "connect_2", "0", client, ACT_CONNECT,
                                   .slot = DEFER_SUBJECT, .port = TESTBED_PORT);
    backlog_await(bed, "delivered c>s:ack");
    silent = backlog_look(bed, TESTBED_PORT, "another, silent");
    backlog_check_rise(bed, "acks_put_off", 2, first, silent, BACKLOG_DEFER_DROP);
    testbed_check_bool(bed, "readable_2", false,
                       DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = 0).rc > 0);
    check_not_yet_up(bed, &plan, &again);
    testbed_check_state(bed, "client_state_2", TCP_ESTABLISHED,
                        (int)DO(client, ACT_INFO, .slot = DEFER_SUBJECT).rc);
    backlog_await_queue(bed, TESTBED_PORT, 1);
    backlog_look(bed, TESTBED_PORT, "the time was up");
    accepted += backlog_accept(bed, server, 0, DEFER_SUBJECT, 1);
    testbed_check_integer(bed, "accepted", 2, accepted);
    backlog_look(bed, TESTBED_PORT, "accepted");
    backlog_tables(bed, "0, 0, 1, 0, 1, 0");
    testbed_finish(bed);
    judge_second_syn_ack(bed, &plan);
    connect_summary(bed, &connect);
}

const struct scenario backlog_deferred_accept = {
    .name = "deferred-accept",
    .title =
        "TCP_DEFER_ACCEPT: connected for the client, half-open for the server until data comes",
    .here = "The server ignores the handshake's last ACK (TCPDeferAcceptDrop): the client is "
            "ESTABLISHED, but the server's request stays half-open, the accept queue empty and the "
            "listener unreadable until data comes, so accept always finds something to read. The "
            "time is rounded to that of the retransmitted SYN,ACKs; when it is up the SYN,ACK is "
            "sent again, and this time its ACK makes a connection, without data. Protocols where "
            "the server speaks first gain nothing: their clients wait for that time.",
    .settings = backlog_settings,
    .flags = FLAGS(HANDSHAKE, "S>C SYN,ACK", "C>S ACK"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED"),
    .play = play_deferred_accept,
};

/* ---- fast-open, fast-open-queue ---- */

#define OPEN_LENGTH 2 /* of the queue of fast opens */
/* The connections, numbered as they come; each has the slot of its number on both sides. */
enum { ASKED = 1, QUICK, QUICK_TOO, OVER, REFUSED, OPEN_END };

/* The server's cookies come from a key; another key refuses the cookies of the one before. */
static AGENT_CALL(set_key)
{
    unsigned char key[16];
    int fd = self->slots[act->slot].fd;

    memset(key, act->number, sizeof key);
    int rc = setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, sizeof key) ? -errno : 0;
    syscall_recorder_note(&self->recorder, "TCP_FASTOPEN_KEY", fd, rc);
    return rc;
}

/* connect returns at once where a cookie is known; the write sends it with the SYN. */
static void open_fast(struct testbed *bed, int slot, struct act_reply *connects)
{
    struct agent *client = testbed_client(bed);

    DO(client, ACT_OPTION, .slot = slot, .text = "TCP_FASTOPEN_CONNECT=on");
    connects[slot] = DO(client, ACT_CONNECT, .slot = slot, .port = TESTBED_PORT);
    if (slot == QUICK)
        testbed_check_bool(bed, "connect_sends_a_syn", false,
                           testbed_saw(bed, "seen c>s:syn#2", 0));
    DO(client, ACT_WRITE, .slot = slot, .bytes = DATA_BYTES, .flags = MSG_NOSIGNAL);
}

struct taken {
    int connections;
    int64_t bytes;
};

static void backlog_take_connection(struct testbed *bed, int slot, struct taken *taken)
{
    if (!backlog_accept(bed, testbed_server(bed), 0, slot, 1))
        return;
    taken->connections++;
    taken->bytes += backlog_read(bed, slot, DATA_BYTES);
}

/* Bytes that the client sent in SYNs of a connection, or in other segments. */
static int64_t bytes_of(const struct testbed *bed, int number, bool in_syn)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < bed->event_count; i++) {
        const struct trace_event *event = &bed->events[i];
        if (event->kind == TRACE_SEGMENT && event->connection == (uint32_t)number &&
            event->segment.from_client && !(event->segment.flags & 0x02) == !in_syn)
            bytes += event->segment.payload_bytes;
    }
    return bytes;
}

static void list_connections(struct testbed *bed, const struct act_reply *connects,
                             const bool *acknowledged)
{
    static const struct {
        const char *what, *in_syn, *after;
        int64_t bytes_in_syn, bytes_after;
    } expected[OPEN_END] = {
        [ASKED] = {"no cookie yet: asks for one", "first_in_syn_bytes", "first_after_bytes", 0,
                   DATA_BYTES},
        [QUICK] = {"with the cookie", "second_in_syn_bytes", "second_after_bytes", DATA_BYTES, 0},
        [QUICK_TOO] = {"with the cookie", "third_in_syn_bytes", "third_after_bytes", DATA_BYTES, 0},
        [OVER] = {"with the cookie, the queue is full", "over_in_syn_bytes", "over_after_bytes",
                  DATA_BYTES, DATA_BYTES},
        [REFUSED] = {"with a cookie that the server refuses", "refused_in_syn_bytes",
                     "refused_after_bytes", DATA_BYTES, DATA_BYTES},
    };

    testbed_table(bed, "connections", "The connections, one after the other");
    for (int i = ASKED; i < OPEN_END; i++) {
        int64_t in_syn = bytes_of(bed, i, true), after = bytes_of(bed, i, false);
        testbed_row(bed, TEXT("connection", expected[i].what),
                    TEXT("connect", act_rc_name(connects[i].rc, "0")),
                    INTEGER("bytes_in_the_SYN", in_syn), INTEGER("bytes_after_it", after),
                    BOOL("SYN_data_acknowledged", acknowledged[i]));
        testbed_check_integer(bed, expected[i].in_syn, expected[i].bytes_in_syn, in_syn);
        testbed_check_integer(bed, expected[i].after, expected[i].bytes_after, after);
    }
}

static void check_counters(struct testbed *bed)
{
    static const struct {
        const char *key, *counter;
        enum lab_host host;
        int64_t expected;
    } counters[] = {
        {"cookies_asked_for", "TcpExt TCPFastOpenCookieReqd", LAB_SERVER, 1},
        {"client_succeeded", "TcpExt TCPFastOpenActive", LAB_CLIENT, OPEN_LENGTH},
        {"client_failed", "TcpExt TCPFastOpenActiveFail", LAB_CLIENT, 2},
        {"server_accepted", "TcpExt TCPFastOpenPassive", LAB_SERVER, OPEN_LENGTH},
        {"server_refused", "TcpExt TCPFastOpenPassiveFail", LAB_SERVER, 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
        testbed_check_integer(bed, counters[i].key, counters[i].expected,
                              testbed_counter(bed, counters[i].host, counters[i].counter));
}

/* Fast opens whose last ACK the wire holds, until there are too many of them. */
static void overflow(struct testbed *bed, const struct backlog_sample *before, struct taken *taken,
                     struct act_reply *connects)
{
    int held = testbed_fault(bed, "hold ack dir c>s");

    open_fast(bed, QUICK, connects);
    backlog_await_queue(bed, TESTBED_PORT, 1);
    open_fast(bed, QUICK_TOO, connects);
    backlog_await_queue(bed, TESTBED_PORT, 2);
    backlog_look(bed, TESTBED_PORT, "2 fast opens");
    int64_t bytes = taken->bytes;
    backlog_take_connection(bed, QUICK, taken);
    testbed_check_integer(bed, "data_when_accepted", DATA_BYTES, taken->bytes - bytes);
    testbed_check_state(bed, "state_when_accepted", TCP_SYN_RECV,
                        (int)DO(testbed_server(bed), ACT_INFO, .slot = QUICK).rc);
    backlog_look(bed, TESTBED_PORT, "one accepted");
    open_fast(bed, OVER, connects);
    backlog_await_queue(bed, TESTBED_PORT, 2);
    const struct backlog_sample *over = backlog_look(bed, TESTBED_PORT, "a third");
    backlog_check_rise(bed, "fast_opens", OPEN_LENGTH, before, over, BACKLOG_TFO_PASSIVE);
    backlog_check_rise(bed, "fast_open_overflows", 1, before, over, BACKLOG_TFO_OVERFLOW);
    backlog_check_rise(bed, "overflows", 0, before, over, BACKLOG_OVERFLOWS);
    testbed_unfault(bed, held);
}

static void play_fast_open(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct act_reply connects[OPEN_END];
    bool acknowledged[OPEN_END];
    struct taken taken = {0};

    testbed_subject(bed, QUICK);
    DO(server, ACT_OPTION, .text = "TCP_FASTOPEN=2");
    DO(server, ACT_CALL, .function = set_key, .number = 1);
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    backlog_look(bed, TESTBED_PORT, "listening");
    open_fast(bed, ASKED, connects);
    backlog_take_connection(bed, ASKED, &taken);
    overflow(bed, backlog_look(bed, TESTBED_PORT, "client has a cookie"), &taken, connects);
    testbed_check_rc(bed, "connect", "0", &connects[QUICK], "0");
    backlog_take_connection(bed, QUICK_TOO, &taken);
    backlog_take_connection(bed, OVER, &taken);
    backlog_look(bed, TESTBED_PORT, "all accepted");

    DO(server, ACT_CALL, .function = set_key, .number = 2);
    open_fast(bed, REFUSED, connects);
    backlog_take_connection(bed, REFUSED, &taken);
    testbed_check_integer(bed, "accepted", OPEN_END - 1, taken.connections);
    testbed_check_integer(bed, "data_received", (int64_t)(OPEN_END - 1) * DATA_BYTES, taken.bytes);
    for (int i = ASKED; i < OPEN_END; i++)
        acknowledged[i] = DO(client, ACT_INFO, .slot = i).info.options & SOCK_TCP_OPT_SYN_DATA;
    check_counters(bed);
    testbed_finish(bed);
    list_connections(bed, connects, acknowledged);
    backlog_tables(bed, "0, 0, 2, 1, 2, 0");
    connect_summary(bed, &connects[QUICK]);
}

static const struct scenario_setting fast_open_settings[] = {
    BACKLOG_SETTINGS,
    {SCENARIO_BOTH, "tcp_fastopen", "3", 0},
    {SCENARIO_BOTH, "tcp_fastopen_blackhole_timeout_sec", "0", SETTING_OPTIONAL},
    {0}};

/* One run under two names: what the client gains, and how the server bounds it. */
#define FAST_OPEN                                                                                  \
    .here =                                                                                        \
        "The first connection asks for a cookie, and sends its data after the handshake. With "    \
        "the cookie, connect (TCP_FASTOPEN_CONNECT) returns 0 without sending anything; the "      \
        "first write sends the SYN with the data, and the server accepts and reads it in "         \
        "SYN-RECEIVED, a round trip earlier. The value of TCP_FASTOPEN limits how many "           \
        "connections may be in that state, accepted ones included. The next SYN is not lost: "     \
        "TCPFastOpenListenOverflow rises, its data is not taken, and it becomes an ordinary "      \
        "handshake, with the data sent again. A cookie that the server refuses costs no more "     \
        "than that. A successful connect says nothing here: failures come from the first "         \
        "write.",                                                                                  \
    .settings = fast_open_settings, .flags = FLAGS(HANDSHAKE),                                     \
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED"), .play = play_fast_open

const struct scenario connect_fast_open = {
    .name = "fast-open",
    .title = "TCP Fast Open: data in the SYN, with a cookie asked for, accepted, and refused",
    FAST_OPEN,
};

const struct scenario backlog_fast_open_queue = {
    .name = "fast-open-queue",
    .title = "TCP_FASTOPEN: accepted before the handshake is over, in a queue of its own",
    FAST_OPEN,
};
