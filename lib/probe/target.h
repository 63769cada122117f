/* One target of a probe: the internals that talk.c, target.c and gather.c share.
 *
 * A target runs a sequence of sessions (arm, warm-up rounds, measured rounds), each on a fresh
 * connection. talk.c holds the conversation on one connection and knows nothing of sequences;
 * target.c decides what comes next; gather.c turns the rounds into a result. */
#ifndef PROBE_TARGET_H
#define PROBE_TARGET_H

#include "base/clock.h"
#include "probe/loop.h"
#include "probe/probe.h"
#include "trace/trace.h"

enum talk_phase {
    TALK_CLOSED,
    TALK_CONNECTING,
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

/* The rounds of one arm, growing by doubling. */
struct round_list {
    struct round *rounds;
    size_t count, alloc;
};

struct session {
    enum service_arm arm;
    int64_t warmup, rounds; /* still to do */
};

struct run;

struct target {
    struct loop_task task;
    struct run *run;
    size_t index;
    const char *name;
    struct sock_target where;
    struct sock_address_list addresses;
    size_t address_index;

    /* The conversation (talk.c). */
    struct sock sock;
    struct sock_observer observer;
    struct sock_call call; /* the last one that returned */
    enum talk_phase phase;
    int64_t phase_deadline_ns, look_ns;
    int64_t connect_started_ns;
    struct clock_pair round_clock;
    int64_t round_base_bytes; /* stream offset of the round's first byte */
    size_t piece;
    size_t piece_sent_bytes, request_sent_bytes;
    int64_t rounds_on_connection;
    bool round_retried;
    struct until_reader reader;
    struct round_builder builder;
    struct trace_strip *strip; /* NULL: the ladder was not asked for */

    /* The sequence (target.c). */
    struct session session;
    int step;
    int blocks;
    int64_t quota; /* rounds of each arm but the baseline */
    int64_t fresh_left;
    int64_t started_ns;
    bool finished;
    struct failure failure;
    struct round unfinished;
    bool has_unfinished;

    /* What was measured. */
    struct round_list arms[SERVICE_ARMS];
    struct round_list fresh;
    int64_t resolve_ns, connect_ns, handshake_rtt_ns, min_rtt_ns;
    uint32_t syn_retransmits;
    int64_t connections, closed_between, surplus_bytes, clock_steps;
    bool persists;
    unsigned stamps;
    uint32_t send_mss_bytes, small_mss_bytes;
    struct sock_tcp_info info; /* of the last baseline round */
    bool has_info;
    char connection[2 * SOCK_ADDRESS_TEXT_MAX + 4];
    struct trace_strip *slow_strip;
    int64_t slow_ns;
};

/* What all targets of a run share. */
struct run {
    const struct probe_plan *plan;
    const struct probe_sink *sink;
    struct arena *arena;
    struct loop loop;
    size_t open_targets;
    char buffer[256 * 1024]; /* one read at a time: nobody keeps it */
};

/* talk.c: opens a connection for the session's arm and holds its rounds. Ends in exactly one of the
 * callbacks below for each round, and talk_failed() at most once. */
void talk_open(struct target *target);
void talk_next_round(struct target *target);
void talk_close(struct target *target);
/* Gives up where it is, as when the run's time is over. */
void talk_abandon(struct target *target);
void talk_wake(struct loop_task *task, uint32_t events);

/* target.c: called by the conversation. */
void target_round_done(struct target *target, const struct round *round);
__attribute__((format(printf, 4, 5))) void
target_failed(struct target *target, enum finding_code code, int number, const char *format, ...);
/* The server closed, or reset, an idle connection before it answered anything. */
void target_closed_between(struct target *target, int number);

/* gather.c */
void gather(struct target *target, struct result_probe *result, struct service_evidence *evidence);
const char *gather_place(const struct target *target, char *out, size_t size);

#endif
