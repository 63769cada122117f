/* Why our own kernel refuses, by what is known of this host. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "diagnosis/failure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PORTS(taken) .port_first = 40000, .port_last = 40009, .ports_taken = taken

static void refusals(void **state)
{
    static const struct {
        int number;
        struct local_facts facts;
        enum failure_cause cause;
        const char *words;
    } rows[] = {
        {ENETUNREACH, {0}, FAILURE_NO_ROUTE, "no route"},
        {ENETUNREACH, {.v6 = true, .ipv6_off = "net.x"}, FAILURE_IPV6_OFF, "net.x is 1"},
        {ENETUNREACH, {.loopback_down = true}, FAILURE_LOOPBACK_DOWN, "lo"},
        {EHOSTUNREACH, {0}, FAILURE_ROUTE_UNREACHABLE, "'unreachable'"},
        {EINVAL, {0}, FAILURE_ROUTE_BLACKHOLE, "'blackhole'"},
        {EINVAL, {.v6 = true, .without_scope = true}, FAILURE_NO_SCOPE, "link-local"},
        {EACCES, {0}, FAILURE_ROUTE_PROHIBITED, "'prohibit'"},
        {EPERM, {0}, FAILURE_NOT_PERMITTED, "firewall"},
        {EPERM, {.without_socket = true}, FAILURE_NO_SOCKET, "seccomp"},
        {EACCES, {.without_socket = true}, FAILURE_NO_SOCKET, "seccomp"},
        {EADDRNOTAVAIL, {0}, FAILURE_NO_ADDRESS, "no address or port"},
        {EADDRNOTAVAIL, {PORTS(9)}, FAILURE_NO_ADDRESS, "9 of the 10 local ports"},
        {EADDRNOTAVAIL, {PORTS(10)}, FAILURE_NO_PORT, "10 of the 10 local ports"},
        {EADDRNOTAVAIL, {PORTS(0), .ipv6_off = "net.x"}, FAILURE_IPV6_OFF, "net.x"},
        {EADDRNOTAVAIL, {PORTS(10), .ipv6_off = "net.x"}, FAILURE_NO_PORT, "10 of the 10"},
        {EADDRNOTAVAIL, {PORTS(0), .source = "192.0.2.1"}, FAILURE_SOURCE, "192.0.2.1 (--source)"},
        {EADDRNOTAVAIL,
         {.source = "::1", .source_other_family = true},
         FAILURE_SOURCE,
         "not of one address family"},
        {EADDRINUSE, {PORTS(10)}, FAILURE_NO_PORT, "no local port is left"},
        {EADDRINUSE, {0}, FAILURE_NO_ADDRESS, "no address or port"},
        {EAFNOSUPPORT, {.v6 = true, .no_ipv6 = true}, FAILURE_NO_IPV6, "ipv6.disable=1"},
        {EAFNOSUPPORT, {.v6 = true}, FAILURE_FAMILY_FORBIDDEN, "may not open"},
        {EAFNOSUPPORT, {.no_ipv6 = true}, FAILURE_FAMILY_FORBIDDEN, "may not open"},
        {EMFILE, {0}, FAILURE_NO_DESCRIPTOR, "descriptor"},
        {ENFILE, {0}, FAILURE_NO_FILE, "descriptor"},
        {ENOMEM, {0}, FAILURE_NO_MEMORY, "memory"},
        {ENOBUFS, {0}, FAILURE_NO_MEMORY, "memory"},
        {EIO, {0}, FAILURE_NOT_KNOWN, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cleanup(arena) struct arena arena = {0};
        const char *clause;
        enum failure_cause cause =
            failure_of_refusal(&arena, rows[i].number, &rows[i].facts, &clause);
        assert_int_equal(cause, rows[i].cause);
        if (!rows[i].words) {
            assert_null(clause);
            continue;
        }
        assert_non_null(strstr(clause, rows[i].words));
        assert_true(failure_entry(cause)->code != FINDING_NONE);
        assert_int_equal(failure_entry(cause)->side, RESULT_SIDE_CLIENT);
    }
}

/* What decides between "out of reach" and "this machine does not let it run". */
static void what_this_machine_refuses(void **state)
{
    static const struct {
        struct result_error error;
        bool local;
    } rows[] = {
        {{FINDING_NOT_PERMITTED, EPERM, "", "not-permitted"}, true},
        {{FINDING_NOT_PERMITTED, EACCES, "", "route-prohibited"}, true},
        {{FINDING_NO_LOCAL_ADDRESS, EADDRNOTAVAIL, "", NULL}, true},
        {{FINDING_MACHINE_REFUSES, EAGAIN, "", "no-thread"}, true},
        {{FINDING_INCONCLUSIVE, EPERM, "", "socket-settings"}, true},
        {{FINDING_INCONCLUSIVE, EMFILE, "", NULL}, true},
        {{FINDING_INCONCLUSIVE, ENFILE, "", NULL}, true},
        {{FINDING_INCONCLUSIVE, ENOMEM, "", NULL}, true},
        {{FINDING_INCONCLUSIVE, ENOBUFS, "", NULL}, true},
        {{FINDING_UNEXPECTED_ANSWER, EACCES, "", NULL}, false},
        {{FINDING_NAME_NOT_FOUND, EAGAIN, "", "name-server-silent"}, false},
        {{FINDING_NETWORK_UNREACHABLE, ENETUNREACH, "", "no-route"}, false},
        {{FINDING_CONNECTION_REFUSED, ECONNREFUSED, "", NULL}, false},
        {{FINDING_INCONCLUSIVE, 0, "", NULL}, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(failure_is_local(&rows[i].error), rows[i].local);
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(failure_of_name(ENOENT, ""), FAILURE_NO_NAME);
    assert_int_equal(failure_of_name(EAGAIN, ""), FAILURE_NO_NAME_SERVER);
    assert_int_equal(failure_of_name(EAGAIN, "192.0.2.53"), FAILURE_NAME_SERVER_SILENT);
    assert_int_equal(failure_of_name(EMFILE, ""), FAILURE_NO_DESCRIPTOR);
    assert_int_equal(failure_of_name(ENOMEM, "192.0.2.53"), FAILURE_NO_MEMORY);
    assert_int_equal(failure_by_name(NULL), FAILURE_NOT_KNOWN);
    assert_int_equal(failure_by_name("no such cause"), FAILURE_NOT_KNOWN);
    for (int i = 0; i < FAILURE_CAUSES; i++)
        assert_int_equal(failure_by_name(failure_entry((enum failure_cause)i)->name), i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals),
                                       cmocka_unit_test(what_this_machine_refuses),
                                       cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
