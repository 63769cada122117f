/* When is a response complete: the readers of --until, fed whole, byte by byte and in random
 * pieces. However it is cut, the end must be the same. */
#include "base/cleanup.h"
#include "framing_feed.h"
#include <errno.h>

static void a_redis_reply_has_a_type_and_a_length(void **state)
{
    (void)state;
    succeeds("redis", "+PONG\r\n", 0);
    succeeds("redis", ":12\r\n", 0);
    succeeds("redis", "$5\r\na\r\nbc\r\n", 0);
    succeeds("redis", "$-1\r\n", 0);
    succeeds("redis", "$0\r\n\r\n", 0);
    succeeds("redis", "*-1\r\n", 0);
    succeeds("redis", "*0\r\n", 0);
    succeeds("redis", "*2\r\n$1\r\nx\r\n*2\r\n:1\r\n-no\r\n", 0);
    succeeds("redis", "%1\r\n+a\r\n~2\r\n#t\r\n_\r\n", 0);
    fails("redis", "-NOAUTH Authentication required.\r\n", 0, "-NOAUTH Authentication required.");
    check("redis", "HTTP/1.1 400 Bad Request\r\n", -EPROTO, 1);
    check("redis", "$5x\r\n", -EPROTO, 5);
    check("redis", "$99999999999999999999\r\n", -EPROTO, 23);
    check("redis", "*3\r\n:1\r\n:2\r\n", 0, 12);
}

static void memcached_answers_in_lines(void **state)
{
    (void)state;
    succeeds("memcached", "VERSION 1.6.18\r\n", 0);
    succeeds("memcached", "VALUE k 0 5\r\nhello\r\nEND\r\n", 0);
    succeeds("memcached", "STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n", 0);
    succeeds("memcached", "42\r\n", 0);
    succeeds("memcached", "9  \r\n", 0);
    check("memcached", "554 go away\r\n", -EPROTO, 13);
    check("memcached", "220-hello\r\n", -EPROTO, 11);
    fails("memcached", "ERROR\r\n", 0, "ERROR");
    fails("memcached", "SERVER_ERROR out of memory\r\n", 0, "SERVER_ERROR out of memory");
    check("memcached", "-ERR unknown command\r\n", -EPROTO, 22);
}

static void answers_say_whether_they_are_a_success(void **state)
{
    (void)state;
    succeeds("reply", "250-a\r\n250 b\r\n", 250);
    fails("reply", "530 5.7.0 log in\r\n", 530, "530 5.7.0 log in");
    succeeds("http", "HTTP/1.1 204 No Content\r\n\r\n", 204);
    succeeds("http", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302);
    fails("http", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404, "404 Not Found");
    /* The interim answer is not the answer. */
    fails("http", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", 500,
          "");
    assert_false(judged("line", "500\n").known);
}

static void the_answer_to_head_ends_at_its_header(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
    static struct framing_reader reader;
    const struct framing framing = {.kind = FRAMING_HTTP, .no_body = true};
    (void)state;
    for (size_t largest = 0; largest < 12; largest++) {
        struct end end = feed(&framing, text, sizeof text - 1, largest, 3, &reader);
        assert_int_equal(end.rc, 1);
        assert_int_equal(end.used, sizeof text - 1);
    }
}

static void bytes_are_counted(void **state)
{
    (void)state;
    completes("bytes:1", "x");
    completes("bytes:9", "123456789");
    check_all("bytes:4", "\0\0\0\0\0", 5, 1, 4);
}

static void a_line_ends_with_its_newline(void **state)
{
    (void)state;
    completes("line", "+PONG\r\n");
    completes("line", "\n");
    check_all("line", "a\0b\nc", 5, 1, 4);
}

static void text_is_found_across_pieces_and_false_starts(void **state)
{
    (void)state;
    completes("text:END", "abcEND");
    completes("text:END", "ENEND");
    completes("text:aabaaac", "aabaabaaabaaac");
    completes("text:abababc", "abababababc");
    completes("text:\\r\\n.\\r\\n", "line\r\n..\r\n.\r.\r\n.\r\n");
    check_all("text:\\x00\\x01", "\0\0\1z", 4, 1, 3);
    check("text:END", "EN D END", 1, 8);
    check("text:END", "EN D EN?", 0, 8);
}

/* Against strstr, for texts over two letters: there false starts are everywhere. */
static void text_agrees_with_a_naive_search(void **state)
{
    static struct framing_reader reader;
    uint32_t seed = 42;
    (void)state;
    for (int i = 0; i < 4000; i++) {
        struct framing framing = {.kind = FRAMING_TEXT, .text_bytes = 1 + chance(&seed) % 7};
        char hay[65] = {0};
        for (size_t k = 0; k < framing.text_bytes; k++)
            framing.text[k] = "ab"[chance(&seed) % 2];
        for (size_t k = 0; k < sizeof hay - 1; k++)
            hay[k] = "ab"[chance(&seed) % 2];
        char needle[8] = {0};
        memcpy(needle, framing.text, framing.text_bytes);
        const char *found = strstr(hay, needle);
        struct end end = feed(&framing, hay, sizeof hay - 1, 1 + i % 9, seed, &reader);
        assert_int_equal(end.rc, found != NULL);
        assert_int_equal(end.used,
                         found ? (size_t)(found - hay) + framing.text_bytes : sizeof hay - 1);
    }
}

static void feeding_on_after_the_end_is_harmless(void **state)
{
    static struct framing_reader reader;
    struct framing framing = {.kind = FRAMING_TEXT, .text_bytes = FRAMING_TEXT_MAX};
    char text[FRAMING_TEXT_MAX];
    size_t used;
    (void)state;
    memset(framing.text, 'a', sizeof framing.text);
    memset(text, 'a', sizeof text);
    framing_begin(&reader, &framing);
    assert_int_equal(framing_feed(&reader, text, sizeof text, &used, NULL), 1);
    assert_int_equal(framing_feed(&reader, "a", 1, &used, NULL), 1);
    assert_int_equal(framing_feed(&reader, "b", 1, &used, NULL), 0);
    assert_int_equal(framing_feed(&reader, text, sizeof text, &used, NULL), 1);
}

static void replies_go_on_while_a_hyphen_says_so(void **state)
{
    (void)state;
    completes("reply", "220 ready\r\n");
    completes("reply", "250-one\r\n250-two\r\n250 three\r\n");
    completes("reply", "250\r\n");
    completes("reply", "250\n");
    completes("reply", "250-a\n250\n");
    check("reply", "hello there\r\n", -EPROTO, 13);
    check("reply", "25\r\n", -EPROTO, 4);
    check("reply", "2500\r\n", -EPROTO, 6);
    completes("reply", "211-Features:\r\n EPRT\r\n\r\nSTAT 1\r\n211 End\r\n");
    check_all("reply", "2\0000 x\n", 6, -EPROTO, 6);
}

static void a_reply_that_was_cut_off_leaves_nothing_behind(void **state)
{
    static struct framing_reader reader;
    struct framing framing = {.kind = FRAMING_REPLY};
    size_t used;
    (void)state;
    framing_begin(&reader, &framing);
    assert_int_equal(framing_feed(&reader, "250-", 4, &used, NULL), 0);
    framing_begin(&reader, &framing);
    assert_int_equal(framing_feed(&reader, "250\n", 4, &used, NULL), 1);
}

static void close_and_idle_never_end_by_bytes(void **state)
{
    static struct framing_reader reader;
    struct framing framing;
    (void)state;
    check("close", "anything\n", 0, 9);
    check("idle:20ms", "anything\n", 0, 9);
    assert_int_equal(framing_parse("idle:20ms", &framing, NULL), 0);
    assert_true(framing.idle_ns == 20000000);
    framing_begin(&reader, &framing);
    assert_int_equal(framing_closed(&reader), 0);
    feed(&framing, "x", 1, 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 1);
    assert_int_equal(framing_parse("close", &framing, NULL), 0);
    framing_begin(&reader, &framing);
    assert_int_equal(framing_closed(&reader), 1);
    assert_int_equal(framing_parse("line", &framing, NULL), 0);
    feed(&framing, "half a li", 9, 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 0);
}

/* ---- HTTP ---- */

static void http_by_length(void **state)
{
    (void)state;
    completes("http", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    completes("http", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    completes("http", "HTTP/1.0 404 \r\ncontent-length:3\t \r\nX: y\r\n\r\nabc");
    completes("http", "HTTP/1.1 200\nCONTENT-LENGTH: 2\n\nab");
    completes("http", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n\r\n\r\n");
    /* The body may look like anything. */
    completes("http", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 ");
}

/* Header lines that say who answers, and through whom. */
static void http_names_itself(void **state)
{
    static const struct {
        const char *headers, *server, *proxy;
    } cases[] = {
        {"", "", ""},
        {"Server: nginx\r\nVia: 1.1 varnish\r\n", "Server: nginx", "Via: 1.1 varnish"},
        {"X-Cache: HIT\r\nVIA: b\r\nserver:a\r\nServer: c\r\n", "server:a", "X-Cache: HIT"},
        {"X-Server: a\r\nServers: b\r\nViaduct: c\r\n", "", ""},
        {"Server: 0123456789012345678901234567890123456789012345678901234567890\r\n",
         "Server: 0123456789012345678901234567890123456789012345678901234", ""},
    };
    struct framing framing;
    struct framing_reader reader;
    struct error error = {0};
    char text[256];
    (void)state;
    assert_int_equal(framing_parse("http", &framing, &error), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t used;
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n",
                 cases[i].headers);
        framing_begin(&reader, &framing);
        assert_int_equal(framing_feed(&reader, text, strlen(text), &used, &error), 1);
        assert_string_equal(framing_http_of(&reader)->server, cases[i].server);
        assert_string_equal(framing_http_of(&reader)->proxy, cases[i].proxy);
    }
    assert_int_equal(framing_parse("line", &framing, &error), 0);
    framing_begin(&reader, &framing);
    assert_null(framing_http_of(&reader));
}

static void http_by_chunks(void **state)
{
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    (void)state;
    completes("http", CHUNKED "5\r\nhello\r\n0\r\n\r\n");
    completes("http", CHUNKED "0\r\n\r\n");
    completes("http", CHUNKED "A;name=\"v\"\r\n0123456789\r\n000\r\nTrailer: x\r\nMore: y\r\n\r\n");
    completes("http", CHUNKED "1\r\na\r\n1 \r\nb\r\n2\t;x\r\n\r\n\r\n0\r\n\r\n");
    completes("http", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: "
                      "99\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    check("http", CHUNKED "x\r\n", -EPROTO, strlen(CHUNKED) + 3);
    check("http", CHUNKED "\r\n", -EPROTO, strlen(CHUNKED) + 2);
    check("http", CHUNKED "-1\r\n", -EPROTO, strlen(CHUNKED) + 4);
    check("http", CHUNKED "1\r\nab\r\n", -EPROTO, strlen(CHUNKED) + 7);
    check("http", CHUNKED "ffffffffffffffff1\r\n", -EPROTO, strlen(CHUNKED) + 19);
    check("http", CHUNKED "ffffffffffffffff\r\nabc", 0, strlen(CHUNKED) + 21);
}

/* The reader keeps 512 bytes of a line. A size whose digits go on behind that is not understood;
 * an extension of any length is. */
static void a_chunk_size_is_never_half_a_number(void **state)
{
    cleanup(mem) char *text = calloc(1, 4096);
    size_t head = strlen(CHUNKED);
    (void)state;
    assert_non_null(text);
    memcpy(text, CHUNKED, head);
    memset(text + head, '0', 600);
    strcpy(text + head + 600, "3\r\nabc\r\n0\r\n\r\n");
    check("http", text, -EPROTO, head + 603);
    memset(text + head, 'e', 600);
    memcpy(text + head, "3;", 2);
    strcpy(text + head + 600, "\r\nabc\r\n0\r\n\r\n");
    check("http", text, 1, strlen(text));
}

static void http_interim_and_bodyless(void **state)
{
    (void)state;
    completes("http", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    completes("http", "HTTP/1.1 204 No Content\r\n\r\n");
    completes("http", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n");
    completes("http", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    /* An interim response's headers are not the real one's. */
    completes("http", "HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
}

static void http_until_close(void **state)
{
    static struct framing_reader reader;
    struct framing framing = {.kind = FRAMING_HTTP};
    const char *text = "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nall that comes";
    (void)state;
    check("http", text, 0, strlen(text));
    feed(&framing, text, strlen(text), 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 1);
    assert_true(reader.http.close);
    feed(&framing, text, 20, 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 0);
    feed(&framing, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 42, 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 0);
    feed(&framing, CHUNKED "3\r\nabc\r\n", strlen(CHUNKED) + 8, 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 0);
}

static bool closes(const char *text)
{
    static struct framing_reader reader;
    struct framing framing = {.kind = FRAMING_HTTP};
    assert_int_equal(feed(&framing, text, strlen(text), 3, 5, &reader).rc, 1);
    return reader.http.close;
}

static void http_says_whether_it_will_close(void **state)
{
#define EMPTY "Content-Length: 0\r\n\r\n"
    (void)state;
    assert_false(closes("HTTP/1.1 200 OK\r\n" EMPTY));
    assert_true(closes("HTTP/1.1 200 OK\r\nConnection: close\r\n" EMPTY));
    assert_true(closes("HTTP/1.1 200 OK\r\nconnection: upgrade ,\tClose\r\n" EMPTY));
    assert_false(closes("HTTP/1.1 200 OK\r\nConnection: closed\r\n" EMPTY));
    assert_true(closes("HTTP/1.0 200 OK\r\n" EMPTY));
    assert_false(closes("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" EMPTY));
}

static void http_folded_headers_are_read_over(void **state)
{
    (void)state;
    completes("http", "HTTP/1.1 200 OK\r\nX: a\r\n  folded on\r\n\tand on: 1\r\n" EMPTY);
    /* A folded line is no header of its own. */
    completes("http", "HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 77\r\n" EMPTY);
}

static void http_refuses_what_is_not_http(void **state)
{
    (void)state;
    check("http", "SSH-2.0-OpenSSH\r\n", -EPROTO, 1);
    check("http", "HTTQ/1.1 200 OK\r\n", -EPROTO, 4);
    check("http", "HTTP/2 200\r\n", -EPROTO, 12);
    check("http", "HTTP/1.1 20 OK\r\n", -EPROTO, 16);
    check("http", "HTTP/1.1 2000\r\n", -EPROTO, 15);
    check("http", "\r\nHTTP/1.1 200 OK\r\n", -EPROTO, 1);
#define OK "HTTP/1.1 200 OK\r\n"
    check("http", OK "no colon here\r\n", -EPROTO, strlen(OK) + 15);
    check("http", OK "Content-Length: 1\r\nContent-Length: 2\r\n", -EPROTO, strlen(OK) + 38);
    check("http", OK "Content-Length: -1\r\n", -EPROTO, strlen(OK) + 20);
    check("http", OK "Content-Length: 1x\r\n", -EPROTO, strlen(OK) + 20);
    check("http", OK "Content-Length: \r\n", -EPROTO, strlen(OK) + 18);
    check("http", OK "Content-Length: 99999999999999999999\r\n", -EPROTO, strlen(OK) + 38);
    check_all("http", OK "a\0: b\r\n", strlen(OK) + 7, -EPROTO, strlen(OK) + 7);
}

static void http_headers_have_a_bound(void **state)
{
    static struct framing_reader reader;
    struct framing framing = {.kind = FRAMING_HTTP};
    size_t size = HTTP_HEADER_MAX + 1000;
    cleanup(mem) char *text = malloc(size);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, OK "X: ", strlen(OK) + 3);
    struct end end = feed(&framing, text, size, 0, 1, &reader);
    assert_int_equal(end.rc, -EPROTO);
    assert_int_equal(end.used, HTTP_HEADER_MAX + 1);
    /* Interim responses without end, too. */
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    for (size_t at = 0; at < size; at++)
        text[at] = interim[at % (sizeof interim - 1)];
    end = feed(&framing, text, size, 0, 1, &reader);
    assert_int_equal(end.rc, -EPROTO);
    assert_int_equal(end.used, HTTP_HEADER_MAX + 1);
    /* A long line is skipped, unless it is one that must be understood. */
    memset(text, 'x', size);
    memcpy(text, OK "X: ", strlen(OK) + 3);
    strcpy(text + 3000, "\r\n" EMPTY);
    end = feed(&framing, text, strlen(text), 7, 1, &reader);
    assert_int_equal(end.rc, 1);
    memset(text, ' ', 3000);
    memcpy(text, OK "Content-Length: ", strlen(OK) + 16);
    strcpy(text + 3000, "5\r\n\r\nhello");
    assert_int_equal(feed(&framing, text, strlen(text), 7, 1, &reader).rc, -EPROTO);
    memcpy(text, OK "Transfer-Encoding: ", strlen(OK) + 19);
    strcpy(text + 3000, "chunked\r\n\r\n0\r\n\r\n");
    assert_int_equal(feed(&framing, text, strlen(text), 7, 1, &reader).rc, -EPROTO);
}

static void descriptions_fit_their_buffer(void **state)
{
    struct framing framing = {.kind = FRAMING_TEXT, .text_bytes = FRAMING_TEXT_MAX};
    char text[FRAMING_TEXT_MAX * 4 + 64], small[8];
    (void)state;
    memset(framing.text, '\1', sizeof framing.text);
    assert_ptr_equal(framing_describe(text, sizeof text, &framing), text);
    assert_true(strlen(text) < sizeof text - 1);
    assert_int_equal(text[strlen(text) - 1], '"');
    framing_describe(small, sizeof small, &framing);
    assert_int_equal(strlen(small), sizeof small - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redis_reply_has_a_type_and_a_length),
        cmocka_unit_test(memcached_answers_in_lines),
        cmocka_unit_test(answers_say_whether_they_are_a_success),
        cmocka_unit_test(the_answer_to_head_ends_at_its_header),
        cmocka_unit_test(bytes_are_counted),
        cmocka_unit_test(a_line_ends_with_its_newline),
        cmocka_unit_test(text_is_found_across_pieces_and_false_starts),
        cmocka_unit_test(text_agrees_with_a_naive_search),
        cmocka_unit_test(feeding_on_after_the_end_is_harmless),
        cmocka_unit_test(replies_go_on_while_a_hyphen_says_so),
        cmocka_unit_test(a_reply_that_was_cut_off_leaves_nothing_behind),
        cmocka_unit_test(close_and_idle_never_end_by_bytes),
        cmocka_unit_test(http_by_length),
        cmocka_unit_test(http_names_itself),
        cmocka_unit_test(http_by_chunks),
        cmocka_unit_test(a_chunk_size_is_never_half_a_number),
        cmocka_unit_test(http_interim_and_bodyless),
        cmocka_unit_test(http_until_close),
        cmocka_unit_test(http_says_whether_it_will_close),
        cmocka_unit_test(http_folded_headers_are_read_over),
        cmocka_unit_test(http_refuses_what_is_not_http),
        cmocka_unit_test(http_headers_have_a_bound),
        cmocka_unit_test(descriptions_fit_their_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
