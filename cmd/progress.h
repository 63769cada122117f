/* A line on standard error that says how far a long run is: "1234 of 10000 done, 17 failed, 64 in
 * flight, 3 s left".
 *
 * Only where standard error is a terminal. The line is rewritten in place at most ten times a
 * second, never passes the terminal's width, and is gone at the end. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool active, drawn;
    int64_t started_ns, drawn_ns; /* CLOCK_MONOTONIC */
};

/* `wanted`: false for --quiet. */
struct progress progress_begin(bool wanted);
void progress_update(struct progress *progress, size_t done, size_t total, size_t failed,
                     size_t in_flight);
/* Whether progress_text() would draw now, so that nobody makes a text in vain. */
bool progress_due(const struct progress *progress);
/* A line of somebody else's making, without a newline or escape sequences. */
void progress_text(struct progress *progress, const char *text);
/* Clears the line; later updates do nothing. */
void progress_end(struct progress *progress);

#endif
