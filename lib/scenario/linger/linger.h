/* The rows of linger-test, file by file (linger_set.c lists them), and what they share.
 *
 * Who ends the connection is the client in all of them. The wire keeps the server's bare ACKs where
 * it matters whether a call waits for them: a call that returns while they are kept did not wait,
 * and one that is still under way when they have all arrived at the wire does. What was delivered
 * is counted where the peer's application reads it. */
#ifndef SCENARIO_LINGER_H
#define SCENARIO_LINGER_H

#include "scenario/engine/testbed.h"

/* linger_close.c: close, shutdown and exit while data and FIN are unacknowledged. */
extern const struct scenario linger_shutdown_write, linger_close, linger_timeout, linger_expired,
    linger_nonblocking, linger_off_explicit, linger_exit_without_close;
/* linger_reset.c: RST instead of FIN. */
extern const struct scenario linger_zero, linger_close_unread, linger_shutdown_then_close_unread,
    linger_reset_time_wait;
/* linger_half.c: one half after the other. */
extern const struct scenario linger_shutdown_read, linger_receive_after_shutdown_read,
    linger_shutdown_both, linger_half_close, linger_send_after_shutdown, linger_shared_descriptor;
/* linger_know.c: what tells that the peer's application has it. */
extern const struct scenario linger_ack_wait, linger_application_ack;
/* linger_orphan.c: what the kernel does for a socket without an owner, and how long. */
extern const struct scenario linger_close_with_unsent, linger_unsent_abandoned,
    linger_close_peer_dead, linger_fin_wait_2_timeout;
/* linger_wait.c: TIME-WAIT. */
extern const struct scenario linger_time_wait, linger_time_wait_reopened, linger_simultaneous_close;

#define LINGER_BYTES       1000
#define LINGER_BYTES_MAX   (1 << 20)
#define LINGER_PATIENCE_NS (3 * NS_PER_SEC) /* for what should come, and under a fault may not */
#define LINGER_AT_ONCE_NS  (60 * NS_PER_MS) /* for what should not come yet */

/* Nothing is sent a second time while an ACK is held; --bytes fit into the send buffer. */
extern const struct scenario_setting linger_settings[];

/* How the peer's application saw the end. */
struct linger_end {
    int64_t bytes; /* that it read before */
    int64_t rc;    /* 0: end of stream; -ETIME: it saw nothing; else -errno */
};
const char *linger_sees(const struct linger_end *end);

/* What run() finds out and check() judges; scenarios that need more have this first. */
struct linger_facts {
    uint16_t port; /* the client's */
    int64_t bytes; /* at stake: what was written before the call */
    int hold;      /* the fault that keeps the server's ACKs */
    struct act_reply call;
    bool before_ack;       /* the call returned while the ACKs were kept */
    struct linger_end end; /* as the peer saw it */
    int after;             /* the client's state when the ACKs had come */
    int client, server;    /* the states at the end of it all */
    int64_t time_wait_ns;  /* what is left of the client's TIME-WAIT; RESULT_UNKNOWN */
};

/* --bytes, or what the scenario needs. */
int64_t linger_bytes(const struct testbed *bed, int64_t otherwise);
/* Both hosts connected, ->port and ->bytes set. */
struct linger_facts *linger_begin(struct testbed *bed, size_t size, int64_t bytes);
/* From now on the wire keeps the server's bare ACKs; linger_release() lets them go, and others. */
void linger_hold(struct testbed *bed, struct linger_facts *facts);
void linger_release(struct testbed *bed, struct linger_facts *facts);
/* The client writes what is at stake; it has arrived at the server when this returns, as far as it
 * could be sent. */
void linger_write(struct testbed *bed, struct linger_facts *facts);
/* The agent reads until the end, an error, or until nothing has come for LINGER_PATIENCE_NS. */
struct linger_end linger_read(struct agent *agent, int slot);
/* Non-blocking mode for a socket of the agent. */
void linger_set_nonblocking(struct agent *agent, int slot);
/* The local port of an agent's socket. */
uint16_t linger_port(struct agent *agent, int slot);
/* The state of a host's socket of this connection, once it is the expected one; else what it is
 * after LINGER_PATIENCE_NS. */
int linger_state(struct testbed *bed, enum lab_host host, uint16_t client_port, int expected);
/* What is left of the TIME-WAIT of that socket; RESULT_UNKNOWN: it is not in it. */
int64_t linger_time_wait_left(struct testbed *bed, enum lab_host host, uint16_t client_port);
/* The server closes, too, and all comes to its end. */
void linger_finish(struct testbed *bed, struct linger_facts *facts, int expected);
/* Whether the exchange has no more segments than with a small write. */
static inline bool linger_is_small(const struct linger_facts *facts)
{
    return facts->bytes <= LINGER_BYTES;
}

/* A time of the kernel's own, not before it, and noticed later by what a machine with many times
 * the work that it can do makes of it. */
#define LINGER_LATE_NS (2 * NS_PER_SEC)
void linger_expect_time(struct testbed *bed, const char *key,
                        const struct kernel_timers_settings *settings, int64_t planned_ns);

/* A row of the summary. */
struct linger_row {
    const char *returned; /* what the call waited for */
    bool peer_has_it, application_has_it;
    int64_t delivered_bytes, lost_bytes;
    const char *peer_sees;
    int client, server; /* states at the end */
};
void linger_summarise(struct testbed *bed, const struct linger_row *row);
/* Of one whose facts are all that there is. */
void linger_summarise_facts(struct testbed *bed, const struct linger_facts *facts,
                            const char *returned);

#endif
