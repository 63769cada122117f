/* The scenarios of linger-test, in the order of --list. */
#include "scenario/linger.h"

static const struct scenario *const items[] = {
    &linger_shutdown_write,
    &linger_close,
    &linger_timeout,
    &linger_expired,
    &linger_nonblocking,
    &linger_off_explicit,
    &linger_exit_without_close,
    NULL,
};

const struct scenario_set scenario_linger = {.command = "linger-test", .items = items};
