/* A sample, rebuilt from what a report keeps of it.
 *
 * Reports keep no single rounds, but a histogram with fixed bounds and five exact order statistics
 * (minimum, p50, p90, p99, maximum). Both together bound the distribution closely: the rebuilt
 * values lie in their buckets, the order statistics come back exactly, and between two points that
 * are known the values are spread evenly. Pure. */
#ifndef DIAGNOSIS_SAMPLE_H
#define DIAGNOSIS_SAMPLE_H

#include "result/result.h"

/* As many as stats_compare() looks at. */
#define SAMPLE_VALUES_MAX 512

struct sample {
    int64_t values[SAMPLE_VALUES_MAX]; /* sorted */
    size_t count;                      /* at most SAMPLE_VALUES_MAX, thinned evenly */
    uint64_t rounds;                   /* how many the histogram counts */
};

/* Contradictions between the two (a hostile file's) give some sorted sample, nothing worse. */
void sample_rebuild(struct sample *out, const struct result_histogram *histogram,
                    const struct result_latency *latency);

#endif
