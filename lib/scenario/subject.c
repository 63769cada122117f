#include "scenario/subject.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "scenario/cast.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_NS (1 * NS_PER_SEC)

void subject_decline(struct stage *stage, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!stage_failed(stage))
        stage->result->final = true;
    stage_fail(stage, "%s", text);
}

/* ---- Starting and ending ---- */

/* {host} and {port} in the user's line. The name is good for either family, in a URL, too. */
static const char *fill_in(struct stage *stage, const char *command)
{
    const struct subject_request *request = subject_request(stage);
    const char *host = request->host == LAB_CLIENT ? "server" : "client";
    cleanup(buf) struct buf line = {0};

    if (*lab_notes(stage->lab))
        host =
            lab_address_text(request->host == LAB_CLIENT ? LAB_SERVER : LAB_CLIENT, stage->family);
    for (const char *p = command; *p; p++) {
        if (!strncmp(p, "{host}", 6)) {
            buf_add_str(&line, host);
            p += 5;
        } else if (!strncmp(p, "{port}", 6)) {
            buf_printf(&line, "%d", request->port);
            p += 5;
        } else {
            buf_add_char(&line, *p);
        }
    }
    return arena_copy(stage->arena, buf_str(&line));
}

void subject_start(struct stage *stage, struct subject *subject)
{
    const struct subject_request *request = subject_request(stage);
    cleanup(fd) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = request->show_output ? STDERR_FILENO : null_fd;
    const int stdio[3] = {null_fd, out, out};
    struct lab_program program = {.shell = fill_in(stage, request->command), .stdio = stdio};
    struct error error = {0};

    *subject = (struct subject){.started_ns = clock_mono_ns()};
    if (stage_failed(stage))
        return;
    if (lab_start(stage->lab, request->host, &program, &subject->process, &error))
        stage_fail(stage, "cannot start '%s': %s", request->command, error.text);
}

bool subject_has_ended(struct stage *stage, struct subject *subject, int64_t timeout_ns)
{
    if (stage_failed(stage) || !subject->process)
        return true;
    if (!subject->ended)
        subject->ended = !lab_process_wait(subject->process, timeout_ns, &subject->exit);
    return subject->ended;
}

bool subject_listens(struct stage *stage, struct subject *subject)
{
    const struct subject_request *request = subject_request(stage);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;

    subject_start(stage, subject);
    while (!stage_failed(stage)) {
        struct error error = {0};
        int rc =
            lab_wait_listen(stage->lab, request->host, stage->family, request->port, 0, &error);
        if (!rc)
            return true;
        if (rc != -ETIMEDOUT)
            stage_fail(stage, "%s", error.text);
        else if (subject_has_ended(stage, subject, 2 * NS_PER_MS))
            subject_decline(stage, "the server ended (%s) before it listened on port %d",
                            subject_end_text(stage, subject), request->port);
        else if (clock_mono_ns() >= end_ns)
            subject_decline(stage,
                            "the server did not listen on port %d where the client could "
                            "reach it within %lld s",
                            request->port, (long long)(request->patience_ns / NS_PER_SEC));
    }
    return false;
}

const char *subject_end_text(struct stage *stage, const struct subject *subject)
{
    int status = subject->exit.status;

    if (!subject->ended)
        return "running";
    if (WIFSIGNALED(status))
        return arena_printf(stage->arena, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    return arena_printf(stage->arena, "exit status %d", WEXITSTATUS(status));
}

void subject_observe_end(struct stage *stage, const struct subject *subject)
{
    int status = subject->exit.status;
    bool signalled = subject->ended && WIFSIGNALED(status);

    stage_observe_integer(stage, "exit_status",
                          subject->ended && !signalled ? WEXITSTATUS(status) : RESULT_UNKNOWN);
    stage_observe_text(
        stage, "signal",
        signalled ? arena_printf(stage->arena, "SIG%s", sigabbrev_np(WTERMSIG(status))) : NULL);
}

void subject_stop(struct stage *stage, struct subject *subject)
{
    if (!subject->process || subject->ended || stage_failed(stage))
        return;
    lab_process_signal_group(subject->process, SIGTERM);
    if (lab_process_wait(subject->process, GRACE_NS, NULL))
        lab_process_signal_group(subject->process, SIGKILL);
}

/* ---- The census: run in an actor of the subject's host, which sees its processes in /proc ---- */

struct census_question {
    uint32_t inode;
};

static bool is_number(const char *name)
{
    return isdigit((unsigned char)*name);
}

static ssize_t read_small(const char *path, char *out, size_t size)
{
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, out, size - 1);

    out[len > 0 ? len : 0] = '\0';
    return len;
}

static char state_of(const char *pid)
{
    char path[96], text[512];

    snprintf(path, sizeof path, "/proc/%.60s/stat", pid);
    read_small(path, text, sizeof text);
    const char *end = strrchr(text, ')'); /* the name may hold anything */
    return end && end[1] ? end[2] : '?';
}

/* netkit's own: the init of the host, and actors. */
static bool is_ours(const char *pid)
{
    char path[64], theirs[256], ours[256];

    snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
    ssize_t a = readlink(path, theirs, sizeof theirs),
            b = readlink("/proc/self/exe", ours, sizeof ours);
    return a > 0 && a == b && !memcmp(theirs, ours, (size_t)a);
}

static void count_descriptors(const char *pid, uint32_t inode, struct subject_census *census)
{
    char path[512], wanted[64], target[128];

    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    snprintf(wanted, sizeof wanted, "socket:[%u]", inode);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (!is_number(entry->d_name))
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/fd/%.20s", pid, entry->d_name);
        ssize_t len = readlink(path, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        census->descriptors++;
        census->sockets += !strncmp(target, "socket:", 7);
        census->holds |= inode && !strcmp(target, wanted);
    }
    if (directory)
        closedir(directory);
}

static int64_t take_census(struct actor_self *self, const struct act *act, struct act_reply *reply)
{
    struct census_question question;
    struct subject_census census = {0};
    DIR *directory = opendir("/proc");

    (void)self;
    if (!directory)
        return -errno;
    memcpy(&question, act->data, sizeof question);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!is_number(entry->d_name) || is_ours(entry->d_name))
            continue;
        if (state_of(entry->d_name) == 'Z') {
            census.zombies++;
            continue;
        }
        census.processes++;
        count_descriptors(entry->d_name, question.inode, &census);
    }
    closedir(directory);
    memcpy(reply->data, &census, sizeof census);
    return 0;
}

struct subject_census subject_census(struct stage *stage, uint32_t inode)
{
    struct census_question question = {inode};
    struct subject_census census = {0};
    struct act_reply reply = actor_do(stage_watcher(stage, subject_request(stage)->host),
                                      &PEER_ACT(take_census, question));

    if (!reply.rc)
        memcpy(&census, reply.data, sizeof census);
    else
        stage_fail(stage, "counting the processes: %s", strerror((int)-reply.rc));
    return census;
}

/* ---- Standing still, likewise ---- */

#define FREEZE_NS (5 * NS_PER_SEC)

static bool stands(const char *pid)
{
    char path[64], task[320];
    bool all = true;

    snprintf(path, sizeof path, "/proc/%.20s/task", pid);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (!is_number(entry->d_name))
            continue;
        snprintf(task, sizeof task, "%.20s/task/%.20s", pid, entry->d_name);
        all &= strchr("TtZX?", state_of(task)) != NULL; /* '?': it has ended */
    }
    if (directory)
        closedir(directory);
    return all;
}

/* → how many did not stand yet */
static int64_t stop_others(void)
{
    DIR *directory = opendir("/proc");
    int64_t running = 0;

    if (!directory)
        return 1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!is_number(entry->d_name) || is_ours(entry->d_name) || stands(entry->d_name))
            continue;
        kill(atoi(entry->d_name), SIGSTOP);
        running++;
    }
    closedir(directory);
    return running;
}

/* What they fork meanwhile is found by the next walk. */
static int64_t do_freeze(struct actor_self *self, const struct act *act, struct act_reply *reply)
{
    int64_t end_ns = clock_mono_ns() + FREEZE_NS;

    (void)self;
    (void)act;
    (void)reply;
    while (stop_others()) {
        if (clock_mono_ns() >= end_ns)
            return -ETIME;
        poll(NULL, 0, 1);
    }
    return 0;
}

static int64_t do_thaw(struct actor_self *self, const struct act *act, struct act_reply *reply)
{
    DIR *directory = opendir("/proc");

    (void)self;
    (void)act;
    (void)reply;
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (is_number(entry->d_name) && !is_ours(entry->d_name))
            kill(atoi(entry->d_name), SIGCONT);
    if (directory)
        closedir(directory);
    return 0;
}

void subject_freeze(struct stage *stage)
{
    struct actor *watcher = stage_watcher(stage, subject_request(stage)->host);

    if (DO(watcher, ACT_CALL, .function = do_freeze).rc && !stage_failed(stage))
        stage_fail(stage, "the program could not be stopped (SIGSTOP)");
}

void subject_thaw(struct stage *stage)
{
    DO(stage_watcher(stage, subject_request(stage)->host), ACT_CALL, .function = do_thaw);
}

/* ---- Sockets, likewise ---- */

struct sockets_question {
    uint16_t port;
    bool remote;
};

static int count_socket(void *context, const struct sock_diag_entry *entry)
{
    struct subject_sockets *sockets = context;

    if (entry->state > 0 && entry->state < SUBJECT_STATES)
        sockets->by_state[entry->state]++;
    sockets->orphans +=
        !entry->inode && entry->state != TCP_TIME_WAIT && entry->state != TCP_SYN_RECV;
    if (entry->state == TCP_ESTABLISHED && entry->inode) {
        sockets->inode = entry->inode;
        sockets->local_port = sock_address_port(&entry->local);
    }
    return 0;
}

static int64_t take_sockets(struct actor_self *self, const struct act *act, struct act_reply *reply)
{
    struct sockets_question question;
    struct subject_sockets sockets = {0};
    struct sock_diag *diag;

    (void)self;
    memcpy(&question, act->data, sizeof question);
    struct sock_diag_filter filter = {0}; /* a dual-stack server has IPv6 sockets for either */
    *(question.remote ? &filter.remote_port : &filter.local_port) = question.port;
    int rc = sock_diag_open(&diag, NULL);
    if (rc)
        return rc;
    rc = sock_diag_list(diag, &filter, count_socket, &sockets, NULL);
    sock_diag_close(diag);
    memcpy(reply->data, &sockets, sizeof sockets);
    return rc;
}

struct subject_sockets subject_sockets(struct stage *stage, uint16_t port)
{
    enum lab_host host = subject_request(stage)->host;
    struct sockets_question question = {port, host == LAB_CLIENT};
    struct subject_sockets sockets = {0};
    struct act_reply reply =
        actor_do(stage_watcher(stage, host), &PEER_ACT(take_sockets, question));

    if (!reply.rc)
        memcpy(&sockets, reply.data, sizeof sockets);
    else
        stage_fail(stage, "sock_diag: %s", strerror((int)-reply.rc));
    return sockets;
}
