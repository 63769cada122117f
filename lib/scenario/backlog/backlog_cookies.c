/* SYN cookies: when they are sent, and what a connection that came of one has. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include <errno.h>

#define CLIENT_MSS  1400 /* between two that a cookie can hold */
#define FILLER_PORT 6100
#define DATA_BYTES  10

#define SYN_QUEUE_FULL 1u /* before the SYN comes */
#define TIMESTAMPS     2u
#define COOKIE         4u /* is the answer */
#define DROPPED        8u /* is the SYN */

static const struct cookie_row {
    const char *key, *mode;
    unsigned flags;
} rows[] = {
    {"0_full", "0", SYN_QUEUE_FULL | TIMESTAMPS | DROPPED},
    {"1_full", "1", SYN_QUEUE_FULL | TIMESTAMPS | COOKIE},
    {"1_full_no_timestamps", "1", SYN_QUEUE_FULL | COOKIE},
    {"1_room", "1", TIMESTAMPS},
    {"2_room", "2", TIMESTAMPS | COOKIE},
    {"2_room_no_timestamps", "2", COOKIE},
};
#define ROWS         (sizeof rows / sizeof rows[0])
#define LOST_PORT    (TESTBED_PORT + ROWS)
#define LOST_SLOT    60
#define COOKIE_FIRST 1 /* the row that shows one */
#define FILLERS_MAX  3

/* The largest of the sizes that a cookie can name which is not above the peer's, as in
 * net/ipv4/syncookies.c and net/ipv6/syncookies.c. */
static int64_t cookie_mss(const struct testbed *bed, int64_t mss)
{
    static const int64_t ipv4[] = {536, 1300, 1440, 1460}, ipv6[] = {1220, 1420, 8940};
    const int64_t *table = bed->family == AF_INET ? ipv4 : ipv6;
    size_t count = bed->family == AF_INET ? ARRAY_SIZE(ipv4) : ARRAY_SIZE(ipv6);
    int64_t best = table[0];

    for (size_t i = 1; i < count; i++)
        best = table[i] <= mss ? table[i] : best;
    return best;
}

#define OPTIONS         (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE)
#define TIMESTAMP_BYTES 12 /* of each segment */

static const char *describe(struct testbed *bed, unsigned flags, int64_t mss, unsigned options)
{
    if (flags & DROPPED)
        return "dropped";
    return arena_printf(bed->arena, "%s, MSS %d%s%s%s", flags & COOKIE ? "cookie" : "no cookie",
                        (int)mss, options & TCPI_OPT_TIMESTAMPS ? ", timestamps" : "",
                        options & TCPI_OPT_SACK ? ", SACK" : "",
                        options & TCPI_OPT_WSCALE ? ", window scale" : "");
}

static void check_row(struct testbed *bed, const struct cookie_row *row, unsigned seen,
                      const struct sock_tcp_info *info)
{
    int64_t mss = info->snd_mss + (info->options & TCPI_OPT_TIMESTAMPS ? TIMESTAMP_BYTES : 0);
    int64_t expected_mss = row->flags & COOKIE ? cookie_mss(bed, CLIENT_MSS) : CLIENT_MSS;
    const char *text = describe(bed, seen, mss, info->options & OPTIONS);

    testbed_check_text(
        bed, row->key,
        describe(bed, row->flags, expected_mss, row->flags & TIMESTAMPS ? OPTIONS : 0), text);
    testbed_row(bed, TEXT("tcp_syncookies", row->mode),
                TEXT("syn_queue", row->flags & SYN_QUEUE_FULL ? "full" : "has room"),
                BOOL("timestamps", row->flags & TIMESTAMPS), TEXT("result", text));
}

/* Half-open connections that stay, since their clients never hear the answer, until one more SYN
 * makes no more of them: some kernels hold as many as the backlog, others one more. Returns how
 * many SYNs that took. */
static int fill_syn_queue(struct testbed *bed, uint16_t port, int slot)
{
    struct agent *client = testbed_client(bed);

    for (int i = 0; i < FILLERS_MAX; i++) {
        testbed_from_here(bed);
        DO(client, ACT_BIND, .slot = slot + i, .port = (uint16_t)(FILLER_PORT + slot + i));
        DO(client, ACT_CONNECT_START, .slot = slot + i, .port = port);
        testbed_wait(bed, "delivered c>s:syn");
        if (i && backlog_survey(bed, port).states[TCP_SYN_RECV] <= i) {
            DO(client, ACT_CLOSE, .slot = slot + i);
            return i + 1;
        }
    }
    testbed_fail(bed, "the queue of half-open connections does not become full");
    return FILLERS_MAX;
}

/* Returns how many connections it began, the last of them the row's. */
static int play_row(struct testbed *bed, size_t index)
{
    const struct cookie_row *row = &rows[index];
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    uint16_t port = (uint16_t)(TESTBED_PORT + index);
    int slot = 10 + (int)index, filler = 20 + 4 * (int)index;
    struct sock_tcp_info info = {0};
    unsigned seen = 0;
    int begun = 1;

    backlog_set(bed, LAB_SERVER, "ipv4/tcp_syncookies", row->mode);
    backlog_set(bed, LAB_CLIENT, "ipv4/tcp_timestamps", row->flags & TIMESTAMPS ? "1" : "0");
    DO(server, ACT_LISTEN, .slot = (int)index, .port = port, .number = 1);
    if (row->flags & SYN_QUEUE_FULL)
        begun += fill_syn_queue(bed, port, filler);
    struct backlog_survey before = backlog_survey(bed, port);
    DO(client, ACT_OPTION, .slot = slot, .text = "TCP_MAXSEG=1400");
    testbed_from_here(bed);
    DO(client, ACT_CONNECT_START, .slot = slot, .port = port);
    backlog_await(bed, "delivered c>s:syn");
    if (row->flags & DROPPED) {
        if (DO(client, ACT_CONNECT_FINISH, .slot = slot, .timeout_ns = 0).rc == -ETIME)
            seen |= DROPPED;
    } else {
        DO(client, ACT_CONNECT_FINISH, .slot = slot, .timeout_ns = TESTBED_LIMIT_NS);
        if (!backlog_await_queue(bed, port, 1))
            testbed_fail(bed, "the connection is not queued: '%s'", row->key);
        DO(server, ACT_ACCEPT, .slot = (int)index, .other = slot);
        info = DO(server, ACT_INFO, .slot = slot).info;
    }
    if (backlog_survey(bed, port).counters[BACKLOG_COOKIES_SENT] >
        before.counters[BACKLOG_COOKIES_SENT])
        seen |= COOKIE;
    if (!testbed_failed(bed))
        check_row(bed, row, seen, &info);
    return begun;
}

/* The ACK with the cookie is lost: neither side sends anything again. */
static void lose_ack(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .slot = LOST_SLOT, .port = LOST_PORT, .number = 1);
    int lost = testbed_fault(bed, "drop ack dir c>s");
    testbed_from_here(bed);
    CHECK(bed, "ack_lost_connect", "0", client, ACT_CONNECT, .slot = LOST_SLOT, .port = LOST_PORT);
    backlog_await(bed, "dropped c>s:ack");
    struct backlog_survey seen = backlog_survey(bed, LOST_PORT);
    testbed_check_state(bed, "ack_lost_client", TCP_ESTABLISHED,
                        (int)DO(client, ACT_INFO, .slot = LOST_SLOT).rc);
    testbed_check_integer(bed, "ack_lost_server_sockets", 0,
                          seen.queue + seen.states[TCP_SYN_RECV] + seen.states[TCP_ESTABLISHED]);
    testbed_unfault(bed, lost);
    DO(client, ACT_WRITE, .slot = LOST_SLOT, .bytes = DATA_BYTES);
    backlog_await_queue(bed, LOST_PORT, 1);
    backlog_accept(bed, server, LOST_SLOT, LOST_SLOT + 1, 1);
    testbed_check_integer(bed, "ack_lost_data_received", DATA_BYTES,
                          backlog_read(bed, LOST_SLOT + 1, DATA_BYTES));
}

static void play_syn_cookies(struct testbed *bed)
{
    testbed_fault(bed, "drop \"tcp dst portrange 6100-6199\" dir s>c");
    int begun = 0;

    backlog_look(bed, TESTBED_PORT, "start");
    testbed_table(bed, "cookies", "What the server's connection has, for a client with MSS 1400");
    for (size_t i = 0; i < ROWS; i++) {
        begun += play_row(bed, i);
        if (i == COOKIE_FIRST)
            testbed_subject(bed, (uint32_t)begun);
    }
    lose_ack(bed);
    backlog_look(bed, TESTBED_PORT, "end");
    backlog_tables(bed, NULL);
}

const struct scenario backlog_syn_cookies = {
    .name = "syn-cookies",
    .title = "tcp_syncookies 0, 1 and 2: what is dropped, and which TCP options survive",
    .here = "With 1 a full SYN queue sends cookies, with 2 every SYN gets one, with 0 the SYN is "
            "dropped. Nothing is kept of a SYN that was answered with a cookie: the server's "
            "socket begins as ESTABLISHED, when the ACK brings the cookie back. Window scale and "
            "SACK survive in the timestamp if both sides use timestamps; otherwise they are lost, "
            "and the connection is slow over long paths. The MSS is rounded down to one of a few. "
            "If the ACK is lost, neither side sends again: the client has a connection that the "
            "server knows nothing of until the client sends data; if the server is to speak "
            "first, both wait.",
    .settings = SETTINGS(BACKLOG_SETTINGS, {SCENARIO_BOTH, "tcp_timestamps", "1", 0}),
    .flags = FLAGS(HANDSHAKE),
    .server_states = STATES("ESTABLISHED"),
    .play = play_syn_cookies,
};
