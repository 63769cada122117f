/* crowd_server PORT: a server for ten thousand clients at once, with all that can become of one.
 *
 * Each port from PORT on has one way to treat its clients, in the order of the table below. It
 * listens on all addresses of both families, says "ready" and serves from one thread of epoll until
 * its standard input ends. A request is a line; so is an answer. tests/net/crowd says what has to
 * be found out about each. */
#include "base/cleanup.h"
#include "base/clock.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_EVENTS 256
#define BACKLOG     65535 /* as far as net.core.somaxconn lets it */
#define THINK_NS    (100 * NS_PER_MS)

/* What epoll gives back: a client's address, or an odd number for a listener. */
#define LISTENER(manner, fd) ((uint64_t)(manner) << 32 | (uint64_t)(fd) << 1 | 1)

struct client {
    int fd;
    const struct manner *manner;
    int64_t due_ns; /* of the answer that is thought about */
    struct client *next;
};

struct manner {
    const char *name;
    void (*accepted)(struct client *client); /* NULL: nothing is done */
    void (*asked)(struct client *client);    /* a line has come */
    int backlog;                             /* 0: BACKLOG; -1: nobody listens */
    bool full;                               /* its accept queue is filled, and stays so */
};

static struct client *thinking, **thinking_end = &thinking;

static void leave(struct client *client)
{
    close(client->fd);
    client->fd = -1;
}

static void leave_with_reset(struct client *client)
{
    const struct linger abort = {.l_onoff = 1};

    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    leave(client);
}

static void say(struct client *client, const char *text)
{
    if (send(client->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        leave(client);
}

static void answer(struct client *client)
{
    say(client, "hello\n");
}

static void answer_and_leave(struct client *client)
{
    answer(client);
    if (client->fd >= 0)
        leave(client);
}

/* Header and body in a write each, and Nagle's algorithm on: the second waits for an ACK. */
static void answer_in_two(struct client *client)
{
    say(client, "hel");
    if (client->fd >= 0)
        say(client, "lo\n");
}

static void answer_half_and_reset(struct client *client)
{
    say(client, "hel");
    if (client->fd >= 0)
        leave_with_reset(client);
}

static void answer_half_and_leave(struct client *client)
{
    say(client, "hel");
    if (client->fd >= 0)
        leave(client);
}

static void think(struct client *client)
{
    client->due_ns = clock_mono_ns() + THINK_NS;
    client->next = NULL;
    *thinking_end = client;
    thinking_end = &client->next;
}

static void keep_silent(struct client *client)
{
    (void)client;
}

static const struct manner manners[] = {
    {.name = "answers", .asked = answer},
    {.name = "refuses", .backlog = -1},
    {.name = "drops", .backlog = 1, .full = true},
    {.name = "silent", .asked = keep_silent},
    {.name = "resets", .accepted = leave_with_reset},
    {.name = "resets-mid", .asked = answer_half_and_reset},
    {.name = "closes-mid", .asked = answer_half_and_leave},
    {.name = "closes-after", .asked = answer_and_leave},
    {.name = "stalls", .asked = answer_in_two},
    {.name = "thinks", .asked = think},
};

/* ---- the machinery ---- */

static int epoll_fd;

static void watch(int fd, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        err(1, "epoll_ctl");
}

static int listen_on(struct sockaddr_in6 address, int backlog)
{
    const int zero = 0, one = 1;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) ||
        listen(fd, backlog ? backlog : BACKLOG))
        err(1, "port %d", ntohs(address.sin6_port));
    return fd;
}

/* Connects until the kernel takes no more; from then on it drops SYNs. The queue holds one more
 * than it says. */
static void fill_queue(struct sockaddr_in6 address, int backlog)
{
    address.sin6_addr = in6addr_loopback;
    for (int i = 0; i <= backlog; i++) {
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
            err(1, "filling the queue of port %d", ntohs(address.sin6_port));
    }
}

static void begin_manner(const struct manner *manner, uint16_t port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (manner->backlog < 0)
        return;
    int fd = listen_on(address, manner->backlog);
    if (manner->full)
        fill_queue(address, manner->backlog);
    else
        watch(fd, LISTENER(manner - manners, fd));
}

static void accept_all(int listener, const struct manner *manner)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = calloc(1, sizeof *client);
        if (!client)
            err(1, "calloc");
        client->fd = fd;
        client->manner = manner;
        if (manner->accepted)
            manner->accepted(client);
        if (client->fd < 0)
            free(client);
        else
            watch(fd, (uint64_t)(uintptr_t)client);
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        err(1, "accept4");
}

/* Is it among those whose answers are thought about? Then it is freed when that is due. */
static bool thinks(const struct client *client)
{
    return client->due_ns != 0;
}

static void hear(struct client *client)
{
    char buffer[4096];
    ssize_t got = recv(client->fd, buffer, sizeof buffer, 0);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        leave(client);
    else if (!thinks(client) && memchr(buffer, '\n', (size_t)got))
        client->manner->asked(client);
    if (client->fd < 0 && !thinks(client))
        free(client);
}

static void end_thoughts(int64_t now_ns)
{
    while (thinking && thinking->due_ns <= now_ns) {
        struct client *client = thinking;
        thinking = client->next;
        if (!thinking)
            thinking_end = &thinking;
        client->due_ns = 0;
        if (client->fd >= 0)
            answer(client);
        if (client->fd < 0)
            free(client);
    }
}

static void more_descriptors(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Whether there is more to do. */
static bool serve_one(uint64_t data)
{
    int fd = (int)((uint32_t)data >> 1);

    if (!(data & 1))
        hear((struct client *)(uintptr_t)data);
    else if (fd != STDIN_FILENO)
        accept_all(fd, &manners[data >> 32]);
    return data != LISTENER(0, STDIN_FILENO);
}

static int patience_ms(void)
{
    int64_t left_ns = thinking ? thinking->due_ns - clock_mono_ns() : -1;

    return thinking && left_ns < 0 ? 0 : clock_to_poll_ms(left_ns);
}

int main(int argc, char **argv)
{
    struct epoll_event events[TURN_EVENTS];
    int port = argc == 2 ? atoi(argv[1]) : 0;
    bool more = true;

    if (port < 1 || port + (int)ARRAY_SIZE(manners) > 65535)
        errx(2, "usage: crowd_server PORT");
    more_descriptors();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(manners); i++)
        begin_manner(&manners[i], (uint16_t)(port + (int)i));
    watch(STDIN_FILENO, LISTENER(0, STDIN_FILENO));
    puts("ready");
    fflush(stdout);
    while (more) {
        int count = epoll_wait(epoll_fd, events, TURN_EVENTS, patience_ms());
        for (int i = 0; i < count && more; i++)
            more = serve_one(events[i].data.u64);
        end_thoughts(clock_mono_ns());
    }
    return 0;
}
