/* Waiting for a state that nothing announces. */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include "base/clock.h"
#include <poll.h>
#include <stdbool.h>

#define WAIT_LOOK_MS 2

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
