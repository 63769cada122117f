#include "probe/preset.h"

static void compose_http(struct buf *out, const char *path, const char *host)
{
    buf_printf(out, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: netkit\r\nAccept: */*\r\n\r\n",
               path, host);
}

const struct preset preset_table[PRESETS] = {
    [PRESET_CONNECT] = {.name = "connect",
                        .help = "connect, and send nothing",
                        .framing = "nothing"},
    [PRESET_HTTP] = {.name = "http",
                     PRESET_TLS_PORTS("GET --path with HTTP/1.1, read the whole answer",
                                      (80, 8000, 8080), (443, 8443)),
                     .compose = compose_http,
                     .framing = "http"},
    [PRESET_REDIS] = {.name = "redis",
                      PRESET_PORTS("PING", (6379)),
                      .request = "PING\r\n",
                      .framing = "line"},
    [PRESET_MEMCACHED] = {.name = "memcached",
                          PRESET_PORTS("version", (11211)),
                          .request = "version\r\n",
                          .framing = "line"},
    [PRESET_SMTP] = {.name = "smtp",
                     PRESET_TLS_PORTS("NOOP, after the greeting", (25, 587), (465)),
                     .greeting = "reply",
                     .request = "NOOP\r\n",
                     .framing = "reply"},
    [PRESET_ECHO] = {.name = "echo",
                     PRESET_PORTS("a line that comes back", (7)),
                     .request = "netkit echo probe: sixty-four bytes out, sixty-four bytes back.\n",
                     .framing = "bytes:64"},
};

const struct preset *preset_at(enum preset_id id)
{
    return &preset_table[id];
}

static bool has_port(const uint16_t ports[PRESET_PORTS_MAX], uint16_t port)
{
    for (size_t i = 0; i < PRESET_PORTS_MAX && ports[i]; i++)
        if (ports[i] == port)
            return true;
    return false;
}

enum preset_id preset_by_port(uint16_t port, bool tls)
{
    for (int id = 0; id < PRESETS; id++) {
        const struct preset *preset = preset_at((enum preset_id)id);
        if (has_port(preset->ports, port) || (tls && has_port(preset->tls_ports, port)))
            return (enum preset_id)id;
    }
    return PRESET_CONNECT;
}

bool preset_talks(const struct preset *preset)
{
    return preset->request || preset->compose;
}

void preset_request(struct buf *out, const struct preset *preset, const char *path,
                    const char *host)
{
    if (preset->compose)
        preset->compose(out, path, host);
    else if (preset->request)
        buf_add_str(out, preset->request);
}
