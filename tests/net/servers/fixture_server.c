/* A TCP server with one bad (or good) habit, for tests and demonstrations.
 *
 *     fixture_server [OPTION…] HABIT [PARAMETER…] [nodelay]
 *
 * It listens on loopback, prints "PORT n" when it does, and serves every connection in a thread of
 * its own until SIGTERM or SIGINT, which wakes each thread (a readable eventfd for those that wait,
 * a shutdown of the socket for those in a call) and waits for them. */
#include "habits.h"
#include "tls.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#define LISTENERS_MAX     2
#define THREAD_STACK      (256 * 1024)
#define PORT_TRIES        50
#define STOP_PATIENCE_SEC 5

struct options {
    struct settings settings;
    bool ipv4, ipv6;
    int64_t port;
    int64_t backlog;
    int64_t rcvbuf_bytes; /* 0: the kernel's choice */
    int64_t sndbuf_bytes;
    bool die_with_parent;
    struct tls_options tls;
};

static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t live_changed = PTHREAD_COND_INITIALIZER;
static struct conn *live;

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
    va_list args;

    fputs("fixture_server: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nTry fixture_server --help.\n", stderr);
    return -EINVAL;
}

static void print_help(void)
{
    puts("fixture_server [OPTION...] HABIT [PARAMETER...] [nodelay]\n"
         "  --family 4|6|any      where to listen on loopback (any)\n"
         "  --port N              instead of a free one, which is printed as PORT N\n"
         "  --backlog N           of the listener (1024)\n"
         "  --rcvbuf SIZE, --sndbuf SIZE\n"
         "  --http                requests and answers are HTTP\n"
         "  --request-bytes SIZE  a request has that many bytes; otherwise it is a line\n"
         "  --response-bytes SIZE of the whole answer (300)\n"
         "  --header-bytes SIZE   of its first part (100)\n"
         "  --tls FILE            over TLS, with the certificate and key in FILE (PEM)\n"
         "  --tls-version 1.2|1.3 only that one\n"
         "  --tls-ask             demand a certificate of the client\n"
         "  --tls-bare-close      end without close_notify\n"
         "  --die-with-parent     end when the starting process does\n"
         "  --list                the habits");
}

static void print_habits(void)
{
    const struct habit *habit;

    for (size_t i = 0; (habit = habit_at(i)); i++)
        printf("%-22s %-22s %s\n", habit->name, habit->usage, habit->summary);
}

static void live_add(struct conn *conn)
{
    pthread_mutex_lock(&live_lock);
    conn->next = live;
    conn->link = &live;
    if (live)
        live->link = &conn->next;
    live = conn;
    pthread_mutex_unlock(&live_lock);
}

/* Leaves the list before the descriptor is closed: nobody may shut down its next owner. */
static void live_remove(struct conn *conn)
{
    pthread_mutex_lock(&live_lock);
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    close(conn->fd);
    pthread_cond_signal(&live_changed);
    pthread_mutex_unlock(&live_lock);
    free(conn);
}

static int live_stop(void)
{
    struct timespec end;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += STOP_PATIENCE_SEC;
    pthread_mutex_lock(&live_lock);
    for (struct conn *conn = live; conn; conn = conn->next)
        shutdown(conn->fd, SHUT_RDWR);
    while (live && rc == 0)
        rc = pthread_cond_timedwait(&live_changed, &live_lock, &end);
    pthread_mutex_unlock(&live_lock);
    return -rc;
}

static void play(struct conn *conn)
{
    const struct habit *habit = conn->settings->habit;

    if (conn->settings->tls && !tls_accept(conn, conn->settings->tls))
        return;
    if (!habit->greet || habit->greet(conn))
        while (conn_read_request(conn) && habit->answer(conn))
            continue;
    tls_end(conn, !conn->aborted && !conn->settings->bare_close);
}

static void *serve(void *argument)
{
    struct conn *conn = argument;

    if (conn->settings->params.nodelay)
        conn_set(conn, TCP_NODELAY, 1);
    play(conn);
    /* Before the list says that this thread is through: main may end the program from then on, and
     * LeakSanitizer would take for lost what OpenSSL frees only while a thread ends. */
    tls_leave_thread();
    live_remove(conn);
    return NULL;
}

static void start_serving(int fd, const struct settings *settings)
{
    cleanup(fd) int owned = fd;
    cleanup(mem) struct conn *conn = calloc(1, sizeof *conn);
    pthread_attr_t attributes;
    pthread_t thread;

    if (!conn)
        return;
    conn->settings = settings;
    conn->fd = fd;
    conn->pause_after_bytes = -1;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    live_add(conn);
    struct conn *given = take_ptr(conn);
    take_fd(&owned);
    if (pthread_create(&thread, &attributes, serve, given) != 0)
        live_remove(given);
    pthread_attr_destroy(&attributes);
}

static int accept_loop(const int *listeners, int listener_count, int signal_fd, int stop_fd,
                       const struct settings *settings)
{
    struct pollfd fds[LISTENERS_MAX + 1] = {{.fd = signal_fd, .events = POLLIN}};
    static const uint64_t one = 1;

    for (int i = 0; i < listener_count; i++)
        fds[i + 1] =
            (struct pollfd){.fd = settings->habit->no_accept ? -1 : listeners[i], .events = POLLIN};
    for (;;) {
        if (poll(fds, (nfds_t)listener_count + 1, -1) < 0 && errno != EINTR)
            return -errno;
        if (fds[0].revents)
            break;
        for (int i = 1; i <= listener_count; i++) {
            if (!fds[i].revents)
                continue;
            int fd = accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                start_serving(fd, settings);
            else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                poll(fds, 1, 10); /* until connections end, unless a signal comes first */
        }
    }
    if (write(stop_fd, &one, sizeof one) != sizeof one)
        return -EIO;
    return live_stop();
}

static int listen_on(int family, uint16_t port, const struct options *options)
{
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = family == AF_INET ? (void *)&v4 : (void *)&v6;
    socklen_t address_len = family == AF_INET ? sizeof v4 : sizeof v6;
    cleanup(fd) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1, rcvbuf = (int)options->rcvbuf_bytes, sndbuf = (int)options->sndbuf_bytes;

    if (fd < 0)
        return -errno;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (options->port > 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* Inherited by the accepted sockets, and in time for the window of the handshake. */
    if (rcvbuf > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    if (sndbuf > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
    if (bind(fd, address, address_len) < 0 || listen(fd, (int)options->backlog) < 0)
        return -errno;
    return take_fd(&fd);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
}

/* Both families on one port: a port that is free in one may be taken in the other, so try again.
 * Returns how many listeners there are. */
static int open_listeners(int listeners[LISTENERS_MAX], const struct options *options,
                          uint16_t *port)
{
    int rc = -EADDRINUSE;

    for (int i = 0; i < PORT_TRIES && rc == -EADDRINUSE; i++) {
        rc = listen_on(options->ipv4 ? AF_INET : AF_INET6, (uint16_t)options->port, options);
        if (rc < 0)
            return rc;
        listeners[0] = rc;
        *port = port_of(listeners[0]);
        if (!options->ipv4 || !options->ipv6)
            return 1;
        rc = listen_on(AF_INET6, *port, options);
        listeners[1] = rc;
        if (rc >= 0)
            return 2;
        close(listeners[0]);
    }
    return rc;
}

static int parse_duration(const char *text, int64_t *out_ns)
{
    if (strcmp(text, "ever") != 0)
        return units_parse_duration(text, out_ns);
    *out_ns = FOREVER;
    return 0;
}

static int parse_parameter(char kind, const char *text, struct params *params)
{
    int rc = -EINVAL;

    switch (kind) {
    case 'd':
        return parse_duration(text, &params->duration_ns);
    case 's':
        return units_parse_size(text, &params->size_bytes);
    case 'c':
        rc = units_parse_size(text, &params->chunk_bytes);
        return rc == 0 && params->chunk_bytes < 1 ? -ERANGE : rc;
    case 'n':
        rc = units_parse_integer(text, &params->count);
        return rc == 0 && params->count < 1 ? -ERANGE : rc;
    }
    return rc;
}

static int parse_habit(struct settings *settings, int count, char *const *words)
{
    if (count < 1)
        return usage_error("which habit? See --list");
    settings->habit = habit_find(words[0]);
    if (!settings->habit)
        return usage_error("there is no habit '%s', see --list", words[0]);
    settings->params = settings->habit->defaults;
    const char *kind = settings->habit->takes;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "nodelay") == 0)
            settings->params.nodelay = true;
        else if (*kind == '\0' || parse_parameter(*kind++, words[i], &settings->params) < 0)
            return usage_error("%s %s: cannot use '%s'", words[0], settings->habit->usage,
                               words[i]);
    }
    if (settings->habit->sizes_answer)
        settings->response_bytes = settings->params.size_bytes;
    return 0;
}

static int parse_family(struct options *options, const char *text)
{
    options->ipv4 = strcmp(text, "6") != 0;
    options->ipv6 = strcmp(text, "4") != 0;
    if (options->ipv4 && options->ipv6 && strcmp(text, "any") != 0)
        return usage_error("--family '%s': 4, 6 or any", text);
    return 0;
}

static int parse_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *out)
{
    int64_t value;

    if (units_parse_size(text, &value) < 0 || value < min || value > max)
        return usage_error("--%s '%s': a number from %lld to %lld", name, text, (long long)min,
                           (long long)max);
    *out = value;
    return 0;
}

/* 0 to run, 1 when --help or --list was all, negative after a message. */
static int parse_options(struct options *options, int argc, char **argv)
{
    struct settings *settings = &options->settings;
    const struct {
        const char *name;
        int64_t min, max;
        int64_t *out;
    } numbers[] = {
        {"port", 1, 65535, &options->port},
        {"backlog", 0, INT32_MAX, &options->backlog},
        {"rcvbuf", 1, INT32_MAX / 2, &options->rcvbuf_bytes},
        {"sndbuf", 1, INT32_MAX / 2, &options->sndbuf_bytes},
        {"request-bytes", 1, INT64_MAX, &settings->request_bytes},
        {"response-bytes", 1, 256 << 20, &settings->response_bytes},
        {"header-bytes", 0, 256 << 20, &settings->header_bytes},
    };
    enum {
        FAMILY = ARRAY_SIZE(numbers),
        HTTP,
        TLS,
        TLS_VERSION,
        TLS_ASK,
        TLS_BARE,
        DIE,
        LIST,
        HELP
    };
    struct option longs[HELP + 2] = {[FAMILY] = {"family", 1, NULL, FAMILY},
                                     [HTTP] = {"http", 0, NULL, HTTP},
                                     [TLS] = {"tls", 1, NULL, TLS},
                                     [TLS_VERSION] = {"tls-version", 1, NULL, TLS_VERSION},
                                     [TLS_ASK] = {"tls-ask", 0, NULL, TLS_ASK},
                                     [TLS_BARE] = {"tls-bare-close", 0, NULL, TLS_BARE},
                                     [DIE] = {"die-with-parent", 0, NULL, DIE},
                                     [LIST] = {"list", 0, NULL, LIST},
                                     [HELP] = {"help", 0, NULL, HELP}};
    int option, rc = 0;

    for (int i = 0; i < FAMILY; i++)
        longs[i] = (struct option){numbers[i].name, 1, NULL, i};
    while (rc == 0 && (option = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
        if (option < FAMILY)
            rc = parse_number(numbers[option].name, optarg, numbers[option].min,
                              numbers[option].max, numbers[option].out);
        else if (option == FAMILY)
            rc = parse_family(options, optarg);
        else if (option == HTTP)
            settings->framing = FRAMING_HTTP;
        else if (option == TLS)
            options->tls.file = optarg;
        else if (option == TLS_VERSION)
            options->tls.version = optarg;
        else if (option == TLS_ASK)
            options->tls.ask = true;
        else if (option == TLS_BARE)
            settings->bare_close = true;
        else if (option == DIE)
            options->die_with_parent = true;
        else if (option == LIST || option == HELP)
            return (option == LIST ? print_habits : print_help)(), 1;
        else
            return -EINVAL;
    }
    if (settings->request_bytes > 0 && settings->framing == FRAMING_HTTP)
        return usage_error("--request-bytes and --http exclude each other");
    if (settings->request_bytes > 0)
        settings->framing = FRAMING_BYTES;
    return rc < 0 ? rc : parse_habit(settings, argc - optind, argv + optind);
}

/* SIGPIPE needs no care: everything is sent with MSG_NOSIGNAL. */
static int open_signal_fd(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
        return -EINVAL;
    int fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int run(struct options *options)
{
    struct settings *settings = &options->settings;
    cleanup(fd) int signal_fd = open_signal_fd();
    cleanup(fd) int stop_fd = eventfd(0, EFD_CLOEXEC);
    int listeners[LISTENERS_MAX] = {-1, -1};
    uint16_t port = 0;

    if (signal_fd < 0 || stop_fd < 0)
        return -ENFILE;
    settings->stop_fd = stop_fd;
    if (options->die_with_parent)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    int count = open_listeners(listeners, options, &port);
    if (count < 0)
        return count;
    printf("PORT %u\n", port);
    fflush(stdout);
    int rc = accept_loop(listeners, count, signal_fd, stop_fd, settings);
    for (int i = 0; i < count; i++)
        close(listeners[i]);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options = {.ipv4 = true,
                              .ipv6 = true,
                              .backlog = 1024,
                              .settings = {.response_bytes = 300, .header_bytes = 100}};
    int rc = parse_options(&options, argc, argv);

    if (rc != 0)
        return rc < 0 ? 2 : 0;
    rc = answer_build(&options.settings.answer, &options.settings, options.settings.habit->last);
    if (rc < 0) {
        usage_error("--header-bytes does not fit: it must hold the HTTP header and be less than "
                    "--response-bytes");
        return 2;
    }
    if (options.tls.file && !(options.settings.tls = tls_open(&options.tls)))
        return 2;
    rc = run(&options);
    tls_close(options.settings.tls);
    free(options.settings.answer.data);
    if (rc < 0)
        fprintf(stderr, "fixture_server: %s\n", strerror(-rc));
    return rc < 0 ? 1 : 0;
}
