/* Which bind or listen fails on a port that is in use: every combination, tried.
 *
 * The expectation is a model of what Linux documents and does (socket(7), and inet_bind_conflict()
 * and inet_rcv_saddr_equal() in net/ipv4/inet_connection_sock.c); the book's rules are those of
 * 4.4BSD. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include "base/wait.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <unistd.h>

#define FIRST_PORT 20000
#define LIMIT_NS   (10 * NS_PER_SEC)

/* What is left of the first socket when the second comes. */
enum left {
    LEFT_LISTENER,
    LEFT_BOUND,      /* bound only; it listens after the second has bound */
    LEFT_CONNECTION, /* its listener is closed */
    LEFT_TIME_WAIT,
    LEFTS
};
static const char *const left_names[LEFTS] = {
    [LEFT_LISTENER] = "listener",
    [LEFT_BOUND] = "bound",
    [LEFT_CONNECTION] = "connection",
    [LEFT_TIME_WAIT] = "TIME-WAIT",
};

enum place {
    PLACE_OWN,    /* the host's address */
    PLACE_LOOP,   /* another one of its addresses */
    PLACE_ANY,    /* the wildcard */
    PLACE_OTHER,  /* the other family's wildcard */
    PLACE_SINGLE, /* the same; of the two the IPv6 socket is IPv6 only */
};
static const char *const place_names[] = {
    [PLACE_OWN] = "address",        [PLACE_LOOP] = "loopback", [PLACE_ANY] = "wildcard",
    [PLACE_OTHER] = "other family", [PLACE_SINGLE] = "V6ONLY",
};

/* Where the two bind, and whether the first has the same options or none. */
static const struct pair {
    enum place first, second;
    bool alike;
} pairs[] = {
    {PLACE_OWN, PLACE_OWN, true},   {PLACE_OWN, PLACE_OWN, false},   {PLACE_OWN, PLACE_ANY, true},
    {PLACE_OWN, PLACE_ANY, false},  {PLACE_ANY, PLACE_OWN, true},    {PLACE_ANY, PLACE_OWN, false},
    {PLACE_ANY, PLACE_ANY, true},   {PLACE_ANY, PLACE_ANY, false},   {PLACE_OWN, PLACE_LOOP, true},
    {PLACE_ANY, PLACE_OTHER, true}, {PLACE_ANY, PLACE_SINGLE, true},
};
#define PAIRS (sizeof pairs / sizeof pairs[0])

enum {
    WITH_REUSEADDR = 1,
    WITH_REUSEPORT = 2,
    WITHS = 4,
};
static const char *const with_names[WITHS] = {"none", "reuseaddr", "reuseport", "both"};

enum outcome {
    OUTCOME_OK,
    OUTCOME_BIND,   /* EADDRINUSE of the second's bind */
    OUTCOME_LISTEN, /* of its listen */
    OUTCOME_FAILED, /* something else */
};
static const char *const outcome_names[] = {
    [OUTCOME_OK] = "ok",
    [OUTCOME_BIND] = "bind",
    [OUTCOME_LISTEN] = "listen",
    [OUTCOME_FAILED] = "?",
};

/* ---- In the server */

struct cell {
    enum left left;
    const struct pair *pair;
    int with;
    uint16_t port;
};

static int other_family(int family)
{
    return family == AF_INET ? AF_INET6 : AF_INET;
}

static int family_of(const struct agent_self *self, enum place place)
{
    bool other = place == PLACE_OTHER || place == PLACE_SINGLE;
    return other ? other_family(self->start.family) : self->start.family;
}

static int address_of(const struct agent_self *self, enum place place, uint16_t port,
                      struct sock_address *out)
{
    switch (place) {
    case PLACE_OWN:
        return agent_self_address(self, ACT_TO_SELF, port, out);
    case PLACE_LOOP:
        return agent_self_address(self, ACT_TO_LOOP, port, out);
    case PLACE_ANY:
    case PLACE_OTHER:
    case PLACE_SINGLE:
        break;
    }
    return sock_address_literal(out, family_of(self, place) == AF_INET ? "0.0.0.0" : "::", port);
}

static int set_flag(int fd, int level, int name, bool on)
{
    int value = on;
    return on && setsockopt(fd, level, name, &value, sizeof value) ? -errno : 0;
}

/* A bound socket, or a negative errno. */
static int bound_socket(struct agent_self *self, const struct cell *cell, enum place place,
                        int with)
{
    bool only = cell->pair->second == PLACE_SINGLE;
    int family = family_of(self, place);
    struct sock_address address;
    cleanup(fd) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || address_of(self, place, cell->port, &address) || agent_self_prepare(self, fd) ||
        set_flag(fd, SOL_SOCKET, SO_REUSEADDR, with & WITH_REUSEADDR) ||
        set_flag(fd, SOL_SOCKET, SO_REUSEPORT, with & WITH_REUSEPORT) ||
        set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, only && family == AF_INET6))
        return -EIO;
    if (bind(fd, &address.any, address.len_bytes))
        return -errno;
    return take_fd(&fd);
}

static int in_time_wait(void *context, const struct sock_diag_entry *entry)
{
    *(bool *)context |= entry->state == TCP_TIME_WAIT;
    return 0;
}

/* Waits until a socket of the port is in TIME-WAIT. */
static int wait_time_wait(int family, uint16_t port)
{
    struct sock_diag_filter filter = {.family = family, .local_port = port};
    bool found = false;
    int rc = 0;

    wait_until((rc = agent_self_sockets(&filter, in_time_wait, &found)) || found,
               clock_mono_ns() + LIMIT_NS);
    return rc || found ? rc : -ETIME;
}

/* What is left: descriptors that must stay open until the second has been tried. */
struct remains {
    int first, client;
};

/* The listener becomes a connection of its own host's, or what that leaves. */
static int leave_connection(struct agent_self *self, const struct cell *cell,
                            struct remains *remains)
{
    struct sock_address address;
    int rc = agent_self_address(self, ACT_TO_SELF, cell->port, &address);
    cleanup(fd) int listener = remains->first;
    cleanup(fd) int client = socket(self->start.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    remains->first = -1;
    if (rc || listen(listener, 8) || client < 0 || connect(client, &address.any, address.len_bytes))
        return -EIO;
    cleanup(fd) int child = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (child < 0)
        return -errno;
    if (cell->left == LEFT_CONNECTION) {
        remains->first = take_fd(&child);
        remains->client = take_fd(&client);
        return 0;
    }
    close(take_fd(&child)); /* the first to close keeps TIME-WAIT */
    close(take_fd(&client));
    close(take_fd(&listener));
    return wait_time_wait(self->start.family, cell->port);
}

static enum outcome try_second(struct agent_self *self, const struct cell *cell,
                               const struct remains *remains)
{
    cleanup(fd) int second = bound_socket(self, cell, cell->pair->second, cell->with);

    if (second < 0)
        return second == -EADDRINUSE ? OUTCOME_BIND : OUTCOME_FAILED;
    if (cell->left == LEFT_BOUND && listen(remains->first, 8))
        return OUTCOME_FAILED;
    if (listen(second, 8))
        return errno == EADDRINUSE ? OUTCOME_LISTEN : OUTCOME_FAILED;
    return OUTCOME_OK;
}

static enum outcome try_cell(struct agent_self *self, const struct cell *cell)
{
    struct remains remains = {-1, -1};
    enum outcome outcome = OUTCOME_FAILED;

    remains.first = bound_socket(self, cell, cell->pair->first, cell->pair->alike ? cell->with : 0);
    if (remains.first < 0)
        return OUTCOME_FAILED;
    int rc = cell->left == LEFT_LISTENER && listen(remains.first, 8) ? -errno : 0;
    if (!rc && (cell->left == LEFT_CONNECTION || cell->left == LEFT_TIME_WAIT))
        rc = leave_connection(self, cell, &remains);
    if (!rc)
        outcome = try_second(self, cell, &remains);
    if (remains.client >= 0)
        close(remains.client);
    if (remains.first >= 0)
        close(remains.first);
    return outcome;
}

/* number: what is left → reply.data: an outcome for each pair and each combination of options. */
static AGENT_CALL(do_try)
{
    struct cell cell = {.left = (enum left)act->number};

    for (size_t i = 0; i < PAIRS; i++)
        for (cell.with = 0; cell.with < WITHS; cell.with++) {
            size_t at = i * WITHS + (size_t)cell.with;
            cell.pair = &pairs[i];
            cell.port = (uint16_t)(FIRST_PORT + cell.left * 100 + at);
            reply->data[at] = (unsigned char)try_cell(self, &cell);
        }
    return 0;
}

/* ---- What it should be */

/* Whether the addresses are in each other's way. A connection has the host's address, whatever its
 * listener was bound to; the wildcards of both families meet because an IPv6 listener takes IPv4
 * connections, too, unless it is IPv6 only. */
static bool overlap(const struct pair *pair)
{
    switch (pair->second) {
    case PLACE_OWN:
    case PLACE_ANY:
    case PLACE_OTHER:
        return true;
    case PLACE_LOOP:
    case PLACE_SINGLE:
        return false;
    }
    return true;
}

static enum outcome expected(enum left left, const struct pair *pair, int with)
{
    bool both_address = pair->alike && with & WITH_REUSEADDR;
    bool both_port = pair->alike && with & WITH_REUSEPORT;

    if (!overlap(pair) || both_port)
        return OUTCOME_OK;
    if (!both_address || left == LEFT_LISTENER)
        return OUTCOME_BIND;
    return left == LEFT_BOUND ? OUTCOME_LISTEN : OUTCOME_OK;
}

/* 4.4BSD (in_pcbbind): either option of the new socket lets it ignore connections and other
 * addresses, the wildcard included; a complete duplicate needs SO_REUSEPORT on both. The book says
 * nothing about the two families. */
static enum outcome of_the_book(enum left left, const struct pair *pair, int with)
{
    bool gone = left == LEFT_CONNECTION || left == LEFT_TIME_WAIT;
    bool duplicate = pair->first == pair->second && !gone;

    if (pair->first == PLACE_OWN && pair->second == PLACE_LOOP)
        return OUTCOME_OK;
    if (pair->alike && with & WITH_REUSEPORT)
        return OUTCOME_OK;
    return with && !duplicate ? OUTCOME_OK : OUTCOME_BIND;
}

/* ---- The scenario */

static bool in_the_book(const struct pair *pair)
{
    return pair->second != PLACE_OTHER && pair->second != PLACE_SINGLE;
}

static bool unlike_the_book(enum left left, const struct pair *pair, int with, enum outcome outcome)
{
    return in_the_book(pair) &&
           (outcome == OUTCOME_OK) != (of_the_book(left, pair, with) == OUTCOME_OK);
}

static void list_pair(struct testbed *bed, enum left left, const struct pair *pair,
                      const unsigned char *outcomes)
{
    struct result_map *row =
        testbed_row(bed, TEXT("left", left_names[left]), TEXT("first", place_names[pair->first]),
                    TEXT("second", place_names[pair->second]),
                    TEXT("options", pair->alike ? "both" : "second"));
    for (int with = 0; with < WITHS; with++) {
        enum outcome outcome = (enum outcome)outcomes[with];
        const char *star = unlike_the_book(left, pair, with, outcome) ? "*" : "";
        result_set_text(bed->arena, row, with_names[with],
                        arena_printf(bed->arena, "%s%s", outcome_names[outcome], star));
    }
}

/* Tries every pair with what is left; returns how many outcomes are not the book's. */
static int64_t play_left(struct testbed *bed, enum left left)
{
    struct act_reply reply =
        DO(testbed_server(bed), ACT_CALL, .function = do_try, .number = (int)left);
    const char *seen = "", *wanted = "";
    int64_t unlike = 0;

    for (size_t i = 0; i < PAIRS; i++) {
        const unsigned char *outcomes = &reply.data[i * WITHS];
        list_pair(bed, left, &pairs[i], outcomes);
        for (int with = 0; with < WITHS; with++) {
            enum outcome want = expected(left, &pairs[i], with);
            const char *blank = !with && i ? " " : "";
            seen = arena_printf(bed->arena, "%s%s%c", seen, blank, *outcome_names[outcomes[with]]);
            wanted = arena_printf(bed->arena, "%s%s%c", wanted, blank, *outcome_names[want]);
            unlike += unlike_the_book(left, &pairs[i], with, (enum outcome)outcomes[with]);
        }
    }
    testbed_check_text(bed, left == LEFT_TIME_WAIT ? "time_wait" : left_names[left], wanted, seen);
    return unlike;
}

static void play_bind(struct testbed *bed)
{
    int64_t unlike = 0;

    testbed_table(bed, "bind",
                  "Which call of the second socket fails with EADDRINUSE, by what is left of the "
                  "first and by which of the two has the options (*: the book says otherwise)");
    for (enum left left = 0; left < LEFTS && !testbed_failed(bed); left++)
        unlike += play_left(bed, left);
    testbed_observe(bed, INTEGER("unlike_the_book", unlike));
}

const struct scenario backlog_bind = {
    .name = "bind",
    .title = "a port that is in use: which bind or listen fails, for every combination",
    .book = "SO_REUSEADDR, set by a server before it binds, lets it start again although "
            "connections of its predecessor are left, and lets several sockets share a port with "
            "different addresses, the wildcard included; for TCP it never allows complete "
            "duplicates. SO_REUSEPORT does, if each of the sockets has it (section 7.5).",
    .here = "Both sockets count. SO_REUSEADDR helps only if the first had it as well: a "
            "connection, even in TIME-WAIT, keeps the option of the listener that it came from, so "
            "setting it at the restart is too late. And it never helps beside a listener, whatever "
            "the addresses: the wildcard and an address cannot both listen (bind fails, or listen "
            "if both were only bound). SO_REUSEPORT allows complete duplicates, of processes of "
            "the same user. The IPv6 wildcard conflicts with IPv4's unless it is IPV6_V6ONLY. In "
            "the rows of letters: o works, b bind fails, l listen fails.",
    .differs = "Linux requires SO_REUSEADDR on both sockets, and never lets two listeners overlap.",
    .settings = backlog_settings,
    .play = play_bind,
};
