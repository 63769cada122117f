/* A reservoir: each sample is kept with the same chance, however many come (Vitter's algorithm R,
 * with the low bits of a multiplied counter as chance, so that a run repeats). */
#include "flow/track.h"

#include "base/clock.h"
#include <stdlib.h>
#include <string.h>

/* Samples that are late by more than this say nothing about the path: an ACK was delayed. */
#define PROMPT_NS (20 * NS_PER_MS)

static uint32_t units(int64_t ns)
{
    int64_t value = ns >> 6;

    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

void flow_path_add(struct flow_path *path, int64_t ns, uint64_t chance)
{
    if (ns < 0)
        return;
    if (path->min_ns == CLOCK_NONE || ns < path->min_ns)
        path->min_ns = ns;
    int64_t over_ns = ns - path->min_ns;
    if (over_ns < PROMPT_NS)
        path->deviation_ns = (uint32_t)((int64_t)path->deviation_ns +
                                        ((over_ns - (int64_t)path->deviation_ns) >> 3));
    uint32_t place = path->count++;
    if (place >= FLOW_SAMPLES) {
        chance = (chance + 1) * UINT64_C(0x9e3779b97f4a7c15);
        place = (uint32_t)((chance >> 32) * path->count >> 32);
    }
    if (place < FLOW_SAMPLES)
        path->u64[place] = units(ns);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

int64_t flow_path_percentile(const struct flow_path *path, double share)
{
    uint32_t sorted[FLOW_SAMPLES];
    size_t count = path->count < FLOW_SAMPLES ? path->count : FLOW_SAMPLES;

    if (!count)
        return CLOCK_NONE;
    memcpy(sorted, path->u64, sizeof sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    size_t place = (size_t)(share * (double)count);
    return (int64_t)sorted[place < count ? place : count - 1] << 6;
}
