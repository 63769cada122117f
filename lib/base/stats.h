/* The little statistics that a verdict rests on. Pure, no allocation unless said.
 *
 * The comparison of two samples is the Mann-Whitney rank test (H. B. Mann and D. R. Whitney, 1947)
 * with the normal approximation, tie correction and continuity correction, and the Hodges-Lehmann
 * estimate of the shift (the median of all pairwise differences). Neither assumes a distribution,
 * and a few late wake-ups on a loaded machine move neither much. */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Sorts in place. */
void stats_sort(int64_t *values, size_t count);

/* The p-quantile (0 ≤ p ≤ 1) of sorted values, nearest rank. count must be above 0. */
int64_t stats_quantile(const int64_t *sorted, size_t count, double p);
/* How many of sorted values are `least` or more. */
size_t stats_count_from(const int64_t *sorted, size_t count, int64_t least);

/* The same quantile, and the median, of unsorted values, which stay as they are; copies them to the
 * heap when there are more than 512 (0 when memory is out or count is 0). */
int64_t stats_quantile_of(const int64_t *values, size_t count, double p);
int64_t stats_median(const int64_t *values, size_t count);

struct stats_shift {
    double p_value;   /* one-sided: how likely a ≥ b this clearly, were there no difference */
    int64_t shift_ns; /* Hodges-Lehmann: by how much a is larger than b */
};

/* Whether `a` tends to be larger than `b`. Samples above 512 values are thinned evenly.
 * With an empty sample p_value is 1. */
struct stats_shift stats_compare(const int64_t *a, size_t na, const int64_t *b, size_t nb);

/* The largest d for which a - d still tends to be larger than b with a p below `p_max`: by how much
 * a is larger at the least. 0 when it is not. */
int64_t stats_shift_at_least(const int64_t *a, size_t na, const int64_t *b, size_t nb,
                             double p_max);

/* The smallest d ≥ 0 for which b + d tends to be larger than a: by how much a is larger at the
 * most. INT64_MAX with an empty sample. */
int64_t stats_shift_at_most(const int64_t *a, size_t na, const int64_t *b, size_t nb, double p_max);

/* How likely `count` or more of `of` independent trials succeed, each with probability p. */
double stats_binomial_tail(size_t count, size_t of, double p);

/* Fisher's exact test, one-sided: how likely the first group has `a` or more of the a + b cases
 * that the two groups have together, were there no difference; the groups have na and nb members.
 */
double stats_fisher(size_t a, size_t na, size_t b, size_t nb);

#endif
