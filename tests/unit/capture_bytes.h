/* Capture files made by hand, and not with the writer, for the tests of lib/capture. Included after
 * cmocka.h. */
#ifndef TESTS_CAPTURE_BYTES_H
#define TESTS_CAPTURE_BYTES_H

#include "base/buf.h"
#include "capture/capture.h"

#include <string.h>
#include <sys/mman.h>

/* A file in memory with a path. */
struct memory_file {
    int fd;
    char path[40];
};

static inline struct memory_file memory_file(const void *bytes, size_t len)
{
    struct memory_file file = {.fd = memfd_create("capture", 0)};

    assert_true(file.fd >= 0);
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    assert_int_equal(write(file.fd, bytes, len), len);
    return file;
}

static inline struct capture *open_ok(const char *path)
{
    struct capture *capture = NULL;
    struct error error = {0};

    if (capture_open_file(&capture, path, &error) != 0)
        fail_msg("%s", error.text);
    return capture;
}

static inline void add_number(struct buf *out, uint32_t value, int bytes, bool big)
{
    for (int i = 0; i < bytes; i++)
        buf_add_char(out, (char)(value >> 8 * (big ? bytes - 1 - i : i)));
}

static inline void add_pcap_header(struct buf *out, uint32_t magic, uint32_t link, bool big)
{
    add_number(out, magic, 4, big);
    add_number(out, 2, 2, big);
    add_number(out, 4, 2, big);
    add_number(out, 0, 4, big);
    add_number(out, 0, 4, big);
    add_number(out, 65535, 4, big);
    add_number(out, link, 4, big);
}

static inline void add_record(struct buf *out, uint32_t sec, uint32_t fraction, uint32_t len,
                              bool big)
{
    add_number(out, sec, 4, big);
    add_number(out, fraction, 4, big);
    add_number(out, len, 4, big);
    add_number(out, len + 5, 4, big);
    buf_add_repeat(out, "x", (int)len);
}

#endif
