#include "option_file.h"

#include <errno.h>
#include <string.h>

int option_file_read(const char *option, const char *path, size_t max, struct buf *out,
                     struct error *error)
{
    if (!strcmp(path, "-"))
        path = "/dev/stdin";
    buf_init_cap(out, max);
    int rc = buf_read_file(out, path);

    if (rc == -EFBIG)
        return error_set(error, EFBIG, "--%s %s: more than %zu bytes", option, path, max);
    if (rc)
        return error_sys(error, -rc, "--%s %s", option, path);
    if (!out->len_bytes)
        return error_set(error, EINVAL, "--%s %s: the file is empty", option, path);
    return 0;
}
