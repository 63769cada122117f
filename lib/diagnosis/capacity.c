#include "diagnosis/capacity.h"

#include <stdio.h>

int capacity_release(const char *text)
{
    int major, minor;

    return sscanf(text, "%d.%d", &major, &minor) == 2 && major > 0 && minor >= 0 && minor < 1000
               ? CAPACITY_RELEASE(major, minor)
               : 0;
}

int64_t capacity_limit(int64_t backlog, int64_t somaxconn)
{
    return backlog < 0 || backlog > somaxconn ? somaxconn : backlog;
}

int64_t capacity_queued(int64_t limit)
{
    return limit + 1;
}

int64_t capacity_believed(int release, int64_t limit)
{
    return release && release < CAPACITY_RELEASE(4, 10) ? limit + 3 : limit + 1;
}

struct capacity_range capacity_half_open(int release, int64_t limit, int64_t max_syn_backlog,
                                         bool cookies)
{
    bool corrected = !release || release >= CAPACITY_RELEASE(6, 14);
    struct capacity_range range = {corrected ? limit + 1 : limit, limit + 1};
    int64_t unproven = max_syn_backlog - (max_syn_backlog >> 2) + 1;

    if (!cookies && unproven < range.max) {
        range.max = unproven;
        range.min = unproven < range.min ? unproven : range.min;
    }
    return range;
}

int64_t capacity_of(enum capacity_system system, int64_t backlog)
{
    int64_t more = backlog * 3 / 2;

    switch (system) {
    case CAPACITY_BSD:
        return more + 1;
    case CAPACITY_LINUX_24:
        return backlog + 3;
    case CAPACITY_HPUX:
        return more > 1 ? more : 1;
    case CAPACITY_FREEBSD:
        return backlog + 1;
    }
    return -1;
}
