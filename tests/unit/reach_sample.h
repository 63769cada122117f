/* What tries to connect met, written short, for the tests of what becomes of a connect. */
#ifndef TESTS_REACH_SAMPLE_H
#define TESTS_REACH_SAMPLE_H

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

static inline struct reach_evidence with(const struct reach_try *tries, size_t count)
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
static inline void assert_whole(const struct reach_evidence *evidence, const struct diagnosed *out)
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

static inline void diagnose(struct diagnosed *out, const struct reach_evidence *evidence)
{
    *out = (struct diagnosed){0};
    out->result.resolve_ns = out->result.connect_ns = out->result.rtt_ns = RESULT_UNKNOWN;
    out->result.syns_least = out->result.syns_most = out->result.syns_sent = RESULT_UNKNOWN;
    reach_diagnose(&out->arena, evidence, &out->result, &out->findings);
    assert_whole(evidence, out);
}

static inline void assert_case(const struct reach_evidence *evidence, const char *name,
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

static const struct result_route on_link = {.device = "eth0", .neighbour = "FAILED"};
static const struct result_route by_gateway = {
    .device = "eth0", .gateway = ROUTER, .neighbour = "INCOMPLETE"};
static const struct result_route reachable = {
    .device = "eth0", .gateway = ROUTER, .neighbour = "REACHABLE"};
static const struct result_route here = {.device = "lo", .local = true};

#endif
