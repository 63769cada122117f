/* The walk over argv.
 *
 * Defaults are stored first, by the same code that stores values; kinds that collect start anew
 * with the first value given. What depends on several options (conflicts, needs, the number of
 * arguments) is checked at the end, when all are known. A line of an item file goes through the
 * same walk, with a parser that accepts only one item and its qualifiers. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/input.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_FILE_MAX_BYTES (1 << 20)

/* A file of items, and how many of the command line stand before it. */
struct item_file {
    const struct cli_option *option;
    struct cli_items *items;
    size_t before;
    const char *path;
};

struct parser {
    struct cli_invocation *invocation;
    const struct cli_command *command;
    bool *seen;             /* by row number; NULL on a line of a file */
    struct cli_items *only; /* on a line of a file: the list that it adds to */
    const char *file;
    int line;
    struct cli_items *latest; /* the list whose last item a qualifier qualifies */
    const char *const *words; /* argv, and how far we are */
    size_t count;
    size_t next;
    struct item_file *files;
    size_t file_count;
    struct error *error;
};

void cli_invocation_free(struct cli_invocation *invocation)
{
    arena_free(&invocation->arena);
    *invocation = (struct cli_invocation){0};
}

static void *field_of(const struct parser *parser, const struct cli_row *row)
{
    if (!row->option->field)
        return NULL;
    return (char *)parser->invocation->options + row->base + row->option->field - 1;
}

static void mark_given(struct parser *parser, const struct cli_row *row)
{
    if (row->option->given)
        *(bool *)((char *)parser->invocation->options + row->base + row->option->given - 1) = true;
    if (parser->seen)
        parser->seen[row->number] = true;
}

static int take_qualifier(struct parser *parser, const struct cli_row *row, const char *text)
{
    if (!parser->latest || !parser->latest->count)
        return error_set(parser->error, EINVAL, "--%s must follow an option that it qualifies",
                         row->option->name);
    return cli_item_qualify(parser->invocation, &parser->latest->items[parser->latest->count - 1],
                            row->option, text, parser->error);
}

static int take_item(struct parser *parser, const struct cli_row *row, const char *text)
{
    struct cli_items *items = field_of(parser, row);

    if (parser->only && parser->latest)
        return error_set(parser->error, EINVAL, "--%s: only one item per line", row->option->name);
    int rc = cli_items_append(parser->invocation, items, row->option, text, parser->error);
    if (rc)
        return rc;
    items->items[items->count - 1].file = parser->file;
    items->items[items->count - 1].line = parser->line;
    parser->latest = items;
    return 0;
}

/* Noted where it stands, and read when all options are known: --timeout bounds it. */
static int take_file(struct parser *parser, const struct cli_row *row, const char *path)
{
    struct cli_items *items = field_of(parser, row);
    struct item_file *files =
        arena_grow(&parser->invocation->arena, parser->files, parser->file_count, sizeof *files);

    if (!files)
        return error_sys(parser->error, ENOMEM, "options");
    parser->files = files;
    parser->files[parser->file_count++] =
        (struct item_file){row->option, items, items->count, path};
    parser->latest = NULL; /* what follows qualifies nothing in the file */
    return 0;
}

static int take_option(struct parser *parser, const struct cli_row *row, const char *text);

static int take_alias(struct parser *parser, const struct cli_row *row)
{
    const char *rest = row->option->implies;
    const char *name;
    size_t len;
    struct cli_row target;

    if (!cli_next_word(&rest, '=', &name, &len) ||
        !cli_row_find(&target, parser->command, name, len) || target.option->kind == CLI_KIND_ALIAS)
        return error_set(parser->error, EINVAL, "--%s is not available here", row->option->name);
    return take_option(parser, &target, rest);
}

/* An option with its value, or NULL where it takes none. */
static int take_option(struct parser *parser, const struct cli_row *row, const char *text)
{
    const struct cli_option *option = row->option;
    bool repeated = parser->seen && parser->seen[row->number];

    if (parser->only && !option->qualifier &&
        (option->kind != CLI_KIND_ITEM || field_of(parser, row) != parser->only))
        return error_set(parser->error, EINVAL, "--%s is not allowed in such a file", option->name);
    mark_given(parser, row);
    if (option->qualifier)
        return take_qualifier(parser, row, text);
    switch (option->kind) {
    case CLI_KIND_HELP:
        parser->invocation->wants = CLI_WANTS_HELP;
        return 0;
    case CLI_KIND_VERSION:
        parser->invocation->wants = CLI_WANTS_VERSION;
        return 0;
    case CLI_KIND_ALIAS:
        return take_alias(parser, row);
    case CLI_KIND_ITEM:
        return take_item(parser, row, text);
    case CLI_KIND_ITEM_FILE:
        return take_file(parser, row, text);
    case CLI_KIND_LIST:
    case CLI_KIND_WORD_LIST:
        if (!repeated)
            memset(field_of(parser, row), 0, sizeof(struct cli_list));
        break;
    case CLI_KIND_CHOICE_SET:
        if (!repeated)
            memset(field_of(parser, row), 0, sizeof(uint32_t));
        break;
    case CLI_KIND_FLAG:
    case CLI_KIND_INTEGER:
    case CLI_KIND_REAL:
    case CLI_KIND_DURATION:
    case CLI_KIND_SIZE:
    case CLI_KIND_TEXT:
    case CLI_KIND_CHOICE:
    case CLI_KIND_PARSED:
    case CLI_KIND_CONSTANT:
        break;
    }
    return cli_value_store(parser->invocation, option, text, field_of(parser, row), parser->error);
}

static const char *option_name_at(const void *context, size_t index)
{
    struct cli_walk walk = {0};
    while (cli_walk_next(&walk, context))
        if (walk.row.number == index)
            return walk.row.option->name;
    return NULL;
}

/* The name that a cut-off one begins, when only one does; else the nearest. */
static const char *suggest(const struct cli_command *command, const char *name)
{
    struct cli_walk walk = {0};
    const char *whole = NULL;
    int matches = 0;

    while (cli_walk_next(&walk, command))
        if (strlen(name) > 1 && !strncmp(walk.row.option->name, name, strlen(name))) {
            whole = walk.row.option->name;
            matches++;
        }
    return matches == 1 ? whole : cli_nearest(name, option_name_at, command);
}

static int unknown_option(struct parser *parser, const char *shown, const char *name)
{
    cleanup(buf) struct buf quoted = {0};
    const char *near = suggest(parser->command, name);

    cli_quote(&quoted, shown);
    return error_set(parser->error, EINVAL, "unknown option %s%s%s%s", buf_str(&quoted),
                     near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

static int missing_value(struct parser *parser, const struct cli_option *option)
{
    cleanup(buf) struct buf wanted = {0};
    cli_value_wanted(&wanted, option);
    return error_set(parser->error, EINVAL, "--%s wants %s, but nothing follows it", option->name,
                     buf_str(&wanted));
}

static int take_long(struct parser *parser, const char *word)
{
    const char *equals = strchr(word + 2, '=');
    cleanup(mem) char *name = strndup(word + 2, (size_t)(strchrnul(word + 2, '=') - word - 2));
    struct cli_row row;

    if (!name)
        return error_sys(parser->error, ENOMEM, "options");
    if (!cli_row_find(&row, parser->command, name, strlen(name))) {
        cleanup(buf) struct buf shown = {0};
        buf_printf(&shown, "--%s", name);
        return unknown_option(parser, buf_str(&shown), name);
    }
    if (!cli_takes_value(row.option->kind)) {
        cleanup(buf) struct buf got = {0};
        if (!equals)
            return take_option(parser, &row, NULL);
        cli_quote(&got, equals + 1);
        return error_set(parser->error, EINVAL, "--%s takes no value, got %s", name, buf_str(&got));
    }
    if (equals)
        return take_option(parser, &row, equals + 1);
    if (row.option->optional)
        return take_option(parser, &row, row.option->optional);
    if (parser->next >= parser->count)
        return missing_value(parser, row.option);
    return take_option(parser, &row, parser->words[parser->next++]);
}

/* A cluster of letters; the first that takes a value takes the rest of the word, or the next. */
static int take_letters(struct parser *parser, const char *word)
{
    for (const char *p = word + 1; *p && parser->invocation->wants == CLI_WANTS_RUN; p++) {
        struct cli_row row;
        int rc;

        if (!cli_row_find_letter(&row, parser->command, *p)) {
            cleanup(buf) struct buf shown = {0};
            buf_printf(&shown, "-%.*s", (unsigned char)*p < 0x80 ? 1 : (int)strlen(p), p);
            return unknown_option(parser, p == word + 1 ? word : buf_str(&shown), word + 1);
        }
        if (!cli_takes_value(row.option->kind)) {
            rc = take_option(parser, &row, NULL);
        } else if (row.option->optional) {
            rc = take_option(parser, &row, row.option->optional);
        } else {
            const char *text = p[1]                           ? p + 1
                               : parser->next < parser->count ? parser->words[parser->next++]
                                                              : NULL;
            return text ? take_option(parser, &row, text) : missing_value(parser, row.option);
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int take_argument(struct parser *parser, const char *word)
{
    const struct cli_positional *positional = &parser->command->positional;
    struct cli_invocation *invocation = parser->invocation;
    cleanup(buf) struct buf got = {0};

    cli_quote(&got, word);
    if (parser->only)
        return error_set(parser->error, EINVAL, "expected an option at %s", buf_str(&got));
    if (!positional->name)
        return error_set(parser->error, EINVAL, "takes no arguments, got %s", buf_str(&got));
    if (positional->max && invocation->arg_count == positional->max)
        return error_set(parser->error, EINVAL, "takes at most %zu argument%s, but also got %s",
                         positional->max, positional->max == 1 ? "" : "s", buf_str(&got));
    invocation->args[invocation->arg_count++] = word;
    return 0;
}

static int parse_words(struct parser *parser)
{
    bool options_end = false;
    int rc = 0;

    while (!rc && parser->next < parser->count && parser->invocation->wants == CLI_WANTS_RUN) {
        const char *word = parser->words[parser->next++];
        if (options_end || word[0] != '-' || !word[1])
            rc = take_argument(parser, word);
        else if (!strcmp(word, "--"))
            options_end = true;
        else
            rc = word[1] == '-' ? take_long(parser, word) : take_letters(parser, word);
    }
    return rc;
}

static int check_row(const struct parser *parser, const struct cli_option *option)
{
    const char *names = option->conflicts;
    const char *word;
    size_t len;
    struct cli_row other;
    cleanup(buf) struct buf needed = {0};

    while (cli_next_word(&names, ' ', &word, &len))
        if (cli_row_find(&other, parser->command, word, len) && parser->seen[other.number])
            return error_set(parser->error, EINVAL, "--%s and --%s cannot be combined",
                             option->name, other.option->name);
    if (!option->needs)
        return 0;
    names = option->needs;
    while (cli_next_word(&names, ' ', &word, &len)) {
        if (cli_row_find(&other, parser->command, word, len) && parser->seen[other.number])
            return 0;
        buf_printf(&needed, "%s--%.*s", needed.len_bytes ? " or " : "", (int)len, word);
    }
    return error_set(parser->error, EINVAL, "--%s needs %s", option->name, buf_str(&needed));
}

static int check_together(const struct parser *parser)
{
    const struct cli_positional *positional = &parser->command->positional;
    struct cli_walk walk = {0};

    while (cli_walk_next(&walk, parser->command)) {
        int rc = parser->seen[walk.row.number] ? check_row(parser, walk.row.option) : 0;
        if (rc)
            return rc;
    }
    if (positional->name && parser->invocation->arg_count < positional->min)
        return error_set(parser->error, EINVAL, "%s is missing%s%s", positional->name,
                         positional->help ? ": " : "", positional->help ? positional->help : "");
    return 0;
}

static int store_defaults(struct parser *parser)
{
    struct cli_walk walk = {0};

    while (cli_walk_next(&walk, parser->command)) {
        const struct cli_option *option = walk.row.option;
        int rc = option->initial ? cli_value_store(parser->invocation, option, option->initial,
                                                   field_of(parser, &walk.row), parser->error)
                                 : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static void bound_reading(const struct parser *parser)
{
    struct cli_walk walk = {0};

    while (cli_walk_next(&walk, parser->command)) {
        int64_t now = clock_mono_ns();
        if (!walk.row.option->bounds_reading || !parser->seen[walk.row.number])
            continue;
        int64_t span_ns = *(const int64_t *)field_of(parser, &walk.row);
        input_wait_until(span_ns < INT64_MAX - now ? now + span_ns : INT64_MAX);
    }
}

/* Moves what was read from the end of the list to its place. */
static void insert_items(struct cli_items *items, size_t from, size_t at)
{
    for (; from < items->count && from > at; from++, at++) {
        struct cli_item item = items->items[from];
        memmove(items->items + at + 1, items->items + at, (from - at) * sizeof item);
        items->items[at] = item;
    }
}

static int read_file(struct parser *parser, size_t index)
{
    const struct item_file *file = &parser->files[index];
    size_t count = file->items->count;
    cleanup(buf) struct buf option = {0}, content = {0};

    buf_printf(&option, "--%s", file->option->name);
    int rc =
        input_read_text(&content, buf_str(&option), file->path, ITEM_FILE_MAX_BYTES, parser->error);
    if (rc)
        return rc;
    rc = cli_items_read(parser->invocation, file->items, file->path, buf_str(&content),
                        content.len_bytes, parser->error);
    if (rc)
        return error_add(parser->error, "%s", buf_str(&option));
    insert_items(file->items, count, file->before);
    for (size_t i = index + 1; i < parser->file_count; i++)
        if (parser->files[i].items == file->items)
            parser->files[i].before += file->items->count - count;
    return 0;
}

int cli_parse(struct cli_invocation *invocation, const struct cli_program *program,
              const struct cli_command *command, int argc, char *const argv[], struct error *error)
{
    size_t count = argc > 0 ? (size_t)argc : 0;

    *invocation = (struct cli_invocation){.program = program, .command = command};
    invocation->options = arena_alloc(&invocation->arena, command->options_size);
    invocation->args = arena_alloc(&invocation->arena, (count + 1) * sizeof *invocation->args);
    struct parser parser = {
        .invocation = invocation,
        .command = command,
        .seen = arena_alloc(&invocation->arena, cli_row_count(command) * sizeof(bool)),
        .words = (const char *const *)argv,
        .count = count,
        .error = error,
    };
    if (!invocation->options || !invocation->args || !parser.seen)
        return error_sys(error, ENOMEM, "options");
    int rc = store_defaults(&parser);
    if (!rc)
        rc = parse_words(&parser);
    if (!rc && invocation->wants == CLI_WANTS_RUN)
        rc = check_together(&parser);
    if (!rc && invocation->wants == CLI_WANTS_RUN)
        bound_reading(&parser);
    for (size_t i = 0; !rc && invocation->wants == CLI_WANTS_RUN && i < parser.file_count; i++)
        rc = read_file(&parser, i);
    return rc;
}

static int read_line(struct cli_invocation *invocation, struct cli_items *items, const char *file,
                     int number, const char *text, size_t len, struct error *error)
{
    size_t count;

    for (; len && strchr(" \t\r", *text); text++, len--)
        ;
    if (!len || *text == '#')
        return 0;
    if (memchr(text, '\0', len))
        return error_set(error, EINVAL, "contains a zero byte");
    char *line = arena_alloc(&invocation->arena, len + 1);
    const char **words = arena_alloc(&invocation->arena, (len / 2 + 1) * sizeof *words);
    if (!line || !words)
        return error_sys(error, ENOMEM, "options");
    memcpy(line, text, len);
    int rc = cli_items_split_line(line, words, &count, error);
    if (rc || !count)
        return rc;
    struct parser parser = {.invocation = invocation,
                            .command = invocation->command,
                            .only = items,
                            .file = file,
                            .line = number,
                            .words = words,
                            .count = count,
                            .error = error};
    return parse_words(&parser);
}

int cli_items_read(struct cli_invocation *invocation, struct cli_items *items, const char *file,
                   const char *text, size_t len_bytes, struct error *error)
{
    const char *end = text + len_bytes;
    int number = 1;

    for (; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((newline ? newline : end) - text);
        int rc = read_line(invocation, items, file, number, text, len, error);
        if (rc) {
            error_add(error, "%s:%d", file, number);
            return rc;
        }
        text += len + (newline != NULL);
    }
    return 0;
}
