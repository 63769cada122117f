/* The names of ICMP messages, one row for both families.
 *
 * A row is what the user writes (--answer-icmp M=NAME) and what is printed ("W>C ICMP NAME"); the
 * pairs follow RFC 792, 1812 and 4443, and between the families RFC 7915 §4.2 and §5.2. */
#ifndef PACKET_ICMP_H
#define PACKET_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct icmp_name {
    const char *name;
    const char *alias;        /* another name that is understood, or NULL */
    const char *title;        /* in words */
    int16_t v4_type, v4_code; /* -1: this family has no such message */
    int16_t v6_type, v6_code;
    bool is_error;
};

/* All rows, in order; *count is set. */
const struct icmp_name *icmp_names(size_t *count);

/* By name or alias; NULL when there is none. */
const struct icmp_name *icmp_by_name(const char *name);

/* The row of a message (family 4 or 6), or NULL when it has none. */
const struct icmp_name *icmp_by_type(uint8_t family, uint8_t type, uint8_t code);

#endif
