/* From the network header on. Internal to this room. */
#ifndef PACKET_DECODE_H
#define PACKET_DECODE_H

#include "packet/view.h"

/* Reads on where `link`, the status of the link header, has left out->ethertype and
 * out->network_offset. */
enum packet_status decode_network(struct segment *out, const struct view *view,
                                  enum packet_status link);

#endif
