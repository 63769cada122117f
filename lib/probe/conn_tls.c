/* TLS's handshake, between connecting and the first round.
 *
 * The last flight of ours, after which the peer has nothing to say in TLS 1.3, is not written by
 * itself when a request follows: it goes out with the request's first piece, as from a client that
 * buffers. Alone it would be a small segment that is not acknowledged, behind which Nagle's
 * algorithm would hold the first request of every connection for a round trip. */
#include "probe/conn_internal.h"

#include "base/text.h"
#include "base/units.h"
#include <errno.h>
#include <string.h>

#define QUOTE_BYTES 60 /* of what a server says that does not speak TLS */

static void handshake_failed(struct conn *conn, int rc, const struct error *error)
{
    if (rc == -EKEYREJECTED)
        conn_fail(conn, FINDING_TLS_CERTIFICATE, 0, "the server's certificate is not accepted: %s",
                  error->text);
    else
        conn_fail(conn, FINDING_TLS_HANDSHAKE_FAILED, -rc, "the TLS handshake failed: %s",
                  error->text);
}

/* By EOF (number 0) or an error. */
static void handshake_cut(struct conn *conn, int number)
{
    long long came = conn->opening.tls_bytes;

    conn_fail(conn, FINDING_TLS_HANDSHAKE_FAILED, number,
              "the server %s the connection in the middle of the TLS handshake, after %lld bytes "
              "of its own%s",
              number ? "aborted" : "closed", came,
              came ? ""
                   : "; perhaps it does not speak TLS on this port, or what accepts connections "
                     "there has no "
                     "backend");
}

static void answered_in_plain(struct conn *conn, size_t len_bytes)
{
    cleanup(buf) struct buf quote = {0};

    text_escape(&quote, conn->shared->buffer, len_bytes < QUOTE_BYTES ? len_bytes : QUOTE_BYTES);
    conn_fail(conn, FINDING_TLS_HANDSHAKE_FAILED, EPROTO,
              "the server does not speak TLS on this port: it says \"%s%s\"", buf_str(&quote),
              len_bytes > QUOTE_BYTES ? "..." : "");
}

static void handshake_timed_out(struct conn *conn)
{
    char span[UNITS_TEXT_MAX];

    units_format_duration(span, sizeof span, conn->shared->settings->timeout_ns, "u");
    conn_fail(conn, FINDING_TLS_HANDSHAKE_FAILED, ETIMEDOUT,
              "connected, but the TLS handshake was not over within %s (--connect-timeout); %lld "
              "bytes came",
              span, (long long)conn->opening.tls_bytes);
}

/* The handshake is over; what the server has said behind it is here already. */
static void handshake_over(struct conn *conn)
{
    struct conn_input input;

    if (conn_read_on(conn, &input))
        return;
    conn->state = CONN_OPEN;
    conn_timer(conn, INT64_MAX);
    conn->user->opened(conn->owner, &input);
}

static void wait_on(struct conn *conn, bool to_write)
{
    bool over = conn->tls.established;

    if (over)
        tls_keep(&conn->tls);
    conn_watch(conn, (over ? 0 : EPOLLIN) | (to_write ? EPOLLOUT : 0));
}

static void handshake_step(struct conn *conn)
{
    struct tls *tls = &conn->tls;
    bool before = tls->established;
    struct error error = {0};
    int rc = before ? 1 : tls_handshake(tls, &error);

    if (rc == 1 && !before)
        conn->opening.tls_ns = clock_mono_ns() - conn->tls_began_ns;
    int written = rc == 1 && conn->variant.request_follows ? 0 : conn_flush(conn, false);
    conn->tls_waits_ns = clock_mono_ns();
    if (rc < 0)
        handshake_failed(conn, rc, &error);
    else if (written && written != -EAGAIN)
        handshake_cut(conn, -written);
    else if (rc == 1 && !written)
        handshake_over(conn);
    else
        wait_on(conn, written != 0);
}

void conn_tls_woken(struct conn *conn, uint32_t events)
{
    struct conn_opening *opening = &conn->opening;
    char *buffer = conn->shared->buffer;
    struct tls *tls = &conn->tls;
    size_t pending;

    if (!events) {
        handshake_timed_out(conn);
        return;
    }
    if (tls->established) { /* only the end of our last flight is to be written */
        handshake_step(conn);
        return;
    }
    ssize_t got = sock_read(&conn->sock, buffer, CONN_BUFFER_BYTES, MSG_DONTWAIT);
    if (got == -EAGAIN) {
        if (tls_pending(tls, &pending))
            handshake_step(conn);
        return;
    }
    if (got <= 0) {
        handshake_cut(conn, (int)-got);
        return;
    }
    opening->tls_wait_ns += clock_mono_ns() - conn->tls_waits_ns;
    if (!opening->tls_bytes && !tls_is_record(buffer, (size_t)got)) {
        answered_in_plain(conn, (size_t)got);
        return;
    }
    opening->tls_bytes += got;
    tls_feed(tls, buffer, (size_t)got);
    handshake_step(conn);
}

void conn_tls_start(struct conn *conn)
{
    struct error error = {0};

    conn->state = CONN_HANDSHAKE;
    conn->tls_began_ns = clock_mono_ns();
    int rc = tls_start(&conn->tls, conn->shared->tls, conn->host, &error);
    if (rc) {
        handshake_failed(conn, rc, &error);
        return;
    }
    conn_timer(conn, conn->tls_began_ns + conn->shared->settings->timeout_ns);
    handshake_step(conn);
}
