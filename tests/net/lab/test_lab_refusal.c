/* Systems that refuse namespaces: the error names what refuses and the remedy. The system is made
 * such for a child of the test, in a user namespace with limits of its own or by a filter. */
#include "fixture.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum outcome {
    OUTCOME_AS_EXPECTED,
    OUTCOME_NOT_PREPARED,
    OUTCOME_GRANTED,
    OUTCOME_OTHER_CODE,
    OUTCOME_OTHER_TEXT,
};

static bool write_text(const char *path, const char *text)
{
    cleanup(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool own_user_namespace(void)
{
    unsigned uid = geteuid(), gid = getegid();
    char text[64];

    if (unshare(CLONE_NEWUSER))
        return false;
    snprintf(text, sizeof text, "%u %u 1", uid, uid);
    bool ok = write_text("/proc/self/uid_map", text) && write_text("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%u %u 1", gid, gid);
    return ok && write_text("/proc/self/gid_map", text);
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    return !syscall(SYS_capset, &header, none);
}

static bool no_user_namespaces(void)
{
    return own_user_namespace() && write_text("/proc/sys/user/max_user_namespaces", "0") &&
           drop_capabilities();
}

static bool no_network_namespaces(void)
{
    return own_user_namespace() && write_text("/proc/sys/user/max_net_namespaces", "2");
}

static bool filtered(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static enum outcome refused(bool (*prepare)(void), const char *remedy)
{
    struct lab_config config = {0};
    struct lab *lab = NULL;
    struct error error = {0};

    if (!prepare())
        return OUTCOME_NOT_PREPARED;
    int rc = lab_open(&config, &lab, &error);
    if (!rc)
        return OUTCOME_GRANTED;
    if (rc != -EPERM)
        return OUTCOME_OTHER_CODE;
    if (strstr(error.text, remedy))
        return OUTCOME_AS_EXPECTED;
    fprintf(stderr, "%s\n", error.text);
    return OUTCOME_OTHER_TEXT;
}

static void the_error_names_cause_and_remedy(void **state)
{
    static const struct {
        bool (*prepare)(void);
        const char *remedy;
    } cases[] = {
        {no_user_namespaces, "sysctl -w user.max_user_namespaces"},
        {no_network_namespaces, "/proc/sys/user/max_net_namespaces"},
        {filtered, "--security-opt seccomp=unconfined"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int status = 0;
        fflush(NULL);
        pid_t pid = fork();
        if (!pid)
            _exit(refused(cases[i].prepare, cases[i].remedy));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), OUTCOME_AS_EXPECTED);
    }
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_error_names_cause_and_remedy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_or_skip(run);
}
