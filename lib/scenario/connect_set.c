/* The scenarios of connect-timeout, in the order of --list. */
#include "scenario/connect.h"

static const struct scenario *const items[] = {
    &connect_accepted,
    &connect_refused,
    &connect_blackhole,
    NULL,
};

const struct scenario_set scenario_connect = {.command = "connect-timeout", .items = items};
