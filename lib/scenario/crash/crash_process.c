/* The server's process dies, its host lives on: the kernel ends its connections. */
#include "scenario/crash/crash.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>

#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"

/* ---- process-crash-idle ---- */

static void run_idle(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    crash_kill_server(bed);
    struct act_reply reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read", "EOF", &reply, "EOF");
}

static void check_idle(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C FIN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", NULL);
}

const struct scenario crash_process_idle = {
    .name = "process-crash-idle",
    .title = "the server's process is killed while nothing is under way",
    .book = "The kernel closes the dead process's descriptors, which sends a FIN; the client's TCP "
            "acknowledges it, but a client that waits for something else does not notice (section "
            "5.12).",
    .here = "The same. The FIN says only that the server will send no more: the next read returns "
            "end of file, as after an orderly close.",
    .settings = crash_no_haste,
    .play = run_idle,
    .check = check_idle,
};

/* ---- process-crash-unread ---- */

static void run_unread(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(bed, "write_before", "ok", &reply, "0");
    testbed_wait(bed, "delivered c>s:data");
    crash_kill_server(bed);
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read", "ECONNRESET", &reply, "EOF");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read_again", "EOF", &reply, "EOF");
    reply = DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
    crash_call(bed, "write", "EPIPE", &reply, "0");
}

static void check_unread(struct testbed *bed)
{
    testbed_expect_flags_begin(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", NULL);
    testbed_check_integer(bed, "fins", 0,
                          (int64_t)testbed_times(bed, "fin", LAB_FROM_SERVER, NULL, 0));
    testbed_check_integer(bed, "resets", 1,
                          (int64_t)testbed_times(bed, "rst", LAB_FROM_SERVER, NULL, 0));
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSED", NULL);
}

const struct scenario crash_process_unread = {
    .name = "process-crash-unread",
    .title = "the server's process is killed with data that it had not read",
    .book = "The book lets the kernel send a FIN (section 5.12).",
    .here = "RST instead of FIN, because data was lost (RFC 2525, 2.17): read gives ECONNRESET "
            "once, end of file after that, and write gives EPIPE.",
    .differs = "A close with unread data has to tell that it was lost; the book's servers had read "
               "all.",
    .settings = crash_no_haste,
    .play = run_unread,
    .check = check_unread,
};

/* ---- process-crash-reading ---- */

static void run_reading(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    BEGIN(client, ACT_READ, .bytes = 100);
    crash_entered(bed, LAB_CLIENT, "read");
    crash_kill_server(bed);
    struct act_reply reply = agent_end(client, ACT_LIMIT_NS);
    crash_call(bed, "read", "EOF", &reply, "EOF");
    testbed_check_bool(bed, "was_blocked", true,
                       reply.entered_ns < crash_facts(bed)->at_ns &&
                           reply.returned_ns > crash_facts(bed)->at_ns);
}

const struct scenario crash_process_reading = {
    .name = "process-crash-reading",
    .title = "the server's process is killed while the client is blocked in read",
    .book = "The FIN ends the read at once, with end of file: the client says that the server "
            "terminated prematurely (section 5.12).",
    .here = "The same: what tells a crash from the end is only whether more was due.",
    .settings = crash_no_haste,
    .play = run_reading,
    .check = check_idle,
};

/* ---- process-crash-writing ---- */

/* Another client with a connection of its own to the same server, which accepts it in `slot`. */
static struct agent *another_client(struct testbed *bed, int slot)
{
    struct agent *client = testbed_actor(bed, LAB_CLIENT);
    struct act_reply reply = DO(client, ACT_CONNECT, .port = TESTBED_PORT);

    if (reply.rc)
        testbed_fail(bed, "another client cannot connect: %s", act_rc_name(reply.rc, "0"));
    reply = DO(testbed_server(bed), ACT_ACCEPT, .other = slot, .timeout_ns = TESTBED_LIMIT_NS);
    if (reply.rc)
        testbed_fail(bed, "the server cannot accept: %s", act_rc_name(reply.rc, "0"));
    return client;
}

static void run_writing(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    struct agent *ignorant = another_client(bed, 2);
    DO(client, ACT_SIGNAL, .number = SIGPIPE, .flags = AGENT_SIGNAL_IGNORE);
    crash_happens(bed);
    agent_signal(testbed_server(bed), SIGKILL);
    crash_heard(bed, "delivered s>c:fin#2", "delivered s>c:rst#2");
    crash_heard(bed, "server=FIN-WAIT-2#2", "delivered s>c:rst#2");
    struct act_reply reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(bed, "first_write", "ok", &reply, "0");
    crash_heard(bed, "delivered s>c:rst", "client=CLOSED");
    reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(bed, "second_write_ignoring", "EPIPE", &reply, "0");
    reply = DO(client, ACT_READ, .bytes = 100);
    crash_call(bed, "read_at_last", "EOF", &reply, "EOF");

    reply = DO(ignorant, ACT_WRITE, .bytes = 10);
    crash_call(bed, "first_write_default", "ok", &reply, "0");
    crash_heard(bed, "delivered s>c:rst#2", "client=CLOSED#2");
    reply = DO(ignorant, ACT_WRITE, .bytes = 10);
    testbed_check_bool(bed, "second_write_kills", true, reply.died);
    if (reply.died)
        crash_death(bed, "second_write_default", "SIGPIPE", ignorant);
}

static void check_writing(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C FIN,ACK", "C>S ACK",
                         "C>S PSH,ACK", "S>C RST", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "CLOSED", NULL);
}

const struct scenario crash_process_writing = {
    .name = "process-crash-writing",
    .title = "the client goes on writing to a server whose process was killed",
    .book = "The first write succeeds and draws an RST; the second raises SIGPIPE, whose default "
            "is to end the process without a word, and returns EPIPE if the signal is ignored or "
            "caught (section 5.13).",
    .here = "The same. A read after the FIN never shows the reset: it stays at end of file.",
    .settings = crash_no_haste,
    .play = run_writing,
    .check = check_writing,
};

/* ---- process-crash-select ---- */

#define SELECT_READ   1
#define SELECT_WRITE  2
#define SELECT_EXCEPT 4

/* select(2) on slot 0 for all three sets: bits of what is ready. */
static int64_t do_select(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    int fd = self->slots[act->slot].fd;
    struct timeval none = {0};
    fd_set sets[3];

    (void)reply;
    if (fd < 0 || fd >= FD_SETSIZE)
        return -EBADF;
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        FD_ZERO(&sets[i]);
        FD_SET(fd, &sets[i]);
    }
    int rc = select(fd + 1, &sets[0], &sets[1], &sets[2], &none);
    syscall_recorder_note(&self->recorder, "select", fd, rc < 0 ? -errno : rc);
    if (rc < 0)
        return -errno;
    return (FD_ISSET(fd, &sets[0]) ? SELECT_READ : 0) |
           (FD_ISSET(fd, &sets[1]) ? SELECT_WRITE : 0) |
           (FD_ISSET(fd, &sets[2]) ? SELECT_EXCEPT : 0);
}

static void select_is(struct testbed *bed, const char *key, const char *expected)
{
    static const char *const names[] = {"nothing", "read",        "write",        "read write",
                                        "except",  "read except", "write except", "all"};
    struct act_reply reply = DO(testbed_client(bed), ACT_CALL, .function = do_select);

    testbed_check_text(bed, key, expected,
                       reply.rc < 0 ? act_rc_name(reply.rc, "0") : names[reply.rc & 7]);
}

#define ALL_EVENTS (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)

static void run_select(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);

    crash_connected(bed);
    struct act_reply reply = DO(client, ACT_POLL, .number = ALL_EVENTS);
    crash_poll(bed, "poll_before", "OUT", &reply);
    BEGIN(client, ACT_POLL, .number = POLLIN, .timeout_ns = TESTBED_LIMIT_NS);
    crash_entered(bed, LAB_CLIENT, "poll");
    crash_kill_server(bed);
    reply = agent_end(client, TESTBED_LIMIT_NS + ACT_LIMIT_NS);
    crash_poll(bed, "blocked_poll", "IN", &reply);
    reply = DO(client, ACT_POLL, .number = ALL_EVENTS);
    crash_poll(bed, "poll_after_fin", "IN OUT RDHUP", &reply);
    select_is(bed, "select_after_fin", "read write");
    reply = DO(client, ACT_WRITE, .bytes = 10);
    crash_call(bed, "write", "ok", &reply, "0");
    crash_heard(bed, "delivered s>c:rst", "client=CLOSED");
    reply = DO(client, ACT_POLL, .number = ALL_EVENTS);
    crash_poll(bed, "poll_after_rst", "IN OUT ERR HUP RDHUP", &reply);
    select_is(bed, "select_after_rst", "read write");
    reply = DO(client, ACT_ERROR);
    crash_call(bed, "SO_ERROR", "EPIPE", &reply, "0");
    reply = DO(client, ACT_POLL, .number = ALL_EVENTS);
    crash_poll(bed, "poll_at_last", "IN OUT HUP RDHUP", &reply);
}

const struct scenario crash_process_select = {
    .name = "process-crash-select",
    .title = "what poll and select say to a client whose server's process was killed",
    .book = "The socket becomes readable when the FIN arrives, so that a client that waits in "
            "select learns of the crash at once; a pending error makes it readable and writable "
            "(sections 5.14 and 6.3).",
    .here = "The same. poll tells more: RDHUP from the FIN on, ERR and HUP from the RST on; ERR "
            "ends when SO_ERROR is read (EPIPE, because the FIN came first). The exception set of "
            "select stays empty.",
    .settings = crash_no_haste,
    .play = run_select,
    .check = check_writing,
};
