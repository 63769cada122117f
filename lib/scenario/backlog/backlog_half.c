/* Half-open connections: how many there may be, and how long each lives. */
#include "scenario/backlog/backlog.h"

#include "base/wait.h"
#include "diagnosis/backlog_model.h"
#include "scenario/connect/connect.h"
#include <poll.h>

/* ---- syn-queue-full ---- */

#define FEW_BACKLOG     4  /* binds the first listener */
#define FEW_SYNS        8  /* that it gets */
#define MANY_BACKLOG    64 /* of the second, where tcp_max_syn_backlog binds */
#define MANY_SYNS       10
#define MAX_SYN_BACKLOG 8
#define MANY_SLOT       20
#define MANY_PORT       (TESTBED_PORT + 1)

static void connect_many(struct testbed *bed, uint16_t port, int first, int count)
{
    for (int i = 0; i < count; i++)
        DO(testbed_client(bed), ACT_CONNECT_START, .slot = first + i, .port = port);
}

static int finish_many(struct testbed *bed, int first, int count)
{
    int connected = 0;

    for (int i = 0; i < count && !backlog_gave_up(bed); i++)
        connected += DO(testbed_client(bed), ACT_CONNECT_FINISH, .slot = first + i,
                        .timeout_ns = TESTBED_LIMIT_NS)
                         .rc == 0;
    return connected;
}

static void check_half_open(struct testbed *bed, const char *key, int64_t backlog, int64_t seen)
{
    struct backlog_model_range range = backlog_model_half_open(backlog, MAX_SYN_BACKLOG, false);

    if (range.min == range.max)
        testbed_check_integer(bed, key, range.min, seen);
    else
        testbed_check_range(bed, key, range.min, range.max, seen);
}

#define RESENT_NS (900 * NS_PER_MS) /* before the first SYN is sent again */

/* What was done since then was quick enough; otherwise the run says nothing. */
static void check_in_time(struct testbed *bed, int64_t since_mono_ns)
{
    if (clock_mono_ns() - since_mono_ns > RESENT_NS)
        testbed_fail(bed, "this machine was so busy that SYNs were sent again in the meantime");
}

static void play_syn_queue_full(struct testbed *bed)
{
    struct agent *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .slot = 0, .port = TESTBED_PORT, .number = FEW_BACKLOG);
    DO(server, ACT_LISTEN, .slot = 1, .port = MANY_PORT, .number = MANY_BACKLOG);
    int held = testbed_fault(bed, "hold syn-ack dir s>c");
    testbed_subject(bed, FEW_SYNS);
    const struct backlog_sample *start = backlog_look(bed, TESTBED_PORT, "listening");

    int64_t since_ns = clock_mono_ns();
    connect_many(bed, TESTBED_PORT, 1, FEW_SYNS);
    backlog_await(bed, "delivered c>s:syn#8");
    const struct backlog_sample *few = backlog_look(bed, TESTBED_PORT, "8 SYNs");
    int64_t half_open = few->server.states[TCP_SYN_RECV];
    check_half_open(bed, "half_open", FEW_BACKLOG, half_open);
    backlog_check_rise(bed, "dropped_queue_full", FEW_SYNS - half_open, start, few,
                       BACKLOG_REQ_DROP);
    backlog_check_rise(bed, "drops", FEW_SYNS - half_open, start, few, BACKLOG_DROPS);

    connect_many(bed, MANY_PORT, MANY_SLOT, MANY_SYNS);
    backlog_await(bed, "delivered c>s:syn#18");
    const struct backlog_sample *many = backlog_look(bed, MANY_PORT, "10 SYNs (B)");
    half_open = many->server.states[TCP_SYN_RECV];
    check_half_open(bed, "b_half_open", MANY_BACKLOG, half_open);
    backlog_check_rise(bed, "b_dropped_queue_full", 0, few, many, BACKLOG_REQ_DROP);
    backlog_check_rise(bed, "b_drops", MANY_SYNS - half_open, few, many, BACKLOG_DROPS);
    backlog_check_rise(bed, "overflows", 0, start, many, BACKLOG_OVERFLOWS);
    check_in_time(bed, since_ns);

    /* Room for all: the SYNs that were dropped are sent again. */
    testbed_unfault(bed, held);
    int accepted = backlog_accept(bed, server, 0, 2, FEW_SYNS);
    accepted += backlog_accept(bed, server, 1, MANY_SLOT, MANY_SYNS);
    testbed_check_integer(bed, "connected", FEW_SYNS + MANY_SYNS,
                          finish_many(bed, 1, FEW_SYNS) + finish_many(bed, MANY_SLOT, MANY_SYNS));
    testbed_check_integer(bed, "accepted", FEW_SYNS + MANY_SYNS, accepted);
    backlog_look(bed, TESTBED_PORT, "all accepted");
    backlog_tables(bed, NULL);
}

const struct scenario backlog_syn_queue_full = {
    .name = "syn-queue-full",
    .title = "too many half-open connections, and no cookies: which limit drops SYNs",
    .book = "The kernel keeps incomplete connections in a queue of their own, and the backlog "
            "was once said to limit the sum of both (section 4.5).",
    .here = "There are two limits. Above the listener's own (the backlog, plus one) a SYN is "
            "dropped, and TCPReqQFullDrop and ListenDrops rise. Above three quarters of "
            "tcp_max_syn_backlog (plus one) it is dropped as well, unless the peer is known from "
            "earlier connections; only ListenDrops shows it (listener B). ListenOverflows is about "
            "the accept queue and does not move. With cookies neither limit drops anything. The "
            "clients send their SYNs again and connect a second late.",
    .differs = "Each queue has the backlog for itself.",
    .settings = SETTINGS(BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_syncookies", "0", 0},
                         {SCENARIO_SERVER, "tcp_max_syn_backlog", "8", 0}),
    .play = play_syn_queue_full,
    .flags_begin = FLAGS("C>S SYN", "C>S SYN"),
};

/* ---- synack-retries ---- */

#define LIFE_DATA_BYTES 10
#define LOAD_NS         (600 * NS_PER_MS) /* that a timer may be late on a busy machine */

/* The entry was last seen there, and first seen gone, at these times since the run began. It is
 * looked for now and then, on a busy machine rarely: it must have been there before it was due, and
 * gone afterwards. */
static void judge_life(struct testbed *bed, const struct connect_accept_plan *plan,
                       int64_t there_ns, int64_t gone_ns)
{
    const struct kernel_timers *timers = &plan->timers;
    int64_t seen_ns[KERNEL_TIMERS_SENT_MAX];
    size_t seen = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, KERNEL_TIMERS_SENT_MAX);

    testbed_check_integer(bed, "syn_acks", (int64_t)timers->sent_count, (int64_t)seen);
    testbed_timings(bed, "SYN,ACK", timers, &plan->host, 0, seen_ns, seen);
    int64_t life_ns = seen ? gone_ns - seen_ns[0] : RESULT_UNKNOWN;
    int64_t latest_ns = kernel_timers_latest_ns(&plan->settings, timers->failed_ns) + LOAD_NS;
    testbed_timing(bed, "forgotten", timers->failed_ns, life_ns, plan->host.failed_ns);
    testbed_check_bool(bed, "forgotten_early", false,
                       !seen || life_ns < timers->failed_ns - 2 * plan->settings.tick_ns);
    testbed_check_bool(bed, "there_too_long", false, !seen || there_ns - seen_ns[0] > latest_ns);
    testbed_observe(bed, INTEGER("life_ns", life_ns));
}

static bool half_open(struct testbed *bed)
{
    return testbed_socket_of(bed, LAB_SERVER, TESTBED_PORT, 0).count > 1;
}

static void play_synack_retries(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct connect_accept_plan plan = connect_accept_plan(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    int lost = testbed_fault(bed, "drop ack dir c>s");
    backlog_look(bed, TESTBED_PORT, "listening");
    CHECK(bed, "connect", "0", client, ACT_CONNECT, .port = TESTBED_PORT);
    backlog_look(bed, TESTBED_PORT, "connect returned");

    int64_t end_ns = clock_mono_ns() + plan.timers.failed_ns + TESTBED_LIMIT_NS;
    int64_t asked_ns = 0, there_ns = 0;
    while (!testbed_failed(bed) && (asked_ns = clock_mono_ns()) < end_ns && half_open(bed)) {
        there_ns = asked_ns - bed->started_mono_ns;
        poll(NULL, 0, WAIT_LOOK_MS);
    }
    int64_t gone_ns = clock_mono_ns() - bed->started_mono_ns;
    testbed_check_state(bed, "client_state", TCP_ESTABLISHED, (int)DO(client, ACT_INFO).rc);
    backlog_look(bed, TESTBED_PORT, "forgotten");
    testbed_unfault(bed, lost);
    DO(client, ACT_WRITE, .bytes = LIFE_DATA_BYTES);
    testbed_saw(bed, "delivered s>c:rst", 3 * NS_PER_SEC);
    CHECK(bed, "read", "ECONNRESET", client, ACT_READ, .bytes = 1, .flags = MSG_DONTWAIT);
    backlog_tables(bed, NULL);
    testbed_finish(bed);
    judge_life(bed, &plan, there_ns, gone_ns);
}

const struct scenario backlog_synack_retries = {
    .name = "synack-retries",
    .title = "the last ACK of a handshake never comes: how long a half-open entry lives",
    .here = "The server sends its SYN,ACK again after 1, 3, 7, 15 and 31 s and forgets the request "
            "after 63 s (tcp_synack_retries 5; sooner when more than half of the queue is old). "
            "It never tells the client, whose connect has returned: the connection ends with the "
            "client's next segment, which is answered with RST.",
    .settings =
        SETTINGS(BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_synack_retries", "2", SETTING_TIMER}),
    .play = play_synack_retries,
    .flags_begin = FLAGS("C>S SYN", "S>C SYN,ACK", "C>S ACK x", "S>C SYN,ACK", "C>S ACK x"),
};
