/* Hosts that crash, reboot and are watched: states, loopback, the capture file. */
#include "../../unit/packet_verify.h"
#include "fixture.h"

#include "capture/capture.h"
#include "netkit/sock.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const int families[] = {AF_INET, AF_INET6};

/* Listens, accepts one connection, says so, and reads nothing until it is told to. */
static int holder_role(const struct lab_role *role)
{
    int family = *(const int *)role->arg;
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    int listener = socket(family, SOCK_STREAM, 0);
    char byte;

    ((struct sockaddr_in *)&address)->sin_port = htons(PORT);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4))
        return 1;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || write(role->channel, "a", 1) != 1)
        return 2;
    while (read(role->channel, &byte, 1) == 1)
        if (read(fd, &byte, 1) != 1)
            return 3;
    return 0;
}

static struct lab_program holder(const int *family)
{
    return (struct lab_program){.role = holder_role, .arg = family, .arg_bytes = sizeof *family};
}

/* Returns the client's descriptor; the holder has accepted. */
static int held_connection(const struct world *world, struct lab_process **process)
{
    struct lab_program program = holder(&world->family);
    struct error error = {0};
    char byte;

    assert_ok(lab_start(world->lab, LAB_SERVER, &program, process, &error), &error);
    assert_ok(lab_wait_listen(world->lab, LAB_SERVER, world->family, PORT, LIMIT_NS, &error),
              &error);
    int fd = client_connects(world, PORT);
    assert_true(fd >= 0);
    assert_int_equal(read(lab_process_channel(*process), &byte, 1), 1);
    return fd;
}

static void a_reboot_answers_with_rst(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(families); i++) {
        bool unread = i >= ARRAY_SIZE(families);
        struct world world = world_open(NULL, families[i % ARRAY_SIZE(families)]);
        struct lab_process *before, *after;
        struct lab_program program = holder(&world.family);
        struct error error = {0};
        struct lab_exit end;
        char byte;
        cleanup(fd) int client = held_connection(&world, &before);

        if (unread) {
            assert_int_equal(write(client, "unread", 6), 6);
            /* Acknowledged, so that no retransmission asks the rebooted host by itself. */
            wait_for(&world, "delivered s>c:ack");
        }
        assert_ok(lab_reboot(world.lab, LAB_SERVER, &program, PORT, LIMIT_NS, &after, &error),
                  &error);
        assert_int_equal(lab_process_wait(before, LIMIT_NS, &end), 0);
        assert_true(end.with_host);
        assert_int_equal(lab_process_signal(before, SIGTERM), -ESRCH);
        /* Not a byte told the client: no FIN, no RST. */
        assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(count_of(&world, "s>c:fin") + count_of(&world, "s>c:rst"), 0);
        assert_int_equal(write(client, "x", 1), 1);
        assert_int_equal(read(client, &byte, 1), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_int_equal(count_of(&world, "s>c:rst"), 1);
        /* The rebooted host serves. */
        int again = client_connects(&world, PORT);
        assert_true(again >= 0);
        assert_int_equal(read(lab_process_channel(after), &byte, 1), 1);
        close(again);
        world_close(&world);
    }
}

static void the_client_can_reboot_too(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    struct error error = {0};
    cleanup(fd) int listener = server_listens(&world, PORT);
    (void)state;

    for (int k = 0; k < 3; k++) {
        int client, server;
        connected_pair(&world, listener, &client, &server);
        exchange(client, server);
        close(client);
        close(server);
        assert_ok(lab_reboot(world.lab, LAB_CLIENT, NULL, 0, LIMIT_NS, NULL, &error), &error);
    }
    world_close(&world);
}

static void a_killed_process_ends_its_connections(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(families); i++) {
        bool unread = i >= ARRAY_SIZE(families);
        struct world world = world_open(NULL, families[i % ARRAY_SIZE(families)]);
        struct lab_process *process;
        cleanup(fd) int client = held_connection(&world, &process);
        char byte;
        if (unread) {
            assert_int_equal(write(client, "x", 1), 1);
            wait_for(&world, "delivered c>s:data");
        }
        assert_int_equal(lab_process_signal(process, SIGKILL), 0);
        if (unread) {
            assert_int_equal(read(client, &byte, 1), -1);
            assert_int_equal(errno, ECONNRESET);
        } else {
            assert_int_equal(read(client, &byte, 1), 0);
        }
        wait_for(&world, unread ? "s>c:rst" : "s>c:fin");
        world_close(&world);
    }
}

/* ---- States ---- */

static void states_are(const struct world *world, enum trace_side side, const char *expected)
{
    struct trace_event *events = NULL;
    size_t count = 0;
    char text[256] = "";
    struct error error = {0};

    assert_ok(trace_read(world->trace, &events, &count, &error), &error);
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == TRACE_STATE && events[i].side == side) {
            assert_int_equal(events[i].connection, 1);
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s ",
                     sock_tcp_state_name(events[i].state.state));
        }
    free(events);
    assert_string_equal(text, expected);
}

static void states_are_seen_where_they_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = world_open(NULL, families[i]);
        cleanup(fd) int listener = server_listens(&world, PORT);
        int client, server;
        char byte;
        connected_pair(&world, listener, &client, &server);
        exchange(client, server);
        close(client);
        assert_int_equal(read(server, &byte, 1), 0);
        wait_for(&world, "client=FIN-WAIT-2");
        close(server);
        wait_for(&world, "client=TIME-WAIT");
        wait_for(&world, "server=CLOSED");
        states_are(&world, TRACE_CLIENT, "SYN-SENT ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT ");
        states_are(&world, TRACE_SERVER, "SYN-RECEIVED ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED ");
        world_close(&world);
    }
}

static void connections_on_the_same_ports_are_told_apart(void **state)
{
    struct world world = world_open(NULL, AF_INET);
    cleanup(fd) int listener = server_listens(&world, PORT);
    struct linger abort_close = {.l_onoff = 1};
    (void)state;

    for (int k = 0; k < 2; k++) {
        int client = connect_begins(&world, LAB_CLIENT, 5555, LAB_SERVER, PORT);
        assert_int_equal(connect_ends(client), 0);
        int server = accept(listener, NULL, NULL);
        setsockopt(client, SOL_SOCKET, SO_LINGER, &abort_close, sizeof abort_close);
        close(client);
        wait_for(&world, k ? "delivered c>s:rst#2" : "delivered c>s:rst");
        close(server);
    }
    uint32_t last = 0;
    for (size_t i = 0; i < trace_reserved(world.trace); i++)
        if (trace_slot(world.trace, i)->connection > last)
            last = trace_slot(world.trace, i)->connection;
    assert_int_equal(last, 2);
    world_close(&world);
}

/* ---- Captures ---- */

static void loopback_can_be_watched(void **state)
{
    struct lab_config config = {.host[LAB_CLIENT].capture_lo = true};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = world_open(&config, families[i]);
        struct sockaddr_storage address;
        socklen_t len;
        int syns = 0;
        cleanup(fd) int fd = host_socket(&world, LAB_CLIENT);
        /* A socket that connects to its own address and port is a connection to itself. */
        host_address(LAB_CLIENT, families[i], 6666, &address, &len);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
        exchange(fd, fd);
        for (int64_t end_ns = clock_mono_ns() + LIMIT_NS; !syns && clock_mono_ns() < end_ns;) {
            for (size_t k = 0; k < trace_reserved(world.trace); k++) {
                const struct trace_event *event = trace_slot(world.trace, k);
                syns += event && event->kind == TRACE_SEGMENT && event->side == TRACE_CLIENT &&
                        event->segment.fate == TRACE_OBSERVED && event->segment.flags & 2;
            }
            poll(NULL, 0, 1);
        }
        assert_true(syns > 0);
        assert_int_equal(count_of(&world, "any"), 0); /* nothing of it was on the wire */
        world_close(&world);
    }
}

static void the_capture_file_has_every_packet(void **state)
{
    char path[] = "/tmp/test_lab_XXXXXX";
    struct lab_config config = {.pcap_path = path};
    cleanup(fd) int file = mkstemp(path);
    cleanup(capture) struct capture *capture = NULL;
    struct capture_packet packet;
    struct error error = {0};
    uint64_t count = 0;
    int64_t before_ns = 0;
    (void)state;

    assert_true(file >= 0);
    struct world world = world_open(&config, AF_INET);
    cleanup(fd) int listener = server_listens(&world, PORT);
    int client, server;
    add_fault(&world, "drop c>s:data count 1");
    connected_pair(&world, listener, &client, &server);
    exchange(client, server);
    close(client);
    close(server);
    add_fault(&world, "answer-rst c>s:syn");
    assert_int_equal(client_connects(&world, PORT), -ECONNREFUSED);
    world_close(&world);

    assert_ok(capture_open_file(&capture, path, &error), &error);
    while (capture_next(capture, &packet, &error) > 0) {
        struct segment segment;
        assert_int_equal(packet_decode(&segment, packet.link, packet.bytes, packet.captured_len,
                                       packet.wire_len),
                         PACKET_COMPLETE);
        if (segment.kind == PACKET_TCP)
            assert_int_equal(packet_verify(&segment, packet.bytes, packet.captured_len).transport,
                             PACKET_CHECKSUM_GOOD);
        assert_true(packet.real_ns >= before_ns);
        before_ns = packet.real_ns;
        count++;
    }
    assert_int_equal(count, world.stats.seen + world.stats.answered);
    unlink(path);
}

static void a_trace_that_is_full_is_told(void **state)
{
    struct lab_config config = {0};
    struct lab *lab = NULL;
    struct lab_stats stats;
    struct error error = {0};
    struct world world = {.family = AF_INET};
    (void)state;

    assert_ok(trace_open(&world.trace, 4, &error), &error);
    config.trace = world.trace;
    assert_ok(lab_open(&config, &lab, &error), &error);
    world.lab = lab;
    cleanup(fd) int listener = server_listens(&world, PORT);
    int client, server;
    connected_pair(&world, listener, &client, &server);
    exchange(client, server);
    close(client);
    close(server);
    lab_close(lab, &stats);
    trace_close(world.trace);
    assert_true(stats.trace_lost > 0);
    assert_int_equal(stats.lost, 0);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reboot_answers_with_rst),
        cmocka_unit_test(the_client_can_reboot_too),
        cmocka_unit_test(a_killed_process_ends_its_connections),
        cmocka_unit_test(states_are_seen_where_they_change),
        cmocka_unit_test(connections_on_the_same_ports_are_told_apart),
        cmocka_unit_test(loopback_can_be_watched),
        cmocka_unit_test(the_capture_file_has_every_packet),
        cmocka_unit_test(a_trace_that_is_full_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_or_skip(run);
}
