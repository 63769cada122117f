/* A URL as the user writes it, in so far as it says where and what to ask: scheme, host, port, path
 * and query (RFC 3986, RFC 9110 section 4.2). */
#ifndef PROBE_URL_H
#define PROBE_URL_H

#include "base/arena.h"
#include "netkit/sock.h"
#include <stdbool.h>

enum url_scheme {
    URL_NONE, /* it is no URL */
    URL_HTTP,
    URL_HTTPS,
};

struct url {
    enum url_scheme scheme;
    struct sock_target where;
    const char *path; /* with its query, from the arena; NULL: the URL has neither */
};

/* Whether it is meant as one, perhaps of a scheme that is not known here. */
bool url_is(const char *text);
/* -EINVAL: it is none that can be asked for, with the reason. */
int url_parse(struct url *out, const char *text, struct arena *arena, struct error *error);

#endif
