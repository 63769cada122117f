/* How far SYNs get: one socket per hop, with that time to live; each router at which one expires
 * names itself by ICMP. A few at a time, because routers limit how much ICMP they send, and a SYN
 * that lives long enough reaches the target. */
#ifndef PROBE_TCP_TRACEROUTE_H
#define PROBE_TCP_TRACEROUTE_H

#include "base/arena.h"
#include "probe/connect_try.h"

#define TCP_TRACEROUTE_AT_ONCE 3
/* Silent hops in a row that are taken for the end, unless the target is known to answer. */
#define TCP_TRACEROUTE_SILENT_MAX 5

struct tcp_traceroute {
    struct loop *loop;
    struct arena *arena;
    struct sock_address to;
    struct live_capture *capture; /* NULL: none */
    bool answers; /* the target is known to answer, so that silence is not the end */
    int64_t hops_max, hop_timeout_ns, deadline_ns;
    struct connect_try tries[TCP_TRACEROUTE_AT_ONCE];
    int64_t hop_of[TCP_TRACEROUTE_AT_ONCE];
    struct reach_try *hops; /* from hop 1 */
    int64_t begun;
    int64_t end; /* the hop where something answered that is no router; 0: none yet */
    void *owner;
    void (*ended)(struct tcp_traceroute *trace);
};

/* Fields up to deadline_ns, owner and ended are the caller's. -ENOMEM. */
int tcp_traceroute_begin(struct tcp_traceroute *trace);
/* Ends it as it is; `ended` is not called. */
void tcp_traceroute_cut(struct tcp_traceroute *trace);
/* How many hops there is something to say of. */
size_t tcp_traceroute_count(const struct tcp_traceroute *trace);

#endif
