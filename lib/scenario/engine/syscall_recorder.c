#include "scenario/engine/syscall_recorder.h"

#include "base/clock.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void copy_word(char *out, const char *word)
{
    memcpy(out, word, strnlen(word, TRACE_WORD_MAX - 1)); /* the rest is zero */
}

static const char *verb_of(const struct sock_call *call, char *room, size_t size)
{
    static const char *const how[] = {"shutdown SHUT_RD", "shutdown SHUT_WR", "shutdown SHUT_RDWR"};

    if (call->verb == SOCK_VERB_SHUTDOWN && call->flags >= 0 && call->flags <= 2)
        return how[call->flags];
    if (call->verb == SOCK_VERB_SETSOCKOPT)
        for (size_t i = 0; i < sock_option_count; i++)
            if (sock_options[i].level == call->level && sock_options[i].number == call->flags) {
                snprintf(room, size, "setsockopt %s", sock_options[i].name);
                return room;
            }
    return sock_verb_name(call->verb);
}

static void learn_ports(struct syscall_recorder *recorder, int fd)
{
    struct sock_address address;

    if (fd < 0 || fd >= SYSCALL_RECORDER_FDS)
        return;
    if (!sock_local_address(fd, &address))
        recorder->ports[fd].local = sock_address_port(&address);
    if (!sock_peer_address(fd, &address))
        recorder->ports[fd].remote = sock_address_port(&address);
}

static void fill_ports(const struct syscall_recorder *recorder, struct trace_call *out, int fd)
{
    if (fd < 0 || fd >= SYSCALL_RECORDER_FDS)
        return;
    out->local_port = recorder->ports[fd].local;
    out->remote_port = recorder->ports[fd].remote;
}

static void entered(struct syscall_recorder *recorder, const struct sock_call *call)
{
    char room[TRACE_WORD_MAX + 40];

    if (call->verb == SOCK_VERB_SOCKET || call->fd < 0 || call->fd >= SYSCALL_RECORDER_FDS) {
        recorder->open = NULL;
        if (call->verb != SOCK_VERB_SOCKET)
            return;
    } else if (call->verb == SOCK_VERB_CONNECT && call->address) {
        recorder->ports[call->fd].remote = sock_address_port(call->address);
    }
    struct trace_event *event = trace_reserve(recorder->trace);
    recorder->open = event;
    if (!event)
        return;
    *event = (struct trace_event){
        .at_real_ns = call->entered_real_ns, .kind = TRACE_CALL, .side = recorder->side};
    event->call = (struct trace_call){.entered_real_ns = call->entered_real_ns,
                                      .entered_mono_ns = call->entered_mono_ns,
                                      .returned_mono_ns = CLOCK_NONE,
                                      .fd = call->fd,
                                      .pid = getpid(),
                                      .pending = true,
                                      .requested_bytes = (uint64_t)call->requested_bytes,
                                      .offset_bytes = (uint64_t)call->stream_offset};
    fill_ports(recorder, &event->call, call->fd);
    copy_word(event->call.verb, verb_of(call, room, sizeof room));
    trace_commit(recorder->trace, event);
}

static void returned(struct syscall_recorder *recorder, const struct sock_call *call)
{
    struct trace_event *event = recorder->open;
    int fd = call->verb == SOCK_VERB_ACCEPT && !call->error ? (int)call->result : call->fd;

    switch (call->verb) {
    case SOCK_VERB_SOCKET:
        if (!call->error && call->result >= 0 && call->result < SYSCALL_RECORDER_FDS)
            memset(&recorder->ports[call->result], 0, sizeof recorder->ports[0]);
        break;
    case SOCK_VERB_ACCEPT:
        if (!call->error && fd >= 0 && fd < SYSCALL_RECORDER_FDS)
            memset(&recorder->ports[fd], 0, sizeof recorder->ports[0]);
        learn_ports(recorder, fd);
        break;
    case SOCK_VERB_BIND:
    case SOCK_VERB_LISTEN:
    case SOCK_VERB_CONNECT:
    case SOCK_VERB_CONNECT_RESULT:
        learn_ports(recorder, fd);
        break;
    case SOCK_VERB_READ:
    case SOCK_VERB_WRITE:
    case SOCK_VERB_SHUTDOWN:
    case SOCK_VERB_CLOSE:
    case SOCK_VERB_POLL:
    case SOCK_VERB_SETSOCKOPT:
        break;
    }
    recorder->entered_mono_ns = call->entered_mono_ns;
    recorder->returned_mono_ns = call->returned_mono_ns;
    recorder->open = NULL;
    if (!event)
        return;
    event->at_real_ns = call->returned_real_ns;
    event->call.returned_mono_ns = call->returned_mono_ns;
    event->call.result = call->result;
    event->call.error = call->error;
    if (call->verb == SOCK_VERB_ACCEPT || call->verb == SOCK_VERB_CONNECT)
        fill_ports(recorder, &event->call, fd);
    /* Readers look at `pending` to know that the rest is there. */
    __atomic_store_n(&event->call.pending, false, __ATOMIC_RELEASE);
}

static void observe(void *context, const struct sock_call *call)
{
    struct syscall_recorder *recorder = context;

    if (call->stage == SOCK_CALL_ENTERED)
        entered(recorder, call);
    else
        returned(recorder, call);
}

void syscall_recorder_init(struct syscall_recorder *recorder, struct trace *trace,
                           enum lab_host host)
{
    *recorder = (struct syscall_recorder){.trace = trace,
                                          .side = host == LAB_CLIENT ? TRACE_CLIENT : TRACE_SERVER};
    recorder->observer = (struct sock_observer){.call = observe, .context = recorder};
}

void syscall_recorder_note(struct syscall_recorder *recorder, const char *verb, int fd,
                           int64_t result)
{
    int64_t now_real_ns = clock_real_ns(), now_mono_ns = clock_mono_ns();
    struct trace_event event = {
        .at_real_ns = now_real_ns, .kind = TRACE_CALL, .side = recorder->side};

    event.call = (struct trace_call){.entered_real_ns = now_real_ns,
                                     .entered_mono_ns = now_mono_ns,
                                     .returned_mono_ns = now_mono_ns,
                                     .result = result < 0 ? -1 : result,
                                     .error = result < 0 ? (int)-result : 0,
                                     .fd = fd,
                                     .pid = getpid()};
    fill_ports(recorder, &event.call, fd);
    copy_word(event.call.verb, verb);
    trace_append(recorder->trace, &event);
}

/* ---- Which connection ---- */

/* A connection as its first segment shows it; ports can be used again. */
struct known {
    uint32_t number;
    uint16_t client, server;
    int64_t first_ns;
};

#define KNOWN_MAX 512 /* calls of later ones belong to none */

static size_t known_connections(struct known *known, const struct trace_event *events, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        const struct trace_segment *segment = &events[i].segment;
        bool seen = false;
        if (events[i].kind != TRACE_SEGMENT || !events[i].connection ||
            segment->protocol != TRACE_TCP)
            continue;
        for (size_t k = found; k > 0 && !seen; k--)
            seen = known[k - 1].number == events[i].connection;
        if (seen || found == KNOWN_MAX)
            continue;
        known[found++] = (struct known){
            .number = events[i].connection,
            .client = segment->from_client ? segment->source_port : segment->destination_port,
            .server = segment->from_client ? segment->destination_port : segment->source_port,
            .first_ns = events[i].at_real_ns};
    }
    return found;
}

/* Of those with these ports the last that had begun when the call returned; a port of 0 is any. */
static uint32_t number_of(const struct known *known, size_t count, const struct trace_event *event)
{
    const struct trace_call *call = &event->call;
    bool client = event->side == TRACE_CLIENT;
    uint16_t ours = client ? call->local_port : call->remote_port;
    uint16_t theirs = client ? call->remote_port : call->local_port;
    uint32_t number = 0;

    if (!call->remote_port)
        return 0;
    for (size_t i = 0; i < count; i++)
        if ((!ours || known[i].client == ours) && (!theirs || known[i].server == theirs) &&
            (!number || known[i].first_ns <= event->at_real_ns))
            number = known[i].number;
    return number;
}

void syscall_recorder_number(struct trace_event *events, size_t count)
{
    struct known known[KNOWN_MAX];
    size_t found = known_connections(known, events, count);
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == TRACE_CALL && !events[i].connection)
            events[i].connection = number_of(known, found, &events[i]);
}
