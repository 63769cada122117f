/* The conversation's bytes on their way to and from the kernel, through TLS where that was asked
 * for. The round hears of TCP's bytes, because the kernel's stamps are about those: what was
 * written, and the arrivals that carried an answer or a part of one. A record without application
 * data (a session ticket, an alert) is no part of an answer; one of which a part has come counts at
 * once when it must be data, and as soon as it is known when it may be a ticket. */
#include "probe/target.h"

#include <errno.h>
#include <string.h>

#define STALE_READS_MAX 16 /* so much is cleared away between rounds */

/* ---- to the peer ---- */

static ssize_t put(struct target *target, const char *bytes, size_t len_bytes)
{
    return sock_write(&target->sock, bytes, len_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tell_round(struct target *target)
{
    round_write(&target->builder, target->entered_real_ns, target->returned_real_ns,
                (uint64_t)(target->sock.bytes_sent - target->round_base_bytes));
}

int stream_flush(struct target *target, bool in_round)
{
    const char *bytes;
    size_t len_bytes;

    while ((bytes = tls_pending(&target->tls, &len_bytes))) {
        ssize_t sent = put(target, bytes, len_bytes);
        if (sent < 0)
            return (int)sent;
        tls_written(&target->tls, (size_t)sent);
        if (in_round)
            tell_round(target);
    }
    return 0;
}

ssize_t stream_write(struct target *target, const char *bytes, size_t len_bytes)
{
    struct tls *tls = &target->tls;

    if (!tls->ssl) {
        ssize_t sent = put(target, bytes, len_bytes);
        if (sent >= 0)
            tell_round(target);
        return sent;
    }
    int rc = tls->out_plain_bytes ? 0 : tls_seal(tls, bytes, len_bytes, NULL);
    if (!rc)
        rc = stream_flush(target, true);
    if (rc)
        return rc;
    ssize_t taken = (ssize_t)tls->out_plain_bytes;
    tls->out_plain_bytes = 0;
    return taken;
}

void stream_end(struct target *target)
{
    if (!target->tls.ssl)
        return;
    tls_end(&target->tls);
    stream_flush(target, false);
    tls_free(&target->tls);
}

/* ---- from the peer ---- */

static void note_arrival(struct target *target, int64_t arrived, size_t bytes)
{
    size_t *count = &target->arrival_count;
    struct stream_arrival *arrival = &target->arrivals[*count];

    if (*count == STREAM_ARRIVALS_MAX) { /* so many are no ticket's: see count_arrivals() */
        (arrival - 1)->bytes += bytes;
        return;
    }
    *arrival =
        (struct stream_arrival){.arrived_ns = arrived == SOCK_NO_TIME ? RESULT_UNKNOWN : arrived,
                                .returned_ns = target->returned_real_ns,
                                .bytes = bytes};
    ++*count;
}

/* Which of the arrivals that are not told yet belong to an answer. */
static void count_arrivals(struct target *target, struct stream_input *input)
{
    enum tls_partial partial = target->tls.ssl ? tls_partial(&target->tls) : TLS_PARTIAL_NONE;

    if (partial == TLS_PARTIAL_PERHAPS && target->arrival_count < STREAM_ARRIVALS_MAX &&
        !input->len_bytes)
        return;
    if (input->len_bytes || partial != TLS_PARTIAL_NONE) {
        input->arrivals = target->arrivals;
        input->arrival_count = target->arrival_count;
    } else if (target->arrival_count) {
        const struct stream_arrival *last = &target->arrivals[target->arrival_count - 1];
        round_notice(&target->builder,
                     last->arrived_ns != RESULT_UNKNOWN ? last->arrived_ns : last->returned_ns);
    }
    target->arrival_count = 0;
}

static int unwrap(struct target *target, size_t len_bytes, struct stream_input *input,
                  struct error *error)
{
    struct run *run = target->run;

    *input = (struct stream_input){.bytes = run->buffer, .len_bytes = len_bytes};
    if (!target->tls.ssl)
        return 0;
    if (len_bytes)
        tls_feed(&target->tls, run->buffer, len_bytes);
    ssize_t plain = tls_take(&target->tls, run->plain, sizeof run->plain, error);
    if (plain < 0)
        return (int)plain;
    *input = (struct stream_input){
        .bytes = run->plain, .len_bytes = (size_t)plain, .closed = target->tls.closed};
    return 0;
}

/* A server of TLS 1.3 that wants a certificate of ours says so after the handshake. */
static void broken(struct target *target, const struct error *error)
{
    bool before = !target->tls.answered;

    target_failed(target, before ? FINDING_TLS_HANDSHAKE_FAILED : FINDING_PEER_ABORTED, EPROTO,
                  "TLS ended %s: %s",
                  before ? "right after the handshake" : "in the middle of the conversation",
                  error->text);
}

ssize_t stream_read(struct target *target, struct stream_input *input)
{
    struct run *run = target->run;
    struct error error = {0};
    int64_t arrived;
    ssize_t got =
        sock_read_stamped(&target->sock, run->buffer, sizeof run->buffer, MSG_DONTWAIT, &arrived);

    if (got <= 0)
        return got;
    if (unwrap(target, (size_t)got, input, &error)) {
        broken(target, &error);
        return -EAGAIN;
    }
    note_arrival(target, arrived, (size_t)got);
    count_arrivals(target, input);
    return got;
}

int stream_read_on(struct target *target, struct stream_input *input)
{
    struct error error = {0};
    int rc = unwrap(target, 0, input, &error);

    if (rc)
        broken(target, &error);
    return rc;
}

bool stream_clear(struct target *target, size_t *stale_bytes)
{
    struct run *run = target->run;
    struct stream_input input;

    target->arrival_count = 0;
    for (int i = 0; i < STALE_READS_MAX; i++) {
        if (target->tls.ssl && target->tls.closed)
            return true;
        ssize_t got = recv(target->sock.fd, run->buffer, sizeof run->buffer, MSG_DONTWAIT);
        if (got <= 0)
            return !got || errno != EAGAIN;
        if (unwrap(target, (size_t)got, &input, NULL))
            return true;
        *stale_bytes += input.len_bytes;
    }
    return false;
}
