/* PostgreSQL's protocol, version 3 (its documentation, "Frontend/Backend Protocol"). */
#include "probe/framing_rules.h"
#include "probe/octets.h"
#include "probe/preset.h"

#include "base/cleanup.h"
#include "probe/scram.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define PROTOCOL_3     196608
#define SSL_REQUEST    80877103
#define HEADER_BYTES   5 /* the type, and a length that counts itself */
#define LENGTH_MAX     (UINT32_C(1) << 30)
#define MD5_TEXT_BYTES 32

/* What AuthenticationRequest asks for. */
enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
};

/* ---- messages, until the server waits for one of ours ---- */

static int header(const struct framing_reader *reader, uint64_t *body_bytes, struct error *error)
{
    const uint8_t *start = reader->message.start;

    if (!start[0] || !strchr("RSKZTDCENIAvGHWdc", start[0]))
        return framing_refuse("a message of PostgreSQL", error);
    if (reader->message.start_bytes < HEADER_BYTES)
        return 0;
    uint32_t length = octets_be32(start + 1);
    if (length < 4 || length > LENGTH_MAX)
        return framing_refuse("a message of PostgreSQL", error);
    *body_bytes = length - 4;
    return HEADER_BYTES;
}

/* After a fatal error the server closes. The severity is the first field in the server's language,
 * and the second in English. */
static bool is_fatal(const uint8_t *start, size_t bytes)
{
    return memmem(start, bytes, "VFATAL", 7) || memmem(start, bytes, "VPANIC", 7) ||
           memmem(start, bytes, "SFATAL", 7) || memmem(start, bytes, "SPANIC", 7);
}

static int over(struct framing_reader *reader, struct error *error)
{
    const uint8_t *start = reader->message.start;
    size_t bytes = reader->message.start_bytes;

    switch (start[0]) {
    case 'Z':
        return 1;
    case 'R':
        if (bytes < HEADER_BYTES + 4)
            return framing_refuse("a login of PostgreSQL", error);
        return octets_be32(start + HEADER_BYTES) != AUTH_OK &&
               octets_be32(start + HEADER_BYTES) != AUTH_SASL_FINAL;
    case 'E':
        reader->message.refused = true;
        return is_fatal(start, bytes);
    case 'G':
    case 'W':
        return error_set(error, EPROTO, "but a wait for the data of a COPY");
    default:
        return 0;
    }
}

static int feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                size_t *used_bytes, struct error *error)
{
    static const struct framing_messages messages = {header, over};
    return framing_feed_messages(reader, &messages, bytes, len_bytes, used_bytes, error);
}

static int closed(const struct framing_reader *reader)
{
    return reader->message.refused && !reader->message.start_bytes;
}

struct message {
    char type;
    const char *body;
    size_t body_bytes;
};

/* The message at *at, as far as it is there, and *at behind it. */
static bool next_message(const char *head, size_t head_bytes, size_t *at, struct message *out)
{
    if (head_bytes - *at < HEADER_BYTES)
        return false;
    uint32_t length = octets_be32((const uint8_t *)head + *at + 1);
    size_t left = head_bytes - *at - HEADER_BYTES;
    if (length < 4)
        return false;
    *out = (struct message){head[*at], head + *at + HEADER_BYTES,
                            length - 4 < left ? length - 4 : left};
    *at += HEADER_BYTES + out->body_bytes;
    return true;
}

/* The words of an ErrorResponse: its field M. */
static bool find_words(const struct message *message, struct framing_answer *out)
{
    const char *field = message->body, *end = field + message->body_bytes;

    while (field < end && *field) {
        size_t length = strnlen(field, (size_t)(end - field));
        if (*field == 'M') {
            out->text = field + 1;
            out->text_bytes = length - 1;
            return true;
        }
        field += length < (size_t)(end - field) ? length + 1 : length;
    }
    return false;
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    struct message message;

    out->known = true;
    out->success = !reader->message.refused;
    out->text_bytes = 0;
    if (out->success)
        return;
    for (size_t at = 0; next_message(head, head_bytes, &at, &message);)
        if (message.type == 'E' && find_words(&message, out))
            return;
    out->text = "an error after other messages";
    out->text_bytes = strlen(out->text);
}

const struct framing_rules framing_postgres = {
    .awaits = "PostgreSQL to be ready", .feed = feed, .closed = closed, .judge = judge};

/* ---- the login ---- */

struct login {
    bool asked; /* for a password */
    enum { SCRAM_NONE, SCRAM_BEGUN, SCRAM_ANSWERED, SCRAM_PROVEN } progress;
    struct scram scram;
};

static int finish(struct preamble_talk *talk, struct buf *body, char type)
{
    if (type)
        buf_add_char(talk->say, type);
    octets_add_be(talk->say, (uint32_t)body->len_bytes + 4, 4);
    buf_add(talk->say, body->data, body->len_bytes);
    return body->failed ? -ENOMEM : preamble_await(talk, "postgres");
}

static void add_parameter(struct buf *out, const char *name, const char *value)
{
    buf_add(out, name, strlen(name) + 1);
    buf_add(out, value, strlen(value) + 1);
}

static int start_up(struct preamble_talk *talk, struct error *error)
{
    cleanup(buf) struct buf body = {0};

    if (!talk->ask->user)
        return error_set(error, EINVAL, "PostgreSQL wants a user's name: give --user");
    octets_add_be(&body, PROTOCOL_3, 4);
    add_parameter(&body, "user", talk->ask->user);
    if (talk->ask->database)
        add_parameter(&body, "database", talk->ask->database);
    add_parameter(&body, "application_name", "netkit");
    buf_add_char(&body, '\0');
    return finish(talk, &body, 0);
}

static int ask_for_tls(struct preamble_talk *talk)
{
    octets_add_be(talk->say, 8, 4);
    octets_add_be(talk->say, SSL_REQUEST, 4);
    return preamble_await(talk, "bytes:1");
}

static int begin_tls(const struct preamble_talk *talk, struct error *error)
{
    switch (talk->heard[0]) {
    case 'S':
        return PREAMBLE_TLS;
    case 'N':
        return error_set(error, EINVAL, "the server says that it has no TLS");
    default:
        return framing_refuse("an answer to PostgreSQL's request for TLS", error);
    }
}

static bool hash_md5(const void *bytes, size_t len_bytes, char text[MD5_TEXT_BYTES + 1])
{
    uint8_t hash[16];

    if (!EVP_Digest(bytes, len_bytes, hash, NULL, EVP_md5(), NULL))
        return false;
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return true;
}

/* md5(md5(password, user), salt) */
static int answer_md5(struct preamble_talk *talk, const struct message *message,
                      struct error *error)
{
    cleanup(buf) struct buf inner = {0}, outer = {0}, body = {0};
    char text[MD5_TEXT_BYTES + 1];

    if (message->body_bytes != 8)
        return framing_refuse("a login of PostgreSQL", error);
    buf_printf(&inner, "%s%s", talk->ask->password, talk->ask->user);
    if (inner.failed || !hash_md5(inner.data, inner.len_bytes, text))
        return -ENOTSUP;
    buf_add_str(&outer, text);
    buf_add(&outer, message->body + 4, 4);
    if (outer.failed || !hash_md5(outer.data, outer.len_bytes, text))
        return -ENOTSUP;
    buf_printf(&body, "md5%s", text);
    buf_add_char(&body, '\0');
    return finish(talk, &body, 'p');
}

static int answer_cleartext(struct preamble_talk *talk)
{
    cleanup(buf) struct buf body = {0};

    buf_add(&body, talk->ask->password, strlen(talk->ask->password) + 1);
    return finish(talk, &body, 'p');
}

/* The server names the mechanisms that it has. */
static int begin_scram(struct preamble_talk *talk, const struct message *message,
                       struct error *error)
{
    static const char mechanism[] = "SCRAM-SHA-256";
    cleanup(buf) struct buf first = {0}, body = {0};
    struct login *login = talk->state;
    bool has = false;

    for (size_t at = 4; at < message->body_bytes;) {
        size_t length = strnlen(message->body + at, message->body_bytes - at);
        has = has ||
              (length == sizeof mechanism - 1 && !memcmp(message->body + at, mechanism, length));
        at += length + 1;
    }
    if (!has)
        return error_set(error, EINVAL, "the server wants a login by SASL that is not %s",
                         mechanism);
    login->scram.user = "";
    int rc = scram_choose_nonce(&login->scram);
    login->progress = SCRAM_BEGUN;
    scram_begin(&login->scram, &first);
    buf_add(&body, mechanism, sizeof mechanism);
    octets_add_be(&body, (uint32_t)first.len_bytes, 4);
    buf_add(&body, first.data, first.len_bytes);
    return rc ? rc : finish(talk, &body, 'p');
}

static int go_on_with_scram(struct preamble_talk *talk, const struct message *message,
                            struct error *error)
{
    cleanup(buf) struct buf body = {0};
    struct login *login = talk->state;
    int rc = scram_answer(&login->scram, talk->ask->password, message->body + 4,
                          message->body_bytes - 4, &body, error);
    login->progress = SCRAM_ANSWERED;
    return rc ? rc : finish(talk, &body, 'p');
}

/* How the server wants to know who we are. */
static int answer_request(struct preamble_talk *talk, const struct message *message,
                          struct error *error)
{
    struct login *login = talk->state;
    uint32_t wanted = octets_be32((const uint8_t *)message->body);

    if (wanted == AUTH_SASL_CONTINUE) {
        if (login->progress != SCRAM_BEGUN)
            return framing_refuse("a login of PostgreSQL", error);
        return go_on_with_scram(talk, message, error);
    }
    if (wanted != AUTH_CLEARTEXT && wanted != AUTH_MD5 && wanted != AUTH_SASL)
        return error_set(error, EINVAL,
                         "the server wants a login that netkit does not know (by Kerberos, GSSAPI "
                         "or SSPI: number %u)",
                         wanted);
    if (login->asked)
        return error_set(error, EPROTO, "but a second request for a password");
    if (!talk->ask->password)
        return error_set(error, EINVAL,
                         "the server wants a password for the user \"%s\": give --user and "
                         "--password-file, or only connect, with --preset connect",
                         talk->ask->user);
    login->asked = true;
    return wanted == AUTH_CLEARTEXT ? answer_cleartext(talk)
           : wanted == AUTH_MD5     ? answer_md5(talk, message, error)
                                    : begin_scram(talk, message, error);
}

/* A whole answer: requests for a login, or all that comes until the server is ready. */
static int hear_login(struct preamble_talk *talk, struct error *error)
{
    struct login *login = talk->state;
    struct message message;

    for (size_t at = 0; next_message(talk->heard, talk->heard_bytes, &at, &message);) {
        if (message.type != 'R' || message.body_bytes < 4)
            continue;
        uint32_t wanted = octets_be32((const uint8_t *)message.body);
        if (wanted == AUTH_SASL_FINAL) {
            if (login->progress != SCRAM_ANSWERED)
                return framing_refuse("a login of PostgreSQL", error);
            int rc = scram_check(&login->scram, message.body + 4, message.body_bytes - 4, error);
            if (rc)
                return rc;
            login->progress = SCRAM_PROVEN;
        } else if (wanted != AUTH_OK) {
            return answer_request(talk, &message, error);
        }
    }
    if (login->progress != SCRAM_NONE && login->progress != SCRAM_PROVEN)
        return error_set(error, EPROTO, "and no proof that the server knows the password");
    return PREAMBLE_OVER;
}

static int log_in(struct preamble_talk *talk, struct error *error)
{
    bool before_tls = talk->starttls && !talk->secure;

    if (!talk->heard)
        return before_tls ? ask_for_tls(talk) : start_up(talk, error);
    if (before_tls)
        return begin_tls(talk, error);
    return preamble_refused(talk, error) ? -EACCES : hear_login(talk, error);
}

static const struct preamble_rules preamble = {.state_bytes = sizeof(struct login), .next = log_in};

/* ---- the round ---- */

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    const char *query = ask->query ? ask->query : "SELECT 1";

    buf_add_char(out, 'Q');
    octets_add_be(out, (uint32_t)strlen(query) + 5, 4);
    buf_add(out, query, strlen(query) + 1);
    *body_at = out->len_bytes;
}

const struct preset preset_postgres = {
    .name = "postgres",
    PRESET_PORTS("log in; SELECT 1, or the statement of --query", (5432)),
    .takes = PRESET_TAKES_USER | PRESET_TAKES_DATABASE | PRESET_TAKES_QUERY,
    .login_name = true,
    .compose = compose,
    .framing = "postgres",
    .preamble = &preamble,
    .starttls = true};
