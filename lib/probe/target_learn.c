#include "probe/target_learn.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <string.h>

#define ANSWER_SHOWN_MAX  120
#define IDLE_CLOSE_MIN_NS (100 * NS_PER_MS)

const struct sock_address *target_address(const struct target *target)
{
    const struct sock_address *address = target->conn.opening.address;
    return address ? address : target->addresses.items;
}

void target_learn_tls(struct target *target)
{
    const struct conn *conn = &target->conn;
    struct arena *arena = target->shared->conn.arena;

    if (target->tls || conn->opening.tls_ns == RESULT_UNKNOWN)
        return;
    target->tls_ns = conn->opening.tls_ns;
    target->tls = tls_describe(&conn->tls, arena);
    target->tls_rejected = conn->tls.rejected[0] ? arena_copy(arena, conn->tls.rejected) : NULL;
}

/* Other addresses of the name took a connection, and answered nothing. */
static void learn_passed_over(struct target *target)
{
    const struct conn_opening *opening = &target->conn.opening;

    if (!target->passed_over)
        return;
    target->fallback_ns = clock_mono_ns() - target->started_ns - opening->connect_ns;
    target->fallback = target->fallback ? arena_printf(target->shared->conn.arena, "%s; %s",
                                                       target->passed_over, target->fallback)
                                        : target->passed_over;
}

/* What the first connection says stands for all: sessions of TLS are not resumed, so they are
 * alike. */
void target_learn_connection(struct target *target)
{
    const struct conn_opening *opening = &target->conn.opening;
    bool first = !target->connections++;

    if (first) {
        target->connect_ns = opening->connect_ns;
        target->fallback_ns = opening->fallback_ns;
        target->fallback = opening->fallback;
        learn_passed_over(target);
        target->local = opening->local;
        target->stamps = opening->stamps;
    }
    target->stamps &= opening->stamps;
    target->syn_retransmits += opening->syn_retransmits;
    target->slow_connects += opening->syn_retransmits > 0;
    if (opening->rtt_ns &&
        (target->connect_rtt_ns == RESULT_UNKNOWN || opening->rtt_ns < target->connect_rtt_ns))
        target->connect_rtt_ns = opening->rtt_ns;
    if (target->conn.variant.mss_bytes)
        target->small_mss_bytes = TARGET_SMALL_MSS - (opening->timestamps ? 12 : 0);
}

bool target_is_local(const struct target *target)
{
    struct sock_address here = target->local;

    if (sock_family(&here) == AF_UNIX)
        return true;
    if (!here.len_bytes)
        return false;
    sock_address_set_port(&here, sock_address_port(target_address(target)));
    return sock_address_equal(&here, target_address(target));
}

/* How many connections the listener has to accept before the new one, which is behind them in the
 * queue or has left it already. Without an answer nothing is known to wait. */
void target_look_at_accept_queue(struct target *target)
{
    struct target_shared *shared = target->shared;
    struct sock_diag_entry listener;

    target->accept_queue = 0;
    if (sock_family(target_address(target)) == AF_UNIX || !target_is_local(target) ||
        (!shared->diag && sock_diag_open(&shared->diag, NULL)) ||
        sock_diag_listener(shared->diag, target_address(target), &listener, NULL))
        return;
    if (listener.rqueue)
        target->accept_queue = listener.rqueue - 1;
}

/* The peer's bytes are made printable here, once. */
static const char *keep_header(struct target *target, const char *line)
{
    cleanup(buf) struct buf escaped = {0};

    if (!*line)
        return NULL;
    text_escape(&escaped, line, strlen(line));
    return arena_copy(target->shared->conn.arena, buf_str(&escaped));
}

/* Who answers, by the first answer. */
void target_learn_headers(struct target *target)
{
    const struct http_reader *http = framing_http_of(&target->transaction.reader);

    if (!http)
        return;
    target->http_server = keep_header(target, http->server);
    target->http_proxy = keep_header(target, http->proxy);
}

/* Of all answers the first is told, or the first that is not as it should be. */
void target_learn_answer(struct target *target)
{
    const struct transaction *transaction = &target->transaction;
    const struct framing_answer *answer = &transaction->answer;
    size_t shown = answer->text_bytes < ANSWER_SHOWN_MAX ? answer->text_bytes : ANSWER_SHOWN_MAX;
    bool first = !target->answers++;

    if (transaction->unexpected ? !target->unexpected++ : first) {
        cleanup(buf) struct buf text = {0};
        text_escape(&text, answer->text, shown);
        target->status = answer->status;
        if (answer->known || transaction->unexpected)
            target->answer = arena_copy(target->shared->conn.arena, buf_str(&text));
    }
}

/* A server that closes after each answer does so at once; one that waits for another request gives
 * up later. Where the end was seen only when the connection was used, it came during the rest. */
void target_note_idle_close(struct target *target)
{
    const struct transaction *transaction = &target->transaction;
    int64_t rtt_ns = target->connect_rtt_ns == RESULT_UNKNOWN ? 0 : target->connect_rtt_ns;
    bool seen = transaction->left_after_ns != RESULT_UNKNOWN;
    bool on_use = !seen && (transaction->ended_by == ECONNRESET || transaction->ended_by == EPIPE);

    if (!target->shared->plan->arms.interval_ns || (!seen && !on_use) ||
        (seen && transaction->left_after_ns < IDLE_CLOSE_MIN_NS + 2 * rtt_ns))
        return;
    if (target->closed_idle++)
        return;
    target->idle_close_ns =
        seen ? transaction->left_after_ns : clock_mono_ns() - transaction->rested_from_ns;
    target->idle_close = on_use                       ? IDLE_RST_ON_USE
                         : transaction->left_by_reset ? IDLE_RST
                                                      : IDLE_FIN;
}
