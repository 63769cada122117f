/* One thread, many descriptors and timers: what a probe of many targets runs on.
 *
 * A task has at most one descriptor and one timer at a time. The loop owns neither; it calls back.
 * Timers are CLOCK_MONOTONIC nanoseconds in a binary heap. */
#ifndef PROBE_LOOP_H
#define PROBE_LOOP_H

#include "netkit/error.h"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop_task {
    /* Something happened: events are EPOLL… bits, 0 when the timer ran out. The task may be changed
     * or freed by the callback. */
    void (*wake)(struct loop_task *task, uint32_t events);
    int fd;            /* -1: none */
    uint32_t interest; /* EPOLL… bits registered */
    int64_t timer_ns;  /* INT64_MAX: none */
    size_t heap_index; /* SIZE_MAX: not in the heap */
};

#define LOOP_EVENTS_MAX 256

struct loop {
    int epoll_fd;
    struct epoll_event events[LOOP_EVENTS_MAX];
    int next_event, event_count; /* of this turn, still to be handed out */
    size_t turn_events;          /* how many the last turn had */
    bool lacks_pwait2;           /* the kernel does not let us call epoll_pwait2(2) */
    struct loop_task **heap;
    size_t heap_count, heap_alloc;
};

int loop_open(struct loop *loop, struct error *error);
void loop_close(struct loop *loop);

void loop_task_init(struct loop_task *task, void (*wake)(struct loop_task *, uint32_t));
/* Starts or changes what a descriptor is watched for. 0 or a negative errno. */
int loop_watch(struct loop *loop, struct loop_task *task, int fd, uint32_t interest);
/* To be called before the descriptor is closed. No event of the present turn reaches the task any
 * more, so its memory may then be freed, also from within a callback. */
void loop_unwatch(struct loop *loop, struct loop_task *task);
/* The same for a descriptor that is closed before the next turn, which makes the kernel forget it
 * without being told. */
void loop_forget(struct loop *loop, struct loop_task *task);
/* (Re)sets the timer; INT64_MAX stops it. */
void loop_timer(struct loop *loop, struct loop_task *task, int64_t at_ns);

/* Waits once, until something happens, the next timer, or at most until `until_ns`, and calls back.
 * *stop (may be NULL) is set by signal handlers: a signal ends the wait, one that comes right
 * before it within a tenth of a second. 0, -EINTR when a signal came or *stop is set, or another
 * negative errno when waiting is not possible at all. */
int loop_turn(struct loop *loop, int64_t until_ns, const volatile sig_atomic_t *stop);

#endif
