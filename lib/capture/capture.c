/* What live captures and files have in common: reading, filters, the end.
 *
 * A file's filter is applied here and not by libpcap, so that packets keep the number that other
 * tools show for them. */
#include "base/clock.h"
#include "capture/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t stamp(struct timeval ts)
{
    int64_t ns;

    /* The handle was opened for nanoseconds: tv_usec has those. */
    if (ts.tv_usec < 0 || ts.tv_usec >= NS_PER_SEC ||
        __builtin_mul_overflow((int64_t)ts.tv_sec, NS_PER_SEC, &ns) ||
        __builtin_add_overflow(ns, (int64_t)ts.tv_usec, &ns))
        return CLOCK_NONE;
    return ns;
}

static int next_from_files(struct capture *capture, struct capture_packet *out, struct error *error)
{
    int rc;

    if (capture->failure.code) {
        if (error)
            *error = capture->failure;
        return -capture->failure.code;
    }
    do {
        rc = files_next(capture->files, out, &capture->failure);
        if (rc < 0 && error)
            *error = capture->failure;
        if (rc != 1)
            return rc;
        /* The one file's numbers are those that other tools show for it. */
        capture->number = capture->is_merged ? capture->number + 1 : out->file_number;
    } while (capture->filter && !file_filter_matches(capture->filter, out));
    out->number = capture->number;
    return 1;
}

static int next_from_device(struct capture *capture, struct capture_packet *out,
                            struct error *error)
{
    struct pcap_pkthdr *header = NULL;
    const u_char *bytes = NULL;
    int rc = pcap_next_ex(capture->pcap, &header, &bytes);

    if (rc == 0)
        return 0;
    if (rc != 1) {
        /* libpcap has only words for this. */
        bool gone = strstr(pcap_geterr(capture->pcap), "disappeared") != NULL;
        return error_set(error, gone ? ENETDOWN : EIO, "cannot capture on %s: %s", capture->device,
                         pcap_geterr(capture->pcap));
    }
    capture->number++;
    *out = (struct capture_packet){
        .bytes = bytes,
        .captured_len = header->caplen,
        .wire_len = header->len > header->caplen ? header->len : header->caplen,
        .real_ns = stamp(header->ts),
        .link = capture->link,
        .number = capture->number,
        .file_number = capture->number,
    };
    return 1;
}

int capture_next(struct capture *capture, struct capture_packet *out, struct error *error)
{
    return capture->files ? next_from_files(capture, out, error)
                          : next_from_device(capture, out, error);
}

static int filter_device(struct capture *capture, const char *filter, struct error *error)
{
    struct bpf_program program;
    int rc = filter_compile(&program, capture->pcap, filter, error);

    if (rc < 0)
        return rc;
    rc = pcap_setfilter(capture->pcap, &program);
    pcap_freecode(&program);
    return rc == 0 ? 0
                   : error_set(error, EIO, "cannot install the filter on %s: %s", capture->device,
                               pcap_geterr(capture->pcap));
}

int capture_set_filter(struct capture *capture, const char *filter, struct error *error)
{
    struct file_filter *compiled;

    if (!capture->files)
        return filter_device(capture, filter ? filter : "", error);
    int rc = file_filter_compile(&compiled, capture->link, filter ? filter : "", error);
    if (rc < 0)
        return rc;
    file_filter_free(capture->filter);
    capture->filter = compiled;
    return 0;
}

enum packet_link capture_link(const struct capture *capture)
{
    return capture->link;
}

void capture_get_progress(const struct capture *capture, struct capture_progress *out)
{
    *out = (struct capture_progress){0};
    if (capture->files)
        files_get_progress(capture->files, out);
}

void capture_close(struct capture *capture)
{
    if (!capture)
        return;
    files_close(capture->files);
    file_filter_free(capture->filter);
    if (capture->pcap)
        pcap_close(capture->pcap);
    free(capture);
}
