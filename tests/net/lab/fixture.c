#include "fixture.h"

#include "lab/wire.h"
#include "netkit/sock.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

struct world world_open(const struct lab_config *config, int family)
{
    struct world world = {.family = family};
    struct lab_config described = config ? *config : (struct lab_config){0};
    struct error error = {0};

    assert_ok(trace_open(&world.trace, 1u << 18, &error), &error);
    described.trace = world.trace;
    assert_ok(lab_open(&described, &world.lab, &error), &error);
    return world;
}

void world_close(struct world *world)
{
    lab_close(world->lab, &world->stats);
    trace_close(world->trace);
    assert_int_equal(world->stats.lost, 0);
    assert_int_equal(world->stats.trace_lost, 0);
}

struct socket_wanted {
    int domain, type, protocol;
};

static int socket_role(const struct lab_role *role)
{
    const struct socket_wanted *wanted = role->arg;
    int fd = socket(wanted->domain, wanted->type, wanted->protocol), rc = fd < 0 ? -errno : 0;

    return message_send(role->channel, &rc, sizeof rc, &fd, fd >= 0);
}

int lab_socket(struct lab *lab, enum lab_host host, int domain, int type, int protocol,
               struct error *error)
{
    const struct socket_wanted wanted = {domain, type, protocol};
    const struct lab_program program = {
        .role = socket_role, .arg = &wanted, .arg_bytes = sizeof wanted};
    struct lab_process *process;
    int fd = -1, answer = -EIO, rc = lab_start(lab, host, &program, &process, error);
    size_t fds_count = 1;

    if (rc)
        return rc;
    message_receive(lab_process_channel(process), &answer, sizeof answer, &fd, &fds_count,
                    LIMIT_NS);
    lab_process_free(process);
    return answer ? answer : fd;
}

int host_socket(const struct world *world, enum lab_host host)
{
    struct error error = {0};
    int fd = lab_socket(world->lab, host, world->family, SOCK_STREAM, 0, &error);

    assert_ok(fd, &error);
    return fd;
}

void host_address(enum lab_host host, int family, uint16_t port, struct sockaddr_storage *out,
                  socklen_t *len)
{
    struct sock_address address;

    assert_int_equal(sock_address_literal(&address, lab_address_text(host, family), port), 0);
    *out = address.storage;
    *len = address.len_bytes;
}

static void address_of(const struct world *world, enum lab_host host, uint16_t port,
                       struct sockaddr_storage *out, socklen_t *len)
{
    host_address(host, world->family, port, out, len);
}

int server_listens(const struct world *world, uint16_t port)
{
    struct sockaddr_storage address;
    socklen_t len;
    int fd = host_socket(world, LAB_SERVER);

    address_of(world, LAB_SERVER, port, &address, &len);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

int connect_begins(const struct world *world, enum lab_host host, uint16_t from_port,
                   enum lab_host to, uint16_t port)
{
    struct sockaddr_storage address;
    socklen_t len;
    int fd = host_socket(world, host);

    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (from_port) {
        address_of(world, host, from_port, &address, &len);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    }
    address_of(world, to, port, &address, &len);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), -1);
    assert_int_equal(errno, EINPROGRESS);
    return fd;
}

int connect_ends(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    int failure = 0;
    socklen_t len = sizeof failure;

    if (poll(&polled, 1, clock_to_poll_ms(LIMIT_NS)) != 1)
        return -ETIME;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len);
    fcntl(fd, F_SETFL, 0);
    return -failure;
}

int client_connects(const struct world *world, uint16_t port)
{
    struct sockaddr_storage address;
    socklen_t len;
    int fd = host_socket(world, LAB_CLIENT);

    address_of(world, LAB_SERVER, port, &address, &len);
    if (!connect(fd, (struct sockaddr *)&address, len))
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

void connected_pair(const struct world *world, int listener, int *client, int *server)
{
    int on = 1;
    *client = client_connects(world, PORT);
    if (*client < 0)
        fail_msg("connect: %s", strerror(-*client));
    *server = accept(listener, NULL, NULL);
    assert_true(*server >= 0);
    setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(*server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void exchange(int a, int b)
{
    char c = 0;

    assert_int_equal(write(a, "x", 1), 1);
    assert_int_equal(read(b, &c, 1), 1);
    assert_int_equal(c, 'x');
    assert_int_equal(write(b, "y", 1), 1);
    assert_int_equal(read(a, &c, 1), 1);
    assert_int_equal(c, 'y');
}

int add_fault(const struct world *world, const char *line)
{
    struct lab_fault fault;
    struct error error = {0};
    int rc = lab_fault_parse(&fault, line, &error);

    assert_ok(rc, &error);
    rc = lab_fault_add(world->lab, &fault, &error);
    assert_ok(rc, &error);
    return rc;
}

void wait_for(const struct world *world, const char *condition)
{
    struct lab_condition what;
    struct error error = {0};

    assert_ok(lab_condition_parse(&what, condition, &error), &error);
    assert_ok(lab_wait(world->lab, &what, LIMIT_NS, &error), &error);
}

int count_of(const struct world *world, const char *condition)
{
    struct lab_condition what;
    struct condition counter;
    struct error error = {0};

    assert_ok(lab_condition_parse(&what, condition, &error), &error);
    what.nth = UINT32_MAX;
    assert_ok(condition_init(&counter, &what, 0, &error), &error);
    condition_met(&counter, world->trace);
    return (int)counter.counted;
}

int run_or_skip(int (*run)(void))
{
    const char *must = getenv("NETKIT_TESTS_MUST_RUN");
    struct error error = {0};

    if (lab_possible(NULL, 0, &error)) {
        printf("SKIP: %s\n", error.text);
        return must && !strcmp(must, "1") ? 1 : 77;
    }
    return run();
}
