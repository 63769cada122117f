/* The scenarios of linger-test, in the order of --list. */
#include "scenario/linger/linger.h"

static const struct scenario *const items[] = {
    &linger_shutdown_read,
    &linger_shutdown_write,
    &linger_close,
    &linger_zero,
    &linger_timeout,
    &linger_shutdown_both,
    &linger_off_explicit,
    &linger_expired,
    &linger_nonblocking,
    &linger_exit_without_close,
    &linger_close_unread,
    &linger_shutdown_then_close_unread,
    &linger_close_with_unsent,
    &linger_unsent_abandoned,
    &linger_close_peer_dead,
    &linger_shared_descriptor,
    &linger_half_close,
    &linger_ack_wait,
    &linger_application_ack,
    &linger_time_wait,
    &linger_time_wait_reopened,
    &linger_reset_time_wait,
    &linger_fin_wait_2_timeout,
    &linger_simultaneous_close,
    &linger_send_after_shutdown,
    &linger_receive_after_shutdown_read,
    NULL,
};

const struct scenario_set scenario_linger = {.command = "linger-test", .items = items};
