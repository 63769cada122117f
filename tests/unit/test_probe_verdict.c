/* The verdicts, from synthetic rounds: each row of what must come out, and what must never. A round
 * is made by a small model of a conversation; what the kernel would have seen follows from it. */
#include "base/clock.h"
#include "diagnosis/probe_verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS     NS_PER_MS
#define US     NS_PER_US
#define NONE   RESULT_UNKNOWN
#define ROUNDS 40

static uint32_t seed;

static int64_t chance(int64_t below)
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

static struct round quiet(const struct service *service)
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

static void add_think(struct round *round, int64_t ns)
{
    round->part_ns[RESULT_PART_SERVER] += ns;
    round->wire_ns += ns;
    round->wait_ns += ns;
    if (ns > 40 * MS) /* its kernel acknowledges meanwhile */
        round->ack_ns = round->wire_ns - ns + 40 * MS;
}

/* The answer pauses: for the server's own time, for our ACK, or for both at once. */
static void add_pause(struct round *round, const struct service *service, bool quickack, bool late)
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

static void add_hold(struct round *round, const struct service *service)
{
    int64_t hold = service->server_ack_ns + service->rtt_ns + 10 * US + chance(3 * MS);

    round->hold_ns = round->part_ns[RESULT_PART_SEND_HOLD] = hold;
    round->hold_small = true;
    round->hold_after_ack_ns = 10 * US;
    round->held_ack_delay_ns = service->server_ack_ns;
}

static void add_cork(struct round *round, const struct service *service, enum probe_arm arm)
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

static struct round make(const struct service *service, enum probe_arm arm, bool first)
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

static struct probe_evidence evidence_of(const struct service *service, size_t rounds,
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

static void diagnose(const struct probe_evidence *evidence)
{
    arena_free(&arena);
    arena = (struct arena){0};
    findings = (struct finding_list){0};
    probe_verdict(&arena, evidence, &findings);
    assert_false(arena.failed);
    for (size_t i = 0; i < findings.count; i++)
        assert_true(findings.items[i].summary && *findings.items[i].summary);
}

static const struct finding *found(enum finding_code code)
{
    for (size_t i = 0; i < findings.count; i++)
        if (findings.items[i].code == code)
            return &findings.items[i];
    return NULL;
}

static void expect_verdict(enum finding_code code)
{
    enum finding_code got = finding_verdict(&findings);
    if (got != code)
        fail_msg("seed %u: verdict %s instead of %s: %s", seed, finding_entry(got)->name,
                 finding_entry(code)->name, findings.count ? findings.items[0].summary : "");
}

static void expect(const struct service *service, enum finding_code code)
{
    struct probe_evidence evidence = evidence_of(service, ROUNDS, ROUNDS);
    diagnose(&evidence);
    expect_verdict(code);
}

static void expect_cost(enum finding_code code, enum result_side side, int64_t low, int64_t high)
{
    const struct finding *finding = found(code);
    assert_non_null(finding);
    assert_int_equal(finding->side, side);
    if (finding->cost_ns < low || finding->cost_ns > high)
        fail_msg("%s costs %lld us", finding_entry(code)->name, (long long)finding->cost_ns / 1000);
    assert_true(finding->count > 0);
}

#define LOOPBACK .rtt_ns = 8 * US, .wakeup_ns = 60 * US

/* ---- the table ---- */

static void two_writes_with_nagle_on(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .server_nagle = true}, FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_null(found(FINDING_SERVER_THINK_TIME));
    assert_non_null(result_get(&found(FINDING_NAGLE_DELAYED_ACK)->evidence, "p_value"));
    expect(&(struct service){.rtt_ns = 20 * MS, .server_nagle = true}, FINDING_NAGLE_DELAYED_ACK);
}

static void two_writes_with_nodelay(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK}, FINDING_NONE);
    assert_int_equal(findings.count, 0);
}

/* Fresh connections: the first exchange of each, and the arms on persistent ones. */
static struct probe_evidence on_new_connections(const struct service *service, size_t others)
{
    struct probe_evidence evidence = evidence_of(service, others ? 20 : 0, others);
    evidence.new_connections = true;
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i] = make(service, ARM_BASELINE, true);
    evidence.fresh = (struct arm_rounds){store[PROBE_ARMS], ROUNDS};
    return evidence;
}

static void two_writes_on_new_connections(void **state)
{
    struct service service = {LOOPBACK, .server_nagle = true};
    (void)state;
    struct probe_evidence evidence = on_new_connections(&service, 20);
    diagnose(&evidence);
    expect_verdict(FINDING_STALL_WHEN_PERSISTENT);
    expect_cost(FINDING_STALL_WHEN_PERSISTENT, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    /* What was not tried is never plain ok, where it could stall. */
    evidence = on_new_connections(&service, 0);
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].arrivals = 2;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
    /* A server that closes anyway has no persistent connections that could. */
    evidence.persists = false;
    diagnose(&evidence);
    expect_verdict(FINDING_NONE);
    /* And a client whose own writes stall. */
    service = (struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS};
    evidence = on_new_connections(&service, 20);
    diagnose(&evidence);
    expect_verdict(FINDING_STALL_WHEN_PERSISTENT);
    expect_cost(FINDING_STALL_WHEN_PERSISTENT, RESULT_SIDE_CLIENT, 39 * MS, 46 * MS);
}

/* TLS 1.3: the first answer of each connection waits for our ACK of the session tickets. */
static void tickets_on_new_connections(void **state)
{
    struct service service = {LOOPBACK, .server_nagle = true};
    static struct round quick[10];
    (void)state;
    struct probe_evidence evidence = on_new_connections(&(struct service){LOOPBACK}, 20);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct round *round = &store[PROBE_ARMS][i];
        *round = make(&service, ARM_BASELINE, false);
        round->arrivals = 1;
        round->wait_ns = round->gap_ns;
        round->wait_after_bytes = 0;
    }
    /* Without the intervention that could be the server itself. */
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
    for (size_t i = 0; i < 10; i++)
        quick[i] = make(&(struct service){LOOPBACK}, ARM_QUICKACK, false);
    evidence.fresh_quickack = (struct arm_rounds){quick, 10};
    diagnose(&evidence);
    expect_verdict(FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_non_null(strstr(found(FINDING_NAGLE_DELAYED_ACK)->summary, "session tickets"));
    /* When acknowledging at once changes nothing, the server thinks. */
    for (size_t i = 0; i < 10; i++)
        quick[i] = store[PROBE_ARMS][i];
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    assert_non_null(strstr(found(FINDING_SERVER_THINK_TIME)->summary, "began to answer"));
    assert_null(found(FINDING_NAGLE_DELAYED_ACK));
}

static void think_time_on_new_connections(void **state)
{
    struct service service = {LOOPBACK, .think_ns = 40 * MS};
    (void)state;
    struct probe_evidence evidence = on_new_connections(&service, 20);
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    assert_int_equal(findings.count, 1);
}

static void a_request_in_two_writes(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, 39 * MS, 46 * MS);
    expect(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 0}, FINDING_NONE);
}

/* The server of a busy machine wakes up late when it had to wait, and not where nothing is held. */
static void late_only_behind_our_hold(void **state)
{
    struct service service = {LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS,
                              .percent_late = 30, .late_ns = 45 * MS};
    (void)state;
    expect(&service, FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, 39 * MS, 46 * MS);
    assert_null(found(FINDING_SERVER_THINK_TIME));
    /* One that thinks, whether we hold or not, is still named. */
    service.think_ns = 40 * MS;
    expect(&service, FINDING_NAGLE_DELAYED_ACK);
    assert_non_null(found(FINDING_SERVER_THINK_TIME));
}

static void a_server_that_thinks(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .think_ns = 40 * MS}, FINDING_SERVER_THINK_TIME);
    expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 39 * MS, 42 * MS);
    assert_int_equal(findings.count, 1);
}

static void half_an_answer_and_sleep(void **state)
{
    (void)state;
    for (int nagle = 0; nagle < 2; nagle++) {
        expect(&(struct service){LOOPBACK, .pause_ns = 65 * MS, .server_nagle = nagle},
               FINDING_SERVER_THINK_TIME);
        expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 64 * MS, 67 * MS);
        assert_int_equal(findings.count, 1);
        expect(&(struct service){LOOPBACK, .pause_ns = 41 * MS, .server_nagle = nagle},
               FINDING_SERVER_THINK_TIME);
        expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 40 * MS, 45 * MS);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    }
}

static void both_at_once(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .think_ns = 35 * MS, .server_nagle = true},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 34 * MS, 38 * MS);
    /* A pause inside the answer of which Nagle's algorithm has made a longer one. */
    expect(&(struct service){LOOPBACK, .pause_ns = 20 * MS, .server_nagle = true},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 19 * MS, 26 * MS);
    expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 19 * MS, 22 * MS);
    /* Both sides' writes. */
    expect(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS,
                             .server_nagle = true},
           FINDING_NAGLE_DELAYED_ACK);
    assert_int_equal(findings.count, 2);
    assert_true(findings.items[0].side != findings.items[1].side);
}

static void a_cork(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .cork_ns = 203 * MS, .answer_bytes = 300},
           FINDING_CORK_HOLD);
    expect_cost(FINDING_CORK_HOLD, RESULT_SIDE_SERVER, 200 * MS, 210 * MS);
    /* Too short to tell, and it says so. */
    expect(&(struct service){LOOPBACK, .cork_ns = 203 * MS, .answer_bytes = 60},
           FINDING_INCONCLUSIVE);
    assert_non_null(strstr(found(FINDING_INCONCLUSIVE)->summary, "TCP_CORK"));
    /* A server that thinks as long sends nothing earlier, however small a segment is. */
    expect(&(struct service){LOOPBACK, .think_ns = 203 * MS}, FINDING_SERVER_THINK_TIME);
    /* Our own delayed ACK can be as late: QUICKACK mends it, so it is no cork. */
    expect(&(struct service){LOOPBACK, .server_nagle = true, .our_ack_ns = 200 * MS},
           FINDING_NAGLE_DELAYED_ACK);
    /* Without arms nobody can tell. */
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .cork_ns = 203 * MS}, ROUNDS, 0);
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
}

static void a_server_that_does_not_read(void **state)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, ROUNDS, ROUNDS);
    (void)state;
    for (int arm = 0; arm < ARM_SMALL_MSS; arm++)
        for (size_t i = 0; i < ROUNDS; i++) {
            store[arm][i].part_ns[RESULT_PART_SEND_HOLD] = 150 * MS;
            store[arm][i].rwnd_limited_ns = 149 * MS;
            store[arm][i].retransmits = i == 3;
        }
    diagnose(&evidence);
    expect_verdict(FINDING_RECEIVE_WINDOW_LIMITED);
    assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_BASELINE][i].zero_window = true;
    diagnose(&evidence);
    expect_verdict(FINDING_ZERO_WINDOW);
}

static void a_window_that_stays_closed(void **state)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, 0, 0);
    struct round unfinished = {.rwnd_limited_ns = 600 * MS, .zero_window = true};
    (void)state;
    evidence.unfinished = &unfinished;
    evidence.error = FINDING_NO_RESPONSE;
    evidence.error_message = "nothing came";
    diagnose(&evidence);
    expect_verdict(FINDING_NO_RESPONSE);
    assert_non_null(found(FINDING_ZERO_WINDOW));
    assert_int_equal(found(FINDING_NO_RESPONSE)->severity, FINDING_ERROR);
}

static void failures_are_told_as_errors(void **state)
{
    static const struct {
        enum finding_code code;
        enum result_side side;
    } cases[] = {{FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER},
                 {FINDING_NAME_NOT_FOUND, RESULT_SIDE_CLIENT},
                 {FINDING_HOST_UNREACHABLE, RESULT_SIDE_NETWORK},
                 {FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NONE},
                 {FINDING_PATH_MTU, RESULT_SIDE_NETWORK},
                 {FINDING_NO_LOCAL_ADDRESS, RESULT_SIDE_CLIENT},
                 {FINDING_RESPONSE_TRUNCATED, RESULT_SIDE_SERVER}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, 0, 0);
        evidence.error = cases[i].code;
        evidence.error_message = "it failed";
        diagnose(&evidence);
        expect_verdict(cases[i].code);
        assert_int_equal(findings.count, 1);
        assert_int_equal(findings.items[0].side, cases[i].side);
        assert_string_equal(findings.items[0].summary, "it failed");
    }
}

/* A failure after some rounds does not hide what those showed. */
static void a_failure_in_the_middle(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .server_nagle = true}, ROUNDS, ROUNDS);
    (void)state;
    evidence.error = FINDING_CONNECTION_RESET;
    evidence.error_message = "reset";
    diagnose(&evidence);
    expect_verdict(FINDING_CONNECTION_RESET);
    assert_non_null(found(FINDING_NAGLE_DELAYED_ACK));
}

static void around_the_rounds(void **state)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, ROUNDS, ROUNDS);
    (void)state;
    evidence.syn_retransmits = 2;
    evidence.slow_connects = 1;
    evidence.resolve_ns = 5000 * MS;
    evidence.rtt_ns = 180 * MS;
    store[ARM_BASELINE][3].retransmits = 1;
    diagnose(&evidence);
    assert_non_null(found(FINDING_SYN_RETRANSMISSION));
    assert_non_null(found(FINDING_SLOW_RESOLVE));
    assert_non_null(found(FINDING_HIGH_RTT));
    assert_non_null(found(FINDING_RETRANSMISSION));
    evidence.resolve_ns = evidence.rtt_ns = NONE;
    evidence.syn_retransmits = evidence.slow_connects = 0;
    store[ARM_BASELINE][3].total_ns = 210 * MS;
    diagnose(&evidence);
    assert_int_equal(findings.count, 1);
    assert_non_null(found(FINDING_RETRANSMISSION_TIMEOUT));
}

static void a_late_ack_that_held_nothing(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .think_ns = 60 * MS}, ROUNDS, ROUNDS);
    (void)state;
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_BASELINE][i].ack_delay_ns = 41 * MS;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    assert_int_equal(found(FINDING_DELAYED_ACK)->cost_ns, 0);
}

/* ---- where evidence is missing ---- */

static void without_arms_the_server_is_not_blamed_for_nagle(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .server_nagle = true}, ROUNDS, 0);
    (void)state;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
}

static void without_stamps_the_client_is_not_blamed_for_nagle(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS},
                    ROUNDS, ROUNDS);
    (void)state;
    evidence.stamps_acked = false;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
}

/* A small last write that waits for the congestion window is let go by an ACK as well. */
static void a_congestion_window_is_not_nagle(void **state)
{
    for (size_t others = 0; others <= ROUNDS; others += ROUNDS) {
        struct probe_evidence evidence =
            evidence_of(&(struct service){.rtt_ns = 30 * MS, .wakeup_ns = 60 * US}, ROUNDS, others);
        (void)state;
        for (int arm = 0; arm < ARM_SMALL_MSS; arm++)
            for (size_t i = 0; i < evidence.arms[arm].count; i++) {
                store[arm][i].part_ns[RESULT_PART_SEND_HOLD] = store[arm][i].hold_ns = 60 * MS;
                store[arm][i].hold_small = true;
                store[arm][i].hold_after_ack_ns = 20 * US;
                store[arm][i].held_ack_delay_ns = 100 * US;
            }
        diagnose(&evidence);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
        expect_verdict(FINDING_INCONCLUSIVE);
    }
}

/* Over a long way Nagle's algorithm alone costs a round trip, and nobody's ACK was delayed: then
 * nobody says so. */
static void nagle_without_a_delayed_ack(void **state)
{
    (void)state;
    expect(&(struct service){.rtt_ns = 60 * MS, .client_nagle = true, .server_ack_ns = 0},
           FINDING_NAGLE_ROUND_TRIP);
    assert_null(strstr(found(FINDING_NAGLE_ROUND_TRIP)->summary, "delayed ACK"));
    expect_cost(FINDING_NAGLE_ROUND_TRIP, RESULT_SIDE_CLIENT, 59 * MS, 64 * MS);
}

static void few_rounds_claim_little(void **state)
{
    (void)state;
    for (size_t rounds = 0; rounds < 5; rounds++) {
        struct probe_evidence evidence =
            evidence_of(&(struct service){LOOPBACK, .server_nagle = true}, rounds, rounds);
        diagnose(&evidence);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
        expect_verdict(rounds >= 3 ? FINDING_INCONCLUSIVE : FINDING_NONE);
    }
}

/* ---- intermittent stalls ---- */

static void a_stall_in_every_third_round(void **state)
{
    (void)state;
    seed = 11;
    expect(&(struct service){LOOPBACK, .server_nagle = true, .percent = 34},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_in_range(found(FINDING_NAGLE_DELAYED_ACK)->count, 6, 24);
}

static void a_rare_delay_is_no_finding(void **state)
{
    (void)state;
    seed = 5;
    expect(&(struct service){LOOPBACK, .think_ns = 90 * MS, .percent = 5}, FINDING_NONE);
}

/* ---- noise ---- */

static void a_busy_machine_does_not_blame_the_server(void **state)
{
    (void)state;
    for (seed = 1; seed < 40;) {
        uint32_t first = seed;
        struct service service = {.rtt_ns = 8 * US, .wakeup_ns = 30 * MS};
        struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
        for (size_t i = 0; i < ROUNDS; i++) /* the server is as late as we are */
            add_think(&store[ARM_BASELINE][i], chance(30 * MS));
        diagnose(&evidence);
        enum finding_code verdict = finding_verdict(&findings);
        if (verdict != FINDING_NONE && verdict != FINDING_INCONCLUSIVE)
            fail_msg("from %u: %s", first, findings.items[0].summary);
        seed = first + 1;
    }
}

static void a_stall_stands_out_of_some_noise(void **state)
{
    (void)state;
    for (seed = 1; seed < 40;) {
        uint32_t first = seed;
        expect(&(struct service){.rtt_ns = 8 * US, .wakeup_ns = 6 * MS, .server_nagle = true},
               FINDING_NAGLE_DELAYED_ACK);
        seed = first + 1;
    }
}

/* ---- never wrong ---- */

/* A server that sleeps, however long, however irregularly, in all rounds or some, in the middle of
 * its answer or before it, is never called Nagle's. */
static void random_sleeps_are_never_nagle(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 4000; number++) {
        seed = number * 2654435761u;
        struct service service = {.rtt_ns = chance(3) ? 8 * US : chance(40 * MS),
                                  .wakeup_ns = chance(2) ? 60 * US : chance(20 * MS),
                                  .pause_ns = 1 * MS + chance(250 * MS),
                                  .pause_spread_ns = chance(2) ? 2 * MS : chance(80 * MS),
                                  .think_ns = chance(3) ? 0 : chance(60 * MS),
                                  .percent = chance(2) ? 0 : 20 + (int)chance(80)};
        if (number % 4 == 0)
            service.pause_ns = 38 * MS + chance(8 * MS); /* where it looks most alike */
        size_t rounds = 10 + (size_t)chance(40), others = 10 + (size_t)chance(30);
        struct probe_evidence evidence = evidence_of(&service, rounds, others);
        diagnose(&evidence);
        if (found(FINDING_NAGLE_DELAYED_ACK) || found(FINDING_CORK_HOLD))
            fail_msg("number %u: %s, pause %lld us, spread %lld us, %d%%: %s", number,
                     found(FINDING_CORK_HOLD) ? "cork" : "nagle",
                     (long long)service.pause_ns / 1000, (long long)service.pause_spread_ns / 1000,
                     service.percent, findings.items[findings.count - 1].summary);
    }
}

/* With Nagle's algorithm on, and a sleep of its own: what Nagle is said to cost is never more than
 * it did cost. */
static void nagles_share_is_never_too_large(void **state)
{
    size_t named = 0;
    (void)state;
    for (uint32_t number = 1; number <= 1000; number++) {
        seed = number * 2654435761u;
        struct service service = {LOOPBACK, .server_nagle = true, .pause_ns = chance(90 * MS)};
        struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
        diagnose(&evidence);
        int64_t most = 44 * MS - service.pause_ns;
        const struct finding *nagle = found(FINDING_NAGLE_DELAYED_ACK);
        named += nagle != NULL;
        if (nagle && nagle->cost_ns > (most > 0 ? most : 0) + 2 * MS)
            fail_msg("number %u: pause %lld us, cost %lld us: %s", number,
                     (long long)service.pause_ns / 1000, (long long)nagle->cost_ns / 1000,
                     nagle->summary);
        if (!nagle)
            assert_true(service.pause_ns > 25 * MS);
        if (service.pause_ns > 12 * MS)
            assert_non_null(found(FINDING_SERVER_THINK_TIME));
    }
    assert_true(named > 200);
}

static void random_thought_is_never_the_clients_nagle(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 500; number++) {
        seed = number * 40503u;
        struct service service = {LOOPBACK, .client_nagle = true, .server_ack_ns = 0,
                                  .think_ns = chance(200 * MS)};
        struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
        diagnose(&evidence);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    }
}

/* ---- what looks like another cause ---- */

/* One connection a round, to a listener of this host that serves one after the other. */
static void waiting_to_be_accepted(void **state)
{
    struct service service = {LOOPBACK, .think_ns = 220 * MS};
    (void)state;
    struct probe_evidence evidence = on_new_connections(&service, 0);
    evidence.persists = false;
    evidence.local = true;
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].accept_queue = 11;
    diagnose(&evidence);
    expect_verdict(FINDING_SLOW_ACCEPT);
    expect_cost(FINDING_SLOW_ACCEPT, RESULT_SIDE_SERVER, 219 * MS, 222 * MS);
    assert_int_equal(findings.count, 1);
    assert_non_null(strstr(found(FINDING_SLOW_ACCEPT)->summary, "up to 11"));
    /* A queue that only a few of the late rounds met is not what makes the others late. */
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].accept_queue = i % 4 ? 0 : 11;
    diagnose(&evidence);
    assert_null(found(FINDING_SLOW_ACCEPT));
    /* Nor does a queue delay what is not late. */
    service.think_ns = 0;
    evidence = on_new_connections(&service, 0);
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].accept_queue = 11;
    diagnose(&evidence);
    assert_null(found(FINDING_SLOW_ACCEPT));
}

/* The client pauses between its writes anyway: of a hold of 40 ms, 30 are lost. */
static void a_hold_costs_what_the_round_loses(void **state)
{
    struct service service = {LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS};
    (void)state;
    struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_NODELAY][i].total_ns += 10 * MS;
    diagnose(&evidence);
    expect_verdict(FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, 29 * MS, 34 * MS);
}

/* A large request takes a slow link's time, and so does its acknowledgement. */
static void an_upload_is_not_acknowledged_late(void **state)
{
    struct service service = {LOOPBACK};
    (void)state;
    struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
    for (size_t i = 0; i < ROUNDS; i++) {
        store[ARM_BASELINE][i].sent_bytes = 100000;
        store[ARM_BASELINE][i].ack_ns = store[ARM_BASELINE][i].ack_delay_ns = 160 * MS;
    }
    diagnose(&evidence);
    assert_null(found(FINDING_DELAYED_ACK));
    /* Of one segment it is late only where the path does not do the same to handshakes. */
    int64_t control[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        store[ARM_BASELINE][i].sent_bytes = 100;
        control[i] = i ? 160 * MS : service.rtt_ns;
    }
    diagnose(&evidence);
    assert_non_null(found(FINDING_DELAYED_ACK));
    evidence.control_ns = control;
    evidence.control_count = ROUNDS;
    diagnose(&evidence);
    assert_null(found(FINDING_DELAYED_ACK));
}

/* What stalls between a proxy and its upstream looks like thought: then the proxy is named. */
static void a_proxy_is_named(void **state)
{
    static const struct {
        const char *proxy, *server, *said;
    } cases[] = {
        {"Via: 1.1 varnish", "Server: Apache", "through a proxy (Via: 1.1 varnish)"},
        {NULL, "Server: nginx/1.26", "may come through a proxy (Server: nginx/1.26)"},
        {NULL, "Server: Apache", NULL},
        {NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_evidence evidence =
            evidence_of(&(struct service){LOOPBACK, .think_ns = 42 * MS}, ROUNDS, ROUNDS);
        evidence.http_proxy = cases[i].proxy;
        evidence.http_server = cases[i].server;
        diagnose(&evidence);
        const struct finding *think = found(FINDING_SERVER_THINK_TIME);
        assert_non_null(think);
        assert_non_null(strstr(think->remedy, "its upstream"));
        if (cases[i].said)
            assert_non_null(strstr(think->remedy, cases[i].said));
        else
            assert_null(strstr(think->remedy, "through a proxy"));
    }
}

static void one_late_round_of_five(void **state)
{
    static const struct service late[] = {
        {LOOPBACK, .think_ns = 60 * MS},
        {LOOPBACK, .pause_ns = 60 * MS},
        {LOOPBACK, .server_nagle = true},
        {LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS},
        {LOOPBACK, .cork_ns = 200 * MS},
    };
    const struct service healthy = {LOOPBACK};
    (void)state;
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        struct probe_evidence evidence = evidence_of(&healthy, 5, 10);
        store[ARM_BASELINE][2] = make(&late[i], ARM_BASELINE, false);
        diagnose(&evidence);
        assert_int_equal(findings.count, 0);
    }
}

static void arms_have_names(void **state)
{
    (void)state;
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        assert_int_equal(probe_arm_by_name(probe_arm_name((enum probe_arm)arm)), arm);
    assert_int_equal(probe_arm_by_name("none"), PROBE_ARMS);
}

static int reset(void **state)
{
    (void)state;
    seed = 1;
    return 0;
}

static int tidy(void **state)
{
    (void)state;
    arena_free(&arena);
    arena = (struct arena){0};
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, tidy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_writes_with_nagle_on),
        TEST(two_writes_with_nodelay),
        TEST(two_writes_on_new_connections),
        TEST(tickets_on_new_connections),
        TEST(think_time_on_new_connections),
        TEST(a_request_in_two_writes),
        TEST(late_only_behind_our_hold),
        TEST(a_server_that_thinks),
        TEST(half_an_answer_and_sleep),
        TEST(both_at_once),
        TEST(a_cork),
        TEST(a_server_that_does_not_read),
        TEST(a_window_that_stays_closed),
        TEST(failures_are_told_as_errors),
        TEST(a_failure_in_the_middle),
        TEST(around_the_rounds),
        TEST(a_late_ack_that_held_nothing),
        TEST(without_arms_the_server_is_not_blamed_for_nagle),
        TEST(without_stamps_the_client_is_not_blamed_for_nagle),
        TEST(a_congestion_window_is_not_nagle),
        TEST(nagle_without_a_delayed_ack),
        TEST(few_rounds_claim_little),
        TEST(a_stall_in_every_third_round),
        TEST(a_rare_delay_is_no_finding),
        TEST(a_busy_machine_does_not_blame_the_server),
        TEST(a_stall_stands_out_of_some_noise),
        TEST(random_sleeps_are_never_nagle),
        TEST(nagles_share_is_never_too_large),
        TEST(random_thought_is_never_the_clients_nagle),
        TEST(waiting_to_be_accepted),
        TEST(a_hold_costs_what_the_round_loses),
        TEST(an_upload_is_not_acknowledged_late),
        TEST(a_proxy_is_named),
        TEST(one_late_round_of_five),
        TEST(arms_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
