/* netkit/sock.h: TCP sockets that can tell what happened to them.
 *
 * A small library over the system's calls, for programs that want to know more than a result:
 * addresses, calls that report themselves, connect by every timeout method, exact reads and writes
 * with deadlines, socket options by name, TCP_INFO, the kernel's own time stamps, and sock_diag.
 *
 *     struct sock sock = SOCK_INIT;
 *     struct sock_target target;
 *     struct sock_address_list list;
 *     struct error error;
 *
 *     if (sock_target_parse(&target, "[::1]:http", NULL, 0, &error) ||
 *         sock_resolve(&target, AF_UNSPEC, &list, &error))
 *         errx(1, "%s", error.text);
 *     if (!sock_open(&sock, sock_family(&list.items[0]), 0) &&
 *         !sock_connect(&sock, &list.items[0]))
 *         sock_write_all(&sock, "GET / HTTP/1.0\r\n\r\n", 18, sock_deadline(5000000000), NULL);
 *     sock_close(&sock);
 *     sock_address_list_free(&list);
 *
 * Conventions
 *   Results    int (or ssize_t) functions return 0 or a count, or a negative errno value. errno
 *              itself is not part of the interface. Where a `struct error *` is taken it gets the
 *              story, and may be NULL. Outputs are written on success only, unless said.
 *   Units      are in names: _ns, _ms, _bytes. _real_ns is CLOCK_REALTIME since 1970 (the clock of
 *              the kernel's stamps), other _ns are durations or, where said, CLOCK_MONOTONIC.
 *   Deadlines  are CLOCK_MONOTONIC times; SOCK_NO_DEADLINE never comes. One that passes gives
 *              -ETIME; -ETIMEDOUT is always the kernel's own verdict on the connection.
 *   Ownership  structures are the caller's, and are plain memory: nothing here keeps a pointer to
 *              them beyond the call, except the observer that a struct sock points to. Only
 *              sock_resolve() and sock_diag_open() allocate; each says how to release.
 *   Threads    there is no global state, save one: SOCK_CONNECT_ALARM (see there). Two threads may
 *              use two socks freely. One sock may be read by one thread while another writes it;
 *              its observer must then be thread-safe, and stamps belong to the writing thread.
 *   Fork       descriptors are opened close-on-exec. After fork() both processes may use the
 *              descriptor, but each counts only its own bytes, so offsets diverge.
 *   Signals    verbs return -EINTR as the system call does. Functions with a deadline or a timeout
 *              go on, with the time that is left.
 *
 * Sources: tcp(7), ip(7), ipv6(7), socket(7), sock_diag(7), and in the kernel's tree
 * Documentation/networking/timestamping.rst, include/uapi/linux/{tcp,inet_diag,net_tstamp}.h.
 */
#ifndef NETKIT_SOCK_H
#define NETKIT_SOCK_H

#include "netkit/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SOCK_NO_TIME     INT64_MIN /* a stamp that is not known */
#define SOCK_NO_DEADLINE INT64_MAX

/* ---- Addresses ---------------------------------------------------------------------------- */

/* An IPv4 or IPv6 endpoint, or a Unix-domain one (unix(7)). len_bytes is what the system's calls
 * take beside &any. */
struct sock_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    };
    socklen_t len_bytes;
};

static inline int sock_family(const struct sock_address *address)
{
    return address->any.sa_family;
}

/* A copy of a sockaddr that somebody else filled. -EAFNOSUPPORT unless it is AF_INET, AF_INET6 or
 * AF_UNIX, and long enough. */
int sock_address_from(struct sock_address *out, const struct sockaddr *from, socklen_t len_bytes);

/* From a literal ("127.0.0.1", "fe80::1%eth0"), without look-ups. -EINVAL when it is none. */
int sock_address_literal(struct sock_address *out, const char *host, uint16_t port);

/* A Unix-domain socket by its path; one that begins with @ is a name without a file (abstract).
 * -EINVAL when it is empty, -ENAMETOOLONG when it is longer than 107 bytes. */
int sock_address_unix(struct sock_address *out, const char *path);

/* 0 and without effect for Unix-domain sockets. */
uint16_t sock_address_port(const struct sock_address *address);
void sock_address_set_port(struct sock_address *address, uint16_t port);

/* An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), which is how a dual-stack listener shows IPv4
 * peers, becomes the IPv4 address that it stands for. Others stay as they are. */
void sock_address_unmap(struct sock_address *address);

/* Same address, port and scope; an IPv4-mapped address equals its IPv4 address. */
bool sock_address_equal(const struct sock_address *a, const struct sock_address *b);

/* "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "unix:/run/x.sock"; RFC 5952 form. A mapped
 * address is shown as the socket has it, "[::ffff:127.0.0.1]:80". Returns out. */
#define SOCK_ADDRESS_TEXT_MAX 128
const char *sock_address_format(char *out, size_t size_bytes, const struct sock_address *address);

/* The two ends of a socket: getsockname(2), getpeername(2). */
int sock_local_address(int fd, struct sock_address *out);
int sock_peer_address(int fd, struct sock_address *out);

/* What a user names: a host (empty: this host) and a port. */
#define SOCK_HOST_MAX 256 /* RFC 1035 allows 253 characters; a scope may follow a literal */
struct sock_target {
    char host[SOCK_HOST_MAX]; /* without brackets */
    uint16_t port;            /* never 0 */
};

/* Reads `host:port`, `[v6]:port`, `[v6%scope]:port`, `:port`, or, when `port` is not NULL, the two
 * words `host port` (there an IPv6 literal needs no brackets). A port is 1 to 65535 or the name of
 * a TCP service (services(5)). With default_port above 0 the port may be left out.
 * -EINVAL: not of that form; the text says what is wrong with which part. */
int sock_target_parse(struct sock_target *out, const char *text, const char *port,
                      uint16_t default_port, struct error *error);

/* The addresses of a name, in the order in which RFC 6724 would try them. */
struct sock_address_list {
    struct sock_address *items;
    size_t count;
};

/* Resolves by getaddrinfo(3), for family AF_UNSPEC, AF_INET or AF_INET6. On success there is at
 * least one item, and the caller releases the list with sock_address_list_free(). May block as
 * long as the system's resolver does. An empty host gives the loopback addresses. Errors:
 *   -ENOENT         the name does not exist
 *   -EADDRNOTAVAIL  it exists, but has no address of that family
 *   -EAGAIN         temporary failure: no name server answered; trying again may help
 *   -EIO            a name server failed or refused
 *   -ENOMEM, -EAFNOSUPPORT, -EINVAL, or what a system call in the resolver gave */
int sock_resolve(const struct sock_target *target, int family, struct sock_address_list *out,
                 struct error *error);
void sock_address_list_free(struct sock_address_list *list);

/* ---- A socket and its calls --------------------------------------------------------------- */

enum sock_verb {
    SOCK_VERB_SOCKET,
    SOCK_VERB_BIND,
    SOCK_VERB_LISTEN,
    SOCK_VERB_CONNECT,
    SOCK_VERB_CONNECT_RESULT, /* getsockopt SO_ERROR after a non-blocking connect */
    SOCK_VERB_ACCEPT,
    SOCK_VERB_READ,
    SOCK_VERB_WRITE,
    SOCK_VERB_SHUTDOWN,
    SOCK_VERB_CLOSE,
    SOCK_VERB_POLL,
    SOCK_VERB_SETSOCKOPT,
};
#define SOCK_VERB_COUNT 12

/* "connect", "read" …; static. */
const char *sock_verb_name(enum sock_verb verb);

enum sock_stage {
    SOCK_CALL_ENTERED, /* result, error and the returned times are not known yet */
    SOCK_CALL_RETURNED,
};

/* One system call, as the application saw it. */
struct sock_call {
    enum sock_verb verb;
    enum sock_stage stage;
    uint64_t serial;         /* counts the calls of this sock: pairs ENTERED with RETURNED */
    int fd;                  /* -1 on SOCK_VERB_SOCKET's entry; the listener's on ACCEPT */
    int error;               /* a positive errno value, 0 on success */
    int64_t result;          /* what the system call returned: bytes, a new descriptor, 0, -1;
                                POLL: the returned events, 0 when the time was up;
                                CONNECT_RESULT: 0 */
    int64_t requested_bytes; /* READ, WRITE; LISTEN: the backlog */
    int flags;               /* READ, WRITE: MSG_…; SHUTDOWN: SHUT_…; POLL: events wanted;
                                SOCKET: the type with its flags; SETSOCKOPT: option number */
    int level;               /* SETSOCKOPT: the level */
    int64_t stream_offset;   /* READ, WRITE: bytes that had passed in that direction before */
    int64_t entered_mono_ns, entered_real_ns;
    int64_t returned_mono_ns, returned_real_ns; /* SOCK_NO_TIME on entry */
    const struct sock_address *address; /* BIND, CONNECT; ACCEPT's peer on return; else NULL */
    const void *data; /* WRITE on entry, READ on return: the bytes of a plain buffer; else NULL.
                         data and address are valid during the callback only */
};

/* Hears of each call twice: before it is made, so that one that never returns is visible, and
 * after. The callback runs in the calling thread, between the calls that it times: it should be
 * quick, and must not use the sock. It may change errno. */
struct sock_observer {
    void (*call)(void *context, const struct sock_call *call);
    void *context;
};

/* A socket. The caller owns it and what it points to; sock_close() ends it. The fields may be read
 * at any time, and `observer` may be set at any time (NULL: nobody is told, and the calls cost
 * nothing extra). bytes_sent and bytes_received count what the verbs below moved. */
struct sock {
    int fd; /* -1: none */
    int64_t bytes_sent, bytes_received;
    const struct sock_observer *observer;
    uint64_t serial;
    unsigned stamp_kinds; /* what sock_stamps_enable() got */
    int64_t stamp_base;   /* stream offset that id 0 stands for */
};
#define SOCK_INIT                                                                                  \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Takes over an open descriptor (an inherited one, say): counters at 0, the observer stays, so the
 * structure must have been set up (SOCK_INIT). */
void sock_adopt(struct sock *sock, int fd);

/* A TCP socket, close-on-exec. type_flags: SOCK_NONBLOCK or 0. Keeps sock->observer, resets the
 * rest; sock must not be open. */
int sock_open(struct sock *sock, int family, int type_flags);

int sock_set_nonblocking(struct sock *sock, bool on);

/* The verbs. Each makes one system call, once, and tells the observer. flags go to the kernel as
 * they are: a write to a connection that was reset raises SIGPIPE unless MSG_NOSIGNAL is among
 * them. MSG_PEEK, MSG_OOB and MSG_ERRQUEUE reads do not move the stream offset. */
int sock_bind(struct sock *sock, const struct sock_address *address);
int sock_connect(struct sock *sock, const struct sock_address *address);
/* accept4(2). *out is reset, with the listener's observer; `peer` may be NULL. */
int sock_accept(struct sock *listener, struct sock *out, struct sock_address *peer, int type_flags);
ssize_t sock_read(struct sock *sock, void *buffer, size_t len_bytes, int flags);
ssize_t sock_readv(struct sock *sock, const struct iovec *iov, size_t count, int flags);
ssize_t sock_write(struct sock *sock, const void *bytes, size_t len_bytes, int flags);
ssize_t sock_writev(struct sock *sock, const struct iovec *iov, size_t count, int flags);
int sock_shutdown(struct sock *sock, int how);
/* sock->fd is -1 afterwards, whatever close(2) returned. Closing a closed sock gives -EBADF. */
int sock_close(struct sock *sock);
/* Waits for events (POLLIN, POLLOUT …) at most timeout_ns, for ever when that is negative. Returns
 * the events that came, 0 when the time was up. */
int sock_poll(struct sock *sock, short events, int64_t timeout_ns);
/* setsockopt(2) that the observer sees. */
int sock_setsockopt(struct sock *sock, int level, int option, const void *value, socklen_t len);

/* ---- Deadlines ---------------------------------------------------------------------------- */

/* CLOCK_MONOTONIC now plus timeout_ns; SOCK_NO_DEADLINE when timeout_ns is negative. */
int64_t sock_deadline(int64_t timeout_ns);

/* Reads or writes exactly len_bytes, on a blocking or a non-blocking socket alike, and without
 * SIGPIPE. `done_bytes` (may be NULL) tells how far it came, also on failure.
 *   -ETIME    the deadline passed
 *   -ENODATA  read: the peer ended the stream before
 *   others    as read and write give them */
int sock_read_exact(struct sock *sock, void *buffer, size_t len_bytes, int64_t deadline_ns,
                    size_t *done_bytes);
int sock_write_all(struct sock *sock, const void *bytes, size_t len_bytes, int64_t deadline_ns,
                   size_t *done_bytes);

/* ---- Listening ---------------------------------------------------------------------------- */

struct sock_listen_options {
    int backlog;        /* as listen(2) takes it; -1: the system's limit (somaxconn) */
    bool reuse_address; /* SO_REUSEADDR: bind although old connections are in TIME-WAIT */
    bool reuse_port;    /* SO_REUSEPORT: several listeners share the port */
    bool v6_only;       /* IPV6_V6ONLY; off is set explicitly too, whatever the system's default */
    int type_flags;     /* SOCK_NONBLOCK or 0 */
};

/* socket, options, bind, listen. `bound` (may be NULL) gets the address with its real port, so
 * that port 0 may be asked for. On failure the sock is closed. */
int sock_listen(struct sock *sock, const struct sock_address *address,
                const struct sock_listen_options *options, struct sock_address *bound,
                struct error *error);

/* ---- Connect, by every timeout method ----------------------------------------------------- */

/* For event loops. start() wants a non-blocking sock: 0 connected at once, -EINPROGRESS under way
 * (wait for POLLOUT), or the failure. finish() then reads SO_ERROR, once, for reading clears it:
 * 0 connected, -EINPROGRESS not decided yet, or the failure. */
int sock_connect_start(struct sock *sock, const struct sock_address *address);
int sock_connect_finish(struct sock *sock);

enum sock_connect_method {
    SOCK_CONNECT_BLOCKING,     /* the kernel's own limit (tcp_syn_retries): about two minutes */
    SOCK_CONNECT_ALARM,        /* SIGALRM interrupts a blocking connect. The handler is the
                                  process's: only one thread at a time may use this method, and
                                  none may use SIGALRM otherwise meanwhile */
    SOCK_CONNECT_SELECT,       /* non-blocking, select(2): descriptors below FD_SETSIZE only */
    SOCK_CONNECT_POLL,         /* non-blocking, ppoll(2) */
    SOCK_CONNECT_EPOLL,        /* non-blocking, epoll(7) */
    SOCK_CONNECT_SNDTIMEO,     /* SO_SNDTIMEO bounds a blocking connect */
    SOCK_CONNECT_USER_TIMEOUT, /* TCP_USER_TIMEOUT: the kernel gives up at the first
                                  retransmission timer after it */
    SOCK_CONNECT_SYNCNT,       /* TCP_SYNCNT: the kernel gives up after that many SYN retries */
};
#define SOCK_CONNECT_METHOD_COUNT 8

struct sock_connect_method_info {
    enum sock_connect_method method;
    const char *name;    /* "blocking", "alarm", "select" … */
    const char *summary; /* one line */
};
/* One row a method, in the enum's order; static. */
extern const struct sock_connect_method_info sock_connect_methods[SOCK_CONNECT_METHOD_COUNT];
/* -EINVAL when there is no such method. */
int sock_connect_method_parse(enum sock_connect_method *out, const char *name);

struct sock_connect_options {
    enum sock_connect_method method;
    int64_t timeout_ns; /* must be above 0, except for BLOCKING and SYNCNT, which ignore it */
    int syn_retries;    /* SYNCNT: 1 to 127 */
};

struct sock_connect_result {
    int error;    /* what the last system call of the method said, as a positive errno value:
                     0 connected, EINTR (alarm), EINPROGRESS (select, poll, epoll, SO_SNDTIMEO:
                     still trying), ETIMEDOUT (the kernel gave up), ECONNREFUSED … */
    bool expired; /* the method's own limit ended it (USER_TIMEOUT, SYNCNT: ETIMEDOUT) */
    int64_t elapsed_ns;
    int state_left;      /* TCP state of the socket afterwards (TCP_SYN_SENT …), -1 not known */
    int syn_retransmits; /* SYNs that were sent again; -1 not known: where a blocking connect
                            itself returns the failure, the kernel forgets the count */
};

/* Connects by one method. Returns 0 when connected, -ETIME when the method's own limit ended it,
 * -EINVAL for options that do not fit, otherwise the failure; `result` (may be NULL) is always
 * filled. A signal does not end it (SIGALRM under ALARM does): it goes on with the time left.
 * O_NONBLOCK, SO_SNDTIMEO, TCP_USER_TIMEOUT, TCP_SYNCNT and the SIGALRM handler are put back as
 * they were. After expiry the kernel still tries: only closing the socket stops it. */
int sock_connect_timed(struct sock *sock, const struct sock_address *address,
                       const struct sock_connect_options *options,
                       struct sock_connect_result *result, struct error *error);

/* ---- Socket options by name --------------------------------------------------------------- */

enum sock_option_kind {
    SOCK_OPTION_FLAG,    /* on, off (also yes, no, true, false, 1, 0) */
    SOCK_OPTION_INT,     /* a number, 0x… allowed */
    SOCK_OPTION_BYTES,   /* a size: 512, 64k */
    SOCK_OPTION_SECONDS, /* a duration in whole seconds: 5s, 2m; the kernel counts seconds */
    SOCK_OPTION_MS,      /* a duration in whole milliseconds */
    SOCK_OPTION_US,      /* a duration in whole microseconds */
    SOCK_OPTION_TIMEVAL, /* a duration, 0 is for ever */
    SOCK_OPTION_LINGER,  /* off, or on,DURATION, or a duration alone */
    SOCK_OPTION_STRING,  /* a name */
    SOCK_OPTION_RATE,    /* bytes a second as a size, or unlimited */
    SOCK_OPTION_ERRNO,   /* an errno value, shown by name; reading it clears it */
    SOCK_OPTION_COOKIE,  /* 64 bits */
};

enum sock_option_family { SOCK_OPTION_ANY, SOCK_OPTION_V4, SOCK_OPTION_V6 };

/* One row of the table; static. */
struct sock_option {
    const char *name; /* as the headers spell it: "TCP_NODELAY" */
    int level, number;
    enum sock_option_kind kind;
    enum sock_option_family family;
    bool readable, writable;
    const char *meaning; /* one line */
};

extern const struct sock_option sock_options[];
extern const size_t sock_option_count;

/* Finds a row by name in any case, with or without its prefix ("nodelay", "so_linger"; a name that
 * several levels have, such as "mtu", means the first of them in the table). NULL: none. */
const struct sock_option *sock_option_find(const char *name);

/* Whether the option means something on a socket of that family. */
bool sock_option_applies(const struct sock_option *option, int family);

#define SOCK_OPTION_STRING_MAX 64
struct sock_option_value {
    bool on;        /* FLAG, LINGER */
    int64_t number; /* the number, or nanoseconds for durations; INT64_MAX: an unlimited rate */
    char text[SOCK_OPTION_STRING_MAX]; /* STRING */
};

/* Text to value and back. Durations follow the kernel's unit exactly: what it cannot express is
 * refused (-EINVAL, -ERANGE), never rounded. Returns of format: out. */
int sock_option_parse(const struct sock_option *option, const char *text,
                      struct sock_option_value *out, struct error *error);
#define SOCK_OPTION_TEXT_MAX 80
const char *sock_option_format(char *out, size_t size_bytes, const struct sock_option *option,
                               const struct sock_option_value *value);

/* getsockopt(2) and setsockopt(2) with the row's type. -ENOTCONN for the path MTU: no route is
 * cached, because the socket is not connected or an option that was set since dropped it.
 * -ENOPROTOOPT: this kernel does not know the option; -EACCES: the row is not writable (or
 * readable). */
int sock_option_read(int fd, const struct sock_option *option, struct sock_option_value *out,
                     struct error *error);
int sock_option_write(int fd, const struct sock_option *option,
                      const struct sock_option_value *value, struct error *error);

/* Both steps at once: sock_option_set(fd, "SO_LINGER", "on,5s", &error). An unknown name suggests
 * the nearest one. sock_option_get() writes at most size_bytes, NUL included. */
int sock_option_set(int fd, const char *name, const char *value, struct error *error);
int sock_option_get(int fd, const char *name, char *out, size_t size_bytes, struct error *error);

/* ---- TCP_INFO ----------------------------------------------------------------------------- */

/* The fields, in the kernel's order of appearance. SOCK_TCP_HAS(info, RTT) tells whether this
 * kernel gave the field and it has a meaning yet (min_rtt has none before the first sample). */
/* clang-format off */
enum sock_tcp_field {
    SOCK_TCP_STATE, SOCK_TCP_CA_STATE, SOCK_TCP_RETRANSMITS, SOCK_TCP_PROBES, SOCK_TCP_BACKOFF,
    SOCK_TCP_OPTIONS, SOCK_TCP_WSCALE, SOCK_TCP_APP_LIMITED, SOCK_TCP_RTO, SOCK_TCP_ATO,
    SOCK_TCP_SND_MSS, SOCK_TCP_RCV_MSS, SOCK_TCP_UNACKED, SOCK_TCP_SACKED, SOCK_TCP_LOST,
    SOCK_TCP_RETRANS, SOCK_TCP_LAST_DATA_SENT, SOCK_TCP_LAST_DATA_RECV, SOCK_TCP_LAST_ACK_RECV,
    SOCK_TCP_PMTU, SOCK_TCP_RCV_SSTHRESH, SOCK_TCP_RTT, SOCK_TCP_RTTVAR, SOCK_TCP_SND_SSTHRESH,
    SOCK_TCP_SND_CWND, SOCK_TCP_ADVMSS, SOCK_TCP_REORDERING, SOCK_TCP_RCV_RTT, SOCK_TCP_RCV_SPACE,
    SOCK_TCP_TOTAL_RETRANS, SOCK_TCP_PACING_RATE, SOCK_TCP_MAX_PACING_RATE, SOCK_TCP_BYTES_ACKED,
    SOCK_TCP_BYTES_RECEIVED, SOCK_TCP_SEGS_OUT, SOCK_TCP_SEGS_IN, SOCK_TCP_NOTSENT,
    SOCK_TCP_MIN_RTT, SOCK_TCP_DATA_SEGS_IN, SOCK_TCP_DATA_SEGS_OUT, SOCK_TCP_DELIVERY_RATE,
    SOCK_TCP_BUSY, SOCK_TCP_RWND_LIMITED, SOCK_TCP_SNDBUF_LIMITED, SOCK_TCP_DELIVERED,
    SOCK_TCP_DELIVERED_CE, SOCK_TCP_BYTES_SENT, SOCK_TCP_BYTES_RETRANS, SOCK_TCP_DSACK_DUPS,
    SOCK_TCP_REORD_SEEN, SOCK_TCP_RCV_OOOPACK, SOCK_TCP_SND_WND, SOCK_TCP_RCV_WND,
    SOCK_TCP_REHASH, SOCK_TCP_TOTAL_RTO, SOCK_TCP_TOTAL_RTO_RECOVERIES, SOCK_TCP_TOTAL_RTO_TIME,
};
/* clang-format on */
#define SOCK_TCP_FIELD_COUNT      57
#define SOCK_TCP_HAS(info, field) (((info)->known >> SOCK_TCP_##field) & 1)

/* Options negotiated: bits of `options`. */
#define SOCK_TCP_OPT_TIMESTAMPS 1
#define SOCK_TCP_OPT_SACK       2
#define SOCK_TCP_OPT_WSCALE     4
#define SOCK_TCP_OPT_ECN        8  /* negotiated */
#define SOCK_TCP_OPT_ECN_SEEN   16 /* at least one packet with ECT arrived */
#define SOCK_TCP_OPT_SYN_DATA   32 /* data in our SYN was acknowledged (fast open) */

/* Our own layout of TCP_INFO, the same whatever the headers and the kernel. Unknown fields are 0.
 * On a listening socket `unacked` is the length of the accept queue and `sacked` its limit. Segment
 * counts are in segments, windows and sizes in bytes. */
struct sock_tcp_info {
    uint64_t known; /* bit SOCK_TCP_… */
    uint8_t state;  /* TCP_ESTABLISHED 1 … TCP_CLOSING 11, as in netinet/tcp.h */
    uint8_t ca_state;
    uint8_t retransmits; /* timeouts in a row without an acknowledgement */
    uint8_t probes, backoff;
    uint8_t options;
    uint8_t snd_wscale, rcv_wscale;
    uint8_t delivery_rate_app_limited;
    uint32_t snd_mss, rcv_mss, advmss, pmtu;
    uint32_t unacked, sacked, lost, retrans, total_retrans;
    uint32_t last_data_sent_ms, last_data_recv_ms, last_ack_recv_ms; /* ago */
    uint32_t rcv_ssthresh, snd_ssthresh; /* snd_ssthresh 0x7fffffff: no loss yet */
    uint32_t snd_cwnd, reordering, rcv_space;
    uint32_t segs_out, segs_in, data_segs_in, data_segs_out;
    uint32_t notsent_bytes;
    uint32_t delivered, delivered_ce, dsack_dups, reord_seen, rcv_ooopack;
    uint32_t snd_wnd, rcv_wnd; /* the peer's window, and ours as advertised */
    uint32_t rehash;
    uint16_t total_rto, total_rto_recoveries;
    int64_t rto_ns, ato_ns, rtt_ns, rttvar_ns, rcv_rtt_ns, min_rtt_ns;
    int64_t busy_ns, rwnd_limited_ns, sndbuf_limited_ns; /* since the connection began */
    int64_t total_rto_ns;
    uint64_t pacing_rate, max_pacing_rate, delivery_rate; /* bytes a second; UINT64_MAX: no limit */
    uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
};

/* One getsockopt, no allocation. */
int sock_tcp_info(int fd, struct sock_tcp_info *out);

/* The same from the bytes that a kernel gave (TCP_INFO, or sock_diag's INET_DIAG_INFO). Pure. */
void sock_tcp_info_decode(struct sock_tcp_info *out, const void *bytes, size_t len_bytes);

/* Only the state (TCP_ESTABLISHED …), cheaper still; or a negative errno value. */
int sock_tcp_state(int fd);

/* "ESTABLISHED", "SYN-SENT", "FIN-WAIT-1" … as RFC 9293 writes them; "?" for none. */
const char *sock_tcp_state_name(int state);

/* ---- The kernel's time stamps ------------------------------------------------------------- */

enum sock_stamp_kind {
    SOCK_STAMP_SCHED = 1, /* handed to the packet scheduler: it has left TCP's send queue */
    SOCK_STAMP_SND = 2,   /* handed to the device */
    SOCK_STAMP_ACK = 4,   /* acknowledged by the peer */
    SOCK_STAMP_RX = 8,    /* arrived: only sock_read_stamped() reports it */
    SOCK_STAMP_ERROR = 16 /* not a stamp: an ICMP or local error (IP_RECVERR) on the same queue */
};
#define SOCK_STAMP_ALL (SOCK_STAMP_SCHED | SOCK_STAMP_SND | SOCK_STAMP_ACK | SOCK_STAMP_RX)

/* Asks for stamps of `wanted` (bits of enum sock_stamp_kind), by SO_TIMESTAMPING. Needs no
 * privileges. *got tells which kinds the kernel granted; what it refused is left out, and only
 * when nothing is left does the call fail. To be called on a connected sock, best before the first
 * write: ids are then byte offsets. A later call is exact too with SOF_TIMESTAMPING_OPT_ID_TCP
 * (Linux 6.2), otherwise only when all that was written is acknowledged (-EBUSY).
 *
 * Each write is then stamped once a kind, at its last byte, however many segments it takes; a
 * partial write at the last byte that was taken. Writes that the kernel merges into one segment
 * (held by Nagle, cork or a window) share the last one's stamps: the earlier ones have none.
 * Stamps wait on the socket's error queue and raise POLLERR. They take receive buffer, and when
 * that is full the kernel drops new ones: at the default size 157 fit (52 writes). So drain often.
 */
int sock_stamps_enable(struct sock *sock, unsigned wanted, unsigned *got, struct error *error);

struct sock_stamp {
    enum sock_stamp_kind kind;
    int64_t offset;  /* stream offset of the write's last byte: 9 after a first write of 10 bytes */
    int64_t real_ns; /* the kernel's CLOCK_REALTIME; SOCK_NO_TIME with SOCK_STAMP_ERROR */
    /* SOCK_STAMP_ERROR only: */
    int error;                    /* the errno that the kernel makes of it */
    bool icmp;                    /* ICMP or ICMPv6; otherwise local (such as EMSGSIZE) */
    uint8_t icmp_type, icmp_code; /* of that protocol */
    uint32_t info;                /* the MTU, for EMSGSIZE */
    struct sock_address offender; /* who sent the ICMP; len_bytes 0 when not known */
};

/* Takes what the error queue holds, oldest first, without blocking. Returns how many stamps were
 * written; less than `capacity` means that the queue was empty. 0 where none were asked for. */
int sock_stamps_drain(struct sock *sock, struct sock_stamp *out, size_t capacity);

/* sock_read() with the arrival stamp of the last segment that the bytes came from: when the
 * kernel's receive path took it, not when the application woke. *rx_real_ns is SOCK_NO_TIME where
 * there is none, as for the first segments after the first socket on this machine has asked for
 * arrival stamps: the kernel switches them on in the background. */
ssize_t sock_read_stamped(struct sock *sock, void *buffer, size_t len_bytes, int flags,
                          int64_t *rx_real_ns);

/* ---- sock_diag ---------------------------------------------------------------------------- */

/* A netlink socket to the kernel's socket tables. It belongs to the network namespace in which it
 * was opened, also after the thread has moved to another. One thread at a time. */
struct sock_diag;

/* sock_diag_close() releases it. */
int sock_diag_open(struct sock_diag **out, struct error *error);
/* Its descriptor, which another process can be sent (SCM_RIGHTS), and what that makes of it: the
 * descriptor is taken over unless this fails. */
int sock_diag_fd(const struct sock_diag *diag);
int sock_diag_adopt(struct sock_diag **out, int fd, struct error *error);
void sock_diag_close(struct sock_diag *diag);

enum sock_diag_timer {
    SOCK_DIAG_TIMER_OFF,
    SOCK_DIAG_TIMER_RETRANSMIT, /* also: tail-loss probe, reordering */
    SOCK_DIAG_TIMER_KEEPALIVE,  /* also: FIN-WAIT-2 with an owner */
    SOCK_DIAG_TIMER_TIME_WAIT,  /* also: FIN-WAIT-2 without an owner */
    SOCK_DIAG_TIMER_PROBE,      /* zero-window probe */
};

struct sock_diag_entry {
    struct sock_address local, remote; /* remote is unspecified with port 0 for a listener */
    int state;                         /* TCP_ESTABLISHED … */
    int timer;                         /* enum sock_diag_timer */
    unsigned timer_retransmits;
    unsigned timer_expires_ms; /* from now */
    uint32_t rqueue, wqueue;   /* bytes; LISTEN: length of the accept queue, its limit */
    uint32_t uid, inode;       /* inode 0: no descriptor refers to it */
    uint32_t interface;
    uint64_t cookie; /* the kernel's name of the socket, never used twice */
    bool v6_only;    /* an IPv6 listener that takes no IPv4 connections */
    bool has_info;   /* TIME-WAIT and SYN-RECV have none */
    struct sock_tcp_info info;
    bool has_drops; /* asked for, and this kernel counts them */
    uint32_t drops; /* LISTEN: SYNs and handshakes that were dropped at it in its life */
};

/* Looks up one TCP connection by its four numbers, without a dump. -ENOENT: there is none (a
 * listener on the local port does not count). */
int sock_diag_lookup(struct sock_diag *diag, const struct sock_address *local,
                     const struct sock_address *remote, struct sock_diag_entry *out,
                     struct error *error);

/* Looks up the listener that a SYN to this address would reach, also one on the wildcard address;
 * of several that share it (SO_REUSEPORT), one. -ENOENT: there is none. */
int sock_diag_listener(struct sock_diag *diag, const struct sock_address *address,
                       struct sock_diag_entry *out, struct error *error);

/* Asks for the same socket again, a listener or a connection, with its drops, in time that does not
 * depend on how many there are. -ENOENT: it is gone, or another one that shares its address and
 * port (SO_REUSEPORT) was found instead. */
int sock_diag_refresh(struct sock_diag *diag, struct sock_diag_entry *entry, struct error *error);

/* All that match: fields that are 0 or NULL do not restrict. The kernel filters. */
struct sock_diag_filter {
    int family;                       /* AF_UNSPEC: both */
    uint32_t states;                  /* bits 1 << TCP_ESTABLISHED …; 0: all */
    const struct sock_address *local; /* the address; port 0: any port */
    const struct sock_address *remote;
    uint16_t local_port, remote_port; /* the port, whatever the address */
    const uint16_t *local_ports;      /* one of these ports, at most SOCK_DIAG_PORTS_MAX */
    size_t local_port_count;
    bool want_info;  /* fill entry.info */
    bool want_drops; /* fill entry.drops */
};
#define SOCK_DIAG_PORTS_MAX 32

/* Calls `each` for every match, with constant memory. A non-zero return ends the walk and is
 * returned. `each` must not use `diag`. The tables may change during the walk: a socket can then
 * be missed or come twice. */
int sock_diag_list(struct sock_diag *diag, const struct sock_diag_filter *filter,
                   int (*each)(void *context, const struct sock_diag_entry *entry), void *context,
                   struct error *error);

/* Makes the kernel abort a socket (RFC 9293 3.10.5 ABORT: RST to the peer, ECONNABORTED to the
 * owner); orphans and TIME-WAIT go too. Needs CAP_NET_ADMIN over the network namespace. `entry`
 * comes from one of the functions above, and its cookie must still fit (-ENOENT). */
int sock_diag_destroy(struct sock_diag *diag, const struct sock_diag_entry *entry,
                      struct error *error);

#ifdef __cplusplus
}
#endif

#endif
