#include "base/buf.h"

#include "base/shortage.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void buf_init_cap(struct buf *buf, size_t cap_bytes)
{
    *buf = (struct buf){.cap_bytes = cap_bytes};
}

/* Makes room for len_bytes more and the NUL. */
static bool reserve(struct buf *buf, size_t len_bytes)
{
    if (buf->failed)
        return false;
    if (len_bytes > SIZE_MAX / 2 - buf->len_bytes ||
        (buf->cap_bytes && len_bytes > buf->cap_bytes - buf->len_bytes)) {
        buf->failed = buf->full = true;
        return false;
    }
    size_t need = buf->len_bytes + len_bytes + 1;
    if (need <= buf->alloc_bytes)
        return true;

    /* One with a drain takes at once what it will need: it fails before anything was given away. */
    size_t first = buf->drain ? 2 * BUF_DRAIN_BYTES : 64;
    size_t alloc = buf->alloc_bytes ? buf->alloc_bytes : first;
    while (alloc < need)
        alloc *= 2;
    char *data = realloc(buf->data, alloc);
    if (!data) {
        shortage_note(ENOMEM);
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->alloc_bytes = alloc;
    return true;
}

void buf_flush(struct buf *buf)
{
    if (!buf->drain || buf->failed || !buf->len_bytes)
        return;
    buf->failed = !buf->drain->take(buf->drain->context, buf);
    buf->len_bytes = 0;
    buf->data[0] = '\0';
}

static void drain_some(struct buf *buf)
{
    if (buf->drain && buf->len_bytes >= BUF_DRAIN_BYTES)
        buf_flush(buf);
}

void buf_add(struct buf *buf, const void *bytes, size_t len_bytes)
{
    while (buf->drain && len_bytes > BUF_DRAIN_BYTES) {
        buf_add(buf, bytes, BUF_DRAIN_BYTES);
        bytes = (const char *)bytes + BUF_DRAIN_BYTES;
        len_bytes -= BUF_DRAIN_BYTES;
    }
    if (!reserve(buf, len_bytes))
        return;
    if (len_bytes)
        memcpy(buf->data + buf->len_bytes, bytes, len_bytes);
    buf->len_bytes += len_bytes;
    buf->data[buf->len_bytes] = '\0';
    drain_some(buf);
}

void buf_add_str(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_add_repeat(struct buf *buf, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        buf_add_str(buf, text);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (need < 0) {
        buf->failed = true;
        return;
    }
    if (!reserve(buf, (size_t)need))
        return;
    vsnprintf(buf->data + buf->len_bytes, (size_t)need + 1, format, args);
    buf->len_bytes += (size_t)need;
    drain_some(buf);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_reset(struct buf *buf)
{
    buf->len_bytes = 0;
    buf->failed = buf->full = false;
    if (buf->data)
        buf->data[0] = '\0';
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.cap_bytes = buf->cap_bytes, .drain = buf->drain};
}

const char *buf_str(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}
