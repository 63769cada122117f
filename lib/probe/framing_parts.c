/* What several kinds of framing are made of: lines, and messages that say how long they are. */
#include "probe/framing_rules.h"

#include <errno.h>
#include <string.h>

int framing_refuse(const char *what, struct error *error)
{
    return error_set(error, EPROTO, "not %s", what);
}

/* ---- line by line ---- */

bool framing_line_byte(struct framing_reader *reader, char c)
{
    if (!reader->column)
        memset(reader->line, 0, sizeof reader->line);
    if (c == '\n') {
        if (reader->column && reader->column < sizeof reader->line &&
            reader->line[reader->column - 1] == '\r')
            reader->line[reader->column - 1] = '\0';
        reader->column = 0;
        return true;
    }
    if (reader->column < sizeof reader->line - 1)
        reader->line[reader->column] = c;
    reader->column += reader->column < UINT32_MAX;
    return false;
}

bool framing_line_starts(const struct framing_reader *reader, const char *words)
{
    return !strncmp(reader->line, words, strlen(words));
}

void framing_show_last_line(const struct framing_reader *reader, const char *head,
                            size_t head_bytes, struct framing_answer *out)
{
    size_t end = head_bytes, start;

    if (head_bytes != reader->seen_bytes) {
        out->text = reader->line;
        out->text_bytes = strlen(reader->line);
        return;
    }
    while (end && (head[end - 1] == '\n' || head[end - 1] == '\r'))
        end--;
    for (start = end; start && head[start - 1] != '\n';)
        start--;
    out->text = head + start;
    out->text_bytes = end - start;
}

/* ---- messages ---- */

/* The bytes that a header or the beginning of a body still takes. */
static size_t keep_start(struct framing_reader *reader, const char *bytes, size_t len_bytes)
{
    size_t room = FRAMING_START_MAX - reader->message.start_bytes;
    size_t kept = len_bytes < room ? len_bytes : room;

    memcpy(reader->message.start + reader->message.start_bytes, bytes, kept);
    reader->message.start_bytes += (uint32_t)kept;
    return kept;
}

static int end_message(struct framing_reader *reader, const struct framing_messages *messages,
                       struct error *error)
{
    reader->message.parts++;
    int rc = messages->over(reader, error);
    reader->message.header_bytes = reader->message.start_bytes = 0;
    return rc;
}

static int header_byte(struct framing_reader *reader, const struct framing_messages *messages,
                       char c, struct error *error)
{
    keep_start(reader, &c, 1);
    int rc = messages->header(reader, &reader->message.left_bytes, error);
    if (rc <= 0)
        return !rc && reader->message.start_bytes == FRAMING_START_MAX
                   ? error_set(error, EPROTO, "the header of a message does not end")
                   : rc;
    reader->message.header_bytes = (uint32_t)rc;
    return reader->message.left_bytes ? 0 : end_message(reader, messages, error);
}

int framing_feed_messages(struct framing_reader *reader, const struct framing_messages *messages,
                          const char *bytes, size_t len_bytes, size_t *used_bytes,
                          struct error *error)
{
    size_t used = 0;
    int rc = 0;

    while (used < len_bytes && !rc) {
        if (!reader->message.header_bytes) {
            rc = header_byte(reader, messages, bytes[used++], error);
            continue;
        }
        uint64_t left = len_bytes - used;
        size_t step =
            (size_t)(left < reader->message.left_bytes ? left : reader->message.left_bytes);
        keep_start(reader, bytes + used, step);
        used += step;
        reader->message.left_bytes -= step;
        if (!reader->message.left_bytes)
            rc = end_message(reader, messages, error);
    }
    reader->seen_bytes += used;
    *used_bytes = used;
    return rc;
}
