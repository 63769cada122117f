#include "option_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int conclude(int rc, const char *option, const char *path, size_t max, const struct buf *out,
                    struct error *error)
{
    if (rc == -EFBIG)
        return error_set(error, EFBIG, "--%s %s: more than %zu bytes", option, path, max);
    if (rc)
        return error_sys(error, -rc, "--%s %s", option, path);
    if (!out->len_bytes)
        return error_set(error, EINVAL, "--%s %s: the file is empty", option, path);
    return 0;
}

int option_file_read(const char *option, const char *path, size_t max, struct buf *out,
                     struct error *error)
{
    if (!strcmp(path, "-"))
        path = "/dev/stdin";
    buf_init_cap(out, max);
    return conclude(buf_read_file(out, path), option, path, max, out, error);
}

int option_fd_read(const char *option, int fd, size_t max, struct buf *out, struct error *error)
{
    char name[16];

    snprintf(name, sizeof name, "%d", fd);
    buf_init_cap(out, max);
    return conclude(buf_read_fd(out, fd), option, name, max, out, error);
}
