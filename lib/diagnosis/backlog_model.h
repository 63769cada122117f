/* How many connections a listener holds, as arithmetic: its two queues by kernel and settings.
 *
 * Follows __sys_listen (net/socket.c), sk_acceptq_is_full (include/net/sock.h),
 * inet_csk_reqsk_queue_is_full (include/net/inet_connection_sock.h) and tcp_conn_request
 * (net/ipv4/tcp_input.c). Pure. */
#ifndef DIAGNOSIS_BACKLOG_MODEL_H
#define DIAGNOSIS_BACKLOG_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* What listen(2) makes of its backlog: cut to net.core.somaxconn, and negative is as many as there
 * may be. */
int64_t backlog_model_limit(int64_t backlog, int64_t somaxconn);

/* Connections that wait in the accept queue: one more than the limit, since the kernel asks whether
 * the queue is longer than it (in every release since 2.6.21, and in most before). */
int64_t backlog_model_queued(int64_t limit);

/* Connects that return to clients that come one after another while nobody accepts. Since 4.10 a
 * SYN that meets a full queue is dropped, and they are as many as are queued. Before, two more were
 * let through (as long as no more than one request was young): their clients believe in connections
 * that the server cannot have, until it has room. The 3 + backlog of the book's Linux 2.4 is that.
 */
int64_t backlog_model_believed_before_4_10(int64_t limit);

/* Half-open connections (SYN queue): from, to. */
struct backlog_model_range {
    int64_t min, max;
};
/* Without cookies the backlog's limit plus one holds, and so does what tcp_max_syn_backlog leaves
 * to peers that are not proven: three quarters of it, plus one. With cookies (1) the former is
 * where cookies begin. The plus one of the former came with a correction of Linux 6.14 ("tcp/dccp:
 * allow a connection when sk_max_ack_backlog is zero"), which some older ones were given, too: a
 * kernel's release does not say. */
struct backlog_model_range backlog_model_half_open(int64_t limit, int64_t max_syn_backlog,
                                                   bool cookies);

/* What the book's table (section 4.5) has for other systems: how many were queued there. */
enum backlog_model_system {
    BACKLOG_MODEL_LINUX_24, /* 3 + backlog */
    BACKLOG_MODEL_BSD,      /* half more than the backlog, plus one: 4.4BSD's heirs MacOS X, AIX */
    BACKLOG_MODEL_HPUX,     /* half more than the backlog, at least one */
    BACKLOG_MODEL_FREEBSD,  /* 1 + backlog */
};
int64_t backlog_model_of(enum backlog_model_system system, int64_t backlog);

#endif
