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
static AGENT_CALL(catch_signal)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = act->flags};

    handler_trace = self->recorder.trace;
    int rc = sigaction(SIGUSR1, &action, NULL) ? -errno : 0;
    syscall_recorder_note(&self->recorder, "sigaction", -1, rc);
    return rc;
}

static AGENT_CALL(set_blocking)
{
    return sock_set_nonblocking(&self->slots[act->slot], act->flags != 0);
}

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

/* The connect of which the summary speaks: the one that the signal interrupts. */
static struct act_reply without_restart(struct testbed *bed, int held)
{
    struct agent *client = testbed_client(bed);

    DO(client, ACT_CALL, .function = catch_signal);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "seen s>c:syn-ack");
    struct act_reply first = interrupt_until(client);
    testbed_check_rc(bed, "connect", "EINTR", &first, "0");
    CHECK(bed, "again_not_blocking", "EALREADY", client, ACT_CONNECT_START, .port = TESTBED_PORT);
    DO(client, ACT_CALL, .function = set_blocking);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    struct act_reply second = interrupt_until(client);
    testbed_check_rc(bed, "again_and_a_signal", "EINTR", &second, "0");
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_release(bed, held);
    struct act_reply third = agent_end(client, ACT_LIMIT_NS);
    testbed_check_rc(bed, "again_and_the_synack", "0", &third, "0");
    CHECK(bed, "once_more", "EISCONN", client, ACT_CONNECT, .port = TESTBED_PORT);
    return first;
}

static void with_restart(struct testbed *bed, int held)
{
    struct agent *other = testbed_agent(bed, LAB_CLIENT);

    DO(other, ACT_CALL, .function = catch_signal, .flags = SA_RESTART);
    testbed_from_here(bed);
    BEGIN(other, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "seen s>c:syn-ack");
    agent_signal(other, SIGUSR1);
    testbed_wait(bed, "mark=signal handled");
    testbed_release(bed, held);
    struct act_reply restarted = agent_end(other, ACT_LIMIT_NS);
    testbed_check_rc(bed, "with_sa_restart", "0", &restarted, "0");
}

static void play_interrupted(struct testbed *bed)
{
    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    int held = testbed_fault(bed, "hold syn-ack dir s>c");
    struct act_reply connect = without_restart(bed, held);
    with_restart(bed, held);
    connect_summary(bed, &connect);
}

const struct scenario connect_interrupted = {
    .name = "interrupted",
    .title = "a signal interrupts a blocking connect, with and without SA_RESTART",
    .book = "Unless it is restarted, connect returns EINTR, and must not be called again to wait: "
            "that gives EADDRINUSE. Wait with select, as after a non-blocking connect (section "
            "16.4).",
    .here = "EINTR, and the handshake continues. A second blocking connect resumes the same wait, "
            "and returns 0 when it succeeds; a non-blocking one returns EALREADY; once connected, "
            "EISCONN. With SA_RESTART the kernel restarts the call, unless SO_SNDTIMEO is set.",
    .differs = "On Linux connect may be called again to keep waiting; portable programs wait with "
               "poll and read SO_ERROR.",
    .settings = connect_few_retries,
    .play = play_interrupted,
};

/* ---- reuse-after-failure ---- */

enum { BLOCKING, ERROR_READ, ERROR_PENDING };

#define FAILS_WITHIN_NS (8 * NS_PER_SEC)

static void play_reuse_after_failure(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    struct act_reply refused = CHECK(bed, "blocking_connect", "ECONNREFUSED", client, ACT_CONNECT,
                                     .slot = BLOCKING, .port = TESTBED_PORT);

    CHECK(bed, "not_blocking_connect", "EINPROGRESS", client, ACT_CONNECT_START, .slot = ERROR_READ,
          .port = TESTBED_PORT);
    DO(client, ACT_POLL, .slot = ERROR_READ, .number = POLLOUT, .timeout_ns = FAILS_WITHIN_NS);
    CHECK(bed, "its_so_error", "ECONNREFUSED", client, ACT_ERROR, .slot = ERROR_READ);
    DO(client, ACT_CONNECT_START, .slot = ERROR_PENDING, .port = TESTBED_PORT);
    DO(client, ACT_POLL, .slot = ERROR_PENDING, .number = POLLOUT, .timeout_ns = FAILS_WITHIN_NS);
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    CHECK(bed, "blocking_connect_again", "0", client, ACT_CONNECT, .slot = BLOCKING,
          .port = TESTBED_PORT);
    DO(client, ACT_CALL, .function = set_blocking, .slot = ERROR_READ);
    CHECK(bed, "then_connect", "ECONNABORTED", client, ACT_CONNECT, .slot = ERROR_READ,
          .port = TESTBED_PORT);
    CHECK(bed, "then_connect_again", "0", client, ACT_CONNECT, .slot = ERROR_READ,
          .port = TESTBED_PORT);
    DO(client, ACT_CALL, .function = set_blocking, .slot = ERROR_PENDING);
    CHECK(bed, "error_unread_connect", "ECONNREFUSED", client, ACT_CONNECT, .slot = ERROR_PENDING,
          .port = TESTBED_PORT);
    CHECK(bed, "error_unread_again", "0", client, ACT_CONNECT, .slot = ERROR_PENDING,
          .port = TESTBED_PORT);
    connect_summary(bed, &refused);
}

const struct scenario connect_reuse_after_failure = {
    .name = "reuse-after-failure",
    .title = "connect fails; connect is called again on the same socket",
    .book = "A socket whose connect failed is of no further use: close it, and make a new one "
            "(section 4.3).",
    .here =
        "It can be used again: a failed connect leaves it closed and unconnected, and the next "
        "one starts over, from another port. After a non-blocking failure the next connect only "
        "reports that failure (ECONNABORTED if SO_ERROR has been read), and the one after it "
        "starts over. POSIX leaves the state unspecified: portable programs close.",
    .differs = "Linux allows what the book rules out.",
    .settings = connect_few_retries,
    .loopback = true,
    .play = play_reuse_after_failure,
};

/* ---- nonblocking ---- */

#define FAILED            (POLLIN | POLLOUT | POLLERR | POLLHUP)
#define DECIDED_WITHIN_NS (4 * NS_PER_SEC)

/* Nobody listens on the other port. */
static void check_failing(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    CHECK(bed, "failing_connect", "EINPROGRESS", client, ACT_CONNECT_START, .slot = 1,
          .port = TESTBED_PORT + 1);
    int64_t events =
        DO(client, ACT_POLL, .slot = 1, .number = POLLOUT | POLLIN, .timeout_ns = DECIDED_WITHIN_NS)
            .rc;
    testbed_check_bool(bed, "all_events_at_once", true, events == FAILED);
    CHECK(bed, "its_getpeername", "ENOTCONN", client, ACT_PEER, .slot = 1);
    CHECK(bed, "its_so_error", "ECONNREFUSED", client, ACT_ERROR, .slot = 1);
    CHECK(bed, "its_so_error_again", "0", client, ACT_ERROR, .slot = 1);
}

static void play_nonblocking(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);
    int held = bed->lab ? testbed_fault(bed, "hold syn-ack dir s>c") : 0;
    int64_t early = 0;

    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    struct act_reply connect =
        CHECK(bed, "connect", "EINPROGRESS", client, ACT_CONNECT_START, .port = TESTBED_PORT);
    if (bed->lab) {
        testbed_wait(bed, "seen s>c:syn-ack");
        early = DO(client, ACT_POLL, .number = POLLOUT, .timeout_ns = 0).rc;
        testbed_release(bed, held);
    }
    testbed_check_integer(bed, "writable_early", 0, early);
    int64_t events =
        DO(client, ACT_POLL, .number = POLLOUT | POLLIN, .timeout_ns = DECIDED_WITHIN_NS).rc;
    testbed_check_bool(bed, "writable_only", true, events == POLLOUT);
    CHECK(bed, "so_error", "0", client, ACT_ERROR);
    CHECK(bed, "connect_again", "0", client, ACT_CONNECT_START, .port = TESTBED_PORT);
    CHECK(bed, "and_again", "EISCONN", client, ACT_CONNECT_START, .port = TESTBED_PORT);
    check_failing(bed);
    connect_summary(bed, &connect);
}

const struct scenario connect_nonblocking = {
    .name = "nonblocking",
    .title = "non-blocking connect: EINPROGRESS, then writable, then SO_ERROR, once",
    .book = "EINPROGRESS; success makes the socket writable, failure readable and writable, so "
            "writable alone says nothing: read SO_ERROR, which clears it. getpeername, or another "
            "connect (EISCONN), also tells (section 16.3).",
    .here = "The same, with two details. The first connect after success still returns 0, and only "
            "the next one EISCONN. SO_ERROR read a second time is 0, as if nothing had failed: the "
            "code that reads it first must keep it.",
    .settings = connect_few_retries,
    .loopback = true,
    .play = play_nonblocking,
};
