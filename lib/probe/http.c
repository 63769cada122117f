#include "probe/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void http_begin(struct http_reader *reader, bool no_body)
{
    reader->no_body = no_body;
    reader->phase = HTTP_STATUS_LINE;
    reader->line_bytes = reader->header_bytes = 0;
    reader->remaining_bytes = 0;
    reader->line_cut = reader->has_length = reader->chunked = false;
    reader->close = reader->http_1_0 = reader->keep_alive = false;
    reader->status = 0;
    reader->continues = 0;
    reader->server[0] = reader->proxy[0] = '\0';
}

static int refuse(const char *what, struct error *error)
{
    return error_set(error, EPROTO, "%s", what);
}

static int status_line(struct http_reader *reader, struct error *error)
{
    const char *p = reader->line;

    if (strncmp(p, "HTTP/1.", 7) || !isdigit((unsigned char)p[7]) || p[8] != ' ' ||
        !isdigit((unsigned char)p[9]) || !isdigit((unsigned char)p[10]) ||
        !isdigit((unsigned char)p[11]) || (p[12] && p[12] != ' '))
        return refuse("not an HTTP/1 status line", error);
    reader->http_1_0 = p[7] == '0';
    reader->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    reader->phase = HTTP_HEADERS;
    return 0;
}

/* Whether a comma-separated header value has the word. */
static bool has_token(const char *value, const char *token)
{
    size_t length = strlen(token);

    for (const char *p = value; *p;) {
        p += strspn(p, " \t,");
        size_t word = strcspn(p, " \t,;");
        if (word == length && !strncasecmp(p, token, length))
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

static int content_length(struct http_reader *reader, const char *value, struct error *error)
{
    uint64_t length = 0;
    const char *p = value;

    for (; isdigit((unsigned char)*p); p++) {
        if (length > (UINT64_MAX - 9) / 10)
            return refuse("Content-Length is too large", error);
        length = length * 10 + (uint64_t)(*p - '0');
    }
    if (p == value || p[strspn(p, " \t")])
        return refuse("Content-Length is no number", error);
    if (reader->has_length && reader->remaining_bytes != length)
        return refuse("two different Content-Lengths", error);
    reader->has_length = true;
    reader->remaining_bytes = length;
    return 0;
}

static void keep_shown(struct http_reader *reader, size_t name)
{
    const struct {
        const char *name;
        char *kept;
    } shown[] = {{"server", reader->server}, {"via", reader->proxy}, {"x-cache", reader->proxy}};

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (!*shown[i].kept && strlen(shown[i].name) == name &&
            !strncasecmp(reader->line, shown[i].name, name))
            snprintf(shown[i].kept, HTTP_SHOWN_MAX, "%s", reader->line);
}

static int header_line(struct http_reader *reader, struct error *error)
{
    char *colon = strchr(reader->line, ':');

    if (*reader->line == ' ' || *reader->line == '\t')
        return 0; /* the header before goes on (obs-fold, RFC 9112 section 5.2) */
    if (!colon && reader->line_cut)
        return 0;
    if (!colon)
        return refuse("a header line without a colon", error);
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t name = (size_t)(colon - reader->line);
    bool length = name == 14 && !strncasecmp(reader->line, "content-length", 14);
    bool coding = name == 17 && !strncasecmp(reader->line, "transfer-encoding", 17);
    if ((length || coding) && reader->line_cut)
        return refuse("a line too long to be understood", error);
    keep_shown(reader, name);
    if (length)
        return content_length(reader, value, error);
    if (coding)
        reader->chunked |= has_token(value, "chunked");
    if (name == 10 && !strncasecmp(reader->line, "connection", 10)) {
        reader->close |= has_token(value, "close");
        reader->keep_alive |= has_token(value, "keep-alive");
    }
    return 0;
}

static void headers_end(struct http_reader *reader)
{
    int status = reader->status;

    if (status >= 100 && status < 200 && status != 101) {
        uint32_t continues = reader->continues + (status == 100);
        size_t header_bytes = reader->header_bytes; /* the bound is one for all of them */
        http_begin(reader, reader->no_body);        /* an interim response; the real one follows */
        reader->continues = continues;
        reader->header_bytes = header_bytes;
        return;
    }
    reader->close |= reader->http_1_0 && !reader->keep_alive;
    if (reader->no_body || status == 204 || status == 304 || status == 101)
        reader->phase = HTTP_DONE;
    else if (reader->chunked)
        reader->phase = HTTP_CHUNK_SIZE;
    else if (!reader->has_length)
        reader->phase = HTTP_UNTIL_CLOSE;
    else
        reader->phase = reader->remaining_bytes ? HTTP_BODY : HTTP_DONE;
    if (reader->phase == HTTP_UNTIL_CLOSE)
        reader->close = true;
}

static int chunk_size(struct http_reader *reader, struct error *error)
{
    uint64_t size = 0;
    const char *p = reader->line;

    for (; isxdigit((unsigned char)*p); p++) {
        if (size >> 60)
            return refuse("a chunk size is too large", error);
        size = size << 4 |
               (uint64_t)(isdigit((unsigned char)*p) ? *p - '0'
                                                     : tolower((unsigned char)*p) - 'a' + 10);
    }
    if (p == reader->line || (*p && !strchr("; \t", *p)) || (!*p && reader->line_cut))
        return refuse("a chunk size is no number", error);
    reader->remaining_bytes = size;
    reader->phase = size ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
    return 0;
}

static int take_line(struct http_reader *reader, struct error *error)
{
    int rc = 0;

    if (reader->line_bytes && reader->line[reader->line_bytes - 1] == '\r')
        reader->line_bytes--;
    reader->line[reader->line_bytes] = '\0';
    switch (reader->phase) {
    case HTTP_STATUS_LINE:
        rc = status_line(reader, error);
        break;
    case HTTP_HEADERS:
        if (reader->line_bytes)
            rc = header_line(reader, error);
        else
            headers_end(reader);
        break;
    case HTTP_CHUNK_SIZE:
        rc = chunk_size(reader, error);
        break;
    case HTTP_CHUNK_END:
        if (reader->line_bytes)
            return refuse("a chunk does not end where it should", error);
        reader->phase = HTTP_CHUNK_SIZE;
        break;
    case HTTP_TRAILERS:
        if (!reader->line_bytes)
            reader->phase = HTTP_DONE;
        break;
    case HTTP_BODY:
    case HTTP_UNTIL_CLOSE:
    case HTTP_CHUNK_DATA:
    case HTTP_DONE:
        break;
    }
    reader->line_bytes = 0;
    reader->line_cut = false;
    return rc;
}

static int feed_line(struct http_reader *reader, char c, struct error *error)
{
    if (reader->phase != HTTP_CHUNK_SIZE && reader->phase != HTTP_CHUNK_END &&
        ++reader->header_bytes > HTTP_HEADER_MAX)
        return error_set(error, EPROTO, "the HTTP headers are longer than %d KiB",
                         HTTP_HEADER_MAX / 1024);
    if (c == '\n')
        return take_line(reader, error);
    if (reader->line_bytes + 1 < sizeof reader->line)
        reader->line[reader->line_bytes++] = c;
    else
        reader->line_cut = true;
    /* Tell at once that this is some other protocol, rather than wait for a line's end. */
    if (reader->phase == HTTP_STATUS_LINE && reader->line_bytes <= 5 &&
        strncmp(reader->line, "HTTP/", reader->line_bytes))
        return refuse("not an HTTP/1 status line", error);
    return 0;
}

int http_feed(struct http_reader *reader, const char *bytes, size_t len_bytes, size_t *used_bytes,
              struct error *error)
{
    size_t used = 0;
    int rc = 0;

    while (used < len_bytes && reader->phase != HTTP_DONE && !rc) {
        if (reader->phase == HTTP_UNTIL_CLOSE) {
            used = len_bytes;
        } else if (reader->phase == HTTP_BODY || reader->phase == HTTP_CHUNK_DATA) {
            uint64_t left = len_bytes - used;
            uint64_t step = left < reader->remaining_bytes ? left : reader->remaining_bytes;
            used += step;
            reader->remaining_bytes -= step;
            if (!reader->remaining_bytes)
                reader->phase = reader->phase == HTTP_BODY ? HTTP_DONE : HTTP_CHUNK_END;
        } else {
            rc = feed_line(reader, bytes[used++], error);
        }
    }
    *used_bytes = used;
    return rc ? rc : reader->phase == HTTP_DONE;
}

bool http_is_interim(const struct http_reader *reader)
{
    return reader->phase == HTTP_STATUS_LINE ||
           (reader->phase == HTTP_HEADERS && reader->status < 200);
}

int http_closed(const struct http_reader *reader)
{
    return reader->phase == HTTP_UNTIL_CLOSE || reader->phase == HTTP_DONE;
}
