#include "probe/url.h"

#include "base/text.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int complain(struct error *error, const char *text, const char *what)
{
    cleanup(buf) struct buf shown = {0};

    buf_init_cap(&shown, ERROR_TEXT_MAX / 2);
    text_escape(&shown, text, strlen(text));
    return error_set(error, EINVAL, "'%s': %s", buf_str(&shown), what);
}

bool url_is(const char *text)
{
    return strstr(text, "://") != NULL;
}

/* A zone is written with %25 in a URL (RFC 6874), and as it is by most people. */
static void unescape_zone(char *authority)
{
    char *zone = *authority == '[' ? strstr(authority, "%25") : NULL;

    if (zone && zone < strchrnul(authority, ']'))
        memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
}

static int parse_authority(struct url *out, const char *text, char *authority, struct error *error)
{
    const char *port = strchr(*authority == '[' ? strchrnul(authority, ']') : authority, ':');

    if (port && *authority != '[' && strchr(port + 1, ':'))
        return complain(error, text, "an IPv6 address needs brackets (write http://[::1]:80/)");
    if (!*authority || *authority == ':')
        return complain(error, text, "the host is missing");
    if (port && port[1] && port[1 + strspn(port + 1, "0123456789")])
        return complain(error, text, "the port is not a number");
    unescape_zone(authority);
    return sock_target_parse(&out->where, authority, NULL, out->scheme == URL_HTTPS ? 443 : 80,
                             error);
}

static int parse_scheme(struct url *out, const char *text, struct error *error)
{
    size_t length = (size_t)(strstr(text, "://") - text);

    if (length == 4 && !strncasecmp(text, "http", 4))
        out->scheme = URL_HTTP;
    else if (length == 5 && !strncasecmp(text, "https", 5))
        out->scheme = URL_HTTPS;
    else
        return complain(error, text,
                        "only URLs of http and https are understood (write host:port, and --preset "
                        "for other protocols)");
    return 0;
}

int url_parse(struct url *out, const char *text, struct arena *arena, struct error *error)
{
    char authority[SOCK_HOST_MAX + 16];
    struct url url = {0};
    int rc = parse_scheme(&url, text, error);

    if (rc)
        return rc;
    const char *place = strstr(text, "://") + 3;
    size_t length = strcspn(place, "/?#");
    const char *path = place + length;
    if (memchr(place, '@', length)) /* not quoted: it may hold a password */
        return error_set(error, EINVAL,
                         "a URL with a user name is not understood (leave it out, and give "
                         "--header 'Authorization: ...')");
    for (const char *p = text; *p; p++)
        if (!isgraph((unsigned char)*p))
            return complain(error, text,
                            "a URL has no blanks and only ASCII (write %20 for a blank)");
    if (strchr(path, '#'))
        return complain(error, text, "a fragment (#...) is not sent to a server; leave it out");
    if (length >= sizeof authority)
        return complain(error, text, "the host name is too long");
    snprintf(authority, sizeof authority, "%.*s", (int)length, place);
    rc = parse_authority(&url, text, authority, error);
    if (rc)
        return rc;
    if (*path)
        url.path = *path == '/' ? arena_copy(arena, path) : arena_printf(arena, "/%s", path);
    *out = url;
    return 0;
}
