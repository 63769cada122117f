/* Systems that refuse what a lab needs: the error names what refuses and the remedy, lab_possible()
 * (netkit doctor) says the same, and what a lab can do without is noted. The system is made such
 * for a child of the test, in a user namespace with limits of its own or by a filter. */
#include "fixture.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum outcome {
    OUTCOME_AS_EXPECTED,
    OUTCOME_NOT_PREPARED,
    OUTCOME_GRANTED,
    OUTCOME_OTHER_CODE,
    OUTCOME_OTHER_TEXT,
    OUTCOME_DOCTOR_DISAGREES,
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

/* Refuses a call where its first argument has one of the bits; 0: always. */
static bool refuse_call(unsigned number, unsigned bits, int code)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, bits ? 3 : 1),
        bits ? (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                            offsetof(struct seccomp_data, args))
             : (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool no_unshare(void)
{
    return refuse_call(SYS_unshare, 0, EPERM);
}

static bool no_clone3(void)
{
    return refuse_call(SYS_clone3, 0, ENOSYS);
}

static bool no_clone3_permitted(void)
{
    return refuse_call(SYS_clone3, 0, EPERM);
}

/* The kinds of namespaces in clone's flags, as filters of containers look at them. */
static bool no_pid_namespaces(void)
{
    return no_clone3() && refuse_call(SYS_clone, CLONE_NEWPID, EPERM);
}

static bool no_mount_namespaces(void)
{
    return no_clone3() && refuse_call(SYS_clone, CLONE_NEWNS, EPERM);
}

static bool no_signalfd(void)
{
    return refuse_call(SYS_signalfd4, 0, EPERM);
}

static bool no_mounts(void)
{
    return refuse_call(SYS_mount, 0, EPERM);
}

/* As in a container without privileges. */
static bool settings_read_only(void)
{
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           !mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) &&
           !mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
}

static enum outcome refused(bool (*prepare)(void), const char *remedy)
{
    struct lab_config config = {0};
    struct lab *lab = NULL;
    struct error error = {0}, doctors = {0};

    if (!prepare())
        return OUTCOME_NOT_PREPARED;
    if (lab_possible(NULL, 0, &doctors) != -EPERM || !strstr(doctors.text, remedy))
        return OUTCOME_DOCTOR_DISAGREES;
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

static void assert_outcome(bool (*prepare)(void),
                           enum outcome (*look)(bool (*prepare)(void), const char *text),
                           const char *text)
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    if (!pid)
        _exit(look(prepare, text));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), OUTCOME_AS_EXPECTED);
}

static void the_error_names_cause_and_remedy(void **state)
{
    static const struct {
        bool (*prepare)(void);
        const char *remedy;
    } cases[] = {
        {no_user_namespaces, "sysctl -w user.max_user_namespaces"},
        {no_network_namespaces, "/proc/sys/user/max_net_namespaces"},
        {no_unshare, "--security-opt seccomp=unconfined"},
        {no_pid_namespaces, "--security-opt seccomp=unconfined"},
        {no_mount_namespaces, "--security-opt seccomp=unconfined"},
        {no_signalfd, "--security-opt seccomp=unconfined"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_outcome(cases[i].prepare, refused, cases[i].remedy);
}

/* A lab is opened, says what it lacks, and runs a program to its end. */
static enum outcome granted(bool (*prepare)(void), const char *note)
{
    struct lab_config config = {0};
    struct lab_program program = {.shell = "exit 7"};
    struct lab_process *process;
    struct lab_exit end;
    struct lab *lab = NULL;
    struct error error = {0};
    char notes[LAB_NOTES_MAX];

    if (!prepare())
        return OUTCOME_NOT_PREPARED;
    if (lab_possible(notes, sizeof notes, &error) || lab_open(&config, &lab, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return OUTCOME_OTHER_CODE;
    }
    bool ran = !lab_start(lab, LAB_CLIENT, &program, &process, &error) &&
               !lab_process_wait(process, LIMIT_NS, &end) && WEXITSTATUS(end.status) == 7;
    bool same = !strcmp(notes, lab_notes(lab));
    bool noted = *note ? strstr(notes, note) != NULL : !*notes;
    if (!noted)
        fprintf(stderr, "%s\n", notes);
    lab_close(lab, NULL);
    return !ran     ? OUTCOME_OTHER_CODE
           : !same  ? OUTCOME_DOCTOR_DISAGREES
           : !noted ? OUTCOME_OTHER_TEXT
                    : OUTCOME_AS_EXPECTED;
}

static void what_is_not_needed_is_done_without(void **state)
{
    static const struct {
        bool (*prepare)(void);
        const char *note;
    } cases[] = {
        {no_clone3, ""},
        {no_clone3_permitted, ""},
        {no_mounts, "the names client and server are not known"},
        {settings_read_only, "settings of the hosts are this system's"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_outcome(cases[i].prepare, granted, cases[i].note);
}

/* What the user asked for is no note. */
static enum outcome asked_in_vain(bool (*prepare)(void), const char *remedy)
{
    static const struct lab_sysctl sysctl = {.name = "net.ipv4.tcp_retries2", .value = "4"};
    struct lab_config config = {.host[LAB_SERVER] = {&sysctl, 1, false}};
    struct lab *lab = NULL;
    struct error error = {0};

    if (!prepare())
        return OUTCOME_NOT_PREPARED;
    if (!lab_open(&config, &lab, &error))
        return OUTCOME_GRANTED;
    return strstr(error.text, remedy) ? OUTCOME_AS_EXPECTED : OUTCOME_OTHER_TEXT;
}

static void a_setting_that_was_asked_for_cannot_be_done_without(void **state)
{
    (void)state;
    assert_outcome(settings_read_only, asked_in_vain,
                   "setting net.ipv4.tcp_retries2 to '4': Read-only file system");
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_error_names_cause_and_remedy),
        cmocka_unit_test(what_is_not_needed_is_done_without),
        cmocka_unit_test(a_setting_that_was_asked_for_cannot_be_done_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_or_skip(run);
}
