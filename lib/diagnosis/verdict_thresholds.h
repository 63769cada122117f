/* Every number that a verdict depends on, with its reason: X(name, kind, value, decides, reason).
 *
 * The constants and the tables of the manual pages follow from these lists (scripts/generate). What
 * the user sets (--stall, --max-p99, …) is in threshold.h and with the options. Kinds: TIME, in
 * nanoseconds; SHARE, of 1; TIMES, a factor; COUNT; ROUNDS, a signed count; P, a probability. */
#ifndef DIAGNOSIS_VERDICT_THRESHOLDS_H
#define DIAGNOSIS_VERDICT_THRESHOLDS_H

#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of tcp-probe. */
#define PROBE_THRESHOLDS(X)                                                                        \
    X(DELAY_COMMON_SHARE, SHARE, 0.5, "Share of rounds from which on a delay is the rule",         \
      "then only wake-ups of our own that are as late cast doubt on it")                           \
    X(DELAY_COMMON_WAKEUPS, TIMES, 2,                                                              \
      "Such a delay counts if it is this many times our own wake-ups",                             \
      "what is half our own lateness can't be told from it")                                       \
    X(DELAY_SHARE, SHARE, 0.2,                                                                     \
      "Share of rounds from which on an occasional delay counts, and the arms are run",            \
      "the ten rounds of a short arm could not show a change of rarer ones")                       \
    X(AFFECTED_MIN, COUNT, 3, "Rounds that a delay must have hit",                                 \
      "one or two late rounds may be anything")                                                    \
    X(DELAY_WAKEUPS, TIMES, 4,                                                                     \
      "Such a delay counts if it is this many times our slow wake-ups (one in ten is slower)",     \
      "a machine that is late now and then makes occasional delays, too")                          \
    X(ROUNDS_ENOUGH, COUNT, 5, "Fewest rounds that are compared",                                  \
      "with fewer the rank test can hardly reach its limit")                                       \
    X(DIFFERENCE_P_VALUE, P, 0.01, "Two sets of rounds differ if the rank test gives less",        \
      "one false alarm in a hundred comparisons of equal services")                                \
    X(BLAME_P_VALUE, P, 0.001, "Chance below which lateness is not the path's",                    \
      "a wrong blame is worse than a question: ten times as sure as of a difference")              \
    X(FEWER_P_VALUE, P, 0.001, "Chance below which an arm has fewer slow rounds",                  \
      "asked beside the rank test, so that half of the rounds show as well as all")                \
    X(MECHANISM_SHARE, SHARE, 0.6,                                                                 \
      "A mechanism shows if this share of the affected rounds has it",                             \
      "a clear majority, with room for rounds whose stamps came late")                             \
    X(MECHANISM_EXACT_SHARE, SHARE, 0.25,                                                          \
      "Of the gaps, this share must have the moment of our ACK to a few milliseconds",             \
      "a busy machine gives few such moments, and without any the order is a guess")               \
    X(MECHANISM_ABSENT_SHARE, SHARE, 0.5,                                                          \
      "A mechanism is ruled out if more than this share of the gaps contradicts it",               \
      "the majority")                                                                              \
    X(RELEASE_NS, TIME, 3 * NS_PER_MS,                                                             \
      "Data that leaves or arrives this soon after an ACK was released by it",                     \
      "a wake-up on each side, and far less than a delayed ACK (40 ms)")                           \
    X(HOLD_FLOOR_NS, TIME, 200 * NS_PER_US, "Shortest wait in our send queue that is a hold",      \
      "below it is the cost of the calls themselves")                                              \
    X(ACK_DELAYED_NS, TIME, 20 * NS_PER_MS, "Delay from which on an acknowledgement was delayed",  \
      "half the shortest delayed ACK of Linux (40 ms)")                                            \
    X(DELAYED_ACK_MIN_NS, TIME, 38 * NS_PER_MS,                                                    \
      "Shortest think time that a delayed ACK behind the server may explain",                      \
      "TCP_DELACK_MIN is 40 ms on Linux, and a timer may fire early by a tick")                    \
    X(DELAYED_ACK_MAX_NS, TIME, 50 * NS_PER_MS,                                                    \
      "Longest think time that a delayed ACK behind the server may explain",                       \
      "40 ms, a tick and a round trip between servers")                                            \
    X(UNACKNOWLEDGED_NS, TIME, 60 * NS_PER_MS,                                                     \
      "Lateness of an answer up to which its request may be unacknowledged",                       \
      "Linux acknowledges after 40 ms, and a busy host some ticks later")                          \
    X(LOST_SHARE, SHARE, 0.4, "Share of rounds from which on late answers are no lost packets",    \
      "a path that loses so much fails otherwise, too")                                            \
    X(LINK_TIMES, TIMES, 3, "A gap is the link's up to this many times a full segment's time",     \
      "a few segments may share the link with others")                                             \
    X(SLOW_LINK_BYTE_NS, TIME, 20 * NS_PER_US,                                                     \
      "Time of a byte up to which a late first segment may be a slow link's",                      \
      "50 kB/s; slower links are known to their users")                                            \
    X(INITIAL_WINDOW, COUNT, 9, "Segments after which a pause may be the congestion window's",     \
      "ten are sent at first (RFC 6928), and a short header may be one of them")                   \
    X(BUFFER_WAITS, COUNT, 3, "Waits in one answer that point to a send buffer",                   \
      "Nagle's algorithm holds the rest of an answer once")                                        \
    X(JITTER_SHARE, SHARE, 0.1, "path-jitter: share of the handshakes that are late, too",         \
      "then a fifth of the rounds may be, which meet the path twice as often")                     \
    X(PROCESSOR_TURN_NS, TIME, 10 * NS_PER_MS,                                                     \
      "Time that a process waits for each other one on its processor",                             \
      "a few ticks of the scheduler at HZ 250")                                                    \
    X(CORK_MIN_NS, TIME, 190 * NS_PER_MS, "Shortest wait that TCP_CORK may explain",               \
      "it holds data for one retransmission timeout, at least 200 ms on Linux, which may fire "    \
      "early by a tick")                                                                           \
    X(CORK_MAX_NS, TIME, 330 * NS_PER_MS, "Longest wait that TCP_CORK may explain",                \
      "that timeout with a round trip of 100 ms and a late timer")                                 \
    X(CORK_SHARE, SHARE, 0.9, "Share of rounds that wait if a cork is to blame",                   \
      "a cork holds every answer; a server that is slow now and then does not")                    \
    X(WINDOW_CLOSED_SHARE, SHARE, 0.5,                                                             \
      "zero-window instead of receive-window-limited: share of the affected rounds that saw it "   \
      "closed",                                                                                    \
      "the window is not looked at all the time, so not every closing is seen")                    \
    X(RTO_MIN_NS, TIME, 190 * NS_PER_MS, "Shortest retransmission timeout",                        \
      "TCP_RTO_MIN is 200 ms on Linux, and a timer may fire early by a tick")                      \
    X(RESOLVE_SLOW_NS, TIME, 500 * NS_PER_MS, "slow-resolve",                                      \
      "a resolver nearby answers in milliseconds, and a lost query costs 5 s")                     \
    X(RTT_HIGH_NS, TIME, 100 * NS_PER_MS, "high-rtt", "longer than across a continent")            \
    X(PATH_MTU_SMALL, COUNT, 536, "path-mtu: the MSS that is tried where nothing came",            \
      "every IPv4 host takes packets of 576 bytes (RFC 9293 section 3.7.1)")                       \
    X(PATH_MTU_PATIENCE_NS, TIME, 700 * NS_PER_MS,                                                 \
      "path-mtu: least time that a full segment has to get through",                               \
      "the kernel sends it again after 200 and 600 ms")                                            \
    X(PATH_MTU_TIMES, TIMES, 3, "path-mtu: and this many times what small segments needed",        \
      "a service that is slow by itself is slow with both")                                        \
    X(FALLBACK_NS, TIME, NS_PER_MS, "address-fallback is a warning",                               \
      "less is a race that the first address just lost")                                           \
    X(REGRESSION_SHARE, SHARE, 0.05, "regression: least shift, of the earlier median",             \
      "two runs of an unchanged service may differ by less")                                       \
    X(REGRESSION_FLOOR_NS, TIME, 50 * NS_PER_US, "regression: least shift",                        \
      "the same, for services that answer within microseconds")                                    \
    X(CONTROL_ASSUMED, COUNT, 40,                                                                  \
      "Handshakes that a path is assumed to have where too few were timed",                        \
      "as many as there are rounds by default")                                                    \
    X(PACKETS_FEW, COUNT, 4,                                                                       \
      "Packets of a round up to which its lateness is compared with that of the handshakes",       \
      "the latest of many is later than the latest of two on any path that varies")                \
    X(ARM_BLOCKS, ROUNDS, 4, "Turns that each arm has",                                            \
      "the order rotates, so that a slower machine affects all arms")                              \
    X(ARM_BLOCKS_SLOW, ROUNDS, 2, "The same where rounds are slow",                                \
      "every turn costs a connection and its warm-up")                                             \
    X(SLOW_ROUND_NS, TIME, 10 * NS_PER_MS,                                                         \
      "Round from which on there are fewer turns and less warm-up",                                \
      "five rounds of warm-up for every turn would take longer than what is measured")             \
    X(ARM_BUDGET_NS, TIME, NS_PER_SEC, "Time for the rounds of each arm but the baseline",         \
      "a user waits for them")                                                                     \
    X(ARM_ROUNDS_MIN, ROUNDS, 10, "Fewest rounds of an arm", "the rank test needs as many")        \
    X(FRESH_ARM_ROUNDS, ROUNDS, 20,                                                                \
      "Rounds of the baseline on a persistent connection, by --new-connection",                    \
      "the user asked for others; these only show whether the service would stall")                \
    X(WARMUP_SLOW, ROUNDS, 3, "Rounds of warm-up where rounds are slow",                           \
      "the first exchange never stalls, and a few are enough when each is slow")                   \
    X(FIRST_LOOK, ROUNDS, 4, "Rounds of the baseline after which the pace is known",               \
      "a median of fewer says little, and the other turns are planned by it")                      \
    X(QUESTION_NS, TIME, 75 * NS_PER_MS,                                                           \
      "Round from which on an arm runs only where it would decide",                                \
      "all arms in turns would take many seconds")                                                 \
    X(QUESTION_ROUNDS, ROUNDS, 14, "Rounds of the baseline before the first of these",             \
      "three of them that are late are a share that counts")                                       \
    X(ARM_TIMES, ROUNDS, 2, "Times that an arm runs for an open question",                         \
      "what twice as many rounds leave open, more would, too")

/* Of connect-timeout on live targets. */
#define REACH_THRESHOLDS(X)                                                                        \
    X(REACH_SLOW_NS, TIME, 100 * NS_PER_MS,                                                        \
      "slow-path: the quickest handshake takes at least this", "longer than across a continent")   \
    X(REACH_LATE_NS, TIME, 100 * NS_PER_MS,                                                        \
      "answered-late: the slowest handshake takes this much longer than the quickest",             \
      "more than jitter, and less than the second after which a SYN is repeated")                  \
    X(REACH_LATE_TIMES, TIMES, 3, "answered-late: and this many times as long",                    \
      "a long path also varies more")                                                              \
    X(REACH_LATE_TRIES, COUNT, 2,                                                                  \
      "answered-late although SYNs were repeated in all tries: at least this many",                \
      "one answer may be lost by chance, and the next one echoes the first SYN, too")

/* Of accept-backlog on live listeners. */
#define LISTENER_THRESHOLDS(X)                                                                     \
    X(LISTENER_PATIENCE_NS, TIME, NS_PER_SEC,                                                      \
      "A queue that drains sooner is too short for a burst; one that does not has a slow "         \
      "application",                                                                               \
      "a client whose SYN was dropped tries again after a second anyway")                          \
    X(LISTENER_GAP_NS, TIME, 500 * NS_PER_MS,                                                      \
      "Samples farther apart say nothing of what the queue did between them",                      \
      "it may have drained and filled again, as it does when dropped SYNs are repeated")           \
    X(LISTENER_WAIT_NS, TIME, 200 * NS_PER_MS,                                                     \
      "slow-accept: connections wait this long on average", "about as long as a person notices")   \
    X(LISTENER_AGREE_SHARE, SHARE, 0.8,                                                            \
      "Share of the drops that must point to one cause, burst or slow application",                \
      "a few may belong to the other")                                                             \
    X(LISTENER_FILLED_SHARE, SHARE, 0.25, "Share of its limit above which a queue is filling",     \
      "an application that keeps up drains it further")                                         \
    X(LISTENER_LOOKS_LEAST, COUNT, 5, "Looks at the processes that a cause needs",                 \
      "one may meet a process in an odd moment")

/* Of the lab's wire. */
#define EXCHANGE_THRESHOLDS(X)                                                                     \
    X(DUPLICATE_ACKS, COUNT, 3, "Duplicate ACKs that ask for a fast retransmit", "RFC 5681")

/* Of doctor. */
#define MACHINE_THRESHOLDS(X)                                                                      \
    X(RETRANSMIT_SHARE, SHARE, 0.01, "Share of segments that were sent again",                     \
      "a healthy path loses far fewer")                                                            \
    X(RETRANSMIT_SEGMENTS, COUNT, 10000, "Of more segments than this",                             \
      "a share of fewer says little")

#define THRESHOLD_TYPE_TIME   int64_t
#define THRESHOLD_TYPE_SHARE  double
#define THRESHOLD_TYPE_TIMES  int64_t
#define THRESHOLD_TYPE_COUNT  size_t
#define THRESHOLD_TYPE_ROUNDS int64_t
#define THRESHOLD_TYPE_P      double

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
