/* A frame is read from the outside in: link header and tags, IP header, transport header. Each
 * layer gets the view and the end that the layer outside claims, and adds its status; the first
 * layer that can't be used ends the walk and leaves the kind as far as it was known. */
#include "packet/decode.h"
#include "packet/ip.h"
#include "packet/link.h"
#include "packet/options.h"

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

/* The 20 bytes that all have are there. */
static void read_tcp_header(struct segment *out, const struct view *view, size_t at)
{
    out->kind = PACKET_TCP;
    out->seq = view_u32(view, at + 4);
    out->ack = view_u32(view, at + 8);
    out->flags = view_u16(view, at + 12) & 0x01ff;
    out->window = view_u16(view, at + 14);
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
    read_tcp_header(out, view, at);
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

static void read_ports_if_there(struct segment *out, const struct view *view)
{
    if (view_need(view, out->transport_offset, 4, out->network_end) != PACKET_COMPLETE)
        return;
    out->has_ports = true;
    read_ports(view, out->transport_offset, &out->source, &out->destination);
}

static enum packet_status read_transport(struct segment *out, const struct view *view)
{
    switch (out->protocol) {
    case IP_TCP:
        read_ports_if_there(out, view);
        return read_tcp(out, view);
    case IP_UDP:
        read_ports_if_there(out, view);
        return read_udp(out, view);
    case IP_ICMP:
        return out->family == 4 ? read_icmp(out, view) : PACKET_COMPLETE;
    case IP_ICMPV6:
        return out->family == 6 ? read_icmp(out, view) : PACKET_COMPLETE;
    case IP_IGMP:
        return out->family == 4 ? read_igmp(out, view) : PACKET_COMPLETE;
    default: /* a number from the wire, not an enum */
        return PACKET_COMPLETE;
    }
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
    out->more_fragments = ip.more_fragments;
    out->dont_fragment = ip.dont_fragment;
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

/* Most frames by far: Ethernet without tags, IPv4 without options and whole, TCP with its header
 * captured. Reads them in one go, as the functions above do step by step, or returns false and has
 * changed nothing. */
static inline bool read_usual(struct segment *out, const struct view *view)
{
    const size_t ip = 14, tcp = ip + IP4_HEADER_MIN;
    const uint8_t *bytes = view->bytes;

    if (view->captured < tcp + 20 || bytes[12] != 0x08 || bytes[13] != 0x00 || bytes[ip] != 0x45 ||
        bytes[ip + 9] != IP_TCP || (bytes[ip + 6] & 0x3f) || bytes[ip + 7])
        return false;
    size_t total = view_u16(view, ip + 2), header_len = (size_t)(bytes[tcp + 12] >> 4) * 4;
    size_t end = ip + total, payload = tcp + header_len;
    if (end > view->wire || header_len < 20 || payload > end || payload > view->captured)
        return false;

    out->has_mac = out->has_ports = true;
    memcpy(out->destination_mac, bytes, 6);
    memcpy(out->source_mac, bytes + 6, 6);
    out->ethertype = ETHERTYPE_IP4;
    out->family = 4;
    out->protocol = IP_TCP;
    out->traffic_class = bytes[ip + 1];
    out->ip_id = view_u16(view, ip + 4);
    out->dont_fragment = bytes[ip + 6] & 0x40;
    out->ttl = bytes[ip + 8];
    memcpy(out->source.address, bytes + ip + 12, 4);
    memcpy(out->destination.address, bytes + ip + 16, 4);
    out->network_offset = (uint32_t)ip;
    out->transport_offset = (uint32_t)tcp;
    out->network_end = (uint32_t)end;
    read_ports(view, tcp, &out->source, &out->destination);
    read_tcp_header(out, view, tcp);
    if (header_len > 20)
        options_read(&out->options, view, tcp + 20, payload);
    out->status = status_worse(out->status, set_payload(out, view, payload, end));
    return true;
}

enum packet_status decode_network(struct segment *out, const struct view *view,
                                  enum packet_status link)
{
    enum packet_status status;

    out->status = status_worse(out->status, link);
    out->network_end = (uint32_t)view->wire;
    if (out->status >= PACKET_CUT_HEADER)
        return out->status;
    switch (out->ethertype) {
    case ETHERTYPE_IP4:
        status = read_network(out, view, 4);
        break;
    case ETHERTYPE_IP6:
        status = read_network(out, view, 6);
        break;
    case ETHERTYPE_ARP:
        out->kind = PACKET_ARP;
        status = view_need(view, out->network_offset, 28, view->wire);
        break;
    default: /* a number from the wire, not an enum */
        status = set_payload(out, view, out->network_offset, view->wire);
        break;
    }
    return out->status = status_worse(out->status, status);
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
    if (link == PACKET_LINK_ETHERNET && read_usual(out, &view))
        return out->status;
    return decode_network(out, &view, link_read(out, &view));
}
