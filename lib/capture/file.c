#include "base/cleanup.h"
#include "capture/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* A file that starts like something else deserves a better word than "unknown file format". */
static const char *remedy(FILE *file)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *remedy;
    } rows[] = {
        {"\x1f\x8b", 2, "; it is compressed: gunzip it first"},
        {"\x28\xb5\x2f\xfd", 4, "; it is compressed: decompress it with zstd -d first"},
        {"\xfd"
         "7zXZ",
         5, "; it is compressed: decompress it with xz -d first"},
        {"BZh", 3, "; it is compressed: bunzip2 it first"},
    };
    char start[8] = "";

    if (pread(fileno(file), start, sizeof start, 0) <= 0)
        return "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!memcmp(start, rows[i].magic, rows[i].len))
            return rows[i].remedy;
    return "";
}

static int open_stream(FILE **out, const char *path, struct error *error)
{
    struct stat info;
    FILE *file = strcmp(path, "-") ? fopen(path, "rbe") : stdin;

    if (!file)
        return error_sys(error, errno, "cannot open %s", path);
    if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        if (file != stdin)
            fclose(file);
        return error_set(error, EISDIR, "%s is a directory, not a capture file", path);
    }
    *out = file;
    return 0;
}

int capture_open_file(struct capture **out, const char *path, struct error *error)
{
    char message[PCAP_ERRBUF_SIZE] = "";
    FILE *file = NULL;
    int rc = open_stream(&file, path, error);

    if (rc < 0)
        return rc;
    pcap_t *pcap =
        pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, message);
    if (!pcap) {
        const char *what = strcmp(path, "-") ? path : "standard input";
        error_set(error, EBADMSG, "cannot read %s: %s%s", what, message, remedy(file));
        if (file != stdin)
            fclose(file);
        return -EBADMSG;
    }

    enum packet_link link;
    rc = link_from_dlt(&link, pcap_datalink(pcap), error);
    struct capture *capture = malloc(sizeof *capture);
    if (rc == 0 && !capture)
        rc = error_sys(error, ENOMEM, "no memory");
    if (rc < 0) {
        error_add(error, "cannot read %s", path);
        free(capture);
        pcap_close(pcap);
        return rc;
    }
    /* pcap says version 2.4, pcapng 1.0. */
    *capture = (struct capture){.pcap = pcap,
                                .file = file,
                                .link = link,
                                .counts_bytes = pcap_major_version(pcap) == 2,
                                .offset = 24};
    *out = capture;
    return 0;
}
