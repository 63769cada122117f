/* A filter is a program of classic BPF that the kernel runs before every system call: a list, in
 * which the first entry that fits the call has the answer. It is made here, on the stack: a child
 * of fork() and a process without memory can enter one, too. */
#include "base/sandbox.h"

#include "base/cleanup.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Elsewhere arguments have other places: s390x makes mmap() from memory, and swaps clone()'s. */
#if defined __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined __i386__
#define MACHINE AUDIT_ARCH_I386
#elif defined __aarch64__ && defined __AARCH64EL__
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined __arm__ && defined __ARMEL__
#define MACHINE AUDIT_ARCH_ARM
#elif defined __riscv && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#endif

#ifndef MACHINE

int sandbox_enter(enum sandbox_kind kind, struct error *error)
{
    (void)kind;
    (void)error;
    return 0;
}

bool sandbox_is_built(void)
{
    return false;
}

#else

/* The number of a call, as text: neither every processor nor every version of the headers has all
 * of them, and what has no number stays a name. */
#define TEXT_OF(x)  #x
#define TEXT(x)     TEXT_OF(x)
#define CALL(name_) TEXT(__NR_##name_)

static const char *const everybody[] = {
    /* what is open */
    CALL(read), CALL(write), CALL(recvmsg), CALL(sendmsg), CALL(readv), CALL(writev),
    CALL(recvfrom), CALL(sendto), CALL(recvmmsg), CALL(recvmmsg_time64), CALL(sendmmsg),
    CALL(getsockopt), CALL(getsockname), CALL(getpeername), CALL(shutdown), CALL(pread64),
    CALL(pwrite64), CALL(close), CALL(close_range), CALL(lseek), CALL(_llseek), CALL(ftruncate),
    CALL(ftruncate64), CALL(fsync), CALL(fdatasync), CALL(dup), CALL(dup2), CALL(dup3),
    /* a file's length and kind; fstat() is one of these */
    CALL(fstat), CALL(fstat64), CALL(newfstatat), CALL(fstatat64), CALL(statx),
    /* waiting and time */
    CALL(poll), CALL(ppoll), CALL(ppoll_time64), CALL(select), CALL(_newselect), CALL(pselect6),
    CALL(pselect6_time64), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2),
    CALL(timerfd_settime), CALL(timerfd_settime64), CALL(timerfd_gettime), CALL(timerfd_gettime64),
    CALL(clock_gettime), CALL(clock_gettime64), CALL(clock_getres), CALL(clock_getres_time64),
    CALL(clock_nanosleep), CALL(clock_nanosleep_time64), CALL(nanosleep), CALL(gettimeofday),
    CALL(time), CALL(restart_syscall),
    /* memory, locks, signals, the end */
    CALL(munmap), CALL(mremap), CALL(madvise), CALL(brk), CALL(futex), CALL(futex_time64),
    CALL(sched_yield), CALL(membarrier), CALL(rt_sigaction), CALL(rt_sigprocmask),
    CALL(rt_sigreturn), CALL(rt_sigpending), CALL(sigreturn), CALL(sigaltstack), CALL(exit),
    CALL(exit_group),
    /* who am I */
    CALL(getpid), CALL(gettid), CALL(getppid), CALL(getuid), CALL(geteuid), CALL(getgid),
    CALL(getegid), CALL(getuid32), CALL(geteuid32), CALL(getgid32), CALL(getegid32),
    CALL(getrandom), CALL(getrusage), CALL(times), CALL(uname), CALL(sysinfo), CALL(getcpu),
    CALL(sched_getaffinity)};

static const char *const probes[] = {
    /* connections; sockets of any kind, since names are looked up and routes asked for */
    CALL(socket), CALL(socketcall), CALL(socketpair), CALL(connect), CALL(bind), CALL(listen),
    CALL(accept), CALL(accept4), CALL(setsockopt), CALL(pipe), CALL(pipe2), CALL(eventfd2),
    CALL(epoll_create), CALL(epoll_create1), CALL(timerfd_create), CALL(signalfd4),
    /* looking at files */
    CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat),
    CALL(getdents), CALL(getdents64), CALL(stat), CALL(stat64), CALL(lstat), CALL(lstat64),
    CALL(statfs), CALL(statfs64), CALL(fstatfs), CALL(fstatfs64), CALL(getcwd),
    /* a library that is loaded late is code */
    CALL(mmap), CALL(mmap2), CALL(mprotect),
    /* threads */
    CALL(set_robust_list), CALL(rseq), CALL(set_tid_address), CALL(sched_getparam),
    CALL(sched_getscheduler), CALL(getrlimit), CALL(ugetrlimit), CALL(mlock), CALL(munlock),
    CALL(capget), CALL(capset)};

static const char *const writers[] = {
    CALL(open),   CALL(openat),   CALL(rename), CALL(renameat), CALL(renameat2),
    CALL(unlink), CALL(unlinkat), CALL(link),   CALL(linkat),   CALL(fallocate)};

/* Calls that depend on an argument. Flags and commands have 32 bits, also where registers have 64.
 */
struct condition {
    const char *call;
    unsigned argument;
    uint32_t mask; /* 0: all bits */
    uint32_t values[12];
    unsigned count;
    bool refuses; /* these values; otherwise only these are allowed */
};

#define READ_ONLY_BITS (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

static const struct condition for_everybody[] = {
    /* whom to send a signal, and which */
    {CALL(fcntl), 1, .values = {F_SETOWN, F_SETOWN_EX, F_SETSIG}, .count = 3, .refuses = true},
    {CALL(fcntl64), 1, .values = {F_SETOWN, F_SETOWN_EX, F_SETSIG}, .count = 3, .refuses = true},
};

static const struct condition for_the_wire[] = {
#ifndef __NR_mmap2 /* where that is there, the other one's arguments are in memory */
    {CALL(mmap), 2, PROT_EXEC, .values = {0}, .count = 1},
#endif
    {CALL(mmap2), 2, PROT_EXEC, .values = {0}, .count = 1},
    {CALL(mprotect), 2, PROT_EXEC, .values = {0}, .count = 1},
    {CALL(socketcall), 0, .count = 12,
     .values = {SYS_SEND, SYS_RECV, SYS_SENDTO, SYS_RECVFROM, SYS_SENDMSG, SYS_RECVMSG,
                SYS_SENDMMSG, SYS_RECVMMSG, SYS_SHUTDOWN, SYS_GETSOCKOPT, SYS_GETSOCKNAME,
                SYS_GETPEERNAME}},
};

static const struct condition for_reading[] = {
    {CALL(open), 1, READ_ONLY_BITS, .values = {O_RDONLY}, .count = 1},
    {CALL(openat), 2, READ_ONLY_BITS, .values = {O_RDONLY}, .count = 1},
};

static const struct condition for_probes[] = {
    {CALL(clone), 0, CLONE_THREAD, .values = {CLONE_THREAD}, .count = 1},
    {CALL(prctl), 0, .values = {PR_SET_NAME}, .count = 1},
    {CALL(prlimit64), 0, .values = {0}, .count = 1},
    /* keys of a terminal, which a shell would read; the rest as for fcntl() */
    {CALL(ioctl), 1, .values = {TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP}, .count = 4,
     .refuses = true},
};

#ifdef __SANITIZE_ADDRESS__
/* At the end of a process it looks for leaks, by another one that traces it. */
static const char *const leak_check[] = {CALL(clone), CALL(prctl), CALL(ptrace),
                                         CALL(wait4), CALL(kill),  CALL(tgkill)};
#endif

/* ---- The program ---- */

#define REFUSE (SECCOMP_RET_ERRNO | EPERM)
#define ABSENT (SECCOMP_RET_ERRNO | ENOSYS)

struct program {
    struct sock_filter steps[768];
    unsigned short count;
    bool full;
    uint32_t newest; /* the highest number that is named */
};

static void add(struct program *program, uint16_t code, uint32_t operand, unsigned yes, unsigned no)
{
    program->full |= program->count == ARRAY_SIZE(program->steps);
    if (!program->full)
        program->steps[program->count++] =
            (struct sock_filter){code, (uint8_t)yes, (uint8_t)no, operand};
}

static void answer(struct program *program, uint32_t action)
{
    add(program, BPF_RET | BPF_K, action, 0, 0);
}

static void skip_unless_equal(struct program *program, uint32_t value, unsigned skipped)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped);
}

static void load(struct program *program, size_t offset)
{
    add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* "3", or a sum as in "(4000 + 3)". */
static bool number_of(struct program *program, const char *call, uint32_t *out)
{
    *out = 0;
    if (*call != '(' && !isdigit((unsigned char)*call))
        return false;
    for (const char *p = call; *p;)
        if (isdigit((unsigned char)*p))
            *out += (uint32_t)strtoul(p, (char **)&p, 0);
        else
            p++;
    if (*out > program->newest)
        program->newest = *out;
    return true;
}

static void answer_call(struct program *program, const char *call, uint32_t action)
{
    uint32_t number;

    if (!number_of(program, call, &number))
        return;
    skip_unless_equal(program, number, 1);
    answer(program, action);
}

static void allow(struct program *program, const char *const calls[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        answer_call(program, calls[i], SECCOMP_RET_ALLOW);
}

static void allow_if(struct program *program, const struct condition conditions[], size_t count)
{
    for (const struct condition *one = conditions; one < conditions + count; one++) {
        uint32_t number;
        if (!number_of(program, one->call, &number))
            continue;
        skip_unless_equal(program, number, 3 + 2 * one->count);
        load(program, offsetof(struct seccomp_data, args) + one->argument * sizeof(uint64_t));
        add(program, BPF_ALU | BPF_AND | BPF_K, one->mask ? one->mask : UINT32_MAX, 0, 0);
        for (unsigned i = 0; i < one->count; i++) {
            skip_unless_equal(program, one->values[i], 1);
            answer(program, one->refuses ? REFUSE : SECCOMP_RET_ALLOW);
        }
        answer(program, one->refuses ? SECCOMP_RET_ALLOW : REFUSE);
    }
}

#define ALLOW(program, list)    allow(program, list, ARRAY_SIZE(list))
#define ALLOW_IF(program, list) allow_if(program, list, ARRAY_SIZE(list))

/* Its reports name functions, for which it reads the program. */
static void allow_sanitizer(struct program *program, enum sandbox_kind kind)
{
#ifdef __SANITIZE_ADDRESS__
    if (kind == SANDBOX_WIRE)
        ALLOW_IF(program, for_reading);
    else
        ALLOW(program, leak_check);
#else
    (void)program;
    (void)kind;
#endif
}

static void allow_kind(struct program *program, enum sandbox_kind kind)
{
    switch (kind) {
    case SANDBOX_WIRE:
        ALLOW_IF(program, for_the_wire);
        return;
    case SANDBOX_PROBE_WRITES:
        ALLOW(program, writers);
        break;
    case SANDBOX_PROBE:
        ALLOW_IF(program, for_reading);
        break;
    }
    ALLOW(program, probes);
    ALLOW_IF(program, for_probes);
    /* No filter sees its flags; libraries fall back to clone(). */
    answer_call(program, CALL(clone3), ABSENT);
}

static void make_program(struct program *program, enum sandbox_kind kind)
{
    const struct condition for_abort = {CALL(tgkill), 0, .values = {(uint32_t)getpid()},
                                        .count = 1};

    /* Another set of calls, such as i386's on x86-64, has other numbers. */
    load(program, offsetof(struct seccomp_data, arch));
    add(program, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    answer(program, REFUSE);
    load(program, offsetof(struct seccomp_data, nr));
    allow_sanitizer(program, kind);
    ALLOW(program, everybody);
    ALLOW_IF(program, for_everybody);
    allow_kind(program, kind);
    allow_if(program, &for_abort, 1);
    /* Calls that are newer than this: libraries have a way without, for kernels that lack them. */
    add(program, BPF_JMP | BPF_JGT | BPF_K, program->newest, 0, 1);
    answer(program, ABSENT);
    answer(program, REFUSE);
}

/* Not in every kernel, nor in every emulator and container. */
static bool has_filters(void)
{
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) && errno == EFAULT;
}

/* Code of strangers does not run here, and measurements should not be slowed down by what keeps
 * that from guessing memory. */
static int load_program(struct program *program)
{
    const struct sock_fprog loaded = {program->count, program->steps};

    if (program->full)
        return -E2BIG;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &loaded) &&
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded))
        return -errno;
    return 0;
}

int sandbox_enter(enum sandbox_kind kind, struct error *error)
{
    struct program program = {.count = 0};

    if (!has_filters())
        return 0;
    make_program(&program, kind);
    int rc = load_program(&program);
    return rc ? error_sys(error, -rc, "a filter of system calls") : 0;
}

bool sandbox_is_built(void)
{
    return true;
}

#endif
