#include "capture/files.h"

#include <errno.h>
#include <stdlib.h>

int capture_open_files(struct capture **out, const char *const *paths, size_t count,
                       struct error *error)
{
    if (!count || count > UINT32_MAX)
        return error_set(error, EINVAL, "no capture file is named");
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture)
        return error_sys(error, ENOMEM, "cannot read %s", paths[0]);
    int rc = files_open(&capture->files, paths, count, error);
    if (rc < 0) {
        free(capture);
        return rc;
    }
    capture->is_merged = count > 1;
    capture->link = files_link(capture->files);
    *out = capture;
    return 0;
}

int capture_open_file(struct capture **out, const char *path, struct error *error)
{
    return capture_open_files(out, &path, 1, error);
}
