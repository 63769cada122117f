/* The table of commands, in the order of `netkit help`. */
#include "commands.h"

/* clang-format off */
static const struct cli_command *const commands[] = {
    &tcp_probe_command,
    &accept_backlog_command,
    &connect_timeout_command,
    &linger_test_command,
    &crash_sim_command,
    &lab_command,
    &doctor_command,
    &explain_command,
    &help_command,
    NULL,
};
/* clang-format on */

static const struct cli_example first_steps[] = {
    {"netkit tcp-probe --preset http localhost:8000",
     "Time every part of an exchange with a live service, and see who causes the delays."},
    {"netkit explain nagle-delayed-ack", "Explain a finding, and what to do about it."},
    {"netkit help", "List all commands."},
    {"netkit help tcp-probe", "Explain one command, with its options and examples."},
    {0},
};

const struct cli_program netkit_program = {
    .name = "netkit",
    .version = NETKIT_VERSION,
    .summary = "what TCP really did, whose fault a delay or a failure is, and what to change",
    .commands = commands,
    .first_steps = first_steps,
};
