/* What answers a SYN: a listener, a kernel without one, nobody. */
#include "scenario/connect/connect.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

const struct scenario_setting connect_few_retries[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "2", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "1", SETTING_TIMER | SETTING_OPTIONAL},
    {0}};

const struct scenario_setting connect_one_retry[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "1", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "0", SETTING_TIMER | SETTING_OPTIONAL},
    {0}};

const char *connect_key(struct testbed *bed, const char *text)
{
    size_t len = strlen(text);
    char *key = arena_alloc(bed->arena, len + 1);

    for (size_t i = 0; key && i < len; i++)
        key[i] = text[i] == '-' ? '_' : text[i];
    return key ? key : "";
}

void connect_try(struct testbed *bed, enum act_to to)
{
    struct connect_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed);

    facts->settings = testbed_settings(bed, LAB_CLIENT);
    facts->host = testbed_host_settings(bed);
    struct kernel_timers plan;
    kernel_timers_connect(&plan, &facts->settings, &facts->socket);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT, .to = to);
    facts->connect = agent_end(client, plan.failed_ns + ACT_LIMIT_NS);
    facts->entered_ns = facts->connect.entered_ns - bed->started_mono_ns;
    facts->state_left = DO(client, ACT_INFO).rc;
}

void connect_check_schedule(struct testbed *bed)
{
    const struct connect_facts *facts = testbed_facts(bed, sizeof *facts);
    struct kernel_timers plan, host;
    int64_t seen_ns[KERNEL_TIMERS_SENT_MAX];
    size_t seen = testbed_times(bed, "syn", LAB_FROM_CLIENT, seen_ns, KERNEL_TIMERS_SENT_MAX);
    int64_t took_ns = facts->connect.returned_ns - facts->connect.entered_ns;

    kernel_timers_connect(&plan, &facts->settings, &facts->socket);
    kernel_timers_connect(&host, &facts->host, &facts->socket);
    testbed_check_integer(bed, "syns", (int64_t)plan.sent_count, (int64_t)seen);
    for (size_t i = 0; i < plan.sent_count && i < KERNEL_TIMERS_SENT_MAX; i++)
        testbed_timing(bed, arena_printf(bed->arena, "SYN %zu", i + 1), plan.sent_ns[i],
                       i < seen ? seen_ns[i] - seen_ns[0] : RESULT_UNKNOWN,
                       i < host.sent_count ? host.sent_ns[i] : RESULT_UNKNOWN);
    testbed_timing(bed, "connect fails", plan.failed_ns, took_ns, host.failed_ns);
    testbed_expect_time(bed, "took_ns", &facts->settings, plan.failed_ns);
    testbed_observe_integer(bed, "took_ns", took_ns);
    if (seen == plan.sent_count && seen) {
        testbed_expect_time(bed, "last_syn_ns", &facts->settings, plan.sent_ns[seen - 1]);
        testbed_observe_integer(bed, "last_syn_ns", seen_ns[seen - 1] - seen_ns[0]);
    }
}

/* In whole seconds, so that both families say the same. */
static const char *about(struct testbed *bed, int64_t took_ns)
{
    int64_t seconds = (took_ns + NS_PER_SEC / 2) / NS_PER_SEC;
    return seconds ? arena_printf(bed->arena, "%" PRId64 " s", seconds) : "at once";
}

void connect_summary(struct testbed *bed, const struct act_reply *connect)
{
    struct result_map *summary = testbed_summary(bed);
    int64_t seen_ns[1];
    size_t syns = testbed_times(bed, "syn", LAB_FROM_CLIENT, seen_ns, 1);

    if (!testbed_runs_for(bed, "connect-timeout"))
        return;
    result_set_text(bed->arena, summary, "connect", act_rc_name(connect->rc, "0"));
    result_set_text(bed->arena, summary, "after",
                    about(bed, connect->returned_ns - connect->entered_ns));
    if (bed->result->captured)
        result_set_integer(bed->arena, summary, "SYNs", (int64_t)syns);
    result_set_text(bed->arena, summary, "the book",
                    !bed->scenario->book     ? "nothing"
                    : bed->scenario->differs ? "something else"
                                             : "the same");
}

/* ---- accepted ---- */

static void run_accepted(struct testbed *bed)
{
    struct connect_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    facts->connect = DO(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_check_rc(bed, "connect", "0", &facts->connect, "0");
    struct act_reply accepted = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = TESTBED_LIMIT_NS);
    testbed_check_rc(bed, "accept", "0", &accepted, "0");
}

static void check_accepted(struct testbed *bed)
{
    const struct connect_facts *facts = testbed_facts(bed, sizeof *facts);

    connect_summary(bed, &facts->connect);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
}

const struct scenario connect_accepted = {
    .name = "accepted",
    .title = "a listener answers: the reference for all the others",
    .book = "connect returns when the SYN,ACK has come, one round trip after the SYN; accept "
            "returns when the last ACK has, half a round trip later (section 2.6).",
    .here = "The same. The handshake is the kernel's: it needs no accept.",
    .loopback = true,
    .play = run_accepted,
    .check = check_accepted,
};

/* ---- refused ---- */

static void run_refused(struct testbed *bed)
{
    connect_try(bed, ACT_TO_PEER);
}

static void check_refused(struct testbed *bed)
{
    const struct connect_facts *facts = testbed_facts(bed, sizeof *facts);

    connect_summary(bed, &facts->connect);
    testbed_check_rc(bed, "connect", "ECONNREFUSED", &facts->connect, "0");
    testbed_observe_integer(bed, "took_ns", facts->connect.returned_ns - facts->connect.entered_ns);
    testbed_check_text(bed, "state_left", "CLOSED", testbed_state_name((int)facts->state_left));
    if (bed->result->captured)
        testbed_expect_flags(bed, "C>S SYN", "S>C RST,ACK", NULL);
}

const struct scenario connect_refused = {
    .name = "refused",
    .title = "nobody listens on the port: the host answers with RST",
    .book = "A hard error: connect returns ECONNREFUSED as soon as the RST arrives (section 4.3).",
    .here = "The same.",
    .settings = connect_few_retries,
    .loopback = true,
    .play = run_refused,
    .check = check_refused,
};
