#include "capture/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Far beyond what a person writes; libpcap's parser and optimizer recurse. */
#define FILTER_TEXT_MAX 8192

struct capture_filter {
    struct bpf_program program;
};

int filter_compile(struct bpf_program *out, pcap_t *pcap, const char *text, struct error *error)
{
    char message[PCAP_ERRBUF_SIZE];

    if (strlen(text) > FILTER_TEXT_MAX)
        return error_set(error, EINVAL, "the filter is longer than %d bytes", FILTER_TEXT_MAX);
    if (pcap_compile(pcap, out, text, 1, PCAP_NETMASK_UNKNOWN) == 0)
        return 0;
    snprintf(message, sizeof message, "%s", pcap_geterr(pcap));
    error_set(error, EINVAL, "bad filter: %s", message);
    if (error)
        caret_add(error, pcap, text, message);
    return -EINVAL;
}

int capture_filter_compile(struct capture_filter **out, enum packet_link link, const char *text,
                           struct error *error)
{
    struct capture_filter *filter = malloc(sizeof *filter);
    pcap_t *dead = pcap_open_dead_with_tstamp_precision(link_to_dlt(link), CAPTURE_SNAP_MAX,
                                                        PCAP_TSTAMP_PRECISION_NANO);
    int rc = filter && dead ? filter_compile(&filter->program, dead, text, error)
                            : error_sys(error, ENOMEM, "cannot compile a filter");

    if (dead)
        pcap_close(dead);
    if (rc < 0) {
        free(filter);
        return rc;
    }
    *out = filter;
    return 0;
}

bool capture_filter_matches(const struct capture_filter *filter, const void *bytes,
                            uint32_t captured_len, uint32_t wire_len)
{
    struct pcap_pkthdr header = {.caplen = captured_len, .len = wire_len};

    return pcap_offline_filter(&filter->program, &header, bytes) != 0;
}

const void *capture_filter_program(const struct capture_filter *filter, size_t *len_bytes)
{
    *len_bytes = filter->program.bf_len * sizeof *filter->program.bf_insns;
    return filter->program.bf_insns;
}

int capture_filter_from_program(struct capture_filter **out, const void *program, size_t len_bytes,
                                struct error *error)
{
    struct capture_filter *filter = calloc(1, sizeof *filter);
    struct bpf_insn *copy = malloc(len_bytes ? len_bytes : 1);
    size_t count = len_bytes / sizeof *copy;

    if (!filter || !copy) {
        free(filter);
        free(copy);
        return error_sys(error, ENOMEM, "a filter");
    }
    memcpy(copy, program, len_bytes);
    filter->program = (struct bpf_program){.bf_len = (unsigned)count, .bf_insns = copy};
    if (len_bytes > CAPTURE_PROGRAM_MAX || len_bytes % sizeof *copy ||
        !bpf_validate(copy, (int)count)) {
        capture_filter_free(filter);
        return error_set(error, EINVAL, "not a filter's program");
    }
    *out = filter;
    return 0;
}

void capture_filter_free(struct capture_filter *filter)
{
    if (!filter)
        return;
    pcap_freecode(&filter->program);
    free(filter);
}

/* --- files --- */

#define LINK_COUNT (PACKET_LINK_LAST + 1)

struct file_filter {
    struct capture_filter *of[LINK_COUNT]; /* NULL: it says nothing of such frames */
};

int file_filter_compile(struct file_filter **out, enum packet_link link, const char *text,
                        struct error *error)
{
    struct file_filter *made = calloc(1, sizeof *made);

    if (!made)
        return error_sys(error, ENOMEM, "cannot compile a filter");
    int rc = capture_filter_compile(&made->of[link], link, text, error);
    /* Now, while names may be looked up. */
    for (int i = 0; rc == 0 && i < LINK_COUNT; i++)
        if (!made->of[i])
            capture_filter_compile(&made->of[i], (enum packet_link)i, text, NULL);
    if (rc < 0) {
        free(made);
        return rc;
    }
    *out = made;
    return 0;
}

bool file_filter_matches(const struct file_filter *filter, const struct capture_packet *packet)
{
    const struct capture_filter *of = filter->of[packet->link];

    return of && capture_filter_matches(of, packet->bytes, packet->captured_len, packet->wire_len);
}

void file_filter_free(struct file_filter *filter)
{
    if (!filter)
        return;
    for (int i = 0; i < LINK_COUNT; i++)
        capture_filter_free(filter->of[i]);
    free(filter);
}
