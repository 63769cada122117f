/* The clients of a burst: any number of them in one agent, which does nothing but connect them by
 * epoll. Each sends at once: its request, or nothing and a FIN; it closes when the server has. */
#ifndef SCENARIO_SUT_BURST_CROWD_H
#define SCENARIO_SUT_BURST_CROWD_H

#include "scenario/programs/stub_peer.h"

#define CROWD_MAX 9000 /* clients */

struct crowd_order {
    int64_t clients;
    int64_t per_second;                /* 0: all at once */
    const struct stub_peer_plan *plan; /* what they ask; NULL: nothing */
    int64_t slice_ns;                  /* how long an act goes on, at most */
    uint16_t port;
    bool one_by_one; /* each when the one before is connected; ends when a SYN had to be repeated */
};

/* How far they have come. */
struct crowd_state {
    int64_t begun, connected, failed; /* connects that were called, succeeded, failed */
    int64_t repeated;                 /* SYN retransmissions so far, of all that are decided */
    int64_t open;                     /* connected, and not closed by the server yet */
    int64_t unheard;                  /* of these: whose first segment it has not acknowledged */
    int64_t last_begun_ns;            /* since the first one */
    bool full;                        /* one by one: the last one had to send its SYN again */
};

/* Connects by how often they had to send their SYN again, and how long they took. */
#define CROWD_CLASSES 8 /* 0, 1, 2, … retransmissions; the last one: that many or more */
struct crowd_class {
    int64_t count, first_ns, median_ns, last_ns;
};
struct crowd_result {
    struct crowd_class connected[CROWD_CLASSES];
    struct crowd_class refused, timed_out, failed; /* failed: in another way */
    int64_t failed_code;                           /* an errno of the latter */
    int64_t undecided, undecided_repeated;         /* gave up; of these had sent their SYN again */
    int64_t reset;                                 /* by the server, after they were connected */
    int64_t resent;  /* connected, but what they sent first had to be sent again */
    int64_t unheard; /* and that was never acknowledged: the server has no such connection */
};

/* Acts, for STUB_PEER_ACT(…, order): `begin` prepares a crowd, `tend` goes on with it, for slice_ns
 * or until nothing is left to do (reply: struct crowd_state), `end` gives up what is not decided
 * and closes all (reply: struct crowd_result). -EMFILE from begin: this machine does not allow so
 * many descriptors. */
AGENT_CALL(crowd_begin);
AGENT_CALL(crowd_tend);
AGENT_CALL(crowd_end);

#endif
