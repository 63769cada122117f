/* What agents can say of their host: ports, settings, counters, sockets. */
#include "base/cleanup.h"
#include "probe/machine_probe.h"
#include "scenario/engine/agent_self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint16_t agent_self_port(const struct agent_self *self, uint16_t port)
{
    bool ours = self->start.ports && port >= TESTBED_PORT && port < TESTBED_PORT + AGENT_PORTS;
    return ours ? (uint16_t)(self->start.ports + port - TESTBED_PORT) : port;
}

static bool is_free(int family, uint16_t port)
{
    struct sock sock = SOCK_INIT;
    struct sock_address address;
    bool bound = !sock_address_literal(&address, family == AF_INET ? "127.0.0.1" : "::1", port) &&
                 !sock_open(&sock, family, 0) && !sock_bind(&sock, &address);

    if (sock.fd >= 0)
        sock_close(&sock);
    return bound;
}

bool agent_self_has_loopback(int family)
{
    return is_free(family, 0);
}

/* Below the ephemeral ports, from a place that depends on the process, so that two runs at once do
 * not choose the same. */
uint16_t agent_self_free_ports(int family)
{
    for (unsigned i = 0; i < 200; i++) {
        uint16_t first = (uint16_t)(12000 + ((unsigned)getpid() * 7 + i) % 1000 * AGENT_PORTS);
        int k = 0;
        while (k < AGENT_PORTS && is_free(family, (uint16_t)(first + k)))
            k++;
        if (k == AGENT_PORTS)
            return first;
    }
    return 0;
}

AGENT_CALL(agent_self_settings)
{
    reply->settings = machine_timers();
    return 0;
}

static int64_t read_file(const char *path, char *out, size_t size)
{
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : 0;
    size_t used = 0;

    if (fd < 0)
        return -errno;
    while (used + 1 < size && (len = read(fd, out + used, size - 1 - used)) > 0)
        used += (size_t)len;
    out[used] = '\0';
    return len < 0 ? -errno : (int64_t)used;
}

int64_t agent_self_read_setting(const char *name, char *out, size_t size_bytes)
{
    char path[160];

    snprintf(path, sizeof path, "/proc/sys/net/%s%s", strchr(name, '/') ? "" : "ipv4/", name);
    int64_t len = read_file(path, out, size_bytes);
    if (len > 0)
        out[strcspn(out, "\n")] = '\0';
    return len;
}

AGENT_CALL(agent_self_setting)
{
    int64_t rc = agent_self_read_setting(act->text, reply->text, sizeof reply->text);

    return rc < 0 ? rc : strtoll(reply->text, NULL, 10);
}

/* "TcpExt: Name Name …\nTcpExt: 1 2 …" */
static int64_t counter_in(const char *text, const char *group, const char *name)
{
    size_t group_len = strlen(group), name_len = strlen(name);

    for (const char *line = text; line && *line;) {
        const char *values = strchr(line, '\n');
        if (strncmp(line, group, group_len) != 0 || line[group_len] != ':' || !values) {
            line = values ? values + 1 : NULL;
            continue;
        }
        const char *word = line + group_len + 1, *value = values + 1 + group_len + 1;
        while (*word == ' ' && *value == ' ') {
            word++, value++;
            if (!strncmp(word, name, name_len) && (word[name_len] == ' ' || word[name_len] == '\n'))
                return strtoll(value, NULL, 10);
            word += strcspn(word, " \n");
            value += strcspn(value, " \n");
        }
        line = strchr(values + 1, '\n');
        line = line ? line + 1 : NULL;
    }
    return -ENOENT;
}

AGENT_CALL(agent_self_counter)
{
    static const char *const files[] = {"/proc/net/netstat", "/proc/net/snmp"};
    static char text[32768];
    char group[ACT_WORDS_MAX];
    const char *blank = strchr(act->text, ' ');
    int64_t rc = -ENOENT;

    if (!blank)
        return -EINVAL;
    snprintf(group, sizeof group, "%.*s", (int)(blank - act->text), act->text);
    for (size_t i = 0; i < ARRAY_SIZE(files) && rc < 0; i++)
        if (read_file(files[i], text, sizeof text) > 0)
            rc = counter_in(text, group, blank + 1);
    return rc;
}

AGENT_CALL(agent_self_listen_limit)
{
    struct sock sock = SOCK_INIT;
    struct sock_tcp_info info;
    int rc = sock_open(&sock, self->start.family, 0);

    /* Unbound, so that the kernel chooses a port. */
    if (!rc && listen(sock.fd, -1))
        rc = -errno;
    if (!rc)
        rc = sock_tcp_info(sock.fd, &info);
    if (sock.fd >= 0)
        sock_close(&sock);
    return rc ? rc : (int64_t)info.sacked;
}

static int take_socket(void *context, const struct sock_diag_entry *entry)
{
    struct act_socket *found = context;

    found->entry = *entry;
    found->state = entry->state;
    found->count++;
    return 0;
}

int agent_self_sockets(const struct sock_diag_filter *filter,
                       int (*each)(void *context, const struct sock_diag_entry *entry),
                       void *context)
{
    struct sock_diag *diag;
    int rc = sock_diag_open(&diag, NULL);

    if (rc)
        return rc;
    rc = sock_diag_list(diag, filter, each, context, NULL);
    sock_diag_close(diag);
    return rc;
}

AGENT_CALL(agent_self_diag)
{
    struct sock_diag_filter filter = {.family = self->start.family,
                                      .local_port = agent_self_port(self, act->port),
                                      .remote_port = agent_self_port(self, (uint16_t)act->number),
                                      .want_info = true};
    int rc = agent_self_sockets(&filter, take_socket, &reply->socket);

    return rc ? rc : reply->socket.state;
}
