/* When this kernel sends SYNs: by its settings, or those that the user gives instead. */
#ifndef CMD_CONNECT_SCHEDULE_H
#define CMD_CONNECT_SCHEDULE_H

#include "cli/cli.h"
#include "diagnosis/kernel_timers.h"
#include "result/result.h"

/* Adds the schedule of a connect to the report, with `given` (NAME=VALUE) in the place of what the
 * machine has. -EINVAL: a usage error. */
int connect_schedule_report(struct report *report, const struct cli_list *given,
                            struct error *error);

#endif
