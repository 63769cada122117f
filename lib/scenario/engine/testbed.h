/* What a scenario is written with: hosts and their agents, the wire, what was observed, what had to
 * be.
 *
 * Order decides, not time: what happened first is asked of the trace (testbed_wait, testbed_saw),
 * and a segment that is to be late is held until something else has happened. Measured times come
 * from the wire or from the calls' own clock, and are expected in a range whose lower end is exact
 * and whose upper end allows for a loaded machine (testbed_expect_time).
 *
 * A scenario has at most one lab, and as many agents as it likes. Failures of the set-up are sticky
 * (see agent.h): a script runs through without checks and ends as inconclusive. */
#ifndef SCENARIO_TESTBED_H
#define SCENARIO_TESTBED_H

#include "base/clock.h"
#include "diagnosis/exchange.h"
#include "probe/machine_probe.h"
#include "scenario/engine/agent.h"
#include "scenario/engine/host_stall.h"
#include "scenario/scenario.h"
#include "trace/trace.h"
#include <netinet/tcp.h>
#include <string.h>

#define TESTBED_LIMIT_NS (15 * NS_PER_SEC) /* a wait that takes longer is a failure */

struct testbed {
    const struct scenario *scenario;
    const struct scenario_request *request;
    int family;      /* AF_INET, AF_INET6 */
    struct lab *lab; /* NULL with --no-lab, and when finished */
    struct trace *trace;
    struct arena *arena;
    struct result_scenario *result;
    struct error error; /* why it failed; code 0: it has not */
    bool unsupported;   /* that is why */
    int64_t started_real_ns, started_mono_ns;

    /* Once it is finished: */
    bool finished;
    const struct trace_event *events; /* in the order of time, calls with their connections */
    size_t event_count;
    const struct result_connection *subject; /* NULL: no segment was seen */

    struct backlog_watch *backlog; /* what accept-backlog's scenarios saw of the queues */
    struct agent *agents;
    struct agent *first[LAB_HOSTS];
    struct agent *watcher[LAB_HOSTS]; /* looks at its host, and has no socket of the scenario */
    struct lab_config config;
    uint64_t since; /* where conditions count from */
    uint32_t subject_number;
    uint16_t subject_port; /* see testbed_subject_port() */
    uint16_t ports;        /* without a lab: see AGENT_PORTS */
    struct lab_stats stats;
    int *fault_numbers; /* of the user's faults */
    struct host_stall stall;
    struct testbed_count *counts; /* that wait for the whole trace */
    int64_t stalled_ns;           /* the longest that a process had to wait for a processor */
    enum finding_code blame;      /* see testbed_blame() */
    const char *blame_text, *remedy;
    enum result_side side;
    size_t crowd;      /* the first connections, of which one is to be shown; 0: all are */
    bool blame_counts; /* the last one did */
    bool any_exchange; /* see testbed_any_exchange() */
};

/* ---- Failure */

__attribute__((format(printf, 2, 3))) void testbed_fail(struct testbed *bed, const char *format,
                                                        ...);
static inline bool testbed_failed(const struct testbed *bed)
{
    return bed->error.code != 0;
}

/* This kernel cannot show what the scenario is about, and why: the run ends like a failed one, but
 * it is none. Decide it by what the kernel has, never by its release. */
void testbed_unsupported(struct testbed *bed, const char *why);

/* ---- Who plays */

/* The host's first agent, started when it is first asked for; never NULL. */
struct agent *testbed_client(struct testbed *bed);
struct agent *testbed_server(struct testbed *bed);
/* An agent of the host that looks at it for the testbed, and has no socket of the scenario's. */
struct agent *testbed_watcher(struct testbed *bed, enum lab_host host);
/* A further one. */
struct agent *testbed_agent(struct testbed *bed, enum lab_host host);

/* Does an act that the scenario is not about: a failure of the testbed, with what could not be
 * done, if it fails. MUST(bed, "the server cannot listen", server, ACT_LISTEN, .port = port) */
struct act_reply testbed_must(struct testbed *bed, const char *failure, struct agent *agent,
                              const struct act *act);
#define MUST(bed, failure, agent, what, ...)                                                       \
    testbed_must(bed, failure, agent, &(struct act){.verb = (what), ##__VA_ARGS__})

/* The client connects its slot to the port of the server's listener, which accepts into the other
 * slot. */
void testbed_connect(struct testbed *bed, struct agent *client, int slot, uint16_t port,
                     struct agent *server, int listener, int other);
/* The server listens on TESTBED_PORT (slot 0), the client connects (slot 0), the server accepts
 * (slot 1). Afterwards both are ESTABLISHED and nothing is under way. */
void testbed_connected(struct testbed *bed);

/* ---- The wire */

/* Adds a fault, in the words of a fault file: "drop s>c:…" is "drop syn-ack dir s>c". Returns its
 * number, 0 after a failure. */
__attribute__((format(printf, 2, 3))) int testbed_fault(struct testbed *bed, const char *format,
                                                        ...);
void testbed_unfault(struct testbed *bed, int number);
/* Lets go what a hold keeps. */
void testbed_release(struct testbed *bed, int number);
void testbed_cut(struct testbed *bed);
void testbed_restore(struct testbed *bed);
/* Host loses power and boots again, with nothing started on it; its agents are gone, and
 * testbed_agent() starts new ones. The link is restored at the end. */
void testbed_reboot(struct testbed *bed, enum lab_host host);
/* A remark in the trace, and in the ladder. */
__attribute__((format(printf, 2, 3))) void testbed_mark(struct testbed *bed, const char *format,
                                                        ...);

/* Waits for a condition (lab/fault.h): "seen c>s:fin#2", "server=CLOSE-WAIT", "client.close".
 * False, and a failure, when it does not come true within TESTBED_LIMIT_NS. */
bool testbed_wait(struct testbed *bed, const char *condition);
/* The same where it may stay false: no failure. timeout_ns 0: whether it has come true already. */
bool testbed_saw(struct testbed *bed, const char *condition, int64_t timeout_ns);
/* Since here: conditions that are asked for later count from the last call of this on. */
void testbed_from_here(struct testbed *bed);
/* Lets time pass in which something must not happen, or a timer must expire. */
void testbed_pass(struct testbed *bed, int64_t ns);

/* ---- What holds here */

/* The retransmission settings of a host, as they are in the lab. Those of this machine, outside,
 * are machine_timers() (probe/machine_probe.h). */
struct kernel_timers_settings testbed_settings(struct testbed *bed, enum lab_host host);
/* One setting of a host as a number; a failure where there is none. */
int64_t testbed_setting(struct testbed *bed, enum lab_host host, const char *name);
/* The most that listen() makes of its backlog on that host: net.core.somaxconn, which may be
 * hidden, as a listener has it. */
int64_t testbed_listen_limit(struct testbed *bed, enum lab_host host);
/* One of this machine's own, outside the lab, in seconds; RESULT_UNKNOWN where it has none. */
int64_t testbed_own_seconds_ns(const char *name);
/* Calls a function in the watcher of a host, and copies its answer to *out (size_bytes of
 * reply.data); a failure, with what was looked at, where it returns an errno. */
void testbed_look(struct testbed *bed, enum lab_host host, const char *what, const struct act *act,
                  void *out, size_t size_bytes);
#define LOOK(bed, host, what, out, function_, ...)                                                 \
    testbed_look(bed, host, what,                                                                  \
                 &(struct act){.verb = ACT_CALL, .function = (function_), ##__VA_ARGS__}, out,     \
                 sizeof *(out))
/* A counter of a host: "TcpExt ListenDrops". */
int64_t testbed_counter(struct testbed *bed, enum lab_host host, const char *name);
/* A socket of the host as sock_diag sees it now: state, or 0 when there is none. Ports as seen from
 * that host; remote 0: any. */
struct act_socket testbed_socket_of(struct testbed *bed, enum lab_host host, uint16_t local_port,
                                    uint16_t remote_port);
/* ---- What was observed, and what had to be. Keys are literals; those of times end in _ns. */

/* Fields of a result, as many as there are: testbed_observe(bed, TEXT("ended_by", how),
 * INTEGER("syns", 3), BOOL("resets", false)). A text may be NULL, an integer RESULT_UNKNOWN. */
#define FIELD(key_, kind_, member, value)                                                          \
    ((struct result_value){.key = (key_), .kind = (kind_), .member = (value)})
#define TEXT(key, value)          FIELD(key, RESULT_TEXT, text, value)
#define INTEGER(key, value)       FIELD(key, RESULT_INTEGER, integer, value)
#define BOOL(key, value)          FIELD(key, RESULT_BOOL, flag, value)
#define TESTBED_FIELDS(...)       ((const struct result_value[]){__VA_ARGS__, {0}})
#define testbed_observe(bed, ...) testbed_observe_fields(bed, TESTBED_FIELDS(__VA_ARGS__))
void testbed_observe_fields(struct testbed *bed, const struct result_value *fields);

void testbed_expect_integer(struct testbed *bed, const char *key, int64_t value);
void testbed_expect_range(struct testbed *bed, const char *key, int64_t min, int64_t max);
/* A time that a model plans: not before it (a tick of tolerance), and not later than it may be on a
 * loaded machine. */
void testbed_expect_time(struct testbed *bed, const char *key,
                         const struct kernel_timers_settings *settings, int64_t planned_ns);

/* Both at once. */
void testbed_check_text(struct testbed *bed, const char *key, const char *expected,
                        const char *observed);
void testbed_check_integer(struct testbed *bed, const char *key, int64_t expected,
                           int64_t observed);
void testbed_check_bool(struct testbed *bed, const char *key, bool expected, bool observed);
void testbed_check_range(struct testbed *bed, const char *key, int64_t min, int64_t max,
                         int64_t observed);
void testbed_check_time(struct testbed *bed, const char *key,
                        const struct kernel_timers_settings *settings, int64_t planned_ns,
                        int64_t measured_ns);
/* What a call returned, as "0", "ECONNREFUSED", …: `zero` is the word for 0. */
void testbed_check_rc(struct testbed *bed, const char *key, const char *expected,
                      const struct act_reply *reply, const char *zero);

/* Does an act, and checks what it returned (0 of a read is "EOF"):
 * CHECK(bed, "bind_same_port", "0", client, ACT_BIND, .slot = 2, .port = port) */
struct act_reply testbed_check_act(struct testbed *bed, const char *key, const char *expected,
                                   struct agent *agent, const struct act *act);
#define CHECK(bed, key, expected, agent, what, ...)                                                \
    testbed_check_act(bed, key, expected, agent, &(struct act){.verb = (what), ##__VA_ARGS__})
/* The same for an act that returns a number, of bytes or of what it has counted. */
struct act_reply testbed_check_number(struct testbed *bed, const char *key, int64_t expected,
                                      struct agent *agent, const struct act *act);
#define CHECK_NUMBER(bed, key, expected, agent, what, ...)                                         \
    testbed_check_number(bed, key, expected, agent, &(struct act){.verb = (what), ##__VA_ARGS__})
/* States as testbed_socket_of() gives them. */
void testbed_check_state(struct testbed *bed, const char *key, int expected, int observed);

/* A rare outcome that is not wrong: says why it came out so. What differs from the expectation
 * must be expected anew by the caller. */
void testbed_explain(struct testbed *bed, const char *why);

/* What a difference amounts to where it is not the kernel's but a program's: the finding that the
 * result then has, and its summary. The first one counts. */
__attribute__((format(printf, 3, 4))) void
testbed_blame(struct testbed *bed, enum finding_code code, const char *summary, ...);

/* Who has to change something, and what, where the blame before it counts; without it the
 * catalogue's remedy stands. */
__attribute__((format(printf, 3, 4))) void
testbed_remedy(struct testbed *bed, enum result_side side, const char *remedy, ...);

/* ---- The whole trace. These say what has to be observed; it is looked at when the run is
 * finished. Without a lab nothing is captured, and they expect nothing. */

/* The subject's exchange must be exactly this, FLAGS("C>S SYN", …), where the row's .flags cannot
 * say it because it is not the same in every run. */
void testbed_expect_flags(struct testbed *bed, const char *const *flags);
/* So many segments of a flag word (see testbed_times) in a direction. */
void testbed_expect_count(struct testbed *bed, const char *key, const char *word,
                          enum lab_direction direction, int64_t count);

/* The row's .flags and .flags_begin do not hold for this run: more is sent than it usually is. */
void testbed_any_exchange(struct testbed *bed);

/* Ends the run: the lab is closed, its agents are gone, and the trace is complete. For a play()
 * that computes from the trace; nothing can be acted after it. */
void testbed_finish(struct testbed *bed);

/* Which connection is the subject: the n-th that was seen on the wire, from 1. Call it before the
 * end. */
void testbed_subject(struct testbed *bed, uint32_t number);
/* The first one to that port of the server, where several clients begin at once. */
void testbed_subject_port(struct testbed *bed, uint16_t port);

/* Arrival times at the wire, since the start of the run, of the segments of a flag word ("syn",
 * "data", …; "" all) in a direction, of the subject, when finished. Returns how many there are; at
 * most `max` are written. */
size_t testbed_times(const struct testbed *bed, const char *word, enum lab_direction direction,
                     int64_t *out_ns, size_t max);
/* The number of the first connection to that port of the server, when finished; 0: none. */
int64_t testbed_connection_to(const struct testbed *bed, uint16_t port);
/* How many there are of another connection, by its number. */
int64_t testbed_count(const struct testbed *bed, int64_t connection, const char *word,
                      enum lab_direction direction);

/* A row of "predicted, measured, on this host". */
void testbed_timing(struct testbed *bed, const char *what, int64_t predicted_ns,
                    int64_t measured_ns, int64_t host_ns);

/* The same for each transmission of a plan from `first` (0: all) on: "SYN 1" …; when they were
 * seen, and the plan by this machine's own settings. */
void testbed_timings(struct testbed *bed, const char *what, const struct kernel_timers *plan,
                     const struct kernel_timers *host, size_t first, const int64_t *seen_ns,
                     size_t seen);

/* ---- Tables */

void testbed_table(struct testbed *bed, const char *name, const char *title);
/* A new row of the last table, and its first fields. */
#define testbed_row(bed, ...) testbed_row_fields(bed, TESTBED_FIELDS(__VA_ARGS__))
struct result_map *testbed_row_fields(struct testbed *bed, const struct result_value *fields);
/* Fields of the scenario's row in the summary of all. */
#define testbed_summarize(bed, ...) testbed_summary_fields(bed, TESTBED_FIELDS(__VA_ARGS__))
void testbed_summary_fields(struct testbed *bed, const struct result_value *fields);

/* Whether the run is one of that command's: a row that two commands list sums up for the one. */
static inline bool testbed_runs_for(const struct testbed *bed, const char *command)
{
    return !bed->request->set || !strcmp(bed->request->set->command, command);
}

/* A name for a state that testbed_socket_of() gave: "TIME-WAIT". 0 is "none": sock_diag finds no
 * such socket, as with client_end. Where states are listed as the wire saw them change
 * (.client_states), a socket that is gone has ended in CLOSED. */
const char *testbed_state_name(int state);

#endif
