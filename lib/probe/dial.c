#include "probe/dial.h"

#include "base/clock.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static void end_attempt(struct dial_attempt *attempt, enum dial_outcome outcome, int rc)
{
    if (attempt->outcome != DIAL_TRYING)
        return;
    attempt->outcome = outcome;
    attempt->rc = rc;
    attempt->ended_ns = clock_mono_ns();
    if (outcome == DIAL_CONNECTED) {
        attempt->syn_retransmits = attempt->info.total_retrans;
        return;
    }
    if (attempt->sock.fd >= 0 && !sock_tcp_info(attempt->sock.fd, &attempt->info))
        attempt->syn_retransmits = attempt->info.total_retrans;
    loop_forget(attempt->dial->loop, &attempt->task);
    if (attempt->sock.fd >= 0)
        sock_close(&attempt->sock);
}

static void end_dial(struct dial *dial, struct dial_attempt *winner)
{
    loop_timer(dial->loop, &dial->timer, INT64_MAX);
    for (size_t i = 0; i < dial->begun; i++)
        end_attempt(&dial->attempts[i], winner ? DIAL_ABANDONED : DIAL_EXPIRED, 0);
    dial->ended(dial->owner, winner);
}

static bool nobody_tries(const struct dial *dial)
{
    for (size_t i = 0; i < dial->begun; i++)
        if (dial->attempts[i].outcome == DIAL_TRYING)
            return false;
    return true;
}

static void attempt_wakes(struct loop_task *task, uint32_t events);

static int begin_attempt(struct dial_attempt *attempt)
{
    struct dial *dial = attempt->dial;

    attempt->outcome = DIAL_TRYING;
    attempt->started_ns = clock_mono_ns();
    int rc = sock_open(&attempt->sock, sock_family(attempt->address), SOCK_NONBLOCK);
    if (!rc)
        rc = dial->prepare(dial->owner, &attempt->sock, sock_family(attempt->address));
    if (!rc)
        rc = sock_connect_start(&attempt->sock, attempt->address);
    if (rc && rc != -EINPROGRESS)
        return rc;
    if (dial->begun_one)
        dial->begun_one(dial->owner, &attempt->sock);
    /* Also one that connected at once is taken up by the loop, so that nothing nests. */
    return loop_watch(dial->loop, &attempt->task, attempt->sock.fd, EPOLLOUT);
}

/* Begins the next attempt, and those after it whose turn comes by failure. */
static void go_on(struct dial *dial)
{
    while (dial->begun < dial->count) {
        struct dial_attempt *attempt = &dial->attempts[dial->begun++];
        int rc = begin_attempt(attempt);
        if (!rc)
            break;
        end_attempt(attempt, DIAL_FAILED, rc);
    }
    if (nobody_tries(dial)) {
        end_dial(dial, NULL);
        return;
    }
    int64_t next = dial->begun < dial->count ? clock_mono_ns() + DIAL_DELAY_NS : INT64_MAX;
    loop_timer(dial->loop, &dial->timer, next < dial->deadline_ns ? next : dial->deadline_ns);
}

static void attempt_wakes(struct loop_task *task, uint32_t events)
{
    struct dial_attempt *attempt = (struct dial_attempt *)task;
    int rc = 0;

    (void)events;
    /* An error takes the connection to CLOSED, so one question is enough where all is well. */
    if (sock_tcp_info(attempt->sock.fd, &attempt->info) || attempt->info.state != TCP_ESTABLISHED)
        rc = sock_connect_finish(&attempt->sock);
    if (rc == -EINPROGRESS)
        return;
    end_attempt(attempt, rc ? DIAL_FAILED : DIAL_CONNECTED, rc);
    if (!rc)
        end_dial(attempt->dial, attempt);
    else
        go_on(attempt->dial);
}

static void timer_wakes(struct loop_task *task, uint32_t events)
{
    struct dial *dial = (struct dial *)((char *)task - offsetof(struct dial, timer));

    (void)events;
    if (clock_mono_ns() >= dial->deadline_ns)
        end_dial(dial, NULL);
    else
        go_on(dial);
}

int dial_start(struct dial *dial, struct loop *loop, const struct sock_address *addresses,
               size_t count, int64_t timeout_ns)
{
    dial->loop = loop;
    dial->count = count < DIAL_ATTEMPTS_MAX ? count : DIAL_ATTEMPTS_MAX;
    dial->begun = 0;
    dial->attempts = calloc(dial->count, sizeof *dial->attempts);
    if (!dial->attempts)
        return -ENOMEM;
    for (size_t i = 0; i < dial->count; i++) {
        struct dial_attempt *attempt = &dial->attempts[i];
        *attempt = (struct dial_attempt){
            .dial = dial, .sock = SOCK_INIT, .address = &addresses[i], .outcome = DIAL_WAITING};
        loop_task_init(&attempt->task, attempt_wakes);
    }
    loop_task_init(&dial->timer, timer_wakes);
    dial->started_ns = clock_mono_ns();
    dial->deadline_ns = dial->started_ns + timeout_ns;
    go_on(dial);
    return 0;
}

void dial_stop(struct dial *dial)
{
    if (!dial->attempts)
        return;
    loop_timer(dial->loop, &dial->timer, INT64_MAX);
    for (size_t i = 0; i < dial->begun; i++)
        end_attempt(&dial->attempts[i], DIAL_ABANDONED, 0);
    free(dial->attempts);
    dial->attempts = NULL;
    dial->count = dial->begun = 0;
}

void dial_order(struct sock_address *addresses, size_t count)
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
