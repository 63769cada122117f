/* Each fault of the wire, seen by the sockets and in the trace; both families. */
#include "fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

static const int families[] = {AF_INET, AF_INET6};

static struct world open_plain(int family)
{
    return world_open(NULL, family);
}

static int64_t round_trip_ns(int a, int b)
{
    int64_t start_ns = clock_mono_ns();
    exchange(a, b);
    return clock_mono_ns() - start_ns;
}

static void close_pair(int client, int server)
{
    close(client);
    close(server);
}

/* ---- The link ---- */

static void the_delay_is_applied(void **state)
{
    struct lab_config config = {.link.delay_ns = 20 * NS_PER_MS};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = world_open(&config, families[i]);
        cleanup(fd) int listener = server_listens(&world, PORT);
        int client, server;
        int64_t least_ns = INT64_MAX;
        connected_pair(&world, listener, &client, &server);
        for (int k = 0; k < 5; k++) {
            int64_t ns = round_trip_ns(client, server);
            assert_true(ns >= 2 * config.link.delay_ns);
            least_ns = ns < least_ns ? ns : least_ns;
        }
        /* The best of five is near the truth even on a busy machine. */
        assert_true(least_ns < 3 * config.link.delay_ns);
        close_pair(client, server);
        world_close(&world);
    }
}

static void the_rate_bounds_the_throughput(void **state)
{
    struct lab_config config = {.link.rate_bytes_per_sec = 1000000};
    static char bytes[200000];
    struct world world = world_open(&config, AF_INET);
    cleanup(fd) int listener = server_listens(&world, PORT);
    int client, server;
    (void)state;

    connected_pair(&world, listener, &client, &server);
    int64_t start_ns = clock_mono_ns();
    assert_int_equal(write(client, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(recv(server, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
    int64_t took_ns = clock_mono_ns() - start_ns;
    /* 200 kB of payload and their headers at 1 MB/s; less two packets that may be under way. */
    assert_true(took_ns > 195 * NS_PER_MS);
    close_pair(client, server);
    world_close(&world);
}

/* ---- Loss and its kin ---- */

static void a_dropped_syn_is_sent_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = open_plain(families[i]);
        int fault = add_fault(&world, "drop c>s:syn count 1");
        cleanup(fd) int listener = server_listens(&world, PORT);
        int client, server;
        connected_pair(&world, listener, &client, &server);
        exchange(client, server);
        assert_int_equal(count_of(&world, "c>s:syn"), 2);
        assert_int_equal(count_of(&world, "dropped c>s:syn"), 1);
        assert_int_equal(count_of(&world, "delivered c>s:syn"), 1);
        assert_int_equal(lab_fault_count(world.lab, fault).matched, 2);
        assert_int_equal(lab_fault_count(world.lab, fault).acted, 1);
        close_pair(client, server);
        world_close(&world);
        assert_int_equal(world.stats.dropped, 1);
    }
}

static void the_nth_and_the_count_choose(void **state)
{
    struct world world = open_plain(AF_INET);
    cleanup(fd) int listener = server_listens(&world, PORT);
    int client, server;
    (void)state;

    add_fault(&world, "late c>s:data=1ms nth 2");
    int twice = add_fault(&world, "late c>s:data=1ms nth 3 count 2");
    connected_pair(&world, listener, &client, &server);
    for (int k = 0; k < 6; k++)
        exchange(client, server);
    assert_int_equal(lab_fault_count(world.lab, 1).matched, 6);
    assert_int_equal(lab_fault_count(world.lab, 1).acted, 1);
    assert_int_equal(lab_fault_count(world.lab, twice).acted, 2);
    close_pair(client, server);
    world_close(&world);
}

/* UDP has no retransmission of its own, so what arrives is what the wire let through. */
static uint64_t survivors(uint64_t seed, char pattern[200])
{
    struct lab_config config = {.seed = seed};
    struct world world = world_open(&config, AF_INET);
    struct sockaddr_storage address;
    socklen_t len;
    uint64_t passed = 0;
    unsigned char number;

    add_fault(&world, "drop any dir c>s probability 0.3");
    int to = lab_socket(world.lab, LAB_SERVER, AF_INET, SOCK_DGRAM, 0, NULL);
    int from = lab_socket(world.lab, LAB_CLIENT, AF_INET, SOCK_DGRAM, 0, NULL);
    host_address(LAB_SERVER, AF_INET, PORT, &address, &len);
    assert_int_equal(bind(to, (struct sockaddr *)&address, len), 0);
    assert_int_equal(connect(from, (struct sockaddr *)&address, len), 0);
    for (int k = 0; k < 200; k++) {
        number = (unsigned char)k;
        assert_int_equal(send(from, &number, 1, 0), 1);
    }
    wait_for(&world, "c>s:any#200");
    memset(pattern, 0, 200);
    while (recv(to, &number, 1, MSG_DONTWAIT) == 1) {
        pattern[number] = 1;
        passed++;
    }
    close(to);
    close(from);
    world_close(&world);
    assert_int_equal(passed + world.stats.dropped, 200);
    return passed;
}

static void chance_is_repeatable_by_seed(void **state)
{
    char first[200], again[200], other[200];
    (void)state;
    uint64_t passed = survivors(7, first);
    assert_in_range(passed, 100, 180);
    survivors(7, again);
    survivors(8, other);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

static void duplicates_arrive_and_are_recorded(void **state)
{
    struct world world = open_plain(AF_INET);
    struct sockaddr_storage address;
    socklen_t len;
    char byte;
    (void)state;

    add_fault(&world, "duplicate udp");
    int to = lab_socket(world.lab, LAB_SERVER, AF_INET, SOCK_DGRAM, 0, NULL);
    int from = lab_socket(world.lab, LAB_CLIENT, AF_INET, SOCK_DGRAM, 0, NULL);
    host_address(LAB_SERVER, AF_INET, PORT, &address, &len);
    assert_int_equal(bind(to, (struct sockaddr *)&address, len), 0);
    sendto(from, "d", 1, 0, (struct sockaddr *)&address, len);
    assert_int_equal(recv(to, &byte, 1, 0), 1);
    assert_int_equal(recv(to, &byte, 1, 0), 1);
    close(to);
    close(from);
    world_close(&world);
    assert_int_equal(world.stats.seen + 1, world.stats.delivered);
}

static void reordering_changes_places(void **state)
{
    struct world world = open_plain(AF_INET);
    struct sockaddr_storage address;
    socklen_t len;
    char text[4] = "";
    (void)state;

    add_fault(&world, "reorder c>s:udp nth 2");
    int to = lab_socket(world.lab, LAB_SERVER, AF_INET, SOCK_DGRAM, 0, NULL);
    int from = lab_socket(world.lab, LAB_CLIENT, AF_INET, SOCK_DGRAM, 0, NULL);
    host_address(LAB_SERVER, AF_INET, PORT, &address, &len);
    assert_int_equal(bind(to, (struct sockaddr *)&address, len), 0);
    for (int k = 0; k < 4; k++)
        sendto(from, &"abcd"[k], 1, 0, (struct sockaddr *)&address, len);
    for (int k = 0; k < 4; k++)
        assert_int_equal(recv(to, text + k, 1, 0), 1);
    assert_memory_equal(text, "acbd", 4);
    /* The last of all has nothing to change places with, and arrives all the same. */
    add_fault(&world, "reorder c>s:udp");
    sendto(from, "z", 1, 0, (struct sockaddr *)&address, len);
    assert_int_equal(recv(to, text, 1, 0), 1);
    close(to);
    close(from);
    world_close(&world);
}

static void corruption_is_noticed_and_repaired(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = open_plain(families[i]);
        cleanup(fd) int listener = server_listens(&world, PORT);
        int client, server;
        add_fault(&world, "corrupt c>s:data count 1");
        connected_pair(&world, listener, &client, &server);
        exchange(client, server);
        assert_int_equal(count_of(&world, "c>s:data"), 2);
        close_pair(client, server);
        world_close(&world);
    }
}

static void windows_open_and_shut(void **state)
{
    struct world world = open_plain(AF_INET);
    cleanup(fd) int listener = server_listens(&world, PORT);
    int client, server;
    (void)state;

    int later = add_fault(&world, "drop any window 1h..2h");
    int past = add_fault(&world, "drop any window 0..1us");
    connected_pair(&world, listener, &client, &server);
    exchange(client, server);
    assert_int_equal(lab_fault_count(world.lab, later).matched, 0);
    assert_int_equal(lab_fault_count(world.lab, past).matched, 0);
    close_pair(client, server);
    world_close(&world);
}

/* ---- Hold ---- */

static void a_hold_waits_for_its_condition(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = open_plain(families[i]);
        cleanup(fd) int listener = server_listens(&world, PORT);
        (void)listener;
        add_fault(&world, "hold s>c:syn-ack=until:mark=go");
        cleanup(fd) int client = connect_begins(&world, LAB_CLIENT, 0, LAB_SERVER, PORT);
        wait_for(&world, "s>c:syn-ack");
        wait_for(&world, "server=SYN-RECEIVED");
        struct pollfd polled = {.fd = client, .events = POLLOUT};
        assert_int_equal(poll(&polled, 1, 0), 0);
        trace_append(world.trace, &(struct trace_event){.at_real_ns = clock_real_ns(),
                                                        .kind = TRACE_MARK,
                                                        .side = TRACE_CLIENT,
                                                        .text = "go"});
        assert_int_equal(connect_ends(client), 0);
        wait_for(&world, "delivered s>c:syn-ack");
        world_close(&world);
    }
}

static void a_hold_releases_by_number_time_and_hand(void **state)
{
    static const struct {
        const char *line;
        int sent;
        bool by_hand;
    } cases[] = {
        {"hold c>s:udp=3", 3, false},
        {"hold c>s:udp=30ms", 2, false},
        {"hold c>s:udp", 2, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct world world = open_plain(AF_INET);
        struct sockaddr_storage address;
        socklen_t len;
        char text[4] = "", condition[32];
        struct error error = {0};
        int fault = add_fault(&world, cases[i].line);
        int to = lab_socket(world.lab, LAB_SERVER, AF_INET, SOCK_DGRAM, 0, NULL);
        int from = lab_socket(world.lab, LAB_CLIENT, AF_INET, SOCK_DGRAM, 0, NULL);
        host_address(LAB_SERVER, AF_INET, PORT, &address, &len);
        assert_int_equal(bind(to, (struct sockaddr *)&address, len), 0);
        for (int k = 0; k < cases[i].sent; k++) {
            if (k == cases[i].sent - 1 && !cases[i].line[12])
                assert_int_equal(recv(to, text, 1, MSG_DONTWAIT), -1);
            sendto(from, &"abc"[k], 1, 0, (struct sockaddr *)&address, len);
        }
        if (cases[i].by_hand) {
            snprintf(condition, sizeof condition, "c>s:any#%d", cases[i].sent);
            wait_for(&world, condition);
            assert_int_equal(recv(to, text, 1, MSG_DONTWAIT), -1);
            assert_ok(lab_fault_release(world.lab, fault, &error), &error);
        }
        for (int k = 0; k < cases[i].sent; k++)
            assert_int_equal(recv(to, text + k, 1, cases[i].by_hand ? MSG_DONTWAIT : 0), 1);
        assert_memory_equal(text, "abc", (size_t)cases[i].sent);
        close(to);
        close(from);
        world_close(&world);
    }
}

static void removing_a_hold_lets_go(void **state)
{
    struct world world = open_plain(AF_INET);
    struct error error = {0};
    cleanup(fd) int listener = server_listens(&world, PORT);
    (void)listener;
    (void)state;

    int fault = add_fault(&world, "hold syn");
    cleanup(fd) int client = connect_begins(&world, LAB_CLIENT, 0, LAB_SERVER, PORT);
    wait_for(&world, "c>s:syn");
    assert_ok(lab_fault_remove(world.lab, fault, &error), &error);
    assert_int_equal(connect_ends(client), 0);
    assert_int_equal(lab_fault_remove(world.lab, fault, &error), -ENOENT);
    world_close(&world);
}

static void simultaneous_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = open_plain(families[i]);
        add_fault(&world, "hold syn=2");
        int a = connect_begins(&world, LAB_CLIENT, 1111, LAB_SERVER, 2222);
        wait_for(&world, "c>s:syn");
        int b = connect_begins(&world, LAB_SERVER, 2222, LAB_CLIENT, 1111);
        assert_int_equal(connect_ends(a), 0);
        assert_int_equal(connect_ends(b), 0);
        exchange(a, b);
        wait_for(&world, "delivered c>s:syn");
        wait_for(&world, "delivered s>c:syn");
        assert_true(
            count_of(&world, "client=SYN-RECEIVED") + count_of(&world, "server=SYN-RECEIVED") > 0);
        close_pair(a, b);
        world_close(&world);
    }
}

static void simultaneous_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = open_plain(families[i]);
        cleanup(fd) int listener = server_listens(&world, PORT);
        int client, server;
        connected_pair(&world, listener, &client, &server);
        exchange(client, server);
        /* Both FINs are on the way before either arrives; then each side is in CLOSING until the
         * acknowledgement of its own. */
        add_fault(&world, "hold fin=2");
        close_pair(client, server);
        wait_for(&world, "delivered c>s:fin");
        wait_for(&world, "delivered s>c:fin");
        wait_for(&world, "client=CLOSING");
        wait_for(&world, "server=CLOSING");
        wait_for(&world, "client=TIME-WAIT");
        wait_for(&world, "server=TIME-WAIT");
        world_close(&world);
    }
}

/* ---- Answers ---- */

static void an_rst_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = open_plain(families[i]);
        cleanup(fd) int listener = server_listens(&world, PORT);
        (void)listener;
        add_fault(&world, "answer-rst c>s:syn");
        assert_int_equal(client_connects(&world, PORT), -ECONNREFUSED);
        assert_int_equal(count_of(&world, "s>c:rst"), 1);
        world_close(&world);
        assert_int_equal(world.stats.answered, 1);
    }
}

static void icmp_answers_are_understood(void **state)
{
    static const struct {
        const char *line;
        int family, failure;
    } cases[] = {
        {"answer-icmp c>s:syn=host-unreachable", AF_INET, EHOSTUNREACH},
        {"answer-icmp c>s:syn=port-unreachable", AF_INET, ECONNREFUSED},
        {"answer-icmp c>s:syn=net-unreachable", AF_INET, ENETUNREACH},
        {"answer-icmp c>s:syn=host-unreachable", AF_INET6, EHOSTUNREACH},
        {"answer-icmp c>s:syn=port-unreachable", AF_INET6, ECONNREFUSED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        /* Non-blocking: a blocking connect may hold the socket while the answer comes. */
        struct world world = open_plain(cases[i].family);
        cleanup(fd) int listener = server_listens(&world, PORT);
        (void)listener;
        add_fault(&world, cases[i].line);
        cleanup(fd) int client = connect_begins(&world, LAB_CLIENT, 0, LAB_SERVER, PORT);
        assert_int_equal(connect_ends(client), -cases[i].failure);
        world_close(&world);
    }
}

/* ---- Cuts ---- */

static void a_cut_is_silence_with_neighbours_alive(void **state)
{
    static const struct lab_sysctl quick[] = {
        {.name = "tcp_syn_retries", .value = "1"},
        {.name = "tcp_syn_linear_timeouts", .value = "0", .optional = true}};
    struct lab_config config = {.host[LAB_CLIENT] = {quick, ARRAY_SIZE(quick), false}};
    struct error error = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct world world = world_open(&config, families[i]);
        cleanup(fd) int listener = server_listens(&world, PORT);
        int client, server;
        connected_pair(&world, listener, &client, &server);
        exchange(client, server);
        assert_ok(lab_cut(world.lab, &error), &error);
        /* ETIMEDOUT, not EHOSTUNREACH: nobody misses the neighbour. */
        assert_int_equal(client_connects(&world, PORT), -ETIMEDOUT);
        assert_int_equal(count_of(&world, "delivered c>s:syn"), 1);
        assert_int_equal(write(client, "x", 1), 1);
        wait_for(&world, "dropped c>s:data");
        assert_ok(lab_restore(world.lab, &error), &error);
        char byte;
        assert_int_equal(read(server, &byte, 1), 1);
        close_pair(client, server);
        world_close(&world);
    }
}

/* The first packet of a lab already finds its neighbour, whom nobody could ask. */
static void a_cut_link_still_has_neighbours(void **state)
{
    static const struct lab_sysctl quick[] = {
        {.name = "tcp_syn_retries", .value = "1"},
        {.name = "tcp_syn_linear_timeouts", .value = "0", .optional = true}};
    struct lab_config config = {.host[LAB_CLIENT] = {quick, ARRAY_SIZE(quick), false}};
    struct error error = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        for (int resolve = 0; resolve < 2; resolve++) {
            config.resolve_neighbours = resolve;
            /* Giving up on the neighbour takes 3 s, on the connection 3 s or much more. */
            config.host[LAB_CLIENT].sysctls_count = resolve ? 0 : ARRAY_SIZE(quick);
            struct world world = world_open(&config, families[i]);
            assert_ok(lab_cut(world.lab, &error), &error);
            assert_int_equal(client_connects(&world, PORT), resolve ? -EHOSTUNREACH : -ETIMEDOUT);
            world_close(&world);
        }
}

static void a_fault_can_cut(void **state)
{
    struct world world = open_plain(AF_INET);
    cleanup(fd) int listener = server_listens(&world, PORT);
    struct error error = {0};
    int client, server;
    char byte;
    (void)state;

    connected_pair(&world, listener, &client, &server);
    int fault = add_fault(&world, "cut c>s:data");
    assert_int_equal(write(client, "x", 1), 1);
    wait_for(&world, "dropped c>s:data");
    assert_int_equal(write(server, "y", 1), 1);
    wait_for(&world, "dropped s>c:data");
    assert_ok(lab_fault_remove(world.lab, fault, &error), &error);
    assert_int_equal(read(server, &byte, 1), 1);
    assert_int_equal(read(client, &byte, 1), 1);
    close_pair(client, server);
    world_close(&world);
}

static void a_filter_is_checked_when_added(void **state)
{
    struct world world = open_plain(AF_INET);
    struct error error = {0};
    struct lab_fault fault = {.action = LAB_DROP, .match.text = "tcp port port"};
    (void)state;

    assert_int_equal(lab_fault_add(world.lab, &fault, &error), -EINVAL);
    assert_non_null(strstr(error.text, "syntax"));
    add_fault(&world, "drop \"tcp dst port 7777\"");
    cleanup(fd) int listener = server_listens(&world, PORT);
    cleanup(fd) int client = connect_begins(&world, LAB_CLIENT, 0, LAB_SERVER, PORT);
    (void)listener;
    (void)client;
    wait_for(&world, "dropped c>s:syn");
    world_close(&world);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_delay_is_applied),
        cmocka_unit_test(the_rate_bounds_the_throughput),
        cmocka_unit_test(a_dropped_syn_is_sent_again),
        cmocka_unit_test(the_nth_and_the_count_choose),
        cmocka_unit_test(chance_is_repeatable_by_seed),
        cmocka_unit_test(duplicates_arrive_and_are_recorded),
        cmocka_unit_test(reordering_changes_places),
        cmocka_unit_test(corruption_is_noticed_and_repaired),
        cmocka_unit_test(windows_open_and_shut),
        cmocka_unit_test(a_hold_waits_for_its_condition),
        cmocka_unit_test(a_hold_releases_by_number_time_and_hand),
        cmocka_unit_test(removing_a_hold_lets_go),
        cmocka_unit_test(simultaneous_open),
        cmocka_unit_test(simultaneous_close),
        cmocka_unit_test(an_rst_refuses),
        cmocka_unit_test(icmp_answers_are_understood),
        cmocka_unit_test(a_cut_is_silence_with_neighbours_alive),
        cmocka_unit_test(a_cut_link_still_has_neighbours),
        cmocka_unit_test(a_fault_can_cut),
        cmocka_unit_test(a_filter_is_checked_when_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_or_skip(run);
}
