/* The errno values that socket calls give, and the TCP states, in words. */
#include "finding/finding.h"

#include "base/cleanup.h"
#include <errno.h>

#define TERM(code) #code, code

const struct finding_term finding_errnos[] = {
    {TERM(EACCES), "permission denied, or prohibited on the way",
     "On connect over IPv6: an ICMPv6 unreachable of code 1, 5 or 6, that is a firewall's "
     "rejection. On bind: a port below 1024 without the right to it.",
     "Look for a firewall that rejects; for bind, net.ipv4.ip_unprivileged_port_start."},
    {TERM(EADDRINUSE), "the address is taken",
     "Another socket is bound to the port, or connections of an earlier one are in TIME-WAIT and "
     "SO_REUSEADDR is not set.",
     "ss -tan 'sport = :PORT'; set SO_REUSEADDR on listeners."},
    {TERM(EADDRNOTAVAIL), "no such local address, or no ephemeral port left",
     "bind names an address that this host does not have, or connect found every ephemeral port "
     "taken towards that destination.",
     "ip address; net.ipv4.ip_local_port_range; look for connections in TIME-WAIT."},
    {TERM(EAFNOSUPPORT), "the address family is not supported",
     "The kernel lacks the family, or the socket is of another one.", "Is IPv6 disabled?"},
    {TERM(EAGAIN), "not now",
     "A non-blocking call would have blocked, or a timeout of SO_RCVTIMEO or SO_SNDTIMEO ended it.",
     "Wait with poll or epoll; after a timeout decide whether to go on."},
    {TERM(EALREADY), "a connect is already under way on this socket",
     "connect was called again after EINPROGRESS or EINTR, before the first one ended.",
     "Wait for writability and read SO_ERROR."},
    {TERM(EBADF), "the descriptor is not open",
     "It was closed, perhaps by another thread, and may already name something else.",
     "strace -e trace=close,socket,accept4"},
    {TERM(ECONNABORTED), "the connection was aborted",
     "POSIX gives it to accept for a connection that was reset in the queue; Linux returns such a "
     "connection and reports ECONNRESET on reading.",
     "Go on accepting."},
    {TERM(ECONNREFUSED), "nobody listens there",
     "The SYN was answered with RST, or an ICMP port unreachable came back.",
     "Is the service up, on this port and address? Does a firewall reject?"},
    {TERM(ECONNRESET), "the peer sent RST",
     "The peer aborted: closed with unread data, SO_LINGER 0, rebooted, or never knew the "
     "connection. What was sent before may be lost; what was received before can be lost too.",
     "Who sent it? netkit lab or a capture shows."},
    {TERM(EHOSTUNREACH), "no way to the host",
     "An ICMP host unreachable (or prohibited) came back, or nobody answered ARP or neighbour "
     "discovery (after about 3 s).",
     "Is the host up? Whose address is the ICMP's sender?"},
    {TERM(EINPROGRESS), "the connect goes on",
     "A non-blocking connect has begun; on Linux also what a blocking connect returns when "
     "SO_SNDTIMEO runs out.",
     "Wait for writability, then read SO_ERROR once."},
    {TERM(EINTR), "a signal interrupted the call",
     "After an interrupted connect the handshake goes on; calling connect again gives EALREADY.",
     "Restart the call; for connect wait for writability."},
    {TERM(EINVAL), "an argument makes no sense here",
     "On accept: the socket does not listen. On a socket option: a value out of range.",
     "The call's manual page."},
    {TERM(EISCONN), "already connected", "connect on a connected socket.", "Remember the state."},
    {TERM(EMFILE), "this process has too many descriptors",
     "A listener then stays readable while accept fails: a loop that eats a core.",
     "ulimit -n, RLIMIT_NOFILE; look for a leak (CLOSE-WAIT)."},
    {TERM(EMSGSIZE), "the message is too long", "A datagram exceeds what the path or socket takes.",
     "Path MTU discovery, or smaller datagrams."},
    {TERM(ENETUNREACH), "there is no route",
     "The local routing table has no route, or a router said so by ICMP.", "ip route get ADDRESS"},
    {TERM(ENFILE), "the system has too many open files", "The system-wide limit.",
     "fs.file-max; who holds them?"},
    {TERM(ENOBUFS), "no buffer space", "The kernel could not queue it.",
     "Memory limits of the socket and the system."},
    {TERM(ENOPROTOOPT), "no such option, or the protocol is not there",
     "The socket option does not exist at this level; on connect: an ICMP protocol unreachable.",
     "The kernel's version; a firewall."},
    {TERM(ENOTCONN), "not connected", "The socket was never connected, or no longer is.",
     "getpeername after accept gives it for a connection that was reset in the queue."},
    {TERM(EPERM), "not permitted", "A privilege is missing, or a local firewall rule drops.",
     "Local firewall; capabilities."},
    {TERM(EPIPE), "the stream is closed for writing",
     "This side has shut down, or the peer's RST has ended the connection and was already "
     "reported. SIGPIPE comes with it unless MSG_NOSIGNAL or SIG_IGN.",
     "The error before this one says why."},
    {TERM(EPROTO), "protocol error", "The peer or the network broke the protocol.", "Capture."},
    {TERM(ETIMEDOUT), "no answer within the kernel's patience",
     "On connect: the SYN was retransmitted tcp_syn_retries times. Later: data was not "
     "acknowledged (tcp_retries2, about 15 min; TCP_USER_TIMEOUT), or keepalive probes were not "
     "answered.",
     "Is the host alive? Is something dropping silently? netkit connect-timeout, crash-sim."},
};
const size_t finding_errno_count = ARRAY_SIZE(finding_errnos);

const struct finding_term finding_states[] = {
    {"ESTABLISHED", 1, "open on both sides, as far as this side knows",
     "Data may flow both ways. The peer may be long gone: nothing is sent on an idle connection.",
     "Keepalive or an application heartbeat finds dead peers."},
    {"SYN-SENT", 2, "connect has sent a SYN and waits",
     "The SYN is retransmitted after 1 s, and on, until tcp_syn_retries is used up.",
     "A socket that stays here: filtered, dead host, or a full accept queue."},
    {"SYN-RECEIVED", 3, "half-open: the SYN,ACK is sent, its ACK not yet here",
     "The server's side of the handshake; Linux keeps only a small request structure.",
     "Many of them: a SYN flood, or ACKs that are lost."},
    {"FIN-WAIT-1", 4, "closed here, the FIN not yet acknowledged",
     "The kernel still delivers what was written. Without an answer it ends after "
     "tcp_orphan_retries.",
     "Many of them: peers that vanished."},
    {"FIN-WAIT-2", 5, "our FIN is acknowledged, the peer has not closed",
     "An orphaned socket stays tcp_fin_timeout (60 s); one that a process still holds stays for "
     "ever.",
     "The peer is in CLOSE-WAIT: look there."},
    {"TIME-WAIT", 6, "closed; the side that closed first remembers for 60 s",
     "So that old segments die out and the last ACK can be repeated. Harmless, unless it uses up "
     "ports towards one destination.",
     "Let the other side close first, reuse connections, tcp_tw_reuse."},
    {"CLOSED", 7, "no connection", "The socket exists, the connection does not.", "Nothing."},
    {"CLOSE-WAIT", 8, "the peer has closed, this application has not",
     "It lasts until the application calls close: no timer ends it.",
     "An application that ignores a read of 0 bytes."},
    {"LAST-ACK", 9, "closed after the peer, our FIN not yet acknowledged",
     "The last step of the side that closed second.", "Many of them: the path loses."},
    {"LISTEN", 10, "waits for connections",
     "Its receive queue is the accept queue, its send queue the limit (ss -ltn).",
     "netkit accept-backlog --listener"},
    {"CLOSING", 11, "both sides closed at the same time",
     "Our FIN is out, the peer's FIN came before its acknowledgement.", "Nothing; it is rare."},
    {"NEW-SYN-RECEIVED", 12, "half-open (the kernel's name for its request structure)",
     "Shown as SYN-RECEIVED by most tools.", "As for SYN-RECEIVED."},
};
const size_t finding_state_count = ARRAY_SIZE(finding_states);
