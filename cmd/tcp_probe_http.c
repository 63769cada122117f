#include "tcp_probe_http.h"

#include "base/clock.h"
#include "base/input.h"
#include "base/text.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define DATA_MAX (256 << 20)

/* The characters of a token (RFC 9110 section 5.6.2). */
static size_t token_length(const char *text)
{
    size_t length = 0;

    while (isalnum((unsigned char)text[length]) ||
           (text[length] && strchr("!#$%&'*+-.^_`|~", text[length])))
        length++;
    return length;
}

static int check_method(const char *method, struct error *error)
{
    if (!method)
        return 0;
    if (!*method || method[token_length(method)])
        return error_set(error, EINVAL, "--method wants a word, such as PUT");
    if (!strcmp(method, "CONNECT"))
        return error_set(error, EINVAL,
                         "--method CONNECT makes a tunnel, which cannot be asked for");
    return 0;
}

static int refuse_header(const char *line, const char *what, struct error *error)
{
    cleanup(buf) struct buf shown = {0};

    buf_init_cap(&shown, ERROR_TEXT_MAX / 2);
    text_escape(&shown, line, strlen(line));
    return error_set(error, EINVAL, "--header '%s': %s", buf_str(&shown), what);
}

static int check_header(const char *line, struct error *error)
{
    size_t name = token_length(line);

    if (!name || (line[name] != ':' && strcmp(line + name, ";")))
        return refuse_header(line,
                             "wants 'Name: value'; 'Name:' leaves a line out, and 'Name;' has no "
                             "value",
                             error);
    for (const char *p = line + name; *p; p++)
        if (iscntrl((unsigned char)*p) && *p != '\t')
            return refuse_header(line, "a header is one line without control characters", error);
    if (name == 17 && !strncasecmp(line, "Transfer-Encoding", name))
        return refuse_header(line,
                             "the body is sent as it is; --send-file sends a request that is "
                             "encoded already",
                             error);
    return 0;
}

static int read_data(struct buf *out, const char *text, struct error *error)
{
    if (*text != '@') {
        buf_add_str(out, text);
        return out->failed ? error_sys(error, ENOMEM, "--data") : 0;
    }
    return input_read(out, "--data", text + 1, DATA_MAX, error);
}

int tcp_probe_http_ask(struct preset_ask *ask, struct buf *data,
                       const struct tcp_probe_options *options, struct error *error)
{
    int rc = check_method(options->method, error);

    for (size_t i = 0; i < options->headers.count && !rc; i++)
        rc = check_header(options->headers.words[i], error);
    if (!rc && options->data)
        rc = read_data(data, options->data, error);
    if (rc)
        return rc;
    ask->method = options->method;
    ask->headers = options->headers.words;
    ask->header_count = options->headers.count;
    ask->expect_continue = options->expect_continue;
    ask->data = options->data ? buf_str(data) : NULL;
    ask->data_bytes = data->len_bytes;
    return 0;
}

int64_t tcp_probe_http_continue_ns(const struct tcp_probe_options *options)
{
    if (options->expect_continue)
        return options->continue_ns;
    for (size_t i = 0; i < options->headers.count; i++) {
        const char *line = options->headers.words[i];
        if (!strncasecmp(line, "Expect:", 7) &&
            !strcasecmp(line + 7 + strspn(line + 7, " \t"), "100-continue"))
            return NS_PER_SEC;
    }
    return 0;
}

/* The name as the user wrote it, and the port where it is not the usual one. A zone means something
 * on this host only (RFC 6874 section 3). */
void tcp_probe_http_host(struct buf *out, const struct tcp_probe_options *options,
                         const struct sock_target *where, bool tls)
{
    const char *host = where->host[0] ? where->host : "localhost";
    bool literal6 = strchr(host, ':') != NULL;

    if (options->host) {
        buf_add_str(out, options->host);
        return;
    }
    int bare = (int)(literal6 ? strcspn(host, "%") : strlen(host));
    buf_printf(out, "%s%.*s%s", literal6 ? "[" : "", bare, host, literal6 ? "]" : "");
    if (where->port != (tls ? 443 : 80))
        buf_printf(out, ":%d", where->port);
}
