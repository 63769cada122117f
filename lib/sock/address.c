#include "netkit/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sock_address_from(struct sock_address *out, const struct sockaddr *from, socklen_t len_bytes)
{
    struct sock_address copy = {0};

    if (len_bytes < sizeof(sa_family_t))
        return -EAFNOSUPPORT;
    memcpy(&copy.storage, from, len_bytes < sizeof copy.storage ? len_bytes : sizeof copy.storage);
    if (copy.any.sa_family == AF_INET && len_bytes >= sizeof copy.v4)
        copy.len_bytes = sizeof copy.v4;
    else if (copy.any.sa_family == AF_INET6 && len_bytes >= sizeof copy.v6)
        copy.len_bytes = sizeof copy.v6;
    else if (copy.any.sa_family == AF_UNIX && len_bytes <= sizeof copy.local)
        copy.len_bytes = len_bytes;
    else
        return -EAFNOSUPPORT;
    *out = copy;
    return 0;
}

/* A scope is an interface's name or its number. */
static int scope_number(const char *scope, uint32_t *out)
{
    char *end;
    unsigned index = if_nametoindex(scope);

    if (!index && scope[0] >= '0' && scope[0] <= '9') {
        errno = 0;
        unsigned long number = strtoul(scope, &end, 10);
        if (!*end && !errno && number <= UINT32_MAX)
            index = (unsigned)number;
    }
    if (!index)
        return -EINVAL;
    *out = index;
    return 0;
}

int sock_address_literal(struct sock_address *out, const char *host, uint16_t port)
{
    struct sock_address made = {0};
    char digits[INET6_ADDRSTRLEN];
    const char *scope = strchr(host, '%');
    size_t len = scope ? (size_t)(scope - host) : strlen(host);

    if (!scope && inet_pton(AF_INET, host, &made.v4.sin_addr) == 1) {
        made.v4.sin_family = AF_INET;
        made.v4.sin_port = htons(port);
        made.len_bytes = sizeof made.v4;
        *out = made;
        return 0;
    }
    if (len >= sizeof digits)
        return -EINVAL;
    memcpy(digits, host, len);
    digits[len] = '\0';
    if (inet_pton(AF_INET6, digits, &made.v6.sin6_addr) != 1)
        return -EINVAL;
    if (scope && scope_number(scope + 1, &made.v6.sin6_scope_id))
        return -EINVAL;
    made.v6.sin6_family = AF_INET6;
    made.v6.sin6_port = htons(port);
    made.len_bytes = sizeof made.v6;
    *out = made;
    return 0;
}

int sock_address_unix(struct sock_address *out, const char *path)
{
    struct sock_address made = {.local = {.sun_family = AF_UNIX}};
    size_t len = strlen(path);

    if (!len)
        return -EINVAL;
    if (len >= sizeof made.local.sun_path)
        return -ENAMETOOLONG;
    memcpy(made.local.sun_path, path, len);
    if (*path == '@')
        made.local.sun_path[0] = '\0';
    else
        len++; /* a path ends in a zero, an abstract name does not */
    made.len_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    *out = made;
    return 0;
}

uint16_t sock_address_port(const struct sock_address *address)
{
    if (sock_family(address) == AF_UNIX)
        return 0;
    return ntohs(sock_family(address) == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

void sock_address_set_port(struct sock_address *address, uint16_t port)
{
    if (sock_family(address) == AF_INET6)
        address->v6.sin6_port = htons(port);
    else if (sock_family(address) == AF_INET)
        address->v4.sin_port = htons(port);
}

void sock_address_unmap(struct sock_address *address)
{
    struct sock_address v4 = {.len_bytes = sizeof v4.v4};

    if (sock_family(address) != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return;
    v4.v4.sin_family = AF_INET;
    v4.v4.sin_port = address->v6.sin6_port;
    memcpy(&v4.v4.sin_addr, &address->v6.sin6_addr.s6_addr[12], sizeof v4.v4.sin_addr);
    *address = v4;
}

bool sock_address_equal(const struct sock_address *a, const struct sock_address *b)
{
    struct sock_address x = *a, y = *b;

    sock_address_unmap(&x);
    sock_address_unmap(&y);
    if (sock_family(&x) != sock_family(&y) || sock_address_port(&x) != sock_address_port(&y))
        return false;
    if (sock_family(&x) == AF_UNIX)
        return x.len_bytes == y.len_bytes && !memcmp(&x.local, &y.local, x.len_bytes);
    if (sock_family(&x) == AF_INET)
        return x.v4.sin_addr.s_addr == y.v4.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&x.v6.sin6_addr, &y.v6.sin6_addr) &&
           x.v6.sin6_scope_id == y.v6.sin6_scope_id;
}

const char *sock_address_format(char *out, size_t size_bytes, const struct sock_address *address)
{
    char digits[INET6_ADDRSTRLEN], name[IF_NAMESIZE], scope[IF_NAMESIZE + 2] = "";
    int port = sock_address_port(address);

    if (sock_family(address) == AF_INET) {
        inet_ntop(AF_INET, &address->v4.sin_addr, digits, sizeof digits);
        snprintf(out, size_bytes, "%s:%d", digits, port);
    } else if (sock_family(address) == AF_INET6) {
        uint32_t index = address->v6.sin6_scope_id;
        inet_ntop(AF_INET6, &address->v6.sin6_addr, digits, sizeof digits);
        if (index && if_indextoname(index, name))
            snprintf(scope, sizeof scope, "%%%s", name);
        else if (index)
            snprintf(scope, sizeof scope, "%%%u", (unsigned)index);
        snprintf(out, size_bytes, "[%s%s]:%d", digits, scope, port);
    } else if (sock_family(address) == AF_UNIX) {
        int len = (int)(address->len_bytes - offsetof(struct sockaddr_un, sun_path));
        bool abstract = len > 0 && !address->local.sun_path[0];
        snprintf(out, size_bytes, "unix:%s%.*s", abstract ? "@" : "", len > 0 ? len - abstract : 0,
                 address->local.sun_path + abstract);
    } else {
        snprintf(out, size_bytes, "?");
    }
    return out;
}

static int end_of(int (*call)(int, struct sockaddr *, socklen_t *), int fd,
                  struct sock_address *out)
{
    struct sock_address found = {.len_bytes = sizeof found.storage};

    if (call(fd, &found.any, &found.len_bytes))
        return -errno;
    return sock_address_from(out, &found.any, found.len_bytes);
}

/* glibc declares the address parameter as a transparent union, so the functions are not directly
 * of the pointer type above. */
static int call_getsockname(int fd, struct sockaddr *out, socklen_t *len)
{
    return getsockname(fd, out, len);
}

static int call_getpeername(int fd, struct sockaddr *out, socklen_t *len)
{
    return getpeername(fd, out, len);
}

int sock_local_address(int fd, struct sock_address *out)
{
    return end_of(call_getsockname, fd, out);
}

int sock_peer_address(int fd, struct sock_address *out)
{
    return end_of(call_getpeername, fd, out);
}
