/* What the scenarios of linger-test share: data at stake, ACKs that are kept, how it ended. */
#include "scenario/engine/agent_self.h"
#include "scenario/linger/linger.h"

#include <errno.h>
#include <poll.h>

const struct scenario_setting linger_settings[] = {
    {SCENARIO_BOTH, "tcp_early_retrans", "0", 0},
    {SCENARIO_BOTH, "tcp_rto_min_us", "3000000", SETTING_OPTIONAL},
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

static int64_t do_read(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    static unsigned char sink[65536];
    struct sock *sock = &self->slots[act->slot];
    ssize_t got = 1;

    while (got > 0) {
        int events = sock_poll(sock, POLLIN, LINGER_PATIENCE_NS);
        if (events <= 0)
            return events ? events : -ETIME;
        got = sock_read(sock, sink, sizeof sink, 0);
        reply->bytes += got > 0 ? got : 0;
    }
    return got;
}

struct linger_end linger_read(struct agent *agent, int slot)
{
    struct act_reply reply =
        DO(agent, ACT_CALL, .slot = slot, .function = do_read, .timeout_ns = LINGER_PATIENCE_NS);

    return (struct linger_end){reply.bytes, reply.rc};
}

static int64_t do_set_nonblocking(struct agent_self *self, const struct act *act,
                                  struct act_reply *reply)
{
    (void)reply;
    int rc = sock_set_nonblocking(&self->slots[act->slot], true);
    syscall_recorder_note(&self->recorder, "fcntl O_NONBLOCK", self->slots[act->slot].fd, rc);
    return rc;
}

void linger_set_nonblocking(struct agent *agent, int slot)
{
    DO(agent, ACT_CALL, .slot = slot, .function = do_set_nonblocking);
}

static int64_t do_port(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    struct sock_address address;
    int rc = sock_local_address(self->slots[act->slot].fd, &address);

    (void)reply;
    return rc ? rc : sock_address_port(&address);
}

uint16_t linger_port(struct agent *agent, int slot)
{
    struct act_reply reply = DO(agent, ACT_CALL, .slot = slot, .function = do_port);
    return reply.rc > 0 ? (uint16_t)reply.rc : 0;
}

/* ---- On the testbed ---- */

struct linger_facts *linger_begin(struct testbed *bed, size_t size, int64_t bytes)
{
    struct linger_facts *facts = testbed_facts(bed, size);

    facts->bytes = linger_bytes(bed, bytes);
    facts->time_wait_ns = RESULT_UNKNOWN;
    testbed_connected(bed);
    facts->port = linger_port(testbed_client(bed), 0);
    return facts;
}

void linger_hold(struct testbed *bed, struct linger_facts *facts)
{
    if (bed->lab)
        facts->hold = testbed_fault(bed, "hold ack dir s>c");
    testbed_from_here(bed);
}

void linger_release(struct testbed *bed, struct linger_facts *facts)
{
    if (facts->hold)
        testbed_unfault(bed, facts->hold);
    facts->hold = 0;
}

void linger_write(struct testbed *bed, struct linger_facts *facts)
{
    struct act_reply written =
        DO(testbed_client(bed), ACT_WRITE_ALL, .slot = 0, .bytes = facts->bytes);

    if (written.rc)
        testbed_fail(bed, "the client cannot write: %s", act_rc_name(written.rc, "0"));
    if (bed->lab)
        testbed_saw(bed, facts->hold ? "s>c:ack" : "delivered s>c:ack", LINGER_PATIENCE_NS);
}

static struct act_socket socket_of(struct testbed *bed, enum lab_host host, uint16_t client_port)
{
    return host == LAB_CLIENT ? testbed_socket_of(bed, host, client_port, TESTBED_PORT)
                              : testbed_socket_of(bed, host, TESTBED_PORT, client_port);
}

int linger_state(struct testbed *bed, enum lab_host host, uint16_t client_port, int expected)
{
    int64_t end_ns = clock_mono_ns() + LINGER_PATIENCE_NS;
    int state;

    while ((state = socket_of(bed, host, client_port).state) != expected && !testbed_failed(bed) &&
           clock_mono_ns() < end_ns)
        poll(NULL, 0, 2);
    return state;
}

int64_t linger_time_wait_left(struct testbed *bed, enum lab_host host, uint16_t client_port)
{
    struct act_socket found = socket_of(bed, host, client_port);

    return found.state == TCP_TIME_WAIT && found.entry.timer == SOCK_DIAG_TIMER_TIME_WAIT
               ? (int64_t)found.entry.timer_expires_ms * NS_PER_MS
               : RESULT_UNKNOWN;
}

void linger_finish(struct testbed *bed, struct linger_facts *facts, int expected)
{
    DO(testbed_server(bed), ACT_CLOSE, .slot = 1);
    facts->client = linger_state(bed, LAB_CLIENT, facts->port, expected);
    facts->time_wait_ns = linger_time_wait_left(bed, LAB_CLIENT, facts->port);
    facts->server = linger_state(bed, LAB_SERVER, facts->port, 0);
}

void linger_expect_time(struct testbed *bed, const char *key,
                        const struct kernel_timers_settings *settings, int64_t planned_ns)
{
    int64_t min_ns = planned_ns - 2 * settings->tick_ns;

    testbed_expect_range(bed, key, min_ns > 0 ? min_ns : 0,
                         kernel_timers_latest_ns(settings, planned_ns) + LINGER_LATE_NS);
}

/* ---- The summary ---- */

static const char *who_waits(const struct linger_row *row)
{
    static const char *const names[] = {"nobody", "client", "server", "both"};

    return names[(row->client == TCP_TIME_WAIT) + 2 * (row->server == TCP_TIME_WAIT)];
}

void linger_summarise(struct testbed *bed, const struct linger_row *row)
{
    struct result_map *summary = testbed_summary(bed);
    struct arena *arena = bed->arena;

    result_set_text(arena, summary, "call_returns", row->returned);
    result_set_text(arena, summary, "known_to_have_it",
                    row->application_has_it ? "application"
                    : row->peer_has_it      ? "peer's TCP"
                                            : "nobody");
    result_set_integer(arena, summary, "delivered", row->delivered_bytes);
    result_set_integer(arena, summary, "lost", row->lost_bytes);
    result_set_text(arena, summary, "peer_sees", row->peer_sees);
    result_set_text(arena, summary, "local_end", testbed_state_name(row->client));
    result_set_text(arena, summary, "TIME-WAIT_at", who_waits(row));
}

void linger_summarise_facts(struct testbed *bed, const struct linger_facts *facts,
                            const char *returned)
{
    linger_summarise(bed, &(struct linger_row){.returned = returned,
                                               .peer_has_it = !facts->before_ack,
                                               .delivered_bytes = facts->end.bytes,
                                               .lost_bytes = facts->bytes - facts->end.bytes,
                                               .peer_sees = linger_sees(&facts->end),
                                               .client = facts->client,
                                               .server = facts->server});
}
