/* After how long an idle connection is dropped, found by trying: several connections at once are
 * left idle, each for another time, and then used. The times double up to a bound; where a
 * connection was gone only when it was used, the next ones lie evenly between the longest that was
 * kept and the shortest that was not. A connection that was seen to go says when by itself. Pure.
 */
#ifndef DIAGNOSIS_IDLE_SEARCH_H
#define DIAGNOSIS_IDLE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDLE_AT_ONCE   8
#define IDLE_MIN_NS    INT64_C(250000000) /* the shortest that is tried */
#define IDLE_WAVES_MAX 4

/* How a connection went. */
enum idle_end {
    IDLE_KEPT,
    IDLE_FIN,        /* while it was idle */
    IDLE_RST,        /* while it was idle */
    IDLE_RST_ON_USE, /* the request was answered by a reset */
    IDLE_SILENCE,    /* the request was not even acknowledged */
};
const char *idle_end_name(enum idle_end end); /* "fin", "rst", ...; NULL for IDLE_KEPT */

struct idle_search {
    int64_t max_ns;     /* the longest that is tried */
    int64_t kept_ns;    /* the longest after which a connection still answered; 0: none */
    int64_t dropped_ns; /* the shortest after which one was gone; INT64_MAX: none */
    enum idle_end end;  /* of that one */
    bool varies;        /* one was kept for longer than another */
    int waves;
};

void idle_search_begin(struct idle_search *search, int64_t max_ns);
/* The idle times of the next connections, the shortest first. 0: there is nothing left to try. */
size_t idle_search_next(struct idle_search *search, int64_t times_ns[IDLE_AT_ONCE]);
/* What became of a connection that was idle for that long. */
void idle_search_learn(struct idle_search *search, int64_t idle_ns, enum idle_end end);
/* Whether a connection that is to be idle for that long can still tell anything. */
bool idle_search_wants(const struct idle_search *search, int64_t idle_ns);

#endif
