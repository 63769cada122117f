/* Where an HTTP/1.x response ends (RFC 9112 section 6.3), found byte by byte.
 *
 * Feed what arrives; nothing is stored but a short line buffer, so a response of any length costs
 * the same. Hostile input gives -EPROTO, never more memory. 1xx responses are read over. */
#ifndef PROBE_HTTP_H
#define PROBE_HTTP_H

#include "netkit/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_phase {
    HTTP_STATUS_LINE,
    HTTP_HEADERS,
    HTTP_BODY,        /* remaining_bytes to come */
    HTTP_UNTIL_CLOSE, /* neither length nor chunks: the connection's end is the end */
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_END,
    HTTP_TRAILERS,
    HTTP_DONE,
};

#define HTTP_LINE_MAX   256 /* what is kept of a line; longer ones are read, not understood */
#define HTTP_HEADER_MAX (256 * 1024)
#define HTTP_SHOWN_MAX  64 /* what is kept of a header that is shown */

struct http_reader {
    enum http_phase phase;
    char line[HTTP_LINE_MAX];
    size_t line_bytes;
    bool line_cut;
    size_t header_bytes;
    uint64_t remaining_bytes;
    bool no_body;
    bool has_length, chunked;
    bool close; /* the server will close after this response */
    bool http_1_0;
    bool keep_alive;
    int status;
    uint32_t continues; /* 100 (Continue) that came before the response */
    /* Header lines as they came, cut, or "": who says that it is the server, and the first one that
     * a proxy adds. */
    char server[HTTP_SHOWN_MAX], proxy[HTTP_SHOWN_MAX];
};

/* no_body: it is the answer to HEAD (RFC 9110 section 9.3.2). */
void http_begin(struct http_reader *reader, bool no_body);
/* Takes bytes until the response ends. *used_bytes tells how many belonged to it. 1: complete, 0:
 * more to come, -EPROTO: not HTTP, or lengths that contradict each other. */
int http_feed(struct http_reader *reader, const char *bytes, size_t len_bytes, size_t *used_bytes,
              struct error *error);
/* Nothing but interim responses has come, or what may become one. */
bool http_is_interim(const struct http_reader *reader);
/* The peer has closed: 1 when that completes the response, 0 when it cuts it off. */
int http_closed(const struct http_reader *reader);

#endif
