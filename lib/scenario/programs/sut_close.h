/* How connections ended, for the scenarios of linger-test that run a program of the user's. */
#ifndef SCENARIO_SUT_CLOSE_H
#define SCENARIO_SUT_CLOSE_H

#include "scenario/programs/sut.h"

/* Why a host's kernel sent RST, by its own counters. */
enum reset_cause {
    RESET_NONE,
    RESET_UNREAD,      /* close with received bytes unread */
    RESET_LINGER_ZERO, /* close with SO_LINGER on and time 0 */
    RESET_AFTER_CLOSE, /* a plain close, and more data came */
    RESET_OTHER,
};

/* "It closed with bytes unread": a clause for a report. */
const char *reset_cause_text(enum reset_cause cause);

/* How the program's host ended connections. */
struct sut_ending {
    enum reset_cause cause;
    bool peer_was_done; /* the peer's FIN had come before the RST */
};

/* Ends the run, and observes how the connection ended, and by which RST of the program's host.
 * False: the run failed. */
bool sut_close_finish(struct testbed *bed, struct sut *sut, struct sut_ending *out);

/* Whether everything that the client sent was acknowledged, of the connection that the run is
 * about, when it is finished. */
bool sut_close_all_acknowledged(const struct testbed *bed);

#endif
