/* The model of what netkit reports: what experiments and diagnosis fill, and renderers read.
 *
 * Data only. A report owns an arena; every string and array that it points to comes from there or
 * is static, and report_free() releases all at once. Times are nanoseconds; RESULT_UNKNOWN stands
 * for "not measured" and is shown as null or "?", never as 0. */
#ifndef RESULT_RESULT_H
#define RESULT_RESULT_H

#include "base/arena.h"
#include "finding/finding.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESULT_UNKNOWN INT64_MIN

/* ---- Named values, for what differs from scenario to scenario: parameters, evidence, … */

enum result_kind {
    RESULT_NULL,
    RESULT_BOOL,
    RESULT_INTEGER, /* RESULT_UNKNOWN becomes null */
    RESULT_REAL,
    RESULT_TEXT,
    RESULT_RANGE, /* an expectation: { "min": …, "max": … } */
    RESULT_TEXTS, /* a list of texts */
};

struct result_value {
    const char *key; /* a key that ends in _ns is a duration, and text shows it as one */
    enum result_kind kind;
    union {
        bool flag;
        int64_t integer;
        double real;
        const char *text;
        struct {
            int64_t min, max;
        } range;
        struct {
            const char *const *items;
            size_t count;
        } texts;
    };
};

struct result_map {
    struct result_value *values;
    size_t count;
};

/* Setters append, or replace the value of an existing key. Keys must outlive the arena (they are
 * literals nearly everywhere); text is copied. */
void result_set_null(struct arena *arena, struct result_map *map, const char *key);
void result_set_bool(struct arena *arena, struct result_map *map, const char *key, bool value);
void result_set_integer(struct arena *arena, struct result_map *map, const char *key,
                        int64_t value);
void result_set_real(struct arena *arena, struct result_map *map, const char *key, double value);
void result_set_text(struct arena *arena, struct result_map *map, const char *key,
                     const char *value); /* NULL becomes null */
void result_set_range(struct arena *arena, struct result_map *map, const char *key, int64_t min,
                      int64_t max);
void result_set_texts(struct arena *arena, struct result_map *map, const char *key,
                      const char *const *items, size_t count);
void result_copy(struct arena *arena, struct result_map *map, const struct result_value *value);
/* Whether what was observed is what was expected: equal, or within the range. What is not known
 * matches nothing but null. */
bool result_value_matches(const struct result_value *expected, const struct result_value *observed);
/* NULL when there is none of that key. */
const struct result_value *result_get(const struct result_map *map, const char *key);

/* ---- Findings */

enum result_side {
    RESULT_SIDE_NONE, /* null: nobody, or not known */
    RESULT_SIDE_CLIENT,
    RESULT_SIDE_SERVER,
    RESULT_SIDE_NETWORK,
};
const char *result_side_name(enum result_side side); /* NULL for none */

struct finding {
    enum finding_code code;
    enum finding_severity severity;
    enum result_side side;  /* who has to change something */
    const char *target;     /* or NULL */
    const char *scenario;   /* or NULL */
    const char *connection; /* "a:p > b:p", or NULL */
    const char *about;      /* the result that it is about, where its name is another: not shown */
    const char *summary;    /* one sentence with the numbers */
    const char *remedy;     /* the call or setting to change */
    int64_t count;          /* how often: rounds, segments */
    int64_t cost_ns;        /* what one of them cost, typically */
    struct result_map evidence;
};

struct finding_list {
    struct finding *items;
    size_t count;
};

/* Appends a finding with the catalogue's severity and remedy, and gives it to be filled in. Never
 * NULL: when memory is out it gives a scratch finding, and arena->failed is set. Valid until the
 * next addition. */
struct finding *finding_add(struct arena *arena, struct finding_list *list, enum finding_code code,
                            enum result_side side);

/* The verdict: the code of the most severe finding of warning or above, of equals the one that
 * costs most (cost times count); FINDING_NONE when there is none. */
enum finding_code finding_verdict(const struct finding_list *list);
/* Whether one of that code is listed. */
bool finding_listed(const struct finding_list *list, enum finding_code code);

/* ---- tcp-probe */

struct result_latency {
    int64_t min_ns, p50_ns, p90_ns, p99_ns, max_ns;
};

/* Disjoint parts of a round, in the order in which a round goes through them. */
enum result_part {
    RESULT_PART_OTHER,     /* our own application: calls, pauses between writes */
    RESULT_PART_SEND_HOLD, /* written, but kept in our send queue */
    RESULT_PART_NETWORK,   /* the round trip, and the transfer of the answer */
    RESULT_PART_PEER_ACK,  /* waiting for the peer's acknowledgement and nothing else */
    RESULT_PART_SERVER,    /* the request was there, the answer had not begun */
    RESULT_PART_GAP,       /* pauses inside the answer */
    RESULT_PART_WAKEUP,    /* arrived at our kernel, our process not yet awake */
    RESULT_PARTS
};

struct result_breakdown {
    int64_t part_ns[RESULT_PARTS];
    /* What is proven of a part, and what it may be at the most: what lies between is undecided. */
    int64_t min_ns[RESULT_PARTS], max_ns[RESULT_PARTS];
};
/* The JSON key ("send_hold_ns") and what text calls it ("held in our send queue"). */
const char *result_part_key(enum result_part part);
const char *result_part_label(enum result_part part);

struct result_arm {
    const char *name;
    int64_t rounds;
    int64_t p50_ns, p99_ns;
};

/* Powers of 2^(1/4): bucket i counts rounds of at least result_bucket_ns(i) and less than
 * result_bucket_ns(i + 1). Mergeable: fixed bounds for every run on every machine. */
#define RESULT_BUCKETS 160
struct result_histogram {
    uint32_t counts[RESULT_BUCKETS];
};
int64_t result_bucket_ns(size_t bucket);
void result_histogram_add(struct result_histogram *histogram, int64_t ns);

struct result_error {
    enum finding_code code; /* FINDING_NONE: no error */
    int number;             /* errno value, or 0 */
    const char *message;
    const char *cause; /* what it was, by its name, where that was seen (diagnosis/failure.h) */
};

/* What a TLS handshake agreed on. */
struct result_tls {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *alpn;    /* NULL: no protocol was chosen */
    int64_t round_trips; /* that the handshake took */
    bool resumed;
    bool verified; /* the certificate is good, for this name */
    /* NULL: the server did not ask for one of ours; "asked": it got none; "given" */
    const char *client_certificate;
};

/* What the answers were: the first, or the first that was not as it should be. */
struct result_answer {
    int64_t status;     /* the protocol's number, such as HTTP's; RESULT_UNKNOWN: none */
    const char *text;   /* its words, printable */
    int64_t count;      /* of answers */
    int64_t unexpected; /* of these: no success, or not what the user expects */
};

/* For how long an idle connection was kept. */
struct result_idle {
    int64_t tried_ns;      /* the longest that was tried */
    int64_t kept_ns;       /* the longest after which it still answered; RESULT_UNKNOWN: none */
    int64_t dropped_ns;    /* the shortest after which it was gone; RESULT_UNKNOWN: none was */
    const char *end;       /* "fin", "rst", "rst-on-use", "silence"; NULL: none was */
    int64_t keepalive_ns;  /* that was tried against it; RESULT_UNKNOWN: none was */
    const char *keepalive; /* "keeps", "does-not-keep"; or NULL */
};

struct trace_strip; /* trace/trace.h: the renderer of ladders knows it */

struct result_probe {
    const char *target;  /* as the user wrote it */
    const char *address; /* "127.0.0.1", without the port; NULL when it never resolved */
    int64_t port;
    bool ok;
    struct result_error error;
    int64_t resolve_ns, connect_ns, rtt_ns;
    int64_t tls_ns;               /* the TLS handshake; RESULT_UNKNOWN without TLS */
    const struct result_tls *tls; /* NULL without TLS */
    int64_t preamble_ns;          /* greeting, login and the like; RESULT_UNKNOWN: there is none */
    const struct result_answer *answer; /* NULL: there was none, or it says nothing of itself */
    const struct result_answer *http;   /* the same, of HTTP */
    const struct result_idle *idle;     /* NULL: not tried */
    int64_t syn_retransmits;
    int64_t rounds;        /* measured ones that completed, of the baseline */
    int64_t failed_rounds; /* measured ones that did not */
    int64_t connections;   /* opened in all */
    struct result_latency latency;
    struct result_latency wire; /* last byte sent to first byte received, by kernel stamps */
    struct result_breakdown breakdown;
    struct result_histogram histogram;
    struct result_arm *arms;
    size_t arm_count;
    struct result_map tcp_info;
    const char *const *notes; /* what the reader should know: missing stamps, reconnects */
    size_t note_count;
    const struct trace_strip *slow_round; /* NULL: none kept */
    int64_t slow_round_ns;
    bool slow_round_captured; /* the strip has segments that were seen on the wire */
};

/* ---- Connections, as a wire saw them */

struct result_texts {
    const char *const *items;
    size_t count;
};

struct result_sides {
    int64_t client, server; /* what each of them sent */
};

/* "client" and "server" are the hosts; which of them connected shows in the flags. */
struct result_connection {
    int64_t number;   /* of the trace, from 1 */
    const char *name; /* "a:p > b:p", from the side that connected */
    const char *client, *server;
    int64_t started_ns; /* since the beginning of the run */
    int64_t duration_ns;
    struct result_texts flags; /* "C>S SYN x", in wire order */
    int64_t flags_omitted;     /* further ones */
    struct result_texts client_states, server_states;
    struct result_sides segments, payload_bytes, retransmissions;
    const char
        *end; /* fin, reset-by-client, reset-by-server, open, refused, unreachable, no-reply */
};

struct result_connection_list {
    struct result_connection *items;
    size_t count;
};

/* ---- lab: programs against each other */

enum result_program_end {
    RESULT_PROGRAM_NOT_STARTED,
    RESULT_PROGRAM_EXITED,
    RESULT_PROGRAM_SIGNALLED,
    RESULT_PROGRAM_STOPPED, /* by netkit: it still ran when the run was over */
};
const char *result_program_end_name(enum result_program_end end);

struct result_program {
    const char *host; /* "client", "server" */
    const char *command;
    enum result_program_end end;
    int64_t status;     /* what it exited with; RESULT_UNKNOWN when it did not */
    int64_t signal;     /* that killed it; RESULT_UNKNOWN when none did */
    int64_t started_ns; /* since the beginning of the run */
    int64_t duration_ns;
};

struct result_fault {
    int64_t number;   /* as in the trace, from 1 */
    const char *text; /* "drop syn count 1" */
    int64_t matched, acted;
};

/* What the wire did over the run. */
struct result_wire {
    int64_t seen, delivered, dropped, answered;
    int64_t lost;        /* by the wire itself: above 0 the run is inconclusive */
    int64_t late_max_ns; /* the worst lateness of a departure */
};

struct trace_event; /* trace/event.h */

struct result_lab {
    const char *name;
    bool ok; /* the program that counts exited with 0, and the wire lost nothing */
    struct result_error error;
    struct result_program *programs;
    size_t program_count;
    struct result_fault *faults;
    size_t fault_count;
    struct result_connection_list connections;
    struct result_wire wire;
    const char *const *notes;
    size_t note_count;
    /* For pictures: the run's trace, which the report does not own, and whose connection is drawn
     * (0: there is none). */
    const struct trace_event *events;
    size_t event_count;
    size_t events_lost;
    int64_t shown_connection;
};

/* ---- Scenarios: a condition that was reproduced, beside what is known of it */

enum result_verdict {
    RESULT_OK,
    RESULT_DIFFERS,      /* this kernel did something else than was expected */
    RESULT_INCONCLUSIVE, /* the run says nothing: it could not be made, or was disturbed */
    RESULT_UNSUPPORTED,  /* this kernel cannot show it, however often it is tried: no failure */
};
/* Whether it has to be looked at. */
static inline bool result_verdict_fails(enum result_verdict verdict)
{
    return verdict == RESULT_DIFFERS || verdict == RESULT_INCONCLUSIVE;
}
const char *result_verdict_name(enum result_verdict verdict); /* "ok", "differs", … */

/* A point in time that a model predicts. */
struct result_timing {
    const char *what;     /* "SYN 3" */
    int64_t predicted_ns; /* with the settings of this run */
    int64_t measured_ns;
    int64_t host_ns; /* what the same model says for this host's own settings */
};

/* One call of one side, as the process that made it saw it. */
struct result_call {
    const char *side; /* "client", "server" */
    int64_t pid;
    int64_t fd;
    const char *verb;
    int64_t entered_ns;  /* since the beginning of the run */
    int64_t duration_ns; /* RESULT_UNKNOWN: it never returned */
    int64_t result;      /* RESULT_UNKNOWN: it never returned */
    int number;          /* errno; 0: none */
};

/* Rows with the same keys, which are the columns. */
struct result_table {
    const char *name; /* "methods": the key in JSON */
    const char *title;
    struct result_map *rows;
    size_t row_count;
};

/* How often a scenario came out one way, when it was run repeatedly. */
struct result_outcome {
    const char *text; /* what it is known by: the verdict, and what was observed */
    int64_t count;
};

struct result_scenario {
    const char *name;     /* of the result: "refused (IPv4)" */
    const char *scenario; /* "refused" */
    int64_t family;       /* 4 or 6 */
    const char *title;
    enum result_verdict verdict;
    struct result_error error; /* of a verdict that is not ok */
    int64_t duration_ns;
    const char *book; /* what the book says, in our words; or NULL */
    const char *here; /* what Linux does, and why */
    struct result_map expected, observed;
    bool differs_from_book;
    const char *why; /* of a difference from the book, of a verdict that is not ok, or of an
                        outcome that is rare and explained; or NULL */
    struct result_connection_list connections;
    int64_t subject; /* the number of the connection that it is about; 0: there is none */
    bool captured;   /* flags are known */
    struct result_texts flags, client_states, server_states; /* the subject's */
    struct result_call *calls;
    size_t call_count;
    struct result_timing *timings;
    size_t timing_count;
    struct result_table *tables;
    size_t table_count;
    struct result_map summary; /* its row in the summary of all scenarios of the command */
    bool overview; /* it sums up all others: shown in full after them, instead of that summary */
    struct result_fault *faults; /* the user's */
    size_t fault_count;
    struct result_wire wire;
    const char *const *notes;
    size_t note_count;
    enum result_side side; /* of the finding, where a program is to blame; and what to change */
    const char *remedy;    /* NULL: as the catalogue says */
    int64_t attempts;      /* runs until one was not inconclusive */
    bool final;            /* it is inconclusive, and would be again */
    int64_t runs;          /* with --repeat: how many, and how they came out */
    struct result_outcome *outcomes;
    size_t outcome_count;
    /* For pictures, as in struct result_lab. */
    const struct trace_event *events;
    size_t event_count;
    size_t events_lost;
};

/* ---- Checks: what the user asked to hold */

enum result_unit {
    RESULT_UNIT_DURATION, /* nanoseconds */
    RESULT_UNIT_SHARE,    /* millionths of the whole; shown as percent */
};
#define RESULT_SHARE_WHOLE   INT64_C(1000000)
#define RESULT_SHARE_PERCENT (RESULT_SHARE_WHOLE / 100)

struct result_check {
    const char *name;   /* the option's, without the dashes: "max-p99" */
    const char *label;  /* what was measured, for people: "p99" */
    const char *target; /* NULL: the whole run */
    enum result_unit unit;
    int64_t limit;
    int64_t measured; /* RESULT_UNKNOWN: there is nothing to measure, which is not ok */
    bool ok;
};

struct result_check_list {
    struct result_check *items;
    size_t count;
};

/* Appends a copy. When memory is out, arena->failed is set. */
void result_check_add(struct arena *arena, struct result_check_list *list,
                      const struct result_check *check);
/* How many are not ok. */
size_t result_checks_exceeded(const struct result_check_list *list);

/* ---- doctor */

enum result_health {
    RESULT_HEALTH_OK,      /* nothing to do */
    RESULT_HEALTH_NOTE,    /* worth knowing; perhaps worth changing */
    RESULT_HEALTH_PROBLEM, /* something does not work, or will not under load */
};
const char *result_health_name(enum result_health health); /* "ok", "note", "problem" */

/* One thing that was looked at on this machine. Those of one group stand together. */
struct result_machine {
    const char *group; /* "giving up on a peer" */
    const char *check; /* "tcp_retries2"; no two of a report are equal */
    enum result_health health;
    const char *value;         /* as the machine says it; NULL: not known, or nothing to say */
    const char *meaning;       /* what follows from it here */
    const char *remedy;        /* NULL: nothing to do */
    const char *source;        /* how it is known */
    int64_t effect_ns;         /* the time that the meaning speaks of */
    bool needed;               /* netkit does not work without it */
    bool detail;               /* nothing to see: text names it only, unless verbose */
    struct result_error error; /* of a problem */
};

/* ---- connect-timeout on a live target: what becomes of a connect */

struct result_icmp {
    const char *from; /* its sender's address; NULL: not known */
    const char *name; /* "host-unreachable" */
    int64_t type, code;
    bool ours; /* this host made it itself */
};

/* What a capture on this host saw of a try. */
struct result_sighting {
    int64_t syns, synacks;          /* that left, and that arrived */
    int64_t synack_ttl, rst_ttl;    /* RESULT_UNKNOWN: none came */
    const struct result_icmp *icmp; /* an error about the SYN; NULL: none came */
};

/* One connect. */
struct result_reach_try {
    const char *answer; /* "connected", "rst", "icmp", "none", … */
    int number;         /* the errno of connect; 0: none */
    int64_t took_ns;
    int64_t rtt_ns; /* the kernel's own, of SYN and SYN,ACK */
    int64_t syn_retransmits;
    const struct result_icmp *icmp;     /* NULL: none came */
    const struct result_sighting *wire; /* NULL: it was not captured */
};

/* A SYN that was to live for so many hops. */
struct result_hop {
    int64_t hop;
    const char *address; /* who answered; NULL: nobody */
    const char *answer;  /* "router", "connected", "rst", "icmp", "none", … */
    int64_t rtt_ns;      /* RESULT_UNKNOWN where it is not known which SYN was answered */
    int64_t syn_retransmits;
    const struct result_icmp *icmp;
};

struct result_path {
    struct result_hop *hops;
    size_t hop_count;
    const char *end; /* where it ends, in a sentence */
};

/* The way out of this host. */
struct result_route {
    const char *gateway; /* NULL: the target is on the link */
    const char *device;
    const char *source;    /* the address that the target sees, without translation on the way */
    const char *neighbour; /* the next hop in the neighbour table: "REACHABLE"; NULL: not there */
    bool local;            /* the target is this host */
};

struct result_reach {
    const char *target;  /* as the user wrote it; with its address where the name has several */
    const char *address; /* NULL when it never resolved */
    int64_t port;
    bool ok; /* it connects */
    struct result_error error;
    const char *reach_case; /* "refused" */
    int64_t resolve_ns;
    int64_t connect_ns, rtt_ns; /* the shortest */
    int64_t syn_retransmits;    /* of all tries together */
    struct result_reach_try *tries;
    size_t try_count;
    const struct result_route *route; /* NULL: not known */
    const struct result_path *path;   /* NULL: not looked for */
    /* Silence: how many SYNs the kernel's settings make in the time that was waited, how many there
     * were, and when connect() would have given up. */
    int64_t syns_least, syns_most, syns_sent, gives_up_ns;
    const struct trace_strip *strip; /* calls and packets of the tries; NULL: not kept */
    const char *cannot_tell;         /* NULL: all is told */
    const char *would_tell;
};

/* ---- connect-timeout: what the kernel is going to do */

struct result_syn {
    int64_t number; /* from 1 */
    int64_t at_ns;
    int64_t after_ns; /* the one before; RESULT_UNKNOWN for the first */
};

struct result_schedule {
    const char *name;
    struct result_syn *syns;
    size_t syn_count;
    int64_t failed_ns;        /* ETIMEDOUT, on a machine whose timers are never late */
    int64_t failed_latest_ns; /* with the lateness that the kernel's timer wheel may add */
    struct result_map settings, sources; /* by name: the value, and where it is from */
};

/* ---- accept-backlog: a listener that was watched */

/* A measure over time in columns, the oldest first: of each its largest value. */
#define RESULT_CHART_COLUMNS 60
struct result_chart_column {
    int64_t most;
    int64_t drops; /* meanwhile */
};
struct result_chart {
    struct result_chart_column columns[RESULT_CHART_COLUMNS];
    size_t count;
};

/* What is only known within bounds; equal ones are exact. RESULT_UNKNOWN: no bound known. */
struct result_bounds {
    int64_t least, most;
};

struct result_queue {
    int64_t last, most; /* its length in the last sample, and in the fullest */
    int64_t capacity;   /* what it can hold */
    int64_t samples;    /* in which it was measured */
    int64_t full;       /* samples in which it held that much */
};

struct result_listener {
    const char *listener; /* "0.0.0.0:8080"; no two of a report are equal */
    const char *address;
    int64_t port;
    const char *process; /* NULL: not known */
    int64_t pid, uid;
    bool ok;                   /* no finding of warning or above is about it */
    struct result_error error; /* of one that is not ok */
    int64_t watched_ns;
    int64_t limit; /* what listen() came to: its backlog, or somaxconn if that was less */
    struct result_queue accept_queue, half_open;
    struct result_bounds drops;             /* SYNs and handshakes, at this listener */
    struct result_bounds overflows;         /* of these, because the accept queue was full */
    struct result_bounds arrived, accepted; /* connections, into and out of the accept queue */
    int64_t wait_ns;                        /* for accept(), on the average, at least */
    const char *binds;   /* "backlog", "somaxconn", "tcp_max_syn_backlog", "application"; or NULL */
    const char *setting; /* what to change; or NULL */
    const char *cause;   /* of "application": "stopped", "descriptors", "edge-triggered", "busy",
                            "waiting"; NULL: not known */
    int64_t gone;        /* of the accept queue at most, whose clients had closed or reset them */
    bool alone;          /* no other socket of the namespace listens */
    int64_t closed_ns;   /* after this much of the watch it was gone; RESULT_UNKNOWN: it is not */
    struct result_map counters;              /* of the namespace, by how much each rose */
    const struct result_chart_column *chart; /* of the accept queue */
    size_t chart_count;
    const char *const *notes;
    size_t note_count;
};

/* One look at a listener, and at the namespace's counters, while the watch goes on. */
struct result_listener_sample {
    const char *listener;
    int64_t at_ns; /* since the watch began */
    int64_t queue, limit, half_open;
    int64_t drops; /* what the listener's own counter of drops, and of stray segments, rose by */
};
struct result_counters_sample {
    int64_t at_ns;
    struct result_map counters; /* by how much they have risen */
};

/* ---- The report */

enum result_type {
    RESULT_PROBE,
    RESULT_LAB,
    RESULT_MACHINE,
    RESULT_REACH,
    RESULT_SCHEDULE,
    RESULT_SCENARIO,
    RESULT_LISTENER,
};

struct result {
    enum result_type type;
    union {
        struct result_probe probe;
        struct result_lab lab;
        struct result_machine machine;
        struct result_reach reach;
        struct result_schedule schedule;
        struct result_scenario scenario;
        struct result_listener listener;
    };
};

enum result_capture { RESULT_CAPTURE_NONE, RESULT_CAPTURE_PCAP };

struct report {
    struct arena arena;
    const char *command;
    const char *version;
    int64_t started_real_ns;
    int64_t duration_ns;
    const char *kernel;
    bool lab;
    enum result_capture capture;
    bool unprivileged;
    bool interrupted; /* a signal ended it early */
    struct result_map parameters;
    struct result **results;
    size_t result_count;
    struct finding_list findings;
    struct result_check_list checks;
    enum finding_code verdict;
    const char *hint;     /* what the reader may try next, for text alone; or NULL */
    const char *diagram;  /* drawn, for formats that carry it as text; or NULL */
    const char *timeline; /* likewise every event */
};

/* A result in the report's arena, already part of it: counts are 0, measurements RESULT_UNKNOWN.
 * NULL when memory is out. */
struct result *report_add(struct report *report, enum result_type type);
void report_free(struct report *report);

#endif
