/* Why a connection brought no byte of an answer, by what new connections to the same address did:
 * one on which nothing is said, and one that begins with a ClientHello of TLS. Pure. */
#ifndef DIAGNOSIS_NO_ANSWER_H
#define DIAGNOSIS_NO_ANSWER_H

#include "base/arena.h"
#include "diagnosis/failure.h"
#include <stdbool.h>
#include <stdint.h>

#define NO_ANSWER_BACKEND                                                                          \
    "something accepted the connection and has no backend (docker-proxy, a balancer, ssh -L), or " \
    "turns this client away"

struct no_answer {
    bool ended;      /* the peer ended the connection, by FIN or RST; else it was silent */
    bool reset;      /* by RST */
    bool asked;      /* something had been sent on it */
    int64_t life_ns; /* from connecting to its end */
    /* Of the one on which nothing was said. */
    bool waited, unasked_ended, unasked_reset;
    int64_t unasked_ns; /* after so long; or that it stayed open for so long */
    bool speaks_tls;    /* the ClientHello was answered in TLS */
};

/* How long a silent connection is looked at, so that its end is not just a limit of idleness. */
int64_t no_answer_patience_ns(const struct no_answer *facts);
/* The cause, and `message` with what was seen; from the arena. */
enum failure_cause no_answer_cause(struct arena *arena, const struct no_answer *facts,
                                   const char **message);

#endif
