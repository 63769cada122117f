/* TCP sequence numbers: arithmetic modulo 2^32 (RFC 9293 §3.4).
 *
 * Comparisons hold while the two numbers are less than 2^31 apart, which TCP's windows guarantee.
 * All functions are pure. */
#ifndef PACKET_SEQ_H
#define PACKET_SEQ_H

#include <stdbool.h>
#include <stdint.h>

/* How far b has to go to reach a: negative when a is before b. */
static inline int32_t seq_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return seq_diff(a, b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
    return seq_diff(a, b) <= 0;
}

/* Whether low ≤ seq < high, going upwards from low. */
static inline bool seq_within(uint32_t seq, uint32_t low, uint32_t high)
{
    return seq - low < high - low;
}

#endif
