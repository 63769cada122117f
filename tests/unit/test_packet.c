#include "base/cleanup.h"
#include "build_tcp.h"
#include "packet/build.h"
#include "packet/seq.h"
#include "packet_samples.h"
#include "packet_verify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A connection between a client with port 40000 and a server with port 80, of either family. */
static struct packet_tcp tcp_between(uint8_t family)
{
    struct packet_tcp tcp = {
        .link = PACKET_LINK_ETHERNET,
        .source_mac = {2, 0, 0, 0, 0, 0xa},
        .destination_mac = {2, 0, 0, 0, 0, 0xb},
        .family = family,
        .source = {.port = 40000},
        .destination = {.port = 80},
        .window = 1000,
    };

    memcpy(tcp.source.address,
           family == 4 ? "\x0a\0\0\1" : "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1",
           family == 4 ? 4 : 16);
    memcpy(tcp.destination.address,
           family == 4 ? "\x0a\0\0\2" : "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2",
           family == 4 ? 4 : 16);
    return tcp;
}

struct built {
    uint8_t bytes[2000];
    size_t len;
    struct segment segment;
};

static struct built build(const struct packet_tcp *tcp)
{
    struct built built;
    int len = packet_build_tcp(built.bytes, sizeof built.bytes, tcp);

    assert_true(len > 0);
    built.len = (size_t)len;
    packet_decode(&built.segment, tcp->link, built.bytes, built.len, built.len);
    assert_int_equal(built.segment.status, PACKET_COMPLETE);
    assert_int_equal(built.segment.kind, PACKET_TCP);
    return built;
}

static void assert_good(const struct segment *segment, const void *bytes, size_t len)
{
    struct packet_checksums sums = packet_verify(segment, bytes, len);

    assert_int_equal(sums.network,
                     segment->family == 4 ? PACKET_CHECKSUM_GOOD : PACKET_CHECKSUM_ABSENT);
    assert_int_equal(sums.transport, PACKET_CHECKSUM_GOOD);
}

/* --- decoding --- */

/* A SYN as Linux sends it, by hand. */
static void a_linux_syn_is_read(void **state)
{
    static const uint8_t frame[] = {
        0x02, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x08, 0x00, /**/
        0x45, 0x00, 0x00, 0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x0a, 0x74, 0x0a, 0x00, /**/
        0x00, 0x01, 0x0a, 0x00, 0x00, 0x02, 0x9c, 0x40, 0x00, 0x50, 0x12, 0x34, 0x56, 0x78, /**/
        0x00, 0x00, 0x00, 0x00, 0xa0, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x02, 0x04, /**/
        0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x00, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x00, /**/
        0x01, 0x03, 0x03, 0x07,
    };
    struct segment s;
    char text[PACKET_ENDPOINT_TEXT_MAX];

    (void)state;
    assert_int_equal(packet_decode(&s, PACKET_LINK_ETHERNET, frame, sizeof frame, sizeof frame),
                     PACKET_COMPLETE);
    assert_int_equal(s.kind, PACKET_TCP);
    assert_string_equal(packet_endpoint_text(text, sizeof text, s.family, &s.source),
                        "10.0.0.1:40000");
    assert_string_equal(packet_endpoint_text(text, sizeof text, s.family, &s.destination),
                        "10.0.0.2:80");
    assert_int_equal(s.seq, 0x12345678);
    assert_int_equal(s.flags, SEGMENT_SYN);
    assert_int_equal(s.window, 64240);
    assert_true(s.options.has_mss && s.options.has_timestamps && s.options.has_window_scale &&
                !s.options.malformed);
    assert_int_equal(s.options.mss, 1460);
    assert_int_equal(s.options.window_scale, 7);
    assert_int_equal(s.options.ts_value, 0x00010203);
    assert_int_equal(s.payload_len, 0);
    assert_int_equal(segment_seq_len(&s), 1);
    assert_false(s.is_fragment);
}

/* However a frame is cut, what is decoded agrees with the whole frame or is not claimed, and
 * nothing behind the cut is read (the copy is exactly as long as the cut). */
static void a_cut_frame_claims_nothing_that_is_not_there(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 900; seed++) {
        struct sample sample = sample_make((enum packet_link)(seed % (PACKET_LINK_LAST + 1)), seed);
        struct segment whole, cut;
        packet_decode(&whole, sample.link, sample.bytes, sample.len, sample.len);
        for (size_t captured = 0; captured < sample.len; captured++) {
            cleanup(mem) uint8_t *copy = malloc(captured + 1);
            uint8_t *end_aligned = copy + 1; /* so that a read behind the cut is an overflow */
            assert_non_null(copy);
            memcpy(end_aligned, sample.bytes, captured);
            packet_decode(&cut, sample.link, end_aligned, captured, sample.len);
            /* Only Ethernet's padding may be cut without a trace, and what is behind the end that a
             * datagram lies of. */
            if (captured < whole.network_end && whole.kind != PACKET_ARP && !sample.lies)
                assert_int_not_equal(cut.status, PACKET_COMPLETE);
            if (cut.kind == PACKET_TCP) {
                assert_int_equal(cut.seq, whole.seq);
                assert_int_equal(cut.payload_len, whole.payload_len);
            }
            assert_true((size_t)cut.payload_offset + cut.payload_captured <= captured ||
                        !cut.payload_captured);
            packet_verify(&cut, end_aligned, captured);
        }
    }
}

static void every_link_type_leads_to_the_same_segment(void **state)
{
    static const uint8_t v4_null[] = {2, 0, 0, 0}, v4_loop[] = {0, 0, 0, 2};
    static const uint8_t sll[16] = {0, 4, 0, 1, [14] = 0x08, 0x00};
    static const uint8_t sll2[20] = {0x08, 0x00, [10] = 4};
    static const uint8_t tagged[22] = {[12] = 0x88, 0xa8, 0, 7, 0x81, 0, 0x20, 9, 0x08, 0x00};
    static const struct {
        enum packet_link link;
        const uint8_t *header;
        size_t len;
        int tags;
    } cases[] = {
        {PACKET_LINK_RAW, NULL, 0, 0},     {PACKET_LINK_NULL, v4_null, 4, 0},
        {PACKET_LINK_NULL, v4_loop, 4, 0}, /* a big-endian machine captured it */
        {PACKET_LINK_LOOP, v4_loop, 4, 0}, {PACKET_LINK_SLL, sll, 16, 0},
        {PACKET_LINK_SLL2, sll2, 20, 0},   {PACKET_LINK_ETHERNET, tagged, 22, 2},
    };
    struct packet_tcp tcp = tcp_between(4);

    (void)state;
    tcp.link = PACKET_LINK_RAW;
    struct built raw = build(&tcp);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t frame[200];
        struct segment s;
        if (cases[i].len)
            memcpy(frame, cases[i].header, cases[i].len);
        memcpy(frame + cases[i].len, raw.bytes, raw.len);
        packet_decode(&s, cases[i].link, frame, cases[i].len + raw.len, 0);
        assert_int_equal(s.status, PACKET_COMPLETE);
        assert_int_equal(s.kind, PACKET_TCP);
        assert_int_equal(s.network_offset, cases[i].len);
        assert_int_equal(s.source.port, 40000);
        assert_int_equal(s.vlan_count, cases[i].tags);
        if (cases[i].tags)
            assert_true(s.vlan[0] == 7 && s.vlan[1] == 9);
        assert_good(&s, frame, cases[i].len + raw.len);
    }
}

/* The usual frame is read by a way of its own; the same packet behind another link header is not.
 */
static void the_usual_frame_is_read_as_any_other(void **state)
{
    static const uint8_t sll[16] = {[14] = 0x08, 0x00};
    int usual = 0;

    (void)state;
    for (uint64_t seed = 1; seed < 3000; seed++) {
        struct sample sample = sample_make(PACKET_LINK_ETHERNET, seed);
        struct segment s, other;
        uint8_t frame[sizeof sample.bytes + 2];
        packet_decode(&s, sample.link, sample.bytes, sample.captured, sample.len);
        if (sample.captured < 14 || s.ethertype != 0x0800 || s.network_offset != 14)
            continue;
        memcpy(frame, sll, sizeof sll);
        memcpy(frame + 16, sample.bytes + 14, sample.captured - 14);
        packet_decode(&other, PACKET_LINK_SLL, frame, sample.captured + 2, sample.len + 2);
        usual += s.kind == PACKET_TCP && s.status == PACKET_COMPLETE;
        other.link = s.link;
        other.has_mac = s.has_mac;
        memcpy(other.source_mac, s.source_mac, 6);
        memcpy(other.destination_mac, s.destination_mac, 6);
        other.network_offset -= 2;
        other.network_end -= 2;
        if (other.transport_offset)
            other.transport_offset -= 2;
        if (other.payload_offset)
            other.payload_offset -= 2;
        assert_memory_equal(&s, &other, sizeof s);
    }
    assert_true(usual > 200);
}

static void options_that_lie_are_left_alone(void **state)
{
    static const struct {
        uint8_t bytes[8];
        bool malformed, has_mss, has_scale;
    } cases[] = {
        {{2, 4, 5, 180, 3, 3, 7, 0}, false, true, true},
        {{2, 3, 5, 3, 3, 7, 0, 0}, false, false, true},   /* an MSS of one byte is skipped alone */
        {{2, 0, 5, 180, 3, 3, 7, 0}, true, false, false}, /* a length of 0 would never end */
        {{2, 1, 1, 1, 3, 3, 7, 0}, true, false, false},
        {{2, 4, 5, 180, 3, 200, 7, 0}, true, true, false}, /* leaves the header */
        {{1, 1, 1, 1, 1, 1, 1, 2}, true, false, false},    /* a kind without its length */
        {{0, 2, 4, 5, 180, 3, 3, 7}, false, false, false}, /* nothing counts after the end */
    };
    struct packet_tcp tcp = tcp_between(4);

    (void)state;
    /* Eight bytes of options, replaced by each case. */
    tcp.options.has_mss = tcp.options.has_window_scale = true;
    struct built built = build(&tcp);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct segment s;
        memcpy(built.bytes + built.segment.transport_offset + 20, cases[i].bytes, 8);
        packet_decode(&s, PACKET_LINK_ETHERNET, built.bytes, built.len, built.len);
        assert_int_equal(s.kind, PACKET_TCP);
        assert_int_equal(s.status, PACKET_COMPLETE);
        assert_int_equal(s.options.malformed, cases[i].malformed);
        assert_int_equal(s.options.has_mss, cases[i].has_mss);
        assert_int_equal(s.options.has_window_scale, cases[i].has_scale);
    }
}

static void options_written_are_options_read(void **state)
{
    static const struct tcp_options cases[] = {
        {.has_mss = true,
         .mss = 1460,
         .has_timestamps = true,
         .ts_value = 7,
         .ts_echo = 8,
         .has_window_scale = true,
         .window_scale = 9},
        {.sack_count = 3, .sack = {{1, 2}, {3, 4}, {UINT32_MAX, 5}}, .has_timestamps = true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct packet_tcp tcp = tcp_between(6);
        tcp.options = cases[i];
        struct built built = build(&tcp);
        /* What was lost or changed in reading is not written again. */
        uint8_t first[TCP_OPTIONS_MAX] = {0}, second[TCP_OPTIONS_MAX] = {0};
        int len = packet_encode_options(first, &cases[i]);
        assert_true(len > 0);
        assert_int_equal(packet_encode_options(second, &built.segment.options), len);
        assert_memory_equal(first, second, sizeof first);
    }
    uint8_t out[TCP_OPTIONS_MAX];
    struct tcp_options too_many = {.sack_count = 4, .has_timestamps = true};
    assert_int_equal(packet_encode_options(out, &too_many), -EINVAL);
}

/* A TCP payload that ends before Ethernet's padding, and one that segmentation offload left
 * without a total length. */
static void the_payload_ends_where_ip_says(void **state)
{
    struct packet_tcp tcp = tcp_between(4);
    uint8_t frame[100] = {0};
    struct segment s;

    (void)state;
    tcp.payload = "abc";
    tcp.payload_len = 3;
    struct built built = build(&tcp);
    memcpy(frame, built.bytes, built.len);
    packet_decode(&s, PACKET_LINK_ETHERNET, frame, 60, 60);
    assert_int_equal(s.payload_len, 3);
    frame[16] = frame[17] = 0;
    packet_decode(&s, PACKET_LINK_ETHERNET, frame, 60, 60);
    assert_int_equal(s.payload_len, 60 - 14 - 40);
    assert_int_equal(s.status, PACKET_COMPLETE);
    frame[17] = 200;
    packet_decode(&s, PACKET_LINK_ETHERNET, frame, 60, 60);
    assert_int_equal(s.status, PACKET_MALFORMED);
    assert_int_equal(s.kind, PACKET_TCP);
}

/* --- checksums --- */

static void an_offloaded_checksum_is_not_a_bad_one(void **state)
{
    (void)state;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct packet_tcp tcp = tcp_between(family);
        tcp.payload = "hello";
        tcp.payload_len = 5;
        struct built built = build(&tcp);
        uint8_t *sum = built.bytes + built.segment.transport_offset + 16;
        assert_good(&built.segment, built.bytes, built.len);

        size_t at = family == 4 ? 26 : 22, addresses = family == 4 ? 8 : 32;
        uint8_t tail[4] = {0, 25, 0, 6};
        uint32_t partial =
            sample_sum(sample_sum(0, built.bytes + at, addresses), tail, sizeof tail);
        sum[0] = (uint8_t)(partial >> 8);
        sum[1] = (uint8_t)partial;
        assert_int_equal(packet_verify(&built.segment, built.bytes, built.len).transport,
                         PACKET_CHECKSUM_OFFLOADED);
        sum[1] ^= 1;
        assert_int_equal(packet_verify(&built.segment, built.bytes, built.len).transport,
                         PACKET_CHECKSUM_BAD);
    }
}

/* --- answers --- */

/* RFC 9293 §3.10.7.1. */
static void a_reset_answers_as_the_rfc_says(void **state)
{
    static const struct {
        uint16_t flags;
        size_t payload_len;
        uint32_t seq, ack;
        uint16_t answer;
    } cases[] = {
        {SEGMENT_SYN, 0, 0, 1001, SEGMENT_RST | SEGMENT_ACK},
        {SEGMENT_SYN | SEGMENT_FIN, 5, 0, 1007, SEGMENT_RST | SEGMENT_ACK},
        {SEGMENT_PSH, 5, 0, 1005, SEGMENT_RST | SEGMENT_ACK},
        {SEGMENT_ACK, 0, 5000, 0, SEGMENT_RST},
        {SEGMENT_SYN | SEGMENT_ACK, 0, 5000, 0, SEGMENT_RST},
        {SEGMENT_ACK | SEGMENT_PSH, 5, 5000, 0, SEGMENT_RST},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        struct packet_tcp tcp = tcp_between(i % 2 ? 6 : 4);
        uint8_t out[PACKET_ANSWER_MAX];
        struct segment s;
        tcp.seq = 1000;
        tcp.ack = 5000;
        tcp.flags = cases[i / 2].flags;
        tcp.payload = "hello";
        tcp.payload_len = cases[i / 2].payload_len;
        struct built built = build(&tcp);
        int len = packet_build_rst(out, sizeof out, built.bytes, built.len, &built.segment);
        assert_true(len > 0);
        packet_decode(&s, PACKET_LINK_ETHERNET, out, (size_t)len, (size_t)len);
        assert_good(&s, out, (size_t)len);
        assert_int_equal(s.seq, cases[i / 2].seq);
        assert_int_equal(s.ack, cases[i / 2].ack);
        assert_int_equal(s.flags, cases[i / 2].answer);
        assert_memory_equal(&s.source, &built.segment.destination, sizeof s.source);
        assert_memory_equal(&s.destination, &built.segment.source, sizeof s.source);
        assert_memory_equal(s.destination_mac, tcp.source_mac, 6);
        assert_memory_equal(s.source_mac, tcp.destination_mac, 6);
        /* A reset is never answered. */
        assert_int_equal(packet_build_rst(out, sizeof out, out, (size_t)len, &s), -EINVAL);
        assert_int_equal(packet_build_rst(out, 20, built.bytes, built.len, &built.segment),
                         -ENOSPC);
    }
}

static void an_icmp_error_quotes_its_offender(void **state)
{
    size_t count;
    const struct icmp_name *all = icmp_names(&count);
    static const uint8_t payload[1400];

    (void)state;
    for (size_t i = 0; i < 4 * count; i++) {
        const struct icmp_name *name = &all[i / 4];
        struct packet_tcp tcp = tcp_between(i % 2 ? 6 : 4);
        uint8_t out[PACKET_ANSWER_MAX];
        struct segment s;
        tcp.seq = 77;
        tcp.payload = payload;
        tcp.payload_len = i & 2 ? sizeof payload : 10;
        struct built built = build(&tcp);
        int len = packet_build_icmp(out, sizeof out, built.bytes, built.len, &built.segment, name,
                                    NULL, 1280);
        int type = tcp.family == 4 ? name->v4_type : name->v6_type;
        if (!name->is_error || type < 0) {
            assert_int_equal(len, name->is_error ? -EOPNOTSUPP : -EINVAL);
            continue;
        }
        packet_decode(&s, PACKET_LINK_ETHERNET, out, (size_t)len, (size_t)len);
        assert_int_equal(s.status, PACKET_COMPLETE);
        assert_int_equal(s.kind, PACKET_ICMP);
        assert_good(&s, out, (size_t)len);
        assert_true(s.icmp.is_error);
        assert_ptr_equal(icmp_by_type(s.family, s.icmp.type, s.icmp.code), name);
        assert_memory_equal(s.destination.address, tcp.source.address, 16);
        assert_memory_equal(&s.icmp.quote.source, &tcp.source, sizeof tcp.source);
        assert_memory_equal(&s.icmp.quote.destination, &tcp.destination, sizeof tcp.source);
        assert_true(s.icmp.quote.has_seq);
        assert_int_equal(s.icmp.quote.seq, 77);
        bool has_mtu = !strcmp(name->name, "frag-needed");
        assert_int_equal(s.icmp.mtu, has_mtu ? 1280 : 0);
        if (i & 2)
            assert_int_equal(len, 14 + (tcp.family == 4 ? 576 : 1280));
        /* An error about an error would never end. */
        assert_int_equal(packet_build_icmp(out, sizeof out, out, (size_t)len, &s, name, NULL, 0),
                         -EINVAL);
    }
}

static void icmp_names_are_found_both_ways(void **state)
{
    (void)state;
    assert_int_equal(icmp_by_name("host-unreachable")->v4_code, 1);
    assert_int_equal(icmp_by_name("host-unreachable")->v6_code, 3);
    assert_ptr_equal(icmp_by_name("packet-too-big"), icmp_by_name("frag-needed"));
    assert_null(icmp_by_name("host"));
    assert_null(icmp_by_type(4, 200, 0));
    /* Every message has one name. */
    size_t count;
    const struct icmp_name *all = icmp_names(&count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].v4_type >= 0)
            assert_ptr_equal(icmp_by_type(4, (uint8_t)all[i].v4_type, (uint8_t)all[i].v4_code),
                             &all[i]);
        if (all[i].v6_type >= 0)
            assert_ptr_equal(icmp_by_type(6, (uint8_t)all[i].v6_type, (uint8_t)all[i].v6_code),
                             &all[i]);
        assert_ptr_equal(icmp_by_name(all[i].name), &all[i]);
    }
}

/* --- edits --- */

static void corruption_is_seen(void **state)
{
    (void)state;
    for (uint64_t chance = 0; chance < 200; chance++) {
        struct packet_tcp tcp = tcp_between(chance % 2 ? 6 : 4);
        tcp.payload = "0123456";
        tcp.payload_len = chance % 8;
        struct built built = build(&tcp), before = built;
        assert_int_equal(packet_corrupt(built.bytes, built.len, &built.segment, chance), 0);
        assert_int_equal(packet_verify(&built.segment, built.bytes, built.len).transport,
                         PACKET_CHECKSUM_BAD);
        assert_memory_equal(built.bytes, before.bytes, before.segment.transport_offset + 16);
    }
}

/* --- numbers and text --- */

static void sequence_numbers_wrap(void **state)
{
    (void)state;
    assert_true(seq_lt(UINT32_MAX, 0) && !seq_lt(0, UINT32_MAX) && seq_le(5, 5));
    assert_int_equal(seq_diff(2, UINT32_MAX), 3);
    assert_true(seq_within(1, UINT32_MAX, 2) && !seq_within(2, UINT32_MAX, 2));
}

static void flags_are_written_in_the_order_of_the_contract(void **state)
{
    char text[SEGMENT_FLAGS_TEXT_MAX], small[6];

    (void)state;
    assert_string_equal(segment_flags_text(text, sizeof text, SEGMENT_ACK | SEGMENT_SYN),
                        "SYN,ACK");
    assert_string_equal(segment_flags_text(text, sizeof text, 0x1ff),
                        "SYN,FIN,RST,PSH,URG,ACK,ECE,CWR,AE");
    assert_string_equal(segment_flags_text(text, sizeof text, 0), "none");
    assert_string_equal(segment_flags_text(small, sizeof small, 0x1ff), "SYN,F");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linux_syn_is_read),
        cmocka_unit_test(a_cut_frame_claims_nothing_that_is_not_there),
        cmocka_unit_test(the_usual_frame_is_read_as_any_other),
        cmocka_unit_test(every_link_type_leads_to_the_same_segment),
        cmocka_unit_test(options_that_lie_are_left_alone),
        cmocka_unit_test(options_written_are_options_read),
        cmocka_unit_test(the_payload_ends_where_ip_says),
        cmocka_unit_test(an_offloaded_checksum_is_not_a_bad_one),
        cmocka_unit_test(a_reset_answers_as_the_rfc_says),
        cmocka_unit_test(an_icmp_error_quotes_its_offender),
        cmocka_unit_test(icmp_names_are_found_both_ways),
        cmocka_unit_test(corruption_is_seen),
        cmocka_unit_test(sequence_numbers_wrap),
        cmocka_unit_test(flags_are_written_in_the_order_of_the_contract),
    };
    return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
