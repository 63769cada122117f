/* The network stack of a host: settings, loopback, the device, addresses, neighbours. */
#include "base/cleanup.h"
#include "lab/internal.h"

static int configure_family(const struct lab_plan *plan, struct link_socket *link,
                            enum lab_host host, int family, int prefix, struct error *error)
{
    enum lab_host peer = host == LAB_CLIENT ? LAB_SERVER : LAB_CLIENT;

    int rc =
        link_add_address(link, LAB_DEVICE, family, lab_address_bytes(host, family), prefix, error);
    if (!rc && !plan->resolve_neighbours)
        rc = link_add_neighbour(link, LAB_DEVICE, family, lab_address_bytes(peer, family),
                                lab_mac[peer], error);
    if (!rc && plan->host[host].rto_min_ms)
        rc = link_add_route(link, LAB_DEVICE, family, lab_address_bytes(peer, family),
                            plan->host[host].rto_min_ms, error);
    return rc;
}

int host_configure(const struct lab_plan *plan, enum lab_host host, struct error *error)
{
    cleanup(link) struct link_socket *link = NULL;
    int rc = link_open(&link, error);

    if (!rc)
        rc = link_offloads_off(LAB_DEVICE, error);
    if (!rc)
        rc = link_up(link, "lo", error);
    if (!rc)
        rc = link_up(link, LAB_DEVICE, error);
    if (!rc)
        link_queue(link, LAB_DEVICE);
    if (!rc && plan->ipv4)
        rc = configure_family(plan, link, host, AF_INET, LAB_PREFIX_V4, error);
    if (!rc && plan->ipv6)
        rc = configure_family(plan, link, host, AF_INET6, LAB_PREFIX_V6, error);
    if (!rc)
        rc = sysctl_set_host(&plan->host[host], error);
    if (!rc)
        rc = link_wait(link, LAB_DEVICE, error);
    if (!rc && plan->ipv6)
        rc = link_wait_address(link, AF_INET6, lab_address_bytes(host, AF_INET6), error);
    if (rc)
        error_add(error, "%s", lab_host_name(host));
    return rc;
}
