/* Frames, written: answers to a segment, and a bit flipped in place.
 *
 * Builders write into the caller's memory and return the frame's length in bytes, or a negative
 * errno and then nothing of use: -ENOSPC (does not fit), -EINVAL (said at each). Checksums are
 * right. `frame`/`segment` is always a frame and what packet_decode() made of it; frames are never
 * trusted: what is needed and not there is -EINVAL, and so is a frame that is encapsulated. Pure;
 * any thread. */
#ifndef PACKET_BUILD_H
#define PACKET_BUILD_H

#include "packet/icmp.h"
#include "packet/packet.h"

/* Room enough for any answer: link header, tags and 1280 bytes of IPv6. */
#define PACKET_ANSWER_MAX 1400

/* What a host without such a connection answers (RFC 9293 §3.10.7.1), from the segment's
 * destination to its source: to <ACK> <SEQ=SEG.ACK><RST>, else
 * <SEQ=0><ACK=SEG.SEQ+SEG.LEN><RST,ACK>. -EINVAL: not TCP, or itself an RST (never answered). */
int packet_build_rst(uint8_t *out, size_t size, const void *frame, size_t captured,
                     const struct segment *segment);

/* The ICMP or ICMPv6 error `name` about the frame, to its source. It quotes as much as RFC 1812
 * §4.3.2.3 (576 bytes in all) or RFC 4443 §2.4 (1280) let it. `from` is the address that answers
 * (of the frame's family), NULL: the frame's destination. `mtu` goes into fragmentation needed and
 * packet too big, and is ignored by the others.
 * -EINVAL: what must not be answered (RFC 1122 §3.2.2, RFC 4443 §2.4 e): an ICMP error, a fragment
 * that is not the first, a multicast or broadcast; or not IP, or cut within its headers.
 * -EOPNOTSUPP: this family has no such message. */
int packet_build_icmp(uint8_t *out, size_t size, const void *frame, size_t captured,
                      const struct segment *segment, const struct icmp_name *name,
                      const struct packet_endpoint *from, uint32_t mtu);

/* Flips one bit that `chance` picks, and leaves the checksum wrong: in the payload, or in the
 * transport's checksum field where there is no payload. -EINVAL: neither is there. */
int packet_corrupt(uint8_t *frame, size_t captured, const struct segment *segment, uint64_t chance);

#endif
