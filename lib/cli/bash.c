/* Completion for bash 4.2 and later, without the bash-completion package.
 *
 * The script is a small fixed engine over two generated tables: a command's options, and how the
 * value of an option (or an argument) completes. bash splits words at "=" and ":" by default
 * (COMP_WORDBREAKS), so the engine puts --name=value together again by looking back. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include <string.h>

static const char engine_head[] =
    "# bash completion for %s. Written by netkit-generate from the option tables: do not edit.\n"
    "# shellcheck shell=bash\n\n";

static const char engine[] =
    "_netkit_complete_value() # kind and words\n"
    "{\n"
    "    local kind=${1%% *} words=${1#* } before=''\n"
    "    case $kind in\n"
    "    file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames 2> /dev/null "
    ";;\n"
    "    directory) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); compopt -o filenames 2> "
    "/dev/null ;;\n"
    "    host) mapfile -t COMPREPLY < <(compgen -A hostname -- \"$cur\") ;;\n"
    "    words) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n"
    "    list)\n"
    "        [[ $cur != *,* ]] || before=${cur%,*},\n"
    "        mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$words\" -- \"${cur##*,}\")\n"
    "        compopt -o nospace 2> /dev/null\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_netkit()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} option='' first=1 command=${COMP_WORDS[0]##*/} i\n"
    "    COMPREPLY=()\n"
    "    if [[ -z $(_netkit_options \"$command\") ]]; then\n"
    "        if ((COMP_CWORD == 1)); then\n"
    "            mapfile -t COMPREPLY < <(compgen -W \"$(_netkit_commands) --help --version\" -- "
    "\"$cur\")\n"
    "            return\n"
    "        fi\n"
    "        command=${COMP_WORDS[1]} first=2\n"
    "    fi\n"
    "    for ((i = first; i < COMP_CWORD; i++)); do\n"
    "        if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
    "            _netkit_complete_value \"$(_netkit_value \"$command\" argument)\"\n"
    "            return\n"
    "        fi\n"
    "    done\n"
    "    if [[ $cur == --*=* ]]; then\n"
    "        option=${cur%%=*} cur=${cur#*=}\n"
    "        _netkit_complete_value \"$(_netkit_value \"$command\" \"$option\")\"\n"
    "        COMPREPLY=(\"${COMPREPLY[@]/#/$option=}\")\n"
    "        return\n"
    "    elif ((COMP_CWORD > first)) && [[ $cur == = ]]; then\n"
    "        option=${COMP_WORDS[COMP_CWORD - 1]} cur=\n"
    "    elif ((COMP_CWORD > first + 1)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then\n"
    "        option=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    elif ((COMP_CWORD > first)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == -* ]]; then\n"
    "        option=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "        # An optional value stands after \"=\" only.\n"
    "        [[ \" $(_netkit_optional \"$command\") \" != *\" $option \"* ]] || option=\n"
    "    fi\n"
    "    if [[ -n $option && -n $(_netkit_value \"$command\" \"$option\") ]]; then\n"
    "        _netkit_complete_value \"$(_netkit_value \"$command\" \"$option\")\"\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$(_netkit_options \"$command\")\" -- \"$cur\")\n"
    "    else\n"
    "        _netkit_complete_value \"$(_netkit_value \"$command\" argument)\"\n"
    "    fi\n"
    "}\n"
    "\n";

static void add_commands(struct buf *out, const struct cli_program *program)
{
    buf_add_str(out, "_netkit_commands()\n{\n    echo '");
    for (size_t i = 0; program->commands[i]; i++)
        buf_printf(out, "%s%s", i ? " " : "", program->commands[i]->name);
    buf_add_str(out, "'\n}\n\n");
}

static bool any_option(const struct cli_option *option)
{
    (void)option;
    return true;
}

static bool has_optional_value(const struct cli_option *option)
{
    return option->optional != NULL;
}

/* A function that prints the options of a command that `wanted` picks. */
static void add_options(struct buf *out, const struct cli_program *program, const char *function,
                        bool (*wanted)(const struct cli_option *option))
{
    buf_printf(out, "%s() # command\n{\n    case $1 in\n", function);
    for (size_t i = 0; program->commands[i]; i++) {
        struct cli_walk walk = {0};
        const char *space = "";
        buf_printf(out, "    %s) echo '", program->commands[i]->name);
        while (cli_walk_next(&walk, program->commands[i])) {
            if (!wanted(walk.row.option))
                continue;
            buf_printf(out, "%s--%s", space, walk.row.option->name);
            space = " ";
            if (walk.row.option->letter)
                buf_printf(out, " -%c", walk.row.option->letter);
        }
        buf_add_str(out, "' ;;\n");
    }
    buf_add_str(out, "    esac\n}\n\n");
}

static void add_completion(struct buf *out, const char *kind, const struct cli_option *option)
{
    buf_printf(out, " echo '%s ", kind);
    cli_words_join(out, option, " ");
    buf_add_str(out, "' ;;\n");
}

static void add_completes(struct buf *out, const struct cli_option *option)
{
    if (option->kind == CLI_KIND_CHOICE_SET || option->kind == CLI_KIND_WORD_LIST) {
        add_completion(out, "list", option);
        return;
    }
    if (option->kind == CLI_KIND_CHOICE) {
        add_completion(out, "words", option);
        return;
    }
    switch (option->completes) {
    case CLI_COMPLETES_NOTHING:
        buf_add_str(out, " echo 'nothing ' ;;\n");
        break;
    case CLI_COMPLETES_FILE:
        buf_add_str(out, " echo 'file ' ;;\n");
        break;
    case CLI_COMPLETES_DIRECTORY:
        buf_add_str(out, " echo 'directory ' ;;\n");
        break;
    case CLI_COMPLETES_HOST:
        buf_add_str(out, " echo 'host ' ;;\n");
        break;
    case CLI_COMPLETES_WORDS:
        add_completion(out, "words", option);
        break;
    }
}

static void add_values(struct buf *out, const struct cli_program *program)
{
    buf_add_str(out, "_netkit_value() # command, and option or \"argument\"\n{\n"
                     "    case \"$1 $2\" in\n");
    for (size_t i = 0; program->commands[i]; i++) {
        const struct cli_command *command = program->commands[i];
        struct cli_option argument = cli_positional_option(command);
        struct cli_walk walk = {0};
        while (cli_walk_next(&walk, command)) {
            const struct cli_option *option = walk.row.option;
            if (!cli_takes_value(option->kind))
                continue;
            buf_printf(out, "    '%s --%s'", command->name, option->name);
            if (option->letter)
                buf_printf(out, " | '%s -%c'", command->name, option->letter);
            buf_add_char(out, ')');
            add_completes(out, option);
        }
        buf_printf(out, "    '%s argument')", command->name);
        add_completes(out, &argument);
    }
    buf_add_str(out, "    esac\n}\n\n");
}

void cli_render_bash(struct buf *out, const struct cli_program *program)
{
    buf_printf(out, engine_head, program->name);
    add_commands(out, program);
    add_options(out, program, "_netkit_options", any_option);
    add_options(out, program, "_netkit_optional", has_optional_value);
    add_values(out, program);
    buf_add_str(out, engine);
    buf_printf(out, "complete -F _netkit %s", program->name);
    for (size_t i = 0; program->commands[i]; i++)
        if (program->commands[i]->symlink)
            buf_printf(out, " %s", program->commands[i]->name);
    buf_add_char(out, '\n');
}
