/* What live captures and files have in common: reading, filters, the end.
 *
 * A file's filter is applied here and not by libpcap, so that packets keep the number that other
 * tools show for them. */
#include "base/clock.h"
#include "capture/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t stamp(struct timeval ts)
{
    int64_t ns;

    /* The handle was opened for nanoseconds: tv_usec has those. A file may claim anything. */
    if (ts.tv_usec < 0 || ts.tv_usec >= NS_PER_SEC ||
        __builtin_mul_overflow((int64_t)ts.tv_sec, NS_PER_SEC, &ns) ||
        __builtin_add_overflow(ns, (int64_t)ts.tv_usec, &ns))
        return CLOCK_NONE;
    return ns;
}

/* Where the packet starts that could not be read, or about where: asking for the place before each
 * packet would cost a system call each time. */
static void describe_place(char *out, size_t size, const struct capture *capture)
{
    int64_t reached = ftello(capture->file);

    if (capture->counts_bytes)
        snprintf(out, size, " at byte %llu", (unsigned long long)capture->offset);
    else if (reached >= 0)
        snprintf(out, size, " before byte %lld", (long long)reached);
    else
        out[0] = '\0';
}

/* The damage of a file, in words; kept, so that every later call says the same. */
static int file_failed(struct capture *capture, int code, struct error *error)
{
    char place[48];

    describe_place(place, sizeof place, capture);
    error_set(&capture->failure, code, "packet %llu%s: %s", (unsigned long long)capture->number + 1,
              place, pcap_geterr(capture->pcap));
    if (error)
        *error = capture->failure;
    return -code;
}

static int next_from_file(struct capture *capture, struct pcap_pkthdr **header,
                          const u_char **bytes, struct error *error)
{
    if (capture->failure.code) {
        if (error)
            *error = capture->failure;
        return -capture->failure.code;
    }
    for (;;) {
        errno = 0;
        int rc = pcap_next_ex(capture->pcap, header, bytes);
        if (rc == PCAP_ERROR_BREAK)
            return 0;
        if (rc != 1)
            return file_failed(capture, errno == EINTR ? EINTR : EBADMSG, error);
        capture->number++;
        capture->offset += 16 + (uint64_t)(*header)->caplen;
        /* libpcap shortens records that are longer than the file's snap length. */
        if ((*header)->caplen >= (bpf_u_int32)pcap_snapshot(capture->pcap))
            capture->counts_bytes = false;
        if (!capture->has_program || pcap_offline_filter(&capture->program, *header, *bytes))
            return 1;
    }
}

static int next_from_device(struct capture *capture, struct pcap_pkthdr **header,
                            const u_char **bytes, struct error *error)
{
    int rc = pcap_next_ex(capture->pcap, header, bytes);

    if (rc == 1)
        capture->number++;
    if (rc == 0 || rc == 1)
        return rc;
    /* libpcap has only words for this. */
    bool gone = strstr(pcap_geterr(capture->pcap), "disappeared") != NULL;
    return error_set(error, gone ? ENETDOWN : EIO, "cannot capture on %s: %s", capture->device,
                     pcap_geterr(capture->pcap));
}

int capture_next(struct capture *capture, struct capture_packet *out, struct error *error)
{
    struct pcap_pkthdr *header = NULL;
    const u_char *bytes = NULL;
    int rc = capture->file ? next_from_file(capture, &header, &bytes, error)
                           : next_from_device(capture, &header, &bytes, error);

    if (rc == 1)
        *out = (struct capture_packet){
            .bytes = bytes,
            .captured_len = header->caplen,
            .wire_len = header->len > header->caplen ? header->len : header->caplen,
            .real_ns = stamp(header->ts),
            .link = capture->link,
            .number = capture->number,
        };
    return rc;
}

int capture_set_filter(struct capture *capture, const char *filter, struct error *error)
{
    struct bpf_program program;
    int rc = filter_compile(&program, capture->pcap, filter ? filter : "", error);

    if (rc < 0)
        return rc;
    if (!capture->file) {
        rc = pcap_setfilter(capture->pcap, &program);
        pcap_freecode(&program);
        return rc == 0 ? 0
                       : error_set(error, EIO, "cannot install the filter on %s: %s",
                                   capture->device, pcap_geterr(capture->pcap));
    }
    if (capture->has_program)
        pcap_freecode(&capture->program);
    capture->program = program;
    capture->has_program = true;
    return 0;
}

enum packet_link capture_link(const struct capture *capture)
{
    return capture->link;
}

void capture_close(struct capture *capture)
{
    if (!capture)
        return;
    if (capture->has_program)
        pcap_freecode(&capture->program);
    if (capture->pcap)
        pcap_close(capture->pcap);
    free(capture);
}
