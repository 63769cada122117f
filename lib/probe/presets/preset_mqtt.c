/* MQTT 3.1.1 (OASIS), of a client that has subscribed to nothing. */
#include "probe/framing_rules.h"
#include "probe/octets.h"
#include "probe/preset.h"

#include "base/cleanup.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

enum { MQTT_CONNECT = 0x10, MQTT_CONNACK = 0x20, MQTT_PINGREQ = 0xc0, MQTT_PINGRESP = 0xd0 };

/* ---- CONNACK, PINGRESP ---- */

static int header(const struct framing_reader *reader, uint64_t *body_bytes, struct error *error)
{
    const uint8_t *start = reader->message.start;

    if (start[0] != MQTT_CONNACK && start[0] != MQTT_PINGRESP)
        return framing_refuse("an answer of MQTT", error);
    if (reader->message.start_bytes < 2)
        return 0;
    *body_bytes = start[0] == MQTT_CONNACK ? 2 : 0;
    return start[1] == *body_bytes ? 2 : framing_refuse("an answer of MQTT", error);
}

static int over(struct framing_reader *reader, struct error *error)
{
    (void)error;
    reader->message.phase = reader->message.start[0] == MQTT_CONNACK ? reader->message.start[3] : 0;
    return 1;
}

static int feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                size_t *used_bytes, struct error *error)
{
    static const struct framing_messages messages = {header, over};
    return framing_feed_messages(reader, &messages, bytes, len_bytes, used_bytes, error);
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    static const char *const words[] = {"",
                                        "unacceptable protocol version",
                                        "client identifier rejected",
                                        "server unavailable",
                                        "bad user name or password",
                                        "not authorized"};
    uint32_t code = reader->message.phase;

    (void)head, (void)head_bytes;
    out->known = true;
    out->success = !code;
    out->status = (int)code;
    out->text = code < ARRAY_SIZE(words) ? words[code] : "connection refused";
    out->text_bytes = strlen(out->text);
}

const struct framing_rules framing_mqtt = {
    .awaits = "CONNACK or PINGRESP of MQTT", .feed = feed, .judge = judge};

/* ---- CONNECT ---- */

static void add_text(struct buf *out, const char *text)
{
    octets_add_be(out, (uint32_t)strlen(text), 2);
    buf_add_str(out, text);
}

/* Seven bits a byte, the lowest first. */
static void add_length(struct buf *out, size_t length)
{
    for (; length > 0x7f; length >>= 7)
        buf_add_char(out, (char)(length | 0x80));
    buf_add_char(out, (char)length);
}

static int check(const struct preset_ask *ask, struct error *error)
{
    if (ask->password && !ask->user)
        return error_set(error, EINVAL, "MQTT has no password without a user: give --user");
    if (ask->user && strlen(ask->user) > UINT16_MAX)
        return error_set(error, EINVAL, "--user: MQTT takes no more than %d bytes", UINT16_MAX);
    return 0;
}

static int connect_once(struct preamble_talk *talk, struct error *error)
{
    enum { CLEAN = 0x02, HAS_PASSWORD = 0x40, HAS_USER = 0x80, LEVEL_3_1_1 = 4 };
    const struct preset_ask *ask = talk->ask;
    cleanup(buf) struct buf body = {0};
    uint64_t number;
    char name[24];

    if (preamble_refused(talk, error))
        return -EACCES;
    if (talk->heard)
        return talk->heard[0] == MQTT_CONNACK ? PREAMBLE_OVER : framing_refuse("CONNACK", error);
    /* A broker cuts off an older connection of the same name. */
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return -errno;
    snprintf(name, sizeof name, "netkit%016" PRIx64, number);
    add_text(&body, "MQTT");
    buf_add_char(&body, LEVEL_3_1_1);
    buf_add_char(&body,
                 (char)(CLEAN | (ask->user ? HAS_USER : 0) | (ask->password ? HAS_PASSWORD : 0)));
    octets_add_be(&body, 0, 2); /* a silent client is left alone */
    add_text(&body, name);
    if (ask->user)
        add_text(&body, ask->user);
    if (ask->password)
        add_text(&body, ask->password);
    buf_add_char(talk->say, MQTT_CONNECT);
    add_length(talk->say, body.len_bytes);
    buf_add(talk->say, body.data, body.len_bytes);
    return body.failed ? -ENOMEM : preamble_await(talk, "mqtt");
}

static const struct preamble_rules preamble = {.next = connect_once};

/* ---- the round ---- */

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    (void)ask;
    buf_add_char(out, (char)MQTT_PINGREQ);
    buf_add_char(out, '\0');
    *body_at = out->len_bytes;
}

const struct preset preset_mqtt = {.name = "mqtt",
                                   PRESET_TLS_PORTS("CONNECT once, then PINGREQ", (1883), (8883)),
                                   .takes = PRESET_TAKES_USER,
                                   .check = check,
                                   .compose = compose,
                                   .framing = "mqtt",
                                   .preamble = &preamble};
