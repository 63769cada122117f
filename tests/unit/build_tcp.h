/* TCP segments from nothing, for tests: what lib/packet decodes, written. */
#ifndef TESTS_BUILD_TCP_H
#define TESTS_BUILD_TCP_H

#include "packet/checksum.h"
#include "packet/ip.h"
#include "packet/options.h"

#include <errno.h>
#include <string.h>

#define TCP_OPTIONS_MAX 40

/* A TCP segment from nothing. Zero is a usable value for every field but `family`. */
struct packet_tcp {
    enum packet_link link; /* Ethernet or raw */
    uint8_t source_mac[6], destination_mac[6];
    uint8_t family; /* 4 or 6 */
    uint8_t ttl;    /* 0: 64 */
    uint16_t ip_id;
    struct packet_endpoint source, destination;
    uint32_t seq, ack;
    uint16_t flags; /* SEGMENT_… */
    uint16_t window;
    uint16_t urgent;
    struct tcp_options options; /* what has_… says; never malformed */
    const void *payload;
    size_t payload_len;
};

/* An option being written; what does not fit is counted all the same and found at the end. */
struct encoder {
    uint8_t *out;
    size_t len;
};

static inline void put(struct encoder *encoder, const void *bytes, size_t len)
{
    if (encoder->len + len <= TCP_OPTIONS_MAX)
        memcpy(encoder->out + encoder->len, bytes, len);
    encoder->len += len;
}

static inline void put_u8(struct encoder *encoder, uint8_t value)
{
    put(encoder, &value, 1);
}

static inline void put_u16(struct encoder *encoder, uint16_t value)
{
    put_u8(encoder, (uint8_t)(value >> 8));
    put_u8(encoder, (uint8_t)value);
}

static inline void put_u32(struct encoder *encoder, uint32_t value)
{
    put_u16(encoder, (uint16_t)(value >> 16));
    put_u16(encoder, (uint16_t)value);
}

static inline void put_head(struct encoder *encoder, uint8_t kind, size_t body_len)
{
    put_u8(encoder, kind);
    put_u8(encoder, (uint8_t)(2 + body_len));
}

static inline int packet_encode_options(uint8_t out[TCP_OPTIONS_MAX],
                                        const struct tcp_options *options)
{
    struct encoder encoder = {.out = out};

    if (options->sack_count > TCP_SACK_MAX)
        return -EINVAL;
    if (options->has_mss) {
        put_head(&encoder, TCP_OPTION_MSS, 2);
        put_u16(&encoder, options->mss);
    }
    if (options->has_timestamps) {
        put_head(&encoder, TCP_OPTION_TIMESTAMPS, 8);
        put_u32(&encoder, options->ts_value);
        put_u32(&encoder, options->ts_echo);
    }
    if (options->has_window_scale) {
        put_head(&encoder, TCP_OPTION_WINDOW_SCALE, 1);
        put_u8(&encoder, options->window_scale);
    }
    if (options->sack_count)
        put_head(&encoder, TCP_OPTION_SACK, 8 * (size_t)options->sack_count);
    for (size_t i = 0; i < options->sack_count; i++) {
        put_u32(&encoder, options->sack[i].left);
        put_u32(&encoder, options->sack[i].right);
    }
    while (encoder.len % 4)
        put_u8(&encoder, TCP_OPTION_NOP);
    return encoder.len <= TCP_OPTIONS_MAX ? (int)encoder.len : -EINVAL;
}

static inline size_t build_ip(uint8_t *at, const struct packet_tcp *tcp, size_t transport_len)
{
    bool is_v4 = tcp->family == 4;
    size_t len = is_v4 ? IP4_HEADER_MIN : IP6_HEADER_LEN;
    uint8_t ttl = tcp->ttl ? tcp->ttl : 64;

    memset(at, 0, len);
    if (!is_v4) {
        set_u32(at, UINT32_C(6) << 28);
        set_u16(at + 4, (uint16_t)transport_len);
        at[6] = IP_TCP;
        at[7] = ttl;
    } else {
        at[0] = 0x45;
        set_u16(at + 2, (uint16_t)(len + transport_len));
        set_u16(at + 4, tcp->ip_id);
        set_u16(at + 6, 0x4000); /* do not fragment */
        at[8] = ttl;
        at[9] = IP_TCP;
    }
    memcpy(at + (is_v4 ? 12 : 8), tcp->source.address, is_v4 ? 4 : 16);
    memcpy(at + (is_v4 ? 16 : 24), tcp->destination.address, is_v4 ? 4 : 16);
    if (is_v4)
        set_u16(at + 10, (uint16_t)~checksum_fold(checksum_add(0, at, len)));
    return len;
}

/* The frame's length in bytes. -EINVAL: bad family or link, options that do not fit 40 bytes;
 * -ENOSPC. */
static inline int packet_build_tcp(uint8_t *out, size_t size, const struct packet_tcp *tcp)
{
    size_t link_len = tcp->link == PACKET_LINK_ETHERNET ? 14 : 0;
    uint8_t options[TCP_OPTIONS_MAX];
    int options_len = packet_encode_options(options, &tcp->options);

    if ((tcp->family != 4 && tcp->family != 6) || (!link_len && tcp->link != PACKET_LINK_RAW))
        return -EINVAL;
    if (options_len < 0)
        return options_len;
    size_t header_len = 20 + (size_t)options_len, transport_len = header_len + tcp->payload_len;
    if (link_len + IP6_HEADER_LEN + transport_len > size)
        return -ENOSPC;
    if (link_len) {
        memcpy(out, tcp->destination_mac, 6);
        memcpy(out + 6, tcp->source_mac, 6);
        set_u16(out + 12, tcp->family == 4 ? 0x0800 : 0x86dd);
    }
    uint8_t *at = out + link_len + build_ip(out + link_len, tcp, transport_len);
    set_u16(at, tcp->source.port);
    set_u16(at + 2, tcp->destination.port);
    set_u32(at + 4, tcp->seq);
    set_u32(at + 8, tcp->ack);
    set_u16(at + 12, (uint16_t)(header_len / 4 << 12 | (tcp->flags & 0x1ff)));
    set_u16(at + 14, tcp->window);
    set_u16(at + 16, 0);
    set_u16(at + 18, tcp->urgent);
    memcpy(at + 20, options, (size_t)options_len);
    if (tcp->payload_len)
        memcpy(at + header_len, tcp->payload, tcp->payload_len);
    set_u16(at + 16,
            (uint16_t)~checksum_transport(tcp->family, tcp->source.address,
                                          tcp->destination.address, IP_TCP, at, transport_len));
    return (int)((size_t)(at - out) + transport_len);
}

#endif
