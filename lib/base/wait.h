/* Waiting for a state that nothing announces. */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>

#define WAIT_LOOK_MS 2

/* How long a wait may last. */
struct wait_limit {
    int64_t deadline_ns; /* CLOCK_MONOTONIC; INT64_MAX: for ever */
    const volatile sig_atomic_t
        *stop; /* and at most until this is set, by a signal; NULL: nothing */
};
#define WAIT_NO_LIMIT ((struct wait_limit){INT64_MAX, NULL})
#define WAIT_SLICE_NS                                                                              \
    (100 * NS_PER_MS) /* a signal between the check and the wait is seen after it */

/* 0 when the descriptor is ready for it, or has failed; -ETIMEDOUT, -EINTR, or what poll() says. */
static inline int wait_for_fd(int fd, short events, const struct wait_limit *limit)
{
    struct pollfd polled = {.fd = fd, .events = events};

    for (;;) {
        int64_t left_ns = limit->deadline_ns - clock_mono_ns();
        if (limit->stop && *limit->stop)
            return -EINTR;
        int rc = poll(&polled, 1,
                      clock_to_poll_ms(left_ns < 0               ? 0
                                       : left_ns < WAIT_SLICE_NS ? left_ns
                                                                 : WAIT_SLICE_NS));
        if (rc > 0)
            return 0;
        if (rc < 0 && errno != EINTR)
            return -errno;
        if (!rc && left_ns <= 0)
            return -ETIMEDOUT;
    }
}

/* Looks every 2 ms until `condition` holds or the deadline (CLOCK_MONOTONIC) has passed, at least
 * once; gives whether it held. The condition is evaluated anew at each look. */
#define wait_until(condition, deadline_ns)                                                         \
    ({                                                                                             \
        const int64_t wait_end_ns_ = (deadline_ns);                                                \
        bool wait_met_;                                                                            \
        while (!(wait_met_ = (condition)) && clock_mono_ns() < wait_end_ns_)                       \
            poll(NULL, 0, WAIT_LOOK_MS);                                                           \
        wait_met_;                                                                                 \
    })

#endif
