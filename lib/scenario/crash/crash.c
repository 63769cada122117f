/* What the scenarios of crash-sim share. */
#include "scenario/crash/crash.h"

#include "base/cleanup.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

const struct scenario_setting crash_no_haste[] = {
    {SCENARIO_BOTH, "tcp_rto_min_us", "5000000", SETTING_OPTIONAL}, {0}};

const struct scenario_setting crash_few_retries[] = {
    {SCENARIO_BOTH, "tcp_retries2", "2", SETTING_TIMER}, {0}};

const struct scenario_setting crash_quick_keepalive[] = {
    {SCENARIO_BOTH, "tcp_retries2", "2", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_time", "1", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_intvl", "1", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_probes", "2", SETTING_TIMER},
    {0}};

struct crash_facts *crash_facts(struct testbed *bed)
{
    return testbed_facts(bed, sizeof(struct crash_facts));
}

/* ---- Before it happens ---- */

/* "60" seconds or "1500" milliseconds of an option, as it is in force. */
static int64_t option_ns(struct testbed *bed, const char *name)
{
    struct act act = {.verb = ACT_OPTION_READ};
    const struct sock_option *option = sock_option_find(name);
    struct sock_option_value value;

    snprintf(act.text, sizeof act.text, "%s", name);
    struct act_reply reply = agent_do(testbed_client(bed), &act);
    if (reply.rc || !option || sock_option_parse(option, reply.text, &value, NULL)) {
        testbed_fail(bed, "cannot read %s", name);
        return 0;
    }
    return value.number;
}

static void learn_socket(struct testbed *bed)
{
    struct crash_facts *facts = crash_facts(bed);
    struct act_reply info = DO(testbed_client(bed), ACT_INFO);

    facts->settings = testbed_settings(bed, LAB_CLIENT);
    facts->host = testbed_host_settings(bed);
    facts->socket = (struct kernel_timers_socket){
        .user_timeout_ns = option_ns(bed, "TCP_USER_TIMEOUT"),
        .keepalive_time_ns = option_ns(bed, "TCP_KEEPIDLE"),
        .keepalive_intvl_ns = option_ns(bed, "TCP_KEEPINTVL"),
        .keepalive_probes = option_ns(bed, "TCP_KEEPCNT"),
        .rtt_ns = info.rc > 0 ? info.info.rtt_ns : 0,
    };
    facts->settings.tail_loss_probe =
        facts->settings.tail_loss_probe && info.info.options & SOCK_TCP_OPT_SACK;
}

void crash_connected(struct testbed *bed)
{
    testbed_connected(bed);
    if (!testbed_failed(bed))
        learn_socket(bed);
}

void crash_connect(struct testbed *bed, struct agent *client, int client_slot, struct agent *server,
                   int server_slot, uint16_t port)
{
    struct act_reply reply =
        DO(server, ACT_LISTEN, .slot = server_slot + 100, .port = port, .number = 16);

    if (!reply.rc)
        reply = DO(client, ACT_CONNECT, .slot = client_slot, .port = port);
    if (!reply.rc)
        reply = DO(server, ACT_ACCEPT, .slot = server_slot + 100, .other = server_slot,
                   .timeout_ns = TESTBED_LIMIT_NS);
    if (reply.rc)
        testbed_fail(bed, "cannot connect to port %u: %s", port, act_rc_name(reply.rc, "0"));
}

void crash_happens(struct testbed *bed)
{
    crash_facts(bed)->at_ns = clock_mono_ns();
}

void crash_kill_server(struct testbed *bed)
{
    crash_happens(bed);
    agent_signal(testbed_server(bed), SIGKILL);
    testbed_mark(bed, "the server's process is killed");
    crash_heard(bed, "delivered s>c:fin", "delivered s>c:rst");
    /* The FIN's acknowledgement may be delayed; what comes next is to come after it. */
    crash_heard(bed, "server=FIN-WAIT-2", "delivered s>c:rst");
}

void crash_heard(struct testbed *bed, const char *one, const char *other)
{
    int64_t end_ns = clock_mono_ns() + TESTBED_LIMIT_NS;

    while (!testbed_failed(bed) && clock_mono_ns() < end_ns)
        if (testbed_saw(bed, one, 5 * NS_PER_MS) || testbed_saw(bed, other, 0))
            return;
}

#define SLICE_NS (20 * NS_PER_MS)

struct act_reply crash_end(struct testbed *bed, struct agent *agent, int64_t limit_ns)
{
    struct crash_facts *facts = crash_facts(bed);
    int64_t end_ns = clock_mono_ns() + limit_ns, from_ns;
    struct act_reply reply;

    do {
        from_ns = clock_mono_ns();
        reply = agent_try(agent, SLICE_NS);
        int64_t overslept_ns = clock_mono_ns() - from_ns - SLICE_NS;
        if (overslept_ns > facts->stalled_ns)
            facts->stalled_ns = overslept_ns;
    } while (reply.late && from_ns < end_ns);
    return reply.late ? agent_end(agent, SLICE_NS) : reply;
}

void crash_booted_in_time(struct testbed *bed)
{
    const struct crash_facts *facts = crash_facts(bed);
    struct kernel_timers plan;

    kernel_timers_keepalive(&plan, &facts->settings, &facts->socket);
    if (clock_mono_ns() - facts->at_ns > plan.sent_ns[0] - NS_PER_SEC)
        testbed_fail(bed, "the host took too long to boot");
}

static bool in_call(const struct testbed *bed, enum trace_side side, const char *verb)
{
    size_t count = trace_reserved(bed->trace);

    for (size_t i = count; i > bed->since; i--) {
        const struct trace_event *event = trace_slot(bed->trace, i - 1);
        if (event && event->kind == TRACE_CALL && event->side == side &&
            __atomic_load_n(&event->call.pending, __ATOMIC_ACQUIRE) &&
            !strncmp(event->call.verb, verb, TRACE_WORD_MAX))
            return true;
    }
    return false;
}

void crash_entered(struct testbed *bed, enum lab_host host, const char *verb)
{
    enum trace_side side = host == LAB_CLIENT ? TRACE_CLIENT : TRACE_SERVER;
    int64_t end_ns = clock_mono_ns() + TESTBED_LIMIT_NS;

    while (!testbed_failed(bed) && !in_call(bed, side, verb)) {
        if (clock_mono_ns() >= end_ns)
            testbed_fail(bed, "the %s does not enter its %s", lab_host_name(host), verb);
        poll(NULL, 0, 1);
    }
}

/* ---- What the survivor sees ---- */

static struct result_map *row(struct testbed *bed, const char *call, const char *returned)
{
    if (!bed->result->table_count)
        testbed_table(bed, "survivor", "What the survivor's calls returned");
    struct result_map *map = testbed_row(bed);
    result_set_text(bed->arena, map, "call", call);
    result_set_text(bed->arena, map, "returned", returned);
    return map;
}

/* Which call told first: the scenario's row in the table of all. */
static void sum_up(struct testbed *bed, const char *key, const char *returned,
                   const struct act_reply *reply)
{
    static const char *const no_news[] = {"ok", "0", "whole", "none", "OUT"};
    const struct crash_facts *facts = crash_facts(bed);
    struct result_map *map = testbed_summary(bed);
    bool known = reply && reply->returned_ns > 0;

    if (!facts->at_ns || map->count)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(no_news); i++)
        if (!strcmp(returned, no_news[i]))
            return;
    result_set_text(bed->arena, map, "told_by", key);
    result_set_text(bed->arena, map, "returned", returned);
    result_set_integer(bed->arena, map, "after_ns",
                       known ? reply->returned_ns - facts->at_ns : RESULT_UNKNOWN);
}

static void add_times(struct testbed *bed, struct result_map *map, const struct act_reply *reply)
{
    const struct crash_facts *facts = crash_facts(bed);
    bool known = reply && reply->returned_ns > 0;

    result_set_integer(bed->arena, map, "took_ns",
                       known ? reply->returned_ns - reply->entered_ns : RESULT_UNKNOWN);
    result_set_integer(bed->arena, map, "after_it_ns",
                       known && facts->at_ns ? reply->returned_ns - facts->at_ns : RESULT_UNKNOWN);
}

void crash_call(struct testbed *bed, const char *key, const char *expected,
                const struct act_reply *reply, const char *zero)
{
    const char *name = reply->died   ? "killed"
                       : reply->late ? "still blocked"
                                     : act_rc_name(reply->rc, zero);

    testbed_check_text(bed, key, expected, name);
    sum_up(bed, key, name, reply);
    if (reply->rc > 0 && reply->bytes == reply->rc)
        name = arena_printf(bed->arena, "%lld bytes", (long long)reply->bytes);
    add_times(bed, row(bed, key, name), reply);
}

void crash_death(struct testbed *bed, const char *key, const char *expected, struct agent *agent)
{
    const char *name = "?";
    int status = 0;

    if (testbed_failed(bed) || !agent_wait(agent, TESTBED_LIMIT_NS, &status))
        return;
    if (WIFSIGNALED(status))
        name = arena_printf(bed->arena, "SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        name = arena_printf(bed->arena, "exit %d", WEXITSTATUS(status));
    testbed_check_text(bed, key, expected, name);
    add_times(bed, row(bed, key, name), NULL);
}

static const struct {
    int bit;
    const char *name;
} poll_names[] = {{POLLIN, "IN"},   {POLLPRI, "PRI"}, {POLLOUT, "OUT"},
                  {POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLRDHUP, "RDHUP"}};

void crash_poll(struct testbed *bed, const char *key, const char *expected,
                const struct act_reply *reply)
{
    const char *text = reply->rc > 0 ? "" : act_rc_name(reply->rc, "nothing");

    for (size_t i = 0; reply->rc > 0 && i < ARRAY_SIZE(poll_names); i++)
        if (reply->rc & poll_names[i].bit)
            text = arena_printf(bed->arena, "%s%s%s", text, *text ? " " : "", poll_names[i].name);
    testbed_check_text(bed, key, expected, text);
    sum_up(bed, key, text, reply);
    add_times(bed, row(bed, key, text), reply);
}

int64_t crash_others_find_out_ns(struct testbed *bed)
{
    const struct crash_facts *facts = crash_facts(bed);
    struct kernel_timers send, keepalive;

    kernel_timers_send(&send, &facts->settings, NULL);
    kernel_timers_keepalive(&keepalive, &facts->settings, NULL);
    return send.failed_ns > keepalive.failed_ns ? send.failed_ns : keepalive.failed_ns;
}

void crash_blocked(struct testbed *bed, const char *key, struct agent *agent)
{
    const char *state = agent_busy(agent) ? "still blocked" : "it returned";

    testbed_check_text(bed, key, "still blocked", state);
    sum_up(bed, key, state, NULL);
    struct result_map *map = row(bed, key, state);
    result_set_integer(bed->arena, map, "took_ns", RESULT_UNKNOWN);
    result_set_integer(bed->arena, map, "after_it_ns", clock_mono_ns() - crash_facts(bed)->at_ns);
}

void crash_no_timer(struct testbed *bed, enum lab_host host, uint16_t local_port,
                    uint16_t remote_port)
{
    static const char *const timers[] = {"none", "retransmission", "keepalive", "time-wait",
                                         "window probe"};
    struct act_socket socket = testbed_socket_of(bed, host, local_port, remote_port);
    bool known = socket.entry.timer >= 0 && socket.entry.timer < (int)ARRAY_SIZE(timers);

    testbed_check_text(bed, "state_left", "ESTABLISHED", testbed_state_name(socket.state));
    testbed_check_text(bed, "timer_left", "none", known ? timers[socket.entry.timer] : "another");
}

/* ---- Against the schedules ---- */

/* Many short intervals: the lateness of each adds up, so that the end can come an interval or two
 * early in their count; but not before the time that tcp_retries2 stands for. */
static void expect_no_back_off(struct testbed *bed, const struct kernel_timers *plan, size_t seen)
{
    const struct crash_facts *facts = crash_facts(bed);
    struct kernel_timers_socket doubling = facts->socket;
    struct kernel_timers with_back_off;
    size_t first = facts->settings.tail_loss_probe ? 2 : 1;
    int64_t limit_ns = facts->socket.user_timeout_ns;

    if (!limit_ns)
        limit_ns = kernel_timers_retries_ns(&facts->settings, facts->settings.retries2);
    doubling.unreachable_v4 = false;
    kernel_timers_send(&with_back_off, &facts->settings, &doubling);
    testbed_observe_integer(bed, "transmissions", (int64_t)seen);
    testbed_expect_range(bed, "transmissions", (int64_t)with_back_off.sent_count + 1,
                         (int64_t)plan->sent_count);
    testbed_expect_range(bed, "failed_after_ns", plan->sent_ns[first] + limit_ns,
                         kernel_timers_latest_ns(&facts->settings, plan->failed_ns) + NS_PER_SEC);
}

/* A failure that is late on a machine that stood still says nothing. */
static void expect_failure(struct testbed *bed, int64_t planned_ns, int64_t took_ns)
{
    const struct crash_facts *facts = crash_facts(bed);
    int64_t late_ns = took_ns - kernel_timers_latest_ns(&facts->settings, planned_ns);

    testbed_observe_integer(bed, "failed_after_ns", took_ns);
    testbed_expect_time(bed, "failed_after_ns", &facts->settings, planned_ns);
    if (late_ns > 500 * NS_PER_MS && facts->stalled_ns > 100 * NS_PER_MS)
        testbed_fail(bed, "the machine stood still for %lld ms",
                     (long long)(facts->stalled_ns / NS_PER_MS));
}

static void check_transmissions(struct testbed *bed, const char *word,
                                const struct kernel_timers *plan, const struct kernel_timers *host)
{
    const struct crash_facts *facts = crash_facts(bed);
    int64_t seen_ns[KERNEL_TIMERS_SENT_MAX], took_ns = facts->returned_ns - facts->entered_ns;
    size_t seen = testbed_times(bed, word, LAB_FROM_CLIENT, seen_ns, KERNEL_TIMERS_SENT_MAX);

    if (facts->socket.unreachable_v4)
        expect_no_back_off(bed, plan, seen);
    else
        testbed_check_integer(bed, "transmissions", (int64_t)plan->sent_count, (int64_t)seen);
    for (size_t i = 1; i < plan->sent_count && i < KERNEL_TIMERS_SENT_MAX; i++)
        testbed_timing(bed, arena_printf(bed->arena, "transmission %zu", i + 1), plan->sent_ns[i],
                       i < seen ? seen_ns[i] - seen_ns[0] : RESULT_UNKNOWN,
                       i < host->sent_count ? host->sent_ns[i] : RESULT_UNKNOWN);
    testbed_timing(bed, "the failure", plan->failed_ns, took_ns, host->failed_ns);
    if (facts->socket.unreachable_v4)
        testbed_observe_integer(bed, "failed_after_ns", took_ns);
    else
        expect_failure(bed, plan->failed_ns, took_ns);
}

void crash_check_send(struct testbed *bed)
{
    const struct crash_facts *facts = crash_facts(bed);
    struct kernel_timers plan, host;

    kernel_timers_send(&plan, &facts->settings, &facts->socket);
    kernel_timers_send(&host, &facts->host, &facts->socket);
    check_transmissions(bed, "data", &plan, &host);
}

void crash_check_orphan(struct testbed *bed)
{
    const struct crash_facts *facts = crash_facts(bed);
    struct kernel_timers plan, host;

    kernel_timers_orphan(&plan, &facts->settings, &facts->socket);
    kernel_timers_orphan(&host, &facts->host, &facts->socket);
    check_transmissions(bed, "fin", &plan, &host);
}

/* The last segment of the server before it went away: keepalive counts from it. */
static int64_t last_heard(struct testbed *bed, int64_t before_ns)
{
    int64_t times_ns[64], last_ns = 0;
    size_t count = testbed_times(bed, "", LAB_FROM_SERVER, times_ns, ARRAY_SIZE(times_ns));

    for (size_t i = 0; i < count && i < ARRAY_SIZE(times_ns); i++)
        if (times_ns[i] < before_ns)
            last_ns = times_ns[i];
    return last_ns;
}

void crash_check_keepalive(struct testbed *bed, bool ends)
{
    const struct crash_facts *facts = crash_facts(bed);
    struct kernel_timers_socket unset = {.user_timeout_ns = facts->socket.user_timeout_ns};
    struct kernel_timers plan, host;
    int64_t all_ns[64], at_ns = facts->at_ns - bed->started_mono_ns;
    int64_t heard_ns = last_heard(bed, at_ns), seen_ns[64];
    size_t all = testbed_times(bed, "ack", LAB_FROM_CLIENT, all_ns, ARRAY_SIZE(all_ns)), seen = 0;

    for (size_t i = 0; i < all && i < ARRAY_SIZE(all_ns); i++)
        if (all_ns[i] > at_ns)
            seen_ns[seen++] = all_ns[i] - heard_ns;
    kernel_timers_keepalive(&plan, &facts->settings, &facts->socket);
    kernel_timers_keepalive(&host, &facts->host, &unset);
    size_t count = ends ? plan.sent_count : 1;
    testbed_check_integer(bed, "probes", (int64_t)count, (int64_t)seen);
    for (size_t i = 0; i < count && i < KERNEL_TIMERS_SENT_MAX; i++)
        testbed_timing(bed, arena_printf(bed->arena, "probe %zu", i + 1), plan.sent_ns[i],
                       i < seen ? seen_ns[i] : RESULT_UNKNOWN,
                       i < host.sent_count ? host.sent_ns[i] : RESULT_UNKNOWN);
    int64_t planned_ns = ends ? plan.failed_ns : plan.sent_ns[0];
    int64_t took_ns = facts->returned_ns - bed->started_mono_ns - heard_ns;
    testbed_timing(bed, "the failure", planned_ns, took_ns,
                   ends ? host.failed_ns : host.sent_ns[0]);
    expect_failure(bed, planned_ns, took_ns);
}
