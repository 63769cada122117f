/* Frames for the tests of lib/packet and lib/capture, made by hand and not with the builders that
 * are under test: sample_make() draws one of very many from a seed. */
#ifndef TESTS_PACKET_SAMPLES_H
#define TESTS_PACKET_SAMPLES_H

#include "packet/packet.h"

#include <string.h>

struct sample {
    uint8_t bytes[4096];
    size_t len;      /* on the wire */
    size_t captured; /* ≤ len */
    enum packet_link link;
    uint64_t chance;
    bool is_bad_sum; /* the checksum of the transport was made wrong */
    bool lies;       /* a length field was made wrong */
};

static inline uint32_t sample_random(struct sample *sample, uint32_t below)
{
    uint64_t x = sample->chance += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ x >> 31) % below);
}

static inline void sample_u8(struct sample *sample, uint32_t value)
{
    sample->bytes[sample->len++] = (uint8_t)value;
}

static inline void sample_u16(struct sample *sample, uint32_t value)
{
    sample_u8(sample, value >> 8);
    sample_u8(sample, value);
}

static inline void sample_u32(struct sample *sample, uint32_t value)
{
    sample_u16(sample, value >> 16);
    sample_u16(sample, value);
}

static inline void sample_add(struct sample *sample, const void *bytes, size_t len)
{
    memcpy(sample->bytes + sample->len, bytes, len);
    sample->len += len;
}

static inline void sample_noise(struct sample *sample, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sample_u8(sample, sample_random(sample, 256));
}

static inline void sample_set_u16(struct sample *sample, size_t at, uint32_t value)
{
    sample->bytes[at] = (uint8_t)(value >> 8);
    sample->bytes[at + 1] = (uint8_t)value;
}

/* The plain reading of RFC 1071, a byte at a time. */
static inline uint32_t sample_sum(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* --- link --- */

/* Little-endian. */
static inline void sample_u32_little(struct sample *sample, uint32_t value)
{
    sample_u32(sample, __builtin_bswap32(value));
}

static inline void sample_snap(struct sample *sample, uint16_t ethertype)
{
    sample_u32(sample, 0xaaaa0300);
    sample_u16(sample, 0);
    sample_u16(sample, ethertype);
}

static inline void sample_wireless(struct sample *sample, uint16_t ethertype)
{
    bool has_quality = sample_random(sample, 2);

    sample_u16(sample, has_quality ? 0x8801 : 0x0801); /* to the access point */
    sample_u16(sample, 0);
    sample_noise(sample, 18);
    sample_u16(sample, 0x1000);
    if (has_quality)
        sample_u16(sample, 0);
    sample_snap(sample, ethertype);
}

static inline void sample_rare_link(struct sample *sample, enum packet_link link, uint8_t family,
                                    uint16_t ethertype)
{
    uint16_t ppp = family == 4 ? 0x0021 : 0x0057;

    if (link == PACKET_LINK_PPP_DIRECTION)
        sample_u8(sample, 1);
    if (link == PACKET_LINK_PPP || link == PACKET_LINK_PPP_DIRECTION) {
        sample_u16(sample, 0xff03);
        sample_u16(sample, ppp);
    } else if (link == PACKET_LINK_PPPOE) {
        sample_u32(sample, 0x11000007);
        sample_u16(sample, 1000);
        sample_u16(sample, ppp);
    } else if (link == PACKET_LINK_MPLS) {
        sample_u32(sample, 17u << 12 | 64);
        sample_u32(sample, 18u << 12 | 0x100 | 64);
    } else if (link == PACKET_LINK_LLC) {
        sample_snap(sample, ethertype);
    } else if (link == PACKET_LINK_WIRELESS) {
        sample_wireless(sample, ethertype);
    } else if (link == PACKET_LINK_RADIOTAP) { /* a time and flags */
        sample_u32(sample, 0x00001100);
        sample_u32_little(sample, 3);
        sample_noise(sample, 8);
        sample_u8(sample, 0);
        sample_wireless(sample, ethertype);
    } else { /* PKTAP, of a tunnel device */
        sample_u32_little(sample, 108);
        sample_u32_little(sample, 1);
        sample_u32_little(sample, 12);
        while (sample->len < 108)
            sample_u8(sample, 0);
    }
}

static inline void sample_link(struct sample *sample, enum packet_link link, uint8_t family,
                               int tags)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa};
    static const uint16_t tag_types[2] = {0x88a8, 0x8100};
    uint16_t ethertype = family == 4 ? 0x0800 : 0x86dd;

    sample->link = link;
    switch (link) {
    case PACKET_LINK_ETHERNET:
        sample_add(sample, macs, sizeof macs);
        for (int i = 2 - tags; i < 2; i++) {
            sample_u16(sample, tag_types[i]);
            sample_u16(sample, 0x2000 | (100 + sample_random(sample, 3000)));
        }
        sample_u16(sample, ethertype);
        break;
    case PACKET_LINK_RAW:
        break;
    case PACKET_LINK_SLL:
        sample_u16(sample, sample_random(sample, 2) * 4);
        sample_u16(sample, 1);
        sample_u16(sample, 6);
        sample_add(sample, macs, 6);
        sample_u16(sample, 0);
        sample_u16(sample, ethertype);
        break;
    case PACKET_LINK_SLL2:
        sample_u16(sample, ethertype);
        sample_u16(sample, 0);
        sample_u32(sample, 2);
        sample_u16(sample, 1);
        sample_u8(sample, sample_random(sample, 2) * 4);
        sample_u8(sample, 6);
        sample_add(sample, macs, 6);
        sample_u16(sample, 0);
        break;
    case PACKET_LINK_NULL:
        sample_u8(sample, family == 4 ? 2 : 30);
        sample_u8(sample, 0);
        sample_u16(sample, 0);
        break;
    case PACKET_LINK_LOOP:
        sample_u32(sample, family == 4 ? 2 : 24);
        break;
    case PACKET_LINK_PPP:
    case PACKET_LINK_PPP_DIRECTION:
    case PACKET_LINK_PPPOE:
    case PACKET_LINK_MPLS:
    case PACKET_LINK_LLC:
    case PACKET_LINK_WIRELESS:
    case PACKET_LINK_RADIOTAP:
    case PACKET_LINK_PKTAP:
        sample_rare_link(sample, link, family, ethertype);
        break;
    }
}

/* --- network --- */

static inline void sample_ip4_options(struct sample *sample)
{
    static const uint8_t record_route[] = {7, 7, 4, 0, 0, 0, 0};
    static const uint8_t router_alert[] = {148, 4, 0, 0};
    static const uint8_t timestamp[] = {68, 8, 5, 0, 0, 0, 0, 0};
    size_t start = sample->len;

    for (uint32_t n = sample_random(sample, 4); n; n--) {
        switch (sample_random(sample, 4)) {
        case 0:
            sample_u8(sample, 1);
            break;
        case 1:
            sample_add(sample, record_route, sizeof record_route);
            break;
        case 2:
            sample_add(sample, router_alert, sizeof router_alert);
            break;
        case 3:
            sample_add(sample, timestamp, sizeof timestamp);
            break;
        }
    }
    while ((sample->len - start) % 4)
        sample_u8(sample, 0);
}

/* Where the parts of an IP packet ended up, to fill lengths and sums in afterwards. */
struct sample_ip {
    uint8_t family, protocol;
    size_t start, transport;
    bool is_fragment;
};

static inline struct sample_ip sample_ip4(struct sample *sample, uint8_t protocol, bool fragment)
{
    struct sample_ip ip = {4, protocol, sample->len, 0, fragment};
    uint32_t flags = 0x4000;

    if (fragment)
        flags = sample_random(sample, 2) ? 0x2000 : 1 + sample_random(sample, 100);
    sample_u8(sample, 0);
    sample_u8(sample, sample_random(sample, 256));
    sample_u16(sample, 0);
    sample_u16(sample, sample_random(sample, 65536));
    sample_u16(sample, flags);
    sample_u8(sample, 1 + sample_random(sample, 255));
    sample_u8(sample, protocol);
    sample_u16(sample, 0);
    sample_u32(sample, 0x0a000000 + sample_random(sample, 65536));
    sample_u32(sample, 0x0a010000 + sample_random(sample, 65536));
    if (sample_random(sample, 4) == 0)
        sample_ip4_options(sample);
    sample->bytes[ip.start] = (uint8_t)(0x40 | (sample->len - ip.start) / 4);
    ip.transport = sample->len;
    return ip;
}

/* An extension header of `kind` in front of what comes next; its first byte is filled in by the
 * one after it. */
static inline void sample_extension(struct sample *sample, uint8_t kind, bool more)
{
    switch (kind) {
    case 0:
    case 60: { /* PadN to 8 or 16 bytes */
        uint32_t units = sample_random(sample, 2);
        sample_u8(sample, 0);
        sample_u8(sample, units);
        sample_u8(sample, 1);
        sample_u8(sample, 4 + 8 * units);
        for (uint32_t i = 0; i < 4 + 8 * units; i++)
            sample_u8(sample, 0);
        break;
    }
    case 43: /* RPL source routes and their like, used up */
        sample_u16(sample, 2);
        sample_u16(sample, 0 << 8);
        sample_u32(sample, 0);
        sample_u32(sample, 0x20010db8);
        sample_u32(sample, 0);
        sample_u32(sample, 0);
        sample_u32(sample, 7);
        break;
    case 44: {
        uint32_t later = more ? 0 : 8 * (1 + sample_random(sample, 100));
        sample_u16(sample, 0);
        sample_u16(sample, more ? 1 : later);
        sample_u32(sample, 0x12340000 + sample_random(sample, 65536));
        break;
    }
    case 51: /* 12 bytes of header, 12 of check value */
        sample_u16(sample, 4);
        sample_u16(sample, 0);
        sample_u32(sample, 0x77);
        sample_u32(sample, 1);
        sample_noise(sample, 12);
        break;
    }
}

static inline struct sample_ip sample_ip6(struct sample *sample, uint8_t protocol, bool fragment)
{
    static const uint8_t kinds[] = {0, 60, 43, 44, 51, 60};
    struct sample_ip ip = {6, protocol, sample->len, 0, fragment};
    size_t next = sample->len + 6;
    bool extended = sample_random(sample, 4) == 0;

    sample_u32(sample, UINT32_C(6) << 28 | sample_random(sample, 256) << 20 |
                           sample_random(sample, 1 << 20));
    sample_u32(sample, sample_random(sample, 256) + 1);
    sample_u32(sample, 0x20010db8);
    sample_u32(sample, 0);
    sample_u32(sample, 0);
    sample_u32(sample, sample_random(sample, 65536));
    sample_u32(sample, 0x20010db8);
    sample_u32(sample, 1);
    sample_u32(sample, 0);
    sample_u32(sample, sample_random(sample, 65536));
    for (size_t i = 0; i < sizeof kinds; i++) {
        if (kinds[i] == 44 ? !fragment : !extended || sample_random(sample, 2))
            continue;
        sample->bytes[next] = kinds[i];
        next = sample->len;
        sample_extension(sample, kinds[i], sample_random(sample, 2));
        /* What follows the header of a later fragment is payload. */
        if (kinds[i] == 44)
            break;
    }
    sample->bytes[next] = protocol;
    ip.transport = sample->len;
    return ip;
}

/* Lengths and checksums of the packet that ends here. */
static inline void sample_finish(struct sample *sample, struct sample_ip ip, int sum_place)
{
    size_t transport_len = sample->len - ip.transport;

    if (ip.family == 4) {
        sample_set_u16(sample, ip.start + 2, (uint32_t)(sample->len - ip.start));
        uint32_t sum = sample_sum(0, sample->bytes + ip.start, ip.transport - ip.start);
        sample_set_u16(sample, ip.start + 10, ~sum);
    } else {
        sample_set_u16(sample, ip.start + 4, (uint32_t)(sample->len - ip.start - 40));
    }
    if (sum_place < 0)
        return;
    uint32_t sum = 0;
    if (ip.protocol != 1) {
        size_t at = ip.start + (ip.family == 4 ? 12 : 8), len = ip.family == 4 ? 8 : 32;
        uint8_t tail[4] = {(uint8_t)(transport_len >> 8), (uint8_t)transport_len, 0, ip.protocol};
        sum = sample_sum(sample_sum(0, sample->bytes + at, len), tail, sizeof tail);
    }
    sum = sample_sum(sum, sample->bytes + ip.transport, transport_len);
    sample_set_u16(sample, ip.transport + (size_t)sum_place, ~sum);
    if (sample_random(sample, 10) == 0) {
        sample->bytes[ip.transport + (size_t)sum_place] ^= 0x40;
        sample->is_bad_sum = true;
    }
}

/* --- transport --- */

/* Option `which`; those from 10 on are padding. */
static inline void sample_tcp_option(struct sample *sample, uint32_t which)
{
    switch (which) {
    case 0:
        sample_u16(sample, 0x0204);
        sample_u16(sample, 500 + sample_random(sample, 9000));
        break;
    case 1:
        sample_u16(sample, 0x0303);
        sample_u8(sample, sample_random(sample, 15));
        break;
    case 2:
        sample_u16(sample, 0x0402);
        break;
    case 3: {
        uint32_t blocks = 1 + sample_random(sample, 4);
        sample_u16(sample, 0x0502 + 8 * blocks);
        sample_noise(sample, 8 * blocks);
        break;
    }
    case 4:
        sample_u16(sample, 0x080a);
        sample_noise(sample, 8);
        break;
    case 5:
        sample_u16(sample, 0x1312);
        sample_noise(sample, 16);
        break;
    case 6: {
        uint32_t cookie = sample_random(sample, 3) * 8;
        sample_u16(sample, 0x2202 + cookie);
        sample_noise(sample, cookie);
        break;
    }
    case 7:
        sample_u32(sample, 0xfe0cf989);
        sample_noise(sample, 8);
        break;
    case 8: /* MPTCP: MP_PRIO, MP_FASTCLOSE */
        if (sample_random(sample, 2)) {
            sample_u32(sample, 0x1e035001);
            sample->len--;
        } else {
            sample_u32(sample, 0x1e0c7000);
            sample_noise(sample, 8);
        }
        break;
    case 9: /* nobody's */
        sample_u32(sample, 0xc804abcd);
        break;
    default:
        sample_u8(sample, 1);
        break;
    }
}

static inline void sample_tcp_options(struct sample *sample, size_t header)
{
    size_t start = sample->len;
    uint32_t used = 0;

    for (uint32_t n = sample_random(sample, 7); n; n--) {
        size_t before = sample->len;
        uint32_t which = sample_random(sample, 12);
        if (which < 10 && used >> which & 1)
            continue;
        /* Both forms of fast open are one to a reader. */
        used |= which == 6 || which == 7 ? 0xc0 : 1u << which;
        sample_tcp_option(sample, which);
        if (sample->len - start > 40)
            sample->len = before;
    }
    while ((sample->len - start) % 4)
        sample_u8(sample, sample_random(sample, 2));
    sample->bytes[header + 12] |= (uint8_t)((sample->len - header) / 4 << 4);
}

static inline int sample_tcp(struct sample *sample)
{
    size_t start = sample->len;

    sample_u16(sample, 20000 + sample_random(sample, 40000));
    sample_u16(sample, 20000 + sample_random(sample, 40000));
    sample_noise(sample, 8);
    sample_u8(sample, sample_random(sample, 2));
    sample_u8(sample, sample_random(sample, 256));
    sample_noise(sample, 2);
    sample_u16(sample, 0);
    sample_noise(sample, 2);
    sample_tcp_options(sample, start);
    sample_noise(sample, sample_random(sample, 4) ? sample_random(sample, 100) : 0);
    return 16;
}

static inline int sample_udp(struct sample *sample)
{
    uint32_t len = sample_random(sample, 100);

    sample_u16(sample, 20000 + sample_random(sample, 40000));
    sample_u16(sample, 20000 + sample_random(sample, 40000));
    sample_u16(sample, 8 + len);
    sample_u16(sample, 0);
    sample_noise(sample, len);
    return 6;
}

/* A packet that an ICMP error quotes: cut to what fits, or to the eight bytes of RFC 792. */
static inline void sample_quote(struct sample *sample, uint8_t family)
{
    uint8_t protocol = sample_random(sample, 4) ? 6 : 17;
    struct sample_ip ip =
        family == 4 ? sample_ip4(sample, protocol, false) : sample_ip6(sample, protocol, false);
    bool is_bad_sum = sample->is_bad_sum;
    int place = protocol == 6 ? sample_tcp(sample) : sample_udp(sample);

    sample_finish(sample, ip, place);
    sample->is_bad_sum = is_bad_sum;
    if (sample_random(sample, 2))
        sample->len = ip.transport + 8;
}

static inline int sample_icmp(struct sample *sample, uint8_t family)
{
    static const uint16_t types4[] = {0x0800, 0x0000, 0x0300, 0x0301, 0x0303,
                                      0x0304, 0x030d, 0x0b00, 0x0b01};
    static const uint16_t types6[] = {0x8000, 0x8100, 0x0100, 0x0101, 0x0103,
                                      0x0104, 0x0200, 0x0300, 0x0401};
    uint32_t type =
        family == 4 ? types4[sample_random(sample, 9)] : types6[sample_random(sample, 9)];
    bool is_echo = family == 4 ? type <= 0x00ff || type == 0x0800 : type >= 0x8000;

    sample_u16(sample, type);
    sample_u16(sample, 0);
    if (is_echo) {
        sample_noise(sample, 4);
        sample_noise(sample, sample_random(sample, 64));
    } else {
        sample_u32(sample, type == 0x0304 || type == 0x0200 ? 1280 : 0);
        sample_quote(sample, family);
    }
    return 2;
}

static inline void sample_arp(struct sample *sample)
{
    sample_set_u16(sample, sample->len - 2, 0x0806);
    sample_u32(sample, 0x00010800);
    sample_u32(sample, 0x06040001);
    sample_noise(sample, 20);
}

/* A length field that contradicts the frame. */
static inline void sample_lie(struct sample *sample, struct sample_ip ip)
{
    sample->lies = true;
    if (sample_random(sample, 2))
        sample_set_u16(sample, ip.start + (ip.family == 4 ? 2 : 4), sample_random(sample, 2000));
    else if (ip.protocol == 6)
        sample->bytes[ip.transport + 12] = (uint8_t)(sample_random(sample, 16) << 4);
    else
        sample_set_u16(sample, ip.transport + 4, sample_random(sample, 400));
}

static inline struct sample sample_make(enum packet_link link, uint64_t seed)
{
    struct sample sample = {.chance = seed * 1000003 + (uint64_t)link};
    uint32_t what = sample_random(&sample, 20);
    uint8_t family = sample_random(&sample, 2) ? 4 : 6;
    uint8_t protocol = what < 12 ? 6 : what < 15 ? 17 : family == 4 ? 1 : 58;
    bool fragment = sample_random(&sample, 12) == 0;
    int place;

    sample_link(&sample, link, family, (int)sample_random(&sample, 3));
    if (what == 19 && link == PACKET_LINK_ETHERNET) {
        sample_arp(&sample);
        sample.captured = sample.len;
        return sample;
    }
    struct sample_ip ip = family == 4 ? sample_ip4(&sample, protocol, fragment)
                                      : sample_ip6(&sample, protocol, fragment);
    if (protocol == 6)
        place = sample_tcp(&sample);
    else
        place = protocol == 17 ? sample_udp(&sample) : sample_icmp(&sample, family);
    sample_finish(&sample, ip, place);
    if (sample_random(&sample, 20) == 0)
        sample_lie(&sample, ip);
    if (link == PACKET_LINK_ETHERNET && sample_random(&sample, 8) == 0)
        for (uint32_t n = sample_random(&sample, 20); n; n--)
            sample_u8(&sample, 0);
    sample.captured = sample.len;
    if (sample_random(&sample, 5) == 0)
        sample.captured = 1 + sample_random(&sample, (uint32_t)sample.len);
    return sample;
}

#endif
