/* URLs as targets. */
#include "probe/url.h"

#include "base/cleanup.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void urls_say_where_and_what(void **state)
{
    static const struct {
        const char *text;
        enum url_scheme scheme;
        const char *host;
        uint16_t port;
        const char *path;
    } cases[] = {
        {"http://h", URL_HTTP, "h", 80, NULL},
        {"https://h", URL_HTTPS, "h", 443, NULL},
        {"HTTP://h:8000/", URL_HTTP, "h", 8000, "/"},
        {"http://h/a/b?c=d", URL_HTTP, "h", 80, "/a/b?c=d"},
        {"http://h?c=d", URL_HTTP, "h", 80, "/?c=d"},
        {"http://h/?to=http://other/", URL_HTTP, "h", 80, "/?to=http://other/"},
        {"http://h/a@b", URL_HTTP, "h", 80, "/a@b"},
        {"https://[::1]/", URL_HTTPS, "::1", 443, "/"},
        {"https://[::1]:8443/x", URL_HTTPS, "::1", 8443, "/x"},
        {"http://[fe80::1%25lo]:81/", URL_HTTP, "fe80::1%lo", 81, "/"},
        {"http://[fe80::1%lo]/%25", URL_HTTP, "fe80::1%lo", 80, "/%25"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup(arena) struct arena arena = {0};
        struct error error = {0};
        struct url url;
        if (url_parse(&url, cases[i].text, &arena, &error))
            fail_msg("%s: %s", cases[i].text, error.text);
        assert_true(url_is(cases[i].text));
        assert_int_equal(url.scheme, cases[i].scheme);
        assert_string_equal(url.where.host, cases[i].host);
        assert_int_equal(url.where.port, cases[i].port);
        assert_int_equal(url.path == NULL, cases[i].path == NULL);
        if (url.path)
            assert_string_equal(url.path, cases[i].path);
    }
    assert_false(url_is("h:80"));
    assert_false(url_is("[::1]:80"));
}

static void bad_urls_are_refused(void **state)
{
    static const char *const cases[] = {
        "://h/",           "gopher://h/",    "http:://h/",        "http://",
        "http:///a",       "http://?a",      "http://h:",         "http://h:0/",
        "http://h:65536/", "http://h:http/", "http://h:-1/",      "http://u@h/",
        "http://u:p@h/",   "http://h/a b",   "http://h/\xc3\xa4", "http://h/\r\nA: b",
        "http://h/#a",     "http://[::1/",   "http://::1/",       "http://[h]/",
        "http://a\tb/"};
    char longer[4 * SOCK_HOST_MAX] = "http://";
    cleanup(arena) struct arena arena = {0};
    struct url url;
    (void)state;
    memset(longer + 7, 'a', sizeof longer - 8);
    assert_int_equal(url_parse(&url, longer, &arena, NULL), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (url_parse(&url, cases[i], &arena, NULL) != -EINVAL)
            fail_msg("%s", cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_say_where_and_what),
        cmocka_unit_test(bad_urls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
