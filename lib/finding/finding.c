#include "finding/finding.h"

#include "base/cleanup.h"
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NOTHING "Nothing has to change."

static const struct finding_entry entries[FINDING_CODES] = {
    [FINDING_NONE] =
        {"ok", "nothing stands out", FINDING_INFO,
         "No part of the conversation was slow enough, often enough, to need an explanation.",
         "No one.", NOTHING},
    [FINDING_NAGLE_DELAYED_ACK] =
        {"nagle-delayed-ack", "a small write waits for the peer's delayed ACK", FINDING_WARNING,
         "One side sends a message in two or more small writes. Nagle's algorithm (RFC 896, RFC "
         "9293 section 3.7.4) keeps the later, small segment in the send queue until the earlier "
         "one is acknowledged. The other side has nothing to send back and delays that "
         "acknowledgement (RFC 9293 section 3.8.6.3): at least 40 ms on Linux, up to 200 ms "
         "elsewhere. Each waits for the other. The first exchanges of a connection do not stall, "
         "because Linux acknowledges its first segments at once.",
         "The side whose writes are held: it splits a message over several writes.",
         "Hand the whole message to the kernel in one call (writev, sendmsg, a buffered writer "
         "that is flushed once, MSG_MORE on all but the last write), or set TCP_NODELAY on that "
         "side's socket. TCP_QUICKACK on the other side hides it, but does not stick."},
    [FINDING_NAGLE_ROUND_TRIP] =
        {"nagle-round-trip", "a small write waits a round trip for an ACK", FINDING_WARNING,
         "Nagle's algorithm keeps a small segment back while an earlier small one is "
         "unacknowledged (RFC 9293 section 3.7.4). The peer acknowledged at once, so the wait is "
         "one round trip; with a delayed ACK it would be 40 ms more.",
         "The side that writes one message in several small pieces.",
         "Send the whole message with one write (writev, a buffered writer that is flushed once, "
         "MSG_MORE on all but the last write), or set TCP_NODELAY on that side's socket."},
    [FINDING_CORK_HOLD] =
        {"cork-hold", "data waits under TCP_CORK or MSG_MORE", FINDING_WARNING,
         "With TCP_CORK set, or MSG_MORE on the last write, the kernel sends only full segments. "
         "It keeps a smaller remainder for 200 ms, in case more follows (tcp(7)).",
         "The side that corked its socket and did not uncork it.",
         "Clear TCP_CORK after the last write of a message, and leave MSG_MORE off that write."},
    [FINDING_DELAYED_ACK] =
        {"delayed-ack", "the peer delayed its ACK, and nothing waited for it", FINDING_INFO,
         "The peer waited before it acknowledged, as RFC 9293 section 3.8.6.3 allows. No segment "
         "of ours waited for that acknowledgement, so it cost nothing.",
         "No one.", NOTHING},
    [FINDING_SERVER_THINK_TIME] =
        {"server-think-time", "the server application answers late", FINDING_WARNING,
         "The request had arrived and nothing in TCP stood in the way, yet the answer, or the rest "
         "of it, came late. The server was computing, waiting for something else, asleep or not "
         "scheduled.",
         "The server application, or what it waits for.",
         "Profile the server for this request: its own upstream calls, locks, timers, a full "
         "thread pool, a machine with no CPU to spare. No socket option helps."},
    [FINDING_STALL_WHEN_PERSISTENT] =
        {"stall-when-persistent", "fast on new connections, would stall on a persistent one",
         FINDING_WARNING,
         "With a new connection for each request everything is fast, because Linux acknowledges "
         "the first segments of a connection at once. The same requests stall on a persistent "
         "connection: Nagle's algorithm waits for a delayed ACK.",
         "The side whose writes are held, as for nagle-delayed-ack.",
         "Fix it before someone turns on keep-alive or a connection pool: write each message with "
         "one call, or set TCP_NODELAY."},
    [FINDING_RECEIVE_WINDOW_LIMITED] =
        {"receive-window-limited", "the receiver's window holds the sender back", FINDING_WARNING,
         "The sender had data and the network could have carried it, but the receiver's window was "
         "full: its application reads too slowly, or its buffer is too small for this bandwidth "
         "and delay.",
         "The receiving side.",
         "Read faster (keep slow work out of the reading loop), and do not set SO_RCVBUF, so that "
         "the kernel can grow the buffer (tcp_rmem, tcp_moderate_rcvbuf)."},
    [FINDING_ZERO_WINDOW] =
        {"zero-window", "the receiver's buffer is full: it does not read", FINDING_WARNING,
         "The receiver advertised a window of zero: its buffer is full because its application has "
         "stopped reading. Until that changes the sender may only send window probes.",
         "The receiving side.",
         "Find out why the application does not read: it is blocked (perhaps writing to a peer "
         "that does not read either), stuck or stopped."},
    [FINDING_SEND_BUFFER_LIMITED] =
        {"send-buffer-limited", "the send buffer is too small for this path", FINDING_WARNING,
         "The network and the receiver would have taken more, but the sender's socket buffer had "
         "no room for more unacknowledged data.",
         "The sending side.", "Do not set SO_SNDBUF, or raise it and the maximum of tcp_wmem."},
    [FINDING_PEER_SEND_BUFFER_LIMITED] =
        {"peer-send-buffer-limited", "the peer's send buffer is too small for its answer",
         FINDING_WARNING,
         "The peer sent its answer piece by piece, and each piece only when the one before was "
         "acknowledged, with TCP_NODELAY as without. Its socket buffer holds no more than that.",
         "The sending side.",
         "Leave SO_SNDBUF alone, or raise it (nginx: sndbuf of listen) and tcp_wmem's maximum."},
    [FINDING_CONGESTION_WINDOW_LIMITED] =
        {"congestion-window-limited", "the congestion window limits the sender", FINDING_INFO,
         "The sender waited for acknowledgements to open the congestion window, as TCP should on a "
         "young connection or after a loss.",
         "The network, or no one.",
         "Reuse connections so that the window is open, look for loss, and check whether "
         "tcp_slow_start_after_idle shrinks the window between requests."},
    [FINDING_SLOW_START_ROUND_TRIPS] =
        {"slow-start-round-trips", "a message took several round trips in slow start", FINDING_INFO,
         "A sender begins with a congestion window of about ten segments (RFC 6928), and may send "
         "more only as acknowledgements come in: twice as much with every round trip. A larger "
         "message takes several of them on a new connection, and, on Linux, again on one that was "
         "idle for a retransmission timeout.",
         "The network's length, or no one.",
         "Reuse connections; at the sender, keep the window while they rest "
         "(net.ipv4.tcp_slow_start_after_idle=0) or begin with a larger one (ip route change ... "
         "initcwnd N); make the message smaller (compression), or shorten the way."},
    [FINDING_PACING_LIMITED] =
        {"pacing-limited", "the kernel's pacing spreads the segments", FINDING_INFO,
         "Segments left at the pacing rate (SO_MAX_PACING_RATE, or a congestion control that "
         "paces, such as bbr) rather than all at once.",
         "The sending side, by choice.", NOTHING},
    [FINDING_BANDWIDTH_LIMITED] =
        {"bandwidth-limited", "the data take as long as the link needs for them", FINDING_INFO,
         "Full segments came one after another at a steady rate. The link, a shaper or a pacer on "
         "the way sets it; nobody paused.",
         "The network, or nobody.", "Send less, compress it, or get a faster link."},
    [FINDING_PATH_JITTER] =
        {"path-jitter", "the path itself is late now and then", FINDING_WARNING,
         "Handshakes that only the peer's kernel answers were as late as the answers, and as "
         "often. What delays them is on the path: a queue, a radio link, a busy host between.",
         "The network.",
         "Look for a queue that fills (a loaded uplink, a shaper) or a lossy radio link on the "
         "path; mtr shows at which hop the times begin to vary."},
    [FINDING_PATH_MTU] =
        {"path-mtu", "large packets vanish on the path, small ones pass", FINDING_ERROR,
         "The handshake and small segments get through, full ones never do: a hop with a smaller "
         "MTU drops them, and the ICMP message that says so (RFC 1191, RFC 8201) is filtered.",
         "The network.",
         "Let ICMP \"fragmentation needed\" and IPv6 \"packet too big\" pass, clamp the MSS at the "
         "tunnel, or set net.ipv4.tcp_mtu_probing=1 on the sender."},
    [FINDING_RETRANSMISSION] =
        {"retransmission", "segments were sent again", FINDING_WARNING,
         "The kernel's counter of retransmissions rose. It does not tell which mechanism was at "
         "work: a timeout, duplicate acknowledgements or a tail loss probe.",
         "The network, most of the time.",
         "Look for loss on the path; a capture (netkit tcp-probe --pcap) shows which segments were "
         "lost."},
    [FINDING_RETRANSMISSION_TIMEOUT] =
        {"retransmission-timeout", "a lost segment cost a retransmission timeout", FINDING_WARNING,
         "A segment or its acknowledgement was lost, and nothing else told the sender, so it "
         "waited for its retransmission timer: at least 200 ms on Linux (RFC 6298 asks for 1 s), "
         "doubling each time.",
         "The network, or a peer that does not answer.",
         "Look for loss on the path: overflowing queues, a bad cable, policing, a firewall that "
         "drops packets."},
    [FINDING_FAST_RETRANSMIT] =
        {"fast-retransmit", "a lost segment was repaired by duplicate ACKs", FINDING_INFO,
         "Duplicate ACKs or SACK blocks told the sender that a segment was missing, and it sent "
         "the segment again about one round trip later.",
         "The network.", "Look for loss on the path if it happens often."},
    [FINDING_TAIL_LOSS_PROBE] =
        {"tail-loss-probe", "the last segment was lost and probed for", FINDING_INFO,
         "The last segment of a burst was sent again after about two round trips, to elicit an "
         "acknowledgement (RFC 8985 section 7) long before the retransmission timer expires.",
         "The network.", "Look for loss on the path if it happens often."},
    [FINDING_SPURIOUS_RETRANSMIT] =
        {"spurious-retransmit", "a segment was sent again although it had arrived", FINDING_INFO,
         "The acknowledgement was late, not lost: the receiver reported the copy as a duplicate "
         "(DSACK, RFC 2883) or acknowledged the original.",
         "The network, which delayed the ACK, or a receiver that acknowledges late.",
         "Look for queues that build up suddenly on the path, and for hosts that pause."},
    [FINDING_REORDERING] =
        {"reordering", "segments arrived out of order", FINDING_INFO,
         "Segments overtook each other on the path. The receiver holds back segments that came "
         "early, and the sender may mistake reordering for loss.",
         "The network.", "Look for load balancing that spreads single packets over several paths."},
    [FINDING_SYN_RETRANSMISSION] =
        {"syn-retransmission", "the SYN had to be sent again", FINDING_WARNING,
         "The first SYN, or its answer, was lost or ignored. Linux sends it again after 1 s, so "
         "connecting takes 1 s, 2 s, 3 s … instead of one round trip.",
         "The network, or a listener whose queue was full.",
         "Look at the listener's queue first (netkit accept-backlog --listener), then for loss."},
    [FINDING_SYNACK_RETRANSMISSION] =
        {"synack-retransmission", "the SYN,ACK had to be sent again", FINDING_WARNING,
         "The server's SYN,ACK or the client's ACK of it was lost, or the server would not take "
         "the ACK because its accept queue was full.",
         "The network, or the server's accept queue.",
         "Look at the listener's queue first, then for loss."},
    [FINDING_SLOW_RESOLVE] = {"slow-resolve", "the name took a long time to resolve",
                              FINDING_WARNING,
                              "The time passed before the first SYN: in the resolver, not in TCP.",
                              "The name service, or this host's configuration of it.",
                              "Check /etc/resolv.conf (a dead first server costs 5 s), the search "
                              "domains, and whether AAAA queries are answered."},
    [FINDING_ADDRESS_FALLBACK] =
        {"address-fallback", "the first address did not answer; another did", FINDING_WARNING,
         "The name has several addresses, and the first ones failed or were slow.",
         "The name's owner, or the network of one address family.",
         "Repair or withdraw the address that does not answer."},
    [FINDING_HIGH_RTT] =
        {"high-rtt", "the round trip time is long", FINDING_INFO,
         "Each exchange takes at least this long, whatever the two ends do.",
         "The distance, or queues on the path.",
         "Make fewer round trips: persistent connections, pipelining. Or use a server nearby."},
    [FINDING_NAME_NOT_FOUND] =
        {"name-not-found", "the name does not resolve", FINDING_ERROR,
         "The resolver has no address for this name, or could not be asked; or no "
         "Unix-domain socket of this name is there.",
         "The name, or the name service.",
         "Check the spelling and the name service (getent ahosts NAME)."},
    [FINDING_CONNECTION_REFUSED] = {"connection-refused", "nothing listens there", FINDING_ERROR,
                                    "The host answered the SYN with RST: no socket listens on that "
                                    "address and port (or a firewall sends the RST in its name).",
                                    "The server.",
                                    "Is the service running, on this port, and on this address "
                                    "rather than only on loopback? (ss -ltn there)"},
    [FINDING_CONNECTION_RESET] =
        {"connection-reset", "the peer aborted the connection with RST", FINDING_ERROR,
         "The peer closed with unread data in its buffer, closed with SO_LINGER 0, crashed and "
         "lost the connection, or something between the two sent the RST.",
         "The side that sent the RST.",
         "Read the peer's log for that moment; a peer that closes before it has read the whole "
         "request sends RST."},
    [FINDING_CONNECT_TIMEOUT] =
        {"connect-timeout", "no answer to the SYN", FINDING_ERROR,
         "Nothing came back: a firewall drops silently, the host is down behind a router that "
         "sends no ICMP error, or the listener's queue is full. From one side these look the same.",
         "The network or the server.",
         "netkit connect-timeout --target tells more; on the server, check the listener's queue "
         "and the firewall."},
    [FINDING_FILTERED] =
        {"filtered", "the host is up, but this port does not answer", FINDING_ERROR,
         "Another port of the same address answered in the same run, so the host is up and the "
         "path works; SYNs to this port vanish. Something drops them: a filter on the path or on "
         "the host, or a listener whose accept queue is full (Linux then drops SYNs silently).",
         "A filter, or the server.",
         "On the server: ss -ltn (is Recv-Q above Send-Q?), then its firewall. netkit "
         "connect-timeout --path shows how "
         "far the SYNs get."},
    [FINDING_ANSWER_NOT_TAKEN] =
        {"answer-not-taken", "the answer arrived here, and this host dropped it", FINDING_ERROR,
         "A capture on this host saw the SYN,ACK arrive, yet the connection stayed in SYN-SENT: a "
         "packet is captured before the host's firewall, its reverse path filter (rp_filter) and "
         "TCP itself see it, and one of them dropped it. The target and the path are fine.",
         "This host's firewall or routing; or, if the SYN,ACK acknowledges something other than "
         "the SYN, the target or something on the path.",
         "nft list ruleset; sysctl net.ipv4.conf.all.rp_filter; nstat -az before and after a try."},
    [FINDING_SYN_NOT_SENT] =
        {"syn-not-sent", "the SYN did not leave this host", FINDING_ERROR,
         "The kernel sent SYNs, and a capture on all interfaces of this host saw none of them "
         "leave: this host's firewall or an interface's queue dropped them, the interface has no "
         "carrier, or they left with another address (NAT) or inside a tunnel (IPsec).",
         "This host's firewall, interface or tunnel.",
         "ip -s link (NO-CARRIER, dropped); tc -s qdisc; nft list ruleset; ip xfrm policy."},
    [FINDING_CONNECTION_REJECTED] =
        {"connection-rejected", "a firewall rejects the connection by ICMP", FINDING_ERROR,
         "The SYN was answered with an ICMP message that says 'prohibited' or 'port unreachable'. "
         "A host without a listener answers with RST instead, so a rule rejects the SYN, in the "
         "router or host that sent the ICMP message.",
         "The administrator of the firewall that sent the ICMP message.",
         "Look for the rule at the address that sent the ICMP message; on Linux: nft list ruleset, "
         "ip route show type prohibit."},
    [FINDING_HOST_UNREACHABLE] =
        {"host-unreachable", "a router, or this host, cannot reach the host", FINDING_ERROR,
         "An ICMP host unreachable (or administratively prohibited) came back, or ARP or neighbour "
         "discovery got no answer on the last link.",
         "The network, or a host that is down.",
         "Is the host up? Does a firewall reject? The sender of the ICMP message shows where the "
         "path ends."},
    [FINDING_NETWORK_UNREACHABLE] =
        {"network-unreachable", "there is no route", FINDING_ERROR,
         "This host has no route to the address, or a router reported by ICMP that it has none.",
         "The routing of this host or of the network.", "ip route get ADDRESS"},
    [FINDING_ROUTING_LOOP] =
        {"routing-loop", "packets exceed their time to live on the path", FINDING_ERROR,
         "A router answered the SYN with ICMP time exceeded although it was sent with the usual "
         "time to live: the packet went round in a loop, or the path is longer than that.",
         "The network's routing.",
         "netkit connect-timeout --path shows the routers in the loop; their routes for this "
         "address disagree."},
    [FINDING_NOT_PERMITTED] =
        {"not-permitted", "this host forbids the connection", FINDING_ERROR,
         "connect() gave EACCES or EPERM before a SYN left: a 'prohibit' route, a firewall of this "
         "host, a filter on the process's control group, or a security policy. Or socket() did, or "
         "gave EAFNOSUPPORT: a seccomp filter (of a container, of a unit), or a policy.",
         "The administrator of this host.",
         "ip route show type prohibit; nft list ruleset; the policy's log; the seccomp profile."},
    [FINDING_NO_LOCAL_ADDRESS] =
        {"no-local-address", "this host has no address or port to connect from", FINDING_ERROR,
         "No SYN left: no address of this host fits the destination (none of IPv6 where that is "
         "switched off), or every ephemeral port towards it is in use.",
         "This host.",
         "ip address; sysctl net.ipv6.conf.all.disable_ipv6 for IPv6. Where the ports are in use, "
         "ss -tan dst ADDRESS (many in TIME-WAIT?), against net.ipv4.ip_local_port_range."},
    [FINDING_LATE_SYNACK] =
        {"late-synack", "the SYN was answered late, but not lost", FINDING_WARNING,
         "No SYN was lost, but SYN,ACK took long: the time from SYN to SYN,ACK, measured by the "
         "kernel, varies greatly from try to try; or a SYN was sent again after a second, but the "
         "answer carries the timestamp of the first one (RFC 7323). Something held the SYN or its "
         "answer: a queue that builds up on the path, or a host that is slow to handle its packets "
         "(an overloaded or paused machine; the kernel answers SYNs, not the listening "
         "application).",
         "The network or the server's host.",
         "Look from both ends at the same time: netkit tcp-probe --new-connection shows how often "
         "it happens, netkit connect-timeout --path whether the routers in front of it answer "
         "quickly."},
    [FINDING_ACCEPT_QUEUE_OVERFLOW] =
        {"accept-queue-overflow", "the accept queue is full", FINDING_WARNING,
         "Connections are established faster than the application accepts them, and the backlog is "
         "used up. Linux drops further SYNs, and clients wait 1 s or more before they retransmit.",
         "The server.",
         "Accept faster; raise the backlog of listen() or net.core.somaxconn, whichever is "
         "smaller."},
    [FINDING_SYN_QUEUE_OVERFLOW] =
        {"syn-queue-overflow", "too many half-open connections", FINDING_WARNING,
         "More handshakes are unfinished than the listener's limit allows. Linux drops SYNs or "
         "answers them with cookies.",
         "The server's limits, or an attack.",
         "Keep tcp_syncookies on; raise the backlog and tcp_max_syn_backlog."},
    [FINDING_SLOW_ACCEPT] =
        {"slow-accept", "connections wait for accept()", FINDING_WARNING,
         "The handshakes are complete and the clients believe that they are being served, but the "
         "connections stay in the accept queue because the application does not call accept(). "
         "None is lost as long as the queue has room, but each waits.",
         "The server application.",
         "Find out what keeps the application from calling accept(): a blocked or busy event loop, "
         "a lock, too few workers, no free descriptors (EMFILE), a stopped process."},
    [FINDING_LISTENER_CLOSED] =
        {"listener-closed", "the listener was closed during the watch", FINDING_WARNING,
         "The listening socket is gone: its process exited or closed it. Connections still in its "
         "queues were reset, and new ones are refused unless another socket listens there.",
         "The server, or its operator.",
         "If this was not intended, read the server's log. If it was a restart, hand the listening "
         "socket over (socket activation, SO_REUSEPORT with tcp_migrate_req) so that no queued "
         "connection is lost."},
    [FINDING_CLOSE_WAIT_LEAK] =
        {"close-wait-leak", "the application does not close after the peer's FIN", FINDING_WARNING,
         "Sockets stay in CLOSE-WAIT: the peer has closed, and the application on this side has "
         "not noticed, or never calls close().",
         "The side in CLOSE-WAIT.",
         "Treat a read of 0 bytes as the end of the stream, and close the descriptor on every code "
         "path."},
    [FINDING_HALF_OPEN] = {"half-open", "one side still has a connection that the other has lost",
                           FINDING_WARNING,
                           "The peer's host crashed or rebooted, or a device on the path forgot "
                           "the connection. A side that only waits never learns of it.",
                           "The side that waits without a limit.",
                           "Use keepalive (SO_KEEPALIVE, TCP_KEEPIDLE, …), TCP_USER_TIMEOUT, or "
                           "timeouts and heartbeats in the application."},
    [FINDING_PEER_ABORTED] = {"peer-aborted", "the peer ended the connection too early",
                              FINDING_ERROR,
                              "The peer ended the connection before the conversation was complete.",
                              "The peer.", "Read the peer's log for that moment."},
    [FINDING_NO_RESPONSE] =
        {"no-response", "connected, but no complete answer came in time", FINDING_ERROR,
         "The connection was established and the request sent, but the answer "
         "did not come, or it does not end in the way that tcp-probe --until expects.",
         "The server application, or what tcp-probe --until expects.",
         "Is it the right protocol for this port (tcp-probe --preset, --send, --until)? "
         "Is the server stuck? What arrived so far is in the message."},
    [FINDING_RESPONSE_TRUNCATED] =
        {"response-truncated", "the peer closed before the answer was complete", FINDING_ERROR,
         "The connection ended with FIN, as usual, but in the middle of an answer.", "The server.",
         "Compare the announced length with what is sent, and look for a server that crashes or "
         "closes early."},
    [FINDING_IDLE_CLOSE] =
        {"idle-close", "an idle connection is dropped", FINDING_INFO,
         "A connection without traffic was ended by the server, or forgotten by something between: "
         "a balancer, a firewall, a NAT. With FIN or RST the client learns of it when it happens, "
         "or "
         "with its next request; in silence the next request is sent into the void until a "
         "timeout.",
         "Whoever ends it; but the client has to cope.",
         "Let the client's pool close idle connections earlier than that, and repeat a request "
         "that "
         "finds a closed one. Against a NAT or firewall that forgets, set SO_KEEPALIVE with "
         "TCP_KEEPIDLE below the limit, if tcp-probe --idle-limit says that it keeps the "
         "connection; "
         "and TCP_USER_TIMEOUT, so that silence is noticed."},
    [FINDING_UNEXPECTED_ANSWER] =
        {"unexpected-answer", "the answer is not the one that was asked for", FINDING_WARNING,
         "The answer came, but says of itself that it is no success (an HTTP status of 400 or "
         "more, an error of Redis, an SMTP reply of 4xx or 5xx, a refused login), is not what "
         "tcp-probe "
         "--expect names, or is not of the protocol that was spoken. What was timed is then an "
         "error path, or another service.",
         "The server application, or what is asked of it.",
         "Read the status and the server's log, and ask what the real client asks (tcp-probe "
         "--path, --host, --query, --user). Is it the right protocol for this port (tcp-probe "
         "--preset)? Name other answers that are right with tcp-probe --expect."},
    [FINDING_EARLY_ANSWER_RESET] =
        {"early-answer-reset", "an answer before the whole request was read, and then RST",
         FINDING_ERROR,
         "The server answered while the request was still coming (a 413 to an upload, a redirect, "
         "a 401) and closed without reading the rest, so its kernel sent RST instead of FIN. The "
         "client's write then fails with ECONNRESET or EPIPE, and most clients stop there: they "
         "report a reset and never look at the answer. Linux keeps what had arrived before the "
         "RST for a client that reads all the same; other systems throw it away (RFC 9112 section "
         "9.6).",
         "The server.",
         "Read the rest of the request and throw it away, or close in two steps (a lingering "
         "close): shutdown(SHUT_WR), read until the client closes or a time is up, and only then "
         "close. A client should read after a failed write, or ask first (Expect: 100-continue)."},
    [FINDING_EXPECT_CONTINUE_WAIT] =
        {"expect-continue-wait", "the server ignores Expect: 100-continue", FINDING_WARNING,
         "A client that sends Expect: 100-continue holds its body back until the server says 100 "
         "(Continue) or a final status, such as 401, 413 or 417. It cannot wait for ever, because "
         "old servers don't know the header: after a while, curl's is one second, it sends the "
         "body nevertheless. A server that says nothing costs its clients that while in every such "
         "request.",
         "The server: one of HTTP/1.1 must answer at once with 100 or a final status (RFC 9110 "
         "section 10.1.1). A client that has no use for the question can spare it.",
         "In the server, or the proxy before it: answer Expect: 100-continue. In the client: leave "
         "the header out (curl -H 'Expect:') where bodies are small or seldom refused, or wait for "
         "less long (curl --expect100-timeout)."},
    [FINDING_REGRESSION] =
        {"regression", "slower than in the earlier run", FINDING_WARNING,
         "Rounds take longer than in the run that tcp-probe --baseline names: the Mann-Whitney "
         "rank test "
         "puts the difference beyond the noise of both runs (p below 0.01), and it is at least 5 % "
         "of the earlier median and 50 us. Or the target answered in that run, and not in this "
         "one.",
         "What changed between the two runs: the service, its host, the network, or this host.",
         "Compare the parts of a round in both reports to see which of them grew, and look at what "
         "changed in between. If in doubt, repeat both runs from the same idle host."},
    [FINDING_TLS_HANDSHAKE_FAILED] =
        {"tls-handshake-failed", "connected, but the TLS handshake failed", FINDING_ERROR,
         "TCP connected, but the two sides did not agree on a version, a cipher, a name or a "
         "protocol, or the other side does not speak TLS at all: it sent something that is not a "
         "TLS record, or closed the connection. The message has its alert or the reason.",
         "The configuration of either side.",
         "Is it a TLS port (tcp-probe without --tls shows what it says in plain text)? Does the "
         "server "
         "know the name and the protocols that are requested (--sni and --alpn of tcp-probe)? Does "
         "it speak TLS "
         "1.2 or 1.3? Does it require a client certificate (--cert)?"},
    [FINDING_TLS_CERTIFICATE] =
        {"tls-certificate", "the server's certificate was rejected", FINDING_ERROR,
         "The certificate has expired, is not valid yet, is for another name, or is not signed by "
         "an authority that this host trusts. A client that checks certificates, as it should, "
         "refuses the connection.",
         "The server, or a client that does not know the server's authority.",
         "Renew or replace the certificate, and send the intermediate certificates with it. For a "
         "private authority, give its certificate with tcp-probe --ca-file; for a name other than "
         "the "
         "target's use --sni; --insecure continues without the check."},
    [FINDING_PROGRAM_FAILED] =
        {"program-failed", "a program in the lab failed", FINDING_ERROR,
         "A program that netkit started in the lab ended with a status other than 0 or by a "
         "signal, could not be started, or was meant to be a server and never listened.",
         "The program, or what the faults did to it.",
         "Read what it printed, and the exchange before it ended."},
    [FINDING_MACHINE_REFUSES] =
        {"machine-refuses", "this machine does not let netkit do what it needs", FINDING_ERROR,
         "netkit needs things that a kernel can be built without, or that an administrator or a "
         "container can forbid: private namespaces for the lab, kernel timestamps, the kernel's "
         "socket tables; or it has no descriptor, memory or thread left. One of them was tried and "
         "did not work.",
         "The administrator of this machine or of the container.",
         "The remedy of the check names the setting that refuses; 'netkit doctor' checks again."},
    [FINDING_MACHINE_SETTING] =
        {"machine-setting", "a setting or a limit of this machine hinders TCP", FINDING_WARNING,
         "A setting of the kernel differs from its default in a way that costs connections or "
         "time, a limit is too low for a server or nearly used up, or a counter shows that the "
         "kernel is refusing connections right now.",
         "The administrator of this machine.",
         "The remedy of the check names the setting and a better value for it."},
    [FINDING_DEAD_PEER_UNNOTICED] =
        {"dead-peer-unnoticed", "the program does not notice that its peer is gone", FINDING_ERROR,
         "A peer whose host has crashed, or that is cut off, sends nothing, not even a FIN. A "
         "program that only waits for data then waits forever: TCP is silent on an idle "
         "connection. A program that sends is told by the kernel, but only after tcp_retries2 "
         "retransmissions, about a quarter of an hour with the defaults.",
         "The program, which waits without a time limit.",
         "Give every wait a limit: a timeout for each request (poll with a timeout, SO_RCVTIMEO, "
         "the library's own), TCP_USER_TIMEOUT for data that is not acknowledged, keepalive "
         "(SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT) for idle connections. "
         "Keepalive is silent while data are unacknowledged, and TCP_USER_TIMEOUT while none are."},
    [FINDING_TRUNCATION_ACCEPTED] =
        {"truncation-accepted", "the program takes a truncated answer for a complete one",
         FINDING_ERROR,
         "The peer died in the middle of its answer, and the program ended with status 0, as if "
         "the answer were complete. The end of a stream (FIN) says only that no more data will "
         "come, not that all of it has arrived.",
         "The program, which does not check how much it received.",
         "Compare what arrived with what the protocol announced (Content-Length, the last chunk, a "
         "length prefix, a terminator), and fail if it is less."},
    [FINDING_DESCRIPTOR_LEAK] =
        {"descriptor-leak", "descriptors of finished connections stay open", FINDING_ERROR,
         "After its clients and their connections were gone, the server still had more descriptors "
         "open than before they came. Sooner or later accept() fails with EMFILE.",
         "The server.",
         "Close the descriptor on every path that ends a connection: end of stream, error, "
         "timeout; in a forking server, in the parent as well."},
    [FINDING_ZOMBIE_PROCESSES] =
        {"zombie-processes", "children that have exited are not waited for", FINDING_ERROR,
         "A forking server has left its exited children as zombies: each keeps a process ID until "
         "the parent calls wait(), and when those are used up no process can be started.",
         "The server.",
         "Handle SIGCHLD and call waitpid(-1, &status, WNOHANG) in a loop (signals do not queue), "
         "or ignore SIGCHLD."},
    [FINDING_SCENARIO_DIFFERS] =
        {"scenario-differs", "this kernel did not do what was expected", FINDING_ERROR,
         "A scenario was reproduced, and what was observed is not what this kernel should do "
         "according to its documentation and to the settings read at run time. The reason can be a "
         "fault or a setting given on the command line, an unusual kernel, or a mistake in what "
         "netkit expects.",
         "Unknown.",
         "Compare what was expected with what was observed, and look at the diagram (--diagram of "
         "any scenario); if no fault or "
         "setting that you gave explains it, report it with the output of its --json and --pcap."},
    [FINDING_INCONCLUSIVE] =
        {"inconclusive", "the evidence does not decide", FINDING_WARNING,
         "More than one cause fits what was measured, or the measurements were too noisy to tell. "
         "The summary says which causes remain, and what would tell them apart.",
         "Unknown.",
         "Use an idle machine, take more measurements (tcp-probe --rounds, --repeat of the "
         "scenarios), or look from the other side."},
};

const struct finding_entry *finding_entry(enum finding_code code)
{
    return &entries[code < FINDING_CODES ? code : FINDING_INCONCLUSIVE];
}

enum finding_code finding_by_name(const char *name)
{
    enum finding_code code = FINDING_NONE;

    while (code < FINDING_CODES && strcmp(entries[code].name, name))
        code++;
    return code;
}

const char *finding_severity_name(enum finding_severity severity)
{
    switch (severity) {
    case FINDING_INFO:
        return "info";
    case FINDING_WARNING:
        return "warning";
    case FINDING_ERROR:
        return "error";
    }
    return "?";
}

enum finding_code finding_of_errno(int code)
{
    static const struct {
        int code;
        enum finding_code finding;
    } table[] = {
        {ECONNREFUSED, FINDING_CONNECTION_REFUSED}, {ECONNRESET, FINDING_CONNECTION_RESET},
        {EPIPE, FINDING_CONNECTION_RESET},          {ETIMEDOUT, FINDING_CONNECT_TIMEOUT},
        {EHOSTUNREACH, FINDING_HOST_UNREACHABLE},   {EHOSTDOWN, FINDING_HOST_UNREACHABLE},
        {EACCES, FINDING_HOST_UNREACHABLE},         {ENETUNREACH, FINDING_NETWORK_UNREACHABLE},
        {ECONNABORTED, FINDING_PEER_ABORTED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].code == code)
            return table[i].finding;
    return FINDING_NONE;
}

const char *finding_state_name(int number)
{
    for (size_t i = 0; i < finding_state_count; i++)
        if (finding_states[i].number == number)
            return finding_states[i].name;
    return "?";
}

/* "time_wait" is TIME-WAIT. */
static bool same_word(const char *a, const char *b)
{
    for (;; a++, b++) {
        int x = *a == '_' ? '-' : toupper((unsigned char)*a);
        int y = *b == '_' ? '-' : toupper((unsigned char)*b);
        if (x != y)
            return false;
        if (!x)
            return true;
    }
}

const struct finding_term *finding_term_by_name(const char *name)
{
    for (size_t i = 0; i < finding_errno_count; i++)
        if (same_word(finding_errnos[i].name, name))
            return &finding_errnos[i];
    for (size_t i = 0; i < finding_state_count; i++)
        if (same_word(finding_states[i].name, name))
            return &finding_states[i];
    return NULL;
}

const char *const *finding_names(void)
{
    static const char *names[FINDING_CODES + 64 + 1];
    size_t count = 0;

    for (size_t i = FINDING_NONE + 1; i < FINDING_CODES; i++)
        names[count++] = entries[i].name;
    for (size_t i = 0; i < finding_errno_count; i++)
        names[count++] = finding_errnos[i].name;
    for (size_t i = 0; i < finding_state_count; i++)
        names[count++] = finding_states[i].name;
    names[count] = NULL;
    return names;
}
