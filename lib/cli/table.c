/* Walking and checking the tables. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <string.h>

static const struct cli_group standard_group = {
    "Help",
    {{.name = "help", .letter = 'h', .kind = CLI_KIND_HELP, .help = "Explain this command."},
     {.name = "version", .letter = 'V', .kind = CLI_KIND_VERSION, .help = "Print the version."},
     {0}}};
static const struct cli_fragment standard_fragments[] = {{&standard_group, 0, NULL}, {0}};

bool cli_next_word(const char **list, char separator, const char **word, size_t *word_len)
{
    if (!*list)
        return false;
    const char *end = strchrnul(*list, separator);
    *word = *list;
    *word_len = (size_t)(end - *list);
    *list = *end ? end + 1 : NULL;
    return true;
}

static bool lists_name(const char *names, const char *name, size_t name_len)
{
    const char *word;
    size_t len;
    while (cli_next_word(&names, ' ', &word, &len))
        if (len == name_len && !memcmp(word, name, len))
            return true;
    return false;
}

/* The walk's fragment: the command's own first, then the standard one. */
static const struct cli_fragment *fragment_at(const struct cli_command *command, size_t index)
{
    size_t own = 0;
    while (command->fragments && command->fragments[own].group) {
        if (own == index)
            return &command->fragments[own];
        own++;
    }
    return &standard_fragments[index - own];
}

bool cli_walk_next(struct cli_walk *walk, const struct cli_command *command)
{
    const struct cli_fragment *fragment;

    while ((fragment = fragment_at(command, walk->fragment))->group) {
        const struct cli_option *option = &fragment->group->rows[walk->index++];
        if (!option->name) {
            walk->fragment++;
            walk->index = 0;
        } else if (!lists_name(fragment->without, option->name, strlen(option->name))) {
            size_t number = walk->started ? walk->row.number + 1 : 0;
            walk->row = (struct cli_row){option, fragment->group, fragment->base, number};
            walk->started = true;
            return true;
        }
    }
    return false;
}

size_t cli_row_count(const struct cli_command *command)
{
    struct cli_walk walk = {0};
    size_t count = 0;
    while (cli_walk_next(&walk, command))
        count++;
    return count;
}

bool cli_row_find(struct cli_row *row, const struct cli_command *command, const char *name,
                  size_t name_len)
{
    struct cli_walk walk = {0};
    while (cli_walk_next(&walk, command)) {
        const char *candidate = walk.row.option->name;
        if (strlen(candidate) == name_len && !memcmp(candidate, name, name_len)) {
            *row = walk.row;
            return true;
        }
    }
    return false;
}

bool cli_row_find_letter(struct cli_row *row, const struct cli_command *command, char letter)
{
    struct cli_walk walk = {0};
    while (letter && cli_walk_next(&walk, command))
        if (walk.row.option->letter == letter) {
            *row = walk.row;
            return true;
        }
    return false;
}

const struct cli_command *cli_command_find(const struct cli_program *program, const char *name)
{
    for (size_t i = 0; program->commands[i]; i++)
        if (!strcmp(program->commands[i]->name, name))
            return program->commands[i];
    return NULL;
}

const char *cli_nearest(const char *word, const char *(*name_at)(const void *context, size_t index),
                        const void *context)
{
    size_t count = 0;
    while (name_at(context, count))
        count++;
    cleanup(mem) const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        return NULL;
    for (size_t i = 0; i < count; i++)
        names[i] = name_at(context, i);
    return text_nearest(word, names);
}

static const char *command_name_at(const void *context, size_t index)
{
    const struct cli_program *program = context;
    return program->commands[index] ? program->commands[index]->name : NULL;
}

const char *cli_command_nearest(const struct cli_program *program, const char *misspelt)
{
    return cli_nearest(misspelt, command_name_at, program);
}

struct cli_option cli_positional_option(const struct cli_command *command)
{
    return (struct cli_option){.kind = CLI_KIND_TEXT,
                               .value = command->positional.name,
                               .completes = command->positional.completes,
                               .word = command->positional.word};
}

/* ---- checks ---- */

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
        if (lists_name(command->fragments[i].without, name, len))
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

int cli_check(const struct cli_program *program, struct error *error)
{
    for (size_t i = 0; program->commands[i]; i++) {
        const struct cli_command *command = program->commands[i];
        int rc = cli_command_find(program, command->name) == command
                     ? check_command(program, command, error)
                     : error_set(error, EINVAL, "the name is taken twice");
        if (rc) {
            error_add(error, "%s", command->name);
            return rc;
        }
    }
    return 0;
}
