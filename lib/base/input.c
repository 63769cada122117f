#include "base/input.h"

#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct wait_limit reading = {.deadline_ns = INT64_MAX};

void input_wait_until(int64_t deadline_ns)
{
    reading.deadline_ns = deadline_ns;
}

void input_stop_at(const volatile sig_atomic_t *stop)
{
    reading.stop = stop;
}

int input_rest(void)
{
    if (reading.stop && *reading.stop)
        return -EINTR;
    if (clock_mono_ns() >= reading.deadline_ns)
        return -ETIMEDOUT;
    poll(NULL, 0, WAIT_LOOK_MS);
    return 0;
}

/* A device may give for ever what nobody wrote; a regular file is as long as it is. */
static bool is_endless(int fd)
{
    struct stat info;
    return !fstat(fd, &info) && !S_ISREG(info.st_mode);
}

/* 0 at the end; -EFBIG, or what waiting or reading failed by. */
static int read_all(struct buf *out, int fd)
{
    bool endless = is_endless(fd);
    char chunk[65536];
    ssize_t got;

    do {
        int rc = wait_for_fd(fd, POLLIN, &reading);
        if (rc)
            return rc;
        if (endless && out->len_bytes >= sizeof chunk && clock_mono_ns() >= reading.deadline_ns)
            return -ETIMEDOUT;
        got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        buf_add(out, chunk, got > 0 ? (size_t)got : 0);
        if (out->failed)
            return out->full ? -EFBIG : -ENOMEM;
    } while (got);
    return 0;
}

static int conclude(int rc, const struct buf *out, const char *option, const char *path,
                    struct error *error)
{
    size_t max = out->cap_bytes;

    if (rc == -EFBIG)
        return max % (1 << 20)
                   ? error_set(error, EFBIG, "%s %s: more than %zu bytes", option, path, max)
                   : error_set(error, EFBIG, "%s %s: more than %zu MiB", option, path, max >> 20);
    if (rc == -ETIMEDOUT)
        return error_set(error, ETIMEDOUT, "%s %s: it did not end within --timeout", option, path);
    if (rc)
        return error_sys(error, -rc, "%s %s", option, path);
    if (!out->len_bytes)
        return error_set(error, EINVAL, "%s %s: the file is empty", option, path);
    return 0;
}

int input_read(struct buf *out, const char *option, const char *path, size_t max,
               struct error *error)
{
    bool standard = !strcmp(path, "-");
    cleanup(fd) int opened =
        standard ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    buf_init_cap(out, max);
    int rc = opened < 0 && !standard ? -errno : read_all(out, standard ? STDIN_FILENO : opened);
    return conclude(rc, out, option, path, error);
}

static int take_text(struct buf *text, const char *option, const char *path, struct error *error)
{
    static const char mark[] = "\xef\xbb\xbf";
    const char *zero = text->len_bytes ? memchr(text->data, '\0', text->len_bytes) : NULL;
    size_t line = 1, mark_bytes = sizeof mark - 1;

    if (zero) {
        for (const char *p = text->data; p < zero; p++)
            line += *p == '\n';
        return error_set(error, EINVAL, "%s %s:%zu: contains a zero byte", option, path, line);
    }
    if (text->len_bytes >= mark_bytes && !memcmp(text->data, mark, mark_bytes)) {
        text->len_bytes -= mark_bytes;
        memmove(text->data, text->data + mark_bytes, text->len_bytes + 1);
    }
    return 0;
}

int input_read_text(struct buf *out, const char *option, const char *path, size_t max,
                    struct error *error)
{
    int rc = input_read(out, option, path, max, error);
    return rc ? rc : take_text(out, option, path, error);
}

int input_read_text_fd(struct buf *out, const char *option, int fd, size_t max, struct error *error)
{
    char name[16];

    snprintf(name, sizeof name, "%d", fd);
    buf_init_cap(out, max);
    int rc = conclude(read_all(out, fd), out, option, name, error);
    return rc ? rc : take_text(out, option, name, error);
}
