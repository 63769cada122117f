/* URLs and targets: any text is refused with printable words, or gives a host, a port and a path
 * that can stand in a request. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "probe/preset.h"
#include "probe/url.h"
#include <errno.h>
#include <string.h>

static void check_where(const struct sock_target *where)
{
    FUZZ_PROMISE(memchr(where->host, '\0', sizeof where->host) && where->port);
}

static void check_request(const struct url *url)
{
    const struct preset_ask ask = {.host = url->where.host, .path = url->path ? url->path : "/"};
    cleanup(buf) struct buf request = {0};
    size_t body_at;

    preset_request(&request, preset_at(PRESET_HTTP), &ask, &body_at);
    FUZZ_PROMISE(!request.failed && body_at == request.len_bytes);
    /* One request: nothing in the path ends its line. */
    const char *line_end = strstr(buf_str(&request), "\r\n");
    FUZZ_PROMISE(line_end &&
                 line_end - request.data ==
                     (ptrdiff_t)(strlen("GET ") + strlen(ask.path) + strlen(" HTTP/1.1")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(mem) char *text = strndup((const char *)data, size);
    cleanup(arena) struct arena arena = {0};
    struct error error = {0};
    struct sock_target target;
    struct url url;

    FUZZ_PROMISE(text != NULL);
    int rc = url_parse(&url, text, &arena, &error);
    FUZZ_PROMISE(rc == 0 || (rc == -EINVAL && error.text[0]));
    for (const char *p = error.text; *p; p++)
        FUZZ_PROMISE((unsigned char)*p >= 0x20 && *p != 0x7f);
    if (!rc && url.scheme != URL_NONE) {
        check_where(&url.where);
        check_request(&url);
    }
    rc = sock_target_parse(&target, text, NULL, 0, &error);
    FUZZ_PROMISE(rc == 0 || (rc == -EINVAL && error.text[0]));
    if (!rc)
        check_where(&target);
    return 0;
}
