/* One row a kind: the lengths that are right, and what to do with the body. An option of a known
 * kind with a wrong length is ignored alone, as Linux does; a length that leaves the header ends
 * the walk, because where the next option starts is then unknown. */
#include "packet/options.h"


static void read_mss(struct tcp_options *out, const struct view *view, size_t body, size_t len)
{
    (void)len;
    out->has_mss = true;
    out->mss = view_u16(view, body);
    out->mss_offset = (uint32_t)body;
}

static void read_window_scale(struct tcp_options *out, const struct view *view, size_t body,
                              size_t len)
{
    (void)len;
    out->has_window_scale = true;
    out->window_scale = view_u8(view, body);
}

static void read_sack_permitted(struct tcp_options *out, const struct view *view, size_t body,
                                size_t len)
{
    (void)view, (void)body, (void)len;
    out->has_sack_permitted = true;
}

static void read_sack(struct tcp_options *out, const struct view *view, size_t body, size_t len)
{
    if (len % 8)
        return;
    for (out->sack_count = 0; out->sack_count < len / 8; out->sack_count++) {
        struct tcp_sack *sack = &out->sack[out->sack_count];
        sack->left = view_u32(view, body + 8 * (size_t)out->sack_count);
        sack->right = view_u32(view, body + 8 * (size_t)out->sack_count + 4);
    }
}

static void read_timestamps(struct tcp_options *out, const struct view *view, size_t body,
                            size_t len)
{
    (void)len;
    out->has_timestamps = true;
    out->ts_value = view_u32(view, body);
    out->ts_echo = view_u32(view, body + 4);
}

static void read_md5(struct tcp_options *out, const struct view *view, size_t body, size_t len)
{
    (void)view, (void)body, (void)len;
    out->has_md5 = true;
}

static void read_ao(struct tcp_options *out, const struct view *view, size_t body, size_t len)
{
    (void)view, (void)body, (void)len;
    out->has_ao = true;
}

static void read_mptcp(struct tcp_options *out, const struct view *view, size_t body, size_t len)
{
    (void)len;
    out->has_mptcp = true;
    out->mptcp_subtype = view_u8(view, body) >> 4;
}

static void read_fast_open(struct tcp_options *out, const struct view *view, size_t body,
                           size_t len)
{
    if (len > TCP_FAST_OPEN_COOKIE_MAX)
        return;
    out->has_fast_open = true;
    out->fast_open_len = (uint8_t)len;
    view_copy(view, body, out->fast_open_cookie, len);
}

static void read_unknown(struct tcp_options *out, uint8_t kind)
{
    if (!out->unknown_count++)
        out->unknown_kind = kind;
}

static void read_experimental(struct tcp_options *out, const struct view *view, size_t body,
                              size_t len)
{
    if (view_u16(view, body) != FAST_OPEN_MAGIC || len > 2 + TCP_FAST_OPEN_COOKIE_MAX) {
        read_unknown(out, TCP_OPTION_EXPERIMENTAL);
        return;
    }
    read_fast_open(out, view, body + 2, len - 2);
    out->fast_open_experimental = true;
}

static const struct option_row {
    uint8_t kind;
    uint8_t body_min, body_max; /* without kind and length */
    void (*read)(struct tcp_options *out, const struct view *view, size_t body, size_t len);
} option_rows[] = {
    {TCP_OPTION_MSS, 2, 2, read_mss},
    {TCP_OPTION_WINDOW_SCALE, 1, 1, read_window_scale},
    {TCP_OPTION_SACK_PERMITTED, 0, 0, read_sack_permitted},
    {TCP_OPTION_SACK, 8, 8 * TCP_SACK_MAX, read_sack},
    {TCP_OPTION_TIMESTAMPS, 8, 8, read_timestamps},
    {TCP_OPTION_MD5, 16, 16, read_md5},
    {TCP_OPTION_AO, 2, 38, read_ao},
    {TCP_OPTION_MPTCP, 1, 38, read_mptcp},
    {TCP_OPTION_FAST_OPEN, 0, TCP_FAST_OPEN_COOKIE_MAX, read_fast_open},
    {TCP_OPTION_EXPERIMENTAL, 2, 38, read_experimental},
};

static void read_option(struct tcp_options *out, const struct view *view, uint8_t kind, size_t body,
                        size_t len)
{
    for (size_t i = 0; i < sizeof option_rows / sizeof *option_rows; i++) {
        const struct option_row *row = &option_rows[i];
        if (row->kind != kind)
            continue;
        if (len >= row->body_min && len <= row->body_max)
            row->read(out, view, body, len);
        return;
    }
    read_unknown(out, kind);
}

void options_read(struct tcp_options *out, const struct view *view, size_t offset, size_t end)
{
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
