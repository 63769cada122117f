#include "lab/flag_word.h"

#include "base/cleanup.h"
#include "packet/packet.h"

#include <string.h>

#define NO_DATA 1 /* matches only without payload */
#define DATA    2 /* matches only with payload */

/* A TCP packet fits when its flags under `mask` are `flags`. */
static const struct {
    const char *name;
    uint16_t mask, flags;
    uint8_t payload;
} words[] = {
    [WORD_ANY] = {"any", 0, 0, 0},
    [WORD_SYN] = {"syn", SEGMENT_SYN | SEGMENT_ACK, SEGMENT_SYN, 0},
    [WORD_SYN_ACK] = {"syn-ack", SEGMENT_SYN | SEGMENT_ACK, SEGMENT_SYN | SEGMENT_ACK, 0},
    [WORD_FIN] = {"fin", SEGMENT_FIN, SEGMENT_FIN, 0},
    [WORD_RST] = {"rst", SEGMENT_RST, SEGMENT_RST, 0},
    [WORD_DATA] = {"data", 0, 0, DATA},
    [WORD_ACK] = {"ack", SEGMENT_SYN | SEGMENT_FIN | SEGMENT_RST | SEGMENT_ACK, SEGMENT_ACK,
                  NO_DATA},
};

enum flag_word flag_word_of(const char *text)
{
    if (!*text)
        return WORD_ANY;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(words[i].name, text))
            return (enum flag_word)i;
    return WORD_NONE;
}

bool flag_word_matches(enum flag_word word, bool tcp, uint16_t flags, uint32_t payload_bytes)
{
    if (word == WORD_ANY || word == WORD_NONE)
        return word == WORD_ANY;
    if (!tcp || (flags & words[word].mask) != words[word].flags)
        return false;
    return !words[word].payload || (words[word].payload == DATA) == (payload_bytes > 0);
}
