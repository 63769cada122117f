/* Scenarios: classic conditions of TCP, reproduced on real kernels and held against what is known.
 *
 * A scenario is one row (struct scenario) of its command's table: name, what happens, what the book
 * says, what Linux does, the settings that it depends on, and play(). play() acts on a testbed
 * (scenario/engine/testbed.h): two hosts, processes on them that make real calls, and the wire. It
 * says what it expects where it acts, from documented behaviour and the settings that were read at
 * run time. What the whole trace must show is data in the row. The engine compares, and gives the
 * verdict:
 *
 *     ok            everything that was expected was observed
 *     differs       something was not
 *     inconclusive  the run says nothing: something could not be set up, the wire lost a packet, or
 *                   it was later than the scenario tolerates where something differs
 *     unsupported   this kernel lacks what the scenario is about, or hides a setting that it pins
 *
 * To add one: write its play() and its row beside its like (host-reboot-sending in
 * crash/crash_reboot.c is a model), and list the row in the command's _set.c. A mutation for it (a
 * fault, setting or socket option under which it must differ) goes into the command's file in
 * tests/net/scenarios. */
#ifndef SCENARIO_SCENARIO_H
#define SCENARIO_SCENARIO_H

#include "lab/fault.h"
#include "lab/lab.h"
#include "netkit/error.h"
#include "result/result.h"
#include <signal.h>

struct testbed;

/* Hosts that something is for. */
#define SCENARIO_CLIENT 1u
#define SCENARIO_SERVER 2u
#define SCENARIO_BOTH   3u

/* A setting of the hosts' network stacks, pinned to a value for the run. */
struct scenario_setting {
    unsigned hosts;
    const char *name;
    const char *value;
    unsigned flags; /* SETTING_… */
};
#define SETTING_TIMER    1u /* with --real-time, this host's own value instead */
#define SETTING_OPTIONAL 2u /* this kernel may lack it */
#define SETTING_ROUTE    4u /* "rto_min", in milliseconds: of the route to the other host */
#define SETTINGS(...)    ((const struct scenario_setting[]){__VA_ARGS__, {0}})

struct scenario {
    const char *name;    /* "linger-zero" */
    const char *title;   /* half a line: what happens */
    const char *book;    /* what the book (UNIX Network Programming, vol. 1) says; NULL: nothing */
    const char *here;    /* what Linux does, and why */
    const char *differs; /* why that is not what the book says; NULL: it is, or it says nothing */
    const struct scenario_setting *settings; /* ends with {0}; NULL: none */
    int family;              /* AF_INET or AF_INET6 where it makes sense for one only; 0: both */
    bool loopback;           /* it can be run with --no-lab, and then shows something */
    bool resolve_neighbours; /* ARP and ND are its subject */
    bool capture_lo;         /* something happens on a host's loopback */
    bool crowded;            /* very many connections: their states are not sampled */
    bool exhausts;           /* a lack of descriptors or memory is its subject */
    int64_t delay_ns;        /* of the link each way, unless the user says otherwise: a state that
                              * ends with the next segment lasts so long, and is seen */
    int64_t lateness_ns;     /* a wire later than this decides nothing; 0: SCENARIO_LATENESS_NS */
    /* Acts, and says what has to be observed where it acts. What needs the whole trace comes after
     * testbed_finish(), which the engine calls when play() has not. */
    void (*play)(struct testbed *bed);
    /* What the whole trace must show of the scenario's connection; NULL: play() says it, or nobody.
     * Lists end with NULL: FLAGS("C>S SYN", "S>C SYN,ACK"), STATES("SYN-SENT", "ESTABLISHED"). */
    const char *const *flags, *const *flags_begin; /* all of it; its beginning */
    const char *const *client_states, *const *server_states;
    const void *arg; /* for rows that share their functions */
};
#define FLAGS(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define STATES(...) FLAGS(__VA_ARGS__)
#define HANDSHAKE   "C>S SYN", "S>C SYN,ACK", "C>S ACK"
/* Half of it where nothing makes the retransmission timeout longer. */
#define SCENARIO_LATENESS_NS (INT64_C(150) * 1000 * 1000)

/* The scenarios of one command, in the order of --list. */
struct scenario_set {
    const char *command;
    const struct scenario *const *items; /* ends with NULL */
    const struct scenario_set *further;  /* can be named, but are not among all; or NULL */
};
const struct scenario *scenario_find(const struct scenario_set *set, const char *name);

extern const struct scenario_set scenario_connect; /* connect-timeout */
extern const struct scenario_set scenario_linger;  /* linger-test */
extern const struct scenario_set scenario_crash;   /* crash-sim */
extern const struct scenario_set scenario_backlog; /* accept-backlog */

/* A fault that the user adds to whatever the scenario does. */
struct scenario_fault {
    struct lab_fault fault;
    const char *text; /* as the user wrote it */
};

/* A socket option that is set on every socket that a host opens: "SO_LINGER=on,1s". */
struct scenario_option {
    enum lab_host host;
    const char *name, *value;
};

/* What the user asked for, the same for every run. */
struct scenario_request {
    const struct scenario_set *set; /* whose scenarios run: rows of two commands sum up for it */
    bool no_lab, real_time;
    struct lab_rights rights; /* of the user's programs */
    struct lab_link link;
    bool delay_given;
    const struct scenario_fault *faults;
    size_t fault_count;
    const struct lab_sysctl *sysctls[LAB_HOSTS]; /* after the scenario's own */
    size_t sysctl_count[LAB_HOSTS];
    const struct scenario_option *options;
    size_t option_count;
    uint64_t seed;
    int64_t bytes;    /* how much data is at stake; 0: the scenario's own idea */
    const char *pcap; /* keep the packets; see scenario_pcap_path() */
    bool several;     /* more than one run writes packets: each its own file */
    bool keep_events; /* for pictures */
    const void *own;  /* what one command adds, known to its scenarios only */
};

/* "x.pcap" for one run; "x-refused-4.pcap" where there are several. */
const char *scenario_pcap_path(struct arena *arena, const struct scenario_request *request,
                               const char *scenario, int family);

/* A result that says which scenario it is of, and nothing else. */
struct result_scenario scenario_result(struct arena *arena, const struct scenario *scenario,
                                       int family);

/* Plays one scenario for one family (4 or 6) in the calling process, which should have no threads
 * and nothing to lose: a scenario may install signal handlers. Fills *out from the arena. Returns
 * 0, whatever the verdict; -EPERM where this system grants no namespaces (with the remedy), or
 * another negative errno for what the user asked wrongly (a fault, a setting). */
int scenario_run_one(const struct scenario *scenario, int family,
                     const struct scenario_request *request, struct arena *arena,
                     struct result_scenario *out, struct error *error);

/* ---- Many runs ---- */

struct scenario_job {
    const struct scenario *scenario;
    int family; /* 4 or 6 */
};

struct scenario_plan {
    const struct scenario_job *jobs;
    size_t job_count;
    size_t parallel;
    int64_t repeat;
    const struct scenario_request *request;
    int64_t deadline_mono_ns; /* INT64_MAX: none */
    const volatile sig_atomic_t *interrupt;
    /* Called after each run, for a line of progress; may be NULL. */
    void (*progress)(void *context, size_t done, size_t all, size_t not_ok, size_t running);
    void *context;
};

/* How it ended. */
struct scenario_runs {
    bool interrupted, timed_out;    /* results of what was done until then are in the report */
    size_t refused;                 /* runs that this machine did not let start */
    struct error refusal;           /* why, of the first */
    size_t failed;                  /* results that differ or are inconclusive */
    size_t unfinished;              /* jobs without a result */
    struct scenario_memory *memory; /* what the results point into; NULL: nothing */
};

/* Runs every job `repeat` times, each run in a process of its own with its own lab, so that one
 * that dies takes nothing along, and adds a result for each job to the report, in the order of the
 * jobs, with a finding for each that is not ok. An inconclusive run is tried up to three times.
 * The report's results point into out->memory: free it after the report. Negative errno: what the
 * user asked cannot be (a fault, a setting). */
int scenario_run_all(const struct scenario_plan *plan, struct report *report,
                     struct scenario_runs *out, struct error *error);
void scenario_runs_free(struct scenario_runs *runs);

#endif
