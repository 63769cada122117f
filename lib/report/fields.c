#include "report/fields.h"

#define PLACE(type, member) .offset = offsetof(struct type, member)
#define COUNTED(type, member, count)                                                               \
    PLACE(type, member), .count_offset = offsetof(struct type, count)
/* The place of an array of structures or of a pointer to one, and the fields of these. */
#define ARRAY(type, member, count, table)                                                          \
    FIELD_ARRAY, COUNTED(type, member, count),                                                     \
        .element_bytes = sizeof *((struct type *)0)->member, .fields = (table)
#define POINTER(type, member, table)                                                               \
    FIELD_POINTER, PLACE(type, member), .element_bytes = sizeof *((struct type *)0)->member,       \
                                        .fields = (table)
#define OBJECT(type, member, table) FIELD_OBJECT, PLACE(type, member), .fields = (table)
#define TEXTS(type, member)         FIELD_TEXTS, COUNTED(type, member.items, member.count)
#define END                                                                                        \
    {                                                                                              \
        0                                                                                          \
    }

const struct report_field report_latency_fields[] = {
    {"min_ns", "min", FIELD_DURATION, PLACE(result_latency, min_ns)},
    {"p50_ns", "p50", FIELD_DURATION, PLACE(result_latency, p50_ns)},
    {"p90_ns", "p90", FIELD_DURATION, PLACE(result_latency, p90_ns)},
    {"p99_ns", "p99", FIELD_DURATION, PLACE(result_latency, p99_ns)},
    {"max_ns", "max", FIELD_DURATION, PLACE(result_latency, max_ns)},
    END,
};

const struct report_field report_connect_fields[] = {
    {"resolve_ns", "resolve", FIELD_DURATION, PLACE(result_probe, resolve_ns)},
    {"connect_ns", "connect", FIELD_DURATION, PLACE(result_probe, connect_ns)},
    {"rtt_ns", "round trip", FIELD_DURATION, PLACE(result_probe, rtt_ns)},
    {"syn_retransmits", "SYNs retransmitted", FIELD_INTEGER, PLACE(result_probe, syn_retransmits)},
    {"tls_ns", "TLS", FIELD_DURATION, PLACE(result_probe, tls_ns)},
    {"preamble_ns", "preamble", FIELD_DURATION, PLACE(result_probe, preamble_ns)},
    END,
};

const struct report_field report_tls_fields[] = {
    {"version", NULL, FIELD_TEXT, PLACE(result_tls, version)},
    {"cipher", NULL, FIELD_TEXT, PLACE(result_tls, cipher)},
    {"alpn", NULL, FIELD_TEXT, PLACE(result_tls, alpn)},
    {"round_trips", NULL, FIELD_INTEGER, PLACE(result_tls, round_trips)},
    {"resumed", NULL, FIELD_BOOL, PLACE(result_tls, resumed)},
    {"verified", NULL, FIELD_BOOL, PLACE(result_tls, verified)},
    {"client_certificate", NULL, FIELD_TEXT, PLACE(result_tls, client_certificate)},
    END,
};

static const struct report_field http_fields[] = {
    {"status", NULL, FIELD_INTEGER, PLACE(result_answer, status)},
    END,
};

static const struct report_field answer_fields[] = {
    {"status", NULL, FIELD_INTEGER, PLACE(result_answer, status)},
    {"text", NULL, FIELD_TEXT, PLACE(result_answer, text)},
    {"count", NULL, FIELD_INTEGER, PLACE(result_answer, count)},
    {"unexpected", NULL, FIELD_INTEGER, PLACE(result_answer, unexpected)},
    END,
};

static const struct report_field idle_fields[] = {
    {"tried_ns", NULL, FIELD_DURATION, PLACE(result_idle, tried_ns)},
    {"kept_ns", NULL, FIELD_DURATION, PLACE(result_idle, kept_ns)},
    {"dropped_ns", NULL, FIELD_DURATION, PLACE(result_idle, dropped_ns)},
    {"end", NULL, FIELD_TEXT, PLACE(result_idle, end)},
    {"keepalive_ns", NULL, FIELD_DURATION, PLACE(result_idle, keepalive_ns)},
    {"keepalive", NULL, FIELD_TEXT, PLACE(result_idle, keepalive)},
    END,
};

const struct report_field report_arm_fields[] = {
    {"name", "", FIELD_TEXT, PLACE(result_arm, name)},
    {"rounds", "rounds", FIELD_INTEGER, PLACE(result_arm, rounds)},
    {"p50_ns", "p50", FIELD_DURATION, PLACE(result_arm, p50_ns)},
    {"p99_ns", "p99", FIELD_DURATION, PLACE(result_arm, p99_ns)},
    END,
};

const struct report_field report_error_fields[] = {
    {"code", NULL, FIELD_CODE, PLACE(result_error, code)},
    {"errno", NULL, FIELD_ERRNO, PLACE(result_error, number)},
    {"message", NULL, FIELD_TEXT, PLACE(result_error, message)},
    END,
};

const struct report_field report_probe_fields[] = {
    {"target", NULL, FIELD_TEXT, PLACE(result_probe, target)},
    {"address", NULL, FIELD_TEXT, PLACE(result_probe, address)},
    {"port", NULL, FIELD_INTEGER, PLACE(result_probe, port)},
    {"ok", NULL, FIELD_BOOL, PLACE(result_probe, ok)},
    {"error", NULL, FIELD_ERROR, PLACE(result_probe, error)},
    {"connect", NULL, FIELD_OBJECT, .fields = report_connect_fields},
    {"rounds", "rounds", FIELD_INTEGER, PLACE(result_probe, rounds)},
    {"latency", "latency", OBJECT(result_probe, latency, report_latency_fields)},
    {"breakdown", NULL, FIELD_BREAKDOWN, PLACE(result_probe, breakdown)},
    {"arms", NULL, ARRAY(result_probe, arms, arm_count, report_arm_fields)},
    {"tcp_info", NULL, FIELD_MAP, PLACE(result_probe, tcp_info)},
    {"tls", NULL, POINTER(result_probe, tls, report_tls_fields)},
    {"http", NULL, POINTER(result_probe, http, http_fields)},
    {"answer", NULL, POINTER(result_probe, answer, answer_fields)},
    {"idle", NULL, POINTER(result_probe, idle, idle_fields)},
    {"failed_rounds", "failed", FIELD_INTEGER, PLACE(result_probe, failed_rounds)},
    {"connections", "connections", FIELD_INTEGER, PLACE(result_probe, connections)},
    {"wire", "on the wire", OBJECT(result_probe, wire, report_latency_fields)},
    {"histogram", NULL, FIELD_HISTOGRAM, PLACE(result_probe, histogram)},
    {"slow_round_ns", NULL, FIELD_DURATION, PLACE(result_probe, slow_round_ns)},
    {"notes", NULL, FIELD_TEXTS, COUNTED(result_probe, notes, note_count)},
    END,
};

static const struct report_field sides_fields[] = {
    {"client", NULL, FIELD_INTEGER, PLACE(result_sides, client)},
    {"server", NULL, FIELD_INTEGER, PLACE(result_sides, server)},
    END,
};

static const struct report_field states_fields[] = {
    {"client", NULL, TEXTS(result_connection, client_states)},
    {"server", NULL, TEXTS(result_connection, server_states)},
    END,
};

static const struct report_field connection_fields[] = {
    {"number", NULL, FIELD_INTEGER, PLACE(result_connection, number)},
    {"name", NULL, FIELD_TEXT, PLACE(result_connection, name)},
    {"client", NULL, FIELD_TEXT, PLACE(result_connection, client)},
    {"server", NULL, FIELD_TEXT, PLACE(result_connection, server)},
    {"started_ns", NULL, FIELD_DURATION, PLACE(result_connection, started_ns)},
    {"duration_ns", NULL, FIELD_DURATION, PLACE(result_connection, duration_ns)},
    {"flags", NULL, TEXTS(result_connection, flags)},
    {"flags_omitted", NULL, FIELD_INTEGER, PLACE(result_connection, flags_omitted)},
    {"states", NULL, FIELD_OBJECT, .fields = states_fields},
    {"segments", NULL, OBJECT(result_connection, segments, sides_fields)},
    {"payload_bytes", NULL, OBJECT(result_connection, payload_bytes, sides_fields)},
    {"retransmissions", NULL, OBJECT(result_connection, retransmissions, sides_fields)},
    {"end", NULL, FIELD_TEXT, PLACE(result_connection, end)},
    END,
};

static const struct report_field program_fields[] = {
    {"host", NULL, FIELD_TEXT, PLACE(result_program, host)},
    {"command", NULL, FIELD_TEXT, PLACE(result_program, command)},
    {"end", NULL, FIELD_END, PLACE(result_program, end)},
    {"status", NULL, FIELD_INTEGER, PLACE(result_program, status)},
    {"signal", NULL, FIELD_INTEGER, PLACE(result_program, signal)},
    {"started_ns", NULL, FIELD_DURATION, PLACE(result_program, started_ns)},
    {"duration_ns", NULL, FIELD_DURATION, PLACE(result_program, duration_ns)},
    END,
};

static const struct report_field fault_fields[] = {
    {"number", NULL, FIELD_INTEGER, PLACE(result_fault, number)},
    {"fault", NULL, FIELD_TEXT, PLACE(result_fault, text)},
    {"matched", NULL, FIELD_INTEGER, PLACE(result_fault, matched)},
    {"acted", NULL, FIELD_INTEGER, PLACE(result_fault, acted)},
    END,
};

static const struct report_field wire_fields[] = {
    {"seen", NULL, FIELD_INTEGER, PLACE(result_wire, seen)},
    {"delivered", NULL, FIELD_INTEGER, PLACE(result_wire, delivered)},
    {"dropped", NULL, FIELD_INTEGER, PLACE(result_wire, dropped)},
    {"answered", NULL, FIELD_INTEGER, PLACE(result_wire, answered)},
    {"lost", NULL, FIELD_INTEGER, PLACE(result_wire, lost)},
    {"late_max_ns", NULL, FIELD_DURATION, PLACE(result_wire, late_max_ns)},
    END,
};

const struct report_field report_lab_fields[] = {
    {"ok", NULL, FIELD_BOOL, PLACE(result_lab, ok)},
    {"programs", NULL, ARRAY(result_lab, programs, program_count, program_fields)},
    {"faults", NULL, ARRAY(result_lab, faults, fault_count, fault_fields)},
    {"connections", NULL,
     ARRAY(result_lab, connections.items, connections.count, connection_fields)},
    {"wire", NULL, OBJECT(result_lab, wire, wire_fields)},
    {"notes", NULL, FIELD_TEXTS, COUNTED(result_lab, notes, note_count)},
    END,
};

static const struct report_field scenario_states_fields[] = {
    {"client", NULL, TEXTS(result_scenario, client_states)},
    {"server", NULL, TEXTS(result_scenario, server_states)},
    END,
};

static const struct report_field timing_fields[] = {
    {"what", "", FIELD_TEXT, PLACE(result_timing, what)},
    {"predicted_ns", "predicted", FIELD_DURATION, PLACE(result_timing, predicted_ns)},
    {"measured_ns", "measured", FIELD_DURATION, PLACE(result_timing, measured_ns)},
    {"host_ns", "on this host", FIELD_DURATION, PLACE(result_timing, host_ns)},
    END,
};

static const struct report_field call_fields[] = {
    {"side", NULL, FIELD_TEXT, PLACE(result_call, side)},
    {"pid", NULL, FIELD_INTEGER, PLACE(result_call, pid)},
    {"fd", NULL, FIELD_INTEGER, PLACE(result_call, fd)},
    {"call", NULL, FIELD_TEXT, PLACE(result_call, verb)},
    {"entered_ns", NULL, FIELD_DURATION, PLACE(result_call, entered_ns)},
    {"duration_ns", NULL, FIELD_DURATION, PLACE(result_call, duration_ns)},
    {"result", NULL, FIELD_INTEGER, PLACE(result_call, result)},
    {"errno", NULL, FIELD_ERRNO, PLACE(result_call, number)},
    END,
};

static const struct report_field table_fields[] = {
    {"name", NULL, FIELD_TEXT, PLACE(result_table, name)},
    {"title", NULL, FIELD_TEXT, PLACE(result_table, title)},
    {"rows", NULL, FIELD_MAPS, COUNTED(result_table, rows, row_count)},
    END,
};

static const struct report_field outcome_fields[] = {
    {"outcome", NULL, FIELD_TEXT, PLACE(result_outcome, text)},
    {"count", NULL, FIELD_INTEGER, PLACE(result_outcome, count)},
    END,
};

const struct report_field report_scenario_fields[] = {
    {"scenario", NULL, FIELD_TEXT, PLACE(result_scenario, scenario)},
    {"family", NULL, FIELD_INTEGER, PLACE(result_scenario, family)},
    {"title", NULL, FIELD_TEXT, PLACE(result_scenario, title)},
    {"ok", NULL, FIELD_OK, PLACE(result_scenario, verdict)},
    {"duration_ns", NULL, FIELD_DURATION, PLACE(result_scenario, duration_ns)},
    {"book", NULL, FIELD_TEXT, PLACE(result_scenario, book)},
    {"expected", NULL, FIELD_MAP, PLACE(result_scenario, expected)},
    {"observed", NULL, FIELD_MAP, PLACE(result_scenario, observed)},
    {"differs_from_book", NULL, FIELD_BOOL, PLACE(result_scenario, differs_from_book)},
    {"why", NULL, FIELD_TEXT, PLACE(result_scenario, why)},
    {"flags", NULL, FIELD_TEXTS_IF, COUNTED(result_scenario, flags.items, flags.count)},
    {"states", NULL, FIELD_OBJECT, .fields = scenario_states_fields},
    {"verdict", NULL, FIELD_VERDICT, PLACE(result_scenario, verdict)},
    {"here", NULL, FIELD_TEXT, PLACE(result_scenario, here)},
    {"error", NULL, FIELD_ERROR, PLACE(result_scenario, error)},
    {"connections", NULL, FIELD_ARRAY,
     COUNTED(result_scenario, connections.items, connections.count),
     .element_bytes = sizeof(struct result_connection), .fields = connection_fields},
    {"calls", NULL, ARRAY(result_scenario, calls, call_count, call_fields)},
    {"timings", NULL, ARRAY(result_scenario, timings, timing_count, timing_fields)},
    {"tables", NULL, ARRAY(result_scenario, tables, table_count, table_fields)},
    {"summary", NULL, FIELD_MAP, PLACE(result_scenario, summary)},
    {"faults", NULL, ARRAY(result_scenario, faults, fault_count, fault_fields)},
    {"wire", NULL, OBJECT(result_scenario, wire, wire_fields)},
    {"notes", NULL, FIELD_TEXTS, COUNTED(result_scenario, notes, note_count)},
    {"attempts", NULL, FIELD_INTEGER, PLACE(result_scenario, attempts)},
    {"runs", NULL, FIELD_INTEGER, PLACE(result_scenario, runs)},
    {"outcomes", NULL, ARRAY(result_scenario, outcomes, outcome_count, outcome_fields)},
    END,
};

const struct report_field report_machine_fields[] = {
    {"check", NULL, FIELD_TEXT, PLACE(result_machine, check)},
    {"status", NULL, FIELD_HEALTH, PLACE(result_machine, health)},
    {"value", NULL, FIELD_TEXT, PLACE(result_machine, value)},
    {"meaning", NULL, FIELD_TEXT, PLACE(result_machine, meaning)},
    {"remedy", NULL, FIELD_TEXT, PLACE(result_machine, remedy)},
    {"group", NULL, FIELD_TEXT, PLACE(result_machine, group)},
    {"effect_ns", NULL, FIELD_DURATION, PLACE(result_machine, effect_ns)},
    {"needed", NULL, FIELD_BOOL, PLACE(result_machine, needed)},
    {"source", NULL, FIELD_TEXT, PLACE(result_machine, source)},
    END,
};

static const struct report_field icmp_fields[] = {
    {"from", NULL, FIELD_TEXT, PLACE(result_icmp, from)},
    {"name", NULL, FIELD_TEXT, PLACE(result_icmp, name)},
    {"type", NULL, FIELD_INTEGER, PLACE(result_icmp, type)},
    {"code", NULL, FIELD_INTEGER, PLACE(result_icmp, code)},
    {"ours", NULL, FIELD_BOOL, PLACE(result_icmp, ours)},
    END,
};

static const struct report_field sighting_fields[] = {
    {"syns", NULL, FIELD_INTEGER, PLACE(result_sighting, syns)},
    {"synacks", NULL, FIELD_INTEGER, PLACE(result_sighting, synacks)},
    {"synack_ttl", NULL, FIELD_INTEGER, PLACE(result_sighting, synack_ttl)},
    {"rst_ttl", NULL, FIELD_INTEGER, PLACE(result_sighting, rst_ttl)},
    {"icmp", NULL, POINTER(result_sighting, icmp, icmp_fields)},
    END,
};

static const struct report_field try_fields[] = {
    {"answer", NULL, FIELD_TEXT, PLACE(result_reach_try, answer)},
    {"errno", NULL, FIELD_ERRNO, PLACE(result_reach_try, number)},
    {"took_ns", NULL, FIELD_DURATION, PLACE(result_reach_try, took_ns)},
    {"rtt_ns", NULL, FIELD_DURATION, PLACE(result_reach_try, rtt_ns)},
    {"syn_retransmits", NULL, FIELD_INTEGER, PLACE(result_reach_try, syn_retransmits)},
    {"icmp", NULL, POINTER(result_reach_try, icmp, icmp_fields)},
    {"captured", NULL, POINTER(result_reach_try, wire, sighting_fields)},
    END,
};

static const struct report_field hop_fields[] = {
    {"hop", NULL, FIELD_INTEGER, PLACE(result_hop, hop)},
    {"address", NULL, FIELD_TEXT, PLACE(result_hop, address)},
    {"answer", NULL, FIELD_TEXT, PLACE(result_hop, answer)},
    {"rtt_ns", NULL, FIELD_DURATION, PLACE(result_hop, rtt_ns)},
    {"syn_retransmits", NULL, FIELD_INTEGER, PLACE(result_hop, syn_retransmits)},
    {"icmp", NULL, POINTER(result_hop, icmp, icmp_fields)},
    END,
};

static const struct report_field path_fields[] = {
    {"hops", NULL, ARRAY(result_path, hops, hop_count, hop_fields)},
    {"end", NULL, FIELD_TEXT, PLACE(result_path, end)},
    END,
};

static const struct report_field route_fields[] = {
    {"gateway", NULL, FIELD_TEXT, PLACE(result_route, gateway)},
    {"device", NULL, FIELD_TEXT, PLACE(result_route, device)},
    {"source", NULL, FIELD_TEXT, PLACE(result_route, source)},
    {"neighbour", NULL, FIELD_TEXT, PLACE(result_route, neighbour)},
    {"local", NULL, FIELD_BOOL, PLACE(result_route, local)},
    END,
};

static const struct report_field predicted_fields[] = {
    {"min", NULL, FIELD_INTEGER, PLACE(result_reach, syns_least)},
    {"max", NULL, FIELD_INTEGER, PLACE(result_reach, syns_most)},
    END,
};

const struct report_field report_reach_fields[] = {
    {"target", NULL, FIELD_TEXT, PLACE(result_reach, target)},
    {"address", NULL, FIELD_TEXT, PLACE(result_reach, address)},
    {"port", NULL, FIELD_INTEGER, PLACE(result_reach, port)},
    {"ok", NULL, FIELD_BOOL, PLACE(result_reach, ok)},
    {"case", NULL, FIELD_TEXT, PLACE(result_reach, reach_case)},
    {"error", NULL, FIELD_ERROR, PLACE(result_reach, error)},
    {"resolve_ns", "resolve", FIELD_DURATION, PLACE(result_reach, resolve_ns)},
    {"connect_ns", "connect", FIELD_DURATION, PLACE(result_reach, connect_ns)},
    {"rtt_ns", "round trip", FIELD_DURATION, PLACE(result_reach, rtt_ns)},
    {"syn_retransmits", "SYNs retransmitted", FIELD_INTEGER, PLACE(result_reach, syn_retransmits)},
    {"tries", NULL, ARRAY(result_reach, tries, try_count, try_fields)},
    {"route", NULL, POINTER(result_reach, route, route_fields)},
    {"path", NULL, POINTER(result_reach, path, path_fields)},
    {"syns_predicted", NULL, FIELD_OBJECT, .fields = predicted_fields},
    {"syns_sent", NULL, FIELD_INTEGER, PLACE(result_reach, syns_sent)},
    {"gives_up_ns", NULL, FIELD_DURATION, PLACE(result_reach, gives_up_ns)},
    {"cannot_tell", NULL, FIELD_TEXT, PLACE(result_reach, cannot_tell)},
    {"would_tell", NULL, FIELD_TEXT, PLACE(result_reach, would_tell)},
    END,
};

static const struct report_field syn_fields[] = {
    {"number", NULL, FIELD_INTEGER, PLACE(result_syn, number)},
    {"at_ns", NULL, FIELD_DURATION, PLACE(result_syn, at_ns)},
    {"after_ns", NULL, FIELD_DURATION, PLACE(result_syn, after_ns)},
    END,
};

static const struct report_field schedule_fields[] = {
    {"schedule", NULL, FIELD_TEXT, PLACE(result_schedule, name)},
    {"syns", NULL, ARRAY(result_schedule, syns, syn_count, syn_fields)},
    {"failed_ns", NULL, FIELD_DURATION, PLACE(result_schedule, failed_ns)},
    {"failed_latest_ns", NULL, FIELD_DURATION, PLACE(result_schedule, failed_latest_ns)},
    {"settings", NULL, FIELD_MAP, PLACE(result_schedule, settings)},
    {"sources", NULL, FIELD_MAP, PLACE(result_schedule, sources)},
    END,
};

static const struct report_field queue_fields[] = {
    {"last", NULL, FIELD_INTEGER, PLACE(result_queue, last)},
    {"max", NULL, FIELD_INTEGER, PLACE(result_queue, most)},
    {"capacity", NULL, FIELD_INTEGER, PLACE(result_queue, capacity)},
    {"samples", NULL, FIELD_INTEGER, PLACE(result_queue, samples)},
    {"full_samples", NULL, FIELD_INTEGER, PLACE(result_queue, full)},
    END,
};

static const struct report_field bounds_fields[] = {
    {"min", NULL, FIELD_INTEGER, PLACE(result_bounds, least)},
    {"max", NULL, FIELD_INTEGER, PLACE(result_bounds, most)},
    END,
};

static const struct report_field column_fields[] = {
    {"queue", NULL, FIELD_INTEGER, PLACE(result_chart_column, most)},
    {"drops", NULL, FIELD_INTEGER, PLACE(result_chart_column, drops)},
    END,
};

const struct report_field report_listener_fields[] = {
    {"listener", NULL, FIELD_TEXT, PLACE(result_listener, listener)},
    {"address", NULL, FIELD_TEXT, PLACE(result_listener, address)},
    {"port", NULL, FIELD_INTEGER, PLACE(result_listener, port)},
    {"process", NULL, FIELD_TEXT, PLACE(result_listener, process)},
    {"pid", NULL, FIELD_INTEGER, PLACE(result_listener, pid)},
    {"uid", NULL, FIELD_INTEGER, PLACE(result_listener, uid)},
    {"ok", NULL, FIELD_BOOL, PLACE(result_listener, ok)},
    {"verdict", NULL, FIELD_CODE, PLACE(result_listener, error.code)},
    {"watched_ns", NULL, FIELD_DURATION, PLACE(result_listener, watched_ns)},
    {"limit", NULL, FIELD_INTEGER, PLACE(result_listener, limit)},
    {"accept_queue", NULL, OBJECT(result_listener, accept_queue, queue_fields)},
    {"half_open", NULL, OBJECT(result_listener, half_open, queue_fields)},
    {"drops", NULL, OBJECT(result_listener, drops, bounds_fields)},
    {"overflows", NULL, OBJECT(result_listener, overflows, bounds_fields)},
    {"arrived", NULL, OBJECT(result_listener, arrived, bounds_fields)},
    {"accepted", NULL, OBJECT(result_listener, accepted, bounds_fields)},
    {"wait_ns", NULL, FIELD_DURATION, PLACE(result_listener, wait_ns)},
    {"binds", NULL, FIELD_TEXT, PLACE(result_listener, binds)},
    {"setting", NULL, FIELD_TEXT, PLACE(result_listener, setting)},
    {"cause", NULL, FIELD_TEXT, PLACE(result_listener, cause)},
    {"gone", NULL, FIELD_INTEGER, PLACE(result_listener, gone)},
    {"alone", NULL, FIELD_BOOL, PLACE(result_listener, alone)},
    {"closed_ns", NULL, FIELD_DURATION, PLACE(result_listener, closed_ns)},
    {"counters", NULL, FIELD_MAP, PLACE(result_listener, counters)},
    {"chart", NULL, ARRAY(result_listener, chart, chart_count, column_fields)},
    {"notes", NULL, FIELD_TEXTS, COUNTED(result_listener, notes, note_count)},
    END,
};

const struct report_field report_listener_sample_fields[] = {
    {"listener", NULL, FIELD_TEXT, PLACE(result_listener_sample, listener)},
    {"at_ns", NULL, FIELD_DURATION, PLACE(result_listener_sample, at_ns)},
    {"queue", NULL, FIELD_INTEGER, PLACE(result_listener_sample, queue)},
    {"limit", NULL, FIELD_INTEGER, PLACE(result_listener_sample, limit)},
    {"half_open", NULL, FIELD_INTEGER, PLACE(result_listener_sample, half_open)},
    {"drops", NULL, FIELD_INTEGER, PLACE(result_listener_sample, drops)},
    END,
};

const struct report_field report_counters_sample_fields[] = {
    {"at_ns", NULL, FIELD_DURATION, PLACE(result_counters_sample, at_ns)},
    {"counters", NULL, FIELD_MAP, PLACE(result_counters_sample, counters)},
    END,
};

const struct report_field report_finding_fields[] = {
    {"code", NULL, FIELD_CODE, PLACE(finding, code)},
    {"severity", NULL, FIELD_SEVERITY, PLACE(finding, severity)},
    {"side", NULL, FIELD_SIDE, PLACE(finding, side)},
    {"target", NULL, FIELD_TEXT, PLACE(finding, target)},
    {"scenario", NULL, FIELD_TEXT, PLACE(finding, scenario)},
    {"connection", NULL, FIELD_TEXT, PLACE(finding, connection)},
    {"summary", NULL, FIELD_TEXT, PLACE(finding, summary)},
    {"remedy", NULL, FIELD_TEXT, PLACE(finding, remedy)},
    {"count", NULL, FIELD_INTEGER, PLACE(finding, count)},
    {"cost_ns", NULL, FIELD_DURATION, PLACE(finding, cost_ns)},
    {"evidence", NULL, FIELD_MAP, PLACE(finding, evidence)},
    END,
};

static const struct report_field duration_check_fields[] = {
    {"name", NULL, FIELD_TEXT, PLACE(result_check, name)},
    {"target", NULL, FIELD_TEXT, PLACE(result_check, target)},
    {"limit_ns", NULL, FIELD_DURATION, PLACE(result_check, limit)},
    {"measured_ns", NULL, FIELD_DURATION, PLACE(result_check, measured)},
    {"ok", NULL, FIELD_BOOL, PLACE(result_check, ok)},
    END,
};

static const struct report_field share_check_fields[] = {
    {"name", NULL, FIELD_TEXT, PLACE(result_check, name)},
    {"target", NULL, FIELD_TEXT, PLACE(result_check, target)},
    {"limit", NULL, FIELD_SHARE, PLACE(result_check, limit)},
    {"measured", NULL, FIELD_SHARE, PLACE(result_check, measured)},
    {"ok", NULL, FIELD_BOOL, PLACE(result_check, ok)},
    END,
};

const struct report_field *const report_check_fields[] = {
    [RESULT_UNIT_DURATION] = duration_check_fields,
    [RESULT_UNIT_SHARE] = share_check_fields,
};

static const struct report_field host_fields[] = {
    {"kernel", NULL, FIELD_TEXT, PLACE(report, kernel)},
    {"lab", NULL, FIELD_BOOL, PLACE(report, lab)},
    {"capture", NULL, FIELD_CAPTURE, PLACE(report, capture)},
    {"unprivileged", NULL, FIELD_BOOL, PLACE(report, unprivileged)},
    END,
};

#define HEAD                                                                                       \
    {"version", NULL, FIELD_TEXT, PLACE(report, version)},                                         \
        {"command", NULL, FIELD_TEXT, PLACE(report, command)},                                     \
        {"started", NULL, FIELD_TIME, PLACE(report, started_real_ns)},                             \
        {"duration_ns", NULL, FIELD_DURATION, PLACE(report, duration_ns)},                         \
        {"host", NULL, FIELD_OBJECT, .fields = host_fields},                                       \
    {                                                                                              \
        "parameters", NULL, FIELD_MAP, PLACE(report, parameters)                                   \
    }
#define TAIL                                                                                       \
    {"verdict", NULL, FIELD_CODE, PLACE(report, verdict)},                                         \
        {"interrupted", NULL, FIELD_BOOL, PLACE(report, interrupted)},                             \
        {"diagram", NULL, FIELD_PICTURE, PLACE(report, diagram)},                                  \
    {                                                                                              \
        "timeline", NULL, FIELD_PICTURE, PLACE(report, timeline)                                   \
    }

const struct report_field report_report_fields[] = {
    HEAD,
    {"results", NULL, FIELD_RESULTS, COUNTED(report, results, result_count)},
    {"findings", NULL, ARRAY(report, findings.items, findings.count, report_finding_fields)},
    TAIL,
    {"thresholds", NULL, FIELD_CHECKS, COUNTED(report, checks.items, checks.count)},
    END,
};

const struct report_field report_summary_fields[] = {HEAD, TAIL, END};

const char *report_capture_name(enum result_capture capture)
{
    switch (capture) {
    case RESULT_CAPTURE_NONE:
        return "none";
    case RESULT_CAPTURE_PCAP:
        return "pcap";
    }
    return "none";
}

static const char *named(const char *name)
{
    return name ? name : "?";
}

#define KIND(table, member, name, fine)                                                            \
    (struct report_kind)                                                                           \
    {                                                                                              \
        (table), &result->member, named(result->member.name), (fine), &result->member.error, NULL, \
            0                                                                                      \
    }
#define KIND_WITH_NOTES(table, member, name, fine)                                                 \
    (struct report_kind)                                                                           \
    {                                                                                              \
        (table), &result->member, named(result->member.name), (fine), &result->member.error,       \
            result->member.notes, result->member.note_count                                        \
    }

struct report_kind report_kind_of(const struct result *result)
{
    static const struct result_error no_error;

    switch (result->type) {
    case RESULT_PROBE:
        return KIND_WITH_NOTES(report_probe_fields, probe, target, result->probe.ok);
    case RESULT_LAB:
        return KIND_WITH_NOTES(report_lab_fields, lab, name, result->lab.ok);
    case RESULT_MACHINE:
        return KIND(report_machine_fields, machine, check,
                    result->machine.health != RESULT_HEALTH_PROBLEM);
    case RESULT_REACH:
        return KIND(report_reach_fields, reach, target, result->reach.ok);
    case RESULT_SCENARIO:
        return KIND_WITH_NOTES(report_scenario_fields, scenario, name,
                               !result_verdict_fails(result->scenario.verdict));
    case RESULT_LISTENER:
        return KIND_WITH_NOTES(report_listener_fields, listener, listener, result->listener.ok);
    case RESULT_SCHEDULE:
        return (struct report_kind){.fields = schedule_fields,
                                    .body = &result->schedule,
                                    .name = named(result->schedule.name),
                                    .ok = true,
                                    .error = &no_error};
    }
    return (struct report_kind){.name = "?"};
}
