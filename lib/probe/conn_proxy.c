/* The PROXY protocol's header (its specification is doc/proxy-protocol.txt of HAProxy): the first
 * bytes of a connection tell the server whose connection it is. Here it is our own. */
#include "probe/conn_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define HEADER_MAX 128 /* the longest of version 1 has 107 bytes, of version 2 52 */

static const void *bytes_of(const struct sock_address *address, size_t *len_bytes)
{
    bool six = sock_family(address) == AF_INET6;

    *len_bytes = six ? sizeof address->v6.sin6_addr : sizeof address->v4.sin_addr;
    return six ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr;
}

static size_t write_text(char *out, const struct sock_address *from, const struct sock_address *to)
{
    char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
    size_t len;

    inet_ntop(sock_family(from), bytes_of(from, &len), source, sizeof source);
    inet_ntop(sock_family(to), bytes_of(to, &len), target, sizeof target);
    return (size_t)snprintf(out, HEADER_MAX, "PROXY TCP%d %s %s %d %d\r\n",
                            sock_family(from) == AF_INET6 ? 6 : 4, source, target,
                            sock_address_port(from), sock_address_port(to));
}

static size_t write_binary(char *out, const struct sock_address *from,
                           const struct sock_address *to)
{
    static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";
    const uint16_t ports[] = {htons((uint16_t)sock_address_port(from)),
                              htons((uint16_t)sock_address_port(to))};
    size_t len, at = sizeof signature;

    memcpy(out, signature, sizeof signature);
    out[at++] = 0x21; /* version 2, PROXY */
    out[at++] = sock_family(from) == AF_INET6 ? 0x21 : 0x11;
    const void *bytes = bytes_of(from, &len);
    out[at++] = 0;
    out[at++] = (char)(2 * len + sizeof ports);
    memcpy(out + at, bytes, len);
    memcpy(out + at + len, bytes_of(to, &len), len);
    memcpy(out + at + 2 * len, ports, sizeof ports);
    return at + 2 * len + sizeof ports;
}

/* In one segment with what follows at once, where we speak first: alone it would be a small one
 * that is not acknowledged, behind which Nagle's algorithm would hold the first request. */
int conn_proxy_header(struct conn *conn)
{
    const struct sock_address *from = &conn->opening.local, *to = conn->opening.address;
    const struct conn_settings *settings = conn->shared->settings;
    bool more = conn->variant.request_follows || (conn->shared->tls && !settings->tls_later);
    char header[HEADER_MAX];
    size_t len = settings->proxy_protocol == 1 ? write_text(header, from, to)
                                               : write_binary(header, from, to);
    ssize_t sent =
        sock_write(&conn->sock, header, len, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));

    return sent < 0 ? (int)sent : 0;
}
