#include "probe/preset.h"

#define TABLE_ROW(ID, name) [PRESET_##ID] = &preset_##name,
static const struct preset *const table[PRESETS] = {PRESET_ROWS(TABLE_ROW)};

const struct preset *preset_at(enum preset_id id)
{
    return table[id];
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

void preset_name_starttls(struct buf *out)
{
    const char *last = NULL, *comma = "";

    for (int id = 0; id < PRESETS; id++) {
        const struct preset *preset = preset_at((enum preset_id)id);
        if (!preset->starttls)
            continue;
        if (last) {
            buf_printf(out, "%s%s", comma, last);
            comma = ", ";
        }
        last = preset->name;
    }
    buf_printf(out, "%s%s", *comma ? " or " : "", last ? last : "none");
}

bool preset_talks(const struct preset *preset)
{
    return preset->request || preset->compose || preset->greets;
}

void preset_request(struct buf *out, const struct preset *preset, const struct preset_ask *ask,
                    size_t *body_at)
{
    if (preset->compose) {
        preset->compose(out, ask, body_at);
        return;
    }
    if (preset->request)
        buf_add_str(out, preset->request);
    *body_at = out->len_bytes;
}
