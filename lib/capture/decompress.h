/* Compressed captures: gzip, zstd and lz4 by their libraries, each of which may be missing.
 *
 * Members and frames that follow each other are one stream. Memory is bounded by the format,
 * whatever the data claim: 32 KiB for gzip, 8 MiB for lz4, 128 MiB for zstd (its own limit; a frame
 * that asks for more is refused). Internal to this room. */
#ifndef CAPTURE_DECOMPRESS_H
#define CAPTURE_DECOMPRESS_H

#include "netkit/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* So many bytes of a file tell what it is compressed by. */
#define DECOMPRESS_START 8
/* So many of them may have been read before a decompressor takes over. */
#define DECOMPRESS_TAKE_MAX (64 * 1024)

struct decompressor;

/* Takes over a file of which `start` has been read. *out is NULL where that is not compressed.
 * -EOPNOTSUPP: by what netkit cannot read, or was built without; the text has the remedy. */
int decompressor_open(struct decompressor **out, const void *start, size_t len,
                      struct error *error);
/* The next bytes of the file `fd`, decompressed: how many, 0 at the end, or a negative errno:
 * -EBADMSG (damaged or cut off), or what read() had. `raw` counts what was read. */
ssize_t decompressor_read(struct decompressor *decompressor, int fd, void *out, size_t room,
                          uint64_t *raw, struct error *error);
void decompressor_free(struct decompressor *decompressor); /* NULL is allowed */

#endif
