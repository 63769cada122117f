/* Ready-made conversations, and the ports where they are usually had.
 *
 * A preset is a name in PRESET_ROWS and a row of preset_table. From these come the words that
 * --preset takes, its help and the completions. */
#ifndef PROBE_PRESET_H
#define PROBE_PRESET_H

#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRESET_ROWS(ROW) ROW(CONNECT) ROW(HTTP) ROW(REDIS) ROW(MEMCACHED) ROW(SMTP) ROW(ECHO)

#define PRESET_PORTS_MAX 4

struct preset {
    char name[16];
    char help[120];
    uint16_t ports[PRESET_PORTS_MAX];     /* 0 after the last; over TLS too */
    uint16_t tls_ports[PRESET_PORTS_MAX]; /* only over TLS */
    const char *greeting; /* what the server says first, as --until writes it; NULL: nothing */
    const char *request;  /* NULL: none, or composed */
    /* Appends the request for a path of a host, as the Host header names it. */
    void (*compose)(struct buf *out, const char *path, const char *host);
    const char *framing; /* when the answer is complete, as --until writes it */
};

/* .help and the ports: PRESET_PORTS("PING", (6379)), PRESET_TLS_PORTS("NOOP", (25, 587), (465)). */
#define PRESET_PORTS(what, list)                                                                   \
    .help = what " (port " PRESET_TEXT list ")", .ports = {PRESET_LIST list}
#define PRESET_TLS_PORTS(what, list, tls_list)                                                     \
    .help = what " (port " PRESET_TEXT list "; with --tls also " PRESET_TEXT tls_list ")",         \
    .ports = {PRESET_LIST list}, .tls_ports = {PRESET_LIST tls_list}
#define PRESET_LIST(...) __VA_ARGS__
#define PRESET_TEXT(...) #__VA_ARGS__

#define PRESET_ID(ID) PRESET_##ID,
enum preset_id { PRESET_ROWS(PRESET_ID) PRESETS };
extern const struct preset preset_table[PRESETS];

const struct preset *preset_at(enum preset_id id);
/* The one that usually answers on a port, over TLS or in plain; PRESET_CONNECT for others. */
enum preset_id preset_by_port(uint16_t port, bool tls);
/* Whether anything is said. */
bool preset_talks(const struct preset *preset);
/* Appends the request; path and host matter to those that compose it. */
void preset_request(struct buf *out, const struct preset *preset, const char *path,
                    const char *host);

#endif
