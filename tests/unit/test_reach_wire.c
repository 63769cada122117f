/* What a capture adds to the diagnosis of a connect, and what it must not be taken for. */
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

#define ROUTER "192.0.2.1"

static const struct result_route by_gateway = {.gateway = ROUTER, .device = "eth0"};
static const struct result_route here = {.device = "lo", .local = true};
static const struct result_route nobody = {.device = "eth0", .neighbour = "FAILED"};

static struct reach_try connected(uint8_t ttl)
{
    return (struct reach_try){.answer = REACH_CONNECTED,
                              .took_ns = NS_PER_MS,
                              .rtt_ns = NS_PER_MS,
                              .wire = {.seen = true, .syns = 1, .synacks = 1, .synack_ttl = ttl}};
}

static struct reach_try refused(uint8_t ttl)
{
    return (struct reach_try){.answer = REACH_RST,
                              .number = ECONNREFUSED,
                              .took_ns = NS_PER_MS,
                              .rtt_ns = RESULT_UNKNOWN,
                              .wire = {.seen = true, .syns = 1, .synacks = 0, .rst_ttl = ttl}};
}

/* Three SYNs, as the socket counts them. */
static struct reach_try silent(struct reach_wire wire)
{
    return (struct reach_try){.answer = REACH_SILENCE,
                              .took_ns = 2500 * NS_PER_MS,
                              .rtt_ns = RESULT_UNKNOWN,
                              .syn_retransmits = 2,
                              .wire = wire};
}

static struct reach_evidence with(const struct reach_try *tries, size_t count)
{
    return (struct reach_evidence){.target = "db:5432",
                                   .address = "192.0.2.7",
                                   .port = 5432,
                                   .resolve_ns = RESULT_UNKNOWN,
                                   .tries = tries,
                                   .try_count = count,
                                   .route = &by_gateway,
                                   .settings = kernel_timers_defaults};
}

struct diagnosed {
    struct arena arena;
    struct result_reach result;
    struct finding_list findings;
};

/* The first finding's summary. */
static const char *diagnose(struct diagnosed *out, const struct reach_evidence *evidence,
                            const char *name, enum result_side side)
{
    *out = (struct diagnosed){0};
    reach_diagnose(&out->arena, evidence, &out->result, &out->findings);
    assert_string_equal(out->result.reach_case, name);
    assert_true(!out->result.cannot_tell == !out->result.would_tell);
    assert_int_equal(out->findings.count, 1);
    assert_int_equal(out->findings.items[0].side, side);
    assert_string_equal(out->findings.items[0].summary, out->result.error.message);
    return out->findings.items[0].summary;
}

static void assert_case(const struct reach_evidence *evidence, const char *name,
                        enum result_side side, const char *words)
{
    struct diagnosed out;
    const char *summary = diagnose(&out, evidence, name, side);

    if (!strstr(summary, words))
        fail_msg("\"%s\" is not in \"%s\"", words, summary);
    arena_free(&out.arena);
}

static void the_ttl_of_all_answers_or_none(void **state)
{
    (void)state;
    const struct reach_try same[] = {connected(61), connected(61), refused(252)};
    const struct reach_try uneven[] = {connected(61), connected(60)};
    struct reach_try unseen[] = {connected(61), connected(61)};

    assert_int_equal(reach_ttl(same, 3, REACH_CONNECTED), 61);
    assert_int_equal(reach_ttl(same, 3, REACH_RST), 252);
    assert_int_equal(reach_ttl(uneven, 2, REACH_CONNECTED), 0);
    assert_int_equal(reach_ttl(same, 0, REACH_RST), 0);
    unseen[1].wire.seen = false;
    assert_int_equal(reach_ttl(unseen, 2, REACH_CONNECTED), 0);
}

/* Our RST, and what another port of the address answered in the same run. */
static void another_port_shows_who_sends_an_rst(void **state)
{
    (void)state;
    static const struct {
        uint8_t ours, theirs;
        enum reach_answer answer;
        bool before;
    } rows[] = {
        {63, 61, REACH_CONNECTED, true},   /* nearer than the host */
        {60, 61, REACH_CONNECTED, true},   /* farther */
        {254, 61, REACH_CONNECTED, true},  /* a router's, one hop away */
        {61, 61, REACH_CONNECTED, false},  /* the host's */
        {125, 61, REACH_CONNECTED, false}, /* as far away, from 128 instead of 64 */
        {252, 61, REACH_CONNECTED, false}, /* likewise from 255 */
        {63, 0, REACH_CONNECTED, false},   /* not known */
        {0, 61, REACH_CONNECTED, false},
        {63, 61, REACH_RST, true}, /* of two refusals the nearer one is not the host's */
        {61, 63, REACH_RST, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct reach_try tries[] = {refused(rows[i].ours), refused(rows[i].ours)};
        struct reach_evidence evidence = with(tries, 2);
        evidence.other = (struct reach_other){
            .target = "db:80", .answer = rows[i].answer, .at_once = true, .ttl = rows[i].theirs};
        assert_case(&evidence, rows[i].before ? "refused-on-the-way" : "refused",
                    rows[i].before ? RESULT_SIDE_NETWORK : RESULT_SIDE_SERVER,
                    rows[i].before ? "do not come from one host" : "");
        evidence.other.target = NULL;
        assert_case(&evidence, "refused", RESULT_SIDE_SERVER, "RST");
        /* RSTs of several senders say nothing of the host's. */
        const struct reach_try uneven[] = {refused(rows[i].ours), refused(41)};
        evidence = with(uneven, 2);
        evidence.other = (struct reach_other){
            .target = "db:80", .answer = rows[i].answer, .at_once = true, .ttl = rows[i].theirs};
        assert_case(&evidence, "refused", RESULT_SIDE_SERVER, "RST");
    }
}

/* One port alone: told, and not decided by. */
static void a_ttl_alone_is_no_verdict(void **state)
{
    (void)state;
    struct reach_try reset = connected(61);
    const struct reach_try uneven[] = {connected(61), refused(250)};

    reset.answer = REACH_RESET;
    reset.number = ECONNRESET;
    reset.wire.rst_ttl = 61;
    struct reach_evidence evidence = with(&reset, 1);
    struct diagnosed out;
    assert_null(strstr(diagnose(&out, &evidence, "reset-at-once", RESULT_SIDE_SERVER), "TTL"));
    arena_free(&out.arena);
    reset.wire.rst_ttl = 63;
    assert_case(&evidence, "reset-at-once", RESULT_SIDE_SERVER, "does not prove");

    evidence = with(uneven, 2);
    out = (struct diagnosed){0};
    reach_diagnose(&out.arena, &evidence, &out.result, &out.findings);
    assert_string_equal(out.result.reach_case, "unsteady");
    assert_non_null(strstr(out.findings.items[0].summary, "TTL 250"));
    arena_free(&out.arena);
}

static void the_best_witness_brings_its_ttl(void **state)
{
    (void)state;
    const struct reach_try rst[] = {refused(63)}, open[] = {connected(61), refused(200)};
    struct reach_evidence closed = with(rst, 1), other = with(open, 2);
    struct reach_evidence *all[] = {&closed, &other};

    other.port = 80;
    other.target = "db:80";
    assert_true(reach_wants_others(&closed));
    reach_find_others(all, 2);
    assert_int_equal(closed.other.ttl, 61);
    assert_case(&closed, "refused-on-the-way", RESULT_SIDE_NETWORK, "db:80");
}

static void silence_that_was_none(void **state)
{
    (void)state;
    static const struct reach_icmp prohibited = {.type = 3, .code = 13, .from = ROUTER},
                                   no_host = {.type = 3, .code = 1, .from = ROUTER},
                                   too_big = {.type = 3, .code = 4, .from = ROUTER};
    const struct {
        struct reach_wire wire;
        const char *name;
        enum result_side side;
        const char *words;
    } rows[] = {
        {{.seen = true, .syns = 3, .synacks = 0},
         "silent",
         RESULT_SIDE_NONE,
         "they left this host"},
        {{.seen = true, .syns = 1, .synacks = 0}, "silent", RESULT_SIDE_NONE, "1 of the 3 left"},
        {{.seen = true, .syns = 0, .synacks = 0}, "not-sent", RESULT_SIDE_CLIENT, "saw none leave"},
        {{.seen = true, .syns = 3, .synacks = 2, .synack_ttl = 61},
         "answer-not-taken",
         RESULT_SIDE_CLIENT,
         "2 times, TTL 61"},
        /* Our SYNs left under another address, but the answer shows that they did. */
        {{.seen = true, .syns = 0, .synacks = 1, .synack_ttl = 61},
         "answer-not-taken",
         RESULT_SIDE_CLIENT,
         "once"},
        {{.seen = true, .syns = 3, .synacks = 1, .misfits = true, .synack_ttl = 61},
         "answer-not-taken",
         RESULT_SIDE_NETWORK,
         "something other than"},
        {{.seen = true, .syns = 1, .synacks = 0, .has_icmp = true, .icmp = prohibited},
         "rejected",
         RESULT_SIDE_NETWORK,
         "this host drops ICMP"},
        {{.seen = true, .syns = 1, .synacks = 0, .has_icmp = true, .icmp = no_host},
         "host-unreachable",
         RESULT_SIDE_NONE,
         ROUTER " can't reach the host"},
        /* No error about reaching it. */
        {{.seen = true, .syns = 3, .synacks = 0, .has_icmp = true, .icmp = too_big},
         "silent",
         RESULT_SIDE_NONE,
         "left"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reach_try attempt = silent(rows[i].wire);
        struct reach_evidence evidence = with(&attempt, 1);
        assert_case(&evidence, rows[i].name, rows[i].side, rows[i].words);
        /* A capture that lost packets has seen nothing. */
        attempt.wire.seen = false;
        struct diagnosed out;
        const char *summary = diagnose(&out, &evidence, "silent", RESULT_SIDE_NONE);
        assert_null(strstr(summary, "aptured"));
        assert_null(out.result.tries[0].wire);
        arena_free(&out.arena);
    }
}

/* What this host's tables say explains a SYN that did not leave. */
static void tables_come_first(void **state)
{
    (void)state;
    const struct reach_try attempt = silent((struct reach_wire){.seen = true});
    struct reach_evidence evidence = with(&attempt, 1);

    evidence.route = &nobody;
    assert_case(&evidence, "no-neighbour", RESULT_SIDE_NONE, "own link");
    evidence.route = &here;
    assert_case(&evidence, "silent", RESULT_SIDE_NONE, "No answer");
}

static void the_result_has_what_was_seen(void **state)
{
    (void)state;
    const struct reach_try tries[] = {refused(63)};
    struct reach_evidence evidence = with(tries, 1);
    struct diagnosed out;

    diagnose(&out, &evidence, "refused", RESULT_SIDE_SERVER);
    const struct result_sighting *wire = out.result.tries[0].wire;
    assert_int_equal(wire->syns, 1);
    assert_int_equal(wire->synacks, 0);
    assert_int_equal(wire->rst_ttl, 63);
    assert_true(wire->synack_ttl == RESULT_UNKNOWN);
    assert_null(wire->icmp);
    arena_free(&out.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ttl_of_all_answers_or_none),
        cmocka_unit_test(another_port_shows_who_sends_an_rst),
        cmocka_unit_test(a_ttl_alone_is_no_verdict),
        cmocka_unit_test(the_best_witness_brings_its_ttl),
        cmocka_unit_test(silence_that_was_none),
        cmocka_unit_test(tables_come_first),
        cmocka_unit_test(the_result_has_what_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
