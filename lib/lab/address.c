/* The lab's fixed addresses: 198.18.0.0/15 is for tests between isolated networks (RFC 2544
 * appendix C.2.2), fd6e:… is a unique local prefix (RFC 4193), the MACs are locally administered.
 * They are the same in every lab, since labs never meet. */
#include "lab/internal.h"

#include <arpa/inet.h>
#include <string.h>

const uint8_t lab_mac[LAB_HOSTS][6] = {
    [LAB_CLIENT] = {0x02, 0x6e, 0x6b, 0x00, 0x00, 0x01},
    [LAB_SERVER] = {0x02, 0x6e, 0x6b, 0x00, 0x00, 0x02},
};

static const struct {
    const char *name, *wire_device, *v4, *v6;
    uint8_t v4_bytes[4], v6_bytes[16];
} hosts[LAB_HOSTS] = {
    [LAB_CLIENT] = {"client",
                    "to-client",
                    "198.18.0.1",
                    "fd6e:6b00::1",
                    {198, 18, 0, 1},
                    {0xfd, 0x6e, 0x6b, [15] = 1}},
    [LAB_SERVER] = {"server",
                    "to-server",
                    "198.18.0.2",
                    "fd6e:6b00::2",
                    {198, 18, 0, 2},
                    {0xfd, 0x6e, 0x6b, [15] = 2}},
};

const char *lab_host_name(enum lab_host host)
{
    return hosts[host].name;
}

const char *lab_wire_device(enum lab_host host)
{
    return hosts[host].wire_device;
}

const void *lab_address_bytes(enum lab_host host, int family)
{
    return family == AF_INET ? hosts[host].v4_bytes : hosts[host].v6_bytes;
}

const char *lab_address_text(enum lab_host host, int family)
{
    return family == AF_INET ? hosts[host].v4 : family == AF_INET6 ? hosts[host].v6 : NULL;
}

const char *lab_nobody_text(int family)
{
    return family == AF_INET ? "198.18.0.9" : family == AF_INET6 ? "fd6e:6b00::9" : NULL;
}
