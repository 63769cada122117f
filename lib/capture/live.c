#include "base/buf.h"
#include "capture/internal.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* linux/if_packet.h, since 4.20 */
#endif

#define RING_DEFAULT (2 << 20)

static int no_device(const char *device, struct error *error)
{
    cleanup(buf) struct buf names = {0};
    struct if_nameindex *all = if_nameindex();

    for (struct if_nameindex *one = all; one && one->if_index; one++)
        buf_printf(&names, "%s%s", names.len_bytes ? ", " : "", one->if_name);
    if (all)
        if_freenameindex(all);
    return error_set(error, ENODEV, "there is no device %s; this host has: %s, any", device,
                     buf_str(&names));
}

static int not_permitted(const char *device, struct error *error)
{
    char self[256];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    self[len > 0 ? len : 0] = '\0';
    return error_set(error, EPERM,
                     "cannot capture on %s: this user may not. Allow it once with `sudo setcap "
                     "cap_net_raw+ep %s`, run it as root, or use the lab, which needs no rights",
                     device, len > 0 ? self : "netkit");
}

static int activation_failed(pcap_t *pcap, const char *device, int rc, struct error *error)
{
    switch (rc) {
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
        return not_permitted(device, error);
    case PCAP_ERROR_NO_SUCH_DEVICE:
        return no_device(device, error);
    case PCAP_ERROR_IFACE_NOT_UP:
        return error_set(error, ENETDOWN, "cannot capture on %s: it is down (ip link set %s up)",
                         device, device);
    default: /* libpcap's numbers, not an enum */
        return error_set(error, EIO, "cannot capture on %s: %s", device,
                         *pcap_geterr(pcap) ? pcap_geterr(pcap) : pcap_statustostr(rc));
    }
}

/* Before activation none of these can fail but for a handle that is active already. */
static void configure(pcap_t *pcap, const struct capture_live *live)
{
    pcap_set_snaplen(pcap, live->snap_len && live->snap_len < CAPTURE_SNAP_MAX ? (int)live->snap_len
                                                                               : CAPTURE_SNAP_MAX);
    pcap_set_promisc(pcap, live->promiscuous);
    pcap_set_immediate_mode(pcap, 1);
    pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
    pcap_set_buffer_size(pcap, live->ring_bytes && live->ring_bytes <= INT32_MAX
                                   ? (int)live->ring_bytes
                                   : RING_DEFAULT);
}

static int set_direction(pcap_t *pcap, enum capture_direction direction)
{
    int one = 1;

    switch (direction) {
    case CAPTURE_IN_AND_OUT:
        return 0;
    case CAPTURE_IN:
        /* libpcap drops the other direction only after it went through the ring. Older kernels
         * can't do better, which costs room and nothing else. */
        setsockopt(pcap_fileno(pcap), SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
        return pcap_setdirection(pcap, PCAP_D_IN);
    case CAPTURE_OUT:
        return pcap_setdirection(pcap, PCAP_D_OUT);
    }
    return PCAP_ERROR;
}

static int start(struct capture *capture, const struct capture_live *live, struct error *error)
{
    char message[PCAP_ERRBUF_SIZE] = "";
    int rc = pcap_activate(capture->pcap);

    if (rc < 0)
        return activation_failed(capture->pcap, live->device, rc, error);
    /* No device of Linux has this type: it is what was there before activation. */
    if (pcap_datalink(capture->pcap) == DLT_NULL)
        return error_sys(error, ENOMEM, "cannot capture on %s: libpcap did not open it whole",
                         live->device);
    rc = link_from_dlt(&capture->link, pcap_datalink(capture->pcap), error);
    if (rc < 0) {
        error_add(error, "cannot capture on %s", live->device);
        return rc;
    }
    if (set_direction(capture->pcap, live->direction) != 0)
        return error_set(error, EIO, "cannot capture on %s: %s", live->device,
                         pcap_geterr(capture->pcap));
    if (pcap_setnonblock(capture->pcap, 1, message) != 0)
        return error_set(error, EIO, "cannot capture on %s: %s", live->device, message);
    return live->filter && *live->filter ? capture_set_filter(capture, live->filter, error) : 0;
}

int capture_open_live(struct capture **out, const struct capture_live *live, struct error *error)
{
    char message[PCAP_ERRBUF_SIZE] = "";

    /* libpcap would also open USB, Bluetooth and D-Bus by name. */
    if (strcmp(live->device, "any") && !if_nametoindex(live->device))
        return no_device(live->device, error);
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture)
        return error_sys(error, ENOMEM, "cannot capture on %s", live->device);
    strncpy(capture->device, live->device, sizeof capture->device - 1);
    capture->pcap = pcap_create(live->device, message);
    if (!capture->pcap) {
        free(capture);
        return error_set(error, EIO, "cannot capture on %s: %s", live->device, message);
    }
    configure(capture->pcap, live);
    int rc = start(capture, live, error);
    if (rc < 0) {
        capture_close(capture);
        return rc;
    }
    *out = capture;
    return 0;
}

int capture_fd(const struct capture *capture)
{
    return capture->files ? -1 : pcap_get_selectable_fd(capture->pcap);
}

int capture_inject(struct capture *capture, const void *bytes, size_t len, struct error *error)
{
    if (capture->files)
        return error_set(error, EINVAL, "a capture file cannot send");
    if (pcap_inject(capture->pcap, bytes, len) >= 0)
        return 0;
    return error_sys(error, errno ? errno : EIO, "cannot send %zu bytes through %s", len,
                     capture->device);
}

/* libpcap counts in 32 bits, since it was opened: the differences are what is sure. */
int capture_get_stats(struct capture *capture, struct capture_stats *out, struct error *error)
{
    struct pcap_stat now;

    if (capture->files)
        return error_set(error, EINVAL, "a capture file has no statistics");
    if (pcap_stats(capture->pcap, &now) != 0)
        return error_set(error, EIO, "no statistics of %s: %s", capture->device,
                         pcap_geterr(capture->pcap));
    capture->received += now.ps_recv - capture->last_stats.ps_recv;
    capture->dropped += now.ps_drop - capture->last_stats.ps_drop;
    capture->device_dropped += now.ps_ifdrop - capture->last_stats.ps_ifdrop;
    capture->last_stats = now;
    *out = (struct capture_stats){capture->received, capture->dropped, capture->device_dropped};
    return 0;
}
