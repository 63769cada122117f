/* What connect-timeout's --method selects for the scenario "blackhole". */
#ifndef SCENARIO_CONNECT_METHOD_H
#define SCENARIO_CONNECT_METHOD_H

#include <stdint.h>

/* scenario_request.own of connect-timeout; NULL: every method. */
struct connect_methods {
    uint32_t chosen; /* 1 << enum sock_connect_method each; 0: every method */
};

#endif
