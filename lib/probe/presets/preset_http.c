/* HTTP/1.1 (RFC 9112). */
#include "probe/preset.h"

#include <string.h>
#include <strings.h>

/* Whether the user has a line of that name, or wants none. */
static bool is_given(const struct preset_ask *ask, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < ask->header_count; i++)
        if (!strncasecmp(ask->headers[i], name, length) &&
            (ask->headers[i][length] == ':' || ask->headers[i][length] == ';'))
            return true;
    return false;
}

static void add_default(struct buf *out, const struct preset_ask *ask, const char *name,
                        const char *value)
{
    if (!is_given(ask, name))
        buf_printf(out, "%s: %s\r\n", name, value);
}

/* As curl reads it: "Name: value"; "Name:" is left out, and "Name;" has no value. */
static void add_given(struct buf *out, const char *line)
{
    size_t name = strcspn(line, ":;");
    const char *value = line + name + 1 + strspn(line + name + 1, " \t");

    if (line[name] == ';')
        buf_printf(out, "%.*s:\r\n", (int)name, line);
    else if (*value)
        buf_printf(out, "%.*s: %s\r\n", (int)name, line, value);
}

/* A method that has a body by its nature says so where there is none (RFC 9110 section 8.6). */
static bool says_length(const struct preset_ask *ask, const char *method)
{
    return ask->data || !strcmp(method, "POST") || !strcmp(method, "PUT") ||
           !strcmp(method, "PATCH");
}

static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    const char *method = ask->method ? ask->method : ask->data ? "POST" : "GET";

    buf_printf(out, "%s %s HTTP/1.1\r\n", method, ask->path);
    add_default(out, ask, "Host", ask->host);
    add_default(out, ask, "User-Agent", "netkit");
    add_default(out, ask, "Accept", "*/*");
    if (says_length(ask, method) && !is_given(ask, "Content-Length"))
        buf_printf(out, "Content-Length: %zu\r\n", ask->data_bytes);
    if (ask->expect_continue)
        add_default(out, ask, "Expect", "100-continue");
    if (ask->data)
        add_default(out, ask, "Content-Type", "application/x-www-form-urlencoded");
    for (size_t i = 0; i < ask->header_count; i++)
        add_given(out, ask->headers[i]);
    buf_add_str(out, "\r\n");
    *body_at = out->len_bytes;
    if (ask->data)
        buf_add(out, ask->data, ask->data_bytes);
}

const struct preset preset_http = {
    .name = "http",
    PRESET_TLS_PORTS(
        "GET --path with HTTP/1.1, or what --method, --header and --data say; read the "
        "whole answer",
        (80, 8000, 8080), (443, 8443)),
    .takes = PRESET_TAKES_HTTP,
    .compose = compose,
    .framing = "http"};
