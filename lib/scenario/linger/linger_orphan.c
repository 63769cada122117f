/* Sockets without an owner: what the kernel still does for them, and for how long. */
#include "base/cleanup.h"
#include "base/wait.h"
#include "scenario/linger/linger.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- close-with-unsent, unsent-abandoned ---- */

#define UNSENT_BYTES    (256 * 1024)
#define BASE_NS         (200 * NS_PER_MS) /* the least interval of window probes */
#define ABANDON_MOST_NS (10 * NS_PER_SEC) /* a longer interval of probes takes too long */

/* The peer's window is 64 KiB at most, and our send buffer holds everything. */
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

/* A socket that its process has left behind. */
struct orphan {
    struct linger_scene s;
    struct kernel_timers_settings settings;
    int64_t rto_ns; /* the connection's own, before any back-off */
    bool closing;   /* it was in FIN-WAIT-1 after close */
};

static struct act_socket client_socket(struct testbed *bed, uint16_t port)
{
    return testbed_socket_of(bed, LAB_CLIENT, port, TESTBED_PORT);
}

/* Closes with a full buffer, and ends the process. */
static struct orphan leave_unsent(struct testbed *bed)
{
    int64_t bytes = linger_bytes(bed, UNSENT_BYTES);
    struct orphan orphan = {.s = linger_begin(bed, bytes > UNSENT_BYTES ? bytes : UNSENT_BYTES),
                            .settings = testbed_settings(bed, LAB_CLIENT)};
    struct linger_scene *s = &orphan.s;

    client_socket(bed, s->port); /* who looks is there from now on */
    struct act_reply filled = DO(s->client, ACT_FILL, .bytes = s->bytes);
    if (filled.rc != s->bytes)
        testbed_fail(bed, "the send buffer took %lld bytes of %lld", (long long)filled.rc,
                     (long long)s->bytes);
    CHECK(bed, "close", "0", s->client, ACT_CLOSE);
    BEGIN(s->client, ACT_EXIT, .number = 0);
    agent_wait(s->client, ACT_LIMIT_NS, NULL);
    struct act_socket left = client_socket(bed, s->port);
    orphan.closing = left.state == TCP_FIN_WAIT1;
    testbed_check_bool(bed, "fin_wait_1_after_close", true, orphan.closing);
    testbed_check_bool(bed, "a_process_owns_it", false, left.entry.inode != 0);
    testbed_expect_range(bed, "left_to_send", 1, s->bytes + 1); /* and the FIN */
    testbed_observe(bed, INTEGER("left_to_send", left.entry.wqueue));
    orphan.rto_ns =
        left.entry.has_info ? left.entry.info.rto_ns : kernel_timers_rto_ns(&orphan.settings, 0);
    return orphan;
}

static void play_unsent(struct testbed *bed)
{
    struct orphan orphan = leave_unsent(bed);
    struct linger_scene *s = &orphan.s;

    linger_check_delivered(s, "EOF");
    linger_finish(s, TCP_TIME_WAIT);
    testbed_check_state(bed, "client_end", TCP_TIME_WAIT, s->client_end);
    linger_summarize(s, "at once", orphan.closing ? "nobody" : "peer's TCP");
}

const struct scenario linger_close_with_unsent = {
    .name = "close-with-unsent",
    .title = "close with a full send buffer and a slow reader: the kernel delivers it all",
    .book = "What is in the send buffer is sent after close returns, by the kernel (section 7.5).",
    .here = "The same, even when the process has ended: the socket stays in FIN-WAIT-1 without an "
            "owner until the reader has made room for everything, and its FIN comes last. "
            "unsent-abandoned shows how long it waits.",
    .settings = unsent_settings,
    .play = play_unsent,
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

/* Acknowledgements that were under way may still change the timeout. */
static bool is_gone(struct orphan *orphan)
{
    struct act_socket left = client_socket(orphan->s.bed, orphan->s.port);

    orphan->s.client_end = left.state;
    if (left.state && left.entry.has_info)
        orphan->rto_ns = left.entry.info.rto_ns;
    return !left.state;
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

/* All of it was given up at `gone_ns` after the run's start. */
static void check_given_up(const struct orphan *orphan, int64_t gone_ns)
{
    struct testbed *bed = orphan->s.bed;
    struct kernel_timers_settings host = machine_timers();
    int64_t plan_ns = abandoned_after_ns(&orphan->settings, orphan->rto_ns);

    testbed_finish(bed);
    int64_t first_ns = first_probe(bed);
    int64_t took_ns = first_ns == RESULT_UNKNOWN ? RESULT_UNKNOWN : gone_ns - first_ns;
    linger_check_time(bed, "given_up_ns", &orphan->settings, plan_ns, took_ns);
    testbed_timing(bed, "given up after the first window probe", plan_ns, took_ns,
                   abandoned_after_ns(&host, kernel_timers_rto_ns(&host, 0)));
}

static void play_abandoned(struct testbed *bed)
{
    struct orphan orphan = leave_unsent(bed);
    struct linger_scene *s = &orphan.s;

    if (orphan.settings.rto_max_ns > ABANDON_MOST_NS && !bed->request->real_time)
        testbed_unsupported(bed, "This kernel has no tcp_rto_max_ms (Linux 6.15 has), and without "
                                 "it this takes minutes: give --real-time.");
    int64_t plan_ns = abandoned_after_ns(&orphan.settings, orphan.rto_ns);
    wait_until(is_gone(&orphan) || testbed_failed(bed),
               clock_mono_ns() + plan_ns * 5 / 4 + 2 * LINGER_PATIENCE_NS);
    int64_t gone_ns = clock_mono_ns() - bed->started_mono_ns;
    testbed_check_state(bed, "client_end", 0, s->client_end);
    linger_check_state(s, "server_then", LAB_SERVER, TCP_ESTABLISHED);
    linger_check_peer_sees(s, "ECONNRESET");
    testbed_check_range(bed, "lost_bytes", 1, s->bytes, s->bytes - s->end.bytes);
    testbed_observe(bed, INTEGER("delivered_bytes", s->end.bytes));
    s->server_end = linger_state(bed, LAB_SERVER, s->port, 0);
    check_given_up(&orphan, gone_ns);
    linger_summarize(s, "at once", orphan.closing ? "nobody" : "peer's TCP");
}

const struct scenario linger_unsent_abandoned = {
    .name = "unsent-abandoned",
    .title = "close with a full send buffer, and the reader never reads: the kernel gives up",
    .here = "Window probes go out at intervals that double. Once the interval has reached its "
            "maximum (tcp_rto_max_ms, 120 s) and tcp_orphan_retries intervals have passed, the "
            "rest is discarded, without an RST: the peer is left with a half-open connection. It "
            "notices when it writes, or when it reads after all, because RST answers its window "
            "update. A socket that a process still owns waits as long as the peer answers.",
    .settings = abandoned_settings,
    .play = play_abandoned,
};

/* ---- close-peer-dead ---- */

static const struct scenario_setting dead_settings[] = {
    {SCENARIO_CLIENT, "tcp_early_retrans", "0", 0},
    {SCENARIO_CLIENT, "tcp_orphan_retries", "1", SETTING_TIMER},
    {0}};

/* What the kernel should do, and how the model knows the connection. */
struct dead_plan {
    struct kernel_timers_settings settings;
    struct kernel_timers_socket socket;
    int64_t rto_ns; /* the connection's own */
    struct kernel_timers timers;
};

static struct dead_plan plan_dead(struct linger_scene *s)
{
    struct dead_plan plan = {.settings = testbed_settings(s->bed, LAB_CLIENT),
                             .rto_ns = DO(s->client, ACT_INFO).info.rto_ns};
    int64_t rtt_ns = plan.rto_ns - kernel_timers_rto_ns(&plan.settings, 0);

    plan.socket.rtt_ns = rtt_ns > 0 ? rtt_ns : 0;
    kernel_timers_orphan(&plan.timers, &plan.settings, &plan.socket);
    return plan;
}

/* The kernel looks at the time that has passed, and its timers are late by up to an eighth: close
 * to the limit it may give up one transmission earlier. */
static void expect_schedule(struct testbed *bed, const struct dead_plan *plan)
{
    const struct kernel_timers *timers = &plan->timers;
    struct kernel_timers late;
    struct kernel_timers_socket socket = plan->socket;

    socket.rtt_ns += plan->rto_ns / 8;
    kernel_timers_orphan(&late, &plan->settings, &socket);
    testbed_expect_integer(bed, "transmissions", (int64_t)timers->sent_count);
    if (late.sent_count == timers->sent_count)
        return;
    testbed_expect_range(bed, "transmissions", (int64_t)late.sent_count,
                         (int64_t)timers->sent_count);
    testbed_expect_range(bed, "given_up_ns", timers->sent_ns[timers->sent_count - 1],
                         kernel_timers_latest_ns(&plan->settings, timers->failed_ns) +
                             LINGER_LATE_NS);
}

static void check_transmissions(struct testbed *bed, const struct dead_plan *plan, int64_t gone_ns)
{
    const struct kernel_timers *timers = &plan->timers;
    struct kernel_timers_settings settings = machine_timers();
    struct kernel_timers host;
    int64_t sent_ns[KERNEL_TIMERS_SENT_MAX];

    settings.tail_loss_probe = false;
    kernel_timers_orphan(&host, &settings, NULL);
    testbed_finish(bed);
    size_t sent = testbed_times(bed, "data", LAB_FROM_CLIENT, sent_ns, KERNEL_TIMERS_SENT_MAX);
    int64_t took_ns = sent ? gone_ns - sent_ns[0] : RESULT_UNKNOWN;
    testbed_observe(bed, INTEGER("transmissions", (int64_t)sent));
    linger_check_time(bed, "given_up_ns", &plan->settings, timers->failed_ns, took_ns);
    expect_schedule(bed, plan);
    testbed_timings(bed, "transmission", timers, &host, 0, sent_ns, sent);
    testbed_timing(bed, "given up", timers->failed_ns, took_ns, host.failed_ns);
}

static void play_dead(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, LINGER_BYTES);
    struct dead_plan plan = plan_dead(&s);

    client_socket(bed, s.port);
    testbed_cut(bed);
    DO(s.client, ACT_WRITE_ALL, .bytes = s.bytes);
    CHECK(bed, "close", "0", s.client, ACT_CLOSE);
    testbed_check_state(bed, "state_after_close", TCP_FIN_WAIT1, client_socket(bed, s.port).state);
    linger_wait_gone(&s, plan.timers.failed_ns * 5 / 4 + 2 * LINGER_PATIENCE_NS);
    int64_t gone_ns = clock_mono_ns() - bed->started_mono_ns;
    testbed_check_state(bed, "client_end", 0, s.client_end);
    testbed_expect_count(bed, "resets", "rst", LAB_FROM_CLIENT, 0);
    testbed_restore(bed);
    s.server_end = linger_state(bed, LAB_SERVER, s.port, TCP_ESTABLISHED);
    testbed_check_state(bed, "server_then", TCP_ESTABLISHED, s.server_end);
    linger_check_peer_sees(&s, "nothing");
    testbed_check_integer(bed, "delivered_bytes", 0, s.end.bytes);
    check_transmissions(bed, &plan, gone_ns);
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_close_peer_dead = {
    .name = "close-peer-dead",
    .title = "close, and the peer's host is gone: FIN-WAIT-1, until the kernel gives up",
    .book = "close returns at once, and the caller learns nothing more (section 7.5).",
    .here = "Data and FIN are retransmitted at intervals that double; after tcp_orphan_retries (0 "
            "stands for 8) the socket is discarded. Nobody is told: the caller is gone, and a peer "
            "that comes back has a half-open connection.",
    .settings = dead_settings,
    .play = play_dead,
};

/* ---- fin-wait-2-timeout ---- */

#define LINGER2_SECONDS 3

static const struct scenario_setting fin_wait_settings[] = {
    {SCENARIO_CLIENT, "tcp_fin_timeout", "2", SETTING_TIMER}, {0}};

enum fin_wait_socket { BY_SETTING, BY_OPTION, OWNED, FIN_WAIT_SOCKETS };

/* One of the sockets of which the client has ended the first half. */
struct fin_wait {
    uint16_t port;
    int before, end; /* states: when FIN is acknowledged, at the end */
    int64_t closed_ns, gone_ns, left_ns;
};

static void connect_more(struct linger_scene *s, struct fin_wait *of)
{
    of[BY_SETTING].port = s->port;
    for (int i = 1; i < FIN_WAIT_SOCKETS; i++) {
        testbed_connect(s->bed, s->client, i, TESTBED_PORT, s->server, 0, i + 1);
        of[i].port = linger_port(s->client, i);
    }
}

static void end_first_half(struct linger_scene *s, struct fin_wait *of)
{
    DO(s->client, ACT_OPTION, .slot = BY_OPTION, .text = "TCP_LINGER2=3s");
    for (int i = 0; i < FIN_WAIT_SOCKETS; i++) {
        struct act_reply reply = i == OWNED
                                     ? DO(s->client, ACT_SHUTDOWN, .slot = i, .number = SHUT_WR)
                                     : DO(s->client, ACT_CLOSE, .slot = i);
        of[i].closed_ns = reply.entered_ns;
        of[i].gone_ns = RESULT_UNKNOWN;
    }
    for (int i = 0; i < FIN_WAIT_SOCKETS; i++) {
        of[i].before = linger_state(s->bed, LAB_CLIENT, of[i].port, TCP_FIN_WAIT2);
        struct act_socket found = client_socket(s->bed, of[i].port);
        of[i].left_ns = found.state == TCP_FIN_WAIT2 && found.entry.timer
                            ? (int64_t)found.entry.timer_expires_ms * NS_PER_MS
                            : RESULT_UNKNOWN;
    }
}

static bool orphans_gone(struct testbed *bed, struct fin_wait *of)
{
    bool gone = true;

    for (int i = 0; i < OWNED; i++) {
        if (of[i].gone_ns == RESULT_UNKNOWN && !client_socket(bed, of[i].port).state)
            of[i].gone_ns = clock_mono_ns() - of[i].closed_ns;
        gone = gone && of[i].gone_ns != RESULT_UNKNOWN;
    }
    return gone;
}

static void watch_them_go(struct testbed *bed, struct fin_wait *of, int64_t timeout_ns)
{
    int64_t linger2_ns = LINGER2_SECONDS * NS_PER_SEC;
    int64_t longest_ns = linger2_ns > timeout_ns ? linger2_ns : timeout_ns;

    wait_until(orphans_gone(bed, of) || testbed_failed(bed),
               clock_mono_ns() + longest_ns * 5 / 4 + LINGER_PATIENCE_NS);
    for (int i = 0; i < FIN_WAIT_SOCKETS; i++)
        of[i].end = client_socket(bed, of[i].port).state;
}

static void check_orphans(struct testbed *bed, const struct fin_wait *of, int64_t timeout_ns)
{
    struct kernel_timers_settings settings = testbed_settings(bed, LAB_CLIENT);
    int64_t linger2_ns = LINGER2_SECONDS * NS_PER_SEC;

    testbed_check_state(bed, "orphan_before", TCP_FIN_WAIT2, of[BY_SETTING].before);
    testbed_check_state(bed, "orphan_end", 0, of[BY_SETTING].end);
    linger_check_time(bed, "orphan_lives_ns", &settings, timeout_ns, of[BY_SETTING].gone_ns);
    testbed_check_range(bed, "orphan_timer_ns", 0, timeout_ns * 9 / 8 + 100 * NS_PER_MS,
                        of[BY_SETTING].left_ns);
    linger_check_time(bed, "with_tcp_linger2_ns", &settings, linger2_ns, of[BY_OPTION].gone_ns);
    testbed_check_state(bed, "with_an_owner", TCP_FIN_WAIT2, of[OWNED].end);
    testbed_timing(bed, "orphan, tcp_fin_timeout", timeout_ns, of[BY_SETTING].gone_ns,
                   testbed_own_seconds_ns("tcp_fin_timeout"));
    testbed_timing(bed, "orphan, TCP_LINGER2 3 s", linger2_ns, of[BY_OPTION].gone_ns, linger2_ns);
}

static void play_fin_wait(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, 0);
    struct fin_wait of[FIN_WAIT_SOCKETS];
    int64_t timeout_ns = testbed_setting(bed, LAB_CLIENT, "tcp_fin_timeout") * NS_PER_SEC;

    connect_more(&s, of);
    end_first_half(&s, of);
    watch_them_go(bed, of, timeout_ns);
    check_orphans(bed, of, timeout_ns);
    s.client_end = of[BY_SETTING].end;
    linger_check_peer_sees(&s, "EOF");
    testbed_from_here(bed);
    DO(s.server, ACT_CLOSE, .slot = 1);
    testbed_check_bool(bed, "late_fin_meets_rst", true, linger_saw(&s, "c>s:rst"));
    s.server_end = linger_state(bed, LAB_SERVER, s.port, 0);
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_fin_wait_2_timeout = {
    .name = "fin-wait-2-timeout",
    .title =
        "the peer never closes: FIN-WAIT-2 ends for an orphan, and not for a socket with an owner",
    .here = "An orphan goes away after tcp_fin_timeout (60 s), or after TCP_LINGER2 if that was "
            "set. A peer that closes later is answered with RST. After shutdown alone the socket "
            "still has an owner, and waits for ever.",
    .settings = fin_wait_settings,
    .play = play_fin_wait,
    .flags = FLAGS(HANDSHAKE, "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK", "C>S RST"),
};
