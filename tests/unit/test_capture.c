/* Filters and the writer. Live captures are in test_capture_live.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "capture/internal.h"
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

/* A file in memory with a path. */
struct memory_file {
    int fd;
    char path[40];
};

static struct memory_file memory_file(const void *bytes, size_t len)
{
    struct memory_file file = {.fd = memfd_create("capture", 0)};

    assert_true(file.fd >= 0);
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    assert_int_equal(write(file.fd, bytes, len), len);
    return file;
}

static struct capture_packet packet_of(const struct sample *sample, int64_t real_ns)
{
    return (struct capture_packet){.bytes = sample->bytes,
                                   .captured_len = (uint32_t)sample->captured,
                                   .wire_len = (uint32_t)sample->len,
                                   .real_ns = real_ns,
                                   .link = sample->link};
}

/* What was written is read by libpcap. */
static pcap_t *open_ok(const char *path)
{
    char message[PCAP_ERRBUF_SIZE];
    pcap_t *pcap =
        pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, message);

    if (!pcap)
        fail_msg("%s", message);
    return pcap;
}

#define START_NS INT64_C(1700000000123456789)

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (enum packet_link link = PACKET_LINK_ETHERNET; link <= PACKET_LINK_LOOP; link++) {
        struct memory_file file = memory_file("", 0);
        struct capture_writer *writer;
        struct pcap_pkthdr *header;
        const u_char *bytes;
        enum packet_link read_link;
        assert_int_equal(capture_writer_open(&writer, file.path, link, NULL), 0);
        /* Enough to be written in several pieces. */
        for (uint64_t i = 1; i <= 5000; i++) {
            struct sample sample = sample_make(link, i);
            struct capture_packet packet = packet_of(&sample, START_NS + (int64_t)i);
            assert_int_equal(capture_writer_add(writer, &packet, NULL), 0);
        }
        assert_int_equal(capture_writer_close(writer, NULL), 0);

        pcap_t *pcap = open_ok(file.path);
        assert_int_equal(link_from_dlt(&read_link, pcap_datalink(pcap), NULL), 0);
        assert_int_equal(read_link, link);
        for (uint64_t i = 1; i <= 5000; i++) {
            struct sample sample = sample_make(link, i);
            assert_int_equal(pcap_next_ex(pcap, &header, &bytes), 1);
            assert_int_equal(header->caplen, sample.captured);
            assert_int_equal(header->len, sample.len);
            assert_memory_equal(bytes, sample.bytes, sample.captured);
            assert_true(header->ts.tv_sec * NS_PER_SEC + header->ts.tv_usec ==
                        START_NS + (int64_t)i);
        }
        assert_int_equal(pcap_next_ex(pcap, &header, &bytes), PCAP_ERROR_BREAK);
        pcap_close(pcap);
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
            struct pcap_pkthdr *header;
            const u_char *bytes;
            pcap_t *pcap = open_ok(path);
            uint64_t count = 0;
            while ((rc = pcap_next_ex(pcap, &header, &bytes)) == 1)
                count++;
            assert_int_equal(rc, PCAP_ERROR_BREAK);
            pcap_close(pcap);
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
        cmocka_unit_test(filters_match_in_user_space),
        cmocka_unit_test(a_bad_filter_is_shown_with_a_caret),
        cmocka_unit_test(a_full_disk_is_an_error_that_stays),
        cmocka_unit_test(a_full_disk_leaves_whole_packets),
    };
    return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
