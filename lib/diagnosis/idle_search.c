#include "diagnosis/idle_search.h"

#define PRECISE_NS    INT64_C(500000000) /* closer bounds are not looked for ... */
#define PRECISE_SHARE 16                 /* ... nor than this share of the time */

static const char *const names[] = {[IDLE_FIN] = "fin",
                                    [IDLE_RST] = "rst",
                                    [IDLE_RST_ON_USE] = "rst-on-use",
                                    [IDLE_SILENCE] = "silence"};

const char *idle_end_name(enum idle_end end)
{
    return names[end];
}

void idle_search_begin(struct idle_search *search, int64_t max_ns)
{
    *search = (struct idle_search){.max_ns = max_ns, .dropped_ns = INT64_MAX};
}

static bool was_seen(const struct idle_search *search)
{
    return search->end == IDLE_FIN || search->end == IDLE_RST;
}

static size_t double_up(const struct idle_search *search, int64_t times_ns[IDLE_AT_ONCE])
{
    size_t count = 1;

    while (count < IDLE_AT_ONCE && search->max_ns >> count >= IDLE_MIN_NS)
        count++;
    for (size_t i = 0; i < count; i++)
        times_ns[i] = search->max_ns >> (count - 1 - i);
    return count;
}

size_t idle_search_next(struct idle_search *search, int64_t times_ns[IDLE_AT_ONCE])
{
    if (!search->waves++)
        return double_up(search, times_ns);
    if (search->dropped_ns == INT64_MAX || was_seen(search) || search->varies ||
        search->waves > IDLE_WAVES_MAX)
        return 0;
    int64_t range = search->dropped_ns - search->kept_ns;
    if (range <= PRECISE_NS || range <= search->dropped_ns / PRECISE_SHARE)
        return 0;
    for (size_t i = 0; i < IDLE_AT_ONCE - 1; i++)
        times_ns[i] = search->kept_ns + range / IDLE_AT_ONCE * ((int64_t)i + 1);
    return IDLE_AT_ONCE - 1;
}

void idle_search_learn(struct idle_search *search, int64_t idle_ns, enum idle_end end)
{
    if (end == IDLE_KEPT) {
        search->kept_ns = idle_ns > search->kept_ns ? idle_ns : search->kept_ns;
    } else if (idle_ns < search->dropped_ns) {
        search->dropped_ns = idle_ns;
        search->end = end;
    }
    search->varies = search->kept_ns >= search->dropped_ns;
}

bool idle_search_wants(const struct idle_search *search, int64_t idle_ns)
{
    return idle_ns < search->dropped_ns;
}
