/* Agents: real processes on the hosts of a lab that make the calls they are told to.
 *
 * A scenario is the director; each agent is a process of its own (killing it is a process crash)
 * that waits for an act, does it by the verbs of the socket library, and answers with what the
 * call returned. Every call is recorded in the trace as it is made. The director may begin an act
 * and watch the wire while it blocks:
 *
 *     struct act_reply reply = DO(client, ACT_CONNECT, .port = TESTBED_PORT);
 *     BEGIN(client, ACT_CLOSE);
 *     testbed_wait(bed, "seen c>s:fin");
 *     if (agent_busy(client)) …
 *     reply = agent_end(client, LIMIT_NS);
 *
 * Sockets are known by slots, small numbers of the agent's own. What cannot be done as such (the
 * machine refuses a process, an answer does not come in time) ends the scenario as inconclusive:
 * from then on every act is skipped and replies have rc -ECANCELED, so that a script needs no
 * checks of its own. That a call fails, or that the agent dies of a signal, is no such thing: it is
 * what the scenario wants to see. */
#ifndef SCENARIO_AGENT_H
#define SCENARIO_AGENT_H

#include "diagnosis/kernel_timers.h"
#include "lab/lab.h"
#include "netkit/sock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_SLOTS   512
#define ACT_DATA_MAX  2048
#define ACT_WORDS_MAX 96
#define TESTBED_PORT  7000                 /* where a scenario's server listens */
#define ACT_LIMIT_NS  INT64_C(20000000000) /* what no act takes, loaded or not, unless said */

struct agent;
struct agent_self; /* an agent as it sees itself: scenario/engine/agent_self.h */
struct act;
struct act_reply;

/* What an agent can do. Columns: what it takes besides `slot`; what `rc` is (negative: -errno). */
enum act_verb {
    ACT_OPEN,    /* flags: SOCK_NONBLOCK or 0 → 0. Other verbs open the slot as needed */
    ACT_BIND,    /* port: on the own host's address; wildcard → 0 */
    ACT_LISTEN,  /* port, number: the backlog; on a new socket, or a bound one (port 0) → 0 */
    ACT_CONNECT, /* port, to: blocking → 0 */
    ACT_CONNECT_START,  /* port, to: non-blocking → 0, -EINPROGRESS */
    ACT_CONNECT_FINISH, /* timeout: waits for writable, reads SO_ERROR → 0 or what it said;
                           -ETIME: not decided within the timeout */
    ACT_CONNECT_TIMED,  /* port, to, number: enum sock_connect_method, timeout,
                           flags: SYN retries; reply.connect */
    ACT_ACCEPT,         /* other: the new slot; timeout: waits so long (below 0: for ever,
                           blocking; 0: accept at once); peer's address is not asked → 0 */
    ACT_READ,           /* bytes, flags: one read(2) → bytes, 0: end of stream */
    ACT_READ_ALL,       /* bytes: reads until so many (0: no bound), the end or an error; timeout:
                           waits so long for each read (0: blocks) → bytes of it in reply.bytes;
                           rc 0: the end or enough, else -errno; -ETIME */
    ACT_WRITE,          /* bytes, flags: one write(2); a SIGPIPE has its effect → bytes */
    ACT_WRITE_ALL,      /* bytes: until all is in the send buffer; blocking → 0 */
    ACT_FILL,           /* writes without blocking until the buffer is full; → bytes */
    ACT_SHUTDOWN,       /* number: SHUT_… → 0 */
    ACT_CLOSE,          /* → 0 */
    ACT_POLL,           /* number: events, timeout → the events that came; 0: time was up */
    ACT_OPTION,         /* text: "TCP_NODELAY=on" (the slot is opened) → 0 */
    ACT_OPTION_READ,    /* text: the name → 0, reply.text */
    ACT_ERROR,          /* SO_ERROR → -errno that was pending, 0 */
    ACT_PEER,           /* getpeername → 0 */
    ACT_INFO,           /* TCP_INFO → state, reply.info */
    ACT_BACKLOG,        /* reply.info of a listener → length of its accept queue */
    ACT_DUP,            /* other: the new slot of the same connection → 0 */
    ACT_FORK,           /* a child that inherits all sockets and then only waits → its pid */
    ACT_KILL_CHILD,     /* number: the pid; it is killed and reaped → 0 */
    ACT_SIGNAL,         /* number: signal, flags: AGENT_SIGNAL_… → 0 */
    ACT_EXIT,           /* number: the status. No reply comes: see agent_wait() */
    ACT_SETTINGS,       /* this host's retransmission settings, reply.settings → 0 */
    ACT_SETTING,        /* text: "tcp_syn_retries" → the number; -ENOENT */
    ACT_COUNTER,        /* text: "TcpExt ListenDrops" of /proc/net/netstat or snmp → its value */
    ACT_DIAG,           /* port: local, number: remote port or 0: a socket of this host as sock_diag
                           sees it; reply.socket → its state, 0: there is none */
    ACT_CALL,           /* function, with data → what it returns, reply.data */
    ACT_VERBS
};

enum agent_signal {
    AGENT_SIGNAL_DEFAULT,
    AGENT_SIGNAL_IGNORE,
    AGENT_SIGNAL_COUNT,   /* a handler that counts (reply.signals), without SA_RESTART */
    AGENT_SIGNAL_RESTART, /* the same with SA_RESTART */
};

/* Where a connect goes. */
enum act_to {
    ACT_TO_PEER,   /* the other host */
    ACT_TO_SELF,   /* the own host's address */
    ACT_TO_NOBODY, /* an address on the link that no host has */
    ACT_TO_LOOP,   /* the loopback address */
};

/* The head of a function for ACT_CALL: it has `self`, `act` and `reply`, used or not. */
#define AGENT_CALL(name)                                                                           \
    int64_t name(struct agent_self *self __attribute__((unused)),                                  \
                 const struct act *act __attribute__((unused)),                                    \
                 struct act_reply *reply __attribute__((unused)))

struct act {
    enum act_verb verb;
    int slot, other;
    uint16_t port;
    enum act_to to;
    bool wildcard;
    int64_t bytes, timeout_ns;
    int number, flags;
    char text[ACT_WORDS_MAX];
    /* A function of the program, run in the agent; pointers in `data` mean nothing there. */
    AGENT_CALL((*function));
    unsigned char data[256];
};

struct act_socket {
    int state; /* 0: there is none */
    struct sock_diag_entry entry;
    size_t count; /* how many matched; the entry is of the last */
};

struct act_reply {
    int64_t rc;
    int64_t bytes;                   /* moved; see the verbs */
    int64_t entered_ns, returned_ns; /* CLOCK_MONOTONIC, of the last system call of the act */
    int signals;                     /* that a counting handler has seen so far */
    bool died;                       /* the agent ended instead of answering (rc -ESRCH) */
    bool late;                       /* no answer within the limit of agent_try() */
    union {
        struct sock_tcp_info info;
        struct sock_connect_result connect;
        struct kernel_timers_settings settings;
        struct act_socket socket;
        char text[256];
        unsigned char data[ACT_DATA_MAX];
    };
};

/* Performs an act and waits for its end (ACT_LIMIT_NS and the act's timeout). */
struct act_reply agent_do(struct agent *agent, const struct act *act);
#define DO(agent, what, ...) agent_do(agent, &(struct act){.verb = (what), ##__VA_ARGS__})

/* Begins an act; one at a time. */
void agent_begin(struct agent *agent, const struct act *act);
#define BEGIN(agent, what, ...) agent_begin(agent, &(struct act){.verb = (what), ##__VA_ARGS__})
/* Whether the act that was begun has not ended yet. */
bool agent_busy(struct agent *agent);
/* Waits for its end. Too late is a failure of the testbed … */
struct act_reply agent_end(struct agent *agent, int64_t limit_ns);
/* … or, here, an answer with `late`: the act goes on, and may be ended later. */
struct act_reply agent_try(struct agent *agent, int64_t limit_ns);

/* A signal to the agent: SIGKILL is a crash of its process. Waits for its end after SIGKILL. */
void agent_signal(struct agent *agent, int signal);
/* Waits until it has ended; the status is as of waitpid(2). False: it did not, a failure. */
bool agent_wait(struct agent *agent, int64_t limit_ns, int *status);
/* The same where it may go on: no failure. */
bool agent_ended(struct agent *agent, int64_t limit_ns, int *status);
/* "ECONNREFUSED" of -ECONNREFUSED; "0" and "EOF" are the caller's to tell apart: `zero` for 0, and
 * "ok" for anything above. */
const char *act_rc_name(int64_t rc, const char *zero);

#endif
