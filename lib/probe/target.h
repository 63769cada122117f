/* One target of a probe: the internals that the files of this room share.
 *
 * A target runs a sequence of sessions (arm, warm-up rounds, measured rounds), each on a fresh
 * connection. opening.c gets it, securing.c puts TLS on it where that was asked for; talk.c
 * holds the conversation through stream.c and knows nothing of sequences; target.c decides what
 * comes next; gather.c turns the rounds into a result. */
#ifndef PROBE_TARGET_H
#define PROBE_TARGET_H

#include "base/clock.h"
#include "probe/admission.h"
#include "probe/conn_race.h"
#include "probe/live_capture.h"
#include "probe/loop.h"
#include "probe/probe.h"
#include "probe/resolve.h"
#include "probe/round_store.h"
#include "trace/trace.h"

enum talk_phase {
    TALK_CLOSED,
    TALK_DIALLING,
    TALK_SECURING, /* TLS's handshake */
    TALK_GREETING,
    TALK_RESTING, /* between rounds, by --interval */
    TALK_SENDING, /* until the kernel has taken the whole piece */
    TALK_PAUSING, /* between pieces, by --gap */
    TALK_RECEIVING,
};

struct failure {
    enum finding_code code; /* FINDING_NONE: all is well */
    int number;
    const char *message; /* in the run's arena */
};

struct session {
    enum probe_arm arm;
    int64_t warmup, rounds; /* still to do */
};

struct run;

/* A read that brought bytes of the TCP stream. */
struct stream_arrival {
    int64_t arrived_ns; /* the kernel's stamp, or RESULT_UNKNOWN */
    int64_t returned_ns;
    size_t bytes;
};
#define STREAM_ARRIVALS_MAX 4

struct target {
    struct loop_task task;
    struct run *run;
    struct target *next; /* in the run's list of those in flight, or of those to be freed */
    struct target *previous;
    struct admission_place place;
    size_t index;
    const struct probe_target *asked;
    struct resolve_job *job; /* while the name is being resolved */
    struct sock_address_list addresses;
    size_t address_index; /* the one that won */

    /* The conversation (talk.c). */
    const char *request;
    size_t request_bytes;
    struct conn_race race;
    struct sock sock;
    struct sock_observer observer;
    int64_t entered_real_ns, returned_real_ns, returned_mono_ns; /* the last call */
    struct clock_pair clocks; /* as they stood to each other before the round */
    /* What TCP_INFO said at the end of the last round, if nothing has happened since. */
    struct {
        bool known;
        bool quiet; /* all that came was read, and the peer has not closed */
        uint32_t snd_mss;
        struct round_counters counters;
    } latest;
    enum talk_phase phase;
    int64_t phase_deadline_ns, look_ns;
    int64_t pause_end_ns, idle_end_ns; /* of --gap and of --until idle */
    int64_t round_base_bytes;          /* stream offset of the round's first byte */
    size_t piece;
    size_t piece_sent_bytes, request_sent_bytes;
    int send_error; /* errno: the peer takes no more of the request */
    bool answered;  /* the answer was complete before the request was out */
    int64_t rounds_on_connection;
    bool round_retried;
    struct stream_arrival arrivals[STREAM_ARRIVALS_MAX]; /* which the round has not been told */
    size_t arrival_count;
    struct tls tls;
    int64_t tls_began_ns, tls_waits_ns; /* CLOCK_MONOTONIC */
    int64_t tls_took_ns, tls_waited_ns; /* the handshake; of that, for the server */
    int64_t tls_bytes;                  /* from the server, in the handshake */
    int64_t connect_took_ns;            /* this connection */
    int64_t connect_wire_ns;            /* by the kernel, or RESULT_UNKNOWN */
    struct framing_reader reader;
    struct round_builder builder;
    struct trace_strip *strip; /* NULL: the ladder was not asked for */

    /* The sequence (target.c). */
    struct session session;
    int step;
    int blocks;
    int64_t quota;        /* rounds of each arm but the baseline */
    int64_t timed_rounds; /* the baseline's in all blocks, when --duration bounds the run */
    int64_t fresh_left;
    enum probe_arm fresh_arm;
    int64_t started_ns;
    bool finished, postponed;
    bool cut_short; /* by the run's deadline */
    bool warmed_up; /* the server has answered at least once */
    struct failure failure;
    struct round *unfinished; /* when the run ended, or the server's time did; or NULL */

    /* What was measured. */
    struct round_store arms[PROBE_ARMS];
    struct round_store fresh, fresh_quickack;
    int64_t resolve_ns, connect_ns, handshake_rtt_ns, min_rtt_ns;
    int64_t fallback_ns; /* how long other addresses kept us from the one that won; 0: not at all */
    const char *fallback; /* what became of them, in the run's arena */
    int64_t tls_ns;
    const struct result_tls *tls_result; /* of the first handshake; NULL: there was none */
    const char *tls_rejected; /* why its certificate would not have been accepted, or NULL */
    int64_t bare_ends;        /* answers that a FIN without close_notify ended */
    uint32_t syn_retransmits, slow_connects;
    int64_t connections, closed_between, surplus_bytes, clock_steps;
    bool persists;
    unsigned stamps;
    uint32_t send_mss_bytes, small_mss_bytes;
    struct sock_tcp_info info; /* of the last baseline round */
    bool has_info;
    struct sock_address local; /* of the first connection */
    struct trace_strip *slow_strip;
    int64_t slow_ns;
};

/* What all targets of a run share. */
struct run {
    const struct probe_plan *plan;
    const struct probe_target *targets;
    size_t count;
    const struct probe_sink *sink;
    struct arena *arena;
    struct probe_totals *totals;
    size_t parallel;
    struct admission admission;
    struct loop loop;
    struct tls_context *tls; /* NULL without TLS */
    struct resolver *resolver;
    struct loop_task resolver_task;
    struct live_capture *capture; /* NULL: nobody captures */
    struct target *in_flight, *over;
    char buffer[256 * 1024]; /* one read at a time: nobody keeps it */
    /* The plain text of it, and of the record that it completes. */
    char plain[256 * 1024 + 2 * TLS_RECORD_MAX];
};

/* opening.c and talk.c: a connection for the session's arm, and its rounds. Ends in exactly one of
 * the callbacks below for each round, and talk_failed() at most once. */
void talk_open(struct target *target);
void talk_next_round(struct target *target);
void talk_close(struct target *target);
/* Waits for --interval, and then goes on: on this connection, or on a new one when it is closed. */
void talk_rest(struct target *target);
/* Gives up where it is, as when the run's time is over. */
void talk_abandon(struct target *target);
void talk_wake(struct loop_task *task, uint32_t events);
/* The connection stands: the first thing to hear or to say. */
void talk_begin(struct target *target);
struct stream_input;
void talk_greeted(struct target *target, const struct stream_input *input);
/* Shared with opening.c and securing.c. talk_watch() gives false when the descriptor cannot be
 * watched: the target has failed then. */
bool talk_watch(struct target *target, uint32_t interest);
void talk_enter(struct target *target, enum talk_phase phase, int64_t timeout_ns);
void talk_acknowledge_at_once(struct target *target);

/* opening.c: a round of connecting alone, and of TLS's handshake, is over. */
void opening_finish_round(struct target *target);

/* securing.c: TLS on a new connection. Ends in talk_begin(), opening_finish_round() or
 * target_failed(). */
void securing_begin(struct target *target);
void securing_wake(struct target *target);
void securing_timed_out(struct target *target);

/* stream.c: what the peer's application said, and what of it belongs to an answer. Valid until the
 * next read. */
struct stream_input {
    const char *bytes;
    size_t len_bytes;
    bool closed; /* it said that this was all (TLS's close_notify) */
    const struct stream_arrival *arrivals;
    size_t arrival_count;
};
/* Writes of the request what the kernel takes, a record at a time with TLS, and tells the round of
 * each write. Returns how much of it is written, or a negative errno; after -EAGAIN the same bytes
 * have to be given again. */
ssize_t stream_write(struct target *target, const char *bytes, size_t len_bytes);
/* One read: bytes of the TCP stream, 0 at its end, or a negative errno: -EAGAIN when there is
 * nothing to do, perhaps because TLS broke and the target has failed. */
ssize_t stream_read(struct target *target, struct stream_input *input);
/* What was read before and not looked at. A negative errno: the target has failed. */
int stream_read_on(struct target *target, struct stream_input *input);
/* Between rounds: takes what has come away. Returns whether the peer has closed or is gone. */
bool stream_clear(struct target *target, size_t *stale_bytes);
/* Writes what TLS has to say of its own. 0 or a negative errno. */
int stream_flush(struct target *target, bool in_round);
/* Takes leave, as TLS wants it. */
void stream_end(struct target *target);

/* witness.c */
/* A round begins: what is recorded from here on belongs to it. */
void timestamping_begin(struct target *target);
void timestamping_call(void *target, const struct sock_call *call); /* the sock's observer */
bool timestamping_stamps(struct target *target); /* drains the error queue; false: it was empty */
void timestamping_arrival(struct target *target, int64_t at_real_ns, uint64_t end_bytes,
                          uint64_t length_bytes);

/* target.c: called by the run. */
void target_begin(struct target *target);
/* The run's time is over: what is unfinished says how far it came. */
void target_cut_short(struct target *target, bool interrupted);

/* target.c: called by the conversation. */
void target_round_done(struct target *target, const struct round *round);
__attribute__((format(printf, 4, 5))) void
target_failed(struct target *target, enum finding_code code, int number, const char *format, ...);
/* No descriptor is left: the target goes back to those that have not begun. */
void target_postpone(struct target *target);
/* The server closed, or reset, an idle connection before it answered anything. */
void target_closed_between(struct target *target);
/* What is left of --duration; INT64_MAX when there is no such bound, never negative. */
int64_t target_time_left_ns(const struct target *target);
void target_time_over(struct target *target);

/* gather.c */
struct summary {
    struct probe_evidence evidence;
    struct round *rounds[PROBE_ARMS + 2]; /* what it points to */
};
void summarize(struct target *target, struct result_probe *result, struct summary *summary);
void summarize_free(struct summary *summary);

#endif
