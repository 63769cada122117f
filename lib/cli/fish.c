/* Completion for fish: one `complete` line an option. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include <string.h>

/* Inside '…' fish knows \' and \\. */
static void add_quoted(struct buf *out, const char *text)
{
    buf_add_char(out, '\'');
    for (; *text; text++) {
        if (strchr("'\\", *text))
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
    buf_add_char(out, '\'');
}

/* How the value of an option, or an argument, completes. */
static void add_completes(struct buf *out, const struct cli_option *option)
{
    cleanup(buf) struct buf words = {0};

    cli_words_join(&words, option, " ");
    if (option->kind == CLI_KIND_CHOICE_SET || option->kind == CLI_KIND_WORD_LIST) {
        /* What stands before the last comma is kept; the words follow it. */
        buf_printf(out, " -a '(__netkit_list %s)'", buf_str(&words));
        return;
    }
    if (words.len_bytes) {
        buf_printf(out, " -a '%s'", buf_str(&words));
        return;
    }
    switch (option->completes) {
    case CLI_COMPLETES_NOTHING:
    case CLI_COMPLETES_WORDS:
    case CLI_COMPLETES_FILE: /* -r alone completes files */
        break;
    case CLI_COMPLETES_DIRECTORY:
        buf_add_str(out, " -a '(__fish_complete_directories)'");
        break;
    case CLI_COMPLETES_HOST:
        buf_add_str(out, " -a '(__fish_print_hostnames)'");
        break;
    }
}

static void add_option(struct buf *out, const char *lead, const struct cli_option *option)
{
    buf_printf(out, "%s -l %s", lead, option->name);
    if (option->letter)
        buf_printf(out, " -s %c", option->letter);
    if (cli_takes_value(option->kind)) {
        bool file = option->completes == CLI_COMPLETES_FILE || option->kind == CLI_KIND_ITEM_FILE;
        buf_add_str(out, option->optional ? " -f" : file ? " -r -F" : " -x");
        add_completes(out, option);
    }
    buf_add_str(out, " -d ");
    add_quoted(out, option->help);
    buf_add_char(out, '\n');
}

static void add_command(struct buf *out, const char *lead, const struct cli_command *command)
{
    struct cli_option argument = cli_positional_option(command);
    struct cli_walk walk = {0};

    buf_printf(out, "%s %s", lead, argument.completes == CLI_COMPLETES_FILE ? "-F" : "-f");
    add_completes(out, &argument);
    buf_add_char(out, '\n');
    while (cli_walk_next(&walk, command))
        add_option(out, lead, walk.row.option);
    buf_add_char(out, '\n');
}

static const char functions[] =
    "function __netkit_list --description 'the words of a comma-separated list'\n"
    "    set -l before (string match -r '^(?:--[^=]*=)?(.*,)?' -- (commandline -ct))[2]\n"
    "    for word in $argv\n"
    "        echo $before$word\n"
    "    end\n"
    "end\n"
    "\n"
    "function __netkit_command --description 'whether the command is the given one'\n"
    "    set -l words (commandline -opc)\n"
    "    test (count $words) -gt 1; and test \"$words[2]\" = \"$argv[1]\"\n"
    "end\n"
    "\n"
    "function __netkit_no_command --description 'whether the command is still to come'\n"
    "    test (count (commandline -opc)) -eq 1\n"
    "end\n"
    "\n";

void cli_render_fish(struct buf *out, const struct cli_program *program)
{
    buf_printf(
        out,
        "# fish completion for %s. Written by netkit-generate from the option tables: do not "
        "edit.\n\n%s",
        program->name, functions);
    buf_printf(out, "complete -c %s -n __netkit_no_command -f\n", program->name);
    buf_printf(out, "complete -c %s -n __netkit_no_command -l help -s h -d 'List the commands.'\n",
               program->name);
    buf_printf(out,
               "complete -c %s -n __netkit_no_command -l version -s V -d 'Print the version.'\n",
               program->name);
    for (size_t i = 0; program->commands[i]; i++) {
        buf_printf(out, "complete -c %s -n __netkit_no_command -a %s -d ", program->name,
                   program->commands[i]->name);
        add_quoted(out, program->commands[i]->summary);
        buf_add_char(out, '\n');
    }
    buf_add_char(out, '\n');
    for (size_t i = 0; program->commands[i]; i++) {
        const struct cli_command *command = program->commands[i];
        cleanup(buf) struct buf lead = {0};
        buf_printf(&lead, "complete -c %s -n '__netkit_command %s'", program->name, command->name);
        add_command(out, buf_str(&lead), command);
        if (!command->symlink)
            continue;
        buf_reset(&lead);
        buf_printf(&lead, "complete -c %s", command->name);
        add_command(out, buf_str(&lead), command);
    }
}
