/* pcap (draft-ietf-opsawg-pcap), and what went by that name before: the "modified" format of Alexey
 * Kuznetsov's patched libpcap, whose records have a longer header, and files of before version 2.4,
 * where the two lengths of a record are in the other order. */
#include "base/clock.h"
#include "capture/savefile.h"

#include <errno.h>
#include <string.h>

#define MAGIC_MICRO     0xa1b2c3d4u
#define MAGIC_NANO      0xa1b23c4du
#define MAGIC_KUZNETSOV 0xa1b2cd34u

#define FILE_HEADER_LEN 24

static bool is_magic(uint32_t magic)
{
    return magic == MAGIC_MICRO || magic == MAGIC_NANO || magic == MAGIC_KUZNETSOV;
}

bool pcap_is_magic(const uint8_t *start)
{
    uint32_t magic;

    memcpy(&magic, start, sizeof magic);
    return is_magic(magic) || is_magic(__builtin_bswap32(magic));
}

/* The record at the stream's start is not whole. */
static int record_cut(struct savefile *file, uint32_t captured)
{
    size_t left = stream_left(&file->stream);
    uint64_t offset = stream_offset(&file->stream);

    if (left < file->header_len)
        return savefile_damaged(file, offset, "the file ends within the packet's header");
    return savefile_damaged(
        file, offset, "the file ends within this packet: %u bytes were captured, %zu are left",
        captured, left - file->header_len);
}

static inline void read_lengths(const struct savefile *file, const uint8_t *header,
                                uint32_t *captured, uint32_t *wire)
{
    *captured = savefile_u32(file, header + 8);
    *wire = savefile_u32(file, header + 12);
    if (file->lengths == LENGTHS_IN_ORDER)
        return;
    if (file->lengths == LENGTHS_SWAPPED || *captured > *wire) {
        uint32_t other = *captured;
        *captured = *wire;
        *wire = other;
    }
}

static int pcap_next_record(struct savefile *file, struct capture_packet *out)
{
    struct stream *stream = &file->stream;
    uint32_t captured, wire;

    if (file->failure.code)
        return -file->failure.code;
    if (!stream_need(stream, file->header_len))
        return stream_left(stream) || stream->failure.code ? record_cut(file, 0) : 0;
    read_lengths(file, stream->at, &captured, &wire);
    if (captured > CAPTURE_SNAP_MAX)
        return savefile_damaged(file, stream_offset(stream),
                                "no packet has %u bytes; what follows cannot be read", captured);
    if (!stream_need(stream, file->header_len + captured))
        return record_cut(file, captured);

    uint32_t fraction = savefile_u32(file, stream->at + 4);
    int64_t second_ns = (int64_t)savefile_u32(file, stream->at) * NS_PER_SEC;
    int64_t rest_ns = (int64_t)fraction * file->ns_a_tick;
    *out = (struct capture_packet){
        .bytes = stream->at + file->header_len,
        .captured_len = captured,
        .wire_len = wire > captured ? wire : captured,
        .real_ns = rest_ns < NS_PER_SEC ? second_ns + rest_ns : CLOCK_NONE,
        .link = file->link,
        .file_number = ++file->number,
    };
    stream_advance(stream, file->header_len + captured);
    return 1;
}

int pcap_begin(struct savefile *file, struct error *error)
{
    struct stream *stream = &file->stream;
    uint32_t magic;

    if (!stream_need(stream, FILE_HEADER_LEN))
        return error_set(error, EBADMSG, "it is cut off in its header");
    memcpy(&magic, stream->at, sizeof magic);
    file->swapped = !is_magic(magic);
    magic = savefile_u32(file, stream->at);
    uint16_t major = savefile_u16(file, stream->at + 4), minor = savefile_u16(file, stream->at + 6);
    if (major != 2 && major != 543) /* 543 was DG/UX's own */
        return error_set(error, EBADMSG, "no version %u.%u of pcap is known", major, minor);
    if (major == 543 || minor < 3)
        file->lengths = LENGTHS_SWAPPED;
    else if (minor == 3)
        file->lengths = LENGTHS_MAYBE_SWAPPED;
    file->next = pcap_next_record;
    file->header_len = magic == MAGIC_KUZNETSOV ? 24 : 16;
    file->ns_a_tick = magic == MAGIC_NANO ? 1 : 1000;
    /* Above the link type are bits that tell of Ethernet's checksum; IP's length leaves that out.
     */
    int rc = link_from_file(&file->link, savefile_u32(file, stream->at + 20) & 0xffff, error);
    stream_advance(stream, FILE_HEADER_LEN);
    return rc;
}
