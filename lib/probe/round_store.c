#include "probe/round_store.h"

#include "base/cleanup.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PART(i) (offsetof(struct round, part_ns) + (i) * sizeof(int64_t))

/* The durations of a round but for the total, which is kept elsewhere. */
static const size_t spans[] = {
    PART(0),
    PART(1),
    PART(2),
    PART(3),
    PART(4),
    PART(5),
    PART(6),
    offsetof(struct round, wire_ns),
    offsetof(struct round, hold_ns),
    offsetof(struct round, hold_after_ack_ns),
    offsetof(struct round, held_ack_delay_ns),
    offsetof(struct round, rwnd_limited_ns),
    offsetof(struct round, sndbuf_limited_ns),
    offsetof(struct round, ack_delay_ns),
    offsetof(struct round, wait_ns),
    offsetof(struct round, gap_ns),
    offsetof(struct round, gap_ack_lag_min_ns),
    offsetof(struct round, gap_ack_lag_max_ns),
};
_Static_assert(RESULT_PARTS == 7, "each part has its place in the table");

enum { REST = ARRAY_SIZE(spans), WAIT_AFTER = REST, SENT, RECEIVED, COUNTS, FLAGS, WORDS };
_Static_assert(WORDS <= 32, "a mask has a bit for each word");

enum { HOLD_SMALL = 1, ZERO_WINDOW = 2, GAP_ACKED = 4, GAP_WATCHED = 8 };

static float pack(int64_t ns)
{
    return ns == RESULT_UNKNOWN ? NAN : (float)ns;
}

static int64_t unpack(float ns)
{
    return isnan(ns) ? RESULT_UNKNOWN : (int64_t)llroundf(ns);
}

static uint32_t clip32(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static uint32_t clip16(uint32_t value)
{
    return value > UINT16_MAX ? UINT16_MAX : value;
}

static void to_words(uint32_t words[WORDS], const struct round *round)
{
    for (size_t i = 0; i < REST; i++) {
        int64_t ns;
        memcpy(&ns, (const char *)round + spans[i], sizeof ns);
        float packed = pack(ns);
        memcpy(&words[i], &packed, sizeof packed);
    }
    words[WAIT_AFTER] = clip32(round->wait_after_bytes);
    words[SENT] = clip32(round->sent_bytes);
    words[RECEIVED] = clip32(round->received_bytes);
    words[COUNTS] = clip16(round->retransmits) << 16 | clip16(round->arrivals);
    words[FLAGS] = (round->hold_small ? HOLD_SMALL : 0) | (round->zero_window ? ZERO_WINDOW : 0) |
                   (round->gap_acked ? GAP_ACKED : 0) | (round->gap_watched ? GAP_WATCHED : 0);
}

static void from_words(struct round *round, const uint32_t words[WORDS])
{
    *round = (struct round){.wait_after_bytes = words[WAIT_AFTER],
                            .sent_bytes = words[SENT],
                            .received_bytes = words[RECEIVED],
                            .retransmits = words[COUNTS] >> 16,
                            .arrivals = words[COUNTS] & UINT16_MAX,
                            .hold_small = words[FLAGS] & HOLD_SMALL,
                            .zero_window = words[FLAGS] & ZERO_WINDOW,
                            .gap_acked = words[FLAGS] & GAP_ACKED,
                            .gap_watched = words[FLAGS] & GAP_WATCHED};
    for (size_t i = 0; i < REST; i++) {
        float packed;
        memcpy(&packed, &words[i], sizeof packed);
        int64_t ns = unpack(packed);
        memcpy((char *)round + spans[i], &ns, sizeof ns);
    }
}

/* Room for `more` elements. Ten thousand stores that double would waste a third of all. */
static bool make_room(void *array_at, size_t count, size_t *alloc, size_t more, size_t element)
{
    void **array = array_at;

    if (*alloc - count >= more)
        return true;
    size_t wanted = count + more + count / 4;
    void *bigger = realloc(*array, wanted * element);
    if (!bigger)
        return false;
    *array = bigger;
    *alloc = wanted;
    return true;
}

bool round_store_add(struct round_store *store, const struct round *round)
{
    uint32_t words[WORDS], mask = 0;

    if (!make_room(&store->totals, store->count, &store->total_alloc, 1, sizeof *store->totals) ||
        !make_room(&store->words, store->word_count, &store->word_alloc, 1 + WORDS,
                   sizeof *store->words))
        return false;
    store->totals[store->count] = pack(round->total_ns);
    to_words(words, round);
    if (!store->count++) {
        memcpy(store->words, words, sizeof words);
        store->word_count = WORDS;
        return true;
    }
    uint32_t *mask_at = &store->words[store->word_count++];
    for (uint32_t i = 0; i < WORDS; i++)
        if (words[i] != store->words[i]) {
            mask |= UINT32_C(1) << i;
            store->words[store->word_count++] = words[i];
        }
    *mask_at = mask;
    return true;
}

int64_t round_store_total_ns(const struct round_store *store, size_t index)
{
    return unpack(store->totals[index]);
}

struct round *round_store_expand(const struct round_store *store)
{
    struct round *rounds = store->count ? malloc(store->count * sizeof *rounds) : NULL;
    const uint32_t *next = store->words + WORDS;
    uint32_t words[WORDS];

    for (size_t i = 0; rounds && i < store->count; i++) {
        uint32_t mask = i ? *next++ : 0;
        memcpy(words, store->words, sizeof words);
        for (uint32_t word = 0; word < WORDS; word++)
            if (mask >> word & 1)
                words[word] = *next++;
        from_words(&rounds[i], words);
        rounds[i].total_ns = round_store_total_ns(store, i);
    }
    return rounds;
}

void round_store_free(struct round_store *store)
{
    free(store->totals);
    free(store->words);
    *store = (struct round_store){0};
}
