#include "probe/timestamping.h"

#include <string.h>

void timestamping_record_call(struct trace_strip *strip, uint32_t connection,
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
    strncpy(event.call.verb, sock_verb_name(call->verb), TRACE_WORD_MAX - 1);
    trace_strip_append(strip, &event);
}

void timestamping_record_stamp(struct trace_strip *strip, enum trace_stamp_kind kind,
                               int64_t at_real_ns, uint64_t end_bytes, uint64_t length_bytes)
{
    struct trace_event event = {.at_real_ns = at_real_ns,
                                .kind = TRACE_STAMP,
                                .side = TRACE_CLIENT,
                                .connection = 1,
                                .stamp = {kind, end_bytes, length_bytes}};

    trace_strip_append(strip, &event);
}
