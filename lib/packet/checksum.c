#include "packet/checksum.h"
#include "packet/ip.h"

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (; len >= 4; p += 4, len -= 4)
        sum += ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
    if (len >= 2) {
        sum += (uint32_t)(p[0] << 8 | p[1]);
        p += 2;
        len -= 2;
    }
    if (len)
        sum += (uint32_t)p[0] << 8;
    return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t checksum_pseudo(uint8_t family, const uint8_t source[16], const uint8_t destination[16],
                         uint8_t protocol, size_t len)
{
    size_t address_len = family == 4 ? 4 : 16;

    return checksum_add(checksum_add((uint64_t)protocol + len, source, address_len), destination,
                        address_len);
}

static bool has_pseudo(uint8_t protocol)
{
    return protocol != IP_ICMP && protocol != IP_IGMP;
}

uint16_t checksum_transport(uint8_t family, const uint8_t source[16], const uint8_t destination[16],
                            uint8_t protocol, const uint8_t *bytes, size_t len)
{
    uint64_t sum =
        has_pseudo(protocol) ? checksum_pseudo(family, source, destination, protocol, len) : 0;
    return checksum_fold(checksum_add(sum, bytes, len));
}

int checksum_place(const struct segment *segment)
{
    switch (segment->kind) {
    case PACKET_TCP:
        return 16;
    case PACKET_UDP:
        return 6;
    case PACKET_ICMP:
    case PACKET_ND:
    case PACKET_MLD:
        return 2;
    case PACKET_OTHER:
    case PACKET_OTHER_IP:
    case PACKET_FRAGMENT:
    case PACKET_ARP:
        break;
    }
    return -1;
}
