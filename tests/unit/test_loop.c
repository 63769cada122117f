/* The loop: timers against a naive model, descriptors, and signals that come at the worst time. */
#include "base/clock.h"
#include "probe/loop.h"

#include <errno.h>
#include <linux/time_types.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* This program's own calls stand before the C library's, to do what seldom happens. */
static int fail_with;    /* an errno that the next waits give */
static int raise_before; /* a signal that comes right before the wait */
static int raise_beside; /* one that comes when there are events, too */
static unsigned waits;   /* how often it was called */

long syscall(long number, ...)
{
    va_list args;

    va_start(args, number);
    int epfd = va_arg(args, int);
    struct epoll_event *events = va_arg(args, struct epoll_event *);
    int max = va_arg(args, int);
    const struct __kernel_timespec *limit = va_arg(args, const struct __kernel_timespec *);
    va_end(args);
    assert_int_equal(number, SYS_epoll_pwait2);
    waits++;
    if (raise_before) {
        raise(raise_before);
        raise_before = 0;
    }
    if (fail_with) {
        errno = fail_with;
        return -1;
    }
    struct pollfd ready = {.fd = epfd, .events = POLLIN};
    const struct timespec timeout = {.tv_sec = (time_t)limit->tv_sec,
                                     .tv_nsec = (long)limit->tv_nsec};
    int count = ppoll(&ready, 1, &timeout, NULL);
    count = count > 0 ? epoll_wait(epfd, events, max, 0) : count;
    if (count > 0 && raise_beside) {
        raise(raise_beside);
        raise_beside = 0;
    }
    return count;
}

static volatile sig_atomic_t stopped, too_long;

static void on_signal(int number)
{
    stopped = number;
}

static void on_alarm(int number)
{
    too_long = number;
    stopped = number;
}

static int begin(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    stopped = too_long = fail_with = raise_before = raise_beside = 0;
    waits = 0;
    return 0;
}

/* ---- timers ---- */

#define TASKS 40

struct timed {
    struct loop_task task;
    int64_t model_ns; /* what the model says */
};

static struct loop loop;
static struct timed timed[TASKS];
static int64_t last_fired_ns;
static uint32_t seed;

static uint32_t chance(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Something to do with a random timer: set it in the past (few values, so that many are equal), far
 * in the future, or stop it. */
static void disturb(struct timed *one, int64_t earliest_ns)
{
    int64_t at = chance(3) == 0   ? INT64_MAX
                 : chance(3) == 0 ? INT64_MAX - 1 - chance(50)
                                  : earliest_ns + chance(60);
    one->model_ns = at;
    loop_timer(&loop, &one->task, at);
}

static void fired(struct loop_task *task, uint32_t events)
{
    struct timed *one = (struct timed *)task;

    assert_int_equal(events, 0);
    assert_true(one->model_ns != INT64_MAX && one->model_ns < INT64_MAX / 2);
    for (int i = 0; i < TASKS; i++)
        assert_true(timed[i].model_ns >= one->model_ns);
    assert_true(one->model_ns >= last_fired_ns);
    last_fired_ns = one->model_ns;
    one->model_ns = INT64_MAX;
    /* A callback may change any timer, its own too. What it sets in the past runs in this turn. */
    if (chance(4) == 0)
        disturb(&timed[chance(TASKS)], last_fired_ns);
    if (chance(4) == 0)
        disturb(one, last_fired_ns);
}

static void timers_fire_in_order_whatever_happens_to_them(void **state)
{
    (void)state;
    for (seed = 1; seed <= 300; seed += 1) {
        uint32_t first = seed;
        assert_int_equal(loop_open(&loop, NULL), 0);
        for (int i = 0; i < TASKS; i++) {
            loop_task_init(&timed[i].task, fired);
            timed[i].model_ns = INT64_MAX;
        }
        for (int turn = 0; turn < 20; turn++) {
            last_fired_ns = 0;
            for (uint32_t n = chance(80); n; n--)
                disturb(&timed[chance(TASKS)], 1);
            assert_int_equal(loop_turn(&loop, 0, NULL), 0);
            size_t left = 0;
            for (int i = 0; i < TASKS; i++) {
                assert_true(timed[i].model_ns > INT64_MAX / 2);
                left += timed[i].model_ns != INT64_MAX;
                assert_true((timed[i].task.heap_index != SIZE_MAX) ==
                            (timed[i].model_ns != INT64_MAX));
            }
            assert_int_equal(loop.heap_count, left);
        }
        loop_close(&loop);
        seed = first;
    }
}

static int fired_count;

static void count(struct loop_task *task, uint32_t events)
{
    (void)task;
    fired_count += events ? 100 : 1;
}

static void a_timer_is_not_early_and_not_forgotten(void **state)
{
    struct loop_task task;
    (void)state;
    fired_count = 0;
    assert_int_equal(loop_open(&loop, NULL), 0);
    loop_task_init(&task, count);
    int64_t at = clock_mono_ns() + 3 * NS_PER_MS;
    loop_timer(&loop, &task, at);
    while (!fired_count)
        assert_int_equal(loop_turn(&loop, INT64_MAX, NULL), 0);
    assert_true(clock_mono_ns() >= at);
    assert_int_equal(fired_count, 1);
    assert_int_equal(loop_turn(&loop, 0, NULL), 0);
    assert_int_equal(fired_count, 1);
    loop_close(&loop);
}

/* ---- descriptors ---- */

static void a_descriptor_wakes_its_task_until_it_is_unwatched(void **state)
{
    struct loop_task task;
    int ends[2];
    (void)state;
    fired_count = 0;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(loop_open(&loop, NULL), 0);
    loop_task_init(&task, count);
    assert_int_equal(loop_watch(&loop, &task, ends[0], EPOLLIN), 0);
    assert_int_equal(loop_turn(&loop, 0, NULL), 0);
    assert_int_equal(fired_count, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(loop_turn(&loop, INT64_MAX, NULL), 0);
    assert_int_equal(fired_count, 100);
    assert_int_equal(loop_watch(&loop, &task, ends[0], 0), 0);
    assert_int_equal(loop_turn(&loop, 0, NULL), 0);
    assert_int_equal(fired_count, 100);
    assert_int_equal(loop_watch(&loop, &task, ends[0], EPOLLIN), 0);
    loop_unwatch(&loop, &task);
    assert_int_equal(loop_turn(&loop, 0, NULL), 0);
    assert_int_equal(fired_count, 100);
    assert_int_equal(loop_watch(&loop, &task, 12345, EPOLLIN), -EBADF);
    assert_int_equal(task.fd, -1);
    close(ends[0]);
    close(ends[1]);
    loop_close(&loop);
}

/* ---- signals ---- */

/* Waits for ever, were it not for the signal. */
static void expect_stop(void)
{
    assert_int_equal(loop_open(&loop, NULL), 0);
    alarm(20);
    assert_int_equal(loop_turn(&loop, INT64_MAX, &stopped), -EINTR);
    alarm(0);
    assert_int_equal(too_long, 0);
    assert_int_equal(stopped, SIGUSR1);
    loop_close(&loop);
}

static void a_signal_before_the_turn_ends_it(void **state)
{
    (void)state;
    raise(SIGUSR1);
    expect_stop();
}

static void a_signal_between_look_and_wait_is_not_lost(void **state)
{
    (void)state;
    raise_before = SIGUSR1;
    expect_stop();
    assert_int_equal(waits, 1);
}

static void a_signal_beside_events_is_heard_after_the_turn(void **state)
{
    struct loop_task task;
    int ends[2];
    sigset_t mask;
    (void)state;
    fired_count = 0;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(loop_open(&loop, NULL), 0);
    loop_task_init(&task, count);
    assert_int_equal(loop_watch(&loop, &task, ends[0], EPOLLIN), 0);
    raise_beside = SIGUSR1;
    int rc = loop_turn(&loop, INT64_MAX, &stopped);
    assert_true(rc == 0 || rc == -EINTR);
    assert_int_equal(stopped, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
    assert_false(sigismember(&mask, SIGUSR1));
    close(ends[0]);
    close(ends[1]);
    loop_close(&loop);
}

/* ---- kernels and containers ---- */

/* Rounded up to milliseconds no wait could be shorter than one. */
static void waits_as_exactly_without_epoll_pwait2(void **state)
{
    static const int codes[] = {ENOSYS, EPERM};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct loop_task task;
        int64_t shortest_ns = INT64_MAX;
        waits = 0;
        fail_with = codes[i];
        assert_int_equal(loop_open(&loop, NULL), 0);
        loop_task_init(&task, count);
        for (int tries = 0; tries < 100; tries++) {
            int64_t begin_ns = clock_mono_ns(), at_ns = begin_ns + 200 * NS_PER_US;
            fired_count = 0;
            loop_timer(&loop, &task, at_ns);
            while (!fired_count)
                assert_int_equal(loop_turn(&loop, INT64_MAX, NULL), 0);
            int64_t took_ns = clock_mono_ns() - begin_ns;
            assert_true(took_ns >= at_ns - begin_ns);
            shortest_ns = took_ns < shortest_ns ? took_ns : shortest_ns;
        }
        assert_true(shortest_ns < NS_PER_MS);
        assert_int_equal(waits, 1); /* asked once */
        loop_close(&loop);
    }
}

static void hears_descriptors_without_epoll_pwait2(void **state)
{
    fail_with = ENOSYS;
    a_descriptor_wakes_its_task_until_it_is_unwatched(state);
}

static void other_errors_are_told(void **state)
{
    (void)state;
    assert_int_equal(loop_open(&loop, NULL), 0);
    fail_with = EINVAL;
    assert_int_equal(loop_turn(&loop, INT64_MAX, NULL), -EINVAL);
    loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(timers_fire_in_order_whatever_happens_to_them, begin),
        cmocka_unit_test_setup(a_timer_is_not_early_and_not_forgotten, begin),
        cmocka_unit_test_setup(a_descriptor_wakes_its_task_until_it_is_unwatched, begin),
        cmocka_unit_test_setup(a_signal_before_the_turn_ends_it, begin),
        cmocka_unit_test_setup(a_signal_between_look_and_wait_is_not_lost, begin),
        cmocka_unit_test_setup(a_signal_beside_events_is_heard_after_the_turn, begin),
        cmocka_unit_test_setup(waits_as_exactly_without_epoll_pwait2, begin),
        cmocka_unit_test_setup(hears_descriptors_without_epoll_pwait2, begin),
        cmocka_unit_test_setup(other_errors_are_told, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
