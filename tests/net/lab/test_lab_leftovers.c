/* Whatever kills the caller of a lab, and whenever: nothing remains.
 *
 * A keeper process is the subreaper of everything below it, so a process that outlived its lab
 * would become its child. It lives in a user namespace that allows only so many network namespaces
 * (user.max_net_namespaces counts them and all below), so one that was not released would be missed
 * at the end. */
#include "fixture.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS        20
#define NAMESPACES    18
#define KILL_AFTER_MS 120

static bool write_text(const char *path, const char *text)
{
    cleanup(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool enter_limited_namespace(void)
{
    unsigned uid = geteuid(), gid = getegid();
    char text[64];

    if (unshare(CLONE_NEWUSER))
        return false;
    snprintf(text, sizeof text, "%u %u 1", uid, uid);
    bool ok = write_text("/proc/self/uid_map", text) && write_text("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%u %u 1", gid, gid);
    ok = ok && write_text("/proc/self/gid_map", text);
    snprintf(text, sizeof text, "%d", NAMESPACES);
    return ok && write_text("/proc/sys/user/max_net_namespaces", text);
}

/* What is left lets root's uid be mapped again (user_namespaces(7)), and no more. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct little[2] = {0};
    little[0].effective = little[0].permitted = 1u << CAP_SETFCAP;
    syscall(SYS_capset, &header, little);
}

static int chatter_role(const struct lab_role *role)
{
    char bytes[1000] = "";
    /* Writes into a socket that nobody reads, until it blocks: data under way when the end comes.
     */
    while (write(role->fds[0], bytes, sizeof bytes) > 0)
        ;
    return 0;
}

/* Opens a lab, fills it with everything that could remain, says so, and waits to be killed. */
static _Noreturn void victim(int ready, bool privileged, bool stubborn)
{
    /* Orphans of such a host live for minutes, unless the supervisor destroys them. */
    static const struct lab_sysctl orphans = {.name = "tcp_orphan_retries", .value = "15"};
    struct lab_config config = {.link.delay_ns = NS_PER_MS};
    struct world world = {.family = AF_INET};
    struct lab_process *process;

    for (int host = 0; stubborn && host < LAB_HOSTS; host++) {
        config.host[host].sysctls = &orphans;
        config.host[host].sysctls_count = 1;
    }
    if (!privileged)
        drop_capabilities();
    while (lab_open(&config, &world.lab, NULL)) /* while earlier namespaces are being released */
        poll(NULL, 0, 1);
    struct sockaddr_storage address;
    socklen_t len;
    int listener = lab_socket(world.lab, LAB_SERVER, AF_INET, SOCK_STREAM, 0, NULL);
    host_address(LAB_SERVER, AF_INET, PORT, &address, &len);
    bind(listener, (struct sockaddr *)&address, len);
    listen(listener, 4);
    int client = lab_socket(world.lab, LAB_CLIENT, AF_INET, SOCK_STREAM, 0, NULL);
    connect(client, (struct sockaddr *)&address, len);
    lab_start(world.lab, LAB_CLIENT,
              &(struct lab_program){.role = chatter_role, .fds = &client, .fds_count = 1}, &process,
              NULL);
    lab_start(world.lab, LAB_SERVER,
              &(struct lab_program){.shell = "setsid sleep 1000 & trap '' TERM HUP; sleep 1000"},
              &process, NULL);
    if (write(ready, "r", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* The supervisor is what reaps and cleans up: without it the others must end by themselves. */
static void kill_children(pid_t parent)
{
    char path[64];
    int pid;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    cleanup(file) FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%d", &pid) == 1)
        kill(pid, SIGKILL);
}

/* Waits until no child is left; false after the limit. */
static bool all_gone(int64_t *took_ns)
{
    int64_t start_ns = clock_mono_ns();

    while (clock_mono_ns() < start_ns + LIMIT_NS) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0) {
            *took_ns = clock_mono_ns() - start_ns;
            return true;
        }
        if (!pid)
            poll(NULL, 0, 1);
    }
    return false;
}

/* Takes all namespaces that are allowed. A try that fails leaves some to be released itself, so the
 * next one comes later and later. */
static bool namespaces_are_free(void)
{
    for (int wait_ms = 50; wait_ms <= 6400; wait_ms *= 2) {
        int status = 1;
        pid_t pid = fork();
        if (!pid) {
            /* Each is kept by a descriptor. */
            for (int i = 0; i < NAMESPACES; i++)
                if (unshare(CLONE_NEWNET) || open("/proc/self/ns/net", O_RDONLY) < 0)
                    _exit(1);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        if (!status)
            return true;
        poll(NULL, 0, wait_ms);
    }
    return false;
}

enum keeper_result {
    KEEPER_FINE,
    KEEPER_NO_LIMIT,
    KEEPER_PROCESS_LEFT,
    KEEPER_NEVER_READY,
    KEEPER_NAMESPACE_LEFT,
};

static enum keeper_result keep(void)
{
    int readies = 0;
    int64_t slowest_ns = 0;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!enter_limited_namespace())
        return KEEPER_NO_LIMIT;
    for (int round = 0; round < ROUNDS; round++) {
        int ready[2];
        char byte;
        if (pipe2(ready, O_CLOEXEC))
            return KEEPER_NO_LIMIT;
        bool with_supervisor = round / 2 % 2;
        pid_t pid = fork();
        if (!pid) {
            close(ready[0]);
            victim(ready[1], round % 2, !with_supervisor);
        }
        close(ready[1]);
        /* The last rounds are killed in full life, the others wherever they are. */
        struct pollfd polled = {.fd = ready[0], .events = POLLIN};
        bool patient = round >= ROUNDS - 4;
        if (patient)
            readies +=
                poll(&polled, 1, clock_to_poll_ms(LIMIT_NS)) == 1 && read(ready[0], &byte, 1) == 1;
        else
            poll(NULL, 0, rand() % KILL_AFTER_MS);
        if (with_supervisor)
            kill_children(pid);
        kill(pid, SIGKILL);
        int64_t took_ns = 0;
        if (!all_gone(&took_ns))
            return KEEPER_PROCESS_LEFT;
        slowest_ns = took_ns > slowest_ns ? took_ns : slowest_ns;
        close(ready[0]);
    }
    printf("slowest to be gone: %lld ms\n", (long long)(slowest_ns / NS_PER_MS));
    fflush(stdout);
    if (readies != 4)
        return KEEPER_NEVER_READY;
    return namespaces_are_free() ? KEEPER_FINE : KEEPER_NAMESPACE_LEFT;
}

static void nothing_survives_a_kill(void **state)
{
    int status = 0;
    (void)state;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid)
        _exit(keep());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), KEEPER_FINE);
}

/* Each process of the lab is killed in turn; the caller lives and must notice. */
static void the_death_of_any_part_is_noticed(void **state)
{
    (void)state;
    struct world world = world_open(NULL, AF_INET);
    struct error error = {0};
    struct lab_stats stats;
    char path[64], name[32] = "";
    int killed = 0;

    /* The children of this process are the supervisor, and its are the wire and the inits. */
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    cleanup(file) FILE *file = fopen(path, "re");
    int pid = 0;
    if (!file || fscanf(file, "%d", &pid) != 1)
        skip();
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    cleanup(file) FILE *below = fopen(path, "re");
    while (below && fscanf(below, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        cleanup(file) FILE *comm = fopen(path, "re");
        if (comm && fscanf(comm, "%31s", name) == 1 && !strcmp(name, "netkit-wire")) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            killed++;
        }
    }
    assert_int_equal(killed, 1);
    assert_int_equal(lab_cut(world.lab, &error), -EPIPE);
    lab_close(world.lab, &stats);
    trace_close(world.trace);
    assert_true(stats.lost > 0);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_survives_a_kill),
        cmocka_unit_test(the_death_of_any_part_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    srand((unsigned)clock_mono_ns());
    return run_or_skip(run);
}
