/* Two programs of the user's against each other in a lab: the experiment of `netkit lab`.
 *
 * The server is started first, and the client when the server listens. When the client has ended,
 * the wire is watched until all connections are over or nothing happens any more; then what still
 * runs is told to end (SIGTERM, and SIGKILL a second later), and the lab is closed. Without a
 * client, the server's end ends the run; without a server the client has nobody to talk to, which
 * can be the point. The trace is what happened up to the moment before netkit ended anything. */
#ifndef SCENARIO_PROGRAMS_H
#define SCENARIO_PROGRAMS_H

#include "lab/lab.h"
#include "netkit/error.h"
#include "result/result.h"
#include "scenario/scenario.h"
#include "trace/trace.h"
#include <signal.h>

struct programs_plan {
    const char *command[LAB_HOSTS]; /* lines for /bin/sh; NULL: none, but not for both */
    struct lab_config lab;          /* the trace is filled in */
    struct privilege_user reporter; /* who this process becomes when the lab is open */
    const struct scenario_fault *faults;
    size_t fault_count;
    uint16_t wait_port;                     /* the port that the server has to listen on; 0: any */
    bool no_wait;                           /* start the client at once */
    int64_t listen_ns;                      /* how long to wait for that */
    int64_t deadline_mono_ns;               /* of everything; INT64_MAX: none */
    int stdio[LAB_HOSTS][3];                /* as lab_program.stdio */
    uint32_t connection;                    /* to draw; 0: the busiest */
    const volatile sig_atomic_t *interrupt; /* not 0: end now, and report */
};

/* Why the run was over. */
enum programs_end {
    PROGRAMS_ENDED, /* by itself */
    PROGRAMS_TIMED_OUT,
    PROGRAMS_INTERRUPTED,
    PROGRAMS_NEVER_LISTENED, /* the client was not started */
};

struct programs_outcome {
    enum programs_end end;
    /* What a shell would give as the status of the program that counts: the client's, without one
     * the server's; -1 when it did not end by itself. */
    int status;
    bool bad_fault;             /* the failure is a fault's: what was asked for is wrong */
    struct error pcap;          /* why the capture is not whole; code 0: it is */
    struct trace_event *events; /* the result points to these */
};

/* Runs it, and appends a result and findings to the report. A failure before the programs were
 * started is returned: -EPERM (with the remedy) where this system grants no namespaces, -EINVAL for
 * a link or a fault that makes no sense. */
int programs_run(const struct programs_plan *plan, struct report *report,
                 struct programs_outcome *out, struct error *error);
void programs_outcome_free(struct programs_outcome *outcome);

#endif
