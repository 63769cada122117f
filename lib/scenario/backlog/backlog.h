/* The rows of accept-backlog, file by file (backlog_set.c lists them), and what they share: a
 * look at both queues of the server's listener, at its kernel's counters and at what the clients
 * have, again and again, which makes the tables of every result. */
#ifndef SCENARIO_BACKLOG_H
#define SCENARIO_BACKLOG_H

#include "scenario/engine/testbed.h"
#include <sys/types.h>

/* backlog_sweep.c: how much fits. */
extern const struct scenario backlog_sweep, backlog_somaxconn_clamp;
/* backlog_full.c: the accept queue is full. */
extern const struct scenario backlog_accept_queue_full, backlog_full_with_abort,
    backlog_ack_dropped;
/* backlog_half.c, backlog_cookies.c: half-open connections. */
extern const struct scenario backlog_syn_queue_full, backlog_synack_retries, backlog_syn_cookies;
/* backlog_defer.c: connections that may be accepted later, or earlier. */
extern const struct scenario backlog_deferred_accept, backlog_fast_open_queue;
/* backlog_accept.c: accept itself. */
extern const struct scenario backlog_emfile, backlog_nonblocking_accept, backlog_edge_triggered;

/* Several that serve: backlog_reuseport.c, backlog_restart.c, backlog_herd.c. */
extern const struct scenario backlog_reuseport, backlog_graceful_restart, backlog_herd;
/* backlog_bind.c: several that want the same port. */
extern const struct scenario backlog_bind;

/* Settings that most of them share: a SYN that is not answered comes again after 1, 2 and 3 s, a
 * full queue drops, cookies are sent when the SYN queue is full. */
#define BACKLOG_SETTINGS                                                                           \
    {SCENARIO_BOTH, "tcp_syn_retries", "3", SETTING_TIMER},                                        \
        {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "3", SETTING_TIMER | SETTING_OPTIONAL},         \
        {SCENARIO_SERVER, "tcp_syncookies", "1", 0},                                               \
        {SCENARIO_SERVER, "tcp_abort_on_overflow", "0", 0},                                        \
    {                                                                                              \
        SCENARIO_SERVER, "tcp_max_syn_backlog", "256", 0                                           \
    }
extern const struct scenario_setting backlog_settings[];

/* What `--backlog LIST` gave (scenario_request.own); NULL: nothing was given. */
struct backlog_own {
    const int *backlogs;
    size_t count;
};

/* ---- Looking (backlog_watch.c) */

enum backlog_counter {
    BACKLOG_OVERFLOWS,    /* ListenOverflows */
    BACKLOG_DROPS,        /* ListenDrops */
    BACKLOG_REQ_DROP,     /* TCPReqQFullDrop */
    BACKLOG_REQ_COOKIES,  /* TCPReqQFullDoCookies */
    BACKLOG_COOKIES_SENT, /* SyncookiesSent */
    BACKLOG_COOKIES_RECV, /* SyncookiesRecv */
    BACKLOG_COOKIES_FAIL, /* SyncookiesFailed */
    BACKLOG_EMBRYONIC,    /* EmbryonicRsts */
    BACKLOG_DEFER_DROP,   /* TCPDeferAcceptDrop */
    BACKLOG_TFO_PASSIVE,  /* TCPFastOpenPassive */
    BACKLOG_TFO_OVERFLOW, /* TCPFastOpenListenOverflow */
    BACKLOG_MIGRATED,     /* TCPMigrateReqSuccess */
    BACKLOG_MIGRATE_FAIL, /* TCPMigrateReqFailure */
    BACKLOG_COUNTERS
};

/* One host, seen at one moment. */
struct backlog_survey {
    int64_t queue, limit; /* of all listeners on the port together */
    int64_t listeners;
    int64_t states[16];   /* connections by state, TCP_ESTABLISHED … */
    int64_t unread_bytes; /* in the receive buffers of all of them */
    int64_t counters[BACKLOG_COUNTERS];
};

/* Both, with what had just happened. */
struct backlog_sample {
    const char *when;
    int64_t at_ns; /* since the beginning of the run */
    struct backlog_survey server, client;
};

/* Takes a sample of the port, with its place in the table. Never NULL. */
const struct backlog_sample *backlog_look(struct testbed *bed, uint16_t port, const char *when);
/* The same without a place. */
struct backlog_survey backlog_survey(struct testbed *bed, uint16_t port);
/* How a counter has risen between two samples. */
int64_t backlog_rise(const struct backlog_sample *from, const struct backlog_sample *to,
                     enum backlog_counter counter);
void backlog_check_rise(struct testbed *bed, const char *key, int64_t expected,
                        const struct backlog_sample *from, const struct backlog_sample *to,
                        enum backlog_counter counter);
/* When all is seen: the tables of queue lengths over time and of counters before and after.
 * `queues` is what the accept queue must have been in each sample, "0, 3, 0"; NULL: nothing. */
void backlog_tables(struct testbed *bed, const char *queues);

/* ---- Waiting. What does not come within TESTBED_LIMIT_NS is no failure of the run: it shows in
 * what is observed. Later waits are then given up at once. */

/* Whether something that was waited for did not come, or the run has failed. */
bool backlog_gave_up(struct testbed *bed);
/* Wait no more if so: what was to come cannot come now. */
void backlog_give_up_if(struct testbed *bed, bool now);

/* Until a field of the server's survey has the value. */
bool backlog_await_field(struct testbed *bed, uint16_t port, size_t offset, int64_t value);
#define BACKLOG_AWAIT(bed, port, field, value)                                                     \
    backlog_await_field(bed, port, offsetof(struct backlog_survey, field), value)
#define backlog_await_queue(bed, port, length) BACKLOG_AWAIT(bed, port, queue, length)
#define backlog_await_half_open(bed, port, count)                                                  \
    BACKLOG_AWAIT(bed, port, states[TCP_SYN_RECV], count)
bool backlog_await(struct testbed *bed, const char *condition);
/* ---- Doing */

/* Connects slots first … first + count - 1 of the client, one after another, each when the one
 * before is in the accept queue; returns how many connects succeeded. */
int backlog_fill(struct testbed *bed, uint16_t port, int first, int count);
/* Accepts `count` connections of a listener into slots first …; returns how many came. */
int backlog_accept(struct testbed *bed, struct agent *server, int listener, int first, int count);
/* Reads so many bytes of an accepted connection; 0 when waiting was given up. */
int64_t backlog_read(struct testbed *bed, int slot, int64_t bytes);
/* Whether connections can move to another listener. Some kernels have tcp_migrate_req and not what
 * it switches; those that have it count it. */
bool backlog_migrates(struct testbed *bed);
/* Changes a setting of a host while the lab runs: "ipv4/tcp_syncookies". */
void backlog_set(struct testbed *bed, enum lab_host host, const char *path, const char *value);
/* What is to be read of a client's slot without waiting: "data", "open", "EOF", "ECONNRESET" … */
const char *backlog_state_of(struct agent *client, int slot);
/* The same when something has come. */
const char *backlog_end_of(struct testbed *bed, struct agent *client, int slot);
/* Inside an agent: whether a process sleeps, as one does that waits in a call. */
bool backlog_sleeps(pid_t pid);

#endif
