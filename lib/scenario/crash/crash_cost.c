/* What dead clients leave behind at a server: threads that wait forever, child processes that are
 * not waited for. */
#include "scenario/crash/crash.h"

#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- client-vanishes: a thread per connection ---- */

#define EACH 12 /* connections with keepalive, and without */

/* Of the server's process. */
struct thread_of {
    pthread_t thread;
    int fd;
    int64_t rc;
    alignas(8) int64_t ended_ns; /* CLOCK_MONOTONIC; 0: it still waits */
};
static struct thread_of threads[2 * EACH];

struct thread_report {
    int64_t threads, virtual_kb, resident_kb; /* of the process */
    int64_t waiting, timed_out, otherwise;    /* of its readers */
    int64_t last_ns;                          /* when the last one ended */
};

static void *read_forever(void *arg)
{
    struct thread_of *self = arg;
    char byte;

    ssize_t got = read(self->fd, &byte, 1);
    self->rc = got < 0 ? -errno : got;
    __atomic_store_n(&self->ended_ns, clock_mono_ns(), __ATOMIC_RELEASE);
    return NULL;
}

static int64_t status_of(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line ? strtoll(line + strlen(name), NULL, 10) : -1;
}

static void read_status(struct thread_report *report)
{
    cleanup(file) FILE *file = fopen("/proc/self/status", "re");
    char text[8192] = "";

    if (file)
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
    report->threads = status_of(text, "\nThreads:");
    report->virtual_kb = status_of(text, "\nVmSize:");
    report->resident_kb = status_of(text, "\nVmRSS:");
}

/* A thread for each of the slots from 1 on; how the process looked before. */
static AGENT_CALL(start_threads)
{
    struct thread_report report = {0};

    read_status(&report);
    for (int i = 0; i < act->number; i++) {
        threads[i].fd = self->slots[1 + i].fd;
        int rc = pthread_create(&threads[i].thread, NULL, read_forever, &threads[i]);
        if (rc)
            return -rc;
    }
    memcpy(reply->data, &report, sizeof report);
    return 0;
}

static AGENT_CALL(report_threads)
{
    struct thread_report report = {0};

    read_status(&report);
    for (int i = 0; i < act->number; i++) {
        int64_t at_ns = __atomic_load_n(&threads[i].ended_ns, __ATOMIC_ACQUIRE);
        report.waiting += !at_ns;
        report.timed_out += at_ns && threads[i].rc == -ETIMEDOUT;
        report.otherwise += at_ns && threads[i].rc != -ETIMEDOUT;
        if (at_ns > report.last_ns)
            report.last_ns = at_ns;
    }
    memcpy(reply->data, &report, sizeof report);
    return report.timed_out + report.otherwise;
}

static struct thread_report ask_threads(struct testbed *bed)
{
    struct act_reply reply =
        DO(testbed_server(bed), ACT_CALL, .function = report_threads, .number = 2 * EACH);
    struct thread_report report;

    memcpy(&report, reply.data, sizeof report);
    return report;
}

/* Connections without keepalive in the even slots of the client, with it in the odd ones. */
static void connect_clients(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    for (int i = 0; i < 2 * EACH; i++) {
        testbed_connect(bed, client, i, TESTBED_PORT, server, 0, 1 + i);
        if (i % 2 == 0)
            continue;
        DO(server, ACT_OPTION, .slot = 1 + i, .text = "SO_KEEPALIVE=on");
        DO(server, ACT_OPTION, .slot = 1 + i, .text = "TCP_KEEPIDLE=1s");
        DO(server, ACT_OPTION, .slot = 1 + i, .text = "TCP_KEEPINTVL=1s");
        DO(server, ACT_OPTION, .slot = 1 + i, .text = "TCP_KEEPCNT=2");
    }
}

static void tell_cost(struct testbed *bed, const struct thread_report *before,
                      const struct thread_report *full, const struct thread_report *after)
{
    static const char *const when[] = {"before the first client", "a thread for each client",
                                       "after the clients' host is gone"};
    const struct thread_report *const reports[] = {before, full, after};

    testbed_table(bed, "cost", "What a thread for each connection costs the server");
    for (size_t i = 0; i < ARRAY_SIZE(reports); i++) {
        testbed_row(bed, TEXT("when", when[i]), INTEGER("threads", reports[i]->threads),
                    INTEGER("virtual_kib", reports[i]->virtual_kb),
                    INTEGER("resident_kib", reports[i]->resident_kb));
    }
    testbed_observe(
        bed, INTEGER("virtual_kib_each", (full->virtual_kb - before->virtual_kb) / (2 * EACH)));
}

static void play_vanishes(struct testbed *bed)
{
    static const struct kernel_timers_socket keepalive = {
        .keepalive_time_ns = NS_PER_SEC, .keepalive_intvl_ns = NS_PER_SEC, .keepalive_probes = 2};
    struct thread_report before, now;

    connect_clients(bed);
    struct kernel_timers_settings settings = testbed_settings(bed, LAB_SERVER);
    int64_t planned_ns = crash_timer_ns(&settings, &keepalive, CRASH_KEEPALIVE);
    struct act_reply reply =
        DO(testbed_server(bed), ACT_CALL, .function = start_threads, .number = 2 * EACH);
    memcpy(&before, reply.data, sizeof before);
    struct thread_report full = ask_threads(bed);
    testbed_cut(bed);
    int64_t at_ns = clock_mono_ns(), end_ns = at_ns + planned_ns + TESTBED_LIMIT_NS;
    for (now = full; now.waiting > EACH && clock_mono_ns() < end_ns; now = ask_threads(bed))
        testbed_pass(bed, 50 * NS_PER_MS);
    tell_cost(bed, &before, &full, &now);
    testbed_check_integer(bed, "ended_with_keepalive", EACH, now.timed_out);
    testbed_check_integer(bed, "ended_otherwise", 0, now.otherwise);
    testbed_check_integer(bed, "waiting_for_ever", EACH, now.waiting);
    /* Keepalive counts from the last segment of each client, all of them before the cut. */
    testbed_timing(bed, "the last of those with keepalive", planned_ns, now.last_ns - at_ns,
                   (7200 + 9 * 75) * NS_PER_SEC);
    testbed_check_range(bed, "last_ended_ns", 0,
                        kernel_timers_latest_ns(&settings, planned_ns) + NS_PER_SEC,
                        now.last_ns - at_ns);
    crash_check_no_timer(bed, LAB_SERVER, TESTBED_PORT, 0);
}

const struct scenario crash_client_vanishes = {
    .name = "client-vanishes",
    .title = "the clients' host crashes, and the server has a thread for each connection",
    .book = "Half-open connections: a server with SO_KEEPALIVE detects them after two hours, one "
            "without never does (section 7.5).",
    .here = "The same. Without keepalive, or a timeout of its own, the server keeps a thread with "
            "its stack, a descriptor and a socket for each client that vanished, until it is "
            "restarted.",
    .play = play_vanishes,
};

/* ---- zombie-children ---- */

#define CHILDREN 5 /* as in the book's figure 5.11 */

static pid_t children[CHILDREN];
static int child_count;

static void wait_once(int number)
{
    int saved = errno;

    (void)number;
    wait(NULL);
    errno = saved;
}

static void wait_all(int number)
{
    int saved = errno;

    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

static const struct {
    const char *what, *key;
    void (*handler)(int);
    int64_t zombies;
} reapers[] = {
    {"no waitpid", "zombies_no_wait", SIG_DFL, CHILDREN},
    {"a handler that calls wait once", "zombies_one_wait", wait_once, CHILDREN - 1},
    {"a handler that calls waitpid until none is left", "zombies_wait_loop", wait_all, 0},
    {"SIGCHLD ignored", "zombies_ignored", SIG_IGN, 0},
};
#define REAPERS (int)ARRAY_SIZE(reapers)

static void block_sigchld(int how)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(how, &child, NULL);
}

static _Noreturn void serve_one(int fd, pid_t parent)
{
    char bytes[64];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent && read(fd, bytes, sizeof bytes) > 0)
        ;
    _exit(0);
}

/* Accepts CHILDREN connections, and forks for each. SIGCHLD is kept back until all of them have
 * ended: so many at once become one signal, which is what makes a single wait() not enough. Returns
 * how many came. */
static AGENT_CALL(serve_by_forking)
{
    struct sigaction action = {.sa_handler = reapers[act->number].handler};
    pid_t parent = getpid();

    sigaction(SIGCHLD, &action, NULL);
    block_sigchld(SIG_BLOCK);
    for (int i = 0; i < CHILDREN; i++) {
        struct act accept_one = {
            .verb = ACT_ACCEPT, .other = 1, .timeout_ns = TESTBED_LIMIT_NS / 3};
        if (agent_self_do(self, &accept_one, reply))
            break;
        pid_t pid = fork();
        if (!pid)
            serve_one(self->slots[1].fd, parent);
        syscall_recorder_note(&self->recorder, "fork", -1, pid < 0 ? -errno : pid);
        if (pid < 0)
            return -errno;
        children[child_count++] = pid;
        agent_self_do(self, &(struct act){.verb = ACT_CLOSE, .slot = 1}, reply);
    }
    return child_count;
}

/* A child that has ended and was not waited for can be seen without reaping it (WNOWAIT). */
static bool is_zombie(pid_t pid, int flags)
{
    siginfo_t info = {0};

    return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | flags) && info.si_pid == pid;
}

/* Waits until all children have ended, lets SIGCHLD through, and counts the zombies. */
static AGENT_CALL(count_zombies)
{
    int64_t zombies = 0;

    for (int i = 0; i < child_count; i++)
        is_zombie(children[i], 0);
    block_sigchld(SIG_UNBLOCK);
    for (int i = 0; i < child_count; i++)
        zombies += is_zombie(children[i], WNOHANG);
    return zombies;
}

static void play_zombies(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);
    int64_t forked = 0;

    testbed_table(bed, "zombies", "What is left of five children that ended at once");
    for (int way = 0; way < REAPERS; way++) {
        struct agent *server = testbed_agent(bed, LAB_SERVER);
        uint16_t port = (uint16_t)(TESTBED_PORT + way);
        DO(server, ACT_LISTEN, .port = port, .number = 16);
        for (int i = 0; i < CHILDREN; i++)
            DO(client, ACT_CONNECT, .slot = i, .port = port);
        struct act_reply reply = DO(server, ACT_CALL, .function = serve_by_forking, .number = way);
        if (reply.rc < 0)
            testbed_fail(bed, "the forking server: %s", act_rc_name(reply.rc, "0"));
        forked += reply.rc;
        for (int i = 0; i < CHILDREN; i++)
            DO(client, ACT_CLOSE, .slot = i);
        int64_t zombies = DO(server, ACT_CALL, .function = count_zombies).rc;
        testbed_row(bed, TEXT("the server has", reapers[way].what), INTEGER("children", CHILDREN),
                    INTEGER("zombies", zombies));
        testbed_check_integer(bed, reapers[way].key, reapers[way].zombies, zombies);
    }
    testbed_check_integer(bed, "children", (int64_t)REAPERS * CHILDREN, forked);
}

const struct scenario crash_zombies = {
    .name = "zombie-children",
    .title =
        "a server forks for each client, and the clients close: zombies, and how to prevent them",
    .book = "Each child that is not waited for remains a zombie. Signals are not queued: five "
            "children that end at once can raise one SIGCHLD, so that a handler that waits once "
            "leaves up to four zombies; waitpid with WNOHANG in a loop leaves none (sections 5.9 "
            "and 5.10).",
    .here = "The same. Ignoring SIGCHLD (or SA_NOCLDWAIT) leaves none either, as POSIX requires "
            "since 2001.",
    .play = play_zombies,
};
