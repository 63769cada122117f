/* The scenarios of connect-timeout, in the order of --list. */
#include "scenario/backlog/backlog.h"
#include "scenario/connect/connect.h"

static const struct scenario *const items[] = {
    &connect_accepted,
    &connect_refused,
    &connect_blackhole,
    &connect_unreachable_net,
    &connect_unreachable_host,
    &connect_unreachable_port,
    &connect_prohibited,
    &connect_no_neighbour,
    &connect_syn_lost,
    &connect_synack_lost,
    &connect_last_ack_lost,
    &connect_synack_late,
    &backlog_accept_queue_full,
    &connect_reset_late,
    &connect_simultaneous_open,
    &connect_self_connect,
    &connect_interrupted,
    &connect_reuse_after_failure,
    &connect_nonblocking,
    &connect_address_exhausted,
    &backlog_deferred_accept,
    &connect_fast_open,
    NULL,
};

const struct scenario_set scenario_connect = {.command = "connect-timeout", .items = items};
