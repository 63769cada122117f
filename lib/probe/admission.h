/* Which targets may begin: no more are in conversation at once than one thread can attend to.
 *
 * One thread talks to all. With ten thousand quick conversations going on, an answer that is there
 * after 20 microseconds is read after half a second, a delayed acknowledgement is never late, and
 * the report is about this machine. So a target is begun only while fewer than ADMISSION_MAX are
 * active: something happened to them in the last ADMISSION_WINDOW_NS. One that makes us wait longer
 * costs nothing while it does, and does not count; silent ones are in flight by the thousands.
 *
 * A pause of the whole machine looks as if all waited. So beyond ADMISSION_MAX in flight targets
 * are begun at a bounded rate, and none while more is ready than one turn should have. */
#ifndef PROBE_ADMISSION_H
#define PROBE_ADMISSION_H

#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMISSION_MAX       32
#define ADMISSION_WINDOW_NS (5 * NS_PER_MS)
#define ADMISSION_PACE_NS   (NS_PER_MS / 2)

/* A target's place among the active ones, in the order of what happened last. */
struct admission_place {
    struct admission_place *older, *newer;
    int64_t at_ns; /* CLOCK_MONOTONIC; 0: not active */
};

struct admission {
    bool wanted; /* false: everybody may begin at once, and the rest costs nothing */
    struct admission_place *oldest, *newest;
    size_t count;
    int64_t begun_ns; /* the last one that began beyond ADMISSION_MAX in flight */
};

/* Something happens to a target. */
void admission_note(struct admission *admission, struct admission_place *place);
/* It is over. */
void admission_leave(struct admission *admission, struct admission_place *place);
/* When another may begin, as far as is known now; 0: at once. in_flight: how many have begun and
 * are not over; ready: how many events the last turn of the loop had. */
int64_t admission_next_ns(struct admission *admission, size_t in_flight, size_t ready);
/* One begins. */
void admission_begin(struct admission *admission, size_t in_flight);

#endif
