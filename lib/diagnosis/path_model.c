#include "diagnosis/path_model.h"

#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <math.h>

void path_model_make(struct path_model *path, int64_t *samples, size_t count, int64_t rtt_ns)
{
    stats_sort(samples, count);
    *path = (struct path_model){.sorted = samples,
                                .count = count,
                                .base_ns = rtt_ns,
                                .typical_ns = rtt_ns,
                                .high_ns = rtt_ns};
    if (!count)
        return;
    path->base_ns = samples[0] < rtt_ns ? samples[0] : rtt_ns;
    path->typical_ns = stats_quantile(samples, count, 0.5);
    path->high_ns = samples[count - 1];
}

double path_model_chance(const struct path_model *path, int64_t limit_ns, size_t packets)
{
    size_t longer = 0;

    while (longer < path->count && path->sorted[path->count - 1 - longer] >= limit_ns)
        longer++;
    double one = ((double)longer + 1) / ((double)path->count + 1);
    return packets <= 2 ? one : 1 - pow(1 - one, (double)packets / 2);
}

/* How likely the path alone makes so many of the rounds so late. */
static double chance_of(const struct path_model *path, int64_t limit_ns, size_t packets,
                        size_t affected, size_t rounds)
{
    return stats_binomial_tail(affected, rounds, path_model_chance(path, limit_ns, packets));
}

bool path_model_explains(const struct path_model *path, int64_t limit_ns, size_t packets,
                         size_t affected, size_t rounds)
{
    return chance_of(path, limit_ns, packets, affected, rounds) >= DIFFERENCE_P_VALUE;
}

int64_t path_model_spread_ns(const struct path_model *path)
{
    return path->count ? stats_quantile(path->sorted, path->count, 0.9) - path->base_ns : 0;
}

/* Proven in one of two ways: all rounds are shifted against the control by a stall or more; or
 * enough of them took longer by a stall than anything that the control has seen. */
struct lateness path_model_lateness(const struct path_model *path, int64_t *values, size_t count,
                                    int64_t stall_ns, size_t packets, double share)
{
    struct lateness out = {.rounds = count};

    stats_sort(values, count);
    out.affected = stats_count_from(values, count, path->base_ns + stall_ns);
    if (out.affected < AFFECTED_MIN || (double)out.affected < share * (double)count)
        return out;
    const int64_t *late = values + count - out.affected;
    out.typical_ns = stats_quantile(late, out.affected, 0.5) - path->typical_ns;
    /* The latest of many packets is later than the latest of two on any path that varies. */
    int64_t shift = packets > PACKETS_FEW ? 0
                                          : stats_shift_at_least(values, count, path->sorted,
                                                                 path->count, BLAME_P_VALUE);
    bool usual = path_model_explains(path, path->base_ns + stall_ns, packets, out.affected, count);
    out.kind = usual ? LATENESS_PATH : LATENESS_OPEN;
    int64_t limits[] = {path->high_ns, stats_quantile(path->sorted, path->count, 0.9)};
    for (size_t i = 0; i < 2 && out.kind != LATENESS_PROVEN; i++) {
        size_t beyond = stats_count_from(values, count, limits[i] + stall_ns);
        if (beyond < AFFECTED_MIN || (double)beyond < share * (double)count ||
            chance_of(path, limits[i] + stall_ns, packets, beyond, count) >= BLAME_P_VALUE)
            continue;
        out.kind = LATENESS_PROVEN;
        out.affected = beyond;
        out.at_least_ns = stats_quantile(values + count - beyond, beyond, 0.1) - limits[i];
        out.typical_ns = stats_quantile(values + count - beyond, beyond, 0.5) - path->typical_ns;
    }
    out.undecided =
        packets <= PACKETS_FEW && stats_shift_at_most(values, count, path->sorted, path->count,
                                                      DIFFERENCE_P_VALUE) >= stall_ns;
    if (shift >= stall_ns) {
        out.kind = LATENESS_PROVEN;
        out.affected = stats_count_from(values, count, path->base_ns + stall_ns);
        out.at_least_ns = shift > out.at_least_ns ? shift : out.at_least_ns;
        out.typical_ns =
            stats_quantile(late, (size_t)(values + count - late), 0.5) - path->typical_ns;
    }
    if (out.typical_ns < out.at_least_ns)
        out.typical_ns = out.at_least_ns;
    return out;
}
