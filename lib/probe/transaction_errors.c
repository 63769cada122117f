/* What is told of an exchange that failed. */
#include "probe/transaction_internal.h"

#include "base/units.h"
#include <errno.h>
#include <string.h>

static const char *describe_awaited(const struct transaction *transaction, char *out, size_t size)
{
    const struct transaction_settings *settings = transaction->settings;

    return framing_describe(out, size,
                            transaction->phase == TRANSACTION_GREETING ? &settings->greeting
                                                                       : &settings->framing);
}

void transaction_failed_here(struct transaction *transaction, const char *what, int number)
{
    conn_fail(transaction->conn, FINDING_INCONCLUSIVE, number, "cannot %s: %s", what,
              strerrordesc_np(number));
}

void transaction_peer_ended(struct transaction *transaction, int number)
{
    char awaited[FRAMING_DESCRIPTION_MAX];
    unsigned long long got = transaction->reader.seen_bytes;
    struct conn *conn = transaction->conn;

    if (!number)
        number = transaction->send_error;
    if (!got && transaction->rounds_on_connection && !transaction->retried &&
        transaction->phase != TRANSACTION_GREETING) {
        transaction->retried = true;
        transaction->user->closed(transaction->owner);
        return;
    }
    describe_awaited(transaction, awaited, sizeof awaited);
    if (number == ETIMEDOUT) /* of retransmissions: we are connected */
        conn_fail(conn, FINDING_NO_RESPONSE, number,
                  "the server stopped acknowledging after %llu bytes of the answer, waiting for "
                  "%s: %s",
                  got, awaited, strerrordesc_np(number));
    else if (number)
        conn_fail(conn, conn_code_of(number, FINDING_PEER_ABORTED), number,
                  "the server aborted the connection after %llu bytes of the answer, waiting for "
                  "%s: %s",
                  got, awaited, strerrordesc_np(number));
    else
        conn_fail(conn, FINDING_RESPONSE_TRUNCATED, 0,
                  "the server closed the connection after %llu bytes of the answer, waiting for %s",
                  got, awaited);
}

void transaction_timed_out(struct transaction *transaction)
{
    char awaited[FRAMING_DESCRIPTION_MAX], span[UNITS_TEXT_MAX];
    bool greeting = transaction->phase == TRANSACTION_GREETING;

    describe_awaited(transaction, awaited, sizeof awaited);
    units_format_duration(span, sizeof span, transaction_timeout_ns(transaction), "u");
    transaction_abandon(transaction);
    int64_t acked = transaction_acked_bytes(transaction, transaction->base_bytes);
    int64_t sent = transaction->conn->sock.bytes_sent - transaction->base_bytes;
    if ((transaction->sent_bytes < transaction->request_bytes || acked < sent) && !greeting)
        conn_fail(transaction->conn, FINDING_NO_RESPONSE, ETIMEDOUT,
                  "the server acknowledged %lld of the request's %zu bytes within %s and answered "
                  "nothing complete",
                  (long long)(acked < sent ? acked : (int64_t)transaction->sent_bytes),
                  transaction->request_bytes, span);
    else
        conn_fail(transaction->conn, FINDING_NO_RESPONSE, ETIMEDOUT,
                  "waited %s for %s; %llu bytes came%s", span, awaited,
                  (unsigned long long)transaction->reader.seen_bytes,
                  greeting ? " as a greeting" : "");
}

void transaction_misunderstood(struct transaction *transaction, const struct error *error)
{
    conn_fail(transaction->conn, FINDING_NO_RESPONSE, EPROTO, "the %s is not what was expected: %s",
              transaction->phase == TRANSACTION_GREETING ? "greeting" : "answer", error->text);
}
