/* Records are collected in memory and written whole. libpcap's own writer goes through stdio, which
 * can't say how much of what it was given has reached the file; here a failed write is followed by
 * a walk over the collected records, so that the file can be cut after the last whole one.
 *
 * Format: draft-ietf-opsawg-pcap, with the magic number for nanoseconds. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/outfile.h"
#include "capture/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COLLECT_BYTES (256 * 1024)
#define MAGIC_NANO    0xa1b23c4du

struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy;
    uint32_t snap_len;
    uint32_t link;
};

struct record_header {
    uint32_t sec, nsec;
    uint32_t captured_len, wire_len;
};

struct capture_writer {
    int fd;
    bool owns_fd;
    bool created;    /* it was not there before */
    bool begun;      /* what was in it before is gone */
    bool is_regular; /* can be cut back */
    enum packet_link link;
    off_t start;    /* where in the file this capture begins (standard output may be appended to) */
    uint64_t whole; /* bytes written, all of them whole records */
    struct buf pending;
    struct error failure;
    char path[PATH_MAX];
};

static int sticky(const struct capture_writer *writer, struct error *error)
{
    if (writer->failure.code && error)
        *error = writer->failure;
    return -writer->failure.code;
}

/* How many of the first `written` bytes that were pending are whole records. The header is one. */
static size_t whole_records(const struct capture_writer *writer, size_t written)
{
    size_t at = writer->whole ? 0 : sizeof(struct file_header);

    if (at > written)
        return 0;
    while (written - at >= sizeof(struct record_header)) {
        struct record_header record;
        memcpy(&record, writer->pending.data + at, sizeof record);
        if (record.captured_len > written - at - sizeof record)
            break;
        at += sizeof record + record.captured_len;
    }
    return at;
}

static int write_failed(struct capture_writer *writer, int code, size_t written,
                        struct error *error)
{
    writer->whole += whole_records(writer, written);
    if (writer->is_regular && ftruncate(writer->fd, writer->start + (off_t)writer->whole) == 0)
        lseek(writer->fd, 0, SEEK_END);
    error_sys(&writer->failure, code, "cannot write %s after %llu bytes", writer->path,
              (unsigned long long)writer->whole);
    buf_reset(&writer->pending);
    return sticky(writer, error);
}

int capture_writer_flush(struct capture_writer *writer, struct error *error)
{
    size_t written = 0;

    if (writer->failure.code)
        return sticky(writer, error);
    if (writer->owns_fd && !writer->begun && outfile_begin(writer->fd))
        return write_failed(writer, errno, 0, error);
    writer->begun = true;
    while (written < writer->pending.len_bytes) {
        ssize_t n =
            write(writer->fd, writer->pending.data + written, writer->pending.len_bytes - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return write_failed(writer, n < 0 ? errno : EIO, written, error);
        written += (size_t)n;
    }
    writer->whole += written;
    buf_reset(&writer->pending);
    return 0;
}

/* Packets are the user's own business, as with dumpcap. */
static int open_fd(struct capture_writer *writer, const char *path, struct error *error)
{
    struct stat info;

    writer->owns_fd = strcmp(path, "-") != 0;
    writer->fd =
        writer->owns_fd ? outfile_open_growing(path, 0600, &writer->created, error) : STDOUT_FILENO;
    if (writer->fd < 0)
        return writer->fd;
    writer->is_regular = fstat(writer->fd, &info) == 0 && S_ISREG(info.st_mode);
    if (writer->is_regular && !writer->owns_fd) {
        writer->start = lseek(writer->fd, 0, SEEK_CUR);
        if (writer->start < 0)
            writer->is_regular = false;
    }
    snprintf(writer->path, sizeof writer->path, "%s", writer->owns_fd ? path : "standard output");
    return 0;
}

int capture_writer_open(struct capture_writer **out, const char *path, enum packet_link link,
                        struct error *error)
{
    struct file_header header = {.magic = MAGIC_NANO,
                                 .major = 2,
                                 .minor = 4,
                                 .snap_len = CAPTURE_SNAP_MAX,
                                 .link = link_to_file(link)};
    struct capture_writer *writer = calloc(1, sizeof *writer);

    if (!writer)
        return error_sys(error, ENOMEM, "cannot create %s", path);
    writer->link = link;
    int rc = open_fd(writer, path, error);
    if (rc < 0) {
        free(writer);
        return rc;
    }
    buf_add(&writer->pending, &header, sizeof header);
    *out = writer;
    return 0;
}

int capture_writer_add(struct capture_writer *writer, const struct capture_packet *packet,
                       struct error *error)
{
    struct record_header record = {.captured_len = packet->captured_len,
                                   .wire_len = packet->wire_len};

    if (writer->failure.code)
        return sticky(writer, error);
    if (packet->link != writer->link || packet->captured_len > CAPTURE_SNAP_MAX)
        return error_set(error, EINVAL, "this packet does not belong in %s", writer->path);
    if (packet->real_ns >= 0 && packet->real_ns / NS_PER_SEC <= UINT32_MAX) {
        record.sec = (uint32_t)(packet->real_ns / NS_PER_SEC);
        record.nsec = (uint32_t)(packet->real_ns % NS_PER_SEC);
    }
    buf_add(&writer->pending, &record, sizeof record);
    buf_add(&writer->pending, packet->bytes, packet->captured_len);
    if (writer->pending.failed)
        return write_failed(writer, ENOMEM, 0, error);
    return writer->pending.len_bytes < COLLECT_BYTES ? 0 : capture_writer_flush(writer, error);
}

int capture_writer_close(struct capture_writer *writer, struct error *error)
{
    if (!writer)
        return 0;
    int rc = capture_writer_flush(writer, error);
    /* Network file systems report a full disk only here. */
    if (writer->owns_fd && close(writer->fd) != 0 && rc == 0)
        rc = error_sys(error, errno, "cannot write %s", writer->path);
    buf_free(&writer->pending);
    free(writer);
    return rc;
}

bool capture_writer_is_new(const struct capture_writer *writer)
{
    return writer->created;
}

void capture_writer_drop(struct capture_writer *writer)
{
    if (!writer)
        return;
    if (writer->created && !writer->begun)
        unlink(writer->path);
    if (writer->owns_fd)
        close(writer->fd);
    buf_free(&writer->pending);
    free(writer);
}
