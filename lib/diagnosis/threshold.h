/* Thresholds: what the user allows, held against what was measured.
 *
 * THRESHOLD_ROWS is the only list of them; the option table, the evaluation and the reports follow
 * it. Pure. What could not be measured, because the target failed before, exceeds every threshold:
 * a pipeline must not pass because there was nothing to look at. */
#ifndef DIAGNOSIS_THRESHOLD_H
#define DIAGNOSIS_THRESHOLD_H

#include "result/result.h"

/* X(identifier, option, number of struct result_probe, label, help) */
#define THRESHOLD_ROWS(X)                                                                          \
    X(P50, "max-p50", latency.p50_ns, "p50", "Fail if a target's median round takes longer.")      \
    X(P90, "max-p90", latency.p90_ns, "p90",                                                       \
      "Fail if more than one round in ten of a target takes longer.")                              \
    X(P99, "max-p99", latency.p99_ns, "p99",                                                       \
      "Fail if more than one round in a hundred of a target takes longer.")                        \
    X(CONNECT, "max-connect", connect_ns, "connect",                                               \
      "Fail if connecting to a target takes longer; name resolution is not part of it.")           \
    X(TLS, "max-tls", tls_ns, "TLS handshake",                                                     \
      "Fail if a target's TLS handshake takes longer, or if there was none.")

enum threshold {
#define THRESHOLD_NUMBER(id, option, member, label, help) THRESHOLD_##id,
    THRESHOLD_ROWS(THRESHOLD_NUMBER)
#undef THRESHOLD_NUMBER
        THRESHOLDS /* how many */
};

struct threshold_limits {
    bool set[THRESHOLDS];
    int64_t limit_ns[THRESHOLDS];
    bool success_set;
    double success_percent; /* the least share of targets that must be ok */
};

/* Appends a check for each threshold that is set. */
void threshold_check_target(struct arena *arena, const struct threshold_limits *limits,
                            const struct result_probe *probe, struct result_check_list *checks);
/* The same of the whole run, in which `ok` of `total` targets were. Of none, nothing is known. */
void threshold_check_run(struct arena *arena, const struct threshold_limits *limits, size_t ok,
                         size_t total, struct result_check_list *checks);

#endif
