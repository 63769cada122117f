/* The protocol of Redis and its kin: RESP 2 and 3. */
#include "probe/framing_rules.h"
#include "probe/preset.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define LENGTH_MAX INT64_C(0x7fffffff)

/* ---- a reply of any type ---- */

static void begin(struct framing_reader *reader)
{
    reader->message.parts = 1; /* values still to come */
}

/* The number of a line such as "$5". -1 where RESP says that there is no value. */
static int length_of(const struct framing_reader *reader, int64_t *out, struct error *error)
{
    const char *digits = reader->line + 1;
    int64_t length = 0;

    if (!strcmp(digits, "-1")) {
        *out = -1;
        return 0;
    }
    for (const char *p = digits; *p; p++) {
        if (!isdigit((unsigned char)*p) || length > LENGTH_MAX)
            return framing_refuse("a length of Redis", error);
        length = length * 10 + (*p - '0');
    }
    *out = length;
    return *digits ? 0 : framing_refuse("a length of Redis", error);
}

static int end_line(struct framing_reader *reader, struct error *error)
{
    char type = reader->line[0];
    int64_t length = 0;

    if (!type || !strchr("+-:_,#($!=*~%", type))
        return framing_refuse("a reply of Redis", error);
    bool bulk = strchr("$!=", type) != NULL, many = strchr("*~%", type) != NULL;
    int rc = bulk || many ? length_of(reader, &length, error) : 0;
    if (rc)
        return rc;
    reader->message.parts--;
    if (bulk && length >= 0) { /* with its own line end */
        reader->message.left_bytes = (uint64_t)length + 2;
        return 0;
    }
    if (many && length > 0)
        reader->message.parts += (uint64_t)length * (type == '%' ? 2 : 1);
    return reader->message.parts == 0;
}

static int feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                size_t *used_bytes, struct error *error)
{
    size_t used = 0;
    int rc = 0;

    while (used < len_bytes && !rc) {
        if (!reader->message.left_bytes) {
            rc = framing_line_byte(reader, bytes[used++]) ? end_line(reader, error) : 0;
            /* Another protocol shows at once, before a line's end that may never come. */
            if (!rc && reader->column == 1 && !strchr("+-:_,#($!=*~%", reader->line[0]))
                rc = framing_refuse("a reply of Redis", error);
            continue;
        }
        uint64_t left = len_bytes - used;
        uint64_t step = left < reader->message.left_bytes ? left : reader->message.left_bytes;
        used += step;
        reader->message.left_bytes -= step;
        rc = !reader->message.left_bytes && !reader->message.parts;
    }
    reader->seen_bytes += used;
    *used_bytes = used;
    return rc;
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    (void)reader;
    out->known = head_bytes > 0;
    out->success = head_bytes && *head != '-' && *head != '!';
}

const struct framing_rules framing_redis = {
    .awaits = "a reply of Redis", .begin = begin, .feed = feed, .judge = judge};

/* ---- AUTH, SELECT ---- */

static void add_word(struct buf *out, const char *word)
{
    buf_printf(out, "$%zu\r\n%s\r\n", strlen(word), word);
}

static void add_command(struct buf *out, const char *const *words, int count)
{
    buf_printf(out, "*%d\r\n", count);
    for (int i = 0; i < count; i++)
        add_word(out, words[i]);
}

static int log_in(struct preamble_talk *talk, struct error *error)
{
    const struct preset_ask *ask = talk->ask;

    if (talk->step && preamble_refused(talk, error))
        return -EACCES;
    if (!talk->step && ask->password) {
        const char *words[] = {"AUTH", ask->user ? ask->user : ask->password, ask->password};
        add_command(talk->say, words, ask->user ? 3 : 2);
        return preamble_await(talk, "redis");
    }
    if (talk->step < 2 && ask->database) {
        const char *words[] = {"SELECT", ask->database};
        add_command(talk->say, words, 2);
        talk->step = 1;
        return preamble_await(talk, "redis");
    }
    return PREAMBLE_OVER;
}

static const struct preamble_rules preamble = {.next = log_in};

/* ---- the round ---- */

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    buf_printf(out, "%s\r\n", ask->query ? ask->query : "PING");
    *body_at = out->len_bytes;
}

const struct preset preset_redis = {.name = "redis",
                                    PRESET_PORTS("PING, or the command of --query", (6379)),
                                    .takes = PRESET_TAKES_USER | PRESET_TAKES_DATABASE |
                                             PRESET_TAKES_QUERY,
                                    .compose = compose,
                                    .framing = "redis",
                                    .preamble = &preamble};
