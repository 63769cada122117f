/* connect_loop PARALLEL TARGETS: connects to each line "ADDRESS PORT" of the file TARGETS, PARALLEL
 * at a time, from one thread of epoll, and closes. Each connect is timed by the application's own
 * clock, from the call to the moment when the loop takes it up. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_EVENTS 256
#define TARGETS_MAX 1000000

static struct sockaddr_in *targets;
static int64_t *took;
static size_t target_count, begun, done;

static void read_targets(const char *path)
{
    char address[64], port[16];
    FILE *file = fopen(path, "re");

    targets = calloc(TARGETS_MAX, sizeof *targets);
    if (!file || !targets)
        err(1, "%s", path);
    while (target_count < TARGETS_MAX && fscanf(file, "%63[^: \n]%*[: ]%15s\n", address, port) == 2)
        targets[target_count++] = bench_address(address, port);
    took = calloc(target_count + 1, sizeof *took);
    if (ferror(file) || !target_count || !took)
        errx(1, "%s has no targets", path);
    fclose(file);
}

static void begin(int epoll_fd)
{
    size_t index = begun++;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLOUT,
                                .data.u64 = (uint64_t)index << 32 | (uint32_t)fd};

    took[index] = clock_mono_ns();
    if (fd < 0 ||
        (connect(fd, (struct sockaddr *)&targets[index], sizeof *targets) &&
         errno != EINPROGRESS) ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        err(1, "target %zu", index);
}

static void finish(const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64, error = 0;
    size_t index = event->data.u64 >> 32;
    socklen_t len = sizeof error;

    took[index] = clock_mono_ns() - took[index];
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        errno = error;
        err(1, "target %zu", index);
    }
    close(fd);
    done++;
}

int main(int argc, char **argv)
{
    struct epoll_event events[TURN_EVENTS];

    if (argc != 3)
        errx(2, "usage: connect_loop PARALLEL TARGETS");
    size_t parallel = (size_t)bench_number(argv[1], 1000000);
    read_targets(argv[2]);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int64_t start = clock_mono_ns();
    while (done < target_count) {
        while (begun - done < parallel && begun < target_count)
            begin(epoll_fd);
        int count = epoll_wait(epoll_fd, events, TURN_EVENTS, -1);
        for (int i = 0; i < count; i++)
            finish(&events[i]);
    }
    bench_report("connections", clock_mono_ns() - start, took, target_count);
    return 0;
}
