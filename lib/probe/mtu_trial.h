/* A conversation that came to no end is had again, with small segments and with full ones in turn,
 * each time on a new connection: whether the path lets large segments through
 * (diagnosis/path_mtu.h). */
#ifndef PROBE_MTU_TRIAL_H
#define PROBE_MTU_TRIAL_H

#include "diagnosis/path_mtu.h"
#include "probe/preamble.h"
#include "probe/transaction.h"

struct mtu_trial {
    struct loop_task task; /* the first member: its timer bounds a conversation */
    struct conn conn;
    const struct preamble_settings *preamble_settings;
    struct preamble preamble;
    struct transaction transaction;
    struct path_mtu_evidence evidence;
    const struct sock_address *address;
    int64_t deadline_ns; /* of all together */
    int64_t began_ns;
    bool over;
    void *owner;
    void (*ended)(void *owner); /* evidence says what is known; may not free the trial */
};

/* Whether sizes may explain this failure, of which the connection is still open: the peer has not
 * answered or not acknowledged, and did not say no. */
bool mtu_trial_wanted(const struct transaction *failed, const struct result_error *error);
/* Closes the connection of what failed, and has the same again, for as long as one answer may take,
 * or for left_ns (INT64_MAX: unbounded) if that is less. `ended` is called once, from the loop or
 * from here, unless mtu_trial_stop() comes first. The address must stay. Returns -ENOMEM, and
 * begins nothing then. */
int mtu_trial_begin(struct mtu_trial **out, struct transaction *failed,
                    const struct preamble_settings *preamble, const struct sock_address *address,
                    int64_t left_ns, void *owner, void (*ended)(void *owner));
void mtu_trial_stop(struct mtu_trial *trial);
/* NULL is allowed. Not from within a callback. */
void mtu_trial_free(struct mtu_trial *trial);

#endif
