/* When the kernel's timers make it send again, and when it gives up, as arithmetic.
 *
 * Settings and socket options in, the times of all transmissions and of the failure out. Pure, and
 * total: nonsensical settings are taken as the nearest sensible ones. Times are nanoseconds after
 * the first transmission (of a keepalive: after the last segment from the peer), on a machine whose
 * timers are never late; kernel_timers_latest_ns() says how late they may be.
 *
 * Follows net/ipv4/tcp_timer.c (tcp_write_timeout, retransmits_timed_out, tcp_model_timeout,
 * tcp_retransmit_timer, tcp_clamp_rto_to_user_timeout, tcp_keepalive_timer), tcp_output.c
 * (tcp_schedule_loss_probe) and inet_connection_sock.c (reqsk_timer_handler) of Linux 6.15 and
 * later. Older kernels differ by their settings only: no tcp_syn_linear_timeouts before 6.5 (0), no
 * tcp_rto_max_ms before 6.15 (120 s), no tcp_rto_min_us before 6.11 (200 ms). */
#ifndef DIAGNOSIS_KERNEL_TIMERS_H
#define DIAGNOSIS_KERNEL_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sysctls of a network namespace, each named after its own; and the kernel's tick. */
struct kernel_timers_settings {
    int64_t tick_ns; /* 1 / HZ; timers count in it */
    int64_t syn_retries, syn_linear_timeouts, synack_retries;
    int64_t retries1, retries2, orphan_retries;
    int64_t rto_min_ns, rto_max_ns;
    int64_t keepalive_time_ns, keepalive_intvl_ns, keepalive_probes;
    bool tail_loss_probe; /* tcp_early_retrans is 3 or 4, and the connection has SACK */
};

/* What Linux 6.18 starts with, at HZ 250. */
extern const struct kernel_timers_settings kernel_timers_defaults;

/* One socket's own. 0 everywhere: nothing set, and a round trip too short to matter. */
struct kernel_timers_socket {
    int64_t user_timeout_ns;    /* TCP_USER_TIMEOUT */
    int64_t syn_count;          /* TCP_SYNCNT */
    int64_t keepalive_time_ns;  /* TCP_KEEPIDLE */
    int64_t keepalive_intvl_ns; /* TCP_KEEPINTVL */
    int64_t keepalive_probes;   /* TCP_KEEPCNT */
    int64_t rtt_ns;             /* smoothed round trip */
    int64_t rto_ns;             /* timeout before any back-off, as TCP_INFO has it; 0: what rtt_ns
                                   makes of it while it hardly varies */
    bool unreachable_v4;        /* ICMP net or host unreachable answers every segment (IPv4): RFC
                                   6069 undoes the back-off */
};

/* No setting of the kernel makes more transmissions than this, except TCP_USER_TIMEOUT with a low
 * tcp_rto_max_ms: then sent_count goes on counting, and the times end here. */
#define KERNEL_TIMERS_SENT_MAX 320

/* What the timers of one attempt do. */
struct kernel_timers {
    int64_t sent_ns[KERNEL_TIMERS_SENT_MAX]; /* rising; the first one is 0, except of a keepalive */
    size_t sent_count;
    int64_t failed_ns; /* when the kernel gives up (ETIMEDOUT) */
};

/* Every function takes socket NULL for one with nothing set. */

/* connect(2) to a host that does not answer: its SYNs. */
void kernel_timers_connect(struct kernel_timers *out, const struct kernel_timers_settings *settings,
                           const struct kernel_timers_socket *socket);
/* A handshake whose last ACK never comes: the server's SYN,ACKs, until it forgets the request. */
void kernel_timers_accept(struct kernel_timers *out, const struct kernel_timers_settings *settings);
/* One small segment to a peer that is gone: the write, the tail-loss probe, retransmissions. */
void kernel_timers_send(struct kernel_timers *out, const struct kernel_timers_settings *settings,
                        const struct kernel_timers_socket *socket);
/* The same, or a FIN, after the socket was closed: nobody owns it any more. */
void kernel_timers_orphan(struct kernel_timers *out, const struct kernel_timers_settings *settings,
                          const struct kernel_timers_socket *socket);
/* SO_KEEPALIVE on an idle connection whose peer is gone: its probes. */
void kernel_timers_keepalive(struct kernel_timers *out,
                             const struct kernel_timers_settings *settings,
                             const struct kernel_timers_socket *socket);

/* How long the kernel must have retransmitted without an answer before that counts as `retries`
 * times: the 924.6 s of tcp_retries2 15. It runs from the first retransmission, and is looked at
 * only when a retransmission is due, so that the failure comes later. */
int64_t kernel_timers_retries_ns(const struct kernel_timers_settings *settings, int64_t retries);

/* The retransmission timeout of a connection with that smoothed round trip, before any back-off. */
int64_t kernel_timers_rto_ns(const struct kernel_timers_settings *settings, int64_t rtt_ns);

/* When something planned for a time can happen at the latest on a machine that is not busy: the
 * kernel's timer wheel rounds a timer up by as much as an eighth of its length. */
int64_t kernel_timers_latest_ns(const struct kernel_timers_settings *settings, int64_t planned_ns);

#endif
