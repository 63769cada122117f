/* What may be in front of IP: link headers, labels and tunnels, all by hand; and fragments behind.
 * Each case is a row of bytes in hex, "@" where the packet is. */
#include "base/cleanup.h"
#include "packet/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* TCP from port 40000 to port 80 with seq 1000 and 5 bytes, in IPv4 (10.0.0.1 to 10.0.0.2) and IPv6
 * (2001:db8::1 to …::2). */
static const char tcp4[] = "4500002d0007400040060000 0a0000010a000002"
                           "9c400050000003e8000000005018faf000000000 68656c6c6f";
static const char tcp6[] = "6000000000190640 20010db8000000000000000000000001"
                           "20010db8000000000000000000000002"
                           "9c400050000003e8000000005018faf000000000 68656c6c6f";

/* An IPv4 header (total length 0, as offload leaves it) of the protocol, and with it a datagram to
 * a port. */
#define IP4(protocol) "4500000000000000 40" protocol "0000 c0000201c0000202"
#define UDP(port)     IP4("11") "3039" port "00000000"
#define MACS          "02000000000b02000000000a"

struct frame {
    uint8_t bytes[512];
    size_t len;
};

static void add_hex(struct frame *out, const char *hex, const char *packet)
{
    for (; *hex; hex++) {
        if (*hex == '@') {
            add_hex(out, packet, "");
        } else if (*hex != ' ') {
            char byte[3] = {hex[0], hex[1], '\0'};
            out->bytes[out->len++] = (uint8_t)strtoul(byte, NULL, 16);
            hex++;
        }
    }
}

static struct frame frame_of(const char *hex, const char *packet)
{
    struct frame frame = {.len = 0};

    add_hex(&frame, hex, packet);
    return frame;
}

/* A datagram's length has to be right: it is filled in at its place. */
static void set_udp_len(struct frame *frame, size_t udp)
{
    frame->bytes[udp + 4] = (uint8_t)((frame->len - udp) >> 8);
    frame->bytes[udp + 5] = (uint8_t)(frame->len - udp);
}

static void assert_tcp(const struct segment *s, uint8_t family, const char *what)
{
    if (s->kind != PACKET_TCP || s->status != PACKET_COMPLETE || s->family != family ||
        s->seq != 1000 || s->payload_len != 5 || s->destination.port != 80 ||
        s->source.address[family == 4 ? 3 : 15] != 1)
        fail_msg("%s: kind %d, status %d, family %d, seq %u, payload %u", what, (int)s->kind,
                 (int)s->status, s->family, s->seq, s->payload_len);
}

static void every_link_header_leads_to_the_segment(void **state)
{
    static const struct {
        const char *what;
        enum packet_link link;
        const char *v4, *v6; /* NULL: that has no other form */
        bool encapsulated;
    } cases[] = {
        {"three tags", PACKET_LINK_ETHERNET, MACS "88a80007 91000008 81000009 0800 @", NULL, false},
        {"SNAP", PACKET_LINK_ETHERNET, MACS "0035 aaaa03 000000 0800 @",
         MACS "0049 aaaa03 000000 86dd @", true},
        {"SNAP behind a tag", PACKET_LINK_ETHERNET, MACS "81000009 0035 aaaa03 000000 0800 @", NULL,
         true},
        {"PPPoE", PACKET_LINK_ETHERNET, MACS "8864 11000042 002f 0021 @",
         MACS "8864 11000042 0043 0057 @", true},
        {"PPPoE behind tags", PACKET_LINK_ETHERNET,
         MACS "88a80007 81000009 8864 11000042 002f 0021 @", NULL, true},
        {"one label", PACKET_LINK_ETHERNET, MACS "8847 00011140 @", MACS "8847 00011140 @", true},
        {"three labels", PACKET_LINK_ETHERNET, MACS "8847 00011040 00012040 00013140 @",
         MACS "8848 00011040 00012040 00013140 @", true},
        {"pseudowire", PACKET_LINK_ETHERNET, MACS "8847 00011140" MACS "0800 @",
         MACS "8847 00011140" MACS "86dd @", true},
        {"pseudowire with a control word", PACKET_LINK_ETHERNET,
         MACS "8847 00011140 00000000" MACS "0800 @",
         MACS "8847 00011140 00000000" MACS "81000009 86dd @", true},
        {"cooked with a tag", PACKET_LINK_SLL, "0004 0001 0006 0000000000000000 8100 0009 0800 @",
         NULL, false},
        {"cooked 2", PACKET_LINK_SLL2, "0800 0000 00000002 0001 00 06 0000000000000000 @",
         "86dd 0000 00000002 0001 00 06 0000000000000000 @", false},
        {"PPP", PACKET_LINK_PPP, "ff03 0021 @", "ff03 0057 @", false},
        {"PPP, compressed", PACKET_LINK_PPP, "21 @", "57 @", false},
        {"Cisco's HDLC", PACKET_LINK_PPP, "0f00 0800 @", "8f00 86dd @", false},
        {"PPP with a direction", PACKET_LINK_PPP_DIRECTION, "01 ff03 0021 @", "00 0057 @", false},
        {"MPLS in PPP", PACKET_LINK_PPP, "ff03 0281 00011140 @", NULL, true},
        {"PPPoE alone", PACKET_LINK_PPPOE, "11000042 002f 0021 @", NULL, true},
        {"MPLS alone", PACKET_LINK_MPLS, "00011140 @", "00011040 00012140 @", true},
        {"ATM", PACKET_LINK_LLC, "aaaa03 000000 0800 @", "aaaa03 000000 86dd @", true},
        {"IEEE 802.11", PACKET_LINK_WIRELESS,
         "0802 0000" MACS "02000000000c 1000 aaaa03 000000 0800 @", NULL, true},
        {"IEEE 802.11 with four addresses and quality of service", PACKET_LINK_WIRELESS,
         "8803 0000" MACS "02000000000c 1000 02000000000d 0000 aaaa03 000000 0800 @", NULL, true},
        {"IEEE 802.11 with high throughput", PACKET_LINK_WIRELESS,
         "8881 0000" MACS "02000000000c 1000 0000 00000000 aaaa03 000000 0800 @", NULL, true},
        {"radiotap", PACKET_LINK_RADIOTAP,
         "0000 0900 02000000 00 0802 0000" MACS "02000000000c 1000 aaaa03 000000 0800 @", NULL,
         true},
        {"radiotap that tells of padding, with a time and two masks", PACKET_LINK_RADIOTAP,
         "0000 1900 03000080 00000000 00000000 0102030405060708 20"
         "8802 0000" MACS "02000000000c 1000 0000 0000 aaaa03 000000 0800 @",
         NULL, true},
        {"Darwin's header, Ethernet", PACKET_LINK_PKTAP,
         "10000000 01000000 01000000 00000000" MACS "0800 @", NULL, true},
        {"Darwin's header, raw", PACKET_LINK_PKTAP, "0c000000 01000000 0c000000 @",
         "0c000000 01000000 0c000000 @", true},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        const char *hex = i % 2 ? cases[i / 2].v6 : cases[i / 2].v4;
        uint8_t family = i % 2 ? 6 : 4;
        uint8_t answer[PACKET_ANSWER_MAX];
        struct segment s;
        if (!hex)
            continue;
        struct frame frame = frame_of(hex, family == 4 ? tcp4 : tcp6);
        packet_decode(&s, cases[i / 2].link, frame.bytes, frame.len, frame.len);
        assert_tcp(&s, family, cases[i / 2].what);
        if (s.encapsulated != cases[i / 2].encapsulated)
            fail_msg("%s", cases[i / 2].what);
        /* What has more than a link header in front is not answered. */
        int len = packet_build_rst(answer, sizeof answer, frame.bytes, frame.len, &s);
        assert_int_equal(len < 0, s.encapsulated);
        /* However it is cut, nothing is claimed. */
        for (size_t captured = 0; captured < frame.len; captured++) {
            cleanup(mem) uint8_t *copy = malloc(captured + 1);
            memcpy(copy + 1, frame.bytes, captured);
            packet_decode(&s, cases[i / 2].link, copy + 1, captured, frame.len);
            assert_int_not_equal(s.status, PACKET_COMPLETE);
        }
    }
}

static void frames_that_hold_no_packet_are_left_alone(void **state)
{
    static const struct {
        const char *what;
        enum packet_link link;
        const char *hex;
    } cases[] = {
        {"spanning tree", PACKET_LINK_ETHERNET, MACS "0026 424203 0000000000"},
        {"a session is sought", PACKET_LINK_ETHERNET, MACS "8863 11090000 0004 01010000"},
        {"link control", PACKET_LINK_PPP, "ff03 c021 01010004"},
        {"a beacon", PACKET_LINK_WIRELESS, "8000 0000 ffffffffffff" MACS "0000 0000"},
        {"encrypted", PACKET_LINK_WIRELESS,
         "0842 0000" MACS "02000000000c 1000 aaaa03 000000 0800 @"},
        {"no body", PACKET_LINK_WIRELESS, "4801 0000" MACS "02000000000c 1000 0000"},
        {"an aggregate", PACKET_LINK_WIRELESS,
         "8802 0000" MACS "02000000000c 1000 8000 aaaa03 000000 0800 @"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct frame frame = frame_of(cases[i].hex, tcp4);
        struct segment s;
        packet_decode(&s, cases[i].link, frame.bytes, frame.len, frame.len);
        if (s.kind != PACKET_OTHER || s.family)
            fail_msg("%s: kind %d", cases[i].what, (int)s.kind);
    }
    /* Tags and labels without end. */
    struct frame frame = {.len = 512};
    struct segment s;
    memset(frame.bytes, 0x81, sizeof frame.bytes);
    for (size_t i = 13; i < sizeof frame.bytes; i += 2)
        frame.bytes[i] = 0;
    assert_int_equal(packet_decode(&s, PACKET_LINK_ETHERNET, frame.bytes, frame.len, frame.len),
                     PACKET_MALFORMED);
    memset(frame.bytes, 0, sizeof frame.bytes);
    assert_int_equal(packet_decode(&s, PACKET_LINK_MPLS, frame.bytes, frame.len, frame.len),
                     PACKET_MALFORMED);
}

/* --- tunnels --- */

static const struct {
    const char *what;
    const char *v4, *v6; /* NULL: that has no other form */
    uint32_t network_id;
    int tunnels;
} tunnels[] = {
    {"IP in IPv4", IP4("04") "@", IP4("29") "@", 0, 1},
    {"IP in IPv6",
     "6000000000000440 20010db800000000000000000000000a 20010db800000000000000000000000b @",
     "6000000000002940 20010db800000000000000000000000a 20010db800000000000000000000000b @", 0, 1},
    {"GRE", IP4("2f") "0000 0800 @", IP4("2f") "0000 86dd @", 0, 1},
    {"GRE with checksum, key and number", IP4("2f") "b000 0800 00000000 00000042 00000001 @",
     IP4("2f") "b000 86dd 00000000 00000042 00000001 @", 0, 1},
    {"GRE with Ethernet", IP4("2f") "0000 6558" MACS "81000009 0800 @",
     IP4("2f") "0000 6558" MACS "86dd @", 0, 1},
    {"NVGRE", IP4("2f") "2000 6558 00123401" MACS "0800 @", NULL, 0x1234, 1},
    {"GRE with MPLS", IP4("2f") "0000 8847 00011140 @", NULL, 0, 1},
    {"ERSPAN I", IP4("2f") "0000 88be" MACS "0800 @", NULL, 0, 1},
    {"ERSPAN II", IP4("2f") "1000 88be 00000001 1000000000000000" MACS "0800 @", NULL, 0, 1},
    {"ERSPAN III", IP4("2f") "1000 22eb 00000001 200000000000000000000000" MACS "0800 @", NULL, 0,
     1},
    {"ERSPAN III with more",
     IP4("2f") "1000 22eb 00000001 200000000000000000000001 0000000000000000" MACS "0800 @", NULL,
     0, 1},
    {"EtherIP", IP4("61") "3000" MACS "0800 @", IP4("61") "3000" MACS "86dd @", 0, 1},
    {"MPLS in IP", IP4("89") "00011140 @", NULL, 0, 1},
    {"VXLAN", UDP("12b5") "08000000 00002a00" MACS "0800 @",
     UDP("12b5") "08000000 00002a00" MACS "86dd @", 42, 1},
    {"VXLAN by Linux's port", UDP("2118") "08000000 00002a00" MACS "81000009 0800 @", NULL, 42, 1},
    {"GENEVE", UDP("17c1") "0000 6558 00002a00" MACS "0800 @",
     UDP("17c1") "0200 6558 00002a00 0102800100000000" MACS "86dd @", 42, 1},
    {"GENEVE with IP", UDP("17c1") "0000 0800 00002a00 @", UDP("17c1") "0000 86dd 00002a00 @", 42,
     1},
    {"GTP-U", UDP("0868") "30ff 0031 00000007 @", UDP("0868") "30ff 0045 00000007 @", 0, 1},
    {"GTP-U with a number", UDP("0868") "32ff 0035 00000007 00010000 @", NULL, 0, 1},
    {"GTP-U with headers", UDP("0868") "34ff 0035 00000007 00000085 01100185 0210000000000000 @",
     NULL, 0, 1},
    {"VXLAN in GRE", IP4("2f") "0000 0800" UDP("12b5") "08000000 00002a00" MACS "0800 @", NULL, 42,
     2},
    {"four deep", IP4("04") IP4("04") IP4("04") IP4("29") "@", NULL, 0, 4},
};

static void the_inner_packet_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(tunnels); i++) {
        const char *hex = i % 2 ? tunnels[i / 2].v6 : tunnels[i / 2].v4;
        uint8_t family = i % 2 || tunnels[i / 2].tunnels == 4 ? 6 : 4;
        struct segment outer, inner;
        if (!hex)
            continue;
        struct frame frame = frame_of(hex, family == 4 ? tcp4 : tcp6);
        packet_decode(&outer, PACKET_LINK_RAW, frame.bytes, frame.len, frame.len);
        if (outer.protocol == 17) {
            set_udp_len(&frame, outer.transport_offset);
            packet_decode(&outer, PACKET_LINK_RAW, frame.bytes, frame.len, frame.len);
        }
        /* Only who asks for it gets the inner one. */
        assert_int_not_equal(outer.kind, PACKET_TCP);
        assert_int_equal(outer.tunnels, 0);
        packet_decode_inner(&inner, PACKET_LINK_RAW, frame.bytes, frame.len, frame.len);
        assert_tcp(&inner, family, tunnels[i / 2].what);
        assert_int_equal(inner.tunnels, tunnels[i / 2].tunnels);
        assert_int_equal(inner.network_id, tunnels[i / 2].network_id);
        assert_true(inner.encapsulated);
        assert_memory_equal(frame.bytes + inner.payload_offset, "hello", 5);
        for (size_t captured = 0; captured < frame.len; captured++) {
            cleanup(mem) uint8_t *copy = malloc(captured + 1);
            memcpy(copy + 1, frame.bytes, captured);
            packet_decode_inner(&inner, PACKET_LINK_RAW, copy + 1, captured, frame.len);
            assert_int_not_equal(inner.status, PACKET_COMPLETE);
            assert_true(inner.kind != PACKET_TCP || inner.payload_len == 5);
        }
    }
}

static void what_is_no_tunnel_stays_what_it_is(void **state)
{
    static const struct {
        const char *what, *hex;
        enum packet_kind kind;
        int tunnels;
    } cases[] = {
        {"VXLAN without its flag", UDP("12b5") "00000000 00002a00" MACS "0800 @", PACKET_UDP, 0},
        {"VXLAN with ARP", UDP("12b5") "08000000 00002a00" MACS "0806 0001", PACKET_UDP, 0},
        {"VXLAN with noise", UDP("12b5") "ffffffff ffffffff ffffffff ffffffff", PACKET_UDP, 0},
        {"GTP's echo", UDP("0868") "3201 0004 00000000 00010000", PACKET_UDP, 0},
        {"a later GENEVE", UDP("17c1") "4000 0800 00002a00 @", PACKET_UDP, 0},
        {"GRE with routes", IP4("2f") "4000 0800 00000000 @", PACKET_OTHER_IP, 0},
        {"PPTP", IP4("2f") "3001 880b 00000000 00000000", PACKET_OTHER_IP, 0},
        {"GTP's headers without end", UDP("0868") "34ff 0035 00000007 00000085 0000000000000000",
         PACKET_UDP, 0},
        {"five deep", IP4("04") IP4("04") IP4("04") IP4("04") IP4("04") "@", PACKET_OTHER_IP, 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct frame frame = frame_of(cases[i].hex, tcp4);
        struct segment s;
        packet_decode(&s, PACKET_LINK_RAW, frame.bytes, frame.len, frame.len);
        if (s.protocol == 17)
            set_udp_len(&frame, s.transport_offset);
        packet_decode_inner(&s, PACKET_LINK_RAW, frame.bytes, frame.len, frame.len);
        if (s.kind != cases[i].kind || s.tunnels != cases[i].tunnels)
            fail_msg("%s: kind %d, %d tunnels", cases[i].what, (int)s.kind, s.tunnels);
    }
}

/* The first fragment of a tunnel's packet has the inner headers: how long the segment is, they say.
 */
static void a_fragmented_tunnel_is_a_cut_segment(void **state)
{
    struct frame frame = frame_of("4500004c 0001 2000 4004 0000 c0000201c0000202 @", tcp4);
    struct segment s;

    (void)state;
    frame.len -= 5;
    frame.bytes[3] = (uint8_t)frame.len;
    packet_decode_inner(&s, PACKET_LINK_RAW, frame.bytes, frame.len, frame.len);
    assert_int_equal(s.kind, PACKET_TCP);
    assert_int_equal(s.status, PACKET_CUT_PAYLOAD);
    assert_true(s.payload_len == 5 && s.payload_captured == 0);
}

/* --- fragments --- */

/* A segment of 100 bytes with FIN in three fragments: 20 bytes of TCP and 28, 48 and 24. */
static struct segment fragment_of(uint8_t family, uint16_t id, uint32_t offset, uint32_t len,
                                  bool more, uint16_t flags)
{
    struct frame frame = {.len = 0};
    struct segment s;
    size_t transport = family == 4 ? 20 : 48;

    add_hex(&frame,
            family == 4 ? "45000000 0000 0000 4006 0000 0a0000010a000002"
                        : "60000000 0000 2c40 20010db8000000000000000000000001"
                          "20010db8000000000000000000000002 06000000 00000000",
            "");
    if (offset == 0)
        add_hex(&frame, "9c400050000003e8000000005000faf000000000", "");
    while (frame.len < transport + len)
        add_hex(&frame, "78", "");
    if (offset == 0)
        frame.bytes[transport + 13] = (uint8_t)flags;
    if (family == 4) {
        uint32_t field = offset / 8 | (more ? 0x2000 : 0);
        frame.bytes[3] = (uint8_t)frame.len;
        frame.bytes[4] = (uint8_t)(id >> 8);
        frame.bytes[5] = (uint8_t)id;
        frame.bytes[6] = (uint8_t)(field >> 8);
        frame.bytes[7] = (uint8_t)field;
    } else {
        frame.bytes[5] = (uint8_t)(frame.len - 40);
        frame.bytes[42] = (uint8_t)(offset >> 8);
        frame.bytes[43] = (uint8_t)(offset | more);
        frame.bytes[46] = (uint8_t)(id >> 8);
        frame.bytes[47] = (uint8_t)id;
    }
    packet_decode(&s, PACKET_LINK_RAW, frame.bytes, frame.len, frame.len);
    assert_int_equal(s.status, PACKET_COMPLETE);
    assert_int_equal(s.ip_id, id);
    return s;
}

static void assert_piece(struct packet_fragments *fragments, struct segment s, uint32_t seq,
                         uint32_t len, uint16_t flags)
{
    packet_fragments_join(fragments, &s);
    assert_int_equal(s.kind, PACKET_TCP);
    assert_int_equal(s.seq, seq);
    assert_int_equal(s.payload_len, len);
    assert_int_equal(s.payload_captured, len);
    assert_int_equal(s.flags, flags);
    assert_int_equal(s.destination.port, 80);
}

static void fragments_become_segments(void **state)
{
    const uint16_t all = SEGMENT_ACK | SEGMENT_PSH | SEGMENT_FIN;

    (void)state;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct packet_fragments fragments = {.next = 0};
        assert_piece(&fragments, fragment_of(family, 7, 0, 48, true, all), 1000, 28, SEGMENT_ACK);
        assert_piece(&fragments, fragment_of(family, 9, 0, 48, true, SEGMENT_SYN), 1000, 28,
                     SEGMENT_SYN);
        assert_piece(&fragments, fragment_of(family, 7, 48, 48, true, 0), 1028, 48, SEGMENT_ACK);
        assert_piece(&fragments, fragment_of(family, 7, 96, 24, false, 0), 1076, 24, all);
        assert_piece(&fragments, fragment_of(family, 9, 48, 24, false, 0), 1029, 24, 0);
        /* Whose first was never there, and one that would be in the header. */
        struct segment stray = fragment_of(family, 8, 48, 24, false, 0);
        packet_fragments_join(&fragments, &stray);
        assert_int_equal(stray.kind, PACKET_FRAGMENT);
        stray = fragment_of(family, 7, 8, 24, false, 0);
        packet_fragments_join(&fragments, &stray);
        assert_int_equal(stray.kind, PACKET_FRAGMENT);
        /* Forgotten when enough others have come. */
        for (uint16_t i = 0; i < PACKET_FRAGMENTS_MAX; i++)
            assert_piece(&fragments, fragment_of(family, (uint16_t)(100 + i), 0, 48, true, all),
                         1000, 28, SEGMENT_ACK);
        stray = fragment_of(family, 7, 48, 24, false, 0);
        packet_fragments_join(&fragments, &stray);
        assert_int_equal(stray.kind, PACKET_FRAGMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_link_header_leads_to_the_segment),
        cmocka_unit_test(frames_that_hold_no_packet_are_left_alone),
        cmocka_unit_test(the_inner_packet_is_read),
        cmocka_unit_test(what_is_no_tunnel_stays_what_it_is),
        cmocka_unit_test(a_fragmented_tunnel_is_a_cut_segment),
        cmocka_unit_test(fragments_become_segments),
    };
    return cmocka_run_group_tests_name("packet layers", tests, NULL, NULL);
}
