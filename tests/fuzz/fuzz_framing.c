/* Readers of responses: however the stream is cut into reads, the end is the same, and nothing
 * behind the end is taken. Input: a byte for the kind, one for how it is cut, then for text the
 * needle with its length in front, and the stream. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "probe/framing.h"
#include <errno.h>
#include <string.h>

struct end {
    int rc;
    size_t used;
    int closed;
    struct http_reader http;
};

/* Feeds pieces of 1 to `largest` bytes, each in memory of its own; 0: all at once. */
static void feed(const struct framing *framing, const uint8_t *bytes, size_t size, uint32_t largest,
                 uint32_t seed, struct end *end)
{
    static struct framing_reader reader;
    struct error error = {0};

    memset(&reader, 0x5a, sizeof reader);
    framing_begin(&reader, framing);
    *end = (struct end){0};
    while (end->used < size && !end->rc) {
        size_t piece = size - end->used, used = SIZE_MAX;
        seed = seed * 1664525u + 1013904223u;
        if (largest && piece > 1 + (seed >> 8) % largest)
            piece = 1 + (seed >> 8) % largest;
        cleanup(mem) char *copy = malloc(piece);
        if (!copy)
            abort();
        memcpy(copy, bytes + end->used, piece);
        end->rc = framing_feed(&reader, copy, piece, &used, &error);
        FUZZ_PROMISE(used <= piece && (end->rc || used == piece));
        FUZZ_PROMISE(end->rc == 0 || end->rc == 1 || end->rc == -EPROTO);
        FUZZ_PROMISE(end->rc >= 0 || error.text[0]);
        end->used += used;
    }
    FUZZ_PROMISE(end->rc < 0 || reader.seen_bytes == end->used);
    end->closed = end->rc < 0 ? 0 : framing_closed(&reader);
    if (framing->kind == FRAMING_HTTP && end->rc >= 0)
        end->http = reader.http;
    if (end->rc == 1) {
        struct framing_answer answer;
        framing_judge(&reader, (const char *)bytes, size < 200 ? size : 200, &answer);
        char words[200];
        FUZZ_PROMISE(answer.text_bytes <= sizeof words);
        if (answer.text_bytes) /* readable */
            memcpy(words, answer.text, answer.text_bytes);
    }
}

static void compare(const struct end *a, const struct end *b)
{
    FUZZ_PROMISE(a->rc == b->rc && a->used == b->used && a->closed == b->closed);
    FUZZ_PROMISE(a->http.status == b->http.status && a->http.close == b->http.close &&
                 a->http.phase == b->http.phase &&
                 a->http.remaining_bytes == b->http.remaining_bytes);
}

/* What can be said without a state machine. */
static void check_naively(const struct framing *framing, const uint8_t *bytes, size_t size,
                          const struct end *end)
{
    const void *found = NULL;

    if (framing->kind == FRAMING_LINE)
        found = size ? memchr(bytes, '\n', size) : NULL;
    else if (framing->kind == FRAMING_TEXT)
        found = memmem(bytes, size, framing->text, framing->text_bytes);
    else
        return;
    FUZZ_PROMISE(end->rc == (found != NULL));
    if (found)
        FUZZ_PROMISE(end->used == (size_t)((const uint8_t *)found - bytes) +
                                      (framing->kind == FRAMING_TEXT ? framing->text_bytes : 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum framing_kind kinds[] = {FRAMING_HTTP,  FRAMING_LINE,  FRAMING_REPLY,
                                              FRAMING_TEXT,  FRAMING_BYTES, FRAMING_POSTGRES,
                                              FRAMING_MYSQL, FRAMING_LDAP,  FRAMING_MQTT};
    struct framing framing = {0};
    struct end whole, cut;

    if (size < 3)
        return 0;
    /* Letters, so that seeds can be written by hand. */
    static const char letters[] = "hlrtbpmdq";
    const char *letter = memchr(letters, data[0], sizeof letters - 1);
    framing.kind = letter ? kinds[letter - letters] : (enum framing_kind)(data[0] % FRAMING_KINDS);
    uint32_t seed = data[1];
    data += 2, size -= 2;
    if (framing.kind == FRAMING_TEXT) {
        framing.text_bytes = 1u + data[0] % 8;
        if (size < 1 + framing.text_bytes)
            return 0;
        memcpy(framing.text, data + 1, framing.text_bytes);
        data += 1 + framing.text_bytes, size -= 1 + framing.text_bytes;
    }
    framing.bytes = 1u + seed;
    feed(&framing, data, size, 0, 0, &whole);
    check_naively(&framing, data, size, &whole);
    feed(&framing, data, size, 1, 0, &cut);
    compare(&whole, &cut);
    feed(&framing, data, size, 1 + seed % 40, seed, &cut);
    compare(&whole, &cut);
    /* What follows the end does not matter, nor what came before it. */
    if (whole.rc) {
        feed(&framing, data, whole.used, 7, seed, &cut);
        compare(&whole, &cut);
    }
    return 0;
}
