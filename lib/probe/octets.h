/* Numbers in the messages of binary protocols. */
#ifndef PROBE_OCTETS_H
#define PROBE_OCTETS_H

#include "base/buf.h"
#include <stdint.h>

static inline uint32_t octets_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint32_t octets_le16(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t octets_le24(const uint8_t *at)
{
    return octets_le16(at) | (uint32_t)at[2] << 16;
}

/* The number's lowest `bytes` bytes, the highest of them first. */
static inline void octets_add_be(struct buf *out, uint32_t number, int bytes)
{
    while (bytes-- > 0)
        buf_add_char(out, (char)(number >> (8 * bytes)));
}

/* The same, the lowest first. */
static inline void octets_add_le(struct buf *out, uint32_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_add_char(out, (char)(number >> (8 * i)));
}

#endif
