#include "probe/machine_probe.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/shortage.h"
#include "base/units.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (256 << 10) /* counters take some 10 KiB, a kernel's configuration 200 */

struct tree {
    const char *root;
    struct arena *arena;
    struct error *unread; /* machine.h */
};

/* A file that is not there, or hidden, is something that is known; not so one that fails. */
static const char *unread(const struct tree *tree, const char *path, int code)
{
    shortage_note(code);
    if ((code == EIO || shortage_is(code)) && !tree->unread->code)
        error_sys(tree->unread, code, "cannot read %s/%s", tree->root, path);
    return NULL;
}

/* The start of a regular file; NULL when there is none. A pipe in a copied tree must not be waited
 * for. */
static const char *read_text(const struct tree *tree, const char *path)
{
    cleanup(buf) struct buf name = {0}, text = {0};
    char chunk[4096];
    struct stat status;
    ssize_t got;

    buf_printf(&name, "%s/%s", tree->root, path);
    cleanup(fd) int fd = open(buf_str(&name), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status))
        return unread(tree, path, errno);
    if (!S_ISREG(status.st_mode))
        return NULL;
    buf_init_cap(&text, FILE_MAX);
    while ((got = read(fd, chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR))
        buf_add(&text, chunk, got > 0 ? (size_t)got : 0);
    return got < 0 ? unread(tree, path, errno) : arena_copy(tree->arena, buf_str(&text));
}

/* The first word of a file. */
static const char *read_word(const struct tree *tree, const char *path)
{
    const char *text = read_text(tree, path);
    size_t len = text ? strcspn(text, " \t\r\n") : 0;

    return len ? arena_printf(tree->arena, "%.*s", len < 128 ? (int)len : 128, text) : NULL;
}

static void read_counters(struct machine_counters *out, const struct tree *tree)
{
    *out = (struct machine_counters){.netstat = read_text(tree, "proc/net/netstat"),
                                     .snmp = read_text(tree, "proc/net/snmp"),
                                     .sockstat = read_text(tree, "proc/net/sockstat")};
}

/* CONFIG_HZ of a configuration that lies beside the kernel, as most distributions have it. */
static void read_tick(struct machine *out, const struct tree *tree)
{
    static const char key[] = "\nCONFIG_HZ=";
    const char *path = arena_printf(tree->arena, "boot/config-%s", out->kernel);
    const char *text = strchr(out->kernel, '/') ? NULL : read_text(tree, path);
    const char *line = text ? strstr(text, key) : NULL;
    long hz = line ? strtol(line + strlen(key), NULL, 10) : 0;

    if (hz < 24 || hz > 10000)
        return;
    out->tick_ns = NS_PER_SEC / hz;
    out->tick_source = arena_printf(tree->arena, "CONFIG_HZ in /%s", path);
}

static void read_uptime(struct machine *out, const struct tree *tree)
{
    const char *word = read_word(tree, "proc/uptime");
    double seconds;

    if (word && !units_parse_real(word, &seconds) && seconds > 0 && seconds < 9e9)
        out->uptime_ns = (int64_t)(seconds * (double)NS_PER_SEC);
}

void machine_read_files(struct machine *out, const char *root, struct arena *arena)
{
    const struct tree tree = {root, arena, &out->unread};
    const char *path;

    for (size_t i = 0; (path = machine_setting_path(i)); i++) {
        const char *text = read_text(&tree, arena_printf(arena, "proc/sys/%s", path));
        machine_value_read(&out->settings[i], text ? text : "");
    }
    const char *scope = read_text(&tree, "proc/sys/kernel/yama/ptrace_scope");
    machine_value_read(&out->ptrace_scope, scope ? scope : "");
    out->kernel = read_word(&tree, "proc/sys/kernel/osrelease");
    out->clock_source =
        read_word(&tree, "sys/devices/system/clocksource/clocksource0/current_clocksource");
    read_uptime(out, &tree);
    if (out->kernel)
        read_tick(out, &tree);
    read_counters(&out->before, &tree);
}

void machine_read_again(struct machine *out, const char *root, struct arena *arena)
{
    read_counters(&out->after, &(struct tree){root, arena, &out->unread});
}
