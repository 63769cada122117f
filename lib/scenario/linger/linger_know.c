/* How to know that the peer's application has the data: wait for something that only it can do. */
#include "scenario/linger/linger.h"

#include <errno.h>
#include <netinet/in.h>

struct know_way {
    bool answer; /* the peer writes a byte; else it closes */
};

struct know_facts {
    struct linger_facts common;
    int acknowledged;      /* the client's state when the peer's TCP had everything */
    bool before_read;      /* the client's read returned although the peer had read nothing */
    struct act_reply read; /* the client's */
};

static void run_know(struct testbed *bed)
{
    const struct know_way *way = bed->scenario->arg;
    struct know_facts *facts = (struct know_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    int acknowledged = way->answer ? TCP_ESTABLISHED : TCP_FIN_WAIT2;

    testbed_from_here(bed);
    linger_write(bed, common);
    if (!way->answer)
        common->call = DO(client, ACT_SHUTDOWN, .number = SHUT_WR);
    BEGIN(client, ACT_READ, .bytes = 1);
    if (linger_is_small(common))
        facts->acknowledged = linger_state(bed, LAB_CLIENT, common->port, acknowledged);
    facts->read = agent_try(client, LINGER_AT_ONCE_NS);
    facts->before_read = !facts->read.late;
    if (way->answer) {
        struct act_reply all = DO(server, ACT_READ_ALL, .slot = 1, .bytes = common->bytes);
        common->end = (struct linger_end){all.bytes, all.rc};
        DO(server, ACT_WRITE, .slot = 1, .bytes = 1);
    } else {
        common->end = linger_read(server, 1);
        DO(server, ACT_CLOSE, .slot = 1);
    }
    if (facts->read.late)
        facts->read = agent_end(client, ACT_LIMIT_NS);
    DO(client, ACT_CLOSE);
    if (way->answer)
        linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    linger_finish(bed, common, TCP_TIME_WAIT);
}

static void check_know(struct testbed *bed)
{
    const struct know_way *way = bed->scenario->arg;
    const struct know_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    if (linger_is_small(common))
        testbed_check_text(bed, "acknowledged_in", way->answer ? "ESTABLISHED" : "FIN-WAIT-2",
                           testbed_state_name(facts->acknowledged));
    testbed_check_bool(bed, "returned_before_the_peer_read", false, facts->before_read);
    testbed_check_rc(bed, "read", way->answer ? "ok" : "EOF", &facts->read, "EOF");
    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    testbed_check_text(bed, "client_end", "TIME-WAIT", testbed_state_name(common->client));
    testbed_check_text(bed, "server_end", "none", testbed_state_name(common->server));
    if (linger_is_small(common) && !way->answer)
        testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK",
                             "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK", "C>S ACK", NULL);
    linger_summarise(bed,
                     &(struct linger_row){.returned = way->answer ? "the answer" : "the peer's FIN",
                                          .peer_has_it = !facts->before_read,
                                          .application_has_it = !facts->before_read,
                                          .delivered_bytes = common->end.bytes,
                                          .lost_bytes = common->bytes - common->end.bytes,
                                          .peer_sees = way->answer ? "data" : "EOF",
                                          .client = common->client,
                                          .server = common->server});
}

const struct scenario linger_ack_wait = {
    .name = "ack-wait",
    .title = "SHUT_WR, then read to the end: it comes when the peer has read and closed",
    .book = "The way to know that the peer's application has read everything: shutdown instead of "
            "close, then read until 0 (section 7.5).",
    .here = "The same. The read goes on when everything is acknowledged, and returns 0 when the "
            "peer closes. It proves that the peer has read only if the peer reads to the end "
            "before it closes; a peer that closes with something unread makes it ECONNRESET.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_know,
    .check = check_know,
    .arg = &(const struct know_way){.answer = false},
};

const struct scenario linger_application_ack = {
    .name = "application-ack",
    .title = "the peer's application says that it has the data: one byte back",
    .book = "An acknowledgement of the application's own tells that it has read what came before "
            "(section 7.5).",
    .here = "The same. It needs the peer's cooperation, and is the only way that works while the "
            "connection goes on.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_know,
    .check = check_know,
    .arg = &(const struct know_way){.answer = true},
};
