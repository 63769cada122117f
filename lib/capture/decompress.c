/* A file is read in pieces of 64 KiB, and each library is asked for as much as the caller has room
 * for: whatever a piece blows up to is never in memory as a whole.
 *
 * A library's step takes from `in` and adds to `out`, and says whether it stands between two
 * members. Only there may the file end. */
#include "capture/decompress.h"
#include "capture/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef NETKIT_ZLIB
#include <zlib.h>
#endif
#ifdef NETKIT_ZSTD
#include <zstd.h>
#endif
#ifdef NETKIT_LZ4
#include <lz4.h>
#include <lz4frame.h>
#endif

struct bytes_in {
    const uint8_t *at;
    size_t len;
};

struct bytes_out {
    uint8_t *at;
    size_t room;
};

/* NULL, or what is wrong. */
typedef const char *step_function(void *state, struct bytes_in *in, struct bytes_out *out,
                                  bool *between);

#ifdef NETKIT_ZLIB
static void *gzip_start(void)
{
    z_stream *z = calloc(1, sizeof *z);

    if (z && inflateInit2(z, 16 + MAX_WBITS) == Z_OK) /* with gzip's header, and no other */
        return z;
    free(z);
    return NULL;
}

static const char *gzip_step(void *state, struct bytes_in *in, struct bytes_out *out, bool *between)
{
    z_stream *z = state;

    if (*between) {
        /* What was padded, by tar or a tape, is none the worse for it. */
        for (; in->len && !*in->at; in->at++)
            in->len--;
        if (!in->len)
            return NULL;
        inflateReset(z);
    }
    z->next_in = (Bytef *)in->at;
    z->avail_in = (uInt)in->len;
    z->next_out = out->at;
    z->avail_out = (uInt)out->room;
    int rc = inflate(z, Z_NO_FLUSH);
    *in = (struct bytes_in){z->next_in, z->avail_in};
    *out = (struct bytes_out){z->next_out, z->avail_out};
    *between = rc == Z_STREAM_END;
    if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR)
        return NULL;
    return z->msg ? z->msg : rc == Z_MEM_ERROR ? "no memory" : "damaged";
}

static void gzip_stop(void *state)
{
    inflateEnd(state);
    free(state);
}

static const char *gzip_version(void)
{
    return zlibVersion();
}
#endif

#ifdef NETKIT_ZSTD
static void *zstd_start(void)
{
    return ZSTD_createDStream();
}

static const char *zstd_step(void *state, struct bytes_in *in, struct bytes_out *out, bool *between)
{
    ZSTD_inBuffer from = {in->at, in->len, 0};
    ZSTD_outBuffer to = {out->at, out->room, 0};

    if (*between && !in->len)
        return NULL;
    size_t rc = ZSTD_decompressStream(state, &to, &from);
    *in = (struct bytes_in){in->at + from.pos, in->len - from.pos};
    *out = (struct bytes_out){out->at + to.pos, out->room - to.pos};
    *between = rc == 0;
    return ZSTD_isError(rc) ? ZSTD_getErrorName(rc) : NULL;
}

static void zstd_stop(void *state)
{
    ZSTD_freeDStream(state);
}

static const char *zstd_version(void)
{
    return ZSTD_versionString();
}
#endif

#ifdef NETKIT_LZ4
static void *lz4_start(void)
{
    LZ4F_dctx *state = NULL;

    return LZ4F_isError(LZ4F_createDecompressionContext(&state, LZ4F_VERSION)) ? NULL : state;
}

static const char *lz4_step(void *state, struct bytes_in *in, struct bytes_out *out, bool *between)
{
    size_t taken = in->len, made = out->room;

    if (*between && !in->len)
        return NULL;
    size_t rc = LZ4F_decompress(state, out->at, &made, in->at, &taken, NULL);
    *in = (struct bytes_in){in->at + taken, in->len - taken};
    *out = (struct bytes_out){out->at + made, out->room - made};
    *between = rc == 0;
    return LZ4F_isError(rc) ? LZ4F_getErrorName(rc) : NULL;
}

static void lz4_stop(void *state)
{
    LZ4F_freeDecompressionContext(state);
}

static const char *lz4_version(void)
{
    static char text[24];
    unsigned number = (unsigned)LZ4_versionNumber();

    snprintf(text, sizeof text, "%u.%u.%u", number / 10000, number / 100 % 100, number % 100);
    return text;
}
#endif

/* How a format is called, known and read. Without functions it is only known. */
static const struct format {
    const char *name;
    const char *magic;
    size_t magic_len;
    const char *library; /* NULL: netkit has no use for one */
    const char *remedy;  /* where it cannot be read: what decompresses it */
    void *(*start)(void);
    step_function *step;
    void (*stop)(void *state);
    const char *(*version)(void);
} formats[] = {
    {"gzip", "\x1f\x8b", 2, "zlib", "gunzip",
#ifdef NETKIT_ZLIB
     gzip_start, gzip_step, gzip_stop, gzip_version},
#else
     NULL, NULL, NULL, NULL},
#endif
    {"zstd", "\x28\xb5\x2f\xfd", 4, "libzstd", "zstd -d",
#ifdef NETKIT_ZSTD
     zstd_start, zstd_step, zstd_stop, zstd_version},
#else
     NULL, NULL, NULL, NULL},
#endif
    {"lz4", "\x04\x22\x4d\x18", 4, "liblz4", "lz4 -d",
#ifdef NETKIT_LZ4
     lz4_start, lz4_step, lz4_stop, lz4_version},
#else
     NULL, NULL, NULL, NULL},
#endif
    {"lz4 of before 2013", "\x02\x21\x4c\x18", 4, NULL, "lz4 -d", NULL, NULL, NULL, NULL},
    {"xz", "\xfd\x37zXZ", 5, NULL, "xz -d", NULL, NULL, NULL, NULL},
    {"bzip2", "BZh", 3, NULL, "bunzip2", NULL, NULL, NULL, NULL},
};

#define FORMAT_COUNT (sizeof formats / sizeof *formats)

const char *capture_compression(size_t index, const char **library, const char **version)
{
    if (index >= FORMAT_COUNT || !formats[index].library)
        return NULL;
    *library = formats[index].library;
    *version = formats[index].version ? formats[index].version() : NULL;
    return formats[index].name;
}

struct decompressor {
    const struct format *format;
    void *state;
    bool between;      /* two members: the file may end here */
    const char *wrong; /* a library must not be asked again */
    struct bytes_in in;
    uint8_t buffer[DECOMPRESS_TAKE_MAX];
};

static const struct format *format_of(const void *start, size_t len)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (len >= formats[i].magic_len && !memcmp(start, formats[i].magic, formats[i].magic_len))
            return &formats[i];
    return NULL;
}

int decompressor_open(struct decompressor **out, const void *start, size_t len, struct error *error)
{
    const struct format *format = format_of(start, len);

    *out = NULL;
    if (!format)
        return 0;
    if (!format->start && format->library)
        return error_set(error, EOPNOTSUPP,
                         "it is compressed by %s, and netkit was built without %s; `%s` it first",
                         format->name, format->library, format->remedy);
    if (!format->start)
        return error_set(error, EOPNOTSUPP, "it is compressed by %s; `%s` it first", format->name,
                         format->remedy);
    struct decompressor *made = malloc(sizeof *made);
    void *state = made ? format->start() : NULL;
    if (!state || len > sizeof made->buffer) {
        free(made);
        return error_set(error, ENOMEM, "no memory to decompress %s", format->name);
    }
    made->format = format;
    made->state = state;
    made->between = false;
    made->wrong = NULL;
    memcpy(made->buffer, start, len);
    made->in = (struct bytes_in){made->buffer, len};
    *out = made;
    return 0;
}

/* Reads the next piece of the file; 0 at its end. */
static int refill(struct decompressor *decompressor, int fd, uint64_t *raw, struct error *error)
{
    ssize_t got = read(fd, decompressor->buffer, sizeof decompressor->buffer);

    if (got < 0)
        return error_sys(error, errno, "cannot read");
    *raw += (uint64_t)got;
    decompressor->in = (struct bytes_in){decompressor->buffer, (size_t)got};
    return got > 0;
}

ssize_t decompressor_read(struct decompressor *decompressor, int fd, void *bytes, size_t room,
                          uint64_t *raw, struct error *error)
{
    const char *name = decompressor->format->name;
    struct bytes_out out = {bytes, room};
    int rc;

    do {
        size_t left = decompressor->in.len;
        if (!decompressor->wrong)
            decompressor->wrong = decompressor->format->step(decompressor->state, &decompressor->in,
                                                             &out, &decompressor->between);
        if (out.room < room)
            return (ssize_t)(room - out.room);
        if (decompressor->wrong || (left && left == decompressor->in.len))
            return error_set(error, EBADMSG, "the %s data are damaged (%s)", name,
                             decompressor->wrong ? decompressor->wrong : "no end");
        rc = decompressor->in.len ? 1 : refill(decompressor, fd, raw, error);
    } while (rc > 0);
    if (rc == 0 && !decompressor->between)
        return error_set(error, EBADMSG, "the %s data end before they are complete", name);
    return rc;
}

void decompressor_free(struct decompressor *decompressor)
{
    if (!decompressor)
        return;
    decompressor->format->stop(decompressor->state);
    free(decompressor);
}
