/* Any bytes as a capture file, compressed or not, and, after "filter:", as a filter expression.
 *
 * Files: whatever is read before the damage is written again and must read back the same, alone and
 * as one of two files; each packet is decoded. Filters: libpcap may resolve names, so this part
 * runs only in a network namespace of its own, where nobody answers. */
#include "base/cleanup.h"
#include "capture/capture.h"
#include "fuzz.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_isolated;

/* Before main(): a process with threads, as libFuzzer's is later, cannot enter a user namespace. */
__attribute__((constructor)) static void isolate(void)
{
    is_isolated = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static int memory_file(const char **path, char text[40])
{
    int fd = memfd_create("fuzz", 0);

    FUZZ_PROMISE(fd >= 0);
    snprintf(text, 40, "/proc/self/fd/%d", fd);
    *path = text;
    return fd;
}

/* Copies from `in` to `out`, which has one link type; returns how many packets that were. */
static uint64_t copy_all(const char *in, const char *out)
{
    struct error error = {0};
    struct capture *capture;
    struct capture_writer *writer;
    struct capture_packet packet;
    struct segment segment;
    uint64_t count = 0, last = 0;
    int rc;

    if (capture_open_file(&capture, in, &error) < 0) {
        FUZZ_PROMISE(*error.text);
        return 0;
    }
    FUZZ_PROMISE(capture_writer_open(&writer, out, capture_link(capture), NULL) == 0);
    while ((rc = capture_next(capture, &packet, &error)) == 1) {
        FUZZ_PROMISE(packet.number > last && packet.captured_len <= packet.wire_len);
        last = packet.number;
        packet_decode(&segment, packet.link, packet.bytes, packet.captured_len, packet.wire_len);
        if (packet.link != capture_link(capture))
            continue;
        FUZZ_PROMISE(capture_writer_add(writer, &packet, NULL) == 0);
        count++;
    }
    if (rc < 0)
        FUZZ_PROMISE(*error.text && capture_next(capture, &packet, NULL) == rc);
    capture_close(capture);
    FUZZ_PROMISE(capture_writer_close(writer, NULL) == 0);
    return count;
}

/* The file twice, as one. */
static void merge(const char *path)
{
    const char *paths[] = {path, path};
    struct error error = {0};
    struct capture *capture;
    struct capture_packet packet;
    uint64_t counts[2] = {0};
    int rc;

    if (capture_open_files(&capture, paths, 2, &error) < 0) {
        FUZZ_PROMISE(*error.text);
        return;
    }
    while ((rc = capture_next(capture, &packet, &error)) == 1)
        counts[packet.file]++;
    FUZZ_PROMISE(counts[0] == counts[1]);
    if (rc < 0)
        FUZZ_PROMISE(*error.text && capture_next(capture, &packet, NULL) == rc);
    capture_close(capture);
}

static void fuzz_file(const uint8_t *data, size_t size)
{
    char texts[3][40];
    const char *paths[3];
    int fds[3];

    for (int i = 0; i < 3; i++)
        fds[i] = memory_file(&paths[i], texts[i]);
    FUZZ_PROMISE(write(fds[0], data, size) == (ssize_t)size);
    uint64_t count = copy_all(paths[0], paths[1]);
    if (count)
        FUZZ_PROMISE(copy_all(paths[1], paths[2]) == count);
    merge(paths[0]);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void fuzz_filter(const uint8_t *text, size_t size)
{
    static const uint8_t frame[64] = {[12] = 8, [14] = 0x45};
    struct capture_filter *filter;
    struct error error = {0};
    cleanup(mem) char *copy = strndup((const char *)text, size);

    FUZZ_PROMISE(copy != NULL);
    if (capture_filter_compile(&filter, PACKET_LINK_ETHERNET, copy, &error) == 0) {
        capture_filter_matches(filter, frame, sizeof frame, 1500);
        capture_filter_free(filter);
    } else {
        FUZZ_PROMISE(*error.text && strlen(error.text) < sizeof error.text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char prefix[] = "filter:";

    if (size < sizeof prefix - 1 || memcmp(data, prefix, sizeof prefix - 1)) {
        fuzz_file(data, size);
    } else if (is_isolated) {
        fuzz_filter(data + sizeof prefix - 1, size - (sizeof prefix - 1));
    }
    return 0;
}
