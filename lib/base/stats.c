#include "base/stats.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_MAX 512

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

#define RADIX_MIN 1024 /* below, qsort is as fast */

/* With the sign bit turned over, unsigned order is signed order. */
static unsigned digit(int64_t value, int pass)
{
    return ((uint64_t)value ^ UINT64_C(1) << 63) >> 8 * pass & 255;
}

/* One stable pass of a radix sort; false when all have the same digit and nothing was moved. */
static bool distribute(const int64_t *from, int64_t *to, size_t count, int pass)
{
    size_t start[257] = {0};

    for (size_t i = 0; i < count; i++)
        start[digit(from[i], pass) + 1]++;
    if (start[digit(from[0], pass) + 1] == count)
        return false;
    for (int i = 0; i < 256; i++)
        start[i + 1] += start[i];
    for (size_t i = 0; i < count; i++)
        to[start[digit(from[i], pass)]++] = from[i];
    return true;
}

/* Durations differ in their lower bytes only, so this is a few passes where qsort makes many. */
static bool radix_sort(int64_t *values, size_t count)
{
    cleanup(mem) int64_t *spare = shortage_calloc(count, sizeof *spare);
    int64_t *from = values, *to = spare;

    for (int pass = 0; spare && pass < 8; pass++)
        if (distribute(from, to, count, pass)) {
            int64_t *filled = to;
            to = from;
            from = filled;
        }
    if (spare && from != values)
        memcpy(values, from, count * sizeof *values);
    return spare;
}

void stats_sort(int64_t *values, size_t count)
{
    if (count && (count < RADIX_MIN || !radix_sort(values, count)))
        qsort(values, count, sizeof values[0], compare_int64);
}

int64_t stats_quantile(const int64_t *sorted, size_t count, double p)
{
    size_t rank = (size_t)ceil(p * (double)count);
    return sorted[rank > 0 ? (rank > count ? count : rank) - 1 : 0];
}

size_t stats_count_from(const int64_t *sorted, size_t count, int64_t least)
{
    size_t below = 0;
    while (below < count && sorted[below] < least)
        below++;
    return count - below;
}

int64_t stats_quantile_of(const int64_t *values, size_t count, double p)
{
    int64_t small[SAMPLE_MAX];
    int64_t *copy = count <= SAMPLE_MAX ? small : malloc(count * sizeof *copy);
    int64_t quantile = 0;

    if (copy && count) {
        memcpy(copy, values, count * sizeof *copy);
        stats_sort(copy, count);
        quantile = stats_quantile(copy, count, p);
    }
    if (copy != small)
        free(copy);
    return quantile;
}

int64_t stats_median(const int64_t *values, size_t count)
{
    return stats_quantile_of(values, count, 0.5);
}

struct ranked {
    int64_t value;
    int from_a;
};

static int compare_ranked(const void *a, const void *b)
{
    return compare_int64(&((const struct ranked *)a)->value, &((const struct ranked *)b)->value);
}

static size_t thin(int64_t *out, const int64_t *in, size_t count)
{
    size_t kept = count < SAMPLE_MAX ? count : SAMPLE_MAX;
    for (size_t i = 0; i < kept; i++)
        out[i] = in[i * count / kept];
    return kept;
}

static double rank_test(const int64_t *a, size_t na, const int64_t *b, size_t nb)
{
    struct ranked all[2 * SAMPLE_MAX];
    size_t n = na + nb;
    double rank_sum_a = 0, ties = 0;

    for (size_t i = 0; i < n; i++)
        all[i] = i < na ? (struct ranked){a[i], 1} : (struct ranked){b[i - na], 0};
    qsort(all, n, sizeof all[0], compare_ranked);

    for (size_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && all[j].value == all[i].value; j++)
            ;
        double t = (double)(j - i), rank = (double)(i + j + 1) / 2;
        ties += t * t * t - t;
        for (size_t k = i; k < j; k++)
            rank_sum_a += all[k].from_a ? rank : 0;
    }
    double x = (double)na, y = (double)nb, m = (double)n;
    double u = rank_sum_a - x * (x + 1) / 2;
    double variance = n > 1 ? x * y / 12 * (m + 1 - ties / (m * (m - 1))) : 0;
    if (variance <= 0)
        return 1;
    return 0.5 * erfc((u - x * y / 2 - 0.5) / sqrt(variance) / M_SQRT2);
}

/* The median of all pairwise differences, found by bisection over their value, so that it needs no
 * memory for na × nb differences. */
static int64_t hodges_lehmann(const int64_t *a, size_t na, const int64_t *b, size_t nb)
{
    int64_t low = a[0] - b[nb - 1], high = a[na - 1] - b[0];
    size_t wanted = (na * nb + 1) / 2;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        size_t at_most = 0;
        /* For each a, how many b satisfy a - b <= middle, that is b >= a - middle. */
        for (size_t i = 0, j = 0; i < na; i++) {
            while (j < nb && b[j] < a[i] - middle)
                j++;
            at_most += nb - j;
        }
        if (at_most >= wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct stats_shift stats_compare(const int64_t *a, size_t na, const int64_t *b, size_t nb)
{
    int64_t x[SAMPLE_MAX], y[SAMPLE_MAX];

    if (!na || !nb)
        return (struct stats_shift){.p_value = 1};
    na = thin(x, a, na);
    nb = thin(y, b, nb);
    stats_sort(x, na);
    stats_sort(y, nb);
    return (struct stats_shift){.p_value = rank_test(x, na, y, nb),
                                .shift_ns = hodges_lehmann(x, na, y, nb)};
}

int64_t stats_shift_at_least(const int64_t *a, size_t na, const int64_t *b, size_t nb, double p_max)
{
    int64_t x[SAMPLE_MAX], y[SAMPLE_MAX], moved[SAMPLE_MAX];
    int64_t low = 0, high;

    if (!na || !nb)
        return 0;
    na = thin(x, a, na);
    nb = thin(y, b, nb);
    stats_sort(x, na);
    stats_sort(y, nb);
    if (rank_test(x, na, y, nb) >= p_max)
        return 0;
    high = x[na - 1] - y[0];
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        for (size_t i = 0; i < na; i++)
            moved[i] = x[i] - middle;
        if (rank_test(moved, na, y, nb) < p_max)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int64_t stats_shift_at_most(const int64_t *a, size_t na, const int64_t *b, size_t nb, double p_max)
{
    int64_t x[SAMPLE_MAX], y[SAMPLE_MAX], moved[SAMPLE_MAX];
    int64_t low = 0, high;

    if (!na || !nb)
        return INT64_MAX;
    na = thin(x, a, na);
    nb = thin(y, b, nb);
    stats_sort(x, na);
    stats_sort(y, nb);
    high = x[na - 1] > y[0] ? x[na - 1] - y[0] + 1 : 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        for (size_t i = 0; i < nb; i++)
            moved[i] = y[i] + middle;
        if (rank_test(moved, nb, x, na) < p_max)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

double stats_binomial_tail(size_t count, size_t of, double p)
{
    double sum = 0;

    if (!count || p >= 1)
        return count <= of;
    if (p <= 0)
        return 0;
    for (size_t k = count; k <= of; k++)
        sum += exp(log_choose((double)of, (double)k) + (double)k * log(p) +
                   (double)(of - k) * log1p(-p));
    return sum < 1 ? sum : 1;
}

double stats_fisher(size_t a, size_t na, size_t b, size_t nb)
{
    size_t cases = a + b, most = cases < na ? cases : na;
    double sum = 0, all = log_choose((double)(na + nb), (double)cases);

    for (size_t k = a; k <= most; k++)
        if (cases - k <= nb)
            sum += exp(log_choose((double)na, (double)k) +
                       log_choose((double)nb, (double)(cases - k)) - all);
    return sum < 1 ? sum : 1;
}
