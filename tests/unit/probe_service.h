/* Rounds with a made-up service, for the tests of the verdicts. A round is made by a small model of
 * a conversation; what the kernel would have seen follows from it. */
#ifndef TESTS_PROBE_SERVICE_H
#define TESTS_PROBE_SERVICE_H

#include "base/clock.h"
#include "diagnosis/probe_verdict.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS     NS_PER_MS
#define US     NS_PER_US
#define NONE   RESULT_UNKNOWN
#define ROUNDS 40

static uint32_t seed;

static inline int64_t chance(int64_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return below > 0 ? (int64_t)(seed >> 4) % below : 0;
}

/* What a service and its client do in a round; 0 is "not at all". */
struct service {
    int64_t think_ns; /* before the answer */
    int64_t pause_ns; /* inside the answer, of the server's own will */
    int64_t pause_spread_ns;
    bool server_nagle;     /* the second half waits for our ACK */
    bool client_nagle;     /* a small write of ours waits for the server's ACK */
    int64_t server_ack_ns; /* how long the server delays its ACKs */
    int64_t cork_ns;       /* the end of the answer waits */
    uint64_t answer_bytes, head_bytes;
    int64_t rtt_ns;
    int64_t wakeup_ns;  /* how late our process is, at most */
    int percent;        /* of the rounds that do any of this; 0: all */
    int64_t our_ack_ns; /* our delayed ACK; 0: 40 to 44 ms */
    int percent_late;   /* of the rounds that are held: the server wakes up late, by late_ns */
    int64_t late_ns;
};

static inline struct round quiet(const struct service *service)
{
    struct round round = {.wire_ns = service->rtt_ns + 20 * US,
                          .hold_after_ack_ns = NONE,
                          .held_ack_delay_ns = NONE,
                          .ack_ns = NONE,
                          .ack_delay_ns = NONE,
                          .segment_ns = NONE,
                          .gap_ack_lag_min_ns = NONE,
                          .gap_ack_lag_max_ns = NONE,
                          .arrivals = 1,
                          .sent_bytes = 24,
                          .received_bytes = service->answer_bytes ? service->answer_bytes : 300};
    round.part_ns[RESULT_PART_OTHER] = 10 * US + chance(5 * US);
    round.part_ns[RESULT_PART_NETWORK] = service->rtt_ns;
    round.part_ns[RESULT_PART_SERVER] = 20 * US + chance(30 * US);
    round.part_ns[RESULT_PART_WAKEUP] = 10 * US + chance(service->wakeup_ns);
    round.wait_ns = service->rtt_ns + round.part_ns[RESULT_PART_SERVER];
    return round;
}

static inline void add_think(struct round *round, int64_t ns)
{
    round->part_ns[RESULT_PART_SERVER] += ns;
    round->wire_ns += ns;
    round->wait_ns += ns;
    if (ns > 40 * MS) /* its kernel acknowledges meanwhile */
        round->ack_ns = round->wire_ns - ns + 40 * MS;
}

/* The answer pauses: for the server's own time, for our ACK, or for both at once. */
static inline void add_pause(struct round *round, const struct service *service, bool quickack,
                             bool late)
{
    int64_t own = service->pause_ns + chance(service->pause_spread_ns);
    int64_t ack = quickack                       ? 20 * US
                  : service->our_ack_ns && !late ? service->our_ack_ns
                                                 : 40 * MS + chance(4 * MS);
    int64_t gap =
        service->server_nagle && ack + service->rtt_ns > own ? ack + service->rtt_ns : own;

    if (gap < 300 * US)
        return;
    round->arrivals = 2;
    round->gap_ns = gap;
    round->gap_after_bytes = 100;
    round->pauses = 1;
    round->gap_watched = true;
    round->gap_acked = ack < gap;
    if (round->gap_acked) {
        round->gap_ack_lag_min_ns = gap - ack > 900 * US ? gap - ack - chance(900 * US) : 0;
        round->gap_ack_lag_max_ns = round->gap_ack_lag_min_ns + 1100 * US;
    }
    round->part_ns[RESULT_PART_GAP] = gap;
    if (gap > round->wait_ns) {
        round->wait_ns = gap;
        round->wait_after_bytes = 100;
    }
}

static inline void add_hold(struct round *round, const struct service *service)
{
    int64_t hold = service->server_ack_ns + service->rtt_ns + 10 * US + chance(3 * MS);

    round->hold_ns = round->part_ns[RESULT_PART_SEND_HOLD] = hold;
    round->hold_small = true;
    round->hold_after_ack_ns = 10 * US;
    round->held_ack_delay_ns = service->server_ack_ns;
}

static inline void add_cork(struct round *round, const struct service *service, enum probe_arm arm)
{
    uint64_t segment = arm == ARM_SMALL_MSS ? 76 : 32768;

    round->wait_ns = service->cork_ns + chance(4 * MS);
    round->wait_after_bytes = round->received_bytes / segment * segment;
    if (!round->wait_after_bytes) {
        round->wire_ns = round->wait_ns;
        round->ack_ns = service->rtt_ns + 40 * MS;
    }
    round->part_ns[round->wait_after_bytes ? RESULT_PART_GAP : RESULT_PART_SERVER] = round->wait_ns;
    round->arrivals = round->wait_after_bytes ? 2 : 1;
}

static inline struct round make(const struct service *service, enum probe_arm arm, bool first)
{
    struct round round = quiet(service);
    bool quickack = first || arm == ARM_QUICKACK || arm == ARM_BOTH;
    bool nodelay = arm == ARM_NODELAY || arm == ARM_BOTH || arm == ARM_SINGLE_WRITE;

    if (!service->percent || chance(100) < service->percent) {
        if (service->client_nagle && !nodelay && !first) {
            add_hold(&round, service);
            if (chance(100) < service->percent_late)
                add_think(&round, service->late_ns);
        }
        if (service->think_ns)
            add_think(&round, service->think_ns + chance(MS));
        if (service->pause_ns || service->server_nagle)
            add_pause(&round, service, quickack, arm == ARM_LATE_ACK);
        if (service->cork_ns)
            add_cork(&round, service, arm);
    }
    for (int part = 0; part < RESULT_PARTS; part++)
        round.total_ns += round.part_ns[part];
    return round;
}

static struct round store[PROBE_ARMS + 1][512];

static inline struct probe_evidence evidence_of(const struct service *service, size_t rounds,
                                                size_t others)
{
    struct probe_evidence evidence = {.target = "host:7",
                                      .persists = true,
                                      .interventions = others > 0,
                                      .stamps_queued = true,
                                      .stamps_acked = true,
                                      .request_writes = service->client_nagle ? 2 : 1,
                                      .mss_bytes = 32768,
                                      .stall_ns = 10 * MS,
                                      .rtt_ns = service->rtt_ns,
                                      .resolve_ns = 40 * US};

    for (int arm = 0; arm < PROBE_ARMS; arm++) {
        size_t count = arm == ARM_BASELINE ? rounds : others;
        if (arm == ARM_SMALL_MSS && !service->cork_ns && service->think_ns < 190 * MS)
            count = 0;
        for (size_t i = 0; i < count; i++)
            store[arm][i] = make(service, (enum probe_arm)arm, false);
        evidence.arms[arm] = (struct arm_rounds){store[arm], count};
        if (arm == ARM_SMALL_MSS && count)
            evidence.small_mss_bytes = 76;
    }
    return evidence;
}

/* ---- judging ---- */

static struct arena arena;
static struct finding_list findings;

static inline void diagnose(const struct probe_evidence *evidence)
{
    arena_free(&arena);
    arena = (struct arena){0};
    findings = (struct finding_list){0};
    probe_verdict(&arena, evidence, &findings);
    assert_false(arena.failed);
    for (size_t i = 0; i < findings.count; i++)
        assert_true(findings.items[i].summary && *findings.items[i].summary);
}

static inline const struct finding *found(enum finding_code code)
{
    for (size_t i = 0; i < findings.count; i++)
        if (findings.items[i].code == code)
            return &findings.items[i];
    return NULL;
}

static inline void expect_verdict(enum finding_code code)
{
    enum finding_code got = finding_verdict(&findings);
    if (got != code)
        fail_msg("seed %u: verdict %s instead of %s: %s", seed, finding_entry(got)->name,
                 finding_entry(code)->name, findings.count ? findings.items[0].summary : "");
}

static inline void expect(const struct service *service, enum finding_code code)
{
    struct probe_evidence evidence = evidence_of(service, ROUNDS, ROUNDS);
    diagnose(&evidence);
    expect_verdict(code);
}

static inline void expect_cost(enum finding_code code, enum result_side side, int64_t low,
                               int64_t high)
{
    const struct finding *finding = found(code);
    assert_non_null(finding);
    assert_int_equal(finding->side, side);
    if (finding->cost_ns < low || finding->cost_ns > high)
        fail_msg("%s costs %lld us", finding_entry(code)->name, (long long)finding->cost_ns / 1000);
    assert_true(finding->count > 0);
}

#define LOOPBACK .rtt_ns = 8 * US, .wakeup_ns = 60 * US

/* Fresh connections: the first exchange of each, and the arms on persistent ones. */
static inline struct probe_evidence on_new_connections(const struct service *service, size_t others)
{
    struct probe_evidence evidence = evidence_of(service, others ? 20 : 0, others);
    evidence.new_connections = true;
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i] = make(service, ARM_BASELINE, true);
    evidence.fresh = (struct arm_rounds){store[PROBE_ARMS], ROUNDS};
    return evidence;
}

static inline int reset(void **state)
{
    (void)state;
    seed = 1;
    return 0;
}

static inline int tidy(void **state)
{
    (void)state;
    arena_free(&arena);
    arena = (struct arena){0};
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

#endif
