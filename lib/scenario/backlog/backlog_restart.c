/* A server is replaced while it runs: which connections are lost. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SERVED_MAX 16

#define GAP     1u /* closed before the new one starts */
#define BESIDE  2u /* the new one has a listener of its own */
#define DRAIN   4u /* accept what is queued before closing */
#define MIGRATE 8u /* tcp_migrate_req */

static const struct way {
    const char *key, *name;
    unsigned flags;
    const char *expected;
} ways[] = {
    {"close_then_start", "close, then start", GAP | BESIDE,
     "ECONNRESET, ECONNRESET, ECONNREFUSED, served"},
    {"beside", "start beside, close", BESIDE, "ECONNRESET, ECONNRESET, -, served"},
    {"beside_drain", "start beside, accept all, close", BESIDE | DRAIN,
     "served, ECONNRESET, -, served"},
    {"hand_over", "hand the listener over, close", 0, "served, served, -, served"},
    {"beside_migrate", "start beside with tcp_migrate_req, close", BESIDE | MIGRATE,
     "served, served, -, served"},
};
#define WAYS (sizeof ways / sizeof ways[0])

/* ---- In the server */

/* A listener as its successor opens it; all that is needed to be beside the old one. */
static int open_listener(struct agent_self *self, uint16_t port)
{
    struct sock_address address;
    int on = 1, rc = agent_self_address(self, ACT_TO_SELF, port, &address);
    cleanup(fd) int fd = socket(self->start.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (rc || fd < 0)
        return rc ? rc : -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) || agent_self_prepare(self, fd) ||
        bind(fd, &address.any, address.len_bytes) || listen(fd, 16))
        return -errno;
    return take_fd(&fd);
}

static _Noreturn void serve(int listener, int ready, pid_t parent)
{
    char word = 'r';

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || listener < 0 || write(ready, &word, 1) != 1)
        _exit(1);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || send(fd, "n", 1, MSG_NOSIGNAL) < 0)
            poll(NULL, 0, 1); /* the client has given up, or we were killed */
    }
}

/* Starts the successor of slot 0's listener and waits until it serves. flags: it has a listener of
 * its own. */
static AGENT_CALL(do_start)
{
    pid_t parent = getpid();
    int old = self->slots[act->slot].fd, pair[2];
    char word;

    if (pipe2(pair, O_CLOEXEC))
        return -errno;
    pid_t pid = fork();
    if (!pid) {
        close(pair[0]);
        if (act->flags && old >= 0)
            close(old); /* else it would live on in us */
        serve(act->flags ? open_listener(self, act->port) : old, pair[1], parent);
    }
    close(pair[1]);
    ssize_t got = pid < 0 ? -1 : read(pair[0], &word, 1);
    close(pair[0]);
    return got == 1 ? 0 : -ECHILD;
}

/* Accepts and serves what is queued, and no more → how many. */
static AGENT_CALL(do_drain)
{
    struct sock *listener = &self->slots[act->slot];
    int count = 0, fd;

    sock_set_nonblocking(listener, true);
    while ((fd = accept(listener->fd, NULL, NULL)) >= 0 && count < SERVED_MAX)
        count += send(fd, "o", 1, MSG_NOSIGNAL) == 1;
    return count;
}

/* ---- The scenario */

/* Slots of the client, for each way. */
enum { QUEUED, HALF, MEANWHILE, AFTER, CLIENTS };

static int slot_of(size_t way, int which)
{
    return 1 + (int)way * CLIENTS + which;
}

static const char *fate(struct testbed *bed, int slot)
{
    const char *state = backlog_end_of(bed, testbed_client(bed), slot);
    return !strcmp(state, "data") ? "served" : state;
}

static void replace(struct testbed *bed, const struct way *way, uint16_t port, int meanwhile,
                    const char **out)
{
    struct agent *server = testbed_server(bed);
    if (way->flags & MIGRATE)
        backlog_set(bed, LAB_SERVER, "ipv4/tcp_migrate_req", "1");
    if (way->flags & GAP) {
        DO(server, ACT_CLOSE);
        *out = act_rc_name(DO(testbed_client(bed), ACT_CONNECT, .slot = meanwhile, .port = port).rc,
                           "connected");
    }
    MUST(bed, "the new server did not start", server, ACT_CALL, .function = do_start, .port = port,
         .flags = (way->flags & BESIDE) != 0);
    if (way->flags & DRAIN)
        DO(server, ACT_CALL, .function = do_drain);
    if (!(way->flags & GAP))
        DO(server, ACT_CLOSE);
}

static void list_way(struct testbed *bed, const struct way *way, const char *const seen[CLIENTS])
{
    static const char *const columns[] = {
        [QUEUED] = "queued", [HALF] = "half_open", [MEANWHILE] = "meanwhile", [AFTER] = "after"};

    testbed_check_text(bed, way->key, way->expected,
                       arena_printf(bed->arena, "%s, %s, %s, %s", seen[QUEUED], seen[HALF],
                                    seen[MEANWHILE], seen[AFTER]));
    struct result_map *row = testbed_row(bed, TEXT("way", way->name));
    for (int i = 0; i < CLIENTS; i++)
        result_set_text(bed->arena, row, columns[i], seen[i]);
}

/* Returns whether one was queued and one half-open when it began. */
static bool play_way(struct testbed *bed, size_t index)
{
    const struct way *way = &ways[index];
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    uint16_t port = (uint16_t)(TESTBED_PORT + index);
    const char *seen[CLIENTS] = {[MEANWHILE] = "-"};

    DO(server, ACT_OPTION, .text = "SO_REUSEADDR=on");
    DO(server, ACT_OPTION, .text = "SO_REUSEPORT=on");
    DO(server, ACT_LISTEN, .port = port, .number = 16);
    backlog_fill(bed, port, slot_of(index, QUEUED), 1);
    int held = testbed_fault(bed, "hold ack dir c>s");
    DO(client, ACT_CONNECT, .slot = slot_of(index, HALF), .port = port);
    bool prepared = backlog_await_half_open(bed, port, 1);
    backlog_look(bed, port, way->name);
    replace(bed, way, port, slot_of(index, MEANWHILE), &seen[MEANWHILE]);
    testbed_unfault(bed, held);
    DO(client, ACT_CONNECT, .slot = slot_of(index, AFTER), .port = port);
    seen[QUEUED] = fate(bed, slot_of(index, QUEUED));
    seen[HALF] = fate(bed, slot_of(index, HALF));
    seen[AFTER] = fate(bed, slot_of(index, AFTER));
    list_way(bed, way, seen);
    return prepared;
}

static void play_graceful_restart(struct testbed *bed)
{
    static const char *const not_tried[CLIENTS] = {"-", "-", "-", "not tried"};
    bool migrates = backlog_migrates(bed);
    bool prepared = true;

    testbed_table(bed, "ways",
                  "What becomes of a connection that is queued, half-open, arrives while the "
                  "server is replaced, or arrives afterwards");
    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].flags & MIGRATE && !migrates)
            continue;
        if (backlog_gave_up(bed))
            list_way(bed, &ways[i], not_tried);
        else
            prepared &= play_way(bed, i);
    }
    if (!prepared)
        testbed_fail(bed, "no connection was queued and another half-open when it began");
    backlog_tables(bed, NULL);
}

const struct scenario backlog_graceful_restart = {
    .name = "graceful-restart",
    .title = "a server is replaced while it runs: the ways that lose connections, and two that do "
             "not",
    .here = "Closing a listener resets what is in its queue and forgets what is half-open, whether "
            "or not another process listens on the port with SO_REUSEPORT. Accepting everything "
            "before closing saves only what is queued: a handshake in progress ends in a reset. "
            "Nothing is lost if the listening socket itself goes to the successor (inherited over "
            "fork and exec, or sent as SCM_RIGHTS) before the old process closes its copy, because "
            "the queues belong to the socket; or, since Linux 5.14, with tcp_migrate_req, which "
            "moves them to the other listener.",
    .settings =
        SETTINGS(BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_migrate_req", "0", SETTING_OPTIONAL}),
    .flags = FLAGS(HANDSHAKE, "S>C RST,ACK"),
    .play = play_graceful_restart,
};
