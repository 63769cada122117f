/* --help, `netkit help` and `netkit` alone, for a terminal. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <string.h>

#define NARROW   60 /* with fewer columns, texts stand below the names */
#define LEFT_MAX 30 /* columns of the left side; what is wider gets a line of its own */

static void add_bold(struct buf *out, const struct cli_style *style, const char *text)
{
    buf_printf(out, style->color ? "\033[1m%s\033[0m" : "%s", text);
}

static void add_heading(struct buf *out, const struct cli_style *style, const char *text)
{
    buf_add_char(out, '\n');
    add_bold(out, style, text);
    buf_add_str(out, ":\n");
}

/* "  -o, --output FILE", and its columns. */
static void option_left(struct buf *out, const struct cli_option *option)
{
    if (option->letter)
        buf_printf(out, "  -%c, --%s", option->letter, option->name);
    else
        buf_printf(out, "      --%s", option->name);
    if (cli_takes_value(option->kind)) {
        buf_add_str(out, option->optional ? "[=" : " ");
        cli_value_name(out, option);
        buf_add_str(out, option->optional ? "]" : "");
    }
}

static int left_columns(const struct cli_command *command, const struct cli_style *style)
{
    struct cli_walk walk = {0};
    int widest = 0;

    if (style->width < NARROW)
        return 10;
    while (cli_walk_next(&walk, command)) {
        cleanup(buf) struct buf left = {0};
        option_left(&left, walk.row.option);
        int columns = text_width(buf_str(&left)) + 2;
        if (columns > widest && columns <= LEFT_MAX)
            widest = columns;
    }
    return widest;
}

/* Two columns: what is named at the left, what it is at the right. */
static void add_pair(struct buf *out, const struct cli_style *style, const char *left,
                     const char *right, int column)
{
    int used = text_width(left);

    add_bold(out, style, left);
    if (!*right) {
        buf_add_char(out, '\n');
        return;
    }
    if (used + 2 > column) {
        buf_add_char(out, '\n');
        used = 0;
    }
    buf_add_repeat(out, " ", column - used);
    cli_wrap(out, right, column, column, style->width);
}

static void add_words(struct buf *out, const struct cli_style *style,
                      const struct cli_option *option, int column)
{
    int widest = 0;

    for (const struct cli_word *word = option->words; word->name; word++)
        if (text_width(word->name) > widest)
            widest = text_width(word->name);
    for (const struct cli_word *word = option->words; word->name; word++) {
        cleanup(buf) struct buf left = {0};
        buf_add_repeat(&left, " ", column + 2);
        buf_add_str(&left, word->name);
        add_pair(out, style, buf_str(&left), word->help ? word->help : "", column + widest + 4);
    }
}

static void add_options(struct buf *out, const struct cli_command *command,
                        const struct cli_style *style)
{
    const char *heading = "";
    struct cli_walk walk = {0};
    int column = left_columns(command, style);

    while (cli_walk_next(&walk, command)) {
        const struct cli_option *option = walk.row.option;
        cleanup(buf) struct buf left = {0};
        cleanup(buf) struct buf right = {0};
        bool explained = cli_words_explained(option);

        if (strcmp(heading, walk.row.group->heading) != 0)
            add_heading(out, style, walk.row.group->heading);
        heading = walk.row.group->heading;
        option_left(&left, option);
        cli_option_text(&right, option, CLI_TEXT_FOR_HELP);
        add_pair(out, style, buf_str(&left), buf_str(&right), column);
        if (explained)
            add_words(out, style, option, column);
    }
}

static void add_usage(struct buf *out, const struct cli_program *program,
                      const struct cli_command *command)
{
    cleanup(buf) struct buf usage = {0};
    const char *lines;
    const char *line;
    size_t len;

    cli_usage_text(&usage, command);
    lines = buf_str(&usage);
    while (cli_next_word(&lines, '\n', &line, &len))
        buf_printf(out, "  %s %s %.*s\n", program->name, command->name, (int)len, line);
}

static void add_examples(struct buf *out, const struct cli_example *examples,
                         const struct cli_style *style)
{
    for (; examples && examples->line; examples++) {
        buf_add_str(out, "  ");
        add_bold(out, style, examples->line);
        buf_add_str(out, "\n      ");
        cli_wrap(out, examples->shows, 6, 6, style->width);
    }
}

static void add_statuses(struct buf *out, const struct cli_command *command,
                         const struct cli_style *style)
{
    for (const struct cli_status *row = command->statuses; row && row->meaning; row++) {
        buf_printf(out, "  %3d  ", row->status);
        cli_wrap(out, row->meaning, 7, 7, style->width);
    }
}

static void add_see_also(struct buf *out, const struct cli_program *program,
                         const struct cli_command *command)
{
    const char *names = command->see_also;
    const char *name;
    size_t len;

    while (cli_next_word(&names, ' ', &name, &len))
        buf_printf(out, "  %s help %.*s\n", program->name, (int)len, name);
}

void cli_render_help(struct buf *out, const struct cli_program *program,
                     const struct cli_command *command, const struct cli_style *style)
{
    cleanup(buf) struct buf title = {0};

    buf_printf(&title, "%s %s", program->name, command->name);
    add_bold(out, style, buf_str(&title));
    buf_add_str(out, " - ");
    cli_wrap(out, command->summary, text_width(buf_str(&title)) + 3, 4, style->width);
    add_heading(out, style, "Usage");
    add_usage(out, program, command);
    for (size_t i = 0; command->description && command->description[i]; i++) {
        buf_add_char(out, '\n');
        cli_wrap(out, command->description[i], 0, 0, style->width);
    }
    if (command->examples && command->examples->line) {
        add_heading(out, style, "Examples");
        add_examples(out, command->examples, style);
    }
    add_options(out, command, style);
    if (command->statuses && command->statuses->meaning) {
        add_heading(out, style, "Exit status");
        add_statuses(out, command, style);
    }
    if (command->see_also) {
        add_heading(out, style, "See also");
        add_see_also(out, program, command);
    }
}

static void add_commands(struct buf *out, const struct cli_program *program,
                         const struct cli_style *style)
{
    const char *group = "";
    int widest = 0;

    for (size_t i = 0; program->commands[i]; i++)
        if (text_width(program->commands[i]->name) > widest)
            widest = text_width(program->commands[i]->name);
    for (size_t i = 0; program->commands[i]; i++) {
        const struct cli_command *command = program->commands[i];
        cleanup(buf) struct buf left = {0};
        if (strcmp(group, command->group) != 0)
            add_heading(out, style, command->group);
        group = command->group;
        buf_printf(&left, "  %s", command->name);
        add_pair(out, style, buf_str(&left), command->summary, widest + 5);
    }
}

static void add_title(struct buf *out, const struct cli_program *program,
                      const struct cli_style *style)
{
    cleanup(buf) struct buf title = {0};

    buf_printf(&title, "%s %s", program->name, program->version);
    add_bold(out, style, buf_str(&title));
    buf_add_str(out, " - ");
    cli_wrap(out, program->summary, text_width(buf_str(&title)) + 3, 0, style->width);
}

void cli_render_welcome(struct buf *out, const struct cli_program *program,
                        const struct cli_style *style)
{
    add_title(out, program, style);
    add_heading(out, style, "Try first");
    add_examples(out, program->first_steps, style);
}

void cli_render_overview(struct buf *out, const struct cli_program *program,
                         const struct cli_style *style)
{
    add_title(out, program, style);
    add_heading(out, style, "Usage");
    buf_printf(out,
               "  %s COMMAND [OPTION]... [ARG]...\n"
               "  %s help COMMAND\n"
               "  %s --version\n",
               program->name, program->name, program->name);
    add_commands(out, program, style);
    add_heading(out, style, "Try first");
    add_examples(out, program->first_steps, style);
}
