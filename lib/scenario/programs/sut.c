#include "scenario/programs/sut.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
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

void sut_decline(struct testbed *bed, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!testbed_failed(bed))
        bed->result->final = true;
    testbed_fail(bed, "%s", text);
}

/* ---- Starting and ending ---- */

/* {host} and {port} in the user's line. The name is good for either family, in a URL, too. */
static const char *fill_in(struct testbed *bed, const char *command)
{
    const struct sut_request *request = sut_request(bed);
    const char *host = request->host == LAB_CLIENT ? "server" : "client";
    cleanup(buf) struct buf line = {0};

    if (*lab_notes(bed->lab))
        host = lab_address_text(request->host == LAB_CLIENT ? LAB_SERVER : LAB_CLIENT, bed->family);
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
    return arena_copy(bed->arena, buf_str(&line));
}

void sut_start(struct testbed *bed, struct sut *subject)
{
    const struct sut_request *request = sut_request(bed);
    cleanup(fd) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = request->show_output ? STDERR_FILENO : null_fd;
    const int stdio[3] = {null_fd, out, out};
    struct lab_program program = {.shell = fill_in(bed, request->command), .stdio = stdio};
    struct error error = {0};

    *subject = (struct sut){.started_ns = clock_mono_ns()};
    if (testbed_failed(bed))
        return;
    if (lab_start(bed->lab, request->host, &program, &subject->process, &error))
        testbed_fail(bed, "cannot start '%s': %s", request->command, error.text);
}

bool sut_has_ended(struct testbed *bed, struct sut *subject, int64_t timeout_ns)
{
    if (testbed_failed(bed) || !subject->process)
        return true;
    if (!subject->ended)
        subject->ended = !lab_process_wait(subject->process, timeout_ns, &subject->exit);
    return subject->ended;
}

bool sut_listens(struct testbed *bed, struct sut *subject)
{
    const struct sut_request *request = sut_request(bed);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;

    sut_start(bed, subject);
    while (!testbed_failed(bed)) {
        struct error error = {0};
        int rc = lab_wait_listen(bed->lab, request->host, bed->family, request->port, 0, &error);
        if (!rc)
            return true;
        if (rc != -ETIMEDOUT)
            testbed_fail(bed, "%s", error.text);
        else if (sut_has_ended(bed, subject, 2 * NS_PER_MS))
            sut_decline(bed, "the server ended (%s) before it listened on port %d",
                        sut_end_text(bed, subject), request->port);
        else if (clock_mono_ns() >= end_ns)
            sut_decline(bed,
                        "the server did not listen on port %d where the client could "
                        "reach it within %lld s",
                        request->port, (long long)(request->patience_ns / NS_PER_SEC));
    }
    return false;
}

const char *sut_end_text(struct testbed *bed, const struct sut *subject)
{
    int status = subject->exit.status;

    if (!subject->ended)
        return "running";
    if (WIFSIGNALED(status))
        return arena_printf(bed->arena, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    return arena_printf(bed->arena, "exit status %d", WEXITSTATUS(status));
}

void sut_observe_end(struct testbed *bed, const struct sut *subject)
{
    int status = subject->exit.status;
    bool signalled = subject->ended && WIFSIGNALED(status);

    testbed_observe_integer(bed, "exit_status",
                            subject->ended && !signalled ? WEXITSTATUS(status) : RESULT_UNKNOWN);
    testbed_observe_text(
        bed, "signal",
        signalled ? arena_printf(bed->arena, "SIG%s", sigabbrev_np(WTERMSIG(status))) : NULL);
}

void sut_stop(struct testbed *bed, struct sut *subject)
{
    if (!subject->process || subject->ended || testbed_failed(bed))
        return;
    lab_process_signal_group(subject->process, SIGTERM);
    if (lab_process_wait(subject->process, GRACE_NS, NULL))
        lab_process_signal_group(subject->process, SIGKILL);
}

/* ---- The census: run in an agent of the subject's host, which sees its processes in /proc ---- */

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

/* netkit's own: the init of the host, and agents. */
static bool is_ours(const char *pid)
{
    char path[64], theirs[256], ours[256];

    snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
    ssize_t a = readlink(path, theirs, sizeof theirs),
            b = readlink("/proc/self/exe", ours, sizeof ours);
    return a > 0 && a == b && !memcmp(theirs, ours, (size_t)a);
}

static void count_descriptors(const char *pid, uint32_t inode, struct sut_census *census)
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

static int64_t take_census(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    struct census_question question;
    struct sut_census census = {0};
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

struct sut_census sut_census(struct testbed *bed, uint32_t inode)
{
    struct census_question question = {inode};
    struct sut_census census = {0};
    struct act_reply reply = agent_do(testbed_watcher(bed, sut_request(bed)->host),
                                      &STUB_PEER_ACT(take_census, question));

    if (!reply.rc)
        memcpy(&census, reply.data, sizeof census);
    else
        testbed_fail(bed, "counting the processes: %s", strerror((int)-reply.rc));
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
static int64_t do_freeze(struct agent_self *self, const struct act *act, struct act_reply *reply)
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

static int64_t do_thaw(struct agent_self *self, const struct act *act, struct act_reply *reply)
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

void sut_freeze(struct testbed *bed)
{
    struct agent *watcher = testbed_watcher(bed, sut_request(bed)->host);

    if (DO(watcher, ACT_CALL, .function = do_freeze).rc && !testbed_failed(bed))
        testbed_fail(bed, "the program could not be stopped (SIGSTOP)");
}

void sut_thaw(struct testbed *bed)
{
    DO(testbed_watcher(bed, sut_request(bed)->host), ACT_CALL, .function = do_thaw);
}

/* ---- Sockets, likewise ---- */

struct sockets_question {
    uint16_t port;
    bool remote;
};

static int count_socket(void *context, const struct sock_diag_entry *entry)
{
    struct sut_sockets *sockets = context;

    if (entry->state > 0 && entry->state < SUT_STATES)
        sockets->by_state[entry->state]++;
    sockets->orphans +=
        !entry->inode && entry->state != TCP_TIME_WAIT && entry->state != TCP_SYN_RECV;
    if (entry->state == TCP_ESTABLISHED && entry->inode) {
        sockets->inode = entry->inode;
        sockets->local_port = sock_address_port(&entry->local);
    }
    return 0;
}

static int64_t take_sockets(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    struct sockets_question question;
    struct sut_sockets sockets = {0};
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

struct sut_sockets sut_sockets(struct testbed *bed, uint16_t port)
{
    enum lab_host host = sut_request(bed)->host;
    struct sockets_question question = {port, host == LAB_CLIENT};
    struct sut_sockets sockets = {0};
    struct act_reply reply =
        agent_do(testbed_watcher(bed, host), &STUB_PEER_ACT(take_sockets, question));

    if (!reply.rc)
        memcpy(&sockets, reply.data, sizeof sockets);
    else
        testbed_fail(bed, "sock_diag: %s", strerror((int)-reply.rc));
    return sockets;
}
