/* What accept-backlog's scenarios have as an option of their own: the backlogs that sweep tries. */
#ifndef CMD_BACKLOG_SWEEP_H
#define CMD_BACKLOG_SWEEP_H

#include "scenarios.h"

#define BACKLOG_SWEEP_MAX 64 /* in one list */

struct backlog_sweep_options {
    struct {
        int items[BACKLOG_SWEEP_MAX];
        size_t count;
    } backlogs;
    bool given;
};

extern const struct cli_group backlog_sweep_group; /* --backlog */

/* Runs the scenarios that the arguments name. Returns the exit status. */
int backlog_scenarios_run(struct cli_invocation *invocation, const struct scenario_options *run,
                          const struct backlog_sweep_options *sweep);

#endif
