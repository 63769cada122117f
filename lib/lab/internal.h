/* What the files of the lab share and nobody else sees.
 *
 * Processes of a lab and their channels (lab/message.h):
 *
 *     caller ──── supervisor ─┬─ wire            namespaces of the supervisor: "the wire's"
 *        │                    ├─ init of client ── roles, programs
 *        │                    └─ init of server ── roles, programs
 *        └──────────── one channel to each of the four
 *
 * All of them end when the caller's end of their channel is closed, whatever closes it. The
 * supervisor reaps the others, destroys what sockets remain, and ends last. It stays
 * single-threaded for its whole life, which is why it can fork the init of a rebooted host at any
 * time. */
#ifndef LAB_INTERNAL_H
#define LAB_INTERNAL_H

#include "lab/fault.h"
#include "lab/lab.h"
#include "lab/message.h"

#include <stdatomic.h>

#define LAB_PATH_MAX   512
#define LAB_FAULTS_MAX 256

/* Counters that the wire writes and the caller reads, in memory that both inherited. */
struct lab_shared {
    _Atomic uint64_t seen, delivered, dropped, answered, lost;
    _Atomic int64_t late_max_ns;
    _Atomic bool begun;        /* a program has been started */
    _Atomic bool pcap_created; /* the capture file was not there before */
    struct error pcap;         /* of the wire's last moment: why the capture file is not whole */
    struct {
        _Atomic uint64_t matched, acted;
    } fault[LAB_FAULTS_MAX];
};

/* The fixed part of a configuration, without pointers into the caller's arguments. */
struct lab_plan {
    struct lab_link link;
    struct lab_host_config host[LAB_HOSTS]; /* its sysctls point into copies */
    bool ipv4, ipv6, resolve_neighbours, no_states;
    uint64_t seed;
    struct lab_rights rights;
    struct privilege_user wire_user; /* who can write the capture */
    struct trace *trace;
    size_t first_event; /* of this lab in the trace */
    struct lab_shared *shared;
    char pcap_path[LAB_PATH_MAX]; /* "": none */
};

/* What this system did not grant, and a lab can do without. */
struct lab_limits {
    bool nameless; /* the hosts do not know the names client and server */
    char notes[LAB_NOTES_MAX];
};
/* Adds a line, unless it is there. */
__attribute__((format(printf, 2, 3))) void lab_note(struct lab_limits *limits, const char *format,
                                                    ...);

/* ---- Addresses (address.c) ---- */
extern const uint8_t lab_mac[LAB_HOSTS][6];
#define LAB_PREFIX_V4 24
#define LAB_PREFIX_V6 64
#define LAB_DEVICE    "eth0" /* in a host */
const char *lab_wire_device(enum lab_host host);
/* The bytes of a host's address: 4 or 16. */
const void *lab_address_bytes(enum lab_host host, int family);

/* ---- Namespaces (namespace.c) ---- */
struct namespaces {
    int wire;
    int host[LAB_HOSTS];
    bool plain; /* without a user namespace: capabilities there are those of the machine */
};
/* Moves the calling process into fresh namespaces, those of the wire, and makes the hosts'. */
int namespaces_enter(struct namespaces *out, struct error *error);
/* A fresh network namespace; the caller stays where it is. Returns its descriptor. */
int namespace_new(int stay, struct error *error);
int namespace_go(int fd, struct error *error);
/* fork(2) into fresh namespaces of the kinds in `flags`. Returns as fork does, but -errno. */
pid_t namespace_fork(int flags, struct error *error);
/* Turns a refusal into its cause on this system and the remedy, code EPERM; leaves any other error
 * as it is. Returns -error->code. */
int namespace_explain(struct error *error);

/* ---- Links (link.c); every function works in the namespace where `link` was opened ---- */
struct link_socket;
int link_open(struct link_socket **out, struct error *error);
int link_fd(const struct link_socket *link);
/* Takes over the descriptor of a link that another process opened. */
int link_adopt(struct link_socket **out, int fd, struct error *error);
void link_close(struct link_socket *link);
static inline void cleanup_link(struct link_socket **link)
{
    link_close(*link);
}
/* A veth pair: `wire_device` here, LAB_DEVICE with the host's MAC in the other namespace. */
int link_add_pair(struct link_socket *link, const char *wire_device, enum lab_host host,
                  int host_namespace, int mtu_bytes, struct error *error);
int link_up(struct link_socket *link, const char *device, struct error *error);
/* Waits until the device sends. Its carrier comes with its peer, but the kernel notices that in a
 * work queue of its own, later on a busy machine, and until then it discards what is sent without a
 * word. Both ends must be up. */
int link_wait(struct link_socket *link, const char *device, struct error *error);
int link_move(struct link_socket *link, const char *device, int to_namespace, struct error *error);
int link_add_address(struct link_socket *link, const char *device, int family, const void *address,
                     int prefix, struct error *error);
/* A route to the one address over the device, with a least retransmission timeout (the metric
 * rto_min of ip-route(8)): tcp_rto_min_us, which does the same, is not in every kernel. */
int link_add_route(struct link_socket *link, const char *device, int family, const void *address,
                   int rto_min_ms, struct error *error);
/* Waits until what is sent to the address is taken: the kernel adds the route for an IPv6 address
 * in a work queue. */
int link_wait_address(struct link_socket *link, int family, const void *address,
                      struct error *error);
int link_add_neighbour(struct link_socket *link, const char *device, int family,
                       const void *address, const uint8_t mac[6], struct error *error);
/* Checksums and segmentation are done by the kernel's software before the device sees a frame, and
 * nothing is merged on receipt. */
int link_offloads_off(const char *device, struct error *error);
/* How many packets the device has dropped. */
int link_drops(struct link_socket *link, const char *device, uint64_t *out);
/* A queue in front of the device, which holds what the other end has no room for. */
int link_queue(struct link_socket *link, const char *device);
/* Packets that arrive at the device come out in the order in which they were sent. A plain veth end
 * puts them into the backlog of the CPU that sends, so that a FIN that the application sends from
 * one CPU can overtake the ACK that the kernel has just sent from another. With receive merging on
 * it has one ring for all (NAPI); a merging limit of a byte then keeps it from merging anything.
 * The ring is short: it loses nothing only if the sending end has a queue (link_queue) and is
 * stopped when the ring is full, as since Linux 6.16. -EOPNOTSUPP before that: packets that two
 * CPUs send at the same moment may change places. */
int link_keep_order(struct link_socket *link, const char *device);

/* ---- Settings (sysctl.c), of the calling process's network namespace ---- */
int sysctl_check_name(const char *name, struct error *error);
/* What is pinned, so that a lab is the same everywhere. Where this system refuses that, a line
 * about it is added to the notes. */
void sysctl_pin_wire(void);
void sysctl_pin_host(const struct lab_plan *plan, struct lab_limits *limits); /* before devices */
int sysctl_set(const char *name, const char *value, struct error *error);
int sysctl_set_host(const struct lab_host_config *host, struct error *error);

/* ---- Hosts ---- */
/* host.c: what a host's namespace needs once its device is there. The calling process must be in
 * that namespace. */
int host_configure(const struct lab_plan *plan, enum lab_host host, struct error *error);
/* init.c: starts the init of a host in its namespace and waits until it is ready. *channel is the
 * caller's end. Returns the pid. */
pid_t init_start(const struct lab_plan *plan, enum lab_host host,
                 const struct namespaces *namespaces, int *channel, int *leash,
                 struct lab_limits *limits, struct error *error);

enum init_op {
    INIT_SPAWN,
    INIT_SIGNAL,
    INIT_LISTENING, /* → the port, or -ENOENT */
};

enum init_what {
    INIT_ROLE,
    INIT_ARGV,
    INIT_SHELL,
};

/* Followed by arg_bytes of the role's argument, or by argv's strings (each with its NUL), then by
 * the environment's. Descriptors: exit record, [channel], the stdio that is present, further. */
struct init_request {
    enum init_op op;
    union {
        struct {
            enum init_what what;
            int (*role)(const struct lab_role *role);
            uint32_t arg_bytes, argc, envc;
            uint8_t stdio_present; /* bits 1 << 0, 1, 2 */
            uint32_t fds_count;
        } spawn;
        struct {
            int32_t pid;
            int32_t signal;
            bool group;
        } signal;
        struct {
            int32_t family; /* AF_UNSPEC: any */
            uint16_t port;  /* 0: any */
        } listening;
    };
};

/* spawn.c: one child of an init. The strings and descriptors are those of the request; returns the
 * pid, or the errno with which the command could not be executed. */
struct spawn {
    const struct init_request *request;
    const char *payload;
    size_t payload_bytes;
    const int *fds;
    size_t fds_count;
    const struct lab_plan *plan;
    enum lab_host host;
    bool plain; /* the namespaces */
};
pid_t spawn_child(const struct spawn *spawn, struct error *error);

/* Every signal at its default, and none blocked. */
void signals_default(void);

/* ---- The supervisor (supervisor.c) ---- */
#define SETTING_TEXT_MAX 96
/* A setting of a host → nothing; or the host that reboots → the REBOOT_… descriptors. */
struct supervisor_request {
    enum lab_host host;
    char name[SETTING_TEXT_MAX], value[SETTING_TEXT_MAX]; /* "": it reboots */
};
/* Blocks SIGCHLD, and returns a descriptor that can be read when a child has ended. */
int children_watch(struct error *error);
/* Reads away what it has. */
void children_seen(int fd);
/* The channels that come with the first reply, in this order. */
enum {
    READY_CLIENT,
    READY_SERVER,
    READY_WIRE,
    READY_FDS,
};
enum {
    REBOOT_INIT, /* the channel of the new init */
    REBOOT_LINK, /* for the wire: of link_open() and sock_diag_open() in the host's namespace */
    REBOOT_STATES,
    REBOOT_FDS,
};
/* The first message on the supervisor's channel. */
struct supervisor_ready {
    struct reply reply;
    struct lab_limits limits;
};
/* Never returns. */
_Noreturn void supervisor_run(const struct lab_plan *plan, int channel);

/* descriptors.c: closes every descriptor from 3 on, except those named. */
void descriptors_keep(const int *keep, size_t count);

/* ---- The wire ---- */
enum wire_op {
    WIRE_CUT,
    WIRE_RESTORE,
    WIRE_FAULT_ADD, /* a fault; behind it its filter's program, unless it is a flag word → number */
    WIRE_FAULT_REMOVE,  /* number */
    WIRE_FAULT_RELEASE, /* number */
    WIRE_HOST,   /* host, with the sockets of its new namespace: REBOOT_LINK, REBOOT_STATES */
    WIRE_FINISH, /* writes and counts what is left to; the wire ends */
};
struct wire_request {
    enum wire_op op;
    union {
        enum lab_host host;
        int64_t number;
        struct lab_fault fault;
    };
};
/* Never returns. Answers once on the channel when it forwards (or with the error). */
_Noreturn void wire_run(const struct lab_plan *plan, const struct namespaces *namespaces,
                        int channel, int leash);

#endif
