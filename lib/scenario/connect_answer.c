/* What answers a SYN: a listener, a kernel without one, nobody. */
#include "scenario/connect.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

const struct scenario_setting connect_few_retries[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "2", true, false},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "1", true, true},
    {0}};

const struct scenario_setting connect_one_retry[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "1", true, false},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "0", true, true},
    {0}};

const char *connect_key(struct stage *stage, const char *text)
{
    size_t len = strlen(text);
    char *key = arena_alloc(stage->arena, len + 1);

    for (size_t i = 0; key && i < len; i++)
        key[i] = text[i] == '-' ? '_' : text[i];
    return key ? key : "";
}

void connect_try(struct stage *stage, enum act_to to)
{
    struct connect_facts *facts = stage_facts(stage, sizeof *facts);
    struct actor *client = stage_client(stage);

    facts->settings = stage_settings(stage, LAB_CLIENT);
    facts->host = stage_host_settings(stage);
    struct schedule plan;
    schedule_connect(&plan, &facts->settings, &facts->socket);
    BEGIN(client, ACT_CONNECT, .port = STAGE_PORT, .to = to);
    facts->connect = actor_end(client, plan.failed_ns + ACT_LIMIT_NS);
    facts->entered_ns = facts->connect.entered_ns - stage->started_mono_ns;
    facts->state_left = DO(client, ACT_INFO).rc;
}

void connect_check_schedule(struct stage *stage)
{
    const struct connect_facts *facts = stage_facts(stage, sizeof *facts);
    struct schedule plan, host;
    int64_t seen_ns[SCHEDULE_SENT_MAX];
    size_t seen = stage_times(stage, "syn", LAB_FROM_CLIENT, seen_ns, SCHEDULE_SENT_MAX);
    int64_t took_ns = facts->connect.returned_ns - facts->connect.entered_ns;

    schedule_connect(&plan, &facts->settings, &facts->socket);
    schedule_connect(&host, &facts->host, &facts->socket);
    stage_check_integer(stage, "syns", (int64_t)plan.sent_count, (int64_t)seen);
    for (size_t i = 0; i < plan.sent_count && i < SCHEDULE_SENT_MAX; i++)
        stage_timing(stage, arena_printf(stage->arena, "SYN %zu", i + 1), plan.sent_ns[i],
                     i < seen ? seen_ns[i] - seen_ns[0] : RESULT_UNKNOWN,
                     i < host.sent_count ? host.sent_ns[i] : RESULT_UNKNOWN);
    stage_timing(stage, "connect fails", plan.failed_ns, took_ns, host.failed_ns);
    stage_expect_time(stage, "took_ns", &facts->settings, plan.failed_ns);
    stage_observe_integer(stage, "took_ns", took_ns);
    if (seen == plan.sent_count && seen) {
        stage_expect_time(stage, "last_syn_ns", &facts->settings, plan.sent_ns[seen - 1]);
        stage_observe_integer(stage, "last_syn_ns", seen_ns[seen - 1] - seen_ns[0]);
    }
}

/* In whole seconds, so that both families say the same. */
static const char *about(struct stage *stage, int64_t took_ns)
{
    int64_t seconds = (took_ns + NS_PER_SEC / 2) / NS_PER_SEC;
    return seconds ? arena_printf(stage->arena, "%" PRId64 " s", seconds) : "at once";
}

void connect_summary(struct stage *stage, const struct act_reply *connect)
{
    struct result_map *summary = stage_summary(stage);
    int64_t seen_ns[1];
    size_t syns = stage_times(stage, "syn", LAB_FROM_CLIENT, seen_ns, 1);

    result_set_text(stage->arena, summary, "connect", act_rc_name(connect->rc, "0"));
    result_set_text(stage->arena, summary, "after",
                    about(stage, connect->returned_ns - connect->entered_ns));
    if (stage->result->captured)
        result_set_integer(stage->arena, summary, "SYNs", (int64_t)syns);
    result_set_text(stage->arena, summary, "the book",
                    !stage->scenario->book     ? "nothing"
                    : stage->scenario->differs ? "something else"
                                               : "the same");
}

/* ---- accepted ---- */

static void run_accepted(struct stage *stage)
{
    struct connect_facts *facts = stage_facts(stage, sizeof *facts);
    struct actor *client = stage_client(stage), *server = stage_server(stage);

    DO(server, ACT_LISTEN, .port = STAGE_PORT, .number = 16);
    facts->connect = DO(client, ACT_CONNECT, .port = STAGE_PORT);
    stage_check_rc(stage, "connect", "0", &facts->connect, "0");
    struct act_reply accepted = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = STAGE_LIMIT_NS);
    stage_check_rc(stage, "accept", "0", &accepted, "0");
}

static void check_accepted(struct stage *stage)
{
    const struct connect_facts *facts = stage_facts(stage, sizeof *facts);

    connect_summary(stage, &facts->connect);
    stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    stage_expect_states(stage, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", NULL);
    stage_expect_states(stage, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
}

const struct scenario connect_accepted = {
    .name = "accepted",
    .title = "a listener answers: the reference for all the others",
    .book = "connect returns when the SYN,ACK has come, one round trip after the SYN; accept "
            "returns when the last ACK has, half a round trip later (section 2.6).",
    .here = "The same. The handshake is the kernel's: it needs no accept.",
    .loopback = true,
    .run = run_accepted,
    .check = check_accepted,
};

/* ---- refused ---- */

static void run_refused(struct stage *stage)
{
    connect_try(stage, ACT_TO_PEER);
}

static void check_refused(struct stage *stage)
{
    const struct connect_facts *facts = stage_facts(stage, sizeof *facts);

    connect_summary(stage, &facts->connect);
    stage_check_rc(stage, "connect", "ECONNREFUSED", &facts->connect, "0");
    stage_observe_integer(stage, "took_ns", facts->connect.returned_ns - facts->connect.entered_ns);
    stage_check_text(stage, "state_left", "CLOSED", stage_state_name((int)facts->state_left));
    if (stage->result->captured)
        stage_expect_flags(stage, "C>S SYN", "S>C RST,ACK", NULL);
}

const struct scenario connect_refused = {
    .name = "refused",
    .title = "nobody listens on the port: the host answers with RST",
    .book = "A hard error: connect returns ECONNREFUSED as soon as the RST arrives (section 4.3).",
    .here = "The same.",
    .settings = connect_few_retries,
    .loopback = true,
    .run = run_refused,
    .check = check_refused,
};
