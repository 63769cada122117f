/* What `netkit tcp-probe` is told. */
#ifndef CMD_TCP_PROBE_OPTIONS_H
#define CMD_TCP_PROBE_OPTIONS_H

#include "common.h"
#include "diagnosis/probe_verdict.h"
#include "probe/framing.h"
#include "probe/preset.h"
#include "probe/probe.h"
#include "thresholds.h"

struct tcp_probe_split {
    size_t pieces[TRANSACTION_PIECES_MAX];
    size_t count; /* 0: the request is one write */
};

/* --expect: statuses, or a regular expression. */
#define EXPECT_STATUSES_MAX 16
struct tcp_probe_expect {
    int statuses[EXPECT_STATUSES_MAX];
    size_t count;
    const char *pattern; /* NULL: statuses, or nothing at all */
};

struct tcp_probe_options {
    /* targets */
    const char *targets;
    int64_t parallel;
    bool all_addresses;
    struct cli_list resolve; /* host:port:address */
    const char *source, *interface;
    int traffic_class; /* -1: as it is */
    bool traffic_class_set;
    struct cli_list socket_options;
    /* TLS */
    bool tls;
    struct tls_settings tls_settings;
    const char *cert_file, *key_file;
    /* the request: `send` or `send_file` where one is given, else the preset */
    bool preset_set; /* else the port says which */
    enum preset_id preset;
    const char *path, *host; /* host NULL: the target's name */
    bool path_set;
    const char *method, *data; /* of HTTP; or NULL */
    struct cli_list headers;
    bool expect_continue;
    int64_t continue_ns;
    bool split_body;                     /* header and body in a write each */
    const char *query, *user, *database; /* or NULL */
    const char *password_file;
    int64_t password_fd; /* -1: none */
    bool password_fd_set;
    bool starttls;
    int proxy_protocol; /* 0: none, 1, 2 */
    bool greeting_set;
    struct framing greeting;
    struct cli_items hellos; /* --hello and --hello-file, with their --hello-until */
    struct tcp_probe_expect expect;
    const char *send; /* with C escapes that are known to be right */
    const char *send_file;
    bool until_set; /* else the preset's own, or a line */
    struct framing framing;
    struct tcp_probe_split split;
    int64_t gap_ns;
    /* rounds */
    bool rounds_set;
    int64_t rounds, warmup;
    bool new_connection;
    int64_t interval_ns;
    int64_t idle_max_ns, idle_keepalive_ns; /* 0: not tried; 0: by what is found */
    bool duration_set;
    int64_t duration_ns;
    /* interventions */
    uint32_t arms; /* bits 1 << enum probe_arm */
    bool arms_set;
    bool no_interventions;
    int64_t stall_ns;
    /* limits */
    int64_t connect_timeout_ns, response_timeout_ns;
    const char *record;
    struct thresholds_options thresholds;
    struct common_options common;
};

extern const struct cli_fragment tcp_probe_fragments[];

#endif
