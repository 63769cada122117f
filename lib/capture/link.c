#include "capture/internal.h"

#include <errno.h>

/* Numbers: https://www.tcpdump.org/linktypes.html. A DLT is what libpcap says here, a LINKTYPE is
 * what stands in files; they differ where systems disagreed about the DLT. */
static const struct {
    enum packet_link link;
    int dlt;
    uint32_t file;
} rows[] = {
    /* The first row of a link type is the one that is written. */
    {PACKET_LINK_ETHERNET, DLT_EN10MB, 1},
    {PACKET_LINK_RAW, DLT_RAW, 101},
    {PACKET_LINK_RAW, DLT_IPV4, 228},
    {PACKET_LINK_RAW, DLT_IPV6, 229},
    {PACKET_LINK_RAW, DLT_RAW, 12}, /* DLT_RAW itself, of Linux and of OpenBSD, in old files */
    {PACKET_LINK_RAW, DLT_RAW, 14},
    {PACKET_LINK_SLL, DLT_LINUX_SLL, 113},
    {PACKET_LINK_SLL2, DLT_LINUX_SLL2, 276},
    {PACKET_LINK_NULL, DLT_NULL, 0},
    {PACKET_LINK_LOOP, DLT_LOOP, 108},
    {PACKET_LINK_PPP, DLT_PPP, 9},
    {PACKET_LINK_PPP, DLT_PPP_SERIAL, 50},
    {PACKET_LINK_PPP, DLT_C_HDLC, 104},
    {PACKET_LINK_PPP_DIRECTION, DLT_PPP_WITH_DIR, 204},
    {PACKET_LINK_PPPOE, DLT_PPP_ETHER, 51},
    {PACKET_LINK_MPLS, DLT_MPLS, 219},
    {PACKET_LINK_LLC, DLT_ATM_RFC1483, 100},
    {PACKET_LINK_WIRELESS, DLT_IEEE802_11, 105},
    {PACKET_LINK_RADIOTAP, DLT_IEEE802_11_RADIO, 127},
    {PACKET_LINK_PKTAP, DLT_PKTAP, 258},
};

#define ROW_COUNT (sizeof rows / sizeof *rows)

int link_to_dlt(enum packet_link link)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].link == link)
            return rows[i].dlt;
    return DLT_EN10MB;
}

uint32_t link_to_file(enum packet_link link)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].link == link)
            return rows[i].file;
    return 1;
}

static int not_supported(int dlt, struct error *error)
{
    const char *name = pcap_datalink_val_to_name(dlt);

    return error_set(error, EOPNOTSUPP,
                     "link type %s (%d) is not supported; Ethernet, raw IP, Linux cooked, BSD "
                     "loopback, PPP, MPLS and IEEE 802.11 are",
                     name ? name : "unknown", dlt);
}

int link_from_dlt(enum packet_link *out, int dlt, struct error *error)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].dlt == dlt) {
            *out = rows[i].link;
            return 0;
        }
    }
    return not_supported(dlt, error);
}

int link_from_file(enum packet_link *out, uint32_t number, struct error *error)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].file == number) {
            *out = rows[i].link;
            return 0;
        }
    }
    /* The two kinds of numbers have the same names where both have one. */
    return not_supported((int)number, error);
}
