#include "scenario/programs/stub_peer.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "probe/framing.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
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
    bool lingering; /* answered; what still comes is thrown away */
    bool in_body;   /* of an HTTP request, which is not kept */
    struct framing_reader body;
    char request[REQUEST_MAX];
    size_t used;
    int64_t read_bytes, written_bytes;
};

struct server {
    struct agent_self *self;
    struct stub_peer_job job;
    struct peer_connection connections[CONNECTIONS];
    bool reached, told;
    char response[RESPONSE_MAX];
};

__attribute__((format(printf, 2, 3))) static void mark(struct server *server, const char *format,
                                                       ...)
{
    struct trace_event event = {
        .at_real_ns = clock_real_ns(), .kind = TRACE_MARK, .side = TRACE_WIRE};
    va_list args;

    va_start(args, format);
    vsnprintf(event.text, sizeof event.text, format, args);
    va_end(args);
    trace_append(server->self->recorder.trace, &event);
}

static void stop_at_point(struct server *server)
{
    sigset_t resume;
    int number;

    if (server->reached)
        return;
    server->reached = true;
    mark(server, "point");
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

/* The length of the head of an HTTP request, 0 while it is not complete. */
static size_t http_length(const char *text, size_t bytes)
{
    const char *end = memmem(text, bytes, "\r\n\r\n", 4);
    return end ? (size_t)(end - text) + 4 : 0;
}

static bool http_has(const char *head, size_t bytes, const char *header)
{
    const char *line = memmem(head, bytes, "\r\n", 2);

    for (; line; line = memmem(line, bytes - (size_t)(line - head), "\r\n", 2)) {
        line += 2;
        if (!strncasecmp(line, header, strlen(header)))
            return true;
    }
    return false;
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

static size_t http_response(char *out, bool head_only)
{
    int head = snprintf(out, RESPONSE_MAX,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
                        BODY_BYTES);
    if (head_only)
        return (size_t)head;
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
    *out_bytes =
        plan->serve == PRESET_HTTP
            ? http_response(server->response, !strncmp(request, "HEAD ", 5))
            : (size_t)snprintf(server->response, RESPONSE_MAX, "+%s\r\n", ping ? "PONG" : "OK");
    return server->response;
}

static int64_t response_point(const struct server *server, size_t bytes)
{
    int64_t amount = server->job.point.amount;
    return amount ? amount : (int64_t)bytes / 2;
}

/* How much of a response is still to be written at the point, or of the first one after it. */
static void tell_rest(struct server *server, size_t bytes)
{
    if (!server->told)
        mark(server, STUB_PEER_REST "%zu", bytes);
    server->told = true;
}

static bool write_out(struct server *server, int slot, const char *bytes, size_t len)
{
    struct sock *sock = &server->self->slots[FIRST_SLOT + slot];
    struct peer_connection *connection = &server->connections[slot];
    bool pointed = server->job.point.when == STUB_PEER_WHEN_RESPONSE && !server->reached;
    int64_t stop = pointed ? response_point(server, len) - connection->written_bytes : INT64_MAX;
    size_t first = stop < (int64_t)len ? (size_t)(stop > 0 ? stop : 0) : len;

    if (server->reached)
        tell_rest(server, len);
    for (size_t done = 0; done < len;) {
        if (pointed && done >= first) {
            tell_rest(server, len - done);
            stop_at_point(server);
        }
        size_t most = done < first ? first - done : len - done;
        ssize_t wrote = sock_write(sock, bytes + done, most, MSG_NOSIGNAL);
        if (wrote < 0)
            return false;
        done += (size_t)wrote;
        connection->written_bytes += wrote;
    }
    if (pointed && stop <= (int64_t)len) {
        tell_rest(server, 0);
        stop_at_point(server);
    }
    return true;
}

static void close_connection(struct server *server, int slot)
{
    sock_close(&server->self->slots[FIRST_SLOT + slot]);
    server->connections[slot].open = false;
}

/* Reads an HTTP request's body by the rules of a response's, which are the same once a length or
 * chunks are announced. *used: so many of the bytes. Whether it is over: what makes no sense is. */
static bool body_ends(struct peer_connection *connection, const char *bytes, size_t len,
                      size_t *used)
{
    int rc = framing_feed(&connection->body, bytes, len, used, NULL);

    *used = rc < 0 ? len : *used;
    connection->in_body = !rc;
    return rc != 0;
}

/* Whether the head announces a body that is still to come. */
static bool announces_body(struct peer_connection *connection, size_t head)
{
    static const struct framing framing = {.kind = FRAMING_HTTP};
    static const char status[] = "HTTP/1.1 200 OK";
    const char *text = connection->request, *headers = memmem(text, head, "\r\n", 2);
    size_t used;

    if (!http_has(text, head, "content-length:") && !http_has(text, head, "transfer-encoding:"))
        return false;
    framing_begin(&connection->body, &framing);
    framing_feed(&connection->body, status, strlen(status), &used, NULL);
    return !body_ends(connection, headers, head - (size_t)(headers - text), &used);
}

static bool waits_for_continue(const struct peer_connection *connection, size_t head)
{
    return http_has(connection->request, head, "expect: 100-continue");
}

static bool begin_body(struct server *server, int slot, size_t head)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct peer_connection *connection = &server->connections[slot];

    if (server->job.plan->serve != PRESET_HTTP || server->job.plan->raw ||
        !announces_body(connection, head))
        return false;
    if (waits_for_continue(connection, head))
        sock_write(&server->self->slots[FIRST_SLOT + slot], go_on, strlen(go_on), MSG_NOSIGNAL);
    return true;
}

/* Takes what belongs to a body out of the buffer. Whether the request is complete with it. */
static bool take_body(struct peer_connection *connection, size_t head)
{
    size_t used = 0, rest = connection->used - head;
    bool whole = rest && body_ends(connection, connection->request + head, rest, &used);

    memmove(connection->request + head, connection->request + head + used, rest - used);
    connection->used -= used;
    return whole;
}

static void answer_requests(struct server *server, int slot)
{
    struct peer_connection *connection = &server->connections[slot];
    size_t length;

    while (connection->used &&
           (length = request_length(server->job.plan->serve, connection->request,
                                    connection->used)) > 0) {
        size_t bytes;
        if ((connection->in_body || begin_body(server, slot, length)) &&
            !take_body(connection, length))
            return;
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

/* Whether the scenario wants the connections that come now to end with RST. */
static bool is_resetting(void)
{
    sigset_t pending;
    return !sigpending(&pending) && sigismember(&pending, SIGUSR1);
}

/* Takes a request's head and nothing else out of the kernel. Its length, 0: not complete yet. */
static size_t take_head(struct server *server, int slot)
{
    struct peer_connection *connection = &server->connections[slot];
    struct sock *sock = &server->self->slots[FIRST_SLOT + slot];
    char *end = connection->request + connection->used;
    ssize_t seen = sock_read(sock, end, REQUEST_MAX - connection->used, MSG_PEEK);
    size_t whole = connection->used + (size_t)(seen > 0 ? seen : 0);
    size_t head = http_length(connection->request, whole);

    if (seen <= 0 || (!head && whole == REQUEST_MAX)) {
        close_connection(server, slot);
        return 0;
    }
    sock_read(sock, end, (head ? head : whole) - connection->used, 0);
    connection->used = head ? head : whole;
    return head;
}

/* Answers when the head is read, and the first byte of a body is there. */
static void answer_early(struct server *server, int slot)
{
    static const char ok[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
    const struct stub_peer_plan *plan = server->job.plan;
    struct peer_connection *connection = &server->connections[slot];
    struct sock *sock = &server->self->slots[FIRST_SLOT + slot];

    if (!connection->in_body) {
        size_t head = take_head(server, slot);
        if (!head)
            return;
        connection->in_body =
            announces_body(connection, head) && !waits_for_continue(connection, head);
        if (connection->in_body)
            return;
    } else {
        mark(server, "body");
    }
    sock_write(sock, plan->raw ? plan->raw : ok, plan->raw ? plan->raw_bytes : strlen(ok),
               MSG_NOSIGNAL);
    if (connection->in_body && is_resetting()) {
        close_connection(server, slot);
        return;
    }
    sock_shutdown(sock, SHUT_WR);
    connection->lingering = true;
}

static void read_requests(struct server *server, int slot)
{
    struct peer_connection *connection = &server->connections[slot];
    struct sock *sock = &server->self->slots[FIRST_SLOT + slot];

    if (server->job.early && !connection->lingering) {
        answer_early(server, slot);
        return;
    }
    connection->used = connection->lingering ? 0 : connection->used;
    size_t room = sizeof connection->request - 1 - connection->used;
    ssize_t got =
        room ? sock_read(sock, connection->request + connection->used, room, 0) : -ENOBUFS;
    if (got <= 0) {
        close_connection(server, slot);
        return;
    }
    if (connection->lingering)
        return;
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

static void add_upload(struct buf *out)
{
    static const char zeros[65536];

    buf_printf(out,
               "POST / HTTP/1.1\r\nHost: server\r\nContent-Type: application/octet-stream\r\n"
               "Content-Length: %lld\r\n\r\n",
               (long long)STUB_PEER_UPLOAD_BYTES);
    for (int64_t left = STUB_PEER_UPLOAD_BYTES; left > 0; left -= (int64_t)sizeof zeros)
        buf_add(out, zeros, sizeof zeros);
}

/* As most clients do: to the end, whatever comes meanwhile. */
static void write_request(struct sock *sock, const char *bytes, int64_t deadline_ns,
                          struct stub_peer_written *written)
{
    while (written->bytes < written->of) {
        int64_t left_ns = deadline_ns - clock_mono_ns();
        int ready = sock_poll(sock, POLLOUT, left_ns > 0 ? left_ns : 0);
        ssize_t wrote = ready <= 0 ? ready
                                   : sock_write(sock, bytes + written->bytes,
                                                (size_t)(written->of - written->bytes),
                                                MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote <= 0 && wrote != -EAGAIN) {
            written->rc = wrote ? (int)wrote : -ETIME;
            return;
        }
        written->bytes += wrote > 0 ? wrote : 0;
    }
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
    if (question.upload)
        add_upload(&text);
    else
        stub_peer_request(plan, &text);
    if (!plan->request)
        framing_parse(preset_at(plan->ask)->framing, &framing, NULL);
    struct stub_peer_written written = {.of = (int64_t)text.len_bytes / (question.half ? 2 : 1)};
    write_request(sock, text.data, deadline_ns, &written);
    memcpy(reply->data, &written, sizeof written);
    if (question.half || question.no_answer)
        return written.rc;
    int rc = read_answer(sock, &framing, deadline_ns, reply);
    /* A socket whose write has failed only reads to its end. */
    return rc <= 0 && written.rc && written.rc != -ETIME ? written.rc : rc;
}
