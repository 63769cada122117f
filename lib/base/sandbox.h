/* A filter of system calls (seccomp(2)) around what reads bytes of strangers.
 *
 * Whoever takes over a process by a packet gets its rights. Behind the filter these are: to go on
 * with what is open, and little else. A call that is not needed fails with EPERM and does nothing;
 * the process lives on, and so does what its libraries try in vain. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "netkit/error.h"

#include <stdbool.h>

enum sandbox_kind {
    /* Reads, writes and waits on the descriptors that it has. Opens nothing, runs no new code. */
    SANDBOX_WIRE,
    /* Makes connections and looks names up, too: sockets, threads, files for reading. Starts no
     * program, writes to no file that is not open, looks into no other process. */
    SANDBOX_PROBE,
    /* The same, but it puts reports in their place at its end: creates, renames, removes files. */
    SANDBOX_PROBE_WRITES,
};

/* From now on, and for every thread that is started later; cannot be undone. Allocates nothing.
 * Returns 0 also where the build or the kernel has no filters. */
int sandbox_enter(enum sandbox_kind kind, struct error *error);

/* Whether this build has filters: they are not made for every processor. */
bool sandbox_is_built(void);

#endif
