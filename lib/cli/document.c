/* Blocks for the man pages, in man(7) macros, and for the README, in Markdown. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include <string.h>

/* Text as roff shows it unchanged: no escapes, no requests, hyphens that can be copied. */
static void add_roff(struct buf *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        buf_add_str(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            buf_add_str(out, "\\e");
        else if (*text == '-')
            buf_add_str(out, "\\-");
        else if (*text == '\'')
            buf_add_str(out, "\\(aq");
        else
            buf_add_char(out, *text);
    }
}

/* A text line; a sentence that ends inside it starts a new line, as man(7) wants it. */
static void add_roff_line(struct buf *out, const char *text)
{
    const char *end;

    while ((end = strstr(text, ". ")) && end[2] >= 'A' && end[2] <= 'Z') {
        cleanup(mem) char *sentence = strndup(text, (size_t)(end + 1 - text));
        if (!sentence) {
            out->failed = true;
            return;
        }
        add_roff(out, sentence);
        buf_add_char(out, '\n');
        text = end + 2;
    }
    add_roff(out, text);
    buf_add_char(out, '\n');
}

static void add_roff_font(struct buf *out, char font, const char *text)
{
    buf_printf(out, "\\f%c", font);
    add_roff(out, text);
    buf_add_str(out, "\\fR");
}

static void add_term(struct buf *out, const struct cli_option *option)
{
    cleanup(buf) struct buf name = {0};
    cleanup(buf) struct buf value = {0};
    char letter[3] = {'-', option->letter, '\0'};

    buf_add_str(out, ".TP\n");
    if (option->letter) {
        add_roff_font(out, 'B', letter);
        buf_add_str(out, ", ");
    }
    buf_printf(&name, "--%s", option->name);
    add_roff_font(out, 'B', buf_str(&name));
    if (cli_takes_value(option->kind)) {
        cli_value_name(&value, option);
        buf_add_str(out, option->optional ? "[=" : " ");
        add_roff_font(out, 'I', buf_str(&value));
        buf_add_str(out, option->optional ? "]" : "");
    }
    buf_add_char(out, '\n');
}

static void add_words(struct buf *out, const struct cli_option *option)
{
    buf_add_str(out, ".RS\n");
    for (const struct cli_word *word = option->words; word->name; word++) {
        buf_add_str(out, ".TP\n");
        add_roff_font(out, 'B', word->name);
        buf_add_char(out, '\n');
        add_roff_line(out, word->help ? word->help : "");
    }
    buf_add_str(out, ".RE\n");
}

void cli_render_man_options(struct buf *out, const struct cli_command *command)
{
    const char *heading = "";
    struct cli_walk walk = {0};

    while (cli_walk_next(&walk, command)) {
        const struct cli_option *option = walk.row.option;
        cleanup(buf) struct buf text = {0};
        if (strcmp(heading, walk.row.group->heading) != 0) {
            buf_add_str(out, ".SS ");
            add_roff(out, walk.row.group->heading);
            buf_add_char(out, '\n');
        }
        heading = walk.row.group->heading;
        add_term(out, option);
        cli_option_text(&text, option, CLI_TEXT_FOR_MAN);
        add_roff_line(out, buf_str(&text));
        if (cli_words_explained(option))
            add_words(out, option);
    }
}

static void add_examples(struct buf *out, const struct cli_example *examples)
{
    for (; examples && examples->line; examples++) {
        buf_add_str(out, ".TP\n");
        add_roff_font(out, 'B', examples->line);
        buf_add_char(out, '\n');
        add_roff_line(out, examples->shows);
    }
}

void cli_render_man_examples(struct buf *out, const struct cli_command *command)
{
    add_examples(out, command->examples);
}

void cli_render_man_first_steps(struct buf *out, const struct cli_program *program)
{
    add_examples(out, program->first_steps);
}

void cli_render_man_statuses(struct buf *out, const struct cli_command *command)
{
    for (const struct cli_status *row = command->statuses; row && row->meaning; row++) {
        buf_printf(out, ".TP\n\\fB%d\\fR\n", row->status);
        add_roff_line(out, row->meaning);
    }
}

void cli_render_man_commands(struct buf *out, const struct cli_program *program)
{
    const char *group = "";

    for (size_t i = 0; program->commands[i]; i++) {
        const struct cli_command *command = program->commands[i];
        if (strcmp(group, command->group) != 0) {
            buf_add_str(out, ".SS ");
            add_roff(out, command->group);
            buf_add_char(out, '\n');
        }
        group = command->group;
        buf_add_str(out, ".TP\n");
        add_roff_font(out, 'B', command->name);
        buf_add_char(out, '\n');
        add_roff_line(out, command->summary);
    }
}

void cli_render_readme_commands(struct buf *out, const struct cli_program *program)
{
    buf_add_str(out, "| command | what it does |\n| --- | --- |\n");
    for (size_t i = 0; program->commands[i]; i++)
        buf_printf(out, "| `%s %s` | %s |\n", program->name, program->commands[i]->name,
                   program->commands[i]->summary);
}

void cli_render_man_entry(struct buf *out, const char *term, const char *const *paragraphs,
                          size_t count)
{
    buf_add_str(out, ".TP\n");
    add_roff_font(out, 'B', term);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_str(out, ".IP\n");
        add_roff_line(out, paragraphs[i]);
    }
}
