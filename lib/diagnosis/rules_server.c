/* Why an answer begins late, and what is left of its pauses: the server's own time, by its lower
 * bound. The server has the request when it has acknowledged its last byte, or when the path has
 * taken what it may take, whichever is later; before that nothing can be its fault. */
#include "diagnosis/rules.h"

#include "base/cleanup.h"
#include "diagnosis/verdict_thresholds.h"
#include <string.h>

/* Whether an HTTP answer says that a proxy is in between, as the beginning of a remedy. */
static const char *tell_proxy(const struct rules *rules)
{
    static const char *const proxies[] = {"nginx",   "haproxy", "varnish",    "squid",    "envoy",
                                          "traefik", "caddy",   "cloudflare", "openresty"};
    const struct probe_evidence *evidence = rules->evidence;

    if (evidence->http_proxy)
        return arena_printf(rules->arena, "The answer came through a proxy (%s). ",
                            evidence->http_proxy);
    for (size_t i = 0; evidence->http_server && i < ARRAY_SIZE(proxies); i++)
        if (strcasestr(evidence->http_server, proxies[i]))
            return arena_printf(rules->arena, "The answer may come through a proxy (%s). ",
                                evidence->http_server);
    return "";
}

static const char *tell_before(const struct rules *rules, size_t affected, size_t of,
                               int64_t before_ns)
{
    return arena_printf(rules->arena,
                        rules->evidence->greets
                            ? "In %zu of %zu rounds the connection stood, and the server began to "
                              "speak only %s later; TCP did not hold it."
                            : "In %zu of %zu rounds the server had the whole request and began to "
                              "answer only %s later; TCP did not hold the answer.",
                        affected, of, arena_duration(rules->arena, before_ns));
}

static void blame_think(const struct rules *rules, size_t affected, size_t of, int64_t before_ns,
                        int64_t inside_ns, int64_t at_least_ns)
{
    struct finding *finding = rules_add(rules, FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER,
                                        affected, before_ns + inside_ns);

    finding->summary =
        !inside_ns
            ? tell_before(rules, affected, of, before_ns)
            : arena_printf(rules->arena,
                           "In %zu of %zu rounds the server paused %s inside its answer%s%s; "
                           "acknowledging at once does not shorten the pause.",
                           affected, of, arena_duration(rules->arena, inside_ns),
                           before_ns ? " and took " : "",
                           before_ns ? arena_printf(rules->arena, "%s before it",
                                                    arena_duration(rules->arena, before_ns))
                                     : "");
    if (at_least_ns != RESULT_UNKNOWN)
        rules_prove(rules, finding, "at_least_ns", at_least_ns);
    rules_prove(rules, finding, "before_answer_ns", before_ns);
    rules_prove(rules, finding, "inside_answer_ns", inside_ns);
    if (rules->evidence->greets)
        finding->remedy = "Look at what the server does with a connection before it speaks: it "
                          "looks up the client's name or asks a block list (DNS), waits on purpose "
                          "against spam, or accepts late. Its log and strace -f -T tell.";
    else if (before_ns + inside_ns >= DELAYED_ACK_MIN_NS &&
             before_ns + inside_ns <= DELAYED_ACK_MAX_NS)
        finding->remedy = arena_printf(
            rules->arena,
            "%sLook into the server for that time: its log, a profile, strace -f -T. If it is a "
            "proxy or asks a service of its own, look there too: a request that stalls for a "
            "delayed ACK between this server and its upstream takes just as long. netkit tcp-probe "
            "run on the server against the upstream tells.",
            tell_proxy(rules));
}

/* ---- the time before the answer ---- */

static struct lateness lateness_of(const struct rules *rules, enum probe_arm arm)
{
    return rules_lateness(rules, rules->evidence->arms[arm], rules_wait_ns);
}

static bool blamed_our_hold(const struct rules *rules)
{
    for (size_t i = 0; i < rules->findings->count; i++)
        if ((rules->findings->items[i].code == FINDING_NAGLE_DELAYED_ACK ||
             rules->findings->items[i].code == FINDING_NAGLE_ROUND_TRIP) &&
            rules->findings->items[i].side == RESULT_SIDE_CLIENT)
            return true;
    return false;
}

/* A server that is late only after it had to wait for a write that we held, and never where nothing
 * is held, does not think: it had gone to sleep, and a busy machine was slow to wake it. What an
 * option removes belongs to the stall. */
static bool goes_with_our_hold(const struct rules *rules)
{
    return blamed_our_hold(rules) && rules->evidence->arms[ARM_NODELAY].count >= ROUNDS_ENOUGH &&
           lateness_of(rules, ARM_NODELAY).kind == LATENESS_NONE;
}

/* A first segment that is large may take a slow link that long. Where the link is not known from
 * segments that followed each other, the arm with tiny ones tells. */
static bool may_be_the_link(const struct rules *rules, const struct lateness *late)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    size_t large = 0;

    for (size_t i = 0; i < rounds.count; i++)
        large += rules->segment_ns == RESULT_UNKNOWN &&
                 late->typical_ns <= (int64_t)rounds.rounds[i].first_bytes * SLOW_LINK_BYTE_NS;
    if (2 * large <= rounds.count)
        return false;
    if (rules->evidence->arms[ARM_SMALL_MSS].count >= ROUNDS_ENOUGH)
        return lateness_of(rules, ARM_SMALL_MSS).kind != LATENESS_PROVEN;
    rules_want(rules, ARM_SMALL_MSS);
    return true;
}

/* How long a process of this host may have to wait for a processor. */
static int64_t host_delay_ns(const struct probe_evidence *evidence)
{
    if (!evidence->local || !evidence->processors || evidence->runnable <= evidence->processors)
        return 0;
    return (int64_t)(evidence->runnable / evidence->processors) * PROCESSOR_TURN_NS;
}

/* Whether this machine's own load may explain a delay; then says so. */
static bool load_explains(const struct rules *rules, int64_t typical_ns, double share)
{
    const struct probe_evidence *evidence = rules->evidence;
    int64_t late_ns = evidence_wakeup_ns(evidence, share);
    int64_t limit_ns =
        late_ns * (share >= DELAY_COMMON_SHARE ? DELAY_COMMON_WAKEUPS : DELAY_WAKEUPS);

    if (host_delay_ns(evidence) > limit_ns)
        limit_ns = host_delay_ns(evidence);
    if (typical_ns >= limit_ns)
        return false;
    if (host_delay_ns(evidence) == limit_ns)
        rules_inconclusive(
            rules,
            "The server took %s, but %u processes wanted the %u processors of this host, where the "
            "server runs too: it may only have waited for its turn.",
            arena_duration(rules->arena, typical_ns), evidence->runnable, evidence->processors);
    else
        rules_inconclusive(
            rules,
            "The server took %s, but this machine needs up to %s to wake up a process that has "
            "something to read, so its own load may explain that.",
            arena_duration(rules->arena, typical_ns), arena_duration(rules->arena, late_ns));
    return true;
}

static void tell_open(const struct rules *rules, const struct lateness *late)
{
    rules_inconclusive(
        rules,
        "%s the answer began about %s late. On this path, whose round trips vary by %s, that is "
        "not "
        "clearly the server's: a few times as many rounds would decide (--rounds %zu).",
        rules_share(rules, late->affected, late->rounds),
        arena_duration(rules->arena, late->typical_ns),
        arena_duration(rules->arena, path_model_spread_ns(rules->path)), 4 * late->rounds);
}

/* Now and then a packet of the answer may be lost, and come again after a probe (two round trips)
 * or a timeout of the server's: from here that is a late answer. */
static bool may_be_lost(const struct rules *rules, const struct lateness *late)
{
    int64_t trip_ns = rules->path->typical_ns, late_ns = late->typical_ns;
    bool a_trip = trip_ns >= rules->evidence->stall_ns && late_ns >= trip_ns - trip_ns / 8 &&
                  late_ns <= trip_ns + trip_ns / 3;

    return !is_share((int64_t)late->affected, (int64_t)late->rounds, LOST_SHARE) &&
           (a_trip || late_ns >= RTO_MIN_NS);
}

static void tell_may_be_lost(const struct rules *rules, const struct lateness *late)
{
    rules_inconclusive(rules,
                       "%s the answer began %s late: the server may have taken that long, or a "
                       "packet of the answer was lost and sent again. A capture (--pcap, or at the "
                       "server) would tell.",
                       rules_share(rules, late->affected, late->rounds),
                       arena_duration(rules->arena, late->typical_ns));
}

static void tell_unacknowledged(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    size_t count = 0;

    for (size_t i = 0; i < rounds.count; i++)
        count += rules_unacknowledged(rules, &rounds.rounds[i]);
    if (count >= AFFECTED_MIN && is_share((int64_t)count, (int64_t)rounds.count, DELAY_SHARE))
        rules_inconclusive(
            rules,
            "%s the answer was late, and until it came the request was not acknowledged, as it is "
            "while a server thinks. A packet was lost or held on the way, or the server's stack "
            "delays its ACKs longer than Linux does. A capture at the server would tell.",
            rules_share(rules, count, rounds.count));
}

static void tell_link(const struct rules *rules, const struct lateness *late)
{
    if (lateness_of(rules, ARM_SMALL_MSS).kind == LATENESS_NONE &&
        rules->evidence->arms[ARM_SMALL_MSS].count >= ROUNDS_ENOUGH)
        rules_bandwidth(rules);
    else
        rules_inconclusive(rules,
                           "%s the first segment of the answer came %s late: a slow link would "
                           "need that long for it, and so may the server. More rounds with tiny "
                           "segments (the arm small-mss) would tell.",
                           rules_share(rules, late->affected, late->rounds),
                           arena_duration(rules->arena, late->typical_ns));
}

/* Of the rounds that are late, those whose connection had to wait for others to be accepted. */
static bool late_in_accept_queue(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    int64_t limit_ns = rules->path->base_ns + rules->evidence->stall_ns;
    int64_t late = 0, queued = 0;

    for (size_t i = 0; i < rounds.count; i++) {
        bool is_late = rules_wait_ns(rules, &rounds.rounds[i]) >= limit_ns;
        late += is_late;
        queued += is_late && rounds.rounds[i].accept_queue > 0;
    }
    return queued >= (int64_t)AFFECTED_MIN && is_share(queued, late, MECHANISM_SHARE);
}

static size_t longest_accept_queue(struct arm_rounds rounds)
{
    size_t longest = 0;

    for (size_t i = 0; i < rounds.count; i++)
        if (rounds.rounds[i].accept_queue > longest)
            longest = rounds.rounds[i].accept_queue;
    return longest;
}

/* The listener is on this host, and its queue was looked at when each connection was made. Says
 * whether it explains why answers begin late. */
static bool blame_accept(const struct rules *rules, const struct lateness *late)
{
    struct arm_rounds baseline = rules->evidence->arms[ARM_BASELINE];

    if (late->kind != LATENESS_PROVEN || !late_in_accept_queue(rules))
        return false;
    if (load_explains(rules, late->typical_ns, (double)late->affected / (double)baseline.count))
        return true;
    size_t longest = longest_accept_queue(baseline);
    struct finding *finding =
        rules_add(rules, FINDING_SLOW_ACCEPT, RESULT_SIDE_SERVER, late->affected, late->typical_ns);
    finding->summary = arena_printf(
        rules->arena,
        "%s the answer came %s late, and other connections, up to %zu, were waiting in the "
        "listener's accept queue before ours: the server does not accept them as fast as they "
        "come.",
        rules_share(rules, late->affected, baseline.count),
        arena_duration(rules->arena, late->typical_ns), longest);
    finding->remedy = "In the server: accept faster. Serve several connections at once (more "
                      "workers or threads, an event loop), or take less time for each.";
    rules_prove(rules, finding, "at_least_ns", late->at_least_ns);
    rules_prove(rules, finding, "accept_queue", (int64_t)longest);
    return true;
}

/* Whether what came late may be the rest of the answer before; on a path that is so short, the time
 * at which the others came does not tell. Then says so. */
static bool rest_explains(const struct rules *rules, int64_t late_ns)
{
    if (!rules->evidence->surplus_bytes || rules->path->base_ns > RELEASE_NS)
        return false;
    rules_inconclusive(
        rules,
        "Answers were %s late, but %u bytes came beyond the end of answers: what was late may be "
        "the rest of the answer before. Let --until fit the protocol.",
        arena_duration(rules->arena, late_ns), rules->evidence->surplus_bytes);
    return true;
}

void rules_answer(const struct rules *rules)
{
    struct arm_rounds baseline = rules->evidence->arms[ARM_BASELINE];
    struct lateness late = lateness_of(rules, ARM_BASELINE);

    if (blame_accept(rules, &late))
        late = (struct lateness){0};
    else if (rules_cork(rules))
        return;
    if (late.kind != LATENESS_NONE && goes_with_our_hold(rules))
        late = (struct lateness){0};
    if (late.kind == LATENESS_PATH)
        rules_jitter(rules, &late);
    if ((late.kind == LATENESS_PROVEN || late.kind == LATENESS_OPEN) &&
        may_be_the_link(rules, &late)) {
        tell_link(rules, &late);
        late = (struct lateness){0};
    }
    if (late.kind == LATENESS_PROVEN && may_be_lost(rules, &late)) {
        tell_may_be_lost(rules, &late);
        late = (struct lateness){0};
    }
    if (late.kind == LATENESS_OPEN || (late.kind == LATENESS_PATH && late.undecided &&
                                       2 * late.typical_ns >= rules->evidence->stall_ns))
        tell_open(rules, &late);
    if (late.kind == LATENESS_NONE)
        tell_unacknowledged(rules);
    struct gap_rest rest = rules_gap(rules);
    int64_t before_ns = late.kind == LATENESS_PROVEN ? late.typical_ns : 0;
    int64_t at_least_ns = late.kind == LATENESS_PROVEN ? late.at_least_ns : 0;
    size_t affected = late.kind == LATENESS_PROVEN ? late.affected : 0;
    if (rest.affected && rest.before) {
        before_ns = rest.typical_ns > before_ns ? rest.typical_ns : before_ns;
        at_least_ns = rest.at_least_ns > at_least_ns ? rest.at_least_ns : at_least_ns;
        affected = rest.affected > affected ? rest.affected : affected;
        rest = (struct gap_rest){0};
    }
    if (rest.affected > affected)
        affected = rest.affected;
    int64_t longer_ns = before_ns > rest.typical_ns ? before_ns : rest.typical_ns;
    if (!affected || load_explains(rules, longer_ns, (double)affected / (double)baseline.count) ||
        rest_explains(rules, longer_ns))
        return;
    blame_think(rules, affected, baseline.count, before_ns, rest.typical_ns,
                at_least_ns + rest.at_least_ns);
}
