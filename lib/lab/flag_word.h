/* The words that name kinds of segments in faults, conditions and expectations: "syn", "syn-ack",
 * "fin", "rst", "data", "ack" (nothing but an ACK), and "" or "any". */
#ifndef LAB_FLAG_WORD_H
#define LAB_FLAG_WORD_H

#include <stdbool.h>
#include <stdint.h>

enum flag_word {
    WORD_ANY,
    WORD_SYN,
    WORD_SYN_ACK,
    WORD_FIN,
    WORD_RST,
    WORD_DATA,
    WORD_ACK,
    WORD_NONE, /* a filter */
};
enum flag_word flag_word_of(const char *text);
/* Flags are the low bits of the TCP header's, as in struct segment. */
bool flag_word_matches(enum flag_word word, bool tcp, uint16_t flags, uint32_t payload_bytes);

#endif
