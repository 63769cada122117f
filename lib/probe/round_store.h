/* Rounds, kept small: ten thousand targets at once each keep all of theirs until they are done.
 *
 * The first round is kept whole; of each later one only what differs from it, which is a handful of
 * its two dozen numbers. Durations are floats, whose relative error of 6e-8 is far below what any
 * clock here can tell. A round takes some 30 bytes instead of a struct round's 216. */
#ifndef PROBE_ROUND_STORE_H
#define PROBE_ROUND_STORE_H

#include "diagnosis/round.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct round_store {
    float *totals; /* by index, without reading all that came before */
    size_t count, total_alloc;
    uint32_t *words; /* the first round's; then for each a mask and the words that it names */
    size_t word_count, word_alloc;
};

/* false when memory is out; the store is then as it was. */
bool round_store_add(struct round_store *store, const struct round *round);
int64_t round_store_total_ns(const struct round_store *store, size_t index);
/* The durations of the newest rounds. Returns how many. */
size_t round_store_newest(const struct round_store *store, int64_t *out, size_t max);
/* All rounds in full, to be freed with free(); NULL when there are none or memory is out. */
struct round *round_store_expand(const struct round_store *store);
void round_store_free(struct round_store *store);

#endif
