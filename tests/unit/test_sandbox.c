/* That the filters of system calls hold: a child enters one, does what it is for, and tries what
 * it is against. */
#include "base/cleanup.h"
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

static int null_fd, folder_fd;
static char folder[] = "/tmp/netkit-sandbox-XXXXXX";

/* ---- What may be tried. True: the call was made. ---- */

static bool runs_program(void)
{
    char *const argv[] = {(char *)"true", NULL}, *const env[] = {NULL};

    execve("/bin/true", argv, env);
    return errno != EPERM;
}

static bool runs_program_at(void)
{
    char *const argv[] = {(char *)"true", NULL}, *const env[] = {NULL};

    syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, env, 0);
    return errno != EPERM;
}

/* The calls themselves: fork(3) of a process with a sanitizer does more. */
static bool forks(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (!pid)
        _exit(0);
    return pid > 0;
}

static bool traces(void)
{
    return !ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static bool looks_into_parent(void)
{
    struct iovec none = {0};
    return syscall(SYS_process_vm_readv, (long)getppid(), &none, 0L, &none, 0L, 0L) >= 0;
}

static bool signals_parent(void)
{
    return !kill(getppid(), 0);
}

/* A key, as if it were typed; /dev/null has another reason to refuse it. */
static bool types_key(void)
{
    ioctl(null_fd, TIOCSTI, "\n");
    return errno != EPERM;
}

static bool sends_signal_of_choice(void)
{
    fcntl(null_fd, F_SETSIG, SIGKILL);
    return errno != EPERM;
}

/* mount_setattr(), newer than any call that the filters name. */
static bool calls_the_future(void)
{
    syscall(442, -1, NULL, -1, NULL, (size_t)0);
    return errno != ENOSYS;
}

static bool opens_with(const char *path, int flags)
{
    cleanup(fd) int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd >= 0;
}

static bool reads_file(void)
{
    return opens_with("/etc/passwd", O_RDONLY);
}

static bool writes_device(void)
{
    return opens_with("/dev/null", O_WRONLY);
}

static bool creates_file(void)
{
    cleanup(fd) int fd = openat(folder_fd, "created", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0;
}

static bool creates_nameless_file(void)
{
    return opens_with(folder, O_TMPFILE | O_WRONLY);
}

static bool removes_file(void)
{
    return !unlinkat(folder_fd, "there", 0);
}

static bool makes_socket(void)
{
    cleanup(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0;
}

static bool changes_namespace(void)
{
    return !unshare(CLONE_NEWUSER);
}

static void *idle(void *context)
{
    return context;
}

static bool starts_thread(void)
{
    pthread_t thread;

    return !pthread_create(&thread, NULL, idle, NULL) && !pthread_join(thread, NULL);
}

static bool runs_new_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && !mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static bool works_on(void)
{
    struct pollfd polled = {.fd = null_fd, .events = POLLIN};
    char *much = malloc(8 << 20);
    struct timespec now;

    if (much)
        memset(much, 1, 8 << 20);
    bool ok = much && poll(&polled, 1, 0) >= 0 && write(null_fd, much, 1) == 1 &&
              !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    free(much);
    return ok;
}

/* 'x': must be refused, 'o': must work, '.': no matter. By kind: wire, probe, probe that writes. */
static const struct {
    const char *name;
    bool (*tries)(void);
    const char *expected;
} trials[] = {
    {"work on", works_on, "ooo"},
    {"execve", runs_program, "xxx"},
    {"execveat", runs_program_at, "xxx"},
    {"process_vm_readv", looks_into_parent, "xxx"},
#ifdef __SANITIZE_ADDRESS__ /* which looks for leaks */
    {"fork", forks, "x.."},
    {"ptrace", traces, "x.."},
    {"kill", signals_parent, "x.."},
    {"open to read", reads_file, ".oo"},
#else
    {"fork", forks, "xxx"},
    {"ptrace", traces, "xxx"},
    {"kill", signals_parent, "xxx"},
    {"open to read", reads_file, "xoo"},
#endif
    {"key", types_key, ".xx"},
    {"signal by a descriptor", sends_signal_of_choice, "xxx"},
    {"new call", calls_the_future, "xxx"},
    {"unshare", changes_namespace, "xxx"},
    {"new code", runs_new_code, "xoo"},
    {"socket", makes_socket, "xoo"},
    {"thread", starts_thread, "xoo"},
    {"open to write", writes_device, "xxo"},
    {"create", creates_file, "xxo"},
    {"create without a name", creates_nameless_file, "xx."},
    {"remove", removes_file, "xxo"},
};

/* A kernel without filters. Behind one this call is refused, too. */
static bool is_free(void)
{
    return !prctl(PR_GET_SECCOMP);
}

/* In a child of its own, since a trial may leave something behind: PTRACE_TRACEME makes the next
 * signal stop it, and forks() leads to one. How the child ended: ALLOWED, REFUSED, … */
enum { ALLOWED, REFUSED, NO_FILTERS, FAILED };

static int try_one(size_t trial, const enum sandbox_kind *kind)
{
    int status = 0;
    cleanup(fd) int there = openat(folder_fd, "there", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(there >= 0);
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        struct error error = {0};
        if (kind && sandbox_enter(*kind, &error)) {
            fprintf(stderr, "%s\n", error.text);
            _exit(FAILED);
        }
        if (kind && is_free())
            _exit(NO_FILTERS);
        _exit(trials[trial].tries() ? ALLOWED : REFUSED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fail_msg("%s: status %#x", trials[trial].name, (unsigned)status);
    return WEXITSTATUS(status);
}

static void the_filters_hold(void **state)
{
    static const enum sandbox_kind kinds[] = {SANDBOX_WIRE, SANDBOX_PROBE, SANDBOX_PROBE_WRITES};
    (void)state;
    if (!sandbox_is_built())
        skip(); /* not for this processor */
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        for (size_t k = 0; k < ARRAY_SIZE(trials); k++) {
            char expected = trials[k].expected[kinds[i]];
            int came = try_one(k, &kinds[i]);
            if (came == NO_FILTERS)
                skip(); /* a kernel without filters */
            if (came == FAILED ||
                (expected != '.' && came != (expected == 'o' ? ALLOWED : REFUSED)))
                fail_msg("filter %zu, %s: %s", i, trials[k].name,
                         came == FAILED    ? "no filter"
                         : came == ALLOWED ? "was allowed"
                                           : "was refused");
        }
}

/* Without a filter all of it works, so that a refusal is the filter's doing. */
static void without_a_filter_all_works(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
        /* What this machine itself may refuse, or not know. */
        if (trials[i].tries == changes_namespace || trials[i].tries == creates_nameless_file ||
            trials[i].tries == looks_into_parent || trials[i].tries == calls_the_future)
            continue;
        if (try_one(i, NULL) != ALLOWED)
            fail_msg("%s", trials[i].name);
    }
}

/* The largest filter there is, with no memory left to take. */
static void a_filter_takes_no_memory(void **state)
{
    int status = 0;

    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        struct error error = {0};
        const struct rlimit none = {0};
        setrlimit(RLIMIT_DATA, &none);
        setrlimit(RLIMIT_AS, &none);
        _exit(sandbox_enter(SANDBOX_PROBE_WRITES, &error) != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The kernel keeps so many steps of filters for a process, and no more. */
static bool has_no_room_for_filters(void)
{
    static struct sock_filter steps[BPF_MAXINSNS];
    bool full = false;

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return false;
    for (unsigned short count = ARRAY_SIZE(steps); count >= 64; count /= 2) {
        const struct sock_fprog program = {count, steps};
        while (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
            ;
        full = errno == ENOMEM;
    }
    return full;
}

static void a_filter_that_cannot_be_had_is_an_error(void **state)
{
    int status = 0;

    (void)state;
    if (!sandbox_is_built())
        skip(); /* not for this processor */
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        struct error error = {0};
        if (!has_no_room_for_filters())
            _exit(NO_FILTERS);
        _exit(sandbox_enter(SANDBOX_WIRE, &error) != -ENOMEM ||
              !strstr(error.text, "a filter of system calls: "));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTERS)
        skip(); /* a kernel without filters */
    assert_int_equal(status, 0);
}

static int set_up(void **state)
{
    (void)state;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    folder_fd = mkdtemp(folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return null_fd < 0 || folder_fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlinkat(folder_fd, "there", 0);
    unlinkat(folder_fd, "created", 0);
    close(folder_fd);
    close(null_fd);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_a_filter_all_works),
                                       cmocka_unit_test(the_filters_hold),
                                       cmocka_unit_test(a_filter_takes_no_memory),
                                       cmocka_unit_test(a_filter_that_cannot_be_had_is_an_error)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
