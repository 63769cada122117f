/* netkit help [COMMAND] */
#include "commands.h"
#include "output.h"

#include "base/cleanup.h"

static int run(struct cli_invocation *invocation)
{
    cleanup(buf) struct buf text = {0};
    struct cli_style style = output_style();
    const struct cli_program *program = invocation->program;
    const char *name = invocation->arg_count ? invocation->args[0] : NULL;
    const struct cli_command *command = name ? cli_command_find(program, name) : NULL;

    if (name && !command) {
        output_complain_unknown("help", "command", name, cli_command_nearest(program, name));
        return STATUS_USAGE;
    }
    if (command)
        cli_render_help(&text, program, command, &style);
    else
        cli_render_overview(&text, program, &style);
    output_print(&text);
    return STATUS_OK;
}

static const char *const description[] = {
    "Without COMMAND it lists all commands. 'netkit COMMAND --help' prints the same text.", NULL};

static const struct cli_example examples[] = {
    {"netkit help tcp-probe", "What tcp-probe does, with all its options and examples."}, {0}};

const struct cli_command help_command = {
    .name = "help",
    .group = "Explain",
    .summary = "list the commands, or explain one",
    .description = description,
    .positional = {.name = "COMMAND", .max = 1, .completes = CLI_COMPLETES_COMMANDS},
    .examples = examples,
    .run = run,
};
