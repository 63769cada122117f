/* The presets: what is said, and that what --until they bring is understood. */
#include "probe/framing.h"
#include "probe/preset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_preset_is_whole(void **state)
{
    (void)state;
    for (int i = 0; i < PRESETS; i++) {
        const struct preset *preset = preset_at((enum preset_id)i);
        cleanup(buf) struct buf request = {0};
        size_t body_at = SIZE_MAX;
        struct framing framing;
        assert_true(preset->name[0] && preset->help[0]);
        assert_true(preset_talks(preset) == (i != PRESET_CONNECT));
        assert_true(preset->ports[0] || !preset_talks(preset));
        assert_int_equal(framing_parse(preset->framing, &framing, NULL), 0);
        preset_request(&request, preset, &(struct preset_ask){.path = "/", .host = "h"}, &body_at);
        assert_true((request.len_bytes > 0) == (i != PRESET_CONNECT && !preset->greets));
        assert_int_equal(body_at, request.len_bytes);
        assert_true(!preset->starttls || preset->preamble);
    }
}

static void http_asks_as_it_is_told(void **state)
{
    const struct preset_ask ask = {.path = "/a?b=c", .host = "[::1]:8080"};
    cleanup(buf) struct buf request = {0};
    size_t body_at;
    (void)state;
    preset_request(&request, preset_at(PRESET_HTTP), &ask, &body_at);
    assert_memory_equal(request.data, "GET /a?b=c HTTP/1.1\r\nHost: [::1]:8080\r\n", 39);
    assert_string_equal(request.data + request.len_bytes - 4, "\r\n\r\n");
}

static void assert_request(const struct preset_ask *ask, const char *expected, size_t body_bytes)
{
    cleanup(buf) struct buf request = {0};
    size_t body_at;

    preset_request(&request, preset_at(PRESET_HTTP), ask, &body_at);
    assert_string_equal(buf_str(&request), expected);
    assert_int_equal(request.len_bytes - body_at, body_bytes);
}

static void http_headers_are_replaced_left_out_and_added(void **state)
{
    const char *const headers[] = {"accept: text/html", "User-Agent:", "Host:   other",
                                   "X-Empty;",          "X-Twice: 1",  "X-Twice: 2"};
    (void)state;
    assert_request(&(struct preset_ask){.path = "/",
                                        .host = "h",
                                        .method = "PATCH",
                                        .headers = headers,
                                        .header_count = sizeof headers / sizeof *headers},
                   "PATCH / HTTP/1.1\r\nContent-Length: 0\r\naccept: text/html\r\nHost: other\r\n"
                   "X-Empty:\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n",
                   0);
}

static void http_data_is_a_post_with_its_length(void **state)
{
    static const char *const typed[] = {"Content-Type: text/plain"};
    struct preset_ask ask = {.path = "/", .host = "h", .data = "a=b", .data_bytes = 3};
    (void)state;
    assert_request(&ask,
                   "POST / HTTP/1.1\r\nHost: h\r\nUser-Agent: netkit\r\nAccept: */*\r\n"
                   "Content-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
                   "a=b",
                   3);
    ask.method = "PUT";
    ask.headers = typed;
    ask.header_count = 1;
    assert_request(&ask,
                   "PUT / HTTP/1.1\r\nHost: h\r\nUser-Agent: netkit\r\nAccept: */*\r\n"
                   "Content-Length: 3\r\nContent-Type: text/plain\r\n\r\na=b",
                   3);
}

static void each_port_belongs_to_one_preset(void **state)
{
    (void)state;
    for (int i = 0; i < PRESETS; i++) {
        const struct preset *preset = preset_at((enum preset_id)i);
        for (size_t k = 0; k < PRESET_PORTS_MAX && preset->ports[k]; k++) {
            assert_int_equal(preset_by_port(preset->ports[k], false), i);
            assert_int_equal(preset_by_port(preset->ports[k], true), i);
        }
        for (size_t k = 0; k < PRESET_PORTS_MAX && preset->tls_ports[k]; k++)
            assert_int_equal(preset_by_port(preset->tls_ports[k], true), i);
    }
}

static void ports_have_their_usual_preset(void **state)
{
    (void)state;
    assert_int_equal(preset_by_port(80, false), PRESET_HTTP);
    assert_int_equal(preset_by_port(8000, false), PRESET_HTTP);
    assert_int_equal(preset_by_port(6379, false), PRESET_REDIS);
    assert_int_equal(preset_by_port(11211, false), PRESET_MEMCACHED);
    assert_int_equal(preset_by_port(25, false), PRESET_SMTP);
    assert_int_equal(preset_by_port(7, false), PRESET_ECHO);
    assert_int_equal(preset_by_port(143, false), PRESET_IMAP);
    assert_int_equal(preset_by_port(993, true), PRESET_IMAP);
    assert_int_equal(preset_by_port(995, true), PRESET_POP3);
    assert_int_equal(preset_by_port(21, false), PRESET_FTP);
    assert_int_equal(preset_by_port(22, false), PRESET_SSH);
    assert_int_equal(preset_by_port(853, true), PRESET_DNS);
    assert_int_equal(preset_by_port(443, false), PRESET_CONNECT);
    assert_int_equal(preset_by_port(0, false), PRESET_CONNECT);
    assert_int_equal(preset_by_port(80, true), PRESET_HTTP);
    assert_int_equal(preset_by_port(443, true), PRESET_HTTP);
    assert_int_equal(preset_by_port(8443, true), PRESET_HTTP);
    assert_int_equal(preset_by_port(465, true), PRESET_SMTP);
    assert_int_equal(preset_by_port(465, false), PRESET_CONNECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_is_whole),
        cmocka_unit_test(http_asks_as_it_is_told),
        cmocka_unit_test(http_headers_are_replaced_left_out_and_added),
        cmocka_unit_test(http_data_is_a_post_with_its_length),
        cmocka_unit_test(each_port_belongs_to_one_preset),
        cmocka_unit_test(ports_have_their_usual_preset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
