#include "output.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "diagnosis/failure.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* ---- files ---- */

/* Opened before the run, and taken when there is something to write. */
static struct outfile reserved[2];
static size_t reserved_count;

int output_reserve(const char *path, struct error *error)
{
    if (!path || !strcmp(path, "-") || reserved_count == ARRAY_SIZE(reserved))
        return 0;
    int rc = outfile_open(&reserved[reserved_count], path, 0666, error);
    reserved_count += !rc;
    return rc;
}

static bool take_reserved(struct outfile *file, const char *path)
{
    for (size_t i = 0; i < reserved_count; i++) {
        if (strcmp(reserved[i].path, path) != 0)
            continue;
        *file = reserved[i];
        reserved[i] = reserved[--reserved_count];
        return true;
    }
    return false;
}

bool output_stream_is_stdout(const struct output_stream *stream)
{
    return !strcmp(stream->path, "-");
}

int output_stream_open(struct output_stream *stream, const char *path, struct error *error)
{
    int rc = 0;

    *stream = (struct output_stream){.path = path};
    if (!output_stream_is_stdout(stream) && !take_reserved(&stream->file, path))
        rc = outfile_open(&stream->file, path, 0666, error);
    stream->open = !rc;
    return rc;
}

int output_stream_write(struct output_stream *stream, const struct buf *text, struct error *error)
{
    if (!output_stream_is_stdout(stream))
        return outfile_write(&stream->file, text, error);
    output_print(text);
    errno = 0;
    if (fflush(stdout))
        note_failure();
    return print_errno ? error_sys(error, print_errno, "cannot write %s", stream->path) : 0;
}

int output_stream_commit(struct output_stream *stream, struct error *error)
{
    stream->open = false;
    return output_stream_is_stdout(stream) ? 0 : outfile_commit(&stream->file, error);
}

void output_stream_abandon(struct output_stream *stream)
{
    if (stream->open && !output_stream_is_stdout(stream))
        outfile_abandon(&stream->file);
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

int output_refuse_for(const char *command, const struct error *error)
{
    output_complain(command, "%s", error->text);
    return failure_of_shortage(error->code) == FAILURE_NOT_KNOWN ? STATUS_USAGE : STATUS_MACHINE;
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
    while (reserved_count)
        outfile_abandon(&reserved[--reserved_count]);
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
