/* wire_witness INTERFACE PORT data|syn: what the wire shows, as a capture sees it with nanosecond
 * stamps. For each exchange with the server on PORT one line: nanoseconds from the last packet with
 * data (or the SYN) to the server, to the first with data (or the SYN,ACK) from it. Says "ready"
 * when it captures, ends when its standard input does, and fails when a packet was lost to it.
 *
 * The capture must not disturb what it measures. A tap that wakes its reader for every packet does:
 * the kernel takes the receive stamp of a segment that came over veth after the taps had it
 * (skb_clear_delivery_time() in __netif_receive_skb_core), and waking a process on another
 * processor in between costs 10 µs on a virtual machine. So packets are handed over in blocks. */
#include "bench.h"

#include <inttypes.h>
#include <net/ethernet.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RING_BYTES (16 << 20)
#define BLOCK_MS   50
#define SYN        2
#define ACK        16

struct witness {
    uint16_t port;
    bool syn;
    int64_t asked_ns; /* 0: nothing is under way */
    u_int packets;
};

struct seen {
    uint16_t from, to;
    uint8_t flags;
    unsigned payload_bytes;
};

static unsigned word(const u_char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static bool decode(struct seen *out, const u_char *bytes, size_t len_bytes)
{
    const u_char *ip = bytes + ETHER_HDR_LEN;

    if (len_bytes < ETHER_HDR_LEN + 20 || word(bytes + 12) != ETHERTYPE_IP || ip[9] != IPPROTO_TCP)
        return false;
    size_t ip_bytes = 4 * (size_t)(ip[0] & 15);
    if (ip_bytes < 20 || len_bytes < ETHER_HDR_LEN + ip_bytes + 20)
        return false;
    const u_char *tcp = ip + ip_bytes;
    size_t headers = ip_bytes + 4 * (size_t)(tcp[12] >> 4), total = word(ip + 2);
    *out = (struct seen){.from = (uint16_t)word(tcp),
                         .to = (uint16_t)word(tcp + 2),
                         .flags = tcp[13],
                         .payload_bytes = total > headers ? (unsigned)(total - headers) : 0};
    return true;
}

static void on_packet(u_char *context, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct witness *witness = (struct witness *)context;
    /* With nanosecond precision tv_usec holds nanoseconds (pcap-tstamp(7)). */
    int64_t at_ns = (int64_t)header->ts.tv_sec * NS_PER_SEC + header->ts.tv_usec;
    struct seen seen;

    witness->packets++;
    if (!decode(&seen, bytes, header->caplen))
        return;
    bool opens = (seen.flags & (SYN | ACK)) == SYN, accepts = (seen.flags & (SYN | ACK)) == 18;
    if (seen.to == witness->port && (witness->syn ? opens : seen.payload_bytes > 0)) {
        witness->asked_ns = at_ns;
    } else if (seen.from == witness->port && witness->asked_ns &&
               (witness->syn ? accepts : seen.payload_bytes > 0)) {
        printf("%" PRId64 "\n", at_ns - witness->asked_ns);
        witness->asked_ns = 0;
    }
}

/* Without a filter: what came before it was set would be counted by the kernel and never be handed
 * over, and main() waits until it has all that was counted. */
static pcap_t *open_capture(const char *interface)
{
    char message[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = pcap_create(interface, message);

    if (!pcap)
        errx(1, "%s: %s", interface, message);
    if (pcap_set_snaplen(pcap, 128) || pcap_set_timeout(pcap, BLOCK_MS) ||
        pcap_set_buffer_size(pcap, RING_BYTES) ||
        pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO) || pcap_activate(pcap) < 0 ||
        pcap_datalink(pcap) != DLT_EN10MB || pcap_setnonblock(pcap, 1, message))
        errx(1, "%s: %s", interface, pcap_geterr(pcap));
    return pcap;
}

int main(int argc, char **argv)
{
    struct pcap_stat stat = {0};

    if (argc != 4 || (strcmp(argv[3], "data") && strcmp(argv[3], "syn")))
        errx(2, "usage: wire_witness INTERFACE PORT data|syn");
    struct witness witness = {.port = (uint16_t)bench_number(argv[2], 65535),
                              .syn = !strcmp(argv[3], "syn")};
    pcap_t *pcap = open_capture(argv[1]);
    struct pollfd waits[] = {{pcap_get_selectable_fd(pcap), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    puts("ready");
    fflush(stdout);
    bool ended = false;
    while (!ended || stat.ps_recv > witness.packets) {
        poll(waits, ended ? 1 : 2, -1);
        if (pcap_dispatch(pcap, -1, on_packet, (u_char *)&witness) < 0 || pcap_stats(pcap, &stat))
            errx(1, "%s", pcap_geterr(pcap));
        if (stat.ps_drop)
            errx(1, "%u packets were lost to the capture", stat.ps_drop);
        /* Nothing is sent any more; what is in the last block is still to come. */
        ended = ended || waits[1].revents;
    }
    pcap_close(pcap);
    return 0;
}
