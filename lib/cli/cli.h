/* Options as tables.
 *
 * A command is declared once, as rows: each option's name, letter, kind of value, range, default,
 * what it conflicts with, and its sentence of help. From the same rows come parsing, --help, what
 * shells complete, the option blocks of the man pages and the README's command list, so none of
 * them can drift from another. This room knows no particular command, and it never prints: it
 * parses into memory and renders into struct buf.
 *
 *     struct ping_options { int64_t rounds; int64_t gap_ns; struct common_options common; };
 *
 *     static const struct cli_group how_often = {"How often", {
 *         {.name = "rounds", .letter = 'n', CLI_INTEGER(struct ping_options, rounds), .value = "N",
 *          .min = 1, .max = 1000000, .initial = "40", .help = "Exchanges to time."},
 *         {.name = "gap", CLI_DURATION(struct ping_options, gap_ns), .help = "Wait between them."},
 *         {0}}};
 *     const struct cli_command ping_command = {
 *         .name = "ping", .summary = "time exchanges", .options_size = sizeof(struct ping_options),
 *         .fragments = (const struct cli_fragment[]){
 *             {&how_often}, {&common_output, offsetof(struct ping_options, common)}, {0}},
 *         .run = ping_run};
 *
 * The macros CLI_INTEGER(struct, member) … set the kind and the place in the command's options
 * struct, and refuse to compile when the member has another type than the kind wants.
 *
 * Syntax is GNU's: --name=value, --name value, -n value, -nvalue, clusters of letters, "--" ends
 * the options, "-" is an argument, options may follow arguments. An optional value needs the "=".
 * Abbreviated names are not accepted, because a script that uses one breaks with the next option
 * added; the message suggests the full name instead. The last of a repeated option wins, except
 * that lists collect.
 *
 * Functions return 0 or a negative errno with the story in struct error: -EINVAL is a usage error,
 * whose text names the option and the accepted values. Tables are static and read-only; parsing
 * keeps no state outside struct cli_invocation, so threads may parse at once. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/arena.h"
#include "base/buf.h"
#include "netkit/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_kind {
    CLI_KIND_FLAG,       /* bool: true when given */
    CLI_KIND_INTEGER,    /* int64_t */
    CLI_KIND_REAL,       /* double */
    CLI_KIND_DURATION,   /* int64_t nanoseconds; a bare number is seconds */
    CLI_KIND_SIZE,       /* int64_t bytes; k, M, G are powers of 1024 */
    CLI_KIND_TEXT,       /* const char *; `parse`, if there, checks it */
    CLI_KIND_LIST,       /* struct cli_list: one text each time the option is given */
    CLI_KIND_CHOICE,     /* an int or enum: the `number` of one of `words` */
    CLI_KIND_CHOICE_SET, /* uint32_t: bits 1 << `number` of a comma-separated list of `words` */
    CLI_KIND_WORD_LIST,  /* struct cli_list: comma-separated words, each one that `word` lists */
    CLI_KIND_PARSED,     /* what `parse` makes of it; it must not need freeing */
    CLI_KIND_CONSTANT,   /* an int or enum: `constant` when given; takes no value */
    CLI_KIND_ALIAS,      /* stands for `implies`, "format=json"; takes no value */
    CLI_KIND_ITEM,       /* struct cli_items: joins the ordered list */
    CLI_KIND_ITEM_FILE,  /* struct cli_items: reads items from a file, one a line */
    CLI_KIND_HELP,       /* what --help does; declared by this room itself */
    CLI_KIND_VERSION,    /* likewise --version */
};

/* How shells complete a value. Choices complete by their words whatever stands here. */
enum cli_completes {
    CLI_COMPLETES_NOTHING,
    CLI_COMPLETES_FILE,
    CLI_COMPLETES_DIRECTORY,
    CLI_COMPLETES_HOST,
    CLI_COMPLETES_WORDS,    /* those that the row's `word` lists */
    CLI_COMPLETES_COMMANDS, /* the program's */
};

/* A word that a choice accepts. Tables end with a NULL name. With `help` in any of its words, a
 * choice is explained word by word in --help. */
struct cli_word {
    const char *name;
    int number;
    const char *help;
};

/* Lists words that are another room's: the index-th, NULL after the last. */
typedef const char *cli_word_at(size_t index);

struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* 0: no short form */
    bool qualifier;   /* belongs to the item before it instead of the options struct */
    enum cli_kind kind;
    size_t field;         /* set by the CLI_… macros: offset + 1; 0 for none */
    size_t given;         /* CLI_GIVEN: a bool that says whether the option was given; 0: none */
    const char *value;    /* the value's name in help, "FILE"; NULL: named after the kind */
    const char *optional; /* the value may be left out, and is this text then */
    const char *initial;  /* the default, parsed as if it had been given */
    const char *help;     /* one or more sentences */
    int64_t min, max;     /* numbers, durations, sizes; max 0: no bound. Reals: whole bounds */
    const struct cli_word *words;
    cli_word_at *word;
    /* Checks a value (field NULL) or parses it into the field. Its message follows the option and
     * the value, "--until 'never': ", so it need not repeat them. */
    int (*parse)(const char *text, void *field, struct error *error);
    int constant;
    const char *implies;
    const char *conflicts; /* names, separated by spaces, that cannot stand beside this one */
    const char *needs;     /* names: at least one of them must be there too */
    enum cli_completes completes;
    bool bounds_reading; /* a duration: no file that is read may take longer */
};

/* Options under one heading. The rows end with {0}. */
struct cli_group {
    const char *heading;
    struct cli_option rows[];
};

/* A group as one command uses it. */
struct cli_fragment {
    const struct cli_group *group;
    size_t base; /* where the struct that the rows' offsets count from lies in the options */
    const char *without; /* names, separated by spaces, that this command does not take */
};

struct cli_example {
    const char *line; /* "netkit tcp-probe --preset redis :6379" */
    const char *shows;
};

struct cli_positional {
    const char *name; /* "TARGET"; NULL: the command takes no arguments */
    const char *help; /* its accepted forms; ends the message when it is missing */
    size_t min, max;  /* max 0: any number */
    enum cli_completes completes;
    cli_word_at *word;
};

struct cli_status {
    int status;
    const char *meaning;
};

struct cli_invocation;

struct cli_command {
    const char *name;
    const char *group;   /* the heading in `netkit help` */
    const char *summary; /* one line, no capital and no full stop: "time every part of …" */
    const char *usage; /* alternatives to "[OPTION]... TARGET", one a line; NULL: made from rows */
    const char *const *description; /* paragraphs, ends with NULL */
    struct cli_positional positional;
    const struct cli_fragment *fragments; /* ends with {0}; NULL: only --help and --version */
    const struct cli_example *examples;   /* ends with {0} */
    const struct cli_status *statuses;    /* ends with a NULL meaning */
    const char *see_also;                 /* names of commands, separated by spaces */
    size_t options_size;
    int (*run)(struct cli_invocation *invocation); /* returns the exit status */
};

struct cli_program {
    const char *name;
    const char *version;
    const char *summary;
    const struct cli_command *const *commands; /* ends with NULL; groups stand together */
    const struct cli_example *first_steps;     /* what to try first; ends with {0} */
};

struct cli_list {
    const char **words;
    size_t count;
};

union cli_value {
    bool flag;
    int64_t integer; /* integers, durations, sizes */
    double real;
    int choice;
    uint32_t choices;
    const char *text;
};

struct cli_qualifier {
    const struct cli_option *option;
    const char *text; /* NULL for a flag */
    union cli_value value;
};

/* An option whose place among its like matters, with what qualifies it: --drop syn --count 1. */
struct cli_item {
    const struct cli_option *option;
    const char *text;
    struct cli_qualifier *qualifiers;
    size_t qualifier_count;
    const char *file; /* where it was read, for messages; NULL: on the command line */
    int line;
};

struct cli_items {
    struct cli_item *items;
    size_t count;
};

enum cli_wants { CLI_WANTS_RUN, CLI_WANTS_HELP, CLI_WANTS_VERSION };

/* A command line, parsed. `options` is the command's options struct, zeroed where no row stored.
 * Texts point into argv where they can, so argv must live as long; the rest belongs to the
 * invocation, which cli_invocation_free() releases at once. */
struct cli_invocation {
    const struct cli_program *program;
    const struct cli_command *command;
    void *options;
    const char **args;
    size_t arg_count;
    enum cli_wants wants; /* with anything but RUN the rest is not checked */
    struct arena arena;   /* for what run() wants to live as long */
};

/* Parses what follows the command's name. `invocation` is overwritten; it must be freed after a
 * failure too. */
int cli_parse(struct cli_invocation *invocation, const struct cli_program *program,
              const struct cli_command *command, int argc, char *const argv[], struct error *error);
void cli_invocation_free(struct cli_invocation *invocation);

/* The last qualifier of that name, or NULL. */
const struct cli_qualifier *cli_item_find(const struct cli_item *item, const char *name);

/* Reads items from text, one a line: an item's option with its qualifiers, exactly as on the
 * command line. Blank lines and lines that start with # are skipped; '…' and "…" keep spaces
 * together, a backslash outside '…' takes the next character as it is. `file` is for messages. */
int cli_items_read(struct cli_invocation *invocation, struct cli_items *items, const char *file,
                   const char *text, size_t len_bytes, struct error *error);

/* By name; NULL when there is none. */
const struct cli_command *cli_command_find(const struct cli_program *program, const char *name);
const char *cli_command_nearest(const struct cli_program *program, const char *misspelt);

/* Checks the tables: unique names and letters, defaults that parse, references that lead somewhere,
 * help everywhere. A test and the generator call it. */
int cli_check(const struct cli_program *program, struct error *error);

struct cli_style {
    int width; /* columns of the terminal */
    bool color;
};

/* `netkit` alone, `netkit help`, `netkit help COMMAND`. */
void cli_render_welcome(struct buf *out, const struct cli_program *program,
                        const struct cli_style *style);
void cli_render_overview(struct buf *out, const struct cli_program *program,
                         const struct cli_style *style);
void cli_render_help(struct buf *out, const struct cli_program *program,
                     const struct cli_command *command, const struct cli_style *style);

/* Appends words of `text` so that no line passes `width`; the cursor stands at column `column`,
 * new lines start at `indent`. Ends with a newline. */
void cli_wrap(struct buf *out, const char *text, int column, int indent, int width);

/* Completes the last of `words`, which follow the program's name on a command line being typed; the
 * shims in completions/ ask for it. One line each: how to complete ("words", "list" for an element
 * of a comma-separated list, "file", "directory", "host"), what of the last word stands before what
 * completes ("--output=", or nothing), then the candidates, each with a tab and its description
 * where there is one. Which of them fit what is typed the shell decides. Nothing at all where
 * nothing can stand. */
void cli_complete(struct buf *out, const struct cli_program *program, size_t count,
                  char *const words[]);

/* Blocks for man pages (man(7) macros) and for the README (GitHub's Markdown). */
void cli_render_man_options(struct buf *out, const struct cli_command *command);
void cli_render_man_examples(struct buf *out, const struct cli_command *command);
void cli_render_man_first_steps(struct buf *out, const struct cli_program *program);
void cli_render_man_statuses(struct buf *out, const struct cli_command *command);
void cli_render_man_commands(struct buf *out, const struct cli_program *program);
/* An entry of a list: a term, and paragraphs of text. */
void cli_render_man_entry(struct buf *out, const char *term, const char *const *paragraphs,
                          size_t count);
void cli_render_readme_commands(struct buf *out, const struct cli_program *program);

/* ---- the macros of the rows ---- */

/* A constant 0 that compiles only when the condition holds. */
#define CLI_MUST(condition, message)                                                               \
    (0 * sizeof(struct {                                                                           \
         int unused;                                                                               \
         _Static_assert(condition, message);                                                       \
     }))
#define CLI_PLACE(type, member) .field = offsetof(type, member) + 1
#define CLI_TYPED(type, member, wanted)                                                            \
    CLI_PLACE(type, member) +                                                                      \
        CLI_MUST(__builtin_types_compatible_p(__typeof__(((type *)0)->member), wanted),            \
                 "the member's type is not what this kind of option stores")
#define CLI_SIZED(type, member)                                                                    \
    CLI_PLACE(type, member) + CLI_MUST(sizeof(((type *)0)->member) == sizeof(int),                 \
                                       "the member must be an int or an enum")

#define CLI_FLAG(type, member)       .kind = CLI_KIND_FLAG, CLI_TYPED(type, member, bool)
#define CLI_INTEGER(type, member)    .kind = CLI_KIND_INTEGER, CLI_TYPED(type, member, int64_t)
#define CLI_REAL(type, member)       .kind = CLI_KIND_REAL, CLI_TYPED(type, member, double)
#define CLI_DURATION(type, member)   .kind = CLI_KIND_DURATION, CLI_TYPED(type, member, int64_t)
#define CLI_SIZE(type, member)       .kind = CLI_KIND_SIZE, CLI_TYPED(type, member, int64_t)
#define CLI_TEXT(type, member)       .kind = CLI_KIND_TEXT, CLI_TYPED(type, member, const char *)
#define CLI_LIST(type, member)       .kind = CLI_KIND_LIST, CLI_TYPED(type, member, struct cli_list)
#define CLI_CHOICE(type, member)     .kind = CLI_KIND_CHOICE, CLI_SIZED(type, member)
#define CLI_CHOICE_SET(type, member) .kind = CLI_KIND_CHOICE_SET, CLI_TYPED(type, member, uint32_t)
#define CLI_WORD_LIST(type, member)                                                                \
    .kind = CLI_KIND_WORD_LIST, CLI_TYPED(type, member, struct cli_list)
#define CLI_PARSED(type, member)   .kind = CLI_KIND_PARSED, CLI_PLACE(type, member)
#define CLI_CONSTANT(type, member) .kind = CLI_KIND_CONSTANT, CLI_SIZED(type, member)
#define CLI_ALIAS(option_text)     .kind = CLI_KIND_ALIAS, .implies = (option_text)
#define CLI_ITEM(type, member)     .kind = CLI_KIND_ITEM, CLI_TYPED(type, member, struct cli_items)
#define CLI_ITEM_FILE(type, member)                                                                \
    .kind = CLI_KIND_ITEM_FILE, CLI_TYPED(type, member, struct cli_items)
#define CLI_GIVEN(type, member)                                                                    \
    .given = offsetof(type, member) + 1 +                                                          \
             CLI_MUST(__builtin_types_compatible_p(__typeof__(((type *)0)->member), bool),         \
                      "what says whether an option was given is a bool")
/* A qualifier of the kind FLAG, INTEGER, REAL, DURATION, SIZE, TEXT, CHOICE or CHOICE_SET. */
#define CLI_QUALIFIER(kind_word) .qualifier = true, .kind = CLI_KIND_##kind_word

#endif
