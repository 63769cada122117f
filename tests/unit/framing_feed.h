/* Feeds the readers of --until, whole, byte by byte and in random pieces. However an answer is cut,
 * its end must be the same. */
#ifndef FRAMING_FEED_H
#define FRAMING_FEED_H

#include "base/cleanup.h"
#include "probe/framing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline uint32_t chance(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

struct end {
    int rc;
    uint64_t used;
};

/* Feeds a copy whose end is the end of its memory, in pieces of 1 to `largest` bytes (0: whole). */
static inline struct end feed(const struct framing *framing, const char *bytes, size_t len,
                              size_t largest, uint32_t seed, struct framing_reader *reader)
{
    struct end end = {0};

    framing_begin(reader, framing);
    for (size_t at = 0; at < len && !end.rc;) {
        size_t piece = largest ? 1 + chance(&seed) % largest : len - at, used = SIZE_MAX;
        if (piece > len - at)
            piece = len - at;
        cleanup(mem) char *copy = malloc(piece);
        assert_non_null(copy);
        memcpy(copy, bytes + at, piece);
        end.rc = framing_feed(reader, copy, piece, &used, NULL);
        assert_true(used <= piece);
        assert_true(end.rc || used == piece);
        end.used += used;
        at += used;
    }
    return end;
}

/* rc and used: what is expected of every way to cut it. */
static inline void check_all(const char *kind, const char *bytes, size_t len, int rc, size_t used)
{
    static struct framing_reader reader;
    struct framing framing;

    assert_int_equal(framing_parse(kind, &framing, NULL), 0);
    for (size_t largest = 0; largest < 12; largest++)
        for (uint32_t seed = 1; seed <= (largest > 1 ? 6u : 1u); seed++) {
            struct end end = feed(&framing, bytes, len, largest, seed * 7919, &reader);
            if (end.rc != rc || end.used != used)
                fail_msg("%s of \"%.60s\": rc %d after %llu bytes instead of %d after %zu (pieces "
                         "of %zu, seed %u)",
                         kind, bytes, end.rc, (unsigned long long)end.used, rc, used, largest,
                         seed);
            assert_true(rc < 0 || reader.seen_bytes == used);
        }
}

static inline void check(const char *kind, const char *text, int rc, size_t used)
{
    check_all(kind, text, strlen(text), rc, used);
}

/* The response is complete with the last byte of `text`, and not before; `after` is not touched. */
static inline void completes(const char *kind, const char *text)
{
    char with_more[4096];

    check(kind, text, 1, strlen(text));
    snprintf(with_more, sizeof with_more, "%sHTTP/1.1 200 next", text);
    check(kind, with_more, 1, strlen(text));
    for (size_t len = 1; len < strlen(text); len++)
        check_all(kind, text, len, 0, len);
}

/* What a complete answer says of itself. */
static inline struct framing_answer judged(const char *kind, const char *text)
{
    static struct framing_reader reader;
    struct framing framing;
    struct framing_answer answer;

    assert_int_equal(framing_parse(kind, &framing, NULL), 0);
    assert_int_equal(feed(&framing, text, strlen(text), 3, 5, &reader).rc, 1);
    framing_judge(&reader, text, strlen(text), &answer);
    return answer;
}

static inline void succeeds(const char *kind, const char *text, int status)
{
    struct framing_answer answer = judged(kind, text);
    completes(kind, text);
    assert_true(answer.known && answer.success && answer.status == status);
}

static inline void fails(const char *kind, const char *text, int status, const char *words)
{
    struct framing_answer answer = judged(kind, text);
    completes(kind, text);
    assert_true(answer.known && !answer.success && answer.status == status);
    assert_int_equal(answer.text_bytes, strlen(words));
    assert_memory_equal(answer.text, words, strlen(words));
}

#endif
