/* Each habit is what some real server does by its code, written the way that server writes it: the
 * kernel, not this program, makes the delay. */
#include "habits.h"

#include "base/buf.h"
#include "base/clock.h"

#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static bool write_header(struct conn *conn)
{
    const struct answer *answer = &conn->settings->answer;
    return conn_write(conn, answer->data, answer->header_bytes);
}

static bool write_body(struct conn *conn)
{
    const struct answer *answer = &conn->settings->answer;
    return conn_write(conn, answer->data + answer->header_bytes,
                      answer->len_bytes - answer->header_bytes);
}

static bool write_half(struct conn *conn)
{
    const struct answer *answer = &conn->settings->answer;
    return conn_write(conn, answer->data, answer->len_bytes / 2);
}

static bool write_other_half(struct conn *conn)
{
    const struct answer *answer = &conn->settings->answer;
    size_t half_bytes = answer->len_bytes / 2;
    return conn_write(conn, answer->data + half_bytes, answer->len_bytes - half_bytes);
}

static bool hold(struct conn *conn)
{
    return conn_hold(conn, conn->settings->params.duration_ns);
}

static bool one_write(struct conn *conn)
{
    return conn_write(conn, conn->settings->answer.data, conn->settings->answer.len_bytes);
}

static bool two_writes(struct conn *conn)
{
    return write_header(conn) && write_body(conn);
}

static bool nodelay(struct conn *conn)
{
    conn_set(conn, TCP_NODELAY, 1);
    return true;
}

static bool think(struct conn *conn)
{
    return hold(conn) && one_write(conn);
}

static bool half_sleep(struct conn *conn)
{
    return write_half(conn) && hold(conn) && write_other_half(conn);
}

static bool think_and_two_writes(struct conn *conn)
{
    return hold(conn) && two_writes(conn);
}

static bool cork(struct conn *conn)
{
    conn_set(conn, TCP_CORK, 1);
    return one_write(conn);
}

static bool cork_body(struct conn *conn)
{
    conn_set(conn, TCP_CORK, 0);
    if (!write_header(conn))
        return false;
    conn_set(conn, TCP_CORK, 1);
    return write_body(conn);
}

/* What a careful server does: it must cost nothing. */
static bool uncork(struct conn *conn)
{
    conn_set(conn, TCP_CORK, 1);
    if (!two_writes(conn))
        return false;
    conn_set(conn, TCP_CORK, 0);
    return true;
}

static bool more(struct conn *conn)
{
    const struct answer *answer = &conn->settings->answer;
    return conn_send(conn, answer->data, answer->len_bytes, MSG_MORE);
}

static bool begin_quickack(struct conn *conn)
{
    conn->quickack = true;
    return true;
}

static bool begin_stop_reading(struct conn *conn)
{
    conn->pause_after_bytes = conn->settings->params.size_bytes;
    return true;
}

static bool paced(struct conn *conn)
{
    const struct answer *answer = &conn->settings->answer;
    size_t chunk_bytes = (size_t)conn->settings->params.chunk_bytes;

    for (size_t at = 0; at < answer->len_bytes; at += chunk_bytes) {
        size_t left = answer->len_bytes - at;
        if (at > 0 && !hold(conn))
            return false;
        if (!conn_write(conn, answer->data + at, left < chunk_bytes ? left : chunk_bytes))
            return false;
    }
    return true;
}

static bool reset_mid(struct conn *conn)
{
    if (write_half(conn))
        conn_abort(conn);
    return false;
}

static bool close_mid(struct conn *conn)
{
    write_half(conn);
    return false;
}

static bool close_after(struct conn *conn)
{
    one_write(conn);
    return false;
}

static bool silent(struct conn *conn)
{
    (void)conn;
    return true;
}

static bool banner_greet(struct conn *conn)
{
    static const char greeting[] = "220 fixture ESMTP\r\n";
    return hold(conn) && conn_write(conn, greeting, sizeof greeting - 1);
}

static bool banner_answer(struct conn *conn)
{
    static const struct {
        const char *verb, *answer;
    } answers[] = {{"EHLO", "250-fixture\r\n250 HELP\r\n"},
                   {"DATA", "354 go on\r\n"},
                   {"QUIT", "221 bye\r\n"}};

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        if (strncasecmp(conn->request, answers[i].verb, 4) == 0)
            return conn_write(conn, answers[i].answer, strlen(answers[i].answer)) &&
                   strncasecmp(conn->request, "QUIT", 4) != 0;
    return conn_write(conn, "250 ok\r\n", 8);
}

static bool never_complete(struct conn *conn)
{
    do {
        if (!conn_write(conn, "x", 1))
            return false;
    } while (hold(conn));
    return false;
}

/* The boundaries of the writes fall inside size lines, chunks and their ends: a reader that takes
 * a write for a chunk fails. With TCP_NODELAY, so that each is a segment. */
static bool chunked(struct conn *conn)
{
    static const char header[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char body[] = "5;note=\"a;b\"\r\nhello\r\n"
                               "0000a\r\n\r\n0\r\n\r\n345\r\n"
                               "1\r\nx\r\n"
                               "0\r\nX-Trailer: yes\r\n\r\n";
    static const size_t writes[] = {2, 12, 3, 1, 6, 5, 1, 9, 2, 1, 7};
    size_t at = 0;

    if (!conn_write(conn, header, sizeof header - 1))
        return false;
    for (size_t i = 0; at < sizeof body - 1; i++) {
        size_t left = sizeof body - 1 - at;
        size_t part = writes[i % ARRAY_SIZE(writes)];
        part = part < left ? part : left;
        if (!conn_write(conn, body + at, part))
            return false;
        at += part;
    }
    return true;
}

/* Says 100 Continue also to those who did not ask for it, which RFC 9110 section 15.2 allows. */
static bool http_100_continue(struct conn *conn)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!conn->expects_continue && !conn_write(conn, go_on, sizeof go_on - 1))
        return false;
    return one_write(conn);
}

static bool intermittent(struct conn *conn)
{
    if (conn->round % (uint64_t)conn->settings->params.count == 0)
        return two_writes(conn);
    return one_write(conn);
}

#define MS(n) ((n)*NS_PER_MS)

/* One row a habit. */
/* clang-format off */
static const struct habit habits[] = {
    {.name = "one-write", .usage = "", .summary = "the answer in one write",
     .takes = "", .answer = one_write},
    {.name = "two-writes", .usage = "", .summary = "header, then body, Nagle on",
     .takes = "", .answer = two_writes},
    {.name = "two-writes-nodelay", .usage = "", .summary = "header, then body, TCP_NODELAY",
     .takes = "", .greet = nodelay, .answer = two_writes},
    {.name = "think", .usage = "[DUR]", .summary = "sleep, then one write",
     .takes = "d", .defaults = {.duration_ns = MS(40)}, .answer = think},
    {.name = "half-sleep", .usage = "[DUR]", .summary = "half of the answer, sleep, the other half",
     .takes = "d", .defaults = {.duration_ns = MS(65)}, .answer = half_sleep},
    {.name = "think-and-two-writes", .usage = "[DUR]", .summary = "sleep, header, body, Nagle on",
     .takes = "d", .defaults = {.duration_ns = MS(40)}, .answer = think_and_two_writes},
    {.name = "cork", .usage = "", .summary = "the answer under a TCP_CORK that is never taken off",
     .takes = "", .answer = cork},
    {.name = "cork-body", .usage = "", .summary = "the header, then the body under TCP_CORK",
     .takes = "", .answer = cork_body},
    {.name = "uncork", .usage = "", .summary = "TCP_CORK around header and body, then taken off",
     .takes = "", .answer = uncork},
    {.name = "more", .usage = "", .summary = "the answer with MSG_MORE, and nothing more",
     .takes = "", .answer = more},
    {.name = "delayed-ack", .usage = "", .summary = "an ordinary reader that answers in one write",
     .takes = "", .answer = one_write},
    {.name = "quickack", .usage = "", .summary = "TCP_QUICKACK around every read, one write",
     .takes = "", .greet = begin_quickack, .answer = one_write},
    {.name = "stop-reading", .usage = "[BYTES] [DUR|ever]",
     .summary = "read that much of each request, pause, read the rest, answer",
     .takes = "sd", .defaults = {.size_bytes = 4096, .duration_ns = FOREVER},
     .greet = begin_stop_reading, .answer = one_write},
    {.name = "large-response", .usage = "[SIZE]", .summary = "one write of that size",
     .takes = "s", .defaults = {.size_bytes = 4 << 20}, .sizes_answer = true, .answer = one_write},
    {.name = "paced-large-response", .usage = "[SIZE] [CHUNK] [DUR]",
     .summary = "a large answer in chunks with pauses, TCP_NODELAY", .takes = "scd",
     .defaults = {.size_bytes = 1 << 20, .chunk_bytes = 65536, .duration_ns = MS(2)},
     .sizes_answer = true, .greet = nodelay, .answer = paced},
    {.name = "reset-mid", .usage = "", .summary = "half of the answer, then RST",
     .takes = "", .greet = nodelay, .answer = reset_mid},
    {.name = "close-mid", .usage = "", .summary = "half of the answer, then FIN",
     .takes = "", .greet = nodelay, .answer = close_mid},
    {.name = "close-after", .usage = "", .summary = "the answer, then FIN, like HTTP/1.0",
     .takes = "", .last = true, .answer = close_after},
    {.name = "silent", .usage = "", .summary = "read and never answer",
     .takes = "", .answer = silent},
    {.name = "no-accept", .usage = "", .summary = "listen and never accept",
     .takes = "", .no_accept = true, .answer = silent},
    {.name = "trickle", .usage = "[DUR]", .summary = "a byte at a time, TCP_NODELAY",
     .takes = "d", .defaults = {.chunk_bytes = 1, .duration_ns = MS(1)},
     .greet = nodelay, .answer = paced},
    {.name = "banner", .usage = "[DUR]", .summary = "pause, speak first, then answer like SMTP",
     .takes = "d", .greet = banner_greet, .answer = banner_answer},
    {.name = "never-complete", .usage = "[DUR]", .summary = "a byte now and then, never a line end",
     .takes = "d", .defaults = {.duration_ns = MS(10)},
     .greet = nodelay, .answer = never_complete},
    {.name = "chunked", .usage = "", .summary = "chunked HTTP in writes with odd boundaries",
     .takes = "", .greet = nodelay, .answer = chunked},
    {.name = "http-100-continue", .usage = "", .summary = "100 Continue, then the answer",
     .takes = "", .greet = nodelay, .answer = http_100_continue},
    {.name = "intermittent", .usage = "[K]", .summary = "every K-th answer in two writes, Nagle on",
     .takes = "n", .defaults = {.count = 5}, .answer = intermittent},
};
/* clang-format on */

const struct habit *habit_at(size_t index)
{
    return index < ARRAY_SIZE(habits) ? &habits[index] : NULL;
}

const struct habit *habit_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(habits); i++)
        if (strcmp(habits[i].name, name) == 0)
            return &habits[i];
    return NULL;
}
