/* Between the files of a transaction. */
#ifndef PROBE_TRANSACTION_INTERNAL_H
#define PROBE_TRANSACTION_INTERNAL_H

#include "probe/transaction.h"

/* How long an answer is waited for. */
static inline int64_t transaction_timeout_ns(const struct transaction *transaction)
{
    int64_t timeout_ns = transaction->settings->response_timeout_ns;
    return timeout_ns < transaction->patience_ns ? timeout_ns : transaction->patience_ns;
}

/* transaction_round.c: the round that is being measured. */
void transaction_round_begin(struct transaction *transaction);
void transaction_round_wrote(void *transaction);
void transaction_round_stamped(void *transaction, const struct sock_stamp *stamp);
void transaction_round_read(struct transaction *transaction, const struct conn_input *input);
/* Something of the answer has come, or something that is none, such as a ticket of TLS. */
bool transaction_round_heard(const struct transaction *transaction);
/* Looks at the connection's counters. */
void transaction_round_look(struct transaction *transaction);
/* Ends it. false: the clock was stepped meanwhile. */
bool transaction_round_end(struct transaction *transaction, struct round *out);

/* transaction_early.c */
/* Whether the peer's kernel does not have the whole request yet; only of requests with a body. */
bool transaction_is_early(const struct transaction *transaction);
/* The peer has reset the connection, whatever reading from it says. */
bool transaction_is_reset(const struct transaction *transaction);
/* Whether it is worth waiting for what becomes of a request that was answered early, and how long.
 */
bool transaction_early_matters(const struct transaction *transaction);
/* Another request can follow on the connection: the server reads on, and this one is out. */
bool transaction_goes_on_early(const struct transaction *transaction);
int64_t transaction_settling_ns(const struct transaction *transaction);
/* The peer goes on with the connection after an early answer. */
bool transaction_reads_on(const struct transaction *transaction);
/* Between two exchanges: counts a reset that came after the answer. */
void transaction_note_late_reset(struct transaction *transaction);

/* transaction_errors.c: each ends the exchange in `failed`. */
/* A call failed for a reason that is not the peer's. */
void transaction_failed_here(struct transaction *transaction, const char *what, int number);
/* The peer ended the connection, by EOF (number 0) or an error. */
void transaction_peer_ended(struct transaction *transaction, int number);
void transaction_timed_out(struct transaction *transaction);
/* The answer breaks the protocol. */
void transaction_misunderstood(struct transaction *transaction, const struct error *error);

#endif
