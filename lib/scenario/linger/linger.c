/* What the scenarios of linger-test share: data at stake, ACKs that are held, how it ended. */
#include "scenario/linger/linger.h"
#include "base/wait.h"
#include "scenario/engine/agent_self.h"

#include <errno.h>

const struct scenario_setting linger_settings[] = {
    {SCENARIO_BOTH, "tcp_early_retrans", "0", 0},
    {SCENARIO_BOTH, "rto_min", "3000", SETTING_ROUTE},
    {SCENARIO_BOTH, "tcp_wmem", "4096 4194304 4194304", SETTING_OPTIONAL},
    {SCENARIO_BOTH, "tcp_fin_timeout", "60", 0},
    {0}};

const char *linger_sees(const struct linger_end *end)
{
    return end->rc == -ETIME ? "nothing" : act_rc_name(end->rc, "EOF");
}

int64_t linger_bytes(const struct testbed *bed, int64_t otherwise)
{
    return bed->request->bytes ? bed->request->bytes : otherwise;
}

/* ---- Inside the agents ---- */

struct linger_end linger_read(struct agent *agent, int slot)
{
    struct act_reply reply =
        DO(agent, ACT_READ_ALL, .slot = slot, .timeout_ns = LINGER_PATIENCE_NS);

    return (struct linger_end){reply.bytes, reply.rc};
}

static AGENT_CALL(do_port)
{
    struct sock_address address;
    int rc = sock_local_address(self->slots[act->slot].fd, &address);

    return rc ? rc : sock_address_port(&address);
}

uint16_t linger_port(struct agent *agent, int slot)
{
    struct act_reply reply = DO(agent, ACT_CALL, .slot = slot, .function = do_port);
    return reply.rc > 0 ? (uint16_t)reply.rc : 0;
}

/* ---- On the testbed ---- */

struct linger_scene linger_begin(struct testbed *bed, int64_t bytes)
{
    struct linger_scene s = {
        .bed = bed, .client = testbed_client(bed), .server = testbed_server(bed), .bytes = bytes};

    if (bytes > LINGER_BYTES)
        testbed_any_exchange(bed);
    testbed_connected(bed);
    s.port = linger_port(s.client, 0);
    return s;
}

void linger_hold(struct linger_scene *s)
{
    if (s->bed->lab)
        s->hold = testbed_fault(s->bed, "hold ack dir s>c");
    testbed_from_here(s->bed);
}

void linger_release(struct linger_scene *s)
{
    if (s->hold)
        testbed_unfault(s->bed, s->hold);
    s->hold = 0;
}

bool linger_saw(const struct linger_scene *s, const char *condition)
{
    return s->bed->lab && testbed_saw(s->bed, condition, LINGER_PATIENCE_NS);
}

void linger_write(struct linger_scene *s)
{
    testbed_from_here(s->bed);
    MUST(s->bed, "the client cannot write", s->client, ACT_WRITE_ALL, .bytes = s->bytes);
    linger_saw(s, s->hold ? "s>c:ack" : "delivered s>c:ack");
}

void linger_read_bytes(struct linger_scene *s)
{
    struct act_reply all = DO(s->server, ACT_READ_ALL, .slot = 1, .bytes = s->bytes);

    s->end = (struct linger_end){all.bytes, all.rc};
}

static struct act_socket socket_of(struct testbed *bed, enum lab_host host, uint16_t client_port)
{
    return host == LAB_CLIENT ? testbed_socket_of(bed, host, client_port, TESTBED_PORT)
                              : testbed_socket_of(bed, host, TESTBED_PORT, client_port);
}

static int state_within(struct testbed *bed, enum lab_host host, uint16_t client_port, int expected,
                        int64_t limit_ns)
{
    int state;

    wait_until((state = socket_of(bed, host, client_port).state) == expected || testbed_failed(bed),
               clock_mono_ns() + limit_ns);
    return state;
}

int linger_state(struct testbed *bed, enum lab_host host, uint16_t client_port, int expected)
{
    return state_within(bed, host, client_port, expected, LINGER_PATIENCE_NS);
}

void linger_wait_gone(struct linger_scene *s, int64_t limit_ns)
{
    s->client_end = state_within(s->bed, LAB_CLIENT, s->port, 0, limit_ns);
}

void linger_check_state(struct linger_scene *s, const char *key, enum lab_host host, int expected)
{
    testbed_check_state(s->bed, key, expected, linger_state(s->bed, host, s->port, expected));
}

void linger_check_delivered(struct linger_scene *s, const char *peer_sees)
{
    s->end = linger_read(s->server, 1);
    testbed_check_integer(s->bed, "delivered_bytes", s->bytes, s->end.bytes);
    testbed_check_text(s->bed, "peer_sees", peer_sees, linger_sees(&s->end));
}

void linger_check_peer_sees(struct linger_scene *s, const char *peer_sees)
{
    s->end = linger_read(s->server, 1);
    testbed_check_text(s->bed, "peer_sees", peer_sees, linger_sees(&s->end));
}

void linger_check_time_wait(struct linger_scene *s, enum lab_host host)
{
    struct act_socket found = socket_of(s->bed, host, s->port);
    bool waits = found.state == TCP_TIME_WAIT && found.entry.timer == SOCK_DIAG_TIMER_TIME_WAIT;

    testbed_check_range(s->bed, "time_wait_left_ns", LINGER_TIME_WAIT_NS - 5 * NS_PER_SEC,
                        LINGER_TIME_WAIT_NS,
                        waits ? (int64_t)found.entry.timer_expires_ms * NS_PER_MS : RESULT_UNKNOWN);
}

void linger_finish(struct linger_scene *s, int client_end)
{
    DO(s->server, ACT_CLOSE, .slot = 1);
    s->client_end = linger_state(s->bed, LAB_CLIENT, s->port, client_end);
    s->server_end = linger_state(s->bed, LAB_SERVER, s->port, 0);
}

void linger_check_ends(struct linger_scene *s, int client_end, int server_end)
{
    testbed_check_state(s->bed, "client_end", client_end, s->client_end);
    testbed_check_state(s->bed, "server_end", server_end, s->server_end);
}

void linger_check_time(struct testbed *bed, const char *key,
                       const struct kernel_timers_settings *settings, int64_t planned_ns,
                       int64_t measured_ns)
{
    int64_t min_ns = planned_ns - 2 * settings->tick_ns;

    testbed_check_range(bed, key, min_ns > 0 ? min_ns : 0,
                        kernel_timers_latest_ns(settings, planned_ns) + LINGER_LATE_NS,
                        measured_ns);
}

/* ---- The summary ---- */

void linger_summarize(struct linger_scene *s, const char *returned, const char *known_to_have_it)
{
    static const char *const waiting[] = {"nobody", "client", "server", "both"};
    int waits = (s->client_end == TCP_TIME_WAIT) + 2 * (s->server_end == TCP_TIME_WAIT);

    testbed_summarize(
        s->bed, TEXT("call_returns", returned), TEXT("known_to_have_it", known_to_have_it),
        INTEGER("delivered", s->end.bytes), INTEGER("lost", s->bytes - s->end.bytes),
        TEXT("peer_sees", s->peer_sees ? s->peer_sees : linger_sees(&s->end)),
        TEXT("local_end", testbed_state_name(s->client_end)), TEXT("TIME-WAIT_at", waiting[waits]));
}
