#include "probe/loop.h"

#include "base/clock.h"
#include <errno.h>
#include <linux/time_types.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define LOOK_AT_STOP_NS (100 * NS_PER_MS)

int loop_open(struct loop *loop, struct error *error)
{
    *loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll_fd < 0 ? error_sys(error, errno, "epoll_create1") : 0;
}

void loop_close(struct loop *loop)
{
    free(loop->heap);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    *loop = (struct loop){.epoll_fd = -1};
}

void loop_task_init(struct loop_task *task, void (*wake)(struct loop_task *, uint32_t))
{
    *task =
        (struct loop_task){.wake = wake, .fd = -1, .timer_ns = INT64_MAX, .heap_index = SIZE_MAX};
}

int loop_watch(struct loop *loop, struct loop_task *task, int fd, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.ptr = task};

    if (task->fd == fd && task->interest == interest)
        return 0;
    if (epoll_ctl(loop->epoll_fd, task->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event))
        return -errno;
    task->fd = fd;
    task->interest = interest;
    return 0;
}

/* An event of this turn that is still to be handed out must not reach a task that has gone. */
static void forget_events(struct loop *loop, const struct loop_task *task)
{
    for (int i = loop->next_event; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == task)
            loop->events[i].data.ptr = NULL;
}

void loop_forget(struct loop *loop, struct loop_task *task)
{
    if (task->fd >= 0)
        forget_events(loop, task);
    task->fd = -1;
    task->interest = 0;
}

void loop_unwatch(struct loop *loop, struct loop_task *task)
{
    if (task->fd >= 0)
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, task->fd, NULL);
    loop_forget(loop, task);
}

static void place(struct loop *loop, size_t index, struct loop_task *task)
{
    loop->heap[index] = task;
    task->heap_index = index;
}

static void sift_up(struct loop *loop, size_t index, struct loop_task *task)
{
    while (index && loop->heap[(index - 1) / 2]->timer_ns > task->timer_ns) {
        place(loop, index, loop->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    place(loop, index, task);
}

static void sift_down(struct loop *loop, size_t index, struct loop_task *task)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count &&
            loop->heap[child + 1]->timer_ns < loop->heap[child]->timer_ns)
            child++;
        if (loop->heap[child]->timer_ns >= task->timer_ns)
            break;
        place(loop, index, loop->heap[child]);
        index = child;
    }
    place(loop, index, task);
}

static void leave_heap(struct loop *loop, struct loop_task *task)
{
    size_t hole = task->heap_index;
    struct loop_task *last = loop->heap[--loop->heap_count];

    task->heap_index = SIZE_MAX;
    if (last == task)
        return;
    if (hole && loop->heap[(hole - 1) / 2]->timer_ns > last->timer_ns)
        sift_up(loop, hole, last);
    else
        sift_down(loop, hole, last);
}

/* When memory is out the timer is lost, and with it only a bound: events still come. */
static bool make_room(struct loop *loop)
{
    if (loop->heap_count < loop->heap_alloc)
        return true;
    size_t alloc = loop->heap_alloc ? 2 * loop->heap_alloc : 64;
    struct loop_task **heap = realloc(loop->heap, alloc * sizeof(struct loop_task *));
    if (!heap)
        return false;
    loop->heap = heap;
    loop->heap_alloc = alloc;
    return true;
}

void loop_timer(struct loop *loop, struct loop_task *task, int64_t at_ns)
{
    if (task->timer_ns == at_ns && (task->heap_index != SIZE_MAX) == (at_ns != INT64_MAX))
        return;
    if (task->heap_index != SIZE_MAX)
        leave_heap(loop, task);
    task->timer_ns = at_ns;
    if (at_ns != INT64_MAX && make_room(loop))
        sift_up(loop, loop->heap_count++, task);
}

/* Waits by nanoseconds: epoll_pwait2(2), by its number, as C libraries have it only lately. */
static int wait_once(struct loop *loop, int64_t left_ns)
{
    if (!loop->lacks_pwait2) {
        const struct __kernel_timespec timeout = {.tv_sec = left_ns / NS_PER_SEC,
                                                  .tv_nsec = left_ns % NS_PER_SEC};
        int count = (int)syscall(SYS_epoll_pwait2, loop->epoll_fd, loop->events, LOOP_EVENTS_MAX,
                                 &timeout, NULL, (size_t)0);
        /* Before Linux 5.11 it is unknown; old seccomp filters of containers say EPERM for what
         * they do not know. */
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        loop->lacks_pwait2 = true;
    }
    /* epoll_wait(2) itself has milliseconds only. */
    struct pollfd ready = {.fd = loop->epoll_fd, .events = POLLIN};
    const struct timespec timeout = clock_to_timespec(left_ns);
    int count = ppoll(&ready, 1, &timeout, NULL);
    return count > 0 ? epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, 0) : count;
}

/* A signal that comes between the look at *stop and the wait would be slept through. Blocking
 * signals there and letting them in for the wait alone (epoll_pwait(2)) costs two more calls, in
 * each round of a quick conversation; looking again after a tenth of a second costs nothing. */
static int wait_for_events(struct loop *loop, int64_t until_ns, const volatile sig_atomic_t *stop)
{
    if (loop->heap_count && loop->heap[0]->timer_ns < until_ns)
        until_ns = loop->heap[0]->timer_ns;
    for (;;) {
        if (stop && *stop)
            return -EINTR;
        int64_t left_ns = until_ns - clock_mono_ns();
        left_ns = left_ns < 0 ? 0 : left_ns;
        int count = wait_once(loop, left_ns < LOOK_AT_STOP_NS ? left_ns : LOOK_AT_STOP_NS);
        if (count < 0)
            return -errno;
        if (count || left_ns <= LOOK_AT_STOP_NS)
            return count;
    }
}

int loop_turn(struct loop *loop, int64_t until_ns, const volatile sig_atomic_t *stop)
{
    int count = wait_for_events(loop, until_ns, stop);

    if (count < 0)
        return count;
    loop->event_count = count;
    loop->turn_events = (size_t)count;
    for (loop->next_event = 0; loop->next_event < loop->event_count;) {
        struct epoll_event *event = &loop->events[loop->next_event++];
        struct loop_task *task = event->data.ptr;
        if (task)
            task->wake(task, event->events);
    }
    loop->event_count = 0;
    int64_t now = clock_mono_ns();
    while (loop->heap_count && loop->heap[0]->timer_ns <= now) {
        struct loop_task *task = loop->heap[0];
        leave_heap(loop, task);
        task->timer_ns = INT64_MAX;
        task->wake(task, 0);
    }
    return 0;
}
