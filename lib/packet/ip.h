/* The IP headers, outer or quoted: everything up to where the transport header starts.
 * Internal to this room. */
#ifndef PACKET_IP_H
#define PACKET_IP_H

#include "packet/view.h"

/* Protocol numbers (IANA). */
enum {
    IP_HOP_BY_HOP = 0,
    IP_ICMP = 1,
    IP_IGMP = 2,
    IP_IN_IP = 4,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_IP6 = 41,
    IP_ROUTING = 43,
    IP_FRAGMENT = 44,
    IP_GRE = 47,
    IP_AUTHENTICATION = 51,
    IP_ICMPV6 = 58,
    IP_NO_NEXT = 59,
    IP_DESTINATION = 60,
    IP_ETHERNET = 97,
    IP_MOBILITY = 135,
    IP_MPLS = 137,
    IP_HOST_IDENTITY = 139,
    IP_SHIM6 = 140,
};

#define IP4_HEADER_MIN 20
#define IP6_HEADER_LEN 40

struct ip_header {
    uint8_t family; /* 0: there is no usable header */
    uint8_t protocol, ttl, traffic_class;
    bool is_fragment, more_fragments, dont_fragment;
    uint32_t fragment_offset, id;
    uint8_t source[16], destination[16];
    size_t transport; /* where the transport header starts */
    size_t end;       /* where the packet ends, never behind `limit` */
    bool longer;      /* the header claims bytes behind `limit` (usual in a quote) */
};

/* Reads the header of `family` at `offset`; the packet can't go beyond `limit`. */
enum packet_status ip_read(struct ip_header *out, const struct view *view, size_t offset,
                           size_t limit, uint8_t family);

#endif
