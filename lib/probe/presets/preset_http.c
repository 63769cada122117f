/* HTTP/1.1 (RFC 9112). */
#include "probe/preset.h"

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    buf_printf(out, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: netkit\r\nAccept: */*\r\n\r\n",
               ask->path, ask->host);
    *body_at = out->len_bytes;
}

const struct preset preset_http = {
    .name = "http",
    PRESET_TLS_PORTS("GET --path with HTTP/1.1, read the whole answer", (80, 8000, 8080),
                     (443, 8443)),
    .takes = PRESET_TAKES_HTTP,
    .compose = compose,
    .framing = "http"};
