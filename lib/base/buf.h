/* A byte buffer that grows, never overruns, and remembers failure.
 *
 * struct buf is the only growable memory in netkit: renderers print into it, parsers collect in it.
 * A buffer starts as {0} or with buf_init_cap(); `data` is always NUL-terminated once something was
 * added, and NULL before. When memory runs out or the cap is reached, `failed` is set, further
 * additions do nothing, and the content so far stays valid: callers check once, at the end.
 * A buffer with a drain holds only what was added last. The owner calls buf_free() (or uses
 * cleanup(buf)). Not for use by two threads at once. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/cleanup.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Where a long text goes piece by piece, instead of into memory. Returns false when it cannot take
 * it: the buffer has failed then. */
struct buf_drain {
    bool (*take)(void *context, const struct buf *piece);
    void *context;
};
#define BUF_DRAIN_BYTES (64 * 1024)

struct buf {
    char *data;
    size_t len_bytes;
    size_t alloc_bytes;
    size_t cap_bytes;              /* 0: no cap */
    const struct buf_drain *drain; /* what exceeds BUF_DRAIN_BYTES is given to it; NULL: nobody */
    bool failed;
    bool full; /* since the cap was reached */
};

void buf_init_cap(struct buf *buf, size_t cap_bytes);
void buf_add(struct buf *buf, const void *bytes, size_t len_bytes);
void buf_add_str(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_add_repeat(struct buf *buf, const char *text, int times);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *format, ...);
__attribute__((format(printf, 2, 0))) void buf_vprintf(struct buf *buf, const char *format,
                                                       va_list args);
/* Gives what is left to the drain. */
void buf_flush(struct buf *buf);
/* Drops the content, keeps the memory, forgets a failure. */
void buf_reset(struct buf *buf);
void buf_free(struct buf *buf);
/* The content as a string, "" when there is none. Valid until the next change. */
const char *buf_str(const struct buf *buf);

static inline void cleanup_buf(struct buf *buf)
{
    buf_free(buf);
}

#endif
