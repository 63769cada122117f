/* A packet that may carry another is first read as any other. Then its protocol, or the port of its
 * datagram, says where the inner frame would start, and that is read as a frame of its own, which
 * ends where the outer packet does. Only if it has an IP header, the inner one is taken: a datagram
 * that has a tunnel's port by chance stays a datagram. */
#include "packet/decode.h"
#include "packet/ip.h"
#include "packet/link.h"

#define TUNNELS_MAX 4

enum {
    PORT_GTP_U = 2152,
    PORT_VXLAN = 4789,
    PORT_GENEVE = 6081,
    PORT_VXLAN_LINUX = 8472, /* the kernel's own default, older than the RFC */
};

enum {
    ETHERTYPE_ETHERNET = 0x6558, /* transparent Ethernet bridging: a frame with its header */
    ETHERTYPE_ERSPAN = 0x88be,
    ETHERTYPE_ERSPAN3 = 0x22eb,
};

/* Where the inner frame starts, and as what; ethertype 0: there is none. */
struct inner {
    uint16_t ethertype;
    size_t offset;
    uint32_t network_id;
};

static struct inner find_gre(const struct view *view, size_t at)
{
    uint16_t flags = view_u16(view, at), type = view_u16(view, at + 2);
    size_t len = 4 + (flags & 0x8000 ? 4 : 0); /* checksum */
    struct inner inner = {type, 0, 0};

    if (flags & 0x4007) /* source routes, or another version */
        return (struct inner){0};
    if (flags & 0x2000) {
        if (type == ETHERTYPE_ETHERNET)
            inner.network_id = view_u32(view, at + len) >> 8; /* RFC 7637 */
        len += 4;
    }
    if (flags & 0x1000)
        len += 4;
    if (type == ETHERTYPE_ERSPAN) {
        len += flags & 0x1000 ? 8 : 0; /* type II is numbered, type I has no header */
        inner.ethertype = ETHERTYPE_ETHERNET;
    } else if (type == ETHERTYPE_ERSPAN3) {
        len += view_u8(view, at + len + 11) & 1 ? 20 : 12;
        inner.ethertype = ETHERTYPE_ETHERNET;
    }
    inner.offset = at + len;
    return inner;
}

static struct inner find_vxlan(const struct view *view, size_t at)
{
    if (!(view_u8(view, at) & 0x08))
        return (struct inner){0};
    return (struct inner){ETHERTYPE_ETHERNET, at + 8, view_u32(view, at + 4) >> 8};
}

static struct inner find_geneve(const struct view *view, size_t at)
{
    uint8_t start = view_u8(view, at);

    if (start >> 6) /* the version */
        return (struct inner){0};
    return (struct inner){view_u16(view, at + 2), at + 8 + 4 * (size_t)(start & 0x3f),
                          view_u32(view, at + 4) >> 8};
}

/* 3GPP TS 29.281: extension headers follow each other, each with its length in words. */
static struct inner find_gtp(const struct view *view, size_t at)
{
    uint8_t start = view_u8(view, at);
    size_t offset = at + 8;

    if (start >> 4 != 3 || view_u8(view, at + 1) != 255)
        return (struct inner){0};
    if (start & 7)
        offset += 4;
    if (start & 4) {
        for (int i = 0; i < 8 && view_u8(view, offset - 1); i++)
            offset += 4 * (size_t)view_u8(view, offset);
    }
    return (struct inner){view_u8(view, offset) >> 4 == 6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4, offset,
                          0};
}

static struct inner find_in_datagram(const struct segment *outer, const struct view *view)
{
    switch (outer->destination.port) {
    case PORT_VXLAN:
    case PORT_VXLAN_LINUX:
        return find_vxlan(view, outer->payload_offset);
    case PORT_GENEVE:
        return find_geneve(view, outer->payload_offset);
    case PORT_GTP_U:
        return find_gtp(view, outer->payload_offset);
    default: /* a number from the wire, not an enum */
        return (struct inner){0};
    }
}

static struct inner find_inner(const struct segment *outer, const struct view *view)
{
    size_t at = outer->transport_offset;

    if (outer->kind == PACKET_UDP)
        return find_in_datagram(outer, view);
    if (outer->kind != PACKET_OTHER_IP)
        return (struct inner){0};
    switch (outer->protocol) {
    case IP_IN_IP:
        return (struct inner){ETHERTYPE_IP4, at, 0};
    case IP_IP6:
        return (struct inner){ETHERTYPE_IP6, at, 0};
    case IP_GRE:
        return find_gre(view, at);
    case IP_ETHERNET: /* RFC 3378: two bytes in front */
        return (struct inner){ETHERTYPE_ETHERNET, at + 2, 0};
    case IP_MPLS:
        return (struct inner){ETHERTYPE_MPLS, at, 0};
    default: /* a number from the wire, not an enum */
        return (struct inner){0};
    }
}

/* Reads the packet in `segment`, and puts it in its place. */
static bool enter_tunnel(struct segment *segment, const struct view *frame)
{
    struct inner inner = find_inner(segment, frame);
    struct segment found = {.link = segment->link,
                            .encapsulated = true,
                            .tunnels = (uint8_t)(segment->tunnels + 1),
                            .network_id =
                                inner.network_id ? inner.network_id : segment->network_id};
    struct view view = *frame;

    if (!inner.ethertype)
        return false;
    view.wire = segment->network_end;
    if (view.captured > view.wire)
        view.captured = view.wire;
    /* The rest is in other frames. */
    if (segment->is_fragment && view.wire < UINT32_MAX - UINT16_MAX)
        view.wire += UINT16_MAX;
    enum packet_status link =
        inner.ethertype == ETHERTYPE_ETHERNET
            ? link_read_ethernet(&found, &view, inner.offset)
            : link_read_ethertype(&found, &view, inner.offset, inner.ethertype);
    decode_network(&found, &view, link);
    if (!found.family)
        return false;
    *segment = found;
    return true;
}

enum packet_status packet_decode_inner(struct segment *out, enum packet_link link,
                                       const void *bytes, size_t captured, size_t wire)
{
    struct view view = {bytes, captured, wire > captured ? wire : captured};

    packet_decode(out, link, bytes, captured, wire);
    for (int i = 0; i < TUNNELS_MAX && out->kind != PACKET_TCP && out->family; i++)
        if (!enter_tunnel(out, &view))
            break;
    return out->status;
}
