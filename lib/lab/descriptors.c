/* What the processes of a lab have in common: which descriptors they keep, which signals they take,
 * what they note. */
#include "lab/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_from_to(unsigned first, unsigned last)
{
    if (first > last || !syscall(SYS_close_range, first, last, 0))
        return;
    /* Before Linux 5.9, or where a filter refuses what it does not know. */
    long limit = sysconf(_SC_OPEN_MAX);
    for (unsigned fd = first; fd <= last && fd < (unsigned)limit; fd++)
        close((int)fd);
}

void descriptors_keep(const int *keep, size_t count)
{
    unsigned from = STDERR_FILENO + 1;

    for (;;) {
        unsigned next = UINT_MAX;
        for (size_t i = 0; i < count; i++)
            if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
                next = (unsigned)keep[i];
        if (next == UINT_MAX)
            break;
        if (next > from)
            close_from_to(from, next - 1);
        from = next + 1;
    }
    close_from_to(from, UINT_MAX);
}

void signals_default(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int children_watch(struct error *error)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : error_sys(error, errno, "signalfd");
}

void children_seen(int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) > 0)
        ;
}

void lab_note(struct lab_limits *limits, const char *format, ...)
{
    char line[LAB_NOTES_MAX];
    size_t used = strlen(limits->notes);
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (!strstr(limits->notes, line))
        snprintf(limits->notes + used, sizeof limits->notes - used, "%s%s", used ? "\n" : "", line);
}
