/* When a response is complete: what --until says, applied to a stream of bytes. */
#ifndef PROBE_FRAMING_H
#define PROBE_FRAMING_H

#include "probe/http.h"

/* The kinds: id, rules in framing.c, how the user writes it, and what it waits for. */
#define FRAMING_ROWS(ROW)                                                                          \
    ROW(NOTHING, nothing, "nothing", "at once: no answer is expected")                             \
    ROW(LINE, line, "line", "a line end")                                                          \
    ROW(BYTES, bytes, "bytes:N", "that many bytes")                                                \
    ROW(TEXT, text, "text:STR", "this text, with C escapes")                                       \
    ROW(CLOSE, close, "close", "the end of the connection")                                        \
    ROW(IDLE, idle, "idle:DUR", "some bytes, and then silence for that long")                      \
    ROW(REPLY, reply, "reply", "an SMTP reply: the line \"NNN text\"")                             \
    ROW(HTTP, http, "http", "an HTTP/1 response, by its length or its chunks")

#define FRAMING_KIND(ID, rules, usage, help) FRAMING_##ID,
enum framing_kind { FRAMING_ROWS(FRAMING_KIND) FRAMING_KINDS };

#define FRAMING_TEXT_MAX        256
#define FRAMING_DESCRIPTION_MAX (FRAMING_TEXT_MAX * 4 + 64)

struct framing {
    enum framing_kind kind;
    uint64_t bytes;
    int64_t idle_ns;
    char text[FRAMING_TEXT_MAX];
    size_t text_bytes;
};

/* As the rows write it. */
int framing_parse(const char *text, struct framing *out, struct error *error);
/* How the expectation reads in a message: "2 bytes", "a line end". Returns out. */
const char *framing_describe(char *out, size_t size, const struct framing *framing);
/* Whether any answer is expected. */
bool framing_awaits(const struct framing *framing);
/* The silence that completes a response, for which the caller keeps the time; 0: none does. */
int64_t framing_silence_ns(const struct framing *framing);

struct framing_reader {
    const struct framing *framing;
    uint64_t seen_bytes;
    uint32_t matched; /* of text: how many of its bytes the stream's end matches */
    char reply[4];    /* the first bytes of the current line */
    uint32_t column;
    union {
        uint8_t failure[FRAMING_TEXT_MAX]; /* Knuth-Morris-Pratt: where to go on after a mismatch */
        struct http_reader http;           /* when that is what is awaited */
    };
};

void framing_begin(struct framing_reader *reader, const struct framing *framing);
/* As http_feed(): *used_bytes belong to this response, what follows does not. 1, 0 or -EPROTO. */
int framing_feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                 size_t *used_bytes, struct error *error);
/* The peer has closed: 1 when that completes the response. */
int framing_closed(const struct framing_reader *reader);

/* The HTTP response that was read, or NULL: it is none. */
const struct http_reader *framing_http_of(const struct framing_reader *reader);

/* Whether the peer has said that it will close after this response. */
bool framing_closes(const struct framing_reader *reader);

#endif
