/* Where a path ends, and what that does not prove. A hop that says nothing proves nothing: many
 * routers send no ICMP, or few. Only what comes back is evidence. */
#include "diagnosis/reach.h"

#include <inttypes.h>
#include <string.h>

static bool is_router(const struct reach_try *hop)
{
    return hop->answer == REACH_ICMP && reach_icmp_kind(&hop->icmp) == REACH_ICMP_TTL;
}

static bool is_end(const struct reach_try *hop)
{
    switch (hop->answer) {
    case REACH_CONNECTED:
    case REACH_RST:
    case REACH_RESET:
        return true;
    case REACH_ICMP:
        return !is_router(hop);
    case REACH_SILENCE:
    case REACH_REFUSED:
    case REACH_ITSELF:
    case REACH_UNTRIED:
        return false;
    case REACH_ANSWERS:
        break;
    }
    return false;
}

int64_t reach_end_hop(const struct reach_try *hops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_end(&hops[i]))
            return (int64_t)i + 1;
    return 0;
}

int64_t reach_hop_of(const struct reach_try *hops, size_t count, const char *address)
{
    for (size_t i = 0; i < count && address; i++)
        if (is_router(&hops[i]) && hops[i].icmp.from && !strcmp(hops[i].icmp.from, address))
            return (int64_t)i + 1;
    return 0;
}

/* The last router that was heard before hop `end` (0: at all); 0: none. */
static int64_t last_router(const struct reach_evidence *evidence, int64_t end)
{
    int64_t last = 0;

    for (size_t i = 0; i < evidence->hop_count && (!end || (int64_t)i + 1 < end); i++)
        if (is_router(&evidence->hops[i]))
            last = (int64_t)i + 1;
    return last;
}

static size_t silent_before(const struct reach_evidence *evidence, int64_t end)
{
    size_t silent = 0;

    for (int64_t i = 0; i + 1 < end; i++)
        silent += evidence->hops[i].answer == REACH_SILENCE;
    return silent;
}

static const char *end_by_icmp(struct arena *arena, const struct reach_evidence *evidence,
                               int64_t end)
{
    const struct reach_icmp *icmp = &evidence->hops[end - 1].icmp;
    const char *from = icmp->from ? icmp->from : "an unknown sender";
    int64_t at = reach_hop_of(evidence->hops, evidence->hop_count, icmp->from);

    if (icmp->ours)
        return arena_printf(arena, "It ends on this host, which says %s itself.",
                            reach_icmp_name(icmp));
    if (at)
        return arena_printf(arena, "It ends at %s, the router at hop %" PRId64 ", which says %s.",
                            from, at, reach_icmp_name(icmp));
    return arena_printf(arena, "It ends at hop %" PRId64 ": %s says %s.", end, from,
                        reach_icmp_name(icmp));
}

static const char *end_by_answer(struct arena *arena, const struct reach_evidence *evidence,
                                 int64_t end)
{
    const char *silent = silent_before(evidence, end)
                             ? " Silent hops prove nothing: many routers send little ICMP, or none."
                             : "";

    if (evidence->hops[end - 1].answer != REACH_RST)
        return arena_printf(arena, "The target answers at hop %" PRId64 ".%s", end, silent);
    return arena_printf(arena,
                        "An RST in the target's name comes from hop %" PRId64
                        ": the host, or a firewall in front of it.%s",
                        end, silent);
}

static const char *end_in_silence(struct arena *arena, const struct reach_evidence *evidence)
{
    int64_t last = last_router(evidence, 0);
    const struct reach_other *other = &evidence->other;

    if (!last)
        return "No hop answered, not even the first router. That proves little: the router may "
               "send no ICMP, or this host, or the hop behind it, drops the SYN.";
    const char *router = evidence->hops[last - 1].icmp.from;
    if (other->target && other->hop == last + 1)
        return arena_printf(arena,
                            "The SYN gets as far as %s (hop %" PRId64
                            "), the last router before the host: %s answers at hop %" PRId64
                            ". That router drops it on the way out, or the host does.",
                            router ? router : "a router", last, other->target, other->hop);
    return arena_printf(
        arena,
        "The SYN gets as far as %s (hop %" PRId64
        "); nothing beyond it answers. That router or a later one drops it; this does not prove "
        "that it is the next hop, as routers that send no ICMP look the same.",
        router ? router : "a router", last);
}

static const char *end_of(struct arena *arena, const struct reach_evidence *evidence)
{
    int64_t end = reach_end_hop(evidence->hops, evidence->hop_count);

    if (!end)
        return end_in_silence(arena, evidence);
    if (evidence->hops[end - 1].answer == REACH_ICMP)
        return end_by_icmp(arena, evidence, end);
    return end_by_answer(arena, evidence, end);
}

static const char *answer_of(const struct reach_try *hop)
{
    return is_router(hop) ? "router" : reach_answer_name(hop->answer);
}

const struct result_path *reach_path(struct arena *arena, const struct reach_evidence *evidence)
{
    struct result_path *path = evidence->hop_count ? arena_alloc(arena, sizeof *path) : NULL;
    struct result_hop *hops = path ? arena_alloc(arena, evidence->hop_count * sizeof *hops) : NULL;

    if (!hops)
        return NULL;
    *path = (struct result_path){.hops = hops, .hop_count = evidence->hop_count};
    for (size_t i = 0; i < evidence->hop_count; i++) {
        const struct reach_try *hop = &evidence->hops[i];
        bool answered = is_router(hop) || is_end(hop);
        hops[i] = (struct result_hop){
            .hop = (int64_t)i + 1,
            .answer = answer_of(hop),
            .rtt_ns = answered && !hop->syn_retransmits ? hop->took_ns : RESULT_UNKNOWN,
            .syn_retransmits = hop->syn_retransmits,
            .icmp = hop->answer == REACH_ICMP ? reach_icmp_result(arena, &hop->icmp) : NULL};
        if (hop->answer == REACH_ICMP)
            hops[i].address = arena_copy(arena, hop->icmp.from);
        else if (is_end(hop))
            hops[i].address = arena_copy(arena, evidence->address);
    }
    path->end = end_of(arena, evidence);
    return path;
}
