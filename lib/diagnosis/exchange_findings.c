/* Findings are summed over all connections, so that ten thousand of them make no ten thousand
 * findings; one that concerns a single connection names it. */
#include "diagnosis/exchange.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "packet/packet.h"
#include <inttypes.h>
#include <string.h>

static const char *const side_names[2] = {"client", "server"};
static const enum result_side sides[2] = {RESULT_SIDE_CLIENT, RESULT_SIDE_SERVER};

/* What a fault did on purpose is nobody's to change. */
#define FAULT_REMEDY                                                                               \
    "A fault of this run caused it. What matters is how long the two programs took to recover."

struct sum {
    int64_t count;
    int64_t total_ns, max_ns;
    int64_t by_fault;
    uint32_t fault;
    size_t connections;
    const struct exchange_connection *first;
};

static const char *name_of(struct arena *arena, const struct exchange_connection *connection)
{
    char text[2][PACKET_ENDPOINT_TEXT_MAX];
    int from = connection->opener == 1;

    for (int side = 0; side < 2; side++) {
        struct packet_endpoint end = {.port = connection->port[side]};
        memcpy(end.address, connection->address[side], sizeof end.address);
        packet_endpoint_text(text[side], sizeof text[side], connection->family, &end);
    }
    return arena_printf(arena, "%s > %s", text[from], text[!from]);
}

/* "; fault 2 did it": how much of it the faults of the wire explain. */
static const char *by_fault(struct arena *arena, const struct sum *sum)
{
    const char *which = sum->fault == EXCHANGE_FAULTS
                            ? "faults"
                            : arena_printf(arena, "fault %" PRIu32, sum->fault);

    if (!sum->by_fault)
        return "";
    if (sum->by_fault == sum->count)
        return arena_printf(arena, "; %s caused it", which);
    return arena_printf(arena, "; %s caused %" PRId64 " of them", which, sum->by_fault);
}

static struct finding *add(struct arena *arena, struct finding_list *findings,
                           enum finding_code code, enum result_side side, const struct sum *sum)
{
    bool wanted = sum->by_fault == sum->count;
    struct finding *finding = finding_add(arena, findings, code, wanted ? RESULT_SIDE_NONE : side);

    finding->count = sum->count;
    finding->cost_ns = sum->max_ns ? sum->total_ns / sum->count : RESULT_UNKNOWN;
    finding->connection = sum->connections == 1 ? name_of(arena, sum->first) : NULL;
    result_set_integer(arena, &finding->evidence, "connections", (int64_t)sum->connections);
    if (sum->max_ns)
        result_set_integer(arena, &finding->evidence, "longest_ns", sum->max_ns);
    if (sum->fault && sum->fault != EXCHANGE_FAULTS)
        result_set_integer(arena, &finding->evidence, "fault", sum->fault);
    result_set_integer(arena, &finding->evidence, "by_fault", sum->by_fault);
    if (wanted)
        finding->remedy = FAULT_REMEDY;
    return finding;
}

static void count_in(struct sum *sum, const struct exchange_connection *connection, int64_t count,
                     int64_t total_ns, int64_t max_ns)
{
    if (!count)
        return;
    if (!sum->connections++)
        sum->first = connection;
    sum->count += count;
    sum->total_ns += total_ns;
    sum->max_ns = max_ns > sum->max_ns ? max_ns : sum->max_ns;
}

static void count_fault(struct sum *sum, int64_t count, uint32_t fault)
{
    if (!fault)
        return;
    sum->by_fault += count;
    sum->fault = exchange_faults(sum->fault, fault);
}

/* Calls it for every connection. */
#define EACH(connection, exchange)                                                                 \
    for (size_t i_ = 0; i_ < (exchange)->numbers; i_++)                                            \
        for (const struct exchange_connection *connection = (exchange)->by_number[i_]; connection; \
             connection = NULL)

/* ---- What was sent again */

static const struct {
    enum finding_code code;
    const char *one, *many; /* of which %s, the side, is the subject */
} losses[EXCHANGE_LOSSES] = {
    [EXCHANGE_SYN] = {FINDING_SYN_RETRANSMISSION, "SYN", "SYNs"},
    [EXCHANGE_SYNACK] = {FINDING_SYNACK_RETRANSMISSION, "SYN,ACK", "SYN,ACKs"},
    [EXCHANGE_TIMEOUT] = {FINDING_RETRANSMISSION_TIMEOUT, "segment", "segments"},
    [EXCHANGE_PROBE] = {FINDING_TAIL_LOSS_PROBE, "last segment", "last segments"},
    [EXCHANGE_FAST] = {FINDING_FAST_RETRANSMIT, "segment", "segments"},
    [EXCHANGE_SPURIOUS] = {FINDING_SPURIOUS_RETRANSMIT, "segment", "segments"},
};

static void diagnose_losses(const struct exchange *exchange, enum exchange_loss kind, int side,
                            struct finding_list *findings)
{
    struct sum sum = {0};

    EACH(connection, exchange)
    {
        const struct exchange_losses *one = &connection->side[side].losses[kind];
        count_in(&sum, connection, one->count, one->wait_total_ns, one->wait_max_ns);
        count_fault(&sum, one->by_fault, one->fault);
    }
    if (!sum.count)
        return;
    struct finding *finding =
        add(exchange->arena, findings, losses[kind].code, RESULT_SIDE_NETWORK, &sum);
    result_set_text(exchange->arena, &finding->evidence, "sender", side_names[side]);
    finding->summary =
        sum.count == 1
            ? arena_printf(exchange->arena, "A %s of the %s was sent again after %s%s.",
                           losses[kind].one, side_names[side],
                           arena_duration(exchange->arena, sum.max_ns),
                           by_fault(exchange->arena, &sum))
            : arena_printf(exchange->arena, "The %s sent %" PRId64 " %s again, after up to %s%s.",
                           side_names[side], sum.count, losses[kind].many,
                           arena_duration(exchange->arena, sum.max_ns),
                           by_fault(exchange->arena, &sum));
}

/* ---- Windows, order */

static void diagnose_window(const struct exchange *exchange, int side,
                            struct finding_list *findings)
{
    struct sum sum = {0};
    size_t never = 0;

    EACH(connection, exchange)
    {
        const struct exchange_direction *mine = &connection->side[side];
        bool closed = mine->zero_since_ns != CLOCK_NONE;
        int64_t rest_ns = closed ? connection->last_ns - mine->zero_since_ns : 0;
        int64_t total_ns = mine->zero_total_ns + rest_ns;
        never += closed;
        count_in(&sum, connection, mine->zero_windows, total_ns, total_ns);
    }
    if (!sum.count)
        return;
    struct finding *finding =
        add(exchange->arena, findings, FINDING_ZERO_WINDOW, sides[side], &sum);
    finding->summary = arena_printf(
        exchange->arena, "The %s advertised a zero window %" PRId64 " time%s, for %s in all%s.",
        side_names[side], sum.count, sum.count == 1 ? "" : "s",
        arena_duration(exchange->arena, sum.total_ns),
        never ? ", and not every window opened again" : "");
}

static void diagnose_order(const struct exchange *exchange, int side, struct finding_list *findings)
{
    struct sum sum = {0};

    EACH(connection, exchange)
    count_in(&sum, connection, connection->side[side].overtaken, 0, 0);
    if (!sum.count)
        return;
    struct finding *finding =
        add(exchange->arena, findings, FINDING_REORDERING, RESULT_SIDE_NETWORK, &sum);
    finding->summary =
        arena_printf(exchange->arena, "%" PRId64 " segment%s of the %s arrived after a later one.",
                     sum.count, sum.count == 1 ? "" : "s", side_names[side]);
}

/* ---- Connections that failed */

static void count_end(struct sum *sum, const struct exchange_connection *connection)
{
    count_in(sum, connection, 1, 0, 0);
    if (connection->by_wire)
        count_fault(sum, 1, connection->end_fault);
}

static void diagnose_refused(const struct exchange *exchange, int side,
                             struct finding_list *findings)
{
    struct sum sum = {0};

    EACH(connection, exchange)
    if (exchange_end_of(connection) == EXCHANGE_REFUSED && connection->reset_by == side)
        count_end(&sum, connection);
    if (!sum.count)
        return;
    struct finding *finding =
        add(exchange->arena, findings, FINDING_CONNECTION_REFUSED, sides[side], &sum);
    finding->summary =
        arena_printf(exchange->arena, "%" PRId64 " connection%s to the %s %s answered by RST%s.",
                     sum.count, sum.count == 1 ? "" : "s", side_names[side],
                     sum.count == 1 ? "was" : "were", by_fault(exchange->arena, &sum));
}

/* SYN, SYN,ACK, and RST instead of the last ACK: whoever asks so wants to know no more than whether
 * the port answers (a health check, a scan, tcp-probe's control). Nothing was lost. */
static bool is_half_open_probe(const struct exchange_connection *connection)
{
    int opener = connection->opener;

    return opener >= 0 && connection->synack && connection->reset_by == opener &&
           connection->side[opener].segments - connection->side[opener].retransmissions == 2 &&
           !connection->side[!opener].payload_bytes;
}

static void diagnose_reset(const struct exchange *exchange, int side, struct finding_list *findings)
{
    struct sum sum = {0};

    EACH(connection, exchange)
    if (exchange_end_of(connection) == EXCHANGE_RESET && connection->reset_by == side &&
        !is_half_open_probe(connection))
        count_end(&sum, connection);
    if (!sum.count)
        return;
    struct finding *finding =
        add(exchange->arena, findings, FINDING_CONNECTION_RESET, sides[side], &sum);
    finding->summary = arena_printf(
        exchange->arena, "%" PRId64 " connection%s ended by an RST from the %s%s.", sum.count,
        sum.count == 1 ? " was" : "s were", side_names[side], by_fault(exchange->arena, &sum));
}

static enum finding_code code_of_icmp(const char *name)
{
    static const struct {
        const char *name;
        enum finding_code code;
    } rows[] = {{"net-unreachable", FINDING_NETWORK_UNREACHABLE},
                {"no-route", FINDING_NETWORK_UNREACHABLE},
                {"port-unreachable", FINDING_CONNECTION_REFUSED}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].name, name))
            return rows[i].code;
    return FINDING_HOST_UNREACHABLE;
}

static void diagnose_unreachable(const struct exchange *exchange, struct finding_list *findings)
{
    struct sum sum = {0};

    EACH(connection, exchange)
    if (exchange_end_of(connection) == EXCHANGE_UNREACHABLE)
        count_end(&sum, connection);
    if (!sum.count)
        return;
    const char *icmp = sum.first->icmp;
    struct finding *finding =
        add(exchange->arena, findings, code_of_icmp(icmp), RESULT_SIDE_NETWORK, &sum);
    finding->summary =
        arena_printf(exchange->arena, "%" PRId64 " connection%s answered by ICMP %s%s.", sum.count,
                     sum.count == 1 ? " was" : "s were", icmp, by_fault(exchange->arena, &sum));
}

/* A fault explains silence when it took every SYN, or every answer. */
static void count_silence(struct sum *sum, const struct exchange_connection *connection)
{
    int64_t waited_ns = connection->last_ns - connection->first_ns;

    count_in(sum, connection, 1, waited_ns, waited_ns);
    for (int side = 0; side < 2; side++) {
        const struct exchange_direction *sent = &connection->side[side];
        if (!sent->segments || sent->lost != sent->segments || !sent->lost_fault)
            continue;
        count_fault(sum, 1, sent->lost_fault);
        return;
    }
}

static void diagnose_silence(const struct exchange *exchange, struct finding_list *findings)
{
    struct sum sum = {0};

    EACH(connection, exchange)
    if (exchange_end_of(connection) == EXCHANGE_NO_REPLY)
        count_silence(&sum, connection);
    if (!sum.count)
        return;
    struct finding *finding =
        add(exchange->arena, findings, FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NETWORK, &sum);
    finding->summary =
        arena_printf(exchange->arena, "%" PRId64 " connection%s never answered%s.", sum.count,
                     sum.count == 1 ? " was" : "s were", by_fault(exchange->arena, &sum));
}

void exchange_diagnose(const struct exchange *exchange, struct finding_list *findings)
{
    diagnose_unreachable(exchange, findings);
    diagnose_silence(exchange, findings);
    for (int side = 0; side < 2; side++) {
        diagnose_refused(exchange, side, findings);
        diagnose_reset(exchange, side, findings);
        for (int kind = 0; kind < EXCHANGE_LOSSES; kind++)
            diagnose_losses(exchange, (enum exchange_loss)kind, side, findings);
        diagnose_window(exchange, side, findings);
        diagnose_order(exchange, side, findings);
    }
}
