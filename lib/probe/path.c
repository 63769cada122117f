#include "probe/path.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>

static bool heard(const struct reach_try *hop)
{
    return hop->answer != REACH_SILENCE && hop->answer != REACH_UNTRIED;
}

static bool is_router(const struct reach_try *hop)
{
    return hop->answer == REACH_ICMP && reach_icmp_kind(&hop->icmp) == REACH_ICMP_TTL;
}

/* Silent hops in a row up to the last one that has ended; those under way are no silence yet. */
static int64_t silent_tail(const struct path *path)
{
    int64_t silent = 0;

    for (int64_t i = 0; i < path->begun; i++) {
        bool going = false;
        for (size_t j = 0; j < PATH_AT_ONCE; j++)
            going |= path->syns[j].going && path->hop_of[j] == i + 1;
        if (going)
            break;
        silent = heard(&path->hops[i]) ? 0 : silent + 1;
    }
    return silent;
}

static bool wants_more(const struct path *path)
{
    if (path->begun >= path->hops_max || (path->end && path->begun + 1 >= path->end) ||
        clock_mono_ns() >= path->deadline_ns)
        return false;
    return path->answers || silent_tail(path) < PATH_SILENT_MAX;
}

static bool busy(const struct path *path)
{
    for (size_t i = 0; i < PATH_AT_ONCE; i++)
        if (path->syns[i].going)
            return true;
    return false;
}

static void fill(struct path *path)
{
    for (size_t i = 0; i < PATH_AT_ONCE && wants_more(path); i++) {
        if (path->syns[i].going)
            continue;
        int64_t until_ns = clock_mono_ns() + path->hop_timeout_ns;
        path->hop_of[i] = ++path->begun;
        syn_begin(&path->syns[i], path->loop, &path->to, (int)path->hop_of[i],
                  until_ns < path->deadline_ns ? until_ns : path->deadline_ns);
    }
}

/* The ICMP sender's text must outlive the socket. */
static void keep(struct path *path, size_t slot)
{
    struct reach_try *hop = &path->hops[path->hop_of[slot] - 1];

    *hop = path->syns[slot].result;
    hop->icmp.from = arena_copy(path->arena, hop->icmp.from);
}

/* What lives longer than to the end has nothing to say. */
static void cut_behind_end(struct path *path)
{
    for (size_t i = 0; i < PATH_AT_ONCE; i++)
        if (path->syns[i].going && path->end && path->hop_of[i] > path->end)
            syn_cut(&path->syns[i]);
}

static void hop_ended(struct syn *syn)
{
    struct path *path = syn->owner;
    size_t slot = (size_t)(syn - path->syns);
    int64_t hop = path->hop_of[slot];

    keep(path, slot);
    if (heard(&syn->result) && !is_router(&syn->result) && (!path->end || hop < path->end))
        path->end = hop;
    cut_behind_end(path);
    fill(path);
    if (!busy(path))
        path->ended(path);
}

int path_begin(struct path *path)
{
    path->hops = arena_alloc(path->arena, (size_t)path->hops_max * sizeof *path->hops);
    if (!path->hops)
        return -ENOMEM;
    for (int64_t i = 0; i < path->hops_max; i++)
        path->hops[i].answer = REACH_UNTRIED;
    path->begun = path->end = 0;
    for (size_t i = 0; i < PATH_AT_ONCE; i++)
        path->syns[i] = (struct syn){
            .sock = SOCK_INIT, .sniff = path->sniff, .owner = path, .ended = hop_ended};
    fill(path);
    return busy(path) ? 0 : -ETIME;
}

void path_cut(struct path *path)
{
    for (size_t i = 0; i < PATH_AT_ONCE; i++) {
        if (!path->syns[i].going)
            continue;
        syn_cut(&path->syns[i]);
        keep(path, i);
    }
}

size_t path_count(const struct path *path)
{
    int64_t last = 0;

    if (path->end)
        return (size_t)path->end;
    for (int64_t i = 0; i < path->begun; i++)
        if (heard(&path->hops[i]))
            last = i + 1;
    return (size_t)(path->begun - last > PATH_SILENT_MAX ? last + PATH_SILENT_MAX : path->begun);
}
