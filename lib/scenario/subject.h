/* A program of the user's on the stage: it runs on one host, and netkit's well-behaved peer
 * (scenario/peer.h) on the other.
 *
 * What the program does is not assumed: it is seen in its exit, in its descriptors (/proc of the
 * host's own PID namespace), in the kernel's tables (sock_diag), and on the wire. */
#ifndef SCENARIO_SUBJECT_H
#define SCENARIO_SUBJECT_H

#include "scenario/peer.h"
#include "scenario/stage.h"

/* What the user asked: scenario_request.own of the scenarios that play his program. Everything
 * lives longer than the runs. */
struct subject_request {
    enum lab_host host;  /* where the program runs */
    const char *command; /* a line for sh; {host} and {port} stand for the peer's */
    uint16_t port;       /* of the server, whoever that is */
    struct peer_plan peer;
    bool asks;             /* the peer's request was given */
    int64_t clients;       /* of netkit's, in front of a server */
    int64_t connections;   /* of a burst; 0: there is none */
    int64_t per_second;    /* how many of them begin; 0: all at once */
    int64_t max_detect_ns; /* 0: no bound but the patience */
    int64_t patience_ns;   /* how long anything is waited for */
    bool show_output;      /* pass the program's output through, on standard error */
};

struct subject {
    struct lab_process *process; /* NULL: it could not be started */
    int64_t started_ns;
    bool ended;
    struct lab_exit exit;
};

static inline const struct subject_request *subject_request(const struct stage *stage)
{
    return stage->request->own;
}

/* Starts it; a failure of the stage where that is impossible. */
void subject_start(struct stage *stage, struct subject *subject);
/* Starts it as a server, and waits until it listens on the port. False, and the run is given up,
 * when it ends or does not listen within the patience. */
bool subject_listens(struct stage *stage, struct subject *subject);
/* Whether it has ended; waits for that at most timeout_ns. */
bool subject_has_ended(struct stage *stage, struct subject *subject, int64_t timeout_ns);
/* "exit status 3", "killed by SIGPIPE", "running". */
const char *subject_end_text(struct stage *stage, const struct subject *subject);
/* Observes exit_status, signal (null where there is none). */
void subject_observe_end(struct stage *stage, const struct subject *subject);
/* Ends it: SIGTERM, and SIGKILL a second later. */
void subject_stop(struct stage *stage, struct subject *subject);

/* What its processes are at this moment. */
struct subject_census {
    int64_t processes, zombies, descriptors, sockets;
    bool holds; /* the socket that was asked for */
};
/* `inode` of a socket to look for, or 0. */
struct subject_census subject_census(struct stage *stage, uint32_t inode);

/* Stops all its processes, daemons of their own sessions too, and waits until every thread of them
 * stands; or lets them go on. Where that is impossible the run is given up. */
void subject_freeze(struct stage *stage);
void subject_thaw(struct stage *stage);

/* The sockets of the subject's host with that local or remote port, by state. */
#define SUBJECT_STATES 16
struct subject_sockets {
    int64_t by_state[SUBJECT_STATES]; /* by the kernel's number */
    int64_t orphans;                  /* that no descriptor refers to */
    uint32_t inode;                   /* of one that is ESTABLISHED; 0: there is none */
    uint16_t local_port;              /* of that one */
};
struct subject_sockets subject_sockets(struct stage *stage, uint16_t port);

/* Gives the run up: it says nothing, and would not if it were repeated. */
__attribute__((format(printf, 2, 3))) void subject_decline(struct stage *stage, const char *format,
                                                           ...);

#endif
