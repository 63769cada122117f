/* Behind the header of the link may be more before IP: tags, labels, PPPoE, LLC. Each is a step
 * that moves network_offset and says what follows as an ethertype; the steps are bounded. What
 * netkit does not know stays where it is, and is no error. */
#include "packet/link.h"

#define STEPS_MAX 16

/* The first ethertype; what is smaller in its place is a length (IEEE 802.3). */
#define ETHERTYPE_MIN 0x0600

static bool is_ip(uint16_t ethertype)
{
    return ethertype == ETHERTYPE_IP4 || ethertype == ETHERTYPE_IP6;
}

static uint16_t view_u16_little(const struct view *view, size_t offset)
{
    return __builtin_bswap16(view_u16(view, offset));
}

static uint16_t ethertype_of_version(const struct view *view, size_t offset)
{
    switch (view_u8(view, offset) >> 4) {
    case 4:
        return ETHERTYPE_IP4;
    case 6:
        return ETHERTYPE_IP6;
    default: /* bits from the wire, not an enum */
        return 0;
    }
}

/* --- steps --- */

/* 802.1Q and 802.1ad. */
static enum packet_status read_tag(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, out->network_offset, 4, view->wire);

    if (status != PACKET_COMPLETE)
        return status;
    if (out->vlan_count < 2)
        out->vlan[out->vlan_count] = view_u16(view, out->network_offset) & 0x0fff;
    out->vlan_count++;
    out->ethertype = view_u16(view, out->network_offset + 2);
    out->network_offset += 4;
    return PACKET_COMPLETE;
}

/* Whether an Ethernet frame with IP seems to start there. */
static bool seems_ethernet(const struct view *view, size_t offset)
{
    uint16_t ethertype = view_u16(view, offset + 12);

    return is_ip(ethertype) ? ethertype_of_version(view, offset + 14) == ethertype
                            : ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_PROVIDER_VLAN;
}

static enum packet_status read_macs(struct segment *out, const struct view *view, size_t offset)
{
    enum packet_status status = view_need(view, offset, 14, view->wire);

    if (status != PACKET_COMPLETE)
        return status;
    out->ethertype = view_u16(view, offset + 12);
    out->network_offset = (uint32_t)offset + 14;
    return PACKET_COMPLETE;
}

/* The labels do not say what is behind the last: IP tells by its version, and an Ethernet frame
 * (RFC 4448) is behind a control word or not. */
static enum packet_status read_labels(struct segment *out, const struct view *view)
{
    uint32_t label;

    do {
        enum packet_status status = view_need(view, out->network_offset, 4, view->wire);
        if (status != PACKET_COMPLETE)
            return status;
        label = view_u32(view, out->network_offset);
        out->network_offset += 4;
    } while (!(label & 0x100));
    if (seems_ethernet(view, out->network_offset))
        return read_macs(out, view, out->network_offset);
    if (view_u8(view, out->network_offset) >> 4 == 0 &&
        seems_ethernet(view, out->network_offset + 4))
        return read_macs(out, view, (size_t)out->network_offset + 4);
    out->ethertype = ethertype_of_version(view, out->network_offset);
    return PACKET_COMPLETE;
}

/* The protocol field of PPP, which may be compressed to one byte (RFC 1661 §6.5). */
static enum packet_status read_ppp_protocol(struct segment *out, const struct view *view)
{
    uint16_t protocol = view_u8(view, out->network_offset);

    if (!(protocol & 1)) {
        protocol = view_u16(view, out->network_offset);
        out->network_offset++;
    }
    out->network_offset++;
    switch (protocol) {
    case 0x0021:
        out->ethertype = ETHERTYPE_IP4;
        break;
    case 0x0057:
        out->ethertype = ETHERTYPE_IP6;
        break;
    case 0x0281:
        out->ethertype = ETHERTYPE_MPLS;
        break;
    default: /* a number from the wire, not an enum */
        out->ethertype = 0;
        break;
    }
    return view_need(view, out->network_offset, 0, view->wire);
}

/* RFC 2516: version, type, code, session and length; IP's own length says where it ends. */
static enum packet_status read_pppoe(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, out->network_offset, 8, view->wire);

    if (status != PACKET_COMPLETE)
        return status;
    out->network_offset += 6;
    return read_ppp_protocol(out, view);
}

/* SNAP with an ethertype (RFC 1042); any other LLC stays what it is: false. */
static bool read_llc(struct segment *out, const struct view *view)
{
    size_t at = out->network_offset;

    if (!view_has(view, at, 8) || view_u16(view, at) != 0xaaaa || view_u8(view, at + 2) != 3 ||
        view_u8(view, at + 3) || view_u8(view, at + 4) || view_u16(view, at + 6) < ETHERTYPE_MIN)
        return false;
    out->encapsulated = true;
    out->ethertype = view_u16(view, at + 6);
    out->network_offset += 8;
    return true;
}

/* What is between the link header and the network header. */
static enum packet_status read_steps(struct segment *out, const struct view *view)
{
    enum packet_status status = PACKET_COMPLETE;

    for (int i = 0; i < STEPS_MAX && status == PACKET_COMPLETE; i++) {
        switch (out->ethertype) {
        case ETHERTYPE_VLAN:
        case ETHERTYPE_PROVIDER_VLAN:
        case ETHERTYPE_QINQ_OLD:
        case ETHERTYPE_QINQ_OLDER:
            status = read_tag(out, view);
            break;
        case ETHERTYPE_MPLS:
        case ETHERTYPE_MPLS_UPSTREAM:
            out->encapsulated = true;
            status = read_labels(out, view);
            break;
        case ETHERTYPE_PPPOE:
            out->encapsulated = true;
            status = read_pppoe(out, view);
            break;
        default: /* a number from the wire, not an enum */
            if (!out->ethertype || out->ethertype >= ETHERTYPE_MIN || !read_llc(out, view))
                return PACKET_COMPLETE;
            break;
        }
    }
    return status == PACKET_COMPLETE ? PACKET_MALFORMED : status;
}

/* --- link headers --- */

enum packet_status link_read_ethertype(struct segment *out, const struct view *view, size_t offset,
                                       uint16_t ethertype)
{
    out->network_offset = (uint32_t)offset;
    out->ethertype = ethertype;
    return is_ip(ethertype) ? PACKET_COMPLETE : read_steps(out, view);
}

enum packet_status link_read_ethernet(struct segment *out, const struct view *view, size_t offset)
{
    enum packet_status status = read_macs(out, view, offset);

    if (status != PACKET_COMPLETE)
        return status;
    out->has_mac = true;
    memcpy(out->destination_mac, view->bytes + offset, 6);
    memcpy(out->source_mac, view->bytes + offset + 6, 6);
    return is_ip(out->ethertype) ? PACKET_COMPLETE : read_steps(out, view);
}

static enum packet_status read_raw(struct segment *out, const struct view *view, size_t offset)
{
    out->network_offset = (uint32_t)offset;
    out->ethertype = ethertype_of_version(view, offset);
    return view_need(view, offset, 1, view->wire);
}

/* A header of `len` bytes with its ethertype at `place`. */
static enum packet_status read_cooked(struct segment *out, const struct view *view, size_t len,
                                      size_t place)
{
    enum packet_status status = view_need(view, 0, len, view->wire);

    return status == PACKET_COMPLETE ? link_read_ethertype(out, view, len, view_u16(view, place))
                                     : status;
}

/* AF_INET is 2 everywhere, AF_INET6 is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on
 * Darwin. A DLT_NULL file does not say whose byte order it is, but no family needs both. */
static enum packet_status read_loopback(struct segment *out, const struct view *view, size_t offset)
{
    enum packet_status status = view_need(view, offset, 4, view->wire);
    if (status != PACKET_COMPLETE)
        return status;
    uint32_t family = view_u32(view, offset);
    if (family > 0xffffff)
        family = __builtin_bswap32(family);
    if (family == 2)
        out->ethertype = ETHERTYPE_IP4;
    else if (family == 10 || family == 24 || family == 28 || family == 30)
        out->ethertype = ETHERTYPE_IP6;
    out->network_offset = (uint32_t)offset + 4;
    return PACKET_COMPLETE;
}

/* Address and control may be left out (RFC 1662); Cisco's HDLC has an ethertype behind its own. */
static enum packet_status read_ppp(struct segment *out, const struct view *view, size_t offset)
{
    enum packet_status status = view_need(view, offset, 4, view->wire);
    uint16_t start = view_u16(view, offset);

    if (status != PACKET_COMPLETE)
        return status;
    if (start == 0x0f00 || start == 0x8f00)
        return link_read_ethertype(out, view, offset + 4, view_u16(view, offset + 2));
    out->network_offset = (uint32_t)(start == 0xff03 ? offset + 2 : offset);
    status = read_ppp_protocol(out, view);
    return status == PACKET_COMPLETE ? read_steps(out, view) : status;
}

/* IEEE 802.11: data frames that are not encrypted and hold one packet. `padded`: the header has
 * padding behind it, to four bytes. */
static enum packet_status read_wireless(struct segment *out, const struct view *view, size_t offset,
                                        bool padded)
{
    enum packet_status status = view_need(view, offset, 2, view->wire);
    uint8_t control = view_u8(view, offset), flags = view_u8(view, offset + 1);
    size_t len = (flags & 0x03) == 0x03 ? 30 : 24; /* between access points: a fourth address */

    out->network_offset = (uint32_t)offset;
    out->encapsulated = true;
    /* Version 0, data, with a body; not protected. */
    if (status != PACKET_COMPLETE || (control & 0x4f) != 0x08 || flags & 0x40)
        return status;
    if (control & 0x80) {
        if (view_u8(view, offset + len) & 0x80) /* an aggregate of several */
            return PACKET_COMPLETE;
        len += flags & 0x80 ? 6 : 2; /* quality of service, high throughput */
    }
    if (padded)
        len = (len + 3) & ~(size_t)3;
    status = view_need(view, offset, len, view->wire);
    if (status != PACKET_COMPLETE)
        return status;
    out->network_offset = (uint32_t)(offset + len);
    return read_llc(out, view) ? read_steps(out, view) : PACKET_COMPLETE;
}

/* Of radiotap's fields only the flags matter, which are the second, behind a time of eight bytes
 * that is aligned to eight. */
static enum packet_status read_radiotap(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, 0, 8, view->wire);
    size_t len = view_u16_little(view, 2), at = 8;
    uint32_t present = __builtin_bswap32(view_u32(view, 4));
    bool padded = false;

    if (status != PACKET_COMPLETE)
        return status;
    if (view_u8(view, 0) || len < 8 || len > view->wire)
        return PACKET_MALFORMED;
    for (uint32_t more = present; more & 0x80000000 && at + 4 <= len; at += 4)
        more = __builtin_bswap32(view_u32(view, at));
    if (present & 1)
        at = ((at + 7) & ~(size_t)7) + 8;
    if (present & 2 && at < len)
        padded = view_u8(view, at) & 0x20;
    return read_wireless(out, view, len, padded);
}

/* Darwin's header in front of that of the device: its length and the device's link type. */
static enum packet_status read_pktap(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, 0, 12, view->wire);
    uint32_t len = __builtin_bswap32(view_u32(view, 0));
    uint32_t dlt = __builtin_bswap32(view_u32(view, 8));

    if (status != PACKET_COMPLETE)
        return status;
    if (len < 12 || len > view->wire)
        return PACKET_MALFORMED;
    out->encapsulated = true;
    out->network_offset = len;
    switch (dlt) {
    case 0:
        return read_loopback(out, view, len);
    case 1:
        return link_read_ethernet(out, view, len);
    case 12:
    case 101:
        return read_raw(out, view, len);
    default: /* a number from the file, not an enum */
        return PACKET_COMPLETE;
    }
}

enum packet_status link_read(struct segment *out, const struct view *view)
{
    switch (out->link) {
    case PACKET_LINK_ETHERNET:
        return link_read_ethernet(out, view, 0);
    case PACKET_LINK_RAW:
        return read_raw(out, view, 0);
    case PACKET_LINK_SLL:
        return read_cooked(out, view, 16, 14);
    case PACKET_LINK_SLL2:
        return read_cooked(out, view, 20, 0);
    case PACKET_LINK_NULL:
    case PACKET_LINK_LOOP:
        return read_loopback(out, view, 0);
    case PACKET_LINK_PPP:
        return read_ppp(out, view, 0);
    case PACKET_LINK_PPP_DIRECTION:
        return read_ppp(out, view, 1);
    case PACKET_LINK_PPPOE:
        return link_read_ethertype(out, view, 0, ETHERTYPE_PPPOE);
    case PACKET_LINK_MPLS:
        return link_read_ethertype(out, view, 0, ETHERTYPE_MPLS);
    case PACKET_LINK_LLC:
        return link_read_ethertype(out, view, 0, 1);
    case PACKET_LINK_WIRELESS:
        return read_wireless(out, view, 0, false);
    case PACKET_LINK_RADIOTAP:
        return read_radiotap(out, view);
    case PACKET_LINK_PKTAP:
        return read_pktap(out, view);
    }
    return PACKET_MALFORMED;
}
