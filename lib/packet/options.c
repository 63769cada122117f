/* An option of a known kind with a wrong length is ignored alone, as Linux does; a length that
 * leaves the header ends the walk, because where the next option starts is then unknown. */
#include "packet/options.h"

static void read_sack(struct tcp_options *out, const struct view *view, size_t body, size_t len)
{
    for (out->sack_count = 0; out->sack_count < len / 8; out->sack_count++) {
        struct tcp_sack *sack = &out->sack[out->sack_count];
        sack->left = view_u32(view, body + 8 * (size_t)out->sack_count);
        sack->right = view_u32(view, body + 8 * (size_t)out->sack_count + 4);
    }
}

static void read_option(struct tcp_options *out, const struct view *view, uint8_t kind, size_t body,
                        size_t len)
{
    switch (kind) {
    case TCP_OPTION_MSS:
        if (len == 2) {
            out->has_mss = true;
            out->mss = view_u16(view, body);
        }
        break;
    case TCP_OPTION_WINDOW_SCALE:
        if (len == 1) {
            out->has_window_scale = true;
            out->window_scale = view_u8(view, body);
        }
        break;
    case TCP_OPTION_SACK:
        if (len && len % 8 == 0 && len <= 8 * TCP_SACK_MAX)
            read_sack(out, view, body, len);
        break;
    case TCP_OPTION_TIMESTAMPS:
        if (len == 8) {
            out->has_timestamps = true;
            out->ts_value = view_u32(view, body);
            out->ts_echo = view_u32(view, body + 4);
        }
        break;
    default: /* what netkit has no use for */
        break;
    }
}

void options_read(struct tcp_options *out, const struct view *view, size_t offset, size_t end)
{
    /* What nearly every segment of most connections has, and nothing else. */
    if (end - offset == 12 && view_has(view, offset, 12) && view_u32(view, offset) == 0x0101080a) {
        read_option(out, view, TCP_OPTION_TIMESTAMPS, offset + 4, 8);
        return;
    }
    while (offset < end && view_has(view, offset, 1)) {
        uint8_t kind = view_u8(view, offset);
        if (kind == TCP_OPTION_END)
            return;
        if (kind == TCP_OPTION_NOP) {
            offset++;
            continue;
        }
        if (offset + 1 >= end) {
            out->malformed = true;
            return;
        }
        if (!view_has(view, offset, 2))
            return;
        size_t len = view_u8(view, offset + 1);
        if (len < 2 || len > end - offset) {
            out->malformed = true;
            return;
        }
        if (!view_has(view, offset, len))
            return;
        read_option(out, view, kind, offset + 2, len - 2);
        offset += len;
    }
}
