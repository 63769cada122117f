#include "packet/packet.h"

#include <arpa/inet.h>
#include <stdio.h>

const char *segment_flags_text(char *out, size_t size, uint16_t flags)
{
    static const struct {
        uint16_t flag;
        const char *name;
    } rows[] = {
        {SEGMENT_SYN, "SYN"}, {SEGMENT_FIN, "FIN"}, {SEGMENT_RST, "RST"},
        {SEGMENT_PSH, "PSH"}, {SEGMENT_URG, "URG"}, {SEGMENT_ACK, "ACK"},
        {SEGMENT_ECE, "ECE"}, {SEGMENT_CWR, "CWR"}, {SEGMENT_AE, "AE"},
    };
    size_t len = 0;

    if (!size)
        return out;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof *rows && len < size; i++)
        if (flags & rows[i].flag)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? "," : "", rows[i].name);
    if (!len)
        snprintf(out, size, "none");
    return out;
}

const char *packet_address_text(char *out, size_t size, uint8_t family, const uint8_t address[16])
{
    char text[INET6_ADDRSTRLEN] = "?";

    inet_ntop(family == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
    snprintf(out, size, "%s", text);
    return out;
}

const char *packet_endpoint_text(char *out, size_t size, uint8_t family,
                                 const struct packet_endpoint *endpoint)
{
    char address[INET6_ADDRSTRLEN];

    packet_address_text(address, sizeof address, family, endpoint->address);
    snprintf(out, size, family == 4 ? "%s:%u" : "[%s]:%u", address, endpoint->port);
    return out;
}
