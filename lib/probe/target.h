/* One target of a probe: runs the sessions of its schedule (which arm, how many rounds), each on a
 * fresh connection, and keeps what was measured. Which target is next is the run's business: it
 * hears by `ended` when this one is over. */
#ifndef PROBE_TARGET_H
#define PROBE_TARGET_H

#include "probe/arm_schedule.h"
#include "probe/conn.h"
#include "probe/fleet.h"
#include "probe/mtu_trial.h"
#include "probe/no_answer_trial.h"
#include "probe/path_control.h"
#include "probe/preamble.h"
#include "probe/probe.h"
#include "probe/transaction.h"

#define TARGET_SMALL_MSS 88 /* the smallest that Linux takes (TCP_MIN_MSS) */

struct target;

enum target_end {
    TARGET_DONE,      /* with rounds or a failure to tell of */
    TARGET_NOT_DONE,  /* the run ended before it had anything to tell */
    TARGET_POSTPONED, /* no descriptor is left: it can begin again, or else has failed */
};

/* What all targets of a run share. */
struct target_shared {
    const struct probe_plan *plan;
    const struct probe_sink *sink; /* hears of rounds */
    bool only_one;                 /* the run has no other target */
    /* Called once. The target may be freed when the loop's turn is over: callers up the stack still
     * look at it. */
    void (*ended)(struct target *target, enum target_end end);
    /* What the verdict would be of what was measured until now. */
    struct arm_outlook (*outlook)(void *target);
    struct arm_settings local_arms; /* the plan's, for Unix-domain sockets: what an arm changes is
                                       TCP's */
    bool control;                   /* handshakes beside all rounds; else only where arms are run */
    struct sock_diag *diag; /* opened when the first listener of this host is to be looked up */
    struct conn_shared conn;
};

/* What is asked again, on new connections, when a conversation has failed. */
struct target_inquiry {
    const struct sock_address *address; /* NULL: nothing has failed yet */
    bool local;                         /* the server is on this host */
    bool fresh;                         /* nothing was ever answered */
    void (*ended)(struct target *target);
};

struct target {
    struct fleet_item item; /* the first member */
    struct target_shared *shared;
    const struct probe_target *asked;
    bool resolving; /* the name is being asked for */
    struct sock_address_list addresses;
    struct loop_task rest; /* a timer: between rounds, by --interval */
    struct conn conn;
    struct preamble preamble; /* on each connection, before its rounds */
    struct transaction transaction;
    struct arm_schedule schedule;
    struct arm_session session;
    struct path_control control;
    struct mtu_trial *trial; /* of a conversation that failed; NULL: none */
    struct idle_trial *idle; /* after the rounds; NULL: none */
    struct target_inquiry inquiry;
    struct no_answer_trial *again; /* after one that brought no answer; NULL: none */
    int64_t started_ns, opened_ns; /* the target; its connection */
    const char *passed_over; /* addresses that took a connection and answered nothing, or NULL */
    bool finished;
    bool cut_short; /* by the run's deadline */
    bool warmed_up; /* the server has answered at least once */
    struct result_error failure;
    struct trace_strip *strip; /* of the round under way; NULL: the ladder was not asked for */

    /* What was measured. */
    struct arm_stores stores;
    int64_t resolve_ns, connect_ns, connect_rtt_ns;
    int64_t fallback_ns;  /* how long other addresses kept us from the one that won */
    const char *fallback; /* what became of them, in the run's arena */
    int64_t tls_ns;
    const struct result_tls *tls; /* of the first handshake; NULL: there was none */
    const char *tls_rejected;     /* why its certificate would not have been accepted, or NULL */
    int64_t preamble_ns;          /* of the first connection */
    uint32_t syn_retransmits, slow_connects;
    int64_t connections, closed_between;
    /* Of these: while it was idle between two rounds, the first time after how long, and how. */
    int64_t closed_idle, idle_close_ns;
    enum idle_end idle_close;
    int64_t early_lost;      /* resets before the request was taken, perhaps behind an answer */
    uint32_t accept_queue;   /* connections before the latest one, in the listener's accept queue */
    const char *own_failure; /* what ended netkit's own rounds on persistent connections, or NULL */
    bool heard;              /* a first answer */
    uint32_t answers, unexpected; /* in all, and those that were no success or not as expected */
    int status;                   /* of the first unexpected one, or else of the first; 0: none */
    const char *answer;           /* its words, printable; or NULL */
    const char *http_server, *http_proxy; /* header lines of it, printable, or NULL */
    bool persists;                        /* the server keeps a connection open after an answer */
    unsigned stamps;
    uint32_t small_mss_bytes, peer_mss_bytes;
    uint32_t runnable, load_looks; /* processes that wanted a processor, in so many looks */
    struct sock_address local;     /* of the first connection */
    struct trace_strip *slow_strip;
    int64_t slow_ns;
};

/* All but the addresses. -ENOMEM. */
int target_create(struct target **out, struct target_shared *shared,
                  const struct probe_target *asked);
void target_free(struct target *target);
/* The addresses are known. */
void target_begin(struct target *target);
void target_fail(struct target *target, const struct result_error *error);
__attribute__((format(printf, 4, 5))) void
target_failed(struct target *target, enum finding_code code, int number, const char *format, ...);
/* The run's time is over: what is unfinished says how far it came. */
void target_cut_short(struct target *target, bool interrupted);
/* The address that it is, or was last, connected to. */
const struct sock_address *target_address(const struct target *target);
/* Whether the first connection has an address of this host at both ends. */
bool target_is_local(const struct target *target);

#endif
