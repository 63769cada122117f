/* When a response is complete, and what it says of itself: what --until says, applied to a stream
 * of bytes. Nothing is kept of the stream; whoever wants its beginning keeps it. */
#ifndef PROBE_FRAMING_H
#define PROBE_FRAMING_H

#include "probe/http.h"

/* The kinds: id, rules (framing.c, and presets/ for what is one protocol's), how the user writes
 * it, and what it waits for. */
#define FRAMING_ROWS(ROW)                                                                          \
    ROW(NOTHING, nothing, "nothing", "at once: no answer is expected")                             \
    ROW(LINE, line, "line", "a line end")                                                          \
    ROW(BYTES, bytes, "bytes:N", "that many bytes")                                                \
    ROW(TEXT, text, "text:STR", "this text, with C escapes")                                       \
    ROW(CLOSE, close, "close", "the end of the connection")                                        \
    ROW(IDLE, idle, "idle:DUR", "some bytes, and then silence for that long")                      \
    ROW(REPLY, reply, "reply", "an SMTP or FTP reply: the line \"NNN text\"")                      \
    ROW(HTTP, http, "http", "an HTTP/1 response, by its length or its chunks")                     \
    ROW(REDIS, redis, "redis", "a Redis reply of any type")                                        \
    ROW(MEMCACHED, memcached, "memcached", "a memcached response of the text protocol")            \
    ROW(IMAP, imap, "imap", "an IMAP response to a command, as far as its tagged line")            \
    ROW(POP3, pop3, "pop3", "a POP3 response of one line")                                         \
    ROW(POP3_LINES, pop3_lines, "pop3-lines", "a POP3 response of lines, up to the lone dot")      \
    ROW(SSH, ssh, "ssh", "the line in which an SSH server names its version")                      \
    ROW(DNS, dns, "dns", "a DNS response over TCP")                                                \
    ROW(POSTGRES, postgres, "postgres", "PostgreSQL to be ready for the next query")               \
    ROW(MYSQL, mysql, "mysql", "a packet or a result set of MySQL")                                \
    ROW(LDAP, ldap, "ldap", "a result of LDAP")                                                    \
    ROW(MQTT, mqtt, "mqtt", "CONNACK or PINGRESP of MQTT")

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
    bool no_body; /* of HTTP: the answer to HEAD ends at its header */
};

/* As the rows write it. */
int framing_parse(const char *text, struct framing *out, struct error *error);
/* How the expectation reads in a message: "2 bytes", "a line end". Returns out. */
const char *framing_describe(char *out, size_t size, const struct framing *framing);
/* Whether its answers have a number of success or failure. */
bool framing_has_status(const struct framing *framing);
/* Whether any answer is expected. */
bool framing_awaits(const struct framing *framing);
/* The silence that completes a response, for which the caller keeps the time; 0: none does. */
int64_t framing_silence_ns(const struct framing *framing);

#define FRAMING_LINE_MAX  64
#define FRAMING_START_MAX 64

struct framing_reader {
    const struct framing *framing;
    uint64_t seen_bytes;
    uint32_t matched;            /* of text: how many of its bytes the stream's end matches */
    char line[FRAMING_LINE_MAX]; /* the first bytes of the current line, or of the last one */
    uint32_t column;
    union {
        uint8_t failure[FRAMING_TEXT_MAX]; /* Knuth-Morris-Pratt: where to go on after a mismatch */
        struct http_reader http;           /* when that is what is awaited */
        /* Messages that say how long they are: the one under way. */
        struct {
            uint8_t start[FRAMING_START_MAX]; /* header, and what fits of the body */
            uint32_t start_bytes, header_bytes;
            uint64_t left_bytes; /* of the body: still to come */
            uint64_t parts;      /* messages, or values, that came or are still to come */
            bool refused;        /* one of them was an error */
            uint32_t phase;      /* the kind's own */
            uint8_t sequence;    /* of the last one, where the protocol counts them */
        } message;
        /* Bytes that a line announces, and that are no lines. */
        struct {
            uint64_t announced_bytes, left_bytes;
            int state;   /* of what looks like an announcement */
            bool inside; /* a line goes on behind them */
        } literal;
    };
};

/* What an answer says of itself. */
struct framing_answer {
    bool known;   /* the protocol has words for success and failure */
    bool success; /* where it is known */
    int status;   /* the protocol's number for it, such as HTTP's; 0: none */
    /* The words, in the beginning of the answer (not printable as they are), or what the protocol
     * calls that number. */
    const char *text;
    size_t text_bytes;
};

void framing_begin(struct framing_reader *reader, const struct framing *framing);
/* As http_feed(): *used_bytes belong to this response, what follows does not. 1, 0 or -EPROTO. */
int framing_feed(struct framing_reader *reader, const char *bytes, size_t len_bytes,
                 size_t *used_bytes, struct error *error);
/* The peer has closed: 1 when that completes the response. */
int framing_closed(const struct framing_reader *reader);

/* What a complete answer says of itself; `head` is its beginning, as far as it was kept. */
void framing_judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                   struct framing_answer *out);

/* The HTTP response that was read, or NULL: it is none. */
const struct http_reader *framing_http_of(const struct framing_reader *reader);

/* Whether the peer has said that it will close after this response. */
bool framing_closes(const struct framing_reader *reader);

#endif
