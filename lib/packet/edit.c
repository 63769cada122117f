/* Edits of a frame in place. They check every place against the captured bytes, because the
 * segment may have been decoded from other bytes than it is now used with. */
#include "packet/build.h"
#include "packet/checksum.h"
#include "packet/ip.h"

#include <errno.h>

/* Changes two bytes and the checksum that covers them (RFC 1624): right stays right and wrong
 * stays wrong. A place that is odd, counted from the transport header, adds to the sum with its
 * bytes swapped. */
static void replace_u16(uint8_t *frame, size_t at, uint16_t value, size_t sum_at, bool odd)
{
    struct view view = {frame, SIZE_MAX, SIZE_MAX};
    uint16_t old = view_u16(&view, at), sum = view_u16(&view, sum_at), changed = value;

    if (odd) {
        old = __builtin_bswap16(old);
        changed = __builtin_bswap16(value);
    }
    set_u16(frame + at, value);
    set_u16(frame + sum_at,
            (uint16_t)~checksum_fold((uint64_t)(uint16_t)~sum + (uint16_t)~old + changed));
}

int packet_clamp_mss(uint8_t *frame, size_t captured, const struct segment *segment, uint16_t mss)
{
    struct view view = {frame, captured, captured};
    size_t at = segment->options.mss_offset, sum_at = (size_t)segment->transport_offset + 16;

    if (segment->kind != PACKET_TCP || !segment->options.has_mss || segment->options.mss <= mss ||
        !view_has(&view, at, 2) || !view_has(&view, sum_at, 2))
        return 0;
    replace_u16(frame, at, mss, sum_at, (at - segment->transport_offset) % 2);
    return 1;
}

int packet_corrupt(uint8_t *frame, size_t captured, const struct segment *segment, uint64_t chance)
{
    struct view view = {frame, captured, captured};
    size_t at = segment->payload_offset, len = segment->payload_captured;
    int place = checksum_place(segment);

    if (!segment->family)
        return -EINVAL;
    if (!len) {
        if (place < 0)
            return -EINVAL;
        at = (size_t)segment->transport_offset + (size_t)place;
        len = 2;
    }
    if (!view_has(&view, at, len))
        return -EINVAL;
    frame[at + chance / 8 % len] ^= (uint8_t)(1 << chance % 8);
    return 0;
}

int packet_fix_checksums(uint8_t *frame, size_t captured, const struct segment *segment)
{
    struct view view = {frame, captured, captured};
    int place = checksum_place(segment);

    if (!segment->family || segment->status != PACKET_COMPLETE || segment->is_fragment ||
        segment->source_routed || segment->network_end > captured)
        return -EINVAL;
    if (segment->family == 4) {
        uint8_t *ip = frame + segment->network_offset;
        size_t len = (size_t)(ip[0] & 0x0f) * 4;
        if (len < IP4_HEADER_MIN || !view_has(&view, segment->network_offset, len))
            return -EINVAL;
        set_u16(ip + 10, 0);
        set_u16(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, len)));
    }
    if (place < 0)
        return 0;

    size_t len = checksum_span(segment);
    if (!view_has(&view, segment->transport_offset, len) || (size_t)place + 2 > len)
        return -EINVAL;
    uint8_t *transport = frame + segment->transport_offset;
    set_u16(transport + place, 0);
    uint16_t sum = (uint16_t)~checksum_transport(segment->family, segment->source.address,
                                                 segment->destination.address, segment->protocol,
                                                 transport, len);
    /* 0 means "none" in UDP (RFC 768). */
    set_u16(transport + place, sum || segment->kind != PACKET_UDP ? sum : 0xffff);
    return 0;
}
