#include "scenario/programs/stub_peer.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "probe/framing.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECTIONS  64 /* slots 1 … */
#define REQUEST_MAX  16384
#define BODY_BYTES   65536
#define RESPONSE_MAX (BODY_BYTES + 512)
#define FIRST_SLOT   1

struct act *stub_peer_act(struct act *act, const void *value, size_t size_bytes)
{
    if (size_bytes <= sizeof act->data)
        memcpy(act->data, value, size_bytes);
    return act;
}

int stub_peer_point_parse(const char *text, struct stub_peer_point *out, struct error *error)
{
    static const struct {
        const char *word;
        enum stub_peer_when when;
    } words[] = {{"bytes:", STUB_PEER_WHEN_BYTES}, {"response-bytes:", STUB_PEER_WHEN_RESPONSE}};

    *out = (struct stub_peer_point){0};
    if (!strcmp(text, "connect")) {
        out->when = STUB_PEER_WHEN_CONNECT;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        size_t len = strlen(words[i].word);
        if (strncmp(text, words[i].word, len) != 0)
            continue;
        out->when = words[i].when;
        if (units_parse_size(text + len, &out->amount) || out->amount < 1)
            return error_set(error, EINVAL, "%s wants a number of bytes, at least 1",
                             words[i].word);
        return 0;
    }
    if (!strncmp(text, "time:", 5)) {
        out->when = STUB_PEER_WHEN_TIME;
        if (units_parse_duration(text + 5, &out->amount) || out->amount < 0)
            return error_set(error, EINVAL, "time: wants a duration");
        return 0;
    }
    return error_set(error, EINVAL, "connect, bytes:N, response-bytes:N or time:DURATION");
}

/* ---- The server ---- */

struct peer_connection {
    bool open;
    char request[REQUEST_MAX];
    size_t used;
    int64_t read_bytes, written_bytes;
};

struct server {
    struct agent_self *self;
    struct stub_peer_job job;
    struct peer_connection connections[CONNECTIONS];
    bool reached;
    char response[RESPONSE_MAX];
};

static void stop_at_point(struct server *server)
{
    struct trace_event event = {
        .at_real_ns = clock_real_ns(), .kind = TRACE_MARK, .side = TRACE_WIRE, .text = "point"};
    sigset_t resume;
    int number;

    if (server->reached)
        return;
    server->reached = true;
    trace_append(server->self->recorder.trace, &event);
    sigemptyset(&resume);
    sigaddset(&resume, SIGUSR1);
    sigwait(&resume, &number);
}

static void stop_if_at(struct server *server, enum stub_peer_when when, int64_t amount)
{
    const struct stub_peer_point *point = &server->job.point;
    if (point->when == when && amount >= point->amount)
        stop_at_point(server);
}

/* The length of the first whole request in the text, 0 while it is not complete. */
static size_t http_length(const char *text, size_t bytes)
{
    const char *end = memmem(text, bytes, "\r\n\r\n", 4);
    size_t body = 0;

    if (!end)
        return 0;
    for (const char *line = text; line < end; line = strstr(line, "\r\n") + 2)
        if (!strncasecmp(line, "content-length:", 15))
            body = strtoul(line + 15, NULL, 10);
    size_t whole = (size_t)(end - text) + 4 + (body < REQUEST_MAX ? body : REQUEST_MAX);
    return bytes >= whole ? whole : 0;
}

static size_t line_length(const char *text, size_t bytes)
{
    const char *end = memchr(text, '\n', bytes);
    return end ? (size_t)(end - text) + 1 : 0;
}

/* An array of bulk strings (RESP), or a line. */
static size_t redis_length(const char *text, size_t bytes)
{
    size_t at = line_length(text, bytes);

    if (!at || *text != '*')
        return at;
    for (long items = strtol(text + 1, NULL, 10); items > 0; items--) {
        size_t line = line_length(text + at, bytes - at);
        if (!line || text[at] != '$')
            return 0;
        long length = strtol(text + at + 1, NULL, 10);
        if (length < 0 || length > REQUEST_MAX || bytes - at - line < (size_t)length + 2)
            return 0;
        at += line + (size_t)length + 2;
    }
    return at;
}

static size_t request_length(enum preset_id protocol, const char *text, size_t bytes)
{
    return protocol == PRESET_HTTP    ? http_length(text, bytes)
           : protocol == PRESET_REDIS ? redis_length(text, bytes)
                                      : bytes;
}

static size_t http_response(char *out)
{
    int head = snprintf(out, RESPONSE_MAX,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
                        BODY_BYTES);
    memset(out + head, 'x', BODY_BYTES);
    for (int i = 79; i < BODY_BYTES; i += 80)
        out[head + i] = '\n';
    return (size_t)head + BODY_BYTES;
}

static const char *response_to(struct server *server, const char *request, size_t bytes,
                               size_t *out_bytes)
{
    const struct stub_peer_plan *plan = server->job.plan;

    *out_bytes = bytes;
    if (plan->raw) {
        *out_bytes = plan->raw_bytes;
        return plan->raw;
    }
    if (plan->serve == PRESET_ECHO)
        return request;
    bool ping = memmem(request, bytes, "PING", 4) || memmem(request, bytes, "ping", 4);
    *out_bytes = plan->serve == PRESET_HTTP ? http_response(server->response)
                                            : (size_t)snprintf(server->response, RESPONSE_MAX,
                                                               "+%s\r\n", ping ? "PONG" : "OK");
    return server->response;
}

static int64_t response_point(const struct server *server, size_t bytes)
{
    int64_t amount = server->job.point.amount;
    return amount ? amount : (int64_t)(bytes + 1) / 2;
}

static bool write_out(struct server *server, int slot, const char *bytes, size_t len)
{
    struct sock *sock = &server->self->slots[FIRST_SLOT + slot];
    struct peer_connection *connection = &server->connections[slot];
    bool pointed = server->job.point.when == STUB_PEER_WHEN_RESPONSE && !server->reached;
    int64_t stop = pointed ? response_point(server, len) - connection->written_bytes : INT64_MAX;
    size_t first = stop < (int64_t)len ? (size_t)(stop > 0 ? stop : 0) : len;

    for (size_t done = 0; done < len;) {
        size_t most = done < first ? first - done : len - done;
        ssize_t wrote = sock_write(sock, bytes + done, most, MSG_NOSIGNAL);
        if (wrote < 0)
            return false;
        done += (size_t)wrote;
        connection->written_bytes += wrote;
        if (pointed && done >= first)
            stop_at_point(server);
    }
    return true;
}

static void close_connection(struct server *server, int slot)
{
    sock_close(&server->self->slots[FIRST_SLOT + slot]);
    server->connections[slot].open = false;
}

static void answer_requests(struct server *server, int slot)
{
    struct peer_connection *connection = &server->connections[slot];
    size_t length;

    while (connection->used &&
           (length = request_length(server->job.plan->serve, connection->request,
                                    connection->used)) > 0) {
        size_t bytes;
        stop_if_at(server, STUB_PEER_WHEN_REQUEST, 0);
        const char *response = response_to(server, connection->request, length, &bytes);
        if (!write_out(server, slot, response, bytes)) {
            close_connection(server, slot);
            return;
        }
        memmove(connection->request, connection->request + length, connection->used - length);
        connection->used -= length;
    }
}

static void read_requests(struct server *server, int slot)
{
    struct peer_connection *connection = &server->connections[slot];
    struct sock *sock = &server->self->slots[FIRST_SLOT + slot];
    size_t room = sizeof connection->request - 1 - connection->used;
    ssize_t got =
        room ? sock_read(sock, connection->request + connection->used, room, 0) : -ENOBUFS;

    if (got <= 0) {
        close_connection(server, slot);
        return;
    }
    connection->used += (size_t)got;
    connection->request[connection->used] = '\0';
    connection->read_bytes += got;
    stop_if_at(server, STUB_PEER_WHEN_BYTES, connection->read_bytes);
    answer_requests(server, slot);
}

static void accept_connection(struct server *server)
{
    int slot = 0;

    while (slot < CONNECTIONS && server->connections[slot].open)
        slot++;
    if (slot == CONNECTIONS)
        slot = 0, close_connection(server, slot);
    struct sock *sock = &server->self->slots[FIRST_SLOT + slot];
    if (sock_accept(&server->self->slots[0], sock, NULL, 0))
        return;
    server->connections[slot] = (struct peer_connection){.open = true};
    stop_if_at(server, STUB_PEER_WHEN_CONNECT, 0);
}

static void serve_events(struct server *server)
{
    struct pollfd polled[1 + CONNECTIONS] = {{.fd = server->self->slots[0].fd, .events = POLLIN}};

    for (int i = 0; i < CONNECTIONS; i++) {
        bool heard = server->connections[i].open && !server->job.deaf;
        polled[1 + i] = (struct pollfd){.fd = heard ? server->self->slots[FIRST_SLOT + i].fd : -1,
                                        .events = POLLIN};
    }
    if (poll(polled, 1 + CONNECTIONS, -1) < 0)
        return;
    for (int i = 0; i < CONNECTIONS; i++)
        if (polled[1 + i].revents)
            read_requests(server, i);
    if (polled[0].revents)
        accept_connection(server);
}

AGENT_CALL(stub_peer_serve)
{
    static struct server server;
    struct act listening = {.verb = ACT_LISTEN, .number = 64};
    struct act reuse = {.verb = ACT_OPTION, .text = "SO_REUSEADDR=on"};
    sigset_t resume;

    memcpy(&server.job, act->data, sizeof server.job);
    server.self = self;
    sigemptyset(&resume);
    sigaddset(&resume, SIGUSR1);
    sigprocmask(SIG_BLOCK, &resume, NULL);
    listening.port = server.job.port;
    int64_t rc = agent_self_do(self, &reuse, reply);
    if (!rc)
        rc = agent_self_do(self, &listening, reply);
    if (rc)
        return rc;
    for (;;)
        serve_events(&server);
}

/* ---- The client ---- */

void stub_peer_request(const struct stub_peer_plan *plan, struct buf *out)
{
    size_t body_at;

    if (plan->request)
        buf_add(out, plan->request, plan->request_bytes);
    else
        preset_request(out, preset_at(plan->ask),
                       &(struct preset_ask){.path = "/", .host = "server"}, &body_at);
}

static int read_answer(struct sock *sock, const struct framing *framing, int64_t deadline_ns,
                       struct act_reply *reply)
{
    struct framing_reader reader;
    char chunk[16384];

    framing_begin(&reader, framing);
    for (;;) {
        size_t used;
        int64_t left_ns = deadline_ns - clock_mono_ns();
        int ready = sock_poll(sock, POLLIN, left_ns > 0 ? left_ns : 0);
        if (ready <= 0)
            return ready ? ready : -ETIME;
        ssize_t got = sock_read(sock, chunk, sizeof chunk, 0);
        if (got <= 0)
            return got ? (int)got : framing_closed(&reader);
        reply->bytes += got;
        int rc = framing_feed(&reader, chunk, (size_t)got, &used, NULL);
        if (rc)
            return rc;
    }
}

AGENT_CALL(stub_peer_ask)
{
    struct stub_peer_question question;
    /* Of an unknown protocol: anything. */
    struct framing framing = {.kind = FRAMING_BYTES, .bytes = 1};
    cleanup(buf) struct buf text = {0};
    struct sock *sock = &self->slots[0];
    int64_t deadline_ns = clock_mono_ns() + act->timeout_ns;

    memcpy(&question, act->data, sizeof question);
    const struct stub_peer_plan *plan = question.plan;
    stub_peer_request(plan, &text);
    if (!plan->request)
        framing_parse(preset_at(plan->ask)->framing, &framing, NULL);
    size_t bytes = text.len_bytes * (size_t)question.share / 1000;
    ssize_t wrote = sock_write(sock, text.data, bytes, MSG_NOSIGNAL);
    if (wrote < 0)
        return wrote;
    if (question.share < 1000 || question.no_answer)
        return 0;
    return read_answer(sock, &framing, deadline_ns, reply);
}
