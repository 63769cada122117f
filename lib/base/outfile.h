/* Files that are written.
 *
 * A report is seen when it is whole: it goes into a file without a name beside its place, and that
 * takes the place when all is written. An existing file stays what it is, mode, owner, links and
 * access lists included: where a new one could not have all of them, the old one is overwritten in
 * place, once the report is complete and has room. What is no regular file (a device, a pipe, a
 * FIFO) gets each piece as it comes. Opening a FIFO that nobody reads waits for a reader, as long
 * as input may wait (input.h). */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include "base/buf.h"
#include "netkit/error.h"
#include <stdbool.h>
#include <sys/stat.h>

struct outfile {
    const char *path;
    int fd;               /* what is written goes there; -1: not open */
    int target;           /* the file that is overwritten in place; -1: none */
    bool direct;          /* `fd` is the thing itself */
    struct buf temporary; /* the name, where the file system knows none without */
};

/* Whose new files are from here on, for a process that will become that user before it commits. */
void outfile_owner(uid_t uid, gid_t gid);

/* Opens it, and changes nothing that others see. `mode` is what a new file gets, less the umask. */
int outfile_open(struct outfile *file, const char *path, mode_t mode, struct error *error);
int outfile_write(struct outfile *file, const struct buf *text, struct error *error);
/* Puts it in its place, or leaves everything as it was before; both close it. */
int outfile_commit(struct outfile *file, struct error *error);
void outfile_abandon(struct outfile *file);

/* A file that grows while others look on, such as a capture. What was in it stays until
 * outfile_begin(). Returns the descriptor, or a negative errno; `created` (may be NULL): it is new.
 */
int outfile_open_growing(const char *path, mode_t mode, bool *created, struct error *error);
/* Call before the first write: what was there before goes. */
int outfile_begin(int fd);

/* Whether two names mean one file, whose contents would be mixed; either need not exist. Devices
 * may be shared. */
bool outfile_same(const char *path, const char *other);
/* 0, or why the file could not be written; nothing is opened that others would notice. */
int outfile_check(const char *path);

#endif
