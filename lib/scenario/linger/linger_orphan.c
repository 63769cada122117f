/* Sockets without an owner: what the kernel still does for them, and for how long. */
#include "base/cleanup.h"
#include "scenario/linger/linger.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- close-with-unsent, unsent-abandoned ---- */

#define UNSENT_BYTES    (256 * 1024)
#define BASE_NS         (200 * NS_PER_MS) /* the least interval of window probes */
#define ABANDON_MOST_NS (10 * NS_PER_SEC) /* a longer interval of probes takes too long */

/* The peer's window is 64 KiB at most, and the own send buffer holds everything. */
#define BUFFERS                                                                                    \
    {SCENARIO_BOTH, "tcp_wmem", "4096 4194304 4194304", SETTING_OPTIONAL},                         \
    {                                                                                              \
        SCENARIO_BOTH, "tcp_rmem", "4096 65536 65536", SETTING_OPTIONAL                            \
    }

static const struct scenario_setting unsent_settings[] = {
    BUFFERS,
    {SCENARIO_BOTH, "tcp_fin_timeout", "60", 0},
    {SCENARIO_BOTH, "tcp_orphan_retries", "8", 0},
    {0}};

static const struct scenario_setting abandoned_settings[] = {
    BUFFERS,
    {SCENARIO_CLIENT, "tcp_early_retrans", "0", 0},
    {SCENARIO_CLIENT, "tcp_orphan_retries", "2", SETTING_TIMER},
    {SCENARIO_CLIENT, "tcp_rto_max_ms", "1000", SETTING_TIMER | SETTING_OPTIONAL},
    {0}};

struct unsent_facts {
    struct linger_facts common;
    struct kernel_timers_settings settings, host;
    int64_t rto_ns;   /* the connection's own, before any back-off */
    uint32_t unsent;  /* in the send buffer after close */
    bool owned;       /* a descriptor refers to the socket after close */
    int64_t gone_ns;  /* since the run's start: the client's kernel has given up */
    int64_t close_ns; /* the same of the call */
    int peer;         /* the server's state then */
};

static struct act_socket client_socket(struct testbed *bed, uint16_t port)
{
    return testbed_socket_of(bed, LAB_CLIENT, port, TESTBED_PORT);
}

/* Closes with a full buffer, and ends the process. */
static struct unsent_facts *leave_unsent(struct testbed *bed)
{
    struct unsent_facts *facts =
        (struct unsent_facts *)linger_begin(bed, sizeof *facts, UNSENT_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed);

    if (common->bytes < UNSENT_BYTES)
        common->bytes = UNSENT_BYTES;
    facts->settings = testbed_settings(bed, LAB_CLIENT);
    facts->host = testbed_host_settings(bed);
    client_socket(bed, common->port); /* who looks is there from now on */
    struct act_reply filled = DO(client, ACT_FILL, .bytes = common->bytes);
    if (filled.rc != common->bytes)
        testbed_fail(bed, "the send buffer took %lld bytes of %lld", (long long)filled.rc,
                     (long long)common->bytes);
    common->call = DO(client, ACT_CLOSE);
    facts->close_ns = common->call.entered_ns - bed->started_mono_ns;
    BEGIN(client, ACT_EXIT, .number = 0);
    agent_wait(client, ACT_LIMIT_NS, NULL);
    struct act_socket left = client_socket(bed, common->port);
    common->before_ack = left.state == TCP_FIN_WAIT1;
    facts->owned = left.entry.inode != 0;
    facts->unsent = left.entry.wqueue;
    facts->rto_ns =
        left.entry.has_info ? left.entry.info.rto_ns : kernel_timers_rto_ns(&facts->settings, 0);
    return facts;
}

static void check_left(struct testbed *bed, const struct unsent_facts *facts)
{
    testbed_check_rc(bed, "close", "0", &facts->common.call, "0");
    testbed_check_bool(bed, "fin_wait_1_after_close", true, facts->common.before_ack);
    testbed_check_bool(bed, "a_process_owns_it", false, facts->owned);
    testbed_expect_range(bed, "left_to_send", 1, facts->common.bytes + 1); /* and the FIN */
    testbed_observe_integer(bed, "left_to_send", facts->unsent);
}

static void run_unsent(struct testbed *bed)
{
    struct unsent_facts *facts = leave_unsent(bed);
    struct linger_facts *common = &facts->common;

    common->end = linger_read(testbed_server(bed), 1);
    linger_finish(bed, common, TCP_TIME_WAIT);
}

static void check_unsent(struct testbed *bed)
{
    const struct unsent_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    check_left(bed, facts);
    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    testbed_check_text(bed, "client_end", "TIME-WAIT", testbed_state_name(common->client));
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_close_with_unsent = {
    .name = "close-with-unsent",
    .title = "close with a full send buffer and a slow reader: the kernel delivers it all",
    .book = "What is in the send buffer is sent after close returns, by the kernel (section 7.5).",
    .here = "The same, also when the process has ended: the socket stays in FIN-WAIT-1 without an "
            "owner until the reader has made room for everything, and its FIN comes last. It may "
            "wait as long as unsent-abandoned says.",
    .settings = unsent_settings,
    .play = run_unsent,
    .check = check_unsent,
};

/* How long after the first window probe an orphan is given up whose peer answers every probe, and
 * never opens its window: tcp_probe_timer() looks at the back-off, because the answers set the
 * count of probes back. */
static int64_t abandoned_after_ns(const struct kernel_timers_settings *settings, int64_t rto_ns)
{
    int64_t after_ns = 0;

    for (int backoff = 1;; backoff++) {
        int64_t base_ns = rto_ns > BASE_NS ? rto_ns : BASE_NS;
        int64_t now_ns = rto_ns << backoff, next_ns = base_ns << backoff;
        after_ns += next_ns < settings->rto_max_ns ? next_ns : settings->rto_max_ns;
        if ((now_ns >= settings->rto_max_ns && backoff >= settings->orphan_retries) ||
            backoff == 24)
            return after_ns;
    }
}

static void run_abandoned(struct testbed *bed)
{
    struct unsent_facts *facts = leave_unsent(bed);
    struct linger_facts *common = &facts->common;
    struct act_socket left = {0};

    if (facts->settings.rto_max_ns > ABANDON_MOST_NS && !bed->request->real_time)
        testbed_fail(bed, "this kernel has no tcp_rto_max_ms (Linux 6.15), and without it this "
                          "takes minutes: give --real-time");
    int64_t plan_ns = abandoned_after_ns(&facts->settings, facts->rto_ns);
    int64_t end_ns = clock_mono_ns() + plan_ns * 5 / 4 + 2 * LINGER_PATIENCE_NS;
    do {
        poll(NULL, 0, 2);
        left = client_socket(bed, common->port);
        /* Acknowledgements that were under way may still change it. */
        facts->rto_ns = left.state && left.entry.has_info ? left.entry.info.rto_ns : facts->rto_ns;
    } while (left.state && clock_mono_ns() < end_ns && !testbed_failed(bed));
    facts->gone_ns = clock_mono_ns() - bed->started_mono_ns;
    common->client = left.state;
    facts->peer = linger_state(bed, LAB_SERVER, common->port, TCP_ESTABLISHED);
    common->end = linger_read(testbed_server(bed), 1);
    common->server = linger_state(bed, LAB_SERVER, common->port, 0);
}

/* The first bare ACK of the client after its last data. */
static int64_t first_probe(const struct testbed *bed)
{
    int64_t data_ns[1024], ack_ns[1024];
    size_t data = testbed_times(bed, "data", LAB_FROM_CLIENT, data_ns, 1024);
    size_t acks = testbed_times(bed, "ack", LAB_FROM_CLIENT, ack_ns, 1024);

    for (size_t i = 0; data && data <= 1024 && i < acks && i < 1024; i++)
        if (ack_ns[i] > data_ns[data - 1])
            return ack_ns[i];
    return RESULT_UNKNOWN;
}

static void check_abandoned(struct testbed *bed)
{
    const struct unsent_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;
    int64_t plan_ns = abandoned_after_ns(&facts->settings, facts->rto_ns);
    int64_t host_ns = abandoned_after_ns(&facts->host, kernel_timers_rto_ns(&facts->host, 0));
    int64_t first_ns = first_probe(bed);
    int64_t took_ns = first_ns == RESULT_UNKNOWN ? RESULT_UNKNOWN : facts->gone_ns - first_ns;

    check_left(bed, facts);
    testbed_check_text(bed, "client_end", "none", testbed_state_name(common->client));
    testbed_check_text(bed, "server_then", "ESTABLISHED", testbed_state_name(facts->peer));
    testbed_check_text(bed, "peer_sees", "ECONNRESET", linger_sees(&common->end));
    testbed_expect_range(bed, "lost_bytes", 1, common->bytes);
    testbed_observe_integer(bed, "delivered_bytes", common->end.bytes);
    testbed_observe_integer(bed, "lost_bytes", common->bytes - common->end.bytes);
    linger_expect_time(bed, "given_up_ns", &facts->settings, plan_ns);
    testbed_observe_integer(bed, "given_up_ns", took_ns);
    testbed_timing(bed, "given up after the first window probe", plan_ns, took_ns, host_ns);
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_unsent_abandoned = {
    .name = "unsent-abandoned",
    .title = "close with a full send buffer, and the reader never reads: the kernel gives up",
    .here = "Window probes go out at intervals that double. When the interval has reached its "
            "maximum (tcp_rto_max_ms, 120 s) and tcp_orphan_retries times have passed, the rest is "
            "discarded, without an RST: the peer is left with a connection that is half open. It "
            "learns of it when it writes, or when it reads after all, because RST answers its new "
            "window. A process that still owned its socket could wait as long as the peer "
            "answers.",
    .settings = abandoned_settings,
    .play = run_abandoned,
    .check = check_abandoned,
};

/* ---- close-peer-dead ---- */

static const struct scenario_setting dead_settings[] = {
    {SCENARIO_CLIENT, "tcp_early_retrans", "0", 0},
    {SCENARIO_CLIENT, "tcp_orphan_retries", "1", SETTING_TIMER},
    {0}};

/* The model's socket that has the connection's retransmission timeout. */
static struct kernel_timers_socket dead_socket(const struct unsent_facts *facts)
{
    int64_t rtt_ns = facts->rto_ns - kernel_timers_rto_ns(&facts->settings, 0);
    return (struct kernel_timers_socket){.rtt_ns = rtt_ns > 0 ? rtt_ns : 0};
}

static void run_dead(struct testbed *bed)
{
    struct unsent_facts *facts =
        (struct unsent_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed);
    struct kernel_timers plan;

    common->bytes = LINGER_BYTES;
    facts->settings = testbed_settings(bed, LAB_CLIENT);
    facts->host = testbed_host_settings(bed);
    facts->host.tail_loss_probe = false;
    facts->rto_ns = DO(client, ACT_INFO).info.rto_ns;
    struct kernel_timers_socket socket = dead_socket(facts);
    kernel_timers_orphan(&plan, &facts->settings, &socket);
    client_socket(bed, common->port);
    testbed_cut(bed);
    DO(client, ACT_WRITE_ALL, .bytes = common->bytes);
    common->call = DO(client, ACT_CLOSE);
    common->before_ack = true;
    common->after = client_socket(bed, common->port).state;
    int64_t end_ns = clock_mono_ns() + plan.failed_ns * 5 / 4 + 2 * LINGER_PATIENCE_NS;
    while (client_socket(bed, common->port).state && clock_mono_ns() < end_ns &&
           !testbed_failed(bed))
        poll(NULL, 0, 2);
    facts->gone_ns = clock_mono_ns() - bed->started_mono_ns;
    common->client = client_socket(bed, common->port).state;
    testbed_restore(bed);
    common->server = linger_state(bed, LAB_SERVER, common->port, TCP_ESTABLISHED);
    common->end = linger_read(testbed_server(bed), 1);
}

/* The kernel looks at the time that has passed, and its timers are late by up to an eighth: close
 * to the limit it may give up one transmission earlier. */
static void expect_schedule(struct testbed *bed, const struct unsent_facts *facts,
                            const struct kernel_timers *plan)
{
    struct kernel_timers late;
    struct kernel_timers_socket socket = dead_socket(facts);

    socket.rtt_ns += facts->rto_ns / 8;
    kernel_timers_orphan(&late, &facts->settings, &socket);
    testbed_expect_integer(bed, "transmissions", (int64_t)plan->sent_count);
    linger_expect_time(bed, "given_up_ns", &facts->settings, plan->failed_ns);
    if (late.sent_count == plan->sent_count)
        return;
    testbed_expect_range(bed, "transmissions", (int64_t)late.sent_count, (int64_t)plan->sent_count);
    testbed_expect_range(bed, "given_up_ns", plan->sent_ns[plan->sent_count - 1],
                         kernel_timers_latest_ns(&facts->settings, plan->failed_ns) +
                             LINGER_LATE_NS);
}

static void check_dead(struct testbed *bed)
{
    const struct unsent_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;
    int64_t sent_ns[KERNEL_TIMERS_SENT_MAX];
    size_t sent = testbed_times(bed, "data", LAB_FROM_CLIENT, sent_ns, KERNEL_TIMERS_SENT_MAX);
    struct kernel_timers plan, host;
    int64_t took_ns = sent ? facts->gone_ns - sent_ns[0] : RESULT_UNKNOWN;

    struct kernel_timers_socket socket = dead_socket(facts);
    kernel_timers_orphan(&plan, &facts->settings, &socket);
    kernel_timers_orphan(&host, &facts->host, NULL);
    testbed_check_rc(bed, "close", "0", &common->call, "0");
    testbed_check_text(bed, "state_after_close", "FIN-WAIT-1", testbed_state_name(common->after));
    expect_schedule(bed, facts, &plan);
    testbed_observe_integer(bed, "transmissions", (int64_t)sent);
    testbed_check_integer(bed, "resets", 0,
                          (int64_t)testbed_times(bed, "rst", LAB_FROM_CLIENT, NULL, 0));
    testbed_check_text(bed, "client_end", "none", testbed_state_name(common->client));
    testbed_check_text(bed, "server_then", "ESTABLISHED", testbed_state_name(common->server));
    testbed_check_text(bed, "peer_sees", "nothing", linger_sees(&common->end));
    testbed_check_integer(bed, "delivered_bytes", 0, common->end.bytes);
    testbed_observe_integer(bed, "given_up_ns", took_ns);
    for (size_t i = 0; i < plan.sent_count && i < KERNEL_TIMERS_SENT_MAX; i++)
        testbed_timing(bed, arena_printf(bed->arena, "transmission %zu", i + 1), plan.sent_ns[i],
                       i < sent ? sent_ns[i] - sent_ns[0] : RESULT_UNKNOWN,
                       i < host.sent_count ? host.sent_ns[i] : RESULT_UNKNOWN);
    testbed_timing(bed, "given up", plan.failed_ns, took_ns, host.failed_ns);
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_close_peer_dead = {
    .name = "close-peer-dead",
    .title = "close, and the peer's host is gone: FIN-WAIT-1, until the kernel gives up",
    .book = "close returns at once and the caller is told nothing (section 7.5).",
    .here = "Data and FIN are sent again at intervals that double; after tcp_orphan_retries (0 "
            "stands for 8) the socket is discarded. Nobody is told: the caller has gone, and a "
            "peer that comes back has a connection that is half open.",
    .settings = dead_settings,
    .play = run_dead,
    .check = check_dead,
};

/* ---- fin-wait-2-timeout ---- */

#define LINGER2_SECONDS 3

static const struct scenario_setting fin_wait_settings[] = {
    {SCENARIO_CLIENT, "tcp_fin_timeout", "2", SETTING_TIMER}, {0}};

enum fin_wait_socket { BY_SETTING, BY_OPTION, OWNED, FIN_WAIT_SOCKETS };

struct fin_wait_facts {
    struct linger_facts common;
    struct kernel_timers_settings settings;
    struct {
        uint16_t port;
        int before, end; /* states: when FIN is acknowledged, at the end */
        int64_t closed_ns, gone_ns, left_ns;
    } of[FIN_WAIT_SOCKETS];
    int64_t timeout_ns;
    bool late_fin_reset;
};

static void connect_more(struct testbed *bed, struct fin_wait_facts *facts)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->of[BY_SETTING].port = facts->common.port;
    for (int i = 1; i < FIN_WAIT_SOCKETS; i++) {
        DO(client, ACT_CONNECT, .slot = i, .port = TESTBED_PORT);
        DO(server, ACT_ACCEPT, .other = i + 1, .timeout_ns = LINGER_PATIENCE_NS);
        facts->of[i].port = linger_port(client, i);
    }
}

static void end_first_half(struct testbed *bed, struct fin_wait_facts *facts)
{
    struct agent *client = testbed_client(bed);

    DO(client, ACT_OPTION, .slot = BY_OPTION, .text = "TCP_LINGER2=3s");
    for (int i = 0; i < FIN_WAIT_SOCKETS; i++) {
        struct act_reply reply = i == OWNED ? DO(client, ACT_SHUTDOWN, .slot = i, .number = SHUT_WR)
                                            : DO(client, ACT_CLOSE, .slot = i);
        facts->of[i].closed_ns = reply.entered_ns;
        facts->of[i].gone_ns = RESULT_UNKNOWN;
        if (i == BY_SETTING)
            facts->common.call = reply;
    }
    for (int i = 0; i < FIN_WAIT_SOCKETS; i++) {
        facts->of[i].before = linger_state(bed, LAB_CLIENT, facts->of[i].port, TCP_FIN_WAIT2);
        struct act_socket found = client_socket(bed, facts->of[i].port);
        facts->of[i].left_ns = found.state == TCP_FIN_WAIT2 && found.entry.timer
                                   ? (int64_t)found.entry.timer_expires_ms * NS_PER_MS
                                   : RESULT_UNKNOWN;
    }
}

static void watch_them_go(struct testbed *bed, struct fin_wait_facts *facts)
{
    int64_t longest_ns = LINGER2_SECONDS * NS_PER_SEC > facts->timeout_ns
                             ? LINGER2_SECONDS * NS_PER_SEC
                             : facts->timeout_ns;
    int64_t end_ns = clock_mono_ns() + longest_ns * 5 / 4 + LINGER_PATIENCE_NS;
    bool waiting = true;

    while (waiting && clock_mono_ns() < end_ns && !testbed_failed(bed)) {
        waiting = false;
        for (int i = 0; i < OWNED; i++) {
            if (facts->of[i].gone_ns != RESULT_UNKNOWN)
                continue;
            if (client_socket(bed, facts->of[i].port).state)
                waiting = true;
            else
                facts->of[i].gone_ns = clock_mono_ns() - facts->of[i].closed_ns;
        }
        poll(NULL, 0, 2);
    }
    for (int i = 0; i < FIN_WAIT_SOCKETS; i++)
        facts->of[i].end = client_socket(bed, facts->of[i].port).state;
}

/* This machine's own, outside the lab. */
static int64_t host_fin_timeout_ns(void)
{
    cleanup(file) FILE *file = fopen("/proc/sys/net/ipv4/tcp_fin_timeout", "re");
    char text[32];

    return file && fgets(text, sizeof text, file) ? strtoll(text, NULL, 10) * NS_PER_SEC
                                                  : RESULT_UNKNOWN;
}

static void run_fin_wait(struct testbed *bed)
{
    struct fin_wait_facts *facts = (struct fin_wait_facts *)linger_begin(bed, sizeof *facts, 0);
    struct linger_facts *common = &facts->common;

    facts->settings = testbed_settings(bed, LAB_CLIENT);
    facts->timeout_ns = testbed_setting(bed, LAB_CLIENT, "tcp_fin_timeout") * NS_PER_SEC;
    connect_more(bed, facts);
    end_first_half(bed, facts);
    watch_them_go(bed, facts);
    common->end = linger_read(testbed_server(bed), 1);
    common->client = facts->of[BY_SETTING].end;
    common->before_ack = true;
    testbed_from_here(bed);
    DO(testbed_server(bed), ACT_CLOSE, .slot = 1);
    facts->late_fin_reset = testbed_saw(bed, "c>s:rst", LINGER_PATIENCE_NS);
    common->server = linger_state(bed, LAB_SERVER, common->port, 0);
}

static void check_fin_wait(struct testbed *bed)
{
    const struct fin_wait_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;
    int64_t linger2_ns = LINGER2_SECONDS * NS_PER_SEC;

    testbed_check_text(bed, "orphan_before", "FIN-WAIT-2",
                       testbed_state_name(facts->of[BY_SETTING].before));
    testbed_check_text(bed, "orphan_end", "none", testbed_state_name(facts->of[BY_SETTING].end));
    linger_expect_time(bed, "orphan_lives_ns", &facts->settings, facts->timeout_ns);
    testbed_observe_integer(bed, "orphan_lives_ns", facts->of[BY_SETTING].gone_ns);
    testbed_expect_range(bed, "orphan_timer_ns", 0, facts->timeout_ns * 9 / 8 + 100 * NS_PER_MS);
    testbed_observe_integer(bed, "orphan_timer_ns", facts->of[BY_SETTING].left_ns);
    linger_expect_time(bed, "with_tcp_linger2_ns", &facts->settings, linger2_ns);
    testbed_observe_integer(bed, "with_tcp_linger2_ns", facts->of[BY_OPTION].gone_ns);
    testbed_check_text(bed, "with_an_owner", "FIN-WAIT-2",
                       testbed_state_name(facts->of[OWNED].end));
    testbed_check_bool(bed, "late_fin_meets_rst", true, facts->late_fin_reset);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S FIN,ACK", "S>C ACK",
                         "S>C FIN,ACK", "C>S RST", NULL);
    testbed_timing(bed, "orphan, tcp_fin_timeout", facts->timeout_ns, facts->of[BY_SETTING].gone_ns,
                   host_fin_timeout_ns());
    testbed_timing(bed, "orphan, TCP_LINGER2 3 s", linger2_ns, facts->of[BY_OPTION].gone_ns,
                   linger2_ns);
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_fin_wait_2_timeout = {
    .name = "fin-wait-2-timeout",
    .title = "the peer never closes: FIN-WAIT-2 of an orphan ends, with an owner it does not",
    .here = "An orphan goes after tcp_fin_timeout (60 s), or after TCP_LINGER2 if that was set. A "
            "peer that closes later is answered with RST. After shutdown alone the socket has an "
            "owner and waits for ever.",
    .settings = fin_wait_settings,
    .play = run_fin_wait,
    .check = check_fin_wait,
};
