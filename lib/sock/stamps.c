/* The kernel's time stamps, and the error queue that they arrive on.
 *
 * The kernel keys a stamp of a TCP write by the sequence number of its last byte, relative to a
 * base that it takes when SOF_TIMESTAMPING_OPT_ID is switched on: the write sequence with
 * OPT_ID_TCP (6.2), before that snd_una, which is the same as long as nothing is in flight. `base`
 * is our stream offset at that moment, so offset = base + id. The id has 32 bits; the full offset
 * is the one nearest to what has been written, as less than 2 GiB can be in flight.
 *
 * On the queue a stamp is an empty packet with two control messages: the times
 * (SCM_TIMESTAMPING, first of three is the software stamp) and a sock_extended_err whose origin is
 * TIMESTAMPING, ee_info the kind and ee_data the id. ICMP errors come the same way with another
 * origin. The parser is a pure function of the control bytes. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

/* Newer than some systems' headers. */
#ifndef SO_TIMESTAMPING_OLD
#define SO_TIMESTAMPING_OLD 37
#endif
#ifndef SO_TIMESTAMPING_NEW
#define SO_TIMESTAMPING_NEW 65
#endif
#define OPT_ID_TCP (1 << 16)

/* ---- control messages ---- */

/* Seconds and nanoseconds, each `width` bytes. All zero means that there is no such stamp. */
static int64_t read_timespec(const unsigned char *p, size_t width)
{
    int64_t seconds, nanoseconds;

    if (width == 8) {
        memcpy(&seconds, p, 8);
        memcpy(&nanoseconds, p + 8, 8);
    } else {
        int32_t narrow[2];
        memcpy(narrow, p, sizeof narrow);
        seconds = narrow[0];
        nanoseconds = narrow[1];
    }
    if ((!seconds && !nanoseconds) || nanoseconds < 0 || nanoseconds >= NS_PER_SEC || seconds < 0 ||
        seconds > INT64_MAX / NS_PER_SEC - 1)
        return SOCK_NO_TIME;
    return seconds * NS_PER_SEC + nanoseconds;
}

static void parse_error(struct stamp_control *out, const unsigned char *data, size_t len_bytes)
{
    struct sock_extended_err ee;

    if (len_bytes < sizeof ee)
        return;
    memcpy(&ee, data, sizeof ee);
    out->has_error = true;
    out->ee_errno = (int)ee.ee_errno;
    out->ee_origin = ee.ee_origin;
    out->ee_type = ee.ee_type;
    out->ee_code = ee.ee_code;
    out->ee_info = ee.ee_info;
    out->ee_data = ee.ee_data;
    if (ee.ee_origin != SO_EE_ORIGIN_ICMP && ee.ee_origin != SO_EE_ORIGIN_ICMP6)
        return;
    /* SO_EE_OFFENDER: the address follows, or AF_UNSPEC where there is none. */
    struct sockaddr_storage offender = {0};
    size_t rest = len_bytes - sizeof ee;
    rest = rest < sizeof offender ? rest : sizeof offender;
    memcpy(&offender, data + sizeof ee, rest);
    sock_address_from(&out->offender, (const struct sockaddr *)&offender, (socklen_t)rest);
}

static void parse_one(struct stamp_control *out, const struct cmsghdr *header,
                      const unsigned char *data, size_t len_bytes)
{
    bool is_v4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR;
    bool is_v6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR;
    size_t width = 0;

    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPING_OLD)
        width = sizeof(long);
    else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPING_NEW)
        width = 8;
    if (width && len_bytes >= 2 * width)
        out->software_ns = read_timespec(data, width);
    if (is_v4 || is_v6)
        parse_error(out, data, len_bytes);
}

void stamp_control_parse(struct stamp_control *out, const void *control, size_t len_bytes)
{
    const unsigned char *p = control;
    struct cmsghdr header;

    *out = (struct stamp_control){.software_ns = SOCK_NO_TIME};
    /* CMSG_NXTHDR wants aligned memory and trusts cmsg_len; this does neither. */
    while (len_bytes >= sizeof header) {
        memcpy(&header, p, sizeof header);
        if (header.cmsg_len < CMSG_LEN(0) || header.cmsg_len > len_bytes)
            return;
        parse_one(out, &header, p + CMSG_LEN(0), header.cmsg_len - CMSG_LEN(0));
        size_t step = CMSG_ALIGN(header.cmsg_len);
        if (step >= len_bytes)
            return;
        p += step;
        len_bytes -= step;
    }
}

int64_t stamp_unwrap(uint32_t id, int64_t near)
{
    uint32_t ahead = id - (uint32_t)(uint64_t)near;

    return ahead < UINT32_C(1) << 31 ? near + (int64_t)ahead : near - (int64_t)(0 - ahead);
}

static bool stamp_kind(enum sock_stamp_kind *out, uint32_t kernel_kind)
{
    static const enum sock_stamp_kind kinds[] = {[SCM_TSTAMP_SND] = SOCK_STAMP_SND,
                                                 [SCM_TSTAMP_SCHED] = SOCK_STAMP_SCHED,
                                                 [SCM_TSTAMP_ACK] = SOCK_STAMP_ACK};
    if (kernel_kind >= ARRAY_SIZE(kinds))
        return false;
    *out = kinds[kernel_kind];
    return true;
}

bool stamp_from_control(struct sock_stamp *out, const struct stamp_control *control, int64_t base,
                        int64_t sent)
{
    struct sock_stamp stamp = {.kind = SOCK_STAMP_ERROR, .real_ns = SOCK_NO_TIME, .offset = -1};

    if (!control->has_error)
        return false;
    switch (control->ee_origin) {
    case SO_EE_ORIGIN_TIMESTAMPING:
        if (control->software_ns == SOCK_NO_TIME || !stamp_kind(&stamp.kind, control->ee_info))
            return false;
        stamp.real_ns = control->software_ns;
        stamp.offset = base + stamp_unwrap(control->ee_data, sent - base);
        break;
    case SO_EE_ORIGIN_ICMP:
    case SO_EE_ORIGIN_ICMP6:
        stamp.icmp = true;
        stamp.icmp_type = control->ee_type;
        stamp.icmp_code = control->ee_code;
        stamp.offender = control->offender;
        __attribute__((fallthrough));
    case SO_EE_ORIGIN_LOCAL:
        stamp.error = control->ee_errno;
        stamp.info = control->ee_info;
        break;
    default: /* zero-copy completions and what may come: nobody asked for them here */
        return false;
    }
    *out = stamp;
    return true;
}

/* ---- enabling ---- */

static int in_flight_bytes(int fd)
{
    int bytes = 0;

    return ioctl(fd, SIOCOUTQ, &bytes) ? -errno : bytes;
}

static int set_flags(struct sock *sock, unsigned flags)
{
    return sock_setsockopt(sock, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags);
}

static const struct {
    unsigned kind, flag;
} kind_flags[] = {{SOCK_STAMP_SCHED, SOF_TIMESTAMPING_TX_SCHED},
                  {SOCK_STAMP_SND, SOF_TIMESTAMPING_TX_SOFTWARE},
                  {SOCK_STAMP_ACK, SOF_TIMESTAMPING_TX_ACK},
                  {SOCK_STAMP_RX, SOF_TIMESTAMPING_RX_SOFTWARE}};

static unsigned flags_of(unsigned kinds)
{
    unsigned flags = SOF_TIMESTAMPING_SOFTWARE;

    for (size_t i = 0; i < ARRAY_SIZE(kind_flags); i++)
        if (kinds & kind_flags[i].kind)
            flags |= kind_flags[i].flag;
    if (kinds & ~(unsigned)SOCK_STAMP_RX)
        flags |= SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
    return flags;
}

/* All kinds at once; where the kernel refuses that, those that it takes one by one. */
static int enable_kinds(struct sock *sock, unsigned *kinds, unsigned extra)
{
    unsigned granted = 0;
    int rc = set_flags(sock, flags_of(*kinds) | extra);

    if (rc != -EINVAL)
        return rc;
    for (size_t i = 0; i < ARRAY_SIZE(kind_flags); i++)
        if (*kinds & kind_flags[i].kind && !set_flags(sock, flags_of(kind_flags[i].kind) | extra))
            granted |= kind_flags[i].kind;
    *kinds = granted;
    return granted ? set_flags(sock, flags_of(granted) | extra) : -EINVAL;
}

int sock_stamps_enable(struct sock *sock, unsigned wanted, unsigned *got, struct error *error)
{
    bool again = sock->stamp_kinds & ~(unsigned)SOCK_STAMP_RX;
    unsigned kinds = wanted & SOCK_STAMP_ALL;
    int rc;

    if (!kinds)
        return error_set(error, EINVAL, "no kind of time stamp was asked for");
    int state = sock_tcp_state(sock->fd);
    if (state == TCP_CLOSE || state == TCP_LISTEN)
        return error_set(error, ENOTCONN, "time stamps need a connected socket");
    rc = enable_kinds(sock, &kinds, OPT_ID_TCP);
    if (rc == -EINVAL) {
        int waiting = again ? 0 : in_flight_bytes(sock->fd);
        if (waiting)
            return error_set(error, waiting < 0 ? -waiting : EBUSY,
                             "time stamps: %d bytes are unacknowledged, and this kernel counts "
                             "from the last acknowledged byte",
                             waiting);
        kinds = wanted & SOCK_STAMP_ALL;
        rc = enable_kinds(sock, &kinds, 0);
    }
    if (rc)
        return error_sys(error, -rc, "cannot switch on kernel time stamps");
    /* The kernel keeps its base while OPT_ID stays on. */
    if (!again)
        sock->stamp_base = sock->bytes_sent;
    sock->stamp_kinds = kinds;
    if (got)
        *got = kinds;
    return 0;
}

/* ---- reading ---- */

/* Room for the times, an extended error with an IPv6 offender, and what other options add. */
#define CONTROL_BYTES 256

#define BATCH 8

/* Appends to out[*made …] what at most `count` messages hold; returns how many there were. */
static int drain_batch(struct sock *sock, struct sock_stamp *out, unsigned count, size_t *made)
{
    struct mmsghdr messages[BATCH] = {0};
    char control[BATCH][CONTROL_BYTES] __attribute__((aligned(8)));
    struct stamp_control parsed;

    for (unsigned i = 0; i < count; i++) {
        messages[i].msg_hdr.msg_control = control[i];
        messages[i].msg_hdr.msg_controllen = sizeof control[i];
    }
    int came = recvmmsg(sock->fd, messages, count, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
    if (came < 0)
        return -errno;
    for (int i = 0; i < came; i++) {
        stamp_control_parse(&parsed, control[i], messages[i].msg_hdr.msg_controllen);
        if (stamp_from_control(out + *made, &parsed, sock->stamp_base, sock->bytes_sent))
            ++*made;
    }
    return came;
}

int sock_stamps_drain(struct sock *sock, struct sock_stamp *out, size_t capacity)
{
    size_t made = 0;

    while (made < capacity) {
        unsigned wanted = capacity - made < BATCH ? (unsigned)(capacity - made) : BATCH;
        int came = drain_batch(sock, out, wanted, &made);
        if (came == -EINTR)
            continue;
        if (came == -EAGAIN)
            break;
        if (came < 0)
            return made ? (int)made : came;
        /* The queue was empty, and asking again would cost as much as the answer. */
        if ((unsigned)came < wanted)
            break;
    }
    return (int)made;
}

ssize_t sock_read_stamped(struct sock *sock, void *buffer, size_t len_bytes, int flags,
                          int64_t *rx_real_ns)
{
    char control[CONTROL_BYTES] __attribute__((aligned(8)));
    struct iovec iov = {.iov_base = buffer, .iov_len = len_bytes};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct stamp_control parsed;

    *rx_real_ns = SOCK_NO_TIME;
    ssize_t rc = receive_message(sock, &message, len_bytes, flags, buffer);
    if (rc > 0) {
        stamp_control_parse(&parsed, control, message.msg_controllen);
        *rx_real_ns = parsed.software_ns;
    }
    return rc;
}
