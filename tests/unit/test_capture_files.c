/* The reader of capture files: pcapng with all that it may hold, older kinds of pcap, compression,
 * and several files as one. test_capture.c has the rest of lib/capture. */
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "capture_bytes.h"

/* --- pcapng --- */

static void add_section(struct buf *out, bool big)
{
    add_number(out, 0x0a0d0d0a, 4, big);
    add_number(out, 28, 4, big);
    add_number(out, 0x1a2b3c4d, 4, big);
    add_number(out, 1, 2, big);
    add_number(out, 0, 2, big);
    add_number(out, 0xffffffff, 4, big);
    add_number(out, 0xffffffff, 4, big);
    add_number(out, 28, 4, big);
}

/* `resolution` as if_tsresol has it; `offset` in seconds. A comment is in front of both. */
static void add_interface(struct buf *out, uint32_t link, uint8_t resolution, uint32_t offset,
                          bool big)
{
    const uint32_t len = 20 + 8 + 8 + 12 + 4;

    add_number(out, 1, 4, big);
    add_number(out, len, 4, big);
    add_number(out, link, 2, big);
    add_number(out, 0, 2, big);
    add_number(out, 0, 4, big);
    add_number(out, 1, 2, big);
    add_number(out, 3, 2, big);
    buf_add(out, "abc\0", 4);
    add_number(out, 9, 2, big);
    add_number(out, 1, 2, big);
    buf_add_char(out, (char)resolution);
    buf_add(out, "\0\0\0", 3);
    add_number(out, 14, 2, big);
    add_number(out, 8, 2, big);
    add_number(out, big ? 0 : offset, 4, big);
    add_number(out, big ? offset : 0, 4, big);
    add_number(out, 0, 4, big);
    add_number(out, len, 4, big);
}

static void add_packet(struct buf *out, uint32_t interface, uint64_t stamp, bool obsolete, bool big)
{
    add_number(out, obsolete ? 2 : 6, 4, big);
    add_number(out, 40 + 8, 4, big);
    add_number(out, interface, obsolete ? 2 : 4, big);
    if (obsolete)
        add_number(out, 0xffff, 2, big);
    add_number(out, (uint32_t)(stamp >> 32), 4, big);
    add_number(out, (uint32_t)stamp, 4, big);
    add_number(out, 5, 4, big);
    add_number(out, 1500, 4, big);
    buf_add(out, "bytes\0\0\0", 8);
    add_number(out, 2, 2, big); /* epb_flags */
    add_number(out, 4, 2, big);
    add_number(out, 1, 4, big);
    add_number(out, 40 + 8, 4, big);
}

static void add_simple_packet(struct buf *out, uint32_t wire, bool big)
{
    add_number(out, 3, 4, big);
    add_number(out, 24, 4, big);
    add_number(out, wire, 4, big);
    buf_add(out, "simple\0\0", 8);
    add_number(out, 24, 4, big);
}

static void add_unknown_block(struct buf *out, uint32_t type, uint32_t body, bool big)
{
    add_number(out, type, 4, big);
    add_number(out, body + 12, 4, big);
    buf_add_repeat(out, "?", (int)body);
    add_number(out, body + 12, 4, big);
}

static void assert_next(struct capture *capture, enum packet_link link, int64_t real_ns,
                        uint64_t number)
{
    struct capture_packet got;
    struct error error = {0};

    if (capture_next(capture, &got, &error) != 1)
        fail_msg("packet %u: %s", (unsigned)number, error.text);
    assert_int_equal(got.link, link);
    assert_true(got.real_ns == real_ns);
    assert_int_equal(got.number, number);
}

static void assert_end(struct capture *capture)
{
    struct capture_packet got;
    struct error error = {0};

    if (capture_next(capture, &got, &error) != 0)
        fail_msg("%s", error.text);
}

/* Two sections in different orders of bytes, whose interfaces have each another link type and
 * clock. */
static void sections_and_interfaces_are_told_apart(void **state)
{
    cleanup(buf) struct buf bytes = {0};

    (void)state;
    for (int section = 0; section < 2; section++) {
        bool big = section;
        add_section(&bytes, big);
        add_unknown_block(&bytes, 5, 40, big);
        add_interface(&bytes, 1, 6, 0, big);
        add_interface(&bytes, 101, 9, 100, big);
        add_interface(&bytes, 105 + 900, 6, 0, big); /* nobody's link type */
        add_interface(&bytes, 113, 0x80 | 10, 0, big);
        add_interface(&bytes, 276, 12, 0, big);
        add_interface(&bytes, 0, 0x80 | 40, 0, big);
        add_packet(&bytes, 0, 1000001, false, big);
        add_unknown_block(&bytes, 0x40000bad, 600000, big); /* longer than any buffer */
        add_packet(&bytes, 1, 7, false, big);
        add_packet(&bytes, 2, 7, false, big); /* counts, and is not given out */
        add_packet(&bytes, 3, 1024 + 512, true, big);
        add_packet(&bytes, 4, UINT64_C(5000000001999), false, big);
        add_packet(&bytes, 5, (UINT64_C(3) << 40) + (UINT64_C(1) << 39), false, big);
        add_simple_packet(&bytes, 1500, big);
    }
    struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
    cleanup(capture) struct capture *capture = open_ok(file.path);
    assert_int_equal(capture_link(capture), PACKET_LINK_ETHERNET);
    for (uint64_t n = 0; n < 2; n++) {
        assert_next(capture, PACKET_LINK_ETHERNET, 1000001000, 7 * n + 1);
        assert_next(capture, PACKET_LINK_RAW, 100 * NS_PER_SEC + 7, 7 * n + 2);
        assert_next(capture, PACKET_LINK_SLL, 1500000000, 7 * n + 4);
        assert_next(capture, PACKET_LINK_SLL2, 5000000001, 7 * n + 5);
        assert_next(capture, PACKET_LINK_NULL, 3500000000, 7 * n + 6);
        assert_next(capture, PACKET_LINK_ETHERNET, CLOCK_NONE, 7 * n + 7);
    }
    assert_end(capture);
    close(file.fd);
}

/* What is wrong in the block behind one good packet. */
static void damage_in_pcapng_is_named(void **state)
{
    static const struct {
        size_t at; /* counted from the block's start */
        uint32_t value;
        const char *text;
    } cases[] = {
        {4, 49, "no block is 49 bytes long"},
        {4, 28, "no block is 28 bytes long"},
        {4, 44, "the length"},
        {8, 1, "no interface has the number 1"},
        {20, 13 + 4, "a packet of 17 bytes in a block of 48"},
        {20, 0xffffffff, "a packet of 4294967295 bytes"},
        {44, 52, "a block of 48 bytes has the length 52 at its end"},
        {4, 0x10000000, "the file ends within a block"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup(buf) struct buf bytes = {0};
        struct capture_packet got;
        struct error error = {0};
        add_section(&bytes, false);
        add_interface(&bytes, 1, 6, 0, false);
        add_packet(&bytes, 0, 1, false, false);
        size_t start = bytes.len_bytes;
        add_packet(&bytes, 0, 2, false, false);
        memcpy(bytes.data + start + cases[i].at, &(uint32_t){htole32(cases[i].value)}, 4);
        struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
        cleanup(capture) struct capture *capture = open_ok(file.path);
        assert_int_equal(capture_next(capture, &got, &error), 1);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(capture_next(capture, &got, &error), -EBADMSG);
            if (!strstr(error.text, cases[i].text) || !strstr(error.text, "packet 2 at byte "))
                fail_msg("%s", error.text);
        }
        close(file.fd);
    }
}

static void a_file_of_unknown_interfaces_is_refused(void **state)
{
    cleanup(buf) struct buf bytes = {0};
    struct capture *capture;
    struct error error = {0};

    (void)state;
    add_section(&bytes, false);
    add_interface(&bytes, 189, 6, 0, false);
    add_packet(&bytes, 0, 1, false, false);
    struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
    assert_int_equal(capture_open_file(&capture, file.path, &error), -EOPNOTSUPP);
    assert_non_null(strstr(error.text, "USB_LINUX"));
    close(file.fd);
}

/* --- older kinds of pcap --- */

static void older_kinds_of_pcap_are_read(void **state)
{
    static const struct {
        uint32_t magic, minor;
        size_t extra;
        uint32_t first, second; /* lengths */
    } cases[] = {
        {0xa1b2cd34, 4, 8, 60, 65},
        {0xa1b2c3d4, 2, 0, 65, 60},
        {0xa1b2c3d4, 3, 0, 60, 65},
        {0xa1b2c3d4, 3, 0, 65, 60},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        bool big = i % 2;
        cleanup(buf) struct buf bytes = {0};
        struct capture_packet got;
        add_pcap_header(&bytes, cases[i / 2].magic, 1, big);
        bytes.data[big ? 7 : 6] = (char)cases[i / 2].minor;
        for (uint32_t n = 1; n <= 2; n++) {
            add_number(&bytes, n, 4, big);
            add_number(&bytes, 0, 4, big);
            add_number(&bytes, cases[i / 2].first, 4, big);
            add_number(&bytes, cases[i / 2].second, 4, big);
            buf_add_repeat(&bytes, "-", (int)cases[i / 2].extra);
            buf_add_repeat(&bytes, "x", 60);
        }
        struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
        cleanup(capture) struct capture *capture = open_ok(file.path);
        for (int64_t n = 1; n <= 2; n++) {
            assert_int_equal(capture_next(capture, &got, NULL), 1);
            assert_true(got.captured_len == 60 && got.wire_len == 65);
            assert_true(got.bytes[0] == 'x' && got.real_ns == n * NS_PER_SEC);
        }
        assert_end(capture);
        close(file.fd);
    }
}

/* --- compression --- */

/* `gzip -nc9`, `zstd -qc --no-check` and `lz4 -qc` of a header with a packet, and of one more. */
static const uint8_t gzip_first[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xbb, 0x72, 0x78, 0xd3, 0x42, 0x26,
    0x06, 0x16, 0x06, 0x18, 0xf8, 0xff, 0x9f, 0x81, 0x81, 0x91, 0x01, 0x82, 0x41, 0xc0, 0x06, 0x88,
    0x1d, 0x81, 0xb8, 0x82, 0x02, 0x00, 0x00, 0xd5, 0xa0, 0x5b, 0x3f, 0x64, 0x00, 0x00, 0x00};
static const uint8_t gzip_second[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x62, 0x80, 0x00, 0x1b, 0x20,
    0x76, 0x04, 0xe2, 0x0a, 0x0a, 0x00, 0x00, 0x42, 0xd9, 0xdc, 0x18, 0x4c, 0x00, 0x00, 0x00};
static const uint8_t zstd_first[] = {
    0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x1d, 0x01, 0x00, 0xb8, 0xd4, 0xc3, 0xb2, 0xa1, 0x02,
    0x00, 0x04, 0x00, 0xff, 0xff, 0x00, 0x00, 0x01, 0x00, 0x3c, 0x00, 0x00, 0x00, 0x41, 0x00,
    0x00, 0x00, 0x78, 0x04, 0x00, 0x00, 0x72, 0xc0, 0x82, 0xdd, 0x28, 0x04, 0xe0, 0x02};
static const uint8_t zstd_second[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x9d, 0x00, 0x00, 0x58,
                                      0x02, 0x00, 0x3c, 0x00, 0x00, 0x00, 0x41, 0x00, 0x00, 0x00,
                                      0x78, 0x02, 0x00, 0x00, 0xf2, 0x0c, 0x00, 0x0b};
static const uint8_t lz4_first[] = {
    0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0x2a, 0x00, 0x00, 0x00, 0x84, 0xd4, 0xc3, 0xb2, 0xa1,
    0x02, 0x00, 0x04, 0x00, 0x01, 0x00, 0x62, 0xff, 0xff, 0x00, 0x00, 0x01, 0x00, 0x04, 0x00, 0x00,
    0x02, 0x00, 0x9f, 0x3c, 0x00, 0x00, 0x00, 0x41, 0x00, 0x00, 0x00, 0x78, 0x01, 0x00, 0x23, 0x50,
    0x78, 0x78, 0x78, 0x78, 0x78, 0x00, 0x00, 0x00, 0x00, 0x67, 0xbd, 0x33, 0xee};
static const uint8_t lz4_second[] = {
    0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0x18, 0x00, 0x00, 0x00, 0x22, 0x02, 0x00, 0x01,
    0x00, 0x9f, 0x3c, 0x00, 0x00, 0x00, 0x41, 0x00, 0x00, 0x00, 0x78, 0x01, 0x00, 0x23, 0x50,
    0x78, 0x78, 0x78, 0x78, 0x78, 0x00, 0x00, 0x00, 0x00, 0xa4, 0xd5, 0x9a, 0x48};

static const struct {
    const char *name;
    const uint8_t *first, *second;
    size_t first_len, second_len;
} compressed[] = {
    {"gzip", gzip_first, gzip_second, sizeof gzip_first, sizeof gzip_second},
    {"zstd", zstd_first, zstd_second, sizeof zstd_first, sizeof zstd_second},
    {"lz4", lz4_first, lz4_second, sizeof lz4_first, sizeof lz4_second},
};

/* Whether this build has the library; else says that the file is refused with its name. */
static bool can_decompress(size_t i)
{
    const char *library, *version;
    struct capture *capture = NULL;
    struct error error = {0};

    assert_string_equal(capture_compression(i, &library, &version), compressed[i].name);
    if (version)
        return true;
    struct memory_file file = memory_file(compressed[i].first, compressed[i].first_len);
    assert_int_equal(capture_open_file(&capture, file.path, &error), -EOPNOTSUPP);
    assert_non_null(strstr(error.text, library));
    close(file.fd);
    return false;
}

static void compressed_files_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(compressed); i++) {
        cleanup(buf) struct buf bytes = {0};
        if (!can_decompress(i))
            continue;
        /* Two members; gzip's may have zeros behind them. */
        buf_add(&bytes, compressed[i].first, compressed[i].first_len);
        buf_add(&bytes, compressed[i].second, compressed[i].second_len);
        if (i == 0)
            buf_add(&bytes, "\0\0\0\0\0", 5);
        struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
        cleanup(capture) struct capture *capture = open_ok(file.path);
        assert_next(capture, PACKET_LINK_ETHERNET, 1 * NS_PER_SEC, 1);
        assert_next(capture, PACKET_LINK_ETHERNET, 2 * NS_PER_SEC, 2);
        assert_end(capture);
        close(file.fd);
    }
}

/* Cut anywhere: what came before is read, and the cut is told; no cut is taken for the end but that
 * between two members. */
static void cut_compressed_files_are_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(compressed); i++) {
        cleanup(buf) struct buf bytes = {0};
        if (!can_decompress(i))
            continue;
        buf_add(&bytes, compressed[i].first, compressed[i].first_len);
        buf_add(&bytes, compressed[i].second, compressed[i].second_len);
        for (size_t len = compressed[i].first_len; len < bytes.len_bytes; len++) {
            struct capture_packet got;
            struct error error = {0};
            struct memory_file file = memory_file(bytes.data, len);
            cleanup(capture) struct capture *capture = open_ok(file.path);
            assert_int_equal(capture_next(capture, &got, &error), 1);
            int rc = capture_next(capture, &got, &error);
            if (len == compressed[i].first_len) {
                assert_int_equal(rc, 0);
            } else {
                /* The last bytes may be a checksum, behind the packet. */
                if (rc == 1)
                    rc = capture_next(capture, &got, &error);
                assert_int_equal(rc, -EBADMSG);
                if (!strstr(error.text, compressed[i].name) ||
                    !strstr(error.text, "end before they are complete"))
                    fail_msg("%s", error.text);
            }
            close(file.fd);
        }
    }
}

static void garbage_in_compressed_files_is_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(compressed); i++) {
        cleanup(buf) struct buf bytes = {0};
        struct capture_packet got;
        struct error error = {0};
        if (!can_decompress(i))
            continue;
        buf_add(&bytes, compressed[i].first, compressed[i].first_len);
        buf_add_repeat(&bytes, "garbage", 100);
        struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
        cleanup(capture) struct capture *capture = open_ok(file.path);
        assert_int_equal(capture_next(capture, &got, &error), 1);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(capture_next(capture, &got, &error), -EBADMSG);
            if (!strstr(error.text, "data are damaged"))
                fail_msg("%s", error.text);
        }
        close(file.fd);
    }
}

/* --- several files --- */

/* A file of packets at these seconds, up to a 0. */
static struct memory_file file_at(uint32_t link, const uint32_t *seconds)
{
    cleanup(buf) struct buf bytes = {0};

    add_pcap_header(&bytes, 0xa1b2c3d4, link, false);
    for (; *seconds; seconds++)
        add_record(&bytes, *seconds, 0, 20, false);
    return memory_file(bytes.data, bytes.len_bytes);
}

#define FILES 5

static void several_files_are_one_in_order_of_time(void **state)
{
    static const uint32_t seconds[FILES][5] = {
        {40, 50}, {10, 20, 45}, {0}, {20, 15, 25}, {1},
    };
    static const struct {
        uint32_t second, file, number;
    } expected[] = {{1, 4, 1},  {10, 1, 1}, {20, 1, 2}, {20, 3, 1}, {15, 3, 2},
                    {25, 3, 3}, {40, 0, 1}, {45, 1, 3}, {50, 0, 2}};
    struct memory_file files[FILES];
    const char *paths[FILES];
    struct capture *capture;
    struct capture_packet got;
    struct capture_progress progress;

    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        files[i] = file_at(i == 3 ? 101 : 1, seconds[i]);
        paths[i] = files[i].path;
    }
    assert_int_equal(capture_open_files(&capture, paths, FILES, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_int_equal(capture_next(capture, &got, NULL), 1);
        assert_true(got.real_ns == expected[i].second * NS_PER_SEC);
        assert_int_equal(got.file, expected[i].file);
        assert_int_equal(got.file_number, expected[i].number);
        assert_int_equal(got.number, i + 1);
        assert_int_equal(got.link, got.file == 3 ? PACKET_LINK_RAW : PACKET_LINK_ETHERNET);
        assert_memory_equal(got.bytes, "xxxxxxxxxxxxxxxxxxxx", 20);
    }
    assert_end(capture);
    capture_get_progress(capture, &progress);
    assert_int_equal(progress.bytes_read, FILES * 24 + ARRAY_SIZE(expected) * 36);
    assert_int_equal(progress.bytes_total, progress.bytes_read);
    capture_close(capture);
    for (size_t i = 0; i < FILES; i++)
        close(files[i].fd);
}

static void a_damaged_file_among_several_ends_alone(void **state)
{
    static const uint32_t seconds[2][4] = {{1, 3, 5}, {2, 4, 6}};
    struct memory_file files[2] = {file_at(1, seconds[0]), file_at(1, seconds[1])};
    const char *paths[2] = {files[0].path, files[1].path};
    struct capture *capture;
    struct capture_packet got;
    struct error error = {0};
    int count = 0, rc;

    (void)state;
    assert_int_equal(ftruncate(files[0].fd, 24 + 36 + 35), 0);
    assert_int_equal(capture_open_files(&capture, paths, 2, NULL), 0);
    while ((rc = capture_next(capture, &got, &error)) == 1)
        count++;
    assert_int_equal(count, 4);
    assert_int_equal(rc, -EBADMSG);
    assert_memory_equal(error.text, paths[0], strlen(paths[0]));
    assert_non_null(strstr(error.text, "packet 2 at byte 60"));
    assert_int_equal(capture_next(capture, &got, &error), -EBADMSG);
    capture_close(capture);

    paths[0] = "/nonexistent/x";
    assert_int_equal(capture_open_files(&capture, paths, 2, &error), -ENOENT);
    assert_non_null(strstr(error.text, "/nonexistent/x"));
    paths[0] = paths[1] = "-";
    assert_int_equal(capture_open_files(&capture, paths, 2, &error), -EINVAL);
    for (int i = 0; i < 2; i++)
        close(files[i].fd);
}

/* More files than a process may have open. They are named backwards. */
static void rotated_files_need_few_descriptors(void **state)
{
    enum { COUNT = 300 };
    char folder[] = "/tmp/netkit-rotated-XXXXXX", path[COUNT][64];
    const char *paths[COUNT];
    struct rlimit limit, few;
    struct capture *capture;
    struct capture_packet got;

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (uint32_t i = 0; i < COUNT; i++) {
        cleanup(buf) struct buf bytes = {0};
        snprintf(path[i], sizeof path[i], "%s/%u", folder, i);
        paths[i] = path[i];
        add_pcap_header(&bytes, 0xa1b2c3d4, 1, false);
        add_record(&bytes, 2 * (COUNT - i), 0, 20, false);
        add_record(&bytes, 2 * (COUNT - i) + 1, 0, 20, false);
        cleanup(fd) int fd = open(path[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, bytes.data, bytes.len_bytes), bytes.len_bytes);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){32, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(capture_open_files(&capture, paths, COUNT, NULL), 0);
    for (int64_t second = 2; second < 2 * COUNT + 2; second++) {
        assert_int_equal(capture_next(capture, &got, NULL), 1);
        assert_true(got.real_ns == second * NS_PER_SEC);
    }
    assert_end(capture);
    capture_close(capture);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < COUNT; i++)
        unlink(path[i]);
    rmdir(folder);
}

/* A filter that is none for one link type keeps nothing of it. */
static void a_filter_meets_each_link_type_in_its_own_way(void **state)
{
    static const uint32_t seconds[2][4] = {{1, 3}, {2, 4}};
    struct memory_file files[2] = {file_at(1, seconds[0]), file_at(101, seconds[1])};
    const char *paths[2] = {files[0].path, files[1].path};
    struct capture *capture;
    struct error error = {0};

    (void)state;
    assert_int_equal(capture_open_files(&capture, paths, 2, NULL), 0);
    assert_int_equal(capture_set_filter(capture, "ether host 78:78:78:78:78:78", NULL), 0);
    assert_next(capture, PACKET_LINK_ETHERNET, 1 * NS_PER_SEC, 1);
    assert_int_equal(capture_set_filter(capture, "len > 0", NULL), 0);
    assert_next(capture, PACKET_LINK_RAW, 2 * NS_PER_SEC, 2);
    assert_int_equal(capture_set_filter(capture, "nonsense and", &error), -EINVAL);
    assert_next(capture, PACKET_LINK_ETHERNET, 3 * NS_PER_SEC, 3);
    capture_close(capture);
    for (int i = 0; i < 2; i++)
        close(files[i].fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_and_interfaces_are_told_apart),
        cmocka_unit_test(damage_in_pcapng_is_named),
        cmocka_unit_test(a_file_of_unknown_interfaces_is_refused),
        cmocka_unit_test(older_kinds_of_pcap_are_read),
        cmocka_unit_test(compressed_files_are_read),
        cmocka_unit_test(cut_compressed_files_are_damaged),
        cmocka_unit_test(garbage_in_compressed_files_is_damage),
        cmocka_unit_test(several_files_are_one_in_order_of_time),
        cmocka_unit_test(a_damaged_file_among_several_ends_alone),
        cmocka_unit_test(rotated_files_need_few_descriptors),
        cmocka_unit_test(a_filter_meets_each_link_type_in_its_own_way),
    };
    return cmocka_run_group_tests_name("capture files", tests, NULL, NULL);
}
