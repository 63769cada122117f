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

enum preset preset_by_port(uint16_t port)
{
    static const struct {
        uint16_t port;
        enum preset preset;
    } ports[] = {
        {80, PRESET_HTTP},         {8000, PRESET_HTTP}, {8080, PRESET_HTTP}, {6379, PRESET_REDIS},
        {11211, PRESET_MEMCACHED}, {25, PRESET_SMTP},   {587, PRESET_SMTP},  {7, PRESET_ECHO},
    };

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
        if (ports[i].port == port)
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
