#include "probe/conn_race.h"

#include "base/clock.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static void end_attempt(struct conn_race_attempt *attempt, enum conn_race_outcome outcome, int rc)
{
    if (attempt->outcome != CONN_RACE_TRYING)
        return;
    attempt->outcome = outcome;
    attempt->rc = rc;
    attempt->ended_ns = clock_mono_ns();
    if (outcome == CONN_RACE_CONNECTED) {
        attempt->syn_retransmits = attempt->info.total_retrans;
        return;
    }
    if (attempt->sock.fd >= 0 && !sock_tcp_info(attempt->sock.fd, &attempt->info))
        attempt->syn_retransmits = attempt->info.total_retrans;
    loop_forget(attempt->race->loop, &attempt->task);
    if (attempt->sock.fd >= 0)
        sock_close(&attempt->sock);
}

static void end_race(struct conn_race *race, struct conn_race_attempt *winner)
{
    loop_timer(race->loop, &race->timer, INT64_MAX);
    for (size_t i = 0; i < race->begun; i++)
        end_attempt(&race->attempts[i], winner ? CONN_RACE_ABANDONED : CONN_RACE_EXPIRED, 0);
    race->ended(race->owner, winner);
}

static bool race_is_lost(const struct conn_race *race)
{
    for (size_t i = 0; i < race->begun; i++)
        if (race->attempts[i].outcome == CONN_RACE_TRYING)
            return false;
    return true;
}

static void attempt_wakes(struct loop_task *task, uint32_t events);

/* A socket that cannot be set up says nothing of the address, unless it is its own that is missing
 * (bind(2)). Of a socket of the Unix domain connect() itself says what the peer did. */
static enum conn_race_outcome failure_of(const struct conn_race_attempt *attempt, bool prepared,
                                         int rc)
{
    static const int answers[] = {ECONNREFUSED, ECONNRESET, ETIMEDOUT};

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (rc == -answers[i])
            return CONN_RACE_FAILED;
    if (prepared && sock_family(attempt->address) == AF_UNIX)
        return CONN_RACE_FAILED;
    if (attempt->without_socket && sock_family(attempt->address) != AF_UNIX)
        return CONN_RACE_REFUSED;
    return prepared || rc == -EADDRNOTAVAIL || rc == -EADDRINUSE || rc == -ENOMEM || rc == -ENOBUFS
               ? CONN_RACE_REFUSED
               : CONN_RACE_UNSET;
}

/* CONN_RACE_TRYING, or how it failed, with a negative errno. */
static enum conn_race_outcome begin_attempt(struct conn_race_attempt *attempt, int *rc)
{
    struct conn_race *race = attempt->race;
    bool prepared = true;

    attempt->outcome = CONN_RACE_TRYING;
    attempt->started_ns = clock_mono_ns();
    *rc = sock_open(&attempt->sock, sock_family(attempt->address), SOCK_NONBLOCK);
    attempt->without_socket = *rc != 0;
    if (!*rc) {
        *rc = race->prepare(race->owner, &attempt->sock, sock_family(attempt->address));
        prepared = !*rc;
    }
    if (!*rc)
        *rc = sock_connect_start(&attempt->sock, attempt->address);
    if (*rc && *rc != -EINPROGRESS)
        return failure_of(attempt, prepared, *rc);
    if (race->begun_one)
        race->begun_one(race->owner, &attempt->sock);
    /* Also one that connected at once is taken up by the loop, so that nothing nests. */
    *rc = loop_watch(race->loop, &attempt->task, attempt->sock.fd, EPOLLOUT);
    return *rc ? CONN_RACE_REFUSED : CONN_RACE_TRYING;
}

/* Begins the next attempt, and those after it whose turn comes by failure. */
static void try_next_address(struct conn_race *race)
{
    while (race->begun < race->count) {
        struct conn_race_attempt *attempt = &race->attempts[race->begun++];
        int rc;
        enum conn_race_outcome outcome = begin_attempt(attempt, &rc);
        if (outcome == CONN_RACE_TRYING)
            break;
        end_attempt(attempt, outcome, rc);
    }
    if (race_is_lost(race)) {
        end_race(race, NULL);
        return;
    }
    int64_t next = race->begun < race->count ? clock_mono_ns() + CONN_RACE_DELAY_NS : INT64_MAX;
    loop_timer(race->loop, &race->timer, next < race->deadline_ns ? next : race->deadline_ns);
}

static void attempt_wakes(struct loop_task *task, uint32_t events)
{
    struct conn_race_attempt *attempt = (struct conn_race_attempt *)task;
    int rc = 0;

    (void)events;
    /* An error takes the connection to CLOSED, so one question is enough where all is well. */
    if (sock_tcp_info(attempt->sock.fd, &attempt->info) || attempt->info.state != TCP_ESTABLISHED)
        rc = sock_connect_finish(&attempt->sock);
    if (rc == -EINPROGRESS)
        return;
    end_attempt(attempt, rc ? CONN_RACE_FAILED : CONN_RACE_CONNECTED, rc);
    if (!rc)
        end_race(attempt->race, attempt);
    else
        try_next_address(attempt->race);
}

static void timer_wakes(struct loop_task *task, uint32_t events)
{
    struct conn_race *race = (struct conn_race *)((char *)task - offsetof(struct conn_race, timer));

    (void)events;
    if (clock_mono_ns() >= race->deadline_ns)
        end_race(race, NULL);
    else
        try_next_address(race);
}

int conn_race_start(struct conn_race *race, struct loop *loop, const struct sock_address *addresses,
                    size_t count, int64_t timeout_ns)
{
    race->loop = loop;
    race->count = count < CONN_RACE_ATTEMPTS_MAX ? count : CONN_RACE_ATTEMPTS_MAX;
    race->begun = 0;
    race->attempts = calloc(race->count, sizeof *race->attempts);
    if (!race->attempts)
        return -ENOMEM;
    for (size_t i = 0; i < race->count; i++) {
        struct conn_race_attempt *attempt = &race->attempts[i];
        *attempt = (struct conn_race_attempt){.race = race,
                                              .sock = SOCK_INIT,
                                              .address = &addresses[i],
                                              .outcome = CONN_RACE_WAITING};
        loop_task_init(&attempt->task, attempt_wakes);
    }
    loop_task_init(&race->timer, timer_wakes);
    race->started_ns = clock_mono_ns();
    race->deadline_ns = race->started_ns + timeout_ns;
    try_next_address(race);
    return 0;
}

void conn_race_stop(struct conn_race *race)
{
    if (!race->attempts)
        return;
    loop_timer(race->loop, &race->timer, INT64_MAX);
    for (size_t i = 0; i < race->begun; i++)
        end_attempt(&race->attempts[i], CONN_RACE_ABANDONED, 0);
    free(race->attempts);
    race->attempts = NULL;
    race->count = race->begun = 0;
}

void conn_race_order(struct sock_address *addresses, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        size_t other = i;
        while (other < count && sock_family(&addresses[other]) == sock_family(&addresses[i - 1]))
            other++;
        if (other == count)
            return;
        struct sock_address chosen = addresses[other];
        memmove(&addresses[i + 1], &addresses[i], (other - i) * sizeof *addresses);
        addresses[i] = chosen;
    }
}
