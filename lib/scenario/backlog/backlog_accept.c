/* accept(2) itself: without descriptors, without a connection, and behind edge-triggered epoll. */
#include "scenario/backlog/backlog.h"

#include "base/wait.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* flags: O_NONBLOCK on or off, for the listener in the slot. */
static AGENT_CALL(do_nonblocking)
{
    return sock_set_nonblocking(&self->slots[act->slot], act->flags);
}

/* ---- emfile ---- */

#define SPINS 1000

static int reserve = -1; /* the descriptor that is kept for the bad times */
static struct rlimit own_limit;

/* Keeps a descriptor in reserve, and lets there be no other. */
static AGENT_CALL(do_exhaust)
{
    struct rlimit limit;

    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int next = fcntl(reserve, F_DUPFD_CLOEXEC, 0);
    if (reserve < 0 || next < 0 || getrlimit(RLIMIT_NOFILE, &own_limit))
        return -errno;
    close(next);
    limit = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = own_limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

static AGENT_CALL(do_recover)
{
    return setrlimit(RLIMIT_NOFILE, &own_limit) ? -errno : 0;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, timeout_ms) == 1 && polled.revents & POLLIN;
}

/* An event loop as many are: wait for readable, accept → how often that gave EMFILE. */
static AGENT_CALL(do_spin)
{
    int fd = self->slots[act->slot].fd, failures = 0;

    for (int i = 0; i < SPINS && readable(fd, 0); i++)
        failures += accept(fd, NULL, NULL) < 0 && errno == EMFILE;
    return failures;
}

/* Gives the reserve up for each connection, takes it, closes it → how many. */
static AGENT_CALL(do_drain)
{
    int listener = self->slots[act->slot].fd, drained = 0;

    while (readable(listener, 0)) {
        close(reserve);
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            close(fd);
        reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            break;
        drained++;
    }
    return drained;
}

static void play_emfile(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 8);
    backlog_look(bed, TESTBED_PORT, "listening");
    backlog_fill(bed, TESTBED_PORT, 1, 2);
    backlog_look(bed, TESTBED_PORT, "two connected");
    DO(server, ACT_CALL, .function = do_exhaust);
    CHECK(bed, "accept", "EMFILE", server, ACT_ACCEPT, .other = 1, .timeout_ns = NS_PER_SEC);
    CHECK_NUMBER(bed, "turns_in_vain", SPINS, server, ACT_CALL, .function = do_spin);
    testbed_check_integer(bed, "still_queued", 2,
                          backlog_look(bed, TESTBED_PORT, "1000 turns")->server.queue);
    CHECK_NUMBER(bed, "client_writes", 10, client, ACT_WRITE, .slot = 1, .bytes = 10);
    BACKLOG_AWAIT(bed, TESTBED_PORT, unread_bytes, 10);

    CHECK_NUMBER(bed, "drained_by_reserve", 2, server, ACT_CALL, .function = do_drain);
    testbed_check_integer(bed, "queued_then", 0,
                          backlog_look(bed, TESTBED_PORT, "reserve used")->server.queue);
    testbed_check_text(bed, "client_that_wrote", "ECONNRESET", backlog_end_of(bed, client, 1));
    testbed_check_text(bed, "silent_client", "EOF", backlog_end_of(bed, client, 2));
    DO(server, ACT_CALL, .function = do_recover);
    DO(client, ACT_CONNECT, .slot = 3, .port = TESTBED_PORT);
    CHECK(bed, "accept_later", "0", server, ACT_ACCEPT, .other = 3, .timeout_ns = TESTBED_LIMIT_NS);
    backlog_tables(bed, NULL);
}

const struct scenario backlog_emfile = {
    .name = "emfile",
    .title = "no descriptor left: the listener stays readable, and an event loop spins",
    .here = "accept fails with EMFILE before it takes a connection: the connection stays queued, "
            "the listener stays readable, and a loop that waits for readable spins (1000 turns "
            "here, all of them useless). The clients notice nothing; they write and wait. The "
            "remedy: keep a descriptor in reserve, give it up, accept, close, take it again. Each "
            "client then learns at once that it is not served.",
    .settings = backlog_settings,
    .loopback = true,
    .exhausts = true,
    .play = play_emfile,
};

/* ---- nonblocking-accept ---- */

#define LATER_PORT (TESTBED_PORT + 5) /* of the client's last connection */

static pid_t helper;
static int helper_pipe = -1;

static _Noreturn void accept_in_child(int listener, int out)
{
    struct sock_address peer = {0};
    struct sockaddr_storage storage;
    socklen_t len = sizeof storage;
    uint16_t port = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (accept(listener, (struct sockaddr *)&storage, &len) >= 0 &&
        !sock_address_from(&peer, (struct sockaddr *)&storage, len))
        port = sock_address_port(&peer);
    _exit(write(out, &port, sizeof port) != sizeof port);
}

/* Another process of the same server that accepts, blocking. Returns when it has a connection, or
 * (flags) when it sleeps in accept. */
static AGENT_CALL(do_accept_elsewhere)
{
    int pair[2];

    if (pipe2(pair, O_CLOEXEC))
        return -errno;
    helper = fork();
    if (!helper)
        accept_in_child(self->slots[act->slot].fd, pair[1]);
    close(pair[1]);
    helper_pipe = pair[0];
    if (helper < 0)
        return -errno;
    if (!act->flags)
        return readable(helper_pipe, 10000) ? 0 : -ETIME;
    return wait_until(backlog_sleeps(helper), clock_mono_ns() + 10 * NS_PER_SEC) ? 0 : -ETIME;
}

/* The port of the peer whose connection it got, and the process's end. */
static AGENT_CALL(do_helper_port)
{
    uint16_t port = 0;

    ssize_t got = readable(helper_pipe, 10000) ? read(helper_pipe, &port, sizeof port) : -1;
    close(helper_pipe);
    kill(helper, SIGKILL);
    waitpid(helper, NULL, 0);
    return got == sizeof port ? port : -ETIME;
}

static void check_readable(struct testbed *bed, const char *key)
{
    testbed_check_bool(
        bed, key, true,
        DO(testbed_server(bed), ACT_POLL, .number = POLLIN, .timeout_ns = NS_PER_SEC).rc == POLLIN);
}

/* The client resets its connection before it is accepted. */
static void play_reset_first(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    backlog_fill(bed, TESTBED_PORT, 1, 1);
    check_readable(bed, "readable");
    DO(client, ACT_OPTION, .slot = 1, .text = "SO_LINGER=on,0");
    DO(client, ACT_CLOSE, .slot = 1);
    BACKLOG_AWAIT(bed, TESTBED_PORT, states[TCP_ESTABLISHED], 0);
    const struct backlog_sample *reset = backlog_look(bed, TESTBED_PORT, "its client has reset it");
    testbed_check_integer(bed, "queued_after_reset", 1, reset->server.queue);
    if (backlog_gave_up(bed))
        return;
    CHECK(bed, "accept", "0", server, ACT_ACCEPT, .other = 1);
    CHECK(bed, "getpeername", "ENOTCONN", server, ACT_PEER, .slot = 1);
    CHECK(bed, "read", "ECONNRESET", server, ACT_READ, .slot = 1, .bytes = 1,
          .flags = MSG_DONTWAIT);
}

/* Another process takes the connection between poll and accept. */
static void play_taken(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    backlog_fill(bed, TESTBED_PORT, 2, 1);
    check_readable(bed, "readable_2");
    DO(server, ACT_CALL, .function = do_accept_elsewhere);
    testbed_check_bool(bed, "taken_by_another", true,
                       DO(server, ACT_CALL, .function = do_helper_port).rc > 0);
    backlog_look(bed, TESTBED_PORT, "another took it");
    DO(server, ACT_CALL, .function = do_nonblocking, .flags = 1);
    CHECK(bed, "nonblocking_accept", "EAGAIN", server, ACT_ACCEPT, .other = 2);
    DO(server, ACT_CALL, .function = do_nonblocking, .flags = 0);
    testbed_check_bool(bed, "blocking_accept_sleeps", true,
                       !DO(server, ACT_CALL, .function = do_accept_elsewhere, .flags = 1).rc);
    DO(client, ACT_BIND, .slot = 3, .port = LATER_PORT);
    DO(client, ACT_CONNECT, .slot = 3, .port = TESTBED_PORT);
    int64_t port = bed->lab ? LATER_PORT : bed->ports + (LATER_PORT - TESTBED_PORT);
    testbed_check_bool(bed, "until_the_next_connection", true,
                       DO(server, ACT_CALL, .function = do_helper_port).rc == port);
}

static void play_nonblocking_accept(struct testbed *bed)
{
    DO(testbed_server(bed), ACT_LISTEN, .port = TESTBED_PORT, .number = 8);
    play_reset_first(bed);
    if (backlog_gave_up(bed))
        testbed_check_text(bed, "accept", "0", "not tried: the reset did not arrive");
    else
        play_taken(bed);
    backlog_tables(bed, NULL);
}

const struct scenario backlog_nonblocking_accept = {
    .name = "nonblocking-accept",
    .title = "the listener was readable, but the connection is gone: does accept block?",
    .book = "When the client resets before accept is called, Berkeley-derived kernels forget the "
            "connection, and a blocking accept after select waits for the next one. So a listener "
            "that is used with select must be nonblocking; SVR4 gives EPROTO, POSIX has "
            "ECONNABORTED (sections 5.11 and 16.6).",
    .here = "A connection that was reset stays in the queue: accept returns it at once, "
            "getpeername fails with ENOTCONN and read with ECONNRESET. What does make accept "
            "block is another process or thread that took the connection in between: a "
            "nonblocking accept then fails with EAGAIN, and a blocking one sleeps until the next "
            "connection. The advice holds.",
    .differs = "Linux does not remove a connection that was reset from the queue.",
    .settings = backlog_settings,
    .loopback = true,
    .flags = FLAGS(HANDSHAKE, "C>S RST,ACK"),
    .play = play_nonblocking_accept,
};

/* ---- edge-triggered-accept ---- */

#define LEVEL_PORT (TESTBED_PORT + 1)

static int epoll_of[2] = {-1, -1};

/* An epoll set with the listener in the slot; flags: EPOLLET or 0. */
static AGENT_CALL(do_epoll_open)
{
    struct epoll_event event = {.events = EPOLLIN | (uint32_t)act->flags};

    epoll_of[act->slot] = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_of[act->slot], EPOLL_CTL_ADD, self->slots[act->slot].fd, &event))
        return -errno;
    return 0;
}

/* → events that are there now */
static AGENT_CALL(do_epoll_look)
{
    struct epoll_event event;

    int rc = epoll_wait(epoll_of[act->slot], &event, 1, 0);
    return rc < 0 ? -errno : rc;
}

/* Asks epoll, and accepts at most so many, which stay open; adds a row, and "events/accepted/left"
 * to *seen. */
static void step(struct testbed *bed, int listener, const char *what, int most, const char **seen)
{
    struct agent *server = testbed_server(bed);
    int64_t events = DO(server, ACT_CALL, .function = do_epoll_look, .slot = listener).rc;
    int accepted = 0;

    while (events > 0 && accepted < most && !testbed_failed(bed) &&
           DO(server, ACT_ACCEPT, .slot = listener, .other = 10 + accepted).rc == 0)
        accepted++;
    int64_t left = DO(server, ACT_BACKLOG, .slot = listener).rc;
    testbed_row(bed, TEXT("step", what), INTEGER("events", events), INTEGER("accepted", accepted),
                INTEGER("left", left));
    *seen = arena_printf(bed->arena, "%s%s%d/%d/%d", *seen, **seen ? ", " : "", (int)events,
                         accepted, (int)left);
}

static void play_edge_triggered(struct testbed *bed)
{
    struct agent *server = testbed_server(bed);
    const char *seen = "";

    for (int i = 0; i < 2; i++) {
        DO(server, ACT_LISTEN, .slot = i, .port = (uint16_t)(TESTBED_PORT + i), .number = 8);
        DO(server, ACT_CALL, .function = do_nonblocking, .slot = i, .flags = 1);
        DO(server, ACT_CALL, .function = do_epoll_open, .slot = i, .flags = i ? 0 : (int)EPOLLET);
    }
    testbed_table(bed, "epoll", "What epoll said, and what was left in the queue");
    backlog_look(bed, TESTBED_PORT, "listening");
    backlog_fill(bed, TESTBED_PORT, 1, 3);
    backlog_look(bed, TESTBED_PORT, "3 connected");
    step(bed, 0, "edge: 3 have come, one accept", 1, &seen);
    step(bed, 0, "edge: asked again", 1, &seen);
    backlog_fill(bed, TESTBED_PORT, 4, 1);
    step(bed, 0, "edge: a fourth, one accept", 1, &seen);
    step(bed, 0, "edge: asked again", 1, &seen);
    backlog_look(bed, TESTBED_PORT, "left behind");
    backlog_fill(bed, TESTBED_PORT, 5, 1);
    step(bed, 0, "edge: a fifth, until EAGAIN", 8, &seen);
    backlog_fill(bed, LEVEL_PORT, 6, 2);
    step(bed, 1, "level: 2 have come, one accept", 1, &seen);
    step(bed, 1, "level: asked again", 1, &seen);
    step(bed, 1, "level: asked again", 1, &seen);
    backlog_look(bed, TESTBED_PORT, "all accepted");
    testbed_check_text(bed, "steps", "1/1/2, 0/0/2, 1/1/2, 0/0/2, 1/3/0, 1/1/1, 1/1/0, 0/0/0",
                       seen);
    backlog_tables(bed, NULL);
}

const struct scenario backlog_edge_triggered = {
    .name = "edge-triggered-accept",
    .title = "EPOLLET and one accept per event: connections that stay in the queue unseen",
    .here = "Several connections that arrive before epoll is asked are one event. A server that "
            "accepts once per event leaves the others in the queue, with no further event, until "
            "the next connection comes; it then takes the oldest, so it never catches up: clients "
            "wait, and in the end the queue is full. Accept until EAGAIN on a nonblocking "
            "listener, or use a level-triggered one, which reports again and again.",
    .settings = backlog_settings,
    .loopback = true,
    .play = play_edge_triggered,
};
