/* What the lab costs: time to open and to close, the round trip that the wire adds, the error of a
 * delay, throughput. Prints numbers; judges nothing.
 *
 * The base line of the round trip is the same two veth pairs with a kernel bridge in the wire's
 * place (by ip(8)), or, where the kernel has no bridge, joined without anything between. */
#include "base/clock.h"
#include "base/stats.h"
#include "lab/fault.h"
#include "lab/internal.h"
#include "trace/trace.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 4000
#define OPENS  20

static void say(const char *what, int64_t *values, size_t count)
{
    stats_sort(values, count);
    printf("%-34s p50 %9.1f  p99 %9.1f  max %9.1f us\n", what,
           (double)stats_quantile(values, count, 0.5) / 1e3,
           (double)stats_quantile(values, count, 0.99) / 1e3, (double)values[count - 1] / 1e3);
}

static _Noreturn void give_up(const char *what, const struct error *error)
{
    fprintf(stderr, "bench_lab: %s: %s\n", what, error->text);
    exit(1);
}

static int serve(int listener)
{
    static char bytes[1 << 18];
    int on = 1;

    for (;;) {
        ssize_t got;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        /* Small messages are echoed, bulk is swallowed. */
        while ((got = read(fd, bytes, sizeof bytes)) > 0)
            if (got == 64 && write(fd, bytes, 64) != 64)
                break;
        close(fd);
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 8) ? -1 : fd;
}

static int server_role(const struct lab_role *role)
{
    (void)role;
    return serve(listen_on(7));
}

static void ping(int fd, const char *what, int rounds)
{
    static int64_t took[ROUNDS];
    char bytes[64] = "";
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int i = 0; i < rounds; i++) {
        int64_t start_ns = clock_mono_ns();
        if (write(fd, bytes, sizeof bytes) != sizeof bytes ||
            recv(fd, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes)
            exit(1);
        took[i] = clock_mono_ns() - start_ns;
    }
    say(what, took, (size_t)rounds);
}

static int ping_role(const struct lab_role *role)
{
    const struct sockaddr_in *server = role->arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (const struct sockaddr *)server, sizeof *server))
        return 1;
    ping(fd, "round trip through the wire", ROUNDS);
    return 0;
}

static int bulk_role(const struct lab_role *role)
{
    static char bytes[1 << 17];
    const struct sockaddr_in *server = role->arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int64_t total = 0, start_ns = clock_mono_ns();

    if (connect(fd, (const struct sockaddr *)server, sizeof *server))
        return 1;
    while (clock_mono_ns() < start_ns + 2 * NS_PER_SEC)
        total += write(fd, bytes, sizeof bytes);
    shutdown(fd, SHUT_WR);
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
    printf("%-34s %.0f MB/s\n", "bulk through the wire",
           (double)total / 1e6 / ((double)(clock_mono_ns() - start_ns) / 1e9));
    return 0;
}

static void in_lab(int64_t delay_ns, int (*role)(const struct lab_role *), struct lab_stats *stats,
                   struct trace **trace)
{
    struct lab_config config = {.link.delay_ns = delay_ns};
    struct lab *lab;
    struct lab_process *process;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(7)};
    struct error error = {0};

    inet_pton(AF_INET, lab_address_text(LAB_SERVER, AF_INET), &server.sin_addr);

    if (trace_open(&config.trace, TRACE_DEFAULT_EVENTS, &error) || lab_open(&config, &lab, &error))
        give_up("open", &error);
    if (lab_start(lab, LAB_SERVER, &(struct lab_program){.role = server_role}, &process, &error) ||
        lab_wait_listen(lab, LAB_SERVER, AF_INET, 7, NS_PER_SEC, &error) ||
        lab_start(lab, LAB_CLIENT,
                  &(struct lab_program){.role = role, .arg = &server, .arg_bytes = sizeof server},
                  &process, &error))
        give_up("start", &error);
    fflush(stdout);
    lab_process_wait(process, -1, NULL);
    lab_close(lab, stats);
    if (stats->lost)
        printf("  LOST %llu\n", (unsigned long long)stats->lost);
    if (trace)
        *trace = config.trace;
    else
        trace_close(config.trace);
}

static int delayed_role(const struct lab_role *role)
{
    const struct sockaddr_in *server = role->arg;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (const struct sockaddr *)server, sizeof *server))
        return 1;
    ping(fd, "round trip with 10 ms each way", 400);
    return 0;
}

static void bench_delay(void)
{
    static int64_t errors[100000];
    struct lab_stats stats;
    struct trace *trace;
    size_t count = 0;

    in_lab(10 * NS_PER_MS, delayed_role, &stats, &trace);
    for (size_t i = 0; i < trace_reserved(trace) && count < 100000; i++) {
        const struct trace_event *event = trace_slot(trace, i);
        if (event && event->kind == TRACE_SEGMENT && event->segment.departed_real_ns != CLOCK_NONE)
            errors[count++] = event->segment.departed_real_ns - event->at_real_ns - 10 * NS_PER_MS;
    }
    say("error of a 10 ms delay", errors, count);
    trace_close(trace);
}

static void bench_life(void)
{
    int64_t opens[OPENS], closes[OPENS];

    for (int i = 0; i < OPENS; i++) {
        struct lab_config config = {0};
        struct lab *lab;
        struct error error = {0};
        int64_t start_ns = clock_mono_ns();
        if (lab_open(&config, &lab, &error))
            give_up("open", &error);
        opens[i] = clock_mono_ns() - start_ns;
        start_ns = clock_mono_ns();
        lab_close(lab, NULL);
        closes[i] = clock_mono_ns() - start_ns;
    }
    say("open", opens, OPENS);
    say("close", closes, OPENS);
}

/* ---- The base line: the kernel forwards ---- */

static int base_host(const struct namespaces *namespaces, enum lab_host host)
{
    static struct lab_shared shared;
    struct lab_plan plan = {.ipv4 = true, .shared = &shared};
    struct error error = {0};

    if (namespace_go(namespaces->host[host], &error) || host_configure(&plan, host, &error))
        give_up("base line", &error);
    return 0;
}

static void base_line(void)
{
    struct namespaces namespaces;
    struct link_socket *link;
    struct error error = {0};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(7)};

    if (namespaces_enter(&namespaces, &error) || link_open(&link, &error))
        give_up("base line", &error);
    bool bridged = !system("ip link add br0 type bridge 2>/dev/null && ip link set br0 up");
    if (!bridged) {
        printf("(no bridge in this kernel: no base line)\n");
        return;
    }
    for (int host = 0; host < LAB_HOSTS; host++) {
        const char *device = lab_wire_device(host);
        char line[128];
        if (link_add_pair(link, device, host, namespaces.host[host], 1500, &error) ||
            link_offloads_off(device, &error) || link_up(link, device, &error))
            give_up("base line", &error);
        snprintf(line, sizeof line, "ip link set %s master br0", device);
        if (system(line))
            exit(1);
    }
    base_host(&namespaces, LAB_SERVER);
    int listener = listen_on(7);
    fflush(stdout);
    pid_t pid = fork();
    if (!pid)
        _exit(serve(listener));
    base_host(&namespaces, LAB_CLIENT);
    inet_pton(AF_INET, lab_address_text(LAB_SERVER, AF_INET), &server.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&server, sizeof server))
        exit(1);
    ping(fd, "round trip, bridged by the kernel", ROUNDS);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int main(void)
{
    struct lab_stats stats;

    setvbuf(stdout, NULL, _IOLBF, 0);
    bench_life();
    pid_t pid = fork();
    if (!pid) {
        base_line();
        exit(0);
    }
    waitpid(pid, NULL, 0);
    in_lab(0, ping_role, &stats, NULL);
    bench_delay();
    in_lab(0, bulk_role, &stats, NULL);
    return 0;
}
