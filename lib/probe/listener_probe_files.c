/* What /proc says: counters and settings of the namespace, and the sockets of a process. */
#include "probe/listener_probe_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/shortage.h"
#include "base/units.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define COUNTERS_MAX (32 << 10) /* some 5 KiB on Linux 6 */

/* ---- counters and settings ---- */

void listener_files_open(struct listener_files *files)
{
    files->netstat = open("/proc/net/netstat", O_RDONLY | O_CLOEXEC);
    files->snmp = open("/proc/net/snmp", O_RDONLY | O_CLOEXEC);
    if (files->netstat < 0 || files->snmp < 0)
        shortage_note(errno);
}

void listener_files_close(struct listener_files *files)
{
    if (files->netstat >= 0)
        close(files->netstat);
    if (files->snmp >= 0)
        close(files->snmp);
    files->netstat = files->snmp = -1;
}

/* The kernel makes the text anew at each read from the start. NULL: it could not be read. */
const char *listener_file_read(int fd, char *out, size_t size_bytes)
{
    size_t len = 0;

    while (fd >= 0 && len + 1 < size_bytes) {
        ssize_t got = pread(fd, out + len, size_bytes - 1 - len, (off_t)len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            shortage_note(errno);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    out[len] = '\0';
    return len ? out : NULL;
}

void listener_files_read(const struct listener_files *files, struct listener_counters *out)
{
    static _Thread_local char netstat[COUNTERS_MAX], snmp[COUNTERS_MAX];

    listener_counters_read(out, listener_file_read(files->netstat, netstat, sizeof netstat),
                           listener_file_read(files->snmp, snmp, sizeof snmp));
}

static int64_t read_setting(const char *path)
{
    char text[64];
    int64_t value;
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (!listener_file_read(fd, text, sizeof text))
        return RESULT_UNKNOWN;
    text[strcspn(text, " \t\n")] = '\0';
    return units_parse_integer(text, &value) ? RESULT_UNKNOWN : value;
}

void listener_settings_read(struct listener_settings *out)
{
    *out = (struct listener_settings){
        .somaxconn = read_setting("/proc/sys/net/core/somaxconn"),
        .max_syn_backlog = read_setting("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
        .syncookies = read_setting("/proc/sys/net/ipv4/tcp_syncookies"),
        .abort_on_overflow = read_setting("/proc/sys/net/ipv4/tcp_abort_on_overflow"),
    };
}

/* ---- a process ---- */

static int compare_inodes(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Sockets of another network namespace are not in the tables that we can ask. */
static int check_namespace(int64_t pid, struct error *error)
{
    char path[64];
    struct stat own, other;

    snprintf(path, sizeof path, "/proc/%" PRId64 "/ns/net", pid);
    if (stat("/proc/self/ns/net", &own) || stat(path, &other) || own.st_ino == other.st_ino)
        return 0;
    return error_set(error, EXDEV,
                     "process %" PRId64 " is in another network namespace, whose sockets do not "
                     "show here; run netkit there: nsenter --net --target %" PRId64 " netkit "
                     "accept-backlog …",
                     pid, pid);
}

static int open_descriptors(int64_t pid, DIR **out, struct error *error)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%" PRId64 "/fd", pid);
    *out = opendir(path);
    if (*out)
        return 0;
    if (errno == EACCES || errno == EPERM)
        return error_set(error, EACCES,
                         "the descriptors of process %" PRId64 " may be read only by its owner and "
                         "by root; name the address instead (--listener :PORT), which everybody "
                         "may watch",
                         pid);
    if (errno == ENOENT)
        return error_set(error, ESRCH, "there is no process %" PRId64, pid);
    return error_sys(error, errno, "%s", path);
}

static int add_inode(uint32_t **inodes, size_t *count, uint32_t inode)
{
    if (!(*count & (*count - 1))) {
        uint32_t *more = realloc(*inodes, (*count ? 2 * *count : 1) * sizeof *more);
        if (!more)
            return -ENOMEM;
        *inodes = more;
    }
    (*inodes)[(*count)++] = inode;
    return 0;
}

int listener_process_inodes(int64_t pid, uint32_t **out, size_t *count, struct error *error)
{
    cleanup(dir) DIR *dir = NULL;
    cleanup(mem) uint32_t *inodes = NULL;
    const struct dirent *entry;
    int rc = open_descriptors(pid, &dir, error);

    if (!rc)
        rc = check_namespace(pid, error);
    for (*count = 0; !rc && (entry = readdir(dir));) {
        char link[64];
        uint32_t inode;
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (len <= 0)
            continue;
        link[len] = '\0';
        if (sscanf(link, "socket:[%" SCNu32 "]", &inode) == 1 && add_inode(&inodes, count, inode))
            rc = error_sys(error, ENOMEM, "process %" PRId64, pid);
    }
    if (rc)
        return rc;
    if (*count)
        qsort(inodes, *count, sizeof *inodes, compare_inodes);
    *out = take_ptr(inodes);
    return 0;
}

void listener_process_name(int64_t pid, char *out, size_t size_bytes)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%" PRId64 "/comm", pid);
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    listener_file_read(fd, out, size_bytes);
    out[strcspn(out, "\n")] = '\0';
}

/* ---- what it costs ---- */

int64_t listener_cpu_ns(void)
{
    struct timespec time;

    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) ? 0 : clock_from_timespec(time);
}
