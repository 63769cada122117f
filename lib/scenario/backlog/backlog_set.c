/* The scenarios of accept-backlog, in the order of --list. */
#include "scenario/backlog/backlog.h"

static const struct scenario *const items[] = {
    /* how much fits */
    &backlog_sweep,
    &backlog_somaxconn_clamp,
    /* the accept queue is full */
    &backlog_accept_queue_full,
    &backlog_full_with_abort,
    &backlog_ack_dropped,
    /* half-open connections */
    &backlog_syn_queue_full,
    &backlog_syn_cookies,
    &backlog_synack_retries,
    /* other times to accept */
    &backlog_deferred_accept,
    &backlog_fast_open_queue,
    /* accept itself */
    &backlog_emfile,
    &backlog_nonblocking_accept,
    &backlog_edge_triggered,
    /* several that serve */
    &backlog_reuseport,
    &backlog_graceful_restart,
    &backlog_herd,
    &backlog_bind,
    NULL,
};

const struct scenario_set scenario_backlog = {.command = "accept-backlog", .items = items};
