/* Whether large segments vanish on the path while small ones pass: a path MTU black hole.
 *
 * A conversation that never came to its end, on a connection that stands, looks the same from here
 * whether the server is silent, or its answer (or our request) is in segments that are too large
 * for a hop. So it is had again, with small segments and with full ones in turn. A server that
 * hangs by chance, or one of several behind an address that always hangs, cannot follow the order:
 * only the sizes explain that every small one completes and no full one does.
 *
 * Pure. Sizes are of TCP's MSS as an MTU gives it: with the options, without the headers. */
#ifndef DIAGNOSIS_PATH_MTU_H
#define DIAGNOSIS_PATH_MTU_H

#include "base/arena.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct path_mtu_evidence {
    /* Of the connection on which the conversation failed. */
    uint32_t full_mss;
    int64_t sent_bytes, acked_bytes, received_bytes;
    /* Of the trials. */
    size_t step;        /* how many are over; each came out as the black hole wants it */
    int64_t slowest_ns; /* of those that completed */
    uint32_t passed_mss, stuck_mss; /* the largest that completed; the smallest that did not */
};

/* Whether trials could tell anything: smaller segments must be possible. */
bool path_mtu_worth_trying(const struct path_mtu_evidence *evidence);
/* The MSS of the next trial, and how long to wait for it (INT64_MAX: as long as there is time). 0:
 * there is none, because the question is decided. */
uint32_t path_mtu_next(const struct path_mtu_evidence *evidence, int64_t *patience_ns);
/* A trial is over: completed after took_ns, or not within its patience. Returns false when that
 * speaks against a black hole: then there is nothing more to try, and nothing to say. */
bool path_mtu_tried(struct path_mtu_evidence *evidence, bool completed, int64_t took_ns);
/* Whether enough is known. */
bool path_mtu_found(const struct path_mtu_evidence *evidence);
/* Of a black hole: whether it is on the way to the server; else it is on the way back. */
bool path_mtu_to_server(const struct path_mtu_evidence *evidence);
/* A sentence or two; from the arena. */
const char *path_mtu_describe(struct arena *arena, const struct path_mtu_evidence *evidence);

#endif
