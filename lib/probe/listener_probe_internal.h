/* Inside the probe of listeners. */
#ifndef PROBE_LISTENER_PROBE_INTERNAL_H
#define PROBE_LISTENER_PROBE_INTERNAL_H

#include "probe/listener_probe.h"

/* One socket of the ports that are watched. */
struct listener_socket {
    struct sock_address local;
    uint64_t cookie;
    uint32_t inode, uid, interface;
    bool chosen;  /* the others count for the ownership of half-open connections */
    bool present; /* in the last sample */
    bool shared;  /* another one has the same address and port */
    struct listener_sample sample;
    struct listener_watch watch;
    size_t next_on_port; /* 1 + index */
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

/* The inodes of a process's sockets, sorted; the caller frees them. */
int listener_process_inodes(int64_t pid, uint32_t **out, size_t *count, struct error *error);
/* Its name; "" when it has none any more. */
void listener_process_name(int64_t pid, char *out, size_t size_bytes);

/* The files of the namespace's counters, open; -1 where there is none. */
struct listener_files {
    int netstat, snmp;
};
void listener_files_open(struct listener_files *files);
void listener_files_close(struct listener_files *files);
void listener_files_read(const struct listener_files *files, struct listener_counters *out);
void listener_settings_read(struct listener_settings *out);

#endif
