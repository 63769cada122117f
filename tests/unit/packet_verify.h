/* Whether the checksums of a frame are right, for tests. */
#ifndef TESTS_PACKET_VERIFY_H
#define TESTS_PACKET_VERIFY_H

#include "packet/checksum.h"
#include "packet/ip.h"

enum packet_checksum {
    PACKET_CHECKSUM_UNKNOWN, /* cut, fragmented, or a kind without one */
    PACKET_CHECKSUM_GOOD,
    PACKET_CHECKSUM_BAD,
    PACKET_CHECKSUM_ABSENT,    /* IPv6 has none; UDP over IPv4 may leave it out */
    PACKET_CHECKSUM_OFFLOADED, /* only the pseudo-header's sum: the card fills it in later, so this
                                  was captured on the sender and says nothing */
};

struct packet_checksums {
    enum packet_checksum network;
    enum packet_checksum transport;
};

/* UDP may be shorter than its IP packet; everything else fills it. */
static inline size_t checksum_span(const struct segment *segment)
{
    if (segment->kind == PACKET_UDP)
        return (size_t)segment->payload_offset + segment->payload_len - segment->transport_offset;
    return segment->network_end - segment->transport_offset;
}

static inline enum packet_checksum verify_network(const struct segment *segment,
                                                  const struct view *view)
{
    if (segment->family == 6)
        return PACKET_CHECKSUM_ABSENT;
    size_t len = (size_t)(view_u8(view, segment->network_offset) & 0x0f) * 4;
    if (segment->family != 4 || !view_has(view, segment->network_offset, len))
        return PACKET_CHECKSUM_UNKNOWN;
    if (checksum_fold(checksum_add(0, view->bytes + segment->network_offset, len)) == 0xffff)
        return PACKET_CHECKSUM_GOOD;
    return view_u16(view, (size_t)segment->network_offset + 10) ? PACKET_CHECKSUM_BAD
                                                                : PACKET_CHECKSUM_OFFLOADED;
}

/* What a kernel leaves for the card to complete: the pseudo-header's sum, not inverted, and for
 * segments that the card also cuts into pieces, without the length. */
static inline bool is_offloaded(const struct segment *segment, uint16_t field, size_t len)
{
    if (segment->protocol == IP_ICMP || segment->protocol == IP_IGMP)
        return false;
    for (int i = 0; i < 2; i++) {
        uint64_t sum =
            checksum_pseudo(segment->family, segment->source.address, segment->destination.address,
                            segment->protocol, i ? 0 : len);
        if (field == checksum_fold(sum))
            return true;
    }
    return false;
}

static inline enum packet_checksum verify_transport(const struct segment *segment,
                                                    const struct view *view)
{
    int place = checksum_place(segment);
    if (place < 0 || segment->is_fragment || segment->status == PACKET_MALFORMED ||
        !view_has(view, (size_t)segment->transport_offset + (size_t)place, 2))
        return PACKET_CHECKSUM_UNKNOWN;

    size_t len = checksum_span(segment);
    uint16_t field = view_u16(view, (size_t)segment->transport_offset + (size_t)place);
    if (segment->kind == PACKET_UDP && field == 0)
        return segment->family == 4 ? PACKET_CHECKSUM_ABSENT : PACKET_CHECKSUM_BAD;
    if (view_has(view, segment->transport_offset, len) &&
        checksum_transport(segment->family, segment->source.address, segment->destination.address,
                           segment->protocol, view->bytes + segment->transport_offset,
                           len) == 0xffff)
        return PACKET_CHECKSUM_GOOD;
    if (is_offloaded(segment, field, len))
        return PACKET_CHECKSUM_OFFLOADED;
    return view_has(view, segment->transport_offset, len) ? PACKET_CHECKSUM_BAD
                                                          : PACKET_CHECKSUM_UNKNOWN;
}

/* Verifies the checksums of a frame that was decoded into `segment`. */
static inline struct packet_checksums packet_verify(const struct segment *segment,
                                                    const void *bytes, size_t captured)
{
    struct view view = {bytes, captured, captured};

    return (struct packet_checksums){verify_network(segment, &view),
                                     verify_transport(segment, &view)};
}

#endif
