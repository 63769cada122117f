/* One result of each type, written by hand and held against JSON that is written by hand: no two
 * values of a struct are equal, so a field that is read from another's place shows. (The replays
 * read reports by the same tables by which they are written.) */
#include "base/text.h"
#include "report/report.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define JSON(...) #__VA_ARGS__
#define TEXTS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void assert_json(const json_t *got, const char *wanted)
{
    json_error_t problem;
    json_t *object = json_loads(wanted, JSON_REJECT_DUPLICATES, &problem);

    if (!object)
        fail_msg("the expectation at %d: %s", problem.position, problem.text);
    if (!json_equal(got, object))
        fail_msg("got    %s\nwanted %s", json_dumps(got, JSON_SORT_KEYS | JSON_ENCODE_ANY),
                 json_dumps(object, JSON_SORT_KEYS | JSON_ENCODE_ANY));
    json_decref(object);
}

/* Renders the report and compares the element of that index (-1: all) of that list. Frees it. */
static void assert_rendered(struct report *report, const char *list, const char *wanted)
{
    struct buf out = {0};
    struct error error = {0};
    json_error_t problem;

    assert_int_equal(report_render(&out, REPORT_JSON, report, NULL, &error), 0);
    json_t *whole = json_loadb(out.data, out.len_bytes, JSON_REJECT_DUPLICATES, &problem);
    assert_non_null(whole);
    assert_json(list ? json_array_get(json_object_get(whole, list), 0) : whole, wanted);
    json_decref(whole);
    buf_free(&out);
    report_free(report);
}

/* What follows has JSON in it, which is no C. */
/* clang-format off */

static struct result_connection connection = {
    .number = 1, .name = "c:2 > s:3", .client = "c:2", .server = "s:3", .started_ns = 4,
    .duration_ns = 5, .flags = {TEXTS("C>S SYN"), 1}, .flags_omitted = 6,
    .client_states = {TEXTS("SYN-SENT"), 1}, .server_states = {TEXTS("LISTEN"), 1},
    .segments = {7, 8}, .payload_bytes = {9, 10}, .retransmissions = {11, 12}, .end = "fin"};
#define A_CONNECTION JSON(                                                                         \
    {"number": 1, "name": "c:2 > s:3", "client": "c:2", "server": "s:3", "started_ns": 4,          \
     "duration_ns": 5, "flags": ["C>S SYN"], "flags_omitted": 6,                                   \
     "states": {"client": ["SYN-SENT"], "server": ["LISTEN"]},                                     \
     "segments": {"client": 7, "server": 8}, "payload_bytes": {"client": 9, "server": 10},         \
     "retransmissions": {"client": 11, "server": 12}, "end": "fin"})

static void a_probe(void **state)
{
    struct report report = {0};
    struct result_probe *probe = &report_add(&report, RESULT_PROBE)->probe;
    static const struct result_tls tls = {.version = "TLSv1.3", .cipher = "a cipher", .alpn = "h2",
                                          .round_trips = 40, .resumed = true, .verified = false, .client_certificate = "given"};
    static const struct result_answer answer = {404, "404 Not Found", 51, 50};
    static const struct result_idle idle = {61, 62, 63, "fin", 64, "keeps"};
    static struct result_arm arm = {"baseline", 41, 42, 43};
    (void)state;
    probe->target = "name:1", probe->address = "127.0.0.1", probe->port = 2, probe->ok = false;
    probe->error = (struct result_error){FINDING_CONNECTION_RESET, ECONNRESET, "it broke", NULL};
    probe->resolve_ns = 3, probe->connect_ns = 4, probe->rtt_ns = 5, probe->tls_ns = 6;
    probe->preamble_ns = 7;
    probe->answer = probe->http = &answer;
    probe->idle = &idle;
    probe->tls = &tls, probe->syn_retransmits = 7, probe->rounds = 8, probe->failed_rounds = 9;
    probe->connections = 10, probe->latency = (struct result_latency){11, 12, 13, 14, 15};
    probe->wire = (struct result_latency){16, 17, 18, 19, 20};
    for (int i = 0; i < RESULT_PARTS; i++)
        probe->breakdown.part_ns[i] = 21 + i;
    for (int i = 0; i < RESULT_PARTS; i++) {
        probe->breakdown.min_ns[i] = 121 + i;
        probe->breakdown.max_ns[i] = 221 + i;
    }
    probe->histogram.counts[0] = 30;
    probe->arms = &arm, probe->arm_count = 1;
    result_set_integer(&report.arena, &probe->tcp_info, "mss", 31);
    probe->notes = TEXTS("a note"), probe->note_count = 1, probe->slow_round_ns = 32;
    assert_rendered(&report, "results", JSON(
        {"target": "name:1", "address": "127.0.0.1", "port": 2, "ok": false,
         "error": {"code": "connection-reset", "errno": "ECONNRESET", "message": "it broke"},
         "connect": {"resolve_ns": 3, "connect_ns": 4, "rtt_ns": 5, "syn_retransmits": 7,
                     "tls_ns": 6, "preamble_ns": 7},
         "rounds": 8,
         "latency": {"min_ns": 11, "p50_ns": 12, "p90_ns": 13, "p99_ns": 14, "max_ns": 15},
         "breakdown": {"other_min_ns": 121, "other_max_ns": 221, "send_hold_min_ns": 122,
                       "send_hold_max_ns": 222, "network_min_ns": 123, "network_max_ns": 223,
                       "peer_ack_delay_min_ns": 124, "peer_ack_delay_max_ns": 224,
                       "server_min_ns": 125, "server_max_ns": 225, "response_gap_min_ns":
                       126, "response_gap_max_ns": 226, "wakeup_min_ns": 127,
                       "wakeup_max_ns": 227,
                       "other_ns": 21, "send_hold_ns": 22, "network_ns": 23,
                       "peer_ack_delay_ns": 24, "server_ns": 25, "response_gap_ns": 26,
                       "wakeup_ns": 27},
         "arms": [{"name": "baseline", "rounds": 41, "p50_ns": 42, "p99_ns": 43}],
         "tcp_info": {"mss": 31},
         "tls": {"version": "TLSv1.3", "cipher": "a cipher", "alpn": "h2", "round_trips": 40,
                 "resumed": true, "verified": false, "client_certificate": "given"},
         "http": {"status": 404},
         "answer": {"status": 404, "text": "404 Not Found", "count": 51, "unexpected": 50},
         "idle": {"tried_ns": 61, "kept_ns": 62, "dropped_ns": 63, "end": "fin",
                  "keepalive_ns": 64, "keepalive": "keeps"},
         "failed_rounds": 9, "connections": 10,
         "wire": {"min_ns": 16, "p50_ns": 17, "p90_ns": 18, "p99_ns": 19, "max_ns": 20},
         "histogram": [{"from_ns": 0, "to_ns": 1, "count": 30}], "slow_round_ns": 32,
         "notes": ["a note"]}));
}

static void a_lab(void **state)
{
    struct report report = {0};
    struct result_lab *lab = &report_add(&report, RESULT_LAB)->lab;
    static struct result_program program = {
        "client", "curl", RESULT_PROGRAM_SIGNALLED, .status = 20, .signal = 21, .started_ns = 22,
        .duration_ns = 23};
    static struct result_fault fault = {24, "drop syn", 25, 26};
    (void)state;
    lab->ok = true, lab->programs = &program, lab->program_count = 1, lab->faults = &fault;
    lab->fault_count = 1, lab->connections = (struct result_connection_list){&connection, 1};
    lab->wire = (struct result_wire){27, 28, 29, 30, 31, 32};
    lab->notes = TEXTS("a note"), lab->note_count = 1;
    assert_rendered(&report, "results", JSON(
        {"ok": true, "programs": [{"host": "client", "command": "curl", "end": "signalled",
                                   "status": 20, "signal": 21, "started_ns": 22,
                                   "duration_ns": 23}],
         "faults": [{"number": 24, "fault": "drop syn", "matched": 25, "acted": 26}],
         "connections": [) A_CONNECTION JSON(],
         "wire": {"seen": 27, "delivered": 28, "dropped": 29, "answered": 30, "lost": 31,
                  "late_max_ns": 32},
         "notes": ["a note"]}));
}

static void a_scenario(void **state)
{
    struct report report = {0};
    struct result_scenario *made = &report_add(&report, RESULT_SCENARIO)->scenario;
    static struct result_call call = {"server", 20, 21, "write", 22, 23, 24, EPIPE};
    static struct result_timing timing = {"SYN 3", 25, 26, 27};
    static struct result_map row;
    static struct result_table table = {"methods", "All methods", &row, 1};
    static struct result_fault fault = {28, "drop syn", 29, 30};
    static struct result_outcome outcome = {"ok: refused", 31};
    (void)state;
    result_set_text(&report.arena, &row, "method", "alarm");
    made->name = "refused (IPv4)", made->scenario = "refused", made->family = 4;
    made->title = "the title", made->verdict = RESULT_DIFFERS, made->duration_ns = 40;
    made->error = (struct result_error){FINDING_SCENARIO_DIFFERS, 0, "the message", NULL};
    made->book = "the book", made->here = "here", made->differs_from_book = true;
    made->why = "the reason", made->attempts = 41, made->runs = 42;
    made->connections = (struct result_connection_list){&connection, 1}, made->captured = true;
    made->flags = (struct result_texts){TEXTS("C>S FIN"), 1};
    made->client_states = (struct result_texts){TEXTS("FIN-WAIT-1"), 1};
    made->server_states = (struct result_texts){TEXTS("CLOSE-WAIT"), 1};
    made->calls = &call, made->call_count = 1, made->timings = &timing, made->timing_count = 1;
    made->tables = &table, made->table_count = 1, made->faults = &fault, made->fault_count = 1;
    made->wire = (struct result_wire){43, 44, 45, 46, 47, 48};
    made->notes = TEXTS("a note"), made->note_count = 1;
    made->outcomes = &outcome, made->outcome_count = 1;
    result_set_range(&report.arena, &made->expected, "took_ns", 49, 50);
    result_set_bool(&report.arena, &made->observed, "took", true);
    result_set_real(&report.arena, &made->summary, "share", 0.5);
    assert_rendered(&report, "results", JSON(
        {"scenario": "refused", "family": 4, "title": "the title", "ok": false, "duration_ns": 40,
         "book": "the book", "expected": {"took_ns": {"min": 49, "max": 50}},
         "observed": {"took": true}, "differs_from_book": true, "why": "the reason",
         "flags": ["C>S FIN"], "states": {"client": ["FIN-WAIT-1"], "server": ["CLOSE-WAIT"]},
         "verdict": "differs", "here": "here",
         "error": {"code": "scenario-differs", "errno": null, "message": "the message"},
         "connections": [) A_CONNECTION JSON(],
         "calls": [{"side": "server", "pid": 20, "fd": 21, "call": "write", "entered_ns": 22,
                    "duration_ns": 23, "result": 24, "errno": "EPIPE"}],
         "timings": [{"what": "SYN 3", "predicted_ns": 25, "measured_ns": 26, "host_ns": 27}],
         "tables": [{"name": "methods", "title": "All methods", "rows": [{"method": "alarm"}]}],
         "summary": {"share": 0.5},
         "faults": [{"number": 28, "fault": "drop syn", "matched": 29, "acted": 30}],
         "wire": {"seen": 43, "delivered": 44, "dropped": 45, "answered": 46, "lost": 47,
                  "late_max_ns": 48},
         "notes": ["a note"], "attempts": 41, "runs": 42,
         "outcomes": [{"outcome": "ok: refused", "count": 31}]}));
}

static void a_machine(void **state)
{
    struct report report = {0};
    struct result_machine *machine = &report_add(&report, RESULT_MACHINE)->machine;
    (void)state;
    machine->group = "the group", machine->check = "tcp_retries2", machine->value = "15";
    machine->health = RESULT_HEALTH_NOTE, machine->meaning = "the meaning", machine->effect_ns = 1;
    machine->remedy = "the remedy", machine->source = "the source", machine->needed = true;
    assert_rendered(&report, "results", JSON(
        {"check": "tcp_retries2", "status": "note", "value": "15", "meaning": "the meaning",
         "remedy": "the remedy", "group": "the group", "effect_ns": 1, "needed": true,
         "source": "the source"}));
}

static void a_reach(void **state)
{
    struct report report = {0};
    struct result_reach *reach = &report_add(&report, RESULT_REACH)->reach;
    static const struct result_icmp icmp = {"10.0.0.1", "host-unreachable", 20, 21, true};
    static const struct result_sighting sighting = {22, 23, 24, 25, &icmp};
    static struct result_reach_try attempt = {"icmp", EHOSTUNREACH, 26, 27, 28, &icmp, &sighting};
    static struct result_hop hop = {29, "10.0.0.2", "router", 30, 31, &icmp};
    static const struct result_path path = {&hop, 1, "it ends"};
    static const struct result_route route = {"10.0.0.3", "eth0", "10.0.0.4", "REACHABLE", true};
    (void)state;
    reach->target = "name:1", reach->address = "10.0.0.9", reach->port = 1, reach->ok = false;
    reach->error = (struct result_error){FINDING_HOST_UNREACHABLE, EHOSTUNREACH, "the message", NULL};
    reach->reach_case = "host-unreachable", reach->resolve_ns = 2, reach->connect_ns = 3;
    reach->rtt_ns = 4, reach->syn_retransmits = 5, reach->tries = &attempt, reach->try_count = 1;
    reach->route = &route, reach->path = &path, reach->syns_least = 6, reach->syns_most = 7;
    reach->syns_sent = 8, reach->gives_up_ns = 9, reach->cannot_tell = "this";
    reach->would_tell = "that";
#define ICMP JSON(                                                                                 \
    {"from": "10.0.0.1", "name": "host-unreachable", "type": 20, "code": 21, "ours": true})
    assert_rendered(&report, "results", JSON(
        {"target": "name:1", "address": "10.0.0.9", "port": 1, "ok": false,
         "case": "host-unreachable",
         "error": {"code": "host-unreachable", "errno": "EHOSTUNREACH", "message": "the message"},
         "resolve_ns": 2, "connect_ns": 3, "rtt_ns": 4, "syn_retransmits": 5,
         "tries": [{"answer": "icmp", "errno": "EHOSTUNREACH", "took_ns": 26, "rtt_ns": 27,
                    "syn_retransmits": 28, "icmp": ) ICMP JSON(,
                    "captured": {"syns": 22, "synacks": 23, "synack_ttl": 24, "rst_ttl": 25,
                                 "icmp": ) ICMP JSON(}}],
         "route": {"gateway": "10.0.0.3", "device": "eth0", "source": "10.0.0.4",
                   "neighbour": "REACHABLE", "local": true},
         "path": {"hops": [{"hop": 29, "address": "10.0.0.2", "answer": "router", "rtt_ns": 30,
                            "syn_retransmits": 31, "icmp": ) ICMP JSON(}], "end": "it ends"},
         "syns_predicted": {"min": 6, "max": 7}, "syns_sent": 8, "gives_up_ns": 9,
         "cannot_tell": "this", "would_tell": "that"}));
}

static void a_schedule(void **state)
{
    struct report report = {0};
    struct result_schedule *schedule = &report_add(&report, RESULT_SCHEDULE)->schedule;
    static struct result_syn syn = {1, 2, 3};
    (void)state;
    schedule->name = "connect", schedule->syns = &syn, schedule->syn_count = 1;
    schedule->failed_ns = 4, schedule->failed_latest_ns = 5;
    result_set_integer(&report.arena, &schedule->settings, "tcp_syn_retries", 6);
    result_set_text(&report.arena, &schedule->sources, "tcp_syn_retries", "as given");
    assert_rendered(&report, "results", JSON(
        {"schedule": "connect", "syns": [{"number": 1, "at_ns": 2, "after_ns": 3}],
         "failed_ns": 4, "failed_latest_ns": 5, "settings": {"tcp_syn_retries": 6},
         "sources": {"tcp_syn_retries": "as given"}}));
}

static void a_listener(void **state)
{
    struct report report = {0};
    struct result_listener *listener = &report_add(&report, RESULT_LISTENER)->listener;
    static const struct result_chart_column column = {30, 31};
    (void)state;
    listener->listener = "0.0.0.0:1", listener->address = "0.0.0.0", listener->port = 1;
    listener->process = "nginx", listener->pid = 2, listener->uid = 3, listener->ok = false;
    listener->error = (struct result_error){FINDING_SLOW_ACCEPT, 0, "the message", NULL};
    listener->watched_ns = 4, listener->limit = 5;
    listener->accept_queue = (struct result_queue){6, 7, 8, 9, 10};
    listener->half_open = (struct result_queue){11, 12, 13, 14, 15};
    listener->drops = (struct result_bounds){16, 17};
    listener->overflows = (struct result_bounds){18, 19};
    listener->arrived = (struct result_bounds){20, 21};
    listener->accepted = (struct result_bounds){22, 23};
    listener->wait_ns = 24, listener->binds = "backlog", listener->setting = "the setting";
    listener->cause = "the cause", listener->gone = 32;
    listener->alone = true, listener->closed_ns = 25;
    result_set_integer(&report.arena, &listener->counters, "ListenDrops", 26);
    listener->chart = &column, listener->chart_count = 1;
    listener->notes = TEXTS("a note"), listener->note_count = 1;
    assert_rendered(&report, "results", JSON(
        {"listener": "0.0.0.0:1", "address": "0.0.0.0", "port": 1, "process": "nginx", "pid": 2,
         "uid": 3, "ok": false, "verdict": "slow-accept", "watched_ns": 4, "limit": 5,
         "accept_queue": {"last": 6, "max": 7, "capacity": 8, "samples": 9, "full_samples": 10},
         "half_open": {"last": 11, "max": 12, "capacity": 13, "samples": 14, "full_samples": 15},
         "drops": {"min": 16, "max": 17}, "overflows": {"min": 18, "max": 19},
         "arrived": {"min": 20, "max": 21}, "accepted": {"min": 22, "max": 23}, "wait_ns": 24,
         "binds": "backlog", "setting": "the setting", "cause": "the cause",
         "gone": 32, "alone": true, "closed_ns": 25,
         "counters": {"ListenDrops": 26}, "chart": [{"queue": 30, "drops": 31}],
         "notes": ["a note"]}));
}

static void a_finding(void **state)
{
    struct report report = {0};
    struct finding *finding =
        finding_add(&report.arena, &report.findings, FINDING_CORK_HOLD, RESULT_SIDE_SERVER);
    (void)state;
    finding->severity = FINDING_INFO, finding->target = "the target";
    finding->scenario = "the scenario", finding->connection = "the connection";
    finding->summary = "the summary", finding->remedy = "the remedy", finding->count = 1;
    finding->cost_ns = 2;
    result_set_integer(&report.arena, &finding->evidence, "held_ns", 3);
    assert_rendered(&report, "findings", JSON(
        {"code": "cork-hold", "severity": "info", "side": "server", "target": "the target",
         "scenario": "the scenario", "connection": "the connection", "summary": "the summary",
         "remedy": "the remedy", "count": 1, "cost_ns": 2, "evidence": {"held_ns": 3}}));
}

static void two_checks(void **state)
{
    struct report report = {0};
    (void)state;
    result_check_add(&report.arena, &report.checks, &(struct result_check){
        .name = "max-p50", .label = "p50", .target = "the target", .limit = 1, .measured = 2});
    assert_rendered(&report, "thresholds", JSON(
        {"name": "max-p50", "target": "the target", "limit_ns": 1, "measured_ns": 2, "ok": false}));
    report = (struct report){0};
    result_check_add(&report.arena, &report.checks, &(struct result_check){
        .name = "min-success", .label = "success", .unit = RESULT_UNIT_SHARE, .ok = true,
        .limit = 50 * RESULT_SHARE_PERCENT, .measured = 75 * RESULT_SHARE_PERCENT});
    assert_rendered(&report, "thresholds", JSON(
        {"name": "min-success", "target": null, "limit": 50.0, "measured": 75.0, "ok": true}));
}

static void a_report(void **state)
{
    struct report report = {.command = "tcp-probe", .version = "1.2.3", .duration_ns = 1,
                            .started_real_ns = INT64_C(1760000000123456789), .kernel = "6.1",
                            .lab = true, .capture = RESULT_CAPTURE_PCAP, .unprivileged = true,
                            .verdict = FINDING_ZERO_WINDOW, .interrupted = true,
                            .diagram = "the diagram", .timeline = "the timeline"};
    (void)state;
    result_set_integer(&report.arena, &report.parameters, "rounds", 2);
    assert_rendered(&report, NULL, JSON(
        {"schema": "netkit/1", "version": "1.2.3", "command": "tcp-probe",
         "started": "2025-10-09T08:53:20.123456789Z", "duration_ns": 1,
         "host": {"kernel": "6.1", "lab": true, "capture": "pcap", "unprivileged": true},
         "parameters": {"rounds": 2}, "results": [], "findings": [], "verdict": "zero-window",
         "interrupted": true, "diagram": "the diagram", "timeline": "the timeline",
         "thresholds": []}));
}

/* clang-format on */

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe),    cmocka_unit_test(a_lab),     cmocka_unit_test(a_scenario),
        cmocka_unit_test(a_machine),  cmocka_unit_test(a_reach),   cmocka_unit_test(a_schedule),
        cmocka_unit_test(a_listener), cmocka_unit_test(a_finding), cmocka_unit_test(two_checks),
        cmocka_unit_test(a_report),
    };
    return cmocka_run_group_tests_name("report values", tests, NULL, NULL);
}
