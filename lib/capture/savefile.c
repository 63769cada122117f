#include "capture/savefile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *shown_path(const char *path)
{
    return strcmp(path, "-") ? path : "standard input";
}

int savefile_open(struct savefile *out, const char *path, size_t buffer_bytes, struct error *error)
{
    *out = (struct savefile){.path = path};
    int rc = stream_open(&out->stream, path, buffer_bytes, error);

    if (rc < 0)
        return rc;
    if (!stream_need(&out->stream, 4))
        rc = out->stream.failure.code
                 ? error_set(error, out->stream.failure.code, "%s", out->stream.failure.text)
                 : error_set(error, EBADMSG,
                             stream_left(&out->stream) ? "it is cut off in its header"
                                                       : "it is empty");
    else if (pcap_is_magic(out->stream.at))
        rc = pcap_begin(out, error);
    else if (pcapng_is_magic(out->stream.at))
        rc = pcapng_begin(out, error);
    else
        rc = error_set(error, EBADMSG, "it is no capture file: it is neither pcap nor pcapng");
    if (rc < 0) {
        error_add(error, "cannot read %s", shown_path(path));
        savefile_close(out);
    }
    return rc;
}

void savefile_close(struct savefile *file)
{
    stream_close(&file->stream);
    free(file->interfaces);
    file->interfaces = NULL;
}
