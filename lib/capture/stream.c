#include "capture/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t read_more(struct stream *stream, uint8_t *out, size_t room)
{
    if (stream->decompressor)
        return decompressor_read(stream->decompressor, stream->fd, out, room, &stream->raw,
                                 &stream->failure);
    ssize_t got = read(stream->fd, out, room);
    if (got < 0)
        return error_sys(&stream->failure, errno, "cannot read");
    stream->raw += (uint64_t)got;
    return got;
}

static bool make_room(struct stream *stream, size_t len)
{
    size_t left = stream_left(stream);

    if (len > stream->buffer_bytes) {
        uint8_t *larger = malloc(len);
        if (!larger) {
            error_sys(&stream->failure, ENOMEM, "cannot read %zu bytes at once", len);
            return false;
        }
        memcpy(larger, stream->at, left);
        free(stream->buffer);
        stream->buffer = larger;
        stream->buffer_bytes = len;
    } else {
        memmove(stream->buffer, stream->at, left);
    }
    stream->at = stream->buffer;
    stream->end = stream->buffer + left;
    return true;
}

bool stream_refill(struct stream *stream, size_t len)
{
    if (stream->ended || !make_room(stream, len))
        return false;
    while (stream_left(stream) < len) {
        size_t left = stream_left(stream);
        ssize_t got = read_more(stream, stream->buffer + left, stream->buffer_bytes - left);
        if (got <= 0) {
            stream->ended = true;
            return false;
        }
        stream->end += got;
        stream->end_offset += (uint64_t)got;
    }
    return true;
}

bool stream_skip(struct stream *stream, uint64_t len)
{
    while (len > stream_left(stream)) {
        len -= stream_left(stream);
        stream->at = stream->end;
        if (!stream_refill(stream, 1))
            return false;
    }
    stream->at += len;
    return true;
}

static int open_fd(struct stream *out, const char *path, struct error *error)
{
    struct stat info;

    out->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (out->fd < 0 || fstat(out->fd, &info) != 0)
        return error_sys(error, errno, "cannot open %s", path);
    if (S_ISDIR(info.st_mode))
        return error_set(error, EISDIR, "%s is a directory, not a capture file", path);
    out->is_regular = S_ISREG(info.st_mode);
    out->raw_total = out->is_regular ? (uint64_t)info.st_size : 0;
    return 0;
}

/* What was read so far goes to a decompressor, if there is one for it. */
static int find_decompressor(struct stream *stream, struct error *error)
{
    stream_need(stream, DECOMPRESS_START);
    if (stream->failure.code) {
        if (error)
            *error = stream->failure;
        return -stream->failure.code;
    }
    int rc = decompressor_open(&stream->decompressor, stream->at, stream_left(stream), error);
    if (stream->decompressor) {
        stream->at = stream->end = stream->buffer;
        stream->end_offset = 0;
        stream->ended = false;
    }
    return rc;
}

int stream_open(struct stream *out, const char *path, size_t buffer_bytes, struct error *error)
{
    *out = (struct stream){.fd = -1, .buffer_bytes = DECOMPRESS_TAKE_MAX};
    int rc = open_fd(out, path, error);

    if (rc == 0) {
        out->at = out->end = out->buffer = malloc(out->buffer_bytes);
        rc = out->buffer ? find_decompressor(out, error) : error_sys(error, ENOMEM, "no memory");
        if (rc < 0)
            error_add(error, "cannot read %s", strcmp(path, "-") ? path : "standard input");
    }
    if (rc == 0 && buffer_bytes > out->buffer_bytes && !make_room(out, buffer_bytes))
        rc = error_sys(error, ENOMEM, "cannot read %s", path);
    if (rc < 0)
        stream_close(out);
    return rc;
}

void stream_close(struct stream *stream)
{
    decompressor_free(stream->decompressor);
    free(stream->buffer);
    if (stream->fd > STDIN_FILENO)
        close(stream->fd);
    *stream = (struct stream){.fd = -1};
}
