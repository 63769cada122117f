/* What the application and the kernel say about a round goes two ways: into the round's builder,
 * which reduces it, and, when a ladder was asked for, into the strip that the ladder is drawn from.
 */
#include "probe/timestamping.h"

#include "base/cleanup.h"
#include "probe/target.h"
#include <errno.h>
#include <string.h>

#define STAMPS_MAX 8 /* a round with one write has three */

static void copy_word(char *out, const char *word)
{
    strncpy(out, word, TRACE_WORD_MAX - 1);
}

void timestamping_record(struct trace_strip *strip, uint32_t connection,
                         const struct sock_call *call)
{
    struct trace_event event = {.at_real_ns = call->returned_real_ns,
                                .kind = TRACE_CALL,
                                .side = TRACE_CLIENT,
                                .connection = connection};
    event.call = (struct trace_call){.entered_real_ns = call->entered_real_ns,
                                     .entered_mono_ns = call->entered_mono_ns,
                                     .returned_mono_ns = call->returned_mono_ns,
                                     .result = call->result,
                                     .error = call->error,
                                     .fd = call->fd,
                                     .requested_bytes = (uint64_t)call->requested_bytes,
                                     .offset_bytes = (uint64_t)call->stream_offset};
    copy_word(event.call.verb, sock_verb_name(call->verb));
    trace_strip_append(strip, &event);
}

void timestamping_call(void *context, const struct sock_call *call)
{
    struct target *target = context;

    if (call->stage != SOCK_CALL_RETURNED)
        return;
    target->entered_real_ns = call->entered_real_ns;
    target->returned_real_ns = call->returned_real_ns;
    target->returned_mono_ns = call->returned_mono_ns;
    if (target->strip && call->error != EAGAIN &&
        (call->verb == SOCK_VERB_READ || call->verb == SOCK_VERB_WRITE))
        timestamping_record(target->strip, 1, call);
}

static void record_stamp(struct target *target, enum trace_stamp_kind what, int64_t at_real_ns,
                         uint64_t end_bytes, uint64_t length_bytes)
{
    struct trace_event event = {.at_real_ns = at_real_ns,
                                .kind = TRACE_STAMP,
                                .side = TRACE_CLIENT,
                                .connection = 1,
                                .stamp = {what, end_bytes, length_bytes}};

    trace_strip_append(target->strip, &event);
}

bool timestamping_stamps(struct target *target)
{
    static const struct {
        enum sock_stamp_kind from;
        enum round_stamp_kind to;
        enum trace_stamp_kind trace;
    } kinds[] = {{SOCK_STAMP_SCHED, ROUND_QUEUED, TRACE_QUEUED},
                 {SOCK_STAMP_SND, ROUND_SENT, TRACE_SENT},
                 {SOCK_STAMP_ACK, ROUND_ACKED, TRACE_ACKED}};
    struct sock_stamp stamps[STAMPS_MAX];
    int count;
    bool any = false;

    do {
        count = sock_stamps_drain(&target->sock, stamps, STAMPS_MAX);
        any |= count > 0;
        for (int i = 0; i < count; i++) {
            int64_t end = stamps[i].offset + 1 - target->round_base_bytes;
            for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                if (stamps[i].kind != kinds[k].from || end <= 0)
                    continue;
                round_stamp(&target->builder, kinds[k].to, (uint64_t)end, stamps[i].real_ns);
                if (target->strip)
                    record_stamp(target, kinds[k].trace, stamps[i].real_ns, (uint64_t)end, 0);
            }
        }
    } while (count == STAMPS_MAX);
    return any;
}

void timestamping_arrival(struct target *target, int64_t at_real_ns, uint64_t end_bytes,
                          uint64_t length_bytes)
{
    if (target->strip)
        record_stamp(target, TRACE_RECEIVED, at_real_ns, end_bytes, length_bytes);
}

void timestamping_begin(struct target *target)
{
    /* What is waiting belongs to what was before. */
    live_capture_take(target->run->capture);
    if (target->strip)
        trace_strip_reset(target->strip);
}
