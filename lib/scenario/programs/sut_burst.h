/* A burst of connections to a server of the user's: what becomes of each connect, and what the
 * server's accept queue holds. `own` of the request is a struct sut_request. */
#ifndef SCENARIO_SUT_BURST_H
#define SCENARIO_SUT_BURST_H

#include "scenario/scenario.h"

extern const struct scenario_set sut_burst_servers;

#endif
