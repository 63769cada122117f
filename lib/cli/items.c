/* Items: options whose order matters, with qualifiers, on the command line or in a file. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include <errno.h>
#include <string.h>

int cli_items_append(struct cli_invocation *invocation, struct cli_items *items,
                     const struct cli_option *option, const char *text, struct error *error)
{
    int rc = cli_value_store(invocation, option, text, NULL, error);
    if (rc)
        return rc;
    struct cli_item *room =
        arena_grow(&invocation->arena, items->items, items->count, sizeof *room);
    if (!room)
        return error_sys(error, ENOMEM, "options");
    items->items = room;
    items->items[items->count++] = (struct cli_item){.option = option, .text = text};
    return 0;
}

int cli_item_qualify(struct cli_invocation *invocation, struct cli_item *item,
                     const struct cli_option *option, const char *text, struct error *error)
{
    struct cli_qualifier qualifier = {.option = option, .text = text};
    int rc = cli_value_store(invocation, option, text, &qualifier.value, error);
    if (rc)
        return rc;
    struct cli_qualifier *room =
        arena_grow(&invocation->arena, item->qualifiers, item->qualifier_count, sizeof *room);
    if (!room)
        return error_sys(error, ENOMEM, "options");
    item->qualifiers = room;
    item->qualifiers[item->qualifier_count++] = qualifier;
    return 0;
}

const struct cli_qualifier *cli_item_find(const struct cli_item *item, const char *name)
{
    for (size_t i = item->qualifier_count; i-- > 0;)
        if (!strcmp(item->qualifiers[i].option->name, name))
            return &item->qualifiers[i];
    return NULL;
}

int cli_items_split_line(char *line, const char **words, size_t *count, struct error *error)
{
    char *out = line;
    const char *in = line;

    *count = 0;
    while (*in) {
        in += strspn(in, " \t\r");
        if (!*in)
            break;
        char quote = '\0';
        words[(*count)++] = out;
        for (; *in && (quote || !strchr(" \t\r", *in)); in++) {
            if (quote ? *in == quote : (*in == '\'' || *in == '"'))
                quote = quote ? '\0' : *in;
            else if (*in == '\\' && quote != '\'' && in[1])
                *out++ = *++in;
            else
                *out++ = *in;
        }
        if (quote)
            return error_set(error, EINVAL, "the quote %c is not closed", quote);
        in += *in != '\0';
        *out++ = '\0'; /* never ahead of `in`, which has passed at least a separator or the end */
    }
    return 0;
}
