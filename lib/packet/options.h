/* TCP options, read. Internal to this room. */
#ifndef PACKET_OPTIONS_H
#define PACKET_OPTIONS_H

#include "packet/view.h"

/* Kinds (IANA). */
enum {
    TCP_OPTION_END = 0,
    TCP_OPTION_NOP = 1,
    TCP_OPTION_MSS = 2,
    TCP_OPTION_WINDOW_SCALE = 3,
    TCP_OPTION_SACK = 5,
    TCP_OPTION_TIMESTAMPS = 8,
};

/* Reads the options in [offset, end), which is within the frame on the wire; one that the snap
 * length cut ends the walk. */
void options_read(struct tcp_options *out, const struct view *view, size_t offset, size_t end);

#endif
