/* netkit help [COMMAND] */
#include "commands.h"
#include "output.h"

#include "base/cleanup.h"

static const char *command_at(size_t index)
{
    const struct cli_command *command = netkit_program.commands[index];
    return command ? command->name : NULL;
}

static int run(struct cli_invocation *invocation)
{
    cleanup(buf) struct buf text = {0};
    struct cli_style style = output_style();
    const char *name = invocation->arg_count ? invocation->args[0] : NULL;
    const struct cli_command *command = name ? cli_command_find(&netkit_program, name) : NULL;

    if (name && !command) {
        output_complain_unknown("help", "command", name,
                                cli_command_nearest(&netkit_program, name));
        return STATUS_USAGE;
    }
    if (command)
        cli_render_help(&text, &netkit_program, command, &style);
    else
        cli_render_overview(&text, &netkit_program, &style);
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
    .positional = {.name = "COMMAND",
                   .max = 1,
                   .completes = CLI_COMPLETES_WORDS,
                   .word = command_at},
    .examples = examples,
    .run = run,
};
