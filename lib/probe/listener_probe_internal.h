/* Inside the probe of listeners. */
#ifndef PROBE_LISTENER_PROBE_INTERNAL_H
#define PROBE_LISTENER_PROBE_INTERNAL_H

#include "probe/listener_probe.h"

/* For how long nothing has moved at a listener, as the samples saw it. */
struct listener_quiet {
    int64_t since_ns, samples;
    int64_t queue, opens;
};

/* One socket of the ports that are watched. */
struct listener_socket {
    struct sock_address local;
    uint64_t cookie;
    uint32_t inode, uid, interface;
    bool chosen;  /* the others count for the ownership of half-open connections */
    bool present; /* in the last sample */
    bool seen;    /* in the walk that goes on */
    bool shared;  /* another one has the same address and port */
    struct listener_sample sample;
    struct listener_watch watch;
    size_t next_on_port; /* 1 + index */
    bool waited;         /* something was in its queue in this sample and in the last one */
    struct listener_quiet quiet;
    int64_t alive; /* in its queue at the end, whose clients are still there */
};

/* Which sockets are chosen. */
struct listener_rule {
    struct sock_address local; /* exactly this address and port; len_bytes 0: any, on `port` */
    uint16_t port;
};

struct listener_rules {
    bool all;
    int family;
    struct listener_rule *items;
    size_t count;
    uint32_t *inodes; /* of a process, sorted */
    size_t inode_count;
};

/* A listener of the namespace, as the whole list had it. */
struct listener_known {
    struct sock_address local;
    uint64_t cookie;
    uint32_t drops, inode;
    bool has_drops, v6_only;
};
struct listener_census {
    struct listener_known *items; /* sorted by cookie */
    size_t count;
};

int listener_census_take(struct listener_census *out, struct sock_diag *diag, struct error *error);
void listener_census_free(struct listener_census *census);
const struct listener_known *listener_census_find(const struct listener_census *census,
                                                  uint64_t cookie);

/* The rules that a choice comes to among these listeners. */
int listener_rules_make(struct listener_rules *out, const struct listener_choice *choice,
                        const struct listener_census *census, struct error *error);
void listener_rules_free(struct listener_rules *rules);
bool listener_rules_match(const struct listener_rules *rules, const struct sock_address *local,
                          uint32_t inode);

/* ---- the processes that hold a listener (listener_holders.c) ---- */

#define LISTENER_HOLDERS_SHARE                                                                     \
    100 /* finding them, and looking at them: at most this part of time */

struct listener_holder {
    uint32_t inode;
    int64_t pid, session;
    int fd;
};
/* A process whose descriptors this user may not see. */
struct listener_unreadable {
    int64_t pid, parent, session;
    uint32_t uid;
};
struct listener_holders {
    struct listener_holder *items;
    size_t count;
    struct listener_unreadable *unreadable;
    size_t unreadable_count;
    bool blind; /* there is no /proc */
    int64_t scan_due_ns;
};

/* Looks for those that hold one of the sockets, where that is due. Sorts the inodes. -ENOMEM. */
int listener_holders_find(struct listener_holders *holders, uint32_t *inodes, size_t count);
/* Looks at those that hold this one, and feeds what they do; `uid` opened it. -ENOMEM. */
int listener_holders_look(struct listener_holders *holders, uint32_t inode, uint32_t uid,
                          struct listener_looks *looks);
void listener_holders_free(struct listener_holders *holders);

/* ---- connections of our own (listener_try.c) ---- */

#define LISTENER_TRIES_OPEN 64 /* at once, of all listeners; they are kept until the watch ends */
struct listener_own {
    int fds[LISTENER_TRIES_OPEN];
    size_t count;
};

/* The inodes of a process's sockets, sorted; the caller frees them. */
int listener_process_inodes(int64_t pid, uint32_t **out, size_t *count, struct error *error);
/* Its name; "" when it has none any more. */
void listener_process_name(int64_t pid, char *out, size_t size_bytes);

/* Reads what there is, up to size - 1 bytes, and ends it; the kernel makes the text anew at each
 * read from the start. NULL: it could not be read, or is empty. */
const char *listener_file_read(int fd, char *out, size_t size_bytes);

/* The files of the namespace's counters, open; -1 where there is none. */
struct listener_files {
    int netstat, snmp;
};
void listener_files_open(struct listener_files *files);
void listener_files_close(struct listener_files *files);
void listener_files_read(const struct listener_files *files, struct listener_counters *out);
void listener_settings_read(struct listener_settings *out);

/* ---- the probe ---- */

#define PORTS 65536

/* CPU time of the last two walks. The lesser counts, so that one that was slow by chance (the
 * first, or a disturbed one) does not hold up the next samples. */
struct walk_cost {
    int64_t last_ns, least_ns;
};

struct listener_probe {
    struct sock_diag *diag;
    struct listener_rules rules;
    struct listener_files files;
    struct listener_settings settings;
    struct listener_census before;
    int64_t pid;

    struct listener_socket *sockets;
    size_t count;
    size_t *by_cookie; /* open addressing, 1 + index; a power of two of them, at most half full */
    size_t by_cookie_size;
    size_t by_port[PORTS]; /* 1 + index of the first one */
    uint16_t ports[SOCK_DIAG_PORTS_MAX];
    size_t port_count; /* 0: all */
    bool v4, v6;       /* families of the sockets */
    bool changed;      /* sockets came or went since `shared` was worked out */
    bool single;       /* few, each found by its address and port */

    struct listener_counters from, before_sample, now;
    int64_t sampled_ns, half_open_due_ns, listing_due_ns;
    struct walk_cost listing, half_open;
    struct listener_holders holders;
    int64_t look_due_ns;
    bool tries; /* connections of our own are wanted */
    struct listener_own own;
    struct listener_cost cost;
};

int64_t listener_cpu_ns(void); /* of this thread */

/* The address, whatever the port. */
bool listener_same_address(const struct sock_address *a, const struct sock_address *b);
bool listener_is_wildcard(const struct sock_address *address);

/* The socket as it is now, by its own address, port and cookie. */
int listener_look_up(struct listener_probe *probe, const struct listener_socket *socket,
                     struct sock_diag_entry *out);
/* The listener that a connection came through; NULL. */
struct listener_socket *listener_owner_of(struct listener_probe *probe,
                                          const struct sock_diag_entry *entry);
/* After each sample: notes whether anything moved, and connects where it was quiet for long enough
 * and the watch wants it. Takes up to a fifth of a second then. */
void listener_try(struct listener_probe *probe, struct listener_socket *socket);

#endif
