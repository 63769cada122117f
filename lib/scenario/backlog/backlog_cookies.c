/* SYN cookies: when they are sent, and what a connection that came of one has. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include <errno.h>
#include <string.h>

#define CLIENT_MSS  1400 /* between two that a cookie can hold */
#define FILLER_PORT 6100
#define DATA_BYTES  10

static const struct cookie_row {
    const char *key;
    const char *mode;
    bool full; /* the SYN queue, before it comes */
    bool timestamps;
    bool cookie, dropped;
} rows[] = {
    {"0_full", "0", true, true, false, true},
    {"1_full", "1", true, true, true, false},
    {"1_full_no_timestamps", "1", true, false, true, false},
    {"1_room", "1", false, true, false, false},
    {"2_room", "2", false, true, true, false},
    {"2_room_no_timestamps", "2", false, false, true, false},
};
#define ROWS         (sizeof rows / sizeof rows[0])
#define LOST_PORT    (TESTBED_PORT + ROWS)
#define LOST_SLOT    60
#define FULL_ROWS    3
#define COOKIE_FIRST 6 /* the connection of the second row, behind four fillers and one other */

struct cookie_seen {
    bool dropped;
    int64_t sent, half_open;
    struct sock_tcp_info info;
};

struct cookie_facts {
    struct backlog_watch watch;
    struct cookie_seen rows[ROWS];
    struct act_reply lost_connect;
    int64_t lost_sockets, lost_bytes; /* on the server, while it has not heard of it; what came */
    const char *lost_state;
};

/* Two half-open connections that stay: their clients never hear the answer. */
static void fill_syn_queue(struct testbed *bed, uint16_t port, int slot)
{
    for (int i = 0; i < 2; i++) {
        DO(testbed_client(bed), ACT_BIND, .slot = slot + i,
           .port = (uint16_t)(FILLER_PORT + slot + i));
        DO(testbed_client(bed), ACT_CONNECT_START, .slot = slot + i, .port = port);
    }
    backlog_await_half_open(bed, port, 2);
}

static void play_row(struct testbed *bed, size_t index, struct cookie_seen *seen)
{
    const struct cookie_row *row = &rows[index];
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    uint16_t port = (uint16_t)(TESTBED_PORT + index);
    int slot = 10 + (int)index, filler = 20 + 4 * (int)index;

    backlog_set(bed, LAB_SERVER, "ipv4/tcp_syncookies", row->mode);
    backlog_set(bed, LAB_CLIENT, "ipv4/tcp_timestamps", row->timestamps ? "1" : "0");
    DO(server, ACT_LISTEN, .slot = (int)index, .port = port, .number = 1);
    if (row->full)
        fill_syn_queue(bed, port, filler);
    struct backlog_survey before = backlog_survey(bed, LAB_SERVER, port);
    DO(client, ACT_OPTION, .slot = slot, .text = "TCP_MAXSEG=1400");
    testbed_from_here(bed);
    DO(client, ACT_CONNECT_START, .slot = slot, .port = port);
    backlog_await(bed, "delivered c>s:syn");
    if (row->dropped) {
        seen->dropped = DO(client, ACT_CONNECT_FINISH, .slot = slot, .timeout_ns = 0).rc == -ETIME;
    } else {
        DO(client, ACT_CONNECT_FINISH, .slot = slot, .timeout_ns = TESTBED_LIMIT_NS);
        backlog_await_queue(bed, port, 1);
        if (!backlog_watch(bed)->gave_up) {
            DO(server, ACT_ACCEPT, .slot = (int)index, .other = slot);
            seen->info = DO(server, ACT_INFO, .slot = slot).info;
        }
    }
    struct backlog_survey after = backlog_survey(bed, LAB_SERVER, port);
    seen->sent = after.counters[BACKLOG_COOKIES_SENT] - before.counters[BACKLOG_COOKIES_SENT];
    seen->half_open = after.states[TCP_SYN_RECV] - before.states[TCP_SYN_RECV];
}

/* The ACK with the cookie is lost: nobody sends anything again. */
static void lose_ack(struct testbed *bed, struct cookie_facts *facts)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .slot = LOST_SLOT, .port = LOST_PORT, .number = 1);
    int lost = testbed_fault(bed, "drop ack dir c>s");
    testbed_from_here(bed);
    facts->lost_connect = DO(client, ACT_CONNECT, .slot = LOST_SLOT, .port = LOST_PORT);
    backlog_await(bed, "dropped c>s:ack");
    struct backlog_survey seen = backlog_survey(bed, LAB_SERVER, LOST_PORT);
    facts->lost_sockets = seen.queue + seen.states[TCP_SYN_RECV] + seen.states[TCP_ESTABLISHED];
    facts->lost_state = testbed_state_name((int)DO(client, ACT_INFO, .slot = LOST_SLOT).rc);
    testbed_unfault(bed, lost);
    DO(client, ACT_WRITE, .slot = LOST_SLOT, .bytes = DATA_BYTES);
    backlog_await_queue(bed, LOST_PORT, 1);
    if (backlog_watch(bed)->gave_up)
        return;
    DO(server, ACT_ACCEPT, .slot = LOST_SLOT, .other = LOST_SLOT + 1);
    facts->lost_bytes = DO(server, ACT_READ_ALL, .slot = LOST_SLOT + 1, .bytes = DATA_BYTES).bytes;
}

static void run_syn_cookies(struct testbed *bed)
{
    struct cookie_facts *facts = testbed_facts(bed, sizeof *facts);

    testbed_fault(bed, "drop \"tcp dst portrange 6100-6199\" dir s>c");
    testbed_subject(bed, COOKIE_FIRST);
    backlog_look(bed, TESTBED_PORT, "start");
    for (size_t i = 0; i < ROWS; i++)
        play_row(bed, i, &facts->rows[i]);
    lose_ack(bed, facts);
    backlog_look(bed, TESTBED_PORT, "end");
}

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

#define TIMESTAMP_BYTES 12 /* of each segment */

static const char *describe(struct testbed *bed, bool dropped, bool cookie, int64_t mss,
                            unsigned options)
{
    if (dropped)
        return "dropped";
    return arena_printf(bed->arena, "%s, MSS %d%s%s%s", cookie ? "cookie" : "no cookie", (int)mss,
                        options & TCPI_OPT_TIMESTAMPS ? ", timestamps" : "",
                        options & TCPI_OPT_SACK ? ", SACK" : "",
                        options & TCPI_OPT_WSCALE ? ", window scale" : "");
}

static void check_row(struct testbed *bed, const struct cookie_row *row,
                      const struct cookie_seen *seen)
{
    const unsigned all = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
    const struct sock_tcp_info *info = &seen->info;
    int64_t mss = info->snd_mss + (info->options & TCPI_OPT_TIMESTAMPS ? TIMESTAMP_BYTES : 0);
    struct result_map *map = testbed_row(bed);
    const char *text = describe(bed, seen->dropped, seen->sent > 0, mss, info->options & all);

    testbed_check_text(bed, row->key,
                       describe(bed, row->dropped, row->cookie,
                                row->cookie ? cookie_mss(bed, CLIENT_MSS) : CLIENT_MSS,
                                row->timestamps ? all : 0),
                       text);
    result_set_text(bed->arena, map, "tcp_syncookies", row->mode);
    result_set_text(bed->arena, map, "syn_queue", row->full ? "full" : "has room");
    result_set_bool(bed->arena, map, "timestamps", row->timestamps);
    result_set_text(bed->arena, map, "result", text);
}

static void check_syn_cookies(struct testbed *bed)
{
    const struct cookie_facts *facts = testbed_facts(bed, sizeof *facts);

    testbed_table(bed, "cookies", "What the server's connection has, for a client with MSS 1400");
    for (size_t i = 0; i < ROWS; i++)
        check_row(bed, &rows[i], &facts->rows[i]);
    testbed_check_rc(bed, "ack_lost_connect", "0", &facts->lost_connect, "0");
    testbed_check_text(bed, "ack_lost_client", "ESTABLISHED", facts->lost_state);
    testbed_check_integer(bed, "ack_lost_server_sockets", 0, facts->lost_sockets);
    testbed_check_integer(bed, "ack_lost_data_received", DATA_BYTES, facts->lost_bytes);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_SERVER, "ESTABLISHED", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_syn_cookies = {
    .name = "syn-cookies",
    .title = "tcp_syncookies 0, 1 and 2: what is dropped, and which TCP options survive",
    .here = "With 1 a full SYN queue sends cookies, with 2 every SYN gets one, with 0 the SYN is "
            "dropped. Nothing is kept of a SYN that was answered with a cookie: the server's "
            "socket begins as ESTABLISHED, when the ACK brings the cookie back. Window scale and "
            "SACK survive in the timestamp, if both sides use timestamps; without them they are "
            "lost, and the connection is slow over long paths. The MSS is rounded down to one of "
            "a few. If the ACK is lost nobody sends again: the client has a connection that the "
            "server has not, until the client sends data; where the server speaks first both "
            "wait.",
    .settings = (const struct scenario_setting[]){BACKLOG_SETTINGS,
                                                  {SCENARIO_BOTH, "tcp_timestamps", "1", 0},
                                                  {0}},
    .play = run_syn_cookies,
    .check = check_syn_cookies,
};
