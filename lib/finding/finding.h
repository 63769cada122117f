/* The catalogue: every finding, errno and TCP state that netkit can name, with its explanation.
 *
 * One table each, read-only and static. Diagnosis names a code; reports and `netkit explain` print
 * what stands here. */
#ifndef FINDING_FINDING_H
#define FINDING_FINDING_H

#include <stddef.h>

enum finding_severity {
    FINDING_INFO,    /* worth knowing; nothing has to change */
    FINDING_WARNING, /* costs time, or will */
    FINDING_ERROR,   /* does not work */
};

/* The order is the order of `netkit explain`. FINDING_NONE is no finding: "ok". */
enum finding_code {
    FINDING_NONE,
    FINDING_NAGLE_DELAYED_ACK,
    FINDING_NAGLE_ROUND_TRIP,
    FINDING_CORK_HOLD,
    FINDING_DELAYED_ACK,
    FINDING_SERVER_THINK_TIME,
    FINDING_STALL_WHEN_PERSISTENT,
    FINDING_RECEIVE_WINDOW_LIMITED,
    FINDING_ZERO_WINDOW,
    FINDING_SEND_BUFFER_LIMITED,
    FINDING_PEER_SEND_BUFFER_LIMITED,
    FINDING_CONGESTION_WINDOW_LIMITED,
    FINDING_SLOW_START_ROUND_TRIPS,
    FINDING_PACING_LIMITED,
    FINDING_BANDWIDTH_LIMITED,
    FINDING_PATH_JITTER,
    FINDING_PATH_MTU,
    FINDING_RETRANSMISSION,
    FINDING_RETRANSMISSION_TIMEOUT,
    FINDING_FAST_RETRANSMIT,
    FINDING_TAIL_LOSS_PROBE,
    FINDING_SPURIOUS_RETRANSMIT,
    FINDING_REORDERING,
    FINDING_SYN_RETRANSMISSION,
    FINDING_SYNACK_RETRANSMISSION,
    FINDING_SLOW_RESOLVE,
    FINDING_ADDRESS_FALLBACK,
    FINDING_HIGH_RTT,
    FINDING_NAME_NOT_FOUND,
    FINDING_CONNECTION_REFUSED,
    FINDING_CONNECTION_RESET,
    FINDING_CONNECT_TIMEOUT,
    FINDING_FILTERED,
    FINDING_ANSWER_NOT_TAKEN,
    FINDING_SYN_NOT_SENT,
    FINDING_CONNECTION_REJECTED,
    FINDING_HOST_UNREACHABLE,
    FINDING_NETWORK_UNREACHABLE,
    FINDING_ROUTING_LOOP,
    FINDING_NOT_PERMITTED,
    FINDING_NO_LOCAL_ADDRESS,
    FINDING_LATE_SYNACK,
    FINDING_ACCEPT_QUEUE_OVERFLOW,
    FINDING_SYN_QUEUE_OVERFLOW,
    FINDING_SLOW_ACCEPT,
    FINDING_LISTENER_CLOSED,
    FINDING_CLOSE_WAIT_LEAK,
    FINDING_HALF_OPEN,
    FINDING_PEER_ABORTED,
    FINDING_NO_RESPONSE,
    FINDING_RESPONSE_TRUNCATED,
    FINDING_IDLE_CLOSE,
    FINDING_UNEXPECTED_ANSWER,
    FINDING_EARLY_ANSWER_RESET,
    FINDING_EXPECT_CONTINUE_WAIT,
    FINDING_PROGRAM_FAILED,
    FINDING_MACHINE_REFUSES,
    FINDING_MACHINE_SETTING,
    FINDING_REGRESSION,
    FINDING_TLS_HANDSHAKE_FAILED,
    FINDING_TLS_CERTIFICATE,
    FINDING_DEAD_PEER_UNNOTICED,
    FINDING_TRUNCATION_ACCEPTED,
    FINDING_DESCRIPTOR_LEAK,
    FINDING_ZOMBIE_PROCESSES,
    FINDING_SCENARIO_DIFFERS,
    FINDING_INCONCLUSIVE,
    FINDING_CODES /* how many */
};

struct finding_entry {
    const char *name;  /* "nagle-delayed-ack" */
    const char *title; /* half a line */
    enum finding_severity severity;
    const char *explanation; /* what happens, in a few sentences */
    const char *fault;       /* whose it is */
    const char *remedy;      /* what to change */
};

/* Always an entry; FINDING_NONE's name is "ok". */
const struct finding_entry *finding_entry(enum finding_code code);
/* FINDING_CODES when there is none of that name. */
enum finding_code finding_by_name(const char *name);
const char *finding_severity_name(enum finding_severity severity); /* "info", … */

/* The finding that an errno of connect, read or write amounts to; FINDING_NONE for others. */
enum finding_code finding_of_errno(int code);

/* errno names and TCP states. */
struct finding_term {
    const char *name; /* "ECONNREFUSED", "TIME-WAIT" */
    int number;       /* the errno value, or the kernel's state number */
    const char *title;
    const char *explanation;
    const char *remedy; /* what to look at next */
};

extern const struct finding_term finding_errnos[];
extern const size_t finding_errno_count;
extern const struct finding_term finding_states[];
extern const size_t finding_state_count;

/* By name; case and '_' against '-' do not matter. NULL when there is none. */
const struct finding_term *finding_term_by_name(const char *name);
/* "ESTABLISHED", or "?" for a number that is no state. */
const char *finding_state_name(int number);

/* All names in one NULL-terminated list, for completions and near misses. */
const char *const *finding_names(void);

#endif
