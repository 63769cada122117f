#include "base/sandbox.h"

#include "base/cleanup.h"

#ifndef NETKIT_SECCOMP

int sandbox_enter(enum sandbox_kind kind, struct error *error)
{
    (void)kind;
    (void)error;
    return 0;
}

const char *sandbox_library(void)
{
    return NULL;
}

#else

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* By name, since neither every architecture nor every version of the headers has all of them. */
static const char *const everybody[] = {
    /* what is open */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "close", "close_range", "lseek",
    "_llseek", "ftruncate", "ftruncate64", "fsync", "fdatasync", "dup", "dup2", "dup3", "fcntl",
    "fcntl64", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64", "sendto", "sendmsg",
    "sendmmsg", "recv", "send", "getsockopt", "getsockname", "getpeername", "shutdown",
    /* a file's length and kind; fstat() is one of these */
    "fstat", "fstat64", "newfstatat", "fstatat64", "statx",
    /* waiting and time */
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "timerfd_settime",
    "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64", "clock_gettime", "clock_gettime64",
    "clock_getres", "clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64", "nanosleep",
    "gettimeofday", "time", "restart_syscall",
    /* memory, locks, signals, the end */
    "munmap", "mremap", "madvise", "brk", "futex", "futex_time64", "sched_yield", "membarrier",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "sigreturn", "sigaltstack",
    "exit", "exit_group",
    /* who am I */
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getuid32",
    "geteuid32", "getgid32", "getegid32", "getrandom", "getrusage", "times", "uname", "sysinfo",
    "getcpu", "sched_getaffinity"};

static const char *const probes[] = {
    /* connections; sockets of any kind, since names are looked up and routes asked for */
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "setsockopt", "ioctl",
    "pipe", "pipe2", "eventfd2", "epoll_create", "epoll_create1", "timerfd_create", "signalfd4",
    /* looking at files */
    "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "stat",
    "stat64", "lstat", "lstat64", "statfs", "statfs64", "fstatfs", "fstatfs64", "getcwd",
    /* threads */
    "set_robust_list", "rseq", "set_tid_address", "sched_getparam", "sched_getscheduler",
    "getrlimit", "ugetrlimit", "mlock", "munlock", "capget", "capset"};

static const char *const writers[] = {
    "rename", "renameat", "renameat2", "unlink", "unlinkat",  "chmod", "fchmod", "fchmodat",
    "fchown", "fchown32", "fchownat",  "umask",  "ftruncate", "link",  "linkat", "fallocate"};

#define READ_ONLY_BITS (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

static int allow(scmp_filter_ctx filter, const char *name, unsigned count,
                 const struct scmp_arg_cmp *conditions)
{
    int number = seccomp_syscall_resolve_name(name);

    if (number == __NR_SCMP_ERROR)
        return 0;
    int rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count, conditions);
    return rc == -EEXIST || rc == -EDOM ? 0 : rc; /* EDOM: not on this architecture */
}

static int allow_all(scmp_filter_ctx filter, const char *const names[], size_t count)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < count; i++)
        rc = allow(filter, names[i], 0, NULL);
    return rc;
}

static int allow_if(scmp_filter_ctx filter, const char *name, struct scmp_arg_cmp condition)
{
    return allow(filter, name, 1, &condition);
}

/* The macros of libseccomp leave out a field, which clang warns of. */
static struct scmp_arg_cmp argument_is(unsigned index, scmp_datum_t value)
{
    return (struct scmp_arg_cmp){.arg = index, .op = SCMP_CMP_EQ, .datum_a = value};
}

static int allow_reading(scmp_filter_ctx filter)
{
    int rc = allow_if(filter, "open", SCMP_A1(SCMP_CMP_MASKED_EQ, READ_ONLY_BITS, O_RDONLY));

    return rc ? rc
              : allow_if(filter, "openat", SCMP_A2(SCMP_CMP_MASKED_EQ, READ_ONLY_BITS, O_RDONLY));
}

static int allow_memory(scmp_filter_ctx filter, bool code)
{
    static const char *const names[] = {"mmap", "mmap2", "mprotect"};
    const struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    int rc = 0;

    for (size_t i = 0; !rc && i < ARRAY_SIZE(names); i++)
        rc = allow(filter, names[i], code ? 0 : 1, code ? NULL : &no_code);
    return rc;
}

/* A library that is loaded late is code, and a thread is made by clone; glibc falls back to that
 * where clone3, whose flags no filter sees, is not there. */
static int allow_probing(scmp_filter_ctx filter)
{
    int rc = allow_all(filter, probes, ARRAY_SIZE(probes));

    if (!rc)
        rc = allow_reading(filter);
    if (!rc)
        rc = allow_if(filter, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (!rc)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
                              seccomp_syscall_resolve_name("clone3"), 0);
    if (!rc)
        rc = allow_if(filter, "prctl", argument_is(0, PR_SET_NAME));
    if (!rc)
        rc = allow_if(filter, "prlimit64", argument_is(0, 0));
    return rc;
}

static int add_rules(scmp_filter_ctx filter, enum sandbox_kind kind)
{
    int rc = allow_all(filter, everybody, ARRAY_SIZE(everybody));

    if (!rc)
        rc = allow_memory(filter, kind != SANDBOX_WIRE);
    /* abort() */
    if (!rc)
        rc = allow_if(filter, "tgkill", argument_is(0, (scmp_datum_t)getpid()));
    if (!rc && kind != SANDBOX_WIRE)
        rc = allow_probing(filter);
    if (!rc && kind == SANDBOX_PROBE_WRITES) {
        rc = allow_all(filter, writers, ARRAY_SIZE(writers));
        if (!rc)
            rc = allow(filter, "open", 0, NULL);
        if (!rc)
            rc = allow(filter, "openat", 0, NULL);
    }
#ifdef __SANITIZE_ADDRESS__
    /* Its reports name functions, for which it reads the program. */
    if (!rc && kind == SANDBOX_WIRE)
        rc = allow_reading(filter);
#endif
    return rc;
}

/* Kernels without filters, emulators, containers that allow no more. */
static bool is_not_there(int rc)
{
    return rc == -EINVAL || rc == -ENOSYS || rc == -EPERM || rc == -EACCES || rc == -ECANCELED;
}

int sandbox_enter(enum sandbox_kind kind, struct error *error)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    if (!filter)
        return error_sys(error, ENOMEM, "a filter of system calls");
    seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    int rc = add_rules(filter, kind);
    if (!rc) {
        rc = seccomp_load(filter);
        if (is_not_there(rc))
            rc = 0;
    }
    seccomp_release(filter);
    return rc ? error_sys(error, -rc, "a filter of system calls") : 0;
}

const char *sandbox_library(void)
{
    static char text[64];
    const struct scmp_version *version = seccomp_version();

    if (version)
        snprintf(text, sizeof text, "libseccomp %u.%u.%u", version->major, version->minor,
                 version->micro);
    return version ? text : "libseccomp";
}

#endif
