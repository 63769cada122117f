/* The thundering herd: how many of the processes that wait for a connection wake up for one.
 *
 * Each that wakes stops at a gate before it accepts, until nobody else will wake. So what is
 * counted does not depend on who is quick: a process that finds the connection taken by a quicker
 * one before it wakes would sleep on, and on an idle machine most do. */
#include "scenario/backlog/backlog.h"

#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAITERS       5
#define CONNECTIONS   4
#define SETTLE_NS     (10 * NS_PER_SEC)
#define SETTLED_LOOKS 2 /* in a row */

#define EPOLL     1u
#define SHARED    2u /* one epoll set for all */
#define REUSEPORT 4u /* a listener each */

static const struct mode {
    const char *key, *name;
    unsigned flags;
    uint32_t events;
    int woken; /* for each connection */
} modes[] = {
    {"accept", "blocking accept", 0, 0, 1},
    {"shared_level", "one epoll set, level", EPOLL | SHARED, EPOLLIN, WAITERS},
    {"shared_edge", "one epoll set, edge", EPOLL | SHARED, EPOLLIN | EPOLLET, 1},
    {"own_level", "an epoll set each, level", EPOLL, EPOLLIN, WAITERS},
    {"own_edge", "an epoll set each, edge", EPOLL, EPOLLIN | EPOLLET, WAITERS},
    {"exclusive", "the same, EPOLLEXCLUSIVE", EPOLL, EPOLLIN | EPOLLEXCLUSIVE, 1},
    {"reuseport", "SO_REUSEPORT, epoll", EPOLL | REUSEPORT, EPOLLIN, 1},
};
#define MODES (sizeof modes / sizeof modes[0])

/* ---- In the server: its processes */

enum { STARTING, WAITING, AT_GATE }; /* AT_GATE and above: before so many openings */

struct waiter {
    atomic_int state, woken, accepted;
    pid_t pid;
};

static struct herd {
    atomic_int gate; /* goes up by one for each opening */
    struct waiter waiters[WAITERS];
} * herd;

static int listeners[WAITERS] = {-1, -1, -1, -1, -1};
static int shared_set = -1;

/* It is opened only when whoever has woken is known to be here. */
static void wait_at_gate(struct waiter *self)
{
    int seen = atomic_load(&herd->gate);

    atomic_store(&self->state, AT_GATE + seen);
    while (atomic_load(&herd->gate) == seen)
        syscall(SYS_futex, &herd->gate, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static int epoll_set(int listener, uint32_t events)
{
    struct epoll_event event = {.events = events};
    int set = epoll_create1(EPOLL_CLOEXEC);

    return epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) ? -1 : set;
}

static _Noreturn void wait_for_connections(const struct mode *mode, struct waiter *self,
                                           int listener, pid_t parent)
{
    int set = !(mode->flags & EPOLL) ? -1
              : mode->flags & SHARED ? shared_set
                                     : epoll_set(listener, mode->events);
    struct epoll_event event;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || (mode->flags & EPOLL && set < 0))
        _exit(1);
    for (;;) {
        atomic_store(&self->state, WAITING);
        if (!(mode->flags & EPOLL)) {
            bool got = accept(listener, NULL, NULL) >= 0;
            atomic_fetch_add(&self->woken, 1);
            atomic_fetch_add(&self->accepted, got);
        } else if (epoll_wait(set, &event, 1, -1) == 1) {
            atomic_fetch_add(&self->woken, 1);
            wait_at_gate(self);
            /* All that is there: an edge-triggered set would not tell again. */
            while (accept(listener, NULL, NULL) >= 0)
                atomic_fetch_add(&self->accepted, 1);
        }
    }
}

static int open_listeners(struct agent_self *self, const struct mode *mode, uint16_t port)
{
    struct sock_address address;
    int on = 1, rc = agent_self_address(self, ACT_TO_SELF, port, &address);

    for (int i = 0; !rc && i < (mode->flags & REUSEPORT ? WAITERS : 1); i++) {
        int fd = socket(self->start.family,
                        SOCK_STREAM | SOCK_CLOEXEC | (mode->flags & EPOLL ? SOCK_NONBLOCK : 0), 0);
        listeners[i] = fd;
        if (fd < 0 || agent_self_prepare(self, fd) ||
            (mode->flags & REUSEPORT && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) ||
            bind(fd, &address.any, address.len_bytes) || listen(fd, 64))
            rc = errno ? -errno : -EIO;
    }
    return rc;
}

/* number: the mode */
static AGENT_CALL(do_start)
{
    const struct mode *mode = &modes[act->number];
    pid_t parent = getpid();
    int rc = open_listeners(self, mode, act->port);

    herd = mmap(NULL, sizeof *herd, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rc || herd == MAP_FAILED)
        return rc ? rc : -errno;
    shared_set = mode->flags & SHARED ? epoll_set(listeners[0], mode->events) : -1;
    for (int i = 0; i < WAITERS; i++) {
        struct waiter *waiter = &herd->waiters[i];
        pid_t pid = fork();
        if (!pid)
            wait_for_connections(mode, waiter, listeners[mode->flags & REUSEPORT ? i : 0], parent);
        if (pid < 0)
            return -errno;
        waiter->pid = pid; /* by us alone: the memory is shared */
    }
    return 0;
}

static AGENT_CALL(do_end)
{
    for (int i = 0; i < WAITERS; i++) {
        if (herd->waiters[i].pid > 0) {
            kill(herd->waiters[i].pid, SIGKILL);
            waitpid(herd->waiters[i].pid, NULL, 0);
        }
        if (listeners[i] >= 0)
            close(listeners[i]);
        listeners[i] = -1;
    }
    if (shared_set >= 0)
        close(shared_set);
    munmap(herd, sizeof *herd);
    return 0;
}

static AGENT_CALL(do_open_gate)
{
    atomic_fetch_add(&herd->gate, 1);
    syscall(SYS_futex, &herd->gate, FUTEX_WAKE, WAITERS, NULL, NULL, 0);
    return 0;
}

struct herd_count {
    int woken[WAITERS], accepted[WAITERS];
    int all_woken, all_accepted;
};

static bool settled(struct herd_count *count)
{
    int gate = AT_GATE + atomic_load(&herd->gate);
    bool all = true;

    memset(count, 0, sizeof *count);
    for (int i = 0; i < WAITERS; i++) {
        struct waiter *waiter = &herd->waiters[i];
        int state = atomic_load(&waiter->state);
        all &= state == gate || (state == WAITING && backlog_sleeps(waiter->pid));
        count->all_woken += count->woken[i] = atomic_load(&waiter->woken);
        count->all_accepted += count->accepted[i] = atomic_load(&waiter->accepted);
    }
    return all;
}

/* Waits until nobody runs: each is at the closed gate or asleep in its call, and at least `bytes`
 * have woken and `number` accepted in all → reply.data. A process that was woken runs from that
 * moment on, so that nobody is missed. */
static AGENT_CALL(do_settle)
{
    int64_t end_ns = clock_mono_ns() + SETTLE_NS;
    struct herd_count count, before = {0};
    int good = 0;

    while (good < SETTLED_LOOKS) {
        bool now =
            settled(&count) && count.all_woken >= act->bytes && count.all_accepted >= act->number;
        good = now && (!good || !memcmp(&count, &before, sizeof count)) ? good + 1 : 0;
        before = count;
        if (clock_mono_ns() > end_ns)
            return -ETIME;
        if (good < SETTLED_LOOKS)
            poll(NULL, 0, 1);
    }
    memcpy(reply->data, &count, sizeof count);
    return 0;
}

/* ---- The scenario */

static bool settle(struct testbed *bed, int woken, int accepted, struct herd_count *out)
{
    struct act_reply reply = DO(testbed_server(bed), ACT_CALL, .function = do_settle,
                                .bytes = woken, .number = accepted);

    if (reply.rc == 0)
        memcpy(out, reply.data, sizeof *out);
    backlog_give_up_if(bed, reply.rc == -ETIME);
    return reply.rc == 0;
}

static void connect_one(struct testbed *bed, size_t index, int number, struct herd_count *count)
{
    uint16_t port = (uint16_t)(TESTBED_PORT + index);
    int slot = 1 + (int)index * CONNECTIONS + number;

    testbed_from_here(bed);
    if (DO(testbed_client(bed), ACT_CONNECT, .slot = slot, .port = port).rc) {
        backlog_give_up_if(bed, true);
        return;
    }
    backlog_await(bed, "delivered c>s:ack");
    if (modes[index].flags & EPOLL) {
        backlog_await_queue(bed, port, 1);
        if (!settle(bed, count->all_woken + 1, number, count))
            return;
        DO(testbed_server(bed), ACT_CALL, .function = do_open_gate);
    }
    settle(bed, count->all_woken + !(modes[index].flags & EPOLL), number + 1, count);
}

static void list_mode(struct testbed *bed, const struct mode *mode, const struct herd_count *count)
{
    int expected = mode->woken * CONNECTIONS;
    int most = 0, some = 0;

    for (int i = 0; i < WAITERS; i++) {
        most = count->accepted[i] > most ? count->accepted[i] : most;
        some += count->accepted[i] > 0;
    }
    testbed_check_text(
        bed, mode->key, arena_printf(bed->arena, "%d woken for %d", expected, CONNECTIONS),
        arena_printf(bed->arena, "%d woken for %d", count->all_woken, count->all_accepted));
    testbed_row(bed, TEXT("way", mode->name), INTEGER("processes", WAITERS),
                INTEGER("connections", count->all_accepted), INTEGER("woken", count->all_woken),
                INTEGER("in_vain", count->all_woken - count->all_accepted),
                INTEGER("had_some", some), INTEGER("most_by_one", most));
}

static void play_mode(struct testbed *bed, size_t index)
{
    struct agent *server = testbed_server(bed);
    struct herd_count count = {0};

    if (!backlog_gave_up(bed)) {
        MUST(bed, "the waiting processes", server, ACT_CALL, .function = do_start,
             .number = (int)index, .port = (uint16_t)(TESTBED_PORT + index));
        settle(bed, 0, 0, &count);
        for (int k = 0; k < CONNECTIONS && !backlog_gave_up(bed); k++)
            connect_one(bed, index, k, &count);
        DO(server, ACT_CALL, .function = do_end);
    }
    list_mode(bed, &modes[index], &count);
}

static void play_herd(struct testbed *bed)
{
    testbed_table(bed, "herd", "Who wakes for a connection, and who gets it");
    for (size_t i = 0; i < MODES; i++)
        play_mode(bed, i);
}

const struct scenario backlog_herd = {
    .name = "herd",
    .title = "many processes wait for connections: how many wake up for one",
    .book = "With several processes blocked in accept on one listener, all wake for each "
            "connection and all but one sleep again, which costs more the more there are; and all "
            "that are blocked in select wake as well (section 30.6).",
    .here = "Blocking accept wakes one process, the one that has waited longest. An epoll set that "
            "processes share wakes one when it is edge-triggered, and one after another for as "
            "long as the connection is there when it is level-triggered. With an epoll set each, "
            "all wake. EPOLLEXCLUSIVE (Linux 4.5) wakes one, but mostly the same one: a process "
            "gets the next connections as well if it is asleep again by then. SO_REUSEPORT gives "
            "each process a queue, and a hash distributes the connections. Here no process accepts "
            "before all that will wake are awake; on an idle machine a quick process takes the "
            "connection before the others wake, and fewer do.",
    .differs = "Blocking accept wakes only one process.",
    .settings = backlog_settings,
    .play = play_herd,
    .flags_begin = FLAGS(HANDSHAKE),
};
