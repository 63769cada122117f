/* Conditions on the trace, for whoever has it mapped: the caller that waits, the wire that holds.
 *
 * Events are judged in the order of their slots. A verdict can be open: the slot is reserved and
 * not yet committed, the packet is not yet delivered. What lies behind the first open verdict is
 * judged again the next time, so that a writer that died in between does not block the rest. */
#include "lab/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum verdict {
    VERDICT_NO,
    VERDICT_YES,
    VERDICT_OPEN,
};

int condition_init(struct condition *condition, const struct lab_condition *what, size_t first,
                   struct error *error)
{
    *condition = (struct condition){
        .what = *what,
        .word = flag_word_of(what->match.text),
        .next = what->since > first ? what->since : first,
    };
    if (what->kind == LAB_SEGMENT && condition->word == WORD_NONE)
        return error_set(error, EINVAL,
                         "a condition takes a flag word (any, syn, syn-ack, fin, rst, data, ack), "
                         "not '%s'",
                         what->match.text);
    if (what->kind == LAB_NO_CONDITION)
        return error_set(error, EINVAL, "no condition was given");
    return 0;
}

static enum verdict judge_segment(const struct condition *condition,
                                  const struct trace_segment *segment)
{
    const struct lab_match *match = &condition->what.match;
    bool dropped = segment->fate == TRACE_DROPPED || segment->fate == TRACE_ANSWERED;

    if ((match->direction == LAB_FROM_CLIENT && !segment->from_client) ||
        (match->direction == LAB_FROM_SERVER && segment->from_client) ||
        !flag_word_matches(condition->word, segment->protocol == IPPROTO_TCP, segment->flags,
                           segment->payload_bytes))
        return VERDICT_NO;
    int64_t departed = __atomic_load_n(&segment->departed_real_ns, __ATOMIC_ACQUIRE);
    switch (condition->what.stage) {
    case LAB_SEEN:
        return VERDICT_YES;
    case LAB_DELIVERED:
        return departed != CLOCK_NONE ? VERDICT_YES : dropped ? VERDICT_NO : VERDICT_OPEN;
    case LAB_DROPPED:
        return dropped ? VERDICT_YES : departed != CLOCK_NONE ? VERDICT_NO : VERDICT_OPEN;
    }
    return VERDICT_NO;
}

static enum verdict judge(const struct condition *condition, const struct trace_event *event)
{
    const struct lab_condition *what = &condition->what;
    enum trace_side side = what->host == LAB_CLIENT ? TRACE_CLIENT : TRACE_SERVER;
    bool yes = false;

    if (!event)
        return VERDICT_OPEN;
    switch (what->kind) {
    case LAB_NO_CONDITION:
        break;
    case LAB_SEGMENT:
        return event->kind == TRACE_SEGMENT && event->side == TRACE_WIRE
                   ? judge_segment(condition, &event->segment)
                   : VERDICT_NO;
    case LAB_STATE:
        yes =
            event->kind == TRACE_STATE && event->side == side && event->state.state == what->state;
        break;
    case LAB_CALL:
        yes = event->kind == TRACE_CALL && event->side == side && !event->call.pending &&
              !strncmp(event->call.verb, what->word, sizeof event->call.verb);
        break;
    case LAB_MARK:
        yes = event->kind == TRACE_MARK && !strncmp(event->text, what->word, strlen(what->word));
        break;
    }
    return yes ? VERDICT_YES : VERDICT_NO;
}

bool condition_met(struct condition *condition, const struct trace *trace)
{
    size_t end = trace_reserved(trace);
    uint64_t wanted = condition->what.nth ? condition->what.nth : 1;
    uint64_t counted = condition->counted;
    bool settled = true;

    for (size_t i = condition->next; i < end && counted < wanted; i++) {
        enum verdict verdict = judge(condition, trace_slot(trace, i));
        counted += verdict == VERDICT_YES;
        settled = settled && verdict != VERDICT_OPEN;
        if (settled) {
            condition->next = i + 1;
            condition->counted = counted;
        }
    }
    return counted >= wanted;
}
