/* The errno values that socket calls give, and the TCP states, in words. */
#include "finding/finding.h"

#include "base/cleanup.h"
#include <errno.h>

#define TERM(code) #code, code

const struct finding_term finding_errnos[] = {
    {TERM(EACCES), "permission denied, or prohibited on the path",
     "On connect over IPv6: an ICMPv6 unreachable message with code 1, 5 or 6, which a firewall "
     "sent. On bind: a port below 1024 without the privilege to use it.",
     "Look for a firewall that rejects; for bind, see net.ipv4.ip_unprivileged_port_start."},
    {TERM(EADDRINUSE), "the address is in use",
     "Another socket is bound to the port, or connections of an earlier one are in TIME-WAIT and "
     "SO_REUSEADDR is not set.",
     "ss -tan 'sport = :PORT'; set SO_REUSEADDR on listeners."},
    {TERM(EADDRNOTAVAIL), "no such local address, or no free ephemeral port",
     "bind names an address that this host does not have, no address of it fits the destination, "
     "or "
     "every ephemeral port for that is in use.",
     "ip address; for IPv6, whether it is switched off (net.ipv6.conf.all.disable_ipv6). Ports: ss "
     "-tan, net.ipv4.ip_local_port_range."},
    {TERM(EAFNOSUPPORT), "the address family is not supported",
     "The kernel does not have the family, or the socket is of another family.",
     "Is IPv6 disabled?"},
    {TERM(EAGAIN), "try again",
     "A non-blocking call would have blocked, or SO_RCVTIMEO or SO_SNDTIMEO expired. Of fork or "
     "pthread_create: a limit of processes was reached, or memory was short.",
     "Wait with poll or epoll; after a timeout, decide whether to go on. Processes: ulimit -u, "
     "TasksMax= of the unit, pids.max of the control group."},
    {TERM(EALREADY), "a connect is already in progress on this socket",
     "connect was called again after EINPROGRESS or EINTR, before the first one ended.",
     "Wait until the socket is writable, then read SO_ERROR."},
    {TERM(EBADF), "the descriptor is not open",
     "It was closed, perhaps by another thread, and may already name something else.",
     "strace -e trace=close,socket,accept4"},
    {TERM(ECONNABORTED), "the connection was aborted",
     "POSIX lets accept fail with it for a connection that was reset in the queue; Linux returns "
     "such a connection and reports ECONNRESET when it is read.",
     "Keep accepting."},
    {TERM(ECONNREFUSED), "nothing listens there",
     "The SYN was answered with RST or with ICMP port unreachable.",
     "Is the service running, on this port and address? Does a firewall reject?"},
    {TERM(ECONNRESET), "the peer sent RST",
     "The peer closed with unread data or with SO_LINGER 0, rebooted, or does not know the "
     "connection. Data sent before may be lost; received data can be lost too.",
     "Who sent it? A capture or netkit lab shows it."},
    {TERM(EHOSTUNREACH), "the host cannot be reached",
     "An ICMP host unreachable (or prohibited) came back, or ARP or neighbour discovery got no "
     "answer (after about 3 s).",
     "Is the host up? Which host sent the ICMP message?"},
    {TERM(EINPROGRESS), "the connect is in progress",
     "A non-blocking connect has started; on Linux also what a blocking connect returns when "
     "SO_SNDTIMEO expires.",
     "Wait until the socket is writable, then read SO_ERROR once."},
    {TERM(EINTR), "a signal interrupted the call",
     "After an interrupted connect the handshake continues; calling connect again gives EALREADY.",
     "Restart the call; after connect, wait until the socket is writable."},
    {TERM(EINVAL), "an argument is invalid",
     "On accept: the socket is not listening. On a socket option: the value is out of range.",
     "See the manual page of the call."},
    {TERM(EISCONN), "already connected", "connect was called on a connected socket.",
     "Keep track of the socket's state."},
    {TERM(EMFILE), "this process has too many open descriptors",
     "A listener then stays readable while accept fails, and a loop around poll uses a whole core.",
     "ulimit -n, RLIMIT_NOFILE; look for leaked descriptors (CLOSE-WAIT)."},
    {TERM(EMSGSIZE), "the message is too long",
     "A datagram is larger than the path or the socket allows.",
     "Use path MTU discovery, or smaller datagrams."},
    {TERM(ENETUNREACH), "there is no route",
     "The local routing table has no route, or a router reported by ICMP that it has none.",
     "ip route get ADDRESS"},
    {TERM(ENFILE), "the system has too many open files", "The system-wide limit is reached.",
     "fs.file-max; which process has them open?"},
    {TERM(ENOBUFS), "no buffer space", "The kernel had no memory to queue the data.",
     "Check the memory limits of the socket and the system."},
    {TERM(ENOPROTOOPT), "no such option, or the protocol is unavailable",
     "The socket option does not exist at this level; on connect: ICMP protocol unreachable came "
     "back.",
     "Check the kernel's version; look for a firewall."},
    {TERM(ENOTCONN), "not connected",
     "The socket was never connected, or is not connected any more.",
     "getpeername after accept gives it for a connection that was reset in the queue."},
    {TERM(EPERM), "not permitted",
     "A privilege is missing, or a local firewall rule drops the packet.",
     "Check the local firewall and the capabilities of the process."},
    {TERM(EPIPE), "the connection is closed for writing",
     "This side has shut down writing, or the peer's RST has ended the connection and was already "
     "reported. SIGPIPE comes with it, unless MSG_NOSIGNAL is given or the signal is ignored.",
     "The error before this one tells why."},
    {TERM(EPROTO), "protocol error", "The peer or the network broke the protocol.",
     "Capture the packets."},
    {TERM(ETIMEDOUT), "no answer before the kernel gave up",
     "On connect: the SYN was retransmitted tcp_syn_retries times. Later: data was not "
     "acknowledged (tcp_retries2, about 15 min; TCP_USER_TIMEOUT), or keepalive probes were not "
     "answered.",
     "Is the host up? Is something dropping packets silently? netkit connect-timeout and netkit "
     "crash-sim show it."},
};
const size_t finding_errno_count = ARRAY_SIZE(finding_errnos);

const struct finding_term finding_states[] = {
    {"ESTABLISHED", 1, "open at both ends, as far as this side knows",
     "Data may flow both ways. The peer may have been gone for a long time: nothing is sent on an "
     "idle connection.",
     "Keepalive or a heartbeat of the application detects dead peers."},
    {"SYN-SENT", 2, "connect has sent a SYN and waits for the answer",
     "The SYN is retransmitted after 1 s, and then again until tcp_syn_retries is reached.",
     "A socket that stays in this state: the port is filtered, the host is down, or the accept "
     "queue is full."},
    {"SYN-RECEIVED", 3, "half-open: the SYN,ACK is sent, its ACK has not arrived",
     "The server's side of the handshake; Linux keeps only a small request structure.",
     "If there are many: a SYN flood, or lost ACKs."},
    {"FIN-WAIT-1", 4, "closed by this side, its FIN not yet acknowledged",
     "The kernel still delivers what was written. Without an answer it gives up after "
     "tcp_orphan_retries.",
     "If there are many: peers that vanished."},
    {"FIN-WAIT-2", 5, "this side's FIN is acknowledged, the peer has not closed",
     "An orphaned socket stays for tcp_fin_timeout (60 s); one that a process still holds stays "
     "forever.",
     "The peer is in CLOSE-WAIT: look at its application."},
    {"TIME-WAIT", 6, "closed; the side that closed first waits for 60 s",
     "Old segments expire meanwhile, and the last ACK can be repeated. Harmless, unless it uses up "
     "the ephemeral ports for one destination.",
     "Let the other side close first, reuse connections, or set tcp_tw_reuse."},
    {"CLOSED", 7, "no connection", "The socket exists, the connection does not.", "Nothing to do."},
    {"CLOSE-WAIT", 8, "the peer has closed, this application has not",
     "It lasts until the application calls close; no timer ends it.",
     "Look for an application that ignores a read of 0 bytes."},
    {"LAST-ACK", 9, "closed after the peer, this side's FIN not yet acknowledged",
     "The last step of the side that closed second.",
     "If there are many: packets are lost on the path."},
    {"LISTEN", 10, "waits for connections",
     "ss -ltn shows the accept queue as Recv-Q and its limit as Send-Q.",
     "netkit accept-backlog --listener watches its queues."},
    {"CLOSING", 11, "both sides closed at the same time",
     "This side has sent its FIN, and the peer's FIN came before the acknowledgement.",
     "Nothing to do; it is rare."},
    {"NEW-SYN-RECEIVED", 12, "half-open (the kernel's name for its request structure)",
     "Most tools show it as SYN-RECEIVED.", "See SYN-RECEIVED."},
};
const size_t finding_state_count = ARRAY_SIZE(finding_states);
