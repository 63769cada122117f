/* How a program of the user's ends its connections: the scenarios of linger-test for real programs.
 * `own` of the request is a struct subject_request. */
#ifndef SCENARIO_ENDING_H
#define SCENARIO_ENDING_H

#include "scenario/subject.h"

extern const struct scenario_set ending_clients, ending_servers;

#endif
