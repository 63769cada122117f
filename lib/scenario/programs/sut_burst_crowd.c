#include "scenario/programs/sut_burst_crowd.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define AT_ONCE            64               /* connects between two looks at what has come */
#define EVENTS             256              /* a look takes */
#define LOOK_NS            (10 * NS_PER_MS) /* one by one: at the SYNs that the client has sent */
#define DESCRIPTORS_BESIDE 64               /* the agent's own */

enum client_state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_CONNECTED, CLIENT_FAILED };

struct client {
    int fd; /* -1: closed */
    enum client_state state;
    int code;          /* CLIENT_FAILED: the errno */
    uint32_t repeated; /* its SYN */
    int64_t begun_ns, took_ns;
    bool finished; /* has sent its FIN */
    bool heard;    /* what it sent first was acknowledged: the server has the connection, too */
    bool resent;
};

/* One agent, one crowd. */
static struct crowd {
    struct crowd_order order;
    struct crowd_state state;
    struct client *clients;
    struct sock_address address;
    struct buf request;
    int epoll;
    int64_t began_ns, look_ns, reset;
    int rc;
} crowd = {.epoll = -1};

/* ---- Beginning ---- */

static int allow_descriptors(int64_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < (rlim_t)wanted)
        return -EMFILE;
    return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

AGENT_CALL(crowd_begin)
{
    memcpy(&crowd.order, act->data, sizeof crowd.order);
    if (crowd.order.clients > CROWD_MAX)
        return -E2BIG;
    int rc = allow_descriptors(crowd.order.clients + DESCRIPTORS_BESIDE);
    if (rc)
        return rc;
    free(crowd.clients);
    crowd.clients = calloc((size_t)crowd.order.clients, sizeof *crowd.clients);
    crowd.state = (struct crowd_state){0};
    crowd.rc = 0;
    crowd.began_ns = crowd.look_ns = crowd.reset = 0;
    buf_reset(&crowd.request);
    if (crowd.order.plan)
        stub_peer_request(crowd.order.plan, &crowd.request);
    if (crowd.epoll < 0)
        crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!crowd.clients || crowd.request.failed || crowd.epoll < 0)
        return crowd.epoll < 0 ? -errno : -ENOMEM;
    return agent_self_address(self, ACT_TO_PEER, crowd.order.port, &crowd.address);
}

/* ---- One client ---- */

/* The last ACK of a handshake, and what follows it, meet the accept queue as the SYN does, and may
 * be dropped there: the client is connected, and the server is not. */
static void look_whether_heard(struct client *client)
{
    struct sock_tcp_info info;

    if (client->state != CLIENT_CONNECTED || sock_tcp_info(client->fd, &info))
        return;
    client->heard |= !info.unacked;
    client->resent |= info.total_retrans > client->repeated;
}

static void close_client(struct client *client)
{
    look_whether_heard(client);
    crowd.state.open -= client->state == CLIENT_CONNECTED;
    close(client->fd);
    client->fd = -1;
}

static void shut_down(struct client *client)
{
    if (!client->finished)
        shutdown(client->fd, SHUT_WR);
    client->finished = true;
}

static uint32_t syns_repeated(const struct client *client)
{
    struct sock_tcp_info info;
    return sock_tcp_info(client->fd, &info) ? 0 : info.total_retrans;
}

/* A request is small, and fits the send buffer of a new connection, or it is cut there: what the
 * server does with half a request is not the question. */
static void send_first(struct client *client)
{
    if (crowd.request.len_bytes)
        send(client->fd, crowd.request.data, crowd.request.len_bytes, MSG_NOSIGNAL);
    else
        shut_down(client);
}

static void connect_decided(struct client *client, int code)
{
    client->took_ns = clock_mono_ns() - client->begun_ns;
    client->repeated = syns_repeated(client);
    crowd.state.repeated += client->repeated;
    if (code) {
        client->code = code;
        client->state = CLIENT_FAILED;
        crowd.state.failed++;
        close_client(client);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(client - crowd.clients)};
    epoll_ctl(crowd.epoll, EPOLL_CTL_MOD, client->fd, &event);
    client->state = CLIENT_CONNECTED;
    crowd.state.connected++;
    crowd.state.open++;
    send_first(client);
}

static void read_response(struct client *client)
{
    char chunk[16384];
    ssize_t got = recv(client->fd, chunk, sizeof chunk, 0);

    if (got > 0)
        shut_down(client);
    else if (!got || (errno != EAGAIN && errno != EINTR)) {
        crowd.reset += got < 0;
        client->heard = true;
        close_client(client);
    }
}

static void on_event(const struct epoll_event *event)
{
    struct client *client = &crowd.clients[event->data.u64];
    int code = 0;
    socklen_t len = sizeof code;

    if (client->fd < 0)
        return;
    if (client->state == CLIENT_CONNECTED) {
        read_response(client);
    } else if (!getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &code, &len)) {
        connect_decided(client, code);
    }
}

/* 0, or why this machine does not let it begin. */
static int begin_connect(struct agent_self *self, struct client *client)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.u64 = (uint64_t)(client - crowd.clients)};

    client->fd = socket(self->start.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, client->fd, &event))
        return -errno;
    int64_t rc = agent_self_prepare(self, client->fd);
    if (rc)
        return (int)rc;
    client->begun_ns = clock_mono_ns();
    client->state = CLIENT_CONNECTING;
    if (!crowd.began_ns)
        crowd.began_ns = client->begun_ns;
    crowd.state.begun++;
    crowd.state.last_begun_ns = client->begun_ns - crowd.began_ns;
    if (connect(client->fd, (const struct sockaddr *)&crowd.address.storage,
                crowd.address.len_bytes) &&
        errno != EINPROGRESS) {
        if (errno == EADDRNOTAVAIL || errno == ENOBUFS || errno == ENOMEM)
            return -errno;
        connect_decided(client, errno);
    }
    return 0;
}

/* ---- All of them ---- */

/* When the next one is due; INT64_MAX: none is, or none before another is decided. */
static int64_t next_due_ns(void)
{
    const struct crowd_order *order = &crowd.order;
    const struct crowd_state *state = &crowd.state;

    if (state->begun == order->clients)
        return INT64_MAX;
    if (order->one_by_one)
        return state->begun == state->connected && !state->full ? 0 : INT64_MAX;
    return order->per_second ? crowd.began_ns + state->begun * NS_PER_SEC / order->per_second : 0;
}

static void look_at_last(int64_t now_ns)
{
    struct crowd_state *state = &crowd.state;

    if (!crowd.order.one_by_one || state->full || !state->begun || now_ns < crowd.look_ns)
        return;
    struct client *last = &crowd.clients[state->begun - 1];
    state->full = last->state == CLIENT_FAILED || last->repeated ||
                  (last->state == CLIENT_CONNECTING && syns_repeated(last));
    crowd.look_ns = now_ns + LOOK_NS;
}

static bool is_done(void)
{
    const struct crowd_state *state = &crowd.state;
    bool decided = state->connected + state->failed == state->begun;

    if (crowd.order.one_by_one && state->full)
        return true;
    return state->begun == crowd.order.clients && decided && !state->open;
}

static void wait_for_events(int64_t until_ns)
{
    struct epoll_event events[EVENTS];
    int64_t left_ns = until_ns - clock_mono_ns();
    int count =
        epoll_wait(crowd.epoll, events, EVENTS, clock_to_poll_ms(left_ns > 0 ? left_ns : 0));

    for (int i = 0; i < count; i++)
        on_event(&events[i]);
}

static int64_t count_unheard(void)
{
    int64_t count = 0;

    for (int64_t i = 0; i < crowd.state.begun; i++) {
        struct client *client = &crowd.clients[i];
        if (client->state != CLIENT_CONNECTED || client->heard || client->fd < 0)
            continue;
        look_whether_heard(client);
        count += !client->heard;
    }
    return count;
}

AGENT_CALL(crowd_tend)
{
    struct crowd_order order;
    int64_t now_ns = clock_mono_ns(), end_ns;

    memcpy(&order, act->data, sizeof order);
    end_ns = now_ns + order.slice_ns;
    while (!crowd.rc && now_ns < end_ns && !is_done()) {
        for (int i = 0; i < AT_ONCE && !crowd.rc && next_due_ns() <= clock_mono_ns(); i++)
            crowd.rc = begin_connect(self, &crowd.clients[crowd.state.begun]);
        int64_t until_ns = next_due_ns() < end_ns ? next_due_ns() : end_ns;
        if (crowd.order.one_by_one && now_ns + LOOK_NS < until_ns)
            until_ns = now_ns + LOOK_NS;
        wait_for_events(until_ns);
        now_ns = clock_mono_ns();
        look_at_last(now_ns);
    }
    crowd.state.unheard = count_unheard();
    memcpy(reply->data, &crowd.state, sizeof crowd.state);
    return crowd.rc;
}

/* ---- The end ---- */

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Those in the state, of that code, and (below 0: whatever) with so many retransmissions. */
static struct crowd_class class_of(enum client_state state, int code, int64_t repeated,
                                   int64_t *times_ns)
{
    size_t count = 0;

    for (int64_t i = 0; i < crowd.state.begun; i++) {
        const struct client *client = &crowd.clients[i];
        int64_t own = client->repeated < CROWD_CLASSES - 1 ? client->repeated : CROWD_CLASSES - 1;
        if (client->state == state && client->code == code && (repeated < 0 || repeated == own))
            times_ns[count++] = client->took_ns;
    }
    if (!count)
        return (struct crowd_class){0};
    qsort(times_ns, count, sizeof *times_ns, by_value);
    return (struct crowd_class){(int64_t)count, times_ns[0], times_ns[count / 2],
                                times_ns[count - 1]};
}

static void give_up_undecided(struct crowd_result *result)
{
    for (int64_t i = 0; i < crowd.state.begun; i++) {
        struct client *client = &crowd.clients[i];
        if (client->state == CLIENT_CONNECTING) {
            result->undecided++;
            result->undecided_repeated += syns_repeated(client) > 0;
        }
        if (client->state == CLIENT_FAILED && client->code != ECONNREFUSED &&
            client->code != ETIMEDOUT)
            result->failed_code = client->code;
        if (client->fd >= 0)
            close_client(client);
        result->resent += client->resent;
        result->unheard += client->state == CLIENT_CONNECTED && !client->heard;
    }
}

AGENT_CALL(crowd_end)
{
    struct crowd_result result = {.reset = crowd.reset};
    cleanup(mem) int64_t *times_ns = calloc((size_t)crowd.state.begun + 1, sizeof *times_ns);

    if (!times_ns)
        return -ENOMEM;
    give_up_undecided(&result);
    for (int i = 0; i < CROWD_CLASSES; i++)
        result.connected[i] = class_of(CLIENT_CONNECTED, 0, i, times_ns);
    result.refused = class_of(CLIENT_FAILED, ECONNREFUSED, -1, times_ns);
    result.timed_out = class_of(CLIENT_FAILED, ETIMEDOUT, -1, times_ns);
    result.failed.count = crowd.state.failed - result.refused.count - result.timed_out.count;
    crowd.state.begun = 0;
    memcpy(reply->data, &result, sizeof result);
    return 0;
}
