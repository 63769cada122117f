#include "scenario/programs/sut.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/names.h"
#include "base/wait.h"
#include "scenario/engine/agent_self.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_NS (5 * NS_PER_SEC)
#define GRACE_NS  (1 * NS_PER_SEC) /* between SIGTERM and SIGKILL */

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

    if (!lab_has_names(bed->lab))
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

void sut_start(struct testbed *bed, struct sut *sut)
{
    const struct sut_request *request = sut_request(bed);
    cleanup(fd) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = request->show_output ? STDERR_FILENO : null_fd;
    const int stdio[3] = {null_fd, out, out};
    struct lab_program program = {.shell = fill_in(bed, request->command), .stdio = stdio};
    struct error error = {0};

    *sut = (struct sut){0};
    if (testbed_failed(bed))
        return;
    if (lab_start(bed->lab, request->host, &program, &sut->process, &error))
        testbed_fail(bed, "cannot start '%s': %s", request->command, error.text);
}

bool sut_has_ended(struct testbed *bed, struct sut *sut, int64_t timeout_ns)
{
    if (testbed_failed(bed) || !sut->process)
        return true;
    if (!sut->ended)
        sut->ended = !lab_process_wait(sut->process, timeout_ns, &sut->exit);
    return sut->ended;
}

bool sut_listens(struct testbed *bed, struct sut *sut)
{
    const struct sut_request *request = sut_request(bed);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;

    sut_start(bed, sut);
    while (!testbed_failed(bed)) {
        struct error error = {0};
        int rc = lab_wait_listen(bed->lab, request->host, bed->family, request->port, 0, &error);
        if (!rc)
            return true;
        if (rc != -ETIMEDOUT)
            testbed_fail(bed, "%s", error.text);
        else if (sut_has_ended(bed, sut, 2 * NS_PER_MS))
            sut_decline(bed, "the server ended (%s) before it listened on port %d",
                        sut_end_text(bed, sut), request->port);
        else if (clock_mono_ns() >= end_ns)
            sut_decline(bed,
                        "the server did not listen on port %d where the client could "
                        "reach it within %lld s",
                        request->port, (long long)(request->patience_ns / NS_PER_SEC));
    }
    return false;
}

struct act_reply sut_ask(struct testbed *bed, struct agent *client,
                         const struct stub_peer_question *asked)
{
    struct stub_peer_question question = *asked;

    question.plan = &sut_request(bed)->peer;
    struct act *act = &STUB_PEER_ACT(stub_peer_ask, question);
    act->timeout_ns = ANSWER_NS;
    return agent_do(client, act);
}

static void wait_listening(struct testbed *bed, uint16_t port)
{
    if (!wait_until(testbed_failed(bed) ||
                        testbed_socket_of(bed, LAB_SERVER, port, 0).state == TCP_LISTEN,
                    clock_mono_ns() + TESTBED_LIMIT_NS))
        testbed_fail(bed, "netkit's server does not listen on port %d", port);
}

void sut_start_client(struct testbed *bed, struct sut *sut, const struct stub_peer_job *wanted)
{
    struct stub_peer_job job = *wanted;

    job.plan = &sut_request(bed)->peer;
    job.port = sut_request(bed)->port;
    agent_begin(testbed_server(bed), &STUB_PEER_ACT(stub_peer_serve, job));
    wait_listening(bed, job.port);
    sut_start(bed, sut);
}

const char *sut_end_text(struct testbed *bed, const struct sut *sut)
{
    int status = sut->exit.status;

    if (!sut->ended)
        return "running";
    if (WIFSIGNALED(status))
        return arena_printf(bed->arena, "killed by %s", signal_name(WTERMSIG(status)));
    return arena_printf(bed->arena, "exit status %d", WEXITSTATUS(status));
}

void sut_observe_end(struct testbed *bed, const struct sut *sut)
{
    int status = sut->exit.status;
    bool signalled = sut->ended && WIFSIGNALED(status);

    testbed_observe(
        bed,
        INTEGER("exit_status", sut->ended && !signalled ? WEXITSTATUS(status) : RESULT_UNKNOWN),
        TEXT("signal", signalled ? signal_name(WTERMSIG(status)) : NULL));
}

void sut_stop(struct testbed *bed, struct sut *sut)
{
    if (!sut->process || sut->ended || testbed_failed(bed))
        return;
    lab_process_signal_group(sut->process, SIGTERM);
    if (lab_process_wait(sut->process, GRACE_NS, NULL))
        lab_process_signal_group(sut->process, SIGKILL);
}

/* ---- Its processes: seen by an agent of its host in /proc ---- */

#define FREEZE_NS (5 * NS_PER_SEC)

/* The next entry that is a number; NULL after the last one, or without a directory. */
static const char *next_number(DIR *directory)
{
    struct dirent *entry;

    while (directory && (entry = readdir(directory)))
        if (isdigit((unsigned char)entry->d_name[0]))
            return entry->d_name;
    return NULL;
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

static const char *next_process(DIR *proc)
{
    const char *pid;

    while ((pid = next_number(proc)) && is_ours(pid))
        ;
    return pid;
}

/* "12", or a thread of it, "12/task/13". '?': it has ended. */
static char state_of(const char *pid)
{
    char path[96], text[512];

    snprintf(path, sizeof path, "/proc/%.60s/stat", pid);
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    const char *end = strrchr(text, ')'); /* the name may hold anything */
    return end && end[1] ? end[2] : '?';
}

static void count_descriptors(const char *pid, uint32_t inode, struct sut_census *census)
{
    char path[512], wanted[64], target[128];
    const char *number;

    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    snprintf(wanted, sizeof wanted, "socket:[%u]", inode);
    cleanup(dir) DIR *directory = opendir(path);
    while ((number = next_number(directory))) {
        snprintf(path, sizeof path, "/proc/%.20s/fd/%.20s", pid, number);
        ssize_t len = readlink(path, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        census->descriptors++;
        census->sockets += !strncmp(target, "socket:", 7);
        census->holds |= inode && !strcmp(target, wanted);
    }
}

/* act->bytes: the inode */
static AGENT_CALL(take_census)
{
    cleanup(dir) DIR *proc = opendir("/proc");
    struct sut_census census = {0};
    const char *pid;

    if (!proc)
        return -errno;
    while ((pid = next_process(proc))) {
        if (state_of(pid) == 'Z') {
            census.zombies++;
            continue;
        }
        census.processes++;
        count_descriptors(pid, (uint32_t)act->bytes, &census);
    }
    memcpy(reply->data, &census, sizeof census);
    return 0;
}

struct sut_census sut_census(struct testbed *bed, uint32_t inode)
{
    struct sut_census census = {0};

    LOOK(bed, sut_request(bed)->host, "the processes", &census, take_census, .bytes = inode);
    return census;
}

static bool is_stopped(const char *pid)
{
    char path[64], thread[320];
    const char *number;
    bool all = true;

    snprintf(path, sizeof path, "/proc/%.20s/task", pid);
    cleanup(dir) DIR *directory = opendir(path);
    while ((number = next_number(directory))) {
        snprintf(thread, sizeof thread, "%.20s/task/%.20s", pid, number);
        all &= strchr("TtZX?", state_of(thread)) != NULL;
    }
    return all;
}

/* Returns how many still ran. */
static int64_t stop_running(void)
{
    cleanup(dir) DIR *proc = opendir("/proc");
    int64_t running = 0;
    const char *pid;

    if (!proc)
        return 1;
    while ((pid = next_process(proc))) {
        if (is_stopped(pid))
            continue;
        kill(atoi(pid), SIGSTOP);
        running++;
    }
    return running;
}

/* What they fork meanwhile is found by the next walk. */
static AGENT_CALL(do_freeze)
{
    return wait_until(!stop_running(), clock_mono_ns() + FREEZE_NS) ? 0 : -ETIME;
}

static AGENT_CALL(do_thaw)
{
    cleanup(dir) DIR *proc = opendir("/proc");
    const char *pid;

    while ((pid = next_process(proc)))
        kill(atoi(pid), SIGCONT);
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

/* ---- Its sockets ---- */

static int count_socket(void *context, const struct sock_diag_entry *entry)
{
    struct sut_sockets *sockets = context;

    if (entry->state > 0 && entry->state < SUT_STATES)
        sockets->by_state[entry->state]++;
    sockets->orphans +=
        !entry->inode && entry->state != TCP_TIME_WAIT && entry->state != TCP_SYN_RECV;
    if (entry->state == TCP_LISTEN)
        return 0;
    sockets->unacknowledged += entry->wqueue;
    if (entry->state == TCP_ESTABLISHED && entry->inode && !sockets->sending) {
        sockets->inode = entry->inode;
        sockets->local_port = sock_address_port(&entry->local);
        sockets->sending = entry->wqueue > 0;
    }
    return 0;
}

/* act->port: the local port; act->number: the remote one. Of any family: a dual-stack server has
 * IPv6 sockets for IPv4, too. */
static AGENT_CALL(take_sockets)
{
    struct sock_diag_filter filter = {.local_port = act->port,
                                      .remote_port = (uint16_t)act->number};
    struct sut_sockets sockets = {0};
    int rc = agent_self_sockets(&filter, count_socket, &sockets);

    memcpy(reply->data, &sockets, sizeof sockets);
    return rc;
}

static struct sut_sockets sockets_of(struct testbed *bed, enum lab_host host, uint16_t port)
{
    struct sut_sockets sockets = {0};

    LOOK(bed, host, "sock_diag", &sockets, take_sockets, .port = host == LAB_CLIENT ? 0 : port,
         .number = host == LAB_CLIENT ? port : 0);
    return sockets;
}

struct sut_sockets sut_sockets(struct testbed *bed, uint16_t port)
{
    return sockets_of(bed, sut_request(bed)->host, port);
}

int64_t sut_peer_unacknowledged(struct testbed *bed)
{
    const struct sut_request *request = sut_request(bed);
    enum lab_host peer = request->host == LAB_CLIENT ? LAB_SERVER : LAB_CLIENT;
    return sockets_of(bed, peer, request->port).unacknowledged;
}

int64_t sut_sockets_open(const struct sut_sockets *sockets)
{
    static const int open_states[] = {TCP_ESTABLISHED, TCP_SYN_RECV, TCP_FIN_WAIT1, TCP_FIN_WAIT2,
                                      TCP_CLOSE_WAIT,  TCP_LAST_ACK, TCP_CLOSING};
    int64_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(open_states); i++)
        count += sockets->by_state[open_states[i]];
    return count;
}
