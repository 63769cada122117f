/* Answers that are complete before the server can have read the request.
 *
 * A server that has read all of it has acknowledged all of it, and its answer, or a segment before
 * that, says so: if our kernel still waits for an acknowledgement when the answer is complete, the
 * answer is early. Then it matters what becomes of the rest. A server that closes with bytes unread
 * makes its kernel send RST, and one that has closed its side before (FIN) leaves us nothing more
 * to read: that RST shows in the connection's state only. */
#include "probe/transaction_internal.h"

#include <netinet/tcp.h>

#define SETTLING_NS   (250 * NS_PER_MS) /* for what becomes of the rest, beside some round trips */
#define SETTLING_RTTS 4
#define OPEN_MAX      3 /* after so many it is not waited for any more */

static bool has_body(const struct transaction *transaction)
{
    return transaction->body_at < transaction->request_bytes && !transaction->withheld;
}

static bool all_acknowledged(const struct transaction *transaction)
{
    return transaction->sent_bytes == transaction->request_bytes &&
           transaction_acked_bytes(transaction, transaction->base_bytes) >=
               transaction->conn->sock.bytes_sent - transaction->base_bytes;
}

bool transaction_is_early(const struct transaction *transaction)
{
    return has_body(transaction) && !all_acknowledged(transaction);
}

bool transaction_is_reset(const struct transaction *transaction)
{
    struct sock_tcp_info info;

    return !sock_tcp_info(transaction->conn->sock.fd, &info) && info.state == TCP_CLOSE;
}

/* The wait is no client's: one that asks again at once has the server's late acknowledgement in its
 * next round. So it is not waited for any more when it is known what the server does. */
bool transaction_early_matters(const struct transaction *transaction)
{
    return transaction->early_resets ||
           transaction->early_open + transaction->early_read < OPEN_MAX;
}

bool transaction_goes_on_early(const struct transaction *transaction)
{
    return transaction->early_read >= OPEN_MAX &&
           transaction->sent_bytes == transaction->request_bytes;
}

int64_t transaction_settling_ns(const struct transaction *transaction)
{
    int64_t rtt_ns =
        transaction->min_rtt_ns != RESULT_UNKNOWN ? transaction->min_rtt_ns : transaction->rtt_ns;
    return SETTLING_NS + (rtt_ns == RESULT_UNKNOWN ? 0 : SETTLING_RTTS * rtt_ns);
}

bool transaction_reads_on(const struct transaction *transaction)
{
    return !transaction->peer_ended && !framing_closes(&transaction->reader) &&
           all_acknowledged(transaction);
}

void transaction_note_late_reset(struct transaction *transaction)
{
    if (!has_body(transaction) || transaction->reset_told || !transaction_is_reset(transaction))
        return;
    transaction->reset_told = true;
    if (transaction->early)
        transaction->early_resets++;
    else
        transaction->late_resets++;
}
