/* Roles and programs, from the caller's side. Each has a descriptor of its own, into which the init
 * writes how it ended; when the init dies with its host it is closed without a word. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "lab/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define ARG_MAX_BYTES (64 * 1024)

static uint32_t add_strings(struct buf *buf, const char *const *list)
{
    uint32_t count = 0;

    for (; list && list[count]; count++)
        buf_add(buf, list[count], strlen(list[count]) + 1);
    return count;
}

static int pack(struct buf *buf, const struct lab_program *program, struct error *error)
{
    struct init_request request = {.op = INIT_SPAWN};
    const char *line[] = {program->shell, NULL};

    if (!!program->role + !!program->argv + !!program->shell != 1 ||
        (program->argv && !program->argv[0]))
        return error_set(error, EINVAL, "a program must be a role, a command or a shell line");
    if (program->arg_bytes > ARG_MAX_BYTES || program->fds_count > LAB_FDS)
        return error_set(error, E2BIG, "too much to hand over to a role");
    request.spawn.what = program->role ? INIT_ROLE : program->argv ? INIT_ARGV : INIT_SHELL;
    request.spawn.role = program->role;
    request.spawn.fds_count = (uint32_t)program->fds_count;
    request.spawn.stdio_present = 1; /* /dev/null where nothing was said */
    for (int i = 0; program->stdio && i < 3; i++)
        request.spawn.stdio_present = (uint8_t)((request.spawn.stdio_present & ~(1u << i)) |
                                                (unsigned)(program->stdio[i] >= 0) << i);
    buf_add(buf, &request, sizeof request);
    if (program->role && program->arg_bytes) {
        request.spawn.arg_bytes = (uint32_t)program->arg_bytes;
        buf_add(buf, program->arg, program->arg_bytes);
    } else if (!program->role) {
        request.spawn.argc = add_strings(buf, program->shell ? line : program->argv);
        request.spawn.envc = add_strings(buf, program->environment);
    }
    if (buf->full)
        return error_set(error, E2BIG, "the command line is longer than a lab takes");
    if (buf->failed)
        return error_sys(error, ENOMEM, "a command line");
    memcpy(buf->data, &request, sizeof request);
    return 0;
}

static int send_request(struct lab_process *process, const struct lab_program *program,
                        const struct buf *buf, int exit_end, int channel_end, int null_fd,
                        struct error *error)
{
    int fds[MESSAGE_FDS_MAX], none = -1;
    size_t count = 0;

    fds[count++] = exit_end;
    if (program->role)
        fds[count++] = channel_end;
    for (int i = 0; i < 3; i++) {
        int fd = program->stdio ? program->stdio[i] : i == 0 ? null_fd : none;
        if (fd >= 0)
            fds[count++] = fd;
    }
    for (size_t i = 0; i < program->fds_count; i++)
        fds[count++] = program->fds[i];
    return message_call(process->lab->host[process->host], buf->data, buf->len_bytes, fds, count,
                        NULL, 0, error);
}

static int start(struct lab_process *process, const struct lab_program *program,
                 struct error *error)
{
    cleanup(buf) struct buf buf = {0};
    cleanup(fd) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int exits[2], channels[2] = {-1, -1};

    buf_init_cap(&buf, MESSAGE_BYTES_MAX);
    int rc = pack(&buf, program, error);
    if (rc)
        return rc;
    if (null_fd < 0)
        return error_sys(error, errno, "/dev/null");
    if (pipe2(exits, O_CLOEXEC))
        return error_sys(error, errno, "pipe");
    process->exit_fd = exits[0];
    cleanup(fd) int exit_end = exits[1];
    if (program->role) {
        rc = message_pair(channels, error);
        if (rc)
            return rc;
    }
    process->channel = channels[0];
    cleanup(fd) int channel_end = channels[1];
    rc = send_request(process, program, &buf, exit_end, channel_end, null_fd, error);
    if (rc > 0) {
        process->pid = rc;
        process->lab->plan.shared->begun = true;
    }
    return rc < 0 ? rc : 0;
}

int lab_start(struct lab *lab, enum lab_host host, const struct lab_program *program,
              struct lab_process **out, struct error *error)
{
    struct lab_process *process = calloc(1, sizeof *process);

    if (!process)
        return error_sys(error, ENOMEM, "process");
    *process = (struct lab_process){.lab = lab,
                                    .host = host,
                                    .boot = lab->boots[host],
                                    .started_ns = clock_mono_ns(),
                                    .exit_fd = -1,
                                    .channel = -1};
    process->next = lab->processes;
    lab->processes = process;
    int rc = start(process, program, error);
    if (rc) {
        process_release(process);
        return rc;
    }
    *out = process;
    return 0;
}

void process_release(struct lab_process *process)
{
    struct lab_process **at = &process->lab->processes;

    while (*at != process)
        at = &(*at)->next;
    *at = process->next;
    if (process->exit_fd >= 0)
        close(process->exit_fd);
    if (process->channel >= 0)
        close(process->channel);
    free(process);
}

/* Keeps the answer, so that it stays the same. */
static int read_end(struct lab_process *process)
{
    size_t have = 0;
    ssize_t got = 1;

    while (got && have < sizeof process->end) {
        got = read(process->exit_fd, (char *)&process->end + have, sizeof process->end - have);
        if (got < 0 && errno != EINTR)
            return -errno;
        have += got > 0 ? (size_t)got : 0;
    }
    if (have < sizeof process->end)
        process->end = (struct lab_exit){.with_host = true,
                                         .status = SIGKILL,
                                         .started_ns = process->started_ns,
                                         .ended_ns = clock_mono_ns()};
    process->ended = true;
    return 0;
}

int lab_process_wait(struct lab_process *process, int64_t timeout_ns, struct lab_exit *out)
{
    int rc = process->ended ? 0 : message_wait(process->exit_fd, timeout_ns);

    if (!rc && !process->ended)
        rc = read_end(process);
    if (!rc && out)
        *out = process->end;
    return rc;
}

int lab_process_channel(const struct lab_process *process)
{
    return process->channel;
}

static int send_signal(struct lab_process *process, int number, bool group)
{
    struct init_request request = {
        .op = INIT_SIGNAL, .signal = {.pid = process->pid, .signal = number, .group = group}};

    /* After a reboot the same number is another process. */
    if (process->boot != process->lab->boots[process->host])
        return -ESRCH;
    return message_call(process->lab->host[process->host], &request, sizeof request, NULL, 0, NULL,
                        0, NULL);
}

int lab_process_signal(struct lab_process *process, int signal)
{
    return send_signal(process, signal, false);
}

int lab_process_signal_group(struct lab_process *process, int signal)
{
    return send_signal(process, signal, true);
}

void lab_process_free(struct lab_process *process)
{
    if (!process)
        return;
    if (process->pid > 0)
        lab_process_signal_group(process, SIGKILL);
    process_release(process);
}
