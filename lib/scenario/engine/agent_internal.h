/* An agent as the engine knows it: scenarios only pass it on. */
#ifndef SCENARIO_AGENT_INTERNAL_H
#define SCENARIO_AGENT_INTERNAL_H

#include "scenario/engine/agent.h"

struct agent {
    struct agent *next;
    struct error *failure; /* the testbed's: while it is set, nothing is done */
    enum lab_host host;
    struct lab_process *process; /* in a lab */
    int32_t pid;                 /* without one */
    int channel;                 /* -1: it could not be started */
    bool busy, ended;
    int64_t limit_ns; /* of the act under way */
    int status;
};

#endif
