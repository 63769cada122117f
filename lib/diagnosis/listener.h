/* What the two queues of a listener show over a watch: samples and counters in, findings out. Pure.
 *
 * Somebody who may open sockets and read files takes samples (probe/listener_probe.h) and feeds
 * them, in order, to a struct listener_watch a listener. A watch has constant size, however long it
 * lasts.
 *
 * What the kernel does (net/ipv4/tcp_input.c tcp_conn_request, tcp_ipv4.c tcp_v4_syn_recv_sock):
 *   - The accept queue is full when its length exceeds the limit, so it holds limit + 1. The limit
 *     is listen()'s backlog, or net.core.somaxconn where that was smaller at the time of listen().
 *     A SYN, or the ACK that ends a handshake, that meets a full queue is dropped: ListenOverflows,
 *     ListenDrops, and the listener's own counter of drops each rise by one.
 *   - The half-open connections are limited by the same number. Beyond it a SYN is dropped
 *     (TCPReqQFullDrop, ListenDrops, the listener's own counter), or with tcp_syncookies answered
 *     by a cookie (TCPReqQFullDoCookies, SyncookiesSent). With tcp_syncookies 2 every SYN is
 *     answered so, full or not. Without cookies the last quarter of tcp_max_syn_backlog is for
 *     peers that were here before: others are dropped, with ListenDrops alone.
 *   - ListenDrops also counts what was dropped for want of memory, of a route back, and so on.
 *
 * The counters of /proc/net/netstat are of the whole network namespace. The listener's own counter
 * (Linux 4.7) knows no kinds, and rises for stray segments, too: an RST or a FIN that belongs to no
 * connection. So it bounds this listener's share from above, interval by interval; and what the
 * namespace dropped beyond all that the others' counters can account for bounds it from below. Only
 * lower bounds are ever called a cause, or a queue that was seen full while both counters rose. */
#ifndef DIAGNOSIS_LISTENER_H
#define DIAGNOSIS_LISTENER_H

#include "base/clock.h"
#include "diagnosis/listener_cause.h"
#include "result/result.h"

enum listener_counter {
    LISTENER_OVERFLOWS,
    LISTENER_DROPS,
    LISTENER_SYN_DROPS,
    LISTENER_SYN_COOKIES,
    LISTENER_COOKIES_SENT,
    LISTENER_PASSIVE_OPENS,
    LISTENER_COUNTERS
};

/* RESULT_UNKNOWN where this kernel has no such counter. */
struct listener_counters {
    int64_t value[LISTENER_COUNTERS];
};

/* From the texts of /proc/net/netstat and /proc/net/snmp; NULL: could not be read. */
void listener_counters_read(struct listener_counters *out, const char *netstat, const char *snmp);
/* By how much a counter rose; RESULT_UNKNOWN if that is not known. */
int64_t listener_rise(const struct listener_counters *from, const struct listener_counters *to,
                      enum listener_counter counter);
/* "ListenOverflows", and what a rise of it means. */
const char *listener_counter_name(enum listener_counter counter);
const char *listener_counter_meaning(enum listener_counter counter);

struct listener_settings {
    int64_t somaxconn, max_syn_backlog, syncookies, abort_on_overflow; /* or RESULT_UNKNOWN */
};

struct listener_sample {
    int64_t at_ns;        /* CLOCK_MONOTONIC */
    int64_t queue, limit; /* of the accept queue */
    int64_t half_open;    /* RESULT_UNKNOWN: not counted this time */
    int64_t gone;         /* of the queue, whose clients have closed; or RESULT_UNKNOWN */
    int64_t drops;        /* the listener's counter; RESULT_UNKNOWN */
    /* The namespace's, read before and after this sample was taken: what rose at this listener
     * between two samples also rose from the first one's `before` to the second one's `after`. */
    const struct listener_counters *before, *after;
};

/* A time in which the queue was not drained, or a moment in which something was dropped. */
struct listener_episode {
    bool active, from_the_start;
    int64_t low_before_ns; /* the last sample before it */
    int64_t first_ns, last_ns;
    int64_t drops;
};

/* Overflows (at most so many) by how long the queue took to drain. */
struct listener_shape {
    int64_t short_drops, long_drops, open_drops; /* open: not seen whole */
    int64_t short_count;
    int64_t longest_short_ns, longest_long_ns;
    int64_t worst_short_drops; /* of one short episode */
};

#define LISTENER_COLUMNS RESULT_CHART_COLUMNS
struct listener_watch {
    struct listener_counters from, to; /* around all samples */
    struct listener_counters previous; /* one sample before `to` */
    int64_t samples, half_open_samples;
    int64_t first_ns, last_ns;
    int64_t queue_first, queue_last, queue_max, limit, limit_first;
    int64_t half_open_last, half_open_max;
    int64_t gone_max;                /* RESULT_UNKNOWN */
    int64_t drops_first, drops_last; /* the listener's counter */
    int64_t drops_most;              /* at this listener, of those that ListenDrops counts */
    int64_t overflows_most;          /* at this listener */
    int64_t full_overflows;          /* of these, between two samples with a full accept queue */
    int64_t full_samples;
    bool full_last;
    int64_t rises, falls;  /* of the length between samples, added up */
    double waited_ns;      /* time that connections spent in the queue, added up, at least */
    int64_t still_from_ns; /* since then the queue was not empty, not full, and never fell */
    int64_t still_ns;      /* the longest such time */
    int64_t syn_full_samples, syn_full_alone_samples; /* alone: the accept queue was not full */
    int64_t syn_full_rise; /* of TCPReqQFullDoCookies and TCPReqQFullDrop beside such a sample */
    bool syn_full_last;
    struct listener_episode episode;
    struct listener_shape shape;
    struct result_chart chart;
    int64_t per_column; /* samples */
    int64_t closed_ns;  /* when the listener was found gone; RESULT_UNKNOWN */
    struct listener_looks looks;
    struct listener_tries tries;
};

void listener_watch_begin(struct listener_watch *watch);
/* False: the sample does not fit (an earlier time, negative numbers) and was left out. */
bool listener_watch_feed(struct listener_watch *watch, const struct listener_sample *sample);
/* The listener is gone since about then. */
void listener_watch_close(struct listener_watch *watch, int64_t at_ns);
/* No sample follows; listener_conclude() does this, too. */
void listener_watch_end(struct listener_watch *watch);

/* How long the queue holds its limit at most: limit + 1. */
int64_t listener_capacity(int64_t limit);

/* What the watch stands for. */
struct listener_context {
    struct listener_settings settings;
    bool alone; /* no other socket of the namespace listened before or after */
    /* By how much the counters of all other listeners rose, over all of the watch or longer;
     * RESULT_UNKNOWN when one of them was closed, or the kernel has no such counter. */
    int64_t others_drops;
    bool replaced; /* closed, and another one listens on the same address and port */
};

/* Ends the watch: fills in what it measured, says which limit binds, and adds the findings, which
 * are about `out->listener`. Texts come from the report's arena. */
void listener_conclude(struct listener_watch *watch, const struct listener_context *context,
                       struct result_listener *out, struct report *report);
/* After all of them: what rose in the namespace and is nobody's whom the evidence names. */
void listener_conclude_namespace(const struct listener_counters *from,
                                 const struct listener_counters *to,
                                 const struct listener_settings *settings, struct report *report);

#endif
