/* Items: options whose order matters, with qualifiers, on the command line or in a file. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_BYTES (1 << 20)

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

/* Splits a line in place, as a shell would, but without expansions: quotes keep spaces together, a
 * backslash takes the next character as it is (not between single quotes). */
static int split_line(char *line, const char **words, size_t *count, struct error *error)
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

static int read_line(struct cli_invocation *invocation, struct cli_items *items, const char *file,
                     int number, const char *text, size_t len, struct error *error)
{
    size_t count;

    for (; len && strchr(" \t\r", *text); text++, len--)
        ;
    if (!len || *text == '#')
        return 0;
    if (memchr(text, '\0', len))
        return error_set(error, EINVAL, "holds a zero byte");
    char *line = arena_alloc(&invocation->arena, len + 1);
    const char **words = arena_alloc(&invocation->arena, (len / 2 + 1) * sizeof *words);
    if (!line || !words)
        return error_sys(error, ENOMEM, "options");
    memcpy(line, text, len);
    int rc = split_line(line, words, &count, error);
    if (rc || !count)
        return rc;
    return cli_parse_item_line(invocation, items, file, number, count, words, error);
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

static int read_whole(const char *path, struct buf *out, struct error *error)
{
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char chunk[4096];
    ssize_t got;

    if (fd < 0)
        return error_sys(error, errno, "cannot open %s", path);
    while ((got = read(fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_sys(error, errno, "cannot read %s", path);
        buf_add(out, chunk, (size_t)got);
        if (out->failed)
            return error_set(error, EFBIG, "%s is larger than %d bytes", path, FILE_MAX_BYTES);
    }
    return 0;
}

int cli_items_read_file(struct cli_invocation *invocation, struct cli_items *items,
                        const char *path, struct error *error)
{
    cleanup(buf) struct buf content = {.cap_bytes = FILE_MAX_BYTES};
    int rc = read_whole(path, &content, error);

    return rc ? rc
              : cli_items_read(invocation, items, path, buf_str(&content), content.len_bytes,
                               error);
}
