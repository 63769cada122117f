/* Rounds to numbers: percentiles, the breakdown of a typical round, the arms, notes. */
#include "probe/summarize.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "base/stats.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t total_of(const struct round *round)
{
    return round->total_ns;
}

static int64_t wire_of(const struct round *round)
{
    return round->wire_ns;
}

static int64_t *sorted(struct arm_rounds rounds, int64_t (*value)(const struct round *),
                       size_t *count)
{
    int64_t *values = shortage_calloc(rounds.count + 1, sizeof *values);

    *count = 0;
    for (size_t i = 0; values && i < rounds.count; i++)
        if (value(&rounds.rounds[i]) != RESULT_UNKNOWN)
            values[(*count)++] = value(&rounds.rounds[i]);
    if (values)
        stats_sort(values, *count);
    return values;
}

static struct result_latency latency(struct arm_rounds rounds,
                                     int64_t (*value)(const struct round *))
{
    struct result_latency out = {RESULT_UNKNOWN, RESULT_UNKNOWN, RESULT_UNKNOWN, RESULT_UNKNOWN,
                                 RESULT_UNKNOWN};
    size_t count;
    cleanup(mem) int64_t *values = sorted(rounds, value, &count);

    if (values && count)
        out = (struct result_latency){.min_ns = values[0],
                                      .p50_ns = stats_quantile(values, count, 0.5),
                                      .p90_ns = stats_quantile(values, count, 0.9),
                                      .p99_ns = stats_quantile(values, count, 0.99),
                                      .max_ns = values[count - 1]};
    return out;
}

/* Medians of single parts would not add up. So the parts are averaged over the rounds in the middle
 * (those between the fourth and the sixth decile of the duration), and scaled to add up to the
 * median exactly. */
static void break_down(struct arm_rounds rounds, int64_t p50_ns, struct result_breakdown *out)
{
    double sums[RESULT_PARTS] = {0}, all = 0;
    size_t count;
    cleanup(mem) int64_t *totals = sorted(rounds, total_of, &count);

    for (int part = 0; part < RESULT_PARTS; part++)
        out->part_ns[part] = out->min_ns[part] = out->max_ns[part] = RESULT_UNKNOWN;
    if (!totals || !count)
        return;
    int64_t low = stats_quantile(totals, count, 0.4), high = stats_quantile(totals, count, 0.6);
    for (size_t i = 0; i < rounds.count; i++)
        if (rounds.rounds[i].total_ns >= low && rounds.rounds[i].total_ns <= high)
            for (int part = 0; part < RESULT_PARTS; part++) {
                sums[part] += (double)rounds.rounds[i].part_ns[part];
                all += (double)rounds.rounds[i].part_ns[part];
            }
    int64_t left = p50_ns;
    int largest = 0;
    for (int part = 0; part < RESULT_PARTS; part++) {
        out->part_ns[part] = all > 0 ? (int64_t)(sums[part] / all * (double)p50_ns) : 0;
        left -= out->part_ns[part];
        if (out->part_ns[part] > out->part_ns[largest])
            largest = part;
    }
    out->part_ns[largest] += left; /* what rounding left over */
}

/* What the control's round trips could explain of the server's time and of a pause may be the
 * network's. */
static void bound_parts(const struct probe_evidence *evidence, struct result_breakdown *out)
{
    static const enum result_part peers[] = {RESULT_PART_SERVER, RESULT_PART_GAP};
    int64_t samples[EVIDENCE_CONTROL_MAX], undecided_ns = 0;
    struct path_model path;

    if (out->part_ns[RESULT_PART_NETWORK] == RESULT_UNKNOWN)
        return;
    evidence_path(evidence, &path, samples);
    memcpy(out->min_ns, out->part_ns, sizeof out->min_ns);
    memcpy(out->max_ns, out->part_ns, sizeof out->max_ns);
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
        int64_t spread_ns = path.high_ns - path.base_ns, part_ns = out->part_ns[peers[i]];
        out->min_ns[peers[i]] = part_ns > spread_ns ? part_ns - spread_ns : 0;
        undecided_ns += part_ns - out->min_ns[peers[i]];
    }
    out->max_ns[RESULT_PART_NETWORK] += undecided_ns;
}

static void list_arms(struct arena *arena, const struct probe_evidence *evidence,
                      struct result_probe *result)
{
    size_t count = 0;

    for (int arm = 0; arm < PROBE_ARMS; arm++)
        count += evidence->arms[arm].count > 0;
    result->arms = arena_alloc(arena, count * sizeof *result->arms);
    for (int arm = 0; arm < PROBE_ARMS && result->arms; arm++) {
        if (!evidence->arms[arm].count)
            continue;
        struct result_latency of = latency(evidence->arms[arm], total_of);
        result->arms[result->arm_count++] =
            (struct result_arm){.name = probe_arm_name((enum probe_arm)arm),
                                .rounds = (int64_t)evidence->arms[arm].count,
                                .p50_ns = of.p50_ns,
                                .p99_ns = of.p99_ns};
    }
}

#define TCP_INFO_VALUES_MAX 24

/* Exactly as much memory as there are values: a map that grows keeps what it has outgrown. */
static void keep_values(struct arena *arena, struct result_map *map,
                        const struct result_value *values, size_t count)
{
    map->values = arena_alloc(arena, count * sizeof *values);
    if (!map->values)
        return;
    memcpy(map->values, values, count * sizeof *values);
    map->count = count;
}

#define INFO(name, field, FIELD)                                                                   \
    if (SOCK_TCP_HAS(info, FIELD))                                                                 \
        values[count++] = (struct result_value)                                                    \
        {                                                                                          \
            .key = name, .kind = RESULT_INTEGER, .integer = (int64_t)info->field                   \
        }

static void list_tcp_info(struct arena *arena, const struct sock_tcp_info *info,
                          struct result_map *map)
{
    struct result_value values[TCP_INFO_VALUES_MAX];
    size_t count = 0;

    values[count++] = (struct result_value){
        .key = "state", .kind = RESULT_TEXT, .text = sock_tcp_state_name(info->state)};
    INFO("rtt_ns", rtt_ns, RTT);
    INFO("rttvar_ns", rttvar_ns, RTTVAR);
    INFO("min_rtt_ns", min_rtt_ns, MIN_RTT);
    INFO("rto_ns", rto_ns, RTO);
    INFO("ato_ns", ato_ns, ATO);
    INFO("snd_mss", snd_mss, SND_MSS);
    INFO("rcv_mss", rcv_mss, RCV_MSS);
    INFO("pmtu", pmtu, PMTU);
    INFO("snd_cwnd", snd_cwnd, SND_CWND);
    INFO("snd_wnd", snd_wnd, SND_WND);
    INFO("total_retrans", total_retrans, TOTAL_RETRANS);
    INFO("segs_out", segs_out, SEGS_OUT);
    INFO("segs_in", segs_in, SEGS_IN);
    INFO("data_segs_out", data_segs_out, DATA_SEGS_OUT);
    INFO("data_segs_in", data_segs_in, DATA_SEGS_IN);
    INFO("busy_ns", busy_ns, BUSY);
    INFO("rwnd_limited_ns", rwnd_limited_ns, RWND_LIMITED);
    INFO("sndbuf_limited_ns", sndbuf_limited_ns, SNDBUF_LIMITED);
    INFO("bytes_acked", bytes_acked, BYTES_ACKED);
    INFO("bytes_received", bytes_received, BYTES_RECEIVED);
    INFO("delivery_rate", delivery_rate, DELIVERY_RATE);
    keep_values(arena, map, values, count);
}

static void list_notes(const struct target *target, const struct probe_totals *totals,
                       struct result_probe *result)
{
    static const struct {
        unsigned kind;
        const char *lacking;
    } stamps[] = {
        {SOCK_STAMP_SCHED,
         "This kernel gave no SCHED stamps: what our send queue held is unknown."},
        {SOCK_STAMP_SND, "This kernel gave no SND stamps: the moment of sending is the call's."},
        {SOCK_STAMP_ACK,
         "This kernel gave no ACK stamps: the server's acknowledgements are unseen."},
        {SOCK_STAMP_RX, "This kernel gave no arrival stamps: the wake-up of this process counts as "
                        "network or server."},
    };
    struct arena *arena = target->shared->conn.arena;
    const struct transaction *transaction = &target->transaction;
    const char *notes[17];

    if (target->connections && target->shared->plan->greets)
        notes[result->note_count++] = "Nothing was sent: a round is the wait for what the server "
                                      "says first on a new connection.";
    else if (target->connections && target->shared->plan->arms.only_connects)
        notes[result->note_count++] = "Only connecting was timed; no request was sent. --preset or "
                                      "--send makes it a conversation.";
    bool local = sock_family(&target->local) == AF_UNIX;
    if (local)
        notes[result->note_count++] =
            "A Unix-domain socket: there is no TCP that could hold anything back, no network, and "
            "no kernel timestamp, so that the server's time has the wake-ups of both processes "
            "in it.";
    bool talked = target->connections && !target->shared->plan->arms.only_connects && !local;
    for (size_t i = 0; i < ARRAY_SIZE(stamps) && talked; i++)
        if (!(target->stamps & stamps[i].kind))
            notes[result->note_count++] = stamps[i].lacking;
    if (target->idle && target->idle->failure)
        notes[result->note_count++] = arena_printf(
            arena, "The search for the idle limit ended early: %s.", target->idle->failure);
    if (target->closed_idle)
        ; /* a finding of its own */
    else if (target->closed_between && !target->persists)
        notes[result->note_count++] = "The server closes the connection after each answer: every "
                                      "round is the first of its connection.";
    else if (target->closed_between)
        notes[result->note_count++] =
            arena_printf(arena, "The server closed the connection between rounds %lld times.",
                         (long long)target->closed_between);
    if (transaction->late_resets)
        notes[result->note_count++] =
            "The server reset connections after its answer, when its kernel had the whole request: "
            "whether the server had read that cannot be told. --data of some megabytes tells.";
    if (target->own_failure)
        notes[result->note_count++] =
            arena_printf(arena,
                         "netkit's own rounds on a persistent connection, beside yours on new "
                         "ones, ended early: %s.",
                         target->own_failure);
    if (transaction->surplus_bytes)
        notes[result->note_count++] =
            arena_printf(arena,
                         "%lld bytes came beyond the end of an answer: does --until fit the "
                         "protocol?",
                         (long long)transaction->surplus_bytes);
    if (target->tls_rejected && target->shared->plan->tls->insecure)
        notes[result->note_count++] = arena_printf(
            arena, "The certificate would not have been accepted without --insecure: %s.",
            target->tls_rejected);
    if (target->tls && target->tls->client_certificate && !target->shared->plan->tls->identity &&
        result->ok)
        notes[result->note_count++] =
            target->shared->plan->arms.only_connects
                ? "The server asked for a client certificate and got none (--cert). In TLS 1.3 it "
                  "refuses that after the handshake, which is all that was timed."
                : "The server asked for a client certificate and got none (--cert); it answered "
                  "nevertheless.";
    if (transaction->bare_ends)
        notes[result->note_count++] = arena_printf(
            arena,
            "The server ended %lld answers by closing without TLS's close_notify: one that was cut "
            "off on the way would look the same.",
            (long long)transaction->bare_ends);
    if (transaction->clock_steps)
        notes[result->note_count++] = arena_printf(
            arena, "The system's clock was stepped in %lld rounds; they were left out.",
            (long long)transaction->clock_steps);
    uint64_t unseen = live_capture_lost(target->shared->conn.capture);
    if (totals->capture_failure)
        notes[result->note_count++] = arena_printf(
            arena, "%s: %s.",
            totals->captured ? "Not all segments were captured" : "Segments were not captured",
            totals->capture_failure);
    if (unseen)
        notes[result->note_count++] =
            arena_printf(arena,
                         "The capture lost %llu packets: they came faster than they were "
                         "read.",
                         (unsigned long long)unseen);
    if (target->cut_short && result->ok)
        notes[result->note_count++] = "--timeout ended the run before all rounds were done.";
    const char **kept = arena_alloc(arena, result->note_count * sizeof *kept);
    if (!kept)
        result->note_count = 0;
    for (size_t i = 0; i < result->note_count; i++)
        kept[i] = notes[i];
    result->notes = kept;
}

static const char *name_connection(const struct target *target)
{
    char from[SOCK_ADDRESS_TEXT_MAX], to[SOCK_ADDRESS_TEXT_MAX];

    if (!target->local.len_bytes)
        return NULL;
    return arena_printf(target->shared->conn.arena, "%s > %s",
                        sock_address_format(from, sizeof from, &target->local),
                        sock_address_format(to, sizeof to, target_address(target)));
}

static struct arm_rounds take_rounds(struct summary *summary, size_t index,
                                     const struct round_store *store)
{
    summary->rounds[index] = round_store_expand(store);
    return (struct arm_rounds){summary->rounds[index], summary->rounds[index] ? store->count : 0};
}

/* What the user set on our sockets; 0: nothing. */
static uint32_t buffer_set(const struct conn_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->option_count; i++)
        if (!strcmp(settings->options[i].option->name, name))
            return (uint32_t)settings->options[i].value.number;
    return 0;
}

static void add_idle(const struct idle_trial *trial, struct probe_evidence *evidence)
{
    if (!trial)
        return;
    const struct idle_search *search = &trial->search;
    evidence->idle_tried_ns = search->max_ns;
    evidence->idle_kept_ns = search->kept_ns;
    evidence->idle_dropped_ns = search->dropped_ns == INT64_MAX ? 0 : search->dropped_ns;
    evidence->idle_end = search->end;
    evidence->idle_varies = search->varies;
    if (trial->keepalive != IDLE_KEEPALIVE_UNTRIED) {
        evidence->idle_keepalive_ns = trial->keepalive_ns;
        evidence->idle_keepalive_end = trial->keepalive;
    }
}

void summary_evidence(const struct target *target, struct summary *summary)
{
    const struct probe_plan *plan = target->shared->plan;
    const struct transaction *transaction = &target->transaction;
    struct probe_evidence *evidence = &summary->evidence;
    const struct path_mtu_evidence *trial =
        target->failure.code == FINDING_PATH_MTU ? &target->trial->evidence : NULL;

    *evidence = (struct probe_evidence){
        .target = target->asked->name,
        .connection = name_connection(target),
        .new_connections = arm_settings_fresh(&plan->arms),
        .fresh = take_rounds(summary, PROBE_ARMS, &target->stores.fresh),
        .fresh_quickack = take_rounds(summary, PROBE_ARMS + 1, &target->stores.fresh_quickack),
        .persists =
            target->persists && !(target->own_failure && !target->stores.arms[ARM_BASELINE].count),
        .greets = plan->greets,
        .interventions = (target->schedule.settings->arms & ~(1u << ARM_BASELINE)) != 0,
        .stamps_queued = target->stamps & SOCK_STAMP_SCHED,
        .stamps_acked = target->stamps & SOCK_STAMP_ACK,
        .request_writes = (uint32_t)plan->transaction.piece_count + 1,
        .mss_bytes = target->conn.mss_bytes,
        .small_mss_bytes = target->small_mss_bytes,
        .peer_mss_bytes = target->peer_mss_bytes,
        .sndbuf_bytes = buffer_set(&plan->conn, "SO_SNDBUF"),
        .rcvbuf_bytes = buffer_set(&plan->conn, "SO_RCVBUF"),
        .local = target_is_local(target),
        .runnable = target->load_looks ? target->runnable / target->load_looks : 0,
        .processors = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
        .surplus_bytes =
            (uint32_t)(transaction->surplus_bytes < UINT32_MAX ? transaction->surplus_bytes
                                                               : UINT32_MAX),
        .control_lost = (uint32_t)target->control.lost,
        .control_ns = target->control.rtts_ns,
        .control_count = target->control.count,
        .stall_ns = plan->arms.stall_ns,
        .interval_ns = plan->arms.interval_ns,
        .rtt_ns = transaction->min_rtt_ns != RESULT_UNKNOWN ? transaction->min_rtt_ns
                                                            : target->connect_rtt_ns,
        .idle_closes = (uint32_t)target->closed_idle,
        .idle_close_ns = target->idle_close_ns,
        .idle_close = target->idle_close,
        .answers = target->answers,
        .continue_ns = plan->transaction.continue_ns,
        .early_resets = (uint32_t)transaction->early_resets,
        .early_lost = (uint32_t)target->early_lost,
        .chose_http2 = target->tls && target->tls->alpn && !strcmp(target->tls->alpn, "h2"),
        .unexpected = target->unexpected,
        .answer = target->unexpected ? target->answer : NULL,
        .http_server = target->http_server,
        .http_proxy = target->http_proxy,
        .resolve_ns = target->resolve_ns,
        .fallback_ns = target->fallback_ns,
        .fallback = target->fallback,
        .syn_retransmits = target->syn_retransmits,
        .slow_connects = target->slow_connects,
        .connections = (uint32_t)target->connections,
        .path_mtu_passed = trial ? trial->passed_mss : 0,
        .path_mtu_stuck = trial ? trial->stuck_mss : 0,
        .path_mtu_to_server = trial && path_mtu_to_server(trial),
        .port_first = target->conn.opening.local_facts.port_first,
        .port_last = target->conn.opening.local_facts.port_last,
        .ports_taken = target->conn.opening.local_facts.ports_taken,
        .error = target->failure.code,
        .error_message = target->failure.message,
        .error_cause = target->failure.cause,
        .unfinished = target->own_failure ? NULL : transaction->unfinished,
    };
    add_idle(target->idle, evidence);
    for (size_t arm = 0; arm < PROBE_ARMS; arm++)
        evidence->arms[arm] = take_rounds(summary, arm, &target->stores.arms[arm]);
}

void summary_free(struct summary *summary)
{
    for (size_t i = 0; i < ARRAY_SIZE(summary->rounds); i++)
        free(summary->rounds[i]);
}

static bool has_segments(const struct trace_strip *strip)
{
    for (size_t i = 0; strip && i < strip->count; i++)
        if (strip->events[i].kind == TRACE_SEGMENT)
            return true;
    return false;
}

/* The address without the port, as JSON wants it. */
static const char *place_of(const struct target *target)
{
    char text[SOCK_ADDRESS_TEXT_MAX];

    if (!target->addresses.count)
        return NULL;
    sock_address_format(text, sizeof text, target_address(target));
    if (sock_family(target_address(target)) == AF_UNIX)
        return arena_copy(target->shared->conn.arena, text);
    char *end = strrchr(text, ':');
    if (end)
        *end = '\0';
    char *start = text;
    if (*start == '[') {
        start++;
        start[strcspn(start, "]")] = '\0';
    }
    return arena_copy(target->shared->conn.arena, start);
}

static const struct result_answer *describe_answer(const struct target *target)
{
    struct result_answer *answer =
        target->answer ? arena_alloc(target->shared->conn.arena, sizeof *answer) : NULL;

    if (answer)
        *answer = (struct result_answer){.status = target->status ? target->status : RESULT_UNKNOWN,
                                         .text = target->answer,
                                         .count = target->answers,
                                         .unexpected = target->unexpected};
    return answer;
}

static const struct result_idle *describe_idle(struct arena *arena,
                                               const struct probe_evidence *evidence)
{
    struct result_idle *idle = evidence->idle_tried_ns ? arena_alloc(arena, sizeof *idle) : NULL;
    bool tried = evidence->idle_keepalive_ns > 0;

    if (idle)
        *idle = (struct result_idle){
            .tried_ns = evidence->idle_tried_ns,
            .kept_ns = evidence->idle_kept_ns ? evidence->idle_kept_ns : RESULT_UNKNOWN,
            .dropped_ns = evidence->idle_dropped_ns ? evidence->idle_dropped_ns : RESULT_UNKNOWN,
            .end = idle_end_name((enum idle_end)evidence->idle_end),
            .keepalive_ns = tried ? evidence->idle_keepalive_ns : RESULT_UNKNOWN,
            .keepalive = !tried                                                 ? NULL
                         : evidence->idle_keepalive_end == IDLE_KEEPALIVE_KEEPS ? "keeps"
                                                                                : "does-not-keep"};
    return idle;
}

void summarize(const struct target *target, const struct probe_totals *totals,
               struct result_probe *result, struct summary *summary)
{
    struct arena *arena = target->shared->conn.arena;

    summary_evidence(target, summary);
    struct arm_rounds own = summary->evidence.new_connections
                                ? summary->evidence.fresh
                                : summary->evidence.arms[ARM_BASELINE];
    *result = (struct result_probe){
        .target = target->asked->name,
        .address = place_of(target),
        .port = target->asked->where.port ? target->asked->where.port : RESULT_UNKNOWN,
        .ok = target->failure.code == FINDING_NONE && own.count && !target->unexpected,
        .error = target->failure,
        .resolve_ns = target->resolve_ns,
        .connect_ns = target->connect_ns,
        .tls_ns = target->tls_ns,
        .tls = target->tls,
        .preamble_ns = target->preamble_ns,
        .rtt_ns = summary->evidence.rtt_ns,
        .syn_retransmits = target->syn_retransmits,
        .rounds = (int64_t)own.count,
        .failed_rounds = target->failure.code != FINDING_NONE && target->connections,
        .connections = target->connections,
        .latency = latency(own, total_of),
        .wire = latency(own, wire_of),
        .slow_round = target->slow_ns == RESULT_UNKNOWN ? NULL : target->slow_strip,
        .slow_round_ns = target->slow_ns,
    };
    result->answer = describe_answer(target);
    result->idle = describe_idle(arena, &summary->evidence);
    if (target->shared->plan->transaction.framing.kind == FRAMING_HTTP)
        result->http = result->answer;
    break_down(own, result->latency.p50_ns, &result->breakdown);
    bound_parts(&summary->evidence, &result->breakdown);
    for (size_t i = 0; i < own.count; i++)
        result_histogram_add(&result->histogram, own.rounds[i].total_ns);
    result->slow_round_captured = has_segments(result->slow_round);
    list_arms(arena, &summary->evidence, result);
    if (target->transaction.has_info)
        list_tcp_info(arena, &target->transaction.info, &result->tcp_info);
    list_notes(target, totals, result);
}
