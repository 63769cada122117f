/* The scenarios of accept-backlog, in the order of --list. */
#include "scenario/backlog.h"

static const struct scenario *const items[] = {
    &backlog_sweep,           &backlog_somaxconn_clamp, &backlog_accept_queue_full,
    &backlog_full_with_abort, &backlog_ack_dropped,     NULL,
};

const struct scenario_set scenario_backlog = {.command = "accept-backlog", .items = items};
