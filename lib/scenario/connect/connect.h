/* The rows of connect-timeout, file by file; connect_set.c lists them. */
#ifndef SCENARIO_CONNECT_H
#define SCENARIO_CONNECT_H

#include "scenario/engine/testbed.h"

/* connect_answer.c: what answers a SYN, or nobody. */
extern const struct scenario connect_accepted, connect_refused;
/* connect_method.c: nothing comes back, and the ways of bounding the wait. */
extern const struct scenario connect_blackhole;
/* connect_icmp.c: an ICMP error answers, a router's or the host's own. */
extern const struct scenario connect_unreachable_net, connect_unreachable_host,
    connect_unreachable_port, connect_prohibited, connect_no_neighbour;
/* connect_lost.c: a segment of the handshake is lost or late. */
extern const struct scenario connect_syn_lost, connect_synack_lost, connect_last_ack_lost,
    connect_synack_late;
/* backlog_full.c, backlog_defer.c: what the listener makes of it; accept-backlog lists them, too,
 * there under a name of what the server sees. */
extern const struct scenario connect_reset_late, connect_fast_open;
/* connect_meet.c: ports that meet. */
extern const struct scenario connect_simultaneous_open, connect_self_connect,
    connect_address_exhausted;
/* connect_call.c: the call itself. */
extern const struct scenario connect_interrupted, connect_reuse_after_failure, connect_nonblocking;

/* scenario_request.own of connect-timeout: what --method selects for the scenario "blackhole";
 * NULL: every method. */
struct connect_methods {
    uint32_t chosen; /* 1 << enum sock_connect_method each; 0: every method */
};

/* The settings that scenarios with unanswered SYNs pin: SYNs at 0, 1, 2 and 4 s, the end at 8 s;
 * and at 0 and 1 s, the end at 3 s, where no SYN should go unanswered. */
extern const struct scenario_setting connect_few_retries[], connect_one_retry[];

/* How long a call took. */
static inline int64_t connect_took_ns(const struct act_reply *reply)
{
    return reply->returned_ns - reply->entered_ns;
}

/* Ends the run, and adds the scenario's row to the summary of all, from the connect that it is
 * about. */
void connect_summary(struct testbed *bed, const struct act_reply *connect);

/* A name as a key of JSON: "admin-prohibited" is admin_prohibited. */
const char *connect_key(struct testbed *bed, const char *text);

/* A blocking connect of the client to TESTBED_PORT, and what the kernel's timers make of it. */
struct connect_attempt {
    struct act_reply connect;
    int state_left; /* of the socket */
    struct kernel_timers_settings settings;
    struct kernel_timers plan, host; /* by the lab's settings; by this machine's own */
};
struct connect_attempt connect_try(struct testbed *bed, enum act_to to);
/* The same without the connect. */
struct connect_attempt connect_plan(struct testbed *bed);
/* The server's transmissions of its SYN,ACK. */
struct connect_accept_plan {
    struct kernel_timers_settings settings;
    struct kernel_timers timers, host; /* as above */
};
struct connect_accept_plan connect_accept_plan(struct testbed *bed);
/* "took_ns" must be the time that the model plans. */
void connect_check_took(struct testbed *bed, const struct connect_attempt *attempt,
                        int64_t planned_ns);

#endif
