/* accept-backlog's watch of live listeners: its options, its run, its exit status. */
#ifndef CMD_BACKLOG_LIVE_H
#define CMD_BACKLOG_LIVE_H

#include "common.h"

struct backlog_live_options {
    struct cli_list listeners;
    int64_t pid;
    bool all, tries;
    int64_t interval_ns, duration_ns;
    bool duration_set;
};

extern const struct cli_group backlog_live_group;

/* Whether the command line asks for a watch at all. */
bool backlog_live_wanted(const struct backlog_live_options *options);
/* Runs it and delivers the report. Returns the exit status. */
int backlog_live_run(const struct cli_invocation *invocation,
                     const struct backlog_live_options *options,
                     const struct common_options *common);

#endif
