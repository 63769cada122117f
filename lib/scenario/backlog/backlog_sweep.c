/* How much fits: the backlog against the number of connections that are queued. */
#include "scenario/backlog/backlog.h"

#include "base/wait.h"
#include "diagnosis/backlog_model.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SOMAXCONN_TEXT "20"
#define CLIENTS_MAX    4200 /* of one listener */
#define ROWS_MAX       64
#define MANY           1024 /* above that one row of so many connections is enough */

/* ---- In the client: connections that only exist */

static int clients[CLIENTS_MAX];
static size_t client_count;

/* Begins one more connect to the port → 0, -EINPROGRESS, or why not. */
static AGENT_CALL(do_connect_more)
{
    struct sock_address address;
    struct rlimit limit;
    int rc = agent_self_address(self, ACT_TO_PEER, act->port, &address);

    if (rc || client_count == CLIENTS_MAX)
        return rc ? rc : -ENOSPC;
    if (!client_count && !getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int fd = socket(self->start.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    clients[client_count++] = fd;
    rc = (int)agent_self_prepare(self, fd);
    if (rc)
        return rc;
    return connect(fd, (const struct sockaddr *)&address.storage, address.len_bytes) ? -errno : 0;
}

struct client_count {
    int64_t established, waiting;
};

static AGENT_CALL(do_count_clients)
{
    struct client_count count = {0};

    for (size_t i = 0; i < client_count; i++) {
        int state = sock_tcp_state(clients[i]);
        count.established += state == TCP_ESTABLISHED;
        count.waiting += state == TCP_SYN_SENT;
    }
    memcpy(reply->data, &count, sizeof count);
    return 0;
}

static AGENT_CALL(do_close_clients)
{
    while (client_count)
        close(clients[--client_count]);
    return 0;
}

/* ---- In the server */

enum decision { UNDECIDED, QUEUED, DROPPED };

struct decided {
    int64_t queue, overflows;
};

static AGENT_CALL(look_once)
{
    struct act ask = {.verb = ACT_COUNTER, .text = "TcpExt ListenOverflows"};
    struct decided decided = {.overflows = agent_self_counter(self, &ask, reply)};
    struct sock_tcp_info info;

    int rc = sock_tcp_info(self->slots[0].fd, &info);
    if (rc)
        return rc;
    decided.queue = info.unacked;
    memcpy(reply->data, &decided, sizeof decided);
    return decided.queue > act->number      ? QUEUED
           : decided.overflows > act->bytes ? DROPPED
                                            : UNDECIDED;
}

/* Waits until the listener (slot 0) has more than `number` in its queue or ListenOverflows is above
 * `bytes`, whichever comes, or the timeout. */
static AGENT_CALL(do_decide)
{
    int64_t rc;

    wait_until((rc = look_once(self, act, reply)) != UNDECIDED, clock_mono_ns() + act->timeout_ns);
    return rc;
}

/* ---- sweep ---- */

struct sweep_row {
    int backlog;
    int64_t queued, expected;
    struct client_count clients;
    bool dropped; /* the one that did not fit */
};

struct sweep {
    int64_t somaxconn;
    struct sweep_row rows[ROWS_MAX];
    size_t count;
};

/* Connects until one is dropped. */
static void try_backlog(struct testbed *bed, struct sweep_row *row, uint16_t port)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    int64_t overflows = testbed_counter(bed, LAB_SERVER, "TcpExt ListenOverflows");
    enum decision decision = QUEUED;

    DO(server, ACT_LISTEN, .port = port, .number = row->backlog);
    while (decision == QUEUED && row->queued < row->expected + 3 && !testbed_failed(bed)) {
        struct act_reply started = DO(client, ACT_CALL, .function = do_connect_more, .port = port);
        if (started.rc && started.rc != -EINPROGRESS)
            break;
        struct act_reply reply =
            DO(server, ACT_CALL, .function = do_decide, .number = (int)row->queued,
               .bytes = overflows, .timeout_ns = TESTBED_LIMIT_NS / 3);
        struct decided decided;
        memcpy(&decided, reply.data, sizeof decided);
        decision = (enum decision)reply.rc;
        row->queued = decided.queue;
    }
    row->dropped = decision == DROPPED;
    struct act_reply counted = DO(client, ACT_CALL, .function = do_count_clients);
    memcpy(&row->clients, counted.data, sizeof row->clients);
    /* The listener first: its queue is reset, and no TIME-WAIT is left anywhere. */
    DO(server, ACT_CLOSE);
    DO(client, ACT_CALL, .function = do_close_clients);
}

static void choose_rows(struct testbed *bed, struct sweep *sweep)
{
    const struct backlog_own *own = bed->request->own;

    for (int i = 0; !own && i <= 14; i++)
        sweep->rows[sweep->count++].backlog = i;
    /* Where the limit could not be set it is too high to be reached in reasonable time. */
    if (!own && (sweep->somaxconn <= MANY || bed->request->real_time))
        sweep->rows[sweep->count++].backlog = (int)sweep->somaxconn + 10;
    if (!own && sweep->somaxconn <= MANY)
        sweep->rows[sweep->count++].backlog = -1;
    for (size_t i = 0; own && i < own->count && sweep->count < ROWS_MAX; i++)
        sweep->rows[sweep->count++].backlog = own->backlogs[i];
}

/* "0: 1, 1: 2, …" */
static const char *pairs(struct testbed *bed, const struct sweep *sweep, bool observed)
{
    const char *text = "";

    for (size_t i = 0; i < sweep->count; i++) {
        const struct sweep_row *row = &sweep->rows[i];
        text = arena_printf(bed->arena, "%s%s%d: %d", text, i ? ", " : "", row->backlog,
                            (int)(observed ? row->queued : row->expected));
    }
    return text;
}

/* Columns of the book's table. */
static const char *const systems[] = {
    [BACKLOG_MODEL_LINUX_24] = "linux_2_4",
    [BACKLOG_MODEL_BSD] = "aix",
    [BACKLOG_MODEL_HPUX] = "hp_ux",
    [BACKLOG_MODEL_FREEBSD] = "freebsd",
};

static void list_row(struct testbed *bed, const struct sweep *sweep, const struct sweep_row *row)
{
    struct arena *arena = bed->arena;
    bool book = row->backlog >= 0 && row->backlog <= 14;

    struct result_map *map = testbed_row(
        bed, INTEGER("backlog", row->backlog), INTEGER("queued", row->queued),
        INTEGER("formula", row->expected), INTEGER("connects", row->clients.established),
        INTEGER("before_4_10", backlog_model_believed_before_4_10(
                                   backlog_model_limit(row->backlog, sweep->somaxconn))));
    for (enum backlog_model_system i = BACKLOG_MODEL_LINUX_24; book && i <= BACKLOG_MODEL_FREEBSD;
         i++)
        result_set_integer(arena, map, systems[i], backlog_model_of(i, row->backlog));
}

static void play_sweep(struct testbed *bed)
{
    struct sweep sweep = {.somaxconn = testbed_listen_limit(bed, LAB_SERVER)};
    bool all_dropped = true, believed = true, believed_before = true;

    choose_rows(bed, &sweep);
    testbed_table(bed, "backlog", "Backlog, and connections that are queued");
    for (size_t i = 0; i < sweep.count && !testbed_failed(bed); i++) {
        struct sweep_row *row = &sweep.rows[i];
        int64_t limit = backlog_model_limit(row->backlog, sweep.somaxconn);
        row->expected = backlog_model_queued(limit);
        if (row->expected + 3 > CLIENTS_MAX)
            testbed_fail(bed, "a backlog of %d with a somaxconn of %d is more than can be tried",
                         row->backlog, (int)sweep.somaxconn);
        else
            try_backlog(bed, row, (uint16_t)(TESTBED_PORT + i));
        all_dropped &= row->dropped;
        believed &= row->clients.established == row->expected;
        believed_before &= row->clients.established == backlog_model_believed_before_4_10(limit);
        list_row(bed, &sweep, row);
    }
    testbed_check_text(bed, "queued", pairs(bed, &sweep, false), pairs(bed, &sweep, true));
    testbed_check_bool(bed, "next_syn_dropped", true, all_dropped);
    testbed_check_bool(bed, "clients_agree", true, believed || believed_before);
    testbed_observe(bed, INTEGER("somaxconn", sweep.somaxconn));
}

static const struct scenario_setting sweep_settings[] = {
    BACKLOG_SETTINGS,
    {SCENARIO_SERVER, "core/somaxconn", SOMAXCONN_TEXT, SETTING_TIMER | SETTING_OPTIONAL},
    {0}};

const struct scenario backlog_sweep = {
    .name = "sweep",
    .title = "how many connections are queued for each backlog: the classic table",
    .book = "The backlog was never well defined, and systems multiply it by 1.5 or add to it: for "
            "a backlog of 5 they queue from 6 to 8 connections (section 4.5). A backlog of 0 "
            "should not be used, since it means different things.",
    .here = "The accept queue holds one more than the backlog, which listen cuts to "
            "net.core.somaxconn (4096 since 5.4, 128 before); a negative backlog is cut as well, "
            "so -1 asks for the maximum. The SYN after that is dropped. Before 4.10 two more "
            "clients could take themselves for connected: a full queue let SYNs through as long "
            "as fewer than two requests were half-open, and dropped their last ACK. That is why "
            "the book has 3 + backlog for Linux 2.4.",
    .differs = "The backlog is not multiplied, and only one is added to it.",
    .settings = sweep_settings,
    .play = play_sweep,
};

/* ---- somaxconn-clamp ---- */

#define CLAMP_SOMAXCONN 4
#define CLAMP_RAISED    8
#define CLAMP_BACKLOG   100

static void play_somaxconn_clamp(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    int64_t limit = backlog_model_limit(CLAMP_BACKLOG, CLAMP_SOMAXCONN);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = CLAMP_BACKLOG);
    const struct backlog_sample *first = backlog_look(bed, TESTBED_PORT, "listen(100)");
    testbed_check_integer(bed, "limit_at_first", limit, first->server.limit);
    backlog_fill(bed, TESTBED_PORT, 1, CLAMP_SOMAXCONN + 1);
    testbed_from_here(bed);
    DO(client, ACT_CONNECT_START, .slot = 20, .port = TESTBED_PORT);
    backlog_await(bed, "delivered c>s:syn");
    const struct backlog_sample *full = backlog_look(bed, TESTBED_PORT, "full, one more");
    testbed_check_integer(bed, "queued_at_first", backlog_model_queued(limit), full->server.queue);
    backlog_check_rise(bed, "overflows", 1, first, full, BACKLOG_OVERFLOWS);

    DO(client, ACT_CLOSE, .slot = 20);
    backlog_set(bed, LAB_SERVER, "core/somaxconn", "8");
    testbed_check_integer(bed, "limit_with_somaxconn_8", CLAMP_SOMAXCONN,
                          backlog_look(bed, TESTBED_PORT, "somaxconn is 8")->server.limit);
    DO(server, ACT_LISTEN, .number = CLAMP_BACKLOG);
    testbed_check_integer(bed, "limit_after_listen_again", CLAMP_RAISED,
                          backlog_look(bed, TESTBED_PORT, "listen(100) again")->server.limit);
    backlog_fill(bed, TESTBED_PORT, 10, CLAMP_RAISED - CLAMP_SOMAXCONN);
    testbed_check_integer(bed, "queued_at_last", backlog_model_queued(CLAMP_RAISED),
                          backlog_look(bed, TESTBED_PORT, "full again")->server.queue);
    backlog_tables(bed, NULL);
}

const struct scenario backlog_somaxconn_clamp = {
    .name = "somaxconn-clamp",
    .title = "a backlog above somaxconn is cut silently, until listen is called again",
    .book = "The argument may be larger than the kernel supports; the kernel then cuts it without "
            "an error (section 4.5).",
    .here = "The same: listen returns 0, and the limit is net.core.somaxconn of the moment. "
            "Raising the setting later changes nothing for an existing listener; listen must be "
            "called again, which works on the same socket and keeps what is queued (most servers "
            "do so when they are restarted or reloaded). ss -ltn shows the limit as Send-Q, and "
            "TCP_INFO has it.",
    .settings = SETTINGS(BACKLOG_SETTINGS, {SCENARIO_SERVER, "core/somaxconn", "4", 0}),
    .flags = FLAGS(HANDSHAKE),
    .play = play_somaxconn_clamp,
};
