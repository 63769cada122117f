#include "base/outfile.h"

#include "base/cleanup.h"
#include "base/input.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OPEN_FLAGS (O_WRONLY | O_CLOEXEC | O_NOCTTY)
#define NAMES_MAX  100 /* tries to find a name that is free */

/* Appends the folder of a path. */
static void add_folder(struct buf *out, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        buf_add_char(out, '.');
    else
        buf_add(out, path, slash == path ? 1 : (size_t)(slash - path));
}

/* A short name beside the file, which is not one that a long path would overflow. */
static void name_beside(struct buf *out, const char *path, int try)
{
    buf_reset(out);
    add_folder(out, path);
    buf_printf(out, "/.netkit-%d-%d", (int)getpid(), try);
}

/* ---- opening ---- */

static uid_t owner_uid = (uid_t)-1;
static gid_t owner_gid = (gid_t)-1;

void outfile_owner(uid_t uid, gid_t gid)
{
    owner_uid = uid;
    owner_gid = gid;
}

/* Root writes through no link that somebody else may have put there (ELOOP). */
static int links_flag(const char *path)
{
    struct stat info;

    return geteuid() || (!lstat(path, &info) && S_ISLNK(info.st_mode) && !info.st_uid) ? 0
                                                                                       : O_NOFOLLOW;
}

/* Without O_CREAT. A FIFO that nobody reads says ENXIO. */
static int open_existing(const char *path)
{
    struct stat info;

    for (;;) {
        int fd = open(path, OPEN_FLAGS | links_flag(path) | O_NONBLOCK);
        if (fd >= 0)
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        if (fd >= 0 || errno != ENXIO || stat(path, &info) || !S_ISFIFO(info.st_mode))
            return fd < 0 ? -errno : fd;
        int rc = input_rest();
        if (rc)
            return rc;
    }
}

/* A file without a name, or with one that is forgotten when the file is in its place. */
static int open_new(struct outfile *file, mode_t mode)
{
    cleanup(buf) struct buf folder = {0};

    add_folder(&folder, file->path);
    if (folder.failed)
        return -ENOMEM;
    int fd = access("/proc/self/fd", F_OK)
                 ? -1
                 : open(buf_str(&folder), O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    if (fd >= 0)
        return fd;
    for (int i = 0; i < NAMES_MAX; i++) {
        name_beside(&file->temporary, file->path, i);
        fd = open(buf_str(&file->temporary), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                  mode);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            break;
    }
    int rc = -errno;
    buf_free(&file->temporary);
    return rc;
}

static void drop_temporary(struct outfile *file)
{
    if (file->temporary.len_bytes)
        unlink(buf_str(&file->temporary));
    buf_free(&file->temporary);
    if (file->fd >= 0)
        close(take_fd(&file->fd));
}

static int open_beside(struct outfile *file, mode_t mode)
{
    int fd = open_new(file, mode);

    if (fd < 0 || owner_uid == (uid_t)-1 || !fchown(fd, owner_uid, owner_gid))
        return fd;
    int rc = -errno;
    file->fd = fd;
    drop_temporary(file);
    return rc;
}

/* Whether a new file can have all that the old one has. */
static bool can_replace(const struct outfile *file, const struct stat *old)
{
    struct stat link, fresh;

    if (lstat(file->path, &link) || !S_ISREG(link.st_mode) || old->st_nlink != 1 ||
        flistxattr(file->target, NULL, 0) > 0)
        return false;
    if (fstat(file->fd, &fresh) || fresh.st_uid != old->st_uid)
        return false;
    if (fresh.st_gid != old->st_gid && fchown(file->fd, (uid_t)-1, old->st_gid))
        return false;
    return !fchmod(file->fd, old->st_mode & 07777);
}

/* For an existing regular file: a new one that takes its place, or memory that is copied into it.
 */
static int prepare_existing(struct outfile *file, const struct stat *old)
{
    file->fd = open_beside(file, 0600);
    if (file->fd >= 0 && can_replace(file, old)) {
        close(take_fd(&file->target));
        return 0;
    }
    if (file->fd >= 0)
        drop_temporary(file);
    file->fd = memfd_create("netkit-report", MFD_CLOEXEC);
    return file->fd < 0 ? -errno : 0;
}

static int open_file(struct outfile *file, mode_t mode)
{
    struct stat info;
    int fd = open_existing(file->path);

    /* A symbolic link to nothing is a place to write to. */
    if (fd == -ENOENT && !lstat(file->path, &info)) {
        fd = open(file->path, OPEN_FLAGS | links_flag(file->path) | O_CREAT, mode);
        fd = fd < 0 ? -errno : fd;
    }
    if (fd == -ENOENT) {
        file->fd = open_beside(file, mode);
        return file->fd < 0 ? file->fd : 0;
    }
    if (fd < 0)
        return fd;
    if (fstat(fd, &info)) {
        close(fd);
        return -errno;
    }
    if (S_ISREG(info.st_mode)) {
        file->target = fd;
        return prepare_existing(file, &info);
    }
    file->fd = fd;
    file->direct = true;
    return 0;
}

int outfile_open(struct outfile *file, const char *path, mode_t mode, struct error *error)
{
    *file = (struct outfile){.path = path, .fd = -1, .target = -1};
    int rc = open_file(file, mode);

    if (!rc)
        return 0;
    outfile_abandon(file);
    if (rc == -ELOOP && !geteuid())
        return error_set(
            error, ELOOP,
            "cannot write %s: it is a link of another user's, which root does not follow", path);
    return rc == -ETIMEDOUT ? error_set(error, ETIMEDOUT,
                                        "cannot write %s: nobody read it within --timeout", path)
                            : error_sys(error, -rc, "cannot write %s", path);
}

/* ---- writing ---- */

static int write_all(int fd, const char *bytes, size_t len_bytes)
{
    while (len_bytes) {
        ssize_t rc = write(fd, bytes, len_bytes);
        if (rc < 0 && errno != EINTR)
            return -errno;
        bytes += rc > 0 ? rc : 0;
        len_bytes -= rc > 0 ? (size_t)rc : 0;
    }
    return 0;
}

int outfile_write(struct outfile *file, const struct buf *text, struct error *error)
{
    int rc = text->failed ? -ENOMEM : write_all(file->fd, text->data, text->len_bytes);
    return rc ? error_sys(error, -rc, "cannot write %s", file->path) : 0;
}

/* ---- the end ---- */

/* What would not fit is noticed before the old contents are touched, where the file system can say.
 */
static int overwrite(struct outfile *file)
{
    char chunk[65536];
    off_t size = lseek(file->fd, 0, SEEK_END);
    ssize_t got;

    if (size < 0 || lseek(file->fd, 0, SEEK_SET) < 0)
        return -errno;
    if (size && fallocate(file->target, FALLOC_FL_KEEP_SIZE, 0, size) &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return -errno;
    while ((got = read(file->fd, chunk, sizeof chunk)) != 0) {
        int rc = got < 0 ? -errno : write_all(file->target, chunk, (size_t)got);
        if (rc && rc != -EINTR)
            return rc;
    }
    return ftruncate(file->target, size) ? -errno : 0;
}

static int link_to(int fd, const char *path)
{
    char self[32];

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* A name can be taken over only by another name. */
static int name_temporary(struct outfile *file)
{
    int rc = -EEXIST;

    for (int i = 0; rc == -EEXIST && i < NAMES_MAX; i++) {
        name_beside(&file->temporary, file->path, i);
        rc = file->temporary.failed ? -ENOMEM : link_to(file->fd, buf_str(&file->temporary));
    }
    if (rc)
        buf_free(&file->temporary);
    return rc;
}

static int put_in_place(struct outfile *file)
{
    int rc = 0;

    if (file->direct)
        return 0;
    if (file->target >= 0)
        return overwrite(file);
    if (!file->temporary.len_bytes) {
        rc = link_to(file->fd, file->path);
        if (rc != -EEXIST)
            return rc;
        rc = name_temporary(file);
    }
    if (!rc && rename(buf_str(&file->temporary), file->path))
        rc = -errno;
    if (!rc)
        buf_free(&file->temporary);
    return rc;
}

int outfile_commit(struct outfile *file, struct error *error)
{
    int rc = put_in_place(file), *last = file->target >= 0 ? &file->target : &file->fd;

    /* Network file systems report a full disk only here. */
    if (close(take_fd(last)) && !rc)
        rc = -errno;
    outfile_abandon(file);
    return rc ? error_sys(error, -rc, "cannot write %s", file->path) : 0;
}

void outfile_abandon(struct outfile *file)
{
    drop_temporary(file);
    if (file->target >= 0)
        close(take_fd(&file->target));
}

/* ---- files that grow ---- */

int outfile_open_growing(const char *path, mode_t mode, bool *created, struct error *error)
{
    int fd = open(path, OPEN_FLAGS | O_CREAT | O_EXCL, mode);

    if (created)
        *created = fd >= 0;
    if (fd < 0 && errno == EEXIST)
        fd = open_existing(path);
    else if (fd < 0)
        fd = -errno;
    if (fd == -ENOENT) {
        fd = open(path, OPEN_FLAGS | O_CREAT, mode);
        fd = fd < 0 ? -errno : fd;
    }
    return fd < 0 ? error_sys(error, -fd, "cannot create %s", path) : fd;
}

int outfile_begin(int fd)
{
    struct stat info;

    return !fstat(fd, &info) && S_ISREG(info.st_mode) && ftruncate(fd, 0) ? -errno : 0;
}

/* ---- names ---- */

/* The file that a name means; where there is none, its folder and the rest of the name. */
struct identity {
    dev_t device;
    ino_t number;
    const char *name; /* NULL: it exists */
    bool shared;      /* a device */
};

static bool identify(const char *path, struct identity *out)
{
    cleanup(buf) struct buf folder = {0};
    const char *slash = strrchr(path, '/');
    struct stat info;

    *out = (struct identity){0};
    if (stat(path, &info)) {
        add_folder(&folder, path);
        out->name = slash ? slash + 1 : path;
        if (folder.failed || stat(buf_str(&folder), &info))
            return false;
    } else {
        out->shared = !S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode);
    }
    out->device = info.st_dev;
    out->number = info.st_ino;
    return true;
}

bool outfile_same(const char *path, const char *other)
{
    struct identity a, b;

    if (!identify(path, &a) || !identify(other, &b))
        return !strcmp(path, other);
    if (a.device != b.device || a.number != b.number || a.shared || !a.name != !b.name)
        return false;
    return !a.name || !strcmp(a.name, b.name);
}

int outfile_check(const char *path)
{
    cleanup(buf) struct buf folder = {0};
    struct stat info;

    if (!stat(path, &info))
        return S_ISDIR(info.st_mode)                         ? -EISDIR
               : faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) ? -errno
                                                             : 0;
    add_folder(&folder, path);
    if (folder.failed)
        return -ENOMEM;
    return faccessat(AT_FDCWD, buf_str(&folder), W_OK | X_OK, AT_EACCESS) ? -errno : 0;
}
