#include "probe/framing.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int parse_bytes(const char *value, struct framing *out, struct error *error)
{
    int64_t bytes;

    if (units_parse_size(value, &bytes) || bytes < 1)
        return error_set(error, EINVAL, "bytes:N wants a size of at least 1, such as bytes:512");
    out->bytes = (uint64_t)bytes;
    return 0;
}

static int parse_idle(const char *value, struct framing *out, struct error *error)
{
    if (units_parse_duration(value, &out->idle_ns) || out->idle_ns < NS_PER_MS)
        return error_set(error, EINVAL,
                         "idle:DUR wants a duration of at least 1ms, such as idle:200ms");
    return 0;
}

static int parse_text(const char *value, struct framing *out, struct error *error)
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
    enum framing_kind kind;
    int (*parse)(const char *value, struct framing *out, struct error *error);
} forms[] = {
    {"bytes:", FRAMING_BYTES, parse_bytes}, {"line", FRAMING_LINE, NULL},
    {"reply", FRAMING_REPLY, NULL},         {"text:", FRAMING_TEXT, parse_text},
    {"close", FRAMING_CLOSE, NULL},         {"idle:", FRAMING_IDLE, parse_idle},
    {"http", FRAMING_HTTP, NULL},           {"nothing", FRAMING_NOTHING, NULL},
};

int framing_parse(const char *text, struct framing *out, struct error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        size_t length = strlen(forms[i].word);
        if (forms[i].parse ? strncmp(text, forms[i].word, length) : strcmp(text, forms[i].word))
            continue;
        *out = (struct framing){.kind = forms[i].kind};
        return forms[i].parse ? forms[i].parse(text + length, out, error) : 0;
    }
    return error_set(error, EINVAL,
                     "wants bytes:N, line, reply, text:STR, close, idle:DUR, http or nothing");
}

const char *framing_describe(char *out, size_t size, const struct framing *framing)
{
    char duration[UNITS_TEXT_MAX];

    switch (framing->kind) {
    case FRAMING_NOTHING:
        snprintf(out, size, "nothing");
        break;
    case FRAMING_BYTES:
        snprintf(out, size, "%" PRIu64 " bytes", framing->bytes);
        break;
    case FRAMING_LINE:
        snprintf(out, size, "a line end");
        break;
    case FRAMING_REPLY:
        snprintf(out, size, "an SMTP reply");
        break;
    case FRAMING_TEXT: {
        struct buf text = {0};
        text_escape(&text, framing->text, framing->text_bytes);
        snprintf(out, size, "the text \"%s\"", buf_str(&text));
        buf_free(&text);
        break;
    }
    case FRAMING_CLOSE:
        snprintf(out, size, "the server to close");
        break;
    case FRAMING_IDLE:
        snprintf(out, size, "bytes, and then %s of silence",
                 units_format_duration(duration, sizeof duration, framing->idle_ns, "u"));
        break;
    case FRAMING_HTTP:
        snprintf(out, size, "a whole HTTP response");
        break;
    }
    return out;
}

void framing_begin(struct framing_reader *reader, const struct framing *framing)
{
    reader->framing = framing;
    reader->seen_bytes = 0;
    reader->matched = 0;
    reader->column = 0;
    memset(reader->reply, 0, sizeof reader->reply);
    if (framing->kind == FRAMING_HTTP)
        http_begin(&reader->http);
    if (framing->kind == FRAMING_TEXT)
        reader->failure[0] = 0;
    for (unsigned i = 1, k = 0; i < framing->text_bytes; i++) {
        while (k && framing->text[i] != framing->text[k])
            k = reader->failure[k - 1];
        k += framing->text[i] == framing->text[k];
        reader->failure[i] = (uint8_t)k;
    }
}

static bool match_text(struct framing_reader *reader, char c)
{
    const struct framing *framing = reader->framing;

    if (reader->matched == framing->text_bytes) /* it was complete before; look for it again */
        reader->matched = reader->failure[reader->matched - 1];
    while (reader->matched && framing->text[reader->matched] != c)
        reader->matched = reader->failure[reader->matched - 1];
    reader->matched += framing->text[reader->matched] == c;
    return reader->matched == framing->text_bytes;
}

/* The last line of a reply has a blank, or nothing, after its three digits (RFC 5321 4.2.1). */
static int match_reply(struct framing_reader *reader, char c, struct error *error)
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

static int feed_byte(struct framing_reader *reader, char c, struct error *error)
{
    switch (reader->framing->kind) {
    case FRAMING_BYTES:
        return reader->seen_bytes == reader->framing->bytes;
    case FRAMING_LINE:
        return c == '\n';
    case FRAMING_REPLY:
        return match_reply(reader, c, error);
    case FRAMING_TEXT:
        return match_text(reader, c);
    case FRAMING_NOTHING:
        return 1;
    case FRAMING_CLOSE:
    case FRAMING_IDLE:
    case FRAMING_HTTP:
        return 0;
    }
    return 0;
}

int framing_feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                 size_t *used_bytes, struct error *error)
{
    int rc = 0;

    *used_bytes = len_bytes;
    switch (reader->framing->kind) {
    case FRAMING_HTTP:
        rc = http_feed(&reader->http, bytes, len_bytes, used_bytes, error);
        reader->seen_bytes += *used_bytes;
        return rc;
    case FRAMING_CLOSE:
    case FRAMING_IDLE:
        reader->seen_bytes += len_bytes;
        return 0;
    case FRAMING_BYTES: {
        uint64_t left = reader->framing->bytes - reader->seen_bytes;
        *used_bytes = len_bytes < left ? len_bytes : left;
        reader->seen_bytes += *used_bytes;
        return reader->seen_bytes == reader->framing->bytes;
    }
    case FRAMING_NOTHING:
    case FRAMING_LINE:
    case FRAMING_REPLY:
    case FRAMING_TEXT:
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

int framing_closed(const struct framing_reader *reader)
{
    switch (reader->framing->kind) {
    case FRAMING_CLOSE:
        return 1;
    case FRAMING_IDLE:
        return reader->seen_bytes > 0;
    case FRAMING_HTTP:
        return http_closed(&reader->http);
    case FRAMING_NOTHING:
    case FRAMING_BYTES:
    case FRAMING_LINE:
    case FRAMING_REPLY:
    case FRAMING_TEXT:
        break;
    }
    return 0;
}
