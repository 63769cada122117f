/* bench_server ADDRESS PORT COUNT: listens on COUNT ports from PORT on, says "ready", and sends
 * back what comes, until its standard input ends. Then it prints how many connections it had at
 * most at the same time. A connection costs it one turn of epoll. */
#include "bench.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_EVENTS 256
#define LISTENER    (UINT64_C(1) << 32)

static int connections, most;

static void watch(int epoll_fd, int fd, uint64_t mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark | (uint32_t)fd};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        err(1, "epoll_ctl");
}

static void listen_on(int epoll_fd, struct sockaddr_in address)
{
    const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096))
        err(1, "port %d", ntohs(address.sin_port));
    watch(epoll_fd, fd, LISTENER);
}

static void accept_all(int epoll_fd, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        watch(epoll_fd, fd, 0);
        most = ++connections > most ? connections : most;
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        err(1, "accept4");
}

static void echo(int fd)
{
    char buffer[65536];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);

    if (got > 0 && send(fd, buffer, (size_t)got, MSG_NOSIGNAL) == got)
        return;
    if (got >= 0 || errno != EAGAIN) {
        close(fd);
        connections--;
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[TURN_EVENTS];
    struct rlimit limit;

    if (argc != 4)
        errx(2, "usage: bench_server ADDRESS PORT COUNT");
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct sockaddr_in address = bench_address(argv[1], argv[2]);
    for (long left = bench_number(argv[3], 10000); left--;) {
        listen_on(epoll_fd, address);
        address.sin_port = htons((uint16_t)(ntohs(address.sin_port) + 1));
    }
    watch(epoll_fd, STDIN_FILENO, 0);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, TURN_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = (int)(uint32_t)events[i].data.u64;
            if (events[i].data.u64 & LISTENER)
                accept_all(epoll_fd, fd);
            else if (fd == STDIN_FILENO)
                return printf("%d\n", most) < 0;
            else
                echo(fd);
        }
    }
}
