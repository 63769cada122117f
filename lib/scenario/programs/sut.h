/* The system under test: a program of the user's on the testbed. It runs on one host, and netkit's
 * well-behaved peer (stub_peer.h) on the other.
 *
 * What the program does is not assumed: it is seen in its exit, in its descriptors (/proc of the
 * host's own PID namespace), in the kernel's tables (sock_diag), and on the wire. */
#ifndef SCENARIO_SUT_H
#define SCENARIO_SUT_H

#include "scenario/engine/testbed.h"
#include "scenario/programs/stub_peer.h"

/* What the user asked for: scenario_request.own of the scenarios that run the user's program.
 * Everything lives longer than the runs. */
struct sut_request {
    enum lab_host host;  /* where the program runs */
    const char *command; /* a line for sh; {host} and {port} stand for the peer's */
    uint16_t port;       /* of the server, either one */
    struct stub_peer_plan peer;
    bool asks;             /* the peer's request was given */
    int64_t clients;       /* of netkit's, in front of a server */
    int64_t connections;   /* of a burst; 0: there is none */
    int64_t per_second;    /* how many of them begin; 0: all at once */
    int64_t max_detect_ns; /* 0: no bound but the patience */
    int64_t patience_ns;   /* how long anything is waited for */
    bool show_output;      /* pass the program's output through, on standard error */
};

/* The scenarios that run it, by the commands that do; `own` of the request is a struct sut_request.
 * sut_burst.c: a burst of connections to the user's server. sut_close.c: how the program ends its
 * connections. sut_crash_client.c, sut_crash_server.c: what it does when the other side crashes,
 * one row for each way, under the names of crash-sim. */
extern const struct scenario_set sut_burst_servers, sut_close_clients, sut_close_servers,
    sut_crash_clients, sut_crash_servers;
/* This host's own timers, so that the times are those of production. */
extern const struct scenario_setting sut_crash_settings[];
/* A row of theirs, with a `struct crash_way` and a play_crash() of the file. */
#define SUT_CRASH(name_, title_, ...)                                                              \
    {                                                                                              \
        .name = (name_), .title = (title_), .settings = sut_crash_settings, .play = play_crash,    \
        .arg = &(const struct crash_way)                                                           \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

struct sut {
    struct lab_process *process; /* NULL: it could not be started */
    bool ended;
    struct lab_exit exit;
};

static inline const struct sut_request *sut_request(const struct testbed *bed)
{
    return bed->request->own;
}

/* Starts it; a failure of the testbed where that is impossible. */
void sut_start(struct testbed *bed, struct sut *sut);
/* Starts it as a server, and waits until it listens on the port. False, and the run is given up,
 * when it ends or does not listen within the patience. */
bool sut_listens(struct testbed *bed, struct sut *sut);
/* Whether it has ended; waits for that at most timeout_ns. */
bool sut_has_ended(struct testbed *bed, struct sut *sut, int64_t timeout_ns);
/* "exit status 3", "killed by SIGPIPE", "running". */
const char *sut_end_text(struct testbed *bed, const struct sut *sut);
/* Observes exit_status, signal (null where there is none). */
void sut_observe_end(struct testbed *bed, const struct sut *sut);
/* Ends it: SIGTERM, and SIGKILL a second later. */
void sut_stop(struct testbed *bed, struct sut *sut);

/* The peer as a client, which is connected, asks a server (stub_peer_ask): SUT_ASK(bed, client,
 * .half = true). The plan is filled in. */
struct act_reply sut_ask(struct testbed *bed, struct agent *client,
                         const struct stub_peer_question *question);
#define SUT_ASK(bed, client, ...)                                                                  \
    sut_ask(bed, client, &(const struct stub_peer_question){__VA_ARGS__})
/* The peer as a server listens (stub_peer_serve; plan and port are filled in), and the program is
 * started as its client. */
void sut_start_client(struct testbed *bed, struct sut *sut, const struct stub_peer_job *job);

/* What its processes are at this moment. */
struct sut_census {
    int64_t processes, zombies, descriptors, sockets;
    bool holds; /* the socket that was asked for */
};
/* `inode` of a socket to look for, or 0. */
struct sut_census sut_census(struct testbed *bed, uint32_t inode);

/* Stops all its processes (SIGSTOP), daemons in sessions of their own too, and waits until each of
 * their threads has stopped; or lets them go on. Where that is impossible the run fails. */
void sut_freeze(struct testbed *bed);
void sut_thaw(struct testbed *bed);

/* The sockets of its host with that local or remote port, by state. */
#define SUT_STATES 16
struct sut_sockets {
    int64_t by_state[SUT_STATES]; /* by the kernel's number */
    int64_t orphans;              /* that no descriptor refers to */
    int64_t unacknowledged;       /* bytes in their send queues, sent or not */
    uint32_t inode;      /* of one that is ESTABLISHED, with such bytes if one has; 0: none is */
    uint16_t local_port; /* of that one */
    bool sending;        /* that one has such bytes */
};
struct sut_sockets sut_sockets(struct testbed *bed, uint16_t port);
/* What the other host's kernel, the peer's, has not had acknowledged yet. */
int64_t sut_peer_unacknowledged(struct testbed *bed);
/* How many of them are of connections that are not over: neither closed nor in TIME-WAIT. */
int64_t sut_sockets_open(const struct sut_sockets *sockets);

/* Ends the run as inconclusive; repeating it would not help. */
__attribute__((format(printf, 2, 3))) void sut_decline(struct testbed *bed, const char *format,
                                                       ...);

#endif
