/* The packets of a run's own connections: into a capture file, into the strip of the round that is
 * under way, and to an observer.
 *
 * The capture is open before the first SYN leaves, and is read from the loop and wherever a round
 * begins or ends. Other processes may talk to the same server: a packet counts when its local port
 * is one that a connection of this run has had. All functions take NULL, and then do nothing. */
#ifndef PROBE_LIVE_CAPTURE_H
#define PROBE_LIVE_CAPTURE_H

#include "netkit/error.h"
#include "netkit/sock.h"
#include "packet/packet.h"
#include "probe/loop.h"
#include "trace/trace.h"

struct live_capture;
struct capture_packet;

/* A packet of ours, or an ICMP error that quotes one. Valid during the call. */
struct live_capture_packet {
    const struct segment *segment;
    const struct capture_packet *packet;
    int64_t real_ns;
    uint16_t local_port;
    bool from_client;
};

/* Memory belongs to the caller; only the strip must outlive the call. */
struct live_capture_settings {
    const struct sock_address *addresses; /* that will be connected to, all with the same port */
    size_t count;
    /* Instead of addresses, which are not known yet: packets of connections to these ports on every
     * device, and ICMP errors about them. */
    const uint16_t *ports;
    size_t port_count;
    bool whole; /* with ports: all of each connection, not only its SYNs and RSTs */
    const struct sock_address *source; /* that is bound to; NULL: the kernel chooses */
    const char *interface;             /* that is bound to; NULL: by route */
    const char *path;                  /* of the capture file; NULL: none */
    struct trace_strip *strip;         /* NULL: none */
    void (*saw)(void *context, const struct live_capture_packet *packet); /* NULL: no observer */
    void *context;
};

/* Opens the capture on the interface of the route; where that is not clear, on all. The errors of
 * capture_open_live() and capture_writer_open(); the file is created only when the user may
 * capture.
 */
int live_capture_open(struct live_capture **out, struct loop *loop,
                      const struct live_capture_settings *settings, struct error *error);
/* No capture will be opened from here on: this thread gives up the right to. */
void live_capture_renounce(void);
/* A socket has its local port: its packets count, and from now on the strip is its. */
void live_capture_connection(struct live_capture *capture, int fd);
/* For who is shown packets: into a strip of its own. NULL is allowed. */
void live_capture_record(struct trace_strip *strip, uint32_t connection,
                         const struct live_capture_packet *packet);
/* Reads what has been captured until now. */
void live_capture_take(struct live_capture *capture);
/* The strip is about to be freed. */
void live_capture_forget(struct live_capture *capture, const struct trace_strip *strip);
/* Packets of ours that were seen, and packets that the capture had no room for. */
uint64_t live_capture_seen(const struct live_capture *capture);
uint64_t live_capture_lost(struct live_capture *capture);
/* Whether the capture or its file broke: a negative errno and the reason. */
int live_capture_failed(const struct live_capture *capture, struct error *error);
/* Reads the rest, closes all and frees. The first error that there was. */
int live_capture_close(struct live_capture *capture, struct error *error);

#endif
