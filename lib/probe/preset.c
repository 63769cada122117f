#include "probe/preset.h"

static const struct preset_info presets[PRESETS] = {
    [PRESET_CONNECT] = {"connect", NULL, "nothing", NULL},
    [PRESET_HTTP] = {"http", NULL, "http", NULL},
    [PRESET_REDIS] = {"redis", "PING\r\n", "line", NULL},
    [PRESET_MEMCACHED] = {"memcached", "version\r\n", "line", NULL},
    [PRESET_SMTP] = {"smtp", "NOOP\r\n", "reply", "reply"},
    [PRESET_ECHO] = {"echo", "netkit echo probe: sixty-four bytes out, sixty-four bytes back.\n",
                     "bytes:64", NULL},
};

const struct preset_info *preset_info(enum preset preset)
{
    return &presets[preset];
}

enum preset preset_by_port(uint16_t port, bool tls)
{
    static const struct {
        uint16_t port;
        enum preset preset;
        bool only_tls;
    } ports[] = {
        {80, PRESET_HTTP, false},         {8000, PRESET_HTTP, false}, {8080, PRESET_HTTP, false},
        {443, PRESET_HTTP, true},         {8443, PRESET_HTTP, true},  {6379, PRESET_REDIS, false},
        {11211, PRESET_MEMCACHED, false}, {25, PRESET_SMTP, false},   {587, PRESET_SMTP, false},
        {465, PRESET_SMTP, true},         {7, PRESET_ECHO, false},
    };

    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        if (ports[i].port == port && (tls || !ports[i].only_tls))
            return ports[i].preset;
    return PRESET_CONNECT;
}

void preset_request(struct buf *out, enum preset preset, const char *path, const char *host)
{
    if (preset == PRESET_HTTP)
        buf_printf(out, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: netkit\r\nAccept: */*\r\n\r\n",
                   path, host);
    else if (presets[preset].request)
        buf_add_str(out, presets[preset].request);
}
