/* Half-open connections: how many there may be, and how long each lives. */
#include "scenario/backlog/backlog.h"

#include "base/clock.h"
#include "diagnosis/backlog_model.h"
#include <poll.h>
#include <sys/utsname.h>

int backlog_release(void)
{
    struct utsname name;
    return uname(&name) ? 0 : backlog_model_release(name.release);
}

/* ---- syn-queue-full ---- */

#define FEW_BACKLOG     4  /* binds the first listener */
#define FEW_SYNS        8  /* that it gets */
#define MANY_BACKLOG    64 /* of the second, where tcp_max_syn_backlog binds */
#define MANY_SYNS       10
#define MAX_SYN_BACKLOG 8
#define MANY_SLOT       20
#define MANY_PORT       (TESTBED_PORT + 1)

struct queue_facts {
    struct backlog_watch watch;
    const struct backlog_sample *start, *few, *many, *end;
    int accepted, connected;
};

static void connect_many(struct testbed *bed, uint16_t port, int first, int count)
{
    for (int i = 0; i < count; i++)
        DO(testbed_client(bed), ACT_CONNECT_START, .slot = first + i, .port = port);
}

static int finish_many(struct testbed *bed, int first, int count)
{
    int connected = 0;

    for (int i = 0; i < count && !backlog_watch(bed)->gave_up; i++)
        connected += DO(testbed_client(bed), ACT_CONNECT_FINISH, .slot = first + i,
                        .timeout_ns = TESTBED_LIMIT_NS)
                         .rc == 0;
    return connected;
}

static void run_syn_queue_full(struct testbed *bed)
{
    struct queue_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .slot = 0, .port = TESTBED_PORT, .number = FEW_BACKLOG);
    DO(server, ACT_LISTEN, .slot = 1, .port = MANY_PORT, .number = MANY_BACKLOG);
    int held = testbed_fault(bed, "hold syn-ack dir s>c");
    testbed_subject(bed, FEW_SYNS);
    facts->start = backlog_look(bed, TESTBED_PORT, "listening");

    int64_t since_ns = clock_mono_ns();
    connect_many(bed, TESTBED_PORT, 1, FEW_SYNS);
    backlog_await(bed, "delivered c>s:syn#8");
    facts->few = backlog_look(bed, TESTBED_PORT, "8 SYNs");
    connect_many(bed, MANY_PORT, MANY_SLOT, MANY_SYNS);
    backlog_await(bed, "delivered c>s:syn#18");
    facts->many = backlog_look(bed, MANY_PORT, "10 SYNs (B)");
    backlog_in_time(bed, since_ns);

    /* Room for all: the SYNs that were dropped are sent again. */
    testbed_unfault(bed, held);
    facts->accepted = backlog_accept(bed, server, 0, 2, FEW_SYNS);
    facts->accepted += backlog_accept(bed, server, 1, MANY_SLOT, MANY_SYNS);
    facts->connected = finish_many(bed, 1, FEW_SYNS) + finish_many(bed, MANY_SLOT, MANY_SYNS);
    facts->end = backlog_look(bed, TESTBED_PORT, "all accepted");
}

static void check_half_open(struct testbed *bed, const char *key, int64_t backlog, int64_t seen)
{
    struct backlog_model_range range =
        backlog_model_half_open(backlog_release(), backlog, MAX_SYN_BACKLOG, false);

    if (range.min == range.max)
        testbed_expect_integer(bed, key, range.min);
    else
        testbed_expect_range(bed, key, range.min, range.max);
    testbed_observe_integer(bed, key, seen);
}

static void check_syn_queue_full(struct testbed *bed)
{
    const struct queue_facts *facts = testbed_facts(bed, sizeof *facts);
    int64_t few = facts->few->server.states[TCP_SYN_RECV];
    int64_t many = facts->many->server.states[TCP_SYN_RECV];

    check_half_open(bed, "half_open", FEW_BACKLOG, few);
    testbed_check_integer(bed, "dropped_queue_full", FEW_SYNS - few,
                          backlog_rise(facts->start, facts->few, BACKLOG_REQ_DROP));
    testbed_check_integer(bed, "drops", FEW_SYNS - few,
                          backlog_rise(facts->start, facts->few, BACKLOG_DROPS));
    check_half_open(bed, "b_half_open", MANY_BACKLOG, many);
    testbed_check_integer(bed, "b_dropped_queue_full", 0,
                          backlog_rise(facts->few, facts->many, BACKLOG_REQ_DROP));
    testbed_check_integer(bed, "b_drops", MANY_SYNS - many,
                          backlog_rise(facts->few, facts->many, BACKLOG_DROPS));
    testbed_check_integer(bed, "overflows", 0,
                          backlog_rise(facts->start, facts->many, BACKLOG_OVERFLOWS));
    testbed_check_integer(bed, "connected", FEW_SYNS + MANY_SYNS, facts->connected);
    testbed_check_integer(bed, "accepted", FEW_SYNS + MANY_SYNS, facts->accepted);
    testbed_expect_flags_begin(bed, "C>S SYN", "C>S SYN", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_syn_queue_full = {
    .name = "syn-queue-full",
    .title = "too many half-open connections, and no cookies: which limit drops SYNs",
    .book = "The kernel keeps incomplete connections in a queue of their own, and the backlog "
            "was once said to bound both together (section 4.5).",
    .here = "Half-open ones are bounded twice. Above the listener's limit (the backlog, plus one) "
            "a SYN is dropped, and TCPReqQFullDrop and ListenDrops rise. Above three quarters of "
            "tcp_max_syn_backlog (plus one) it is dropped, too, unless the peer is known from "
            "earlier connections; only ListenDrops tells (listener B). ListenOverflows is about "
            "the accept queue and does not move. With cookies neither limit drops anything. The "
            "clients send their SYNs again and connect a second late.",
    .differs = "Each queue has the backlog for itself.",
    .settings = (const struct scenario_setting[]){BACKLOG_SETTINGS,
                                                  {SCENARIO_SERVER, "tcp_syncookies", "0", 0},
                                                  {SCENARIO_SERVER, "tcp_max_syn_backlog", "8", 0},
                                                  {0}},
    .play = run_syn_queue_full,
    .check = check_syn_queue_full,
};

/* ---- synack-retries ---- */

#define LIFE_DATA_BYTES 10
#define LOAD_NS         (600 * NS_PER_MS) /* that a timer may be late on a busy machine */

struct life_facts {
    struct backlog_watch watch;
    struct kernel_timers_settings settings, host;
    struct act_reply connect, read;
    int64_t there_ns, gone_ns; /* last seen there, first seen gone; since the run began */
    const char *client_state;
};

static void run_synack_retries(struct testbed *bed)
{
    struct life_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct kernel_timers plan;

    facts->settings = testbed_settings(bed, LAB_SERVER);
    facts->host = testbed_host_settings(bed);
    kernel_timers_accept(&plan, &facts->settings);
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    int lost = testbed_fault(bed, "drop ack dir c>s");
    backlog_look(bed, TESTBED_PORT, "listening");
    facts->connect = DO(client, ACT_CONNECT, .port = TESTBED_PORT);
    backlog_look(bed, TESTBED_PORT, "connect returned");

    int64_t end_ns = clock_mono_ns() + plan.failed_ns + TESTBED_LIMIT_NS, asked_ns;
    while (!testbed_failed(bed) && (asked_ns = clock_mono_ns()) < end_ns &&
           testbed_socket_of(bed, LAB_SERVER, TESTBED_PORT, 0).count > 1) {
        facts->there_ns = asked_ns - bed->started_mono_ns;
        poll(NULL, 0, 2);
    }
    facts->gone_ns = clock_mono_ns() - bed->started_mono_ns;
    facts->client_state = testbed_state_name((int)DO(client, ACT_INFO).rc);
    backlog_look(bed, TESTBED_PORT, "forgotten");
    testbed_unfault(bed, lost);
    DO(client, ACT_WRITE, .bytes = LIFE_DATA_BYTES);
    testbed_saw(bed, "delivered s>c:rst", 3 * NS_PER_SEC);
    facts->read = DO(client, ACT_READ, .bytes = 1, .flags = MSG_DONTWAIT);
}

static void check_synack_retries(struct testbed *bed)
{
    const struct life_facts *facts = testbed_facts(bed, sizeof *facts);
    int64_t seen_ns[KERNEL_TIMERS_SENT_MAX];
    size_t seen = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, KERNEL_TIMERS_SENT_MAX);
    struct kernel_timers plan, host;

    kernel_timers_accept(&plan, &facts->settings);
    kernel_timers_accept(&host, &facts->host);
    testbed_check_rc(bed, "connect", "0", &facts->connect, "0");
    testbed_check_integer(bed, "syn_acks", (int64_t)plan.sent_count, (int64_t)seen);
    for (size_t i = 0; i < plan.sent_count; i++)
        testbed_timing(bed, arena_printf(bed->arena, "SYN,ACK %zu", i + 1), plan.sent_ns[i],
                       i < seen ? seen_ns[i] - seen_ns[0] : RESULT_UNKNOWN,
                       i < host.sent_count ? host.sent_ns[i] : RESULT_UNKNOWN);
    int64_t life_ns = seen ? facts->gone_ns - seen_ns[0] : RESULT_UNKNOWN;
    testbed_timing(bed, "forgotten", plan.failed_ns, life_ns, host.failed_ns);
    /* It is looked for now and then, on a busy machine rarely: it must have been there before it
     * was due, and gone afterwards. */
    int64_t latest_ns = kernel_timers_latest_ns(&facts->settings, plan.failed_ns) + LOAD_NS;
    testbed_check_bool(bed, "forgotten_early", false,
                       !seen || life_ns < plan.failed_ns - 2 * facts->settings.tick_ns);
    testbed_check_bool(bed, "there_too_long", false,
                       !seen || facts->there_ns - seen_ns[0] > latest_ns);
    testbed_observe_integer(bed, "life_ns", life_ns);
    testbed_check_text(bed, "client_state", "ESTABLISHED", facts->client_state);
    testbed_check_rc(bed, "read", "ECONNRESET", &facts->read, "EOF");
    testbed_expect_flags_begin(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK x", "S>C SYN,ACK",
                               "C>S ACK x", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_synack_retries = {
    .name = "synack-retries",
    .title = "the last ACK of a handshake never comes: how long a half-open entry lives",
    .here = "The server sends its SYN,ACK again after 1, 3, 7, 15 and 31 s and forgets the request "
            "after 63 s (tcp_synack_retries 5; sooner when more than half of the queue is old). "
            "It never tells the client, whose connect has returned: the connection ends with the "
            "client's next segment, which gets an RST.",
    .settings =
        (const struct scenario_setting[]){
            BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_synack_retries", "2", SETTING_TIMER}, {0}},
    .play = run_synack_retries,
    .check = check_synack_retries,
};
