/* What the running kernel says of itself and of its interfaces. */
#include "probe/machine_probe.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int64_t from_limit(rlim_t limit)
{
    return limit == RLIM_INFINITY ? INT64_MAX : (int64_t)limit;
}

void machine_read_limits(struct machine *out)
{
    struct timespec resolution;
    struct rlimit limit;

    /* The coarse clocks advance with the tick: their resolution is exactly 1 / HZ. What imitates
     * Linux may say something else. */
    if (!clock_getres(CLOCK_MONOTONIC_COARSE, &resolution)) {
        int64_t tick_ns = clock_from_timespec(resolution);
        if (tick_ns >= NS_PER_SEC / 10000 && tick_ns <= NS_PER_SEC / 24) {
            out->tick_ns = tick_ns;
            out->tick_source = "clock_getres(CLOCK_MONOTONIC_COARSE)";
        }
    }
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        out->descriptors_known = true;
        out->descriptors_soft = from_limit(limit.rlim_cur);
        out->descriptors_hard = from_limit(limit.rlim_max);
    }
}

static int ethtool(int fd, const char *name, void *command)
{
    struct ifreq request = {.ifr_data = command};

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    return ioctl(fd, SIOCETHTOOL, &request);
}

/* 1, 0, or -1 where the driver does not say. */
static int ethtool_flag(int fd, const char *name, uint32_t command)
{
    struct ethtool_value value = {.cmd = command};
    return ethtool(fd, name, &value) ? -1 : value.data != 0;
}

static int software_transmit(int fd, const char *name)
{
    struct ethtool_ts_info info = {.cmd = ETHTOOL_GET_TS_INFO};
    return ethtool(fd, name, &info) ? -1
                                    : (info.so_timestamping & SOF_TIMESTAMPING_TX_SOFTWARE) != 0;
}

static void read_interface(struct machine *out, int fd, const char *name)
{
    struct ifreq flags = {0}, mtu = {0};

    snprintf(flags.ifr_name, sizeof flags.ifr_name, "%s", name);
    snprintf(mtu.ifr_name, sizeof mtu.ifr_name, "%s", name);
    if (ioctl(fd, SIOCGIFFLAGS, &flags) || !(flags.ifr_flags & IFF_UP) ||
        ioctl(fd, SIOCGIFMTU, &mtu))
        return;
    if (out->interface_count == MACHINE_INTERFACES) {
        out->interfaces_left_out++;
        return;
    }
    struct machine_interface *interface = &out->interfaces[out->interface_count++];
    *interface = (struct machine_interface){.loopback = flags.ifr_flags & IFF_LOOPBACK,
                                            .mtu_bytes = mtu.ifr_mtu,
                                            .tso = ethtool_flag(fd, name, ETHTOOL_GTSO),
                                            .gso = ethtool_flag(fd, name, ETHTOOL_GGSO),
                                            .gro = ethtool_flag(fd, name, ETHTOOL_GGRO),
                                            .software_transmit = software_transmit(fd, name)};
    snprintf(interface->name, sizeof interface->name, "%s", name);
}

void machine_read_interfaces(struct machine *out)
{
    cleanup(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct if_nameindex *list;

    if (fd < 0)
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    list = fd < 0 ? NULL : if_nameindex();
    if (!list && !out->unread.code)
        error_sys(&out->unread, errno, "cannot list the interfaces");
    for (size_t i = 0; list && list[i].if_name; i++)
        read_interface(out, fd, list[i].if_name);
    if (list)
        if_freenameindex(list);
}

struct kernel_timers_settings machine_timers(void)
{
    cleanup(arena) struct arena arena = {0};
    cleanup(mem) struct machine *machine = calloc(1, sizeof *machine); /* some 20 KiB */

    if (!machine)
        return kernel_timers_defaults;
    machine_read_files(machine, "", &arena);
    machine_read_limits(machine);
    return machine_schedule(machine);
}
