/* The server's process dies, its host lives on: the kernel closes its connections. */
#include "scenario/crash/crash.h"

#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>

/* ---- process-crash-idle ---- */

static void play_idle(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    crash_kill_server(&crash);
    CRASH_CALL(&crash, "read", "EOF", crash.client, ACT_READ, .bytes = 100);
}

const struct scenario crash_process_idle = {
    .name = "process-crash-idle",
    .title = "the server's process is killed while the connection is idle",
    .book = "The kernel closes the dead process's descriptors, which sends a FIN; the client's TCP "
            "acknowledges it, but a client that waits for something else does not notice (section "
            "5.12).",
    .here = "The same. The FIN says only that the server will send no more: the next read returns "
            "end of file, as after an orderly close.",
    .settings = crash_no_retransmission,
    .play = play_idle,
    .flags = FLAGS(HANDSHAKE, "S>C FIN,ACK", "C>S ACK"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSE-WAIT"),
};

/* ---- process-crash-unread ---- */

static void play_unread(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);
    struct agent *client = crash.client;

    CRASH_CALL(&crash, "write_before", "ok", client, ACT_WRITE, .bytes = 10);
    testbed_wait(bed, "delivered c>s:data");
    crash_kill_server(&crash);
    CRASH_CALL(&crash, "read", "ECONNRESET", client, ACT_READ, .bytes = 100);
    CRASH_CALL(&crash, "read_again", "EOF", client, ACT_READ, .bytes = 100);
    CRASH_CALL(&crash, "write", "EPIPE", client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL);
    testbed_expect_count(bed, "fins", "fin", LAB_FROM_SERVER, 0);
    testbed_expect_count(bed, "resets", "rst", LAB_FROM_SERVER, 1);
}

const struct scenario crash_process_unread = {
    .name = "process-crash-unread",
    .title = "the server's process is killed before it has read all data",
    .book = "The kernel sends a FIN (section 5.12).",
    .here = "RST instead of FIN, because data was lost (RFC 2525, 2.17): read fails with "
            "ECONNRESET once and then returns end of file; write fails with EPIPE.",
    .differs = "A close with unread data has to tell that it was lost; the book's servers had read "
               "everything.",
    .settings = crash_no_retransmission,
    .play = play_unread,
    .flags_begin = FLAGS(HANDSHAKE, "C>S PSH,ACK"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSED"),
};

/* ---- process-crash-reading ---- */

static void play_reading(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);

    CRASH_BLOCK(&crash, crash.client, ACT_READ, .bytes = 100);
    crash_kill_server(&crash);
    struct act_reply reply = crash_end_read(&crash, "read", "EOF", crash.client, ACT_LIMIT_NS);
    testbed_check_bool(bed, "was_blocked", true,
                       reply.entered_ns < crash.at_ns && reply.returned_ns > crash.at_ns);
}

const struct scenario crash_process_reading = {
    .name = "process-crash-reading",
    .title = "the server's process is killed while the client is blocked in read",
    .book = "The FIN ends the read at once, with end of file: the client reports that the server "
            "terminated prematurely (section 5.12).",
    .here = "The same. Only a client that knows how much was still to come can tell a crash from "
            "the end.",
    .settings = crash_no_retransmission,
    .play = play_reading,
    .flags = FLAGS(HANDSHAKE, "S>C FIN,ACK", "C>S ACK"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSE-WAIT"),
};

/* ---- process-crash-writing ---- */

static void play_writing(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);
    struct agent *client = crash.client, *unprepared = crash_another_client(&crash, 2);

    DO(client, ACT_SIGNAL, .number = SIGPIPE, .flags = AGENT_SIGNAL_IGNORE);
    crash_happens(&crash);
    agent_signal(crash.server, SIGKILL);
    crash_wait_either(bed, "delivered s>c:fin#2", "delivered s>c:rst#2");
    crash_wait_either(bed, "server=FIN-WAIT-2#2", "delivered s>c:rst#2");
    CRASH_CALL(&crash, "first_write", "ok", client, ACT_WRITE, .bytes = 10);
    crash_wait_either(bed, "delivered s>c:rst", "client=CLOSED");
    CRASH_CALL(&crash, "second_write_ignoring", "EPIPE", client, ACT_WRITE, .bytes = 10);
    CRASH_CALL(&crash, "read_at_last", "EOF", client, ACT_READ, .bytes = 100);

    CRASH_CALL(&crash, "first_write_default", "ok", unprepared, ACT_WRITE, .bytes = 10);
    crash_wait_either(bed, "delivered s>c:rst#2", "client=CLOSED#2");
    struct act_reply reply = DO(unprepared, ACT_WRITE, .bytes = 10);
    testbed_check_bool(bed, "second_write_kills", true, reply.died);
    if (reply.died)
        crash_died(&crash, "second_write_default", "SIGPIPE", unprepared);
}

const struct scenario crash_process_writing = {
    .name = "process-crash-writing",
    .title = "the client goes on writing to a server whose process was killed",
    .book = "The first write succeeds and draws an RST; the second raises SIGPIPE, which by "
            "default ends the process without a message, and returns EPIPE if the signal is "
            "ignored or caught (section 5.13).",
    .here = "The same. A read after the FIN never shows the reset: it keeps returning end of file.",
    .settings = crash_no_retransmission,
    .play = play_writing,
    .flags = FLAGS(HANDSHAKE, "S>C FIN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C RST"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "CLOSED"),
};

/* ---- process-crash-select ---- */

/* select(2) on a slot for all three sets. Returns bits of what is ready: read, write, except. */
static AGENT_CALL(do_select)
{
    int fd = self->slots[act->slot].fd;
    struct timeval none = {0};
    fd_set sets[3];
    int64_t ready = 0;

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
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
        ready |= FD_ISSET(fd, &sets[i]) ? 1 << i : 0;
    return ready;
}

static void check_select(struct crash *crash, const char *key, const char *expected)
{
    static const char *const names[] = {"nothing", "read",        "write",        "read write",
                                        "except",  "read except", "write except", "all"};
    struct act_reply reply = DO(crash->client, ACT_CALL, .function = do_select);

    testbed_check_text(crash->bed, key, expected,
                       reply.rc < 0 ? act_rc_name(reply.rc, "0") : names[reply.rc & 7]);
}

#define ALL_EVENTS (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)

static void play_select(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);
    struct agent *client = crash.client;

    CRASH_CALL(&crash, "poll_before", "OUT", client, ACT_POLL, .number = ALL_EVENTS);
    CRASH_BLOCK(&crash, client, ACT_POLL, .number = POLLIN, .timeout_ns = TESTBED_LIMIT_NS);
    crash_kill_server(&crash);
    struct act_reply reply = agent_end(client, TESTBED_LIMIT_NS + ACT_LIMIT_NS);
    crash_returned(&crash, "blocked_poll", "IN", crash_poll_events(bed, &reply), &reply);
    CRASH_CALL(&crash, "poll_after_fin", "IN OUT RDHUP", client, ACT_POLL, .number = ALL_EVENTS);
    check_select(&crash, "select_after_fin", "read write");
    CRASH_CALL(&crash, "write", "ok", client, ACT_WRITE, .bytes = 10);
    crash_wait_either(bed, "delivered s>c:rst", "client=CLOSED");
    CRASH_CALL(&crash, "poll_after_rst", "IN OUT ERR HUP RDHUP", client, ACT_POLL,
               .number = ALL_EVENTS);
    check_select(&crash, "select_after_rst", "read write");
    CRASH_CALL(&crash, "SO_ERROR", "EPIPE", client, ACT_ERROR);
    CRASH_CALL(&crash, "poll_at_last", "IN OUT HUP RDHUP", client, ACT_POLL, .number = ALL_EVENTS);
}

const struct scenario crash_process_select = {
    .name = "process-crash-select",
    .title = "what poll and select tell a client whose server's process was killed",
    .book = "The socket becomes readable when the FIN arrives, so that a client that waits in "
            "select learns of the crash at once; a pending error makes it readable and writable "
            "(sections 5.14 and 6.3).",
    .here = "The same. poll tells more: RDHUP from the FIN on, ERR and HUP from the RST on. "
            "Reading SO_ERROR (EPIPE, because the FIN came first) clears ERR. The exception set "
            "of select stays empty.",
    .settings = crash_no_retransmission,
    .play = play_select,
    .flags = FLAGS(HANDSHAKE, "S>C FIN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C RST"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "CLOSED"),
};
