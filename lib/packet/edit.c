/* A bit flipped in a frame. Every place is checked against the captured bytes, because the segment
 * may have been decoded from other bytes than it is now used with. */
#include "packet/build.h"
#include "packet/checksum.h"
#include "packet/ip.h"

#include <errno.h>

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
