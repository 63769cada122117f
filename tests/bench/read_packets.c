/* Reads capture files and decodes each packet, and nothing else: what every analysis of them costs
 * at least. Prints how many packets and TCP segments there were, as JSON; what is wrong with the
 * files goes to standard error, and is status 1. */
#include "base/cleanup.h"
#include "capture/capture.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    static struct packet_fragments fragments;
    struct error error = {0};
    cleanup(capture) struct capture *capture = NULL;
    struct capture_packet packet;
    struct segment segment;
    unsigned long long packets = 0, segments = 0, payload = 0;
    int rc = capture_open_files(&capture, (const char *const *)argv + 1, (size_t)argc - 1, &error);

    while (rc >= 0 && (rc = capture_next(capture, &packet, &error)) == 1) {
        packet_decode_inner(&segment, packet.link, packet.bytes, packet.captured_len,
                            packet.wire_len);
        packet_fragments_join(&fragments, &segment);
        packets++;
        segments += segment.kind == PACKET_TCP;
        payload += segment.payload_len;
    }
    printf("{\"packets\": %llu, \"segments\": %llu, \"payload\": %llu}\n", packets, segments,
           payload);
    if (rc < 0)
        fprintf(stderr, "%s\n", error.text);
    return rc < 0;
}
