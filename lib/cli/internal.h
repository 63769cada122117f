/* What the files of this room share: walking a command's rows, values by kind, and layout. */
#ifndef CLI_INTERNAL_H
#define CLI_INTERNAL_H

#include "cli/cli.h"

/* A row as a command uses it. */
struct cli_row {
    const struct cli_option *option;
    const struct cli_group *group;
    size_t base;
    size_t number; /* counts the command's rows from 0 */
};

/* Walks the rows of a command in the order of help, --help and --version last. Starts as {0}. */
struct cli_walk {
    struct cli_row row;
    size_t fragment;
    size_t index;
    bool started;
};
bool cli_walk_next(struct cli_walk *walk, const struct cli_command *command);
size_t cli_row_count(const struct cli_command *command);
bool cli_row_find(struct cli_row *row, const struct cli_command *command, const char *name,
                  size_t name_len);
bool cli_row_find_letter(struct cli_row *row, const struct cli_command *command, char letter);

/* Takes the next of several words from *list; words are separated by `separator`. */
bool cli_next_word(const char **list, char separator, const char **word, size_t *word_len);

/* Whether a name is among `names`, which are separated by spaces. */
bool cli_lists_name(const char *names, const char *name, size_t name_len);

bool cli_takes_value(enum cli_kind kind);
/* The value's name in help: "DUR", "text|json"; nothing when the kind takes none. */
void cli_value_name(struct buf *out, const struct cli_option *option);
/* What the option accepts, as it stands after "--name wants ". */
void cli_value_wanted(struct buf *out, const struct cli_option *option);
/* "1 to 1000000", "at least 2", or nothing. */
void cli_value_range(struct buf *out, const struct cli_option *option);
/* Stores into `field` (NULL for items, which only check). */
int cli_value_store(struct cli_invocation *invocation, const struct cli_option *option,
                    const char *text, void *field, struct error *error);

/* The words of a choice or word list, one after the other; NULL after the last. */
const char *cli_value_word(const struct cli_option *option, size_t index);
bool cli_words_explained(const struct cli_option *option);
/* "a, b, c" with the given text between. */
void cli_words_join(struct buf *out, const struct cli_option *option, const char *between);

/* Text of a user or a file between quotes, escaped and cut to a line's worth. */
void cli_quote(struct buf *out, const char *text);

/* The nearest of `count` candidates that name_at() gives; NULL when none is near. */
const char *cli_nearest(const char *word, const char *(*name_at)(const void *context, size_t index),
                        const void *context);

/* The sentences of a row: help, words of a choice that are not explained one by one, what it goes
 * with and what not, the default. The man page has room for the range too; on the terminal the
 * message of a value out of range names it. */
enum cli_text_for { CLI_TEXT_FOR_HELP, CLI_TEXT_FOR_MAN };
void cli_option_text(struct buf *out, const struct cli_option *option, enum cli_text_for reader);

/* "[OPTION]... TARGET [TARGET]" of a command, or its own usage text. */
void cli_usage_text(struct buf *out, const struct cli_command *command);

int cli_items_append(struct cli_invocation *invocation, struct cli_items *items,
                     const struct cli_option *option, const char *text, struct error *error);
int cli_item_qualify(struct cli_invocation *invocation, struct cli_item *item,
                     const struct cli_option *option, const char *text, struct error *error);
/* Splits a line in place, as a shell would, but without expansions: quotes keep spaces together, a
 * backslash takes the next character as it is (not between single quotes). `words` has room for
 * half as many as the line has bytes, rounded up. */
int cli_items_split_line(char *line, const char **words, size_t *count, struct error *error);

#endif
