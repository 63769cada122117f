/* Every number that a verdict depends on, with its reason: X(name, kind, value, decides, reason).
 *
 * The constants and the tables of the manual pages follow from these lists (scripts/generate). What
 * the user sets (--stall, --max-p99, …) is in threshold.h and with the options. Kinds: TIME, in
 * nanoseconds; SHARE, of 1; TIMES, a factor; COUNT; P, a probability. */
#ifndef DIAGNOSIS_VERDICT_THRESHOLDS_H
#define DIAGNOSIS_VERDICT_THRESHOLDS_H

#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of tcp-probe. */
#define PROBE_THRESHOLDS(X)                                                                        \
    X(DELAY_COMMON_SHARE, SHARE, 0.5, "a delay is in most rounds",                                 \
      "most rounds; only wake-ups as late as the delay cast doubt")                                \
    X(DELAY_COMMON_WAKEUPS, TIMES, 2, "a delay in most rounds counts: this many wake-ups",         \
      "a delay that is half our own lateness is not the service's")                                \
    X(DELAY_SHARE, SHARE, 0.2, "an occasional delay counts, and the arms are run",                 \
      "one round in five; below that, ten rounds of an arm can't show a change")                   \
    X(DELAY_WAKEUPS, TIMES, 4,                                                                     \
      "an occasional delay counts: this many slow wake-ups (one in ten is slower)",                \
      "occasional delays look like a machine that is late now and then")                           \
    X(ROUNDS_ENOUGH, COUNT, 5, "an arm, or an earlier run, can be compared",                       \
      "five against five is the least that the rank test can tell apart")                          \
    X(DIFFERENCE_P_VALUE, P, 0.01, "two sets of rounds differ",                                    \
      "one false alarm in a hundred comparisons of equal services")                                \
    X(MECHANISM_SHARE, SHARE, 0.6, "the mechanism shows",                                          \
      "a clear majority, with room for rounds whose stamps came late")                             \
    X(MECHANISM_EXACT_SHARE, SHARE, 0.25, "the moment of our ACK is known well enough",            \
      "some exact moments are needed; a busy machine gives few")                                   \
    X(MECHANISM_ABSENT_SHARE, SHARE, 0.5, "above this share the mechanism is ruled out",           \
      "more gaps contradict it than support it")                                                   \
    X(RELEASE_NS, TIME, 3 * NS_PER_MS, "data that follows an ACK was released by it",              \
      "a wake-up of each side, and far less than a delayed ACK (40 ms)")                           \
    X(HOLD_FLOOR_NS, TIME, 200 * NS_PER_US, "a wait in the send queue is a hold",                  \
      "below it is the cost of the calls themselves")                                              \
    X(CORK_MIN_NS, TIME, 190 * NS_PER_MS, "a wait may be a cork's, at least",                      \
      "TCP_CORK holds for one RTO, at least 200 ms on Linux, less a timer tick")                   \
    X(CORK_MAX_NS, TIME, 330 * NS_PER_MS, "a wait may be a cork's, at most",                       \
      "200 ms, a round trip of 100 ms, and late timers")                                           \
    X(CORK_SHARE, SHARE, 0.9, "a cork holds the answers", "a cork holds every answer, or nearly")  \
    X(WINDOW_CLOSED_SHARE, SHARE, 0.5, "a window that limits is zero-window",                      \
      "most of the rounds that it limits saw it closed")                                           \
    X(RTO_MIN_NS, TIME, 190 * NS_PER_MS,                                                           \
      "a segment that was sent again waited for a retransmission timeout",                         \
      "TCP_RTO_MIN is 200 ms on Linux; a timer may fire a tick early")                             \
    X(RESOLVE_SLOW_NS, TIME, 500 * NS_PER_MS, "slow-resolve",                                      \
      "a resolver near by takes milliseconds, one lost query 5 s")                                 \
    X(RTT_HIGH_NS, TIME, 100 * NS_PER_MS, "high-rtt",                                              \
      "farther than a continent, or a queue on the path")                                          \
    X(FALLBACK_NS, TIME, NS_PER_MS, "address-fallback is a warning",                               \
      "a race that the first address would have won anyway costs nothing")                         \
    X(REGRESSION_SHARE, SHARE, 0.05, "regression: of the earlier median",                          \
      "two runs of an unchanged service differ by that much")                                      \
    X(REGRESSION_FLOOR_NS, TIME, 50 * NS_PER_US, "regression: at least",                           \
      "two runs on an ordinary machine differ by that much")

/* Of connect-timeout. */
#define REACH_THRESHOLDS(X)                                                                        \
    X(REACH_SLOW_NS, TIME, 100 * NS_PER_MS, "slow-path: the shortest handshake takes this long",   \
      "farther than a continent, or a queue on the path")                                          \
    X(REACH_LATE_NS, TIME, 100 * NS_PER_MS,                                                        \
      "answered-late: the slowest handshake is this much "                                         \
      "slower than the quickest",                                                                  \
      "more than jitter, less than the 1 s of a repeated SYN")                                     \
    X(REACH_LATE_TIMES, TIMES, 3, "answered-late: and this many times as long",                    \
      "a long path varies more than a short one")

/* Of accept-backlog's watch. */
#define LISTENER_THRESHOLDS(X)                                                                     \
    X(LISTENER_PATIENCE_NS, TIME, NS_PER_SEC,                                                      \
      "a full queue is a burst if it drains sooner, else the application is too slow",             \
      "a client whose SYN was dropped sends it again after 1 s anyway")                            \
    X(LISTENER_GAP_NS, TIME, 500 * NS_PER_MS, "samples are too far apart to follow a queue",       \
      "it could have drained and filled again in between")                                         \
    X(LISTENER_WAIT_NS, TIME, 200 * NS_PER_MS, "slow-accept: mean wait for accept()",              \
      "a client notices it")                                                                       \
    X(LISTENER_AGREE_SHARE, SHARE, 0.8,                                                            \
      "the drops are of one kind: bursts, or a slow application",                                  \
      "a few of the other kind are chance")                                                        \
    X(LISTENER_FILLED_SHARE, SHARE, 0.25, "the queue counts as filled, of its limit",              \
      "an application that keeps up drains it further")

/* Of captures of the lab's wire. */
#define EXCHANGE_THRESHOLDS(X)                                                                     \
    X(DUPLICATE_ACKS, COUNT, 3, "duplicate ACKs asked for a retransmission", "RFC 5681")

/* Of doctor. */
#define MACHINE_THRESHOLDS(X)                                                                      \
    X(RETRANSMIT_SHARE, SHARE, 0.01, "retransmissions are worth a note",                           \
      "a wired path loses far less than one segment in a hundred")                                 \
    X(RETRANSMIT_SEGMENTS, COUNT, 10000, "of this many segments or more",                          \
      "a few hundred segments say little about a share")

#define THRESHOLD_TYPE_TIME  int64_t
#define THRESHOLD_TYPE_SHARE double
#define THRESHOLD_TYPE_TIMES int64_t
#define THRESHOLD_TYPE_COUNT size_t
#define THRESHOLD_TYPE_P     double

#define THRESHOLD_CONSTANT(name, kind, value, decides, reason)                                     \
    static const THRESHOLD_TYPE_##kind name = value;
PROBE_THRESHOLDS(THRESHOLD_CONSTANT)
REACH_THRESHOLDS(THRESHOLD_CONSTANT)
LISTENER_THRESHOLDS(THRESHOLD_CONSTANT)
EXCHANGE_THRESHOLDS(THRESHOLD_CONSTANT)
MACHINE_THRESHOLDS(THRESHOLD_CONSTANT)
#undef THRESHOLD_CONSTANT

/* Whether a part of the whole is a share of it, or more; of nothing, nothing is. */
static inline bool is_share(int64_t part, int64_t whole, double share)
{
    return whole > 0 && (double)part / (double)whole >= share;
}

#endif
