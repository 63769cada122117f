/* What may stand in place of a command line's last word.
 *
 * The words before it are walked as parse.c walks them, but nothing is refused: who asks for a
 * completion is still typing. */
#include "cli/internal.h"

#include <string.h>

/* The command line up to its last word. */
struct typed {
    const struct cli_command *command;
    const struct cli_option *wants_value; /* the word before is an option that takes the next */
    uint64_t given[4];                    /* bits by row number */
    size_t arg_count;
    bool options_end;
};

static bool was_given(const struct typed *typed, size_t number)
{
    return number / 64 < ARRAY_SIZE(typed->given) && typed->given[number / 64] >> number % 64 & 1;
}

/* The option that a word starts with, and how many bytes of the word that takes: "--name=" of
 * "--name=value", "-n" of "-nvalue". */
static bool find_option(struct cli_row *row, const struct cli_command *command, const char *word,
                        size_t *lead)
{
    size_t name = strcspn(word, "=");

    if (word[0] != '-' || !word[1])
        return false;
    if (word[1] == '-') {
        *lead = name + (word[name] == '=');
        return cli_row_find(row, command, word + 2, name - 2);
    }
    for (*lead = 2; cli_row_find_letter(row, command, word[*lead - 1]); ++*lead)
        if (!word[*lead] || cli_takes_value(row->option->kind))
            return true;
    return false;
}

static void walk_word(struct typed *typed, const char *word)
{
    struct cli_row row;
    size_t lead;

    if (typed->wants_value) {
        typed->wants_value = NULL;
    } else if (typed->options_end || word[0] != '-' || !word[1]) {
        typed->arg_count++;
    } else if (!strcmp(word, "--")) {
        typed->options_end = true;
    } else if (find_option(&row, typed->command, word, &lead)) {
        if (row.number / 64 < ARRAY_SIZE(typed->given))
            typed->given[row.number / 64] |= UINT64_C(1) << row.number % 64;
        if (cli_takes_value(row.option->kind) && !row.option->optional && !word[lead] &&
            word[lead - 1] != '=')
            typed->wants_value = row.option;
    }
}

static void add_answer(struct buf *out, const char *kind, const char *word, size_t lead)
{
    buf_printf(out, "%s\n%.*s\n", kind, (int)lead, word);
}

static void add_candidate(struct buf *out, const char *text, const char *help)
{
    buf_printf(out, "%s%s%s\n", text, help ? "\t" : "", help ? help : "");
}

static bool in_list(const char *list, size_t list_len, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; p < list + list_len; p += strcspn(p, ",") + 1)
        if (strcspn(p, ",") == len && !memcmp(p, word, len))
            return true;
    return false;
}

/* The value of an option or an argument; it starts `lead` bytes into `word`. */
static void complete_value(struct buf *out, const struct cli_option *option, const char *word,
                           size_t lead)
{
    static const char *const kinds[] = {
        [CLI_COMPLETES_NOTHING] = "words",       [CLI_COMPLETES_FILE] = "file",
        [CLI_COMPLETES_DIRECTORY] = "directory", [CLI_COMPLETES_HOST] = "host",
        [CLI_COMPLETES_WORDS] = "words",         [CLI_COMPLETES_COMMANDS] = "words"};
    bool list = option->kind == CLI_KIND_CHOICE_SET || option->kind == CLI_KIND_WORD_LIST;
    const char *value = word + lead;
    const char *comma = list ? strrchr(value, ',') : NULL;
    size_t before = comma ? (size_t)(comma + 1 - value) : 0;
    const char *candidate;

    add_answer(out, list ? "list" : kinds[option->completes], word, lead + before);
    for (size_t i = 0; (candidate = cli_value_word(option, i)); i++)
        if (!in_list(value, before, candidate))
            add_candidate(out, candidate, option->words ? option->words[i].help : NULL);
}

static void complete_option(struct buf *out, const struct typed *typed, const char *word)
{
    struct cli_walk walk = {0};

    add_answer(out, "words", word, 0);
    while (cli_walk_next(&walk, typed->command)) {
        const struct cli_option *option = walk.row.option;
        bool collects = option->qualifier || option->kind == CLI_KIND_LIST ||
                        option->kind == CLI_KIND_ITEM || option->kind == CLI_KIND_ITEM_FILE;
        if (was_given(typed, walk.row.number) && !collects)
            continue;
        buf_printf(out, "--%s\t%s\n", option->name, option->help);
        if (option->letter)
            buf_printf(out, "-%c\t%s\n", option->letter, option->help);
    }
}

static void add_commands(struct buf *out, const struct cli_program *program)
{
    for (size_t i = 0; program->commands[i]; i++)
        add_candidate(out, program->commands[i]->name, program->commands[i]->summary);
}

static void complete_argument(struct buf *out, const struct cli_program *program,
                              const struct typed *typed, const char *word)
{
    const struct cli_positional *positional = &typed->command->positional;
    const struct cli_option argument = {
        .kind = CLI_KIND_TEXT, .completes = positional->completes, .word = positional->word};

    if (!positional->name || (positional->max && typed->arg_count >= positional->max))
        return;
    complete_value(out, &argument, word, 0);
    if (positional->completes == CLI_COMPLETES_COMMANDS)
        add_commands(out, program);
}

static void complete_command(struct buf *out, const struct cli_program *program, const char *word)
{
    add_answer(out, "words", word, 0);
    add_commands(out, program);
    add_candidate(out, "--help", "List the commands.");
    add_candidate(out, "--version", "Print the version.");
}

void cli_complete(struct buf *out, const struct cli_program *program, size_t count,
                  char *const words[])
{
    const char *word = count ? words[count - 1] : "";
    struct typed typed = {.command = count > 1 ? cli_command_find(program, words[0]) : NULL};
    struct cli_row row;
    size_t lead;

    if (count < 2) {
        complete_command(out, program, word);
        return;
    }
    if (!typed.command)
        return;
    for (size_t i = 1; i < count - 1; i++)
        walk_word(&typed, words[i]);
    if (typed.wants_value)
        complete_value(out, typed.wants_value, word, 0);
    else if (typed.options_end || word[0] != '-')
        complete_argument(out, program, &typed, word);
    else if (find_option(&row, typed.command, word, &lead) && cli_takes_value(row.option->kind) &&
             (word[lead] || word[lead - 1] == '='))
        complete_value(out, row.option, word, lead);
    else
        complete_option(out, &typed, word);
}
