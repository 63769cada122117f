/* A server is replaced while it runs: which connections are lost. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SERVED_MAX 16

static const struct way {
    const char *key, *name;
    bool gap;     /* closed before the new one starts */
    bool beside;  /* the new one has a listener of its own */
    bool drain;   /* accept what is queued before closing */
    bool migrate; /* tcp_migrate_req */
    const char *expected;
} ways[] = {
    {"close_then_start", "close, then start", true, true, false, false,
     "ECONNRESET, ECONNRESET, ECONNREFUSED, served"},
    {"beside", "start beside, close", false, true, false, false,
     "ECONNRESET, ECONNRESET, -, served"},
    {"beside_drain", "start beside, accept all, close", false, true, true, false,
     "served, ECONNRESET, -, served"},
    {"hand_over", "hand the listener over, close", false, false, false, false,
     "served, served, -, served"},
    {"beside_migrate", "start beside with tcp_migrate_req, close", false, true, false, true,
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
static int64_t do_start(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    pid_t parent = getpid();
    int old = self->slots[act->slot].fd, pair[2];
    char word;

    (void)reply;
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
static int64_t do_drain(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    struct sock *listener = &self->slots[act->slot];
    int count = 0, fd;

    (void)reply;
    sock_set_nonblocking(listener, true);
    while ((fd = accept(listener->fd, NULL, NULL)) >= 0 && count < SERVED_MAX)
        count += send(fd, "o", 1, MSG_NOSIGNAL) == 1;
    return count;
}

/* ---- The scenario */

/* Slots of the client, for each way. */
enum { QUEUED, HALF, MEANWHILE, AFTER, CLIENTS };

struct restart_facts {
    struct backlog_watch watch;
    bool migrates;
    bool prepared[WAYS]; /* one was queued and one half-open when it began */
    const char *seen[WAYS][CLIENTS];
};

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

    *out = "-";
    if (way->migrate)
        backlog_set(bed, LAB_SERVER, "ipv4/tcp_migrate_req", "1");
    if (way->gap) {
        DO(server, ACT_CLOSE);
        *out = act_rc_name(DO(testbed_client(bed), ACT_CONNECT, .slot = meanwhile, .port = port).rc,
                           "connected");
    }
    struct act_reply started =
        DO(server, ACT_CALL, .function = do_start, .port = port, .flags = way->beside);
    if (started.rc)
        testbed_fail(bed, "the new server did not start");
    if (way->drain)
        DO(server, ACT_CALL, .function = do_drain);
    if (!way->gap)
        DO(server, ACT_CLOSE);
}

static void play_way(struct testbed *bed, size_t index)
{
    struct restart_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct way *way = &ways[index];
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    uint16_t port = (uint16_t)(TESTBED_PORT + index);
    const char **seen = facts->seen[index];

    DO(server, ACT_OPTION, .text = "SO_REUSEADDR=on");
    DO(server, ACT_OPTION, .text = "SO_REUSEPORT=on");
    DO(server, ACT_LISTEN, .port = port, .number = 16);
    backlog_fill(bed, port, slot_of(index, QUEUED), 1);
    int held = testbed_fault(bed, "hold ack dir c>s");
    DO(client, ACT_CONNECT, .slot = slot_of(index, HALF), .port = port);
    facts->prepared[index] = backlog_await_half_open(bed, port, 1);
    backlog_look(bed, port, way->name);
    replace(bed, way, port, slot_of(index, MEANWHILE), &seen[MEANWHILE]);
    testbed_unfault(bed, held);
    DO(client, ACT_CONNECT, .slot = slot_of(index, AFTER), .port = port);
    seen[QUEUED] = fate(bed, slot_of(index, QUEUED));
    seen[HALF] = fate(bed, slot_of(index, HALF));
    seen[AFTER] = fate(bed, slot_of(index, AFTER));
}

static void run_graceful_restart(struct testbed *bed)
{
    struct restart_facts *facts = testbed_facts(bed, sizeof *facts);

    facts->migrates = DO(testbed_server(bed), ACT_SETTING, .text = "tcp_migrate_req").rc >= 0;
    for (size_t i = 0; i < WAYS && !testbed_failed(bed) && !facts->watch.gave_up; i++)
        if (!ways[i].migrate || facts->migrates)
            play_way(bed, i);
}

static void check_graceful_restart(struct testbed *bed)
{
    const struct restart_facts *facts = testbed_facts(bed, sizeof *facts);
    bool prepared = true;

    testbed_table(bed, "ways",
                  "What becomes of a connection that is queued, half-open, comes "
                  "while the server is replaced, or afterwards");
    for (size_t i = 0; i < WAYS; i++) {
        const char *const *seen = facts->seen[i];
        if (ways[i].migrate && !facts->migrates)
            continue;
        prepared &= facts->prepared[i];
        const char *text = seen[AFTER] ? arena_printf(bed->arena, "%s, %s, %s, %s", seen[QUEUED],
                                                      seen[HALF], seen[MEANWHILE], seen[AFTER])
                                       : "not tried";
        testbed_check_text(bed, ways[i].key, ways[i].expected, text);
        struct result_map *row = testbed_row(bed);
        result_set_text(bed->arena, row, "way", ways[i].name);
        result_set_text(bed->arena, row, "queued", seen[QUEUED]);
        result_set_text(bed->arena, row, "half_open", seen[HALF]);
        result_set_text(bed->arena, row, "meanwhile", seen[MEANWHILE]);
        result_set_text(bed->arena, row, "after", seen[AFTER]);
    }
    testbed_check_bool(bed, "as_prepared", true, prepared);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C RST,ACK", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_graceful_restart = {
    .name = "graceful-restart",
    .title = "a server is replaced while it runs: the ways that lose connections, and two that do "
             "not",
    .here = "Closing a listener resets what is in its queue and forgets what is half-open, whether "
            "or not another process listens on the port by SO_REUSEPORT, and accepting all before "
            "closing saves the former only: a handshake that is under way ends in a reset. Nothing "
            "is lost if the listening socket itself goes to the successor (inherited over fork and "
            "exec, or sent as SCM_RIGHTS) before the old process closes its copy, for the queues "
            "belong to the socket; or, since Linux 5.14, with tcp_migrate_req, which moves them to "
            "the other listener.",
    .settings =
        (const struct scenario_setting[]){
            BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_migrate_req", "0", SETTING_OPTIONAL}, {0}},
    .play = run_graceful_restart,
    .check = check_graceful_restart,
};
