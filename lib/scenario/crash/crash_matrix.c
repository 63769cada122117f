/* The classic table: what the client is doing, times what becomes of the server. A cell is a
 * scenario of its own, so that cells run at once; crash_matrix_table.c puts them together.
 *
 * The rows and three of the columns are those of section 7.5 of the book, where it tells what
 * SO_KEEPALIVE is good for; a host that reboots, and TCP_USER_TIMEOUT, are beyond it. */
#include "scenario/crash/crash_matrix.h"

#include <poll.h>
#include <stdio.h>

const char *const crash_situations[CRASH_SITUATIONS] = {
    [CRASH_SENDING] = "sending",
    [CRASH_RECEIVING] = "receiving",
    [CRASH_KEEPALIVE_IDLE] = "idle, keepalive",
    [CRASH_IDLE] = "idle",
    [CRASH_SENDING_USER] = "sending, user timeout",
    [CRASH_KEEPALIVE_USER] = "idle, keepalive and user timeout",
};

const char *const crash_fates[CRASH_FATES] = {
    [CRASH_PROCESS] = "process_crashes",
    [CRASH_HOST] = "host_crashes",
    [CRASH_UNREACHABLE] = "host_unreachable",
    [CRASH_REBOOT] = "host_reboots",
};

static const struct {
    bool sends, reads; /* neither: it is idle, and polls */
    bool keepalive;
    int64_t user_timeout_ns;
} situations[CRASH_SITUATIONS] = {
    [CRASH_SENDING] = {.sends = true},
    [CRASH_RECEIVING] = {.reads = true},
    [CRASH_KEEPALIVE_IDLE] = {.keepalive = true},
    [CRASH_IDLE] = {.keepalive = false},
    [CRASH_SENDING_USER] = {.sends = true, .user_timeout_ns = NS_PER_SEC},
    [CRASH_KEEPALIVE_USER] = {.keepalive = true, .user_timeout_ns = 1500 * NS_PER_MS},
};

struct cell {
    enum crash_situation situation;
    enum crash_fate fate;
    const char *call, *returns; /* which call tells, and what it returns */
    enum { AT_ONCE, BY_TIMER, NEVER } when;
    enum crash_timer timer;
};

/* ---- Playing a cell ---- */

/* The schedule is computed from the options of the row, not from what the socket has. */
static struct crash connect_with_options(struct testbed *bed, const struct cell *cell)
{
    int64_t user_timeout_ns = situations[cell->situation].user_timeout_ns;
    struct act user_timeout = {.verb = ACT_OPTION};

    if (situations[cell->situation].keepalive)
        DO(testbed_client(bed), ACT_OPTION, .text = "SO_KEEPALIVE=on");
    snprintf(user_timeout.text, sizeof user_timeout.text, "TCP_USER_TIMEOUT=%lldms",
             (long long)(user_timeout_ns / NS_PER_MS));
    if (user_timeout_ns)
        agent_do(testbed_client(bed), &user_timeout);
    struct crash crash = crash_connected(bed);
    crash.socket = (struct kernel_timers_socket){.rtt_ns = crash.socket.rtt_ns,
                                                 .rto_ns = crash.socket.rto_ns,
                                                 .user_timeout_ns = user_timeout_ns};
    return crash;
}

/* The call that the client is in when it happens. */
static void block(struct crash *crash, const struct cell *cell)
{
    if (situations[cell->situation].sends)
        return;
    if (!situations[cell->situation].reads) {
        CRASH_BLOCK(crash, crash->client, ACT_POLL, .number = POLLIN, .timeout_ns = -1);
        return;
    }
    DO(crash->server, ACT_WRITE, .slot = 1, .bytes = 10);
    DO(crash->client, ACT_READ_ALL, .bytes = 10);
    testbed_wait(crash->bed, "delivered c>s:ack#2");
    CRASH_BLOCK(crash, crash->client, ACT_READ, .bytes = 100);
}

/* Waits for the call that tells; *sent_ns is when the data before it was written. */
static struct act_reply wait_for_news(struct crash *crash, const struct cell *cell,
                                      int64_t *sent_ns)
{
    struct agent *client = crash->client;

    if (situations[cell->situation].sends)
        crash_take_times(crash, 0);
    int64_t limit_ns = cell->when == AT_ONCE ? ACT_LIMIT_NS : crash_limit_ns(crash, cell->timer);

    if (situations[cell->situation].sends) {
        *sent_ns =
            CRASH_CALL(crash, "write", "ok", client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL)
                .entered_ns;
        if (cell->fate == CRASH_PROCESS) {
            crash_wait_either(crash->bed, "delivered s>c:rst", "client=CLOSED");
            return DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
        }
        BEGIN(client, ACT_READ, .bytes = 100);
        return agent_end(client, limit_ns);
    }
    if (cell->when == BY_TIMER && cell->timer == CRASH_FIRST_PROBE)
        crash_check_boot_time(crash);
    struct act_reply told = agent_end(client, limit_ns);
    if (situations[cell->situation].reads)
        return told;
    crash_returned(crash, "poll", "ok", act_rc_name(told.rc, "nothing"), &told);
    struct act_reply reply = DO(client, ACT_READ, .bytes = 100);
    reply.returned_ns = told.returned_ns; /* poll told; read only says what */
    return reply;
}

static void summarize(struct crash *crash, const struct cell *cell, int64_t told_ns)
{
    static const char *const when[] = {"at once", "by a timer", "never"};
    struct testbed *bed = crash->bed;
    const struct result_value *returned = result_get(&bed->result->observed, "returns");
    const struct result_value *took = result_get(&bed->result->observed, "failed_after_ns");
    bool timer = cell->when == BY_TIMER;

    bed->result->summary = (struct result_map){0}; /* a cell has a row of another kind */
    testbed_summarize(
        bed, TEXT("situation", crash_situations[cell->situation]),
        TEXT("peer", crash_fates[cell->fate]), TEXT("call", cell->call),
        TEXT("returns", returned ? returned->text : NULL), TEXT("when", when[cell->when]),
        INTEGER("after_ns", took                    ? took->integer
                            : cell->when == AT_ONCE ? told_ns - crash->at_ns
                                                    : RESULT_UNKNOWN),
        INTEGER("predicted_ns", timer
                                    ? crash_timer_ns(&crash->settings, &crash->socket, cell->timer)
                                    : RESULT_UNKNOWN),
        INTEGER("this_host_ns", timer ? crash_timer_here_ns(crash, cell->timer) : RESULT_UNKNOWN));
}

static void play_cell(struct testbed *bed)
{
    static void (*const happens[CRASH_FATES])(struct crash *) = {
        [CRASH_PROCESS] = crash_kill_server,
        [CRASH_HOST] = crash_cut,
        [CRASH_UNREACHABLE] = crash_make_unreachable,
        [CRASH_REBOOT] = crash_reboot,
    };
    const struct cell *cell = bed->scenario->arg;
    struct crash crash = connect_with_options(bed, cell);
    int64_t sent_ns = 0, told_ns = 0;

    block(&crash, cell);
    happens[cell->fate](&crash);
    testbed_observe(bed, TEXT("call", cell->call));
    if (cell->when == NEVER) {
        crash_blocks_forever(&crash, "returns");
    } else {
        struct act_reply reply = wait_for_news(&crash, cell, &sent_ns);
        told_ns = reply.returned_ns;
        testbed_check_text(bed, "returns", cell->returns, act_rc_name(reply.rc, "EOF"));
    }
    if (cell->when == BY_TIMER)
        crash_check_timer(&crash, cell->timer, sent_ns, told_ns);
    summarize(&crash, cell, told_ns);
}

/* ---- The cells ---- */

#define CELL(situation_, fate_, name_, pinned, ...)                                                \
    .name = "matrix-" name_, .title = "a cell of --matrix", .settings = (pinned),                  \
    .delay_ns = CRASH_DELAY_NS, .play = play_cell, .arg = &(const struct cell)                     \
    {                                                                                              \
        .situation = (situation_), .fate = (fate_), __VA_ARGS__                                    \
    }
#define PROCESS(situation, name, ...)                                                              \
    CELL(situation, CRASH_PROCESS, name "-process", crash_no_retransmission, __VA_ARGS__)
#define HOST(situation, name, ...)                                                                 \
    CELL(situation, CRASH_HOST, name "-host", crash_quick_keepalive, __VA_ARGS__)
#define UNREACHABLE(situation, name, ...)                                                          \
    CELL(situation, CRASH_UNREACHABLE, name "-unreachable", crash_quick_keepalive, __VA_ARGS__)
#define REBOOT(situation, name, ...)                                                               \
    CELL(situation, CRASH_REBOOT, name "-reboot", crash_late_keepalive, __VA_ARGS__)

#define SECOND_WRITE    .call = "second write", .returns = "EPIPE", .when = AT_ONCE
#define END_OF_FILE     .call = "poll, read", .returns = "EOF", .when = AT_ONCE
#define RESET           .call = "read", .returns = "ECONNRESET", .when = AT_ONCE
#define GIVES_UP(error) .call = "read", .returns = (error), .when = BY_TIMER, .timer = CRASH_SEND
#define NO_REPLY                                                                                   \
    .call = "poll, read", .returns = "ETIMEDOUT", .when = BY_TIMER, .timer = CRASH_KEEPALIVE
#define PROBE_RESET                                                                                \
    .call = "poll, read", .returns = "ECONNRESET", .when = BY_TIMER, .timer = CRASH_FIRST_PROBE
#define NOTHING .call = "none", .returns = "nothing", .when = NEVER

/* The book has no row for TCP_USER_TIMEOUT. */
static const struct scenario cells[] = {
    {PROCESS(CRASH_SENDING, "sending", SECOND_WRITE),
     .book = "FIN; then RST, and SIGPIPE or EPIPE"},
    {HOST(CRASH_SENDING, "sending", GIVES_UP("ETIMEDOUT")), .book = "ETIMEDOUT"},
    {UNREACHABLE(CRASH_SENDING, "sending", GIVES_UP("EHOSTUNREACH")), .book = "EHOSTUNREACH"},
    {REBOOT(CRASH_SENDING, "sending", RESET), .book = "RST: ECONNRESET"},

    {PROCESS(CRASH_RECEIVING, "receiving", .call = "read", .returns = "EOF", .when = AT_ONCE),
     .book = "FIN: end of file, perhaps too early"},
    {HOST(CRASH_RECEIVING, "receiving", NOTHING), .book = "no more data"},
    {UNREACHABLE(CRASH_RECEIVING, "receiving", NOTHING), .book = "no more data"},
    {REBOOT(CRASH_RECEIVING, "receiving", NOTHING), .book = "no more data"},

    {PROCESS(CRASH_KEEPALIVE_IDLE, "keepalive", END_OF_FILE), .book = "FIN: select says readable"},
    {HOST(CRASH_KEEPALIVE_IDLE, "keepalive", NO_REPLY),
     .book = "ETIMEDOUT after 2 h and nine probes"},
    {UNREACHABLE(CRASH_KEEPALIVE_IDLE, "keepalive", NO_REPLY),
     .book = "EHOSTUNREACH after 2 h and nine probes",
     .differs = "A keepalive probe has a sequence number below the window, and Linux ignores an "
                "ICMP error for such a segment (OutOfWindowIcmps): the error stays ETIMEDOUT."},
    {REBOOT(CRASH_KEEPALIVE_IDLE, "keepalive", PROBE_RESET), .book = "RST for a probe: ECONNRESET"},

    {PROCESS(CRASH_IDLE, "idle", END_OF_FILE), .book = "FIN: select says readable"},
    {HOST(CRASH_IDLE, "idle", NOTHING), .book = "nothing"},
    {UNREACHABLE(CRASH_IDLE, "idle", NOTHING), .book = "nothing"},
    {REBOOT(CRASH_IDLE, "idle", NOTHING), .book = "nothing"},

    {PROCESS(CRASH_SENDING_USER, "sending-user-timeout", SECOND_WRITE)},
    {HOST(CRASH_SENDING_USER, "sending-user-timeout", GIVES_UP("ETIMEDOUT"))},
    {UNREACHABLE(CRASH_SENDING_USER, "sending-user-timeout", GIVES_UP("EHOSTUNREACH"))},
    {REBOOT(CRASH_SENDING_USER, "sending-user-timeout", RESET)},

    {PROCESS(CRASH_KEEPALIVE_USER, "keepalive-user-timeout", END_OF_FILE)},
    {HOST(CRASH_KEEPALIVE_USER, "keepalive-user-timeout", NO_REPLY)},
    {UNREACHABLE(CRASH_KEEPALIVE_USER, "keepalive-user-timeout", NO_REPLY)},
    {REBOOT(CRASH_KEEPALIVE_USER, "keepalive-user-timeout", PROBE_RESET)},
};

#define FOUR(row)                                                                                  \
    &cells[4 * (row)], &cells[4 * (row) + 1], &cells[4 * (row) + 2], &cells[4 * (row) + 3]

static const struct scenario *const items[] = {FOUR(0), FOUR(1), FOUR(2), FOUR(3),
                                               FOUR(4), FOUR(5), NULL};

const struct scenario_set scenario_crash_matrix = {.command = "crash-sim", .items = items};
