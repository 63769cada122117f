/* Ready-made conversations, and the ports where they are usually had.
 *
 * A preset is a name in PRESET_ROWS and a file in presets/: its row, and what is its protocol's own
 * (when an answer is complete and what it says of itself, what is said before the rounds). From the
 * rows come the words that --preset takes, its help and the completions. */
#ifndef PROBE_PRESET_H
#define PROBE_PRESET_H

#include "base/buf.h"
#include "probe/preamble.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRESET_ROWS(ROW)                                                                           \
    ROW(CONNECT, connect)                                                                          \
    ROW(HTTP, http)                                                                                \
    ROW(REDIS, redis)                                                                              \
    ROW(MEMCACHED, memcached)                                                                      \
    ROW(SMTP, smtp)                                                                                \
    ROW(IMAP, imap)                                                                                \
    ROW(POP3, pop3)                                                                                \
    ROW(FTP, ftp)                                                                                  \
    ROW(SSH, ssh)                                                                                  \
    ROW(DNS, dns)                                                                                  \
    ROW(POSTGRES, postgres)                                                                        \
    ROW(MYSQL, mysql)                                                                              \
    ROW(LDAP, ldap)                                                                                \
    ROW(MQTT, mqtt)                                                                                \
    ROW(ECHO, echo)

#define PRESET_PORTS_MAX 4

/* Options that only some presets have a use for. */
enum {
    PRESET_TAKES_HTTP = 1, /* path, host, and the like */
    PRESET_TAKES_USER = 2, /* user and password */
    PRESET_TAKES_DATABASE = 4,
    PRESET_TAKES_QUERY = 8,
};

struct preset {
    char name[16];
    char help[160];
    uint16_t ports[PRESET_PORTS_MAX];     /* 0 after the last; over TLS too */
    uint16_t tls_ports[PRESET_PORTS_MAX]; /* only over TLS */
    unsigned takes;                       /* PRESET_TAKES_... */
    /* -EINVAL: the user asks for what it has no words for. NULL: it has for all of it. */
    int (*check)(const struct preset_ask *ask, struct error *error);
    const char *request; /* of a round; NULL: none, or composed */
    /* Appends the request. *body_at: where its body begins, or its length. */
    void (*compose)(struct buf *out, const struct preset_ask *ask, size_t *body_at);
    const char *framing; /* when the answer is complete, as --until writes it */
    bool greets;         /* the server speaks first, and a round is waiting for that */
    /* What is said before the rounds; NULL: nothing. */
    const struct preamble_rules *preamble;
    bool starttls;   /* and TLS can begin in it */
    bool login_name; /* without --user, the user's name on this machine logs in */
};

/* .help and the ports: PRESET_PORTS("PING", (6379)), PRESET_TLS_PORTS("NOOP", (25, 587), (465)). */
#define PRESET_PORTS(what, list)                                                                   \
    .help = what " (port " PRESET_TEXT list ")", .ports = {PRESET_LIST list}
#define PRESET_TLS_PORTS(what, list, tls_list)                                                     \
    .help = what " (port " PRESET_TEXT list "; with --tls also " PRESET_TEXT tls_list ")",         \
    .ports = {PRESET_LIST list}, .tls_ports = {PRESET_LIST tls_list}
#define PRESET_LIST(...) __VA_ARGS__
#define PRESET_TEXT(...) #__VA_ARGS__

#define PRESET_ID(ID, name)  PRESET_##ID,
#define PRESET_ROW(ID, name) extern const struct preset preset_##name;
enum preset_id { PRESET_ROWS(PRESET_ID) PRESETS };
PRESET_ROWS(PRESET_ROW)

const struct preset *preset_at(enum preset_id id);
/* The one that usually answers on a port, over TLS or in plain; PRESET_CONNECT for others. */
enum preset_id preset_by_port(uint16_t port, bool tls);
/* Appends the names of those in which TLS can begin: "a, b or c". */
void preset_name_starttls(struct buf *out);
/* Whether there is a conversation. */
bool preset_talks(const struct preset *preset);
/* Appends the request, and says where its body begins, which is its end when it has none. */
void preset_request(struct buf *out, const struct preset *preset, const struct preset_ask *ask,
                    size_t *body_at);

#endif
