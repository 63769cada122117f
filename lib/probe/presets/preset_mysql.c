/* The protocol of MySQL and MariaDB, with capabilities of 4.1 (MySQL's "Client/Server Protocol").
 */
#include "probe/framing_rules.h"
#include "probe/octets.h"
#include "probe/preset.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define HEADER_BYTES 4         /* a length of three bytes, and a number that counts packets */
#define LENGTH_FULL  0xffffffu /* the next packet goes on with it */
#define LENGTH_EOF   9         /* an end of rows is shorter, a row that begins like it is not */

/* The first byte of a packet. */
enum {
    PACKET_OK = 0x00,
    PACKET_MORE_DATA = 0x01, /* of a login */
    PACKET_GREETING = 0x0a,
    PACKET_WANTS_FILE = 0xfb,
    PACKET_COUNT_16 = 0xfc, /* a count of columns in two bytes; in three */
    PACKET_COUNT_24 = 0xfd,
    PACKET_EOF = 0xfe, /* in a login: another method */
    PACKET_ERROR = 0xff,
};

/* What reader->message.phase counts. */
enum { PHASE_ENDS = 3, PHASE_GOES_ON = 4 };

/* ---- one packet, or a whole result set ---- */

/* Packets that can begin an answer. The count of columns is alone in its packet, which tells it
 * from a greeting and from data of a login. */
static bool can_be_first(const uint8_t *start, uint32_t length)
{
    switch (start[HEADER_BYTES]) {
    case PACKET_OK:
        return length >= 7;
    case PACKET_ERROR:
        return length >= 3;
    case PACKET_EOF:
        return length < 1024;
    case PACKET_GREETING:
        return length == 1 || (length >= 30 && length < 1024 && !start[3]);
    case PACKET_MORE_DATA:
        return length < 4096;
    case PACKET_WANTS_FILE:
        return true;
    case PACKET_COUNT_16:
        return length == 3;
    case PACKET_COUNT_24:
        return length == 4;
    default:
        return length == 1;
    }
}

static int header(const struct framing_reader *reader, uint64_t *body_bytes, struct error *error)
{
    const uint8_t *start = reader->message.start;
    bool first = !reader->message.parts;

    if (reader->message.start_bytes < HEADER_BYTES)
        return 0;
    uint32_t length = octets_le24(start);
    if (!length && first)
        return framing_refuse("a packet of MySQL", error);
    if (!length)
        return HEADER_BYTES;
    if (!first && start[3] != (uint8_t)(reader->message.sequence + 1))
        return framing_refuse("the next packet of MySQL", error);
    if (reader->message.start_bytes == HEADER_BYTES)
        return 0;
    if (first && !can_be_first(start, length))
        return framing_refuse("a packet of MySQL", error);
    *body_bytes = length - 1;
    return HEADER_BYTES + 1;
}

/* Columns, an end, rows, an end. */
static int end_row(struct framing_reader *reader, uint8_t type, uint32_t length)
{
    uint32_t *phase = &reader->message.phase;

    if (type == PACKET_ERROR)
        reader->message.refused = true;
    else if (type == PACKET_EOF && length < LENGTH_EOF)
        ++*phase;
    return reader->message.refused || (*phase & PHASE_ENDS) == 2;
}

static int over(struct framing_reader *reader, struct error *error)
{
    const uint8_t *start = reader->message.start;
    uint32_t length = octets_le24(start);
    bool went_on = reader->message.phase & PHASE_GOES_ON;
    uint8_t type = length ? start[HEADER_BYTES] : PACKET_OK;

    reader->message.sequence = start[3];
    reader->message.phase &= PHASE_ENDS;
    reader->message.phase |= length == LENGTH_FULL ? PHASE_GOES_ON : 0;
    if (went_on || length == LENGTH_FULL)
        return 0;
    if (reader->message.parts > 1)
        return end_row(reader, type, length);
    switch (type) {
    case PACKET_ERROR:
        reader->message.refused = true;
        return 1;
    case PACKET_WANTS_FILE:
        return error_set(error, EPROTO, "but a request for a file of this machine");
    case PACKET_GREETING:
    case PACKET_MORE_DATA:
        return length > 1;
    default:
        return type == PACKET_OK || type == PACKET_EOF;
    }
}

static int feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                size_t *used_bytes, struct error *error)
{
    static const struct framing_messages messages = {header, over};
    return framing_feed_messages(reader, &messages, bytes, len_bytes, used_bytes, error);
}

struct packet {
    const uint8_t *body;
    size_t body_bytes;
};

/* The packet at *at, as far as it is there, and *at behind it. */
static bool next_packet(const char *head, size_t head_bytes, size_t *at, struct packet *out)
{
    if (head_bytes - *at < HEADER_BYTES)
        return false;
    uint32_t length = octets_le24((const uint8_t *)head + *at);
    size_t left = head_bytes - *at - HEADER_BYTES;
    *out =
        (struct packet){(const uint8_t *)head + *at + HEADER_BYTES, length < left ? length : left};
    *at += HEADER_BYTES + out->body_bytes;
    return true;
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    struct packet packet;

    out->known = true;
    out->success = !reader->message.refused;
    out->text_bytes = 0;
    if (out->success)
        return;
    for (size_t at = 0; next_packet(head, head_bytes, &at, &packet);) {
        if (packet.body_bytes < 3 || packet.body[0] != PACKET_ERROR)
            continue;
        size_t skip = packet.body_bytes >= 9 && packet.body[3] == '#' ? 9 : 3;
        out->status = (int)octets_le16(packet.body + 1);
        out->text = (const char *)packet.body + skip;
        out->text_bytes = packet.body_bytes - skip;
        return;
    }
    out->text = "an error after other packets";
    out->text_bytes = strlen(out->text);
}

const struct framing_rules framing_mysql = {
    .awaits = "an answer of MySQL", .feed = feed, .judge = judge};

/* ---- the login ---- */

enum {
    CAN_LONG_PASSWORD = 0x1,
    CAN_DATABASE = 0x8,
    CAN_PROTOCOL_41 = 0x200,
    CAN_TLS = 0x800,
    CAN_TRANSACTIONS = 0x2000,
    CAN_SECURE_LOGIN = 0x8000,
    CAN_PLUGINS = 0x80000,
};

#define CHARSET_UTF8 33
#define SALT_BYTES   20
#define HASH_MAX     32

struct login {
    enum { GREETING, TLS, ANSWERED, SWITCHED } stage;
    uint32_t can;
    uint8_t sequence; /* of our next packet */
    uint8_t salt[SALT_BYTES];
    char plugin[64];
};

/* The greeting, read field by field: false when it is too short. */
static bool read_greeting(struct login *login, const struct packet *packet)
{
    const uint8_t *at = packet->body + 1, *end = packet->body + packet->body_bytes;
    const uint8_t *version_end = memchr(at, '\0', (size_t)(end - at));

    if (!version_end || end - version_end < 1 + 4 + 8 + 1 + 2)
        return false;
    at = version_end + 1 + 4;
    memcpy(login->salt, at, 8);
    at += 8 + 1;
    login->can = octets_le16(at);
    if (end - at < 2 + 1 + 2 + 2 + 1 + 10 + 12)
        return false;
    login->can |= octets_le16(at + 5) << 16;
    size_t salt_bytes = at[7];
    at += 18;
    memcpy(login->salt + 8, at, SALT_BYTES - 8);
    at += salt_bytes > 21 ? salt_bytes - 8 : 13;
    if (at < end && login->can & CAN_PLUGINS)
        snprintf(login->plugin, sizeof login->plugin, "%.*s", (int)(end - at), (const char *)at);
    return true;
}

static bool hash(const EVP_MD *kind, const void *first, size_t first_bytes, const void *second,
                 size_t second_bytes, uint8_t out[HASH_MAX])
{
    cleanup(buf) struct buf both = {0};

    buf_add(&both, first, first_bytes);
    buf_add(&both, second, second_bytes);
    return !both.failed && EVP_Digest(both.data, both.len_bytes, out, NULL, kind, NULL);
}

/* mysql_native_password: H(password) xor H(salt, H(H(password))); caching_sha2_password has them
 * the other way around. */
static bool scramble(const struct login *login, const EVP_MD *kind, bool salt_first,
                     const char *password, uint8_t out[HASH_MAX])
{
    size_t bytes = (size_t)EVP_MD_get_size(kind);
    uint8_t once[HASH_MAX], twice[HASH_MAX];

    if (!hash(kind, password, strlen(password), "", 0, once) ||
        !hash(kind, once, bytes, "", 0, twice) ||
        !(salt_first ? hash(kind, login->salt, SALT_BYTES, twice, bytes, out)
                     : hash(kind, twice, bytes, login->salt, SALT_BYTES, out)))
        return false;
    for (size_t i = 0; i < bytes; i++)
        out[i] ^= once[i];
    return true;
}

/* Appends what the plugin makes of the password. */
static int add_proof(const struct preamble_talk *talk, struct buf *out, struct error *error)
{
    const struct login *login = talk->state;
    const char *password = talk->ask->password ? talk->ask->password : "";
    bool native = !strcmp(login->plugin, "mysql_native_password");
    bool sha2 = !strcmp(login->plugin, "caching_sha2_password");
    const EVP_MD *kind = native ? EVP_sha1() : EVP_sha256();
    uint8_t proof[HASH_MAX];

    if (!native && !sha2) {
        cleanup(buf) struct buf shown = {0};
        text_escape(&shown, login->plugin, strlen(login->plugin));
        return error_set(error, EINVAL,
                         "the server wants a login by %s; netkit knows mysql_native_password and "
                         "caching_sha2_password",
                         buf_str(&shown));
    }
    if (!*password)
        return 0;
    if (!scramble(login, kind, native, password, proof))
        return -ENOTSUP;
    buf_add(out, proof, (size_t)EVP_MD_get_size(kind));
    return 0;
}

static int finish(struct preamble_talk *talk, const struct buf *body)
{
    struct login *login = talk->state;

    octets_add_le(talk->say, (uint32_t)body->len_bytes, 3);
    buf_add_char(talk->say, (char)login->sequence++);
    buf_add(talk->say, body->data, body->len_bytes);
    return body->failed ? -ENOMEM : preamble_await(talk, "mysql");
}

/* How a login begins; nothing but that asks for TLS. */
static void add_capabilities(const struct preamble_talk *talk, struct buf *body)
{
    const struct login *login = talk->state;
    uint32_t can = CAN_LONG_PASSWORD | CAN_PROTOCOL_41 | CAN_TRANSACTIONS | CAN_SECURE_LOGIN;

    can |= login->can & CAN_PLUGINS;
    can |= (talk->ask->database ? CAN_DATABASE : 0) | (talk->starttls ? CAN_TLS : 0);
    octets_add_le(body, can, 4);
    octets_add_le(body, LENGTH_FULL, 4);
    buf_add_char(body, CHARSET_UTF8);
    for (int i = 0; i < 23; i++)
        buf_add_char(body, '\0');
}

static int ask_for_tls(struct preamble_talk *talk, struct error *error)
{
    struct login *login = talk->state;
    cleanup(buf) struct buf body = {0};

    if (!(login->can & CAN_TLS))
        return error_set(error, EINVAL, "the server says that it has no TLS");
    add_capabilities(talk, &body);
    login->stage = TLS;
    finish(talk, &body);
    return preamble_await(talk, "nothing");
}

static int answer_greeting(struct preamble_talk *talk, struct error *error)
{
    struct login *login = talk->state;
    const struct preset_ask *ask = talk->ask;
    cleanup(buf) struct buf body = {0}, proof = {0};

    if (!ask->user)
        return error_set(error, EINVAL, "MySQL wants a user's name: give --user");
    /* Another method than ours will be changed by the server for one that it has for the user. */
    if (strcmp(login->plugin, "caching_sha2_password"))
        strcpy(login->plugin, "mysql_native_password");
    int rc = add_proof(talk, &proof, error);
    add_capabilities(talk, &body);
    buf_add(&body, ask->user, strlen(ask->user) + 1);
    buf_add_char(&body, (char)proof.len_bytes);
    buf_add(&body, proof.data, proof.len_bytes);
    if (ask->database)
        buf_add(&body, ask->database, strlen(ask->database) + 1);
    if (login->can & CAN_PLUGINS)
        buf_add(&body, login->plugin, strlen(login->plugin) + 1);
    login->stage = ANSWERED;
    return rc ? rc : finish(talk, &body);
}

static int take_greeting(struct preamble_talk *talk, const struct packet *packet,
                         struct error *error)
{
    struct login *login = talk->state;

    if (packet->body[0] != PACKET_GREETING || !read_greeting(login, packet))
        return framing_refuse("a greeting of MySQL", error);
    if (!(login->can & CAN_PROTOCOL_41) || !(login->can & CAN_SECURE_LOGIN))
        return error_set(error, EINVAL, "the server is older than MySQL 4.1, or says so");
    return talk->starttls ? ask_for_tls(talk, error) : answer_greeting(talk, error);
}

/* The server has another plugin for this user. */
static int change_plugin(struct preamble_talk *talk, const struct packet *packet,
                         struct error *error)
{
    struct login *login = talk->state;
    const uint8_t *name = packet->body + 1, *end = packet->body + packet->body_bytes;
    const uint8_t *name_end = name < end ? memchr(name, '\0', (size_t)(end - name)) : NULL;
    cleanup(buf) struct buf proof = {0};

    if (login->stage == SWITCHED || !name_end)
        return framing_refuse("a login of MySQL", error);
    snprintf(login->plugin, sizeof login->plugin, "%s", (const char *)name);
    login->stage = SWITCHED;
    if (end - name_end > SALT_BYTES)
        memcpy(login->salt, name_end + 1, SALT_BYTES);
    int rc = add_proof(talk, &proof, error);
    return rc ? rc : finish(talk, &proof);
}

/* caching_sha2_password: either it remembers the password, or it wants it as it is. */
static int hear_more(struct preamble_talk *talk, const struct packet *packet, struct error *error)
{
    enum { REMEMBERS = 3, WANTS_PASSWORD = 4 };
    const struct login *login = talk->state;
    const char *password = talk->ask->password ? talk->ask->password : "";
    cleanup(buf) struct buf body = {0};

    if (packet->body_bytes != 2 || strcmp(login->plugin, "caching_sha2_password"))
        return framing_refuse("a login of MySQL", error);
    if (packet->body[1] == REMEMBERS)
        return preamble_await(talk, "mysql");
    if (packet->body[1] != WANTS_PASSWORD)
        return framing_refuse("a login of MySQL", error);
    if (!talk->secure)
        return error_set(error, EINVAL,
                         "the server does not remember this user's password and wants it as it "
                         "is, which only TLS protects: give --starttls");
    buf_add(&body, password, strlen(password) + 1);
    return finish(talk, &body);
}

static int log_in(struct preamble_talk *talk, struct error *error)
{
    struct login *login = talk->state;
    struct packet packet;
    size_t at = 0;

    if (login->stage == TLS)
        return talk->secure ? answer_greeting(talk, error) : PREAMBLE_TLS;
    if (!talk->heard)
        return preamble_await(talk, "mysql");
    if (preamble_refused(talk, error))
        return -EACCES;
    if (!next_packet(talk->heard, talk->heard_bytes, &at, &packet) || !packet.body_bytes)
        return framing_refuse("a login of MySQL", error);
    login->sequence = (uint8_t)(talk->heard[3] + 1);
    if (login->stage == GREETING)
        return take_greeting(talk, &packet, error);
    switch (packet.body[0]) {
    case PACKET_OK:
        return PREAMBLE_OVER;
    case PACKET_EOF:
        return change_plugin(talk, &packet, error);
    case PACKET_MORE_DATA:
        return hear_more(talk, &packet, error);
    default:
        return framing_refuse("a login of MySQL", error);
    }
}

static const struct preamble_rules preamble = {
    .state_bytes = sizeof(struct login), .server_first = true, .next = log_in};

/* ---- the round ---- */

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    enum { COM_QUERY = 3, COM_PING = 14 };
    const char *query = ask->query ? ask->query : "";

    octets_add_le(out, (uint32_t)strlen(query) + 1, 3);
    buf_add_char(out, 0);
    buf_add_char(out, ask->query ? COM_QUERY : COM_PING);
    buf_add_str(out, query);
    *body_at = out->len_bytes;
}

const struct preset preset_mysql = {
    .name = "mysql",
    PRESET_PORTS("log in to MySQL or MariaDB; ping, or the statement of --query", (3306)),
    .takes = PRESET_TAKES_USER | PRESET_TAKES_DATABASE | PRESET_TAKES_QUERY,
    .login_name = true,
    .compose = compose,
    .framing = "mysql",
    .preamble = &preamble,
    .starttls = true};
