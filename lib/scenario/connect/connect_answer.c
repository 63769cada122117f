/* What answers a SYN: a listener, a kernel without one, nobody. */
#include "scenario/connect/connect.h"

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

struct connect_attempt connect_plan(struct testbed *bed)
{
    struct connect_attempt attempt = {.settings = testbed_settings(bed, LAB_CLIENT)};
    struct kernel_timers_settings host = machine_timers();

    kernel_timers_connect(&attempt.plan, &attempt.settings, NULL);
    kernel_timers_connect(&attempt.host, &host, NULL);
    return attempt;
}

struct connect_attempt connect_try(struct testbed *bed, enum act_to to)
{
    struct connect_attempt attempt = connect_plan(bed);
    struct agent *client = testbed_client(bed);

    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT, .to = to);
    attempt.connect = agent_end(client, attempt.plan.failed_ns + ACT_LIMIT_NS);
    attempt.state_left = (int)DO(client, ACT_INFO).rc;
    return attempt;
}

void connect_check_took(struct testbed *bed, const struct connect_attempt *attempt,
                        int64_t planned_ns)
{
    testbed_check_time(bed, "took_ns", &attempt->settings, planned_ns,
                       connect_took_ns(&attempt->connect));
}

/* In whole seconds, so that both families say the same. */
static const char *about(struct testbed *bed, int64_t took_ns)
{
    int64_t seconds = (took_ns + NS_PER_SEC / 2) / NS_PER_SEC;
    return seconds ? arena_printf(bed->arena, "%" PRId64 " s", seconds) : "at once";
}

void connect_summary(struct testbed *bed, const struct act_reply *connect)
{
    testbed_finish(bed);
    if (!testbed_runs_for(bed, "connect-timeout"))
        return;
    testbed_summarize(bed, TEXT("connect", act_rc_name(connect->rc, "0")),
                      TEXT("after", about(bed, connect_took_ns(connect))));
    if (bed->result->captured)
        testbed_summarize(
            bed, INTEGER("SYNs", (int64_t)testbed_times(bed, "syn", LAB_FROM_CLIENT, NULL, 0)));
    testbed_summarize(bed, TEXT("the book", !bed->scenario->book     ? "nothing"
                                            : bed->scenario->differs ? "something else"
                                                                     : "the same"));
}

/* ---- accepted ---- */

static void play_accepted(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    struct act_reply connect =
        CHECK(bed, "connect", "0", client, ACT_CONNECT, .port = TESTBED_PORT);
    CHECK(bed, "accept", "0", server, ACT_ACCEPT, .other = 1, .timeout_ns = TESTBED_LIMIT_NS);
    connect_summary(bed, &connect);
}

const struct scenario connect_accepted = {
    .name = "accepted",
    .title = "a listener answers: the reference for all the others",
    .book = "connect returns when the SYN,ACK arrives, one round trip after the SYN; accept "
            "returns when the last ACK does, half a round trip later (section 2.6).",
    .here = "The same. The kernel makes the handshake: it needs no accept.",
    .loopback = true,
    .play = play_accepted,
    .flags = FLAGS(HANDSHAKE),
    .client_states = STATES("SYN-SENT", "ESTABLISHED"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED"),
};

/* ---- refused ---- */

static void play_refused(struct testbed *bed)
{
    struct connect_attempt attempt = connect_try(bed, ACT_TO_PEER);

    testbed_check_rc(bed, "connect", "ECONNREFUSED", &attempt.connect, "0");
    testbed_observe(bed, INTEGER("took_ns", connect_took_ns(&attempt.connect)));
    testbed_check_state(bed, "state_left", TCP_CLOSE, attempt.state_left);
    connect_summary(bed, &attempt.connect);
}

const struct scenario connect_refused = {
    .name = "refused",
    .title = "nobody listens on the port: the host answers with RST",
    .book = "A hard error: connect returns ECONNREFUSED as soon as the RST arrives (section 4.3).",
    .here = "The same.",
    .settings = connect_few_retries,
    .loopback = true,
    .play = play_refused,
    .flags = FLAGS("C>S SYN", "S>C RST,ACK"),
};
