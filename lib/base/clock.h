/* The one place that knows struct timespec.
 *
 * Times are int64_t nanoseconds. A name that ends in _ns is a duration or a CLOCK_MONOTONIC time,
 * _real_ns is CLOCK_REALTIME (the clock of kernel and pcap stamps) since 1970. Nothing else in
 * netkit does arithmetic on timespec or timeval. All functions may be called from any thread and
 * from signal handlers, except clock_format(). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define NS_PER_US  INT64_C(1000)
#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)

/* No time, or a time that is not known. Never a valid stamp. */
#define CLOCK_NONE INT64_MIN

int64_t clock_mono_ns(void);
int64_t clock_real_ns(void);

/* Both clocks at (nearly) the same instant: CLOCK_MONOTONIC is read between two reads of
 * CLOCK_REALTIME, and the tightest of a few tries wins. */
struct clock_pair {
    int64_t mono_ns;
    int64_t real_ns;
};
struct clock_pair clock_pair_now(void);

/* A CLOCK_REALTIME stamp in CLOCK_MONOTONIC, by a pair that was taken near it. */
int64_t clock_real_to_mono(int64_t real_ns, struct clock_pair pair);

/* Whether the wall clock was stepped between two pairs (they disagree by more than tolerance_ns):
 * stamps from before and after the step must then not be compared. */
bool clock_stepped(struct clock_pair before, struct clock_pair after, int64_t tolerance_ns);

int64_t clock_from_timespec(struct timespec ts);
struct timespec clock_to_timespec(int64_t ns);
struct timeval clock_to_timeval(int64_t ns); /* rounds up, so that 1 ns never becomes "no limit" */
int clock_to_poll_ms(int64_t ns);            /* rounds up; negative → -1 (for ever) */

/* RFC 3339 in UTC with nanoseconds: 2026-01-31T12:34:56.123456789Z (31 bytes with the NUL).
 * Returns out. */
#define CLOCK_TEXT_MAX 40
const char *clock_format(char *out, size_t size, int64_t real_ns);

#endif
