#include "probe/target_inquiry.h"

#include "base/cleanup.h"
#include <errno.h>
#include <string.h>

int64_t target_time_left_ns(const struct target *target)
{
    int64_t duration_ns = target->shared->plan->arms.duration_ns;
    int64_t left_ns = duration_ns - (clock_mono_ns() - target->started_ns);

    if (duration_ns == INT64_MAX)
        return INT64_MAX;
    return left_ns > 0 ? left_ns : 0;
}

/* What came instead of the first answer was none: a server of TLS may have said so in plain text.
 */
static bool brought_nonsense(const struct target *target)
{
    return !target->failure.cause && !target->heard &&
           (target->failure.code == FINDING_UNEXPECTED_ANSWER ||
            target->failure.code == FINDING_RESPONSE_TRUNCATED ||
            target->failure.code == FINDING_NO_RESPONSE);
}

static bool brought_nothing(const struct target *target)
{
    static const enum finding_code codes[] = {FINDING_CONNECTION_RESET, FINDING_PEER_ABORTED,
                                              FINDING_RESPONSE_TRUNCATED, FINDING_NO_RESPONSE};
    bool fits = false;

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        fits |= target->failure.code == codes[i];
    return fits && !target->failure.cause && !target->heard && !target->conn.sock.bytes_received &&
           target->opened_ns;
}

/* What is known of the connection, still open, that brought nothing. */
static struct no_answer without_answer(const struct target *target)
{
    const struct result_error *error = &target->failure;

    return (struct no_answer){.ended = error->number != ETIMEDOUT && brought_nothing(target),
                              .reset = error->number != 0,
                              .asked = target->conn.sock.bytes_sent > 0,
                              .life_ns = clock_mono_ns() - target->opened_ns};
}

/* None of them answered. */
static void tell_passed_over(struct target *target)
{
    if (!target->passed_over)
        return;
    target->fallback = NULL;
    target->failure.message = arena_printf(target->shared->conn.arena, "%s; before that %s",
                                           target->failure.message, target->passed_over);
}

bool target_pass_over(struct target *target, const struct sock_address *address)
{
    struct sock_address_list *list = &target->addresses;
    char text[SOCK_ADDRESS_TEXT_MAX];
    size_t i = 0;

    if (list->count < 2 || target->connections != 1 || !brought_nothing(target) ||
        target->failure.number == ETIMEDOUT || !target_time_left_ns(target)) {
        tell_passed_over(target);
        return false;
    }
    target->passed_over = arena_printf(
        target->shared->conn.arena, "%s%s%s: accepted, and %s without a byte of an answer",
        target->passed_over ? target->passed_over : "", target->passed_over ? "; " : "",
        sock_address_format(text, sizeof text, address),
        target->failure.number ? "reset" : "closed");
    while (i + 1 < list->count && !sock_address_equal(&list->items[i], address))
        i++;
    memmove(&list->items[i], &list->items[i + 1], (list->count - i - 1) * sizeof *list->items);
    list->count--;
    target->connections = 0;
    target->failure = (struct result_error){0};
    return true;
}

static void again_ended(void *owner)
{
    struct target *target = owner;
    struct result_error *error = &target->failure;
    enum failure_cause cause =
        no_answer_cause(target->shared->conn.arena, &target->again->facts, &error->message);

    no_answer_trial_stop(target->again);
    if (cause == FAILURE_TLS_WANTED && brought_nothing(target))
        error->code = failure_entry(cause)->code;
    if (cause != FAILURE_NOT_KNOWN)
        error->cause = failure_entry(cause)->name;
    target->inquiry.ended(target);
}

/* Whether new connections are made to find out more; with TLS the handshake has said it. */
static bool connect_again(struct target *target)
{
    struct target_shared *shared = target->shared;
    const struct no_answer facts = without_answer(target);
    int64_t left = target_time_left_ns(target);

    if (target->again || shared->plan->tls || !left ||
        !(brought_nothing(target) || brought_nonsense(target)))
        return false;
    path_control_end(&target->control);
    conn_close(&target->conn);
    transaction_reset(&target->transaction);
    return !no_answer_trial_begin(&target->again, &shared->conn, target->asked->where.host,
                                  target->inquiry.address, &facts, left, target, again_ended);
}

static bool sizes_explain(struct target *target)
{
    const struct path_mtu_evidence *evidence = &target->trial->evidence;

    mtu_trial_stop(target->trial);
    if (!path_mtu_found(evidence))
        return false;
    target->failure.code = FINDING_PATH_MTU;
    target->failure.message = path_mtu_describe(target->shared->conn.arena, evidence);
    return true;
}

static void trial_ended(void *owner)
{
    struct target *target = owner;

    if (sizes_explain(target) || !connect_again(target))
        target->inquiry.ended(target);
}

/* At most for as long as an answer may take, and within --duration. What came to an end once is not
 * held back by its size. */
static bool try_sizes(struct target *target)
{
    int64_t left = target_time_left_ns(target);

    if (target->trial || !target->inquiry.fresh || !left || target->inquiry.local ||
        !mtu_trial_wanted(&target->transaction, &target->failure))
        return false;
    path_control_end(&target->control);
    return !mtu_trial_begin(&target->trial, &target->transaction, &target->shared->plan->preamble,
                            target->inquiry.address, left, target, trial_ended);
}

bool target_inquiry_begin(struct target *target, const struct target_inquiry *inquiry)
{
    target->inquiry = *inquiry;
    if (try_sizes(target) || connect_again(target))
        return true;
    target->inquiry.address = NULL;
    return false;
}

void target_inquiry_cut(struct target *target)
{
    if (target->again) {
        again_ended(target);
        return;
    }
    sizes_explain(target);
    target->inquiry.ended(target);
}
