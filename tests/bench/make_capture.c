/* Writes a capture of many connections that talk at the same time: make_capture FILE PACKETS
 * CONNECTIONS PAYLOAD. Each connection is a handshake, then requests and answers in turns of
 * PAYLOAD bytes with their acknowledgements, and it ends by FIN when its share of the packets is
 * used up. The packets of all are mixed. Ethernet, IPv4; time goes by a microsecond a packet. */
#include "base/clock.h"
#include "capture/capture.h"
#include "packet/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct connection {
    uint32_t seq[2]; /* client's, server's */
    uint32_t step;
};

static uint8_t frame[64 + 65536];

static void add(struct capture_writer *writer, const struct connection *one, uint32_t index,
                int from, uint16_t flags, size_t payload)
{
    static int64_t now_ns = INT64_C(1700000000) * NS_PER_SEC;
    uint8_t *ip = frame + 14, *tcp = ip + 20;
    uint32_t client = 0x0a000000 + index / 25000, server = 0x0a800000 + index % 7;
    uint16_t port = (uint16_t)(30000 + index % 25000);

    set_u16(frame + 12, 0x0800);
    ip[0] = 0x45;
    set_u16(ip + 2, (uint16_t)(40 + 12 + payload));
    set_u16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = 6;
    set_u32(ip + 12, from ? server : client);
    set_u32(ip + 16, from ? client : server);
    set_u16(tcp, from ? 443 : port);
    set_u16(tcp + 2, from ? port : 443);
    set_u32(tcp + 4, one->seq[from]);
    set_u32(tcp + 8, flags & SEGMENT_ACK ? one->seq[!from] : 0);
    set_u16(tcp + 12, (uint16_t)(8 << 12 | flags));
    set_u16(tcp + 14, 64000);
    set_u32(tcp + 20, 0x0101080a);
    set_u32(tcp + 24, (uint32_t)(now_ns / NS_PER_MS));
    now_ns += NS_PER_US;
    struct capture_packet packet = {.bytes = frame,
                                    .captured_len = (uint32_t)(66 + payload),
                                    .wire_len = (uint32_t)(66 + payload),
                                    .real_ns = now_ns,
                                    .link = PACKET_LINK_ETHERNET};
    if (capture_writer_add(writer, &packet, NULL) < 0)
        exit(1);
}

/* The next packet of a connection, of `last` in all. */
static void step(struct capture_writer *writer, struct connection *one, uint32_t index,
                 uint32_t last, size_t payload)
{
    uint32_t at = one->step++;
    int from = at & 1;

    if (at < 2) {
        add(writer, one, index, from, from ? SEGMENT_SYN | SEGMENT_ACK : SEGMENT_SYN, 0);
        one->seq[from]++;
    } else if (at + 3 >= last) {
        add(writer, one, index, from, SEGMENT_ACK | (at + 1 < last ? SEGMENT_FIN : 0), 0);
        one->seq[from] += at + 1 < last;
    } else if (at % 4 < 2) {
        add(writer, one, index, from, SEGMENT_ACK, 0);
    } else {
        add(writer, one, index, from, SEGMENT_ACK | SEGMENT_PSH, payload);
        one->seq[from] += (uint32_t)payload;
    }
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    uint32_t packets = (uint32_t)strtoul(argv[2], NULL, 10);
    uint32_t connections = (uint32_t)strtoul(argv[3], NULL, 10);
    size_t payload = strtoul(argv[4], NULL, 10);
    uint32_t share = connections ? packets / connections : 0;
    struct capture_writer *writer;
    struct error error = {0};

    if (share < 6 || payload > 65000)
        return 2;
    struct connection *all = calloc(connections, sizeof *all);
    if (!all || capture_writer_open(&writer, argv[1], PACKET_LINK_ETHERNET, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    /* A prime stride: neighbours in the file are far from each other. */
    for (uint64_t n = 0, at = 0; n < (uint64_t)share * connections; n++) {
        at = (at + 7919) % connections;
        if (n % connections == 0)
            at = n / connections % connections;
        step(writer, &all[at], (uint32_t)at, share, payload);
    }
    free(all);
    return capture_writer_close(writer, &error) < 0;
}
