/* What the processes of a lab have in common: which descriptors they keep, which signals they take.
 */
#include "lab/internal.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
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

int children_watch(void)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

void children_seen(int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) > 0)
        ;
}
