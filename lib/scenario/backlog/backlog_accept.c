/* accept(2) itself: without descriptors, without a connection, and behind edge-triggered epoll. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* flags: O_NONBLOCK on or off, for the listener in the slot. */
static int64_t do_nonblocking(struct agent_self *self, const struct act *act,
                              struct act_reply *reply)
{
    (void)reply;
    return sock_set_nonblocking(&self->slots[act->slot], act->flags);
}

/* ---- emfile ---- */

#define SPINS 1000

static int reserve = -1; /* the descriptor that is kept for the bad times */
static struct rlimit own_limit;

/* Keeps a descriptor in reserve, and lets there be no other. */
static int64_t do_exhaust(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    struct rlimit limit;

    (void)self;
    (void)act;
    (void)reply;
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int next = fcntl(reserve, F_DUPFD_CLOEXEC, 0);
    if (reserve < 0 || next < 0 || getrlimit(RLIMIT_NOFILE, &own_limit))
        return -errno;
    close(next);
    limit = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = own_limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

static int64_t do_recover(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    (void)self;
    (void)act;
    (void)reply;
    return setrlimit(RLIMIT_NOFILE, &own_limit) ? -errno : 0;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, timeout_ms) == 1 && polled.revents & POLLIN;
}

/* An event loop as many are: wait for readable, accept → how often that gave EMFILE. */
static int64_t do_spin(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    int fd = self->slots[act->slot].fd, failures = 0;

    (void)reply;
    for (int i = 0; i < SPINS && readable(fd, 0); i++)
        failures += accept(fd, NULL, NULL) < 0 && errno == EMFILE;
    return failures;
}

/* Gives the reserve up for each connection, takes it, closes it → how many. */
static int64_t do_drain(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    int listener = self->slots[act->slot].fd, drained = 0;

    (void)reply;
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

struct emfile_facts {
    struct backlog_watch watch;
    const struct backlog_sample *spun, *drained;
    struct act_reply accept, write, later;
    int64_t spins, taken;
    const char *wrote, *silent;
};

static void run_emfile(struct testbed *bed)
{
    struct emfile_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 8);
    backlog_look(bed, TESTBED_PORT, "listening");
    backlog_fill(bed, TESTBED_PORT, 1, 2);
    backlog_look(bed, TESTBED_PORT, "two connected");
    DO(server, ACT_CALL, .function = do_exhaust);
    facts->accept = DO(server, ACT_ACCEPT, .other = 1, .timeout_ns = NS_PER_SEC);
    facts->spins = DO(server, ACT_CALL, .function = do_spin).rc;
    facts->spun = backlog_look(bed, TESTBED_PORT, "1000 turns");
    facts->write = DO(client, ACT_WRITE, .slot = 1, .bytes = 10);
    backlog_await_unread(bed, TESTBED_PORT, 10);
    facts->taken = DO(server, ACT_CALL, .function = do_drain).rc;
    facts->drained = backlog_look(bed, TESTBED_PORT, "reserve used");
    facts->wrote = backlog_end_of(bed, client, 1);
    facts->silent = backlog_end_of(bed, client, 2);
    DO(server, ACT_CALL, .function = do_recover);
    DO(client, ACT_CONNECT, .slot = 3, .port = TESTBED_PORT);
    facts->later = DO(server, ACT_ACCEPT, .other = 3, .timeout_ns = TESTBED_LIMIT_NS);
}

static void check_emfile(struct testbed *bed)
{
    const struct emfile_facts *facts = testbed_facts(bed, sizeof *facts);

    testbed_check_rc(bed, "accept", "EMFILE", &facts->accept, "0");
    testbed_check_integer(bed, "turns_in_vain", SPINS, facts->spins);
    testbed_check_integer(bed, "still_queued", 2, facts->spun->server.queue);
    testbed_check_integer(bed, "client_writes", 10, facts->write.rc);
    testbed_check_integer(bed, "drained_by_reserve", 2, facts->taken);
    testbed_check_integer(bed, "queued_then", 0, facts->drained->server.queue);
    testbed_check_text(bed, "client_that_wrote", "ECONNRESET", facts->wrote);
    testbed_check_text(bed, "silent_client", "EOF", facts->silent);
    testbed_check_rc(bed, "accept_later", "0", &facts->later, "0");
    backlog_tables(bed);
}

const struct scenario backlog_emfile = {
    .name = "emfile",
    .title = "no descriptor left: the listener stays readable, and an event loop spins",
    .here = "accept fails with EMFILE before it takes a connection: the connection stays queued, "
            "the listener readable, and a loop that waits for readable turns without end (1000 "
            "turns here, each in vain). The clients know nothing; they write and wait. The remedy: "
            "keep a descriptor in reserve, give it up, accept, close, take it again. So each "
            "client learns at once that it is not served.",
    .settings = backlog_settings,
    .loopback = true,
    .play = run_emfile,
    .check = check_emfile,
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
static int64_t do_accept_elsewhere(struct agent_self *self, const struct act *act,
                                   struct act_reply *reply)
{
    int pair[2];

    (void)reply;
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
    int64_t end_ns = clock_mono_ns() + 10 * NS_PER_SEC;
    while (!backlog_sleeps(helper) && clock_mono_ns() < end_ns)
        poll(NULL, 0, 1);
    return backlog_sleeps(helper) ? 0 : -ETIME;
}

/* The port of the peer whose connection it got, and the process's end. */
static int64_t do_helper_port(struct agent_self *self, const struct act *act,
                              struct act_reply *reply)
{
    uint16_t port = 0;

    (void)self;
    (void)act;
    (void)reply;
    ssize_t got = readable(helper_pipe, 10000) ? read(helper_pipe, &port, sizeof port) : -1;
    close(helper_pipe);
    kill(helper, SIGKILL);
    waitpid(helper, NULL, 0);
    return got == sizeof port ? port : -ETIME;
}

struct gone_facts {
    struct backlog_watch watch;
    const struct backlog_sample *reset;
    struct act_reply accept, peer, read, empty;
    int64_t readable[2], asleep, taken, later, expected;
};

static void run_reset_first(struct testbed *bed, struct gone_facts *facts)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    backlog_fill(bed, TESTBED_PORT, 1, 1);
    facts->readable[0] = DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = NS_PER_SEC).rc;
    DO(client, ACT_OPTION, .slot = 1, .text = "SO_LINGER=on,0");
    DO(client, ACT_CLOSE, .slot = 1);
    backlog_await_established(bed, TESTBED_PORT, 0);
    facts->reset = backlog_look(bed, TESTBED_PORT, "its client has reset it");
    facts->accept = DO(server, ACT_ACCEPT, .other = 1);
    facts->peer = DO(server, ACT_PEER, .slot = 1);
    facts->read = DO(server, ACT_READ, .slot = 1, .bytes = 1, .flags = MSG_DONTWAIT);
}

static void run_nonblocking_accept(struct testbed *bed)
{
    struct gone_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 8);
    run_reset_first(bed, facts);
    if (facts->watch.gave_up)
        return;

    backlog_fill(bed, TESTBED_PORT, 2, 1);
    facts->readable[1] = DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = NS_PER_SEC).rc;
    DO(server, ACT_CALL, .function = do_accept_elsewhere);
    facts->taken = DO(server, ACT_CALL, .function = do_helper_port).rc;
    backlog_look(bed, TESTBED_PORT, "another took it");
    DO(server, ACT_CALL, .function = do_nonblocking, .flags = 1);
    facts->empty = DO(server, ACT_ACCEPT, .other = 2);
    DO(server, ACT_CALL, .function = do_nonblocking, .flags = 0);
    facts->asleep = DO(server, ACT_CALL, .function = do_accept_elsewhere, .flags = 1).rc;
    DO(client, ACT_BIND, .slot = 3, .port = LATER_PORT);
    DO(client, ACT_CONNECT, .slot = 3, .port = TESTBED_PORT);
    facts->later = DO(server, ACT_CALL, .function = do_helper_port).rc;
    facts->expected = bed->lab ? LATER_PORT : bed->ports + (LATER_PORT - TESTBED_PORT);
}

static void check_nonblocking_accept(struct testbed *bed)
{
    const struct gone_facts *facts = testbed_facts(bed, sizeof *facts);

    testbed_check_bool(bed, "readable", true, facts->readable[0] == POLLIN);
    testbed_check_integer(bed, "queued_after_reset", 1, facts->reset->server.queue);
    testbed_check_rc(bed, "accept", "0", &facts->accept, "0");
    testbed_check_rc(bed, "getpeername", "ENOTCONN", &facts->peer, "0");
    testbed_check_rc(bed, "read", "ECONNRESET", &facts->read, "EOF");
    testbed_check_bool(bed, "readable_2", true, facts->readable[1] == POLLIN);
    testbed_check_bool(bed, "taken_by_another", true, facts->taken > 0);
    testbed_check_rc(bed, "nonblocking_accept", "EAGAIN", &facts->empty, "0");
    testbed_check_bool(bed, "blocking_accept_sleeps", true, !facts->asleep);
    testbed_check_bool(bed, "until_the_next_connection", true, facts->later == facts->expected);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S RST,ACK", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_nonblocking_accept = {
    .name = "nonblocking-accept",
    .title = "the listener was readable, but the connection is gone: does accept block?",
    .book = "When the client resets before accept is called, Berkeley-derived kernels forget the "
            "connection, and a blocking accept after select waits for the next one. So a listener "
            "that is used with select must be nonblocking; SVR4 gives EPROTO, POSIX has "
            "ECONNABORTED (sections 5.11 and 16.6).",
    .here = "A connection that was reset stays in the queue: accept gives it at once, getpeername "
            "says ENOTCONN and read ECONNRESET. What does make accept block is another process or "
            "thread that took the connection in between: then a nonblocking accept says EAGAIN, "
            "and a blocking one sleeps until the next connection. The advice holds.",
    .differs = "Linux does not remove a connection that was reset from the queue.",
    .settings = backlog_settings,
    .loopback = true,
    .play = run_nonblocking_accept,
    .check = check_nonblocking_accept,
};

/* ---- edge-triggered-accept ---- */

#define LEVEL_PORT (TESTBED_PORT + 1)

static int epoll_of[2] = {-1, -1};

/* An epoll set with the listener in the slot; flags: EPOLLET or 0. */
static int64_t do_epoll_open(struct agent_self *self, const struct act *act,
                             struct act_reply *reply)
{
    struct epoll_event event = {.events = EPOLLIN | (uint32_t)act->flags};

    (void)reply;
    epoll_of[act->slot] = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_of[act->slot], EPOLL_CTL_ADD, self->slots[act->slot].fd, &event))
        return -errno;
    return 0;
}

/* → events that are there now */
static int64_t do_epoll_look(struct agent_self *self, const struct act *act,
                             struct act_reply *reply)
{
    struct epoll_event event;

    (void)self;
    (void)reply;
    int rc = epoll_wait(epoll_of[act->slot], &event, 1, 0);
    return rc < 0 ? -errno : rc;
}

#define EDGE_STEPS 10

struct edge_step {
    const char *what;
    int64_t events, accepted, left;
};

struct edge_facts {
    struct backlog_watch watch;
    struct edge_step steps[EDGE_STEPS];
    size_t count;
};

/* Asks epoll, and accepts at most so many. */
static void step(struct testbed *bed, int listener, const char *what, int most)
{
    struct edge_facts *facts = testbed_facts(bed, sizeof *facts);
    struct edge_step *now = &facts->steps[facts->count++];
    struct agent *server = testbed_server(bed);

    now->what = what;
    now->events = DO(server, ACT_CALL, .function = do_epoll_look, .slot = listener).rc;
    while (now->events > 0 && now->accepted < most && !testbed_failed(bed) &&
           DO(server, ACT_ACCEPT, .slot = listener,
              .other = 10 + (int)facts->count * 4 + (int)now->accepted)
                   .rc == 0)
        now->accepted++;
    now->left = DO(server, ACT_BACKLOG, .slot = listener).rc;
}

static void run_edge_triggered(struct testbed *bed)
{
    struct agent *server = testbed_server(bed);

    for (int i = 0; i < 2; i++) {
        DO(server, ACT_LISTEN, .slot = i, .port = (uint16_t)(TESTBED_PORT + i), .number = 8);
        DO(server, ACT_CALL, .function = do_nonblocking, .slot = i, .flags = 1);
        DO(server, ACT_CALL, .function = do_epoll_open, .slot = i, .flags = i ? 0 : (int)EPOLLET);
    }
    backlog_look(bed, TESTBED_PORT, "listening");
    backlog_fill(bed, TESTBED_PORT, 1, 3);
    backlog_look(bed, TESTBED_PORT, "3 connected");
    step(bed, 0, "edge: 3 have come, one accept", 1);
    step(bed, 0, "edge: asked again", 1);
    backlog_fill(bed, TESTBED_PORT, 4, 1);
    step(bed, 0, "edge: a fourth, one accept", 1);
    step(bed, 0, "edge: asked again", 1);
    backlog_look(bed, TESTBED_PORT, "left behind");
    backlog_fill(bed, TESTBED_PORT, 5, 1);
    step(bed, 0, "edge: a fifth, until EAGAIN", 8);
    backlog_fill(bed, LEVEL_PORT, 6, 2);
    step(bed, 1, "level: 2 have come, one accept", 1);
    step(bed, 1, "level: asked again", 1);
    step(bed, 1, "level: asked again", 1);
    backlog_look(bed, TESTBED_PORT, "all accepted");
}

static void check_edge_triggered(struct testbed *bed)
{
    const struct edge_facts *facts = testbed_facts(bed, sizeof *facts);
    const char *seen = "";

    testbed_table(bed, "epoll", "What epoll said, and what was left in the queue");
    for (size_t i = 0; i < facts->count; i++) {
        const struct edge_step *now = &facts->steps[i];
        struct result_map *row = testbed_row(bed);
        result_set_text(bed->arena, row, "step", now->what);
        result_set_integer(bed->arena, row, "events", now->events);
        result_set_integer(bed->arena, row, "accepted", now->accepted);
        result_set_integer(bed->arena, row, "left", now->left);
        seen = arena_printf(bed->arena, "%s%s%d/%d/%d", seen, i ? ", " : "", (int)now->events,
                            (int)now->accepted, (int)now->left);
    }
    /* events, accepted, left */
    testbed_check_text(bed, "steps", "1/1/2, 0/0/2, 1/1/2, 0/0/2, 1/3/0, 1/1/1, 1/1/0, 0/0/0",
                       seen);
    backlog_tables(bed);
}

const struct scenario backlog_edge_triggered = {
    .name = "edge-triggered-accept",
    .title = "EPOLLET and one accept an event: connections that nobody sees",
    .here = "Several connections that come before epoll is asked are one event. A server that "
            "accepts once for each event leaves the others in the queue, with no further event, "
            "until the next connection comes; and then it takes the oldest, so that it is behind "
            "for ever: clients wait, and at last the queue is full. Accept until EAGAIN on a "
            "nonblocking listener, or let listeners be level-triggered, which tells again and "
            "again.",
    .settings = backlog_settings,
    .loopback = true,
    .play = run_edge_triggered,
    .check = check_edge_triggered,
};
