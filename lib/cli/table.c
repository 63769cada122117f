/* Walking the tables. */
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

bool cli_lists_name(const char *names, const char *name, size_t name_len)
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
        } else if (!cli_lists_name(fragment->without, option->name, strlen(option->name))) {
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
