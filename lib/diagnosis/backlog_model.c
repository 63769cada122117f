#include "diagnosis/backlog_model.h"

#include <stdio.h>

int backlog_model_release(const char *text)
{
    int major, minor;

    return sscanf(text, "%d.%d", &major, &minor) == 2 && major > 0 && minor >= 0 && minor < 1000
               ? BACKLOG_MODEL_RELEASE(major, minor)
               : 0;
}

int64_t backlog_model_limit(int64_t backlog, int64_t somaxconn)
{
    return backlog < 0 || backlog > somaxconn ? somaxconn : backlog;
}

int64_t backlog_model_queued(int64_t limit)
{
    return limit + 1;
}

int64_t backlog_model_believed(int release, int64_t limit)
{
    return release && release < BACKLOG_MODEL_RELEASE(4, 10) ? limit + 3 : limit + 1;
}

struct backlog_model_range backlog_model_half_open(int release, int64_t limit,
                                                   int64_t max_syn_backlog, bool cookies)
{
    bool corrected = !release || release >= BACKLOG_MODEL_RELEASE(6, 14);
    struct backlog_model_range range = {corrected ? limit + 1 : limit, limit + 1};
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
