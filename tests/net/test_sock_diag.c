/* sock_diag on loopback, over IPv4 and IPv6; aborts in a user and network namespace of their own.
 */
#include "pair.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int family_of(void **state)
{
    return *(int *)*state;
}

/* Strangers' sockets must not be counted: main() moves into a network namespace of its own where
 * the system allows that. */
static bool is_private;

static int write_file(const char *path, const char *text)
{
    cleanup(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int loopback_up(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    cleanup(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &up) ? -errno : 0;
}

static int enter_namespace(void)
{
    char map[64];

    snprintf(map, sizeof map, "%u %u 1", (unsigned)getuid(), (unsigned)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
        return -errno;
    int rc = write_file("/proc/self/uid_map", map);
    return rc ? rc : loopback_up();
}

static void need_namespace(void)
{
    if (is_private)
        return;
    if (getenv("NETKIT_TESTS_MUST_RUN"))
        fail_msg("no user and network namespaces here");
    print_message("SKIP: no user and network namespaces here\n");
    skip();
}

static struct sock_diag *opened(void)
{
    struct sock_diag *diag;
    struct error error;

    if (sock_diag_open(&diag, &error))
        fail_msg("%s", error.text);
    return diag;
}

struct watched {
    struct sock_diag *diag;
    struct sock_address local, remote;
    struct sock_diag_entry entry;
    int state;
};

static bool in_state(void *context)
{
    struct watched *w = context;

    return !sock_diag_lookup(w->diag, &w->local, &w->remote, &w->entry, NULL) &&
           w->entry.state == w->state;
}

static void a_connection_is_looked_up(void **state)
{
    struct sock_diag *diag = opened();
    struct sock_diag_entry entry;
    struct sock_address client;
    struct sock_option_value cookie;
    struct error error;
    struct stat status;
    struct pair pair;

    pair_open(&pair, family_of(state));
    sock_local_address(pair.client.fd, &client);
    sock_write(&pair.client, "abc", 3, 0);
    sock_poll(&pair.server, POLLIN, -1);

    if (sock_diag_lookup(diag, &pair.address, &client, &entry, &error))
        fail_msg("%s", error.text);
    assert_int_equal(entry.state, TCP_ESTABLISHED);
    assert_int_equal(entry.rqueue, 3);
    assert_int_equal(entry.uid, getuid());
    assert_true(entry.has_info && entry.info.bytes_received == 3);
    assert_true(sock_address_equal(&entry.local, &pair.address));
    assert_true(sock_address_equal(&entry.remote, &client));
    fstat(pair.server.fd, &status);
    assert_int_equal(entry.inode, status.st_ino);
    assert_int_equal(sock_option_read(pair.server.fd, sock_option_find("SO_COOKIE"), &cookie, NULL),
                     0);
    assert_true((uint64_t)cookie.number == entry.cookie);

    /* Nobody is on that port: the listener, which the kernel offers instead, is not it. */
    sock_address_set_port(&client, sock_address_port(&client) ^ 1);
    assert_int_equal(sock_diag_lookup(diag, &pair.address, &client, &entry, &error), -ENOENT);
    assert_non_null(strstr(error.text, "no connection from "));
    pair_close(&pair);
    sock_diag_close(diag);
}

static void closing_states_are_seen(void **state)
{
    struct sock_diag *diag = opened();
    struct watched w = {.diag = diag};
    struct pair pair;

    pair_open(&pair, family_of(state));
    sock_local_address(pair.client.fd, &w.local);
    w.remote = pair.address;
    sock_close(&pair.client);
    w.state = TCP_FIN_WAIT2;
    wait_for("FIN-WAIT-2", in_state, &w);
    assert_int_equal(w.entry.inode, 0);
    sock_close(&pair.server);
    w.state = TCP_TIME_WAIT;
    wait_for("TIME-WAIT", in_state, &w);
    assert_int_equal(w.entry.timer, SOCK_DIAG_TIMER_TIME_WAIT);
    assert_true(w.entry.timer_expires_ms > 30000 && w.entry.timer_expires_ms <= 61000);
    assert_false(w.entry.has_info);
    sock_close(&pair.listener);
    sock_diag_close(diag);
}

static void a_pending_connect_shows_its_timer(void **state)
{
    struct sock_diag *diag = opened();
    struct watched w = {.diag = diag, .state = TCP_SYN_SENT};
    struct sock client = SOCK_INIT;
    struct full_listener full;

    full_listener_open(&full, family_of(state));
    assert_int_equal(sock_open(&client, family_of(state), SOCK_NONBLOCK), 0);
    assert_int_equal(sock_connect_start(&client, &full.address), -EINPROGRESS);
    sock_local_address(client.fd, &w.local);
    w.remote = full.address;
    wait_for("SYN-SENT", in_state, &w);
    assert_int_equal(w.entry.timer, SOCK_DIAG_TIMER_RETRANSMIT);
    assert_true(w.entry.timer_expires_ms > 0);
    sock_close(&client);
    full_listener_close(&full);
    sock_diag_close(diag);
}

/* ---- lists ---- */

struct listed {
    size_t count, stop_after;
    unsigned states;
    uint16_t port; /* each entry must have it at one end */
};

static int note(void *context, const struct sock_diag_entry *entry)
{
    struct listed *listed = context;

    assert_true(sock_address_port(&entry->local) == listed->port ||
                sock_address_port(&entry->remote) == listed->port);
    listed->states |= 1U << entry->state;
    return ++listed->count == listed->stop_after ? 42 : 0;
}

static int count_one(void *context, const struct sock_diag_entry *entry)
{
    ((struct listed *)context)->count += entry->state == TCP_LISTEN;
    return 0;
}

static size_t count_listed(struct sock_diag *diag, const struct sock_diag_filter *filter,
                           struct listed *listed)
{
    struct error error;

    listed->count = listed->states = 0;
    if (sock_diag_list(diag, filter, note, listed, &error))
        fail_msg("%s", error.text);
    return listed->count;
}

static void lists_are_filtered_by_the_kernel(void **state)
{
    need_namespace();
    struct sock clients[20], servers[20];
    struct sock_diag *diag = opened();
    struct sock_address client, other;
    struct pair pair;

    pair_open(&pair, family_of(state));
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        clients[i] = (struct sock)SOCK_INIT;
        assert_int_equal(sock_open(&clients[i], family_of(state), 0), 0);
        assert_int_equal(sock_connect(&clients[i], &pair.address), 0);
        assert_int_equal(sock_accept(&pair.listener, &servers[i], NULL, 0), 0);
    }
    struct listed listed = {.port = sock_address_port(&pair.address)};
    struct sock_diag_filter filter = {.family = AF_UNSPEC, .local_port = listed.port};
    assert_int_equal(count_listed(diag, &filter, &listed), 22);
    assert_int_equal(listed.states, 1 << TCP_ESTABLISHED | 1 << TCP_LISTEN);
    filter.states = 1 << TCP_LISTEN;
    assert_int_equal(count_listed(diag, &filter, &listed), 1);
    filter = (struct sock_diag_filter){.family = family_of(state), .remote_port = listed.port};
    assert_int_equal(count_listed(diag, &filter, &listed), 21);
    filter = (struct sock_diag_filter){.remote = &pair.address};
    assert_int_equal(count_listed(diag, &filter, &listed), 21);
    sock_local_address(clients[3].fd, &client);
    filter = (struct sock_diag_filter){.local = &client, .remote = &pair.address};
    assert_int_equal(count_listed(diag, &filter, &listed), 1);
    filter.local = NULL;
    filter.remote = &client;
    filter.local_port = listed.port;
    assert_int_equal(count_listed(diag, &filter, &listed), 1);
    /* The right port at an address that nobody has. */
    sock_address_literal(&other, family_of(state) == AF_INET ? "127.9.9.9" : "::2", listed.port);
    filter = (struct sock_diag_filter){.remote = &other};
    assert_int_equal(count_listed(diag, &filter, &listed), 0);

    /* A walk may end early, and the next one is whole again. */
    filter = (struct sock_diag_filter){.local_port = listed.port};
    listed.count = 0;
    listed.stop_after = 3;
    assert_int_equal(sock_diag_list(diag, &filter, note, &listed, NULL), 42);
    assert_int_equal(listed.count, 3);
    listed.stop_after = 0;
    assert_int_equal(count_listed(diag, &filter, &listed), 22);

    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        sock_close(&clients[i]);
        sock_close(&servers[i]);
    }
    pair_close(&pair);
    sock_diag_close(diag);
}

/* One of several ports is enough, wherever it stands in the list. */
static void lists_take_several_ports(void **state)
{
    need_namespace();
    struct sock_diag *diag = opened();
    struct sock listeners[4];
    uint16_t ports[SOCK_DIAG_PORTS_MAX + 1] = {0};
    struct listed listed;

    for (size_t i = 0; i < ARRAY_SIZE(listeners); i++) {
        const struct sock_listen_options options = {.backlog = 1};
        struct sock_address any = loopback(family_of(state)), bound;
        listeners[i] = (struct sock)SOCK_INIT;
        assert_int_equal(sock_listen(&listeners[i], &any, &options, &bound, NULL), 0);
        ports[i] = sock_address_port(&bound);
    }
    for (size_t i = 0; i < ARRAY_SIZE(listeners); i++) {
        struct sock_diag_filter filter = {.states = 1 << TCP_LISTEN, .local_ports = ports + i};
        listed = (struct listed){.port = ports[i]};
        filter.local_port_count = 1;
        assert_int_equal(count_listed(diag, &filter, &listed), 1);
    }
    struct sock_diag_filter filter = {.local_ports = ports + 1, .local_port_count = 3};
    listed = (struct listed){0};
    assert_int_equal(sock_diag_list(diag, &filter, count_one, &listed, NULL), 0);
    assert_int_equal(listed.count, 3);
    /* With another condition: the one listener that both allow, then none. */
    filter.local_port = ports[2];
    listed = (struct listed){.port = ports[2]};
    assert_int_equal(count_listed(diag, &filter, &listed), 1);
    filter.local_port = ports[0];
    assert_int_equal(count_listed(diag, &filter, &listed), 0);
    /* A full program is still one that the kernel takes. */
    for (size_t i = 4; i < ARRAY_SIZE(ports); i++)
        ports[i] = ports[0];
    filter =
        (struct sock_diag_filter){.local_ports = ports, .local_port_count = SOCK_DIAG_PORTS_MAX};
    listed = (struct listed){0};
    assert_int_equal(sock_diag_list(diag, &filter, count_one, &listed, NULL), 0);
    assert_int_equal(listed.count, 4);
    filter.local_port_count++;
    assert_int_equal(sock_diag_list(diag, &filter, count_one, &listed, NULL), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(listeners); i++)
        sock_close(&listeners[i]);
    sock_diag_close(diag);
}

struct dropper {
    struct sock_diag *diag;
    uint16_t port;
    struct sock_diag_entry entry;
};

static int keep(void *context, const struct sock_diag_entry *entry)
{
    ((struct dropper *)context)->entry = *entry;
    return 0;
}

static bool has_dropped(void *context)
{
    struct dropper *dropper = context;
    const struct sock_diag_filter filter = {
        .states = 1 << TCP_LISTEN, .local_port = dropper->port, .want_drops = true};

    assert_int_equal(sock_diag_list(dropper->diag, &filter, keep, dropper, NULL), 0);
    assert_true(dropper->entry.has_drops);
    return dropper->entry.drops > 0;
}

/* A full listener counts what was dropped at it, and nobody else's drops. */
static void drops_are_counted_by_listener(void **state)
{
    struct dropper dropper = {.diag = opened()}, other = {.diag = dropper.diag};
    struct sock client = SOCK_INIT;
    struct full_listener full;
    struct pair pair;

    full_listener_open(&full, family_of(state));
    pair_open(&pair, family_of(state));
    dropper.port = sock_address_port(&full.address);
    other.port = sock_address_port(&pair.address);
    assert_false(has_dropped(&other));
    assert_int_equal(sock_open(&client, family_of(state), SOCK_NONBLOCK), 0);
    assert_int_equal(sock_connect_start(&client, &full.address), -EINPROGRESS);
    wait_for("a drop", has_dropped, &dropper);
    assert_int_equal(dropper.entry.rqueue, dropper.entry.wqueue + 1);
    assert_false(has_dropped(&other));

    struct sock_diag_entry entry = dropper.entry, again = dropper.entry;
    assert_int_equal(sock_diag_refresh(dropper.diag, &again, NULL), 0);
    assert_int_equal(again.state, TCP_LISTEN);
    assert_int_equal(again.rqueue, entry.rqueue);
    assert_true(again.has_drops && again.drops >= entry.drops);
    assert_true(again.cookie == entry.cookie);
    entry.cookie++;
    assert_int_equal(sock_diag_refresh(dropper.diag, &entry, NULL), -ENOENT);
    sock_close(&client);
    pair_close(&pair);
    full_listener_close(&full);
    assert_int_equal(sock_diag_refresh(dropper.diag, &again, NULL), -ENOENT);
    sock_diag_close(dropper.diag);
}

/* ---- aborts ---- */

/* The child's part; it cannot use cmocka's assertions, so each failure has an exit status. */
static int abort_in_namespace(int family, struct sock_diag *outside)
{
    const struct sock_listen_options options = {.backlog = 1};
    struct sock listener = SOCK_INIT, client = SOCK_INIT, server = SOCK_INIT;
    struct sock_address any, bound, local;
    struct sock_diag_entry entry;
    struct sock_diag *diag;
    char byte;

    sock_address_literal(&any, family == AF_INET6 ? "::1" : "127.0.0.1", 0);
    if (sock_listen(&listener, &any, &options, &bound, NULL) || sock_open(&client, family, 0) ||
        sock_connect(&client, &bound) || sock_accept(&listener, &server, NULL, 0) ||
        sock_local_address(client.fd, &local))
        return 1;
    /* A handle from outside keeps looking outside. */
    if (sock_diag_lookup(outside, &local, &bound, &entry, NULL) != -ENOENT)
        return 2;
    if (sock_diag_open(&diag, NULL) || sock_diag_lookup(diag, &local, &bound, &entry, NULL))
        return 3;
    if (sock_diag_destroy(diag, &entry, NULL))
        return 4;
    if (sock_read(&client, &byte, 1, 0) != -ECONNABORTED)
        return 5;
    if (sock_read(&server, &byte, 1, 0) != -ECONNRESET)
        return 6;
    if (sock_diag_destroy(diag, &entry, NULL) != -ENOENT)
        return 7;
    sock_diag_close(diag);
    return 0;
}

static void a_connection_is_aborted(void **state)
{
    need_namespace();
    struct sock_diag *outside = opened();
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (!child)
        _exit(unshare(CLONE_NEWNET) || loopback_up()
                  ? 99
                  : abort_in_namespace(family_of(state), outside));
    assert_int_equal(waitpid(child, &status, 0), child);
    sock_diag_close(outside);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int v4 = AF_INET, v6 = AF_INET6;

#define BOTH(test)                                                                                 \
    {#test "/4", test, NULL, NULL, &v4},                                                           \
    {                                                                                              \
#test "/6", test, NULL, NULL, &v6                                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_connection_is_looked_up),         BOTH(closing_states_are_seen),
        BOTH(a_pending_connect_shows_its_timer), BOTH(lists_are_filtered_by_the_kernel),
        BOTH(a_connection_is_aborted),           BOTH(lists_take_several_ports),
        BOTH(drops_are_counted_by_listener),
    };
    is_private = !enter_namespace();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
