/* What ran out where nobody could say so.
 *
 * A report is made of thousands of small pieces, and many of them may be missing. Where one is
 * missing since this process had no memory or descriptor for it, nothing of the report is sure any
 * more: no finding may then be a finding that got lost. Buffers, arenas and the computations of the
 * diagnosis note that here, and whoever ends the report asks. For the whole process, and for all of
 * its threads; nothing forgets it. */
#ifndef BASE_SHORTAGE_H
#define BASE_SHORTAGE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether an errno says that this machine had no memory or descriptor. */
bool shortage_is(int code);
/* Keeps the first errno that is one; others are none. */
void shortage_note(int code);
/* The errno, or 0. */
int shortage(void);

/* calloc(3) for a computation that goes on without: a failure is noted. */
void *shortage_calloc(size_t count, size_t element_bytes);

#endif
