#include "probe/loop.h"

#include "base/clock.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 256

int loop_open(struct loop *loop, size_t max_tasks, struct error *error)
{
    *loop = (struct loop){.epoll_fd = -1};
    loop->heap = calloc(max_tasks ? max_tasks : 1, sizeof(struct loop_task *));
    if (!loop->heap)
        return error_sys(error, ENOMEM, "%zu timers", max_tasks);
    loop->heap_alloc = max_tasks;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        int code = errno;
        free(loop->heap);
        return error_sys(error, code, "epoll_create1");
    }
    return 0;
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

void loop_unwatch(struct loop *loop, struct loop_task *task)
{
    if (task->fd >= 0)
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, task->fd, NULL);
    task->fd = -1;
    task->interest = 0;
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

void loop_timer(struct loop *loop, struct loop_task *task, int64_t at_ns)
{
    if (task->timer_ns == at_ns && (task->heap_index != SIZE_MAX) == (at_ns != INT64_MAX))
        return;
    if (task->heap_index != SIZE_MAX)
        leave_heap(loop, task);
    task->timer_ns = at_ns;
    if (at_ns != INT64_MAX && loop->heap_count < loop->heap_alloc)
        sift_up(loop, loop->heap_count++, task);
}

static int wait_for_events(struct loop *loop, struct epoll_event *events, int64_t until_ns)
{
    if (loop->heap_count && loop->heap[0]->timer_ns < until_ns)
        until_ns = loop->heap[0]->timer_ns;
    int64_t left = until_ns == INT64_MAX ? -1 : until_ns - clock_mono_ns();
    if (until_ns != INT64_MAX && left < 0)
        left = 0;

    struct timespec timeout = clock_to_timespec(left < 0 ? 0 : left);
    int count = epoll_pwait2(loop->epoll_fd, events, EVENTS_MAX, left < 0 ? NULL : &timeout, NULL);
    if (count < 0 && errno == ENOSYS) /* before Linux 5.11 */
        count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, clock_to_poll_ms(left));
    return count < 0 ? -errno : count;
}

int loop_turn(struct loop *loop, int64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int count = wait_for_events(loop, events, until_ns);

    if (count < 0)
        return count;
    /* A task freed by an earlier callback of this turn cannot come up again: a task handles only
     * its own life, and epoll reports a descriptor once a turn. */
    for (int i = 0; i < count; i++) {
        struct loop_task *task = events[i].data.ptr;
        task->wake(task, events[i].events);
    }
    int64_t now = clock_mono_ns();
    while (loop->heap_count && loop->heap[0]->timer_ns <= now) {
        struct loop_task *task = loop->heap[0];
        leave_heap(loop, task);
        task->timer_ns = INT64_MAX;
        task->wake(task, 0);
    }
    return 0;
}
