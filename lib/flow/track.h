/* What TCP did, seen from between: one segment after another of one connection.
 *
 *     sent again        nothing of it is new, and the capture had seen it: named by what asked for
 *                       it: SACK or duplicate ACKs (fast), nothing for less than an RTO at the end
 *                       of the flight (tail-loss probe), nothing for longer (timeout); spurious
 * when the receiver shows that it had the first one: a DSACK, an ACK that echoes an older timestamp
 * (RFC 3522), or an ACK that had passed before fills a hole      it is below what was seen, and was
 * not seen itself. Out of order if its IP id is older than that of the segment that came before it,
 * or if there was no time for anybody to ask for it; else sent again, the first lost before the
 *                       capture
 *     missed            the receiver acknowledged what the capture never saw: the capture lost it,
 *                       and no retransmission is made of it
 *     keepalive         the byte before the next again, with nothing in flight
 *     mirrored          the very same packet again (IPv4's id, or everything within no time): a
 *                       mirror port that shows both ways through a switch; nothing else sees it */
#ifndef FLOW_TRACK_H
#define FLOW_TRACK_H

#include "flow/flow.h"

enum flow_news {
    FLOW_NEWS_NONE,      /* nothing that moves the conversation: a pure ACK, a keepalive */
    FLOW_NEWS_SYN,       /* SYN or SYN,ACK */
    FLOW_NEWS_HANDSHAKE, /* the handshake's last ACK */
    FLOW_NEWS_DATA,
    FLOW_NEWS_AGAIN, /* sent again, by `repeat` */
    FLOW_NEWS_END,   /* FIN or RST */
};

struct flow_step {
    const struct segment *segment;
    int64_t at_ns;
    uint32_t frame;
    int from;
    enum flow_news news;
    enum flow_repeat repeat;
    int64_t repeat_wait_ns; /* since those bytes were sent last; 0: not known */
    bool small, full;       /* of its data */
    uint32_t window_room;   /* of the receiver's window, before this data */
    bool small_in_flight;   /* before this data */
    bool stepped; /* the sender's timestamps say that the capture's clock was set since its last */
};

/* Whether it is the last packet of this side again. */
bool flow_track_mirrored(const struct flow_side *side, const struct flow_packet *packet,
                         int64_t at_ns);

/* Fills *step and updates the connection's sides, but for its times. */
void flow_track(struct flow_connection *connection, const struct flow_packet *packet, int64_t at_ns,
                int from, struct flow_step *step);

/* A full segment of this side: what the other side's MSS and the options leave; 0: not known. */
uint32_t flow_full_segment(const struct flow_connection *connection, int side);

/* Samples of a side's path. */
void flow_path_add(struct flow_path *path, int64_t ns, uint64_t chance);

#endif
