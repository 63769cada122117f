/* What `netkit tcp-probe` is told. */
#ifndef CMD_TCP_PROBE_OPTIONS_H
#define CMD_TCP_PROBE_OPTIONS_H

#include "common.h"

enum tcp_probe_preset {
    TCP_PROBE_PRESET_CONNECT,
    TCP_PROBE_PRESET_HTTP,
    TCP_PROBE_PRESET_REDIS,
    TCP_PROBE_PRESET_MEMCACHED,
    TCP_PROBE_PRESET_SMTP,
    TCP_PROBE_PRESET_ECHO,
};

/* Numbers of the bits in tcp_probe_options.arms, and the order in which arms are reported. */
enum tcp_probe_arm {
    TCP_PROBE_ARM_BASELINE,
    TCP_PROBE_ARM_NODELAY,
    TCP_PROBE_ARM_QUICKACK,
    TCP_PROBE_ARM_NODELAY_QUICKACK,
    TCP_PROBE_ARM_SINGLE_WRITE,
};

/* When a response is complete. */
enum tcp_probe_until_kind {
    TCP_PROBE_UNTIL_LINE,
    TCP_PROBE_UNTIL_BYTES, /* bytes */
    TCP_PROBE_UNTIL_TEXT,  /* text, with C escapes that are known to be right */
    TCP_PROBE_UNTIL_CLOSE,
    TCP_PROBE_UNTIL_IDLE, /* idle_ns */
    TCP_PROBE_UNTIL_HTTP,
};

struct tcp_probe_until {
    enum tcp_probe_until_kind kind;
    int64_t bytes;
    const char *text;
    int64_t idle_ns;
};

#define TCP_PROBE_SPLIT_MAX 64

struct tcp_probe_split {
    int64_t sizes_bytes[TCP_PROBE_SPLIT_MAX];
    size_t count; /* 0: the request is one write */
};

struct tcp_probe_options {
    /* what to say: `send` or `send_file` where one is given, else the preset */
    enum tcp_probe_preset preset;
    const char *path, *host; /* host NULL: the target's name */
    const char *send;        /* with C escapes that are known to be right */
    const char *send_file;
    bool until_set; /* else a preset's own way goes before the default */
    struct tcp_probe_until until;
    struct tcp_probe_split split;
    int64_t gap_ns;
    /* how often */
    int64_t rounds, warmup;
    bool new_connection;
    int64_t interval_ns;
    bool duration_set;
    int64_t duration_ns;
    /* interventions */
    uint32_t arms; /* bits 1 << enum tcp_probe_arm */
    bool no_interventions;
    int64_t stall_ns;
    /* limits */
    int64_t connect_timeout_ns, response_timeout_ns;
    const char *record;
    struct common_options common;
};

extern const struct cli_fragment tcp_probe_fragments[];

#endif
