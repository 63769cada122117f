/* What a user names, to addresses.
 *
 * Parsing first cuts the text into host and port without judging either: brackets decide, then the
 * only colon does, and more than one colon without brackets is an IPv6 literal that someone forgot
 * to wrap. Only then are the parts checked, so that each message can name the part at fault. Names
 * are the resolver's business; here a host must only be short and printable. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "base/text.h"
#include "base/units.h"
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static int complain(struct error *error, const char *text, const char *what)
{
    cleanup(buf) struct buf shown = {0};

    buf_init_cap(&shown, ERROR_TEXT_MAX / 2);
    text_escape(&shown, text, strlen(text));
    return error_set(error, EINVAL, "'%s': %s", buf_str(&shown), what);
}

static int parse_port(uint16_t *out, const char *text, const char *port, struct error *error)
{
    struct servent entry, *found = NULL;
    char memory[1024];
    int64_t number;

    if (isdigit((unsigned char)*port) || *port == '-' || *port == '+') {
        if (units_parse_integer(port, &number) || *port == '+')
            return complain(error, text, "the port is not a number");
        if (number < 1 || number > 65535)
            return complain(error, text, "the port must be from 1 to 65535");
        *out = (uint16_t)number;
        return 0;
    }
    if (getservbyname_r(port, "tcp", &entry, memory, sizeof memory, &found) || !found)
        return complain(error, text, "the port is neither a number nor the name of a TCP service");
    *out = ntohs((uint16_t)found->s_port);
    return 0;
}

/* Where host and port lie in the text; port NULL when there is none. */
struct cut {
    const char *host;
    size_t host_len;
    const char *port;
    bool bracketed;
};

static int cut_bracketed(struct cut *out, const char *text, struct error *error)
{
    const char *close = strchr(text, ']');

    if (!close)
        return complain(error, text, "the closing bracket is missing (write [::1]:80)");
    if (close[1] && close[1] != ':')
        return complain(error, text, "after the bracket a colon and a port must follow");
    *out = (struct cut){.host = text + 1,
                        .host_len = (size_t)(close - text) - 1,
                        .port = close[1] ? close + 2 : NULL,
                        .bracketed = true};
    return 0;
}

static int cut_word(struct cut *out, const char *text, bool may_lack_port, struct error *error)
{
    const char *colon = strchr(text, ':');
    struct sock_address literal;

    if (*text == '[')
        return cut_bracketed(out, text, error);
    if (colon && strchr(colon + 1, ':')) {
        if (!may_lack_port || sock_address_literal(&literal, text, 0))
            return complain(error, text, "an IPv6 address needs brackets here (write [::1]:80)");
        colon = NULL;
    }
    *out = (struct cut){.host = text,
                        .host_len = colon ? (size_t)(colon - text) : strlen(text),
                        .port = colon ? colon + 1 : NULL};
    return 0;
}

static int check_host(const struct cut *cut, const char *text, const char *host,
                      struct error *error)
{
    struct sock_address literal;

    if (strpbrk(host, "[]"))
        return complain(error, text, "a bracket is out of place (write [::1]:80)");
    if (cut->bracketed &&
        (sock_address_literal(&literal, host, 0) || sock_family(&literal) != AF_INET6)) {
        if (strchr(host, '%') && strchr(host, ':'))
            return complain(error, text, "no such IPv6 address or interface");
        return complain(error, text, "what the brackets hold is not an IPv6 address");
    }
    for (const char *p = host; *p; p++)
        if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p) || *p == '/')
            return complain(error, text, "a host name cannot hold spaces, slashes or controls");
    return 0;
}

int sock_target_parse(struct sock_target *out, const char *text, const char *port,
                      uint16_t default_port, struct error *error)
{
    struct sock_target target = {.port = default_port};
    struct cut cut = {0};
    int rc;

    if (strstr(text, "://"))
        return complain(error, text, "this is a URL (write host:port)");
    if (port && *text != '[')
        cut = (struct cut){.host = text, .host_len = strlen(text), .port = port};
    else if ((rc = cut_word(&cut, text, default_port > 0, error)))
        return rc;
    if (port && cut.port != port) {
        if (cut.port)
            return complain(error, text, "there is a port twice");
        cut.port = port;
    }
    if (cut.host_len >= sizeof target.host)
        return complain(error, text, "the host name is too long");
    memcpy(target.host, cut.host, cut.host_len);
    if ((rc = check_host(&cut, text, target.host, error)))
        return rc;
    if (port && !cut.bracketed && strchr(target.host, ':')) {
        struct sock_address literal;
        if (sock_address_literal(&literal, target.host, 0))
            return complain(error, text, "not an IPv6 address (or there is a port twice)");
    }
    if (!cut.port && !default_port)
        return complain(error, text, "the port is missing (write host:port)");
    if (cut.port && !*cut.port)
        return complain(error, port && !*port ? port : text, "the port is empty");
    if (cut.port && (rc = parse_port(&target.port, port ? port : text, cut.port, error)))
        return rc;
    *out = target;
    return 0;
}

int resolve_errno(int code, int system_errno)
{
    static const struct {
        int code, number;
    } rows[] = {{EAI_NONAME, ENOENT},
                {EAI_NODATA, EADDRNOTAVAIL},
                {EAI_ADDRFAMILY, EADDRNOTAVAIL},
                {EAI_AGAIN, EAGAIN},
                {EAI_FAIL, EIO},
                {EAI_MEMORY, ENOMEM},
                {EAI_FAMILY, EAFNOSUPPORT},
                {EAI_SERVICE, EINVAL},
                {EAI_SOCKTYPE, EINVAL},
                {EAI_BADFLAGS, EINVAL},
                {EAI_OVERFLOW, ENAMETOOLONG}};

    if (shortage_is(system_errno))
        return system_errno;
    if (code == EAI_SYSTEM)
        return system_errno ? system_errno : EIO;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].code == code)
            return rows[i].number;
    return EIO;
}

static int resolve_failed(struct error *error, const struct sock_target *target, int family,
                          int code, int system_errno)
{
    cleanup(buf) struct buf shown = {0};
    const char *which = family == AF_INET ? " over IPv4" : family == AF_INET6 ? " over IPv6" : "";
    int number = resolve_errno(code, system_errno);

    buf_init_cap(&shown, ERROR_TEXT_MAX / 2);
    text_escape(&shown, target->host, strlen(target->host));
    if (code == EAI_SYSTEM || shortage_is(number))
        return error_sys(error, number, "cannot resolve %s%s", buf_str(&shown), which);
    return error_set(error, number, "cannot resolve %s%s: %s", buf_str(&shown), which,
                     gai_strerror(code));
}

/* Far more than a name sensibly has; a hostile name server must not make us try thousands. */
#define ADDRESSES_MAX 256

/* An address needs no resolver: 0, or -ENOENT when it is a name or not of that family. */
static int take_literal(const struct sock_target *target, int family, struct sock_address_list *out)
{
    struct sock_address literal;

    if (sock_address_literal(&literal, target->host, target->port) ||
        (family != AF_UNSPEC && family != sock_family(&literal)))
        return -ENOENT;
    struct sock_address *items = malloc(sizeof *items);
    if (!items)
        return -ENOMEM;
    *items = literal;
    *out = (struct sock_address_list){.items = items, .count = 1};
    return 0;
}

int sock_resolve(const struct sock_target *target, int family, struct sock_address_list *out,
                 struct error *error)
{
    const struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct addrinfo *found = NULL;
    size_t count = 0;
    int rc = take_literal(target, family, out);

    if (rc != -ENOENT)
        return rc ? error_sys(error, -rc, "cannot keep the address") : 0;
    errno = 0;
    /* getaddrinfo needs one of host and service. */
    int code = getaddrinfo(*target->host ? target->host : NULL, *target->host ? NULL : "0", &hints,
                           &found);

    if (code)
        return resolve_failed(error, target, family, code, errno);
    struct sock_address *items = calloc(ADDRESSES_MAX, sizeof *items);
    for (struct addrinfo *p = found; items && p && count < ADDRESSES_MAX; p = p->ai_next)
        if (!sock_address_from(&items[count], p->ai_addr, p->ai_addrlen))
            sock_address_set_port(&items[count++], target->port);
    freeaddrinfo(found);
    if (!items)
        return error_sys(error, ENOMEM, "cannot keep the addresses");
    if (!count) {
        free(items);
        return resolve_failed(error, target, family, EAI_NODATA, 0);
    }
    struct sock_address *fitted = realloc(items, count * sizeof *items);
    *out = (struct sock_address_list){.items = fitted ? fitted : items, .count = count};
    return 0;
}

void sock_address_list_free(struct sock_address_list *list)
{
    free(list->items);
    *list = (struct sock_address_list){0};
}
