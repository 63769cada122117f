/* The commands: one declaration each, in the file that is named after it. */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "cli/cli.h"

extern const struct cli_program netkit_program;

extern const struct cli_command tcp_probe_command;
extern const struct cli_command connect_timeout_command;
extern const struct cli_command linger_test_command;
extern const struct cli_command crash_sim_command;
extern const struct cli_command accept_backlog_command;
extern const struct cli_command lab_command;
extern const struct cli_command doctor_command;
extern const struct cli_command explain_command;
extern const struct cli_command help_command;

#endif
