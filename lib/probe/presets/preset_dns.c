/* DNS over TCP (RFC 1035, RFC 7766), and over TLS (RFC 7858). */
#include "probe/framing_rules.h"
#include "probe/preset.h"

#include "base/cleanup.h"
#include <errno.h>
#include <string.h>
#include <strings.h>

/* Behind the two bytes of the length: id, flags, and four counts. */
#define LENGTH_BYTES 2
#define HEADER_BYTES 12
#define LABEL_MAX    63
#define DOMAIN_MAX   255

/* ---- the query: NAME, or NAME TYPE ---- */

static const struct {
    const char *name;
    uint16_t type;
} types[] = {{"A", 1},   {"NS", 2},   {"CNAME", 5}, {"SOA", 6},  {"PTR", 12},
             {"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"SRV", 33}, {"HTTPS", 65}};

static int add_name(struct buf *out, const char *name, size_t length, struct error *error)
{
    size_t before = out->len_bytes;

    if (length && name[length - 1] == '.')
        length--;
    for (size_t at = 0; at < length;) {
        size_t label = 0;
        while (at + label < length && name[at + label] != '.')
            label++;
        if (!label || label > LABEL_MAX)
            return error_set(error, EINVAL, "--query wants a name whose parts have 1 to %d bytes",
                             LABEL_MAX);
        buf_add(out, &(char){(char)label}, 1);
        buf_add(out, name + at, label);
        at += label + 1;
    }
    buf_add(out, "", 1);
    if (out->len_bytes - before > DOMAIN_MAX)
        return error_set(error, EINVAL, "--query wants a name of up to %d bytes", DOMAIN_MAX);
    return 0;
}

static int type_of(const char *word, uint16_t *out, struct error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (!strcasecmp(word, types[i].name)) {
            *out = types[i].type;
            return 0;
        }
    return error_set(error, EINVAL,
                     "--query wants a name, and perhaps a type behind it: A, NS, "
                     "CNAME, SOA, PTR, MX, TXT, AAAA, SRV or HTTPS");
}

static int add_question(struct buf *out, const char *query, struct error *error)
{
    size_t length = strcspn(query, " ");
    const char *word = query + length + strspn(query + length, " ");
    uint16_t type = 1;
    int rc = length ? 0 : error_set(error, EINVAL, "--query wants a name");

    if (!rc)
        rc = add_name(out, query, length, error);
    if (!rc && *word)
        rc = type_of(word, &type, error);
    const char rest[] = {0, (char)type, 0, 1}; /* class IN */
    buf_add(out, rest, sizeof rest);
    return rc;
}

static const char *query_of(const struct preset_ask *ask)
{
    return ask->query ? ask->query : ". NS";
}

static int check(const struct preset_ask *ask, struct error *error)
{
    cleanup(buf) struct buf question = {0};
    return add_question(&question, query_of(ask), error);
}

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    static const char header[HEADER_BYTES] = {'n', 'k', 1 /* recursion desired */, 0, 0, 1};
    cleanup(buf) struct buf question = {0};
    struct error error;

    add_question(&question, query_of(ask), &error); /* check() has looked at it */
    size_t length = sizeof header + question.len_bytes;
    const char prefix[LENGTH_BYTES] = {(char)(length >> 8), (char)length};
    buf_add(out, prefix, sizeof prefix);
    buf_add(out, header, sizeof header);
    buf_add(out, question.data, question.len_bytes);
    *body_at = out->len_bytes;
}

/* ---- the response ---- */

static int read_header(const struct framing_reader *reader, uint64_t *body_bytes,
                       struct error *error)
{
    const uint8_t *start = reader->message.start;
    size_t bytes = reader->message.start_bytes;
    size_t length = bytes >= LENGTH_BYTES ? (size_t)start[0] << 8 | start[1] : HEADER_BYTES;

    /* The bit of a response is one that no text has. */
    if (length < HEADER_BYTES || (bytes > 4 && !(start[4] & 0x80)))
        return framing_refuse("a response of DNS", error);
    *body_bytes = length - HEADER_BYTES;
    return bytes == LENGTH_BYTES + HEADER_BYTES ? (int)bytes : 0;
}

/* A zone's transfer is several messages; a query has one. */
static int end_message(struct framing_reader *reader, struct error *error)
{
    (void)reader, (void)error;
    return 1;
}

static int feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                size_t *used_bytes, struct error *error)
{
    static const struct framing_messages messages = {read_header, end_message};
    return framing_feed_messages(reader, &messages, bytes, len_bytes, used_bytes, error);
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    static const char *const names[16] = {"NOERROR",  "FORMERR",  "SERVFAIL", "NXDOMAIN",
                                          "NOTIMP",   "REFUSED",  "YXDOMAIN", "YXRRSET",
                                          "NXRRSET",  "NOTAUTH",  "NOTZONE",  "DSOTYPENI",
                                          "RCODE 12", "RCODE 13", "RCODE 14", "RCODE 15"};

    (void)head, (void)head_bytes;
    out->known = true;
    out->status = reader->message.start[5] & 15;
    out->success = !out->status;
    out->text = names[out->status];
    out->text_bytes = strlen(out->text);
}

const struct framing_rules framing_dns = {
    .awaits = "a response of DNS", .feed = feed, .judge = judge};

const struct preset preset_dns = {.name = "dns",
                                  PRESET_TLS_PORTS("a query of --query NAME [TYPE]", (53), (853)),
                                  .takes = PRESET_TAKES_QUERY,
                                  .check = check,
                                  .compose = compose,
                                  .framing = "dns"};
