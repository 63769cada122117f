/* Capture files, filters and the writer. Live captures are in test_capture_live.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "capture/capture.h"
#include "packet_samples.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "capture_bytes.h"

static struct capture_packet packet_of(const struct sample *sample, int64_t real_ns)
{
    return (struct capture_packet){.bytes = sample->bytes,
                                   .captured_len = (uint32_t)sample->captured,
                                   .wire_len = (uint32_t)sample->len,
                                   .real_ns = real_ns,
                                   .link = sample->link};
}

#define START_NS INT64_C(1700000000123456789)

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (enum packet_link link = PACKET_LINK_ETHERNET; link <= PACKET_LINK_LAST; link++) {
        struct memory_file file = memory_file("", 0);
        struct capture_writer *writer;
        struct capture_packet got;
        assert_int_equal(capture_writer_open(&writer, file.path, link, NULL), 0);
        /* Enough to be written in several pieces. */
        for (uint64_t i = 1; i <= 5000; i++) {
            struct sample sample = sample_make(link, i);
            struct capture_packet packet = packet_of(&sample, START_NS + (int64_t)i);
            assert_int_equal(capture_writer_add(writer, &packet, NULL), 0);
        }
        assert_int_equal(capture_writer_close(writer, NULL), 0);

        cleanup(capture) struct capture *capture = open_ok(file.path);
        assert_int_equal(capture_link(capture), link);
        assert_int_equal(capture_fd(capture), -1);
        for (uint64_t i = 1; i <= 5000; i++) {
            struct sample sample = sample_make(link, i);
            assert_int_equal(capture_next(capture, &got, NULL), 1);
            assert_int_equal(got.captured_len, sample.captured);
            assert_int_equal(got.wire_len, sample.len);
            assert_memory_equal(got.bytes, sample.bytes, sample.captured);
            assert_true(got.real_ns == START_NS + (int64_t)i && got.number == i);
            assert_int_equal(got.link, link);
        }
        assert_int_equal(capture_next(capture, &got, NULL), 0);
        assert_int_equal(capture_next(capture, &got, NULL), 0);
        close(file.fd);
    }
}

static void the_writer_keeps_to_its_link_type(void **state)
{
    struct capture_writer *writer;
    struct sample sample = sample_make(PACKET_LINK_RAW, 1);
    struct capture_packet packet = packet_of(&sample, 0);
    struct memory_file file = memory_file("", 0);

    (void)state;
    assert_int_equal(capture_writer_open(&writer, file.path, PACKET_LINK_ETHERNET, NULL), 0);
    assert_int_equal(capture_writer_add(writer, &packet, NULL), -EINVAL);
    assert_int_equal(capture_writer_close(writer, NULL), 0);
    close(file.fd);
}

/* --- files that others wrote --- */

static void every_kind_of_pcap_is_read(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool big = i & 1, nano = i & 2;
        cleanup(buf) struct buf bytes = {0};
        struct capture_packet got;
        add_pcap_header(&bytes, nano ? 0xa1b23c4d : 0xa1b2c3d4, 1, big);
        add_record(&bytes, 1700000000, 999999, 60, big);
        add_record(&bytes, 4294967295u, 1, 60, big);
        struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
        cleanup(capture) struct capture *capture = open_ok(file.path);
        assert_int_equal(capture_next(capture, &got, NULL), 1);
        assert_true(got.real_ns == 1700000000 * NS_PER_SEC + (nano ? 999999 : 999999000));
        assert_int_equal(got.wire_len, 65);
        assert_int_equal(capture_next(capture, &got, NULL), 1);
        assert_int_equal(capture_next(capture, &got, NULL), 0);
        close(file.fd);
    }
}

static void pcapng_is_read(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        cleanup(buf) struct buf bytes = {0};
        struct capture_packet got;
        /* Section header, interface with nanoseconds (if_tsresol 9), one packet of 6 bytes. */
        const uint32_t words[] = {0x0a0d0d0a, 28, 0x1a2b3c4d};
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
            add_number(&bytes, words[i], 4, big);
        add_number(&bytes, 1, 2, big);
        add_number(&bytes, 0, 2, big);
        const uint32_t rest[] = {0xffffffff, 0xffffffff, 28, 1, 32};
        for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
            add_number(&bytes, rest[i], 4, big);
        add_number(&bytes, 1, 2, big);
        add_number(&bytes, 0, 2, big);
        add_number(&bytes, 0, 4, big);
        add_number(&bytes, 9, 2, big);
        add_number(&bytes, 1, 2, big);
        buf_add(&bytes, "\x09\0\0\0\0\0\0\0", 8);
        add_number(&bytes, 32, 4, big);
        const uint32_t packet[] = {6, 40, 0, (uint32_t)(START_NS >> 32), (uint32_t)START_NS, 6, 60};
        for (size_t i = 0; i < ARRAY_SIZE(packet); i++)
            add_number(&bytes, packet[i], 4, big);
        buf_add(&bytes, "abcdef\0\0", 8);
        add_number(&bytes, 40, 4, big);
        struct memory_file file = memory_file(bytes.data, bytes.len_bytes);
        cleanup(capture) struct capture *capture = open_ok(file.path);
        assert_int_equal(capture_next(capture, &got, NULL), 1);
        assert_true(got.real_ns == START_NS);
        assert_int_equal(got.captured_len, 6);
        assert_int_equal(got.wire_len, 60);
        assert_int_equal(capture_next(capture, &got, NULL), 0);

        struct error error = {0};
        assert_int_equal(ftruncate(file.fd, (off_t)bytes.len_bytes - 3), 0);
        cleanup(capture) struct capture *cut = open_ok(file.path);
        assert_int_equal(capture_next(cut, &got, &error), -EBADMSG);
        assert_non_null(strstr(error.text, "packet 1 at byte 60: the file ends within a block"));
        close(file.fd);
    }
}

/* Two good packets, and damage in the third, at byte 24 + 2 * (16 + 60). */
static void damage_is_named_by_its_place(void **state)
{
    static const struct {
        uint32_t len;   /* that the third record claims */
        size_t present; /* what there is of it */
        const char *text;
    } cases[] = {
        {60, 16 + 20, "packet 3 at byte 176: the file ends within this packet: 60 bytes"},
        {60, 5, "packet 3 at byte 176: the file ends within the packet's header"},
        {0x7fffffff, 16 + 60, "packet 3 at byte 176: no packet has 2147483647 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup(buf) struct buf bytes = {0};
        struct capture_packet got;
        struct error error = {0};
        add_pcap_header(&bytes, 0xa1b2c3d4, 1, false);
        for (uint32_t n = 1; n <= 3; n++)
            add_record(&bytes, n, 0, 60, false);
        size_t third = 24 + 2 * (16 + 60);
        memcpy(bytes.data + third + 8, &cases[i].len, 4);
        struct memory_file file = memory_file(bytes.data, third + cases[i].present);
        cleanup(capture) struct capture *capture = open_ok(file.path);
        assert_int_equal(capture_next(capture, &got, &error), 1);
        assert_int_equal(capture_next(capture, &got, &error), 1);
        assert_int_equal(got.number, 2);
        for (int again = 0; again < 2; again++) {
            error = (struct error){0};
            assert_int_equal(capture_next(capture, &got, &error), -EBADMSG);
            assert_memory_equal(error.text, cases[i].text, strlen(cases[i].text));
        }
        close(file.fd);
    }
}

static void what_is_no_capture_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int rc;
        const char *text;
    } cases[] = {
        {"", 0, -EBADMSG, "empty"},
        {"\xd4\xc3\xb2\xa1\2\0\4", 7, -EBADMSG, "cut off in its header"},
        {"hello, this is no capture at all", 32, -EBADMSG, "no capture file"},
        {"BZh91AY&SY", 10, -EOPNOTSUPP, "`bunzip2` it first"},
        {"\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\xff\xff\0\0\xbd\0\0\0", 24, -EOPNOTSUPP,
         "USB_LINUX"},
    };
    struct capture *capture = NULL;
    struct error error;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct memory_file file = memory_file(cases[i].bytes, cases[i].len);
        assert_int_equal(capture_open_file(&capture, file.path, &error), cases[i].rc);
        if (!strstr(error.text, cases[i].text) || !strstr(error.text, file.path))
            fail_msg("%s", error.text);
        close(file.fd);
    }
    assert_int_equal(capture_open_file(&capture, "/nonexistent/x", &error), -ENOENT);
    assert_int_equal(capture_open_file(&capture, "/", &error), -EISDIR);
    assert_null(capture);
}

/* Standard input is a pipe: nothing can be sought, and the place of the damage is counted. */
static void standard_input_is_read(void **state)
{
    cleanup(buf) struct buf bytes = {0};
    struct error error = {0};
    struct capture_packet got;
    int ends[2], saved = dup(STDIN_FILENO);

    (void)state;
    add_pcap_header(&bytes, 0xa1b2c3d4, 1, false);
    add_record(&bytes, 1, 0, 60, false);
    add_record(&bytes, 2, 0, 60, false);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes.data, bytes.len_bytes - 1), bytes.len_bytes - 1);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);

    struct capture *capture = open_ok("-");
    assert_int_equal(capture_next(capture, &got, &error), 1);
    assert_int_equal(capture_next(capture, &got, &error), -EBADMSG);
    assert_non_null(strstr(error.text, "packet 2 at byte 100: "));
    capture_close(capture);
    if (saved >= 0)
        dup2(saved, STDIN_FILENO);
}

/* --- filters --- */

static void filters_match_in_user_space(void **state)
{
    static const struct {
        const char *text;
        enum packet_kind kind;
    } cases[] = {{"tcp", PACKET_TCP}, {"udp", PACKET_UDP}, {"icmp or icmp6", PACKET_ICMP}};
    int matched = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup(capture_filter) struct capture_filter *filter = NULL;
        assert_int_equal(capture_filter_compile(&filter, PACKET_LINK_ETHERNET, cases[i].text, NULL),
                         0);
        for (uint64_t seed = 1; seed < 1000; seed++) {
            struct sample sample = sample_make(PACKET_LINK_ETHERNET, seed);
            struct segment segment;
            packet_decode(&segment, sample.link, sample.bytes, sample.captured, sample.len);
            /* libpcap looks neither behind tags nor behind extension headers. */
            if (segment.status != PACKET_COMPLETE || segment.vlan_count || segment.is_fragment ||
                (segment.family == 6 && segment.transport_offset != segment.network_offset + 40))
                continue;
            bool matches = capture_filter_matches(filter, sample.bytes, (uint32_t)sample.captured,
                                                  (uint32_t)sample.len);
            assert_int_equal(matches, segment.kind == cases[i].kind);
            matched += matches;
        }
    }
    assert_true(matched > 200);
}

static void a_files_filter_keeps_the_numbers(void **state)
{
    struct memory_file file = memory_file("", 0);
    struct capture_writer *writer;
    struct capture_packet got;
    uint64_t last = 0;

    (void)state;
    assert_int_equal(capture_writer_open(&writer, file.path, PACKET_LINK_RAW, NULL), 0);
    for (uint64_t i = 1; i <= 100; i++) {
        struct sample sample = sample_make(PACKET_LINK_RAW, i);
        struct capture_packet packet = packet_of(&sample, (int64_t)i);
        assert_int_equal(capture_writer_add(writer, &packet, NULL), 0);
    }
    assert_int_equal(capture_writer_close(writer, NULL), 0);
    cleanup(capture) struct capture *capture = open_ok(file.path);
    assert_int_equal(capture_set_filter(capture, "ip", NULL), 0);
    assert_int_equal(capture_set_filter(capture, "ip6", NULL), 0);
    while (capture_next(capture, &got, NULL) == 1) {
        assert_int_equal(got.real_ns, got.number);
        assert_int_equal(got.bytes[0] >> 4, 6);
        last = got.number;
    }
    assert_true(last > 90);
    close(file.fd);
}

/* What libpcap says, and where the caret is. None of these asks the resolver. */
static void a_bad_filter_is_shown_with_a_caret(void **state)
{
    static const struct {
        const char *text;
        const char *message;
        const char *marked; /* NULL: at the end */
    } cases[] = {
        {"tcp and and port 80", "syntax error", "and port"},
        {"tcp port 80 81", "syntax error", "81"},
        {"(tcp or udp", "syntax error", NULL},
        {"tcp and", "syntax error", NULL},
        {"tcp) and udp", "syntax error", ") and"},
        {"ip[0:2 > 5 and tcp", "syntax error", "> 5"},
        {"tcp[tcpflags] == tcp-syn not", "syntax error", "not"},
        {"host 127.0.0.1 port port 80", "syntax error", "port port"},
        {"tcp port nosuchservice", "nosuchservice", "nosuchservice"},
        {"host 1.2.3.4 or host 1.2.3.400", "invalid IPv4 address", "1.2.3.400"},
        {"tcp and port 99999", "99999", "99999"},
        {"ip proto nosuchproto", "nosuchproto", "nosuchproto"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct capture_filter *filter = NULL;
        struct error error = {0};
        assert_int_equal(
            capture_filter_compile(&filter, PACKET_LINK_ETHERNET, cases[i].text, &error), -EINVAL);
        char *shown = strchr(error.text, '\n');
        char *caret = strrchr(error.text, '^');
        if (!strstr(error.text, cases[i].message) || !shown || !caret)
            fail_msg("%s", error.text);
        size_t at = cases[i].marked
                        ? (size_t)(strstr(cases[i].text, cases[i].marked) - cases[i].text)
                        : strlen(cases[i].text);
        char *below = strrchr(error.text, '\n') + 1;
        if ((size_t)(caret - below) != at + 2)
            fail_msg("%s", error.text);
    }
    struct capture_filter *filter = NULL;
    cleanup(buf) struct buf huge = {0};
    buf_add_repeat(&huge, "(", 9000);
    assert_int_equal(capture_filter_compile(&filter, PACKET_LINK_RAW, buf_str(&huge), NULL),
                     -EINVAL);
}

/* --- disks that fill up --- */

static void a_full_disk_is_an_error_that_stays(void **state)
{
    struct sample sample = sample_make(PACKET_LINK_ETHERNET, 1);
    struct capture_packet packet = packet_of(&sample, 1);
    struct capture_writer *writer;
    struct error error = {0};

    (void)state;
    assert_int_equal(capture_writer_open(&writer, "/dev/full", PACKET_LINK_ETHERNET, &error), 0);
    assert_int_equal(capture_writer_add(writer, &packet, &error), 0);
    assert_int_equal(capture_writer_flush(writer, &error), -ENOSPC);
    assert_non_null(strstr(error.text, "/dev/full"));
    assert_int_equal(capture_writer_add(writer, &packet, &error), -ENOSPC);
    assert_int_equal(capture_writer_close(writer, &error), -ENOSPC);
    assert_int_equal(capture_writer_open(&writer, "/nonexistent/x", PACKET_LINK_RAW, &error),
                     -ENOENT);
}

/* In a child, where files may have `limit` bytes: writes until it fails; exit status 0 when it
 * failed as it should. */
static void write_until_full(const char *path, rlim_t limit)
{
    struct capture_writer *writer;
    struct rlimit bound = {limit, limit};
    int rc = 0;

    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &bound) != 0 ||
        capture_writer_open(&writer, path, PACKET_LINK_ETHERNET, NULL) != 0)
        _exit(1);
    for (uint64_t i = 1; rc == 0 && i < 20000; i++) {
        struct sample sample = sample_make(PACKET_LINK_ETHERNET, i);
        struct capture_packet packet = packet_of(&sample, (int64_t)i);
        rc = capture_writer_add(writer, &packet, NULL);
    }
    _exit(rc == -EFBIG && capture_writer_close(writer, NULL) == -EFBIG ? 0 : 2);
}

static void a_full_disk_leaves_whole_packets(void **state)
{
    static const rlim_t limits[] = {300000, 600001, 524288 + 7, 10, 24, 30};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        char path[] = "/tmp/netkit-capture-XXXXXX";
        cleanup(fd) int fd = mkstemp(path);
        struct stat info;
        struct capture_packet got;
        int status, rc;
        assert_true(fd >= 0);
        pid_t child = fork();
        if (child == 0)
            write_until_full(path, limits[i]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(stat(path, &info), 0);
        assert_true((rlim_t)info.st_size <= limits[i]);
        if (limits[i] < 24) {
            assert_int_equal(info.st_size, 0);
        } else {
            cleanup(capture) struct capture *capture = open_ok(path);
            uint64_t count = 0;
            while ((rc = capture_next(capture, &got, NULL)) == 1)
                count++;
            assert_int_equal(rc, 0);
            assert_true(limits[i] < 1000 ? count == 0 : count > 1000);
            /* All that fitted is there: the next packet did not. */
            assert_true((rlim_t)info.st_size + 16 + 1000 > limits[i]);
        }
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_writer_keeps_to_its_link_type),
        cmocka_unit_test(every_kind_of_pcap_is_read),
        cmocka_unit_test(pcapng_is_read),
        cmocka_unit_test(damage_is_named_by_its_place),
        cmocka_unit_test(what_is_no_capture_is_refused_with_a_reason),
        cmocka_unit_test(standard_input_is_read),
        cmocka_unit_test(filters_match_in_user_space),
        cmocka_unit_test(a_files_filter_keeps_the_numbers),
        cmocka_unit_test(a_bad_filter_is_shown_with_a_caret),
        cmocka_unit_test(a_full_disk_is_an_error_that_stays),
        cmocka_unit_test(a_full_disk_leaves_whole_packets),
    };
    return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
