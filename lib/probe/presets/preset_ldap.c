/* LDAP version 3 (RFC 4511), in BER. */
#include "probe/framing_rules.h"
#include "probe/preset.h"

#include "base/cleanup.h"
#include <errno.h>
#include <string.h>

#define LENGTH_MAX (UINT32_C(1) << 30)

enum {
    BER_BOOLEAN = 0x01,
    BER_INTEGER = 0x02,
    BER_STRING = 0x04,
    BER_ENUM = 0x0a,
    BER_SEQUENCE = 0x30,
    LDAP_BIND = 0x60,
    LDAP_BOUND = 0x61,
    LDAP_SEARCH = 0x63,
    LDAP_ENTRY = 0x64,
    LDAP_SEARCHED = 0x65,
    LDAP_REFERENCE = 0x73,
    LDAP_EXTENDED = 0x77,
    LDAP_EXTENDED_ANSWER = 0x78,
    LDAP_INTERMEDIATE = 0x79,
    LDAP_CONTEXT_0 = 0x80, /* of a bind: the password; of an extended operation: its name */
    LDAP_PRESENT = 0x87,   /* a filter: there is such an attribute */
};

/* ---- reading ---- */

/* The length at the second byte of an element. How many bytes the tag and it have; 0: more has to
 * come; -EPROTO. */
static int read_length(const uint8_t *start, size_t bytes, uint32_t *out)
{
    if (bytes < 2)
        return 0;
    size_t more = start[1] & 0x80 ? start[1] & 0x7f : 0;
    if ((start[1] & 0x80 && !more) || more > 4)
        return -EPROTO;
    if (bytes < 2 + more)
        return 0;
    *out = more ? 0 : start[1];
    for (size_t i = 0; i < more; i++)
        *out = *out << 8 | start[2 + i];
    return *out <= LENGTH_MAX ? (int)(2 + more) : -EPROTO;
}

struct ber {
    const uint8_t *at, *end;
};

/* Takes an element with that tag, as far as it is there. */
static bool take(struct ber *from, int tag, struct ber *out)
{
    uint32_t length = 0;

    if (from->at >= from->end || *from->at != tag)
        return false;
    int header = read_length(from->at, (size_t)(from->end - from->at), &length);
    if (header <= 0)
        return false;
    size_t left = (size_t)(from->end - from->at) - (size_t)header;
    out->at = from->at + header;
    out->end = out->at + (length < left ? length : left);
    from->at = out->end;
    return true;
}

/* What an answer is, and where that begins: 0, or its tag. */
static int take_operation(struct ber *from, struct ber *out)
{
    struct ber message, number;

    if (!take(from, BER_SEQUENCE, &message) || !take(&message, BER_INTEGER, &number) ||
        message.at >= message.end)
        return 0;
    int tag = *message.at;
    return take(&message, tag, out) ? tag : 0;
}

/* ---- answers, up to a result ---- */

static int header(const struct framing_reader *reader, uint64_t *body_bytes, struct error *error)
{
    const uint8_t *start = reader->message.start;
    size_t bytes = reader->message.start_bytes;
    uint32_t length = 0;
    int header_bytes = read_length(start, bytes, &length);

    if (start[0] != BER_SEQUENCE || header_bytes < 0 || (header_bytes && length < 3))
        return framing_refuse("a message of LDAP", error);
    if (!header_bytes || bytes == (size_t)header_bytes)
        return 0;
    if (start[header_bytes] != BER_INTEGER)
        return framing_refuse("a message of LDAP", error);
    *body_bytes = length - 1;
    return header_bytes + 1;
}

static int over(struct framing_reader *reader, struct error *error)
{
    const uint8_t *start = reader->message.start;
    struct ber all = {start, start + reader->message.start_bytes}, operation, code;

    switch (take_operation(&all, &operation)) {
    case LDAP_ENTRY:
    case LDAP_REFERENCE:
    case LDAP_INTERMEDIATE:
        return 0;
    case LDAP_BOUND:
    case LDAP_SEARCHED:
    case LDAP_EXTENDED_ANSWER:
        if (!take(&operation, BER_ENUM, &code) || code.end - code.at != 1)
            return framing_refuse("a result of LDAP", error);
        reader->message.phase = *code.at;
        reader->message.refused = *code.at != 0;
        return 1;
    default:
        return framing_refuse("an answer of LDAP", error);
    }
}

static int feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                size_t *used_bytes, struct error *error)
{
    static const struct framing_messages messages = {header, over};
    return framing_feed_messages(reader, &messages, bytes, len_bytes, used_bytes, error);
}

static const struct {
    int code;
    const char *name;
} codes[] = {{1, "operationsError"},
             {2, "protocolError"},
             {7, "authMethodNotSupported"},
             {8, "strongerAuthRequired"},
             {10, "referral"},
             {13, "confidentialityRequired"},
             {32, "noSuchObject"},
             {34, "invalidDNSyntax"},
             {48, "inappropriateAuthentication"},
             {49, "invalidCredentials"},
             {50, "insufficientAccessRights"},
             {51, "busy"},
             {52, "unavailable"},
             {53, "unwillingToPerform"}};

/* The server's own words, which it may leave out. */
static bool find_words(const char *head, size_t head_bytes, struct framing_answer *out)
{
    struct ber all = {(const uint8_t *)head, (const uint8_t *)head + head_bytes};
    struct ber operation, code, name, words;

    while (take_operation(&all, &operation)) {
        if (!take(&operation, BER_ENUM, &code) || !take(&operation, BER_STRING, &name) ||
            !take(&operation, BER_STRING, &words) || words.at == words.end)
            continue;
        out->text = (const char *)words.at;
        out->text_bytes = (size_t)(words.end - words.at);
        return true;
    }
    return false;
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    out->known = true;
    out->success = !reader->message.refused;
    out->status = (int)reader->message.phase;
    out->text_bytes = 0;
    if (out->success || find_words(head, head_bytes, out))
        return;
    out->text = "a result that is no success";
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (codes[i].code == out->status)
            out->text = codes[i].name;
    out->text_bytes = strlen(out->text);
}

const struct framing_rules framing_ldap = {
    .awaits = "a result of LDAP", .feed = feed, .judge = judge};

/* ---- writing ---- */

static void add(struct buf *out, int tag, const void *bytes, size_t len_bytes)
{
    buf_add_char(out, (char)tag);
    if (len_bytes < 0x80) {
        buf_add_char(out, (char)len_bytes);
    } else {
        buf_add_char(out, (char)0x84);
        for (int shift = 24; shift >= 0; shift -= 8)
            buf_add_char(out, (char)(len_bytes >> shift));
    }
    buf_add(out, bytes, len_bytes);
}

static void add_text(struct buf *out, int tag, const char *text)
{
    add(out, tag, text, strlen(text));
}

static void add_byte(struct buf *out, int tag, int value)
{
    char byte = (char)value;
    add(out, tag, &byte, 1);
}

static void add_message(struct buf *out, int number, int operation, const struct buf *body)
{
    cleanup(buf) struct buf message = {0};

    add_byte(&message, BER_INTEGER, number);
    add(&message, operation, buf_str(body), body->len_bytes);
    add(out, BER_SEQUENCE, buf_str(&message), message.len_bytes);
    out->failed = out->failed || message.failed || body->failed;
}

/* ---- TLS, bind ---- */

static int ask_for_tls(struct preamble_talk *talk)
{
    cleanup(buf) struct buf body = {0};

    add_text(&body, LDAP_CONTEXT_0, "1.3.6.1.4.1.1466.20037");
    add_message(talk->say, 1, LDAP_EXTENDED, &body);
    return preamble_await(talk, "ldap");
}

/* A bind with a name and without a password would be anonymous (RFC 4513 section 5.1.2). */
static int check(const struct preset_ask *ask, struct error *error)
{
    bool user = ask->user && *ask->user, password = ask->password && *ask->password;

    if ((user && password) || (!ask->user && !ask->password))
        return 0;
    return error_set(error, EINVAL,
                     "LDAP's simple bind wants a name and a password: give --user and "
                     "--password-file, or neither of them");
}

static int bind_simply(struct preamble_talk *talk)
{
    const struct preset_ask *ask = talk->ask;
    cleanup(buf) struct buf body = {0};

    add_byte(&body, BER_INTEGER, 3);
    add_text(&body, BER_STRING, ask->user);
    add_text(&body, LDAP_CONTEXT_0, ask->password);
    add_message(talk->say, 2, LDAP_BIND, &body);
    return preamble_await(talk, "ldap");
}

static int begin(struct preamble_talk *talk, struct error *error)
{
    bool *bound = talk->state;

    if (preamble_refused(talk, error))
        return -EACCES;
    if (talk->starttls && !talk->secure)
        return talk->heard ? PREAMBLE_TLS : ask_for_tls(talk);
    if (!talk->ask->user || *bound)
        return PREAMBLE_OVER;
    *bound = true;
    return bind_simply(talk);
}

static const struct preamble_rules preamble = {.state_bytes = sizeof(bool), .next = begin};

/* ---- the round: what the server says of itself (the root DSE, RFC 4512 section 5.1) ---- */

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    cleanup(buf) struct buf body = {0}, attributes = {0};

    (void)ask;
    add_text(&attributes, BER_STRING, "supportedLDAPVersion");
    add_text(&body, BER_STRING, "");
    add_byte(&body, BER_ENUM, 0); /* the base object alone */
    add_byte(&body, BER_ENUM, 0); /* aliases are not followed */
    add_byte(&body, BER_INTEGER, 0);
    add_byte(&body, BER_INTEGER, 0);
    add_byte(&body, BER_BOOLEAN, 0);
    add_text(&body, LDAP_PRESENT, "objectClass");
    add(&body, BER_SEQUENCE, buf_str(&attributes), attributes.len_bytes);
    add_message(out, 3, LDAP_SEARCH, &body);
    *body_at = out->len_bytes;
}

const struct preset preset_ldap = {
    .name = "ldap",
    PRESET_TLS_PORTS("bind, if there is a --user; read the root DSE", (389), (636)),
    .takes = PRESET_TAKES_USER,
    .check = check,
    .compose = compose,
    .framing = "ldap",
    .preamble = &preamble,
    .starttls = true};
