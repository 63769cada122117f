/* Connections that are left idle, to find out for how long they are kept (diagnosis/idle_search.h),
 * and then one with keepalive, whether that keeps it. Each has its preamble and one round first, as
 * a connection of a pool has. */
#ifndef PROBE_IDLE_TRIAL_H
#define PROBE_IDLE_TRIAL_H

#include "diagnosis/idle_search.h"
#include "probe/preamble.h"
#include "probe/transaction.h"

struct idle_settings {
    int64_t max_ns;       /* 0: nothing is tried */
    int64_t keepalive_ns; /* TCP_KEEPIDLE of the last connection; 0: half of what was found */
};

enum idle_keepalive { IDLE_KEEPALIVE_UNTRIED, IDLE_KEEPALIVE_KEEPS, IDLE_KEEPALIVE_DOES_NOT };

struct idle_trial;

/* One connection. */
struct idle_conn {
    struct loop_task task; /* the first member: its timer ends the idle time */
    struct idle_trial *trial;
    struct conn conn;
    struct preamble preamble;
    struct transaction transaction;
    int64_t idle_ns; /* to be */
    int64_t since_ns;
    enum { IDLE_CONN_OVER, IDLE_CONN_OPENING, IDLE_CONN_IDLE, IDLE_CONN_USED } state;
};

struct idle_trial {
    const struct idle_settings *settings;
    const struct preamble_settings *preamble_settings;
    const struct sock_address *address;
    struct idle_search search;
    struct idle_conn conns[IDLE_AT_ONCE];
    size_t conn_count;
    enum idle_keepalive keepalive;
    int64_t keepalive_ns; /* that was tried, or is being tried; 0: none yet */
    const char *failure;  /* why it ended early, or NULL */
    bool over;
    void *owner;
    void (*ended)(void *owner); /* the search says what is known; may not free the trial */
};

/* Another connection of the same kind as the one of `model`, whose connection is closed. `ended` is
 * called once, from the loop or from here, unless idle_trial_stop() comes first. The address must
 * stay. -ENOMEM. */
int idle_trial_begin(struct idle_trial **out, const struct idle_settings *settings,
                     const struct preamble_settings *preamble, const struct transaction *model,
                     const struct sock_address *address, void *owner, void (*ended)(void *owner));
void idle_trial_stop(struct idle_trial *trial);
/* NULL is allowed. Not from within a callback. */
void idle_trial_free(struct idle_trial *trial);

#endif
