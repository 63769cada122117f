/* What becomes of a connect: measurements in, a case and a finding out. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "diagnosis/reach.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS NS_PER_MS
#define S  NS_PER_SEC

#define TARGET "192.0.2.7"
#define ROUTER "192.0.2.1"
#define OURS   "198.51.100.1"

#define CONNECTED(rtt)                                                                             \
    {                                                                                              \
        .answer = REACH_CONNECTED, .took_ns = (rtt) + MS, .rtt_ns = (rtt)                          \
    }
#define AGAIN(times)                                                                               \
    {                                                                                              \
        .answer = REACH_CONNECTED, .took_ns = (times)*S, .rtt_ns = RESULT_UNKNOWN,                 \
        .syn_retransmits = (times)                                                                 \
    }
/* A SYN was sent again, and SYN,ACK echoes one that was `echo` old when it came. */
#define ECHOED(took, echo)                                                                         \
    {                                                                                              \
        .answer = REACH_CONNECTED, .took_ns = (took), .rtt_ns = RESULT_UNKNOWN,                    \
        .syn_retransmits = 1, .echo_ns = (echo)                                                    \
    }
#define RST                                                                                        \
    {                                                                                              \
        .answer = REACH_RST, .number = ECONNREFUSED, .took_ns = MS, .rtt_ns = RESULT_UNKNOWN       \
    }
#define SILENCE(times)                                                                             \
    {                                                                                              \
        .answer = REACH_SILENCE, .took_ns = 10 * S, .rtt_ns = RESULT_UNKNOWN,                      \
        .syn_retransmits = (times)                                                                 \
    }
#define ICMP_FROM(sender, own, t, c, code_of_errno)                                                \
    {                                                                                              \
        .answer = REACH_ICMP, .number = (code_of_errno), .took_ns = MS, .rtt_ns = RESULT_UNKNOWN,  \
        .icmp = {                                                                                  \
            .type = (t),                                                                           \
            .code = (c),                                                                           \
            .from = (sender),                                                                      \
            .ours = (own)                                                                          \
        }                                                                                          \
    }
#define ICMP(sender, t, c, code_of_errno) ICMP_FROM(sender, false, t, c, code_of_errno)
#define OUR_ICMP(t, c, code_of_errno)     ICMP_FROM(OURS, true, t, c, code_of_errno)
#define LOCAL(code_of_errno)                                                                       \
    {                                                                                              \
        .answer = REACH_REFUSED, .number = (code_of_errno), .rtt_ns = RESULT_UNKNOWN               \
    }

struct diagnosed {
    struct arena arena;
    struct result_reach result;
    struct finding_list findings;
};

static struct reach_evidence with(const struct reach_try *tries, size_t count)
{
    return (struct reach_evidence){.target = "db:5432",
                                   .address = TARGET,
                                   .port = 5432,
                                   .resolve_ns = RESULT_UNKNOWN,
                                   .source = OURS,
                                   .tries = tries,
                                   .try_count = count,
                                   .settings = kernel_timers_defaults};
}

/* What holds of every diagnosis. */
static void assert_whole(const struct reach_evidence *evidence, const struct diagnosed *out)
{
    const struct result_reach *result = &out->result;
    bool told = result->error.code == FINDING_NONE;

    assert_non_null(result->reach_case);
    assert_true(result->ok == (result->error.code == FINDING_NONE));
    assert_true(!result->cannot_tell == !result->would_tell);
    for (size_t i = 0; i < out->findings.count; i++) {
        const struct finding *finding = &out->findings.items[i];
        assert_string_equal(finding->target, evidence->target);
        assert_true(finding->summary && *finding->summary);
        assert_true(finding->remedy && *finding->remedy);
        told |= finding->code == result->error.code;
    }
    assert_true(told);
}

static void diagnose(struct diagnosed *out, const struct reach_evidence *evidence)
{
    *out = (struct diagnosed){0};
    out->result.resolve_ns = out->result.connect_ns = out->result.rtt_ns = RESULT_UNKNOWN;
    out->result.syns_least = out->result.syns_most = out->result.syns_sent = RESULT_UNKNOWN;
    reach_diagnose(&out->arena, evidence, &out->result, &out->findings);
    assert_whole(evidence, out);
}

static void assert_case(const struct reach_evidence *evidence, const char *name,
                        enum finding_code code, enum result_side side)
{
    struct diagnosed out;

    diagnose(&out, evidence);
    assert_string_equal(out.result.reach_case, name);
    if (code == FINDING_NONE) {
        assert_int_equal(out.findings.count, 0);
    } else {
        assert_int_equal(out.findings.items[0].code, code);
        assert_int_equal(out.findings.items[0].side, side);
    }
    arena_free(&out.arena);
}

#define ASSERT_CASE(evidence, name, code, side)                                                    \
    assert_case(evidence, name, FINDING_##code, RESULT_SIDE_##side)

static void what_connects(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum finding_code code;
        enum result_side side;
        struct reach_try tries[3];
    } rows[] = {
        {"accepted",
         FINDING_NONE,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(2 * MS), CONNECTED(MS)}},
        /* Slow, but not by enough; uneven, but by little. */
        {"accepted",
         FINDING_NONE,
         RESULT_SIDE_NONE,
         {CONNECTED(99 * MS), CONNECTED(99 * MS), CONNECTED(140 * MS)}},
        {"accepted",
         FINDING_NONE,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(90 * MS), CONNECTED(MS)}},
        {"slow-path",
         FINDING_HIGH_RTT,
         RESULT_SIDE_NETWORK,
         {CONNECTED(100 * MS), CONNECTED(180 * MS), CONNECTED(120 * MS)}},
        {"answered-late",
         FINDING_LATE_SYNACK,
         RESULT_SIDE_NONE,
         {CONNECTED(2 * MS), CONNECTED(300 * MS), CONNECTED(2 * MS)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {AGAIN(1), CONNECTED(MS), CONNECTED(MS)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {AGAIN(2), AGAIN(1), AGAIN(3)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(MS), SILENCE(6)}},
        /* The answer to the first SYN is late, not lost: always, or once. */
        {"answered-late",
         FINDING_LATE_SYNACK,
         RESULT_SIDE_NONE,
         {ECHOED(1200 * MS, 1200 * MS), ECHOED(1203 * MS, 1201 * MS),
          ECHOED(1900 * MS, 1900 * MS)}},
        {"answered-late",
         FINDING_LATE_SYNACK,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), ECHOED(1200 * MS, 1199 * MS), CONNECTED(2 * MS)}},
        /* The second SYN was answered: the first one was lost, or dropped. */
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {ECHOED(1200 * MS, 200 * MS), ECHOED(1200 * MS, 200 * MS), ECHOED(1200 * MS, 200 * MS)}},
        /* The first SYN was answered, and that answer lost: the next one came with the second SYN,
         * a round trip later. */
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {ECHOED(1060 * MS, 1060 * MS), ECHOED(1060 * MS, 1060 * MS),
          ECHOED(1061 * MS, 1060 * MS)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {CONNECTED(180 * MS), ECHOED(1200 * MS, 1200 * MS), CONNECTED(185 * MS)}},
        {"unsteady",
         FINDING_CONNECTION_REFUSED,
         RESULT_SIDE_SERVER,
         {CONNECTED(MS), RST, CONNECTED(MS)}},
        {"unsteady",
         FINDING_INCONCLUSIVE,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(MS), ICMP(ROUTER, 3, 1, EHOSTUNREACH)}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reach_evidence evidence = with(rows[i].tries, 3);
        assert_case(&evidence, rows[i].name, rows[i].code, rows[i].side);
    }
}

static void the_ports_of_this_host(void **state)
{
    static const struct reach_try attempt = LOCAL(EADDRNOTAVAIL);
    struct reach_evidence evidence = with(&attempt, 1);
    struct diagnosed out;

    (void)state;
    evidence.ports = "all are in use";
    evidence.port_first = 40000;
    evidence.port_last = 40019;
    for (uint32_t taken = 19; taken <= 20; taken++) {
        evidence.ports_taken = taken;
        diagnose(&out, &evidence);
        assert_string_equal(out.result.reach_case, "no-local-address");
        assert_non_null(strstr(out.findings.items[0].summary, "all are in use"));
        assert_true(!out.result.cannot_tell == (taken == 20));
        arena_free(&out.arena);
    }
}

static void what_fails(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum finding_code code;
        enum result_side side;
        struct reach_try attempt;
    } rows[] = {
        {"refused", FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER, RST},
        {"silent", FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NONE, SILENCE(7)},
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 3, 13, EHOSTUNREACH)},
        /* The errno of an RST, and yet none. */
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 3, 3, ECONNREFUSED)},
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_SERVER,
         ICMP(TARGET, 3, 3, ECONNREFUSED)},
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_CLIENT, OUR_ICMP(3, 3, ECONNREFUSED)},
        {"host-unreachable", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE,
         ICMP(ROUTER, 3, 1, EHOSTUNREACH)},
        {"host-unreachable", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE,
         ICMP(TARGET, 3, 1, EHOSTUNREACH)},
        {"no-neighbour", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE, OUR_ICMP(3, 1, EHOSTUNREACH)},
        {"network-unreachable", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 3, 0, ENETUNREACH)},
        {"routing-loop", FINDING_ROUTING_LOOP, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 11, 0, EHOSTUNREACH)},
        {"icmp-error", FINDING_INCONCLUSIVE, RESULT_SIDE_NETWORK, ICMP(ROUTER, 12, 0, EPROTO)},
        {"icmp-error", FINDING_INCONCLUSIVE, RESULT_SIDE_NETWORK, ICMP(ROUTER, 99, 9, EPROTO)},
        {"no-route", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_CLIENT, LOCAL(ENETUNREACH)},
        {"no-route", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_CLIENT, LOCAL(EHOSTUNREACH)},
        {"no-route", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_CLIENT, LOCAL(EINVAL)},
        {"not-permitted", FINDING_NOT_PERMITTED, RESULT_SIDE_CLIENT, LOCAL(EACCES)},
        {"not-permitted", FINDING_NOT_PERMITTED, RESULT_SIDE_CLIENT, LOCAL(EPERM)},
        {"no-local-address", FINDING_NO_LOCAL_ADDRESS, RESULT_SIDE_CLIENT, LOCAL(EADDRNOTAVAIL)},
        {"untried", FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, LOCAL(EIO)},
        {"untried",
         FINDING_INCONCLUSIVE,
         RESULT_SIDE_NONE,
         {.answer = REACH_UNTRIED, .number = EMFILE, .rtt_ns = RESULT_UNKNOWN}},
        {"reset-at-once",
         FINDING_CONNECTION_RESET,
         RESULT_SIDE_SERVER,
         {.answer = REACH_RESET, .number = ECONNRESET, .rtt_ns = RESULT_UNKNOWN}},
        {"met-itself",
         FINDING_CONNECTION_REFUSED,
         RESULT_SIDE_SERVER,
         {.answer = REACH_ITSELF, .rtt_ns = RESULT_UNKNOWN}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reach_evidence evidence = with(&rows[i].attempt, 1);
        assert_case(&evidence, rows[i].name, rows[i].code, rows[i].side);
    }
}

/* An ICMP message names its sender; it says more than an RST, and both more than silence. */
static void what_proves_more_decides(void **state)
{
    (void)state;
    static const struct reach_try tries[] = {RST, ICMP(ROUTER, 3, 13, EHOSTUNREACH)};
    static const struct reach_try others[] = {RST, SILENCE(3)};
    struct reach_evidence evidence = with(tries, 2), other = with(others, 2);

    ASSERT_CASE(&evidence, "rejected", CONNECTION_REJECTED, NETWORK);
    ASSERT_CASE(&other, "refused", CONNECTION_REFUSED, SERVER);
}

static void nothing_was_tried(void **state)
{
    (void)state;
    struct reach_evidence evidence = with(NULL, 0), nameless = with(NULL, 0);

    ASSERT_CASE(&evidence, "untried", INCONCLUSIVE, NONE);
    nameless.address = NULL;
    nameless.resolve_error = "cannot resolve 'db': no such host";
    ASSERT_CASE(&nameless, "no-name", NAME_NOT_FOUND, CLIENT);
}

static void a_slow_name_is_a_finding_of_its_own(void **state)
{
    (void)state;
    static const struct reach_try tries[] = {CONNECTED(MS)};
    struct reach_evidence evidence = with(tries, 1);

    evidence.resolve_ns = 499 * MS;
    ASSERT_CASE(&evidence, "accepted", NONE, NONE);
    evidence.resolve_ns = 500 * MS;
    ASSERT_CASE(&evidence, "accepted", SLOW_RESOLVE, CLIENT);
}

/* ---- what this host knows ---- */

static const struct result_route on_link = {.device = "eth0", .neighbour = "FAILED"};
static const struct result_route by_gateway = {
    .device = "eth0", .gateway = ROUTER, .neighbour = "INCOMPLETE"};
static const struct result_route reachable = {
    .device = "eth0", .gateway = ROUTER, .neighbour = "REACHABLE"};
static const struct result_route here = {.device = "lo", .local = true};

static void a_neighbour_that_is_not_there(void **state)
{
    (void)state;
    static const struct reach_try icmp[] = {OUR_ICMP(3, 1, EHOSTUNREACH)};
    static const struct reach_try brief[] = {SILENCE(0)};
    struct reach_evidence evidence = with(icmp, 1), short_of = with(brief, 1);
    struct diagnosed out;

    evidence.route = &on_link;
    diagnose(&out, &evidence);
    assert_string_equal(out.result.reach_case, "no-neighbour");
    assert_null(out.result.cannot_tell);
    arena_free(&out.arena);

    /* Without the neighbour's state a firewall of our own could have said the same. */
    evidence.route = &reachable;
    diagnose(&out, &evidence);
    assert_string_equal(out.result.reach_case, "no-neighbour");
    assert_non_null(strstr(out.result.cannot_tell, "firewall"));
    arena_free(&out.arena);

    /* Our patience was over before the kernel's. */
    short_of.route = &by_gateway;
    ASSERT_CASE(&short_of, "no-neighbour", HOST_UNREACHABLE, NETWORK);
    short_of.route = &reachable;
    ASSERT_CASE(&short_of, "silent", CONNECT_TIMEOUT, NONE);
}

static void a_listener_of_this_host(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)}, again[] = {AGAIN(1)}, rst[] = {RST};
    struct reach_evidence evidence = with(silent, 1), retried = with(again, 1),
                          refused = with(rst, 1);
    struct diagnosed out;

    evidence.route = retried.route = refused.route = &here;
    evidence.listener = retried.listener =
        (struct reach_listener){.seen = true, .queue = 6, .limit = 5};
    ASSERT_CASE(&evidence, "listener-overloaded", ACCEPT_QUEUE_OVERFLOW, SERVER);
    ASSERT_CASE(&retried, "listener-overloaded", ACCEPT_QUEUE_OVERFLOW, SERVER);
    /* A queue that is just full takes one more. */
    evidence.listener.queue = retried.listener.queue = 5;
    ASSERT_CASE(&evidence, "silent", CONNECT_TIMEOUT, NONE);
    ASSERT_CASE(&retried, "answered-after-retries", SYN_RETRANSMISSION, NONE);

    diagnose(&out, &refused);
    assert_null(out.result.cannot_tell);
    arena_free(&out.arena);
    refused.listener = (struct reach_listener){.seen = true, .limit = 5};
    diagnose(&out, &refused);
    assert_non_null(strstr(out.result.cannot_tell, "firewall"));
    arena_free(&out.arena);
    /* One for IPv6 only explains the refusal. */
    refused.listener.v6_for_v4 = true;
    diagnose(&out, &refused);
    assert_null(out.result.cannot_tell);
    arena_free(&out.arena);
}

static void silence_has_its_prediction(void **state)
{
    (void)state;
    static const struct reach_try tries[] = {SILENCE(6)};
    struct reach_evidence evidence = with(tries, 1);
    struct diagnosed out;

    diagnose(&out, &evidence);
    assert_int_equal(out.result.syns_sent, 7);
    /* 0 1 2 3 4 5 7 s, and 11 s is over; with late timers the one of 7 s is at 8 s. */
    assert_int_equal(out.result.syns_most, 7);
    assert_int_equal(out.result.syns_least, 7);
    assert_int_equal(out.result.gives_up_ns, 131 * S);
    arena_free(&out.arena);
}

/* ---- the path ---- */

#define HOP(sender) ICMP(sender, 11, 0, EHOSTUNREACH)

static const char *end_of(struct diagnosed *out, struct reach_evidence *evidence,
                          const struct reach_try *hops, size_t count)
{
    evidence->hops = hops;
    evidence->hop_count = count;
    diagnose(out, evidence);
    assert_int_equal(out->result.path->hop_count, count);
    return out->result.path->end;
}

static void a_path_says_where_it_ends(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)}, rejected[] = {ICMP(ROUTER, 3, 13, 1)};
    static const struct reach_try lost[] = {HOP("192.0.2.8"), HOP(ROUTER), SILENCE(2), SILENCE(2)};
    static const struct reach_try nothing[] = {SILENCE(2), SILENCE(2)};
    static const struct reach_try reject[] = {HOP("192.0.2.8"), SILENCE(2), HOP(ROUTER),
                                              ICMP(ROUTER, 3, 13, 1)};
    static const struct reach_try there[] = {HOP(ROUTER), SILENCE(2), CONNECTED(MS)};
    struct reach_evidence evidence = with(silent, 1), by_icmp = with(rejected, 1);
    struct diagnosed out;

    const char *end = end_of(&out, &evidence, lost, 4);
    assert_non_null(strstr(end, ROUTER " (hop 2)"));
    assert_non_null(strstr(end, "does not prove"));
    assert_null(out.result.path->hops[2].address);
    arena_free(&out.arena);

    assert_non_null(strstr(end_of(&out, &evidence, nothing, 2), "not even the first"));
    arena_free(&out.arena);

    assert_non_null(strstr(end_of(&out, &evidence, there, 3), "answers at hop 3"));
    assert_non_null(strstr(out.result.path->end, "prove nothing"));
    assert_string_equal(out.result.path->hops[2].address, TARGET);
    arena_free(&out.arena);

    /* It let the SYN with a shorter life die, and rejects the next: the same router. */
    assert_non_null(strstr(end_of(&out, &by_icmp, reject, 4), "the router at hop 3"));
    assert_non_null(strstr(out.findings.items[0].summary, "hop 3 of the path"));
    arena_free(&out.arena);
}

static void a_time_with_two_syns_is_no_time(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)};
    struct reach_try hops[] = {HOP(ROUTER), HOP(ROUTER)};
    struct reach_evidence evidence = with(silent, 1);
    struct diagnosed out;

    hops[1].syn_retransmits = 1;
    end_of(&out, &evidence, hops, 2);
    assert_int_equal(out.result.path->hops[0].rtt_ns, MS);
    assert_true(out.result.path->hops[1].rtt_ns == RESULT_UNKNOWN);
    arena_free(&out.arena);
}

/* ---- other targets ---- */

static void other_ports_show_that_a_host_is_alive(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)}, connects[] = {CONNECTED(MS)},
                                  rst[] = {RST}, again[] = {AGAIN(1)};
    struct reach_evidence quiet = with(silent, 1), open = with(connects, 1), refused = with(rst, 1),
                          elsewhere = with(connects, 1), twin = with(silent, 1),
                          late = with(again, 1);
    struct diagnosed out;

    open.port = 80;
    open.target = "db:80";
    refused.port = 81;
    refused.target = "db:81";
    late.port = 82;
    elsewhere.address = "192.0.2.99";
    elsewhere.port = 80;

    /* The same port again says nothing, nor does another host. */
    struct reach_evidence *strangers[] = {&quiet, &elsewhere, &twin};
    reach_find_others(strangers, 3);
    ASSERT_CASE(&quiet, "silent", CONNECT_TIMEOUT, NONE);

    /* An RST could be a firewall's; a connection says more. */
    struct reach_evidence *some[] = {&quiet, &refused};
    reach_find_others(some, 2);
    diagnose(&out, &quiet);
    assert_string_equal(out.result.reach_case, "filtered");
    assert_non_null(strstr(out.findings.items[0].summary, "unless a firewall"));
    arena_free(&out.arena);

    struct reach_evidence *all[] = {&refused, &late, &quiet, &open, &elsewhere};
    reach_find_others(all, 5);
    assert_string_equal(quiet.other.target, "db:80");
    diagnose(&out, &quiet);
    assert_non_null(strstr(out.findings.items[0].summary, "db:80, on the same address, connected"));
    arena_free(&out.arena);
    diagnose(&out, &late);
    assert_non_null(strstr(out.findings.items[0].summary, "proves neither"));
    arena_free(&out.arena);
    assert_ptr_not_equal(open.other.target, open.target);
}

static void distances_tell_who_sends_an_rst(void **state)
{
    (void)state;
    static const struct reach_try rst[] = {RST}, silent[] = {SILENCE(7)};
    static const struct reach_try near[] = {HOP(ROUTER), RST};
    static const struct reach_try vanished[] = {HOP("192.0.2.8"), HOP(ROUTER), SILENCE(2)};
    struct reach_evidence refused = with(rst, 1), quiet = with(silent, 1);

    refused.hops = near;
    refused.hop_count = 2;
    refused.other = (struct reach_other){.target = "db:80", .answer = REACH_CONNECTED, .hop = 3};
    ASSERT_CASE(&refused, "refused-on-the-way", CONNECTION_REJECTED, NETWORK);
    /* As far away, or not known how far. */
    refused.other.hop = 2;
    ASSERT_CASE(&refused, "refused", CONNECTION_REFUSED, SERVER);
    refused.other.hop = 0;
    ASSERT_CASE(&refused, "refused", CONNECTION_REFUSED, SERVER);

    struct diagnosed out;
    quiet.other = (struct reach_other){.target = "db:80", .answer = REACH_CONNECTED, .hop = 3};
    assert_non_null(strstr(end_of(&out, &quiet, vanished, 3), "the last router before the host"));
    arena_free(&out.arena);
}

/* ---- whatever comes ---- */

static uint32_t random_below(uint32_t *seed, uint32_t bound)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % bound;
}

static struct reach_try random_try(uint32_t *seed)
{
    static const char *const senders[] = {NULL, TARGET, ROUTER, OURS};
    static const int numbers[] = {0, ECONNREFUSED, ETIMEDOUT, EACCES, EIO, ENETUNREACH, EINVAL};
    struct reach_try attempt = {.answer = (enum reach_answer)random_below(seed, REACH_ANSWERS),
                                .number = numbers[random_below(seed, ARRAY_SIZE(numbers))],
                                .took_ns = (int64_t)random_below(seed, 1 << 24) * 1000,
                                .rtt_ns = random_below(seed, 2) ? RESULT_UNKNOWN
                                                                : random_below(seed, 1 << 24),
                                .syn_retransmits = random_below(seed, 4)};

    attempt.icmp = (struct reach_icmp){.v6 = random_below(seed, 2),
                                       .type = (uint8_t)random_below(seed, 14),
                                       .code = (uint8_t)random_below(seed, 17),
                                       .from = senders[random_below(seed, 4)],
                                       .ours = random_below(seed, 2)};
    attempt.wire = (struct reach_wire){.seen = random_below(seed, 2),
                                       .syns = random_below(seed, 3),
                                       .synacks = random_below(seed, 2),
                                       .misfits = random_below(seed, 2),
                                       .synack_ttl = (uint8_t)random_below(seed, 256),
                                       .rst_ttl = (uint8_t)random_below(seed, 256),
                                       .has_icmp = random_below(seed, 2),
                                       .icmp = attempt.icmp};
    return attempt;
}

static void any_evidence_has_a_case(void **state)
{
    (void)state;
    static const struct result_route *const routes[] = {NULL, &here, &on_link, &by_gateway};
    uint32_t seed = 1;

    for (int i = 0; i < 20000; i++) {
        struct reach_try tries[4], hops[6];
        struct diagnosed out;
        for (size_t j = 0; j < 4; j++)
            tries[j] = random_try(&seed);
        for (size_t j = 0; j < 6; j++)
            hops[j] = random_try(&seed);
        struct reach_evidence evidence = with(tries, random_below(&seed, 5));
        evidence.hops = hops;
        evidence.hop_count = random_below(&seed, 7);
        evidence.route = routes[random_below(&seed, 4)];
        evidence.listener = (struct reach_listener){.seen = random_below(&seed, 2),
                                                    .queue = random_below(&seed, 3),
                                                    .limit = random_below(&seed, 3)};
        if (random_below(&seed, 2))
            evidence.other = (struct reach_other){.target = "db:80",
                                                  .answer = REACH_CONNECTED,
                                                  .at_once = random_below(&seed, 2),
                                                  .hop = random_below(&seed, 8),
                                                  .ttl = (uint8_t)random_below(&seed, 256)};
        diagnose(&out, &evidence);
        /* What connects is never said not to, and the other way round. */
        bool connected = false;
        for (size_t j = 0; j < evidence.try_count; j++)
            connected |= tries[j].answer == REACH_CONNECTED;
        assert_true(out.result.ok == connected);
        assert_false(out.arena.failed);
        arena_free(&out.arena);
    }
}

static void every_message_has_a_name(void **state)
{
    (void)state;
    for (int v6 = 0; v6 < 2; v6++)
        for (int type = 0; type < 256; type++)
            for (int code = 0; code < 256; code++) {
                struct reach_icmp icmp = {.v6 = v6, .type = (uint8_t)type, .code = (uint8_t)code};
                assert_true(*reach_icmp_name(&icmp));
                assert_true(reach_icmp_kind(&icmp) <= REACH_ICMP_TTL);
            }
    /* The numbers of one protocol are not those of the other. */
    assert_int_equal(reach_icmp_kind(&(struct reach_icmp){.type = 3}), REACH_ICMP_NO_ROUTE);
    assert_int_equal(reach_icmp_kind(&(struct reach_icmp){.v6 = true, .type = 3}), REACH_ICMP_TTL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_connects),
        cmocka_unit_test(what_fails),
        cmocka_unit_test(the_ports_of_this_host),
        cmocka_unit_test(what_proves_more_decides),
        cmocka_unit_test(nothing_was_tried),
        cmocka_unit_test(a_slow_name_is_a_finding_of_its_own),
        cmocka_unit_test(a_neighbour_that_is_not_there),
        cmocka_unit_test(a_listener_of_this_host),
        cmocka_unit_test(silence_has_its_prediction),
        cmocka_unit_test(a_path_says_where_it_ends),
        cmocka_unit_test(a_time_with_two_syns_is_no_time),
        cmocka_unit_test(other_ports_show_that_a_host_is_alive),
        cmocka_unit_test(distances_tell_who_sends_an_rst),
        cmocka_unit_test(any_evidence_has_a_case),
        cmocka_unit_test(every_message_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
