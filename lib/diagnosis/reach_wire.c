/* What a capture on this host adds. It saw what the socket does not say: how far the answers had
 * come, answers that the kernel did not take, and whether our SYNs left at all.
 *
 * A TTL is no proof of a sender: ways differ by a router, and some hosts give their resets another
 * one. It decides only beside the answer of another port of the same address; elsewhere it is told
 * as evidence. */
#include "diagnosis/reach_internal.h"

#include <inttypes.h>

static uint8_t ttl_of(const struct reach_try *attempt)
{
    const struct reach_wire *wire = &attempt->wire;

    if (!wire->seen)
        return 0;
    return attempt->answer == REACH_CONNECTED ? wire->synack_ttl
           : attempt->answer == REACH_RST     ? wire->rst_ttl
                                              : 0;
}

uint8_t reach_ttl(const struct reach_try *tries, size_t count, enum reach_answer answer)
{
    uint8_t ttl = 0;

    for (size_t i = 0; i < count; i++) {
        if (tries[i].answer != answer)
            continue;
        uint8_t one = ttl_of(&tries[i]);
        if (!one || (ttl && one != ttl))
            return 0;
        ttl = one;
    }
    return ttl;
}

/* Senders start from one of these (Linux, BSD and macOS: 64; Windows: 128; routers: 255). */
static int initial(uint8_t ttl)
{
    return ttl <= 64 ? 64 : ttl <= 128 ? 128 : 255;
}

int reach_ttl_hops(uint8_t ttl)
{
    return initial(ttl) - ttl;
}

/* Hosts that are as far away and start from another TTL may be one host. Of two refusals the
 * nearer one is not the host's, if any. */
bool reach_other_ttl(const struct reach_evidence *evidence)
{
    const struct reach_other *other = &evidence->other;
    uint8_t ttl = reach_ttl(evidence->tries, evidence->try_count, REACH_RST);

    if (!ttl || !other->target || !other->ttl || ttl == other->ttl)
        return false;
    int ours = reach_ttl_hops(ttl), theirs = reach_ttl_hops(other->ttl);
    return other->answer == REACH_CONNECTED ? ours != theirs : ours < theirs;
}

const char *reach_ttl_remark(struct reach_verdict *verdict)
{
    const struct reach_evidence *evidence = verdict->evidence;
    const struct reach_wire *wire = &verdict->decisive->wire;
    struct arena *arena = verdict->arena;
    uint8_t rst = wire->seen ? wire->rst_ttl : 0;
    uint8_t synack = wire->synack_ttl;

    if (!synack)
        synack = reach_ttl(evidence->tries, evidence->try_count, REACH_CONNECTED);
    if (!rst)
        return "";
    if (synack && synack != rst)
        return arena_printf(arena,
                            " Captured here, the RST has TTL %u and the SYN,ACK %u, which suggests "
                            "two senders, but does not prove it.",
                            rst, synack);
    if (evidence->other.target && evidence->other.ttl && evidence->other.ttl != rst)
        return arena_printf(arena,
                            " Captured here, the RST has TTL %u, and the answer of %s, on the same "
                            "address, %u.",
                            rst, evidence->other.target, evidence->other.ttl);
    return "";
}

/* ---- silence ---- */

enum reach_sighting reach_wire_sighting(const struct reach_wire *wire)
{
    if (!wire->seen)
        return REACH_SAW_NOTHING;
    if (wire->has_icmp && reach_icmp_kind(&wire->icmp) != REACH_ICMP_OTHER)
        return REACH_SAW_ICMP;
    return wire->synacks ? REACH_SAW_SYNACK : !wire->syns ? REACH_SAW_NO_SYN : REACH_SAW_NOTHING;
}

const char *reach_wire_silence(const struct reach_verdict *verdict)
{
    const struct reach_wire *wire = &verdict->decisive->wire;
    int64_t sent = verdict->result->syns_sent;

    if (!wire->seen)
        return "";
    if (wire->syns < sent)
        return arena_printf(verdict->arena,
                            " Captured here: %" PRId64 " of the %" PRId64
                            " left this host, and nothing came back.",
                            wire->syns, sent);
    return sent == 1 ? " Captured here: it left this host, and nothing came back."
                     : " Captured here: they left this host, and nothing came back.";
}

/* ---- for the result ---- */

const struct result_sighting *reach_wire_result(struct arena *arena,
                                                const struct reach_try *attempt)
{
    const struct reach_wire *wire = &attempt->wire;
    struct result_sighting *result = wire->seen ? arena_alloc(arena, sizeof *result) : NULL;

    if (!result)
        return NULL;
    *result = (struct result_sighting){
        .syns = wire->syns,
        .synacks = wire->synacks,
        .synack_ttl = wire->synack_ttl ? wire->synack_ttl : RESULT_UNKNOWN,
        .rst_ttl = wire->rst_ttl ? wire->rst_ttl : RESULT_UNKNOWN,
        .icmp = wire->has_icmp ? reach_icmp_result(arena, &wire->icmp) : NULL,
    };
    return result;
}
