/* The socket options, one row each: name, where, what kind of value, for which family, what may be
 * done, what it means. Options that need a structure of their own (multicast groups, filters, MD5
 * keys, repair) are not here. Numbers newer than some systems' headers are the kernel's ABI
 * (include/uapi/linux/tcp.h, asm-generic/socket.h); a kernel that does not know one says
 * ENOPROTOOPT. */
#include "netkit/sock.h"

#include "base/cleanup.h"
#include <netinet/tcp.h>

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif
#ifndef TCP_RTO_MIN_US
#define TCP_RTO_MIN_US 45
#endif
#ifndef TCP_DELACK_MAX_US
#define TCP_DELACK_MAX_US 46
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif
#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef IPV6_MTU
#define IPV6_MTU 24
#endif
#ifndef IPV6_AUTOFLOWLABEL
#define IPV6_AUTOFLOWLABEL 70
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

#define RW true, true
#define RO true, false
#define WO false, true

#define TCP(name, kind, access, meaning)                                                           \
    {                                                                                              \
#name, IPPROTO_TCP, name, SOCK_OPTION_##kind, SOCK_OPTION_ANY, access, meaning             \
    }
#define SO(name, kind, access, meaning)                                                            \
    {                                                                                              \
#name, SOL_SOCKET, name, SOCK_OPTION_##kind, SOCK_OPTION_ANY, access, meaning              \
    }
#define IP4(name, kind, access, meaning)                                                           \
    {                                                                                              \
#name, IPPROTO_IP, name, SOCK_OPTION_##kind, SOCK_OPTION_V4, access, meaning               \
    }
#define IP6(name, kind, access, meaning)                                                           \
    {                                                                                              \
#name, IPPROTO_IPV6, name, SOCK_OPTION_##kind, SOCK_OPTION_V6, access, meaning             \
    }

const struct sock_option sock_options[] = {
    TCP(TCP_NODELAY, FLAG, RW, "send small segments at once: no Nagle algorithm"),
    TCP(TCP_CORK, FLAG, RW, "hold partial segments until uncorked, at most 200 ms"),
    TCP(TCP_QUICKACK, FLAG, RW, "acknowledge at once; the kernel may leave this mode by itself"),
    TCP(TCP_MAXSEG, BYTES, RW, "largest segment; before connect: what the SYN announces"),
    TCP(TCP_USER_TIMEOUT, MS, RW, "unacknowledged data may wait this long, then ETIMEDOUT"),
    TCP(TCP_SYNCNT, INT, RW, "SYN retries before connect gives up"),
    TCP(TCP_KEEPIDLE, SECONDS, RW, "idle time before the first keepalive probe"),
    TCP(TCP_KEEPINTVL, SECONDS, RW, "time between keepalive probes"),
    TCP(TCP_KEEPCNT, INT, RW, "unanswered keepalive probes before the connection is dead"),
    TCP(TCP_LINGER2, SECONDS, RW, "how long an orphan stays in FIN-WAIT-2"),
    TCP(TCP_DEFER_ACCEPT, SECONDS, RW, "accept wakes only when data has come"),
    TCP(TCP_WINDOW_CLAMP, BYTES, RW, "upper bound of the window that is advertised"),
    TCP(TCP_CONGESTION, STRING, RW, "congestion control algorithm"),
    TCP(TCP_ULP, STRING, RW, "upper layer protocol (tls)"),
    TCP(TCP_FASTOPEN, INT, RW, "on a listener: queue of fast open requests"),
    TCP(TCP_FASTOPEN_CONNECT, FLAG, RW, "connect waits for the first write, to put it in the SYN"),
    TCP(TCP_FASTOPEN_NO_COOKIE, FLAG, RW, "fast open without a cookie"),
    TCP(TCP_NOTSENT_LOWAT, BYTES, RW, "writable only while less than this is unsent"),
    TCP(TCP_THIN_LINEAR_TIMEOUTS, FLAG, RW, "thin streams: no exponential back-off at first"),
    TCP(TCP_THIN_DUPACK, FLAG, RW, "thin streams: retransmit at the first duplicate ACK (unused)"),
    TCP(TCP_SAVE_SYN, INT, RW, "on a listener: keep the SYN's headers of accepted connections"),
    TCP(TCP_INQ, FLAG, RW, "reads report how much is left in the receive queue"),
    TCP(TCP_TX_DELAY, US, RW, "delay what is sent (needs the fq packet scheduler)"),
    TCP(TCP_TIMESTAMP, INT, RO, "the TCP timestamp clock of this connection"),
    TCP(TCP_RTO_MAX_MS, MS, RW, "largest retransmission timeout"),
    TCP(TCP_RTO_MIN_US, US, RW, "smallest retransmission timeout"),
    TCP(TCP_DELACK_MAX_US, US, RW, "longest delay of an acknowledgement"),

    SO(SO_KEEPALIVE, FLAG, RW, "probe an idle peer"),
    SO(SO_LINGER, LINGER, RW, "close waits for the peer's ACK; on,0: close sends RST"),
    SO(SO_REUSEADDR, FLAG, RW, "bind although old connections are in TIME-WAIT"),
    SO(SO_REUSEPORT, FLAG, RW, "several sockets share the port"),
    SO(SO_RCVBUF, BYTES, RW, "receive buffer; the kernel doubles what is set"),
    SO(SO_SNDBUF, BYTES, RW, "send buffer; the kernel doubles what is set"),
    SO(SO_RCVBUFFORCE, BYTES, WO, "receive buffer beyond rmem_max (CAP_NET_ADMIN)"),
    SO(SO_SNDBUFFORCE, BYTES, WO, "send buffer beyond wmem_max (CAP_NET_ADMIN)"),
    SO(SO_RCVLOWAT, BYTES, RW, "readable only when this much has come"),
    SO(SO_SNDLOWAT, BYTES, RO, "always 1 on Linux"),
    SO(SO_RCVTIMEO, TIMEVAL, RW, "a blocking read fails with EAGAIN after this long; 0: never"),
    SO(SO_SNDTIMEO, TIMEVAL, RW, "a blocking write or connect ends after this long; 0: never"),
    SO(SO_OOBINLINE, FLAG, RW, "urgent data stays in the stream"),
    SO(SO_PRIORITY, INT, RW, "priority in the packet scheduler"),
    SO(SO_MARK, INT, RW, "firewall mark (setting needs CAP_NET_ADMIN)"),
    SO(SO_RCVMARK, FLAG, RW, "reads report the packet's mark"),
    SO(SO_BINDTODEVICE, STRING, RW, "only this network interface"),
    SO(SO_BINDTOIFINDEX, INT, RW, "only the network interface of this number"),
    SO(SO_DONTROUTE, FLAG, RW, "only directly connected hosts"),
    SO(SO_DEBUG, FLAG, RW, "kernel debugging (CAP_NET_ADMIN)"),
    SO(SO_BROADCAST, FLAG, RW, "allow broadcast (datagrams)"),
    SO(SO_NO_CHECK, FLAG, RW, "no checksum (UDP over IPv4)"),
    SO(SO_TIMESTAMP, FLAG, RW, "reads report the arrival time in microseconds"),
    SO(SO_TIMESTAMPNS, FLAG, RW, "reads report the arrival time in nanoseconds"),
    SO(SO_TIMESTAMPING, INT, RW, "kernel time stamps: SOF_TIMESTAMPING_ bits"),
    SO(SO_RXQ_OVFL, FLAG, RW, "reads report how many datagrams were dropped"),
    SO(SO_BUSY_POLL, US, RW, "a read polls the device this long"),
    SO(SO_PREFER_BUSY_POLL, FLAG, RW, "polling instead of interrupts"),
    SO(SO_BUSY_POLL_BUDGET, INT, RW, "packets a busy poll may take"),
    SO(SO_INCOMING_CPU, INT, RW, "the CPU that handles arriving packets"),
    SO(SO_INCOMING_NAPI_ID, INT, RO, "the device queue of arriving packets"),
    SO(SO_MAX_PACING_RATE, RATE, RW, "upper bound of the sending rate"),
    SO(SO_ZEROCOPY, FLAG, RW, "MSG_ZEROCOPY is allowed"),
    SO(SO_TXREHASH, INT, RW, "choose another path after a retransmission timeout"),
    SO(SO_LOCK_FILTER, FLAG, RW, "the socket filter cannot be changed any more"),
    SO(SO_ACCEPTCONN, FLAG, RO, "this socket listens"),
    SO(SO_ERROR, ERRNO, RO, "the pending error; reading clears it"),
    SO(SO_TYPE, INT, RO, "socket type (1: stream, 2: datagram)"),
    SO(SO_DOMAIN, INT, RO, "address family (2: IPv4, 10: IPv6)"),
    SO(SO_PROTOCOL, INT, RO, "protocol (6: TCP)"),
    SO(SO_COOKIE, COOKIE, RO, "the kernel's name of this socket, as sock_diag shows it"),

    IP4(IP_TOS, INT, RW, "type of service: DSCP in the upper six bits"),
    IP4(IP_TTL, INT, RW, "time to live of packets sent"),
    IP4(IP_MINTTL, INT, RW, "drop packets that arrive with a lower time to live (RFC 5082)"),
    IP4(IP_MTU, BYTES, RO, "path MTU of the connection"),
    IP4(IP_MTU_DISCOVER, INT, RW, "path MTU discovery: 0 no, 1 as routes say, 2 yes, 3 probe"),
    IP4(IP_RECVERR, FLAG, RW, "ICMP errors are queued and reported at once"),
    IP4(IP_RECVTOS, FLAG, RW, "reads report the type of service"),
    IP4(IP_RECVTTL, FLAG, RW, "reads report the time to live"),
    IP4(IP_PKTINFO, FLAG, RW, "reads report interface and destination"),
    IP4(IP_FREEBIND, FLAG, RW, "bind to addresses that this host does not have"),
    IP4(IP_TRANSPARENT, FLAG, RW, "transparent proxying (CAP_NET_ADMIN)"),
    IP4(IP_BIND_ADDRESS_NO_PORT, FLAG, RW, "bind leaves the choice of port to connect"),
    {"IP_LOCAL_PORT_RANGE", IPPROTO_IP, IP_LOCAL_PORT_RANGE, SOCK_OPTION_INT, SOCK_OPTION_ANY, RW,
     "ephemeral ports of this socket: low | high << 16"},

    IP6(IPV6_V6ONLY, FLAG, RW, "no IPv4-mapped addresses on this socket"),
    IP6(IPV6_TCLASS, INT, RW, "traffic class: DSCP in the upper six bits"),
    IP6(IPV6_UNICAST_HOPS, INT, RW, "hop limit of packets sent; -1: the default"),
    IP6(IPV6_MINHOPCOUNT, INT, RW, "drop packets that arrive with a lower hop limit (RFC 5082)"),
    IP6(IPV6_MTU, BYTES, RW, "path MTU of the connection"),
    IP6(IPV6_MTU_DISCOVER, INT, RW, "path MTU discovery: 0 no, 1 as routes say, 2 yes, 3 probe"),
    IP6(IPV6_RECVERR, FLAG, RW, "ICMPv6 errors are queued and reported at once"),
    IP6(IPV6_RECVTCLASS, FLAG, RW, "reads report the traffic class"),
    IP6(IPV6_RECVHOPLIMIT, FLAG, RW, "reads report the hop limit"),
    IP6(IPV6_RECVPKTINFO, FLAG, RW, "reads report interface and destination"),
    IP6(IPV6_FREEBIND, FLAG, RW, "bind to addresses that this host does not have"),
    IP6(IPV6_TRANSPARENT, FLAG, RW, "transparent proxying (CAP_NET_ADMIN)"),
    IP6(IPV6_DONTFRAG, FLAG, RW, "never fragment; larger datagrams fail"),
    IP6(IPV6_AUTOFLOWLABEL, FLAG, RW, "flow labels are chosen by the kernel"),
};

const size_t sock_option_count = ARRAY_SIZE(sock_options);
