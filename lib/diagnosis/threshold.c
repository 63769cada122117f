#include "diagnosis/threshold.h"

#include <math.h>

static const struct {
    const char *name, *label;
    size_t offset; /* of an int64_t in struct result_probe */
} rows[THRESHOLDS] = {
#define THRESHOLD_ROW(id, option, member, label, help)                                             \
    [THRESHOLD_##id] = {option, label, offsetof(struct result_probe, member)},
    THRESHOLD_ROWS(THRESHOLD_ROW)
#undef THRESHOLD_ROW
};

void threshold_check_target(struct arena *arena, const struct threshold_limits *limits,
                            const struct result_probe *probe, struct result_check_list *checks)
{
    for (size_t i = 0; i < THRESHOLDS; i++) {
        if (!limits->set[i])
            continue;
        int64_t measured = *(const int64_t *)((const char *)probe + rows[i].offset);
        /* A target that failed half way may have fast rounds before that. */
        if (!probe->ok)
            measured = RESULT_UNKNOWN;
        result_check_add(arena, checks,
                         &(struct result_check){.name = rows[i].name,
                                                .label = rows[i].label,
                                                .target = probe->target,
                                                .unit = RESULT_UNIT_DURATION,
                                                .limit = limits->limit_ns[i],
                                                .measured = measured,
                                                .ok = measured != RESULT_UNKNOWN &&
                                                      measured <= limits->limit_ns[i]});
    }
}

void threshold_check_run(struct arena *arena, const struct threshold_limits *limits, size_t ok,
                         size_t total, struct result_check_list *checks)
{
    if (!limits->success_set)
        return;
    int64_t limit = llround(limits->success_percent * (double)RESULT_SHARE_PERCENT);
    int64_t share = total ? (int64_t)ok * RESULT_SHARE_WHOLE / (int64_t)total : RESULT_UNKNOWN;
    result_check_add(arena, checks,
                     &(struct result_check){.name = "min-success",
                                            .label = "targets that are ok",
                                            .unit = RESULT_UNIT_SHARE,
                                            .limit = limit,
                                            .measured = share,
                                            .ok = total && share >= limit});
}
