/* The classic table: what we were doing, times what became of the peer. A cell is a scenario of its
 * own, so that cells run at once; crash_matrix_table.c puts them together.
 *
 * The rows and three of the columns are those of section 7.5 of the book, where it tells what
 * SO_KEEPALIVE is good for; a host that reboots, and TCP_USER_TIMEOUT, are beyond it. */
#include "scenario/crash/crash_matrix.h"

#include "base/cleanup.h"
#include <poll.h>
#include <string.h>

const char *const crash_situations[CRASH_SITUATIONS] = {
    [CRASH_SENDING] = "sending",
    [CRASH_RECEIVING] = "receiving",
    [CRASH_IDLE_KEEPALIVE] = "idle, keepalive",
    [CRASH_IDLE] = "idle",
    [CRASH_SENDING_USER] = "sending, user timeout",
    [CRASH_IDLE_USER] = "idle, keepalive and user timeout",
};

const char *const crash_fates[CRASH_FATES] = {
    [CRASH_PROCESS] = "process_crashes",
    [CRASH_HOST] = "host_crashes",
    [CRASH_UNREACHABLE] = "host_unreachable",
    [CRASH_REBOOT] = "host_reboots",
};

/* What ends it. */
enum ends {
    AT_ONCE,     /* a segment of the peer's: FIN or RST */
    BY_SENDING,  /* kernel_timers_send() */
    BY_PROBES,   /* kernel_timers_keepalive() */
    FIRST_PROBE, /* and what is answered to it */
    NEVER,
};

struct outcome {
    const char *call, *returns;
    enum ends ends;
};

static const struct outcome never = {"none", "nothing", NEVER};

static const struct outcome *outcome_of(enum crash_situation situation, enum crash_fate fate)
{
    static const struct outcome process[CRASH_SITUATIONS] = {
        [CRASH_SENDING] = {"second write", "EPIPE", AT_ONCE},
        [CRASH_RECEIVING] = {"read", "EOF", AT_ONCE},
        [CRASH_IDLE_KEEPALIVE] = {"poll, read", "EOF", AT_ONCE},
        [CRASH_IDLE] = {"poll, read", "EOF", AT_ONCE},
        [CRASH_SENDING_USER] = {"second write", "EPIPE", AT_ONCE},
        [CRASH_IDLE_USER] = {"poll, read", "EOF", AT_ONCE},
    };
    static const struct outcome timeout = {"read", "ETIMEDOUT", BY_SENDING},
                                unreachable = {"read", "EHOSTUNREACH", BY_SENDING},
                                reset = {"read", "ECONNRESET", AT_ONCE},
                                probes = {"poll, read", "ETIMEDOUT", BY_PROBES},
                                probed = {"poll, read", "ECONNRESET", FIRST_PROBE};
    bool sends = situation == CRASH_SENDING || situation == CRASH_SENDING_USER;
    bool probing = situation == CRASH_IDLE_KEEPALIVE || situation == CRASH_IDLE_USER;

    switch (fate) {
    case CRASH_PROCESS:
        return &process[situation];
    case CRASH_HOST:
        return sends ? &timeout : probing ? &probes : &never;
    case CRASH_UNREACHABLE:
        return sends ? &unreachable : probing ? &probes : &never;
    case CRASH_REBOOT:
        return sends ? &reset : probing ? &probed : &never;
    case CRASH_FATES:
        break;
    }
    return &never;
}

struct cell {
    enum crash_situation situation;
    enum crash_fate fate;
};

static const struct cell *cell_of(const struct testbed *bed)
{
    return bed->scenario->arg;
}

/* ---- Playing a cell ---- */

/* The options of the row; a schedule is asked with these, not with what the socket has. */
static void prepare(struct testbed *bed, const struct cell *cell)
{
    struct agent *client = testbed_client(bed);
    struct crash_facts *facts = crash_facts(bed);

    if (cell->situation == CRASH_IDLE_KEEPALIVE || cell->situation == CRASH_IDLE_USER)
        DO(client, ACT_OPTION, .text = "SO_KEEPALIVE=on");
    if (cell->situation == CRASH_SENDING_USER)
        DO(client, ACT_OPTION, .text = "TCP_USER_TIMEOUT=1s");
    if (cell->situation == CRASH_IDLE_USER)
        DO(client, ACT_OPTION, .text = "TCP_USER_TIMEOUT=1500ms");
    crash_connected(bed);
    int64_t rtt_ns = facts->socket.rtt_ns;
    facts->socket = (struct kernel_timers_socket){
        .rtt_ns = rtt_ns,
        .user_timeout_ns = cell->situation == CRASH_SENDING_USER ? NS_PER_SEC
                           : cell->situation == CRASH_IDLE_USER  ? 1500 * NS_PER_MS
                                                                 : 0,
        .unreachable_v4 = cell->fate == CRASH_UNREACHABLE && bed->family == AF_INET,
    };
}

/* The call that it is in when it happens. */
static void wait_in_call(struct testbed *bed, const struct cell *cell)
{
    struct agent *client = testbed_client(bed);

    switch (cell->situation) {
    case CRASH_SENDING:
    case CRASH_SENDING_USER:
    case CRASH_SITUATIONS:
        return;
    case CRASH_RECEIVING:
        DO(testbed_server(bed), ACT_WRITE, .slot = 1, .bytes = 10);
        DO(client, ACT_READ_ALL, .bytes = 10);
        testbed_wait(bed, "delivered c>s:ack#2");
        BEGIN(client, ACT_READ, .bytes = 100);
        crash_entered(bed, LAB_CLIENT, "read");
        return;
    case CRASH_IDLE_KEEPALIVE:
    case CRASH_IDLE:
    case CRASH_IDLE_USER:
        BEGIN(client, ACT_POLL, .number = POLLIN, .timeout_ns = -1);
        crash_entered(bed, LAB_CLIENT, "poll");
        return;
    }
}

static void strike(struct testbed *bed, const struct cell *cell)
{
    crash_happens(bed);
    switch (cell->fate) {
    case CRASH_PROCESS:
        crash_kill_server(bed);
        return;
    case CRASH_HOST:
        testbed_cut(bed);
        return;
    case CRASH_UNREACHABLE:
        testbed_fault(bed, "answer-icmp any=host-unreachable dir c>s");
        testbed_fault(bed, "drop any dir s>c");
        return;
    case CRASH_REBOOT:
        testbed_reboot(bed, LAB_SERVER);
        return;
    case CRASH_FATES:
        return;
    }
}

/* When it will be told, at the latest. */
static int64_t limit_ns(struct testbed *bed, enum ends ends)
{
    const struct crash_facts *facts = crash_facts(bed);
    struct kernel_timers plan;

    if (ends == BY_SENDING)
        kernel_timers_send(&plan, &facts->settings, &facts->socket);
    else
        kernel_timers_keepalive(&plan, &facts->settings, &facts->socket);
    return ends == AT_ONCE ? ACT_LIMIT_NS : plan.failed_ns + plan.failed_ns / 4 + ACT_LIMIT_NS;
}

static struct act_reply hear(struct testbed *bed, const struct cell *cell)
{
    struct crash_facts *facts = crash_facts(bed);
    struct agent *client = testbed_client(bed);
    enum ends ends = outcome_of(cell->situation, cell->fate)->ends;
    struct act_reply reply;

    if (cell->situation == CRASH_SENDING || cell->situation == CRASH_SENDING_USER) {
        reply = DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
        crash_call(bed, "write", "ok", &reply, "0");
        facts->entered_ns = reply.entered_ns;
        if (cell->fate == CRASH_PROCESS) {
            crash_heard(bed, "delivered s>c:rst", "client=CLOSED");
            reply = DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
            return reply;
        }
        BEGIN(client, ACT_READ, .bytes = 100);
        return crash_end(bed, client, limit_ns(bed, ends));
    }
    if (ends == FIRST_PROBE)
        crash_booted_in_time(bed);
    reply = crash_end(bed, client, limit_ns(bed, ends));
    if (cell->situation == CRASH_RECEIVING)
        return reply;
    crash_call(bed, "poll", "ok", &reply, "nothing");
    int64_t told_ns = reply.returned_ns;
    reply = DO(client, ACT_READ, .bytes = 100);
    reply.returned_ns = told_ns; /* poll told; read only says what */
    return reply;
}

static void run_cell(struct testbed *bed)
{
    struct crash_facts *facts = crash_facts(bed);
    const struct cell *cell = cell_of(bed);
    const struct outcome *outcome = outcome_of(cell->situation, cell->fate);

    prepare(bed, cell);
    wait_in_call(bed, cell);
    strike(bed, cell);
    testbed_observe_text(bed, "call", outcome->call);
    if (outcome->ends == NEVER) {
        testbed_pass(bed, crash_others_find_out_ns(bed));
        crash_blocked(bed, "returns", testbed_client(bed));
        crash_no_timer(bed, LAB_CLIENT, 0, TESTBED_PORT);
        return;
    }
    struct act_reply reply = hear(bed, cell);
    facts->returned_ns = reply.returned_ns;
    testbed_check_text(bed, "returns", outcome->returns, act_rc_name(reply.rc, "EOF"));
}

/* ---- Judging it ---- */

static int64_t host_ns(const struct crash_facts *facts, enum ends ends)
{
    struct kernel_timers plan;

    if (ends == BY_SENDING)
        kernel_timers_send(&plan, &facts->host, &facts->socket);
    else
        kernel_timers_keepalive(&plan, &facts->host, &facts->socket);
    return ends == FIRST_PROBE ? plan.sent_ns[0] : plan.failed_ns;
}

static int64_t planned_ns(const struct crash_facts *facts, enum ends ends)
{
    struct kernel_timers plan;

    if (ends == BY_SENDING)
        kernel_timers_send(&plan, &facts->settings, &facts->socket);
    else
        kernel_timers_keepalive(&plan, &facts->settings, &facts->socket);
    return ends == FIRST_PROBE ? plan.sent_ns[0] : plan.failed_ns;
}

static void summarise(struct testbed *bed, const struct cell *cell)
{
    static const char *const words[] = {[AT_ONCE] = "at once", [NEVER] = "never"};
    const struct crash_facts *facts = crash_facts(bed);
    const struct outcome *outcome = outcome_of(cell->situation, cell->fate);
    const struct result_value *returned = result_get(&bed->result->observed, "returns");
    const struct result_value *took = result_get(&bed->result->observed, "failed_after_ns");
    bool timer = outcome->ends != AT_ONCE && outcome->ends != NEVER;
    struct result_map *map = testbed_summary(bed);

    *map = (struct result_map){0}; /* a cell has a row of another kind */
    result_set_text(bed->arena, map, "situation", crash_situations[cell->situation]);
    result_set_text(bed->arena, map, "peer", crash_fates[cell->fate]);
    result_set_text(bed->arena, map, "call", outcome->call);
    result_set_text(bed->arena, map, "returns", returned ? returned->text : NULL);
    result_set_text(bed->arena, map, "when", timer ? "by a timer" : words[outcome->ends]);
    result_set_integer(bed->arena, map, "after_ns",
                       took                       ? took->integer
                       : outcome->ends == AT_ONCE ? facts->returned_ns - facts->at_ns
                                                  : RESULT_UNKNOWN);
    result_set_integer(bed->arena, map, "predicted_ns",
                       timer ? planned_ns(facts, outcome->ends) : RESULT_UNKNOWN);
    result_set_integer(bed->arena, map, "this_host_ns",
                       timer ? host_ns(facts, outcome->ends) : RESULT_UNKNOWN);
}

static void check_cell(struct testbed *bed)
{
    const struct cell *cell = cell_of(bed);

    switch (outcome_of(cell->situation, cell->fate)->ends) {
    case AT_ONCE:
    case NEVER:
        break;
    case BY_SENDING:
        crash_check_send(bed);
        break;
    case BY_PROBES:
        crash_check_keepalive(bed, true);
        break;
    case FIRST_PROBE:
        crash_check_keepalive(bed, false);
        break;
    }
    summarise(bed, cell);
}

/* ---- The cells ---- */

/* A reboot must be over before the first probe. */
static const struct scenario_setting late_keepalive[] = {
    {SCENARIO_BOTH, "tcp_rto_min_us", "5000000", SETTING_OPTIONAL},
    {SCENARIO_BOTH, "tcp_retries2", "2", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_time", "4", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_intvl", "1", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_probes", "2", SETTING_TIMER},
    {0}};

#define CELL(row, word, column, peer, pinned, told, not_here)                                      \
    {                                                                                              \
        .name = "matrix-" word "-" peer, .title = "a cell of --matrix", .book = (told),            \
        .differs = (not_here), .settings = (pinned), .delay_ns = CRASH_DELAY_NS, .play = run_cell, \
        .check = check_cell, .arg = &(const struct cell){row, column},                             \
    }
#define ROW(row, word, process, host, unreachable, reboot, unreachable_differs)                    \
    CELL(row, word, CRASH_PROCESS, "process", crash_no_haste, process, NULL),                      \
        CELL(row, word, CRASH_HOST, "host", crash_quick_keepalive, host, NULL),                    \
        CELL(row, word, CRASH_UNREACHABLE, "unreachable", crash_quick_keepalive, unreachable,      \
             unreachable_differs),                                                                 \
        CELL(row, word, CRASH_REBOOT, "reboot", late_keepalive, reboot, NULL)

#define PROBES_NOT_TAKEN                                                                           \
    "A keepalive probe has a sequence number below the window, and Linux takes no ICMP error for " \
    "such a segment (OutOfWindowIcmps): the error stays ETIMEDOUT."

static const struct scenario cells[CRASH_SITUATIONS * CRASH_FATES] = {
    ROW(CRASH_SENDING, "sending", "FIN; then RST, and SIGPIPE or EPIPE", "ETIMEDOUT",
        "EHOSTUNREACH", "RST: ECONNRESET", NULL),
    ROW(CRASH_RECEIVING, "receiving", "FIN: end of file, perhaps too early", "no more data",
        "no more data", "no more data", NULL),
    ROW(CRASH_IDLE_KEEPALIVE, "keepalive", "FIN: select says readable",
        "ETIMEDOUT after 2 h and nine probes", "EHOSTUNREACH after 2 h and nine probes",
        "RST for a probe: ECONNRESET", PROBES_NOT_TAKEN),
    ROW(CRASH_IDLE, "idle", "FIN: select says readable", "nothing", "nothing", "nothing", NULL),
    ROW(CRASH_SENDING_USER, "sending-user-timeout", NULL, NULL, NULL, NULL, NULL),
    ROW(CRASH_IDLE_USER, "keepalive-user-timeout", NULL, NULL, NULL, NULL, NULL),
};

#define FOUR(row)                                                                                  \
    &cells[4 * (row)], &cells[4 * (row) + 1], &cells[4 * (row) + 2], &cells[4 * (row) + 3]

static const struct scenario *const items[] = {FOUR(0), FOUR(1), FOUR(2), FOUR(3),
                                               FOUR(4), FOUR(5), NULL};

const struct scenario_set scenario_crash_matrix = {.command = "crash-sim", .items = items};
