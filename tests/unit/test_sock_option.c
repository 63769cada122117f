/* Socket options: names and text, without a kernel. */
#include "netkit/sock.h"

#include "base/cleanup.h"
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void names_are_forgiven(void **state)
{
    static const char *const cases[][2] = {{"TCP_NODELAY", "TCP_NODELAY"},
                                           {"tcp_nodelay", "TCP_NODELAY"},
                                           {"nodelay", "TCP_NODELAY"},
                                           {"No-Delay", NULL},
                                           {"linger", "SO_LINGER"},
                                           {"so-linger", "SO_LINGER"},
                                           {"tos", "IP_TOS"},
                                           {"v6only", "IPV6_V6ONLY"},
                                           {"mtu", "IP_MTU"},
                                           {"ipv6_mtu", "IPV6_MTU"},
                                           {"linger2", "TCP_LINGER2"},
                                           {"", NULL},
                                           {"TCP_", NULL},
                                           {"user_timeout", "TCP_USER_TIMEOUT"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct sock_option *option = sock_option_find(cases[i][0]);
        if (cases[i][1])
            assert_string_equal(option->name, cases[i][1]);
        else
            assert_null(option);
    }
}

static void rows_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < sock_option_count; i++) {
        const struct sock_option *row = &sock_options[i];
        assert_ptr_equal(sock_option_find(row->name), row);
        assert_true(row->meaning[0] && (row->readable || row->writable));
        for (size_t j = 0; j < i; j++)
            assert_false(row->level == sock_options[j].level &&
                         row->number == sock_options[j].number);
    }
}

static void values_are_read_and_written(void **state)
{
    static const struct {
        const char *name, *text;
        int rc;
        const char *shown;
    } cases[] = {
        {"TCP_NODELAY", "on", 0, "on"},
        {"TCP_NODELAY", "False", 0, "off"},
        {"TCP_NODELAY", "1", 0, "on"},
        {"TCP_NODELAY", "2", -EINVAL, NULL},
        {"TCP_NODELAY", "", -EINVAL, NULL},
        {"IP_TOS", "0x10", 0, "16"},
        {"IP_TOS", "0x", -EINVAL, NULL},
        {"IP_TOS", "0x1g", -EINVAL, NULL},
        {"IP_TOS", "0x1ffffffff", -ERANGE, NULL},
        {"IP_TOS", "99999999999", -ERANGE, NULL},
        {"SO_MARK", "4294967295", 0, "4294967295"},
        {"IPV6_UNICAST_HOPS", "-1", 0, "-1"},
        {"SO_RCVBUF", "64k", 0, "65536"},
        {"SO_RCVBUF", "4G", -ERANGE, NULL},
        {"TCP_KEEPIDLE", "2m", 0, "120s"},
        {"TCP_KEEPIDLE", "1.5s", -EINVAL, NULL},
        {"TCP_KEEPIDLE", "500ms", -EINVAL, NULL},
        {"TCP_LINGER2", "-1", 0, "-1"},
        {"TCP_USER_TIMEOUT", "500ms", 0, "500ms"},
        {"TCP_USER_TIMEOUT", "2", 0, "2s"},
        {"TCP_USER_TIMEOUT", "5us", -EINVAL, NULL},
        {"TCP_USER_TIMEOUT", "9999h", -ERANGE, NULL},
        {"SO_RCVTIMEO", "1.5ms", 0, "1500us"},
        {"SO_RCVTIMEO", "0", 0, "0"},
        {"SO_RCVTIMEO", "5ns", -EINVAL, NULL},
        {"SO_LINGER", "on,5s", 0, "on,5s"},
        {"SO_LINGER", "5s", 0, "on,5s"},
        {"SO_LINGER", "on,0", 0, "on,0"},
        {"SO_LINGER", "0", 0, "on,0"},
        {"SO_LINGER", "off", 0, "off"},
        {"SO_LINGER", "on", -EINVAL, NULL},
        {"SO_LINGER", "on,", -EINVAL, NULL},
        {"SO_LINGER", "maybe,5s", -EINVAL, NULL},
        {"SO_LINGER", "absolutely,5s", -EINVAL, NULL},
        {"SO_LINGER", "on,10ms", -EINVAL, NULL},
        {"SO_MAX_PACING_RATE", "1M", 0, "1048576"},
        {"SO_MAX_PACING_RATE", "unlimited", 0, "unlimited"},
        {"TCP_CONGESTION", "reno", 0, "reno"},
        {"SO_ERROR", "0", -EINVAL, NULL},
        {"SO_COOKIE", "1", -EINVAL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct sock_option *option = sock_option_find(cases[i].name);
        struct sock_option_value value;
        char text[SOCK_OPTION_TEXT_MAX];
        struct error error = {0};
        int rc = sock_option_parse(option, cases[i].text, &value, &error);
        if (rc != cases[i].rc)
            fail_msg("%s %s: %d, expected %d", cases[i].name, cases[i].text, rc, cases[i].rc);
        if (rc)
            assert_non_null(strstr(error.text, cases[i].name));
        else
            assert_string_equal(sock_option_format(text, sizeof text, option, &value),
                                cases[i].shown);
    }
}

static void complaints_say_the_form(void **state)
{
    struct error error;
    char text[8];
    (void)state;
    assert_int_equal(sock_option_set(-1, "SO_LINGER", "maybe", &error), -EINVAL);
    assert_string_equal(error.text,
                        "SO_LINGER takes off, or on with whole seconds such as on,5s, not 'maybe'");
    assert_int_equal(sock_option_set(-1, "TCP_NODELY", "on", &error), -EINVAL);
    assert_string_equal(error.text, "no socket option 'TCP_NODELY' (did you mean TCP_NODELAY?)");
    assert_int_equal(sock_option_set(-1, "no-dely", "on", &error), -EINVAL);
    assert_string_equal(error.text, "no socket option 'no-dely' (did you mean TCP_NODELAY?)");
    assert_int_equal(sock_option_get(-1, "xyzzy\n", text, sizeof text, &error), -EINVAL);
    assert_string_equal(error.text, "no socket option 'xyzzy\\n'");
    assert_int_equal(sock_option_set(-1, "nodelay", "on", &error), -EBADF);
}

static void methods_have_names(void **state)
{
    enum sock_connect_method method;
    (void)state;
    for (int i = 0; i < SOCK_CONNECT_METHOD_COUNT; i++) {
        assert_int_equal(sock_connect_methods[i].method, i);
        assert_int_equal(sock_connect_method_parse(&method, sock_connect_methods[i].name), 0);
        assert_int_equal(method, i);
    }
    assert_int_equal(sock_connect_method_parse(&method, "prayer"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_forgiven),          cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(values_are_read_and_written), cmocka_unit_test(complaints_say_the_form),
        cmocka_unit_test(methods_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
