#include "output.h"

#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN     40
#define COLUMNS_MAX     120 /* longer lines are hard to read */

static int print_errno; /* the first failure of standard output */

void output_prepare(void)
{
    /* A closed descriptor is replaced by one that refuses the use it would be put to: reading for
     * 0, writing for 1 and 2, so that "netkit … >&-" still ends in an error. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd ? O_RDONLY : O_WRONLY);
    signal(SIGPIPE, SIG_IGN);
}

static void note_failure(void)
{
    if (!print_errno)
        print_errno = errno ? errno : EIO;
}

void output_print(const struct buf *text)
{
    errno = 0;
    if (text->failed) {
        errno = ENOMEM;
        note_failure();
    } else if (text->len_bytes && fwrite(text->data, 1, text->len_bytes, stdout) < text->len_bytes)
        note_failure();
}

static int write_all(int fd, const struct buf *text)
{
    for (size_t done = 0; done < text->len_bytes;) {
        ssize_t rc = write(fd, text->data + done, text->len_bytes - done);
        if (rc < 0 && errno != EINTR)
            return -errno;
        done += rc > 0 ? (size_t)rc : 0;
    }
    return 0;
}

static int write_through(const char *path, const struct buf *text, struct error *error)
{
    cleanup(fd) int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    int rc = fd < 0 ? -errno : write_all(fd, text);

    if (!rc && close(take_fd(&fd)))
        rc = -errno;
    return rc ? error_sys(error, -rc, "cannot write %s", path) : 0;
}

static int write_renamed(const char *path, const struct buf *text, struct error *error)
{
    cleanup(buf) struct buf temporary = {0};
    mode_t mask = umask(0);
    int rc = 0;

    umask(mask);
    buf_printf(&temporary, "%s.XXXXXX", path);
    if (temporary.failed)
        return error_sys(error, ENOMEM, "cannot write %s", path);
    cleanup(fd) int fd = mkostemp(temporary.data, O_CLOEXEC);
    if (fd < 0)
        return error_sys(error, errno, "cannot create %s", path);
    rc = write_all(fd, text);
    if (!rc && (fchmod(fd, 0666 & ~mask) || close(take_fd(&fd)) || rename(temporary.data, path)))
        rc = -errno;
    if (rc) {
        unlink(temporary.data);
        return error_sys(error, -rc, "cannot write %s", path);
    }
    return 0;
}

int output_file(const char *path, const struct buf *text, struct error *error)
{
    struct stat st;

    if (text->failed)
        return error_sys(error, ENOMEM, "cannot write %s", path);
    if (!strcmp(path, "-")) {
        output_print(text);
        return 0;
    }
    if (!lstat(path, &st) && !S_ISREG(st.st_mode))
        return write_through(path, text, error);
    return write_renamed(path, text, error);
}

void output_complain(const char *command, const char *format, ...)
{
    cleanup(buf) struct buf line = {0};
    va_list args;

    buf_printf(&line, "netkit%s%s: ", command ? " " : "", command ? command : "");
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    fprintf(stderr, "%s\n", buf_str(&line));
}

int output_finish(const char *command, int status)
{
    errno = 0;
    if (fflush(stdout))
        note_failure();
    if (!print_errno)
        return status;
    output_complain(command, "cannot write to standard output: %s", strerror(print_errno));
    return status == STATUS_INTERRUPTED || status == STATUS_TERMINATED || status == STATUS_USAGE
               ? status
               : STATUS_MACHINE;
}

bool output_wants_color(int descriptor)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(descriptor) && !(no_color && *no_color) && term && *term && strcmp(term, "dumb");
}

struct cli_style output_style(void)
{
    struct winsize size;
    int columns = COLUMNS_DEFAULT;

    if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
        columns = size.ws_col < COLUMNS_MIN   ? COLUMNS_MIN
                  : size.ws_col > COLUMNS_MAX ? COLUMNS_MAX
                                              : size.ws_col;
    return (struct cli_style){.width = columns, .color = output_wants_color(STDOUT_FILENO)};
}
