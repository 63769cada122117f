/* The bytes of a file in order, as a window that moves: decompressed where it is compressed.
 *
 *     while (stream_need(&stream, 16)) { … stream.at[0] … stream_advance(&stream, 16); }
 *
 * Read in large pieces. A file is not mapped: one that somebody shortens in the meantime would be a
 * SIGBUS. Memory is one buffer, of `buffer_bytes` until more is needed at once, and what a
 * decompressor has. Internal to this room. */
#ifndef CAPTURE_STREAM_H
#define CAPTURE_STREAM_H

#include "capture/decompress.h"
#include <stdio.h>

/* Never more at once; records and their headers are smaller. */
#define STREAM_NEED_MAX (512 * 1024)

struct stream {
    const uint8_t *at, *end; /* what is there now */
    uint8_t *buffer;
    size_t buffer_bytes;
    uint64_t end_offset; /* of `end`, in the data (not in a compressed file) */
    uint64_t raw;        /* bytes of the file that were read */
    uint64_t raw_total;  /* that it has; 0: not a regular file */
    int fd;
    bool ended;
    bool is_regular;
    struct decompressor *decompressor; /* NULL: it is not compressed */
    struct error failure;              /* set: it ended by this */
};

/* Opens a file, "-" for standard input; the text of an error names it. */
int stream_open(struct stream *out, const char *path, size_t buffer_bytes, struct error *error);
void stream_close(struct stream *stream);

bool stream_refill(struct stream *stream, size_t len);

/* Whether `len` bytes (≤ STREAM_NEED_MAX) are there, at `at`; false at the end or a failure. */
static inline bool stream_need(struct stream *stream, size_t len)
{
    return (size_t)(stream->end - stream->at) >= len || stream_refill(stream, len);
}

static inline size_t stream_left(const struct stream *stream)
{
    return (size_t)(stream->end - stream->at);
}

static inline uint64_t stream_offset(const struct stream *stream)
{
    return stream->end_offset - stream_left(stream);
}

static inline void stream_advance(struct stream *stream, size_t len)
{
    stream->at += len;
}

/* Passes over bytes, any number; false: there were fewer. */
bool stream_skip(struct stream *stream, uint64_t len);

#endif
