/* Which device: a datagram socket that is connected like the target's will be (nothing is sent) has
 * the local address that the route gives, and the device is the one with that address. An address
 * of this host is reached over loopback, whatever device has it. libpcap hands out loopback's
 * packets once, as they arrive, also on the device "any". */
#include "probe/live_capture.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/privilege.h"
#include "capture/capture.h"
#include "capture/describe.h"
#include "probe/conn_race.h"
#include <errno.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERYWHERE "any"
/* Whole packets are for the file; a ladder needs headers only, and many fit in a small ring. */
#define FILE_RING_BYTES   (32u << 20)
#define LADDER_SNAP_BYTES 256
/* The ports that a filter has room for; with more it lets all of them through. */
#define FILTER_PORTS_MAX 64
/* TCP's flags; pcap-filter's tcp[] knows no IPv6. */
#define SYN_OR_RST  "(tcp[13] & 6 != 0 or (ip6 proto 6 and ip6[53] & 6 != 0))"
#define ICMP_ERRORS "(icmp and icmp[0] != 0 and icmp[0] != 8) or (ip6 proto 58 and ip6[40] < 128)"

struct live_capture {
    struct loop_task task;
    struct loop *loop;
    struct capture *capture;
    struct capture_writer *writer;
    struct trace_strip *strip;
    void (*saw)(void *context, const struct live_capture_packet *packet);
    void *context;
    uint16_t present_port;
    uint8_t ours[65536 / 8], servers[65536 / 8]; /* ports here and there, a bit each */
    uint64_t seen;
    struct error failure;
};

/* ---- where ---- */

/* Without the ports. */
static bool same_host(const struct sock_address *a, const struct sockaddr *b)
{
    struct sock_address other, mine = *a;

    if (!b || (b->sa_family != AF_INET && b->sa_family != AF_INET6))
        return false;
    if (sock_address_from(&other, b, b->sa_family == AF_INET ? sizeof other.v4 : sizeof other.v6))
        return false;
    sock_address_set_port(&mine, 0);
    sock_address_set_port(&other, 0);
    return sock_address_equal(&mine, &other);
}

static const char *device_of(const struct ifaddrs *all, const struct sock_address *local,
                             const struct sock_address *peer)
{
    const char *device = NULL, *loopback = NULL;
    bool own = false, several = false;

    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        own |= same_host(peer, one->ifa_addr);
        if (one->ifa_flags & IFF_LOOPBACK)
            loopback = one->ifa_name;
        if (!same_host(local, one->ifa_addr))
            continue;
        several |= device && strcmp(device, one->ifa_name) != 0;
        device = one->ifa_name;
    }
    if (sock_family(peer) == AF_INET)
        own |= ntohl(peer->v4.sin_addr.s_addr) >> 24 == 127;
    if (own)
        return loopback ? loopback : EVERYWHERE;
    /* A service's address may be loopback's; its packets leave by another device. */
    bool clear = device && !several && !(loopback && !strcmp(device, loopback));
    return clear ? device : EVERYWHERE;
}

/* What the kernel would make of a connection to `address`. A negative errno: no route. */
static int try_route(const struct live_capture_settings *settings,
                     const struct sock_address *address, struct sock_address *local,
                     struct sock_address *peer)
{
    const struct sock_address *source = settings->source;
    const char *interface = settings->interface;
    int fd = socket(sock_family(address), SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

    if (fd < 0)
        return -errno;
    if (interface)
        rc = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface));
    if (!rc && source && sock_family(source) == sock_family(address))
        rc = bind(fd, &source->any, source->len_bytes);
    if (!rc)
        rc = connect(fd, &address->any, address->len_bytes);
    rc = rc ? -errno : sock_local_address(fd, local);
    if (!rc)
        rc = sock_peer_address(fd, peer);
    close(fd);
    return rc;
}

static int add_host(struct buf *filter, bool first, const struct sock_address *address)
{
    char host[NI_MAXHOST];
    struct sock_address plain = *address;

    sock_address_unmap(&plain);
    if (sock_family(&plain) == AF_INET6)
        plain.v6.sin6_scope_id = 0;
    if (getnameinfo(&plain.any, plain.len_bytes, host, sizeof host, NULL, 0, NI_NUMERICHOST))
        return -EINVAL;
    buf_printf(filter, "%shost %s", first ? "" : " or ", host);
    return 0;
}

/* The device, and a filter for the server's side of the connections. */
static int find_place(const struct live_capture_settings *settings, char device[IFNAMSIZ],
                      struct buf *filter, struct error *error)
{
    struct ifaddrs *all = NULL;
    size_t hosts = 0;

    *device = '\0';
    if (getifaddrs(&all))
        return error_sys(error, errno, "cannot list this host's addresses");
    buf_printf(filter, "tcp port %u and (", sock_address_port(settings->addresses));
    for (size_t i = 0; i < settings->count && i < CONN_RACE_ATTEMPTS_MAX; i++) {
        struct sock_address local, peer;
        if (try_route(settings, &settings->addresses[i], &local, &peer) ||
            add_host(filter, !hosts, &peer))
            continue;
        hosts++;
        sock_address_unmap(&local);
        sock_address_unmap(&peer);
        const char *one = settings->interface ? settings->interface : device_of(all, &local, &peer);
        if (*device && strcmp(device, one) != 0)
            one = EVERYWHERE;
        strncpy(device, one, IFNAMSIZ - 1);
        device[IFNAMSIZ - 1] = '\0';
    }
    freeifaddrs(all);
    buf_add_char(filter, ')');
    if (!hosts)
        return error_set(error, ENETUNREACH, "there is no route to the target");
    return filter->failed ? error_sys(error, ENOMEM, "cannot capture") : 0;
}

/* Every device, and a filter for the ports. Evidence needs no more than how connections begin. */
static int find_ports(const struct live_capture_settings *settings, struct buf *filter,
                      struct error *error)
{
    size_t named = settings->port_count <= FILTER_PORTS_MAX ? settings->port_count : 0;

    buf_printf(filter, "(%s", settings->whole ? "tcp" : SYN_OR_RST);
    for (size_t i = 0; i < named; i++)
        buf_printf(filter, "%stcp port %u", i ? " or " : " and (", settings->ports[i]);
    buf_printf(filter, "%s) or %s", named ? ")" : "", ICMP_ERRORS);
    return filter->failed ? error_sys(error, ENOMEM, "cannot capture") : 0;
}

/* ---- what ---- */

static bool has(const uint8_t ports[65536 / 8], uint16_t port)
{
    return ports[port / 8] >> port % 8 & 1;
}

static void add_port(uint8_t ports[65536 / 8], uint16_t port)
{
    ports[port / 8] |= (uint8_t)(1u << port % 8);
}

/* The local port of the connection that it belongs to, or that it quotes; 0: none of ours. */
static uint16_t local_port_of(const struct live_capture *capture, const struct segment *segment,
                              bool *from_client)
{
    const struct packet_quote *quote = &segment->icmp.quote;
    uint16_t from = segment->source.port, to = segment->destination.port;
    bool quotes = segment->kind == PACKET_ICMP && segment->icmp.is_error && quote->has_ports &&
                  quote->protocol == IPPROTO_TCP;

    *from_client = false;
    if (quotes)
        return has(capture->servers, quote->destination.port) &&
                       has(capture->ours, quote->source.port)
                   ? quote->source.port
                   : 0;
    if (segment->kind != PACKET_TCP)
        return 0;
    *from_client = has(capture->servers, to) && has(capture->ours, from);
    if (*from_client)
        return from;
    return has(capture->servers, from) && has(capture->ours, to) ? to : 0;
}

void live_capture_record(struct trace_strip *strip, uint32_t connection,
                         const struct live_capture_packet *packet)
{
    struct trace_event event = {.at_real_ns = packet->real_ns,
                                .kind = TRACE_SEGMENT,
                                .side = TRACE_WIRE,
                                .connection = connection};

    capture_describe(&event.segment, packet->segment, packet->packet->wire_len);
    event.segment.from_client = packet->from_client;
    event.segment.fate = TRACE_OBSERVED;
    event.segment.departed_real_ns = packet->real_ns;
    trace_strip_append(strip, &event);
}

static int take_one(struct live_capture *capture, const struct capture_packet *packet)
{
    struct segment segment;
    struct live_capture_packet ours = {&segment, packet, .real_ns = packet->real_ns};

    packet_decode(&segment, packet->link, packet->bytes, packet->captured_len, packet->wire_len);
    ours.local_port = local_port_of(capture, &segment, &ours.from_client);
    if (!ours.local_port)
        return 0;
    capture->seen++;
    if (capture->saw)
        capture->saw(capture->context, &ours);
    if (ours.local_port == capture->present_port)
        live_capture_record(capture->strip, 1, &ours);
    return capture->writer ? capture_writer_add(capture->writer, packet, &capture->failure) : 0;
}

void live_capture_take(struct live_capture *capture)
{
    struct capture_packet packet;
    int rc = 0;

    if (!capture || capture->failure.code)
        return;
    while (!rc && (rc = capture_next(capture->capture, &packet, &capture->failure)) > 0)
        rc = take_one(capture, &packet);
    if (rc)
        loop_unwatch(capture->loop, &capture->task);
}

static void capture_wakes(struct loop_task *task, uint32_t events)
{
    (void)events;
    live_capture_take((struct live_capture *)task);
}

void live_capture_connection(struct live_capture *capture, int fd)
{
    struct sock_address local;

    if (!capture || sock_local_address(fd, &local))
        return;
    uint16_t port = sock_address_port(&local);
    capture->present_port = port;
    add_port(capture->ours, port);
}

void live_capture_forget(struct live_capture *capture, const struct trace_strip *strip)
{
    if (capture && capture->strip == strip)
        capture->strip = NULL;
}

uint64_t live_capture_seen(const struct live_capture *capture)
{
    return capture ? capture->seen : 0;
}

uint64_t live_capture_lost(struct live_capture *capture)
{
    struct capture_stats stats;

    if (!capture || capture_get_stats(capture->capture, &stats, NULL))
        return 0;
    return stats.dropped + stats.device_dropped;
}

int live_capture_failed(const struct live_capture *capture, struct error *error)
{
    if (!capture || !capture->failure.code)
        return 0;
    if (error)
        *error = capture->failure;
    return -capture->failure.code;
}

/* ---- the beginning and the end ---- */

static int start_capture(struct live_capture *capture, const struct live_capture_settings *settings,
                         struct error *error)
{
    char device[IFNAMSIZ] = EVERYWHERE;
    cleanup(buf) struct buf filter = {0};
    int rc = settings->count ? find_place(settings, device, &filter, error)
                             : find_ports(settings, &filter, error);

    if (rc)
        return rc;
    const struct capture_live live = {.device = device,
                                      .filter = buf_str(&filter),
                                      .snap_len = settings->path ? 0 : LADDER_SNAP_BYTES,
                                      .ring_bytes = settings->path ? FILE_RING_BYTES : 0};
    rc = capture_open_live(&capture->capture, &live, error);
    if (!rc && settings->path)
        rc = capture_writer_open(&capture->writer, settings->path, capture_link(capture->capture),
                                 error);
    if (rc)
        return rc;
    rc = loop_watch(capture->loop, &capture->task, capture_fd(capture->capture), EPOLLIN);
    return rc ? error_sys(error, -rc, "epoll_ctl") : 0;
}

void live_capture_renounce(void)
{
    privilege_drop_more(UINT64_C(1) << CAP_NET_RAW, NULL);
}

int live_capture_open(struct live_capture **out, struct loop *loop,
                      const struct live_capture_settings *settings, struct error *error)
{
    struct live_capture *capture = calloc(1, sizeof *capture);

    if (!capture)
        return error_sys(error, ENOMEM, "cannot capture");
    capture->loop = loop;
    capture->strip = settings->strip;
    capture->saw = settings->saw;
    capture->context = settings->context;
    if (settings->count)
        add_port(capture->servers, sock_address_port(settings->addresses));
    for (size_t i = 0; i < settings->port_count; i++)
        add_port(capture->servers, settings->ports[i]);
    loop_task_init(&capture->task, capture_wakes);
    int rc = start_capture(capture, settings, error);
    if (rc) {
        capture_writer_drop(capture->writer);
        capture->writer = NULL;
        live_capture_close(capture, NULL);
        return rc;
    }
    *out = capture;
    return 0;
}

int live_capture_close(struct live_capture *capture, struct error *error)
{
    if (!capture)
        return 0;
    if (capture->capture)
        live_capture_take(capture);
    loop_unwatch(capture->loop, &capture->task);
    int rc = live_capture_failed(capture, error);
    int closed = capture_writer_close(capture->writer, rc ? NULL : error);
    capture_close(capture->capture);
    free(capture);
    return rc ? rc : closed;
}
