#include "scenario/engine/host_stall.h"

#include "base/clock.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS (20 * NS_PER_MS)

static void note_lateness(_Atomic int64_t *most_ns, int64_t since_ns)
{
    int64_t late_ns = clock_mono_ns() - since_ns - NAP_NS;

    if (late_ns > atomic_load_explicit(most_ns, memory_order_relaxed))
        atomic_store_explicit(most_ns, late_ns, memory_order_relaxed);
}

static _Noreturn void watch(_Atomic int64_t *most_ns)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};

    for (;;) {
        int64_t before_ns = clock_mono_ns();
        nanosleep(&nap, NULL);
        note_lateness(most_ns, before_ns);
    }
}

void host_stall_begin(struct host_stall *stall)
{
    pid_t parent = getpid();

    *stall = (struct host_stall){.pid = -1};
    stall->most_ns = mmap(NULL, sizeof *stall->most_ns, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stall->most_ns == MAP_FAILED)
        return;
    stall->pid = fork();
    if (stall->pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    watch(stall->most_ns);
}

int64_t host_stall_end(struct host_stall *stall)
{
    int64_t most_ns = 0;

    if (stall->most_ns == MAP_FAILED)
        return 0;
    if (stall->pid > 0) {
        most_ns = atomic_load_explicit(stall->most_ns, memory_order_relaxed);
        kill(stall->pid, SIGKILL);
        while (waitpid(stall->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    munmap(stall->most_ns, sizeof *stall->most_ns);
    stall->most_ns = MAP_FAILED;
    return most_ns;
}
