#include "output.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
    signal(SIGXFSZ, SIG_IGN);
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

static int open_through(struct output_stream *stream, struct error *error)
{
    stream->fd = open(stream->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    return stream->fd < 0 ? error_sys(error, errno, "cannot write %s", stream->path) : 0;
}

static int open_temporary(struct output_stream *stream, struct error *error)
{
    buf_printf(&stream->temporary, "%s.XXXXXX", stream->path);
    if (stream->temporary.failed)
        return error_sys(error, ENOMEM, "cannot write %s", stream->path);
    stream->fd = mkostemp(stream->temporary.data, O_CLOEXEC);
    return stream->fd < 0 ? error_sys(error, errno, "cannot create %s", stream->path) : 0;
}

bool output_stream_is_stdout(const struct output_stream *stream)
{
    return !strcmp(stream->path, "-");
}

int output_stream_open(struct output_stream *stream, const char *path, struct error *error)
{
    struct stat st;
    int rc = 0;

    *stream = (struct output_stream){.path = path, .fd = -1};
    if (!output_stream_is_stdout(stream))
        rc = !lstat(path, &st) && !S_ISREG(st.st_mode) ? open_through(stream, error)
                                                       : open_temporary(stream, error);
    stream->open = !rc;
    if (rc)
        buf_free(&stream->temporary);
    return rc;
}

int output_stream_write(struct output_stream *stream, const struct buf *text, struct error *error)
{
    int rc = text->failed ? -ENOMEM : 0;

    if (output_stream_is_stdout(stream)) {
        output_print(text);
        errno = 0;
        if (fflush(stdout))
            note_failure();
        rc = -print_errno;
    } else if (!rc) {
        rc = write_all(stream->fd, text);
    }
    return rc ? error_sys(error, -rc, "cannot write %s", stream->path) : 0;
}

static int put_in_place(struct output_stream *stream)
{
    mode_t mask = umask(0);

    umask(mask);
    if (stream->temporary.len_bytes && fchmod(stream->fd, 0666 & ~mask))
        return -errno;
    if (close(take_fd(&stream->fd)))
        return -errno;
    if (stream->temporary.len_bytes && rename(stream->temporary.data, stream->path))
        return -errno;
    return 0;
}

int output_stream_commit(struct output_stream *stream, struct error *error)
{
    int rc = stream->fd < 0 ? 0 : put_in_place(stream);

    if (!rc)
        buf_reset(&stream->temporary);
    output_stream_abandon(stream);
    return rc ? error_sys(error, -rc, "cannot write %s", stream->path) : 0;
}

void output_stream_abandon(struct output_stream *stream)
{
    if (!stream->open)
        return;
    if (stream->fd >= 0)
        close(take_fd(&stream->fd));
    if (stream->temporary.len_bytes)
        unlink(stream->temporary.data);
    buf_free(&stream->temporary);
    stream->open = false;
}

int output_file(const char *path, const struct buf *text, struct error *error)
{
    struct output_stream stream;

    if (text->failed)
        return error_sys(error, ENOMEM, "cannot write %s", path);
    if (!strcmp(path, "-")) {
        output_print(text);
        return 0;
    }
    int rc = output_stream_open(&stream, path, error);
    if (!rc)
        rc = output_stream_write(&stream, text, error);
    if (!rc)
        return output_stream_commit(&stream, error);
    output_stream_abandon(&stream);
    return rc;
}

void output_complain(const char *command, const char *format, ...)
{
    cleanup(buf) struct buf message = {0}, line = {0};
    va_list args;

    va_start(args, format);
    buf_vprintf(&message, format, args);
    va_end(args);
    buf_printf(&line, "netkit%s%s: ", command ? " " : "", command ? command : "");
    text_escape_message(&line, buf_str(&message));
    fprintf(stderr, "%s\n",
            message.failed || line.failed ? "netkit: out of memory" : buf_str(&line));
}

void output_complain_unknown(const char *command, const char *kind, const char *word,
                             const char *nearest)
{
    cleanup(buf) struct buf shown = {0};

    text_escape(&shown, word, strnlen(word, 60));
    output_complain(command, "there is no %s '%s'%s%s%s", kind, buf_str(&shown),
                    nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

int output_finish(const char *command, int status)
{
    errno = 0;
    if (fflush(stdout))
        note_failure();
    if (!print_errno)
        return status;
    output_complain(command, "cannot write to standard output: %s", strerror(print_errno));
    return status > STATUS_SIGNAL || status == STATUS_USAGE ? status : STATUS_MACHINE;
}

bool output_wants_color(int descriptor)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(descriptor) && !(no_color && *no_color) && term && *term && strcmp(term, "dumb");
}

/* The columns of the terminal; 0 when standard output is none, or a terminal that does not say. */
static int terminal_columns(void)
{
    struct winsize size;

    return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? size.ws_col : 0;
}

struct cli_style output_style(void)
{
    int columns = terminal_columns();

    columns = !columns                ? COLUMNS_DEFAULT
              : columns < COLUMNS_MIN ? COLUMNS_MIN
              : columns > COLUMNS_MAX ? COLUMNS_MAX
                                      : columns;
    return (struct cli_style){.width = columns, .color = output_wants_color(STDOUT_FILENO)};
}

int output_table_columns(void)
{
    return isatty(STDOUT_FILENO) ? terminal_columns() : INT_MAX;
}
