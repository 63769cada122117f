#include "sut_options.h"

#include "output.h"

#include "base/cleanup.h"
#include "base/input.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS        (30 * NS_PER_SEC)
#define SERVER_PATIENCE_NS (10 * NS_PER_SEC)
#define BYTES_MAX          (1 << 20)

#define OF struct sut_options

static int parse_after(const char *text, void *field, struct error *error)
{
    return stub_peer_point_parse(text, field, error);
}

const struct cli_group sut_group = {
    "Your own program",
    {
        {.name = "client",
         CLI_TEXT(OF, client),
         .value = "COMMAND",
         .conflicts = "server",
         .help = "Run this line of sh as a client of netkit's server; {host} and {port} stand for "
                 "the server's."},
        {.name = "server",
         CLI_TEXT(OF, server),
         .value = "COMMAND",
         .needs = "port",
         .help = "Run this line of sh as a server for netkit's clients."},
        {.name = "as-root",
         CLI_FLAG(OF, as_root),
         .needs = "client server",
         .help = COMMON_AS_ROOT_HELP},
        {.name = "port",
         CLI_INTEGER(OF, port),
         .min = 1,
         .max = 65535,
         .value = "PORT",
         .needs = "client server",
         .help = "Where your server, or netkit's, listens: 8000 without this option."},
        {.name = "serve",
         CLI_TEXT(OF, serve),
         .value = "http|redis|echo|raw:FILE",
         .needs = "client",
         .help = "What netkit's server speaks (http without this option); raw:FILE answers any "
                 "request with the bytes of FILE."},
        {.name = "request",
         CLI_TEXT(OF, request),
         .value = "http|redis|echo|hex:BYTES|@FILE",
         .needs = "server",
         .help = "What netkit's clients send (http without this option)."},
        {.name = "after",
         CLI_PARSED(OF, after),
         .parse = parse_after,
         .value = "POINT",
         .needs = "client",
         .help = "When the server crashes: connect, bytes:N of requests read, response-bytes:N "
                 "written, or time:DURATION after the connection. Without it, the scenario's own "
                 "point."},
        {.name = "clients",
         CLI_INTEGER(OF, clients),
         .min = 1,
         .max = 100,
         .initial = "5",
         .needs = "server",
         .help = "This many clients crash while they talk to your server."},
        {.name = "max-detect",
         CLI_DURATION(OF, max_detect_ns),
         .min = 1000000,
         .needs = "client",
         .help = "Your client must notice within this time; exit with status 1 if it does not."},
        {.name = "suite",
         CLI_FLAG(OF, suite),
         .needs = "client server",
         .help = "Run every scenario that applies to your program."},
        {0},
    }};

bool sut_options_given(const struct sut_options *options)
{
    return options->client || options->server;
}

/* ---- What netkit's peer sends ---- */

static int parse_protocol(const char *text, enum preset_id *out)
{
    static const enum preset_id protocols[] = {PRESET_HTTP, PRESET_REDIS, PRESET_ECHO};

    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        if (!strcmp(preset_at(protocols[i])->name, text)) {
            *out = protocols[i];
            return 0;
        }
    return -EINVAL;
}

static int read_bytes(const char *option, const char *path, struct arena *arena, const char **out,
                      size_t *out_bytes, struct error *error)
{
    cleanup(buf) struct buf text = {0};

    int rc = input_read(&text, option, path, BYTES_MAX, error);
    if (rc)
        return rc;
    char *bytes = arena_alloc(arena, text.len_bytes);
    if (!bytes)
        return error_sys(error, ENOMEM, "%s %s", option, path);
    memcpy(bytes, text.data, text.len_bytes);
    *out = bytes;
    *out_bytes = text.len_bytes;
    return 0;
}

static int parse_hex(const char *text, struct arena *arena, const char **out, size_t *out_bytes,
                     struct error *error)
{
    size_t digits = strlen(text);
    char *bytes = arena_alloc(arena, digits / 2 + 1);

    if (!bytes)
        return error_sys(error, ENOMEM, "--request");
    for (size_t i = 0; i < digits; i++)
        if (!isxdigit((unsigned char)text[i]) || digits % 2)
            return error_set(error, EINVAL,
                             "--request hex: wants an even number of hexadecimal digits, got '%s'",
                             text);
    if (!digits)
        return error_set(error, EINVAL, "--request hex: is empty: there is nothing to send");
    for (size_t i = 0; i < digits; i += 2) {
        const char pair[3] = {text[i], text[i + 1], '\0'};
        bytes[i / 2] = (char)strtoul(pair, NULL, 16);
    }
    *out = bytes;
    *out_bytes = digits / 2;
    return 0;
}

static int parse_peer(const struct sut_options *options, struct arena *arena,
                      struct stub_peer_plan *out, struct error *error)
{
    const char *serve = options->serve ? options->serve : "http";
    const char *request = options->request ? options->request : "http";

    *out = (struct stub_peer_plan){.point = options->after, .ask = PRESET_HTTP};
    if (!strncmp(serve, "raw:", 4)) {
        return read_bytes("--serve", serve + 4, arena, &out->raw, &out->raw_bytes, error);
    }
    if (parse_protocol(serve, &out->serve))
        return error_set(error, EINVAL, "--serve takes http, redis, echo or raw:FILE, not '%s'",
                         serve);
    if (*request == '@') {
        return read_bytes("--request", request + 1, arena, &out->request, &out->request_bytes,
                          error);
    }
    if (!strncmp(request, "hex:", 4))
        return parse_hex(request + 4, arena, &out->request, &out->request_bytes, error);
    return parse_protocol(request, &out->ask)
               ? error_set(error, EINVAL,
                           "--request takes http, redis, echo, hex:BYTES or @FILE, not '%s'",
                           request)
               : 0;
}

/* ---- Running ---- */

static void list_parameters(struct arena *arena, struct result_map *map, const void *own)
{
    const struct sut_request *request = own;
    bool client = request->host == LAB_CLIENT;

    result_set_text(arena, map, client ? "client" : "server", request->command);
    result_set_integer(arena, map, "port", request->port);
    if (request->connections) {
        result_set_integer(arena, map, "connections", request->connections);
        result_set_integer(arena, map, "per_second",
                           request->per_second ? request->per_second : RESULT_UNKNOWN);
    } else {
        result_set_integer(arena, map, "clients", client ? RESULT_UNKNOWN : request->clients);
        result_set_integer(arena, map, "max_detect_ns",
                           request->max_detect_ns ? request->max_detect_ns : RESULT_UNKNOWN);
    }
    result_set_integer(arena, map, "patience_ns", request->patience_ns);
}

static struct sut_request request_of(const struct sut_options *options,
                                     const struct common_options *common)
{
    bool client = options->client != NULL;

    return (struct sut_request){
        .host = client ? LAB_CLIENT : LAB_SERVER,
        .command = client ? options->client : options->server,
        .port = (uint16_t)(options->port ? options->port : 8000),
        .asks = options->request != NULL,
        .clients = options->clients ? options->clients : 1,
        .connections = options->connections,
        .per_second = options->per_second,
        .max_detect_ns = options->max_detect_ns,
        .patience_ns = common->timeout_set ? common->timeout_ns
                       : client            ? PATIENCE_NS
                                           : SERVER_PATIENCE_NS,
        .show_output = common->verbose,
    };
}

int sut_options_run(struct cli_invocation *invocation, const struct sut_sets *sets,
                    const struct scenario_options *run, const struct sut_options *options)
{
    struct sut_request request = request_of(options, &run->common);
    struct scenario_options changed = *run;
    struct scenario_extra extra = {
        .own = &request, .parameters = list_parameters, .as_root = options->as_root};
    struct error error = {0};

    if (run->common.no_lab)
        error_set(&error, EINVAL, "--no-lab: your program runs only in the lab");
    else if (!*request.command)
        error_set(&error, EINVAL, "the command is empty");
    else if (options->suite && invocation->arg_count)
        error_set(&error, EINVAL, "--suite runs every scenario: leave out '%.60s'",
                  invocation->args[0]);
    else
        parse_peer(options, &invocation->arena, &request.peer, &error);
    if (error.code) {
        output_complain(invocation->command->name, "%s", error.text);
        return error.code == EINVAL ? STATUS_USAGE : STATUS_MACHINE;
    }
    /* The times are to be those of production, and --timeout bounds each scenario. */
    changed.common.real_time = true;
    changed.common.timeout_set = false;
    changed.common.all |= options->suite;
    if (!changed.common.family)
        changed.common.family = 4;
    return scenarios_run(invocation, sets->of_host[request.host], &changed, &extra);
}
