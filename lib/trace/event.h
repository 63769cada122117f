/* What a trace is made of: one event, written by one of three witnesses.
 *
 * An event is plain data of a fixed size without pointers, so that it can be written into memory
 * that several processes share, copied, kept and replayed. Times are CLOCK_REALTIME nanoseconds
 * (the clock of kernel and pcap stamps); calls carry CLOCK_MONOTONIC too. CLOCK_NONE (base/clock.h)
 * means that the time is not known. Byte offsets count one direction of one connection from 0.
 *
 * The application writes calls (entered, returned), the kernel writes stamps and states, the wire
 * writes segments with what became of them. */
#ifndef TRACE_EVENT_H
#define TRACE_EVENT_H

#include "base/clock.h"
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

/* Who wrote it: an end of the connection, or the wire between them. */
enum trace_side {
    TRACE_CLIENT,
    TRACE_SERVER,
    TRACE_WIRE,
};

enum trace_kind {
    TRACE_CALL,    /* a system call returned; an entry without return is a call with pending set */
    TRACE_STAMP,   /* the kernel says what happened to a byte of the stream */
    TRACE_STATE,   /* a socket's TCP state was seen to have changed */
    TRACE_SEGMENT, /* the wire saw a segment, and did something with it */
    TRACE_MARK,    /* a remark of the experiment: a phase began, a host was cut or rebooted */
};

#define TRACE_WORD_MAX 24
#define TRACE_TEXT_MAX 80

struct trace_call {
    char verb[TRACE_WORD_MAX]; /* "write", "connect", "setsockopt TCP_NODELAY" cut to fit */
    int64_t entered_real_ns;
    int64_t entered_mono_ns;
    int64_t returned_mono_ns; /* CLOCK_NONE while pending */
    int64_t result;
    int32_t error; /* a positive errno value, 0 when the call succeeded */
    int32_t fd;
    int32_t pid;
    bool pending;
    uint16_t local_port, remote_port; /* of the socket; 0: not known */
    uint64_t requested_bytes;         /* 0 where the call has no length */
    uint64_t offset_bytes;            /* of the first byte concerned, for reads and writes */
};

enum trace_stamp_kind {
    TRACE_QUEUED,   /* left the TCP send queue for the device's queue (SCM_TSTAMP_SCHED) */
    TRACE_SENT,     /* was handed to the device (SCM_TSTAMP_SND) */
    TRACE_ACKED,    /* everything up to here was acknowledged (SCM_TSTAMP_ACK) */
    TRACE_RECEIVED, /* arrived at this host (RX software stamp) */
};

struct trace_stamp {
    enum trace_stamp_kind what;
    uint64_t end_bytes;    /* the stream offset after the byte that the stamp is for */
    uint64_t length_bytes; /* how many bytes ending there the stamp speaks of, 0 when unknown */
};

/* TCP states by the kernel's numbers (include/net/tcp_states.h). */
struct trace_state {
    int32_t state;
    int32_t before; /* 0 when not known */
    uint32_t receive_queue_bytes;
    uint32_t send_queue_bytes;
};

/* What the wire did with a segment. */
enum trace_fate {
    TRACE_DELIVERED,
    TRACE_DROPPED,    /* by a fault or a cut */
    TRACE_HELD,       /* delivered later; departed_real_ns is its release */
    TRACE_DUPLICATED, /* delivered, and once more */
    TRACE_CORRUPTED,  /* delivered with changed bytes */
    TRACE_ANSWERED,   /* dropped, and answered by the wire with RST or ICMP */
    TRACE_MADE,       /* the wire itself made it (the answer) */
    TRACE_OBSERVED,   /* seen by a capture that decides nothing */
};

/* IANA's protocol numbers, as in the IP header. */
enum trace_protocol {
    TRACE_ICMP = 1,
    TRACE_TCP = 6,
    TRACE_UDP = 17,
    TRACE_ICMPV6 = 58,
};

struct trace_segment {
    uint8_t family;   /* 4 or 6 */
    uint8_t protocol; /* enum trace_protocol, or another number of IANA's */
    uint16_t flags;   /* TCP flags as in the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, … */
    bool from_client; /* travels from client to server (or was answered towards the server) */
    enum trace_fate fate;
    uint8_t source[16], destination[16]; /* an IPv4 address takes the first four bytes */
    uint16_t source_port, destination_port;
    uint32_t sequence, acknowledgement;
    uint32_t window_bytes; /* as in the header, not scaled */
    uint32_t payload_bytes;
    uint32_t wire_bytes;
    uint16_t mss;                             /* 0 when the option is absent */
    int8_t window_scale;                      /* -1 when the option is absent */
    uint8_t sack_blocks;                      /* how many of the blocks below are valid */
    uint32_t sack[3][2];                      /* left and right edges */
    uint32_t timestamp_value, timestamp_echo; /* both 0 when the option is absent */
    uint8_t icmp_type, icmp_code;             /* of an ICMP message */
    uint32_t fault; /* 1-based number of the fault rule that acted, 0 for none */
    /* When it left the wire; CLOCK_NONE when it never did. Read while the wire writes it. */
    alignas(8) int64_t departed_real_ns;
};

struct trace_event {
    int64_t at_real_ns; /* for a call: its return, or its entry while pending */
    enum trace_kind kind;
    enum trace_side side;
    uint32_t connection; /* the experiment's number for it, from 1; 0: of none */
    union {
        struct trace_call call;
        struct trace_stamp stamp;
        struct trace_state state;
        struct trace_segment segment;
        char text[TRACE_TEXT_MAX];
    };
};

/* The order of a timeline: by time; what has the same time stays in the order of writing, which
 * callers keep by a stable sort (trace_sort in trace/trace.h). */
static inline bool trace_before(const struct trace_event *a, const struct trace_event *b)
{
    return a->at_real_ns < b->at_real_ns;
}

#endif
