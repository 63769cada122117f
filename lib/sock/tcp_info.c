/* TCP_INFO, whatever the kernel's age.
 *
 * The kernel only ever appends to struct tcp_info (include/uapi/linux/tcp.h) and tells how many
 * bytes it wrote. So a field is a row: where it lies in the kernel's bytes, how wide it is, where
 * it goes here and in which unit. The system's header is not asked, for it may be older than the
 * running kernel; the offsets are the kernel's ABI.
 *
 * A prober asks once a round, and a round can be 5 µs. So the rows become straight-line code, and
 * where the kernel wrote every field the compiler knows that too. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

_Static_assert(SOCK_TCP_TOTAL_RTO_TIME + 1 == SOCK_TCP_FIELD_COUNT, "the count is the last + 1");
_Static_assert(SOCK_TCP_FIELD_COUNT <= 64, "known is 64 bits");

/* Up to total_rto_time, which ends at 248; later kernels append more. */
#define KERNEL_BYTES 248

/* ROW(bit of `known`, offset and bits in the kernel's bytes, our field, factor between the units)
 */
#define ROWS                                                                                       \
    ROW(STATE, 0, 8, state, 1)                                                                     \
    ROW(CA_STATE, 1, 8, ca_state, 1)                                                               \
    ROW(RETRANSMITS, 2, 8, retransmits, 1)                                                         \
    ROW(PROBES, 3, 8, probes, 1)                                                                   \
    ROW(BACKOFF, 4, 8, backoff, 1)                                                                 \
    ROW(OPTIONS, 5, 8, options, 1)                                                                 \
    /* 6: window scales, 7: application limited; bit fields, see below */                          \
    ROW(RTO, 8, 32, rto_ns, 1000)                                                                  \
    ROW(ATO, 12, 32, ato_ns, 1000)                                                                 \
    ROW(SND_MSS, 16, 32, snd_mss, 1)                                                               \
    ROW(RCV_MSS, 20, 32, rcv_mss, 1)                                                               \
    ROW(UNACKED, 24, 32, unacked, 1)                                                               \
    ROW(SACKED, 28, 32, sacked, 1)                                                                 \
    ROW(LOST, 32, 32, lost, 1)                                                                     \
    ROW(RETRANS, 36, 32, retrans, 1)                                                               \
    /* 40: fackets, unused since 4.15 */                                                           \
    ROW(LAST_DATA_SENT, 44, 32, last_data_sent_ms, 1)                                              \
    /* 48: last_ack_sent, never filled */                                                          \
    ROW(LAST_DATA_RECV, 52, 32, last_data_recv_ms, 1)                                              \
    ROW(LAST_ACK_RECV, 56, 32, last_ack_recv_ms, 1)                                                \
    ROW(PMTU, 60, 32, pmtu, 1)                                                                     \
    ROW(RCV_SSTHRESH, 64, 32, rcv_ssthresh, 1)                                                     \
    ROW(RTT, 68, 32, rtt_ns, 1000)                                                                 \
    ROW(RTTVAR, 72, 32, rttvar_ns, 1000)                                                           \
    ROW(SND_SSTHRESH, 76, 32, snd_ssthresh, 1)                                                     \
    ROW(SND_CWND, 80, 32, snd_cwnd, 1)                                                             \
    ROW(ADVMSS, 84, 32, advmss, 1)                                                                 \
    ROW(REORDERING, 88, 32, reordering, 1)                                                         \
    ROW(RCV_RTT, 92, 32, rcv_rtt_ns, 1000)                                                         \
    ROW(RCV_SPACE, 96, 32, rcv_space, 1)                                                           \
    ROW(TOTAL_RETRANS, 100, 32, total_retrans, 1)                                                  \
    ROW(PACING_RATE, 104, 64, pacing_rate, 1)                                                      \
    ROW(MAX_PACING_RATE, 112, 64, max_pacing_rate, 1)                                              \
    ROW(BYTES_ACKED, 120, 64, bytes_acked, 1)                                                      \
    ROW(BYTES_RECEIVED, 128, 64, bytes_received, 1)                                                \
    ROW(SEGS_OUT, 136, 32, segs_out, 1)                                                            \
    ROW(SEGS_IN, 140, 32, segs_in, 1)                                                              \
    ROW(NOTSENT, 144, 32, notsent_bytes, 1)                                                        \
    ROW(MIN_RTT, 148, 32, min_rtt_ns, 1000)                                                        \
    ROW(DATA_SEGS_IN, 152, 32, data_segs_in, 1)                                                    \
    ROW(DATA_SEGS_OUT, 156, 32, data_segs_out, 1)                                                  \
    ROW(DELIVERY_RATE, 160, 64, delivery_rate, 1)                                                  \
    ROW(BUSY, 168, 64, busy_ns, 1000)                                                              \
    ROW(RWND_LIMITED, 176, 64, rwnd_limited_ns, 1000)                                              \
    ROW(SNDBUF_LIMITED, 184, 64, sndbuf_limited_ns, 1000)                                          \
    ROW(DELIVERED, 192, 32, delivered, 1)                                                          \
    ROW(DELIVERED_CE, 196, 32, delivered_ce, 1)                                                    \
    ROW(BYTES_SENT, 200, 64, bytes_sent, 1)                                                        \
    ROW(BYTES_RETRANS, 208, 64, bytes_retrans, 1)                                                  \
    ROW(DSACK_DUPS, 216, 32, dsack_dups, 1)                                                        \
    ROW(REORD_SEEN, 220, 32, reord_seen, 1)                                                        \
    ROW(RCV_OOOPACK, 224, 32, rcv_ooopack, 1)                                                      \
    ROW(SND_WND, 228, 32, snd_wnd, 1)                                                              \
    ROW(RCV_WND, 232, 32, rcv_wnd, 1)                                                              \
    ROW(REHASH, 236, 32, rehash, 1)                                                                \
    ROW(TOTAL_RTO, 240, 16, total_rto, 1)                                                          \
    ROW(TOTAL_RTO_RECOVERIES, 242, 16, total_rto_recoveries, 1)                                    \
    ROW(TOTAL_RTO_TIME, 244, 32, total_rto_ns, 1000000)

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

#define ROW(bit, offset, bits, member, factor)                                                     \
    if (offset + bits / 8 <= len_bytes) {                                                          \
        uint##bits##_t value;                                                                      \
        memcpy(&value, bytes + offset, sizeof value);                                              \
        out->member = (__typeof__(out->member))((uint64_t)value * factor);                         \
        out->known |= UINT64_C(1) << SOCK_TCP_##bit;                                               \
    }

__attribute__((always_inline)) static inline void
decode(struct sock_tcp_info *out, const unsigned char *bytes, size_t len_bytes)
{
    *out = (struct sock_tcp_info){0};
    ROWS decode_bits(out, bytes, len_bytes);
    /* The kernel's minimum starts at the largest number: no sample so far. */
    if (out->min_rtt_ns == (int64_t)UINT32_MAX * 1000) {
        out->min_rtt_ns = 0;
        out->known &= ~(UINT64_C(1) << SOCK_TCP_MIN_RTT);
    }
}

void sock_tcp_info_decode(struct sock_tcp_info *out, const void *bytes, size_t len_bytes)
{
    if (len_bytes >= KERNEL_BYTES)
        decode(out, bytes, KERNEL_BYTES);
    else
        decode(out, bytes, len_bytes);
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
