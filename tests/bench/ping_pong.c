/* ping_pong epoll|blocking ADDRESS PORT ROUNDS BYTES: one connection, ROUNDS exchanges of BYTES,
 * each timed by the application's own clock as programs do it: before send, after recv. */
#include "bench.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void exchange(int fd, int epoll_fd, char *buffer, size_t bytes)
{
    struct epoll_event event;

    if (send(fd, buffer, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        err(1, "send");
    for (size_t had = 0; had < bytes;) {
        if (epoll_fd >= 0 && epoll_wait(epoll_fd, &event, 1, -1) != 1)
            err(1, "epoll_wait");
        ssize_t got = recv(fd, buffer + had, bytes - had, epoll_fd >= 0 ? MSG_DONTWAIT : 0);
        if (got <= 0 && errno != EAGAIN)
            err(1, "recv");
        had += got > 0 ? (size_t)got : 0;
    }
}

int main(int argc, char **argv)
{
    char buffer[65536];

    if (argc != 6)
        errx(2, "usage: ping_pong epoll|blocking ADDRESS PORT ROUNDS BYTES");
    struct sockaddr_in address = bench_address(argv[2], argv[3]);
    size_t rounds = (size_t)bench_number(argv[4], 100000000);
    size_t bytes = (size_t)bench_number(argv[5], sizeof buffer);
    int64_t *took = calloc(rounds, sizeof *took);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll_fd = -1;
    struct epoll_event event = {.events = EPOLLIN};
    const int one = 1;

    if (!took || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
        err(1, "connect");
    if (!strcmp(argv[1], "epoll") && ((epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
                                      epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)))
        err(1, "epoll");
    memset(buffer, 'x', sizeof buffer);
    int64_t start = clock_mono_ns(), before = start;
    for (size_t i = 0; i < rounds; i++) {
        exchange(fd, epoll_fd, buffer, bytes);
        int64_t after = clock_mono_ns();
        took[i] = after - before;
        before = after;
    }
    bench_report("rounds", before - start, took, rounds);
    free(took);
    return 0;
}
