#include "diagnosis/backlog_model.h"

int64_t backlog_model_limit(int64_t backlog, int64_t somaxconn)
{
    return backlog < 0 || backlog > somaxconn ? somaxconn : backlog;
}

int64_t backlog_model_queued(int64_t limit)
{
    return limit + 1;
}

int64_t backlog_model_believed_before_4_10(int64_t limit)
{
    return limit + 3;
}

struct backlog_model_range backlog_model_half_open(int64_t limit, int64_t max_syn_backlog,
                                                   bool cookies)
{
    struct backlog_model_range range = {limit, limit + 1};
    int64_t unproven = max_syn_backlog - (max_syn_backlog >> 2) + 1;

    if (!cookies && unproven < range.max) {
        range.max = unproven;
        range.min = unproven < range.min ? unproven : range.min;
    }
    return range;
}

int64_t backlog_model_of(enum backlog_model_system system, int64_t backlog)
{
    int64_t more = backlog * 3 / 2;

    switch (system) {
    case BACKLOG_MODEL_BSD:
        return more + 1;
    case BACKLOG_MODEL_LINUX_24:
        return backlog + 3;
    case BACKLOG_MODEL_HPUX:
        return more > 1 ? more : 1;
    case BACKLOG_MODEL_FREEBSD:
        return backlog + 1;
    }
    return -1;
}
