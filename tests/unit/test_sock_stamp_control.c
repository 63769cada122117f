/* Control messages of stamps and errors, from synthetic bytes; TCP_INFO from synthetic bytes. */
#include "netkit/sock.h"
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TIMESTAMPING_OLD 37
#define TIMESTAMPING_NEW 65

struct control {
    unsigned char bytes[512];
    size_t len_bytes;
};

static void add(struct control *c, int level, int type, const void *data, size_t len_bytes)
{
    struct cmsghdr header = {
        .cmsg_len = CMSG_LEN(len_bytes), .cmsg_level = level, .cmsg_type = type};

    memcpy(c->bytes + c->len_bytes, &header, sizeof header);
    memcpy(c->bytes + c->len_bytes + CMSG_LEN(0), data, len_bytes);
    c->len_bytes += CMSG_SPACE(len_bytes);
}

static void add_times(struct control *c, int64_t seconds, int64_t nanoseconds)
{
    int64_t times[6] = {seconds, nanoseconds};
    add(c, SOL_SOCKET, TIMESTAMPING_NEW, times, sizeof times);
}

static void add_error(struct control *c, int family, struct sock_extended_err ee,
                      const char *offender)
{
    struct {
        struct sock_extended_err ee;
        struct sockaddr_storage offender;
    } data = {.ee = ee};
    struct sock_address address = {0};
    size_t tail = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

    if (offender) {
        assert_int_equal(sock_address_literal(&address, offender, 0), 0);
        memcpy(&data.offender, &address.storage, tail);
    }
    add(c, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
        family == AF_INET ? IP_RECVERR : IPV6_RECVERR, &data, sizeof ee + tail);
}

static const struct sock_extended_err ack_of_9 = {.ee_errno = ENOMSG,
                                                  .ee_origin = SO_EE_ORIGIN_TIMESTAMPING,
                                                  .ee_info = SCM_TSTAMP_ACK,
                                                  .ee_data = 9};

static void stamps_are_read_for_both_families(void **state)
{
    static const int families[] = {AF_INET, AF_INET6};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct control c = {0};
        struct stamp_control parsed;
        struct sock_stamp stamp;
        add_times(&c, 1700000000, 5);
        add_error(&c, families[i], ack_of_9, NULL);
        stamp_control_parse(&parsed, c.bytes, c.len_bytes);
        assert_true(stamp_from_control(&stamp, &parsed, 100, 110));
        assert_int_equal(stamp.kind, SOCK_STAMP_ACK);
        assert_int_equal(stamp.offset, 109);
        assert_true(stamp.real_ns == 1700000000 * NS_PER_SEC + 5);
        assert_int_equal(stamp.error, 0);
    }
}

static void kinds_are_told_apart(void **state)
{
    static const struct {
        uint32_t kernel;
        unsigned kind;
    } cases[] = {{SCM_TSTAMP_SND, SOCK_STAMP_SND},
                 {SCM_TSTAMP_SCHED, SOCK_STAMP_SCHED},
                 {SCM_TSTAMP_ACK, SOCK_STAMP_ACK},
                 {3, 0}, /* completion reports of later kernels: not asked for */
                 {UINT32_MAX, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stamp_control parsed = {.software_ns = 1,
                                       .has_error = true,
                                       .ee_origin = SO_EE_ORIGIN_TIMESTAMPING,
                                       .ee_info = cases[i].kernel};
        struct sock_stamp stamp = {0};
        assert_int_equal(stamp_from_control(&stamp, &parsed, 0, 1), cases[i].kind != 0);
        assert_int_equal(stamp.kind, cases[i].kind);
    }
}

static void icmp_errors_are_no_stamps(void **state)
{
    const struct sock_extended_err unreachable = {
        .ee_errno = EHOSTUNREACH, .ee_origin = SO_EE_ORIGIN_ICMP, .ee_type = 3, .ee_code = 1};
    const struct sock_extended_err too_big = {
        .ee_errno = EMSGSIZE, .ee_origin = SO_EE_ORIGIN_LOCAL, .ee_info = 1400};
    const struct sock_extended_err zero_copy = {.ee_origin = SO_EE_ORIGIN_ZEROCOPY};
    struct control c = {0};
    struct stamp_control parsed;
    struct sock_stamp stamp;
    char text[SOCK_ADDRESS_TEXT_MAX];
    (void)state;
    add_error(&c, AF_INET, unreachable, "192.0.2.1");
    stamp_control_parse(&parsed, c.bytes, c.len_bytes);
    assert_true(stamp_from_control(&stamp, &parsed, 0, 0));
    assert_int_equal(stamp.kind, SOCK_STAMP_ERROR);
    assert_true(stamp.icmp && stamp.real_ns == SOCK_NO_TIME);
    assert_int_equal(stamp.error, EHOSTUNREACH);
    assert_int_equal(stamp.icmp_type, 3);
    assert_int_equal(stamp.icmp_code, 1);
    assert_string_equal(sock_address_format(text, sizeof text, &stamp.offender), "192.0.2.1:0");

    c.len_bytes = 0;
    add_error(&c, AF_INET6, unreachable, "2001:db8::1");
    stamp_control_parse(&parsed, c.bytes, c.len_bytes);
    assert_true(stamp_from_control(&stamp, &parsed, 0, 0));
    assert_string_equal(sock_address_format(text, sizeof text, &stamp.offender), "[2001:db8::1]:0");

    c.len_bytes = 0;
    add_error(&c, AF_INET, too_big, NULL);
    stamp_control_parse(&parsed, c.bytes, c.len_bytes);
    assert_true(stamp_from_control(&stamp, &parsed, 0, 0));
    assert_false(stamp.icmp);
    assert_int_equal(stamp.info, 1400);
    assert_int_equal(stamp.offender.len_bytes, 0);

    c.len_bytes = 0;
    add_error(&c, AF_INET, zero_copy, NULL);
    stamp_control_parse(&parsed, c.bytes, c.len_bytes);
    assert_false(stamp_from_control(&stamp, &parsed, 0, 0));
}

static void absent_and_foolish_times_are_none(void **state)
{
    static const int64_t bad[][2] = {{0, 0},          {-1, 5},        {5, -1},
                                     {5, NS_PER_SEC}, {INT64_MAX, 0}, {INT64_MAX / NS_PER_SEC, 1}};
    struct stamp_control parsed;
    struct control c = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        c.len_bytes = 0;
        add_times(&c, bad[i][0], bad[i][1]);
        stamp_control_parse(&parsed, c.bytes, c.len_bytes);
        assert_true(parsed.software_ns == SOCK_NO_TIME);
    }
    c.len_bytes = 0;
    long old[6] = {7, 8};
    add(&c, SOL_SOCKET, TIMESTAMPING_OLD, old, sizeof old);
    stamp_control_parse(&parsed, c.bytes, c.len_bytes);
    assert_true(parsed.software_ns == 7 * NS_PER_SEC + 8);
}

/* A length that lies must neither be believed nor loop. Each cut is a block of its own, so that the
 * sanitizer sees a read beyond it. */
static void cut_and_lying_lengths_do_no_harm(void **state)
{
    struct control c = {0};
    struct stamp_control parsed;
    (void)state;
    add_times(&c, 1, 2);
    add_error(&c, AF_INET6, ack_of_9, "::1");
    for (size_t len = 0; len <= c.len_bytes; len++) {
        cleanup(mem) unsigned char *part = malloc(len + 1);
        memcpy(part, c.bytes, len);
        part = realloc(part, len ? len : 1);
        stamp_control_parse(&parsed, part, len);
        assert_true(parsed.software_ns == SOCK_NO_TIME || len >= CMSG_LEN(48));
        assert_int_equal(parsed.has_error,
                         len >= CMSG_SPACE(48) + CMSG_LEN(sizeof(struct sock_extended_err) +
                                                          sizeof(struct sockaddr_in6)));
    }
    static const size_t lies[] = {0, 1, sizeof(struct cmsghdr) - 1, SIZE_MAX, SIZE_MAX - 7, 513};
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        struct control lie = c;
        memcpy(lie.bytes, &lies[i], sizeof lies[i]);
        stamp_control_parse(&parsed, lie.bytes, lie.len_bytes);
        assert_false(parsed.has_error);
    }
}

static void ids_unwrap_beyond_32_bits(void **state)
{
    static const struct {
        uint32_t id;
        int64_t near, offset;
    } cases[] = {
        {9, 10, 9},
        {0xffffffff, INT64_C(0x100000005), 0xffffffff}, /* written past the wrap, stamped before */
        {4, INT64_C(0x100000005), INT64_C(0x100000004)},
        {7, INT64_C(0x100000005), INT64_C(0x100000007)}, /* stamped before the write returned */
        {0, INT64_C(0xffffffff), INT64_C(0x100000000)},
        {0x80000000, INT64_C(0x300000000), INT64_C(0x280000000)},
        {0x7fffffff, INT64_C(0x300000000), INT64_C(0x37fffffff)},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_true(stamp_unwrap(cases[i].id, cases[i].near) == cases[i].offset);

    struct stamp_control parsed = {.software_ns = 1,
                                   .has_error = true,
                                   .ee_origin = SO_EE_ORIGIN_TIMESTAMPING,
                                   .ee_info = SCM_TSTAMP_SND,
                                   .ee_data = 2};
    struct sock_stamp stamp;
    const int64_t base = INT64_C(5000000000);
    assert_true(stamp_from_control(&stamp, &parsed, base, base + INT64_C(0x500000003)));
    assert_true(stamp.offset == base + INT64_C(0x500000002));
}

static void tcp_info_knows_what_the_kernel_gave(void **state)
{
    unsigned char bytes[300];
    struct sock_tcp_info info;
    uint32_t rtt_us = 1500, no_sample = UINT32_MAX;
    uint64_t busy_us = 7;
    (void)state;
    memset(bytes, 0, sizeof bytes);
    bytes[0] = TCP_ESTABLISHED;
    bytes[5] = SOCK_TCP_OPT_SACK | SOCK_TCP_OPT_WSCALE;
    bytes[6] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0x97 : 0x79;
    memcpy(bytes + 68, &rtt_us, sizeof rtt_us);
    memcpy(bytes + 148, &no_sample, sizeof no_sample);
    memcpy(bytes + 168, &busy_us, sizeof busy_us);

    sock_tcp_info_decode(&info, bytes, sizeof bytes);
    assert_int_equal(info.state, TCP_ESTABLISHED);
    assert_int_equal(info.rtt_ns, 1500000);
    assert_int_equal(info.busy_ns, 7000);
    assert_int_equal(info.snd_wscale, 7);
    assert_int_equal(info.rcv_wscale, 9);
    assert_true(SOCK_TCP_HAS(&info, RTT) && SOCK_TCP_HAS(&info, TOTAL_RTO_TIME));
    assert_false(SOCK_TCP_HAS(&info, MIN_RTT));
    assert_int_equal(info.min_rtt_ns, 0);

    /* A kernel of 2.6: up to total_retrans. */
    sock_tcp_info_decode(&info, bytes, 104);
    assert_true(SOCK_TCP_HAS(&info, TOTAL_RETRANS) && !SOCK_TCP_HAS(&info, PACING_RATE));
    sock_tcp_info_decode(&info, bytes, 71);
    assert_true(!SOCK_TCP_HAS(&info, RTT) && SOCK_TCP_HAS(&info, RCV_SSTHRESH));
    sock_tcp_info_decode(&info, bytes, 0);
    assert_true(info.known == 0);
}

static void every_tcp_info_field_has_a_row(void **state)
{
    unsigned char bytes[248] = {0};
    struct sock_tcp_info info;
    (void)state;
    sock_tcp_info_decode(&info, bytes, sizeof bytes);
    assert_true(info.known == (UINT64_C(1) << SOCK_TCP_FIELD_COUNT) - 1);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(sock_tcp_state_name(TCP_ESTABLISHED), "ESTABLISHED");
    assert_string_equal(sock_tcp_state_name(TCP_CLOSING), "CLOSING");
    assert_string_equal(sock_tcp_state_name(12), "SYN-RECEIVED");
    assert_string_equal(sock_tcp_state_name(0), "?");
    assert_string_equal(sock_tcp_state_name(-1), "?");
    assert_string_equal(sock_tcp_state_name(99), "?");
    for (int verb = 0; verb < SOCK_VERB_COUNT; verb++)
        assert_non_null(sock_verb_name((enum sock_verb)verb));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_are_read_for_both_families),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(icmp_errors_are_no_stamps),
        cmocka_unit_test(absent_and_foolish_times_are_none),
        cmocka_unit_test(cut_and_lying_lengths_do_no_harm),
        cmocka_unit_test(ids_unwrap_beyond_32_bits),
        cmocka_unit_test(tcp_info_knows_what_the_kernel_gave),
        cmocka_unit_test(every_tcp_info_field_has_a_row),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
