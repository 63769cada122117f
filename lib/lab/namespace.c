/* Private namespaces, and why a system refuses them.
 *
 * A process that has CAP_SYS_ADMIN takes plain namespaces: a user namespace with one mapped uid
 * would break the programs that change theirs. Anyone else takes a user namespace first, in which
 * only the own uid exists, mapped to itself, so that programs see their own user and home
 * (user_namespaces(7)).
 *
 * The kernel answers a refusal with one errno for many reasons. namespace_explain() looks at the
 * settings that can be behind it, the most specific first. */
#include "base/cleanup.h"
#include "lab/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static bool has_capabilities(void)
{
    return privilege_has(1u << CAP_SYS_ADMIN | 1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW);
}

bool lab_confines(const struct lab_rights *rights)
{
    return !rights->as_root && !geteuid() && has_capabilities();
}

static int write_file(const char *path, const char *text, struct error *error)
{
    cleanup(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return error_sys(error, errno, "%s", path);
    return 0;
}

static int map_own_user(uid_t uid, gid_t gid, struct error *error)
{
    char text[64];

    snprintf(text, sizeof text, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
    int rc = write_file("/proc/self/uid_map", text, error);
    /* Required before an unprivileged gid_map (user_namespaces(7)). */
    if (!rc)
        rc = write_file("/proc/self/setgroups", "deny", error);
    snprintf(text, sizeof text, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
    return rc ? rc : write_file("/proc/self/gid_map", text, error);
}

static int current_namespace(struct error *error)
{
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : error_sys(error, errno, "/proc/self/ns/net");
}

int namespace_go(int fd, struct error *error)
{
    return setns(fd, CLONE_NEWNET) ? error_sys(error, errno, "change of network namespace") : 0;
}

/* A kernel that was built without a kind of namespace calls its flag an invalid argument. */
static int refused(const char *what, struct error *error)
{
    return error_sys(error, errno == EINVAL ? ENOSYS : errno, "%s", what);
}

int namespace_new(int stay, struct error *error)
{
    if (unshare(CLONE_NEWNET))
        return refused("network namespace", error);
    cleanup(fd) int fd = current_namespace(error);
    if (fd < 0)
        return fd;
    int rc = namespace_go(stay, error);
    return rc ? rc : take_fd(&fd);
}

/* The call itself: fork has no flags, clone(3) wants a stack, and clone3, which is younger, is what
 * filters of containers know nothing of. */
pid_t namespace_fork(int flags, struct error *error)
{
#ifdef __s390__
    long pid = syscall(SYS_clone, NULL, flags | SIGCHLD, NULL, NULL, NULL);
#else
    long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
#endif
    return pid >= 0 ? (pid_t)pid : refused("clone", error);
}

static int enter_wire(bool *plain, struct error *error)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();

    *plain = has_capabilities() && !unshare(CLONE_NEWNET);
    if (*plain)
        return 0;
    if (unshare(CLONE_NEWUSER))
        return refused("user namespace", error);
    int rc = map_own_user(uid, gid, error);
    if (rc)
        return rc;
    return unshare(CLONE_NEWNET) ? refused("network namespace", error) : 0;
}

int namespaces_enter(struct namespaces *out, struct error *error)
{
    struct namespaces made = {-1, {-1, -1}, false};
    int rc = enter_wire(&made.plain, error);

    if (!rc) {
        made.wire = current_namespace(error);
        rc = made.wire < 0 ? made.wire : 0;
    }
    for (int i = 0; !rc && i < LAB_HOSTS; i++) {
        made.host[i] = namespace_new(made.wire, error);
        rc = made.host[i] < 0 ? made.host[i] : 0;
    }
    if (!rc)
        *out = made;
    return rc;
}

/* The number in a file of /proc, or -1 where there is no such file. */
static long read_number(const char *path)
{
    cleanup(file) FILE *file = fopen(path, "re");
    long value;
    return file && fscanf(file, "%ld", &value) == 1 ? value : -1;
}

static bool status_has(const char *line)
{
    cleanup(file) FILE *file = fopen("/proc/self/status", "re");
    char text[256];

    while (file && fgets(text, sizeof text, file))
        if (!strncmp(text, line, strlen(line)))
            return true;
    return false;
}

static bool in_chroot(void)
{
    struct stat root, init_root;
    return !stat("/", &root) && !stat("/proc/1/root", &init_root) &&
           (root.st_dev != init_root.st_dev || root.st_ino != init_root.st_ino);
}

/* What stands in the way, and the remedy. */
static const char *refusal(int code)
{
    if (access("/proc/self/ns/user", F_OK) && errno == ENOENT)
        return "this kernel was built without user namespaces (CONFIG_USER_NS); as root a lab "
               "needs "
               "none";
    if (!read_number("/proc/sys/user/max_user_namespaces"))
        return "user namespaces are switched off (user.max_user_namespaces is 0); as root: sysctl "
               "-w user.max_user_namespaces=15000";
    if (code == ENOSPC || code == EUSERS)
        return "no more namespaces are allowed; as root raise /proc/sys/user/max_net_namespaces "
               "and "
               "the similar limits beside it, or end what uses them (lsns)";
    if (!read_number("/proc/sys/kernel/unprivileged_userns_clone"))
        return "this system keeps user namespaces for root; as root: sysctl -w "
               "kernel.unprivileged_userns_clone=1";
    if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0)
        return "AppArmor restricts user namespaces here; as root: sysctl -w "
               "kernel.apparmor_restrict_unprivileged_userns=0, or give netkit a profile that says "
               "\"userns,\"";
    if (status_has("Seccomp:\t2"))
        return "a seccomp filter refuses what a lab needs, as those of containers do; start the "
               "container with "
               "--security-opt seccomp=unconfined (and, if that is not enough, --security-opt "
               "apparmor=unconfined), or with --cap-add SYS_ADMIN --cap-add NET_ADMIN as root";
    if (in_chroot())
        return "the kernel grants no user namespace inside a chroot; run outside it, or as root";
    return "this system refuses what a lab needs, and none of the usual settings says why (a "
           "security module perhaps: see the kernel's log); as root it may work";
}

int namespace_explain(struct error *error)
{
    char before[ERROR_TEXT_MAX / 2];
    int code = error->code;

    if (code != EPERM && code != EACCES && code != ENOSPC && code != EUSERS && code != ENOSYS)
        return -code;
    snprintf(before, sizeof before, "%s", error->text);
    return error_set(error, EPERM, "%s (%s)", refusal(code), before);
}
