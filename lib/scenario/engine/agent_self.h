/* An agent from inside: what the functions see that ACT_CALL runs, and how an agent's process
 * begins. */
#ifndef SCENARIO_AGENT_SELF_H
#define SCENARIO_AGENT_SELF_H

#include "scenario/engine/agent.h"
#include "scenario/engine/syscall_recorder.h"

#define AGENT_OPTIONS_MAX 16

/* What an agent has to know; copied into its process. */
struct agent_start {
    int family;
    bool lab;
    uint16_t ports; /* without a lab: where TESTBED_PORT and the ports after it really are */
    struct {
        char text[ACT_WORDS_MAX]; /* "SO_LINGER=on,1s", set on each socket that it opens */
    } options[AGENT_OPTIONS_MAX];
    size_t option_count;
};

struct agent_self {
    struct agent_start start;
    enum lab_host host;
    struct syscall_recorder recorder;
    struct sock slots[AGENT_SLOTS];
};

/* Without a lab the ports of this machine may be taken: TESTBED_PORT and the next ones stand for a
 * free range. */
#define AGENT_PORTS 16
uint16_t agent_self_port(const struct agent_self *self, uint16_t port);
/* The first of so many ports that are free on loopback now; 0: none was found. */
uint16_t agent_self_free_ports(int family);
/* Whether loopback has an address of the family: IPv6 can be switched off. */
bool agent_self_has_loopback(int family);
/* The address that an act names, with its port. */
int agent_self_address(const struct agent_self *self, enum act_to to, uint16_t port,
                       struct sock_address *out);
/* The socket of a slot, opened if it is not; NULL with -errno in *rc. */
struct sock *agent_self_socket(struct agent_self *self, int slot, int flags, int64_t *rc);
/* Sets the user's socket options on a socket that a function of a scenario has opened itself. */
int64_t agent_self_prepare(struct agent_self *self, int fd);
/* Calls `each` for every socket of the host that the filter names. */
int agent_self_sockets(const struct sock_diag_filter *filter,
                       int (*each)(void *context, const struct sock_diag_entry *entry),
                       void *context);
/* A setting of this process's network namespace ("tcp_syn_retries", "core/somaxconn") as its text.
 * Returns its length or a negative errno. */
int64_t agent_self_read_setting(const char *name, char *out, size_t size_bytes);
/* What is asked of the host itself (agent_host.c). */
AGENT_CALL(agent_self_settings);
AGENT_CALL(agent_self_setting);
AGENT_CALL(agent_self_counter);
AGENT_CALL(agent_self_diag);
AGENT_CALL(agent_self_listen_limit);

/* Does an act as the loop would. */
int64_t agent_self_do(struct agent_self *self, const struct act *act, struct act_reply *reply);

/* The process of an agent, from its first act to the end of the channel. */
int agent_main(const struct lab_role *role);

#endif
