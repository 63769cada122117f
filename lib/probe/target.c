#include "probe/target.h"

#include "base/cleanup.h"
#include "base/stats.h"
#include "base/text.h"
#include "probe/target_control.h"
#include "probe/target_inquiry.h"
#include "probe/target_learn.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_ROUNDS_MIN     5 /* of a target that was interrupted among others: fewer say nothing */
#define EARLY_TRIES        4 /* after resets that may have overtaken an answer */
#define OWN_PATIENCE_NS    NS_PER_SEC
#define OWN_PATIENCE_TIMES 10
#define IN_WARMUP                                                                                  \
    "the server answered, but %s was over before the warm-up: give it more time, or a smaller "    \
    "--warmup"

/* ---- the end ---- */

static void end_target(struct target *target, enum target_end end)
{
    if (target->finished)
        return;
    target->finished = true;
    loop_timer(target->shared->conn.loop, &target->rest, INT64_MAX);
    conn_close(&target->conn);
    path_control_end(&target->control);
    transaction_reset(&target->transaction);
    target->shared->ended(target, end);
}

static void end_done(struct target *target)
{
    end_target(target, TARGET_DONE);
}

void target_fail(struct target *target, const struct result_error *error)
{
    target->failure = *error;
    end_done(target);
}

/* Whether the rounds under way are netkit's own, on persistent connections, while the user asked
 * for one connection a round. */
static bool is_own_session(const struct target *target)
{
    return target->shared->plan->arms.new_connection && !target->session.fresh &&
           target->stores.fresh.count;
}

/* The user's rounds are complete. A service that takes only one request of a connection, or begins
 * each with a handshake of its own, is in order. */
static void end_own_rounds(struct target *target, const struct result_error *error)
{
    target->own_failure = error->message;
    target->session.rounds = 0;
    end_target(target, TARGET_DONE);
}

void target_failed(struct target *target, enum finding_code code, int number, const char *format,
                   ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    target_fail(target, &(struct result_error){code, number,
                                               arena_copy(target->shared->conn.arena, text), NULL});
}

static void idle_ended(void *owner)
{
    end_target(owner, TARGET_DONE);
}

static void close_connection(struct target *target)
{
    conn_close(&target->conn);
    transaction_reset(&target->transaction);
}

/* All rounds are done. */
static void rounds_over(struct target *target)
{
    const struct probe_plan *plan = target->shared->plan;

    if (plan->idle.max_ns && arm_stores_measured(&target->stores)) {
        close_connection(target);
        path_control_end(&target->control);
        if (!idle_trial_begin(&target->idle, &plan->idle, &plan->preamble, &target->transaction,
                              target_address(target), target, idle_ended))
            return;
    }
    end_target(target, TARGET_DONE);
}

static void time_over(struct target *target)
{
    target->session.rounds = target->schedule.fresh_left = 0;
    if (arm_stores_measured(&target->stores))
        rounds_over(target);
    else
        target_failed(target, FINDING_INCONCLUSIVE, 0, IN_WARMUP, "--duration");
}

/* ---- connections ---- */

static void round_done(void *owner, const struct round *round);
static void exchange_failed(void *owner, const struct result_error *error);

/* A round of connecting alone lasts as long as the kernel says the handshake took: the
 * application's own clock would count how long its process took to look. TLS has only that clock:
 * its round trips are the network's, the rest of the time that we waited the server's, and what is
 * left our own. */
static void connect_round(struct target *target)
{
    const struct conn_opening *opening = &target->conn.opening;
    bool known = opening->wire_ns != RESULT_UNKNOWN;
    int64_t span = known ? opening->wire_ns : opening->connect_ns;
    int64_t took = 0, waited = 0, travelled = 0;
    struct round round;

    if (opening->tls_ns != RESULT_UNKNOWN) {
        took = opening->tls_ns;
        waited = opening->tls_wait_ns < took ? opening->tls_wait_ns : took;
        travelled = target->conn.tls.round_trips * span;
        travelled = travelled < waited ? travelled : waited;
    }
    round_clear(&round);
    round.total_ns = span + took;
    round.part_ns[RESULT_PART_NETWORK] = span + travelled;
    round.part_ns[RESULT_PART_SERVER] = waited - travelled;
    round.part_ns[RESULT_PART_OTHER] = took - waited;
    if (!took)
        round.wire_ns = opening->wire_ns;
    live_capture_take(target->shared->conn.capture);
    round_done(target, &round);
}

static void first_round(struct target *target, const struct conn_input *input)
{
    target_control_shake(target, target_address(target));
    transaction_first(&target->transaction, input);
}

static void another_round(struct target *target)
{
    target_control_shake(target, target_address(target));
    transaction_next(&target->transaction);
}

static void preamble_over(void *owner, const struct conn_input *input)
{
    struct target *target = owner;

    if (target->connections == 1 && target->preamble.turns > 1)
        target->preamble_ns = target->preamble.took_ns;
    target_learn_tls(target);
    first_round(target, input);
}

/* Of what we offered; but what would be said now is HTTP/1.1. */
static bool chose_http2(const struct target *target)
{
    const struct probe_plan *plan = target->shared->plan;

    return target->tls && target->tls->alpn && !strcmp(target->tls->alpn, "h2") &&
           plan->transaction.framing.kind == FRAMING_HTTP && !plan->arms.only_connects;
}

static void opened(void *owner, const struct conn_input *input)
{
    static const struct preamble_user user = {.over = preamble_over, .failed = exchange_failed};
    const struct probe_plan *plan = ((struct target *)owner)->shared->plan;
    struct target *target = owner;

    target->opened_ns = clock_mono_ns();
    target_learn_connection(target);
    target_learn_tls(target);
    if (chose_http2(target)) {
        target_failed(target, FINDING_UNEXPECTED_ANSWER, EPROTO,
                      "the server chose h2 by ALPN; this conversation is HTTP/1.1: offer it "
                      "http/1.1 alone (--alpn)");
        return;
    }
    if (plan->arms.only_connects && !plan->greets) {
        connect_round(target);
        return;
    }
    target_look_at_accept_queue(target);
    target->transaction.rtt_ns = target->connect_rtt_ns;
    preamble_begin(&target->preamble, &plan->preamble, &target->conn, input, &user, target);
}

static bool inquire(struct target *target)
{
    const struct target_inquiry inquiry = {.address = target_address(target),
                                           .local = target_is_local(target),
                                           .fresh = !target->warmed_up &&
                                                    !arm_stores_measured(&target->stores),
                                           .ended = end_done};
    return target_inquiry_begin(target, &inquiry);
}

static void open_failed(void *owner, const struct result_error *error)
{
    struct target *target = owner;

    bool no_descriptor = error->number == EMFILE || error->number == ENFILE;

    if (is_own_session(target) && !no_descriptor) {
        end_own_rounds(target, error);
        return;
    }
    target->failure = *error;
    if (target->conn.state == CONN_CONNECTING)
        target->syn_retransmits += target->conn.opening.syn_retransmits;
    else
        target_learn_connection(target);
    target_learn_tls(target);
    if (!inquire(target))
        end_target(target, no_descriptor ? TARGET_POSTPONED : TARGET_DONE);
}

/* How long netkit's own rounds wait for an answer that may never come: far longer than any stall,
 * and than the user's rounds took. */
static int64_t own_patience_ns(const struct target *target)
{
    int64_t totals[64];
    size_t count = round_store_newest(&target->stores.fresh, totals, ARRAY_SIZE(totals));

    stats_sort(totals, count);
    return OWN_PATIENCE_NS + OWN_PATIENCE_TIMES * totals[count - 1];
}

static void open_connection(struct target *target)
{
    static const struct conn_user user = {.opened = opened, .failed = open_failed};
    const struct probe_plan *plan = target->shared->plan;
    enum probe_arm arm = target->session.arm;
    bool known = target->connections > 0;
    const struct conn_variant variant = {
        .nodelay = arm == ARM_NODELAY || arm == ARM_BOTH,
        .quickack = arm == ARM_QUICKACK || arm == ARM_BOTH,
        .late_ack = arm == ARM_LATE_ACK,
        .mss_bytes = arm == ARM_SMALL_MSS ? TARGET_SMALL_MSS : 0,
        .request_follows = !plan->arms.only_connects && !preamble_server_first(&plan->preamble),
        .closed_when_open = plan->arms.only_connects && !plan->greets};

    if (plan->arms.only_connects)
        transaction_mark(&target->conn);
    target->transaction.single_write = arm == ARM_SINGLE_WRITE;
    target->transaction.keep_info = arm == ARM_BASELINE;
    target->transaction.patience_ns = is_own_session(target) ? own_patience_ns(target) : INT64_MAX;
    conn_open(&target->conn, known ? target_address(target) : target->addresses.items,
              known ? 1 : target->addresses.count, &variant, &user, target);
}

/* ---- rounds and sessions ---- */

/* Rounds are an interval apart, on whatever connections they are. */
static void rest(struct target *target)
{
    int64_t left = target_time_left_ns(target), interval = target->shared->plan->arms.interval_ns;
    int64_t now = clock_mono_ns(), pause = left < interval ? left : interval;

    if (target->conn.state == CONN_OPEN)
        transaction_rest(&target->transaction);
    loop_timer(target->shared->conn.loop, &target->rest,
               pause < INT64_MAX - now ? now + pause : INT64_MAX);
}

static void rested(struct loop_task *task, uint32_t events)
{
    struct target *target = (struct target *)((char *)task - offsetof(struct target, rest));

    (void)events;
    if (!target_time_left_ns(target))
        time_over(target);
    else if (target->conn.state == CONN_CLOSED)
        open_connection(target);
    else
        another_round(target);
}

static void next_round(struct target *target)
{
    if (target->shared->plan->arms.interval_ns)
        rest(target);
    else
        another_round(target);
}

/* A server that closes after each answer has no persistent connections that could stall. */
static bool own_rounds_are_moot(const struct target *target)
{
    return is_own_session(target) && target->stores.arms[ARM_BASELINE].count && !target->persists;
}

static void next_session(struct target *target)
{
    target_control_load(target);
    if (own_rounds_are_moot(target) ||
        !arm_schedule_next(&target->schedule, &target->stores, target_time_left_ns(target),
                           &target->session)) {
        rounds_over(target);
        return;
    }
    if (target->session.continues) {
        next_round(target);
        return;
    }
    close_connection(target);
    if (target->connections && target->shared->plan->arms.interval_ns)
        rest(target);
    else
        open_connection(target);
}

/* One round for the ladder: slow, but not the slowest: the one nearest to the ninth decile. */
static void keep_slow_round(struct target *target, const struct round_store *store,
                            const struct round *round)
{
    int64_t totals[256];

    if (!target->strip)
        return;
    size_t count = round_store_newest(store, totals, ARRAY_SIZE(totals));
    stats_sort(totals, count);
    int64_t wanted = stats_quantile(totals, count, 0.9);
    if (target->slow_ns == RESULT_UNKNOWN ||
        llabs(round->total_ns - wanted) <= llabs(target->slow_ns - wanted)) {
        *target->slow_strip = *target->strip;
        target->slow_ns = round->total_ns;
    }
}

static void keep_round(struct target *target, const struct round *round)
{
    struct round_store *store = arm_stores_of(&target->stores, &target->session);

    if (!round_store_add(store, round)) {
        target_failed(target, FINDING_INCONCLUSIVE, ENOMEM, "out of memory for rounds");
        return;
    }
    if (target->session.arm == ARM_BASELINE) {
        target->peer_mss_bytes = target->transaction.peer_mss;
        keep_slow_round(target, store, round);
    }
    target->session.rounds--;
}

static void tell_round(const struct target *target, const struct round *round, bool warmup)
{
    const struct probe_sink *sink = target->shared->sink;
    const struct probe_round told = {.target = target->asked->name,
                                     .arm = target->session.arm,
                                     .first_of_connection =
                                         target->transaction.rounds_on_connection <= 1,
                                     .new_connection = target->session.fresh,
                                     .warmup = warmup,
                                     .round = round};

    if (sink->round)
        sink->round(sink->context, &told);
}

static void round_done(void *owner, const struct round *done)
{
    struct target *target = owner;
    struct arm_session *session = &target->session;
    bool warmup = session->warmup > 0;

    if (!done) {
        next_round(target);
        return;
    }
    struct round round = *done;
    if (target->conn.state == CONN_OPEN && !target->conn.variant.closed_when_open) {
        if (!target->heard)
            target_learn_headers(target);
        target_learn_answer(target);
    }
    target->heard = true;
    if (target->transaction.rounds_on_connection > 1)
        target->persists = true;
    else
        round.accept_queue = target->accept_queue;
    tell_round(target, &round, warmup);
    target->warmed_up |= warmup;
    if (warmup)
        arm_session_warmed_up(session, round.total_ns);
    else
        keep_round(target, &round);
    if (target->finished)
        return;
    if (!target_time_left_ns(target))
        time_over(target);
    else if (session->rounds > 0)
        next_round(target);
    else
        next_session(target);
}

static void open_again(struct target *target)
{
    /* A server that never keeps a connection cannot be warmed up, and every round is a first one.
     */
    if (!target->persists)
        target->session.warmup = 0;
    close_connection(target);
    open_connection(target);
}

/* An answer that comes before the request was read is lost where the reset overtakes it. Whether
 * there is one another try may show. */
static bool may_have_lost_answer(const struct target *target)
{
    const struct transaction *transaction = &target->transaction;

    return transaction->reset_early && target_time_left_ns(target) &&
           target->early_lost < EARLY_TRIES * (1 + transaction->early_resets);
}

static void exchange_failed(void *owner, const struct result_error *error)
{
    struct target *target = owner;

    if (is_own_session(target)) {
        end_own_rounds(target, error);
        return;
    }
    if (may_have_lost_answer(target)) {
        target->early_lost++;
        open_again(target);
        return;
    }
    target->failure = *error;
    if (target_pass_over(target, target_address(target))) {
        close_connection(target);
        open_connection(target);
        return;
    }
    if (!inquire(target))
        end_target(target, TARGET_DONE);
}

/* The server closed, or reset, an idle connection before it answered anything. */
static void exchange_closed(void *owner)
{
    struct target *target = owner;

    target->closed_between += !target->transaction.unfit;
    target_note_idle_close(target);
    open_again(target);
}

/* ---- for the run ---- */

int target_create(struct target **out, struct target_shared *shared,
                  const struct probe_target *asked)
{
    static const struct transaction_user user = {
        .done = round_done, .failed = exchange_failed, .closed = exchange_closed};
    const struct probe_plan *plan = shared->plan;
    struct target *target = malloc(sizeof *target);

    if (!target)
        return -ENOMEM;
    *target = (struct target){.shared = shared,
                              .asked = asked,
                              .resolve_ns = RESULT_UNKNOWN,
                              .connect_ns = RESULT_UNKNOWN,
                              .connect_rtt_ns = RESULT_UNKNOWN,
                              .tls_ns = RESULT_UNKNOWN,
                              .preamble_ns = RESULT_UNKNOWN,
                              .slow_ns = RESULT_UNKNOWN};
    if (plan->keep_round) {
        target->strip = calloc(1, sizeof *target->strip);
        target->slow_strip = arena_alloc(shared->conn.arena, sizeof *target->slow_strip);
        if (!target->strip || !target->slow_strip) {
            free(target->strip);
            free(target);
            return -ENOMEM;
        }
    }
    loop_task_init(&target->rest, rested);
    conn_init(&target->conn, &shared->conn, asked->where.host, target->strip);
    transaction_init(&target->transaction, &plan->transaction, &target->conn, &user, target);
    if (asked->request) {
        target->transaction.request = asked->request;
        target->transaction.request_bytes = asked->request_bytes;
        target->transaction.body_at = asked->body_at;
    }
    bool tcp = !asked->fixed || sock_family(asked->fixed) != AF_UNIX;
    arm_schedule_begin(&target->schedule, tcp ? &plan->arms : &shared->local_arms);
    target->schedule.outlook = shared->outlook;
    target->schedule.owner = target;
    *out = target;
    return 0;
}

void target_free(struct target *target)
{
    live_capture_forget(target->shared->conn.capture, target->strip);
    arm_stores_free(&target->stores);
    preamble_free(&target->preamble);
    transaction_free(&target->transaction);
    path_control_free(&target->control);
    mtu_trial_free(target->trial);
    idle_trial_free(target->idle);
    no_answer_trial_free(target->again);
    free(target->strip);
    sock_address_list_free(&target->addresses);
    free(target);
}

void target_begin(struct target *target)
{
    target->started_ns = clock_mono_ns();
    next_session(target);
}

void target_cut_short(struct target *target, bool interrupted)
{
    const struct target_shared *shared = target->shared;
    int64_t measured = arm_stores_measured(&target->stores);

    target->cut_short = !interrupted;
    if (target->inquiry.address) { /* its failure is known */
        target_inquiry_cut(target);
        return;
    }
    if (target->idle) { /* the rounds are done */
        idle_trial_stop(target->idle);
        end_target(target, TARGET_DONE);
        return;
    }
    transaction_abandon(&target->transaction);
    /* Of one target even the handshake is worth telling; among many it would look like a result,
     * and so would two rounds, of which one was late. */
    int64_t wanted = shared->plan->arms.rounds;
    bool too_few = interrupted && !shared->only_one &&
                   measured < (wanted < CUT_ROUNDS_MIN ? wanted : CUT_ROUNDS_MIN);
    bool handshake = interrupted && shared->only_one && target->connections;
    if ((measured && !too_few) || handshake)
        end_target(target, TARGET_DONE);
    else if (interrupted)
        end_target(target, TARGET_NOT_DONE);
    else if (target->warmed_up)
        target_failed(target, FINDING_INCONCLUSIVE, 0, IN_WARMUP, "--timeout");
    else if (target->resolving)
        target_failed(target, FINDING_NAME_NOT_FOUND, ETIMEDOUT,
                      "the name did not resolve within --timeout");
    else if (target->conn.state == CONN_CONNECTING)
        target_failed(target, FINDING_CONNECT_TIMEOUT, ETIMEDOUT,
                      "no answer to the SYN within --timeout");
    else if (target->conn.state == CONN_HANDSHAKE)
        target_failed(target, FINDING_TLS_HANDSHAKE_FAILED, ETIMEDOUT,
                      "connected, but the TLS handshake was not over within --timeout");
    else
        target_failed(target, FINDING_NO_RESPONSE, ETIMEDOUT,
                      "connected, but no complete answer within --timeout; %llu bytes came",
                      (unsigned long long)target->transaction.reader.seen_bytes);
}
