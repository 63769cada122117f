/* Settings of a host's network namespace.
 *
 * /proc/sys/net shows the namespace of whoever opens it, so a process that has changed into a
 * host's namespace sets the host's. A fresh namespace has the kernel's defaults, except where it
 * copies from the machine's: those are pinned here, so that a lab is the same everywhere. */
#include "base/cleanup.h"
#include "lab/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSCTL_PATH_MAX 192

static const struct {
    const char *name, *value;
} pinned[] = {
    {"net.ipv4.tcp_congestion_control", "reno"}, /* cubic and bbr can be refused to a user */
    /* An orphan keeps its namespace: it must give up soon. */
    {"net.ipv4.tcp_orphan_retries", "1"},
    {"net.ipv4.ip_unprivileged_port_start", "0"},
    /* The largest window is below what the wire's rings hold. */
    {"net.ipv4.tcp_rmem", "4096 131072 4194304"},
    {"net.ipv4.tcp_wmem", "4096 16384 4194304"},
    {"net.ipv4.tcp_no_metrics_save", "1"}, /* no connection inherits from the one before */
    /* ipv4/conf is copied from the machine (net.core.devconf_inherit_init_net). */
    {"net.ipv4.ip_forward", "0"},
    {"net.ipv4.conf.all.rp_filter", "0"},
    {"net.ipv4.conf.default.rp_filter", "0"},
    {"net.ipv4.conf.all.arp_ignore", "0"},
    {"net.ipv4.conf.default.arp_ignore", "0"},
    {"net.ipv4.conf.all.arp_announce", "0"},
    {"net.ipv4.conf.default.arp_announce", "0"},
};

/* Devices that are made later start with these. */
static const struct {
    const char *name, *value;
} pinned_ipv6[] = {
    {"net.ipv6.conf.all.disable_ipv6", "0"},
    {"net.ipv6.conf.default.disable_ipv6", "0"},
    {"net.ipv6.conf.default.addr_gen_mode", "1"},
    {"net.ipv6.conf.default.accept_dad", "0"},
    {"net.ipv6.conf.default.accept_ra", "0"},
    {"net.ipv6.conf.default.autoconf", "0"},
    {"net.ipv6.conf.default.router_solicitations", "0"},
};

/* "tcp_x" → /proc/sys/net/ipv4/tcp_x. A name with slashes is taken as it is, so that a device with
 * a dot in its name can be said. */
static int path_of(char *path, size_t size, const char *name, struct error *error)
{
    const char *rest = name;

    if (!strncmp(rest, "net.", 4) || !strncmp(rest, "net/", 4))
        rest += 4;
    bool slashes = strchr(rest, '/'), bare = !slashes && !strchr(rest, '.');
    int used = snprintf(path, size, "/proc/sys/net/%s%s", bare ? "ipv4/" : "", rest);

    if (!*rest || strstr(rest, "..") || used < 0 || (size_t)used >= size)
        return error_set(error, EINVAL, "'%.60s' is not the name of a network setting", name);
    for (char *p = path + sizeof "/proc/sys/net/" - 1; !slashes && *p; p++)
        if (*p == '.')
            *p = '/';
    return 0;
}

int sysctl_check_name(const char *name, struct error *error)
{
    char path[SYSCTL_PATH_MAX];
    return path_of(path, sizeof path, name, error);
}

/* user_namespaces(7): the initial one maps every uid. */
static bool in_user_namespace(void)
{
    cleanup(file) FILE *map = fopen("/proc/self/uid_map", "re");
    unsigned long inside, outside, count;

    return map && fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && count < UINT32_MAX;
}

/* Some kernels give the network namespace of an unprivileged user directories without settings, or
 * not even those. */
static bool is_hidden(const char *directory)
{
    struct dirent *entry;
    DIR *all = opendir(directory);
    bool empty = true;

    while (all && (entry = readdir(all)))
        empty &= entry->d_name[0] == '.';
    if (all)
        closedir(all);
    return empty && in_user_namespace();
}

static int no_such_setting(const char *name, char *path, struct error *error)
{
    char *slash = strrchr(path, '/');

    *slash = '\0';
    if (is_hidden(path))
        return error_set(error, ENOENT,
                         "setting %s: this kernel hides it from unprivileged user namespaces; as "
                         "root it can be set",
                         name);
    return error_set(error, ENOENT,
                     "setting %s: this kernel has no such setting for a network namespace", name);
}

int sysctl_set(const char *name, const char *value, struct error *error)
{
    char path[SYSCTL_PATH_MAX];
    int rc = path_of(path, sizeof path, name, error);

    if (rc)
        return rc;
    cleanup(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return no_such_setting(name, path, error);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        return error_sys(error, errno, "setting %s to '%s'", name, value);
    return 0;
}

/* A kernel that lacks the setting has nothing to pin. */
static void pin(const char *name, const char *value, struct lab_limits *limits)
{
    struct error error = {0};
    int rc = sysctl_set(name, value, &error);

    if (rc && rc != -ENOENT)
        lab_note(limits,
                 "settings of the hosts are this system's, not the lab's, so that results may "
                 "differ from those elsewhere (%s)",
                 strerror(-rc));
}

void sysctl_pin_host(const struct lab_plan *plan, struct lab_limits *limits)
{
    for (size_t i = 0; i < ARRAY_SIZE(pinned); i++)
        pin(pinned[i].name, pinned[i].value, limits);
    /* For ping(8) without rights. In a user namespace of one user there are no such groups, and no
     * need: the file's capability counts there. */
    sysctl_set("net.ipv4.ping_group_range", "0 2147483647", NULL);
    /* The same for servers on port 80. */
    sysctl_set("net.ipv4.ip_unprivileged_port_start", "0", NULL);
    if (!plan->ipv6)
        sysctl_pin_wire();
    for (size_t i = 0; plan->ipv6 && i < ARRAY_SIZE(pinned_ipv6); i++)
        pin(pinned_ipv6[i].name, pinned_ipv6[i].value, limits);
}

int sysctl_set_host(const struct lab_host_config *host, struct error *error)
{
    for (size_t i = 0; i < host->sysctls_count; i++) {
        const struct lab_sysctl *s = &host->sysctls[i];
        int rc = sysctl_set(s->name, s->value, error);
        if (rc == -ENOENT && !s->optional && s->missing) {
            if (error)
                error->code = -s->missing;
            return s->missing;
        }
        if (rc && !s->optional)
            return rc;
    }
    return 0;
}

static void list_hidden(char *out, size_t size_bytes)
{
    static const struct {
        const char *look_at, *name;
    } directories[] = {{"net/core", "net/core"}, {"net/ipv4/neigh/lo", "net/ipv4/neigh"}};
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(directories) && used < size_bytes; i++) {
        char path[SYSCTL_PATH_MAX];
        snprintf(path, sizeof path, "/proc/sys/%s", directories[i].look_at);
        if (is_hidden(path))
            used += (size_t)snprintf(out + used, size_bytes - used, "%s%s", used ? ", " : "",
                                     directories[i].name);
    }
}

void lab_hidden_settings(char *out, size_t size_bytes)
{
    struct namespaces made;
    int pair[2];

    *out = '\0';
    if (pipe2(pair, O_CLOEXEC))
        return;
    pid_t pid = fork();
    if (!pid) {
        if (!namespaces_enter(&made, NULL) && !namespace_go(made.host[LAB_SERVER], NULL)) {
            list_hidden(out, size_bytes);
            if (write(pair[1], out, strlen(out)) < 0)
                _exit(1);
        }
        _exit(0);
    }
    close(pair[1]);
    ssize_t got = pid < 0 ? -1 : read(pair[0], out, size_bytes - 1);
    out[got > 0 ? got : 0] = '\0';
    close(pair[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void sysctl_pin_wire(void)
{
    sysctl_set("net.ipv6.conf.all.disable_ipv6", "1", NULL);
    sysctl_set("net.ipv6.conf.default.disable_ipv6", "1", NULL);
}
