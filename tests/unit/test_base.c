#include "base/buf.h"
#include "base/clock.h"
#include "base/input.h"
#include "base/names.h"
#include "base/stats.h"
#include "base/text.h"
#include "base/units.h"
#include "netkit/error.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void an_error_reads_from_the_outside_in(void **state)
{
    struct error error = {0};
    (void)state;
    assert_int_equal(error_sys(&error, EPERM, "veth %s", "pair"), -EPERM);
    assert_int_equal(error_add(&error, "cannot open the wire"), -EPERM);
    assert_string_equal(error.text, "cannot open the wire: veth pair: Operation not permitted");
    assert_int_equal(error_set(NULL, EIO, "nobody listens"), -EIO);
    assert_string_equal(error_name(ECONNREFUSED), "ECONNREFUSED");
    assert_string_equal(error_name(0), "E?");
    assert_string_equal(error_name(-ECONNREFUSED), "E?");
    assert_string_equal(error_name(INT_MAX), "E?");
}

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 32)
#define HAS_NAMES
#endif
#endif

static void signals_and_errors_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(signal_name(SIGKILL), "SIGKILL");
    assert_string_equal(signal_name(SIGSYS), "SIGSYS");
    assert_string_equal(signal_name(SIGRTMIN), "a real-time signal");
    assert_string_equal(signal_name(0), "a real-time signal");
    assert_string_equal(signal_name(-1), "a real-time signal");
#ifdef HAS_NAMES
    for (int code = 1; code < 200; code++) {
        const char *name = strerrorname_np(code);
        assert_string_equal(error_name(code), name ? name : "E?");
    }
    for (int number = 1; number < 32; number++) {
        const char *name = sigabbrev_np(number);
        if (name && strcmp(name, "STKFLT") != 0)
            assert_string_equal(signal_name(number) + 3, name);
    }
#endif
}

static void long_errors_are_cut(void **state)
{
    struct error error = {0};
    char big[2000];
    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    error_sys(&error, EIO, "%s", big);
    error_add(&error, "%s", big);
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
}

static void durations_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t ns;
    } cases[] = {
        {"40us", 0, 40000},
        {"5ms", 0, 5000000},
        {"2s", 0, 2 * NS_PER_SEC},
        {"1m", 0, 60000000000},
        {"0.5", 0, 500000000},
        {"1.5ms", 0, 1500000},
        {"0", 0, 0},
        {"", -EINVAL, 0},
        {"5 ms", -EINVAL, 0},
        {"-1s", -ERANGE, 0},
        {"inf", -EINVAL, 0},
        {"0x5", -EINVAL, 0},
        {"1e3", -EINVAL, 0},
        {"9999999999h", -ERANGE, 0},
        {".", -EINVAL, 0},
    };
    static const struct {
        int64_t ns;
        const char *text;
    } shown[] = {{999, "999 ns"},
                 {1000, "1.00 us"},
                 {85210, "85.2 us"},
                 {41300000, "41.3 ms"},
                 {999600000, "1.00 s"},
                 {924600000000, "15 min 25 s"},
                 {7200000000000, "2 h 0 min"},
                 {-5000000, "-5.00 ms"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t ns = 0;
        assert_int_equal(units_parse_duration(cases[i].text, &ns), cases[i].rc);
        assert_int_equal(ns, cases[i].ns);
    }
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
        char text[UNITS_TEXT_MAX];
        assert_string_equal(units_format_duration(text, sizeof text, shown[i].ns, "u"),
                            shown[i].text);
    }
}

static void sizes_and_numbers_are_read(void **state)
{
    int64_t value = 0;
    double real = 0;
    char text[UNITS_TEXT_MAX];
    (void)state;
    assert_int_equal(units_parse_size("64k", &value), 0);
    assert_int_equal(value, 65536);
    assert_int_equal(units_parse_size("1M", &value), 0);
    assert_int_equal(value, 1 << 20);
    assert_int_equal(units_parse_size("1Q", &value), -EINVAL);
    assert_int_equal(units_parse_integer("-12", &value), 0);
    assert_int_equal(value, -12);
    assert_int_equal(units_parse_integer("12x", &value), -EINVAL);
    assert_int_equal(units_parse_integer("99999999999999999999", &value), -ERANGE);
    assert_int_equal(units_parse_real("99.5", &real), 0);
    assert_true(real > 99.4 && real < 99.6);
    assert_int_equal(units_parse_real("nan", &real), -EINVAL);
    assert_string_equal(units_format_size(text, sizeof text, 65536), "64.0 KiB");
}

static void hostile_text_is_escaped(void **state)
{
    struct buf out = {0};
    (void)state;
    text_escape(&out, "a\n\x1b[31m\\\xc3\xa9\xff\x00", 12);
    assert_string_equal(buf_str(&out), "a\\n\\x1b[31m\\\\é\\xff\\x00");
    buf_reset(&out);
    text_escape(&out, "\xe2\x80\xae\xed\xa0\x80\xc2\x9b", 8);
    assert_string_equal(buf_str(&out), "\\xe2\\x80\\xae\\xed\\xa0\\x80\\xc2\\x9b");
    buf_reset(&out);
    text_escape(&out, "\xe2\x80\x8b\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbd", 12);
    assert_string_equal(buf_str(&out), "\\xe2\\x80\\x8b\\xef\\xbb\\xbf\\xef\\xbf\\xbe\xef\xbf\xbd");
    buf_free(&out);
}

/* Those that a terminal acts on, or does not show. */
static void unseen_characters_are_escaped(void **state)
{
    static const char *const unseen[] = {"\x1b",
                                         "\x7f",
                                         "\xc2\x80",
                                         "\xc2\x9b",
                                         "\xc2\xad",
                                         "\xcd\x8f",
                                         "\xd8\x9c",
                                         "\xdb\x9d",
                                         "\xe1\xa0\x8e",
                                         "\xe2\x80\x8f",
                                         "\xe2\x80\xa8",
                                         "\xe2\x80\xae",
                                         "\xe2\x81\xa0",
                                         "\xe2\x81\xaf",
                                         "\xe3\x85\xa4",
                                         "\xef\xb8\x8f",
                                         "\xef\xbf\xb9",
                                         "\xf0\x91\x82\xbd",
                                         "\xf0\x93\x90\xb0",
                                         "\xf3\xa0\x80\x81",
                                         "\xf3\xa0\x87\xaf"};
    static const char seen[] = "\xc2\xa0\xc3\xa9\xe2\x80\x93\xe2\x82\xac\xf0\x9f\x98\x80";
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(unseen); i++) {
        buf_reset(&out);
        text_escape(&out, unseen[i], strlen(unseen[i]));
        assert_int_equal(out.len_bytes, 4 * strlen(unseen[i]));
        buf_reset(&out);
        text_escape_message(&out, unseen[i]);
        assert_int_equal(out.len_bytes, 4 * strlen(unseen[i]));
    }
    buf_reset(&out);
    text_escape(&out, seen, strlen(seen));
    assert_string_equal(buf_str(&out), seen);
    buf_free(&out);
}

static void a_message_keeps_what_was_escaped_and_its_indented_lines(void **state)
{
    struct buf out = {0};
    (void)state;
    text_escape_message(&out, "line '\\x1b'\n  ^~\nnetkit: all is well\r\x1b[2J\n");
    assert_string_equal(buf_str(&out), "line '\\x1b'\n  ^~\\nnetkit: all is well\\x0d\\x1b[2J\\n");
    buf_free(&out);
}

static void escapes_are_read(void **state)
{
    static const char *const bad[] = {"\\", "\\x1", "\\xg0", "\\q", "\\400", "\\8"};
    struct buf out = {0};
    struct error error;
    (void)state;
    assert_int_equal(text_unescape(&out, "GET / HTTP/1.1\\r\\n\\x00\\101\\0", &error), 0);
    assert_int_equal(out.len_bytes, 19);
    assert_memory_equal(out.data, "GET / HTTP/1.1\r\n\0A", 19);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        buf_reset(&out);
        assert_int_equal(text_unescape(&out, bad[i], &error), -EINVAL);
        assert_true(error.text[0]);
    }
    buf_free(&out);
}

static void near_misses_are_found(void **state)
{
    static const char *const words[] = {"tcp-probe", "lab", "analyze", "doctor", NULL};
    (void)state;
    assert_string_equal(text_nearest("tcp-prbe", words), "tcp-probe");
    assert_string_equal(text_nearest("analyse", words), "analyze");
    assert_string_equal(text_nearest("lba", words), "lab");
    assert_null(text_nearest("x", words));
    assert_null(text_nearest("frobnicate", words));
}

static void a_buffer_keeps_its_cap(void **state)
{
    struct buf buf;
    (void)state;
    buf_init_cap(&buf, 4);
    buf_add_str(&buf, "abc");
    buf_add_str(&buf, "de");
    assert_true(buf.failed);
    assert_string_equal(buf_str(&buf), "abc");
    buf_add_str(&buf, "f");
    assert_string_equal(buf_str(&buf), "abc");
    buf_free(&buf);
}

struct basin {
    size_t bytes, room;
    char next; /* what comes is a, b, … in turns */
};

static bool take(void *context, const struct buf *piece)
{
    struct basin *basin = context;

    for (size_t i = 0; i < piece->len_bytes; i++) {
        assert_int_equal(piece->data[i], basin->next);
        basin->next = basin->next == 'z' ? 'a' : (char)(basin->next + 1);
    }
    basin->bytes += piece->len_bytes;
    return basin->bytes <= basin->room;
}

static void a_buffer_with_a_drain_stays_small(void **state)
{
    struct basin basin = {.room = SIZE_MAX, .next = 'a'};
    const struct buf_drain drain = {take, &basin};
    struct buf buf = {.drain = &drain};

    (void)state;
    for (int i = 0; i < 40000; i++) {
        buf_add_str(&buf, "abcdefghijklm");
        buf_printf(&buf, "%s", "nopqrstuvwxyz");
        assert_true(buf.len_bytes < BUF_DRAIN_BYTES);
    }
    buf_flush(&buf);
    assert_false(buf.failed);
    assert_int_equal(basin.bytes, 40000 * 26);
    basin.room = 0;
    buf_add_char(&buf, 'a');
    buf_flush(&buf);
    assert_true(buf.failed);
    buf_free(&buf);
}

static void clocks_convert(void **state)
{
    char text[CLOCK_TEXT_MAX];
    struct clock_pair a = clock_pair_now(), b = a;
    (void)state;
    assert_string_equal(clock_format(text, sizeof text, 1700000000123456789),
                        "2023-11-14T22:13:20.123456789Z");
    assert_true(clock_real_to_mono(a.real_ns + 5, a) == a.mono_ns + 5);
    b.mono_ns += NS_PER_SEC;
    b.real_ns += NS_PER_SEC;
    assert_false(clock_stepped(a, b, NS_PER_MS));
    b.real_ns -= NS_PER_SEC / 2;
    assert_true(clock_stepped(a, b, NS_PER_MS));
    assert_int_equal(clock_to_poll_ms(1), 1);
    assert_int_equal(clock_to_poll_ms(-1), -1);
    assert_int_equal(clock_to_timeval(1).tv_usec, 1);
}

static void samples_are_compared(void **state)
{
    int64_t slow[30], fast[30];
    (void)state;
    for (int i = 0; i < 30; i++) {
        slow[i] = 40000 + (i * 7919) % 500;
        fast[i] = 100 + (i * 104729) % 500;
    }
    fast[3] = 90000; /* one late wake-up changes nothing */
    struct stats_shift shift = stats_compare(slow, 30, fast, 30);
    assert_true(shift.p_value < 1e-6);
    assert_true(shift.shift_ns > 39000 && shift.shift_ns < 41000);
    assert_true(stats_compare(fast, 30, slow, 30).p_value > 0.99);
    shift = stats_compare(slow, 30, slow, 30);
    assert_true(shift.p_value > 0.3 && shift.shift_ns == 0);
    assert_true(stats_compare(slow, 0, slow, 30).p_value == 1);
    /* Mann-Whitney by hand: a = {3, 4}, b = {1, 2}: U = 4, z = (4 - 2 - 0.5) / sqrt(5 / 3). */
    shift = stats_compare((int64_t[]){3, 4}, 2, (int64_t[]){1, 2}, 2);
    assert_true(shift.p_value > 0.1226 && shift.p_value < 0.1229);
    assert_int_equal(shift.shift_ns, 2);
}

static void quantiles_are_nearest_rank(void **state)
{
    int64_t v[] = {5, 1, 4, 2, 3};
    (void)state;
    assert_int_equal(stats_median(v, 5), 3);
    stats_sort(v, 5);
    assert_int_equal(stats_quantile(v, 5, 0), 1);
    assert_int_equal(stats_quantile(v, 5, 0.9), 5);
    assert_int_equal(stats_quantile(v, 5, 0.2), 1);
    assert_int_equal(stats_median(v, 0), 0);
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void many_values_are_sorted_too(void **state)
{
    static int64_t values[5000], expected[5000];
    uint64_t seed = 1;
    (void)state;
    /* Of all sizes and both signs, then as durations are: alike but for the lower bytes. */
    for (int shift = 0; shift < 64; shift += 9) {
        for (size_t i = 0; i < 5000; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            values[i] = expected[i] = (int64_t)seed >> shift;
        }
        qsort(expected, 5000, sizeof expected[0], compare_numbers);
        stats_sort(values, 5000);
        assert_memory_equal(values, expected, sizeof values);
    }
}

static void a_file_is_read_up_to_a_cap(void **state)
{
    char path[] = "/tmp/netkit-file-XXXXXX";
    cleanup(buf) struct buf text = {0};
    cleanup(fd) int fd = mkstemp(path);
    struct error error;
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(input_read(&text, "--x", path, 9, &error), -EINVAL);
    assert_non_null(strstr(error.text, "empty"));
    buf_free(&text);
    assert_int_equal(write(fd, "a\0b\n", 4), 4);
    assert_int_equal(input_read(&text, "--x", path, 4, &error), 0);
    assert_int_equal(text.len_bytes, 4);
    assert_memory_equal(text.data, "a\0b\n", 4);
    buf_free(&text);
    assert_int_equal(input_read(&text, "--x", path, 3, &error), -EFBIG);
    buf_free(&text);
    assert_int_equal(input_read(&text, "--x", "/dev/zero", 5 << 20, &error), -EFBIG);
    assert_string_equal(error.text, "--x /dev/zero: more than 5 MiB");
    buf_free(&text);
    unlink(path);
    assert_int_equal(input_read(&text, "--x", path, 9, &error), -ENOENT);
    assert_int_equal(input_read(&text, "--x", "/", 9, &error), -EISDIR);
}

static void text_has_no_mark_and_no_zero_byte(void **state)
{
    char path[] = "/tmp/netkit-file-XXXXXX";
    cleanup(buf) struct buf text = {0};
    cleanup(fd) int fd = mkstemp(path);
    struct error error;
    (void)state;
    assert_int_equal(write(fd,
                           "\xef\xbb\xbf"
                           "a\nb",
                           6),
                     6);
    assert_int_equal(input_read_text(&text, "--x", path, 99, &error), 0);
    assert_string_equal(buf_str(&text), "a\nb");
    assert_int_equal(text.len_bytes, 3);
    buf_free(&text);
    assert_int_equal(write(fd, "\nc\0\n", 4), 4);
    assert_int_equal(input_read_text(&text, "--x", path, 99, &error), -EINVAL);
    assert_non_null(strstr(error.text, ":3: contains a zero byte"));
    unlink(path);
}

/* Nobody ever writes to it. */
static void a_fifo_is_waited_for_until_the_deadline(void **state)
{
    char folder[] = "/tmp/netkit-fifo-XXXXXX", path[64];
    cleanup(buf) struct buf text = {0};
    struct error error;
    volatile sig_atomic_t stop = 1;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    input_wait_until(clock_mono_ns() + 20 * NS_PER_MS);
    assert_int_equal(input_read(&text, "--x", path, 9, &error), -ETIMEDOUT);
    assert_non_null(strstr(error.text, "--timeout"));
    input_wait_until(INT64_MAX);
    input_stop_at(&stop);
    assert_int_equal(input_read(&text, "--x", path, 9, &error), -EINTR);
    input_stop_at(NULL);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_up_to_a_cap),
        cmocka_unit_test(text_has_no_mark_and_no_zero_byte),
        cmocka_unit_test(a_fifo_is_waited_for_until_the_deadline),
        cmocka_unit_test(an_error_reads_from_the_outside_in),
        cmocka_unit_test(signals_and_errors_have_their_names),
        cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(durations_are_read_and_written),
        cmocka_unit_test(sizes_and_numbers_are_read),
        cmocka_unit_test(hostile_text_is_escaped),
        cmocka_unit_test(unseen_characters_are_escaped),
        cmocka_unit_test(a_message_keeps_what_was_escaped_and_its_indented_lines),
        cmocka_unit_test(escapes_are_read),
        cmocka_unit_test(near_misses_are_found),
        cmocka_unit_test(a_buffer_keeps_its_cap),
        cmocka_unit_test(a_buffer_with_a_drain_stays_small),
        cmocka_unit_test(clocks_convert),
        cmocka_unit_test(samples_are_compared),
        cmocka_unit_test(quantiles_are_nearest_rank),
        cmocka_unit_test(many_values_are_sorted_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
