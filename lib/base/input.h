/* Files that the user names: regular ones, devices, pipes and FIFOs.
 *
 * They are read whole, up to a cap, so that an endless one (/dev/zero, a sparse file) ends in an
 * error. Opening a FIFO waits for nobody; what is no regular file has to end within one limit for the
 * whole process, which the command line sets. "-" is standard input. Errors begin with the
 * option, "--send-file FILE: …". Not for use by two threads at once. */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include "base/buf.h"
#include "base/wait.h"
#include "netkit/error.h"

/* Until when input may wait (CLOCK_MONOTONIC), for ever unless it is set, and what stops it. */
void input_wait_until(int64_t deadline_ns);
void input_stop_at(const volatile sig_atomic_t *stop);

/* Rests for a moment within these limits: 0, -ETIMEDOUT or -EINTR. */
int input_rest(void);

/* The contents, at most `max` bytes and at least one, into a buffer that is empty. */
int input_read(struct buf *out, const char *option, const char *path, size_t max,
               struct error *error);
/* The same of what has to be text: without a UTF-8 byte order mark at its beginning, and a zero
 * byte is an error that names the line. */
int input_read_text(struct buf *out, const char *option, const char *path, size_t max,
                    struct error *error);
/* The same of an open descriptor, which may be a file that could not be opened again. */
int input_read_text_fd(struct buf *out, const char *option, int fd, size_t max,
                       struct error *error);

#endif
