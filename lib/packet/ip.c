#include "packet/ip.h"

/* More extension headers than any sane packet has; the walk stops there. */
#define EXTENSIONS_MAX 16

/* Where the packet ends by its own claim, clipped to the frame. */
static enum packet_status set_end(struct ip_header *out, size_t claimed_end, size_t limit)
{
    out->longer = claimed_end > limit;
    out->end = out->longer ? limit : claimed_end;
    return out->longer ? PACKET_MALFORMED : PACKET_COMPLETE;
}

static enum packet_status ip4_read(struct ip_header *out, const struct view *view, size_t offset,
                                   size_t limit)
{
    enum packet_status status = view_need(view, offset, IP4_HEADER_MIN, limit);
    if (status != PACKET_COMPLETE)
        return status;

    size_t header_len = (size_t)(view_u8(view, offset) & 0x0f) * 4;
    size_t total = view_u16(view, offset + 2);
    if (view_u8(view, offset) >> 4 != 4 || header_len < IP4_HEADER_MIN ||
        header_len > limit - offset)
        return PACKET_MALFORMED;
    /* Segmentation offload leaves 0 in what a sender captures of its own packets above 64 KiB. */
    if (total == 0)
        total = limit - offset;
    if (total < header_len)
        return PACKET_MALFORMED;

    uint16_t fragment = view_u16(view, offset + 6);
    out->family = 4;
    out->protocol = view_u8(view, offset + 9);
    out->ttl = view_u8(view, offset + 8);
    out->traffic_class = view_u8(view, offset + 1);
    out->fragment_offset = (uint32_t)(fragment & 0x1fff) * 8;
    out->more_fragments = fragment & 0x2000;
    out->dont_fragment = fragment & 0x4000;
    out->is_fragment = out->more_fragments || out->fragment_offset;
    out->id = view_u16(view, offset + 4);
    view_copy(view, offset + 12, out->source, 4);
    view_copy(view, offset + 16, out->destination, 4);
    out->transport = offset + header_len;
    status = set_end(out, offset + total, limit);
    return status_worse(status,
                        view_has(view, offset, header_len) ? PACKET_COMPLETE : PACKET_CUT_HEADER);
}

/* The jumbo payload option (RFC 2675 §2) of a hop-by-hop header, or 0. */
static size_t jumbo_len(const struct view *view, size_t offset, size_t limit)
{
    size_t end = offset + ((size_t)view_u8(view, offset + 1) + 1) * 8;
    end = end < limit ? end : limit;

    for (offset += 2; offset < end;) {
        uint8_t kind = view_u8(view, offset);
        if (kind == 0) {
            offset++;
            continue;
        }
        if (kind == 0xc2 && view_u8(view, offset + 1) == 4)
            return view_u32(view, offset + 2);
        offset += 2 + (size_t)view_u8(view, offset + 1);
    }
    return 0;
}

static size_t ip6_payload_len(const struct view *view, size_t offset, size_t limit)
{
    size_t len = view_u16(view, offset + 4);
    uint8_t next = view_u8(view, offset + 6);

    if (len || next == IP_NO_NEXT)
        return len;
    if (next == IP_HOP_BY_HOP)
        len = jumbo_len(view, offset + IP6_HEADER_LEN, limit);
    /* As with IPv4: offload leaves 0 where the length does not fit. */
    return len ? len : limit - offset - IP6_HEADER_LEN;
}

/* The length of the extension header `kind` at `offset`, 0: `kind` is not one. */
static size_t extension_len(const struct view *view, size_t offset, uint8_t kind)
{
    size_t len = view_u8(view, offset + 1);

    switch (kind) {
    case IP_HOP_BY_HOP:
    case IP_ROUTING:
    case IP_DESTINATION:
    case IP_MOBILITY:
    case IP_HOST_IDENTITY:
    case IP_SHIM6:
        return (len + 1) * 8;
    case IP_FRAGMENT:
        return 8;
    case IP_AUTHENTICATION:
        return (len + 2) * 4;
    default: /* a number from the wire, not an enum */
        return 0;
    }
}

static void ip6_fragment(struct ip_header *out, const struct view *view, size_t offset)
{
    uint16_t fragment = view_u16(view, offset + 2);

    out->fragment_offset = fragment & 0xfff8;
    /* An atomic fragment (RFC 6946) is whole. */
    out->more_fragments = fragment & 1;
    out->is_fragment = out->more_fragments || out->fragment_offset;
    out->id = view_u32(view, offset + 4);
}

static enum packet_status ip6_extensions(struct ip_header *out, const struct view *view)
{
    for (int i = 0; i < EXTENSIONS_MAX; i++) {
        uint8_t kind = out->protocol;
        if (!extension_len(view, out->transport, kind))
            return PACKET_COMPLETE;

        enum packet_status status = view_need(view, out->transport, 2, out->end);
        size_t len = extension_len(view, out->transport, kind);
        if (status == PACKET_COMPLETE)
            status = view_need(view, out->transport, len, out->end);
        if (status != PACKET_COMPLETE)
            return status;

        if (kind == IP_FRAGMENT)
            ip6_fragment(out, view, out->transport);
        out->protocol = view_u8(view, out->transport);
        out->transport += len;
        if (out->fragment_offset)
            return PACKET_COMPLETE;
    }
    return PACKET_MALFORMED;
}

static enum packet_status ip6_read(struct ip_header *out, const struct view *view, size_t offset,
                                   size_t limit)
{
    enum packet_status status = view_need(view, offset, IP6_HEADER_LEN, limit);
    if (status != PACKET_COMPLETE)
        return status;
    if (view_u8(view, offset) >> 4 != 6)
        return PACKET_MALFORMED;

    out->family = 6;
    out->protocol = view_u8(view, offset + 6);
    out->ttl = view_u8(view, offset + 7);
    out->traffic_class = (uint8_t)(view_u16(view, offset) >> 4);
    view_copy(view, offset + 8, out->source, 16);
    view_copy(view, offset + 24, out->destination, 16);
    out->transport = offset + IP6_HEADER_LEN;
    status = set_end(out, out->transport + ip6_payload_len(view, offset, limit), limit);
    return status_worse(status, ip6_extensions(out, view));
}

enum packet_status ip_read(struct ip_header *out, const struct view *view, size_t offset,
                           size_t limit, uint8_t family)
{
    *out = (struct ip_header){.transport = offset, .end = limit};
    return family == 4 ? ip4_read(out, view, offset, limit) : ip6_read(out, view, offset, limit);
}
