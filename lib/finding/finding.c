#include "finding/finding.h"

#include "base/cleanup.h"
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NOTHING "Nothing has to change."

static const struct finding_entry entries[FINDING_CODES] = {
    [FINDING_NONE] = {"ok", "nothing stands out", FINDING_INFO,
                      "No part of the conversation was slow enough, often enough, to need an "
                      "explanation.",
                      "Nobody's.", NOTHING},
    [FINDING_NAGLE_DELAYED_ACK] =
        {"nagle-delayed-ack", "a small write waits for the peer's delayed ACK", FINDING_WARNING,
         "One side sends a message in two or more small writes. Nagle's algorithm (RFC 896, RFC "
         "9293 section 3.7.4) keeps the later, small segment in the send queue until the earlier "
         "one is acknowledged. The other side has nothing to send back and delays that "
         "acknowledgement (RFC 9293 section 3.8.6.3): at least 40 ms on Linux, up to 200 ms "
         "elsewhere. Both wait for each other. A connection's first exchanges do not stall, "
         "because "
         "Linux acknowledges the first segments at once.",
         "The side whose writes are held: it splits one message over several writes.",
         "Hand the whole message to the kernel in one call (writev, sendmsg, a buffered writer "
         "that is flushed once, MSG_MORE on all but the last write), or set TCP_NODELAY on that "
         "side's socket. TCP_QUICKACK on the other side hides it, but does not stick."},
    [FINDING_CORK_HOLD] =
        {"cork-hold", "data waits under TCP_CORK or MSG_MORE", FINDING_WARNING,
         "With TCP_CORK set, or MSG_MORE on the last write, the kernel sends full segments only. A "
         "smaller rest is kept for 200 ms in the hope of more (tcp(7)).",
         "The side that corked and did not uncork.",
         "Clear TCP_CORK after the last write of a message, and leave MSG_MORE off that write."},
    [FINDING_DELAYED_ACK] =
        {"delayed-ack", "the peer delayed its ACK, and nothing waited for it", FINDING_INFO,
         "The peer acknowledged later than it received, as RFC 9293 section 3.8.6.3 allows. No "
         "segment of ours waited for that acknowledgement, so it cost nothing.",
         "Nobody's.", NOTHING},
    [FINDING_SERVER_THINK_TIME] =
        {"server-think-time", "the server application takes its time", FINDING_WARNING,
         "The request had arrived and nothing in TCP stood in the way, yet the answer, or the rest "
         "of it, came later. The server was computing, waiting for something of its own, asleep or "
         "not scheduled.",
         "The server application, or what it waits for.",
         "Profile the server for this request: its own upstream calls, locks, timers, a thread "
         "pool that is full, a machine without CPU to spare. No socket option helps."},
    [FINDING_STALL_WHEN_PERSISTENT] =
        {"stall-when-persistent", "fast on new connections, would stall on a persistent one",
         FINDING_WARNING,
         "With a new connection for each request everything is quick, because Linux acknowledges "
         "the first segments of a connection at once. The same requests on one persistent "
         "connection stall: Nagle's algorithm waits for a delayed ACK.",
         "The side whose writes are held, as for nagle-delayed-ack.",
         "Mend it before anybody turns on keep-alive or a connection pool: one write a message, or "
         "TCP_NODELAY."},
    [FINDING_RECEIVE_WINDOW_LIMITED] =
        {"receive-window-limited", "the receiver's window holds the sender back", FINDING_WARNING,
         "The sender had data and the network would have carried it, but the receiver had "
         "announced no more room: its application reads too slowly, or its buffer is small for "
         "this bandwidth and delay.",
         "The receiving side.",
         "Read faster (do not do slow work in the reading loop), and leave SO_RCVBUF alone so that "
         "the kernel can grow the buffer (tcp_rmem, tcp_moderate_rcvbuf)."},
    [FINDING_ZERO_WINDOW] =
        {"zero-window", "the receiver's buffer is full: it does not read", FINDING_WARNING,
         "The receiver announced a window of zero. Its buffer is full because its application has "
         "stopped reading; the sender may only probe until that changes.",
         "The receiving side.",
         "Find out why the application does not read: it is blocked (perhaps writing to a peer "
         "that does not read either), stuck or stopped."},
    [FINDING_SEND_BUFFER_LIMITED] =
        {"send-buffer-limited", "the send buffer is too small for this path", FINDING_WARNING,
         "The network and the receiver would have taken more, but the sender's socket buffer held "
         "no more unacknowledged data.",
         "The sending side.", "Leave SO_SNDBUF alone, or raise it and tcp_wmem's maximum."},
    [FINDING_CONGESTION_WINDOW_LIMITED] =
        {"congestion-window-limited", "the congestion window sets the pace", FINDING_INFO,
         "The sender waited for acknowledgements to open the congestion window, as TCP should on a "
         "young connection or after a loss.",
         "The network, or nobody.",
         "Reuse connections so that the window is open, look for loss, and see whether "
         "tcp_slow_start_after_idle closes the window between requests."},
    [FINDING_PACING_LIMITED] =
        {"pacing-limited", "the kernel's pacing spreads the segments", FINDING_INFO,
         "Segments left at the pacing rate (SO_MAX_PACING_RATE, or a congestion control that paces "
         "such as bbr) rather than at once.",
         "The sending side, on purpose.", NOTHING},
    [FINDING_RETRANSMISSION] =
        {"retransmission", "segments were sent again", FINDING_WARNING,
         "The kernel's counter of retransmissions moved. From here it does not show by which "
         "mechanism: a timeout, duplicate acknowledgements or a probe.",
         "The network, most of the time.",
         "Look at the path for loss; capture (--pcap, or netkit analyze) to see which segments."},
    [FINDING_RETRANSMISSION_TIMEOUT] =
        {"retransmission-timeout", "a lost segment cost a retransmission timeout", FINDING_WARNING,
         "A segment or its acknowledgement was lost, and nothing else told the sender, so it "
         "waited "
         "for the retransmission timer: at least 200 ms on Linux (RFC 6298 asks for 1 s), doubling "
         "each time.",
         "The network, or a peer that does not answer.",
         "Look for loss on the path: queues that overflow, a bad cable, policing, a firewall that "
         "drops."},
    [FINDING_FAST_RETRANSMIT] =
        {"fast-retransmit", "a lost segment was repaired by duplicate ACKs", FINDING_INFO,
         "The acknowledgements (duplicates, or SACK blocks) told the sender that a segment was "
         "missing, and it sent it again about one round trip later.",
         "The network.", "Look for loss on the path if it happens often."},
    [FINDING_TAIL_LOSS_PROBE] =
        {"tail-loss-probe", "the last segment was lost and probed for", FINDING_INFO,
         "The last segment of a burst was sent once more after about two round trips, to provoke "
         "an "
         "acknowledgement (RFC 8985 section 7), long before the retransmission timer.",
         "The network.", "Look for loss on the path if it happens often."},
    [FINDING_SPURIOUS_RETRANSMIT] =
        {"spurious-retransmit", "a segment was sent again although it had arrived", FINDING_INFO,
         "The acknowledgement was late, not lost: the receiver reported the copy as a duplicate "
         "(DSACK, RFC 2883) or acknowledged the original.",
         "The network's delay, or a receiver that acknowledges late.",
         "Look for sudden queues on the path, and for hosts that pause."},
    [FINDING_REORDERING] =
        {"reordering", "segments arrived out of order", FINDING_INFO,
         "Segments overtook each other on the path. The receiver holds back what came early, and "
         "the sender may take it for loss.",
         "The network.", "Look for paths balanced a packet at a time."},
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
    [FINDING_SLOW_RESOLVE] =
        {"slow-resolve", "the name took long to resolve", FINDING_WARNING,
         "Time went by before the first SYN: in the resolver, not in TCP.",
         "The name service, or its configuration on this host.",
         "Look at /etc/resolv.conf (a dead first server costs 5 s), search domains, and whether "
         "AAAA queries are answered."},
    [FINDING_ADDRESS_FALLBACK] =
        {"address-fallback", "the first address did not answer; another did", FINDING_WARNING,
         "The name has several addresses, and those tried first failed or were slow.",
         "The name's owner, or the network of one address family.",
         "Mend or withdraw the address that does not answer."},
    [FINDING_HIGH_RTT] =
        {"high-rtt", "the network's round trip is long", FINDING_INFO,
         "Each exchange costs at least this long, whatever the two ends do.",
         "The distance, or queues on the path.",
         "Fewer round trips: persistent connections, pipelining, a server nearby."},
    [FINDING_NAME_NOT_FOUND] = {"name-not-found", "the name does not resolve", FINDING_ERROR,
                                "The resolver has no address for this name, or could not be asked.",
                                "The name, or the name service.",
                                "Check the spelling and the name service (getent ahosts NAME)."},
    [FINDING_CONNECTION_REFUSED] =
        {"connection-refused", "nobody listens there", FINDING_ERROR,
         "The host answered the SYN with RST: no socket listens on that address and port (or a "
         "firewall pretends so).",
         "The server.",
         "Is the service running, on this port, on this address and not only on loopback? "
         "(ss -ltn there)"},
    [FINDING_CONNECTION_RESET] =
        {"connection-reset", "the peer aborted the connection with RST", FINDING_ERROR,
         "The peer closed with unread data in its buffer, closed with SO_LINGER 0, crashed in a "
         "way "
         "that lost the connection, or something between the two sent the RST.",
         "The side that sent the RST.",
         "Read the peer's log for that moment; a peer that closes before it has read the whole "
         "request resets."},
    [FINDING_CONNECT_TIMEOUT] =
        {"connect-timeout", "no answer to the SYN", FINDING_ERROR,
         "Nothing came back: a firewall drops silently, the host is down behind a router that says "
         "nothing, or the listener's queue is full. From one side these look alike.",
         "The network or the server.",
         "netkit connect-timeout --target tells more; on the server look at the listener's queue "
         "and the firewall."},
    [FINDING_FILTERED] =
        {"filtered", "the host is alive, but not a word from this port", FINDING_ERROR,
         "Another port of the same address answered in the same run, so the host is up and the way "
         "there works; SYNs to this port vanish. Something drops them: a filter on the way or on "
         "the host, or a listener whose accept queue is full (Linux drops SYNs then, and says "
         "nothing).",
         "A filter, or the server.",
         "On the server: ss -ltn (is Recv-Q above Send-Q?), then its firewall. --path shows how "
         "far the SYNs get."},
    [FINDING_ANSWER_NOT_TAKEN] =
        {"answer-not-taken", "the answer arrived here, and this host dropped it", FINDING_ERROR,
         "A capture on this host saw the SYN,ACK arrive, yet the connection stayed in SYN-SENT: a "
         "packet is captured before the host's firewall, its check of the way back (rp_filter) "
         "and TCP itself look at it, and one of them dropped it. The target and the way are in "
         "order.",
         "This host's firewall or routing; or, where the SYN,ACK acknowledges something else than "
         "the SYN, the target or something on the way.",
         "nft list ruleset; sysctl net.ipv4.conf.all.rp_filter; nstat -az before and after a try."},
    [FINDING_SYN_NOT_SENT] =
        {"syn-not-sent", "the SYN did not leave this host", FINDING_ERROR,
         "The kernel sent SYNs, and a capture on all devices of this host saw none of them leave: "
         "a firewall of this host or a queue of its device dropped them, the device has no "
         "carrier, "
         "or they left under another address (NAT) or inside a tunnel (IPsec).",
         "This host's firewall, device or tunnel.",
         "ip -s link (NO-CARRIER, dropped); tc -s qdisc; nft list ruleset; ip xfrm policy."},
    [FINDING_CONNECTION_REJECTED] =
        {"connection-rejected", "a firewall rejects, and says so by ICMP", FINDING_ERROR,
         "The SYN was answered with an ICMP message that says 'prohibited' or 'port unreachable'. "
         "A host without a listener answers with RST instead, so a rule rejects: in the router or "
         "host that sent the ICMP.",
         "Whoever runs the firewall at the ICMP's sender.",
         "Ask for the rule at the address that sent the ICMP; on Linux: nft list ruleset, ip route "
         "show type prohibit."},
    [FINDING_HOST_UNREACHABLE] =
        {"host-unreachable", "a router, or our own host, finds nobody there", FINDING_ERROR,
         "An ICMP host unreachable (or administratively prohibited) came back, or nobody answered "
         "ARP or neighbour discovery on the last link.",
         "The network, or a host that is down.",
         "Is the host up? Does a firewall reject? The ICMP's sender says where it ends."},
    [FINDING_NETWORK_UNREACHABLE] =
        {"network-unreachable", "there is no route", FINDING_ERROR,
         "This host has no route for the address, or a router said so by ICMP.",
         "The routing of this host or of the network.", "ip route get ADDRESS"},
    [FINDING_ROUTING_LOOP] =
        {"routing-loop", "packets die of old age on the way", FINDING_ERROR,
         "A router answered the SYN with ICMP time exceeded although it was sent with the usual "
         "time to live: the packet went round in a circle, or the way is longer than that.",
         "The network's routing.",
         "--path shows which routers the circle has; their routes for this address disagree."},
    [FINDING_NOT_PERMITTED] =
        {"not-permitted", "this host does not permit the connection", FINDING_ERROR,
         "connect() gave EACCES or EPERM before a SYN left: a 'prohibit' route, a firewall, a "
         "filter on the process's control group, or a security policy.",
         "Whoever runs this host.",
         "ip route show type prohibit; nft list ruleset; the policy's log."},
    [FINDING_NO_LOCAL_ADDRESS] =
        {"no-local-address", "this host has no address or port to connect from", FINDING_ERROR,
         "connect() gave EADDRNOTAVAIL: every ephemeral port towards this destination is taken, or "
         "there is no source address that fits the destination.",
         "This host.",
         "ss -tan dst ADDRESS (many in TIME-WAIT?), net.ipv4.ip_local_port_range, ip address."},
    [FINDING_LATE_SYNACK] =
        {"late-synack", "the SYN was answered late, without being lost", FINDING_WARNING,
         "The time from SYN to SYN,ACK, measured by the kernel, differs much from try to try, and "
         "no SYN had to be sent again: something held it or its answer. A queue on the way that "
         "fills, or a host that does not get round to its network (an overloaded or paused "
         "machine; the listening application is not involved in answering a SYN).",
         "The network or the server's host.",
         "Look from both ends at the same moment: netkit tcp-probe --new-connection shows how "
         "often, --path whether the routers before it answer quickly."},
    [FINDING_ACCEPT_QUEUE_OVERFLOW] =
        {"accept-queue-overflow", "the accept queue is full", FINDING_WARNING,
         "Connections are complete but the application does not accept them fast enough for the "
         "backlog. Linux drops further SYNs, and clients wait 1 s or more for their "
         "retransmission.",
         "The server.",
         "Accept faster; raise listen()'s backlog and net.core.somaxconn, whichever is smaller."},
    [FINDING_SYN_QUEUE_OVERFLOW] =
        {"syn-queue-overflow", "too many half-open connections", FINDING_WARNING,
         "More handshakes are unfinished than the listener's limit. Linux drops SYNs or answers "
         "with cookies.",
         "The server's limits, or an attack.",
         "Leave tcp_syncookies on; raise the backlog and tcp_max_syn_backlog."},
    [FINDING_SLOW_ACCEPT] =
        {"slow-accept", "connections wait for accept()", FINDING_WARNING,
         "Handshakes are complete and the clients believe that they are served, but the "
         "connections "
         "stay in the accept queue because the application does not call accept() for them. None "
         "is lost as long as the queue has room; each waits.",
         "The server application.",
         "Find what keeps the application from accept(): a blocked or busy event loop, a lock, too "
         "few workers, no free descriptors (EMFILE), a stopped process."},
    [FINDING_LISTENER_CLOSED] =
        {"listener-closed", "the listener was closed while it was watched", FINDING_WARNING,
         "The listening socket is gone: its process ended or closed it. Connections that were "
         "still in its queues were reset, and new ones are refused unless another socket listens "
         "there.",
         "The server, or whoever stopped it.",
         "If it was not on purpose: read the server's log. If it was a restart: hand the listening "
         "socket over (socket activation, SO_REUSEPORT with tcp_migrate_req) so that no queued "
         "connection is lost."},
    [FINDING_CLOSE_WAIT_LEAK] =
        {"close-wait-leak", "the application does not close after the peer's FIN", FINDING_WARNING,
         "Sockets stay in CLOSE-WAIT: the peer has closed, and this side's application has not "
         "noticed or forgot close().",
         "The side in CLOSE-WAIT.",
         "Treat a read of 0 bytes as the end, and close the descriptor on every path."},
    [FINDING_HALF_OPEN] =
        {"half-open", "one side believes in a connection that the other has lost", FINDING_WARNING,
         "The peer's host died or rebooted, or something between forgot the connection. A side "
         "that "
         "only waits will never learn of it.",
         "The side that waits without a bound.",
         "Keepalive (SO_KEEPALIVE, TCP_KEEPIDLE, …), TCP_USER_TIMEOUT, or timeouts and heartbeats "
         "in the application."},
    [FINDING_PEER_ABORTED] = {"peer-aborted", "the peer gave up in the middle", FINDING_ERROR,
                              "The peer ended the connection before the conversation was complete.",
                              "The peer.", "Read the peer's log for that moment."},
    [FINDING_NO_RESPONSE] =
        {"no-response", "connected, but no complete answer came in time", FINDING_ERROR,
         "The connection stands, the request was sent, and the answer did not come, or what came "
         "does not end the way that --until expects.",
         "The server application, or the expectation.",
         "Is it the right protocol for this port (--preset, --send, --until)? Is the server stuck? "
         "What arrived so far is in the message."},
    [FINDING_RESPONSE_TRUNCATED] =
        {"response-truncated", "the peer closed before the answer was complete", FINDING_ERROR,
         "The connection ended in good order, by FIN, but in the middle of an answer.",
         "The server.",
         "Compare the announced length with what is sent, and look for a server that dies or "
         "closes "
         "early."},
    [FINDING_REGRESSION] =
        {"regression", "slower than in the earlier run", FINDING_WARNING,
         "Rounds take longer than in the run that --baseline names: the Mann-Whitney rank test "
         "puts "
         "the difference beyond the noise of both runs (p below 0.01), and it is at least 5 % of "
         "the earlier median and 50 us. Or the target answered in that run, and does not in this.",
         "Whoever changed something between the two runs: the service, its host, the network, or "
         "this host.",
         "Compare the parts of a round in both reports to see which of them grew, and look at what "
         "changed in between. Run both again from the same, quiet host if in doubt."},
    [FINDING_TLS_HANDSHAKE_FAILED] =
        {"tls-handshake-failed", "connected, but TLS could not be agreed on", FINDING_ERROR,
         "TCP connected, and then the two sides did not agree on a version, a cipher, a name or a "
         "protocol, or the other side does not speak TLS at all: what it sent was no TLS record, "
         "or it hung up. The message has its alert or the reason.",
         "The configuration of either side.",
         "Is it a TLS port (leave --tls off to see what it says in plain text)? Does the server "
         "know the name (--sni) and the protocols (--alpn) that are asked for? Does it speak TLS "
         "1.2 or 1.3, and does it want a client certificate, which netkit has none of?"},
    [FINDING_TLS_CERTIFICATE] =
        {"tls-certificate", "the server's certificate is not accepted", FINDING_ERROR,
         "The certificate has expired, is not valid yet, is for another name, or nobody whom this "
         "host trusts has signed it. A client that checks, as it should, refuses the connection.",
         "The server, or a client that does not know the server's authority.",
         "Renew or replace the certificate, and send the intermediate ones with it. For a private "
         "authority name its certificate with --ca-file, for another name than the target's use "
         "--sni; --insecure goes on without a check."},
    [FINDING_PROGRAM_FAILED] =
        {"program-failed", "a program of the lab did not do its part", FINDING_ERROR,
         "A program that netkit lab started ended with a status other than 0 or by a signal, could "
         "not be started, or was to be a server and never listened.",
         "The program, or what the faults did to it.",
         "Read what it printed, and the exchange before its end."},
    [FINDING_MACHINE_REFUSES] =
        {"machine-refuses", "this machine does not let netkit do what it needs", FINDING_ERROR,
         "Some of what netkit does rests on things that a kernel can be built without, or that an "
         "administrator or a container can forbid: private namespaces for the lab, the kernel's "
         "time stamps, the kernel's tables of sockets. One of them was tried and did not work.",
         "The administrator of this machine, or whoever starts the container.",
         "The remedy of the check names the setting that refuses; 'netkit doctor' tries again."},
    [FINDING_MACHINE_SETTING] =
        {"machine-setting", "a setting or a limit of this machine gets in TCP's way",
         FINDING_WARNING,
         "A setting of the kernel differs from its default in a way that costs connections or "
         "time, a limit is too low for a server or nearly used up, or a counter shows that the "
         "kernel is refusing connections at this moment.",
         "The administrator of this machine.",
         "The remedy of the check names the setting, and a better value for it."},
    [FINDING_DEAD_PEER_UNNOTICED] =
        {"dead-peer-unnoticed", "the program does not notice that its peer is gone", FINDING_ERROR,
         "A peer that has crashed, or is cut off, sends nothing, not even a FIN. A program that "
         "only waits for data then waits for ever: TCP is silent on an idle connection. One that "
         "sends is told by the kernel, but only after tcp_retries2 retransmissions, a quarter of "
         "an hour with the defaults.",
         "The program that waits without a limit of its own.",
         "Give every wait a limit: a timeout of the request (poll with a timeout, SO_RCVTIMEO, the "
         "library's own), TCP_USER_TIMEOUT for data that is not acknowledged, keepalive "
         "(SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT) for idle connections."},
    [FINDING_TRUNCATION_ACCEPTED] =
        {"truncation-accepted", "the program takes half an answer for a whole one", FINDING_ERROR,
         "The peer died in the middle of its answer, and the program ended with status 0, as if "
         "all had come. The end of a stream (FIN) says only that no more comes, not that all has.",
         "The program that does not check how much it got.",
         "Compare what came with what the protocol announced (Content-Length, the last chunk, a "
         "length prefix, a terminator), and fail when it is less."},
    [FINDING_DESCRIPTOR_LEAK] =
        {"descriptor-leak", "descriptors of finished connections stay open", FINDING_ERROR,
         "After its clients were gone, and their connections with them, the server still had more "
         "descriptors open than before they came. Sooner or later accept fails with EMFILE.",
         "The server.",
         "Close the descriptor on every path that ends a connection: end of stream, error, "
         "time-out; in a forking server in the parent, too."},
    [FINDING_ZOMBIE_PROCESSES] =
        {"zombie-processes", "children that have ended are not waited for", FINDING_ERROR,
         "A forking server has left its ended children as zombies: each holds a process number "
         "until the parent calls wait, and when they are used up no process can be started.",
         "The server.",
         "Handle SIGCHLD and call waitpid(-1, &status, WNOHANG) in a loop (signals do not queue), "
         "or ignore SIGCHLD."},
    [FINDING_SCENARIO_DIFFERS] =
        {"scenario-differs", "this kernel did something else than was expected", FINDING_ERROR,
         "A scenario was reproduced, and what was observed is not what this kernel should do by "
         "its "
         "documentation and the settings read at run time. A fault or a setting that was asked for "
         "on the command line can be the reason, an unusual kernel, or a mistake in what netkit "
         "expects.",
         "Not known.",
         "Compare what was expected with what was observed, and look at --diagram; if no fault or "
         "setting of yours explains it, report it with --json and --pcap."},
    [FINDING_INCONCLUSIVE] =
        {"inconclusive", "the evidence does not decide", FINDING_WARNING,
         "More than one cause fits what was measured, or the measurements were too noisy to tell. "
         "The summary says which causes remain, and what would tell them apart.",
         "Not known.",
         "A quieter machine, more measurements (--rounds, --repeat), or a look from the other "
         "side."},
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
