/* Every builder fills a struct frame_plan and lets assemble() do the rest: link header, IP header,
 * transport bytes, checksums. Answers take the link header of the frame they answer, tags and all,
 * with the MAC addresses swapped. */
#include "packet/build.h"
#include "packet/checksum.h"
#include "packet/ip.h"

#include <errno.h>

#define ICMP4_ANSWER_MAX 576  /* RFC 1812 §4.3.2.3 */
#define ICMP6_ANSWER_MAX 1280 /* RFC 4443 §2.4 c */

struct frame_plan {
    const uint8_t *link_header;
    size_t link_len;
    uint8_t family, protocol, ttl, traffic_class;
    bool dont_fragment;
    const uint8_t *source, *destination;
    const uint8_t *header; /* of the transport; its checksum field is 0 */
    size_t header_len;
    size_t checksum_place;
    const void *payload;
    size_t payload_len;
};

static void write_ip4(uint8_t *at, const struct frame_plan *plan, size_t transport_len)
{
    memset(at, 0, IP4_HEADER_MIN);
    at[0] = 0x45;
    at[1] = plan->traffic_class;
    set_u16(at + 2, (uint16_t)(IP4_HEADER_MIN + transport_len));
    set_u16(at + 6, plan->dont_fragment ? 0x4000 : 0);
    at[8] = plan->ttl;
    at[9] = plan->protocol;
    memcpy(at + 12, plan->source, 4);
    memcpy(at + 16, plan->destination, 4);
    set_u16(at + 10, (uint16_t)~checksum_fold(checksum_add(0, at, IP4_HEADER_MIN)));
}

static void write_ip6(uint8_t *at, const struct frame_plan *plan, size_t transport_len)
{
    set_u32(at, UINT32_C(6) << 28 | (uint32_t)plan->traffic_class << 20);
    set_u16(at + 4, (uint16_t)transport_len);
    at[6] = plan->protocol;
    at[7] = plan->ttl;
    memcpy(at + 8, plan->source, 16);
    memcpy(at + 24, plan->destination, 16);
}

static int assemble(uint8_t *out, size_t size, const struct frame_plan *plan)
{
    size_t ip_len = plan->family == 4 ? IP4_HEADER_MIN : IP6_HEADER_LEN;
    size_t limit = plan->family == 4 ? 65535 - IP4_HEADER_MIN : 65535;

    if (plan->payload_len > limit || plan->header_len > limit - plan->payload_len)
        return -EINVAL;
    size_t transport_len = plan->header_len + plan->payload_len;
    if (plan->link_len + ip_len + transport_len > size)
        return -ENOSPC;

    uint8_t *transport = out + plan->link_len + ip_len;
    if (plan->link_len)
        memcpy(out, plan->link_header, plan->link_len);
    if (plan->family == 4)
        write_ip4(out + plan->link_len, plan, transport_len);
    else
        write_ip6(out + plan->link_len, plan, transport_len);
    memcpy(transport, plan->header, plan->header_len);
    if (plan->payload_len)
        memcpy(transport + plan->header_len, plan->payload, plan->payload_len);
    uint16_t sum = checksum_transport(plan->family, plan->source, plan->destination, plan->protocol,
                                      transport, transport_len);
    set_u16(transport + plan->checksum_place, (uint16_t)~sum);
    return (int)(plan->link_len + ip_len + transport_len);
}

/* The link header of an answer. Cooked headers have one address only and can't be sent anyway; they
 * stay as they are. */
#define LINK_HEADER_MAX 64

static int answer_link(uint8_t out[LINK_HEADER_MAX], const void *frame, size_t captured,
                       const struct segment *segment)
{
    size_t len = segment->network_offset;

    if (len > captured || len > LINK_HEADER_MAX || segment->encapsulated)
        return -EINVAL;
    if (len)
        memcpy(out, frame, len);
    if (segment->has_mac) {
        memcpy(out, segment->source_mac, 6);
        memcpy(out + 6, segment->destination_mac, 6);
    }
    return (int)len;
}

static void write_tcp(uint8_t at[20], uint16_t source, uint16_t destination, uint32_t seq,
                      uint32_t ack, uint16_t flags)
{
    memset(at, 0, 20);
    set_u16(at, source);
    set_u16(at + 2, destination);
    set_u32(at + 4, seq);
    set_u32(at + 8, ack);
    set_u16(at + 12, (uint16_t)(5 << 12 | (flags & 0x1ff)));
}

int packet_build_rst(uint8_t *out, size_t size, const void *frame, size_t captured,
                     const struct segment *segment)
{
    uint8_t link[LINK_HEADER_MAX], header[20];

    if (segment->kind != PACKET_TCP || (segment->flags & SEGMENT_RST) ||
        segment->status == PACKET_MALFORMED)
        return -EINVAL;
    int link_len = answer_link(link, frame, captured, segment);
    if (link_len < 0)
        return link_len;

    if (segment->flags & SEGMENT_ACK)
        write_tcp(header, segment->destination.port, segment->source.port, segment->ack, 0,
                  SEGMENT_RST);
    else
        write_tcp(header, segment->destination.port, segment->source.port, 0,
                  segment->seq + segment_seq_len(segment), SEGMENT_RST | SEGMENT_ACK);
    return assemble(out, size,
                    &(struct frame_plan){.link_header = link,
                                         .link_len = (size_t)link_len,
                                         .family = segment->family,
                                         .protocol = IP_TCP,
                                         .ttl = 64,
                                         .dont_fragment = true,
                                         .source = segment->destination.address,
                                         .destination = segment->source.address,
                                         .header = header,
                                         .header_len = sizeof header,
                                         .checksum_place = 16});
}

static bool is_group_address(uint8_t family, const uint8_t address[16])
{
    if (family == 6)
        return address[0] == 0xff;
    return address[0] >= 224; /* multicast, reserved, 255.255.255.255 */
}

static bool is_unspecified(const uint8_t address[16])
{
    static const uint8_t zero[16];
    return !memcmp(address, zero, sizeof zero);
}

/* RFC 1122 §3.2.2 and RFC 4443 §2.4 e. */
static bool may_answer_icmp(const struct segment *segment)
{
    if (!segment->family || segment->status > PACKET_CUT_PAYLOAD || segment->fragment_offset)
        return false;
    if ((segment->kind == PACKET_ICMP && segment->icmp.is_error) ||
        is_group_address(segment->family, segment->source.address) ||
        is_group_address(segment->family, segment->destination.address) ||
        is_unspecified(segment->source.address))
        return false;
    return !(segment->has_mac && (segment->destination_mac[0] & 1));
}

int packet_build_icmp(uint8_t *out, size_t size, const void *frame, size_t captured,
                      const struct segment *segment, const struct icmp_name *name,
                      const struct packet_endpoint *from, uint32_t mtu)
{
    uint8_t link[LINK_HEADER_MAX], header[8] = {0};
    bool is_v4 = segment->family == 4;
    int type = is_v4 ? name->v4_type : name->v6_type;
    int code = is_v4 ? name->v4_code : name->v6_code;

    if (!may_answer_icmp(segment) || !name->is_error)
        return -EINVAL;
    if (type < 0)
        return -EOPNOTSUPP;
    int link_len = answer_link(link, frame, captured, segment);
    if (link_len < 0)
        return link_len;

    header[0] = (uint8_t)type;
    header[1] = (uint8_t)code;
    if (is_v4 && type == 3 && code == 4)
        set_u16(header + 6, mtu > 0xffff ? 0xffff : (uint16_t)mtu);
    if (!is_v4 && type == 2)
        set_u32(header + 4, mtu);

    size_t end = segment->network_end < captured ? segment->network_end : captured;
    size_t quote = end - segment->network_offset;
    size_t most = is_v4 ? ICMP4_ANSWER_MAX - IP4_HEADER_MIN - sizeof header
                        : ICMP6_ANSWER_MAX - IP6_HEADER_LEN - sizeof header;
    return assemble(
        out, size,
        &(struct frame_plan){.link_header = link,
                             .link_len = (size_t)link_len,
                             .family = segment->family,
                             .protocol = is_v4 ? IP_ICMP : IP_ICMPV6,
                             .ttl = 64,
                             .traffic_class = is_v4 ? 0xc0 : 0, /* RFC 1812 §4.3.2.5 */
                             .source = (from ? from : &segment->destination)->address,
                             .destination = segment->source.address,
                             .header = header,
                             .header_len = sizeof header,
                             .checksum_place = 2,
                             .payload = (const uint8_t *)frame + segment->network_offset,
                             .payload_len = quote < most ? quote : most});
}
