/* capabilities(7), credentials(7). A process that was root and is a user now has no way back: the
 * saved ids are the user's, too, and the bounding set is empty. */
#include "base/privilege.h"

#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPABILITIES_MAX 64
#define PASSWD_BYTES     16384

/* ---- Giving up ---- */

static bool get_capabilities(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

    memset(data, 0, 2 * sizeof *data);
    return !syscall(SYS_capget, &header, data);
}

bool privilege_has(uint64_t capabilities)
{
    struct __user_cap_data_struct data[2];

    return get_capabilities(data) &&
           !(capabilities & ~(data[0].effective | (uint64_t)data[1].effective << 32));
}

static int become(const struct privilege_user *user, uint64_t keep, struct error *error)
{
    if (keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        return error_sys(error, errno, "capabilities");
    if (setgroups((size_t)user->group_count, user->groups) ||
        setresgid(user->gid, user->gid, user->gid) || setresuid(user->uid, user->uid, user->uid))
        return error_sys(error, errno, "becoming user %u", (unsigned)user->uid);
    if (!setuid(0) || (user->gid && !setgid(0)))
        return error_set(error, EPERM, "root cannot be given up");
#ifdef __SANITIZE_ADDRESS__
    /* A process that changed its user cannot be traced, which is how leaks are found. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
#endif
    return 0;
}

static int keep_only(uint64_t keep, struct error *error)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (!get_capabilities(data))
        return error_sys(error, errno, "capabilities");
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(keep >> 32 * i);
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data))
        return error_sys(error, errno, "giving up capabilities");
    return 0;
}

int privilege_drop_more(uint64_t capabilities, struct error *error)
{
    return keep_only(~capabilities, error);
}

int privilege_drop(const struct privilege_user *user, uint64_t keep, struct error *error)
{
    int rc = 0;

    /* The bounding set shrinks only for who has CAP_SETPCAP; for others it is of no use either. */
    for (int i = 0; i < CAPABILITIES_MAX; i++)
        if (!(keep >> i & 1))
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (user && user->uid && !geteuid())
        rc = become(user, keep, error);
    if (!rc)
        rc = keep_only(keep, error);
    if (!rc && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        rc = error_sys(error, errno, "PR_SET_NO_NEW_PRIVS");
    return rc;
}

/* ---- For whom ---- */

static bool read_id(const char *name, unsigned *out)
{
    const char *text = getenv(name);
    char *end;

    if (!text || !*text)
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *out = (unsigned)value;
    return !errno && !*end && value < UINT32_MAX;
}

static bool sudo_user(struct privilege_user *out)
{
    unsigned uid, gid;

    if (!read_id("SUDO_UID", &uid) || !read_id("SUDO_GID", &gid))
        return false;
    out->uid = uid;
    out->gid = gid;
    return true;
}

static void directory_of(char *out, size_t size, const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    if (!slash)
        snprintf(out, size, ".");
    else
        snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool is_file(const char *path)
{
    return path && strcmp(path, "-") != 0;
}

static bool owner_of(const char *path, struct privilege_user *out)
{
    char directory[4096];
    struct stat info;

    directory_of(directory, sizeof directory, path);
    if (stat(directory, &info))
        return false;
    out->uid = info.st_uid;
    out->gid = info.st_gid ? info.st_gid : (gid_t)-1; /* "chown user" leaves root's group */
    return true;
}

static void look_up(struct privilege_user *user)
{
    cleanup(mem) char *room = malloc(PASSWD_BYTES);
    struct passwd entry, *found = NULL;

    if (room)
        getpwuid_r(user->uid, &entry, room, PASSWD_BYTES, &found);
    if (user->gid == (gid_t)-1)
        user->gid = found ? found->pw_gid : (gid_t)user->uid;
    if (!found)
        return;
    snprintf(user->name, sizeof user->name, "%s", entry.pw_name);
    snprintf(user->home, sizeof user->home, "%s", entry.pw_dir);
    user->group_count = PRIVILEGE_GROUPS_MAX;
    if (getgrouplist(entry.pw_name, user->gid, user->groups, &user->group_count) < 0)
        user->group_count = 0;
}

/* A file that is there, and the directory, in which it is replaced. */
static bool may_write(const char *path)
{
    char directory[4096];

    directory_of(directory, sizeof directory, path);
    return (!faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) || errno == ENOENT) &&
           !faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS);
}

/* Asked by a child that becomes this user. */
static bool may_write_all(const struct privilege_user *user, const char *const *paths, size_t count)
{
    int status = -1; /* without SIGCHLD there is none */
    pid_t pid = fork();

    if (!pid) {
        bool may = !privilege_drop(user, 0, NULL) && !faccessat(AT_FDCWD, ".", X_OK, AT_EACCESS);
        for (size_t i = 0; may && i < count; i++)
            may = !is_file(paths[i]) || may_write(paths[i]);
        _exit(!may);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && !status;
}

void privilege_user_of(struct privilege_user *out, const char *const *paths, size_t count)
{
    const char *first = NULL;

    for (size_t i = 0; !first && i < count; i++)
        first = is_file(paths[i]) ? paths[i] : NULL;
    for (int i = 0; !geteuid() && i < 2; i++) {
        *out = (struct privilege_user){0};
        if (!(i ? owner_of(first, out) : sudo_user(out)) || !out->uid)
            continue;
        look_up(out);
        if (may_write_all(out, paths, count))
            return;
    }
    *out = (struct privilege_user){0};
}
