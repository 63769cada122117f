/* What the files of this room share. */
#ifndef CAPTURE_INTERNAL_H
#define CAPTURE_INTERNAL_H

#include "capture/capture.h"
#include <pcap/pcap.h>

/* More than any frame: libpcap's own limit. */
#define CAPTURE_SNAP_MAX 262144

struct files;

struct capture {
    struct files *files; /* NULL: live */
    pcap_t *pcap;        /* of a live capture */
    enum packet_link link;
    char device[32];
    bool is_merged; /* of several files */
    uint64_t number;
    struct file_filter *filter;                 /* of files; NULL: everything */
    struct error failure;                       /* set: the files are damaged from here on */
    uint64_t received, dropped, device_dropped; /* wide counters over libpcap's 32 bits */
    struct pcap_stat last_stats;
};

/* libpcap's link type for ours. */
int link_to_dlt(enum packet_link link);
/* Ours for libpcap's; -EOPNOTSUPP with its name. */
int link_from_dlt(enum packet_link *out, int dlt, struct error *error);
/* Ours for the number in a file's header; -EOPNOTSUPP with its name. */
int link_from_file(enum packet_link *out, uint32_t number, struct error *error);
/* The number that stands in a file's header for our link type (differs from the DLT for some). */
uint32_t link_to_file(enum packet_link link);

/* Compiles for the link type and device of `pcap`; *out is freed with pcap_freecode(). */
int filter_compile(struct bpf_program *out, pcap_t *pcap, const char *text, struct error *error);

/* A filter for files, where each packet may have another link type. */
struct file_filter;
/* -EINVAL: the expression is none for frames of the link type `link`. Where it is none for others,
 * it matches none of theirs. */
int file_filter_compile(struct file_filter **out, enum packet_link link, const char *text,
                        struct error *error);
bool file_filter_matches(const struct file_filter *filter, const struct capture_packet *packet);
void file_filter_free(struct file_filter *filter); /* NULL is allowed */

/* Appends to `error` two lines: the expression, and a caret under what `message` (libpcap's, about
 * `text`) complains of, if that can be found out. */
void caret_add(struct error *error, pcap_t *pcap, const char *text, const char *message);

#endif
