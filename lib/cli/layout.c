/* Text that both help and the man pages show: wrapping, usage, the sentences of an option. */
#include "cli/internal.h"

#include "base/text.h"
#include <string.h>

void cli_wrap(struct buf *out, const char *text, int column, int indent, int width)
{
    bool line_start = true;

    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t len = strcspn(text, " ");
        char word[256];
        if (len >= sizeof word)
            len = sizeof word - 1;
        memcpy(word, text, len);
        word[len] = '\0';
        text += len;

        int columns = text_width(word);
        if (!line_start && column + 1 + columns > width) {
            buf_add_char(out, '\n');
            buf_add_repeat(out, " ", indent);
            column = indent;
            line_start = true;
        }
        buf_printf(out, "%s%s", line_start ? "" : " ", word);
        column += columns + !line_start;
        line_start = false;
    }
    buf_add_char(out, '\n');
}

/* "Not with --send or --preset." */
static void add_names(struct buf *out, const char *lead, const char *names)
{
    const char *word;
    size_t len;
    bool first = true;

    if (!names)
        return;
    for (; cli_next_word(&names, ' ', &word, &len); first = false)
        buf_printf(out, "%s--%.*s", first ? lead : " or ", (int)len, word);
    buf_add_char(out, '.');
}

/* The default of a choice of many is mostly all of them, or all but the last ones. */
static void add_default(struct buf *out, const struct cli_option *option)
{
    struct buf all = {0};
    size_t len = strlen(option->initial);

    if (option->kind == CLI_KIND_CHOICE_SET)
        cli_words_join(&all, option, ",");
    if (all.len_bytes < len || strncmp(buf_str(&all), option->initial, len))
        buf_printf(out, "default: %s", option->initial);
    else if (all.len_bytes == len)
        buf_add_str(out, "default: all");
    else
        buf_printf(out, "default: all but %s", buf_str(&all) + len + strlen(","));
    buf_free(&all);
}

static void add_range_and_default(struct buf *out, const struct cli_option *option, bool range)
{
    struct buf note = {0};

    if (range)
        cli_value_range(&note, option);
    if (option->initial) {
        buf_add_str(&note, note.len_bytes ? "; " : "");
        add_default(&note, option);
    }
    if (note.len_bytes)
        buf_printf(out, " (%s)", buf_str(&note));
    buf_free(&note);
}

/* The words of a choice, unless they are shown as the value or explained below. */
static void add_words(struct buf *out, const struct cli_option *option)
{
    struct buf name = {0};

    cli_value_name(&name, option);
    if (option->words && !cli_words_explained(option) && !strchr(buf_str(&name), '|')) {
        buf_add_str(out, option->kind == CLI_KIND_CHOICE ? " One of " : " Of ");
        cli_words_join(out, option, ", ");
        buf_add_char(out, '.');
    }
    buf_free(&name);
}

void cli_option_text(struct buf *out, const struct cli_option *option, enum cli_text_for reader)
{
    buf_add_str(out, option->help);
    add_words(out, option);
    add_names(out, " Needs ", option->needs);
    add_names(out, " Not with ", option->conflicts);
    add_range_and_default(out, option, reader == CLI_TEXT_FOR_MAN);
}

void cli_usage_text(struct buf *out, const struct cli_command *command)
{
    const struct cli_positional *positional = &command->positional;

    if (command->usage) {
        buf_add_str(out, command->usage);
        return;
    }
    buf_add_str(out, "[OPTION]...");
    if (positional->name)
        buf_printf(out, positional->min ? " %s%s" : " [%s]%s", positional->name,
                   positional->max == 1 ? "" : "...");
}
