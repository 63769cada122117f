/* A lab opens, carries traffic, runs programs, and is gone. */
#include "fixture.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static const int families[] = {AF_INET, AF_INET6};

/* ---- Roles ---- */

struct echo_order {
    int family;
    uint16_t port;
};

/* Echoes everything on every connection, one after the other, for ever. */
static int echo_role(const struct lab_role *role)
{
    const struct echo_order *order = role->arg;
    struct sockaddr_storage address = {.ss_family = (sa_family_t)order->family};
    int listener = socket(order->family, SOCK_STREAM, 0);

    ((struct sockaddr_in *)&address)->sin_port = htons(order->port);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16))
        return 1;
    for (;;) {
        char bytes[512];
        ssize_t got;
        int fd = accept(listener, NULL, NULL);
        while ((got = read(fd, bytes, sizeof bytes)) > 0)
            if (write(fd, bytes, (size_t)got) != got)
                break;
        close(fd);
    }
}

static struct lab_process *start(const struct world *world, enum lab_host host,
                                 const struct lab_program *program)
{
    struct lab_process *process = NULL;
    struct error error = {0};

    assert_ok(lab_start(world->lab, host, program, &process, &error), &error);
    return process;
}

static struct lab_exit end_of(struct lab_process *process)
{
    struct lab_exit end = {0};

    assert_int_equal(lab_process_wait(process, LIMIT_NS, &end), 0);
    assert_true(end.ended_ns >= end.started_ns);
    return end;
}

static int exit_status(struct lab_process *process)
{
    struct lab_exit end = end_of(process);

    assert_true(WIFEXITED(end.status));
    return WEXITSTATUS(end.status);
}

static void echo_serves(const struct world *world)
{
    struct echo_order order = {world->family, PORT};
    struct lab_program program = {.role = echo_role, .arg = &order, .arg_bytes = sizeof order};
    struct error error = {0};
    char bytes[16];

    start(world, LAB_SERVER, &program);
    assert_ok(lab_wait_listen(world->lab, LAB_SERVER, world->family, PORT, LIMIT_NS, &error),
              &error);
    int fd = client_connects(world, PORT);
    assert_true(fd >= 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
        assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_WAITALL), 16);
        assert_memory_equal(bytes, "0123456789abcdef", 16);
    }
    close(fd);
    wait_for(world, "delivered c>s:fin");
}

/* ---- Opening, closing ---- */

static void hosts_talk_in_each_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = world_open(NULL, families[i]);
        echo_serves(&world);
        wait_for(&world, "client=ESTABLISHED");
        wait_for(&world, "server=ESTABLISHED");
        world_close(&world);
        assert_true(world.stats.seen >= 200);
        assert_int_equal(world.stats.delivered, world.stats.seen);
        assert_int_equal(world.stats.dropped, 0);
    }
}

static void a_lab_may_lack_a_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        bool v4 = families[i] == AF_INET;
        struct lab_config config = {.ipv4 = v4, .ipv6 = !v4};
        struct world world = world_open(&config, families[i]);
        struct sockaddr_storage address;
        socklen_t len;
        echo_serves(&world);
        world.family = v4 ? AF_INET6 : AF_INET;
        host_address(LAB_SERVER, world.family, PORT, &address, &len);
        cleanup(fd) int fd = host_socket(&world, LAB_CLIENT);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, len), -1);
        world_close(&world);
    }
}

static void neighbours_can_be_resolved(void **state)
{
    struct lab_config config = {.resolve_neighbours = true};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = world_open(&config, families[i]);
        echo_serves(&world);
        world_close(&world);
    }
}

static void large_and_small_mtus_carry(void **state)
{
    static const int mtus[] = {1280, 1500, 9000, 65535};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mtus); i++) {
        struct lab_config config = {.link.mtu_bytes = mtus[i]};
        struct world world = world_open(&config, AF_INET6);
        cleanup(fd) int listener = server_listens(&world, PORT);
        int client, server, mss = 0;
        socklen_t len = sizeof mss;
        connected_pair(&world, listener, &client, &server);
        /* 40 of IPv6, 20 of TCP, 12 of timestamps. Linux sends no segment larger than half of the
         * largest window that the peer offered (tcp_bound_to_half_wnd()), and this early that is
         * 64 KiB, which bounds the largest MTU alone. */
        getsockopt(client, IPPROTO_TCP, TCP_MAXSEG, &mss, &len);
        if (mtus[i] < 65535)
            assert_int_equal(mss, mtus[i] - 72);
        else
            assert_in_range(mss, 30000, mtus[i] - 72);
        char *bytes = calloc(1, 300000);
        assert_non_null(bytes);
        for (size_t sent = 0, got = 0; got < 300000;) {
            ssize_t n = sent < 300000 ? send(client, bytes, 300000 - sent, MSG_DONTWAIT) : 0;
            sent += n > 0 ? (size_t)n : 0;
            n = recv(server, bytes, 300000, sent < 300000 ? MSG_DONTWAIT : 0);
            got += n > 0 ? (size_t)n : 0;
        }
        free(bytes);
        close(client);
        close(server);
        world_close(&world);
    }
}

/* As TCP_INFO has the retransmission timeout of a new connection. */
static uint32_t timeout_ms(const struct lab_config *config, int family)
{
    struct world world = world_open(config, family);
    int listener = server_listens(&world, PORT), client, server;
    struct tcp_info info = {0};
    socklen_t len = sizeof info;

    connected_pair(&world, listener, &client, &server);
    assert_int_equal(getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    close(client);
    close(server);
    close(listener);
    world_close(&world);
    return info.tcpi_rto / 1000;
}

static void a_host_can_wait_longer_before_it_sends_again(void **state)
{
    static const struct lab_config patient = {.host[LAB_CLIENT].rto_min_ms = 3000}, usual = {0};
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_in_range(timeout_ms(&patient, i ? AF_INET6 : AF_INET), 3000, 10000);
        assert_in_range(timeout_ms(&usual, i ? AF_INET6 : AF_INET), 200, 2999);
    }
}

static void nonsense_is_refused(void **state)
{
    static const struct lab_sysctl outside = {.name = "../../kernel/hostname", .value = "x"};
    static const struct lab_sysctl unknown = {.name = "tcp_no_such_setting", .value = "1"};
    static const struct lab_sysctl optional = {
        .name = "tcp_no_such_setting", .value = "1", .optional = true};
    static const struct lab_sysctl own = {
        .name = "tcp_no_such_setting", .value = "1", .missing = -ENODATA};
    const struct {
        struct lab_config config;
        int rc;
        const char *word;
    } cases[] = {
        {{.link.delay_ns = -1}, -EINVAL, "negative"},
        {{.link.mtu_bytes = 576, .ipv6 = true}, -EINVAL, "1280"},
        {{.host[LAB_CLIENT] = {.sysctls = &outside, .sysctls_count = 1}}, -EINVAL, "hostname"},
        {{.host[LAB_SERVER] = {.sysctls = &unknown, .sysctls_count = 1}},
         -ENOENT,
         "tcp_no_such_setting"},
        {{.host[LAB_SERVER] = {.sysctls = &optional, .sysctls_count = 1}}, 0, ""},
        {{.host[LAB_SERVER] = {.sysctls = &own, .sysctls_count = 1}},
         -ENODATA,
         "tcp_no_such_setting"},
        {{.pcap_path = "/nonexistent/x.pcap"}, -ENOENT, "/nonexistent/x.pcap"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lab *lab = NULL;
        struct error error = {0};
        assert_int_equal(lab_open(&cases[i].config, &lab, &error), cases[i].rc);
        if (!strstr(error.text, cases[i].word))
            fail_msg("'%s' lacks '%s'", error.text, cases[i].word);
        lab_close(lab, NULL);
    }
}

/* ---- The machine around ---- */

static void read_into(struct buf *buf, const char *path)
{
    cleanup(file) FILE *file = fopen(path, "re");
    char line[512];

    while (file && fgets(line, sizeof line, file))
        buf_add_str(buf, line);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void snapshot(struct buf *buf)
{
    static const char *const directories[] = {"/proc/sys/net/ipv4", "/proc/sys/net/ipv6",
                                              "/proc/sys/net/ipv6/conf/all",
                                              "/proc/sys/net/ipv4/conf/default"};
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        struct dirent **names;
        int count = scandir(directories[i], &names, NULL, compare_names);
        for (int k = 0; k < count; k++) {
            char path[512];
            snprintf(path, sizeof path, "%s/%s", directories[i], names[k]->d_name);
            buf_printf(buf, "%s=", path);
            read_into(buf, path);
            free(names[k]);
        }
        if (count >= 0)
            free(names);
    }
    struct if_nameindex *links = if_nameindex();
    for (struct if_nameindex *link = links; link && link->if_index; link++)
        buf_printf(buf, "%u %s\n", link->if_index, link->if_name);
    if_freenameindex(links);
    read_into(buf, "/proc/self/mounts");
    read_into(buf, "/etc/hosts");
    read_into(buf, "/proc/net/route");
}

static void the_machine_is_left_as_it_was(void **state)
{
    cleanup(buf) struct buf before = {0};
    cleanup(buf) struct buf during = {0};
    cleanup(buf) struct buf after = {0};
    static const struct lab_sysctl sysctl = {.name = "tcp_retries2", .value = "3"};
    struct lab_config config = {
        .host[LAB_CLIENT] = {.sysctls = &sysctl, .sysctls_count = 1, .capture_lo = true}};
    (void)state;

    snapshot(&before);
    struct world world = world_open(&config, AF_INET);
    echo_serves(&world);
    snapshot(&during);
    world_close(&world);
    snapshot(&after);
    assert_true(before.len_bytes > 1000);
    assert_string_equal(buf_str(&during), buf_str(&before));
    assert_string_equal(buf_str(&after), buf_str(&before));
}

/* Again and again, so that labs open and close while others run. */
static void labs_open_and_close(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct world world = world_open(NULL, **(int **)state);
        echo_serves(&world);
        world_close(&world);
    }
}

/* In processes: a lab is forked, and a thread's locks would be forked with it. */
static int run_one_of_many(const char *family)
{
    int value = atoi(family);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(labs_open_and_close, &value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

static void labs_live_side_by_side(void **state)
{
    pid_t pids[8];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
        char name[] = "test_lab_life", family[16];
        snprintf(family, sizeof family, "%d", families[i % 2]);
        char *words[] = {name, family, NULL};
        assert_int_equal(posix_spawn(&pids[i], "/proc/self/exe", NULL, NULL, words, environ), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

/* ---- Programs ---- */

static void shell_says(const struct world *world, enum lab_host host, const char *line,
                       const char *expected)
{
    char text[1024];
    size_t len = 0;
    ssize_t got;
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct lab_program program = {.shell = line, .stdio = (int[]){-1, out[1], -1}};
    struct lab_process *process = start(world, host, &program);
    close(out[1]);
    while ((got = read(out[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    close(out[0]);
    assert_string_equal(text, expected);
    end_of(process);
    lab_process_free(process);
}

static void programs_find_their_world(void **state)
{
    static const struct lab_sysctl sysctl = {.name = "net.ipv4.tcp_retries2", .value = "4"};
    struct lab_config config = {.host[LAB_SERVER] = {&sysctl, 1, false}};
    struct world world = world_open(&config, AF_INET);
    char text[64];
    (void)state;

    assert_string_equal(lab_notes(world.lab), "");
    shell_says(&world, LAB_SERVER, "cat /proc/sys/net/ipv4/tcp_retries2", "4\n");
    shell_says(&world, LAB_CLIENT, "cat /proc/sys/net/ipv4/tcp_retries2", "15\n");
    shell_says(&world, LAB_CLIENT, "cat /proc/sys/net/ipv4/tcp_congestion_control", "reno\n");
    shell_says(&world, LAB_CLIENT, "echo $NETKIT_CLIENT $NETKIT_SERVER", "198.18.0.1 198.18.0.2\n");
    shell_says(&world, LAB_CLIENT, "getent ahostsv4 server | sed 's/ .*//;q'", "198.18.0.2\n");
    shell_says(&world, LAB_SERVER, "getent ahostsv6 client | sed 's/ .*//;q'", "fd6e:6b00::1\n");
    snprintf(text, sizeof text, "%u\n", (unsigned)getuid());
    shell_says(&world, LAB_SERVER, "id -u", text);
    shell_says(&world, LAB_SERVER, "test $PPID = 1 && test -d /proc/$$ && echo child of init",
               "child of init\n");
    shell_says(&world, LAB_SERVER, "read nothing || echo no input", "no input\n");
    world_close(&world);
}

static void ends_are_reported(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    struct error error = {0};
    struct lab_process *process = NULL;
    (void)state;

    process = start(&world, LAB_CLIENT, &(struct lab_program){.shell = "exit 7"});
    assert_int_equal(exit_status(process), 7);
    assert_int_equal(exit_status(process), 7);
    assert_int_equal(lab_process_signal(process, SIGTERM), -ESRCH);

    const char *const missing[] = {"/nonexistent/program", NULL};
    assert_int_equal(
        lab_start(world.lab, LAB_CLIENT, &(struct lab_program){.argv = missing}, &process, &error),
        -ENOENT);
    assert_non_null(strstr(error.text, "/nonexistent/program"));
    const char *const forbidden[] = {"/etc/passwd", NULL};
    assert_int_equal(
        lab_start(world.lab, LAB_CLIENT, &(struct lab_program){.argv = forbidden}, &process, NULL),
        -EACCES);
    assert_int_equal(lab_start(world.lab, LAB_CLIENT, &(struct lab_program){0}, &process, NULL),
                     -EINVAL);

    const char *const sleeper[] = {"sleep", "1000", NULL};
    process = start(&world, LAB_SERVER, &(struct lab_program){.argv = sleeper});
    assert_int_equal(lab_process_wait(process, 0, NULL), -ETIMEDOUT);
    assert_int_equal(lab_process_signal(process, SIGTERM), 0);
    struct lab_exit end = end_of(process);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGTERM);
    assert_false(end.with_host);
    world_close(&world);
}

static void a_group_dies_together(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    int out[2];
    char byte;
    (void)state;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct lab_program program = {.shell = "sleep 1000 & sleep 1000 & echo; wait",
                                  .stdio = (int[]){-1, out[1], -1}};
    struct lab_process *process = start(&world, LAB_CLIENT, &program);
    close(out[1]);
    assert_int_equal(read(out[0], &byte, 1), 1);
    assert_int_equal(lab_process_signal_group(process, SIGKILL), 0);
    /* The end of file comes when the last of them is gone. */
    assert_int_equal(read(out[0], &byte, 1), 0);
    close(out[0]);
    world_close(&world);
}

static int broken_pipe_role(const struct lab_role *role)
{
    char byte;
    /* The test closes its end first; the answer never comes. */
    if (read(role->channel, &byte, 1) < 0)
        return 1;
    int ends[2];
    if (pipe(ends))
        return 2;
    close(ends[0]);
    return write(ends[1], "x", 1) == 1 ? 3 : 4;
}

static void sigpipe_kills_a_role(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    (void)state;

    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignore, &before); /* what the caller ignores is its own affair */
    struct lab_process *process =
        start(&world, LAB_SERVER, &(struct lab_program){.role = broken_pipe_role});
    assert_int_equal(write(lab_process_channel(process), "g", 1), 1);
    struct lab_exit end = end_of(process);
    sigaction(SIGPIPE, &before, NULL);
    assert_true(WIFSIGNALED(end.status));
    assert_int_equal(WTERMSIG(end.status), SIGPIPE);
    world_close(&world);
}

static int relay_role(const struct lab_role *role)
{
    char byte;

    if (role->fds_count != 1 || role->arg_bytes != 3 || memcmp(role->arg, "arg", 3))
        return 1;
    while (read(role->channel, &byte, 1) == 1)
        if (write(role->fds[0], &byte, 1) != 1)
            return 2;
    trace_append(role->trace, &(struct trace_event){.at_real_ns = clock_real_ns(),
                                                    .kind = TRACE_MARK,
                                                    .side = TRACE_SERVER,
                                                    .text = "relayed all"});
    return 42;
}

static void a_role_gets_what_it_was_given(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    int out[2];
    char byte = 0;
    (void)state;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct lab_program program = {
        .role = relay_role, .arg = "arg", .arg_bytes = 3, .fds = &out[1], .fds_count = 1};
    struct lab_process *process = start(&world, LAB_SERVER, &program);
    assert_int_equal(write(lab_process_channel(process), "q", 1), 1);
    assert_int_equal(read(out[0], &byte, 1), 1);
    assert_int_equal(byte, 'q');
    shutdown(lab_process_channel(process), SHUT_WR);
    wait_for(&world, "mark=relayed");
    assert_int_equal(exit_status(process), 42);
    close(out[0]);
    close(out[1]);
    world_close(&world);
}

static int low_port_role(const struct lab_role *role)
{
    struct sockaddr_in low = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in away = {.sin_family = AF_INET, .sin_port = htons(80)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);

    (void)role;
    inet_pton(AF_INET, "192.0.2.1", &away.sin_addr);
    if (bind(fd, (struct sockaddr *)&low, sizeof low))
        return 1;
    if (!connect(other, (struct sockaddr *)&away, sizeof away) || errno != ENETUNREACH)
        return 2;
    return 0;
}

static void hosts_have_low_ports_and_no_other_network(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    (void)state;
    assert_int_equal(
        exit_status(start(&world, LAB_SERVER, &(struct lab_program){.role = low_port_role})), 0);
    world_close(&world);
}

static void the_waiter_for_a_listener_gives_up(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    struct error error = {0};
    (void)state;
    assert_int_equal(lab_wait_listen(world.lab, LAB_SERVER, AF_INET, PORT, 20 * NS_PER_MS, &error),
                     -ETIMEDOUT);
    assert_non_null(strstr(error.text, "7777"));
    assert_int_equal(lab_listening_port(world.lab, LAB_SERVER, NULL), -ENOENT);
    cleanup(fd) int listener = server_listens(&world, PORT);
    (void)listener;
    assert_int_equal(lab_listening_port(world.lab, LAB_SERVER, NULL), PORT);
    assert_int_equal(lab_wait_listen(world.lab, LAB_SERVER, AF_INET6, PORT, 20 * NS_PER_MS, NULL),
                     -ETIMEDOUT);
    world_close(&world);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_talk_in_each_family),
        cmocka_unit_test(a_lab_may_lack_a_family),
        cmocka_unit_test(neighbours_can_be_resolved),
        cmocka_unit_test(large_and_small_mtus_carry),
        cmocka_unit_test(a_host_can_wait_longer_before_it_sends_again),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(the_machine_is_left_as_it_was),
        cmocka_unit_test(labs_live_side_by_side),
        cmocka_unit_test(programs_find_their_world),
        cmocka_unit_test(ends_are_reported),
        cmocka_unit_test(a_group_dies_together),
        cmocka_unit_test(sigpipe_kills_a_role),
        cmocka_unit_test(a_role_gets_what_it_was_given),
        cmocka_unit_test(hosts_have_low_ports_and_no_other_network),
        cmocka_unit_test(the_waiter_for_a_listener_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return argc > 1 ? run_one_of_many(argv[1]) : run_or_skip(run);
}
