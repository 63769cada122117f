/* Where and how a capture file is damaged, in words. */
#include "capture/savefile.h"

#include <errno.h>
#include <stdarg.h>

int savefile_damaged(struct savefile *file, uint64_t offset, const char *format, ...)
{
    const struct error *stream = &file->stream.failure;
    char what[ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    /* A stream that failed explains why the record is not whole. */
    return error_set(&file->failure, stream->code ? stream->code : EBADMSG,
                     "packet %llu at byte %llu%s: %s", (unsigned long long)file->number + 1,
                     (unsigned long long)offset,
                     file->stream.decompressor ? " of the decompressed data" : "",
                     stream->code ? stream->text : what);
}
