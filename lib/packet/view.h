/* A window on hostile bytes: the only way in which this room touches a frame.
 *
 * A view is what was captured (`captured` bytes at `bytes`) of a frame that had `wire` bytes
 * (captured ≤ wire). Getters read big-endian numbers; what is not there reads as 0, so a forgotten
 * check gives a wrong number, never a wrong access. view_need() says which of the two reasons holds
 * when something is missing. */
#ifndef PACKET_VIEW_H
#define PACKET_VIEW_H

#include "packet/packet.h"
#include <string.h>

struct view {
    const uint8_t *bytes;
    size_t captured;
    size_t wire;
};

static inline bool view_has(const struct view *view, size_t offset, size_t len)
{
    return len <= view->captured && offset <= view->captured - len;
}

/* Whether [offset, offset + len) is there. `end` is where the enclosing header says that the frame
 * ends: behind it, the frame lies; before it but not captured, it was cut. */
static inline enum packet_status view_need(const struct view *view, size_t offset, size_t len,
                                           size_t end)
{
    if (len > end || offset > end - len)
        return PACKET_MALFORMED;
    return view_has(view, offset, len) ? PACKET_COMPLETE : PACKET_CUT_HEADER;
}

static inline uint8_t view_u8(const struct view *view, size_t offset)
{
    return view_has(view, offset, 1) ? view->bytes[offset] : 0;
}

static inline uint16_t view_u16(const struct view *view, size_t offset)
{
    if (!view_has(view, offset, 2))
        return 0;
    return (uint16_t)(view->bytes[offset] << 8 | view->bytes[offset + 1]);
}

static inline uint32_t view_u32(const struct view *view, size_t offset)
{
    if (!view_has(view, offset, 4))
        return 0;
    const uint8_t *at = view->bytes + offset;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* All of it or zeros. */
static inline void view_copy(const struct view *view, size_t offset, void *out, size_t len)
{
    if (view_has(view, offset, len))
        memcpy(out, view->bytes + offset, len);
    else
        memset(out, 0, len);
}

/* How much of [offset, end) was captured. */
static inline size_t view_captured(const struct view *view, size_t offset, size_t end)
{
    size_t stop = view->captured < end ? view->captured : end;
    return stop > offset ? stop - offset : 0;
}

/* The other direction: where a builder writes, it made the room itself. */
static inline void set_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void set_u32(uint8_t *at, uint32_t value)
{
    set_u16(at, (uint16_t)(value >> 16));
    set_u16(at + 2, (uint16_t)value);
}

static inline enum packet_status status_worse(enum packet_status a, enum packet_status b)
{
    return a > b ? a : b;
}

#endif
