/* What a burst has shown, and what that amounts to. */
#ifndef SCENARIO_SUT_BURST_VERDICT_H
#define SCENARIO_SUT_BURST_VERDICT_H

#include "scenario/programs/sut.h"
#include "scenario/programs/sut_burst_crowd.h"

/* Counters of the server's host. */
enum sut_burst_counter {
    SUT_BURST_OVERFLOWS,
    SUT_BURST_DROPS,
    SUT_BURST_HALF_OPEN_DROPS,
    SUT_BURST_COOKIES,
    SUT_BURST_OPENED,
    SUT_BURST_COUNTERS
};

/* The listener that the clients reach: several share a port by SO_REUSEPORT. */
struct sut_burst_look {
    int64_t listeners, queue, limit;
    int64_t half_open; /* on the port */
};

struct sut_burst {
    struct sut sut;
    int64_t rise[SUT_BURST_COUNTERS]; /* of the counters during the burst */
    struct sut_burst_look look;       /* the last one of the burst */
    int64_t queue_max, somaxconn;
    struct crowd_state state;
    struct crowd_result result;
    int64_t drained_ns; /* from the last connect that succeeded until the queue was empty */
    bool drained;
    /* With the server stopped: */
    int64_t holds; /* RESULT_UNKNOWN: could not be found */
    bool drained_again;
    const char *why_unknown;
};

void sut_burst_judge(struct testbed *bed, const struct sut_burst *burst);

#endif
