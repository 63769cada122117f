#include "tcp_probe_request.h"

#include "tcp_probe_http.h"

#include "base/input.h"
#include "base/text.h"
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX  (256 << 20)
#define REQUESTS_MAX ((size_t)1 << 30) /* of all targets together */
#define PASSWORD_MAX 1024
#define EXPECT_BYTES (64 * 1024)

struct composing {
    struct tcp_probe_request *request;
    const struct tcp_probe_options *options;
    struct target_list *targets;
    struct arena *arena;
    struct probe_plan *plan;
};

/* ---- files ---- */

/* The first line is the password, so that an editor's line end does no harm. */
static int read_password(struct composing *composing, struct error *error)
{
    const struct tcp_probe_options *options = composing->options;
    struct buf *password = &composing->request->password;
    int rc = 0;

    if (options->password_fd_set)
        rc = input_read_text_fd(password, "--password-fd", (int)options->password_fd, PASSWORD_MAX,
                                error);
    else if (options->password_file)
        rc = input_read_text(password, "--password-file", options->password_file, PASSWORD_MAX,
                             error);
    else
        return 0;
    if (rc)
        return rc;
    char *line = (char *)buf_str(password);
    line[strcspn(line, "\r\n")] = '\0';
    composing->request->ask.password = line;
    return 0;
}

/* ---- the preset and its request ---- */

/* The preset that was asked for, or the one of the port, if all targets have the same. */
static const struct preset *choose_preset(const struct composing *composing)
{
    const struct target_list *targets = composing->targets;
    const struct tcp_probe_options *options = composing->options;
    enum preset_id preset = PRESET_CONNECT;

    if (options->preset_set)
        return preset_at(options->preset);
    for (size_t i = 0; i < targets->count; i++) {
        const struct probe_target *target = &targets->items[i];
        enum preset_id one = target->scheme
                                 ? PRESET_HTTP
                                 : preset_by_port(target->where.port, composing->request->tls);
        if (i && one != preset)
            return preset_at(PRESET_CONNECT);
        preset = one;
    }
    return preset_at(preset);
}

static bool has_blanks(const char *text)
{
    return strpbrk(text, " \t\r\n") != NULL;
}

/* ---- URLs and TLS ---- */

/* All targets of a run are spoken to in the same way, so what one URL implies holds for all. */
static int check_urls(struct composing *composing, struct error *error)
{
    const struct tcp_probe_options *options = composing->options;
    const struct target_list *targets = composing->targets;
    size_t of_scheme[URL_HTTPS + 1] = {0};

    for (size_t i = 0; i < targets->count; i++) {
        of_scheme[targets->items[i].scheme]++;
        if (options->path_set && targets->items[i].path)
            return error_set(error, EINVAL, "--path and a URL that has a path");
    }
    composing->request->tls = options->tls || of_scheme[URL_HTTPS];
    if (of_scheme[URL_NONE] == targets->count)
        return 0;
    if (options->send || options->send_file)
        return error_set(error, EINVAL,
                         "--send and --send-file have no use for a URL: give host:port");
    if (options->preset_set && options->preset != PRESET_HTTP)
        return error_set(error, EINVAL, "a URL is asked for by the preset http, not by %s",
                         preset_at(options->preset)->name);
    if (of_scheme[URL_HTTP] && composing->request->tls)
        return error_set(error, EINVAL,
                         of_scheme[URL_HTTPS]
                             ? "URLs of http and of https have to be probed in two runs"
                             : "--tls and a URL of http: write https");
    if (of_scheme[URL_HTTPS] && of_scheme[URL_NONE] && !options->tls)
        return error_set(error, EINVAL,
                         "a URL of https and a target without TLS: give --tls if both have it");
    if (choose_preset(composing) != preset_at(PRESET_HTTP))
        return error_set(error, EINVAL,
                         "a URL and a target on another port: give --preset http if both speak it");
    return 0;
}

static int check_tls(const struct composing *composing, struct error *error)
{
    const struct tls_settings *tls = &composing->options->tls_settings;
    const struct {
        const char *option;
        bool given;
    } some[] = {{"sni", tls->server_name != NULL},
                {"alpn", tls->alpn_bytes > 0},
                {"ca-file", tls->ca_file != NULL},
                {"cert", composing->options->cert_file != NULL},
                {"insecure", tls->insecure}};

    if (composing->request->tls || composing->options->starttls)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(some); i++)
        if (some[i].given)
            return error_set(error, EINVAL, "--%s needs --tls, --starttls or a URL of https",
                             some[i].option);
    return 0;
}

/* Options that the chosen way has no use for are mistakes. */
static int check_takes(const struct composing *composing, struct error *error)
{
    const struct tcp_probe_options *options = composing->options;
    const struct preset *preset = composing->request->preset;
    const struct {
        const char *option;
        bool given;
        unsigned takes;
    } some[] = {
        {"path", options->path_set, PRESET_TAKES_HTTP},
        {"host", options->host != NULL, PRESET_TAKES_HTTP},
        {"method", options->method != NULL, PRESET_TAKES_HTTP},
        {"header", options->headers.count > 0, PRESET_TAKES_HTTP},
        {"expect-continue", options->expect_continue, PRESET_TAKES_HTTP},
        {"data", options->data != NULL, PRESET_TAKES_HTTP},
        {"query", options->query != NULL, PRESET_TAKES_QUERY},
        {"user", options->user != NULL, PRESET_TAKES_USER},
        {"password-file", options->password_file != NULL, PRESET_TAKES_USER},
        {"password-fd", options->password_fd_set, PRESET_TAKES_USER},
        {"database", options->database != NULL, PRESET_TAKES_DATABASE},
        {"idle-limit", options->idle_max_ns && preset && (preset->greets || !preset_talks(preset)),
         0},
        {"until", options->until_set && preset && !preset_talks(preset), 0},
        {"split-body", options->split_body && preset, PRESET_TAKES_HTTP},
        {"split", options->split.count && preset && !preset_talks(preset), 0},
        {"expect",
         (options->expect.count || options->expect.pattern) && preset && !preset_talks(preset), 0}};

    for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
        if (!some[i].given || (preset && some[i].takes & preset->takes))
            continue;
        if (!preset)
            return error_set(error, EINVAL, "--%s has no effect on --send and --send-file",
                             some[i].option);
        if (preset == preset_at(PRESET_CONNECT))
            return error_set(error, EINVAL,
                             "--%s has no effect, because there is nothing to send: give --send, "
                             "--send-file or a --preset other than connect",
                             some[i].option);
        return error_set(error, EINVAL, "--%s has no effect on the preset %s", some[i].option,
                         preset->name);
    }
    if (!options->starttls || (preset && preset->starttls))
        return 0;
    cleanup(buf) struct buf names = {0};
    preset_name_starttls(&names);
    return error_set(error, EINVAL, "--starttls wants a preset whose protocol has it: %s",
                     buf_str(&names));
}

/* Of one target. */
static int compose_request(const struct composing *composing, const struct probe_target *target,
                           struct buf *out, size_t *body_at, struct error *error)
{
    const struct tcp_probe_request *request = composing->request;
    struct preset_ask ask = request->ask;
    cleanup(buf) struct buf host = {0};

    tcp_probe_http_host(&host, composing->options, &target->where, request->tls);
    ask.host = buf_str(&host);
    if (target->path)
        ask.path = target->path;
    preset_request(out, request->preset, &ask, body_at);
    return out->failed || host.failed ? error_sys(error, ENOMEM, "a request") : 0;
}

/* HTTP names the host in each request, so each target has its own; the first one's is the plan's.
 */
static int compose_requests(struct composing *composing, struct error *error)
{
    const struct tcp_probe_options *options = composing->options;
    struct tcp_probe_request *request = composing->request;
    struct target_list *targets = composing->targets;
    int rc;

    if (options->path[0] != '/' || has_blanks(options->path))
        return error_set(error, EINVAL, "--path wants a path that starts with / and has no blanks");
    if (options->host && (!options->host[0] || has_blanks(options->host)))
        return error_set(error, EINVAL, "--host wants a name without blanks");
    if (options->data && request->data.len_bytes > REQUESTS_MAX / (targets->count + 1))
        return error_set(error, EINVAL, "--data: %zu bytes are too much for %zu targets",
                         request->data.len_bytes, targets->count);
    rc = targets->count ? compose_request(composing, targets->items, &request->bytes,
                                          &composing->plan->transaction.body_at, error)
                        : 0;
    for (size_t i = 1; i < targets->count && !rc && request->preset->takes & PRESET_TAKES_HTTP;
         i++) {
        struct probe_target *target = &targets->items[i];
        cleanup(buf) struct buf bytes = {0};
        rc = compose_request(composing, target, &bytes, &target->body_at, error);
        char *copy = rc ? NULL : arena_alloc(composing->arena, bytes.len_bytes);
        if (!copy)
            return rc ? rc : error_sys(error, ENOMEM, "the requests");
        target->request = memcpy(copy, bytes.data, bytes.len_bytes);
        target->request_bytes = bytes.len_bytes;
    }
    return rc;
}

/* As the clients of databases do it; NULL: this user has no name. */
static const char *login_name(struct arena *arena)
{
    const struct passwd *entry = getpwuid(geteuid());
    return entry ? arena_copy(arena, entry->pw_name) : NULL;
}

static int compose_preset(struct composing *composing, struct error *error)
{
    const struct tcp_probe_options *options = composing->options;
    const struct preset *preset = composing->request->preset;
    struct probe_plan *plan = composing->plan;

    composing->request->ask.path = options->path;
    composing->request->ask.query = options->query;
    composing->request->ask.user = options->user        ? options->user
                                   : preset->login_name ? login_name(composing->arena)
                                                        : NULL;
    composing->request->ask.database = options->database;
    int rc =
        tcp_probe_http_ask(&composing->request->ask, &composing->request->data, options, error);
    if (!rc && preset->check)
        rc = preset->check(&composing->request->ask, error);
    if (!rc)
        rc = compose_requests(composing, error);
    if (!rc && options->expect_continue && !options->data)
        rc = error_set(error, EINVAL, "--expect-continue: the request has no body (give --data)");
    if (options->data)
        plan->transaction.continue_ns = tcp_probe_http_continue_ns(options);
    plan->greets = preset->greets;
    plan->arms.only_connects = preset->greets || !preset_talks(preset);
    plan->preamble.rules = preset->preamble;
    return rc ? rc : framing_parse(preset->framing, &plan->transaction.framing, error);
}

/* ---- a request of the user's own ---- */

/* The request's first line ends in HTTP/1.x. */
static bool is_http_request(const struct buf *request)
{
    const char *line = request->data;
    size_t length = 0;

    while (length < request->len_bytes && line[length] != '\r' && line[length] != '\n')
        length++;
    return length > 9 && !memcmp(line + length - 9, " HTTP/1.", 8);
}

/* Where the body of an HTTP request begins; the end of any other. */
static size_t own_body_at(const struct buf *request)
{
    const char *end =
        is_http_request(request) ? memmem(request->data, request->len_bytes, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end + 4 - request->data) : request->len_bytes;
}

/* Without a request a round is the greeting. */
static int compose_greeting(struct composing *composing, struct error *error)
{
    const struct tcp_probe_options *options = composing->options;
    struct probe_plan *plan = composing->plan;

    if (!options->greeting_set)
        return error_set(error, EINVAL,
                         "--send is empty: there is nothing to ask. To time what the server says "
                         "first, give --greeting, too");
    if (options->hellos.count || options->until_set)
        return error_set(error, EINVAL, "--%s wants a request: --send is empty",
                         options->until_set ? "until" : "hello");
    if (options->idle_max_ns)
        return error_set(error, EINVAL, "--idle-limit wants a request: --send is empty");
    plan->greets = plan->arms.only_connects = true;
    plan->transaction.framing = options->greeting;
    return 0;
}

static int compose_own(struct composing *composing, struct error *error)
{
    const struct tcp_probe_options *options = composing->options;
    struct buf *bytes = &composing->request->bytes;
    int rc = options->send
                 ? text_unescape(bytes, options->send, error)
                 : input_read(bytes, "--send-file", options->send_file, REQUEST_MAX, error);

    if (rc)
        return rc;
    composing->plan->transaction.body_at = own_body_at(bytes);
    if (!bytes->len_bytes)
        return compose_greeting(composing, error);
    return framing_parse(is_http_request(bytes) ? "http" : "line",
                         &composing->plan->transaction.framing, error);
}

/* ---- the whole conversation ---- */

static int add_hellos(struct composing *composing, struct error *error)
{
    const struct cli_items *items = &composing->options->hellos;
    struct preamble_settings *preamble = &composing->plan->preamble;
    struct preamble_hello *hellos = arena_alloc(composing->arena, items->count * sizeof *hellos);

    if (items->count > PREAMBLE_HELLOS_MAX)
        return error_set(error, EINVAL, "--hello and --hello-file: at most %d of them",
                         PREAMBLE_HELLOS_MAX);
    for (size_t i = 0; i < items->count && hellos; i++) {
        const struct cli_item *item = &items->items[i];
        const struct cli_qualifier *until = cli_item_find(item, "hello-until");
        cleanup(buf) struct buf bytes = {0};
        int rc = strcmp(item->option->name, "hello-file")
                     ? text_unescape(&bytes, item->text, error)
                     : input_read(&bytes, "--hello-file", item->text, REQUEST_MAX, error);
        if (!rc)
            rc = framing_parse(until ? until->text : "line", &hellos[i].until, error);
        if (rc)
            return rc;
        char *copy = arena_alloc(composing->arena, bytes.len_bytes);
        if (!copy)
            return error_sys(error, ENOMEM, "--hello");
        hellos[i].bytes = memcpy(copy, bytes.data, bytes.len_bytes);
        hellos[i].len_bytes = bytes.len_bytes;
    }
    preamble->hellos = hellos;
    preamble->hello_count = hellos ? items->count : 0;
    return 0;
}

/* $ is the end of a line however the protocol writes that: CR LF, or LF. A NUL would end the text;
 * another byte that no expression names stands for it. */
static bool matches(const regex_t *pattern, const char *head, size_t head_bytes)
{
    cleanup(buf) struct buf lines = {0};

    for (size_t at = 0; at < head_bytes;) {
        const char *end = memmem(head + at, head_bytes - at, "\r\n", 2);
        size_t length = end ? (size_t)(end - head) - at : head_bytes - at;
        buf_add(&lines, head + at, length);
        at += length + (end != NULL);
        if (end)
            buf_add_char(&lines, head[at++]);
    }
    for (size_t i = 0; i < lines.len_bytes; i++)
        if (!lines.data[i])
            lines.data[i] = '\1';
    return !regexec(pattern, buf_str(&lines), 0, NULL, 0);
}

static bool is_expected(const void *context, const struct framing_answer *answer, const char *head,
                        size_t head_bytes)
{
    const struct tcp_probe_request *request = context;
    const struct tcp_probe_expect *expect = request->expect;

    if (request->has_pattern)
        return matches(&request->pattern, head, head_bytes);
    for (size_t i = 0; i < expect->count; i++)
        if (expect->statuses[i] == answer->status)
            return true;
    return false;
}

static int add_expectation(struct composing *composing, struct error *error)
{
    struct transaction_settings *transaction = &composing->plan->transaction;
    const struct tcp_probe_expect *expect = &composing->options->expect;
    struct tcp_probe_request *request = composing->request;

    if (!expect->count && !expect->pattern)
        return 0;
    if (expect->count && !framing_has_status(&transaction->framing))
        return error_set(error, EINVAL,
                         "--expect: there is no status in what --until waits for; give an "
                         "expression");
    if (!framing_awaits(&transaction->framing))
        return error_set(error, EINVAL, "--expect: --until nothing awaits no answer");
    request->expect = expect;
    if (expect->pattern && regcomp(&request->pattern, expect->pattern, REG_EXTENDED | REG_NEWLINE))
        return error_set(error, EINVAL, "--expect wants a regular expression");
    request->has_pattern = expect->pattern != NULL;
    transaction->head_bytes = expect->pattern ? EXPECT_BYTES : 0;
    transaction->expected = is_expected;
    transaction->expected_context = request;
    return 0;
}

/* The pieces of --split; the last is what remains, which may be nothing. */
static int split(struct composing *composing, struct error *error)
{
    struct transaction_settings *transaction = &composing->plan->transaction;
    const struct tcp_probe_split *split = &composing->options->split;
    size_t sum = 0;

    transaction->gap_ns = composing->options->gap_ns;
    if (composing->options->split_body) {
        if (transaction->body_at >= transaction->request_bytes)
            return error_set(error, EINVAL, "--split-body: the request has no body (give --data)");
        transaction->pieces[0] = TRANSACTION_HEADER;
        transaction->piece_count = 1;
        return 0;
    }
    for (size_t i = 0; i < split->count; i++)
        sum += split->pieces[i];
    if (sum > transaction->request_bytes)
        return error_set(error, EINVAL, "--split adds up to %zu bytes, but the request has %zu",
                         sum, transaction->request_bytes);
    memcpy(transaction->pieces, split->pieces, sizeof transaction->pieces);
    transaction->piece_count = split->count;
    if (split->count && sum == transaction->request_bytes)
        transaction->piece_count--;
    return 0;
}

int tcp_probe_request_compose(struct tcp_probe_request *request,
                              const struct tcp_probe_options *options, struct target_list *targets,
                              struct arena *arena, struct probe_plan *plan, struct error *error)
{
    struct composing composing = {request, options, targets, arena, plan};
    bool own = options->send || options->send_file;

    int rc = check_urls(&composing, error);
    if (!own)
        request->preset = choose_preset(&composing);
    if (!rc && targets->count)
        rc = check_tls(&composing, error);
    if (!rc)
        rc = check_takes(&composing, error);
    if (!rc)
        rc = read_password(&composing, error);
    if (!rc)
        rc = own ? compose_own(&composing, error) : compose_preset(&composing, error);
    if (!rc)
        rc = add_hellos(&composing, error);
    if (rc)
        return rc;
    if (options->until_set)
        plan->transaction.framing = options->framing;
    if (options->greeting_set && !plan->greets)
        plan->preamble.greeting = options->greeting;
    plan->preamble.ask = &request->ask;
    plan->preamble.starttls = options->starttls;
    plan->transaction.request = request->bytes.data;
    plan->transaction.request_bytes = request->bytes.len_bytes;
    plan->transaction.framing.no_body =
        request->bytes.len_bytes > 5 && !memcmp(request->bytes.data, "HEAD ", 5);
    rc = split(&composing, error);
    return rc ? rc : add_expectation(&composing, error);
}

void tcp_probe_request_free(struct tcp_probe_request *request)
{
    if (request->has_pattern)
        regfree(&request->pattern);
    if (request->password.data)
        explicit_bzero(request->password.data, request->password.len_bytes);
    buf_free(&request->password);
    buf_free(&request->bytes);
    buf_free(&request->data);
}
