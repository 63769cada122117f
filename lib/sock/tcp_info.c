/* TCP_INFO, whatever the kernel's age.
 *
 * The kernel only ever appends to struct tcp_info (include/uapi/linux/tcp.h) and tells how many
 * bytes it wrote. So a field is a row: where it lies in the kernel's bytes, how wide it is, where
 * it goes here and in which unit. The system's header is not asked, for it may be older than the
 * running kernel; the offsets are the kernel's ABI. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

_Static_assert(SOCK_TCP_TOTAL_RTO_TIME + 1 == SOCK_TCP_FIELD_COUNT, "the count is the last + 1");
_Static_assert(SOCK_TCP_FIELD_COUNT <= 64, "known is 64 bits");

/* Up to total_rto_time, which ends at 248; later kernels append more. */
#define KERNEL_BYTES 248

struct row {
    uint8_t field;
    uint8_t from, from_bytes;
    uint8_t to_bytes;
    uint16_t to;
    uint32_t scale; /* from the kernel's unit to ours: µs and ms to ns */
};

#define ROW(bit, offset, width, member, factor)                                                    \
    {                                                                                              \
        SOCK_TCP_##bit, offset, width, sizeof(((struct sock_tcp_info *)0)->member),                \
            offsetof(struct sock_tcp_info, member), factor                                         \
    }

static const struct row rows[] = {
    ROW(STATE, 0, 1, state, 1),
    ROW(CA_STATE, 1, 1, ca_state, 1),
    ROW(RETRANSMITS, 2, 1, retransmits, 1),
    ROW(PROBES, 3, 1, probes, 1),
    ROW(BACKOFF, 4, 1, backoff, 1),
    ROW(OPTIONS, 5, 1, options, 1),
    /* 6: window scales, 7: application limited; bit fields, see below */
    ROW(RTO, 8, 4, rto_ns, 1000),
    ROW(ATO, 12, 4, ato_ns, 1000),
    ROW(SND_MSS, 16, 4, snd_mss, 1),
    ROW(RCV_MSS, 20, 4, rcv_mss, 1),
    ROW(UNACKED, 24, 4, unacked, 1),
    ROW(SACKED, 28, 4, sacked, 1),
    ROW(LOST, 32, 4, lost, 1),
    ROW(RETRANS, 36, 4, retrans, 1),
    /* 40: fackets, unused since 4.15 */
    ROW(LAST_DATA_SENT, 44, 4, last_data_sent_ms, 1),
    /* 48: last_ack_sent, never filled */
    ROW(LAST_DATA_RECV, 52, 4, last_data_recv_ms, 1),
    ROW(LAST_ACK_RECV, 56, 4, last_ack_recv_ms, 1),
    ROW(PMTU, 60, 4, pmtu, 1),
    ROW(RCV_SSTHRESH, 64, 4, rcv_ssthresh, 1),
    ROW(RTT, 68, 4, rtt_ns, 1000),
    ROW(RTTVAR, 72, 4, rttvar_ns, 1000),
    ROW(SND_SSTHRESH, 76, 4, snd_ssthresh, 1),
    ROW(SND_CWND, 80, 4, snd_cwnd, 1),
    ROW(ADVMSS, 84, 4, advmss, 1),
    ROW(REORDERING, 88, 4, reordering, 1),
    ROW(RCV_RTT, 92, 4, rcv_rtt_ns, 1000),
    ROW(RCV_SPACE, 96, 4, rcv_space, 1),
    ROW(TOTAL_RETRANS, 100, 4, total_retrans, 1),
    ROW(PACING_RATE, 104, 8, pacing_rate, 1),
    ROW(MAX_PACING_RATE, 112, 8, max_pacing_rate, 1),
    ROW(BYTES_ACKED, 120, 8, bytes_acked, 1),
    ROW(BYTES_RECEIVED, 128, 8, bytes_received, 1),
    ROW(SEGS_OUT, 136, 4, segs_out, 1),
    ROW(SEGS_IN, 140, 4, segs_in, 1),
    ROW(NOTSENT, 144, 4, notsent_bytes, 1),
    ROW(MIN_RTT, 148, 4, min_rtt_ns, 1000),
    ROW(DATA_SEGS_IN, 152, 4, data_segs_in, 1),
    ROW(DATA_SEGS_OUT, 156, 4, data_segs_out, 1),
    ROW(DELIVERY_RATE, 160, 8, delivery_rate, 1),
    ROW(BUSY, 168, 8, busy_ns, 1000),
    ROW(RWND_LIMITED, 176, 8, rwnd_limited_ns, 1000),
    ROW(SNDBUF_LIMITED, 184, 8, sndbuf_limited_ns, 1000),
    ROW(DELIVERED, 192, 4, delivered, 1),
    ROW(DELIVERED_CE, 196, 4, delivered_ce, 1),
    ROW(BYTES_SENT, 200, 8, bytes_sent, 1),
    ROW(BYTES_RETRANS, 208, 8, bytes_retrans, 1),
    ROW(DSACK_DUPS, 216, 4, dsack_dups, 1),
    ROW(REORD_SEEN, 220, 4, reord_seen, 1),
    ROW(RCV_OOOPACK, 224, 4, rcv_ooopack, 1),
    ROW(SND_WND, 228, 4, snd_wnd, 1),
    ROW(RCV_WND, 232, 4, rcv_wnd, 1),
    ROW(REHASH, 236, 4, rehash, 1),
    ROW(TOTAL_RTO, 240, 2, total_rto, 1),
    ROW(TOTAL_RTO_RECOVERIES, 242, 2, total_rto_recoveries, 1),
    ROW(TOTAL_RTO_TIME, 244, 4, total_rto_ns, 1000000),
};

static uint64_t get(const unsigned char *p, size_t width)
{
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;

    switch (width) {
    case 1:
        return memcpy(&a, p, sizeof a), a;
    case 2:
        return memcpy(&b, p, sizeof b), b;
    case 4:
        return memcpy(&c, p, sizeof c), c;
    }
    return memcpy(&d, p, sizeof d), d;
}

static void put(unsigned char *p, size_t width, uint64_t value)
{
    uint8_t a = (uint8_t)value;
    uint16_t b = (uint16_t)value;
    uint32_t c = (uint32_t)value;

    memcpy(p,
           width == 1   ? (void *)&a
           : width == 2 ? (void *)&b
           : width == 4 ? (void *)&c
                        : (void *)&value,
           width);
}

/* Bit fields share a byte: their order in it follows the machine's byte order. */
static void decode_bits(struct sock_tcp_info *out, const unsigned char *bytes, size_t len_bytes)
{
    const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

    if (len_bytes > 6) {
        uint8_t low = bytes[6] & 15, high = bytes[6] >> 4;
        out->snd_wscale = little ? low : high;
        out->rcv_wscale = little ? high : low;
        out->known |= UINT64_C(1) << SOCK_TCP_WSCALE;
    }
    if (len_bytes > 7) {
        out->delivery_rate_app_limited = little ? bytes[7] & 1 : bytes[7] >> 7;
        out->known |= UINT64_C(1) << SOCK_TCP_APP_LIMITED;
    }
}

void sock_tcp_info_decode(struct sock_tcp_info *out, const void *bytes, size_t len_bytes)
{
    struct sock_tcp_info info = {0};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        if ((size_t)row->from + row->from_bytes > len_bytes)
            continue;
        uint64_t value = get((const unsigned char *)bytes + row->from, row->from_bytes);
        /* The kernel's minimum starts at the largest number: no sample so far. */
        if (row->field == SOCK_TCP_MIN_RTT && value == UINT32_MAX)
            continue;
        put((unsigned char *)&info + row->to, row->to_bytes, value * row->scale);
        info.known |= UINT64_C(1) << row->field;
    }
    decode_bits(&info, bytes, len_bytes);
    *out = info;
}

int sock_tcp_info(int fd, struct sock_tcp_info *out)
{
    unsigned char bytes[KERNEL_BYTES];
    socklen_t len = sizeof bytes;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes, &len))
        return -errno;
    sock_tcp_info_decode(out, bytes, len);
    return 0;
}

int sock_tcp_state(int fd)
{
    unsigned char state;
    socklen_t len = sizeof state;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len))
        return -errno;
    return len ? state : -ENODATA;
}

const char *sock_tcp_state_name(int state)
{
    static const char *const names[] = {[TCP_ESTABLISHED] = "ESTABLISHED",
                                        [TCP_SYN_SENT] = "SYN-SENT",
                                        [TCP_SYN_RECV] = "SYN-RECEIVED",
                                        [TCP_FIN_WAIT1] = "FIN-WAIT-1",
                                        [TCP_FIN_WAIT2] = "FIN-WAIT-2",
                                        [TCP_TIME_WAIT] = "TIME-WAIT",
                                        [TCP_CLOSE] = "CLOSED",
                                        [TCP_CLOSE_WAIT] = "CLOSE-WAIT",
                                        [TCP_LAST_ACK] = "LAST-ACK",
                                        [TCP_LISTEN] = "LISTEN",
                                        [TCP_CLOSING] = "CLOSING"};
    /* inet_diag shows a request socket as this; the kernel's own number for it. */
    const int new_syn_recv = 12;

    if (state == new_syn_recv)
        state = TCP_SYN_RECV;
    return state > 0 && state < (int)ARRAY_SIZE(names) ? names[state] : "?";
}
