/* TLS's handshake: a phase of its own between connecting and the first round.
 *
 * The last flight of ours, after which the peer has nothing to say in TLS 1.3, is not written by
 * itself when a request follows: it goes out with the request's first piece, as from a client that
 * buffers. Alone it would be a small segment that is not acknowledged, behind which Nagle's
 * algorithm would hold the first request of every connection for a round trip. */
#include "probe/target.h"

#include "base/text.h"
#include "base/units.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define QUOTE_BYTES 60 /* of what a server says that does not speak TLS */

static void handshake_failed(struct target *target, int rc, const struct error *error)
{
    if (rc == -EKEYREJECTED)
        target_failed(target, FINDING_TLS_CERTIFICATE, 0,
                      "the server's certificate is not accepted: %s", error->text);
    else if (rc == -ENOMEM)
        target_failed(target, FINDING_INCONCLUSIVE, ENOMEM, "out of memory for TLS");
    else
        target_failed(target, FINDING_TLS_HANDSHAKE_FAILED, EPROTO, "the TLS handshake failed: %s",
                      error->text);
}

/* By EOF (number 0) or an error. */
static void handshake_cut(struct target *target, int number)
{
    long long came = target->tls_bytes;

    target_failed(target, FINDING_TLS_HANDSHAKE_FAILED, number,
                  "the server %s the connection in the middle of the TLS handshake, after %lld "
                  "bytes of its own%s",
                  number ? "aborted" : "closed", came,
                  came ? "" : "; perhaps it does not speak TLS on this port");
}

static void answered_in_plain(struct target *target, size_t len_bytes)
{
    cleanup(buf) struct buf quote = {0};

    text_escape(&quote, target->run->buffer, len_bytes < QUOTE_BYTES ? len_bytes : QUOTE_BYTES);
    target_failed(target, FINDING_TLS_HANDSHAKE_FAILED, EPROTO,
                  "the server does not speak TLS on this port: it says \"%s%s\"", buf_str(&quote),
                  len_bytes > QUOTE_BYTES ? "..." : "");
}

void securing_timed_out(struct target *target)
{
    char span[UNITS_TEXT_MAX];

    units_format_duration(span, sizeof span, target->run->plan->connect_timeout_ns, "u");
    target_failed(
        target, FINDING_TLS_HANDSHAKE_FAILED, ETIMEDOUT,
        "connected, but the TLS handshake was not over within %s (--connect-timeout); %lld "
        "bytes came",
        span, (long long)target->tls_bytes);
}

/* What the first connection says stands for all: sessions are not resumed, so they are alike. */
static void learn_handshake(struct target *target)
{
    struct tls *tls = &target->tls;
    struct arena *arena = target->run->arena;

    target->tls_took_ns = clock_mono_ns() - target->tls_began_ns;
    if (target->tls_result)
        return;
    target->tls_ns = target->tls_took_ns;
    target->tls_result = tls_describe(tls, arena);
    target->tls_rejected = tls->rejected[0] ? arena_copy(arena, tls->rejected) : NULL;
}

/* The handshake is over; what the server has said behind it is here already. */
static void secured(struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    bool greets = plan->greeting.kind != FRAMING_NOTHING;
    struct stream_input input;

    if (stream_read_on(target, &input))
        return;
    if (plan->connect_only) {
        opening_finish_round(target);
        return;
    }
    if (!greets)
        target->surplus_bytes += (int64_t)input.len_bytes;
    talk_begin(target);
    if (greets && (input.len_bytes || input.closed))
        talk_greeted(target, &input);
}

static void wait_on(struct target *target, bool to_write)
{
    bool over = target->tls.established;

    if (over)
        tls_keep(&target->tls);
    talk_watch(target, (over ? 0 : EPOLLIN) | (to_write ? EPOLLOUT : 0));
}

static void go_on(struct target *target)
{
    struct tls *tls = &target->tls;
    const struct probe_plan *plan = target->run->plan;
    bool before = tls->established;
    struct error error = {0};
    int rc = before ? 1 : tls_handshake(tls, &error);

    if (rc == 1 && !before)
        learn_handshake(target);
    bool request_follows = !plan->connect_only && plan->greeting.kind == FRAMING_NOTHING;
    int written = rc == 1 && request_follows ? 0 : stream_flush(target, false);
    target->tls_waits_ns = clock_mono_ns();
    if (rc < 0)
        handshake_failed(target, rc, &error);
    else if (written && written != -EAGAIN)
        handshake_cut(target, -written);
    else if (rc == 1 && !written)
        secured(target);
    else
        wait_on(target, written != 0);
}

void securing_wake(struct target *target)
{
    struct run *run = target->run;
    struct tls *tls = &target->tls;
    size_t pending;

    if (tls->established) { /* only the end of our last flight is to be written */
        go_on(target);
        return;
    }
    ssize_t got = sock_read(&target->sock, run->buffer, sizeof run->buffer, MSG_DONTWAIT);

    if (got == -EAGAIN) {
        if (tls_pending(tls, &pending))
            go_on(target);
        return;
    }
    if (got <= 0) {
        handshake_cut(target, (int)-got);
        return;
    }
    target->tls_waited_ns += clock_mono_ns() - target->tls_waits_ns;
    if (!target->tls_bytes && !tls_is_record(run->buffer, (size_t)got)) {
        answered_in_plain(target, (size_t)got);
        return;
    }
    target->tls_bytes += got;
    tls_feed(tls, run->buffer, (size_t)got);
    go_on(target);
}

void securing_begin(struct target *target)
{
    struct error error = {0};

    target->tls_bytes = target->tls_waited_ns = 0;
    target->arrival_count = 0;
    target->tls_began_ns = clock_mono_ns();
    int rc = tls_start(&target->tls, target->run->tls, target->asked->where.host, &error);
    if (rc) {
        handshake_failed(target, rc, &error);
        return;
    }
    talk_enter(target, TALK_SECURING, target->run->plan->connect_timeout_ns);
    go_on(target);
}
