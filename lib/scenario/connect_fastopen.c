/* TCP Fast Open (RFC 7413): data in the SYN, for who has a cookie that the server accepts. */
#include "scenario/connect.h"

#include "scenario/cast.h"
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
static int64_t set_key(struct actor_self *self, const struct act *act, struct act_reply *reply)
{
    unsigned char key[16];
    int fd = self->slots[act->slot].fd;

    (void)reply;
    memset(key, act->number, sizeof key);
    int rc = setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, sizeof key) ? -errno : 0;
    recorder_note(&self->recorder, "TCP_FASTOPEN_KEY", fd, rc);
    return rc;
}

static void send_one(struct stage *stage, struct fastopen_facts *facts, int i)
{
    struct actor *client = stage_client(stage), *server = stage_server(stage);

    facts->write[i] = DO(client, ACT_WRITE, .slot = i, .bytes = BYTES, .flags = MSG_NOSIGNAL);
    facts->accept[i] = DO(server, ACT_ACCEPT, .other = i + 1, .timeout_ns = 4 * NS_PER_SEC);
    if (!facts->accept[i].rc)
        facts->read[i] = DO(server, ACT_READ, .slot = i + 1, .bytes = BYTES);
    facts->info[i] = DO(client, ACT_INFO, .slot = i);
}

static void begin_one(struct stage *stage, struct fastopen_facts *facts, int i)
{
    struct actor *client = stage_client(stage);

    DO(client, ACT_OPTION, .slot = i, .text = "TCP_FASTOPEN_CONNECT=on");
    facts->connect[i] = DO(client, ACT_CONNECT, .slot = i, .port = STAGE_PORT);
}

static void run_fast_open(struct stage *stage)
{
    struct fastopen_facts *facts = stage_facts(stage, sizeof *facts);
    struct actor *server = stage_server(stage);

    stage_subject(stage, ACCEPTED + 1);
    DO(server, ACT_OPTION, .text = "TCP_FASTOPEN=16");
    DO(server, ACT_CALL, .function = set_key, .number = 1);
    DO(server, ACT_LISTEN, .port = STAGE_PORT, .number = 16);
    begin_one(stage, facts, ASKED);
    send_one(stage, facts, ASKED);

    begin_one(stage, facts, ACCEPTED);
    facts->syn_before_write = stage_saw(stage, "seen c>s:syn#2", 0);
    int held = stage_fault(stage, "hold ack dir c>s");
    send_one(stage, facts, ACCEPTED);
    facts->state_at_read = DO(server, ACT_INFO, .slot = ACCEPTED + 1).rc;
    facts->read_before_ack = facts->read[ACCEPTED].rc == BYTES;
    stage_release(stage, held);
    stage_unfault(stage, held);

    DO(server, ACT_CALL, .function = set_key, .number = 2);
    begin_one(stage, facts, REFUSED);
    send_one(stage, facts, REFUSED);
    facts->active = stage_counter(stage, LAB_CLIENT, "TcpExt TCPFastOpenActive");
    facts->active_failed = stage_counter(stage, LAB_CLIENT, "TcpExt TCPFastOpenActiveFail");
    facts->passive = stage_counter(stage, LAB_SERVER, "TcpExt TCPFastOpenPassive");
    facts->passive_failed = stage_counter(stage, LAB_SERVER, "TcpExt TCPFastOpenPassiveFail");
    facts->asked = stage_counter(stage, LAB_SERVER, "TcpExt TCPFastOpenCookieReqd");
}

/* Bytes that the client sent in SYNs of a connection, and in other segments. */
static void count_bytes(const struct stage *stage, uint32_t number, int64_t *in_syn, int64_t *after)
{
    *in_syn = *after = 0;
    for (size_t i = 0; i < stage->event_count; i++) {
        const struct trace_event *event = &stage->events[i];
        if (event->kind == TRACE_SEGMENT && event->connection == number &&
            event->segment.from_client)
            *(event->segment.flags & 0x02 ? in_syn : after) += event->segment.payload_bytes;
    }
}

static void check_bytes(struct stage *stage, const struct fastopen_facts *facts)
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

    stage_table(stage, "connections", "Three connections, one after the other");
    for (int i = 0; i < CONNECTIONS; i++) {
        int64_t in_syn, after;
        struct result_map *row = stage_row(stage);
        count_bytes(stage, (uint32_t)i + 1, &in_syn, &after);
        result_set_text(stage->arena, row, "connection", expected[i].what);
        result_set_text(stage->arena, row, "connect", act_rc_name(facts->connect[i].rc, "0"));
        result_set_integer(stage->arena, row, "bytes_in_the_SYN", in_syn);
        result_set_integer(stage->arena, row, "bytes_after_it", after);
        result_set_bool(stage->arena, row, "SYN_data_acknowledged",
                        facts->info[i].info.options & TCPI_OPT_SYN_DATA);
        stage_check_integer(stage, expected[i].in_syn, expected[i].bytes_in_syn, in_syn);
        stage_check_integer(stage, expected[i].after, expected[i].bytes_after, after);
    }
}

static void check_fast_open(struct stage *stage)
{
    const struct fastopen_facts *facts = stage_facts(stage, sizeof *facts);

    connect_summary(stage, &facts->connect[ACCEPTED]);
    stage_check_rc(stage, "connect", "0", &facts->connect[ACCEPTED], "0");
    stage_check_bool(stage, "connect_sends_a_syn", false, facts->syn_before_write);
    stage_check_bool(stage, "read_before_the_last_ack", true, facts->read_before_ack);
    stage_check_text(stage, "server_state_at_read", "SYN-RECEIVED",
                     stage_state_name((int)facts->state_at_read));
    stage_expect_flags(stage, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    stage_expect_states(stage, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
    check_bytes(stage, facts);
    stage_check_integer(stage, "cookies_asked_for", 1, facts->asked);
    stage_check_integer(stage, "client_succeeded", 1, facts->active);
    stage_check_integer(stage, "client_failed", 1, facts->active_failed);
    stage_check_integer(stage, "server_accepted", 1, facts->passive);
    stage_check_integer(stage, "server_refused", 1, facts->passive_failed);
    stage_check_integer(stage, "third_read_bytes", BYTES, facts->read[REFUSED].rc);
}

static const struct scenario_setting fast_open_settings[] = {
    {SCENARIO_BOTH, "tcp_fastopen", "3", false, false},
    {SCENARIO_BOTH, "tcp_fastopen_blackhole_timeout_sec", "0", false, true},
    {SCENARIO_CLIENT, "tcp_syn_retries", "2", true, false},
    {SCENARIO_CLIENT, "tcp_syn_linear_timeouts", "1", true, true},
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
    .run = run_fast_open,
    .check = check_fast_open,
};
