#include "base/clock.h"

#include <limits.h>
#include <stdio.h>

static int64_t now_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return clock_from_timespec(ts);
}

int64_t clock_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_real_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

struct clock_pair clock_pair_now(void)
{
    struct clock_pair best = {0};
    int64_t best_width_ns = INT64_MAX;

    for (int i = 0; i < 5; i++) {
        int64_t before = clock_real_ns();
        int64_t mono = clock_mono_ns();
        int64_t after = clock_real_ns();
        int64_t width = after - before;
        if (width >= 0 && width < best_width_ns) {
            best_width_ns = width;
            best = (struct clock_pair){.mono_ns = mono, .real_ns = before + width / 2};
        }
    }
    return best;
}

int64_t clock_real_to_mono(int64_t real_ns, struct clock_pair pair)
{
    return real_ns == CLOCK_NONE ? CLOCK_NONE : real_ns - pair.real_ns + pair.mono_ns;
}

bool clock_stepped(struct clock_pair before, struct clock_pair after, int64_t tolerance_ns)
{
    int64_t drift = (after.real_ns - before.real_ns) - (after.mono_ns - before.mono_ns);
    return drift > tolerance_ns || drift < -tolerance_ns;
}

int64_t clock_from_timespec(struct timespec ts)
{
    return (int64_t)ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

struct timespec clock_to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};
}

struct timeval clock_to_timeval(int64_t ns)
{
    int64_t us = ns > INT64_MAX - NS_PER_US ? ns / NS_PER_US : (ns + NS_PER_US - 1) / NS_PER_US;
    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

int clock_to_poll_ms(int64_t ns)
{
    if (ns < 0)
        return -1;
    int64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

const char *clock_format(char *out, size_t size, int64_t real_ns)
{
    time_t seconds = (time_t)(real_ns / NS_PER_SEC);
    struct tm tm;
    char date[32];

    if (!gmtime_r(&seconds, &tm) || !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm))
        snprintf(out, size, "?");
    else
        snprintf(out, size, "%s.%09dZ", date, (int)(real_ns % NS_PER_SEC));
    return out;
}
