/* Completion for zsh: one _arguments call a command. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include <string.h>

/* Text inside '…'; with a backslash before the characters of `special`. */
static void add_quoted(struct buf *out, const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            buf_add_str(out, "'\\'");
        else if (strchr(special, *text))
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

static void add_action(struct buf *out, const struct cli_option *option)
{
    switch (option->kind) {
    case CLI_KIND_CHOICE_SET:
    case CLI_KIND_WORD_LIST:
        buf_add_str(out, "_sequence compadd - ");
        cli_words_join(out, option, " ");
        return;
    case CLI_KIND_CHOICE:
        buf_add_char(out, '(');
        cli_words_join(out, option, " ");
        buf_add_char(out, ')');
        return;
    case CLI_KIND_FLAG:
    case CLI_KIND_INTEGER:
    case CLI_KIND_REAL:
    case CLI_KIND_DURATION:
    case CLI_KIND_SIZE:
    case CLI_KIND_TEXT:
    case CLI_KIND_LIST:
    case CLI_KIND_PARSED:
    case CLI_KIND_CONSTANT:
    case CLI_KIND_ALIAS:
    case CLI_KIND_ITEM:
    case CLI_KIND_ITEM_FILE:
    case CLI_KIND_HELP:
    case CLI_KIND_VERSION:
        break;
    }
    switch (option->completes) {
    case CLI_COMPLETES_NOTHING:
        buf_add_char(out, ' ');
        break;
    case CLI_COMPLETES_FILE:
        buf_add_str(out, "_files");
        break;
    case CLI_COMPLETES_DIRECTORY:
        buf_add_str(out, "_files -/");
        break;
    case CLI_COMPLETES_HOST:
        buf_add_str(out, "_hosts");
        break;
    case CLI_COMPLETES_WORDS:
        buf_add_char(out, '(');
        cli_words_join(out, option, " ");
        buf_add_char(out, ')');
        break;
    }
}

/* '(-n --rounds)--rounds=[Exchanges to time.]:N: '; `written` is one of its two forms. */
static void add_spec(struct buf *out, const struct cli_option *option, const char *written,
                     const char *joint)
{
    bool collects = option->qualifier || option->kind == CLI_KIND_LIST ||
                    option->kind == CLI_KIND_ITEM || option->kind == CLI_KIND_ITEM_FILE;
    struct buf name = {0};

    buf_add_str(out, " \\\n        '");
    if (collects)
        buf_add_char(out, '*');
    else if (option->letter)
        buf_printf(out, "(-%c --%s)", option->letter, option->name);
    buf_add_str(out, written);
    if (cli_takes_value(option->kind))
        buf_add_str(out, option->optional ? "=-" : joint);
    buf_add_char(out, '[');
    add_quoted(out, option->help, "[]\\");
    buf_add_char(out, ']');
    if (cli_takes_value(option->kind)) {
        cli_value_name(&name, option);
        buf_add_str(out, option->optional ? "::" : ":");
        add_quoted(out, buf_str(&name), ":\\");
        buf_add_char(out, ':');
        add_action(out, option);
    }
    buf_add_char(out, '\'');
    buf_free(&name);
}

static void add_command(struct buf *out, const struct cli_command *command)
{
    const struct cli_positional *positional = &command->positional;
    struct cli_option argument = cli_positional_option(command);
    struct cli_walk walk = {0};

    buf_printf(out, "_netkit_%s()\n{\n    _arguments -s -S", command->name);
    while (cli_walk_next(&walk, command)) {
        cleanup(buf) struct buf written = {0};
        buf_printf(&written, "--%s", walk.row.option->name);
        add_spec(out, walk.row.option, buf_str(&written), "=");
        if (!walk.row.option->letter)
            continue;
        buf_reset(&written);
        buf_printf(&written, "-%c", walk.row.option->letter);
        add_spec(out, walk.row.option, buf_str(&written), "+");
    }
    if (positional->name) {
        buf_printf(out, " \\\n        '%s%s:", positional->max == 1 ? "" : "*:",
                   positional->max == 1 ? "1" : "");
        add_quoted(out, positional->name, ":\\");
        buf_add_char(out, ':');
        add_action(out, &argument);
        buf_add_char(out, '\'');
    }
    buf_add_str(out, "\n}\n\n");
}

static void add_dispatch(struct buf *out, const struct cli_program *program)
{
    buf_printf(out,
               "_netkit()\n{\n"
               "    local curcontext=$curcontext state line\n"
               "    if [[ $service != %s ]]; then\n"
               "        _netkit_$service\n"
               "        return\n"
               "    fi\n"
               "    local -a commands=(",
               program->name);
    for (size_t i = 0; program->commands[i]; i++) {
        buf_printf(out, "\n        '%s:", program->commands[i]->name);
        add_quoted(out, program->commands[i]->summary, ":\\");
        buf_add_char(out, '\'');
    }
    buf_add_str(out, "\n    )\n"
                     "    _arguments -C -S \\\n"
                     "        '(- *)'{-h,--help}'[List the commands.]' \\\n"
                     "        '(- *)'{-V,--version}'[Print the version.]' \\\n"
                     "        '1:command:->command' '*::argument:->arguments' && return\n"
                     "    case $state in\n"
                     "    command) _describe command commands ;;\n"
                     "    arguments)\n"
                     "        curcontext=${curcontext%:*:*}:netkit-$line[1]:\n"
                     "        (( $+functions[_netkit_$line[1]] )) && _netkit_$line[1]\n"
                     "        ;;\n"
                     "    esac\n"
                     "}\n\n"
                     "_netkit \"$@\"\n");
}

void cli_render_zsh(struct buf *out, const struct cli_program *program)
{
    buf_printf(out, "#compdef %s", program->name);
    for (size_t i = 0; program->commands[i]; i++)
        if (program->commands[i]->symlink)
            buf_printf(out, " %s", program->commands[i]->name);
    buf_add_str(out, "\n# Written by netkit-generate from the option tables: do not edit.\n\n");
    for (size_t i = 0; program->commands[i]; i++)
        add_command(out, program->commands[i]);
    add_dispatch(out, program);
}
