/* A file that an option names. */
#ifndef CMD_OPTION_FILE_H
#define CMD_OPTION_FILE_H

#include "base/buf.h"
#include "netkit/error.h"

/* Its contents, at most so many bytes and never none; - is standard input. */
int option_file_read(const char *option, const char *path, size_t max, struct buf *out,
                     struct error *error);
/* The same of an open descriptor, which may be a file that could not be opened again. */
int option_fd_read(const char *option, int fd, size_t max, struct buf *out, struct error *error);

#endif
