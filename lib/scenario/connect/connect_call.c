/* The call itself: interrupted, repeated after a failure, not blocking. */
#include "scenario/connect/connect.h"

#include "scenario/engine/agent_self.h"
#include "trace/trace.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

/* ---- interrupted ---- */

static struct trace *handler_trace;

/* Appending is a matter of atomic operations in shared memory: a handler may do it. */
static void on_signal(int number)
{
    struct trace_event event = {
        .at_real_ns = clock_real_ns(), .kind = TRACE_MARK, .side = TRACE_CLIENT};

    (void)number;
    memcpy(event.text, "signal handled", sizeof "signal handled");
    trace_append(handler_trace, &event);
}

/* act.flags: SA_RESTART or 0. */
static int64_t catch_signal(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = act->flags};

    (void)reply;
    handler_trace = self->recorder.trace;
    int rc = sigaction(SIGUSR1, &action, NULL) ? -errno : 0;
    syscall_recorder_note(&self->recorder, "sigaction", -1, rc);
    return rc;
}

static int64_t set_blocking(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    (void)reply;
    return sock_set_nonblocking(&self->slots[act->slot], act->flags != 0);
}

struct interrupted_facts {
    struct act_reply first, not_blocking, second, third, fourth, restarted;
    int64_t handled;
};

/* A signal may come before the call that it is for: again until it has returned. */
static struct act_reply interrupt_until(struct agent *agent)
{
    struct act_reply reply = {.late = true};

    for (int i = 0; i < 400 && reply.late; i++) {
        agent_signal(agent, SIGUSR1);
        reply = agent_try(agent, 20 * NS_PER_MS);
    }
    return reply;
}

static void without_restart(struct testbed *bed, struct interrupted_facts *facts, int held)
{
    struct agent *client = testbed_client(bed);

    DO(client, ACT_CALL, .function = catch_signal);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "seen s>c:syn-ack");
    facts->first = interrupt_until(client);
    facts->not_blocking = DO(client, ACT_CONNECT_START, .port = TESTBED_PORT);
    DO(client, ACT_CALL, .function = set_blocking);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    facts->second = interrupt_until(client);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_release(bed, held);
    facts->third = agent_end(client, ACT_LIMIT_NS);
    facts->fourth = DO(client, ACT_CONNECT, .port = TESTBED_PORT);
}

static void with_restart(struct testbed *bed, struct interrupted_facts *facts, int held)
{
    struct agent *other = testbed_actor(bed, LAB_CLIENT);

    DO(other, ACT_CALL, .function = catch_signal, .flags = SA_RESTART);
    testbed_from_here(bed);
    BEGIN(other, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "seen s>c:syn-ack");
    agent_signal(other, SIGUSR1);
    facts->handled = testbed_wait(bed, "mark=signal handled");
    testbed_release(bed, held);
    facts->restarted = agent_end(other, ACT_LIMIT_NS);
}

static void run_interrupted(struct testbed *bed)
{
    struct interrupted_facts *facts = testbed_facts(bed, sizeof *facts);

    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    int held = testbed_fault(bed, "hold syn-ack dir s>c");
    without_restart(bed, facts, held);
    with_restart(bed, facts, held);
}

static void check_interrupted(struct testbed *bed)
{
    const struct interrupted_facts *facts = testbed_facts(bed, sizeof *facts);

    connect_summary(bed, &facts->first);
    testbed_check_rc(bed, "connect", "EINTR", &facts->first, "0");
    testbed_check_rc(bed, "again_not_blocking", "EALREADY", &facts->not_blocking, "0");
    testbed_check_rc(bed, "again_and_a_signal", "EINTR", &facts->second, "0");
    testbed_check_rc(bed, "again_and_the_synack", "0", &facts->third, "0");
    testbed_check_rc(bed, "once_more", "EISCONN", &facts->fourth, "0");
    testbed_check_rc(bed, "with_sa_restart", "0", &facts->restarted, "0");
}

const struct scenario connect_interrupted = {
    .name = "interrupted",
    .title = "a signal interrupts a blocking connect, with and without SA_RESTART",
    .book =
        "Unless it is restarted, connect returns EINTR, and must not be called again to wait: "
        "that gives EADDRINUSE. Wait by select, as after a non-blocking connect (section 16.4).",
    .here = "EINTR, and the connection goes on being made. A second blocking connect takes up the "
            "same wait, and returns 0 when it succeeds; a non-blocking one says EALREADY; once "
            "connected, EISCONN. With SA_RESTART the call goes on by itself, unless SO_SNDTIMEO is "
            "set.",
    .differs = "On Linux connect may be called again to go on waiting; portable programs wait by "
               "poll and read SO_ERROR.",
    .settings = connect_few_retries,
    .play = run_interrupted,
    .check = check_interrupted,
};

/* ---- reuse-after-failure ---- */

struct reuse_facts {
    struct act_reply refused, again;
    struct act_reply started, told, aborted, afterwards;
    struct act_reply untold, pending, restarted;
};

enum { BLOCKING, ERROR_READ, ERROR_PENDING };

static void run_reuse_after_failure(struct testbed *bed)
{
    struct reuse_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->refused = DO(client, ACT_CONNECT, .slot = BLOCKING, .port = TESTBED_PORT);
    facts->started = DO(client, ACT_CONNECT_START, .slot = ERROR_READ, .port = TESTBED_PORT);
    DO(client, ACT_POLL, .slot = ERROR_READ, .number = POLLOUT, .timeout_ns = 8 * NS_PER_SEC);
    facts->told = DO(client, ACT_ERROR, .slot = ERROR_READ);
    facts->untold = DO(client, ACT_CONNECT_START, .slot = ERROR_PENDING, .port = TESTBED_PORT);
    DO(client, ACT_POLL, .slot = ERROR_PENDING, .number = POLLOUT, .timeout_ns = 8 * NS_PER_SEC);
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    facts->again = DO(client, ACT_CONNECT, .slot = BLOCKING, .port = TESTBED_PORT);
    DO(client, ACT_CALL, .function = set_blocking, .slot = ERROR_READ);
    facts->aborted = DO(client, ACT_CONNECT, .slot = ERROR_READ, .port = TESTBED_PORT);
    facts->afterwards = DO(client, ACT_CONNECT, .slot = ERROR_READ, .port = TESTBED_PORT);
    DO(client, ACT_CALL, .function = set_blocking, .slot = ERROR_PENDING);
    facts->pending = DO(client, ACT_CONNECT, .slot = ERROR_PENDING, .port = TESTBED_PORT);
    facts->restarted = DO(client, ACT_CONNECT, .slot = ERROR_PENDING, .port = TESTBED_PORT);
}

static void check_reuse_after_failure(struct testbed *bed)
{
    const struct reuse_facts *facts = testbed_facts(bed, sizeof *facts);

    connect_summary(bed, &facts->refused);
    testbed_check_rc(bed, "blocking_connect", "ECONNREFUSED", &facts->refused, "0");
    testbed_check_rc(bed, "blocking_connect_again", "0", &facts->again, "0");
    testbed_check_rc(bed, "not_blocking_connect", "EINPROGRESS", &facts->started, "0");
    testbed_check_rc(bed, "its_so_error", "ECONNREFUSED", &facts->told, "0");
    testbed_check_rc(bed, "then_connect", "ECONNABORTED", &facts->aborted, "0");
    testbed_check_rc(bed, "then_connect_again", "0", &facts->afterwards, "0");
    testbed_check_rc(bed, "error_unread_connect", "ECONNREFUSED", &facts->pending, "0");
    testbed_check_rc(bed, "error_unread_again", "0", &facts->restarted, "0");
}

const struct scenario connect_reuse_after_failure = {
    .name = "reuse-after-failure",
    .title = "connect fails; connect is called again on the same socket",
    .book = "A socket whose connect failed is of no further use: close it, and make a new one "
            "(section 4.3).",
    .here =
        "It can be used again: a failed connect leaves it closed and unconnected, and the next "
        "one starts anew, from another port. After a non-blocking failure the next connect only "
        "reports that failure (ECONNABORTED if SO_ERROR has been read), and the one after it "
        "starts anew. POSIX leaves the state unspecified: portable programs close.",
    .differs = "Linux allows what the book rules out.",
    .settings = connect_few_retries,
    .loopback = true,
    .play = run_reuse_after_failure,
    .check = check_reuse_after_failure,
};

/* ---- nonblocking ---- */

struct nonblocking_facts {
    struct act_reply start, early, writable, error, again, twice;
    struct act_reply failed_start, failed_events, failed_error, failed_twice, failed_peer;
};

#define FAILED (POLLIN | POLLOUT | POLLERR | POLLHUP)

static void run_nonblocking(struct testbed *bed)
{
    struct nonblocking_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed);
    int held = bed->lab ? testbed_fault(bed, "hold syn-ack dir s>c") : 0;

    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    facts->start = DO(client, ACT_CONNECT_START, .port = TESTBED_PORT);
    if (bed->lab) {
        testbed_wait(bed, "seen s>c:syn-ack");
        facts->early = DO(client, ACT_POLL, .number = POLLOUT, .timeout_ns = 0);
        testbed_release(bed, held);
    }
    facts->writable =
        DO(client, ACT_POLL, .number = POLLOUT | POLLIN, .timeout_ns = 4 * NS_PER_SEC);
    facts->error = DO(client, ACT_ERROR);
    facts->again = DO(client, ACT_CONNECT_START, .port = TESTBED_PORT);
    facts->twice = DO(client, ACT_CONNECT_START, .port = TESTBED_PORT);
    facts->failed_start = DO(client, ACT_CONNECT_START, .slot = 1, .port = TESTBED_PORT + 1);
    facts->failed_events =
        DO(client, ACT_POLL, .slot = 1, .number = POLLOUT | POLLIN, .timeout_ns = 4 * NS_PER_SEC);
    facts->failed_peer = DO(client, ACT_PEER, .slot = 1);
    facts->failed_error = DO(client, ACT_ERROR, .slot = 1);
    facts->failed_twice = DO(client, ACT_ERROR, .slot = 1);
}

static void check_nonblocking(struct testbed *bed)
{
    const struct nonblocking_facts *facts = testbed_facts(bed, sizeof *facts);

    connect_summary(bed, &facts->start);
    testbed_check_rc(bed, "connect", "EINPROGRESS", &facts->start, "0");
    testbed_check_integer(bed, "writable_early", 0, facts->early.rc);
    testbed_check_bool(bed, "writable_only", true, facts->writable.rc == POLLOUT);
    testbed_check_rc(bed, "so_error", "0", &facts->error, "0");
    testbed_check_rc(bed, "connect_again", "0", &facts->again, "0");
    testbed_check_rc(bed, "and_again", "EISCONN", &facts->twice, "0");
    testbed_check_rc(bed, "failing_connect", "EINPROGRESS", &facts->failed_start, "0");
    testbed_check_bool(bed, "all_events_at_once", true, facts->failed_events.rc == FAILED);
    testbed_check_rc(bed, "its_getpeername", "ENOTCONN", &facts->failed_peer, "0");
    testbed_check_rc(bed, "its_so_error", "ECONNREFUSED", &facts->failed_error, "0");
    testbed_check_rc(bed, "its_so_error_again", "0", &facts->failed_twice, "0");
}

const struct scenario connect_nonblocking = {
    .name = "nonblocking",
    .title = "connect without blocking: EINPROGRESS, then writable, then SO_ERROR, once",
    .book =
        "EINPROGRESS; success makes the socket writable, failure readable and writable, so that "
        "writable alone says nothing: read SO_ERROR, which clears it. getpeername, or connect "
        "again (EISCONN), tell too (section 16.3).",
    .here = "The same, with two details. The first connect after success still returns 0, and only "
            "the next EISCONN. SO_ERROR read a second time is 0, as if nothing had failed: whoever "
            "reads it first has to keep it.",
    .settings = connect_few_retries,
    .loopback = true,
    .play = run_nonblocking,
    .check = check_nonblocking,
};
