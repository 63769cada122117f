/* The processes that hold a listener, and what each of them does, from /proc.
 *
 * /proc/PID/fd, fdinfo and wchan may be read of one's own processes, and by root of all. Finding
 * the holders means to read the link of every descriptor, so it is done seldom, for all listeners
 * at once; a look at those found costs little. Both are made less often where they would take more
 * than a hundredth of the time. */
#include "probe/listener_probe_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SCAN_EVERY_NS NS_PER_SEC
#define FILE_MAX      4096
#define LINK_MAX      64
#define THREADS_MAX   512 /* of a process with more the rest is not looked at, and it is unclear */
#define ANCESTORS_MAX 64
#define SETS_MAX      64
#define O_ASYNC_FLAG  020000

/* ---- files ---- */

static bool is_number(const char *text)
{
    return isdigit((unsigned char)*text);
}

__attribute__((format(printf, 3, 4))) static bool read_file(char *out, size_t size_bytes,
                                                            const char *format, ...)
{
    char path[96];
    va_list args;

    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return listener_file_read(fd, out, size_bytes) != NULL;
}

/* ---- finding them ---- */

static int compare_inodes(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int add_holder(struct listener_holders *holders, const struct listener_holder *holder)
{
    struct listener_holder *items = holders->items;

    if (!(holders->count & (holders->count - 1)))
        items = realloc(items, (holders->count ? 2 * holders->count : 1) * sizeof *items);
    if (!items)
        return -ENOMEM;
    holders->items = items;
    items[holders->count++] = *holder;
    return 0;
}

/* The state in a text of /proc/PID/stat, and what stands behind it. The name before it may have
 * anything in it, parentheses too. '\0': it is no such text. */
static char state_in(const char *text, const char **rest)
{
    const char *name_end = strrchr(text, ')');

    if (!name_end || name_end[1] != ' ' || !name_end[2])
        return '\0';
    *rest = name_end + 3;
    return name_end[2];
}

static int64_t session_of(int64_t pid, int64_t *parent)
{
    char text[FILE_MAX];
    const char *rest;
    int64_t session;

    if (!read_file(text, sizeof text, "/proc/%" PRId64 "/stat", pid) || !state_in(text, &rest) ||
        sscanf(rest, " %" SCNd64 " %*d %" SCNd64, parent, &session) != 2)
        return *parent = 0;
    return session;
}

static int add_unreadable(struct listener_holders *holders, int64_t pid)
{
    struct listener_unreadable *items = holders->unreadable, found = {.pid = pid};
    char text[FILE_MAX];
    const char *uid;

    if (!read_file(text, sizeof text, "/proc/%" PRId64 "/status", pid) ||
        !(uid = strstr(text, "\nUid:")))
        return 0; /* it has ended */
    if (!(holders->unreadable_count & (holders->unreadable_count - 1)))
        items = realloc(items, (holders->unreadable_count ? 2 * holders->unreadable_count : 1) *
                                   sizeof *items);
    if (!items)
        return -ENOMEM;
    holders->unreadable = items;
    found.uid = (uint32_t)strtoul(uid + strlen("\nUid:"), NULL, 10);
    found.session = session_of(pid, &found.parent);
    items[holders->unreadable_count++] = found;
    return 0;
}

/* Each listener's inode only once: a duplicated descriptor says nothing more. */
static bool is_known(const struct listener_holders *holders, size_t from, uint32_t inode)
{
    for (size_t i = from; i < holders->count; i++)
        if (holders->items[i].inode == inode)
            return true;
    return false;
}

static int scan_process(struct listener_holders *holders, int64_t pid, const uint32_t *inodes,
                        size_t count)
{
    char path[64];
    size_t from = holders->count;
    const struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%" PRId64 "/fd", pid);
    cleanup(dir) DIR *dir = opendir(path);
    if (!dir)
        return errno == EACCES || errno == EPERM ? add_unreadable(holders, pid) : 0;
    while ((entry = readdir(dir))) {
        char link[LINK_MAX];
        uint32_t inode;
        if (!is_number(entry->d_name))
            continue;
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (len < 0 && (errno == EACCES || errno == EPERM)) /* it has just changed its user */
            return add_unreadable(holders, pid);
        link[len > 0 ? len : 0] = '\0';
        if (sscanf(link, "socket:[%" SCNu32 "]", &inode) != 1 ||
            !bsearch(&inode, inodes, count, sizeof inode, compare_inodes) ||
            is_known(holders, from, inode))
            continue;
        struct listener_holder holder = {inode, pid, 0, atoi(entry->d_name)};
        int64_t parent;
        holder.session = session_of(pid, &parent);
        if (add_holder(holders, &holder))
            return -ENOMEM;
    }
    return 0;
}

static int scan(struct listener_holders *holders, uint32_t *inodes, size_t count)
{
    const struct dirent *entry;
    int rc = 0;

    holders->count = holders->unreadable_count = 0;
    qsort(inodes, count, sizeof *inodes, compare_inodes);
    cleanup(dir) DIR *dir = opendir("/proc");
    holders->blind = !dir;
    while (dir && !rc && (entry = readdir(dir)))
        if (is_number(entry->d_name))
            rc = scan_process(holders, strtoll(entry->d_name, NULL, 10), inodes, count);
    return rc;
}

static bool holds(const struct listener_holders *holders, uint32_t inode, int64_t pid)
{
    for (size_t i = 0; i < holders->count; i++)
        if (holders->items[i].inode == inode && holders->items[i].pid == pid)
            return true;
    return false;
}

static const struct listener_unreadable *find_unreadable(const struct listener_holders *holders,
                                                         int64_t pid)
{
    for (size_t i = 0; i < holders->unreadable_count; i++)
        if (holders->unreadable[i].pid == pid)
            return &holders->unreadable[i];
    return NULL;
}

static bool descends_from_holder(const struct listener_holders *holders, uint32_t inode,
                                 const struct listener_unreadable *process)
{
    for (int i = 0; process && i < ANCESTORS_MAX; i++) {
        if (holds(holders, inode, process->parent))
            return true;
        process = find_unreadable(holders, process->parent);
    }
    return false;
}

static bool shares_session(const struct listener_holders *holders, uint32_t inode, int64_t session)
{
    for (size_t i = 0; i < holders->count; i++)
        if (holders->items[i].inode == inode && holders->items[i].session == session)
            return true;
    return false;
}

/* Whether a process may hold the listener that we may not look at: one of the user who opened it,
 * where that is somebody else; one of our own that made itself unreadable, in the session of one
 * that was found; a child of one. A socket that was handed to a stranger is beyond us. */
static bool may_be_hidden(const struct listener_holders *holders, uint32_t inode, uint32_t uid)
{
    uint32_t own = geteuid();

    if (holders->blind)
        return true;
    for (size_t i = 0; i < holders->unreadable_count; i++) {
        const struct listener_unreadable *process = &holders->unreadable[i];
        if ((uid != own && process->uid == uid) ||
            (process->uid == own && shares_session(holders, inode, process->session)) ||
            descends_from_holder(holders, inode, process))
            return true;
    }
    return false;
}

/* ---- a look at one ---- */

struct threads {
    int64_t count, running, stopped, locked; /* locked: asleep for a lock, or another thread */
    int sets[SETS_MAX];                      /* epoll sets in which threads sleep */
    int64_t loops, known_loops;              /* threads that sleep so; those whose set is known */
    bool unclear;                            /* one sleeps in accept(), or nobody knows where */
};

static bool is_epoll_call(long number)
{
#ifdef SYS_epoll_wait
    if (number == SYS_epoll_wait)
        return true;
#endif
#ifdef SYS_epoll_pwait2
    if (number == SYS_epoll_pwait2)
        return true;
#endif
    return number == SYS_epoll_pwait;
}

static bool is_event_loop(const char *where)
{
    return strstr(where, "ep_poll") || strstr(where, "epoll");
}

/* In which set a thread sleeps, by the system call that it is in: "232 0x3 0x7f…". Where ptrace is
 * restricted only root may read that. */
static void find_set(struct threads *threads, int64_t pid, int64_t tid)
{
    char text[FILE_MAX];
    long number;
    int set;

    if (threads->known_loops < SETS_MAX &&
        read_file(text, sizeof text, "/proc/%" PRId64 "/task/%" PRId64 "/syscall", pid, tid) &&
        sscanf(text, "%ld %x", &number, (unsigned *)&set) == 2 && is_epoll_call(number))
        threads->sets[threads->known_loops++] = set;
}

static void count_sleeper(struct threads *threads, const char *where)
{
    if (strstr(where, "freez") || strstr(where, "refrigerator"))
        threads->stopped++;
    threads->locked += strstr(where, "futex") != NULL;
    threads->loops += is_event_loop(where);
    threads->unclear |= !*where || !strcmp(where, "0") || strstr(where, "accept") ||
                        strstr(where, "wait_for_connect");
}

static void count_thread(struct threads *threads, struct listener_process *out, int64_t tid)
{
    char stat[FILE_MAX], where[LISTENER_NAME_MAX];
    const char *rest;

    if (!read_file(stat, sizeof stat, "/proc/%" PRId64 "/task/%" PRId64 "/stat", out->pid, tid))
        return;
    switch (state_in(stat, &rest)) {
    case 'R':
        threads->running++;
        break;
    case 'T':
    case 't':
        threads->stopped++;
        break;
    case 'Z':
    case 'X':
    case '\0':
        return;
    default:
        *where = '\0';
        read_file(where, sizeof where, "/proc/%" PRId64 "/task/%" PRId64 "/wchan", out->pid, tid);
        count_sleeper(threads, where);
        if (is_event_loop(where))
            find_set(threads, out->pid, tid);
        if (!*out->where && strcmp(where, "0"))
            memcpy(out->where, where, sizeof where);
    }
    threads->count++;
}

static void count_threads(struct threads *threads, struct listener_process *out)
{
    char path[64];
    const struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%" PRId64 "/task", out->pid);
    cleanup(dir) DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (threads->count >= THREADS_MAX)
            threads->unclear = true;
        else if (is_number(entry->d_name))
            count_thread(threads, out, strtoll(entry->d_name, NULL, 10));
    }
}

static void read_process(struct listener_process *out)
{
    char stat[FILE_MAX];
    const char *rest, *name;
    int64_t user, kernel, tick_ns = NS_PER_SEC / sysconf(_SC_CLK_TCK);

    out->cpu_ns = out->kernel_cpu_ns = RESULT_UNKNOWN;
    if (!read_file(stat, sizeof stat, "/proc/%" PRId64 "/stat", out->pid) ||
        !state_in(stat, &rest) || !(name = strchr(stat, '(')))
        return;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(strrchr(stat, ')') - name - 1), name + 1);
    if (sscanf(rest, " %" SCNd64 " %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNd64 " %" SCNd64,
               &out->parent, &user, &kernel) != 3)
        return;
    out->cpu_ns = (user + kernel) * tick_ns;
    out->kernel_cpu_ns = kernel * tick_ns;
}

/* How many descriptor numbers below the limit are in use. Since Linux 6.2 the folder's size is the
 * number of all; so it is walked through only where they may be used up. */
static int64_t count_descriptors(int64_t pid, int64_t limit)
{
    char path[64];
    struct stat folder;
    int64_t count = 0;
    const struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%" PRId64 "/fd", pid);
    if (stat(path, &folder))
        return RESULT_UNKNOWN;
    if (folder.st_size && folder.st_size < limit)
        return folder.st_size;
    cleanup(dir) DIR *dir = opendir(path);
    if (!dir)
        return RESULT_UNKNOWN;
    while ((entry = readdir(dir)))
        count += is_number(entry->d_name) && strtoll(entry->d_name, NULL, 10) < limit;
    return count;
}

static void read_descriptors(struct listener_process *out)
{
    static const char limit_name[] = "Max open files";
    char limits[FILE_MAX];
    const char *limit;

    out->descriptors = out->descriptor_limit = RESULT_UNKNOWN;
    if (!read_file(limits, sizeof limits, "/proc/%" PRId64 "/limits", out->pid) ||
        !(limit = strstr(limits, limit_name)) ||
        sscanf(limit + strlen(limit_name), "%" SCNd64, &out->descriptor_limit) != 1)
        return;
    out->descriptors = count_descriptors(out->pid, out->descriptor_limit);
}

/* How a process waits for connections, of what can be seen. */
struct interest {
    bool edge, level;               /* by epoll */
    bool edge_asleep, level_asleep; /* the same, and a thread may sleep in that set */
    bool unclear;                   /* by other means, or epoll sets in epoll sets */
};

static bool is_epoll(int64_t pid, int fd, bool *uring)
{
    char path[64], link[LINK_MAX];

    snprintf(path, sizeof path, "/proc/%" PRId64 "/fd/%d", pid, fd);
    ssize_t len = readlink(path, link, sizeof link - 1);
    link[len > 0 ? len : 0] = '\0';
    if (!strcmp(link, "anon_inode:[io_uring]"))
        *uring = true;
    return !strcmp(link, "anon_inode:[eventpoll]");
}

/* "tfd:        3 events: 80000019 data: … ino:21b0d sdev:9"; the inode since Linux 4.13. */
static void read_epoll_set(struct interest *interest, const struct listener_holder *holder, int set,
                           bool asleep)
{
    char path[64], line[256];
    bool uring = false;

    snprintf(path, sizeof path, "/proc/%" PRId64 "/fdinfo/%d", holder->pid, set);
    cleanup(file) FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        const char *inode_text = strstr(line, "ino:");
        uint32_t events, inode = 0;
        int fd;
        if (sscanf(line, "tfd: %d events: %" SCNx32, &fd, &events) != 2)
            continue;
        bool known = inode_text && sscanf(inode_text, "ino:%" SCNx32, &inode) == 1;
        if (known ? inode == holder->inode : fd == holder->fd) {
            bool wanted = events & (EPOLLIN | EPOLLRDNORM);
            bool edge = wanted && events & EPOLLET, level = wanted && !edge;
            interest->edge |= edge;
            interest->level |= level;
            interest->edge_asleep |= edge && asleep;
            interest->level_asleep |= level && asleep;
        } else if (events & EPOLLET && is_epoll(holder->pid, fd, &uring)) {
            interest->unclear = true;
        }
    }
}

/* Whether a thread sleeps in the set, as far as that is known. */
static bool may_sleep_in(const struct threads *threads, int set)
{
    for (int64_t i = 0; i < threads->known_loops; i++)
        if (threads->sets[i] == set)
            return true;
    return threads->loops > threads->known_loops;
}

static void read_interest(struct interest *interest, const struct threads *threads,
                          const struct listener_holder *holder)
{
    char text[FILE_MAX], path[64];
    const char *flags;
    const struct dirent *entry;

    if (read_file(text, sizeof text, "/proc/%" PRId64 "/fdinfo/%d", holder->pid, holder->fd) &&
        (flags = strstr(text, "flags:")))
        interest->unclear |= (strtoul(flags + strlen("flags:"), NULL, 8) & O_ASYNC_FLAG) != 0;
    snprintf(path, sizeof path, "/proc/%" PRId64 "/fd", holder->pid);
    cleanup(dir) DIR *dir = opendir(path);
    interest->unclear |= !dir;
    while (dir && (entry = readdir(dir)))
        if (is_number(entry->d_name) &&
            is_epoll(holder->pid, atoi(entry->d_name), &interest->unclear))
            read_epoll_set(interest, holder, atoi(entry->d_name),
                           may_sleep_in(threads, atoi(entry->d_name)));
}

/* Some threads run, and the others wait for a lock, or in epoll sets without the listener: then the
 * one that takes connections runs, or waits for the lock. That there is one is sure where all wait
 * for locks, or the listener is in a set that nobody waits for. */
static bool is_running(const struct threads *threads, const struct interest *interest)
{
    if (threads->running + threads->locked == threads->count)
        return true;
    return threads->running + threads->locked + threads->loops == threads->count &&
           (interest->edge || interest->level) && !interest->edge_asleep &&
           !interest->level_asleep && !interest->unclear;
}

static void judge(struct listener_process *out, const struct threads *threads,
                  const struct listener_holder *holder)
{
    struct interest interest = {0};

    out->threads = threads->count;
    out->running = threads->running;
    out->posture = LISTENER_UNCLEAR;
    if (threads->count && threads->stopped == threads->count) {
        out->posture = LISTENER_STOPPED;
        return;
    }
    if (out->descriptors != RESULT_UNKNOWN && out->descriptors >= out->descriptor_limit) {
        out->posture = LISTENER_OUT_OF_DESCRIPTORS;
        return;
    }
    if (!threads->count || threads->stopped || threads->unclear)
        return;
    read_interest(&interest, threads, holder);
    if (threads->running && is_running(threads, &interest))
        out->posture = LISTENER_RUNS;
    else if (!threads->running && !interest.unclear && !interest.level_asleep)
        out->posture = LISTENER_WAITS;
    out->edge = !threads->running && interest.edge_asleep;
}

static bool still_holds(const struct listener_holder *holder)
{
    char path[64], link[LINK_MAX], expected[LINK_MAX];

    snprintf(path, sizeof path, "/proc/%" PRId64 "/fd/%d", holder->pid, holder->fd);
    snprintf(expected, sizeof expected, "socket:[%" PRIu32 "]", holder->inode);
    ssize_t len = readlink(path, link, sizeof link - 1);
    link[len > 0 ? len : 0] = '\0';
    return !strcmp(link, expected);
}

static void look_at(struct listener_process *out, const struct listener_holder *holder)
{
    struct threads threads = {0};

    *out = (struct listener_process){.pid = holder->pid};
    read_process(out);
    read_descriptors(out);
    count_threads(&threads, out);
    judge(out, &threads, holder);
}

/* ---- all of them ---- */

int listener_holders_find(struct listener_holders *holders, uint32_t *inodes, size_t count)
{
    int64_t started_ns = listener_cpu_ns();
    int rc = 0;

    if (clock_mono_ns() < holders->scan_due_ns)
        return 0;
    rc = scan(holders, inodes, count);
    int64_t wait_ns = LISTENER_HOLDERS_SHARE * (listener_cpu_ns() - started_ns);
    holders->scan_due_ns = clock_mono_ns() + (wait_ns > SCAN_EVERY_NS ? wait_ns : SCAN_EVERY_NS);
    return rc;
}

int listener_holders_look(struct listener_holders *holders, uint32_t inode, uint32_t uid,
                          struct listener_looks *looks)
{
    cleanup(mem) struct listener_process *processes = calloc(holders->count + 1, sizeof *processes);
    struct listener_look look = {.at_ns = clock_mono_ns(), .processes = processes};

    if (!processes)
        return -ENOMEM;
    for (size_t i = 0; i < holders->count; i++)
        if (holders->items[i].inode == inode && still_holds(&holders->items[i]))
            look_at(&processes[look.count++], &holders->items[i]);
    look.hidden = may_be_hidden(holders, inode, uid);
    listener_looks_feed(looks, &look);
    return 0;
}

void listener_holders_free(struct listener_holders *holders)
{
    free(holders->items);
    free(holders->unreadable);
    *holders = (struct listener_holders){0};
}
