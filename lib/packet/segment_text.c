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

const char *packet_kind_name(enum packet_kind kind)
{
    switch (kind) {
    case PACKET_OTHER:
        return "other";
    case PACKET_OTHER_IP:
        return "ip";
    case PACKET_TCP:
        return "tcp";
    case PACKET_UDP:
        return "udp";
    case PACKET_ICMP:
        return "icmp";
    case PACKET_FRAGMENT:
        return "fragment";
    case PACKET_ARP:
        return "arp";
    case PACKET_ND:
        return "nd";
    case PACKET_MLD:
        return "mld";
    }
    return "?";
}

const char *packet_status_name(enum packet_status status)
{
    switch (status) {
    case PACKET_COMPLETE:
        return "complete";
    case PACKET_CUT_PAYLOAD:
        return "payload cut";
    case PACKET_CUT_HEADER:
        return "header cut";
    case PACKET_MALFORMED:
        return "malformed";
    }
    return "?";
}
