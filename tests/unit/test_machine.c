/* What a machine's files mean: arbitrary text in, lines of doctor out. */
#include "base/buf.h"
#include "base/clock.h"
#include "diagnosis/counters.h"
#include "diagnosis/machine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- counters ---- */

static const char netstat[] = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\n"
                              "TcpExt: 1390 7 19\n"
                              "IpExt: InNoRoutes ListenDrops\n"
                              "IpExt: 3 4\n";

static void assert_counter(const char *text, const char *group, const char *name, uint64_t wanted)
{
    uint64_t value = 0;
    assert_true(counters_find(text, group, name, &value));
    assert_true(value == wanted);
}

static void a_counter_is_found_by_group_and_name(void **state)
{
    (void)state;
    assert_counter(netstat, "TcpExt", "SyncookiesSent", 1390);
    assert_counter(netstat, "TcpExt", "ListenDrops", 19);
    assert_counter(netstat, "IpExt", "ListenDrops", 4);
    assert_counter("Tcp: MaxConn RetransSegs\nTcp: -1 12", "Tcp", "RetransSegs", 12);
    assert_counter("Tcp: A\nTcp: 18446744073709551615\n", "Tcp", "A", UINT64_MAX);
    /* Icmp and IcmpMsg have pairs of their own. */
    assert_counter("Icmp: A\nIcmp: 1\nIcmpMsg: A\nIcmpMsg: 2\n", "IcmpMsg", "A", 2);
}

static void what_is_no_counter_is_not_found(void **state)
{
    static const struct {
        const char *text, *name;
    } texts[] = {
        {"", "A"},
        {"\n\n\n", "A"},
        {"Tcp:", "A"},
        {"Tcp: A", "A"}, /* no values */
        {"Tcp: A\n", "A"},
        {"Tcp: A B\nTcp: 1\n", "B"}, /* fewer values than names */
        {"Tcp: A B\nTcp:\n", "A"},
        {"Tcp: A\nTcp: -1\n", "A"}, /* no unsigned number */
        {"Tcp: A\nTcp: 12x\n", "A"},
        {"Tcp: A\nTcp: 18446744073709551616\n", "A"},
        {"Tcp: A\nUdp: 1\n", "A"}, /* the pair is broken */
        {"Tcp: A\nUdp: B\nTcp: 1\n", "A"},
        {"Tcp: AB\nTcp: 1\n", "A"}, /* only the start of a name */
        {"Tcp: A\nTcp: 1\n", "AB"},
        {"TcpExt: A\nTcpExt: 1\n", "A"}, /* only the start of a group */
        {"Tcp: A\nTcp: \xff\xfe\x01\n", "A"},
        {"Tcp: 1\nTcp: 1\n", "A"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        uint64_t value = 42;
        if (counters_find(texts[i].text, "Tcp", texts[i].name, &value))
            fail_msg("'%s' has a counter %s", texts[i].text, texts[i].name);
        assert_int_equal(value, 42);
    }
}

/* Every prefix of real text, and the text with every byte damaged: sanitizers watch. */
static void damaged_counters_harm_nobody(void **state)
{
    char copy[sizeof netstat];
    uint64_t value;

    (void)state;
    for (size_t len = 0; len < sizeof netstat; len++) {
        char *exact = strndup(netstat, len);
        counters_find(exact, "TcpExt", "ListenDrops", &value);
        free(exact);
    }
    for (size_t i = 0; i < sizeof netstat - 1; i++)
        for (int byte = 1; byte < 256; byte += 3) {
            memcpy(copy, netstat, sizeof copy);
            copy[i] = (char)byte;
            counters_find(copy, "TcpExt", "ListenDrops", &value);
        }
}

/* ---- values ---- */

static void values_are_numbers_and_text(void **state)
{
    struct machine_value value;

    (void)state;
    machine_value_read(&value, "4096\t131072\t33554432\n");
    assert_true(value.known);
    assert_int_equal(value.count, 3);
    assert_int_equal(value.numbers[2], 33554432);
    assert_string_equal(value.text, "4096 131072 33554432");
    machine_value_read(&value, "reno cubic\n");
    assert_int_equal(value.count, 0);
    assert_string_equal(value.text, "reno cubic");
    machine_value_read(&value, "1 2 3 4\nsecond line");
    assert_int_equal(value.count, 3);
    assert_string_equal(value.text, "1 2 3 4");
    machine_value_read(&value, "7 up 8");
    assert_int_equal(value.count, 1);
    machine_value_read(&value, "99999999999999999999999");
    assert_true(value.known);
    assert_int_equal(value.count, 0);
    machine_value_read(&value, " \t\n");
    assert_false(value.known);
    machine_value_read(&value, "");
    assert_false(value.known);
}

static void long_values_are_cut(void **state)
{
    struct machine_value value;
    char text[1000];

    (void)state;
    for (size_t len = 0; len < sizeof text; len++) {
        memset(text, len % 7 ? '9' : ' ', sizeof text);
        text[len] = '\0';
        machine_value_read(&value, text);
        assert_true(strlen(value.text) < MACHINE_TEXT_MAX);
        assert_true(value.count <= MACHINE_NUMBERS);
    }
}

/* ---- a machine ---- */

static void set(struct machine *machine, const char *name, const char *text)
{
    const char *path;

    for (size_t i = 0; (path = machine_setting_path(i)); i++)
        if (!strcmp(strrchr(path, '/') + 1, name)) {
            machine_value_read(&machine->settings[i], text);
            return;
        }
    fail_msg("there is no setting %s", name);
}

static const struct result_machine *line_of(const struct report *report, const char *check)
{
    for (size_t i = 0; i < report->result_count; i++)
        if (!strcmp(report->results[i]->machine.check, check))
            return &report->results[i]->machine;
    return NULL;
}

static void assert_line(const struct machine *machine, const char *check, enum result_health health,
                        const char *means)
{
    struct report report = {0};

    machine_examine(machine, &report);
    const struct result_machine *line = line_of(&report, check);
    if (!line)
        fail_msg("%s is not there", check);
    else if (!strstr(line->meaning, means))
        fail_msg("%s: '%s' is not in '%s'", check, means, line->meaning);
    else if (line->health != health)
        fail_msg("%s is %s", check, result_health_name(line->health));
    else if (health != RESULT_HEALTH_OK && !line->remedy)
        fail_msg("%s has no remedy", check);
    assert_int_equal(report.findings.count, health == RESULT_HEALTH_PROBLEM);
    report_free(&report);
}

static void settings_mean_times(void **state)
{
    static const struct {
        const char *name, *value;
        enum result_health health;
        const char *means;
    } rows[] = {
        {"tcp_retries2", "15", RESULT_HEALTH_NOTE, "at least 15 min 24 s"},
        {"tcp_retries2", "8", RESULT_HEALTH_OK, "at least 102 s"},
        {"tcp_retries2", "1", RESULT_HEALTH_PROBLEM, "at least 600 ms"},
        {"tcp_retries1", "3", RESULT_HEALTH_OK, "after 3 s"},
        {"tcp_syn_retries", "6", RESULT_HEALTH_OK, "2 min 7 s (SYNs at 0, 1, 3, 7, 15, 31, 63 s)"},
        {"tcp_syn_retries", "1", RESULT_HEALTH_NOTE, "at least 3 s"},
        {"tcp_synack_retries", "5", RESULT_HEALTH_OK, "after 63 s"},
        {"tcp_keepalive_time", "7200", RESULT_HEALTH_NOTE, "after 2 h 0 min"},
        {"tcp_keepalive_time", "60", RESULT_HEALTH_OK, "after 60 s"},
        {"tcp_keepalive_probes", "9", RESULT_HEALTH_OK, "after 2 h 11 min"},
        {"tcp_fin_timeout", "30", RESULT_HEALTH_OK, "waits 30 s"},
        {"tcp_orphan_retries", "0", RESULT_HEALTH_OK, "at least 104 s"},
        {"tcp_rto_min_us", "200000", RESULT_HEALTH_OK, "after 204 ms"},
        {"tcp_rto_min_us", "1000", RESULT_HEALTH_NOTE, "after 4 ms"},
        {"tcp_rto_max_ms", "120000", RESULT_HEALTH_OK, "2 min 0 s"},
        {"tcp_syncookies", "0", RESULT_HEALTH_NOTE, "drops SYNs"},
        {"tcp_abort_on_overflow", "1", RESULT_HEALTH_NOTE, "is reset"},
        {"somaxconn", "128", RESULT_HEALTH_NOTE, "at most 128"},
        {"tcp_window_scaling", "0", RESULT_HEALTH_PROBLEM, "at most 1.25 MiB a second"},
        {"tcp_sack", "0", RESULT_HEALTH_PROBLEM, "every loss costs more"},
        {"tcp_tw_recycle", "1", RESULT_HEALTH_PROBLEM, "NAT"},
        {"ip_local_port_range", "32768 60999", RESULT_HEALTH_OK, "28232 ports"},
        {"ip_local_port_range", "50000 50099", RESULT_HEALTH_PROBLEM, "100 ports"},
        {"tcp_rmem", "4096 131072 33554432", RESULT_HEALTH_OK, "grows to 16.0 MiB"},
        {"tcp_rmem", "4096 16384 65536", RESULT_HEALTH_NOTE, "grows to 32.0 KiB"},
        {"tcp_congestion_control", "bbr", RESULT_HEALTH_OK, "what new connections use"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct machine machine = {0};
        set(&machine, rows[i].name, rows[i].value);
        assert_line(&machine, rows[i].name, rows[i].health, rows[i].means);
    }
}

static void settings_work_together(void **state)
{
    struct machine machine = {.tick_ns = NS_PER_MS};

    (void)state;
    set(&machine, "tcp_syn_retries", "6");
    set(&machine, "tcp_syn_linear_timeouts", "4");
    assert_line(&machine, "tcp_syn_retries", RESULT_HEALTH_OK, "at least 2 min 11 s");
    assert_int_equal(machine_schedule(&machine).tick_ns, NS_PER_MS);
    set(&machine, "tcp_retries2", "15");
    set(&machine, "tcp_rto_max_ms", "1000");
    assert_line(&machine, "tcp_retries2", RESULT_HEALTH_OK, "at least 14.4 s");
    set(&machine, "tcp_keepalive_time", "60");
    set(&machine, "tcp_keepalive_intvl", "10");
    set(&machine, "tcp_keepalive_probes", "6");
    assert_line(&machine, "tcp_keepalive_probes", RESULT_HEALTH_OK, "after 2 min 0 s");
    set(&machine, "tcp_sack", "0");
    assert_false(machine_schedule(&machine).tail_loss_probe);
}

static void nonsense_settings_harm_nobody(void **state)
{
    static const char *const texts[] = {"-1",
                                        "-9223372036854775808",
                                        "9223372036854775807",
                                        "0",
                                        "0 0 0",
                                        ("9223372036854775807 9223372036854775807 "
                                         "9223372036854775807"),
                                        "-9223372036854775808 9223372036854775807",
                                        "65535 -9223372036854775808",
                                        "\xff\xfe",
                                        "\033[31m"};
    const char *path;

    (void)state;
    for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
        struct machine machine = {.before.sockstat =
                                      "TCP: inuse 1 orphan 0 tw 99999999999999999999"};
        struct report report = {0};
        for (size_t i = 0; (path = machine_setting_path(i)); i++)
            machine_value_read(&machine.settings[i], texts[t]);
        machine_examine(&machine, &report);
        report_free(&report);
    }
}

static void an_unknown_machine_gives_no_line(void **state)
{
    static const struct machine nothing;
    struct report report = {0};

    (void)state;
    machine_examine(&nothing, &report);
    assert_int_equal(report.result_count, 0);
    assert_int_equal(report.findings.count, 0);
    assert_false(machine_refuses(&report));
    report_free(&report);
}

static void ports_in_time_wait_are_counted(void **state)
{
    struct machine machine = {.before.sockstat =
                                  "sockets: used 9\nTCP: inuse 5 orphan 0 tw 900 alloc 9 mem 2\n"};

    (void)state;
    set(&machine, "ip_local_port_range", "20000 30999");
    assert_line(&machine, "ip_local_port_range", RESULT_HEALTH_OK, "11000 ports");
    machine.before.sockstat = "TCP: inuse 5 orphan 0 tw 5000 alloc 9 mem 2\n";
    assert_line(&machine, "ip_local_port_range", RESULT_HEALTH_NOTE, "5000 connections");
    machine.before.sockstat = "TCP: inuse 5 orphan 0 tw 10000 alloc 9 mem 2\n";
    assert_line(&machine, "ip_local_port_range", RESULT_HEALTH_PROBLEM, "10000 connections");
    machine.before.sockstat = "TCP: inuse 5\nUDP: x tw 10000\n";
    assert_line(&machine, "ip_local_port_range", RESULT_HEALTH_OK, "11000 ports");
}

static void a_counter_is_history_unless_it_rises(void **state)
{
    struct machine machine = {.before.netstat = "TcpExt: ListenOverflows\nTcpExt: 0\n"};

    (void)state;
    assert_line(&machine, "ListenOverflows", RESULT_HEALTH_OK, "never");
    machine.before.netstat = "TcpExt: ListenOverflows\nTcpExt: 5\n";
    machine.uptime_ns = 90 * NS_PER_SEC;
    assert_line(&machine, "ListenOverflows", RESULT_HEALTH_NOTE, "(in at most 90 s)");
    machine.after.netstat = machine.before.netstat;
    assert_line(&machine, "ListenOverflows", RESULT_HEALTH_NOTE, "accept queue");
    machine.after.netstat = "TcpExt: ListenOverflows\nTcpExt: 8\n";
    assert_line(&machine, "ListenOverflows", RESULT_HEALTH_PROBLEM, "3 of them just now");
    /* Reset meanwhile, or another namespace's: nothing rose. */
    machine.after.netstat = "TcpExt: ListenOverflows\nTcpExt: 1\n";
    assert_line(&machine, "ListenOverflows", RESULT_HEALTH_NOTE, "accept queue");
}

static void the_tick_bounds_delayed_acks(void **state)
{
    struct machine machine = {.tick_ns = 4 * NS_PER_MS, .tick_source = "a test"};

    (void)state;
    assert_line(&machine, "HZ", RESULT_HEALTH_OK, "40 ms to 200 ms; timers count in 4 ms");
    machine.tick_ns = 3333333;
    assert_line(&machine, "HZ", RESULT_HEALTH_OK, "40 ms to 200 ms");
}

/* What netkit needs and does not get; what only helps is a note. */
static void a_refusal_is_told_with_its_remedy(void **state)
{
    struct machine machine = {.namespaces.tried = true, .capture.tried = true};
    struct report report = {0};

    (void)state;
    error_set(&machine.namespaces.error, EPERM,
              "AppArmor restricts it; as root: sysctl -w x=0 (user namespace: Permission denied)");
    error_set(&machine.capture.error, EPERM, "cannot capture on lo. Allow it once");
    machine_examine(&machine, &report);
    const struct result_machine *line = line_of(&report, "namespaces");
    assert_int_equal(line->health, RESULT_HEALTH_PROBLEM);
    assert_string_equal(line->meaning, "AppArmor restricts it (user namespace: Permission denied)");
    assert_string_equal(line->remedy, "As root: sysctl -w x=0");
    assert_true(line->needed);
    assert_true(machine_refuses(&report));
    assert_int_equal(report.findings.count, 1);
    assert_int_equal(finding_verdict(&report.findings), FINDING_MACHINE_REFUSES);
    line = line_of(&report, "live capture");
    assert_int_equal(line->health, RESULT_HEALTH_NOTE);
    assert_string_equal(line->meaning, "cannot capture on lo");
    assert_string_equal(line->remedy, "Allow it once");
    report_free(&report);
}

static void missing_stamps_are_named(void **state)
{
    struct machine machine = {.stamps = {{.family = 4, .sched = true, .snd = true, .rx = true},
                                         {.family = 6, .error.code = EADDRNOTAVAIL}}};
    struct report report = {0};

    (void)state;
    machine_examine(&machine, &report);
    const struct result_machine *line = line_of(&report, "time stamps, IPv4");
    assert_string_equal(line->value, "SCHED SND RX");
    assert_non_null(strstr(line->meaning, "kind ACK"));
    assert_int_equal(line->health, RESULT_HEALTH_PROBLEM);
    assert_int_equal(line_of(&report, "time stamps, IPv6")->health, RESULT_HEALTH_NOTE);
    assert_int_equal(report.findings.count, 1);
    report_free(&report);
}

static void interfaces_say_what_a_segment_is(void **state)
{
    struct machine machine = {
        .interface_count = 1,
        .interfaces = {{"eth0", false, 1500, 1, 0, 1, 1}},
        .interfaces_left_out = 7,
    };

    (void)state;
    assert_line(&machine, "eth0", RESULT_HEALTH_OK, "1448 bytes over IPv4; TSO, GRO on");
    assert_line(&machine, "more interfaces", RESULT_HEALTH_OK, "not listed");
    machine.interfaces[0].software_transmit = 0;
    assert_line(&machine, "eth0", RESULT_HEALTH_NOTE, "1448");
    machine.interfaces[0].mtu_bytes = 1000;
    assert_line(&machine, "eth0", RESULT_HEALTH_NOTE, "948");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_found_by_group_and_name),
        cmocka_unit_test(what_is_no_counter_is_not_found),
        cmocka_unit_test(damaged_counters_harm_nobody),
        cmocka_unit_test(values_are_numbers_and_text),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(settings_mean_times),
        cmocka_unit_test(settings_work_together),
        cmocka_unit_test(nonsense_settings_harm_nobody),
        cmocka_unit_test(an_unknown_machine_gives_no_line),
        cmocka_unit_test(ports_in_time_wait_are_counted),
        cmocka_unit_test(a_counter_is_history_unless_it_rises),
        cmocka_unit_test(the_tick_bounds_delayed_acks),
        cmocka_unit_test(a_refusal_is_told_with_its_remedy),
        cmocka_unit_test(missing_stamps_are_named),
        cmocka_unit_test(interfaces_say_what_a_segment_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
