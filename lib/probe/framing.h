/* When a response is complete: what --until says, applied to a stream of bytes. */
#ifndef PROBE_FRAMING_H
#define PROBE_FRAMING_H

#include "probe/http.h"

enum framing_kind {
    FRAMING_NOTHING, /* complete at once: no answer is expected */
    FRAMING_BYTES,   /* that many */
    FRAMING_LINE,    /* the first line end */
    FRAMING_REPLY,   /* an SMTP reply: the line "NNN text", after lines "NNN-text" */
    FRAMING_TEXT,    /* these bytes have come */
    FRAMING_CLOSE,   /* the peer closes */
    FRAMING_IDLE,    /* nothing has come for a while; the caller keeps the time */
    FRAMING_HTTP,    /* an HTTP/1 response has ended */
};

#define FRAMING_TEXT_MAX 256

struct framing {
    enum framing_kind kind;
    uint64_t bytes;
    int64_t idle_ns;
    char text[FRAMING_TEXT_MAX];
    size_t text_bytes;
};

/* "bytes:N", "line", "reply", "text:STR" (C escapes), "close", "idle:DUR", "http", "nothing". */
int framing_parse(const char *text, struct framing *out, struct error *error);
/* How the expectation reads in a message: "2 more bytes", "a line end". Returns out. */
const char *framing_describe(char *out, size_t size, const struct framing *framing);

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

#endif
