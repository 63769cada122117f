/* What the scenarios of crash-sim share. */
#include "scenario/crash/crash.h"

#include "base/cleanup.h"
#include "base/names.h"
#include "base/wait.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

const struct scenario_setting crash_no_retransmission[] = {
    {SCENARIO_BOTH, "rto_min", "5000", SETTING_ROUTE}, {0}};

const struct scenario_setting crash_few_retries[] = {
    {SCENARIO_BOTH, "tcp_retries2", "2", SETTING_TIMER}, {0}};

const struct scenario_setting crash_quick_keepalive[] = {
    {SCENARIO_BOTH, "tcp_retries2", "2", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_time", "1", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_intvl", "1", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_probes", "2", SETTING_TIMER},
    {0}};

const struct scenario_setting crash_late_keepalive[] = {
    {SCENARIO_BOTH, "rto_min", "5000", SETTING_ROUTE},
    {SCENARIO_BOTH, "tcp_retries2", "2", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_time", "4", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_intvl", "1", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_probes", "2", SETTING_TIMER},
    {0}};

/* ---- Before the crash ---- */

struct crash crash_begin(struct testbed *bed)
{
    return (struct crash){.bed = bed, .client = testbed_client(bed), .server = testbed_server(bed)};
}

/* "60" seconds or "1500" milliseconds of an option, as it is in force. */
static int64_t option_ns(struct crash *crash, const char *name)
{
    struct act act = {.verb = ACT_OPTION_READ};
    const struct sock_option *option = sock_option_find(name);
    struct sock_option_value value;

    snprintf(act.text, sizeof act.text, "%s", name);
    struct act_reply reply = agent_do(crash->client, &act);
    if (reply.rc || !option || sock_option_parse(option, reply.text, &value, NULL)) {
        testbed_fail(crash->bed, "cannot read %s", name);
        return 0;
    }
    return value.number;
}

void crash_take_times(struct crash *crash, int slot)
{
    struct act_reply info = DO(crash->client, ACT_INFO, .slot = slot);

    crash->socket.rtt_ns = info.rc > 0 ? info.info.rtt_ns : 0;
    crash->socket.rto_ns = info.rc > 0 ? info.info.rto_ns : 0;
}

struct crash crash_connected(struct testbed *bed)
{
    testbed_connected(bed);
    struct crash crash = crash_begin(bed);
    struct act_reply info = DO(crash.client, ACT_INFO);

    crash.settings = testbed_settings(bed, LAB_CLIENT);
    crash.settings.tail_loss_probe &= (info.info.options & SOCK_TCP_OPT_SACK) != 0;
    crash.host = machine_timers();
    crash.socket = (struct kernel_timers_socket){
        .user_timeout_ns = option_ns(&crash, "TCP_USER_TIMEOUT"),
        .keepalive_time_ns = option_ns(&crash, "TCP_KEEPIDLE"),
        .keepalive_intvl_ns = option_ns(&crash, "TCP_KEEPINTVL"),
        .keepalive_probes = option_ns(&crash, "TCP_KEEPCNT"),
    };
    crash_take_times(&crash, 0);
    return crash;
}

void crash_connect(struct testbed *bed, struct agent *client, int client_slot, struct agent *server,
                   int server_slot, uint16_t port)
{
    MUST(bed, "the server cannot listen", server, ACT_LISTEN, .slot = server_slot + 100,
         .port = port, .number = 16);
    testbed_connect(bed, client, client_slot, port, server, server_slot + 100, server_slot);
}

struct agent *crash_another_client(struct crash *crash, int server_slot)
{
    struct agent *client = testbed_agent(crash->bed, LAB_CLIENT);

    testbed_connect(crash->bed, client, 0, TESTBED_PORT, crash->server, 0, server_slot);
    return client;
}

/* ---- The crash ---- */

void crash_happens(struct crash *crash)
{
    crash->at_ns = clock_mono_ns();
}

void crash_cut(struct crash *crash)
{
    testbed_cut(crash->bed);
    crash_happens(crash);
}

void crash_make_unreachable(struct crash *crash)
{
    crash->socket.unreachable_v4 = crash->bed->family == AF_INET;
    testbed_fault(crash->bed, "answer-icmp any=host-unreachable dir c>s");
    testbed_fault(crash->bed, "drop any dir s>c");
    crash_happens(crash);
}

void crash_kill_server(struct crash *crash)
{
    struct testbed *bed = crash->bed;

    crash_happens(crash);
    agent_signal(crash->server, SIGKILL);
    testbed_mark(bed, "the server's process is killed");
    crash_wait_either(bed, "delivered s>c:fin", "delivered s>c:rst");
    /* The FIN's acknowledgement may be delayed; what comes next is to come after it. */
    crash_wait_either(bed, "server=FIN-WAIT-2", "delivered s>c:rst");
}

void crash_reboot(struct crash *crash)
{
    crash_happens(crash);
    testbed_reboot(crash->bed, LAB_SERVER);
}

void crash_wait_either(struct testbed *bed, const char *one, const char *other)
{
    wait_until(testbed_failed(bed) || testbed_saw(bed, one, 0) || testbed_saw(bed, other, 0),
               clock_mono_ns() + TESTBED_LIMIT_NS);
}

static bool client_is_in(const struct testbed *bed, size_t since)
{
    for (size_t i = trace_reserved(bed->trace); i > since; i--) {
        const struct trace_event *event = trace_slot(bed->trace, i - 1);
        if (event && event->kind == TRACE_CALL && event->side == TRACE_CLIENT &&
            __atomic_load_n(&event->call.pending, __ATOMIC_ACQUIRE))
            return true;
    }
    return false;
}

void crash_block(struct crash *crash, struct agent *client, const struct act *act)
{
    struct testbed *bed = crash->bed;
    size_t since = trace_reserved(bed->trace);

    agent_begin(client, act);
    if (!wait_until(testbed_failed(bed) || client_is_in(bed, since),
                    clock_mono_ns() + TESTBED_LIMIT_NS))
        testbed_fail(bed, "the client does not enter its call");
}

/* ---- What the survivor's calls returned ---- */

static void add_row(struct crash *crash, const char *call, const char *returned, int64_t took_ns,
                    int64_t after_ns)
{
    struct testbed *bed = crash->bed;

    if (!bed->result->table_count)
        testbed_table(bed, "survivor", "What the survivor's calls returned");
    testbed_row(bed, TEXT("call", call), TEXT("returned", returned), INTEGER("took_ns", took_ns),
                INTEGER("after_it_ns", after_ns));
}

/* The first call that told of the crash is the scenario's row in the summary. */
static void summarize(struct crash *crash, const char *key, const char *returned, int64_t after_ns)
{
    static const char *const no_news[] = {"ok", "0", "whole", "none", "OUT"};

    if (!crash->at_ns || crash->bed->result->summary.count)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(no_news); i++)
        if (!strcmp(returned, no_news[i]))
            return;
    testbed_summarize(crash->bed, TEXT("told_by", key), TEXT("returned", returned),
                      INTEGER("after_ns", after_ns));
}

void crash_returned(struct crash *crash, const char *key, const char *expected,
                    const char *returned, const struct act_reply *reply)
{
    bool known = reply->returned_ns > 0;
    int64_t took_ns = known ? reply->returned_ns - reply->entered_ns : RESULT_UNKNOWN;
    int64_t after_ns = known && crash->at_ns ? reply->returned_ns - crash->at_ns : RESULT_UNKNOWN;

    testbed_check_text(crash->bed, key, expected, returned);
    summarize(crash, key, returned, after_ns);
    if (reply->rc > 0 && reply->bytes == reply->rc)
        returned = arena_printf(crash->bed->arena, "%lld bytes", (long long)reply->bytes);
    add_row(crash, key, returned, took_ns, after_ns);
}

const char *crash_poll_events(struct testbed *bed, const struct act_reply *reply)
{
    static const struct {
        int bit;
        const char *name;
    } events[] = {{POLLIN, "IN"},   {POLLPRI, "PRI"}, {POLLOUT, "OUT"},
                  {POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLRDHUP, "RDHUP"}};
    const char *text = reply->rc > 0 ? "" : act_rc_name(reply->rc, "nothing");

    for (size_t i = 0; reply->rc > 0 && i < ARRAY_SIZE(events); i++)
        if (reply->rc & events[i].bit)
            text = arena_printf(bed->arena, "%s%s%s", text, *text ? " " : "", events[i].name);
    return text;
}

struct act_reply crash_call(struct crash *crash, const char *key, const char *expected,
                            struct agent *agent, const struct act *act)
{
    static const char *const zeros[ACT_VERBS] = {
        [ACT_READ] = "EOF", [ACT_READ_ALL] = "EOF", [ACT_ERROR] = "none"};
    struct act_reply reply = agent_do(agent, act);
    const char *returned = act_rc_name(reply.rc, zeros[act->verb] ? zeros[act->verb] : "0");

    if (reply.died)
        returned = "killed";
    else if (act->verb == ACT_POLL)
        returned = crash_poll_events(crash->bed, &reply);
    else if (act->verb == ACT_READ_ALL && !reply.rc && act->bytes && reply.bytes == act->bytes)
        returned = "whole";
    crash_returned(crash, key, expected, returned, &reply);
    return reply;
}

struct act_reply crash_end_read(struct crash *crash, const char *key, const char *expected,
                                struct agent *agent, int64_t limit_ns)
{
    struct act_reply reply = agent_end(agent, limit_ns);

    crash_returned(crash, key, expected, reply.died ? "killed" : act_rc_name(reply.rc, "EOF"),
                   &reply);
    return reply;
}

void crash_died(struct crash *crash, const char *key, const char *expected, struct agent *agent)
{
    struct testbed *bed = crash->bed;
    int status = 0;

    if (testbed_failed(bed) || !agent_wait(agent, TESTBED_LIMIT_NS, &status))
        return;
    const char *how = WIFSIGNALED(status)
                          ? signal_name(WTERMSIG(status))
                          : arena_printf(bed->arena, "exit %d", WEXITSTATUS(status));
    crash_returned(crash, key, expected, how, &(struct act_reply){0});
}

void crash_still_blocked(struct crash *crash, const char *key, struct agent *agent)
{
    const char *state = agent_busy(agent) ? "still blocked" : "it returned";

    testbed_check_text(crash->bed, key, "still blocked", state);
    summarize(crash, key, state, RESULT_UNKNOWN);
    add_row(crash, key, state, RESULT_UNKNOWN, clock_mono_ns() - crash->at_ns);
}

void crash_check_no_timer(struct testbed *bed, enum lab_host host, uint16_t local_port,
                          uint16_t remote_port)
{
    static const char *const timers[] = {"none", "retransmission", "keepalive", "time-wait",
                                         "window probe"};
    struct act_socket socket = testbed_socket_of(bed, host, local_port, remote_port);
    bool known = socket.entry.timer >= 0 && socket.entry.timer < (int)ARRAY_SIZE(timers);

    testbed_check_state(bed, "state_left", TCP_ESTABLISHED, socket.state);
    testbed_check_text(bed, "timer_left", "none", known ? timers[socket.entry.timer] : "another");
}

void crash_blocks_forever(struct crash *crash, const char *key)
{
    int64_t send_ns = crash_timer_ns(&crash->settings, NULL, CRASH_SEND);
    int64_t keepalive_ns = crash_timer_ns(&crash->settings, NULL, CRASH_KEEPALIVE);

    testbed_pass(crash->bed, send_ns > keepalive_ns ? send_ns : keepalive_ns);
    crash_still_blocked(crash, key, crash->client);
    crash_check_no_timer(crash->bed, LAB_CLIENT, 0, TESTBED_PORT);
}
