#include "probe/until.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int parse_bytes(const char *value, struct until *out, struct error *error)
{
    int64_t bytes;

    if (units_parse_size(value, &bytes) || bytes < 1)
        return error_set(error, EINVAL, "bytes:N wants a size of at least 1, such as bytes:512");
    out->bytes = (uint64_t)bytes;
    return 0;
}

static int parse_idle(const char *value, struct until *out, struct error *error)
{
    if (units_parse_duration(value, &out->idle_ns) || out->idle_ns < NS_PER_MS)
        return error_set(error, EINVAL,
                         "idle:DUR wants a duration of at least 1ms, such as idle:200ms");
    return 0;
}

static int parse_text(const char *value, struct until *out, struct error *error)
{
    struct buf text;

    buf_init_cap(&text, sizeof out->text);
    int rc = text_unescape(&text, value, error);
    if (!rc && !text.len_bytes)
        rc = error_set(error, EINVAL, "text: wants the bytes to wait for");
    if (!rc) {
        memcpy(out->text, text.data, text.len_bytes);
        out->text_bytes = text.len_bytes;
    }
    buf_free(&text);
    return rc;
}

static const struct {
    const char *word;
    enum until_kind kind;
    int (*parse)(const char *value, struct until *out, struct error *error);
} forms[] = {
    {"bytes:", UNTIL_BYTES, parse_bytes}, {"line", UNTIL_LINE, NULL},
    {"reply", UNTIL_REPLY, NULL},         {"text:", UNTIL_TEXT, parse_text},
    {"close", UNTIL_CLOSE, NULL},         {"idle:", UNTIL_IDLE, parse_idle},
    {"http", UNTIL_HTTP, NULL},           {"nothing", UNTIL_NOTHING, NULL},
};

int until_parse(const char *text, struct until *out, struct error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        size_t length = strlen(forms[i].word);
        if (forms[i].parse ? strncmp(text, forms[i].word, length) : strcmp(text, forms[i].word))
            continue;
        *out = (struct until){.kind = forms[i].kind};
        return forms[i].parse ? forms[i].parse(text + length, out, error) : 0;
    }
    return error_set(error, EINVAL,
                     "wants bytes:N, line, reply, text:STR, close, idle:DUR, http or nothing");
}

const char *until_describe(char *out, size_t size, const struct until *until)
{
    char duration[UNITS_TEXT_MAX];

    switch (until->kind) {
    case UNTIL_NOTHING:
        snprintf(out, size, "nothing");
        break;
    case UNTIL_BYTES:
        snprintf(out, size, "%" PRIu64 " bytes", until->bytes);
        break;
    case UNTIL_LINE:
        snprintf(out, size, "a line end");
        break;
    case UNTIL_REPLY:
        snprintf(out, size, "an SMTP reply");
        break;
    case UNTIL_TEXT: {
        struct buf text = {0};
        text_escape(&text, until->text, until->text_bytes);
        snprintf(out, size, "the text \"%s\"", buf_str(&text));
        buf_free(&text);
        break;
    }
    case UNTIL_CLOSE:
        snprintf(out, size, "the server to close");
        break;
    case UNTIL_IDLE:
        snprintf(out, size, "bytes, and then %s of silence",
                 units_format_duration(duration, sizeof duration, until->idle_ns, "u"));
        break;
    case UNTIL_HTTP:
        snprintf(out, size, "a whole HTTP response");
        break;
    }
    return out;
}

void until_begin(struct until_reader *reader, const struct until *until)
{
    reader->until = until;
    reader->seen_bytes = 0;
    reader->matched = 0;
    reader->column = 0;
    memset(reader->reply, 0, sizeof reader->reply);
    if (until->kind == UNTIL_HTTP)
        http_begin(&reader->http);
    if (until->kind == UNTIL_TEXT)
        reader->failure[0] = 0;
    for (unsigned i = 1, k = 0; i < until->text_bytes; i++) {
        while (k && until->text[i] != until->text[k])
            k = reader->failure[k - 1];
        k += until->text[i] == until->text[k];
        reader->failure[i] = (uint8_t)k;
    }
}

static bool match_text(struct until_reader *reader, char c)
{
    const struct until *until = reader->until;

    if (reader->matched == until->text_bytes) /* it was complete before; look for it again */
        reader->matched = reader->failure[reader->matched - 1];
    while (reader->matched && until->text[reader->matched] != c)
        reader->matched = reader->failure[reader->matched - 1];
    reader->matched += until->text[reader->matched] == c;
    return reader->matched == until->text_bytes;
}

/* The last line of a reply has a blank, or nothing, after its three digits (RFC 5321 4.2.1). */
static int match_reply(struct until_reader *reader, char c, struct error *error)
{
    if (c == '\n') {
        bool last = reader->column >= 3 && reader->reply[3] != '-';
        for (int i = 0; i < 3; i++)
            if (reader->column < 3 || !isdigit((unsigned char)reader->reply[i]))
                return error_set(error, EPROTO, "not an SMTP reply: no three digits in front");
        reader->column = 0;
        memset(reader->reply, 0, sizeof reader->reply);
        return last;
    }
    if (reader->column < sizeof reader->reply)
        reader->reply[reader->column] = c == '\r' ? ' ' : c;
    reader->column++;
    return 0;
}

static int feed_byte(struct until_reader *reader, char c, struct error *error)
{
    switch (reader->until->kind) {
    case UNTIL_BYTES:
        return reader->seen_bytes == reader->until->bytes;
    case UNTIL_LINE:
        return c == '\n';
    case UNTIL_REPLY:
        return match_reply(reader, c, error);
    case UNTIL_TEXT:
        return match_text(reader, c);
    case UNTIL_NOTHING:
        return 1;
    case UNTIL_CLOSE:
    case UNTIL_IDLE:
    case UNTIL_HTTP:
        return 0;
    }
    return 0;
}

int until_feed(struct until_reader *reader, const char *bytes, size_t len_bytes, size_t *used_bytes,
               struct error *error)
{
    int rc = 0;

    *used_bytes = len_bytes;
    switch (reader->until->kind) {
    case UNTIL_HTTP:
        rc = http_feed(&reader->http, bytes, len_bytes, used_bytes, error);
        reader->seen_bytes += *used_bytes;
        return rc;
    case UNTIL_CLOSE:
    case UNTIL_IDLE:
        reader->seen_bytes += len_bytes;
        return 0;
    case UNTIL_BYTES: {
        uint64_t left = reader->until->bytes - reader->seen_bytes;
        *used_bytes = len_bytes < left ? len_bytes : left;
        reader->seen_bytes += *used_bytes;
        return reader->seen_bytes == reader->until->bytes;
    }
    case UNTIL_NOTHING:
    case UNTIL_LINE:
    case UNTIL_REPLY:
    case UNTIL_TEXT:
        break;
    }
    for (size_t i = 0; i < len_bytes; i++) {
        reader->seen_bytes++;
        rc = feed_byte(reader, bytes[i], error);
        if (rc) {
            *used_bytes = i + 1;
            return rc;
        }
    }
    return 0;
}

int until_closed(const struct until_reader *reader)
{
    switch (reader->until->kind) {
    case UNTIL_CLOSE:
        return 1;
    case UNTIL_IDLE:
        return reader->seen_bytes > 0;
    case UNTIL_HTTP:
        return http_closed(&reader->http);
    case UNTIL_NOTHING:
    case UNTIL_BYTES:
    case UNTIL_LINE:
    case UNTIL_REPLY:
    case UNTIL_TEXT:
        break;
    }
    return 0;
}
