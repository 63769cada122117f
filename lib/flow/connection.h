/* What is kept of one TCP connection: the same for a capture file, a live capture and the lab's
 * wire.
 *
 * A connection has two sides. Side 0 is the one whose endpoint sorts first; flow_client() says
 * which side is the client: the one that sent the SYN or received the SYN,ACK, else the one that
 * spoke first. What a side "sent" is what the capture saw of it. Sequence numbers are as on the
 * wire. Times are the capture's (CLOCK_REALTIME, nanoseconds), never going backwards: a packet that
 * is stamped before the one before it counts as of the same time, and is counted.
 *
 * The capture stands somewhere on the path. The way of a side's answer to something that passed the
 * capture is `path` of that side: from the capture to the side and back, its shortest sample. Both
 * sides' paths together are the round trip. At the client's host the client's path is microseconds.
 *
 * Everything here has a fixed size (below 1 kB a connection; a unit test holds it), whatever the
 * connection does. */
#ifndef FLOW_CONNECTION_H
#define FLOW_CONNECTION_H

#include "packet/packet.h"
#include <stdbool.h>
#include <stdint.h>

struct flow_endpoint {
    uint8_t address[16];
    uint16_t port;
};

/* ---- Time: every nanosecond of a connection is in one part */

enum flow_part {
    FLOW_NETWORK,      /* on the way: round trips that nobody could have avoided */
    FLOW_CLIENT_THINK, /* the client's program had the next word */
    FLOW_SERVER_THINK,
    FLOW_NAGLE_DELAYED_ACK_CLIENT, /* the client's small write waited for the server's late ACK */
    FLOW_NAGLE_DELAYED_ACK_SERVER, /* the server's, for the client's */
    FLOW_NAGLE_ROUND_TRIP_CLIENT,  /* waited for an ACK that came at once */
    FLOW_NAGLE_ROUND_TRIP_SERVER,
    FLOW_DELAYED_ACK,    /* the last ACK was late, and nothing waited for it */
    FLOW_CORK,           /* the sender's kernel kept a rest that nothing else held */
    FLOW_SEND_BUFFER,    /* full segments waited for an ACK, the same amount in flight each time */
    FLOW_RECEIVE_WINDOW, /* the receiver's window was full */
    FLOW_ZERO_WINDOW,    /* the receiver's window was closed */
    FLOW_CONGESTION_WINDOW, /* full segments waited for an ACK otherwise, or were sent again fast */
    FLOW_RETRANSMISSION_TIMEOUT, /* until a timer sent something again */
    FLOW_LINK,                   /* full segments one after another: link, shaper or pacing */
    FLOW_IDLE,                   /* nobody owed anything, for a second or more; keepalives */
    FLOW_PARTS
};

/* ---- One direction */

enum flow_repeat {
    FLOW_REPEAT_SYN,
    FLOW_REPEAT_SYNACK,
    FLOW_REPEAT_TIMEOUT,
    FLOW_REPEAT_PROBE, /* tail-loss probe */
    FLOW_REPEAT_FAST,
    FLOW_REPEAT_SPURIOUS, /* the receiver had it: DSACK, an echo of the older stamp, or its ACK */
    FLOW_REPEATS
};

/* A time of which only short distances are asked: units of 1024 ns, which come round in 73 minutes.
 */
typedef uint32_t flow_tick;
static inline flow_tick flow_tick_of(int64_t at_ns)
{
    return (flow_tick)((uint64_t)at_ns >> 10);
}
static inline int64_t flow_tick_since(int64_t now_ns, flow_tick tick)
{
    return (int64_t)(flow_tick_of(now_ns) - tick) << 10;
}

/* A segment that is not acknowledged yet. */
struct flow_sent {
    flow_tick at;
    uint32_t end, frame;
    uint32_t len : 24; /* in sequence space */
    bool small : 1;    /* its last packet is less than a full segment */
    bool repeated : 1; /* sent more than once: no sample of the round trip */
};
#define FLOW_SENT 3

/* A range that the capture has not seen, below what it has. */
struct flow_hole {
    uint32_t start, end;
    flow_tick at;   /* when it appeared */
    uint16_t ip_id; /* of the segment that came too early */
};
#define FLOW_HOLES 2

/* Shortest, usual and some of all samples. */
#define FLOW_SAMPLES 8
struct flow_path {
    int64_t min_ns;             /* CLOCK_NONE: none yet */
    uint32_t deviation_ns;      /* mean deviation of the prompt ones from the shortest */
    uint32_t count;             /* of samples */
    uint32_t u64[FLOW_SAMPLES]; /* a random choice of all, in units of 64 ns */
};

/* The other side's last acknowledgement of something new. */
struct flow_ack {
    int64_t at_ns;
    uint32_t late_us; /* by how much more than the path it came after what it acknowledges */
    uint32_t frame, of_frame;
    uint32_t in_flight;   /* before it */
    uint32_t window_left; /* what the window still had room for, before it */
    bool pure : 1;        /* no data, SYN or FIN */
    bool all : 1;         /* it left nothing unacknowledged */
    bool was_small : 1;   /* the last segment in flight was a small one, and the only small one */
    bool late : 1;        /* too late for the path and this peer's prompt ACKs */
};

struct flow_side {
    uint64_t bytes, payload_bytes;
    int64_t at_ns;         /* of its last packet */
    int64_t zero_start_ns; /* its window was closed last: from, … */
    int64_t zero_end_ns;   /* … until; CLOCK_NONE while it is closed, or never was */
    int64_t denial_ns;     /* a small segment left while a small one was in flight: at this time */
    int64_t stamp_first_ns;
    struct flow_ack ack;
    struct flow_path path;
    uint32_t packets;
    uint32_t frame; /* its last packet */
    uint32_t first_seq;
    uint32_t next;   /* past the highest that was sent */
    uint32_t acked;  /* by the other side */
    uint32_t window; /* that it advertised last, scaled */
    uint32_t recovery_end;
    uint32_t zero_frame;
    uint32_t stamp_first, stamp_last;
    uint32_t print; /* of its last packet, to know one that a mirror port shows twice */
    /* The last that was sent again, until it is known to have been needed. */
    uint32_t again_start, again_stamp;
    uint32_t denial_end;  /* valid while denial_ns is known */
    uint32_t wait_flight; /* waits_alike full segments waited with about this much in flight */
    struct flow_sent sent[FLOW_SENT];
    struct flow_hole holes[FLOW_HOLES];
    uint32_t repeats[FLOW_REPEATS];
    uint32_t out_of_order;
    uint32_t duplicate_acks; /* that it sent */
    uint32_t zero_windows;   /* that it advertised */
    uint32_t missed;         /* segments of it that were acknowledged and never seen */
    /* These stay at their largest value when they have reached it. */
    uint16_t keepalives, mirrored;
    uint16_t holds, near_holds; /* Nagle: see division.h */
    uint8_t denials;
    uint16_t mss;                   /* that it wants to receive; 0: not known */
    uint16_t largest;               /* payload of a packet, clipped to 65535 */
    uint16_t last_window;           /* as in the header */
    int8_t window_scale;            /* -1: none */
    uint8_t again_kind;             /* enum flow_repeat; FLOW_REPEATS: none */
    uint8_t sent_count, hole_count; /* `sent` is in the order of sending */
    uint8_t same_acks;              /* in a row, that the other side sent */
    uint8_t waits_alike;
    bool sent_any : 1;
    bool syn : 1, fin : 1, rst : 1;
    bool has_acked : 1;
    bool timestamps : 1;
    bool recovering : 1; /* sent again until `recovery_end` is acknowledged */
    bool sacked : 1;     /* the other side's last ACK had blocks above it */
    bool closed_window : 1;
};

/* ---- The connection */

enum flow_end {
    FLOW_END_OPEN,
    FLOW_END_NO_REPLY,
    FLOW_END_REFUSED,
    FLOW_END_RESET_CLIENT,
    FLOW_END_RESET_SERVER,
    FLOW_END_FIN,
};

/* What an RST looks like. */
enum flow_reset {
    FLOW_RESET_NONE,
    FLOW_RESET_REFUSED,     /* the answer to a SYN */
    FLOW_RESET_HALF_OPEN,   /* instead of the handshake's last ACK: a check whether the port answers
                             */
    FLOW_RESET_UNREAD,      /* right at data that it did not acknowledge: closed with data unread */
    FLOW_RESET_ABORT,       /* on its own: SO_LINGER 0, or an abort */
    FLOW_RESET_AFTER_CLOSE, /* the answer to data that came after its FIN */
    FLOW_RESET_UNKNOWN,     /* the answer of a host that does not know the connection */
};

struct flow_connection {
    uint64_t number; /* of all connections of this capture, from 1 */
    void *user;      /* the sink's; NULL at first */
    struct flow_endpoint end[2];
    uint8_t family;
    uint8_t client; /* the side; see flow_client() */
    bool client_known : 1;
    bool established : 1;         /* the handshake was seen to its end, or data of both sides */
    bool from_start : 1;          /* the SYN or SYN,ACK was seen */
    bool closed : 1;              /* FIN both ways and acknowledged, or RST */
    bool expired : 1;             /* given up while it was open: idle, or no room */
    bool stepped : 1;             /* the clock of the capture was set meanwhile */
    uint8_t reset_by;             /* side; valid with `reset` */
    uint8_t reset;                /* enum flow_reset */
    uint8_t icmp_type, icmp_code; /* the first ICMP error about it */
    bool icmp_seen;
    bool icmp_to_client;
    uint32_t first_frame, last_frame;
    int64_t first_ns, last_ns;
    int64_t handshake_ns; /* SYN to the last ACK's arrival at the capture; CLOCK_NONE */
    uint32_t backwards;   /* packets that were stamped before the one before */
    uint32_t requests;    /* times that the client's data began after the server's, or at first */
    uint32_t stalls;
    /* The last packet that moved the conversation: time up to it is in `parts`. */
    int64_t mark_ns;
    uint32_t mark_frame;
    uint8_t mark_side;
    bool mark_full, mark_pushed; /* of its data */
    bool mark_data;
    uint8_t data_side; /* who sent the last new data; 2: nobody yet */
    int64_t parts[FLOW_PARTS];
    struct flow_side side[2];
};

static inline int flow_client(const struct flow_connection *connection)
{
    return connection->client;
}

static inline uint64_t flow_repeats(const struct flow_side *side)
{
    uint64_t sum = 0;
    for (int i = 0; i < FLOW_REPEATS; i++)
        sum += side->repeats[i];
    return sum;
}

/* ---- Stalls */

enum flow_proof {
    FLOW_PROVEN,
    FLOW_IF_NO_DENIAL, /* Nagle's: stands if flow_nagle() of the ended connection says so */
};

/* A wait of at least the shortest that counts (struct flow_options). */
struct flow_stall {
    enum flow_part part;
    enum flow_proof proof;
    int side;            /* who sends when it ends: whose write is held, who thinks */
    int64_t at_ns;       /* when it began */
    int64_t wait_ns;     /* all of it */
    int64_t at_least_ns; /* what the path cannot explain of it */
    uint32_t frames[3];  /* that prove it: what waited, what released it, what followed; 0: none */
};

enum flow_nagle {
    FLOW_NAGLE_NOT,       /* no hold, or the side was seen to send small segments at once */
    FLOW_NAGLE_UNDECIDED, /* too few holds to tell from chance */
    FLOW_NAGLE_PROVEN,
};
/* Of the connection as far as it was fed. */
enum flow_nagle flow_nagle(const struct flow_side *side);

enum flow_end flow_end_of(const struct flow_connection *connection);
const char *flow_end_name(enum flow_end end);       /* "fin", "reset-by-client", … */
const char *flow_reset_name(enum flow_reset reset); /* "unread-data", …; NULL: none */
const char *flow_part_name(enum flow_part part);    /* "server_think_ns": the key in JSON */
const char *flow_part_label(enum flow_part part);   /* "server thinks" */
const char *flow_repeat_name(enum flow_repeat repeat);

/* Percentile (0–1) of the samples in nanoseconds; CLOCK_NONE without any. */
int64_t flow_path_percentile(const struct flow_path *path, double share);

#endif
