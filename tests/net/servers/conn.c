#include "conn.h"

#include "tls.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

void conn_set(struct conn *conn, int option, int value)
{
    setsockopt(conn->fd, IPPROTO_TCP, option, &value, sizeof value);
}

void conn_abort(struct conn *conn)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    conn->aborted = true;
}

bool conn_hold(struct conn *conn, int64_t duration_ns)
{
    int64_t now_ns = clock_mono_ns();
    int64_t end_ns = duration_ns == FOREVER ? FOREVER : now_ns + duration_ns;

    while (now_ns < end_ns) {
        /* A client may shut down its sending side and still wait for the answer: only an endless
         * hold ends with that. Resets are always reported. */
        struct pollfd fds[] = {
            {.fd = conn->settings->stop_fd, .events = POLLIN},
            {.fd = conn->fd, .events = duration_ns == FOREVER ? POLLRDHUP : 0},
        };
        struct timespec left = clock_to_timespec(duration_ns == FOREVER ? 0 : end_ns - now_ns);
        int ready = ppoll(fds, 2, duration_ns == FOREVER ? NULL : &left, NULL);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return false;
        now_ns = clock_mono_ns();
    }
    return true;
}

bool conn_send(struct conn *conn, const void *data, size_t len_bytes, int flags)
{
    const char *next = data;

    if (conn->ssl)
        return tls_send(conn, data, len_bytes, flags);
    while (len_bytes > 0) {
        ssize_t sent = send(conn->fd, next, len_bytes, MSG_NOSIGNAL | flags);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        next += sent;
        len_bytes -= (size_t)sent;
    }
    return true;
}

bool conn_write(struct conn *conn, const void *data, size_t len_bytes)
{
    return conn_send(conn, data, len_bytes, 0);
}

/* How much to ask the kernel for, so that a pause comes after exactly its number of bytes. */
static bool read_limit(struct conn *conn, size_t *limit_bytes)
{
    int64_t left = conn->pause_after_bytes - conn->request_read_bytes;

    *limit_bytes = sizeof conn->in;
    if (conn->pause_after_bytes < 0 || conn->paused)
        return true;
    if (left <= 0) {
        conn->paused = true;
        return conn_hold(conn, conn->settings->params.duration_ns);
    }
    if ((uint64_t)left < *limit_bytes)
        *limit_bytes = (size_t)left;
    return true;
}

/* Called when `in` is empty. */
static bool fill(struct conn *conn)
{
    size_t limit_bytes;
    ssize_t got;

    if (!read_limit(conn, &limit_bytes))
        return false;
    if (conn->quickack)
        conn_set(conn, TCP_QUICKACK, 1);
    do
        got = conn->ssl ? tls_receive(conn, conn->in, limit_bytes)
                        : recv(conn->fd, conn->in, limit_bytes, 0);
    while (got < 0 && errno == EINTR);
    /* The option is not sticky, see tcp(7): this one sends the acknowledgement that is due. */
    if (conn->quickack)
        conn_set(conn, TCP_QUICKACK, 1);
    if (got <= 0)
        return false;
    conn->start = 0;
    conn->end = (size_t)got;
    conn->request_read_bytes += got;
    return true;
}

static bool read_bytes(struct conn *conn, int64_t count)
{
    while (count > 0) {
        size_t have = conn->end - conn->start;
        if (have == 0) {
            if (!fill(conn))
                return false;
            continue;
        }
        if ((uint64_t)count < have)
            have = (size_t)count;
        conn->start += have;
        count -= (int64_t)have;
    }
    return true;
}

/* The line without its end; what does not fit is dropped. */
static bool read_line(struct conn *conn, char line[CONN_LINE_MAX])
{
    size_t len = 0;

    for (;;) {
        if (conn->start == conn->end && !fill(conn))
            return false;
        char *from = conn->in + conn->start;
        size_t have = conn->end - conn->start;
        char *newline = memchr(from, '\n', have);
        size_t part = newline ? (size_t)(newline - from) : have;
        size_t fits = part < CONN_LINE_MAX - 1 - len ? part : CONN_LINE_MAX - 1 - len;

        memcpy(line + len, from, fits);
        len += fits;
        conn->start += part + (newline ? 1 : 0);
        if (newline)
            break;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    return true;
}

static bool read_http(struct conn *conn)
{
    char line[CONN_LINE_MAX];
    int64_t body_bytes = 0;

    if (!read_line(conn, conn->request))
        return false;
    for (;;) {
        if (!read_line(conn, line))
            return false;
        if (line[0] == '\0')
            break;
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            body_bytes = strtoll(line + 15, NULL, 10);
        if (strncasecmp(line, "Expect: 100", 11) == 0)
            conn->expects_continue = true;
    }
    if (conn->expects_continue) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (!conn_write(conn, go_on, sizeof go_on - 1))
            return false;
    }
    return read_bytes(conn, body_bytes);
}

bool conn_read_request(struct conn *conn)
{
    conn->round++;
    conn->request[0] = '\0';
    conn->expects_continue = false;
    conn->paused = false;
    conn->request_read_bytes = (int64_t)(conn->end - conn->start);
    switch (conn->settings->framing) {
    case FRAMING_LINE:
        return read_line(conn, conn->request);
    case FRAMING_BYTES:
        return read_bytes(conn, conn->settings->request_bytes);
    case FRAMING_HTTP:
        return read_http(conn);
    }
    return false;
}

/* Of exactly header_bytes: the reason phrase, which nobody reads, is as long as it takes. */
static bool add_http_header(struct buf *buf, size_t header_bytes, size_t body_bytes, bool last)
{
    cleanup(buf) struct buf rest = {0};

    buf_printf(&rest, "\r\nContent-Length: %zu\r\n%s\r\n", body_bytes,
               last ? "Connection: close\r\n" : "");
    buf_printf(buf, "HTTP/1.%d 200 OK", last ? 0 : 1);
    if (buf->len_bytes + rest.len_bytes > header_bytes)
        return false;
    buf_add_repeat(buf, "!", (int)(header_bytes - buf->len_bytes - rest.len_bytes));
    buf_add(buf, rest.data, rest.len_bytes);
    return true;
}

int answer_build(struct answer *answer, const struct settings *settings, bool last)
{
    cleanup(buf) struct buf header = {0};
    size_t len_bytes = (size_t)settings->response_bytes;
    size_t header_bytes = (size_t)settings->header_bytes;

    if (len_bytes < 1 || header_bytes >= len_bytes)
        return -EINVAL;
    if (settings->framing == FRAMING_HTTP &&
        !add_http_header(&header, header_bytes, len_bytes - header_bytes, last))
        return -EINVAL;
    char *data = malloc(len_bytes);
    if (!data || header.failed) {
        free(data);
        return -ENOMEM;
    }
    memset(data, 'x', len_bytes);
    if (header.len_bytes > 0)
        memcpy(data, header.data, header.len_bytes);
    data[len_bytes - 1] = '\n';
    *answer = (struct answer){.data = data, .header_bytes = header_bytes, .len_bytes = len_bytes};
    return 0;
}
