/* Devices, addresses and neighbours by rtnetlink(7). One request at a time, each acknowledged. */
#include "base/cleanup.h"
#include "base/wait.h"
#include "lab/internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

#define REQUEST_MAX 1024

/* Linux 5.19. Headers may be older. */
#define GRO_MAX_SIZE_ATTRIBUTE 58 /* IFLA_GRO_MAX_SIZE */
#define MERGE_NOTHING          1
#define QUEUE_PACKETS          16384
#define OPERATIONAL            6 /* IF_OPER_UP of linux/if.h, which net/if.h excludes */

struct link_socket {
    struct mnl_socket *netlink;
    uint32_t sequence;
    char answer[8192];
};

int link_open(struct link_socket **out, struct error *error)
{
    cleanup(link) struct link_socket *link = calloc(1, sizeof *link);

    if (!link)
        return error_sys(error, ENOMEM, "netlink");
    link->netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!link->netlink || mnl_socket_bind(link->netlink, 0, MNL_SOCKET_AUTOPID))
        return error_sys(error, errno, "netlink");
    *out = take_ptr(link);
    return 0;
}

int link_fd(const struct link_socket *link)
{
    return mnl_socket_get_fd(link->netlink);
}

int link_adopt(struct link_socket **out, int fd, struct error *error)
{
    cleanup(link) struct link_socket *link = calloc(1, sizeof *link);

    if (!link)
        return error_sys(error, ENOMEM, "netlink");
    link->netlink = mnl_socket_fdopen(fd);
    if (!link->netlink)
        return error_sys(error, errno, "netlink");
    *out = take_ptr(link);
    return 0;
}

void link_close(struct link_socket *link)
{
    if (!link)
        return;
    if (link->netlink)
        mnl_socket_close(link->netlink);
    free(link);
}

static struct nlmsghdr *begin(char *buffer, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    return nlh;
}

/* What comes before the acknowledgement goes to `each`. */
static int request_for(struct link_socket *link, struct nlmsghdr *nlh, mnl_cb_t each, void *context)
{
    nlh->nlmsg_seq = ++link->sequence;
    if (mnl_socket_sendto(link->netlink, nlh, nlh->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        ssize_t got = mnl_socket_recvfrom(link->netlink, link->answer, sizeof link->answer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        int rc = mnl_cb_run(link->answer, (size_t)got, nlh->nlmsg_seq,
                            mnl_socket_get_portid(link->netlink), each, context);
        if (rc <= MNL_CB_STOP)
            return rc < 0 ? -errno : 0;
    }
}

static int request(struct link_socket *link, struct nlmsghdr *nlh, const char *what,
                   const char *device, struct error *error)
{
    int rc = request_for(link, nlh, NULL, NULL);

    return rc ? error_sys(error, -rc, "%s %s", what, device) : 0;
}

static struct ifinfomsg *put_ifinfo(struct nlmsghdr *nlh)
{
    return mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
}

int link_add_pair(struct link_socket *link, const char *wire_device, enum lab_host host,
                  int host_namespace, int mtu_bytes, struct error *error)
{
    char buffer[REQUEST_MAX] = {0};
    struct nlmsghdr *nlh = begin(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

    put_ifinfo(nlh);
    mnl_attr_put_strz(nlh, IFLA_IFNAME, wire_device);
    mnl_attr_put_u32(nlh, IFLA_MTU, (uint32_t)mtu_bytes);
    struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
    put_ifinfo(nlh);
    mnl_attr_put_strz(nlh, IFLA_IFNAME, LAB_DEVICE);
    mnl_attr_put_u32(nlh, IFLA_MTU, (uint32_t)mtu_bytes);
    mnl_attr_put(nlh, IFLA_ADDRESS, sizeof lab_mac[host], lab_mac[host]);
    mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)host_namespace);
    mnl_attr_nest_end(nlh, peer);
    mnl_attr_nest_end(nlh, data);
    mnl_attr_nest_end(nlh, info);

    return request(link, nlh, "veth pair to the", lab_host_name(host), error);
}

/* What the kernel says of a device goes to `each`. */
static int look_at(struct link_socket *link, const char *device, mnl_cb_t each, void *context)
{
    char buffer[REQUEST_MAX] = {0};
    struct nlmsghdr *nlh = begin(buffer, RTM_GETLINK, 0);

    put_ifinfo(nlh);
    mnl_attr_put_strz(nlh, IFLA_IFNAME, device);
    return request_for(link, nlh, each, context);
}

/* Names are resolved by the kernel where the request is executed (IFLA_IFNAME with index 0). */
static struct nlmsghdr *change(char *buffer, const char *device, unsigned flags, unsigned mask)
{
    struct nlmsghdr *nlh = begin(buffer, RTM_NEWLINK, 0);
    struct ifinfomsg *info = put_ifinfo(nlh);

    info->ifi_flags = flags;
    info->ifi_change = mask;
    mnl_attr_put_strz(nlh, IFLA_IFNAME, device);
    return nlh;
}

int link_up(struct link_socket *link, const char *device, struct error *error)
{
    char buffer[REQUEST_MAX] = {0};
    return request(link, change(buffer, device, IFF_UP, IFF_UP), "bringing up", device, error);
}

int link_move(struct link_socket *link, const char *device, int to_namespace, struct error *error)
{
    char buffer[REQUEST_MAX] = {0};
    struct nlmsghdr *nlh = change(buffer, device, 0, 0);

    mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)to_namespace);
    return request(link, nlh, "moving", device, error);
}

/* Addresses and neighbours want an index, which is looked up in the link's namespace. */
static int index_of(struct link_socket *link, const char *device, struct error *error)
{
    struct ifreq ifr = {0};

    /* SIOCGIFINDEX on a socket asks that socket's namespace, as if_nametoindex() would not. */
    strncpy(ifr.ifr_name, device, sizeof ifr.ifr_name - 1);
    if (ioctl(mnl_socket_get_fd(link->netlink), SIOCGIFINDEX, &ifr))
        return error_sys(error, errno, "device %s", device);
    return ifr.ifr_ifindex;
}

struct readiness {
    uint8_t state;
    bool discards;
};

static int read_readiness(const struct nlmsghdr *nlh, void *out)
{
    struct readiness *ready = out;
    const struct nlattr *attr;

    mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
    {
        if (mnl_attr_get_type(attr) == IFLA_OPERSTATE)
            ready->state = mnl_attr_get_u8(attr);
        else if (mnl_attr_get_type(attr) == IFLA_QDISC)
            ready->discards = !strcmp(mnl_attr_get_str(attr), "noop");
    }
    return MNL_CB_OK;
}

/* Whether the device is up and forwards, or a negative errno. */
static int is_ready(struct link_socket *link, const char *device)
{
    struct readiness ready = {0};
    int rc = look_at(link, device, read_readiness, &ready);

    return rc ? rc : ready.state == OPERATIONAL && !ready.discards;
}

int link_wait(struct link_socket *link, const char *device, struct error *error)
{
    int rc;

    if (!wait_until((rc = is_ready(link, device)), clock_mono_ns() + LAB_CALL_LIMIT_NS / 2))
        return error_set(error, ETIMEDOUT, "%s does not come up", device);
    return rc < 0 ? error_sys(error, -rc, "waiting for %s", device) : 0;
}

static size_t address_bytes(int family)
{
    return family == AF_INET ? 4 : 16;
}

int link_add_address(struct link_socket *link, const char *device, int family, const void *address,
                     int prefix, struct error *error)
{
    char buffer[REQUEST_MAX] = {0};
    struct nlmsghdr *nlh = begin(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    struct ifaddrmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof *msg);
    int index = index_of(link, device, error);

    if (index < 0)
        return index;
    msg->ifa_family = (unsigned char)family;
    msg->ifa_prefixlen = (unsigned char)prefix;
    msg->ifa_index = (unsigned)index;
    msg->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
    mnl_attr_put(nlh, IFA_LOCAL, address_bytes(family), address);
    mnl_attr_put(nlh, IFA_ADDRESS, address_bytes(family), address);
    return request(link, nlh, "address of", device, error);
}

int link_add_route(struct link_socket *link, const char *device, int family, const void *address,
                   int rto_min_ms, struct error *error)
{
    char buffer[REQUEST_MAX];
    struct nlmsghdr *nlh = begin(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    struct rtmsg *route = mnl_nlmsg_put_extra_header(nlh, sizeof *route);
    int index = index_of(link, device, error);

    if (index < 0)
        return index;
    *route = (struct rtmsg){.rtm_family = (unsigned char)family,
                            .rtm_dst_len = (unsigned char)(8 * address_bytes(family)),
                            .rtm_table = RT_TABLE_MAIN,
                            .rtm_protocol = RTPROT_STATIC,
                            .rtm_scope = RT_SCOPE_LINK,
                            .rtm_type = RTN_UNICAST};
    mnl_attr_put(nlh, RTA_DST, address_bytes(family), address);
    mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)index);
    struct nlattr *metrics = mnl_attr_nest_start(nlh, RTA_METRICS);
    mnl_attr_put_u32(nlh, RTAX_LOCK, 1u << RTAX_RTO_MIN); /* else it counts for nothing */
    mnl_attr_put_u32(nlh, RTAX_RTO_MIN, (uint32_t)rto_min_ms);
    mnl_attr_nest_end(nlh, metrics);
    return request(link, nlh, "route over", device, error);
}

static int read_type(const struct nlmsghdr *nlh, void *out)
{
    const struct rtmsg *route = mnl_nlmsg_get_payload(nlh);

    *(unsigned char *)out = route->rtm_type;
    return MNL_CB_OK;
}

static int is_local(struct link_socket *link, int family, const void *address, bool *local)
{
    char buffer[REQUEST_MAX] = {0};
    unsigned char type = RTN_UNSPEC;
    struct nlmsghdr *nlh = begin(buffer, RTM_GETROUTE, 0);
    struct rtmsg *route = mnl_nlmsg_put_extra_header(nlh, sizeof *route);

    route->rtm_family = (unsigned char)family;
    route->rtm_dst_len = (unsigned char)(8 * address_bytes(family));
    mnl_attr_put(nlh, RTA_DST, address_bytes(family), address);
    int rc = request_for(link, nlh, read_type, &type);
    *local = !rc && type == RTN_LOCAL;
    return rc;
}

int link_wait_address(struct link_socket *link, int family, const void *address,
                      struct error *error)
{
    bool local = false;
    int rc;

    wait_until((rc = is_local(link, family, address, &local), local),
               clock_mono_ns() + LAB_CALL_LIMIT_NS / 2);
    return local ? 0 : error_sys(error, rc ? -rc : ETIMEDOUT, "waiting for an address");
}

int link_add_neighbour(struct link_socket *link, const char *device, int family,
                       const void *address, const uint8_t mac[6], struct error *error)
{
    char buffer[REQUEST_MAX] = {0};
    struct nlmsghdr *nlh = begin(buffer, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    struct ndmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof *msg);
    int index = index_of(link, device, error);

    if (index < 0)
        return index;
    msg->ndm_family = (unsigned char)family;
    msg->ndm_ifindex = index;
    msg->ndm_state = NUD_PERMANENT;
    mnl_attr_put(nlh, NDA_DST, address_bytes(family), address);
    mnl_attr_put(nlh, NDA_LLADDR, 6, mac);
    return request(link, nlh, "neighbour of", device, error);
}

/* ---- Neighbour tables ---- */

struct wanted_table {
    int index; /* of the device */
    bool found;
    struct lab_resolution *out;
};

static void read_parameters(const struct nlattr *parameters, struct wanted_table *wanted)
{
    struct lab_resolution read = {0};
    const struct nlattr *attr;
    bool same = false;

    mnl_attr_for_each_nested(attr, parameters)
    {
        switch (mnl_attr_get_type(attr)) {
        case NDTPA_IFINDEX:
            same = (int)mnl_attr_get_u32(attr) == wanted->index;
            break;
        case NDTPA_MCAST_PROBES:
        case NDTPA_APP_PROBES:
            read.solicitations += mnl_attr_get_u32(attr);
            break;
        case NDTPA_RETRANS_TIME:
            read.interval_ns = (int64_t)mnl_attr_get_u64(attr) * NS_PER_MS;
            break;
        }
    }
    if (!same)
        return;
    *wanted->out = read;
    wanted->found = true;
}

static int read_table(const struct nlmsghdr *nlh, void *wanted)
{
    const struct nlattr *attr;

    mnl_attr_for_each(attr, nlh, sizeof(struct ndtmsg))
    {
        if (mnl_attr_get_type(attr) == NDTA_PARMS)
            read_parameters(attr, wanted);
    }
    return MNL_CB_OK;
}

int lab_resolution_of(int family, struct lab_resolution *out)
{
    cleanup(link) struct link_socket *link = NULL;
    char buffer[REQUEST_MAX];
    struct nlmsghdr *nlh = begin(buffer, RTM_GETNEIGHTBL, NLM_F_DUMP);
    struct ndtmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof *msg);
    struct wanted_table wanted = {.out = out};
    int rc = link_open(&link, NULL);

    if (rc)
        return rc;
    wanted.index = index_of(link, LAB_DEVICE, NULL);
    msg->ndtm_family = (unsigned char)family;
    rc = wanted.index < 0 ? wanted.index : request_for(link, nlh, read_table, &wanted);
    return rc ? rc : wanted.found ? 0 : -ENOENT;
}

int link_queue(struct link_socket *link, const char *device)
{
    char buffer[REQUEST_MAX] = {0};
    struct nlmsghdr *nlh = begin(buffer, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
    struct tcmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof *msg);
    struct tc_fifo_qopt queue = {.limit = QUEUE_PACKETS};
    int index = index_of(link, device, NULL);

    if (index < 0)
        return index;
    msg->tcm_family = AF_UNSPEC;
    msg->tcm_ifindex = index;
    msg->tcm_handle = TC_H_MAKE(1u << 16, 0);
    msg->tcm_parent = TC_H_ROOT;
    mnl_attr_put_strz(nlh, TCA_KIND, "pfifo");
    mnl_attr_put(nlh, TCA_OPTIONS, sizeof queue, &queue);
    return request_for(link, nlh, NULL, NULL);
}

static int read_drops(const struct nlmsghdr *nlh, void *out)
{
    const struct nlattr *attr;

    mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
    {
        struct rtnl_link_stats64 stats = {0};
        size_t len = mnl_attr_get_payload_len(attr);
        if (mnl_attr_get_type(attr) != IFLA_STATS64)
            continue;
        memcpy(&stats, mnl_attr_get_payload(attr), len < sizeof stats ? len : sizeof stats);
        *(uint64_t *)out = stats.rx_dropped + stats.tx_dropped + stats.rx_missed_errors;
    }
    return MNL_CB_OK;
}

int link_drops(struct link_socket *link, const char *device, uint64_t *out)
{
    *out = 0;
    return look_at(link, device, read_drops, out);
}

static int ethtool_set(int fd, const char *device, uint32_t command, uint32_t on)
{
    struct ethtool_value value = {.cmd = command, .data = on};
    struct ifreq ifr = {.ifr_data = (void *)&value};

    strncpy(ifr.ifr_name, device, sizeof ifr.ifr_name - 1);
    return ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

static bool kernel_is_at_least(int major, int minor)
{
    struct utsname name;
    int has_major = 0, has_minor = 0;

    if (uname(&name) || sscanf(name.release, "%d.%d", &has_major, &has_minor) != 2)
        return false;
    return has_major > major || (has_major == major && has_minor >= minor);
}

int link_keep_order(struct link_socket *link, const char *device)
{
    char buffer[REQUEST_MAX] = {0};
    struct nlmsghdr *nlh = change(buffer, device, 0, 0);
    cleanup(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    /* A kernel does not say whether it has the back pressure, other than by its version. */
    if (!kernel_is_at_least(6, 16))
        return -EOPNOTSUPP;
    mnl_attr_put_u32(nlh, GRO_MAX_SIZE_ATTRIBUTE, MERGE_NOTHING);
    int rc = request_for(link, nlh, NULL, NULL);
    return rc || fd < 0 ? -EOPNOTSUPP : ethtool_set(fd, device, ETHTOOL_SGRO, 1);
}

int link_offloads_off(const char *device, struct error *error)
{
    /* Transmit checksums last: segmentation depends on them and goes off along. */
    static const struct {
        uint32_t command;
        bool required;
        const char *name;
    } offloads[] = {
        {ETHTOOL_STSO, true, "TCP segmentation"},
        {ETHTOOL_SGSO, true, "segmentation"},
        {ETHTOOL_SRXCSUM, false, "receive checksums"},
        {ETHTOOL_STXCSUM, true, "transmit checksums"},
    };
    cleanup(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_sys(error, errno, "offloads of %s", device);
    ethtool_set(fd, device, ETHTOOL_SGRO, 0);
    for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
        int rc = ethtool_set(fd, device, offloads[i].command, 0);
        if (rc && offloads[i].required)
            return error_sys(error, -rc, "switching off %s of %s", offloads[i].name, device);
    }
    return 0;
}
