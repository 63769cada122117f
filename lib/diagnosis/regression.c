#include "diagnosis/regression.h"

#include "base/stats.h"
#include "diagnosis/sample.h"
#include "diagnosis/verdict_thresholds.h"
#include <inttypes.h>

static int64_t floor_of(const struct sample *before)
{
    int64_t share =
        (int64_t)(REGRESSION_SHARE * (double)stats_quantile(before->values, before->count, 0.5));
    return share > REGRESSION_FLOOR_NS ? share : REGRESSION_FLOOR_NS;
}

static bool differs(struct stats_shift shift, int64_t floor_ns)
{
    return shift.p_value < DIFFERENCE_P_VALUE && shift.shift_ns >= floor_ns;
}

static void add_slower(struct arena *arena, const struct sample *before, const struct sample *now,
                       struct stats_shift shift, const struct result_probe *probe,
                       struct finding_list *findings)
{
    struct finding *finding = finding_add(arena, findings, FINDING_REGRESSION, RESULT_SIDE_NONE);
    int64_t before_ns = stats_quantile(before->values, before->count, 0.5);
    int64_t now_ns = stats_quantile(now->values, now->count, 0.5);

    finding->target = probe->target;
    /* Counted once, not by rounds: the finding that says why must stay the verdict. */
    finding->cost_ns = shift.shift_ns;
    finding->summary = arena_printf(
        arena, "A round takes %s longer than in the earlier run: the median was %s, and is %s.",
        arena_duration(arena, shift.shift_ns), arena_duration(arena, before_ns),
        arena_duration(arena, now_ns));
    result_set_integer(arena, &finding->evidence, "before_p50_ns", before_ns);
    result_set_integer(arena, &finding->evidence, "now_p50_ns", now_ns);
    result_set_integer(arena, &finding->evidence, "shift_ns", shift.shift_ns);
    result_set_integer(arena, &finding->evidence, "least_shift_ns", floor_of(before));
    result_set_real(arena, &finding->evidence, "p_value", shift.p_value);
    result_set_integer(arena, &finding->evidence, "before_rounds", (int64_t)before->rounds);
    result_set_integer(arena, &finding->evidence, "now_rounds", (int64_t)now->rounds);
}

static const char *compare(struct arena *arena, const struct regression_before *before,
                           const struct result_probe *probe, struct finding_list *findings)
{
    struct sample old, now;

    sample_rebuild(&old, &before->histogram, &before->latency);
    sample_rebuild(&now, &probe->histogram, &probe->latency);
    if (old.count < ROUNDS_ENOUGH || now.count < ROUNDS_ENOUGH)
        return arena_printf(arena,
                            "Not compared with the earlier run, which has %" PRIu64
                            " rounds, this one %" PRIu64 ", and each needs %zu.",
                            old.rounds, now.rounds, ROUNDS_ENOUGH);
    int64_t floor_ns = floor_of(&old);
    struct stats_shift slower = stats_compare(now.values, now.count, old.values, old.count);
    struct stats_shift faster = stats_compare(old.values, old.count, now.values, now.count);
    if (differs(slower, floor_ns))
        add_slower(arena, &old, &now, slower, probe, findings);
    else if (differs(faster, floor_ns))
        return arena_printf(arena, "Improved: a round takes %s less than in the earlier run.",
                            arena_duration(arena, faster.shift_ns));
    return NULL;
}

const char *regression_find(struct arena *arena, const struct regression_before *before,
                            const struct result_probe *now, struct finding_list *findings)
{
    if (!before->ok)
        return now->ok ? "Improved: it failed in the earlier run." : NULL;
    if (now->ok)
        return compare(arena, before, now, findings);
    struct finding *finding = finding_add(arena, findings, FINDING_REGRESSION, RESULT_SIDE_NONE);
    finding->target = now->target;
    finding->summary = "It answered in the earlier run and fails in this one.";
    return NULL;
}
