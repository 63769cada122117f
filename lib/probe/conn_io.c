/* The bytes on their way to and from the kernel, through TLS where that was asked for. The user
 * hears of TCP's bytes, because the kernel's stamps are about those: what was written, and the
 * arrivals that carried an answer or a part of one. A record without application data (a session
 * ticket, an alert) is no part of an answer; one of which a part has come counts at once when it
 * must be data, and as soon as it is known when it may be a ticket. */
#include "probe/conn_internal.h"

#include "probe/timestamping.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STALE_READS_MAX 16 /* of what is cleared away between rounds */
#define STAMPS_MAX      8  /* a round with one write has three */

/* ---- the loop, the socket, the user ---- */

void conn_fail(struct conn *conn, enum finding_code code, int number, const char *format, ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    conn_fail_by(conn, code, number, FAILURE_NOT_KNOWN, arena_copy(conn->shared->arena, text));
}

void conn_fail_by(struct conn *conn, enum finding_code code, int number, enum failure_cause cause,
                  const char *message)
{
    if (cause == FAILURE_NOT_KNOWN)
        cause = failure_of_shortage(number);
    if (failure_entry(cause)->code == FINDING_MACHINE_REFUSES)
        code = FINDING_MACHINE_REFUSES;
    const struct result_error error = {
        code, number, message, cause == FAILURE_NOT_KNOWN ? NULL : failure_entry(cause)->name};

    conn->user->failed(conn->owner, &error);
}

enum finding_code conn_code_of(int number, enum finding_code otherwise)
{
    enum finding_code code = finding_of_errno(number);
    return code == FINDING_NONE ? otherwise : code;
}

bool conn_watch(struct conn *conn, uint32_t interest)
{
    int rc = loop_watch(conn->shared->loop, &conn->task, conn->sock.fd, interest);

    if (rc)
        conn_fail(conn, FINDING_INCONCLUSIVE, -rc, "cannot watch the connection: %s",
                  strerror(-rc));
    return !rc;
}

void conn_unwatch(struct conn *conn)
{
    loop_unwatch(conn->shared->loop, &conn->task);
}

void conn_timer(struct conn *conn, int64_t at_ns)
{
    loop_timer(conn->shared->loop, &conn->task, at_ns);
}

void conn_active(struct conn *conn)
{
    admission_note(conn->shared->admission, &conn->place);
}

/* TCP_QUICKACK does not stick (tcp(7)): the kernel falls back by itself, so it is set again before
 * and after everything that could make it do so. */
void conn_quickack(struct conn *conn)
{
    int on = conn->variant.quickack;

    if (conn->variant.quickack || conn->variant.late_ack)
        setsockopt(conn->sock.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

void conn_observe(void *context, const struct sock_call *call)
{
    struct conn *conn = context;

    if (call->stage != SOCK_CALL_RETURNED)
        return;
    conn->entered_real_ns = call->entered_real_ns;
    conn->returned_real_ns = call->returned_real_ns;
    conn->returned_mono_ns = call->returned_mono_ns;
    if (conn->strip && call->error != EAGAIN &&
        (call->verb == SOCK_VERB_READ || call->verb == SOCK_VERB_WRITE))
        timestamping_record_call(conn->strip, 1, call);
}

bool conn_take_stamps(struct conn *conn)
{
    struct sock_stamp stamps[STAMPS_MAX];
    bool any = false;
    int count;

    /* A Unix-domain socket has no error queue: asked for that, it would give the answer itself. */
    if (!conn->opening.stamps)
        return false;
    do {
        count = sock_stamps_drain(&conn->sock, stamps, STAMPS_MAX);
        any |= count > 0;
        for (int i = 0; i < count && conn->user->stamped; i++)
            conn->user->stamped(conn->owner, &stamps[i]);
    } while (count == STAMPS_MAX);
    return any;
}

/* ---- to the peer ---- */

static ssize_t write_raw(struct conn *conn, const char *bytes, size_t len_bytes, bool of_request)
{
    ssize_t sent;

    do
        sent = sock_write(&conn->sock, bytes, len_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent == -EINTR);

    if (sent >= 0 && of_request)
        conn->user->wrote(conn->owner);
    return sent;
}

int conn_flush(struct conn *conn, bool of_request)
{
    const char *bytes;
    size_t len_bytes;

    while ((bytes = tls_pending(&conn->tls, &len_bytes))) {
        ssize_t sent = write_raw(conn, bytes, len_bytes, of_request);
        if (sent < 0)
            return (int)sent;
        tls_written(&conn->tls, (size_t)sent);
    }
    return 0;
}

ssize_t conn_write(struct conn *conn, const char *bytes, size_t len_bytes)
{
    struct tls *tls = &conn->tls;

    if (!tls->ssl)
        return write_raw(conn, bytes, len_bytes, true);
    int rc = tls->out_plain_bytes ? 0 : tls_seal(tls, bytes, len_bytes, NULL);
    if (!rc)
        rc = conn_flush(conn, true);
    if (rc)
        return rc;
    ssize_t taken = (ssize_t)tls->out_plain_bytes;
    tls->out_plain_bytes = 0;
    return taken;
}

/* ---- from the peer ---- */

static void add_arrival(struct conn *conn, int64_t arrived, size_t bytes)
{
    size_t *count = &conn->arrival_count;
    struct conn_arrival *arrival = &conn->arrivals[*count];

    if (*count == CONN_ARRIVALS_MAX) { /* a ticket needs fewer: see count_arrivals() */
        (arrival - 1)->bytes += bytes;
        return;
    }
    *arrival =
        (struct conn_arrival){.arrived_ns = arrived == SOCK_NO_TIME ? RESULT_UNKNOWN : arrived,
                              .returned_ns = conn->returned_real_ns,
                              .bytes = bytes};
    ++*count;
}

/* Which of the arrivals that are not told yet belong to an answer. */
static void count_arrivals(struct conn *conn, struct conn_input *input)
{
    enum tls_partial partial = conn->tls.ssl ? tls_partial(&conn->tls) : TLS_PARTIAL_NONE;

    if (partial == TLS_PARTIAL_PERHAPS && conn->arrival_count < CONN_ARRIVALS_MAX &&
        !input->len_bytes)
        return;
    if (input->len_bytes || partial != TLS_PARTIAL_NONE) {
        input->arrivals = conn->arrivals;
        input->arrival_count = conn->arrival_count;
    } else if (conn->arrival_count) {
        const struct conn_arrival *last = &conn->arrivals[conn->arrival_count - 1];
        input->other_ns = last->arrived_ns != RESULT_UNKNOWN ? last->arrived_ns : last->returned_ns;
    }
    conn->arrival_count = 0;
}

static int unwrap(struct conn *conn, size_t len_bytes, struct conn_input *input,
                  struct error *error)
{
    struct conn_shared *shared = conn->shared;

    *input = (struct conn_input){
        .bytes = shared->buffer, .len_bytes = len_bytes, .other_ns = RESULT_UNKNOWN};
    if (!conn->tls.ssl)
        return 0;
    if (len_bytes)
        tls_feed(&conn->tls, shared->buffer, len_bytes);
    ssize_t plain = tls_take(&conn->tls, shared->plain, sizeof shared->plain, error);
    if (plain < 0)
        return (int)plain;
    input->bytes = shared->plain;
    input->len_bytes = (size_t)plain;
    input->closed = conn->tls.closed;
    return 0;
}

/* A server of TLS 1.3 that wants a certificate of ours says so after the handshake. */
static void tls_broke(struct conn *conn, const struct error *error)
{
    bool before = !conn->tls.answered;

    conn_fail(conn, before ? FINDING_TLS_HANDSHAKE_FAILED : FINDING_PEER_ABORTED, error->code,
              "TLS ended %s: %s",
              before ? "right after the handshake" : "in the middle of the conversation",
              error->text);
}

ssize_t conn_read(struct conn *conn, struct conn_input *input)
{
    char *buffer = conn->shared->buffer;
    struct error error = {0};
    int64_t arrived;
    ssize_t got;

    do
        got = sock_read_stamped(&conn->sock, buffer, CONN_BUFFER_BYTES, MSG_DONTWAIT, &arrived);
    while (got == -EINTR);
    if (got <= 0)
        return got;
    if (unwrap(conn, (size_t)got, input, &error)) {
        tls_broke(conn, &error);
        return -EAGAIN;
    }
    add_arrival(conn, arrived, (size_t)got);
    count_arrivals(conn, input);
    return got;
}

int conn_read_on(struct conn *conn, struct conn_input *input)
{
    struct error error = {0};
    int rc = unwrap(conn, 0, input, &error);

    if (rc)
        tls_broke(conn, &error);
    return rc;
}

bool conn_clear(struct conn *conn, size_t *stale_bytes)
{
    struct conn_input input;

    conn->arrival_count = 0;
    for (int i = 0; i < STALE_READS_MAX; i++) {
        if (conn->tls.ssl && conn->tls.closed)
            return true;
        ssize_t got = recv(conn->sock.fd, conn->shared->buffer, CONN_BUFFER_BYTES, MSG_DONTWAIT);
        if (got <= 0)
            return !got || errno != EAGAIN;
        if (unwrap(conn, (size_t)got, &input, NULL))
            return true;
        *stale_bytes += input.len_bytes;
    }
    return false;
}
