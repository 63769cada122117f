/* What the files of this room share. */
#ifndef CAPTURE_INTERNAL_H
#define CAPTURE_INTERNAL_H

#include "capture/capture.h"
#include <pcap/pcap.h>
#include <stdio.h>

/* More than any frame: libpcap's own limit. */
#define CAPTURE_SNAP_MAX 262144

struct capture {
    pcap_t *pcap;
    FILE *file; /* libpcap's, once it is open; NULL: live */
    enum packet_link link;
    char device[32];
    uint64_t number;
    uint64_t offset;            /* of the next record, while counts_bytes */
    bool counts_bytes;          /* pcap, whose records have a known size; not pcapng */
    struct bpf_program program; /* of a file's filter */
    bool has_program;
    struct error failure;                       /* set: the file is damaged from here on */
    uint64_t received, dropped, device_dropped; /* wide counters over libpcap's 32 bits */
    struct pcap_stat last_stats;
};

/* libpcap's link type for ours. */
int link_to_dlt(enum packet_link link);
/* Ours for libpcap's; -EOPNOTSUPP with its name. */
int link_from_dlt(enum packet_link *out, int dlt, struct error *error);
/* The number that stands in a file's header for our link type (differs from the DLT for some). */
uint32_t link_to_file(enum packet_link link);

/* Compiles for the link type and device of `pcap`; *out is freed with pcap_freecode(). */
int filter_compile(struct bpf_program *out, pcap_t *pcap, const char *text, struct error *error);

/* Appends to `error` two lines: the expression, and a caret under what `message` (libpcap's, about
 * `text`) complains of, if that can be found out. */
void caret_add(struct error *error, pcap_t *pcap, const char *text, const char *message);

#endif
