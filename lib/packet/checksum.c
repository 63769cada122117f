#include "packet/checksum.h"
#include "packet/ip.h"

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (; len >= 4; p += 4, len -= 4)
        sum += ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
    if (len >= 2) {
        sum += (uint32_t)(p[0] << 8 | p[1]);
        p += 2;
        len -= 2;
    }
    if (len)
        sum += (uint32_t)p[0] << 8;
    return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t checksum_pseudo(uint8_t family, const uint8_t source[16], const uint8_t destination[16],
                         uint8_t protocol, size_t len)
{
    size_t address_len = family == 4 ? 4 : 16;

    return checksum_add(checksum_add((uint64_t)protocol + len, source, address_len), destination,
                        address_len);
}

static bool has_pseudo(uint8_t protocol)
{
    return protocol != IP_ICMP && protocol != IP_IGMP;
}

uint16_t checksum_transport(uint8_t family, const uint8_t source[16], const uint8_t destination[16],
                            uint8_t protocol, const uint8_t *bytes, size_t len)
{
    uint64_t sum =
        has_pseudo(protocol) ? checksum_pseudo(family, source, destination, protocol, len) : 0;
    return checksum_fold(checksum_add(sum, bytes, len));
}

int checksum_place(const struct segment *segment)
{
    switch (segment->kind) {
    case PACKET_TCP:
        return 16;
    case PACKET_UDP:
        return 6;
    case PACKET_ICMP:
    case PACKET_ND:
    case PACKET_MLD:
        return 2;
    case PACKET_OTHER:
    case PACKET_OTHER_IP:
    case PACKET_FRAGMENT:
    case PACKET_ARP:
        break;
    }
    return -1;
}

/* UDP may be shorter than its IP packet; everything else fills it. */
size_t checksum_span(const struct segment *segment)
{
    if (segment->kind == PACKET_UDP)
        return (size_t)segment->payload_offset + segment->payload_len - segment->transport_offset;
    return segment->network_end - segment->transport_offset;
}

static enum packet_checksum verify_network(const struct segment *segment, const struct view *view)
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
static bool is_offloaded(const struct segment *segment, uint16_t field, size_t len)
{
    if (!has_pseudo(segment->protocol))
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

static enum packet_checksum verify_transport(const struct segment *segment, const struct view *view)
{
    int place = checksum_place(segment);
    if (place < 0 || segment->is_fragment || segment->source_routed ||
        segment->status == PACKET_MALFORMED ||
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

struct packet_checksums packet_verify(const struct segment *segment, const void *bytes,
                                      size_t captured)
{
    struct view view = {bytes, captured, captured};

    return (struct packet_checksums){verify_network(segment, &view),
                                     verify_transport(segment, &view)};
}
