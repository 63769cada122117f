#include "bench.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

long bench_number(const char *text, long max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*end || end == text || value < 1 || value > max)
        errx(1, "%s is not a number from 1 to %ld", text, max);
    return value;
}

struct sockaddr_in bench_address(const char *address, const char *port)
{
    struct sockaddr_in out = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)bench_number(port, 65535))};

    if (inet_pton(AF_INET, address, &out.sin_addr) != 1)
        errx(1, "%s is not an IPv4 address", address);
    return out;
}

void bench_report(const char *name, int64_t took_ns, int64_t *values, size_t count)
{
    if (!count)
        errx(1, "nothing was measured");
    stats_sort(values, count);
    printf("{\"unit\": \"%s\", \"per_second\": %.1f, \"p50_ns\": %" PRId64 ", \"p99_ns\": %" PRId64
           "}\n",
           name, (double)count * (double)NS_PER_SEC / (double)took_ns,
           stats_quantile(values, count, 0.5), stats_quantile(values, count, 0.99));
}
