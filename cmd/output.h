/* Standard output, report files and complaints: the only place that prints and that decides what a
 * failed write means for the exit status. */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include "base/buf.h"
#include "base/outfile.h"
#include "cli/cli.h"
#include "netkit/error.h"

/* Exit statuses of the contract. */
enum {
    STATUS_OK = 0,
    STATUS_FINDING = 1, /* a scenario differed, a threshold or --fail-on was hit */
    STATUS_USAGE = 2,
    STATUS_MACHINE = 3, /* this machine does not let it run */
    STATUS_UNREACHED = 4,
    STATUS_SIGNAL = 128, /* and the number of the signal that ended it */
};

/* Call first in main(): makes sure that descriptors 0 to 2 are taken, so that no file or socket
 * that is opened later gets our output, and turns a closed pipe and the limit of a file's size into
 * errors of write. A child that is to die of these signals must set their default actions back. */
void output_prepare(void);

/* Writes to standard output. A failure is remembered and reported by output_finish(), so nobody
 * else needs to check. */
void output_print(const struct buf *text);

/* Opens a file that will be written at the end, so that a run does not find out then that it cannot
 * be. Nothing of it is seen before. NULL and "-" need nothing. */
int output_reserve(const char *path, struct error *error);

/* Writes a whole file (base/outfile.h). "-" is standard output. */
int output_file(const char *path, const struct buf *text, struct error *error);

/* The same piece by piece: open, write as often as there is something, then commit, which puts the
 * file in its place, or abandon, which leaves what was there before. On standard output each piece
 * is out at once, and its failure is reported by output_finish(), too. */
struct output_stream {
    const char *path;
    struct outfile file; /* not for standard output */
    bool open;
};
int output_stream_open(struct output_stream *stream, const char *path, struct error *error);
int output_stream_write(struct output_stream *stream, const struct buf *text, struct error *error);
int output_stream_commit(struct output_stream *stream, struct error *error);
void output_stream_abandon(struct output_stream *stream);
bool output_stream_is_stdout(const struct output_stream *stream);

/* "netkit COMMAND: …" on standard error; command NULL: "netkit: …". */
__attribute__((format(printf, 2, 3))) void output_complain(const char *command, const char *format,
                                                           ...);

/* The same about the command line; STATUS_USAGE. */
#define output_refuse(...) (output_complain(__VA_ARGS__), STATUS_USAGE)

/* The same of an error: STATUS_MACHINE where this machine had no memory or descriptors to read the
 * command line with. */
int output_refuse_for(const char *command, const struct error *error);

/* "there is no KIND 'WORD'; did you mean 'NEAREST'?"; nearest may be NULL. */
void output_complain_unknown(const char *command, const char *kind, const char *word,
                             const char *nearest);

/* Flushes standard output. Returns the status, or STATUS_MACHINE after a complaint when something
 * could not be written (an interruption or a usage error goes before). */
int output_finish(const char *command, int status);

/* How text looks on standard output: its columns (80 when it is no terminal), colour by NO_COLOR
 * and TERM. */
struct cli_style output_style(void);

/* The columns that a table may take on standard output: the terminal's, without an end where it is
 * no terminal. */
int output_table_columns(void);

/* Whether `descriptor` is a terminal that wants colour, by NO_COLOR and TERM. */
bool output_wants_color(int descriptor);

#endif
