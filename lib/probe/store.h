/* Rounds, kept small: ten thousand targets at once each keep all of theirs until they are done.
 *
 * A stored round takes a third of a struct round: durations are floats, whose relative error of
 * 6e-8 is far below what any clock here can tell. */
#ifndef PROBE_STORE_H
#define PROBE_STORE_H

#include "diagnosis/round.h"
#include <stdbool.h>
#include <stddef.h>

struct store_round;

struct store {
    struct store_round *rounds;
    size_t count, alloc;
};

/* false when memory is out; the store is then as it was. */
bool store_add(struct store *store, const struct round *round);
int64_t store_total_ns(const struct store *store, size_t index);
/* All rounds in full, to be freed with free(); NULL when there are none or memory is out. */
struct round *store_expand(const struct store *store);
void store_free(struct store *store);

#endif
