/* Preloaded into netkit, it makes one call of one function fail: the n-th of all processes of a
 * run.
 *
 * tests/faults/run makes a file of a struct fault_state, whose path is in $NETKIT_FAULT_STATE, and
 * says in it which program is meant (others that the run starts are left alone), which function,
 * which call of it and the errno. Every process of the run maps the same file and counts in it: a
 * fork goes on where its parent was, and the n-th call is one call, whoever makes it. Which process
 * that is may change from run to run, since they run at once; the file says who it was, and from
 * where it called. With no function chosen nothing fails, and each call leaves its place (a hash of
 * the stack), so that the driver can choose one call of each place.
 *
 * What the C library calls inside itself does not pass through here: fopen() fails as a whole, the
 * open() in it cannot be made to. Memory is an exception: the library asks malloc() like everybody.
 * clone3() has no function of its own in the library, netkit calls it by syscall(), which does. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/magic.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every function that can be made to fail. */
#define FUNCTIONS(F)                                                                               \
    F(malloc)                                                                                      \
    F(getaddrinfo_malloc)                                                                          \
    F(calloc)                                                                                      \
    F(realloc)                                                                                     \
    F(mmap)                                                                                        \
    F(pthread_create)                                                                              \
    F(fork)                                                                                        \
    F(syscall) F(socket) F(socketpair) F(accept4) F(pipe2) F(eventfd) F(signalfd)                  \
        F(timerfd_create) F(memfd_create) F(epoll_create1) F(epoll_ctl) F(epoll_wait)              \
            F(epoll_pwait2) F(poll) F(ppoll) F(connect) F(bind) F(listen) F(shutdown)              \
                F(getsockname) F(getpeername) F(setsockopt) F(getsockopt) F(ioctl) F(fcntl)        \
                    F(dup2) F(read) F(pread) F(recv) F(recvmsg) F(recvmmsg) F(write) F(send)       \
                        F(sendmsg) F(sendto) F(open) F(openat) F(fopen) F(fdopen) F(opendir)       \
                            F(readlink) F(fstat) F(stat) F(lstat) F(mkostemp) F(rename)            \
                                F(ftruncate) F(fflush) F(fclose) F(fwrite) F(unshare) F(setns)     \
                                    F(mount) F(prctl) F(waitpid) F(waitid) F(getaddrinfo)          \
                                        F(getnameinfo) F(getifaddrs) F(if_nameindex) F(getrandom)  \
                                            F(timer_create) F(timer_settime) F(timerfd_settime)    \
                                                F(setpgid)

enum function {
#define AS_ENUM(name) FN_##name,
    FUNCTIONS(AS_ENUM) FUNCTION_COUNT,
    FN_none = -1,
};

/* The driver reads the names from here, and by their order what stands in the state. */
__attribute__((visibility("default"))) const char fault_functions[] =
#define AS_TEXT(name) #name " "
    FUNCTIONS(AS_TEXT);

#define PLACES_MAX  (1 << 18)
#define FRAMES_MAX  48
#define SHORT_COUNT 10000 /* in place of an errno: moves one byte instead of failing */

struct fault_state {
    uint64_t device, inode; /* of the program that is meant */
    int32_t function;       /* FN_none: only count */
    int32_t error;
    uint64_t nth;    /* 1: the first call */
    int32_t lasting; /* the calls after it fail, too */
    _Atomic int32_t hits;
    int32_t pid; /* of the first hit, and what the process called itself */
    char process[20];
    char stack[4096];
    _Atomic uint64_t counts[128];
    _Atomic uint64_t places;
    struct {
        int32_t function;
        uint32_t ordinal; /* which call of the function it was */
        uint64_t place;
    } place[PLACES_MAX];
};
_Static_assert(FUNCTION_COUNT <= 128, "counts[] is too short");

static struct fault_state *state;
static __thread int inside __attribute__((tls_model("initial-exec")));
static __thread int resolving __attribute__((tls_model("initial-exec"))); /* in getaddrinfo() */

/* What the process calls itself. The filter of a sandbox may refuse to tell. */
static char process[16] = "netkit";

static void describe_stack(void **frames, int count)
{
    size_t used = 0;

    for (int i = 2; i < count && used < sizeof state->stack; i++) {
        Dl_info info;
        if (!dladdr(frames[i], &info) || !info.dli_fname)
            continue;
        int n = snprintf(state->stack + used, sizeof state->stack - used, "%s+0x%lx\n",
                         info.dli_fname, (unsigned long)frames[i] - (unsigned long)info.dli_fbase);
        used += n > 0 ? (size_t)n : 0;
    }
}

static void remember_place(enum function function, uint64_t ordinal)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    uint64_t place = 1469598103934665603u; /* FNV-1a */
    uint64_t at = atomic_fetch_add(&state->places, 1);

    if (at >= PLACES_MAX)
        return;
    for (int i = 2; i < count; i++)
        place = (place ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211u;
    state->place[at].function = function;
    state->place[at].ordinal = (uint32_t)ordinal;
    state->place[at].place = place;
}

/* Whether this call fails; errno is set. `error` is what it fails with, for functions that return
 * it. */
static int strikes(enum function function, int *error)
{
    if (!state || inside)
        return 0;
    inside = 1;
    int kept = errno, strike = 0;
    uint64_t ordinal = atomic_fetch_add(&state->counts[function], 1) + 1;
    if (state->function == FN_none) {
        remember_place(function, ordinal);
    } else if (state->function == (int)function &&
               (ordinal == state->nth || (state->lasting && ordinal > state->nth))) {
        strike = 1;
        if (!atomic_fetch_add(&state->hits, 1)) {
            void *frames[FRAMES_MAX];
            state->pid = getpid();
            memcpy(state->process, process, sizeof process);
            describe_stack(frames, backtrace(frames, FRAMES_MAX));
        }
    }
    errno = strike && state->error != SHORT_COUNT ? state->error : kept;
    *error = state->error;
    inside = 0;
    return strike;
}

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("NETKIT_FAULT_STATE");
    struct stat own;
    void *frame[1];

    inside = 1;
    int fd = path && !stat("/proc/self/exe", &own) ? open(path, O_RDWR | O_CLOEXEC) : -1;
    struct fault_state *mapped =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (mapped != MAP_FAILED && mapped->device == own.st_dev && mapped->inode == own.st_ino) {
        backtrace(frame, 1); /* loads what it needs */
        state = mapped;
    }
    inside = 0;
}

/* ---- Memory ---- */

/* dlsym() may ask for memory while it looks for the function that gives it. */
static char early[65536];
static size_t early_used;

static void *early_memory(size_t size)
{
    size_t at = early_used;

    early_used += (size + 15) & ~(size_t)15;
    return early_used <= sizeof early ? early + at : NULL;
}

#define RESOLVE(name)                                                                              \
    static __typeof__(&name) real;                                                                 \
    if (!real) {                                                                                   \
        int was_inside = inside;                                                                   \
        inside = 2;                                                                                \
        real = (__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name);                              \
        inside = was_inside;                                                                       \
    }                                                                                              \
    int error

#define EARLY(call)                                                                                \
    if (inside == 2)                                                                               \
    return call

void *malloc(size_t size)
{
    EARLY(early_memory(size));
    RESOLVE(malloc);
    return strikes(resolving ? FN_getaddrinfo_malloc : FN_malloc, &error) ? NULL : real(size);
}

void *calloc(size_t count, size_t size)
{
    EARLY(early_memory(count * size));
    RESOLVE(calloc);
    return strikes(FN_calloc, &error) ? NULL : real(count, size);
}

void *realloc(void *old, size_t size)
{
    RESOLVE(realloc);
    return strikes(FN_realloc, &error) ? NULL : real(old, size);
}

void free(void *memory)
{
    static void (*real)(void *);

    if ((char *)memory >= early && (char *)memory < early + sizeof early)
        return;
    if (!real)
        real = (void (*)(void *))(uintptr_t)dlsym(RTLD_NEXT, "free");
    real(memory);
}

/* ---- Everything that returns one value for "failed" and says why in errno ---- */

#define FAILING(type, failed, name, parameters, arguments)                                         \
    type name parameters                                                                           \
    {                                                                                              \
        RESOLVE(name);                                                                             \
        return strikes(FN_##name, &error) ? failed : real arguments;                               \
    }

/* How much of `size` bytes a short call moves. What a pipe, /proc and a socket of messages take,
 * they take as a whole. */
static size_t short_of(int fd, size_t size)
{
    struct stat file;
    struct statfs system;
    int type = 0;
    socklen_t type_bytes = sizeof type;

    inside++;
    int kept = errno;
    bool whole =
        (!fstat(fd, &file) && S_ISFIFO(file.st_mode) && size <= PIPE_BUF) ||
        (!fstatfs(fd, &system) && system.f_type == PROC_SUPER_MAGIC) ||
        (!getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_bytes) && type == SOCK_SEQPACKET);
    errno = kept;
    inside--;
    return whole || !size ? size : 1;
}

/* The same; a count of bytes may also be short. */
#define MOVING(name, size, parameters, arguments)                                                  \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        RESOLVE(name);                                                                             \
        if (strikes(FN_##name, &error)) {                                                          \
            if (error != SHORT_COUNT)                                                              \
                return -1;                                                                         \
            size = short_of(fd, size);                                                             \
        }                                                                                          \
        return real arguments;                                                                     \
    }

/* The same with an argument that is only sometimes there. */
#define VARIADIC(type, failed, name, parameters, last, arguments)                                  \
    type name parameters                                                                           \
    {                                                                                              \
        RESOLVE(name);                                                                             \
        va_list list;                                                                              \
        va_start(list, last);                                                                      \
        long more = va_arg(list, long);                                                            \
        va_end(list);                                                                              \
        return strikes(FN_##name, &error) ? failed : real arguments;                               \
    }

FAILING(void *, MAP_FAILED, mmap,
        (void *at, size_t size, int protection, int flags, int fd, off_t offset),
        (at, size, protection, flags, fd, offset))
FAILING(pid_t, -1, fork, (void), ())
FAILING(int, -1, socket, (int family, int type, int protocol), (family, type, protocol))
FAILING(int, -1, socketpair, (int family, int type, int protocol, int fds[2]),
        (family, type, protocol, fds))
FAILING(int, -1, accept4, (int fd, __SOCKADDR_ARG address, socklen_t *size, int flags),
        (fd, address, size, flags))
FAILING(int, -1, pipe2, (int fds[2], int flags), (fds, flags))
FAILING(int, -1, eventfd, (unsigned value, int flags), (value, flags))
FAILING(int, -1, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))
FAILING(int, -1, timerfd_create, (clockid_t clock, int flags), (clock, flags))
FAILING(int, -1, timerfd_settime,
        (int fd, int flags, const struct itimerspec *value, struct itimerspec *old),
        (fd, flags, value, old))
FAILING(int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
FAILING(int, -1, epoll_create1, (int flags), (flags))
/* The kernel has no reason to keep what is given back. */
int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    RESOLVE(epoll_ctl);
    return what != EPOLL_CTL_DEL && strikes(FN_epoll_ctl, &error) ? -1
                                                                  : real(epoll, what, fd, event);
}

FAILING(int, -1, epoll_wait, (int epoll, struct epoll_event *events, int room, int timeout),
        (epoll, events, room, timeout))
FAILING(int, -1, epoll_pwait2,
        (int epoll, struct epoll_event *events, int room, const struct timespec *timeout,
         const sigset_t *mask),
        (epoll, events, room, timeout, mask))
FAILING(int, -1, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
FAILING(int, -1, ppoll,
        (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
        (fds, count, timeout, mask))
FAILING(int, -1, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t size),
        (fd, address, size))
FAILING(int, -1, bind, (int fd, __CONST_SOCKADDR_ARG address, socklen_t size), (fd, address, size))
FAILING(int, -1, listen, (int fd, int backlog), (fd, backlog))
FAILING(int, -1, shutdown, (int fd, int how), (fd, how))
FAILING(int, -1, getsockname, (int fd, __SOCKADDR_ARG address, socklen_t *size),
        (fd, address, size))
FAILING(int, -1, getpeername, (int fd, __SOCKADDR_ARG address, socklen_t *size),
        (fd, address, size))
FAILING(int, -1, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
        (fd, level, name, value, size))
FAILING(int, -1, getsockopt, (int fd, int level, int name, void *value, socklen_t *size),
        (fd, level, name, value, size))
VARIADIC(int, -1, ioctl, (int fd, unsigned long request, ...), request, (fd, request, more))
VARIADIC(int, -1, fcntl, (int fd, int command, ...), command, (fd, command, more))
FAILING(int, -1, dup2, (int from, int to), (from, to))
MOVING(read, size, (int fd, void *data, size_t size), (fd, data, size))
MOVING(pread, size, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
MOVING(recv, size, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
FAILING(ssize_t, -1, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
FAILING(int, -1, recvmmsg,
        (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),
        (fd, messages, count, flags, timeout))
MOVING(write, size, (int fd, const void *data, size_t size), (fd, data, size))
MOVING(send, size, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
FAILING(ssize_t, -1, sendmsg, (int fd, const struct msghdr *message, int flags),
        (fd, message, flags))
FAILING(ssize_t, -1, sendto,
        (int fd, const void *data, size_t size, int flags, __CONST_SOCKADDR_ARG address,
         socklen_t address_size),
        (fd, data, size, flags, address, address_size))
VARIADIC(int, -1, open, (const char *path, int flags, ...), flags, (path, flags, (mode_t)more))
VARIADIC(int, -1, openat, (int folder, const char *path, int flags, ...), flags,
         (folder, path, flags, (mode_t)more))
FAILING(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
FAILING(FILE *, NULL, fdopen, (int fd, const char *mode), (fd, mode))
FAILING(DIR *, NULL, opendir, (const char *path), (path))
FAILING(ssize_t, -1, readlink, (const char *path, char *out, size_t size), (path, out, size))
FAILING(int, -1, fstat, (int fd, struct stat *out), (fd, out))
FAILING(int, -1, stat, (const char *path, struct stat *out), (path, out))
FAILING(int, -1, lstat, (const char *path, struct stat *out), (path, out))
FAILING(int, -1, mkostemp, (char *path, int flags), (path, flags))
FAILING(int, -1, rename, (const char *from, const char *to), (from, to))
FAILING(int, -1, ftruncate, (int fd, off_t size), (fd, size))
FAILING(int, EOF, fflush, (FILE * file), (file))
FAILING(size_t, 0, fwrite, (const void *data, size_t size, size_t count, FILE *file),
        (data, size, count, file))
FAILING(int, -1, unshare, (int flags), (flags))
FAILING(int, -1, setns, (int fd, int type), (fd, type))
FAILING(int, -1, mount,
        (const char *what, const char *where, const char *type, unsigned long flags,
         const void *data),
        (what, where, type, flags, data))
FAILING(pid_t, -1, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
FAILING(int, -1, waitid, (idtype_t type, id_t id, siginfo_t *info, int options),
        (type, id, info, options))
FAILING(int, -1, getifaddrs, (struct ifaddrs * *out), (out))
FAILING(struct if_nameindex *, NULL, if_nameindex, (void), ())
FAILING(ssize_t, -1, getrandom, (void *data, size_t size, unsigned flags), (data, size, flags))
FAILING(int, -1, timer_create, (clockid_t clock, struct sigevent *event, timer_t *out),
        (clock, event, out))
FAILING(int, -1, timer_settime,
        (timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old),
        (timer, flags, value, old))
FAILING(int, -1, setpgid, (pid_t pid, pid_t group), (pid, group))

/* What is closed is closed, also when the last write failed. */
int fclose(FILE *file)
{
    RESOLVE(fclose);
    int failed = strikes(FN_fclose, &error), kept = errno, rc = real(file);

    if (failed)
        errno = kept;
    return failed ? EOF : rc;
}

/* These return the error. */
FAILING(int, error, pthread_create,
        (pthread_t * out, const pthread_attr_t *how, void *(*run)(void *), void *argument),
        (out, how, run, argument))
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    RESOLVE(getaddrinfo);
    if (strikes(FN_getaddrinfo, &error))
        return error == ENOMEM ? EAI_MEMORY : error == EAGAIN ? EAI_AGAIN : EAI_SYSTEM;
    resolving = 1;
    int code = real(name, service, hints, out);
    resolving = 0;
    return code;
}

FAILING(int, (error == ENOMEM ? EAI_MEMORY : EAI_SYSTEM), getnameinfo,
        (const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
         char *service, socklen_t service_size, int flags),
        (address, size, host, host_size, service, service_size, flags))

/* ---- Up to six arguments that are only sometimes there ---- */

#define TAKE_SIX(last)                                                                             \
    long a[6];                                                                                     \
    va_list list;                                                                                  \
    va_start(list, last);                                                                          \
    for (int i = 0; i < 6; i++)                                                                    \
        a[i] = va_arg(list, long);                                                                 \
    va_end(list)

long syscall(long number, ...)
{
    RESOLVE(syscall);
    TAKE_SIX(number);
    return strikes(FN_syscall, &error) ? -1 : real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int prctl(int option, ...)
{
    RESOLVE(prctl);
    TAKE_SIX(option);
    if (option == PR_SET_NAME)
        snprintf(process, sizeof process, "%s", (const char *)(uintptr_t)a[0]);
    return strikes(FN_prctl, &error) ? -1 : real(option, a[0], a[1], a[2], a[3]);
}

/* A program that is built with 64-bit offsets calls these; here they are the same. */
#define SAME(other, name) __typeof__(name) other __attribute__((alias(#name)))
SAME(open64, open);
SAME(openat64, openat);
SAME(fopen64, fopen);
SAME(mmap64, mmap);
SAME(pread64, pread);
SAME(mkostemp64, mkostemp);
SAME(ftruncate64, ftruncate);
