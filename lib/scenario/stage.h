/* What a scenario is written with: hosts and their actors, the wire, what was observed, what had to
 * be.
 *
 * Order decides, not time: what happened first is asked of the trace (stage_wait, stage_saw), and
 * a segment that is to be late is held until something else has happened. Measured times come from
 * the wire or from the calls' own clock, and are expected in a range whose lower end is exact and
 * whose upper end allows for a loaded machine (stage_expect_time).
 *
 * A scenario has at most one lab, and as many actors as it likes. Failures of the set-up are sticky
 * (see actor.h): a script runs through without checks and ends as inconclusive. */
#ifndef SCENARIO_STAGE_H
#define SCENARIO_STAGE_H

#include "base/clock.h"
#include "diagnosis/exchange.h"
#include "scenario/actor.h"
#include "scenario/scenario.h"
#include "trace/trace.h"
#include <netinet/tcp.h>

#define STAGE_PORT     7000              /* where a scenario's server listens */
#define STAGE_LIMIT_NS (15 * NS_PER_SEC) /* a wait that takes longer is a failure */

struct stage {
    const struct scenario *scenario;
    const struct scenario_request *request;
    int family;      /* AF_INET, AF_INET6 */
    struct lab *lab; /* NULL with --no-lab, and in check() */
    struct trace *trace;
    struct arena *arena;
    struct result_scenario *result;
    struct error error; /* why it failed; code 0: it has not */
    void *facts;        /* the scenario's own, from run() to check(); see stage_facts() */
    int64_t started_real_ns, started_mono_ns;

    /* In check() only: */
    const struct trace_event *events; /* in the order of time, calls with their connections */
    size_t event_count;
    const struct result_connection *subject; /* NULL: no segment was seen */

    struct actor *actors;
    struct actor *first[LAB_HOSTS];
    struct actor *watcher[LAB_HOSTS]; /* looks at its host, and has no socket of the scenario */
    struct lab_config config;
    uint64_t since; /* where conditions count from */
    uint32_t subject_number;
    uint16_t ports; /* without a lab: see CAST_PORTS */
    bool explained;
    int64_t stalled_ns; /* the longest that a process had to wait for a processor */
    enum finding_code blame; /* see stage_blame() */
    const char *blame_text, *remedy;
    enum result_side side;
    size_t crowd;      /* the first connections, of which one is to be shown; 0: all are */
    bool blame_counts; /* the last one did */
};

/* ---- Failure */

__attribute__((format(printf, 2, 3))) void stage_fail(struct stage *stage, const char *format, ...);
static inline bool stage_failed(const struct stage *stage)
{
    return stage->error.code != 0;
}

/* ---- Who plays */

/* The host's first actor, started when it is first asked for; never NULL. */
struct actor *stage_client(struct stage *stage);
struct actor *stage_server(struct stage *stage);
/* An actor of the host that looks at it for the stage, and has no socket of the scenario's. */
struct actor *stage_watcher(struct stage *stage, enum lab_host host);
/* A further one. */
struct actor *stage_actor(struct stage *stage, enum lab_host host);
/* Zeroed memory that lives until the result does, at most STAGE_FACTS_MAX; the same block at each
 * call. */
#define STAGE_FACTS_MAX 65536
void *stage_facts(struct stage *stage, size_t size_bytes);

/* The server listens on STAGE_PORT (slot 0), the client connects (slot 0), the server accepts (slot
 * 1). Afterwards both are ESTABLISHED and nothing is under way. */
void stage_connected(struct stage *stage);
/* Two small exchanges each way, so that quick acknowledgements and the first RTT are done with. */
void stage_warm_up(struct stage *stage);

/* ---- The wire */

/* Adds a fault, in the words of a fault file: "drop s>c:…" is "drop syn-ack dir s>c". Returns its
 * number, 0 after a failure. */
int stage_fault(struct stage *stage, const char *line);
void stage_unfault(struct stage *stage, int number);
/* Lets go what a hold keeps. */
void stage_release(struct stage *stage, int number);
void stage_cut(struct stage *stage);
void stage_restore(struct stage *stage);
/* Host loses power and boots again, with nothing started on it; its actors are gone, and
 * stage_actor() starts new ones. The link is restored at the end. */
void stage_reboot(struct stage *stage, enum lab_host host);
/* A remark in the trace, and in the ladder. */
__attribute__((format(printf, 2, 3))) void stage_mark(struct stage *stage, const char *format, ...);

/* Waits for a condition (lab/fault.h): "seen c>s:fin#2", "server=CLOSE-WAIT", "client.close".
 * False, and a failure, when it does not come true within STAGE_LIMIT_NS. */
bool stage_wait(struct stage *stage, const char *condition);
/* The same where it may stay false: no failure. timeout_ns 0: whether it has come true already. */
bool stage_saw(struct stage *stage, const char *condition, int64_t timeout_ns);
/* Since here: conditions that are asked for later count from the last call of this on. */
void stage_from_here(struct stage *stage);
/* Lets time pass in which something must not happen, or a timer must expire. */
void stage_pass(struct stage *stage, int64_t ns);

/* ---- What holds here */

/* The retransmission settings of a host, as they are in the lab; and of this machine outside. */
struct schedule_settings stage_settings(struct stage *stage, enum lab_host host);
struct schedule_settings stage_host_settings(struct stage *stage);
/* One setting of a host as a number; a failure where there is none. */
int64_t stage_setting(struct stage *stage, enum lab_host host, const char *name);
/* A counter of a host: "TcpExt ListenDrops". */
int64_t stage_counter(struct stage *stage, enum lab_host host, const char *name);
/* A socket of the host as sock_diag sees it now: state, or 0 when there is none. Ports as seen from
 * that host; remote 0: any. */
struct act_socket stage_socket_of(struct stage *stage, enum lab_host host, uint16_t local_port,
                                  uint16_t remote_port);
/* Waits until it is in that state (0: gone). A failure when that does not come. */
bool stage_wait_socket(struct stage *stage, enum lab_host host, uint16_t local_port,
                       uint16_t remote_port, int state);

/* ---- What was observed, and what had to be. Keys are literals; those of times end in _ns. */

void stage_observe_text(struct stage *stage, const char *key, const char *value);
void stage_observe_integer(struct stage *stage, const char *key, int64_t value);
void stage_observe_bool(struct stage *stage, const char *key, bool value);
void stage_expect_text(struct stage *stage, const char *key, const char *value);
void stage_expect_integer(struct stage *stage, const char *key, int64_t value);
void stage_expect_bool(struct stage *stage, const char *key, bool value);
void stage_expect_range(struct stage *stage, const char *key, int64_t min, int64_t max);
/* A time that a model plans: not before it (a tick of tolerance), and not later than it may be on a
 * loaded machine. */
void stage_expect_time(struct stage *stage, const char *key,
                       const struct schedule_settings *settings, int64_t planned_ns);

/* Both at once. */
void stage_check_text(struct stage *stage, const char *key, const char *expected,
                      const char *observed);
void stage_check_integer(struct stage *stage, const char *key, int64_t expected, int64_t observed);
void stage_check_bool(struct stage *stage, const char *key, bool expected, bool observed);
/* What a call returned, as "0", "ECONNREFUSED", …: `zero` is the word for 0. */
void stage_check_rc(struct stage *stage, const char *key, const char *expected,
                    const struct act_reply *reply, const char *zero);

/* A rare outcome that is not wrong: says why it came out so. What differs from the expectation
 * must be expected anew by the caller. */
void stage_explain(struct stage *stage, const char *why);

/* What a difference amounts to where it is not the kernel's but a program's: the finding that the
 * result then has, and its summary. The first one counts. */
void stage_blame(struct stage *stage, enum finding_code code, const char *summary);

/* Who has to change something, and what, where the blame before it counts; without it the
 * catalogue's remedy stands. */
void stage_remedy(struct stage *stage, enum result_side side, const char *remedy);

/* ---- In check() */

/* The subject's exchange must be exactly this: "C>S SYN", …, NULL. Without a lab nothing was
 * captured, and these three expect nothing. */
void stage_expect_flags(struct stage *stage, const char *first, ...) __attribute__((sentinel));
/* It must begin like this; how it goes on is not looked at. */
void stage_expect_flags_begin(struct stage *stage, const char *first, ...)
    __attribute__((sentinel));
/* The states of a side's socket must be these, NULL at the end. */
void stage_expect_states(struct stage *stage, enum lab_host host, const char *first, ...)
    __attribute__((sentinel));
/* Which connection is the subject: the n-th that was seen on the wire, from 1. Call it in run(). */
void stage_subject(struct stage *stage, uint32_t number);

/* Arrival times at the wire, since the start of the run, of the segments of a flag word ("syn",
 * "data", …; "" all) in a direction, of the subject. Returns how many there are; at most `max`
 * are written. */
size_t stage_times(const struct stage *stage, const char *word, enum lab_direction direction,
                   int64_t *out_ns, size_t max);

/* A row of "predicted, measured, on this host". */
void stage_timing(struct stage *stage, const char *what, int64_t predicted_ns, int64_t measured_ns,
                  int64_t host_ns);

/* ---- Tables */

struct result_table *stage_table(struct stage *stage, const char *name, const char *title);
/* A new row of the last table; fill it by result_set_…(stage->arena, row, …). */
struct result_map *stage_row(struct stage *stage);
/* The scenario's row in the summary of all. */
static inline struct result_map *stage_summary(struct stage *stage)
{
    return &stage->result->summary;
}

/* A name for a state that stage_socket_of() gave: "TIME-WAIT", "none" for 0. */
const char *stage_state_name(int state);

#endif
