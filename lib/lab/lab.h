/* The lab: two hosts with a real kernel TCP each, and a wire between them that is ours.
 *
 * lab_open() forks a supervisor that makes private namespaces (user_namespaces(7),
 * network_namespaces(7); no root needed where the system allows user namespaces), joins a client
 * and a server to the wire by veth pairs, and starts an init for each host, under which roles
 * (functions of this program) and programs run. The wire forwards every frame by hand, applies the
 * faults that were asked for (lab/fault.h) and writes what it saw and did into the trace.
 *
 * The caller's own namespaces, settings, signals and working directory are never touched. When the
 * caller closes the lab, exits or is killed, everything in it ends: processes and interfaces at
 * once, namespaces when the kernel gets to them (some tenths of a second).
 *
 * A lab is forked, and the child works on: so it is opened by a process in which no other thread
 * runs, since their locks would be forked, too. Several at once are for several processes. A child
 * of the caller must not use a lab that it inherited. Functions return 0 (or what they say) or a
 * negative errno; all `struct error *` may be NULL. Times are CLOCK_MONOTONIC nanoseconds. */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include "base/privilege.h"
#include "netkit/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct lab;
struct lab_process;
struct trace;

enum lab_host {
    LAB_CLIENT,
    LAB_SERVER,
};
#define LAB_HOSTS 2

/* "client", "server" */
const char *lab_host_name(enum lab_host host);

/* A setting of one host's network namespace: "tcp_retries2", "net.ipv4.tcp_retries2" or
 * "ipv4/conf/all/rp_filter" (a bare name is below net.ipv4). An optional one may be missing in
 * this kernel or be refused; of the others that is an error that names it. Where the namespace has
 * no such setting, lab_open() returns -ENOENT, or what `missing` says. */
struct lab_sysctl {
    const char *name;
    const char *value;
    bool optional;
    int missing; /* a negative errno; 0: -ENOENT */
};

struct lab_host_config {
    const struct lab_sysctl *sysctls;
    size_t sysctls_count;
    bool capture_lo; /* record the host's loopback too, until it boots anew */
    int rto_min_ms;  /* the least retransmission timeout to the other host; 0: the kernel's own */
};

struct lab_link {
    int64_t delay_ns;           /* each way, added by the wire */
    int64_t rate_bytes_per_sec; /* each way, of whole frames; 0: as fast as it goes */
    int mtu_bytes;              /* 0: 1500; at least 1280 with IPv6, 68 without */
};

/* What commands may do in a lab that root opened: all that root may, or what the user may, without
 * capabilities and without a way to get any (uid 0: as root in name only). Elsewhere a lab has a
 * user namespace, and what is allowed there ends with it. */
struct lab_rights {
    bool as_root;
    struct privilege_user user;
};

/* Whether commands in a lab that this process opened would lack rights of root's. */
bool lab_confines(const struct lab_rights *rights);

/* {0} is a good description: both families, no delay, MTU 1500, permanent neighbour entries. */
struct lab_config {
    struct lab_link link;
    struct lab_host_config host[LAB_HOSTS];
    bool ipv4, ipv6;         /* neither: both */
    bool resolve_neighbours; /* ARP and ND instead of permanent entries */
    bool no_states;          /* do not sample the sockets' states around deliveries */
    struct trace *trace;     /* where the wire records; NULL: nowhere. Must outlive the lab */
    const char *pcap_path;   /* keep every frame that arrived at the wire, and its own answers */
    uint64_t seed;           /* of all chance in the lab */
    struct lab_rights rights;
};

/* Builds a lab. Where this system refuses the namespaces the error says which of its settings does
 * so and how to change that, and the code is EPERM: the caller's exit status is 3 then. Other
 * errors: EINVAL (a nonsensical description), and what the system said. */
int lab_open(const struct lab_config *config, struct lab **out, struct error *error);

/* What the wire did over its life, and whether it can be trusted. */
struct lab_stats {
    uint64_t seen;       /* frames that arrived at the wire, neighbour discovery included */
    uint64_t delivered;  /* frames handed to a host, duplicates and answers included */
    uint64_t dropped;    /* by faults and cuts */
    uint64_t answered;   /* RSTs and ICMP errors of the wire's own making */
    uint64_t lost;       /* frames that the wire failed to see or deliver: above 0, every
                            conclusion from this run is inconclusive */
    int64_t late_max_ns; /* the worst lateness of a departure against its schedule */
    uint64_t trace_lost; /* events that the trace had no room for */
    struct error pcap;   /* after the close: why pcap_path is not whole (code 0: it is) */
};
void lab_stats(const struct lab *lab, struct lab_stats *out);

/* Ends everything in the lab and releases it; *out, if not NULL, is what lab_stats() said last.
 * NULL is allowed. */
void lab_close(struct lab *lab, struct lab_stats *out);

/* Whether this system grants a lab: one is opened and closed again. Fails as lab_open() does;
 * `notes`, which may be NULL, gets its lab_notes(). */
#define LAB_NOTES_MAX 512
int lab_possible(char *notes, size_t size_bytes, struct error *error);

/* Directories of /proc/sys that this kernel hides from the hosts of a lab of this user: "net/core",
 * "net/core, net/ipv4/neigh", or "". Tried in a child. */
void lab_hidden_settings(char *out, size_t size_bytes);

/* Whether the wire has ended before it was told to: nothing passes between the hosts any more. */
bool lab_wire_died(const struct lab *lab);

/* Things that could not be had and that most experiments don't need: "" or lines of text (a
 * container that refuses mounts, so that the names client and server are unknown, or whose
 * /proc/sys cannot be written, so that no setting is pinned). */
const char *lab_notes(const struct lab *lab);
/* Whether the names client and server are known on the hosts. */
bool lab_has_names(const struct lab *lab);

/* The address of a host, the same in every lab, as text. NULL for an unknown family. */
const char *lab_address_text(enum lab_host host, int family);
/* An address on the lab's link that no host has, for what must go unanswered. */
const char *lab_nobody_text(int family);

/* How long a host waits for an answer to ARP or neighbour discovery on the lab's link: so many
 * solicitations, so far apart. Of the calling process's network namespace; a role asks it.
 * rtnetlink(7) has it where the settings of net.ipv4.neigh are hidden. */
struct lab_resolution {
    int64_t solicitations, interval_ns;
};
int lab_resolution_of(int family, struct lab_resolution *out);

/* What a role function sees. Everything belongs to the lab; descriptors are closed at exit. */
struct lab_role {
    enum lab_host host;
    int channel;    /* SOCK_SEQPACKET to lab_process_channel() */
    const int *fds; /* of lab_program.fds */
    size_t fds_count;
    const void *arg; /* a copy of lab_program.arg */
    size_t arg_bytes;
    struct trace *trace; /* lab_config.trace */
};

/* One thing to run on a host: exactly one of role, argv and shell. */
struct lab_program {
    /* A function of this program, run in a process of the host that is a copy of the caller as it
     * was when lab_open() was called: pointers to what existed then are good, anything younger
     * must come in `arg` (copied, at most 64 KiB). Returns the exit status. Signals have their
     * default actions: an unhandled SIGPIPE kills it. */
    int (*role)(const struct lab_role *role);
    const void *arg;
    size_t arg_bytes;

    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    const char *shell;       /* a line for /bin/sh -c */
    /* NULL-terminated "NAME=value", besides the caller's environment as of lab_open() and
     * NETKIT_CLIENT, NETKIT_SERVER (the hosts' addresses, IPv4 if the lab has it). May be NULL. */
    const char *const *environment;

    /* Standard input, output and error; -1: the caller's. NULL: /dev/null and the caller's. */
    const int *stdio;
    /* Further descriptors, at most LAB_FDS: role->fds, or 3, 4, … of a command. Copies; the
     * caller's stay open. */
    const int *fds;
    size_t fds_count;
};
#define LAB_FDS 8

/* Starts a program on a host, in a process group of its own. When this returns a command has been
 * executed: -ENOENT, -EACCES (what a shell reports as 127 and 126) mean it could not be. The
 * process handle belongs to the lab and is valid until lab_process_free() or lab_close(). */
int lab_start(struct lab *lab, enum lab_host host, const struct lab_program *program,
              struct lab_process **out, struct error *error);

struct lab_exit {
    bool with_host; /* the host was rebooted or died, and took the process along */
    int status;     /* as waitpid(2) reports it */
    int64_t started_ns;
    int64_t ended_ns;
};

/* Waits until the process has ended; again and again it gives the same answer. -ETIMEDOUT when it
 * runs on; timeout_ns 0 asks without waiting, below 0 waits for ever. */
int lab_process_wait(struct lab_process *process, int64_t timeout_ns, struct lab_exit *out);
/* The caller's end of lab_role.channel; -1 for commands. Owned by the handle. */
int lab_process_channel(const struct lab_process *process);
/* A signal to the process, or to its whole group. -ESRCH when it has ended. */
int lab_process_signal(struct lab_process *process, int signal);
int lab_process_signal_group(struct lab_process *process, int signal);
/* Kills the group if it still runs, and forgets the handle. NULL is allowed. */
void lab_process_free(struct lab_process *process);

/* Changes a setting of the host's network namespace, named as in struct lab_sysctl, while the lab
 * runs. Its processes may not: some kernels let nobody write below a /proc of their own. */
int lab_set(struct lab *lab, enum lab_host host, const char *name, const char *value,
            struct error *error);

/* Waits until a TCP socket of the host listens on the port, on an address that the lab's peer can
 * reach in this family (AF_UNSPEC: any). -ETIMEDOUT. */
int lab_wait_listen(struct lab *lab, enum lab_host host, int family, uint16_t port,
                    int64_t timeout_ns, struct error *error);

/* The port of some listening TCP socket of the host other than those on loopback addresses, or
 * -ENOENT. */
int lab_listening_port(struct lab *lab, enum lab_host host, struct error *error);

/* Cuts the link: from the return of lab_cut() to lab_restore() nothing is delivered to either
 * host, ARP included; what was under way is lost. That is how a crashed host looks from the
 * other. */
int lab_cut(struct lab *lab, struct error *error);
int lab_restore(struct lab *lab, struct error *error);

/* The host loses its power and boots again: cuts the link, kills all processes of the host, gives
 * it a new network stack with the same addresses and settings, starts `service` (NULL: nothing)
 * and, when listen_port is not 0, waits until it listens, and restores the link. Handles of
 * processes that ran on the host answer with_host. */
int lab_reboot(struct lab *lab, enum lab_host host, const struct lab_program *service,
               uint16_t listen_port, int64_t timeout_ns, struct lab_process **out,
               struct error *error);

#endif
