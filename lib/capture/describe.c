#include "capture/describe.h"

#include <string.h>

void capture_describe(struct trace_segment *out, const struct segment *segment, uint32_t wire_bytes)
{
    const struct tcp_options *options = &segment->options;

    *out = (struct trace_segment){
        .family = segment->family,
        .protocol = segment->protocol,
        .flags = segment->flags,
        .source_port = segment->source.port,
        .destination_port = segment->destination.port,
        .sequence = segment->seq,
        .acknowledgement = segment->ack,
        .window_bytes = segment->window,
        .payload_bytes = segment->payload_len,
        .wire_bytes = wire_bytes,
        .mss = options->has_mss ? options->mss : 0,
        .window_scale = options->has_window_scale ? (int8_t)options->window_scale : -1,
        .sack_blocks = options->sack_count > 3 ? 3 : options->sack_count,
        .timestamp_value = options->ts_value,
        .timestamp_echo = options->ts_echo,
        .icmp_type = segment->icmp.type,
        .icmp_code = segment->icmp.code,
        .departed_real_ns = CLOCK_NONE,
    };
    memcpy(out->source, segment->source.address, sizeof out->source);
    memcpy(out->destination, segment->destination.address, sizeof out->destination);
    for (int i = 0; i < out->sack_blocks; i++) {
        out->sack[i][0] = options->sack[i].left;
        out->sack[i][1] = options->sack[i].right;
    }
}
