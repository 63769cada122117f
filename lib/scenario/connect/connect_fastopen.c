/* TCP Fast Open (RFC 7413): data in the SYN, for who has a cookie that the server accepts. */
#include "scenario/connect/connect.h"

#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#define CONNECTIONS 3
#define BYTES       10

enum { ASKED, ACCEPTED, REFUSED }; /* the cookie, of each connection */

struct fastopen_facts {
    struct act_reply connect[CONNECTIONS], write[CONNECTIONS], accept[CONNECTIONS],
        read[CONNECTIONS], info[CONNECTIONS];
    int64_t active, active_failed, passive, passive_failed, asked;
    bool syn_before_write, read_before_ack;
    int64_t state_at_read;
};

/* The server's cookies come from a key; another key refuses the cookies of the one before. */
static int64_t set_key(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    unsigned char key[16];
    int fd = self->slots[act->slot].fd;

    (void)reply;
    memset(key, act->number, sizeof key);
    int rc = setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, sizeof key) ? -errno : 0;
    syscall_recorder_note(&self->recorder, "TCP_FASTOPEN_KEY", fd, rc);
    return rc;
}

static void send_one(struct testbed *bed, struct fastopen_facts *facts, int i)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->write[i] = DO(client, ACT_WRITE, .slot = i, .bytes = BYTES, .flags = MSG_NOSIGNAL);
    facts->accept[i] = DO(server, ACT_ACCEPT, .other = i + 1, .timeout_ns = 4 * NS_PER_SEC);
    if (!facts->accept[i].rc)
        facts->read[i] = DO(server, ACT_READ, .slot = i + 1, .bytes = BYTES);
    facts->info[i] = DO(client, ACT_INFO, .slot = i);
}

static void begin_one(struct testbed *bed, struct fastopen_facts *facts, int i)
{
    struct agent *client = testbed_client(bed);

    DO(client, ACT_OPTION, .slot = i, .text = "TCP_FASTOPEN_CONNECT=on");
    facts->connect[i] = DO(client, ACT_CONNECT, .slot = i, .port = TESTBED_PORT);
}

static void run_fast_open(struct testbed *bed)
{
    struct fastopen_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *server = testbed_server(bed);

    testbed_subject(bed, ACCEPTED + 1);
    DO(server, ACT_OPTION, .text = "TCP_FASTOPEN=16");
    DO(server, ACT_CALL, .function = set_key, .number = 1);
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    begin_one(bed, facts, ASKED);
    send_one(bed, facts, ASKED);

    begin_one(bed, facts, ACCEPTED);
    facts->syn_before_write = testbed_saw(bed, "seen c>s:syn#2", 0);
    int held = testbed_fault(bed, "hold ack dir c>s");
    send_one(bed, facts, ACCEPTED);
    facts->state_at_read = DO(server, ACT_INFO, .slot = ACCEPTED + 1).rc;
    facts->read_before_ack = facts->read[ACCEPTED].rc == BYTES;
    testbed_release(bed, held);
    testbed_unfault(bed, held);

    DO(server, ACT_CALL, .function = set_key, .number = 2);
    begin_one(bed, facts, REFUSED);
    send_one(bed, facts, REFUSED);
    facts->active = testbed_counter(bed, LAB_CLIENT, "TcpExt TCPFastOpenActive");
    facts->active_failed = testbed_counter(bed, LAB_CLIENT, "TcpExt TCPFastOpenActiveFail");
    facts->passive = testbed_counter(bed, LAB_SERVER, "TcpExt TCPFastOpenPassive");
    facts->passive_failed = testbed_counter(bed, LAB_SERVER, "TcpExt TCPFastOpenPassiveFail");
    facts->asked = testbed_counter(bed, LAB_SERVER, "TcpExt TCPFastOpenCookieReqd");
}

/* Bytes that the client sent in SYNs of a connection, and in other segments. */
static void count_bytes(const struct testbed *bed, uint32_t number, int64_t *in_syn, int64_t *after)
{
    *in_syn = *after = 0;
    for (size_t i = 0; i < bed->event_count; i++) {
        const struct trace_event *event = &bed->events[i];
        if (event->kind == TRACE_SEGMENT && event->connection == number &&
            event->segment.from_client)
            *(event->segment.flags & 0x02 ? in_syn : after) += event->segment.payload_bytes;
    }
}

static void check_bytes(struct testbed *bed, const struct fastopen_facts *facts)
{
    static const struct {
        const char *what, *in_syn, *after;
        int64_t bytes_in_syn, bytes_after;
    } expected[CONNECTIONS] = {
        [ASKED] = {"no cookie yet: asks for one", "first_in_syn_bytes", "first_after_bytes", 0,
                   BYTES},
        [ACCEPTED] = {"with the cookie", "second_in_syn_bytes", "second_after_bytes", BYTES, 0},
        [REFUSED] = {"with a cookie that the server refuses", "third_in_syn_bytes",
                     "third_after_bytes", BYTES, BYTES},
    };

    testbed_table(bed, "connections", "Three connections, one after the other");
    for (int i = 0; i < CONNECTIONS; i++) {
        int64_t in_syn, after;
        struct result_map *row = testbed_row(bed);
        count_bytes(bed, (uint32_t)i + 1, &in_syn, &after);
        result_set_text(bed->arena, row, "connection", expected[i].what);
        result_set_text(bed->arena, row, "connect", act_rc_name(facts->connect[i].rc, "0"));
        result_set_integer(bed->arena, row, "bytes_in_the_SYN", in_syn);
        result_set_integer(bed->arena, row, "bytes_after_it", after);
        result_set_bool(bed->arena, row, "SYN_data_acknowledged",
                        facts->info[i].info.options & TCPI_OPT_SYN_DATA);
        testbed_check_integer(bed, expected[i].in_syn, expected[i].bytes_in_syn, in_syn);
        testbed_check_integer(bed, expected[i].after, expected[i].bytes_after, after);
    }
}

static void check_fast_open(struct testbed *bed)
{
    const struct fastopen_facts *facts = testbed_facts(bed, sizeof *facts);

    connect_summary(bed, &facts->connect[ACCEPTED]);
    testbed_check_rc(bed, "connect", "0", &facts->connect[ACCEPTED], "0");
    testbed_check_bool(bed, "connect_sends_a_syn", false, facts->syn_before_write);
    testbed_check_bool(bed, "read_before_the_last_ack", true, facts->read_before_ack);
    testbed_check_text(bed, "server_state_at_read", "SYN-RECEIVED",
                       testbed_state_name((int)facts->state_at_read));
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
    check_bytes(bed, facts);
    testbed_check_integer(bed, "cookies_asked_for", 1, facts->asked);
    testbed_check_integer(bed, "client_succeeded", 1, facts->active);
    testbed_check_integer(bed, "client_failed", 1, facts->active_failed);
    testbed_check_integer(bed, "server_accepted", 1, facts->passive);
    testbed_check_integer(bed, "server_refused", 1, facts->passive_failed);
    testbed_check_integer(bed, "third_read_bytes", BYTES, facts->read[REFUSED].rc);
}

static const struct scenario_setting fast_open_settings[] = {
    {SCENARIO_BOTH, "tcp_fastopen", "3", 0},
    {SCENARIO_BOTH, "tcp_fastopen_blackhole_timeout_sec", "0", SETTING_OPTIONAL},
    {SCENARIO_CLIENT, "tcp_syn_retries", "2", SETTING_TIMER},
    {SCENARIO_CLIENT, "tcp_syn_linear_timeouts", "1", SETTING_TIMER | SETTING_OPTIONAL},
    {0}};

const struct scenario connect_fast_open = {
    .name = "fast-open",
    .title = "TCP Fast Open: data in the SYN, with a cookie asked for, accepted, and refused",
    .here = "The first connection asks for a cookie, and sends its data after the handshake. With "
            "the cookie, connect (TCP_FASTOPEN_CONNECT) returns 0 without sending anything; the "
            "first write sends the SYN with the data, and the server reads it in SYN-RECEIVED, a "
            "round trip earlier. A cookie that the server refuses costs nothing but that: the "
            "SYN,ACK acknowledges the SYN alone, and the data is sent again. That connect "
            "succeeded says nothing here: failures come from the first write.",
    .settings = fast_open_settings,
    .play = run_fast_open,
    .check = check_fast_open,
};
