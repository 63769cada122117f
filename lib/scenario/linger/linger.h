/* The rows of linger-test, file by file (linger_set.c lists them), and what they share.
 *
 * The client ends the connection, except in time-wait-reopened, where the server does, and in
 * simultaneous-close, where both do. Where it matters whether a call waits for the server's bare
 * ACKs, the wire holds them: a call that returns meanwhile did not wait; one that is still under
 * way when all of them have reached the wire does. What was delivered is counted where the peer's
 * application reads it. */
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

/* What every scenario has: a connection, what is at stake on it, and how it ended. */
struct linger_scene {
    struct testbed *bed;
    struct agent *client, *server; /* connected: slot 0 of the client, slot 1 of the server */
    uint16_t port;                 /* the client's */
    int64_t bytes;                 /* at stake: written before the call */
    int hold;                      /* the fault that holds the server's ACKs */
    struct linger_end end;         /* as the peer saw it */
    const char *peer_sees;         /* what the summary says of it instead; NULL: the end */
    int client_end, server_end;    /* the states of the two sockets at the end */
};

/* --bytes, or else the scenario's own amount. */
int64_t linger_bytes(const struct testbed *bed, int64_t otherwise);
/* Both hosts connected, with so much at stake. More than LINGER_BYTES are more segments than the
 * row's .flags have. */
struct linger_scene linger_begin(struct testbed *bed, int64_t bytes);
/* From now on the wire holds the server's bare ACKs; linger_release() lets them go, and others. */
void linger_hold(struct linger_scene *s);
void linger_release(struct linger_scene *s);
/* The client writes what is at stake, and conditions count from here; it has arrived at the server
 * when this returns, as far as it could be sent. */
void linger_write(struct linger_scene *s);
/* Waits until a condition holds, as testbed_saw() does; without a lab it does not wait. */
bool linger_saw(const struct linger_scene *s, const char *condition);
/* The agent reads until the end, an error, or until nothing has come for LINGER_PATIENCE_NS. */
struct linger_end linger_read(struct agent *agent, int slot);
/* The server reads what is at stake, or what comes of it, and no end. */
void linger_read_bytes(struct linger_scene *s);
/* The local port of an agent's socket. */
uint16_t linger_port(struct agent *agent, int slot);
/* The state of a host's socket of a connection, once it is the expected one; else what it is after
 * LINGER_PATIENCE_NS. 0: there is none. */
int linger_state(struct testbed *bed, enum lab_host host, uint16_t client_port, int expected);
/* Waits until the client's socket is gone, and sets client_end. */
void linger_wait_gone(struct linger_scene *s, int64_t limit_ns);
/* As linger_state(), and checked: the socket must reach it. */
void linger_check_state(struct linger_scene *s, const char *key, enum lab_host host, int expected);
/* The server reads to the end, which the peer must have seen as this. */
void linger_check_peer_sees(struct linger_scene *s, const char *peer_sees);
/* The same; and all that was at stake must have been delivered. */
void linger_check_delivered(struct linger_scene *s, const char *peer_sees);
/* The TIME-WAIT of a host's socket must be as long as Linux makes it, less what has passed. */
#define LINGER_TIME_WAIT_NS (60 * NS_PER_SEC) /* TCP_TIMEWAIT_LEN: compiled in */
void linger_check_time_wait(struct linger_scene *s, enum lab_host host);
/* The server closes, too, and all comes to its end: the client's socket in that state. */
void linger_finish(struct linger_scene *s, int client_end);
/* "client_end" and "server_end" must be these states; 0: none. */
void linger_check_ends(struct linger_scene *s, int client_end, int server_end);

/* A time of the kernel's own, not before it, and noticed later by what a machine with many times
 * the work that it can do makes of it. */
#define LINGER_LATE_NS (2 * NS_PER_SEC)
void linger_check_time(struct testbed *bed, const char *key,
                       const struct kernel_timers_settings *settings, int64_t planned_ns,
                       int64_t measured_ns);

/* The scenario's row in the summary: what the call waited for, and who is then known to have the
 * data ("nobody", "peer's TCP", "application"). */
void linger_summarize(struct linger_scene *s, const char *returned, const char *known_to_have_it);

#endif
