/* The distribution is a line through knots (rank, value), ranks counting from 1. A bucket's edges
 * lie half a rank before its first value and half a rank behind its last; the order statistics lie
 * on their ranks, by the nearest-rank rule of stats_quantile(). Knots are made in the order of
 * their ranks, and read at evenly spaced ones. */
#include "diagnosis/sample.h"

#include <math.h>

#define EXACT 5

struct knot {
    double rank;
    double value;
};

struct curve {
    struct knot knots[2 * RESULT_BUCKETS + EXACT];
    size_t count;
};

static void add_knot(struct curve *curve, double rank, int64_t value)
{
    double floor = curve->count ? curve->knots[curve->count - 1].value : 0;

    curve->knots[curve->count++] =
        (struct knot){rank, (double)value > floor ? (double)value : floor};
}

static void list_exact(struct knot *out, const struct result_latency *latency, uint64_t rounds)
{
    const int64_t values[EXACT] = {latency->min_ns, latency->p50_ns, latency->p90_ns,
                                   latency->p99_ns, latency->max_ns};
    static const double shares[EXACT] = {0, 0.5, 0.9, 0.99, 1};

    for (size_t i = 0; i < EXACT; i++) {
        double rank = ceil(shares[i] * (double)rounds);
        bool known = values[i] != RESULT_UNKNOWN;
        /* A rank of 0 is never passed by a bucket, so what is unknown adds no knot. */
        out[i] = (struct knot){known ? (rank < 1 ? 1 : rank) : 0, (double)values[i]};
    }
}

static void draw(struct curve *curve, const struct result_histogram *histogram,
                 const struct result_latency *latency, uint64_t rounds)
{
    struct knot exact[EXACT];
    uint64_t before = 0;

    list_exact(exact, latency, rounds);
    for (size_t i = 0; i < RESULT_BUCKETS; i++) {
        uint64_t behind = before + histogram->counts[i];
        if (behind == before)
            continue;
        add_knot(curve, (double)before + 0.5, i ? result_bucket_ns(i) : 0);
        for (size_t e = 0; e < EXACT; e++)
            if (exact[e].rank > (double)before && exact[e].rank <= (double)behind)
                add_knot(curve, exact[e].rank, (int64_t)exact[e].value);
        add_knot(curve, (double)behind + 0.5, result_bucket_ns(i + 1));
        before = behind;
    }
}

static int64_t value_at(const struct curve *curve, size_t *at, double rank)
{
    while (*at + 2 < curve->count && curve->knots[*at + 1].rank < rank)
        ++*at;
    const struct knot *a = &curve->knots[*at], *b = a + 1;
    double span = b->rank - a->rank;
    double share = span > 0 ? (rank - a->rank) / span : 0;
    return (int64_t)(a->value + share * (b->value - a->value));
}

void sample_rebuild(struct sample *out, const struct result_histogram *histogram,
                    const struct result_latency *latency)
{
    struct curve curve = {.count = 0};
    size_t at = 0;

    *out = (struct sample){.rounds = 0};
    for (size_t i = 0; i < RESULT_BUCKETS; i++)
        out->rounds += histogram->counts[i];
    if (!out->rounds)
        return;
    draw(&curve, histogram, latency, out->rounds);
    out->count = out->rounds < SAMPLE_VALUES_MAX ? (size_t)out->rounds : SAMPLE_VALUES_MAX;
    double step = (double)out->rounds / (double)out->count;
    for (size_t i = 0; i < out->count; i++)
        out->values[i] = value_at(&curve, &at, ((double)i + 0.5) * step + 0.5);
}
