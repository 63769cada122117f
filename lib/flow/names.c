#include "flow/connection.h"

#include <stddef.h>

const char *flow_end_name(enum flow_end end)
{
    switch (end) {
    case FLOW_END_OPEN:
        return "open";
    case FLOW_END_NO_REPLY:
        return "no-reply";
    case FLOW_END_REFUSED:
        return "refused";
    case FLOW_END_RESET_CLIENT:
        return "reset-by-client";
    case FLOW_END_RESET_SERVER:
        return "reset-by-server";
    case FLOW_END_FIN:
        return "fin";
    }
    return "?";
}

const char *flow_reset_name(enum flow_reset reset)
{
    switch (reset) {
    case FLOW_RESET_NONE:
        return NULL;
    case FLOW_RESET_REFUSED:
        return "refused";
    case FLOW_RESET_HALF_OPEN:
        return "port-check";
    case FLOW_RESET_UNREAD:
        return "unread-data";
    case FLOW_RESET_ABORT:
        return "abort";
    case FLOW_RESET_AFTER_CLOSE:
        return "data-after-close";
    case FLOW_RESET_UNKNOWN:
        return "unknown-connection";
    }
    return NULL;
}

static const struct {
    const char *name, *label;
} parts[FLOW_PARTS] = {
    [FLOW_NETWORK] = {"network_ns", "network"},
    [FLOW_CLIENT_THINK] = {"client_think_ns", "client thinks"},
    [FLOW_SERVER_THINK] = {"server_think_ns", "server thinks"},
    [FLOW_NAGLE_DELAYED_ACK_CLIENT] = {"nagle_delayed_ack_client_ns",
                                       "client's small writes wait for delayed ACKs"},
    [FLOW_NAGLE_DELAYED_ACK_SERVER] = {"nagle_delayed_ack_server_ns",
                                       "server's small writes wait for delayed ACKs"},
    [FLOW_NAGLE_ROUND_TRIP_CLIENT] = {"nagle_round_trip_client_ns",
                                      "client's small writes wait for a round trip"},
    [FLOW_NAGLE_ROUND_TRIP_SERVER] = {"nagle_round_trip_server_ns",
                                      "server's small writes wait for a round trip"},
    [FLOW_DELAYED_ACK] = {"delayed_ack_ns", "last ACK delayed"},
    [FLOW_CORK] = {"cork_ns", "held by cork"},
    [FLOW_SEND_BUFFER] = {"send_buffer_ns", "send buffer full"},
    [FLOW_RECEIVE_WINDOW] = {"receive_window_ns", "receive window full"},
    [FLOW_ZERO_WINDOW] = {"zero_window_ns", "receive window closed"},
    [FLOW_CONGESTION_WINDOW] = {"congestion_window_ns", "congestion window"},
    [FLOW_RETRANSMISSION_TIMEOUT] = {"retransmission_timeout_ns", "retransmission timer"},
    [FLOW_LINK] = {"link_ns", "link or pacing"},
    [FLOW_IDLE] = {"idle_ns", "idle"},
};

const char *flow_part_name(enum flow_part part)
{
    return parts[part].name;
}

const char *flow_part_label(enum flow_part part)
{
    return parts[part].label;
}

const char *flow_repeat_name(enum flow_repeat repeat)
{
    static const char *const names[FLOW_REPEATS] = {
        [FLOW_REPEAT_SYN] = "syn",         [FLOW_REPEAT_SYNACK] = "syn-ack",
        [FLOW_REPEAT_TIMEOUT] = "timeout", [FLOW_REPEAT_PROBE] = "tail-loss-probe",
        [FLOW_REPEAT_FAST] = "fast",       [FLOW_REPEAT_SPURIOUS] = "spurious",
    };

    return repeat < FLOW_REPEATS ? names[repeat] : "?";
}
