#include "targets.h"

#include "base/input.h"
#include "base/text.h"
#include "probe/resolve.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024
#define FILE_MAX       (64 << 20) /* some million targets */

/* One --resolve: what the resolver would be asked, and the answer. */
struct pinned {
    struct sock_target where;
    struct sock_address address;
};

struct collecting {
    struct target_list *out;
    struct arena *arena;
    const struct target_sources *sources;
    struct pinned *pinned;
    size_t pinned_count;
    /* Those of the list, until all are there: the arena keeps what an array has outgrown. */
    struct probe_target *items;
    size_t count, alloc;
};

/* HOST:PORT:ADDRESS, where ADDRESS may be an IPv6 literal in brackets or without. */
static int parse_pinned(const char *text, struct pinned *out, struct error *error)
{
    char place[SOCK_HOST_MAX + 8], address[SOCK_HOST_MAX];
    const char *after_host = *text == '[' ? strchr(text, ']') : text;
    const char *first = after_host ? strchr(after_host, ':') : NULL;
    const char *second = first ? strchr(first + 1, ':') : NULL;

    if (!second || (size_t)(second - text) >= sizeof place || strlen(second + 1) >= sizeof address)
        return error_set(error, EINVAL, "--resolve wants HOST:PORT:ADDRESS, got '%s'", text);
    snprintf(place, sizeof place, "%.*s", (int)(second - text), text);
    snprintf(address, sizeof address, "%s", second + 1);
    size_t length = strlen(address);
    char *bare = address;
    if (length > 1 && *bare == '[' && bare[length - 1] == ']') {
        bare[length - 1] = '\0';
        bare++;
    }
    if (sock_target_parse(&out->where, place, NULL, 0, error))
        return error_add(error, "--resolve %s", text);
    if (sock_address_literal(&out->address, bare, out->where.port))
        return error_set(error, EINVAL, "--resolve %s: '%s' is no IPv4 or IPv6 address", text,
                         bare);
    return 0;
}

static int parse_all_pinned(struct collecting *collecting, struct error *error)
{
    const struct cli_list *list = &collecting->sources->resolve;

    collecting->pinned = arena_alloc(collecting->arena, list->count * sizeof *collecting->pinned);
    for (size_t i = 0; i < list->count && collecting->pinned; i++) {
        int rc = parse_pinned(list->words[i], &collecting->pinned[i], error);
        if (rc)
            return rc;
        collecting->pinned_count++;
    }
    return 0;
}

static const struct sock_address *pinned_address(const struct collecting *collecting,
                                                 const struct sock_target *where)
{
    for (size_t i = 0; i < collecting->pinned_count; i++)
        if (collecting->pinned[i].where.port == where->port &&
            !strcasecmp(collecting->pinned[i].where.host, where->host))
            return &collecting->pinned[i].address;
    return NULL;
}

static void append_target(struct collecting *collecting, const struct probe_target *target)
{
    struct probe_target *items = collecting->items;

    if (collecting->count == collecting->alloc) {
        size_t alloc = collecting->alloc ? 2 * collecting->alloc : 16;
        items = realloc(items, alloc * sizeof *items);
        if (!items) {
            collecting->arena->failed = true;
            return;
        }
        collecting->items = items;
        collecting->alloc = alloc;
    }
    items[collecting->count++] = *target;
}

static void misname_by(struct collecting *collecting, const char *name,
                       const struct result_error *error)
{
    struct target_list *out = collecting->out;
    struct target_misnamed *items =
        arena_grow(collecting->arena, out->misnamed, out->misnamed_count, sizeof *items);

    if (!items)
        return;
    out->misnamed = items;
    items[out->misnamed_count++] =
        (struct target_misnamed){arena_copy(collecting->arena, name), *error};
}

static void misname(struct collecting *collecting, const char *name, const char *message)
{
    misname_by(collecting, name,
               &(struct result_error){.code = FINDING_NAME_NOT_FOUND,
                                      .message = arena_copy(collecting->arena, message)});
}

/* One target for each address of the name. Of a run that ends it stays one that was not probed. */
static void append_addresses(struct collecting *collecting, const struct probe_target *target)
{
    struct sock_address_list list;
    struct result_error failure;
    const struct target_sources *sources = collecting->sources;
    int rc = resolve_now(collecting->arena, &target->where, sources->family, &sources->limit, &list,
                         &failure);

    if (rc == -EINTR)
        append_target(collecting, target);
    else if (rc)
        misname_by(collecting, target->name, &failure);
    for (size_t i = 0; i < list.count; i++) {
        char text[SOCK_ADDRESS_TEXT_MAX];
        struct probe_target one = *target;
        struct sock_address *address = arena_alloc(collecting->arena, sizeof *address);
        if (!address)
            break;
        *address = list.items[i];
        one.fixed = address;
        one.name = arena_printf(collecting->arena, "%s (%s)", target->name,
                                sock_address_format(text, sizeof text, address));
        append_target(collecting, &one);
    }
    sock_address_list_free(&list);
}

/* unix:PATH. What would be its name, as in HTTP's Host header, is this host's. */
static int parse_local(struct collecting *collecting, struct probe_target *out, const char *path,
                       struct error *error)
{
    struct sock_address *address = arena_alloc(collecting->arena, sizeof *address);
    int rc = address ? sock_address_unix(address, path) : -ENOMEM;

    if (rc)
        return error_set(error, EINVAL, "unix:%s: %s", path,
                         rc == -EINVAL ? "the path is missing" : "the path is too long");
    out->fixed = address;
    return 0;
}

static int parse_target(struct collecting *collecting, struct probe_target *out, const char *text,
                        const char *port, struct error *error)
{
    struct url url;

    if (collecting->sources->urls && !port && !strncmp(text, "unix:", 5))
        return parse_local(collecting, out, text + 5, error);
    if (!collecting->sources->urls || !url_is(text))
        return sock_target_parse(&out->where, text, port, 0, error);
    if (port)
        return error_set(error, EINVAL, "a URL has its port in it: nothing can follow it");
    int rc = url_parse(&url, text, collecting->arena, error);
    if (rc)
        return rc;
    out->where = url.where;
    out->scheme = url.scheme;
    out->path = url.path;
    return 0;
}

static int add_target(struct collecting *collecting, const char *text, const char *port,
                      struct error *error)
{
    struct probe_target target = {0};
    int rc = parse_target(collecting, &target, text, port, error);

    collecting->out->asked++;
    if (rc)
        return rc;
    target.name = port ? arena_printf(collecting->arena, "%s:%s", text, port)
                       : arena_copy(collecting->arena, text);
    if (!target.fixed)
        target.fixed = pinned_address(collecting, &target.where);
    append_target(collecting, &target);
    return 0;
}

static void add_or_misname(struct collecting *collecting, const char *text, const char *port)
{
    struct error error = {0};

    if (add_target(collecting, text, port, &error))
        misname(collecting, text, error.text);
}

/* What follows # is a comment; inside a URL it has to stand behind a blank. */
static void cut_comment(char *line)
{
    bool url = false;

    for (char *p = line; *p; p++) {
        url = *p != ' ' && *p != '\t' && (url || !strncmp(p, "://", 3));
        if (*p == '\r' || *p == '\n' || (*p == '#' && !url)) {
            *p = '\0';
            return;
        }
    }
}

/* "host:port", "host port" or a URL, with blanks around. */
static void add_line(struct collecting *collecting, char *line)
{
    cut_comment(line);
    char *rest = NULL;
    const char *first = strtok_r(line, " \t", &rest), *second = strtok_r(NULL, " \t", &rest);

    if (!first)
        return;
    if (strtok_r(NULL, " \t", &rest)) {
        collecting->out->asked++;
        misname(collecting, first, "a line must be host:port, or host and port");
    } else {
        add_or_misname(collecting, first, second);
    }
}

static void add_long_line(struct collecting *collecting, char *line)
{
    line[40] = '\0';
    collecting->out->asked++;
    misname(collecting, line, "the line is longer than a target can be");
}

static int read_file(struct collecting *collecting, const char *path, struct error *error)
{
    cleanup(buf) struct buf text = {0};
    int rc = input_read_text(&text, "--targets", path, FILE_MAX, error);

    for (char *line = text.data, *end; !rc && *line; line = end) {
        end = strchrnul(line, '\n');
        size_t length = (size_t)(end - line);
        if (*end)
            *end++ = '\0';
        if (length > LINE_MAX_BYTES)
            add_long_line(collecting, line);
        else
            add_line(collecting, line);
    }
    return rc;
}

/* Two words are a host and its port when the second can be nothing else. */
static bool host_and_port(const char *const *args, size_t count)
{
    struct sock_target whole;
    return count == 2 && !strchr(args[1], ':') && !url_is(args[0]) &&
           sock_target_parse(&whole, args[0], NULL, 0, NULL);
}

static void keep_items(struct collecting *collecting)
{
    size_t size = collecting->count * sizeof *collecting->items;

    collecting->out->items = arena_alloc(collecting->arena, size);
    if (collecting->out->items && size) {
        memcpy(collecting->out->items, collecting->items, size);
        collecting->out->count = collecting->count;
    }
}

static int collect_targets(struct collecting *collecting, struct error *error)
{
    const struct target_sources *sources = collecting->sources;
    const char *const *args = sources->args;
    size_t count = sources->arg_count;
    int rc = parse_all_pinned(collecting, error);

    if (!rc && !count && !sources->file)
        rc = error_set(
            error, EINVAL,
            "no target: give host:port, [v6]:port, :port, host and port%s, or --targets FILE",
            sources->urls ? ", a URL" : "");
    if (!rc && sources->two_words && host_and_port(args, count) && !sources->file)
        return add_target(collecting, args[0], args[1], error);
    if (!rc && count == 1 && !sources->file)
        return add_target(collecting, args[0], NULL, error);
    for (size_t i = 0; i < count && !rc; i++)
        add_or_misname(collecting, args[i], NULL);
    if (!rc && sources->file)
        rc = read_file(collecting, sources->file, error);
    if (!rc && !collecting->out->asked)
        rc = error_set(error, EINVAL, "--targets %s names no target", sources->file);
    return rc;
}

int target_list_collect(struct target_list *out, struct arena *arena,
                        const struct target_sources *sources, struct error *error)
{
    struct collecting collecting = {.out = out, .arena = arena, .sources = sources};

    *out = (struct target_list){0};
    int rc = collect_targets(&collecting, error);
    keep_items(&collecting);
    free(collecting.items);
    return rc;
}

void target_list_look_up(struct target_list *list, struct arena *arena,
                         const struct target_sources *sources)
{
    struct collecting collecting = {.out = list, .arena = arena, .sources = sources};
    const struct probe_target *items = list->items;
    size_t count = list->count;

    list->items = NULL;
    list->count = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].fixed)
            append_target(&collecting, &items[i]);
        else
            append_addresses(&collecting, &items[i]);
    keep_items(&collecting);
    free(collecting.items);
}
