/* What a kind of framing is made of, for those that implement one. */
#ifndef PROBE_FRAMING_RULES_H
#define PROBE_FRAMING_RULES_H

#include "probe/framing.h"

struct framing_rules {
    /* Of a word that ends in ':': takes the value. NULL: the word has none. */
    int (*parse)(const char *value, struct framing *out, struct error *error);
    const char *awaits; /* in a message; or else */
    void (*describe)(char *out, size_t size, const struct framing *framing);
    void (*begin)(struct framing_reader *reader); /* NULL: zeros will do */
    /* One of them: each byte, each line, or all at once as framing_feed(). */
    int (*match)(struct framing_reader *reader, char c, struct error *error);
    int (*line)(struct framing_reader *reader, struct error *error);
    int (*feed)(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                size_t *used_bytes, struct error *error);
    int (*closed)(const struct framing_reader *reader); /* NULL: the end is always too early */
    /* NULL: the kind knows no success. `out` has the first line as text. */
    void (*judge)(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out);
};

#define FRAMING_RULES(ID, rules, usage, help) extern const struct framing_rules framing_##rules;
FRAMING_ROWS(FRAMING_RULES)

/* Messages with a header that says how long they are. */
struct framing_messages {
    /* Of a header's first bytes, reader->message.start: 0, more of it has to come; -EPROTO; or how
     * long it is, and how much of a body follows. It has at most FRAMING_START_MAX bytes. */
    int (*header)(const struct framing_reader *reader, uint64_t *body_bytes, struct error *error);
    /* A message is over; reader->message.start has its header and what fits of its body, and
     * .parts counts it. 1: the answer is complete. */
    int (*over)(struct framing_reader *reader, struct error *error);
};
/* As framing_feed(). */
int framing_feed_messages(struct framing_reader *reader, const struct framing_messages *messages,
                          const char *bytes, size_t len_bytes, size_t *used_bytes,
                          struct error *error);

/* One more byte of a line. true: the line is over, and reader->line has its beginning, without the
 * line end. */
bool framing_line_byte(struct framing_reader *reader, char c);
/* Whether that begins with the words. */
bool framing_line_starts(const struct framing_reader *reader, const char *words);
/* For judge(): the text is the answer's last line. `head` may be cut; then the line's beginning. */
void framing_show_last_line(const struct framing_reader *reader, const char *head,
                            size_t head_bytes, struct framing_answer *out);
/* The protocol is another one: -EPROTO. */
int framing_refuse(const char *what, struct error *error);

#endif
