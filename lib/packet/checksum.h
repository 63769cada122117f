/* The Internet checksum (RFC 1071) and what it covers. Internal to this room. */
#ifndef PACKET_CHECKSUM_H
#define PACKET_CHECKSUM_H

#include "packet/packet.h"

/* Adds `len` bytes, as big-endian 16-bit words, to a sum that is not folded yet. Only the last
 * piece of several may have an odd length. */
uint64_t checksum_add(uint64_t sum, const void *bytes, size_t len);
/* The 16-bit one's complement sum, not inverted. */
uint16_t checksum_fold(uint64_t sum);

/* The pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1). */
uint64_t checksum_pseudo(uint8_t family, const uint8_t source[16], const uint8_t destination[16],
                         uint8_t protocol, size_t len);

/* The sum of a transport header and payload of `len` bytes, with the pseudo-header where the
 * protocol has one; over a right checksum field it is 0xffff. */
uint16_t checksum_transport(uint8_t family, const uint8_t source[16], const uint8_t destination[16],
                            uint8_t protocol, const uint8_t *bytes, size_t len);

/* Where the checksum of a segment's transport is, counted from its transport header, or -1. */
int checksum_place(const struct segment *segment);

#endif
