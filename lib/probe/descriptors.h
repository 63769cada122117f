/* How many connections there can be at once. */
#ifndef PROBE_DESCRIPTORS_H
#define PROBE_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

/* Raises the limit of open descriptors to the hard one. Returns how many a run may use, SIZE_MAX
 * when that is not known; *limit is then left as it is. */
size_t descriptors_room(int64_t *limit);

#endif
