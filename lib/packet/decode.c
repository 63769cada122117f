/* A frame is read from the outside in: link header and tags, IP header, transport header. Each
 * layer gets the view and the end that the layer outside claims, and adds its status; the first
 * layer that can't be used ends the walk and leaves the kind as far as it was known. */
#include "packet/ip.h"
#include "packet/options.h"

enum {
    ETHERTYPE_IP4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_IP6 = 0x86dd,
};

#define VLAN_TAGS_MAX 8

/* --- link headers: where the network header starts, and its ethertype --- */

static bool is_vlan(uint16_t ethertype)
{
    return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

/* 802.1Q and 802.1ad tags behind the ethertype that is already in *out. */
static enum packet_status read_tags(struct segment *out, const struct view *view)
{
    for (int i = 0; i < VLAN_TAGS_MAX && is_vlan(out->ethertype); i++) {
        enum packet_status status = view_need(view, out->network_offset, 4, view->wire);
        if (status != PACKET_COMPLETE)
            return status;
        if (out->vlan_count < 2)
            out->vlan[out->vlan_count] = view_u16(view, out->network_offset) & 0x0fff;
        out->vlan_count++;
        out->ethertype = view_u16(view, out->network_offset + 2);
        out->network_offset += 4;
    }
    return is_vlan(out->ethertype) ? PACKET_MALFORMED : PACKET_COMPLETE;
}

static enum packet_status read_ethernet(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, 0, 14, view->wire);
    if (status != PACKET_COMPLETE)
        return status;
    out->has_mac = true;
    view_copy(view, 0, out->destination_mac, 6);
    view_copy(view, 6, out->source_mac, 6);
    out->ethertype = view_u16(view, 12);
    out->network_offset = 14;
    return read_tags(out, view);
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

static enum packet_status read_raw(struct segment *out, const struct view *view)
{
    out->ethertype = ethertype_of_version(view, 0);
    return view_need(view, 0, 1, view->wire);
}

static enum packet_status read_sll(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, 0, 16, view->wire);
    if (status != PACKET_COMPLETE)
        return status;
    out->ethertype = view_u16(view, 14);
    out->network_offset = 16;
    return read_tags(out, view);
}

static enum packet_status read_sll2(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, 0, 20, view->wire);
    if (status != PACKET_COMPLETE)
        return status;
    out->ethertype = view_u16(view, 0);
    out->network_offset = 20;
    return read_tags(out, view);
}

/* AF_INET is 2 everywhere, AF_INET6 is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on
 * Darwin. A DLT_NULL file does not say whose byte order it is, but no family needs both. */
static enum packet_status read_loopback(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, 0, 4, view->wire);
    if (status != PACKET_COMPLETE)
        return status;
    uint32_t family = view_u32(view, 0);
    if (family > 0xffffff)
        family = __builtin_bswap32(family);
    if (family == 2)
        out->ethertype = ETHERTYPE_IP4;
    else if (family == 10 || family == 24 || family == 28 || family == 30)
        out->ethertype = ETHERTYPE_IP6;
    out->network_offset = 4;
    return PACKET_COMPLETE;
}

static enum packet_status read_link(struct segment *out, const struct view *view)
{
    switch (out->link) {
    case PACKET_LINK_ETHERNET:
        return read_ethernet(out, view);
    case PACKET_LINK_RAW:
        return read_raw(out, view);
    case PACKET_LINK_SLL:
        return read_sll(out, view);
    case PACKET_LINK_SLL2:
        return read_sll2(out, view);
    case PACKET_LINK_NULL:
    case PACKET_LINK_LOOP:
        return read_loopback(out, view);
    }
    return PACKET_MALFORMED;
}

/* --- transport headers: from out->transport_offset to out->network_end --- */

static void read_ports(const struct view *view, size_t offset, struct packet_endpoint *source,
                       struct packet_endpoint *destination)
{
    source->port = view_u16(view, offset);
    destination->port = view_u16(view, offset + 2);
}

/* The payload is all from `offset` to `end` (≤ network_end). */
static enum packet_status set_payload(struct segment *out, const struct view *view, size_t offset,
                                      size_t end)
{
    out->payload_offset = (uint32_t)offset;
    out->payload_len = (uint32_t)(end > offset ? end - offset : 0);
    out->payload_captured = (uint32_t)view_captured(view, offset, end);
    return out->payload_captured < out->payload_len ? PACKET_CUT_PAYLOAD : PACKET_COMPLETE;
}

static enum packet_status read_tcp(struct segment *out, const struct view *view)
{
    size_t at = out->transport_offset, end = out->network_end;
    enum packet_status status = view_need(view, at, 20, end);
    if (status != PACKET_COMPLETE)
        return status;

    size_t header_len = (size_t)(view_u8(view, at + 12) >> 4) * 4;
    if (header_len < 20 || header_len > end - at)
        return PACKET_MALFORMED;
    out->kind = PACKET_TCP;
    out->seq = view_u32(view, at + 4);
    out->ack = view_u32(view, at + 8);
    out->flags = view_u16(view, at + 12) & 0x01ff;
    out->window = view_u16(view, at + 14);
    options_read(&out->options, view, at + 20, at + header_len);
    status = set_payload(out, view, at + header_len, end);
    return status_worse(status, view_need(view, at, header_len, end));
}

static enum packet_status read_udp(struct segment *out, const struct view *view)
{
    size_t at = out->transport_offset, end = out->network_end;
    enum packet_status status = view_need(view, at, 8, end);
    if (status != PACKET_COMPLETE)
        return status;

    size_t len = view_u16(view, at + 4);
    out->kind = PACKET_UDP;
    if (len == 0 && out->family == 6) /* a jumbogram (RFC 2675 §4) */
        len = end - at;
    bool lies = len < 8 || (len > end - at && !out->is_fragment);
    if (len > end - at || len < 8)
        len = end - at;
    status = set_payload(out, view, at + 8, at + len);
    return lies ? PACKET_MALFORMED : status;
}

/* The segment that an ICMP error quotes. Its lengths usually claim more than was quoted. */
static void read_quote(struct packet_quote *out, const struct view *view, size_t offset, size_t end,
                       uint8_t family)
{
    struct ip_header ip;

    ip_read(&ip, view, offset, end, family);
    out->family = ip.family;
    out->protocol = ip.protocol;
    memcpy(out->source.address, ip.source, sizeof ip.source);
    memcpy(out->destination.address, ip.destination, sizeof ip.destination);
    if (!ip.family || ip.fragment_offset || (ip.protocol != IP_TCP && ip.protocol != IP_UDP) ||
        view_need(view, ip.transport, 4, ip.end) != PACKET_COMPLETE)
        return;
    out->has_ports = true;
    read_ports(view, ip.transport, &out->source, &out->destination);
    if (ip.protocol == IP_TCP && view_need(view, ip.transport, 8, ip.end) == PACKET_COMPLETE) {
        out->has_seq = true;
        out->seq = view_u32(view, ip.transport + 4);
    }
}

static bool icmp_is_error(uint8_t family, uint8_t type)
{
    if (family == 6)
        return type < 128;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static enum packet_kind icmp_kind(uint8_t family, uint8_t type)
{
    if (family == 6 && type >= 133 && type <= 137)
        return PACKET_ND;
    if (family == 6 && ((type >= 130 && type <= 132) || type == 143))
        return PACKET_MLD;
    return PACKET_ICMP;
}

static enum packet_status read_icmp(struct segment *out, const struct view *view)
{
    size_t at = out->transport_offset, end = out->network_end;
    enum packet_status status = view_need(view, at, 8, end);
    if (status != PACKET_COMPLETE)
        return status;

    struct packet_icmp *icmp = &out->icmp;
    icmp->type = view_u8(view, at);
    icmp->code = view_u8(view, at + 1);
    icmp->is_error = icmp_is_error(out->family, icmp->type);
    out->kind = icmp_kind(out->family, icmp->type);
    if (icmp->is_error)
        read_quote(&icmp->quote, view, at + 8, end, out->family);
    if (out->family == 4 && icmp->type == 3 && icmp->code == 4)
        icmp->mtu = view_u16(view, at + 6);
    if (out->family == 6 && icmp->type == 2)
        icmp->mtu = view_u32(view, at + 4);
    return set_payload(out, view, at + 8, end);
}

static enum packet_status read_igmp(struct segment *out, const struct view *view)
{
    enum packet_status status = view_need(view, out->transport_offset, 8, out->network_end);
    if (status != PACKET_COMPLETE)
        return status;
    out->kind = PACKET_MLD;
    return set_payload(out, view, (size_t)out->transport_offset + 8, out->network_end);
}

static const struct {
    uint8_t family; /* 0: both */
    uint8_t protocol;
    bool has_ports;
    enum packet_status (*read)(struct segment *out, const struct view *view);
} transports[] = {
    {0, IP_TCP, true, read_tcp},    {0, IP_UDP, true, read_udp},
    {4, IP_ICMP, false, read_icmp}, {6, IP_ICMPV6, false, read_icmp},
    {4, IP_IGMP, false, read_igmp},
};

static enum packet_status read_transport(struct segment *out, const struct view *view)
{
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++) {
        if (transports[i].protocol != out->protocol ||
            (transports[i].family && transports[i].family != out->family))
            continue;
        if (transports[i].has_ports &&
            view_need(view, out->transport_offset, 4, out->network_end) == PACKET_COMPLETE) {
            out->has_ports = true;
            read_ports(view, out->transport_offset, &out->source, &out->destination);
        }
        return transports[i].read(out, view);
    }
    return PACKET_COMPLETE;
}

static enum packet_status read_network(struct segment *out, const struct view *view, uint8_t family)
{
    struct ip_header ip;
    enum packet_status status = ip_read(&ip, view, out->network_offset, view->wire, family);

    if (!ip.family)
        return status;
    out->kind = PACKET_OTHER_IP;
    out->family = ip.family;
    out->protocol = ip.protocol;
    out->ttl = ip.ttl;
    out->traffic_class = ip.traffic_class;
    out->is_fragment = ip.is_fragment;
    out->fragment_offset = ip.fragment_offset;
    out->ip_id = ip.id;
    memcpy(out->source.address, ip.source, sizeof ip.source);
    memcpy(out->destination.address, ip.destination, sizeof ip.destination);
    out->transport_offset = (uint32_t)ip.transport;
    out->network_end = (uint32_t)ip.end;
    enum packet_status payload = set_payload(out, view, ip.transport, ip.end);
    if (ip.fragment_offset) {
        out->kind = PACKET_FRAGMENT;
        return status_worse(status, payload);
    }
    /* An extension header that is cut or lies hides what follows it; a packet that only claims to
     * be longer than its frame still has its transport header. */
    if (status == PACKET_CUT_HEADER || (status == PACKET_MALFORMED && !ip.longer))
        return status;
    enum packet_status transport = read_transport(out, view);
    return status_worse(status, status_worse(transport, out->payload_captured < out->payload_len
                                                            ? PACKET_CUT_PAYLOAD
                                                            : PACKET_COMPLETE));
}

enum packet_status packet_decode(struct segment *out, enum packet_link link, const void *bytes,
                                 size_t captured, size_t wire)
{
    struct view view = {bytes, captured, wire > captured ? wire : captured};

    *out = (struct segment){.link = link};
    /* Offsets are 32 bits; no frame comes near. */
    if (view.wire > UINT32_MAX) {
        view.wire = UINT32_MAX;
        view.captured = captured < UINT32_MAX ? captured : UINT32_MAX;
        out->status = PACKET_MALFORMED;
    }
    out->status = status_worse(out->status, read_link(out, &view));
    out->network_end = (uint32_t)view.wire;
    if (out->status >= PACKET_CUT_HEADER)
        return out->status;
    enum packet_status status;
    switch (out->ethertype) {
    case ETHERTYPE_IP4:
        status = read_network(out, &view, 4);
        break;
    case ETHERTYPE_IP6:
        status = read_network(out, &view, 6);
        break;
    case ETHERTYPE_ARP:
        out->kind = PACKET_ARP;
        status = view_need(&view, out->network_offset, 28, view.wire);
        break;
    default: /* a number from the wire, not an enum */
        status = set_payload(out, &view, out->network_offset, view.wire);
        break;
    }
    return out->status = status_worse(out->status, status);
}
