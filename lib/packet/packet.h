/* Frames, read: bytes → struct segment.
 *
 * packet_decode() reads one frame of any of the link types below: VLAN tags, MPLS labels (with
 * Ethernet pseudowires), PPPoE and SNAP, IPv4 with options (RFC 791), IPv6 with extension headers
 * (RFC 8200), TCP with MSS, window scale, SACK and timestamps (RFC 9293, 2018, 7323), UDP, ICMP
 * (RFC 792) and ICMPv6 (RFC 4443) with the segment they quote. packet_decode_inner() goes on into
 * tunnels, and struct packet_fragments makes segments of fragments.
 *
 * What it promises:
 *   - Bytes are hostile. Nothing outside [bytes, bytes + captured) is read, whatever the lengths
 *     in the headers say; every walk is bounded. A frame that was cut or that lies has a status.
 *   - Pure: no allocation, no state, no I/O; any thread. The segment keeps no pointer: all places
 *     are offsets into the frame, which the caller still owns.
 *   - Numbers are in host byte order; addresses and MACs are in network order.
 *   - What was not there is 0; the has_… and kind fields say what was. */
#ifndef PACKET_PACKET_H
#define PACKET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a frame starts. lib/capture translates libpcap's link types. */
enum packet_link {
    PACKET_LINK_ETHERNET,
    PACKET_LINK_RAW,  /* an IPv4 or IPv6 header at once */
    PACKET_LINK_SLL,  /* Linux "cooked", version 1: the device "any" */
    PACKET_LINK_SLL2, /* the same, version 2 */
    PACKET_LINK_NULL, /* BSD loopback: the address family in the capturing machine's byte order */
    PACKET_LINK_LOOP, /* OpenBSD loopback: the address family in network byte order */
    PACKET_LINK_PPP,  /* with or without HDLC's address and control, or Cisco's HDLC */
    PACKET_LINK_PPP_DIRECTION, /* a byte in front tells the direction */
    PACKET_LINK_PPPOE,         /* PPPoE without Ethernet's header */
    PACKET_LINK_MPLS,
    PACKET_LINK_LLC,      /* RFC 1483 */
    PACKET_LINK_WIRELESS, /* IEEE 802.11: data frames that are not encrypted and not aggregates */
    PACKET_LINK_RADIOTAP, /* the same behind radiotap */
    PACKET_LINK_PKTAP,    /* Darwin's, in front of Ethernet, raw IP or loopback */
    PACKET_LINK_LAST = PACKET_LINK_PKTAP,
};

enum packet_kind {
    PACKET_OTHER,    /* not IP, or the IP header is not whole */
    PACKET_OTHER_IP, /* IP, but no kind below; `protocol` says what. Also a TCP, UDP or ICMP header
                        that is too short to use: then the status says why */
    PACKET_TCP,      /* ports, seq, ack, flags and window are valid */
    PACKET_UDP,      /* ports are valid */
    PACKET_ICMP,     /* both families; `icmp` is valid */
    PACKET_FRAGMENT, /* a fragment that is not the first: no transport header */
    PACKET_ARP,
    PACKET_ND, /* ICMPv6 neighbour and router discovery (types 133–137); `icmp` is valid */
    PACKET_MLD, /* multicast membership: ICMPv6 types 130–132 and 143 (`icmp` is valid), and IGMP */
};

/* From good to bad; a frame has the worst that applies. */
enum packet_status {
    PACKET_COMPLETE,
    PACKET_CUT_PAYLOAD, /* the snap length cut payload; every header is whole */
    PACKET_CUT_HEADER,  /* the snap length cut a header or its options */
    PACKET_MALFORMED,   /* a length or version field contradicts the frame */
};

#define SEGMENT_FIN 0x001
#define SEGMENT_SYN 0x002
#define SEGMENT_RST 0x004
#define SEGMENT_PSH 0x008
#define SEGMENT_ACK 0x010
#define SEGMENT_URG 0x020
#define SEGMENT_ECE 0x040
#define SEGMENT_CWR 0x080
#define SEGMENT_AE  0x100 /* accurate ECN, once NS */

struct packet_endpoint {
    uint8_t address[16]; /* IPv4: the first four, the rest 0 */
    uint16_t port;       /* 0 where the protocol has none */
};

#define TCP_SACK_MAX 4

struct tcp_sack {
    uint32_t left, right; /* received: left ≤ seq < right */
};

struct tcp_options {
    bool has_mss : 1;
    bool has_window_scale : 1;
    bool has_timestamps : 1;
    bool malformed : 1;   /* an option's length lies: it and those after it were not read */
    uint8_t window_scale; /* as sent; a receiver must use at most 14 (RFC 7323 §2.3) */
    uint8_t sack_count;
    uint16_t mss;
    uint32_t ts_value, ts_echo;
    struct tcp_sack sack[TCP_SACK_MAX];
};

/* What an ICMP error quotes of the segment that caused it. */
struct packet_quote {
    uint8_t family; /* 4, 6, or 0: no quote, or too short for an IP header */
    uint8_t protocol;
    bool has_ports;
    bool has_seq; /* TCP only */
    struct packet_endpoint source, destination;
    uint32_t seq;
};

struct packet_icmp {
    uint8_t type, code;
    bool is_error; /* it quotes: unreachable, too big, exceeded, parameter problem … */
    uint32_t mtu;  /* of fragmentation needed (IPv4) and packet too big (IPv6) */
    struct packet_quote quote;
};

struct segment {
    enum packet_kind kind;
    enum packet_status status;
    enum packet_link link;
    bool has_mac : 1; /* Ethernet */
    bool has_ports : 1;
    bool is_fragment : 1; /* any fragment, the first included */
    bool more_fragments : 1;
    bool dont_fragment : 1; /* IPv4 */
    bool encapsulated : 1;  /* there is more than a link header and tags in front of IP: an answer
                               cannot be made by copying that */
    uint8_t tunnels;        /* that the frame was in (packet_decode_inner()) */
    uint8_t family;         /* 4, 6, or 0: not IP */
    uint8_t protocol;       /* IP protocol number after all extension headers */
    uint8_t ttl;            /* or hop limit */
    uint8_t traffic_class;  /* DSCP and ECN */
    uint8_t vlan_count;
    uint16_t vlan[2];   /* ids of the outermost tags */
    uint16_t ethertype; /* after the tags */
    uint8_t source_mac[6], destination_mac[6];
    struct packet_endpoint source, destination;
    uint32_t fragment_offset; /* in bytes */
    uint32_t ip_id;           /* IPv4's, or of IPv6's fragment header */
    uint32_t network_id; /* of the virtual network (VXLAN, GENEVE, NVGRE) that the innermost such
                            tunnel is for; the same addresses may be others in another */

    /* Places in the frame. A header that starts behind the captured bytes has its offset all the
     * same. `network_end` is where the IP packet ends on the wire (before Ethernet's padding),
     * never behind the frame. */
    uint32_t network_offset, transport_offset, network_end;
    uint32_t payload_offset;
    uint32_t payload_len;      /* on the wire, of this frame */
    uint32_t payload_captured; /* how much of it is there to read: ≤ payload_len */

    uint32_t seq, ack;
    uint16_t flags; /* SEGMENT_… */
    uint16_t window;
    struct tcp_options options;

    struct packet_icmp icmp;
};

/* Decodes a frame of which `captured` of `wire` bytes are there (wire < captured is taken as
 * equal). Always fills *out; returns its status. */
enum packet_status packet_decode(struct segment *out, enum packet_link link, const void *bytes,
                                 size_t captured, size_t wire);

/* The same, and in a tunnel the innermost packet that can be read: in IP in IP (RFC 2003, 2473,
 * 4213), GRE (RFC 2784, 2890, with Ethernet, NVGRE and ERSPAN), EtherIP, MPLS in IP, and, told by
 * their ports, VXLAN (RFC 7348), GENEVE (RFC 8926) and GTP-U. All of *out is of that packet; MAC
 * addresses and tags are of the frame in the tunnel. Of an outer packet in fragments, the first has
 * the inner headers, and the inner packet counts as cut. */
enum packet_status packet_decode_inner(struct segment *out, enum packet_link link,
                                       const void *bytes, size_t captured, size_t wire);

/* What the first fragments of recent TCP segments said. Starts as {0}; for one thread. */
#define PACKET_FRAGMENTS_MAX 64

struct packet_fragments {
    struct segment first[PACKET_FRAGMENTS_MAX];
    unsigned next;
};

/* Makes a segment of its own of each fragment of a TCP segment, which has the fragment's part of
 * the payload (seq is that of its first byte); FIN and PSH go with the last. All that is not a
 * fragment of TCP, whose first fragment came before, stays as it is. No memory but the table: a
 * first fragment is forgotten when PACKET_FRAGMENTS_MAX others have come. */
void packet_fragments_join(struct packet_fragments *fragments, struct segment *segment);

/* The length in sequence space: payload plus one each for SYN and FIN (RFC 9293 §3.4). */
static inline uint32_t segment_seq_len(const struct segment *segment)
{
    return segment->payload_len + !!(segment->flags & SEGMENT_SYN) +
           !!(segment->flags & SEGMENT_FIN);
}

/* "SYN,ACK": the flags that are set, in the order SYN FIN RST PSH URG ACK ECE CWR AE, or "none".
 * Returns out. */
#define SEGMENT_FLAGS_TEXT_MAX 40
const char *segment_flags_text(char *out, size_t size, uint16_t flags);

/* "192.0.2.1:80", "[2001:db8::1]:80". Returns out. */
#define PACKET_ENDPOINT_TEXT_MAX 56
const char *packet_endpoint_text(char *out, size_t size, uint8_t family,
                                 const struct packet_endpoint *endpoint);
/* The address alone, without brackets or port. Returns out. */
const char *packet_address_text(char *out, size_t size, uint8_t family, const uint8_t address[16]);

#endif
