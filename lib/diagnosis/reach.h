/* What becomes of a connect to a live target, and why: measurements in, one case and its findings
 * out. Pure: no clock, no socket.
 *
 * Several causes look alike from one side. A case is named only as far as the evidence carries:
 * result_reach.cannot_tell then says which causes remain, and would_tell what would separate them.
 * What is known of other targets of the same run counts as evidence, too: a port that answers shows
 * that its host is alive.
 *
 * How Linux maps ICMP to errno: icmp_err_convert[] of net/ipv4/icmp.c, icmpv6_err_convert() of
 * net/ipv6/icmp.c. */
#ifndef DIAGNOSIS_REACH_H
#define DIAGNOSIS_REACH_H

#include "diagnosis/failure.h"
#include "diagnosis/kernel_timers.h"
#include "result/result.h"

enum reach_answer {
    REACH_SILENCE,   /* nothing, until our patience or the kernel's (ETIMEDOUT) was over */
    REACH_CONNECTED, /* SYN,ACK */
    REACH_RST,
    REACH_RESET,   /* connected, and reset in the same moment */
    REACH_ICMP,    /* an error message, `icmp` */
    REACH_REFUSED, /* our own kernel said no before a SYN left: `number` */
    REACH_ITSELF,  /* simultaneous open with ourselves: our own port was the target */
    REACH_UNTRIED, /* the run was over, or something of ours failed: `number` */
    REACH_ANSWERS  /* how many */
};
/* "none", "connected", "rst", … */
const char *reach_answer_name(enum reach_answer answer);

/* An ICMP or ICMPv6 error. */
struct reach_icmp {
    bool v6;
    uint8_t type, code;
    const char *from; /* an address; NULL: not known */
    bool ours;        /* `from` is the address that we connected from */
};

/* What an ICMP error says, whoever sent it. */
enum reach_icmp_kind {
    REACH_ICMP_OTHER,
    REACH_ICMP_NO_ROUTE,   /* to the network */
    REACH_ICMP_NO_HOST,    /* the last router finds nobody */
    REACH_ICMP_PROHIBITED, /* by a rule; so is a port unreachable, for a host would send RST */
    REACH_ICMP_TTL,        /* time exceeded in transit */
};
enum reach_icmp_kind reach_icmp_kind(const struct reach_icmp *icmp);
/* "host-unreachable", "admin-prohibited", …; never NULL. */
const char *reach_icmp_name(const struct reach_icmp *icmp);

/* What a capture on this host saw of a try. Only what its counts can carry is to be concluded from
 * it: translation of addresses (NAT) and tunnels of this host change what passes its devices. */
struct reach_wire {
    bool seen;       /* there was a capture, and it lost nothing; else the rest says nothing */
    int64_t syns;    /* of ours that left */
    int64_t synacks; /* that arrived; of a try that ended in silence only those which the kernel had
                        all the time in the world to take */
    bool misfits;    /* a SYN,ACK acknowledged something else than our SYN */
    uint8_t synack_ttl, rst_ttl; /* or hop limit, as it arrived; 0: none came */
    bool has_icmp;               /* an ICMP error that quotes our SYN, with its sequence number */
    struct reach_icmp icmp;
};

struct reach_try {
    enum reach_answer answer;
    int number;          /* errno, positive; 0: none */
    bool without_socket; /* REACH_REFUSED: already before connect() */
    int64_t took_ns;
    int64_t rtt_ns; /* the kernel's, of a handshake without retransmission; else RESULT_UNKNOWN */
    int64_t syn_retransmits;
    /* Where a SYN was sent again: how old the SYN was whose timestamp SYN,ACK echoes (RFC 7323
     * section 4). 0 or RESULT_UNKNOWN: there are no timestamps. */
    int64_t echo_ns;
    struct reach_icmp icmp; /* REACH_ICMP */
    struct reach_wire wire;
};
/* The TTL with which all tries that were answered in this way were; 0: not known, or several. */
uint8_t reach_ttl(const struct reach_try *tries, size_t count, enum reach_answer answer);

/* A listener of this host, when a SYN was not answered at once. */
struct reach_listener {
    bool seen;            /* there is one on that port, for that address */
    bool v6_for_v4;       /* an IPv6 one, which takes IPv4 only unless it is IPV6_V6ONLY */
    int64_t queue, limit; /* its accept queue at its fullest */
};

/* Another target of the run with the same address that answered. */
struct reach_other {
    const char *target; /* NULL: there is none */
    enum reach_answer answer;
    bool at_once; /* without a retransmission */
    int64_t hop;  /* at which distance it answered; 0: not known */
    uint8_t ttl;  /* of its answers; 0: not known */
};

struct reach_evidence {
    const char *target, *address;
    int64_t port;
    int64_t resolve_ns;
    const char *resolve_error; /* NULL: it resolved */
    enum failure_cause resolve_cause;
    const char *source; /* the address that we connected from; NULL: not known */
    const struct reach_try *tries;
    size_t try_count;
    const struct result_route *route; /* NULL: not known */
    struct reach_listener listener;
    struct reach_other other;
    const struct reach_try *hops; /* SYNs with a rising time to live; the first one is hop 1 */
    size_t hop_count;
    struct local_facts local;               /* where our kernel refused */
    struct kernel_timers_settings settings; /* this machine's */
    const struct trace_strip *strip;        /* passed on to the result; NULL: none */
};

/* Whether the diagnosis should wait for the other targets of the run. */
bool reach_wants_others(const struct reach_evidence *evidence);
/* Sets `other` of each, as far as the run has one with the same address and another port. Puts the
 * array into another order. */
void reach_find_others(struct reach_evidence **all, size_t count);

/* The distance at which something answered that is no router: 0 when nothing did. */
int64_t reach_end_hop(const struct reach_try *hops, size_t count);
/* The first hop at which a router of that address was heard; 0: at none. */
int64_t reach_hop_of(const struct reach_try *hops, size_t count, const char *address);
/* The path of the evidence for the result, with a sentence about its end; NULL without hops. */
const struct result_path *reach_path(struct arena *arena, const struct reach_evidence *evidence);
/* For the result. NULL: out of memory, and without a capture. */
const struct result_icmp *reach_icmp_result(struct arena *arena, const struct reach_icmp *icmp);
const struct result_sighting *reach_wire_result(struct arena *arena,
                                                const struct reach_try *attempt);

/* Fills the result, and appends its findings; texts come from the arena. */
void reach_diagnose(struct arena *arena, const struct reach_evidence *evidence,
                    struct result_reach *result, struct finding_list *findings);

#endif
