/* What `netkit lab` is told. */
#ifndef CMD_LAB_OPTIONS_H
#define CMD_LAB_OPTIONS_H

#include "common.h"
#include "faults.h"

struct lab_options {
    const char *server, *client; /* lines for the shell */
    int64_t wait_listen;         /* 0: the port that is seen to listen */
    bool no_wait;
    bool dual_stack;
    struct cli_list sysctls; /* HOST:NAME=VALUE */
    int64_t connection;      /* to draw; 0: the busiest */
    struct fault_options faults;
    struct common_options common;
};

extern const struct cli_fragment lab_fragments[];

#endif
