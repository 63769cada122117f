/* Addresses and targets: text in, parts or an exact complaint out. */
#include "netkit/sock.h"
#include "sock/internal.h"

#include "base/cleanup.h"
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void targets_are_read(void **state)
{
    static const struct {
        const char *text, *port;
        uint16_t default_port;
        const char *host;
        int number;
    } cases[] = {
        {"127.0.0.1:80", NULL, 0, "127.0.0.1", 80},
        {"example.com:65535", NULL, 0, "example.com", 65535},
        {"[::1]:443", NULL, 0, "::1", 443},
        {"[::1%lo]:443", NULL, 0, "::1%lo", 443},
        {"[fe80::1%1]:1", NULL, 0, "fe80::1%1", 1},
        {"[::ffff:10.0.0.1]:9", NULL, 0, "::ffff:10.0.0.1", 9},
        {":8080", NULL, 0, "", 8080},
        {"localhost:http", NULL, 0, "localhost", 80},
        {"localhost", "https", 0, "localhost", 443},
        {"localhost", "7", 0, "localhost", 7},
        {"::1", "7", 0, "::1", 7},
        {"fe80::1%lo", "7", 0, "fe80::1%lo", 7},
        {"[::1]", "7", 0, "::1", 7},
        {"", "7", 0, "", 7},
        {"localhost", NULL, 6379, "localhost", 6379},
        {"localhost:1", NULL, 6379, "localhost", 1},
        {"::1", NULL, 6379, "::1", 6379},
        {"[::1]", NULL, 6379, "::1", 6379},
        {"", NULL, 6379, "", 6379},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sock_target target;
        struct error error;
        if (sock_target_parse(&target, cases[i].text, cases[i].port, cases[i].default_port, &error))
            fail_msg("%s: %s", cases[i].text, error.text);
        assert_string_equal(target.host, cases[i].host);
        assert_int_equal(target.port, cases[i].number);
    }
}

static void bad_targets_are_explained(void **state)
{
    static const char port_form[] = "the port is neither a number nor the name of a TCP service";
    static const struct {
        const char *text, *port, *complaint;
    } cases[] = {
        {"example.com", NULL, "'example.com': the port is missing (write host:port)"},
        {"", NULL, "'': the port is missing (write host:port)"},
        {"[::1]", NULL, "'[::1]': the port is missing (write host:port)"},
        {"host:", NULL, "'host:': the port is empty"},
        {"[::1]:", NULL, "'[::1]:': the port is empty"},
        {"host", "", "'': the port is empty"},
        {"host:0", NULL, "'host:0': the port must be from 1 to 65535"},
        {"host:65536", NULL, "'host:65536': the port must be from 1 to 65535"},
        {"host:-1", NULL, "'host:-1': the port must be from 1 to 65535"},
        {"host:99999999999999999999", NULL,
         "'host:99999999999999999999': the port is not a number"},
        {"host:80x", NULL, "'host:80x': the port is not a number"},
        {"host:+80", NULL, "'host:+80': the port is not a number"},
        {"host", "80x", "'80x': the port is not a number"},
        {"host:no-such-service", NULL, port_form},
        {"host: 80", NULL, port_form},
        {"::1:80", NULL, "'::1:80': an IPv6 address needs brackets here (write [::1]:80)"},
        {"a:b:80", NULL, "'a:b:80': an IPv6 address needs brackets here (write [::1]:80)"},
        {"[::1", NULL, "'[::1': the closing bracket is missing (write [::1]:80)"},
        {"[::1]80", NULL, "'[::1]80': after the bracket a colon and a port must follow"},
        {"[]:80", NULL, "'[]:80': what the brackets hold is not an IPv6 address"},
        {"[host]:80", NULL, "'[host]:80': what the brackets hold is not an IPv6 address"},
        {"[127.0.0.1]:80", NULL, "'[127.0.0.1]:80': what the brackets hold is not an IPv6 address"},
        {"[fe80::1%no-such-if]:80", NULL,
         "'[fe80::1%no-such-if]:80': no such IPv6 address or interface"},
        {"::1]:80", NULL, "'::1]:80': an IPv6 address needs brackets here (write [::1]:80)"},
        {"ho]st:80", NULL, "'ho]st:80': a bracket is out of place (write [::1]:80)"},
        {"[::1]:80", "80", "'[::1]:80': there is a port twice"},
        {"host:80", "80", "'host:80': not an IPv6 address (or there is a port twice)"},
        {"http://host:80", NULL, "'http://host:80': this is a URL (write host:port)"},
        {"ho/st:80", NULL, "'ho/st:80': a host name cannot hold spaces"},
        {"ho\x1bst:80", NULL, "'ho\\x1bst:80': a host name cannot hold spaces"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sock_target target;
        struct error error = {0};
        assert_int_equal(sock_target_parse(&target, cases[i].text, cases[i].port, 0, &error),
                         -EINVAL);
        if (!strstr(error.text, cases[i].complaint))
            fail_msg("%s: got \"%s\", expected \"%s\"", cases[i].text, error.text,
                     cases[i].complaint);
    }
}

static void long_names_are_refused(void **state)
{
    char text[1000];
    struct sock_target target;
    struct error error;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + sizeof text - 4, ":80", 4);
    assert_int_equal(sock_target_parse(&target, text, NULL, 0, &error), -EINVAL);
    assert_non_null(strstr(error.text, "the host name is too long"));
    memcpy(text + SOCK_HOST_MAX - 1, ":80", 4);
    assert_int_equal(sock_target_parse(&target, text, NULL, 0, &error), 0);
    assert_int_equal(strlen(target.host), SOCK_HOST_MAX - 1);
}

static const char *show(const char *literal, uint16_t port)
{
    static char text[SOCK_ADDRESS_TEXT_MAX];
    struct sock_address address;

    assert_int_equal(sock_address_literal(&address, literal, port), 0);
    assert_int_equal(sock_address_port(&address), port);
    return sock_address_format(text, sizeof text, &address);
}

static void addresses_are_written_canonically(void **state)
{
    static const char *const bad[] = {"",        "1.2.3",    "1.2.3.4.5",  "01.2.3.4",  "::g",
                                      "1::2::3", "fe80::1%", "1.2.3.4%lo", "localhost", "::1%none"};
    struct sock_address address;
    (void)state;
    assert_string_equal(show("127.0.0.1", 80), "127.0.0.1:80");
    assert_string_equal(show("0:0:0:0:0:0:0:1", 80), "[::1]:80");
    assert_string_equal(show("2001:DB8::0:1", 1), "[2001:db8::1]:1");
    assert_string_equal(show("fe80::1%lo", 1), "[fe80::1%lo]:1");
    assert_string_equal(show("fe80::1%4000000", 1), "[fe80::1%4000000]:1");
    assert_string_equal(show("::ffff:1.2.3.4", 5), "[::ffff:1.2.3.4]:5");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(sock_address_literal(&address, bad[i], 1), -EINVAL);
}

static void mapped_addresses_equal_what_they_stand_for(void **state)
{
    struct sock_address mapped, plain, other;
    char text[SOCK_ADDRESS_TEXT_MAX];
    (void)state;
    sock_address_literal(&mapped, "::ffff:1.2.3.4", 80);
    sock_address_literal(&plain, "1.2.3.4", 80);
    sock_address_literal(&other, "1.2.3.4", 81);
    assert_true(sock_address_equal(&mapped, &plain));
    assert_false(sock_address_equal(&mapped, &other));
    sock_address_unmap(&mapped);
    assert_string_equal(sock_address_format(text, sizeof text, &mapped), "1.2.3.4:80");
    assert_int_equal(mapped.len_bytes, sizeof(struct sockaddr_in));
    sock_address_literal(&other, "::1", 80);
    assert_false(sock_address_equal(&other, &plain));
    sock_address_set_port(&other, 81);
    sock_address_unmap(&other);
    assert_string_equal(sock_address_format(text, sizeof text, &other), "[::1]:81");
}

static void foreign_sockaddrs_are_checked(void **state)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr unix_address = {.sa_family = AF_UNIX};
    struct sock_address out;
    (void)state;
    assert_int_equal(sock_address_from(&out, (void *)&v6, sizeof v6), 0);
    assert_int_equal(sock_address_from(&out, (void *)&v6, sizeof v6 - 1), -EAFNOSUPPORT);
    assert_int_equal(sock_address_from(&out, (void *)&v6, 1), -EAFNOSUPPORT);
    assert_int_equal(sock_address_from(&out, &unix_address, sizeof unix_address), 0);
    unix_address.sa_family = AF_APPLETALK;
    assert_int_equal(sock_address_from(&out, &unix_address, sizeof unix_address), -EAFNOSUPPORT);
}

static void resolver_errors_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(resolve_errno(EAI_NONAME, 0), ENOENT);
    assert_int_equal(resolve_errno(EAI_NODATA, 0), EADDRNOTAVAIL);
    assert_int_equal(resolve_errno(EAI_AGAIN, 0), EAGAIN);
    assert_int_equal(resolve_errno(EAI_FAIL, 0), EIO);
    assert_int_equal(resolve_errno(EAI_SYSTEM, EMFILE), EMFILE);
    assert_int_equal(resolve_errno(EAI_SYSTEM, 0), EIO);
    assert_int_equal(resolve_errno(EAI_NONAME, ENOENT), ENOENT);
    assert_int_equal(resolve_errno(EAI_NONAME, EMFILE), EMFILE);
    assert_int_equal(resolve_errno(EAI_NONAME, ENOMEM), ENOMEM);
    assert_int_equal(resolve_errno(EAI_AGAIN, ENFILE), ENFILE);
    assert_int_equal(resolve_errno(12345, 0), EIO);
}

static void literals_resolve_to_themselves(void **state)
{
    struct sock_address_list list;
    struct sock_target target = {.host = "127.0.0.1", .port = 80};
    char text[SOCK_ADDRESS_TEXT_MAX];
    struct error error;
    (void)state;
    assert_int_equal(sock_resolve(&target, AF_UNSPEC, &list, &error), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(sock_address_format(text, sizeof text, list.items), "127.0.0.1:80");
    sock_address_list_free(&list);
    assert_null(list.items);

    assert_int_equal(sock_resolve(&target, AF_INET6, &list, &error), -EADDRNOTAVAIL);
    assert_non_null(strstr(error.text, "cannot resolve 127.0.0.1 over IPv6: "));

    target.host[0] = '\0';
    assert_int_equal(sock_resolve(&target, AF_INET6, &list, &error), 0);
    assert_string_equal(sock_address_format(text, sizeof text, list.items), "[::1]:80");
    sock_address_list_free(&list);

    /* RFC 6761: a label that is too long can never exist, and no server need be asked. */
    memset(target.host, 'a', 80);
    assert_int_equal(sock_resolve(&target, AF_UNSPEC, &list, &error), -ENOENT);
}

static void unix_sockets_have_a_path(void **state)
{
    struct sock_address address, other;
    char text[SOCK_ADDRESS_TEXT_MAX], longest[108];
    (void)state;
    assert_int_equal(sock_address_unix(&address, "/run/x.sock"), 0);
    assert_int_equal(sock_family(&address), AF_UNIX);
    assert_string_equal(sock_address_format(text, sizeof text, &address), "unix:/run/x.sock");
    assert_int_equal(sock_address_port(&address), 0);
    sock_address_set_port(&address, 80);
    assert_string_equal(sock_address_format(text, sizeof text, &address), "unix:/run/x.sock");
    assert_int_equal(sock_address_unix(&other, "@x"), 0);
    assert_string_equal(sock_address_format(text, sizeof text, &other), "unix:@x");
    assert_true(!other.local.sun_path[0] && other.local.sun_path[1] == 'x');
    assert_false(sock_address_equal(&address, &other));
    assert_true(sock_address_equal(&other, &other));
    assert_int_equal(sock_address_unix(&other, ""), -EINVAL);
    memset(longest, 'p', sizeof longest);
    longest[107] = '\0';
    assert_int_equal(sock_address_unix(&other, longest), 0);
    assert_int_equal(strlen(sock_address_format(text, sizeof text, &other)), 5 + 107);
    char too_long[109] = "";
    memset(too_long, 'p', 108);
    assert_int_equal(sock_address_unix(&other, too_long), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_read),
        cmocka_unit_test(bad_targets_are_explained),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(addresses_are_written_canonically),
        cmocka_unit_test(mapped_addresses_equal_what_they_stand_for),
        cmocka_unit_test(foreign_sockaddrs_are_checked),
        cmocka_unit_test(resolver_errors_are_told_apart),
        cmocka_unit_test(literals_resolve_to_themselves),
        cmocka_unit_test(unix_sockets_have_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
