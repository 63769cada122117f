/* pcapng (draft-ietf-opsawg-pcapng): blocks, each with its length before and behind it. Sections
 * have their own order of bytes and interfaces; each interface has its own link type and clock.
 * Blocks of packets and interfaces are read, all others and all options but two passed over. */
#include "base/clock.h"
#include "capture/savefile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2, /* obsolete */
    BLOCK_SIMPLE_PACKET = 3,
    BLOCK_ENHANCED_PACKET = 6,
    BLOCK_SECTION = 0x0a0d0d0a, /* the same in either order */
};

enum {
    OPTION_END = 0,
    OPTION_TIME_RESOLUTION = 9,
    OPTION_TIME_OFFSET = 14,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define INTERFACES_MAX   65536 /* of a section; more are damage */

bool pcapng_is_magic(const uint8_t *start)
{
    return !memcmp(start, "\x0a\x0d\x0d\x0a", 4);
}

/* --- blocks --- */

static int block_cut(struct savefile *file, uint64_t offset)
{
    return savefile_damaged(file, offset, "the file ends within a block");
}

/* Passes over `rest` bytes of a block, its end included, and compares the length there. */
static int block_leave(struct savefile *file, uint64_t offset, uint32_t len, uint32_t rest)
{
    if (!stream_skip(&file->stream, rest - 4) || !stream_need(&file->stream, 4))
        return block_cut(file, offset);
    uint32_t again = savefile_u32(file, file->stream.at);
    if (again != len)
        return savefile_damaged(file, offset, "a block of %u bytes has the length %u at its end",
                                len, again);
    stream_advance(&file->stream, 4);
    return 0;
}

/* --- sections and interfaces --- */

static int read_section(struct savefile *file, uint64_t offset)
{
    const uint8_t *at = file->stream.at;

    if (savefile_u32(file, at + 8) != BYTE_ORDER_MAGIC)
        return savefile_damaged(file, offset, "a section has no order of bytes");
    if (savefile_u16(file, at + 12) != 1)
        return savefile_damaged(file, offset, "no version %u of pcapng is known",
                                savefile_u16(file, at + 12));
    file->interface_count = 0;
    return 0;
}

static void set_resolution(struct savefile_interface *interface, uint8_t value)
{
    interface->ticks = 0;
    interface->ns_a_tick = 0;
    interface->shift = value & 0x7f;
    if (value & 0x80)
        return;
    /* A power of ten that 64 bits cannot hold makes each stamp the start of time. */
    interface->ticks = value > 19 ? UINT64_MAX : 1;
    for (int i = 0; i < value && value <= 19; i++)
        interface->ticks *= 10;
    if (value <= 9)
        interface->ns_a_tick = (uint32_t)((uint64_t)NS_PER_SEC / interface->ticks);
}

/* `end` is within what is there. */
static void read_interface_options(struct savefile *file, struct savefile_interface *interface,
                                   const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 4) {
        uint16_t code = savefile_u16(file, at), len = savefile_u16(file, at + 2);
        at += 4;
        if (code == OPTION_END || len > end - at)
            return;
        if (code == OPTION_TIME_RESOLUTION && len >= 1)
            set_resolution(interface, at[0]);
        if (code == OPTION_TIME_OFFSET && len >= 8) {
            uint64_t first = savefile_u32(file, at), second = savefile_u32(file, at + 4);
            bool is_low_first = file->swapped != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
            int64_t seconds = (int64_t)(is_low_first ? second << 32 | first : first << 32 | second);
            if (__builtin_mul_overflow(seconds, NS_PER_SEC, &interface->offset_ns))
                interface->offset_ns = CLOCK_NONE;
        }
        size_t padded = (len + 3u) & ~3u;
        at += padded < (size_t)(end - at) ? padded : (size_t)(end - at);
    }
}

static int add_interface(struct savefile *file, const struct savefile_interface *interface)
{
    if (file->interface_count == file->interface_room) {
        size_t room = file->interface_room ? file->interface_room * 2 : 4;
        struct savefile_interface *larger = realloc(file->interfaces, room * sizeof *larger);
        if (!larger)
            return error_sys(&file->failure, ENOMEM, "cannot read %s", file->path);
        file->interfaces = larger;
        file->interface_room = room;
    }
    file->interfaces[file->interface_count++] = *interface;
    return 0;
}

static int read_interface(struct savefile *file, uint64_t offset, uint32_t len)
{
    const uint8_t *at = file->stream.at;
    struct savefile_interface interface = {.link_number = savefile_u16(file, at + 8),
                                           .snap_len = savefile_u32(file, at + 12)};
    size_t there = len < STREAM_NEED_MAX ? len : STREAM_NEED_MAX;

    if (file->interface_count == INTERFACES_MAX)
        return savefile_damaged(file, offset, "there are more than %d interfaces", INTERFACES_MAX);
    interface.readable = link_from_file(&interface.link, interface.link_number, NULL) == 0;
    set_resolution(&interface, 6);
    if (there >= 20)
        read_interface_options(file, &interface, at + 16, at + there - 4);
    return add_interface(file, &interface);
}

/* --- packets --- */

static int64_t stamp_of(const struct savefile_interface *interface, uint32_t high, uint32_t low)
{
    uint64_t stamp = (uint64_t)high << 32 | low;
    int64_t ns;

    if (interface->ns_a_tick) {
        if (__builtin_mul_overflow(stamp, (uint64_t)interface->ns_a_tick, &ns))
            return CLOCK_NONE;
    } else if (interface->ticks) {
        /* Finer than a nanosecond. */
        ns = (int64_t)(stamp / (interface->ticks / (uint64_t)NS_PER_SEC));
    } else {
        uint8_t shift = interface->shift < 64 ? interface->shift : 63;
        uint64_t seconds = stamp >> shift, part = stamp - (seconds << shift);
        if (shift > 32) {
            part >>= shift - 32;
            shift = 32;
        }
        if (__builtin_mul_overflow(seconds, (uint64_t)NS_PER_SEC, &ns))
            return CLOCK_NONE;
        part = part * (uint64_t)NS_PER_SEC >> shift;
        if (__builtin_add_overflow(ns, (int64_t)part, &ns))
            return CLOCK_NONE;
    }
    if (interface->offset_ns == CLOCK_NONE || __builtin_add_overflow(ns, interface->offset_ns, &ns))
        return CLOCK_NONE;
    return ns;
}

/* What the three kinds of packet blocks say. */
struct packet_block {
    uint32_t interface;
    uint32_t captured, wire;
    size_t data; /* where the bytes start */
    bool has_stamp;
    uint32_t stamp_high, stamp_low;
};

/* The block is so long that its fixed part is there. */
static struct packet_block read_packet_block(const struct savefile *file, uint32_t type,
                                             uint32_t len)
{
    const uint8_t *at = file->stream.at;

    if (type == BLOCK_SIMPLE_PACKET) {
        struct packet_block block = {.wire = savefile_u32(file, at + 8), .data = 12};
        block.captured = block.wire;
        if (file->interface_count && file->interfaces[0].snap_len &&
            block.captured > file->interfaces[0].snap_len)
            block.captured = file->interfaces[0].snap_len;
        if (block.captured > len - 16)
            block.captured = len - 16;
        return block;
    }
    return (struct packet_block){
        .interface = type == BLOCK_PACKET ? savefile_u16(file, at + 8) : savefile_u32(file, at + 8),
        .captured = savefile_u32(file, at + 20),
        .wire = savefile_u32(file, at + 24),
        .data = 28,
        .has_stamp = true,
        .stamp_high = savefile_u32(file, at + 12),
        .stamp_low = savefile_u32(file, at + 16),
    };
}

/* 1 and a packet, 0: one of an interface that netkit cannot read, or a negative errno. */
static int read_packet(struct savefile *file, struct capture_packet *out, uint64_t offset,
                       uint32_t type, uint32_t len)
{
    struct packet_block block = read_packet_block(file, type, len);

    if (block.captured > CAPTURE_SNAP_MAX || block.captured > len - block.data - 4)
        return savefile_damaged(file, offset, "a packet of %u bytes in a block of %u",
                                block.captured, len);
    if (block.interface >= file->interface_count)
        return savefile_damaged(file, offset, "no interface has the number %u", block.interface);
    const struct savefile_interface *interface = &file->interfaces[block.interface];
    file->number++;
    if (!interface->readable)
        return 0;
    *out = (struct capture_packet){
        .bytes = file->stream.at + block.data,
        .captured_len = block.captured,
        .wire_len = block.wire > block.captured ? block.wire : block.captured,
        .real_ns =
            block.has_stamp ? stamp_of(interface, block.stamp_high, block.stamp_low) : CLOCK_NONE,
        .link = interface->link,
        .file_number = file->number,
    };
    return 1;
}

static bool is_packet(uint32_t type)
{
    return type == BLOCK_ENHANCED_PACKET || type == BLOCK_PACKET || type == BLOCK_SIMPLE_PACKET;
}

static uint32_t least_len(uint32_t type)
{
    switch (type) {
    case BLOCK_SECTION:
        return 28;
    case BLOCK_INTERFACE:
        return 20;
    case BLOCK_SIMPLE_PACKET:
        return 16;
    case BLOCK_PACKET:
    case BLOCK_ENHANCED_PACKET:
        return 32;
    default: /* a number from the file, not an enum */
        return 12;
    }
}

/* The type and length of the block at the stream's start; 1, 0 at the end, or a negative errno. */
static int read_block_header(struct savefile *file, uint64_t offset, uint32_t *type, uint32_t *len)
{
    struct stream *stream = &file->stream;
    uint32_t magic = 0;

    if (!stream_need(stream, 12))
        return stream_left(stream) || stream->failure.code ? block_cut(file, offset) : 0;
    *type = savefile_u32(file, stream->at);
    /* A section's length is in its own order already. */
    memcpy(&magic, stream->at + 8, sizeof magic);
    if (*type == BLOCK_SECTION)
        file->swapped = magic != BYTE_ORDER_MAGIC;
    *len = savefile_u32(file, stream->at + 4);
    if (*len < least_len(*type) || *len % 4)
        return savefile_damaged(file, offset,
                                "no block is %u bytes long; what follows cannot be "
                                "read",
                                *len);
    return 1;
}

static int read_block(struct savefile *file, struct capture_packet *out, uint64_t offset,
                      uint32_t type, uint32_t len)
{
    if (type == BLOCK_SECTION)
        return read_section(file, offset);
    if (type == BLOCK_INTERFACE)
        return read_interface(file, offset, len);
    return read_packet(file, out, offset, type, len);
}

/* Reads the next block. 1 and a packet, 0: no packet, or a negative errno. *end: the file ended. */
static int next_block(struct savefile *file, struct capture_packet *out, bool *end)
{
    struct stream *stream = &file->stream;
    uint64_t offset = stream_offset(stream);
    uint32_t type = 0, len = 0;
    int rc = read_block_header(file, offset, &type, &len);

    *end = rc == 0;
    if (rc <= 0)
        return rc;
    if (!is_packet(type) && type != BLOCK_SECTION && type != BLOCK_INTERFACE)
        return block_leave(file, offset, len, len);
    /* Of a block that is longer, the beginning has all that matters. */
    uint32_t there = len < STREAM_NEED_MAX ? len : STREAM_NEED_MAX;
    if (!stream_need(stream, there))
        return block_cut(file, offset);
    uint32_t again = savefile_u32(file, stream->at + there - 4);
    if (there == len && again != len)
        return savefile_damaged(file, offset, "a block of %u bytes has the length %u at its end",
                                len, again);
    rc = read_block(file, out, offset, type, len);
    if (rc < 0)
        return rc;
    stream_advance(stream, there);
    file->block_rest = len - there;
    return rc;
}

static bool pass_rest(struct savefile *file)
{
    uint64_t rest = file->block_rest;

    file->block_rest = 0;
    return stream_skip(&file->stream, rest);
}

static int pcapng_next_packet(struct savefile *file, struct capture_packet *out)
{
    bool end = false;
    int rc = 0;

    if (file->failure.code)
        return -file->failure.code;
    while (rc == 0 && !end) {
        if (!pass_rest(file))
            return block_cut(file, stream_offset(&file->stream));
        rc = next_block(file, out, &end);
    }
    return rc;
}

static bool is_at_packet(struct savefile *file)
{
    return stream_need(&file->stream, 4) && is_packet(savefile_u32(file, file->stream.at));
}

/* Reads on to the first interface that netkit can read: its link type is the file's. One that comes
 * only behind the first packet is too late. */
int pcapng_begin(struct savefile *file, struct error *error)
{
    struct capture_packet packet;
    bool end = false;

    file->next = pcapng_next_packet;
    while (!end && !is_at_packet(file)) {
        int rc = pass_rest(file) ? next_block(file, &packet, &end)
                                 : block_cut(file, stream_offset(&file->stream));
        if (rc < 0)
            return error_set(error, -rc, "%s", file->failure.text);
        if (!file->interface_count || !file->interfaces[file->interface_count - 1].readable)
            continue;
        file->link = file->interfaces[file->interface_count - 1].link;
        return 0;
    }
    /* A file without interfaces has no packets, or is damaged at the first. */
    return file->interface_count
               ? link_from_file(&file->link, file->interfaces[0].link_number, error)
               : 0;
}
