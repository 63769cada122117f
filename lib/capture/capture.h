/* Packets from and to the world: devices, capture files, filters.
 *
 * The only room that knows libpcap, by which it captures and filters; files it reads itself. Times
 * become CLOCK_REALTIME nanoseconds (int64_t) here, link types become enum packet_link, and
 * libpcap's words are passed on in struct error.
 *
 * A handle belongs to one thread at a time and survives fork() only as memory: use it on one side.
 * capture_open_live() works in the calling thread's network namespace; the handle stays there. */
#ifndef CAPTURE_CAPTURE_H
#define CAPTURE_CAPTURE_H

#include "netkit/error.h"
#include "packet/packet.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture;

/* A packet, valid until the next call on its capture. */
struct capture_packet {
    const uint8_t *bytes;
    uint32_t captured_len; /* bytes that are there */
    uint32_t wire_len;     /* bytes that the frame had; never below captured_len */
    int64_t real_ns;       /* CLOCK_NONE when a file's stamp makes no sense */
    enum packet_link link;
    uint64_t number; /* 1 for the first of this capture */
    uint32_t file;   /* of several files: its place in the list that they were opened by, from 0 */
    uint64_t file_number; /* 1 for the first of its file; of one file, the same as `number` */
};

enum capture_direction {
    CAPTURE_IN_AND_OUT,
    CAPTURE_IN,  /* only what arrives at the device; what is injected does not come back */
    CAPTURE_OUT, /* only what leaves */
};

struct capture_live {
    const char *device;  /* a name, or "any" */
    const char *filter;  /* NULL or "": everything */
    uint32_t snap_len;   /* bytes kept of a frame; 0: all (262144) */
    uint32_t ring_bytes; /* 0: 2 MiB. A slot of the ring takes the device's MTU (64 KiB while
                            offloads are on), or the snap length if that is smaller */
    enum capture_direction direction;
    bool promiscuous;
};

/* Opens a device: immediate (each packet is readable when it arrives), non-blocking, nanosecond
 * stamps of the kernel. Only packets from after the call are seen.
 * -EPERM: no right to (the text gives the remedy), -ENODEV (the text lists the devices),
 * -ENETDOWN, -EINVAL (filter), -EOPNOTSUPP (a link type that netkit cannot read). */
int capture_open_live(struct capture **out, const struct capture_live *live, struct error *error);

/* Opens a capture file; "-" is standard input. Read without libpcap: pcap in micro- or nanoseconds
 * and either order of bytes (with the longer records of the "modified" format), and pcapng with any
 * number of sections and interfaces, whose packets each have their interface's link type; those of
 * an interface that netkit cannot read count, and are not given out. Compressed by gzip, zstd or
 * lz4, which the content tells. Memory is bounded whatever the file claims.
 * -EBADMSG: not a capture file. -EOPNOTSUPP: a link type or compression that netkit cannot read. */
int capture_open_file(struct capture **out, const char *path, struct error *error);

/* Opens several files as one capture in order of time, whatever the order of their names; the order
 * within a file is kept. Files that do not overlap are opened one after another: a thousand rotated
 * files need few descriptors. Each is looked into at once, so that one which cannot be read is an
 * error here, which names it; of one that is damaged further on, the others are read to their end
 * before capture_next() returns the error. */
int capture_open_files(struct capture **out, const char *const *paths, size_t count,
                       struct error *error);

/* How much of the files was read, as they are on disk. */
struct capture_progress {
    uint64_t bytes_read;
    uint64_t bytes_total; /* 0: not known (a pipe, a live capture) */
};

void capture_get_progress(const struct capture *capture, struct capture_progress *out);

/* Keeps only what matches from now on. NULL or "": everything. Of files with several link types, an
 * expression must be one for the first (capture_link()), and matches nothing of those that it is
 * none for. Packets keep their numbers. */
int capture_set_filter(struct capture *capture, const char *filter, struct error *error);

/* The next packet: 1 and *out, or 0: none now (live), end of file (file), or a negative errno.
 * -EBADMSG: the file is damaged or truncated here; the text says at which packet and byte (of
 * several files, in which). What was read before stays good; the same error is returned from then
 * on. -EINTR: a signal interrupted reading a file, which ends it like damage. -ENETDOWN: the device
 * was removed; one that is only down is silent until it is up again. */
int capture_next(struct capture *capture, struct capture_packet *out, struct error *error);

/* Readable when capture_next() has something; -1 for files. The capture keeps it. */
int capture_fd(const struct capture *capture);

enum packet_link capture_link(const struct capture *capture);

/* Sends a frame as it is, through the device of a live capture. 0, or -EMSGSIZE, -ENOBUFS (try
 * later), -ENETDOWN, -EINVAL (a file). When it returns 0 on a veth end, the peer's kernel has
 * already received the frame. */
int capture_inject(struct capture *capture, const void *bytes, size_t len, struct error *error);

struct capture_stats {
    uint64_t received;       /* packets that passed the filter and reached the ring, lost ones
                                included */
    uint64_t dropped;        /* … of which the ring had no room for */
    uint64_t device_dropped; /* lost by the device */
};

/* Since the capture was opened. -EINVAL for files, which lose nothing. */
int capture_get_stats(struct capture *capture, struct capture_stats *out, struct error *error);

/* NULL is allowed. */
void capture_close(struct capture *capture);

static inline void cleanup_capture(struct capture **capture)
{
    capture_close(*capture);
}

/* The libraries that capture files are decompressed by: the name of a format, for index 0, 1, …,
 * and its library with its version (NULL: netkit was built without it); NULL behind the last. */
const char *capture_compression(size_t index, const char **library, const char **version);

/* Filters, matched in user space: the expressions of pcap-filter(7) against frames of one link
 * type. A compiled filter is immutable and may be shared by threads. Compiling may ask the resolver
 * about host names. */
struct capture_filter;

/* -EINVAL with libpcap's message and, below it, the expression with a caret under what it did not
 * understand (where that can be told). */
int capture_filter_compile(struct capture_filter **out, enum packet_link link, const char *text,
                           struct error *error);
bool capture_filter_matches(const struct capture_filter *filter, const void *bytes,
                            uint32_t captured_len, uint32_t wire_len);
/* The filter as the kernel's instructions (struct sock_filter's layout), for another process that
 * can look no names up; they live as long as the filter. */
const void *capture_filter_program(const struct capture_filter *filter, size_t *len_bytes);
/* A copy of such a program; -EINVAL: it is none. */
int capture_filter_from_program(struct capture_filter **out, const void *program, size_t len_bytes,
                                struct error *error);
#define CAPTURE_PROGRAM_MAX (4096 * 8)
void capture_filter_free(struct capture_filter *filter); /* NULL is allowed */

static inline void cleanup_capture_filter(struct capture_filter **filter)
{
    capture_filter_free(*filter);
}

/* Capture files, written: pcap with nanosecond stamps, in this machine's byte order, which
 * Wireshark and tcpdump open. Packets are collected and written some at a time. When a write fails
 * (a full disk), the file is cut back to its last whole packet, the first error is returned by
 * every later call, and nothing more is written. */
struct capture_writer;

/* Creates or overwrites `path`; "-" is standard output. */
int capture_writer_open(struct capture_writer **out, const char *path, enum packet_link link,
                        struct error *error);
/* The link type must be the writer's (-EINVAL). A stamp outside 1970–2106 is written as 0. */
int capture_writer_add(struct capture_writer *writer, const struct capture_packet *packet,
                       struct error *error);
/* Hands what was collected to the kernel. */
int capture_writer_flush(struct capture_writer *writer, struct error *error);
/* Flushes, closes and frees; the writer is gone even when this fails. NULL is allowed (0). */
int capture_writer_close(struct capture_writer *writer, struct error *error);

/* Whether the file was not there before. */
bool capture_writer_is_new(const struct capture_writer *writer);

/* Closes it without a word of what was not flushed: a run that never began leaves what was there
 * before. NULL is allowed. */
void capture_writer_drop(struct capture_writer *writer);

static inline void cleanup_capture_writer(struct capture_writer **writer)
{
    capture_writer_close(*writer, (struct error *)0);
}

#endif
