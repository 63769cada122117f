#include "packet/ip.h"
#include "packet/packet.h"

#include <string.h>

static bool is_same(const struct segment *a, const struct segment *b)
{
    return a->ip_id == b->ip_id && a->family == b->family && a->network_id == b->network_id &&
           !memcmp(a->source.address, b->source.address, sizeof a->source.address) &&
           !memcmp(a->destination.address, b->destination.address, sizeof b->source.address);
}

static struct segment *find_first(struct packet_fragments *fragments, const struct segment *segment)
{
    for (unsigned i = 0; i < PACKET_FRAGMENTS_MAX; i++)
        if (is_same(&fragments->first[i], segment))
            return &fragments->first[i];
    return NULL;
}

static void keep_first(struct packet_fragments *fragments, struct segment *segment)
{
    struct segment *place = find_first(fragments, segment);

    if (!place)
        place = &fragments->first[fragments->next++ % PACKET_FRAGMENTS_MAX];
    *place = *segment;
    segment->flags &= (uint16_t) ~(SEGMENT_FIN | SEGMENT_PSH);
}

static void join_later(const struct segment *first, struct segment *segment)
{
    uint32_t header_len = first->payload_offset - first->transport_offset;
    struct segment later = *segment;

    if (later.fragment_offset < header_len)
        return;
    *segment = *first;
    segment->status = later.status;
    segment->ttl = later.ttl;
    segment->more_fragments = later.more_fragments;
    segment->fragment_offset = later.fragment_offset;
    segment->network_offset = later.network_offset;
    segment->transport_offset = later.transport_offset;
    segment->network_end = later.network_end;
    segment->payload_offset = later.payload_offset;
    segment->payload_len = later.payload_len;
    segment->payload_captured = later.payload_captured;
    segment->seq += later.fragment_offset - header_len + !!(first->flags & SEGMENT_SYN);
    segment->flags &= (uint16_t)~SEGMENT_SYN;
    if (later.more_fragments)
        segment->flags &= (uint16_t) ~(SEGMENT_FIN | SEGMENT_PSH);
}

void packet_fragments_join(struct packet_fragments *fragments, struct segment *segment)
{
    if (!segment->is_fragment || segment->protocol != IP_TCP)
        return;
    if (segment->kind == PACKET_TCP) {
        keep_first(fragments, segment);
    } else if (segment->kind == PACKET_FRAGMENT) {
        const struct segment *first = find_first(fragments, segment);
        if (first && first->kind == PACKET_TCP)
            join_later(first, segment);
    }
}
