/* Reports built by hand, for the tests of the renderers. */
#ifndef TESTS_REPORT_SAMPLE_H
#define TESTS_REPORT_SAMPLE_H

#include "base/cleanup.h"
#include "base/clock.h"
#include "result/result.h"
#include <errno.h>
#include <string.h>

#define MS NS_PER_MS
#define US NS_PER_US

static inline void sample_head(struct report *report)
{
    report->command = "tcp-probe";
    report->version = "0.1.0";
    report->started_real_ns = INT64_C(1760000000123456789);
    report->duration_ns = 4210 * MS;
    report->kernel = "6.18.0";
    report->unprivileged = true;
    result_set_text(&report->arena, &report->parameters, "preset", "http");
    result_set_integer(&report->arena, &report->parameters, "rounds", 40);
    result_set_integer(&report->arena, &report->parameters, "gap_ns", RESULT_UNKNOWN);
}

static inline struct result_probe *sample_probe(struct report *report, const char *target)
{
    struct result_probe *probe = &report_add(report, RESULT_PROBE)->probe;

    probe->target = target;
    probe->address = "127.0.0.1";
    probe->port = 8000;
    probe->ok = true;
    probe->resolve_ns = 412 * US;
    probe->connect_ns = 63 * US;
    probe->rtt_ns = 21 * US;
    probe->syn_retransmits = 0;
    probe->rounds = 40;
    probe->connections = 5;
    probe->latency =
        (struct result_latency){1020 * US, 42100 * US, 43800 * US, 44000 * US, 44100 * US};
    probe->wire = (struct result_latency){900 * US, 41900 * US, 43500 * US, 43700 * US, 43800 * US};
    probe->breakdown = (struct result_breakdown){.part_ns = {
                                                     [RESULT_PART_OTHER] = 30 * US,
                                                     [RESULT_PART_NETWORK] = 21 * US,
                                                     [RESULT_PART_SERVER] = 880 * US,
                                                     [RESULT_PART_GAP] = 41120 * US,
                                                     [RESULT_PART_WAKEUP] = 49 * US,
                                                 }};
    memcpy(probe->breakdown.min_ns, probe->breakdown.part_ns, sizeof probe->breakdown.min_ns);
    memcpy(probe->breakdown.max_ns, probe->breakdown.part_ns, sizeof probe->breakdown.max_ns);
    probe->breakdown.min_ns[RESULT_PART_SERVER] = 600 * US;
    result_histogram_add(&probe->histogram, 1020 * US);
    result_histogram_add(&probe->histogram, 1900 * US);
    for (int i = 0; i < 30; i++)
        result_histogram_add(&probe->histogram, 40 * MS + i * 200 * US);
    for (int i = 0; i < 8; i++)
        result_histogram_add(&probe->histogram, 36 * MS);
    return probe;
}

static inline void sample_arms(struct report *report, struct result_probe *probe)
{
    static const struct result_arm arms[] = {
        {"baseline", 40, 42100 * US, 44000 * US},
        {"nodelay", 20, 42000 * US, 43900 * US},
        {"quickack", 20, 900 * US, 1400 * US},
        {"nodelay+quickack", 20, 880 * US, 1300 * US},
        {"single-write", 20, RESULT_UNKNOWN, RESULT_UNKNOWN},
    };

    probe->arms = arena_alloc(&report->arena, sizeof arms);
    for (size_t i = 0; i < ARRAY_SIZE(arms); i++)
        probe->arms[i] = arms[i];
    probe->arm_count = ARRAY_SIZE(arms);
}

static inline void sample_nagle(struct report *report, const char *target)
{
    struct arena *arena = &report->arena;
    struct finding *finding =
        finding_add(arena, &report->findings, FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER);

    finding->target = target;
    finding->summary = "The rest of the answer came 41.1 ms after its first part in 38 of 40 "
                       "rounds, and at once when this client acknowledged at once (quickack).";
    finding->count = 38;
    finding->cost_ns = 41120 * US;
    result_set_integer(arena, &finding->evidence, "baseline_p50_ns", 42100 * US);
    result_set_integer(arena, &finding->evidence, "quickack_p50_ns", 900 * US);
    result_set_real(arena, &finding->evidence, "p_value", 3.2e-9);
    result_set_bool(arena, &finding->evidence, "ack_held_answer", true);
    report->verdict = finding_verdict(&report->findings);
}

/* A stall whose server is to blame, whole. */
static inline void sample_stall(struct report *report)
{
    static const char *const notes[] = {
        "The kernel gave no SCHED stamps, so what waited in the device's queue counts as network."};

    sample_head(report);
    struct result_probe *probe = sample_probe(report, "localhost:8000");
    sample_arms(report, probe);
    probe->notes = notes;
    probe->note_count = 1;
    result_set_integer(&report->arena, &probe->tcp_info, "rcv_rtt_ns", 21 * US);
    result_set_integer(&report->arena, &probe->tcp_info, "snd_cwnd", 10);
    sample_nagle(report, "localhost:8000");
}

/* One target that refused. */
static inline void sample_refused(struct report *report)
{
    sample_head(report);
    struct result_probe *probe = &report_add(report, RESULT_PROBE)->probe;
    probe->target = "localhost:9";
    probe->address = "127.0.0.1";
    probe->port = 9;
    probe->resolve_ns = 300 * US;
    probe->error = (struct result_error){FINDING_CONNECTION_REFUSED, ECONNREFUSED,
                                         "connect to 127.0.0.1:9: Connection refused", NULL};
    report->verdict = FINDING_CONNECTION_REFUSED;
}

#endif
