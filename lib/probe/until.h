/* When a response is complete: what --until says, applied to a stream of bytes. */
#ifndef PROBE_UNTIL_H
#define PROBE_UNTIL_H

#include "probe/http.h"

enum until_kind {
    UNTIL_NOTHING, /* complete at once: no answer is expected */
    UNTIL_BYTES,   /* that many */
    UNTIL_LINE,    /* the first line end */
    UNTIL_REPLY,   /* an SMTP reply: the line "NNN text", after lines "NNN-text" */
    UNTIL_TEXT,    /* these bytes have come */
    UNTIL_CLOSE,   /* the peer closes */
    UNTIL_IDLE,    /* nothing has come for a while; the caller keeps the time */
    UNTIL_HTTP,    /* an HTTP/1 response has ended */
};

#define UNTIL_TEXT_MAX 256

struct until {
    enum until_kind kind;
    uint64_t bytes;
    int64_t idle_ns;
    char text[UNTIL_TEXT_MAX];
    size_t text_bytes;
};

/* "bytes:N", "line", "reply", "text:STR" (C escapes), "close", "idle:DUR", "http", "nothing". */
int until_parse(const char *text, struct until *out, struct error *error);
/* How the expectation reads in a message: "2 more bytes", "a line end". Returns out. */
const char *until_describe(char *out, size_t size, const struct until *until);

struct until_reader {
    const struct until *until;
    uint64_t seen_bytes;
    uint32_t matched; /* of text: how many of its bytes the stream's end matches */
    char reply[4];    /* the first bytes of the current line */
    uint32_t column;
    union {
        uint8_t failure[UNTIL_TEXT_MAX]; /* Knuth-Morris-Pratt: where to go on after a mismatch */
        struct http_reader http;         /* when that is what is awaited */
    };
};

void until_begin(struct until_reader *reader, const struct until *until);
/* As http_feed(): *used_bytes belong to this response, what follows does not. 1, 0 or -EPROTO. */
int until_feed(struct until_reader *reader, const char *bytes, size_t len_bytes, size_t *used_bytes,
               struct error *error);
/* The peer has closed: 1 when that completes the response. */
int until_closed(const struct until_reader *reader);

#endif
