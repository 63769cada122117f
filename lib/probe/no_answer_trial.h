/* A service that took a connection and brought no byte of an answer is connected to again: with
 * nothing said, if it had ended the connection, and then with a ClientHello of TLS
 * (diagnosis/no_answer.h). */
#ifndef PROBE_NO_ANSWER_TRIAL_H
#define PROBE_NO_ANSWER_TRIAL_H

#include "diagnosis/no_answer.h"
#include "probe/conn.h"

struct no_answer_trial {
    struct conn conn;
    struct no_answer facts;
    const struct sock_address *address;
    struct buf hello;
    char heard[8]; /* the first bytes of the answer to it */
    size_t heard_bytes;
    bool says_hello;
    int64_t deadline_ns, opened_ns;
    bool over;
    void *owner;
    void (*ended)(void *owner); /* facts says what is known; may not free the trial */
};

/* Begins, for left_ns at most. `ended` is called once, from the loop or from here, unless
 * no_answer_trial_stop() comes first. The address must stay. -ENOMEM: begins nothing. */
int no_answer_trial_begin(struct no_answer_trial **out, struct conn_shared *shared,
                          const char *host, const struct sock_address *address,
                          const struct no_answer *facts, int64_t left_ns, void *owner,
                          void (*ended)(void *owner));
void no_answer_trial_stop(struct no_answer_trial *trial);
/* NULL is allowed. Not from within a callback. */
void no_answer_trial_free(struct no_answer_trial *trial);

#endif
