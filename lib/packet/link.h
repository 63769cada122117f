/* Link headers: how a frame starts, up to where its network header is. Internal to this room. */
#ifndef PACKET_LINK_H
#define PACKET_LINK_H

#include "packet/view.h"

enum {
    ETHERTYPE_IP4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IP6 = 0x86dd,
    ETHERTYPE_MPLS = 0x8847,
    ETHERTYPE_MPLS_UPSTREAM = 0x8848,
    ETHERTYPE_PPPOE = 0x8864,
    ETHERTYPE_PROVIDER_VLAN = 0x88a8,
    ETHERTYPE_QINQ_OLD = 0x9100,
    ETHERTYPE_QINQ_OLDER = 0x9200,
};

/* Reads the link header of out->link: sets out->ethertype and out->network_offset. */
enum packet_status link_read(struct segment *out, const struct view *view);

/* The same for what a tunnel carries: an Ethernet frame at `offset`, or what `ethertype` says. */
enum packet_status link_read_ethernet(struct segment *out, const struct view *view, size_t offset);
enum packet_status link_read_ethertype(struct segment *out, const struct view *view, size_t offset,
                                       uint16_t ethertype);

#endif
