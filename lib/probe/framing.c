#include "probe/framing_rules.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- byte by byte: a line, a text; an SMTP reply ---- */

static int match_line(struct framing_reader *reader, char c, struct error *error)
{
    (void)reader, (void)error;
    return c == '\n';
}

const struct framing_rules framing_line = {.awaits = "a line end", .match = match_line};

static void begin_text(struct framing_reader *reader)
{
    const struct framing *framing = reader->framing;

    reader->failure[0] = 0;
    for (unsigned i = 1, k = 0; i < framing->text_bytes; i++) {
        while (k && framing->text[i] != framing->text[k])
            k = reader->failure[k - 1];
        k += framing->text[i] == framing->text[k];
        reader->failure[i] = (uint8_t)k;
    }
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

static void describe_text(char *out, size_t size, const struct framing *framing)
{
    cleanup(buf) struct buf text = {0};

    text_escape(&text, framing->text, framing->text_bytes);
    snprintf(out, size, "the text \"%s\"", buf_str(&text));
}

static int match_text(struct framing_reader *reader, char c, struct error *error)
{
    const struct framing *framing = reader->framing;

    (void)error;
    if (reader->matched == framing->text_bytes) /* it was complete before; look for it again */
        reader->matched = reader->failure[reader->matched - 1];
    while (reader->matched && framing->text[reader->matched] != c)
        reader->matched = reader->failure[reader->matched - 1];
    reader->matched += framing->text[reader->matched] == c;
    return reader->matched == framing->text_bytes;
}

const struct framing_rules framing_text = {
    .parse = parse_text, .describe = describe_text, .begin = begin_text, .match = match_text};

/* The last line of a reply has a blank, or nothing, after its three digits (RFC 5321 4.2.1). Lines
 * between it and a first one with a hyphen may be any text in FTP (RFC 959 4.2). */
static int end_reply_line(struct framing_reader *reader, struct error *error)
{
    const char *line = reader->line;
    int digits = 0;

    while (digits < 3 && isdigit((unsigned char)line[digits]))
        digits++;
    if (digits == 3 && (line[3] == ' ' || !line[3]))
        return 1;
    if (!reader->message.parts++ && (digits < 3 || line[3] != '-'))
        return framing_refuse("a reply with three digits in front", error);
    return 0;
}

static void judge_reply(const struct framing_reader *reader, const char *head, size_t head_bytes,
                        struct framing_answer *out)
{
    (void)head, (void)head_bytes;
    out->known = true;
    out->status = atoi(reader->line);
    out->success = out->status < 400;
}

const struct framing_rules framing_reply = {
    .awaits = "an SMTP or FTP reply", .line = end_reply_line, .judge = judge_reply};

/* ---- by counting, or by the end ---- */

static int parse_bytes(const char *value, struct framing *out, struct error *error)
{
    int64_t bytes;

    if (units_parse_size(value, &bytes) || bytes < 1)
        return error_set(error, EINVAL, "bytes:N wants a size of at least 1, such as bytes:512");
    out->bytes = (uint64_t)bytes;
    return 0;
}

static void describe_bytes(char *out, size_t size, const struct framing *framing)
{
    snprintf(out, size, "%" PRIu64 " bytes", framing->bytes);
}

static int feed_bytes(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                      size_t *used_bytes, struct error *error)
{
    uint64_t left = reader->framing->bytes - reader->seen_bytes;

    (void)bytes, (void)error;
    *used_bytes = len_bytes < left ? len_bytes : left;
    reader->seen_bytes += *used_bytes;
    return reader->seen_bytes == reader->framing->bytes;
}

const struct framing_rules framing_bytes = {
    .parse = parse_bytes, .describe = describe_bytes, .feed = feed_bytes};

static int match_nothing(struct framing_reader *reader, char c, struct error *error)
{
    (void)reader, (void)c, (void)error;
    return 1;
}

const struct framing_rules framing_nothing = {.awaits = "nothing", .match = match_nothing};

static int feed_all(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                    size_t *used_bytes, struct error *error)
{
    (void)bytes, (void)used_bytes, (void)error;
    reader->seen_bytes += len_bytes;
    return 0;
}

static int always_closed(const struct framing_reader *reader)
{
    (void)reader;
    return 1;
}

const struct framing_rules framing_close = {
    .awaits = "the server to close", .feed = feed_all, .closed = always_closed};

static int parse_idle(const char *value, struct framing *out, struct error *error)
{
    if (units_parse_duration(value, &out->idle_ns) || out->idle_ns < NS_PER_MS)
        return error_set(error, EINVAL,
                         "idle:DUR wants a duration of at least 1ms, such as idle:200ms");
    return 0;
}

static void describe_idle(char *out, size_t size, const struct framing *framing)
{
    char duration[UNITS_TEXT_MAX];

    snprintf(out, size, "bytes, and then %s of silence",
             units_format_duration(duration, sizeof duration, framing->idle_ns, "u"));
}

static int closed_after_any(const struct framing_reader *reader)
{
    return reader->seen_bytes > 0;
}

const struct framing_rules framing_idle = {
    .parse = parse_idle, .describe = describe_idle, .feed = feed_all, .closed = closed_after_any};

/* ---- HTTP ---- */

static void begin_http(struct framing_reader *reader)
{
    http_begin(&reader->http, reader->framing->no_body);
}

static int feed_http(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                     size_t *used_bytes, struct error *error)
{
    int rc = http_feed(&reader->http, bytes, len_bytes, used_bytes, error);

    reader->seen_bytes += *used_bytes;
    return rc;
}

static int closed_http(const struct framing_reader *reader)
{
    return http_closed(&reader->http);
}

static void judge_http(const struct framing_reader *reader, const char *head, size_t head_bytes,
                       struct framing_answer *out)
{
    size_t version = sizeof "HTTP/1.1";

    out->known = true;
    out->status = reader->http.status;
    out->success = out->status < 400;
    /* The interim responses are not kept apart, so that the line may be one of theirs. */
    if (head_bytes > version + 3 && atoi(head + version) == out->status) {
        out->text = head + version;
        out->text_bytes -= version;
    } else {
        out->text_bytes = 0;
    }
}

const struct framing_rules framing_http = {.awaits = "a whole HTTP response",
                                           .begin = begin_http,
                                           .feed = feed_http,
                                           .closed = closed_http,
                                           .judge = judge_http};

/* ---- all of them ---- */

static const struct {
    const char *usage;
    const struct framing_rules *rules;
} kinds[] = {
#define KIND(ID, rules, usage, help) [FRAMING_##ID] = {usage, &framing_##rules},
    FRAMING_ROWS(KIND)};

int framing_parse(const char *text, struct framing *out, struct error *error)
{
    cleanup(buf) struct buf usages = {0};

    for (size_t i = 0; i < FRAMING_KINDS; i++) {
        const char *usage = kinds[i].usage;
        const struct framing_rules *rules = kinds[i].rules;
        size_t word = strcspn(usage, ":") + (rules->parse != NULL);
        buf_printf(&usages, "%s%s", !i ? "" : i + 1 < FRAMING_KINDS ? ", " : " or ", usage);
        if (rules->parse ? strncmp(text, usage, word) : strcmp(text, usage))
            continue;
        *out = (struct framing){.kind = (enum framing_kind)i};
        return rules->parse ? rules->parse(text + word, out, error) : 0;
    }
    return error_set(error, EINVAL, "wants %s", buf_str(&usages));
}

const char *framing_describe(char *out, size_t size, const struct framing *framing)
{
    const struct framing_rules *rules = kinds[framing->kind].rules;

    if (rules->describe)
        rules->describe(out, size, framing);
    else
        snprintf(out, size, "%s", rules->awaits);
    return out;
}

bool framing_has_status(const struct framing *framing)
{
    return framing->kind == FRAMING_HTTP || framing->kind == FRAMING_REPLY ||
           framing->kind == FRAMING_DNS;
}

bool framing_awaits(const struct framing *framing)
{
    return framing->kind != FRAMING_NOTHING;
}

int64_t framing_silence_ns(const struct framing *framing)
{
    return framing->kind == FRAMING_IDLE ? framing->idle_ns : 0;
}

void framing_begin(struct framing_reader *reader, const struct framing *framing)
{
    const struct framing_rules *rules = kinds[framing->kind].rules;

    reader->framing = framing;
    reader->seen_bytes = 0;
    reader->matched = 0;
    reader->column = 0;
    memset(reader->line, 0, sizeof reader->line);
    if (rules->feed || rules->line)
        memset(&reader->message, 0, sizeof reader->message);
    if (rules->begin)
        rules->begin(reader);
}

int framing_feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                 size_t *used_bytes, struct error *error)
{
    const struct framing_rules *rules = kinds[reader->framing->kind].rules;

    *used_bytes = len_bytes;
    if (rules->feed)
        return rules->feed(reader, bytes, len_bytes, used_bytes, error);
    for (size_t i = 0; i < len_bytes; i++) {
        reader->seen_bytes++;
        int rc = rules->match                          ? rules->match(reader, bytes[i], error)
                 : framing_line_byte(reader, bytes[i]) ? rules->line(reader, error)
                                                       : 0;
        if (rc) {
            *used_bytes = i + 1;
            return rc;
        }
    }
    return 0;
}

int framing_closed(const struct framing_reader *reader)
{
    const struct framing_rules *rules = kinds[reader->framing->kind].rules;
    return rules->closed ? rules->closed(reader) : 0;
}

void framing_judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                   struct framing_answer *out)
{
    const struct framing_rules *rules = kinds[reader->framing->kind].rules;
    size_t line = 0;

    while (line < head_bytes && head[line] != '\r' && head[line] != '\n')
        line++;
    *out = (struct framing_answer){.text = head, .text_bytes = line};
    if (rules->judge)
        rules->judge(reader, head, head_bytes, out);
}

const struct http_reader *framing_http_of(const struct framing_reader *reader)
{
    return reader->framing->kind == FRAMING_HTTP ? &reader->http : NULL;
}

bool framing_closes(const struct framing_reader *reader)
{
    return reader->framing->kind == FRAMING_HTTP && reader->http.close;
}
