#include "probe/round_store.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum count {
#define COUNT_TIME(member)
#define COUNT_STAMP(member)
#define COUNT_BOOL(member)
#define COUNT_COUNT(member) COUNT_##member,
#define COUNT_BYTES(member)
#define COUNT(kind, member) COUNT_##kind(member)
    ROUND_FIELDS(COUNT) COUNTS
};

/* A word for each field of a round, in the order of the list: as a float, or as a number. Flags
 * share one, counts have half of one each, and the total is kept elsewhere. */
enum word {
    WORD_PARTS,
    WORD_LAST_PART = WORD_PARTS + RESULT_PARTS - 1,
#define WORD_TIME(member)  WORD_##member,
#define WORD_STAMP(member) WORD_##member,
#define WORD_BOOL(member)
#define WORD_COUNT(member)
#define WORD_BYTES(member) WORD_##member,
#define WORD(kind, member) WORD_##kind(member)
    ROUND_FIELDS(WORD) WORD_COUNTS,
    WORD_LAST_COUNTS = WORD_COUNTS + (COUNTS - 1) / 2,
    WORD_FLAGS,
    WORDS
};
_Static_assert(WORDS <= 32, "a mask has a bit for each word");

enum flag {
#define FLAG_TIME(member)
#define FLAG_STAMP(member)
#define FLAG_BOOL(member) FLAG_##member,
#define FLAG_COUNT(member)
#define FLAG_BYTES(member)
#define FLAG(kind, member) FLAG_##kind(member)
    ROUND_FIELDS(FLAG)
};

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

static uint32_t pack_time(int64_t ns)
{
    float packed = pack(ns);
    uint32_t word;

    memcpy(&word, &packed, sizeof word);
    return word;
}

static int64_t unpack_time(uint32_t word)
{
    float packed;

    memcpy(&packed, &word, sizeof packed);
    return unpack(packed);
}

static void to_words(uint32_t words[WORDS], const struct round *round)
{
#define TIME_TO(name) words[WORD_##name] = pack_time(round->name);
#define STAMP_TO      TIME_TO
#define BOOL_TO(name) words[WORD_FLAGS] |= (uint32_t)round->name << FLAG_##name;
#define COUNT_TO(name)                                                                             \
    words[WORD_COUNTS + COUNT_##name / 2] |= clip16(round->name) << COUNT_##name % 2 * 16;
#define BYTES_TO(name) words[WORD_##name] = clip32(round->name);
    memset(words, 0, WORDS * sizeof *words);
    for (int part = 0; part < RESULT_PARTS; part++)
        words[WORD_PARTS + part] = pack_time(round->part_ns[part]);
#define TO_WORDS(kind, member) kind##_TO(member)
    ROUND_FIELDS(TO_WORDS)
}

static void from_words(struct round *round, const uint32_t words[WORDS])
{
#define TIME_FROM(name) round->name = unpack_time(words[WORD_##name]);
#define STAMP_FROM      TIME_FROM
#define BOOL_FROM(name) round->name = words[WORD_FLAGS] >> FLAG_##name & 1;
#define COUNT_FROM(name)                                                                           \
    round->name = words[WORD_COUNTS + COUNT_##name / 2] >> COUNT_##name % 2 * 16 & UINT16_MAX;
#define BYTES_FROM(name) round->name = words[WORD_##name];
    for (int part = 0; part < RESULT_PARTS; part++)
        round->part_ns[part] = unpack_time(words[WORD_PARTS + part]);
#define FROM_WORDS(kind, member) kind##_FROM(member)
    ROUND_FIELDS(FROM_WORDS)
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
    words[WORD_total_ns] = 0; /* it is in `totals` */
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

size_t round_store_newest(const struct round_store *store, int64_t *out, size_t max)
{
    size_t count = store->count < max ? store->count : max;

    for (size_t i = 0; i < count; i++)
        out[i] = round_store_total_ns(store, store->count - count + i);
    return count;
}

struct round *round_store_expand(const struct round_store *store)
{
    struct round *rounds = store->count ? shortage_calloc(store->count, sizeof *rounds) : NULL;
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
