#include "probe/tcp_traceroute.h"

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
static int64_t silent_tail(const struct tcp_traceroute *trace)
{
    int64_t silent = 0;

    for (int64_t i = 0; i < trace->begun; i++) {
        bool going = false;
        for (size_t j = 0; j < TCP_TRACEROUTE_AT_ONCE; j++)
            going |= trace->tries[j].going && trace->hop_of[j] == i + 1;
        if (going)
            break;
        silent = heard(&trace->hops[i]) ? 0 : silent + 1;
    }
    return silent;
}

static bool wants_more(const struct tcp_traceroute *trace)
{
    if (trace->begun >= trace->hops_max || (trace->end && trace->begun + 1 >= trace->end) ||
        clock_mono_ns() >= trace->deadline_ns)
        return false;
    return trace->answers || silent_tail(trace) < TCP_TRACEROUTE_SILENT_MAX;
}

static bool busy(const struct tcp_traceroute *trace)
{
    for (size_t i = 0; i < TCP_TRACEROUTE_AT_ONCE; i++)
        if (trace->tries[i].going)
            return true;
    return false;
}

static void start_hops(struct tcp_traceroute *trace)
{
    for (size_t i = 0; i < TCP_TRACEROUTE_AT_ONCE && wants_more(trace); i++) {
        if (trace->tries[i].going)
            continue;
        int64_t until_ns = clock_mono_ns() + trace->hop_timeout_ns;
        trace->hop_of[i] = ++trace->begun;
        connect_try_begin(&trace->tries[i], trace->loop, &trace->to, (int)trace->hop_of[i],
                          until_ns < trace->deadline_ns ? until_ns : trace->deadline_ns);
    }
}

/* The ICMP sender's text must outlive the socket. */
static void keep_hop(struct tcp_traceroute *trace, size_t slot)
{
    struct reach_try *hop = &trace->hops[trace->hop_of[slot] - 1];

    *hop = trace->tries[slot].result;
    hop->icmp.from = arena_copy(trace->arena, hop->icmp.from);
}

/* What lives longer than to the end has nothing to say. */
static void cut_behind_end(struct tcp_traceroute *trace)
{
    for (size_t i = 0; i < TCP_TRACEROUTE_AT_ONCE; i++)
        if (trace->tries[i].going && trace->end && trace->hop_of[i] > trace->end)
            connect_try_cut(&trace->tries[i]);
}

static void hop_ended(struct connect_try *try)
{
    struct tcp_traceroute *trace = try->owner;
    size_t slot = (size_t)(try - trace->tries);
    int64_t hop = trace->hop_of[slot];

    keep_hop(trace, slot);
    if (heard(&try->result) && !is_router(&try->result) && (!trace->end || hop < trace->end))
        trace->end = hop;
    cut_behind_end(trace);
    start_hops(trace);
    if (!busy(trace))
        trace->ended(trace);
}

int tcp_traceroute_begin(struct tcp_traceroute *trace)
{
    trace->hops = arena_alloc(trace->arena, (size_t)trace->hops_max * sizeof *trace->hops);
    if (!trace->hops)
        return -ENOMEM;
    for (int64_t i = 0; i < trace->hops_max; i++)
        trace->hops[i].answer = REACH_UNTRIED;
    trace->begun = trace->end = 0;
    for (size_t i = 0; i < TCP_TRACEROUTE_AT_ONCE; i++)
        trace->tries[i] = (struct connect_try){
            .sock = SOCK_INIT, .capture = trace->capture, .owner = trace, .ended = hop_ended};
    start_hops(trace);
    return busy(trace) ? 0 : -ETIME;
}

void tcp_traceroute_cut(struct tcp_traceroute *trace)
{
    for (size_t i = 0; i < TCP_TRACEROUTE_AT_ONCE; i++) {
        if (!trace->tries[i].going)
            continue;
        connect_try_cut(&trace->tries[i]);
        keep_hop(trace, i);
    }
}

size_t tcp_traceroute_count(const struct tcp_traceroute *trace)
{
    int64_t last = 0;

    if (trace->end)
        return (size_t)trace->end;
    for (int64_t i = 0; i < trace->begun; i++)
        if (heard(&trace->hops[i]))
            last = i + 1;
    return (size_t)(trace->begun - last > TCP_TRACEROUTE_SILENT_MAX
                        ? last + TCP_TRACEROUTE_SILENT_MAX
                        : trace->begun);
}
