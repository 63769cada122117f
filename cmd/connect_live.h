/* netkit connect-timeout on live targets: --target and what goes with it, and --schedule. */
#ifndef CMD_CONNECT_LIVE_H
#define CMD_CONNECT_LIVE_H

#include "common.h"

struct connect_live_options {
    struct cli_list target; /* host:port */
    const char *targets;    /* a file; NULL: none */
    struct cli_list resolve;
    int64_t parallel, tries, try_timeout_ns;
    bool path;
    int64_t hops, hop_timeout_ns;
    bool schedule;
    struct cli_list kernel_settings; /* NAME=VALUE */
};

extern const struct cli_group connect_live_targets, connect_live_path, connect_live_schedule;

/* Whether these options ask for anything. */
bool connect_live_wanted(const struct connect_live_options *options);

/* Does what they ask for, from the beginning of the report to its delivery. Returns the exit
 * status. */
int connect_live_run(const struct cli_invocation *invocation,
                     const struct connect_live_options *options,
                     const struct common_options *common);

#endif
