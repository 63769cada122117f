/* What is told of an exchange that failed. */
#include "probe/transaction_internal.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"
#include <errno.h>
#include <string.h>

#define QUOTE_MAX 200 /* of what came */

static const char *describe_awaited(const struct transaction *transaction, char *out, size_t size)
{
    return framing_describe(out, size, &transaction->settings->framing);
}

/* ": \"what came\"", or nothing. */
static const char *quote_head(const struct transaction *transaction, struct buf *out)
{
    size_t bytes = transaction->head_bytes;

    if (!bytes)
        return "";
    buf_add_str(out, ": \"");
    text_escape(out, transaction->head, bytes < QUOTE_MAX ? bytes : QUOTE_MAX);
    buf_add_str(out, transaction->reader.seen_bytes > QUOTE_MAX ? "\"..." : "\"");
    return buf_str(out);
}

void transaction_failed_here(struct transaction *transaction, const char *what, int number)
{
    conn_fail(transaction->conn, FINDING_INCONCLUSIVE, number, "cannot %s: %s", what,
              strerror(number));
}

void transaction_peer_ended(struct transaction *transaction, int number)
{
    char awaited[FRAMING_DESCRIPTION_MAX];
    cleanup(buf) struct buf head = {0};
    unsigned long long got = transaction->reader.seen_bytes;
    struct conn *conn = transaction->conn;

    if (!number)
        number = transaction->send_error;
    transaction->reset_early =
        (number == ECONNRESET || number == EPIPE) && transaction_is_early(transaction);
    if (!got && transaction->rounds_on_connection && !transaction->retried) {
        transaction->retried = true;
        transaction->ended_by = number;
        transaction->user->closed(transaction->owner);
        return;
    }
    describe_awaited(transaction, awaited, sizeof awaited);
    quote_head(transaction, &head);
    if (number == ETIMEDOUT) /* of retransmissions: we are connected */
        conn_fail(conn, FINDING_NO_RESPONSE, number,
                  "the server stopped acknowledging after %llu bytes of the answer, waiting for "
                  "%s: %s%s",
                  got, awaited, strerror(number), buf_str(&head));
    else if (number && got)
        conn_fail_by(conn, conn_code_of(number, FINDING_PEER_ABORTED), number,
                     FAILURE_ANSWER_CUT_OFF,
                     arena_printf(conn->shared->arena,
                                  "the server aborted the connection after %llu bytes of the "
                                  "answer, waiting for %s: %s%s",
                                  got, awaited, strerror(number), buf_str(&head)));
    else if (number)
        conn_fail(conn, conn_code_of(number, FINDING_PEER_ABORTED), number,
                  "the server aborted the connection after %llu bytes of the answer, waiting for "
                  "%s: %s%s",
                  got, awaited, strerror(number), buf_str(&head));
    else
        conn_fail(
            conn, FINDING_RESPONSE_TRUNCATED, 0,
            "the server closed the connection after %llu bytes of the answer, waiting for %s%s",
            got, awaited, buf_str(&head));
}

void transaction_timed_out(struct transaction *transaction)
{
    char awaited[FRAMING_DESCRIPTION_MAX], span[UNITS_TEXT_MAX];
    cleanup(buf) struct buf head = {0};

    describe_awaited(transaction, awaited, sizeof awaited);
    units_format_duration(span, sizeof span, transaction_timeout_ns(transaction), "u");
    transaction_abandon(transaction);
    int64_t acked = transaction_acked_bytes(transaction, transaction->base_bytes);
    int64_t sent = transaction->conn->sock.bytes_sent - transaction->base_bytes;
    if (transaction->sent_bytes < transaction->request_bytes || acked < sent)
        conn_fail(transaction->conn, FINDING_NO_RESPONSE, ETIMEDOUT,
                  "the server acknowledged %lld of the request's %zu bytes within %s and answered "
                  "nothing complete",
                  (long long)(acked < sent ? acked : (int64_t)transaction->sent_bytes),
                  transaction->request_bytes, span);
    else
        conn_fail(transaction->conn, FINDING_NO_RESPONSE, ETIMEDOUT,
                  "waited %s for %s; %llu bytes came%s", span, awaited,
                  (unsigned long long)transaction->reader.seen_bytes,
                  quote_head(transaction, &head));
}

void transaction_misunderstood(struct transaction *transaction, const struct error *error)
{
    cleanup(buf) struct buf head = {0};

    conn_fail(transaction->conn, FINDING_UNEXPECTED_ANSWER, EPROTO,
              "the answer is not what was expected, %s%s", error->text,
              quote_head(transaction, &head));
}
