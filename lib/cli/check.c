/* Checks the tables. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include <errno.h>
#include <string.h>

static int check_names(const struct cli_command *command, const struct cli_row *row,
                       struct error *error)
{
    const struct cli_option *option = row->option;
    struct cli_row other;

    if (!cli_row_find(&other, command, option->name, strlen(option->name)) ||
        other.number != row->number)
        return error_set(error, EINVAL, "the name is taken twice");
    if (option->letter &&
        (!cli_row_find_letter(&other, command, option->letter) || other.number != row->number))
        return error_set(error, EINVAL, "the letter -%c is taken twice", option->letter);
    return 0;
}

/* A name that the fragment knows but this command leaves out may be referred to. */
static bool somewhere(const struct cli_command *command, const char *name, size_t len)
{
    struct cli_row row;
    if (cli_row_find(&row, command, name, len))
        return true;
    for (size_t i = 0; command->fragments && command->fragments[i].group; i++)
        if (cli_lists_name(command->fragments[i].without, name, len))
            return true;
    return false;
}

static int check_references(const struct cli_command *command, const char *names,
                            struct error *error)
{
    const char *word;
    size_t len;
    while (cli_next_word(&names, ' ', &word, &len))
        if (!somewhere(command, word, len))
            return error_set(error, EINVAL, "refers to %.*s, which is no option", (int)len, word);
    return 0;
}

static int check_kind(const struct cli_option *option, struct error *error)
{
    bool choice = option->kind == CLI_KIND_CHOICE || option->kind == CLI_KIND_CHOICE_SET;
    bool item = option->kind == CLI_KIND_ITEM || option->kind == CLI_KIND_ITEM_FILE;
    bool stores = option->kind != CLI_KIND_ALIAS && option->kind != CLI_KIND_HELP &&
                  option->kind != CLI_KIND_VERSION;
    size_t length = option->help ? strlen(option->help) : 0;

    if (!length || option->help[length - 1] != '.')
        return error_set(error, EINVAL, "its help is not a sentence");
    if (choice && !option->words)
        return error_set(error, EINVAL, "a choice without words");
    if (option->kind == CLI_KIND_CHOICE_SET)
        for (const struct cli_word *word = option->words; word->name; word++)
            if (word->number < 0 || word->number > 31)
                return error_set(error, EINVAL, "%s does not fit a bit", word->name);
    if (option->kind == CLI_KIND_PARSED && !option->parse)
        return error_set(error, EINVAL, "nothing parses its value");
    if (stores && !option->qualifier && !option->field)
        return error_set(error, EINVAL, "it is stored nowhere");
    if (option->qualifier && (item || option->initial || option->given))
        return error_set(error, EINVAL, "a qualifier is a plain value");
    if ((option->initial || option->optional) && !cli_takes_value(option->kind))
        return error_set(error, EINVAL, "it takes no value, but has one");
    return 0;
}

static int check_row(const struct cli_command *command, const struct cli_row *row,
                     struct error *error)
{
    const struct cli_option *option = row->option;
    int rc = check_names(command, row, error);

    if (!rc)
        rc = check_kind(option, error);
    if (!rc)
        rc = check_references(command, option->conflicts, error);
    if (!rc)
        rc = check_references(command, option->needs, error);
    if (!rc && option->kind == CLI_KIND_ALIAS) {
        const char *target = option->implies;
        const char *word;
        size_t len;
        struct cli_row found;
        if (!cli_next_word(&target, '=', &word, &len) ||
            !cli_row_find(&found, command, word, len) || found.option->kind == CLI_KIND_ALIAS)
            return error_set(error, EINVAL, "stands for no option");
    }
    return rc;
}

static int check_command(const struct cli_program *program, const struct cli_command *command,
                         struct error *error)
{
    struct cli_walk walk = {0};
    struct cli_invocation invocation;
    const char *names = command->see_also;
    const char *word;
    size_t len;

    if (!command->summary || !command->group || !command->run)
        return error_set(error, EINVAL, "summary, group or run() is missing");
    while (cli_walk_next(&walk, command)) {
        int rc = check_row(command, &walk.row, error);
        if (rc) {
            error_add(error, "--%s", walk.row.option->name);
            return rc;
        }
    }
    while (cli_next_word(&names, ' ', &word, &len)) {
        cleanup(mem) char *name = strndup(word, len);
        if (!name || !cli_command_find(program, name))
            return error_set(error, EINVAL, "see also: %.*s is no command", (int)len, word);
    }
    /* The defaults are parsed as values are: --help ends the rest early. */
    int rc =
        cli_parse(&invocation, program, command, 1, (char *[]){(char[]){"--help"}, NULL}, error);
    cli_invocation_free(&invocation);
    return rc;
}

/* Whether a command's group began before the command in front of it. */
static bool is_scattered(const struct cli_program *program, size_t at)
{
    const char *group = program->commands[at]->group;

    if (!at || !group || !strcmp(group, program->commands[at - 1]->group))
        return false;
    for (size_t i = 0; i < at; i++)
        if (!strcmp(program->commands[i]->group, group))
            return true;
    return false;
}

int cli_check(const struct cli_program *program, struct error *error)
{
    for (size_t i = 0; program->commands[i]; i++) {
        const struct cli_command *command = program->commands[i];
        int rc = cli_command_find(program, command->name) == command
                     ? check_command(program, command, error)
                     : error_set(error, EINVAL, "the name is taken twice");
        if (!rc && is_scattered(program, i))
            rc = error_set(error, EINVAL, "it does not stand beside the others of its group");
        if (rc) {
            error_add(error, "%s", command->name);
            return rc;
        }
    }
    return 0;
}
