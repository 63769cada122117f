/* A burst of connections to a server of the user's: what becomes of each connect, and what the
 * server's accept queue holds. `own` of the request is a struct sut_request. */
#ifndef SCENARIO_BURST_H
#define SCENARIO_BURST_H

#include "scenario/programs/sut.h"

extern const struct scenario_set sut_burst_servers;

/* ---- The clients (sut_burst_crowd.c): any number of them in one agent, which does nothing but
 * connect them by epoll. What each has to say it says at once: its request, or nothing and a FIN;
 * it closes when the server has. */

#define CROWD_MAX 9000 /* clients */

struct crowd_order {
    int64_t clients;
    int64_t per_second;                /* 0: all at once */
    const struct stub_peer_plan *plan; /* what they ask; NULL: nothing */
    int64_t slice_ns;                  /* how long an act goes on, at most */
    uint16_t port;
    bool one_by_one; /* each when the one before is connected; ends when a SYN had to be repeated */
};

/* Where they are. */
struct crowd_state {
    int64_t begun, connected, failed; /* connects that were called, succeeded, failed */
    int64_t repeated;                 /* SYN retransmissions so far, of all that are decided */
    int64_t open;                     /* connected, and not closed by the server yet */
    int64_t unheard;                  /* of these: whose first words it has not acknowledged */
    int64_t last_begun_ns;            /* since the first one */
    bool full;                        /* one by one: the last one had to send its SYN again */
};

/* How many connects had to send their SYN so often, and how long they took. */
#define CROWD_CLASSES 8 /* 0, 1, 2, … retransmissions; the last one: so many or more */
struct crowd_class {
    int64_t count, first_ns, median_ns, last_ns;
};
struct crowd_result {
    struct crowd_class connected[CROWD_CLASSES];
    struct crowd_class refused, timed_out, failed; /* failed: in another way */
    int64_t failed_code;                           /* an errno of the latter */
    int64_t undecided, undecided_repeated;         /* gave up; of these had sent their SYN again */
    int64_t reset;                                 /* by the server, after they were connected */
    int64_t spoke_again; /* connected, but what they said then had to be sent again */
    int64_t unheard;     /* … and was never acknowledged: the server has no such connection */
};

/* Acts, for STUB_PEER_ACT(…, order): `begin` prepares a crowd, `tend` goes on with it, for slice_ns
 * or until nothing is left to do (reply: struct crowd_state), `end` gives up what is not decided
 * and closes all (reply: struct crowd_result). -EMFILE from begin: this machine does not allow so
 * many descriptors. */
int64_t crowd_begin(struct agent_self *self, const struct act *act, struct act_reply *reply);
int64_t crowd_tend(struct agent_self *self, const struct act *act, struct act_reply *reply);
int64_t crowd_end(struct agent_self *self, const struct act *act, struct act_reply *reply);

/* ---- What the run leaves to the verdict (burst.c, sut_burst_verdict.c) */

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

struct sut_burst_counts {
    int64_t of[SUT_BURST_COUNTERS];
};

struct sut_burst_facts {
    struct sut subject;
    struct sut_burst_counts before, after;
    struct sut_burst_look look; /* the last one of the burst */
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

/* During the burst. */
static inline int64_t sut_burst_rise(const struct sut_burst_facts *facts,
                                     enum sut_burst_counter counter)
{
    return facts->after.of[counter] - facts->before.of[counter];
}

void sut_burst_check(struct testbed *bed);

#endif
