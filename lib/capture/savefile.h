/* One capture file, read in its own order: pcap and pcapng. Internal to this room. */
#ifndef CAPTURE_SAVEFILE_H
#define CAPTURE_SAVEFILE_H

#include "capture/internal.h"
#include "capture/stream.h"
#include <string.h>

/* An interface of a pcapng section. */
struct savefile_interface {
    enum packet_link link;
    uint16_t link_number; /* as in the file */
    bool readable;        /* netkit knows its link type */
    uint32_t snap_len;
    int64_t offset_ns;
    uint64_t ticks;     /* in a second; 0: two to the power of `shift` */
    uint32_t ns_a_tick; /* where that is a whole number, else 0 */
    uint8_t shift;
};

struct savefile {
    struct stream stream;
    const char *path; /* the caller's, as it is named in errors */
    int (*next)(struct savefile *file, struct capture_packet *out);
    enum packet_link link; /* of pcap; of pcapng's first interface that netkit can read */
    bool swapped;          /* the other order of bytes than this machine's */
    uint64_t number;       /* packets so far */
    struct error failure;  /* set: damaged from here on */

    /* pcap */
    size_t header_len; /* of a record */
    uint32_t ns_a_tick;
    enum { LENGTHS_IN_ORDER, LENGTHS_SWAPPED, LENGTHS_MAYBE_SWAPPED } lengths;

    /* pcapng */
    struct savefile_interface *interfaces;
    size_t interface_count, interface_room;
    uint64_t block_rest; /* of the packet's block, which the next call passes over */
};

/* `path` must stay. Errors as of capture_open_file(). */
int savefile_open(struct savefile *out, const char *path, size_t buffer_bytes, struct error *error);
void savefile_close(struct savefile *file);

/* As capture_next(), but for `file` and filters; file->failure has the text. */
static inline int savefile_next(struct savefile *file, struct capture_packet *out)
{
    return file->next(file, out);
}

/* Ends the file: notes what is wrong with the record at `offset`, or what the stream ended by if it
 * failed there. Returns the negative errno. */
__attribute__((format(printf, 3, 4))) int savefile_damaged(struct savefile *file, uint64_t offset,
                                                           const char *format, ...);

/* The formats; both expect what their magic number is at the stream's start. */
int pcap_begin(struct savefile *file, struct error *error);
int pcapng_begin(struct savefile *file, struct error *error);

/* Whether the stream starts with a magic number of theirs; it has four bytes. */
bool pcap_is_magic(const uint8_t *start);
bool pcapng_is_magic(const uint8_t *start);

static inline uint16_t savefile_u16(const struct savefile *file, const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return file->swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t savefile_u32(const struct savefile *file, const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return file->swapped ? __builtin_bswap32(value) : value;
}

#endif
