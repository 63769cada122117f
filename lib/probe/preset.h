/* Ready-made conversations, and the ports where they are usually had. */
#ifndef PROBE_PRESET_H
#define PROBE_PRESET_H

#include "base/buf.h"
#include "probe/framing.h"
#include <stdbool.h>
#include <stdint.h>

enum preset {
    PRESET_CONNECT,
    PRESET_HTTP,
    PRESET_REDIS,
    PRESET_MEMCACHED,
    PRESET_SMTP,
    PRESET_ECHO,
    PRESETS
};

struct preset_info {
    const char *name;
    const char *request;  /* NULL: none, or made by preset_request() */
    const char *framing;  /* as --until writes it */
    const char *greeting; /* what the server says first, as --until writes it; NULL: nothing */
};

const struct preset_info *preset_info(enum preset preset);
/* The preset that usually answers on a port, over TLS or in plain; PRESET_CONNECT for others. */
enum preset preset_by_port(uint16_t port, bool tls);
/* Appends the request. path and host are for HTTP; host is what the Host header says. */
void preset_request(struct buf *out, enum preset preset, const char *path, const char *host);

#endif
