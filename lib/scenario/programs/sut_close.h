/* How a program of the user's ends its connections: the scenarios of linger-test for real programs.
 * `own` of the request is a struct sut_request. */
#ifndef SCENARIO_ENDING_H
#define SCENARIO_ENDING_H

#include "scenario/programs/sut.h"

extern const struct scenario_set sut_close_clients, sut_close_servers;

#endif
