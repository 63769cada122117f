/* How a program of the user's ends its connections, with a well-behaved peer.
 *
 * Nothing is right or wrong about who closes first. What is checked is what costs the other side
 * data or the program descriptors: a response that an RST destroys, a CLOSE-WAIT that never ends.
 * The rest is reported: FIN or RST, who sends it first, who gets TIME-WAIT. */
#include "scenario/programs/sut_close.h"

#include "packet/packet.h"
#include <string.h>

/* ---- How the connection ended ---- */

/* The next segment of TCP that a host sent on the connection and that arrived, from *at on; NULL:
 * there is none. The list of flags in the result is cut, the trace is not. */
static const struct trace_event *next_sent(const struct testbed *bed, int64_t connection,
                                           size_t *at)
{
    while (*at < bed->event_count) {
        const struct trace_event *event = &bed->events[(*at)++];
        const struct trace_segment *segment = &event->segment;
        if (event->kind == TRACE_SEGMENT && segment->protocol == TRACE_TCP &&
            event->connection == connection && segment->fate != TRACE_MADE &&
            segment->departed_real_ns != CLOCK_NONE)
            return event;
    }
    return NULL;
}

/* What a host's end of the connection sent to end it, in the order of first times. */
struct ending {
    bool client;
    uint16_t flag;
    const char *name;
    int place; /* from 1; 0: it was not sent */
};

enum { CLIENT_FIN, CLIENT_RST, SERVER_FIN, SERVER_RST, ENDINGS };

/* Of a connection, before the program was stopped. */
static void find_endings(const struct testbed *bed, int64_t connection, int64_t stopped_real_ns,
                         struct ending *endings)
{
    static const struct ending kinds[ENDINGS] = {{true, SEGMENT_FIN, "client FIN", 0},
                                                 {true, SEGMENT_RST, "client RST", 0},
                                                 {false, SEGMENT_FIN, "server FIN", 0},
                                                 {false, SEGMENT_RST, "server RST", 0}};
    const struct trace_event *event;
    int place = 0;

    memcpy(endings, kinds, sizeof kinds);
    for (size_t at = 0;
         (event = next_sent(bed, connection, &at)) && event->at_real_ns < stopped_real_ns;)
        for (size_t i = 0; i < ENDINGS; i++)
            if (endings[i].client == event->segment.from_client &&
                (event->segment.flags & endings[i].flag) && !endings[i].place)
                endings[i].place = ++place;
}

/* "client FIN, server FIN", "server RST", "nothing"; *first_out is who was first. */
static const char *how_ended(struct testbed *bed, const struct ending *endings,
                             const char **first_out)
{
    const char *text = NULL;

    *first_out = NULL;
    for (int place = 1; place <= ENDINGS; place++)
        for (size_t i = 0; i < ENDINGS; i++) {
            if (endings[i].place != place)
                continue;
            if (place == 1)
                *first_out = endings[i].client ? "client" : "server";
            text = arena_printf(bed->arena, "%s%s%s", text ? text : "", text ? ", " : "",
                                endings[i].name);
        }
    return text ? text : "nothing";
}

static uint32_t later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0 ? a : b;
}

bool sut_close_all_acknowledged(const struct testbed *bed)
{
    const struct trace_event *event;
    uint32_t end = 0, acknowledged = 0;
    bool began = false, answered = false;

    for (size_t at = 0; bed->subject && (event = next_sent(bed, bed->subject->number, &at));) {
        const struct trace_segment *segment = &event->segment;
        uint32_t next = segment->sequence + segment->payload_bytes;
        if (segment->flags & SEGMENT_RST)
            continue;
        if (segment->from_client) {
            end = began ? later(next, end) : next;
            began = true;
        } else if (segment->flags & SEGMENT_ACK) {
            acknowledged =
                answered ? later(segment->acknowledgement, acknowledged) : segment->acknowledgement;
            answered = true;
        }
    }
    return began && answered && (int32_t)(acknowledged - end) >= 0;
}

static bool was_in_time_wait(const struct result_texts *states)
{
    for (size_t i = 0; i < states->count; i++)
        if (!strcmp(states->items[i], "TIME-WAIT"))
            return true;
    return false;
}

/* ---- Why it was reset ---- */

static const struct {
    const char *word, *text;
} reset_causes[] = {
    [RESET_NONE] = {NULL, "it did not"},
    [RESET_UNREAD] = {"unread", "it closed with bytes unread"},
    [RESET_LINGER_ZERO] = {"linger-zero", "it closed with SO_LINGER on and time 0"},
    [RESET_AFTER_CLOSE] = {"after-close", "it had closed, and more bytes came"},
    [RESET_OTHER] = {"other", "no counter of its kernel says why"},
};

const char *reset_cause_text(enum reset_cause cause)
{
    return reset_causes[cause].text;
}

/* TCPAbortOnClose counts closes with bytes unread; TCPAbortOnData closes with SO_LINGER 0, and data
 * that came after a plain close, of which there was a FIN before (net/ipv4/tcp.c, tcp_input.c). */
static enum reset_cause cause_of(const struct ending *fin, const struct ending *reset,
                                 int64_t on_close, int64_t on_data)
{
    if (!reset->place)
        return RESET_NONE;
    if (on_close > 0)
        return RESET_UNREAD;
    if (on_data <= 0)
        return RESET_OTHER;
    return fin->place && fin->place < reset->place ? RESET_AFTER_CLOSE : RESET_LINGER_ZERO;
}

/* Of the first RST of the program's host on a connection that carried anything. */
static struct sut_ending find_ending(const struct testbed *bed, int64_t stopped_real_ns,
                                     int64_t on_close, int64_t on_data)
{
    const struct result_connection_list *list = &bed->result->connections;
    bool client = sut_request(bed)->host == LAB_CLIENT;
    struct sut_ending ending = {RESET_NONE, false};
    struct ending endings[ENDINGS];

    for (size_t i = 0; i < list->count && ending.cause == RESET_NONE; i++) {
        if (!list->items[i].payload_bytes.client && !list->items[i].payload_bytes.server)
            continue;
        find_endings(bed, list->items[i].number, stopped_real_ns, endings);
        const struct ending *fin = &endings[client ? CLIENT_FIN : SERVER_FIN],
                            *reset = &endings[client ? CLIENT_RST : SERVER_RST],
                            *peer = &endings[client ? SERVER_FIN : CLIENT_FIN];
        ending.cause = cause_of(fin, reset, on_close, on_data);
        ending.peer_was_done = peer->place && peer->place < reset->place;
    }
    return ending;
}

bool sut_close_finish(struct testbed *bed, struct sut *sut, struct sut_ending *out)
{
    enum lab_host host = sut_request(bed)->host;
    struct ending endings[ENDINGS];
    const char *first;

    int64_t on_close = testbed_counter(bed, host, "TcpExt TCPAbortOnClose");
    int64_t on_data = testbed_counter(bed, host, "TcpExt TCPAbortOnData");
    sut_has_ended(bed, sut, 0);
    int64_t stopped_real_ns = clock_real_ns();
    sut_stop(bed, sut);
    testbed_finish(bed);
    if (testbed_failed(bed))
        return false;
    find_endings(bed, bed->subject ? bed->subject->number : 0, stopped_real_ns, endings);
    const char *how = how_ended(bed, endings, &first);
    *out = find_ending(bed, stopped_real_ns, on_close, on_data);
    const char *time_wait_at = was_in_time_wait(&bed->result->client_states)   ? "client"
                               : was_in_time_wait(&bed->result->server_states) ? "server"
                                                                               : "nobody";
    testbed_observe(bed, TEXT("ended_by", how), TEXT("first", first),
                    TEXT("reset_cause", reset_causes[out->cause].word),
                    TEXT("time_wait_at", time_wait_at));
    sut_observe_end(bed, sut);
    testbed_summarize(bed, TEXT("ended by", how), TEXT("TIME-WAIT at", time_wait_at));
    return true;
}
