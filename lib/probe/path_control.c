#include "probe/path_control.h"

#include "base/clock.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define GIVE_UP_NS (3 * NS_PER_SEC)

static void handshake_end(struct path_handshake *handshake)
{
    loop_timer(handshake->control->loop, &handshake->task, INT64_MAX);
    loop_unwatch(handshake->control->loop, &handshake->task);
    sock_close(&handshake->sock);
}

static void handshake_sample(struct path_control *control, const struct sock_tcp_info *info)
{
    if (info->total_retrans) {
        control->lost++;
        return;
    }
    if (!control->rtts_ns)
        control->rtts_ns = malloc(PATH_CONTROL_SAMPLES_MAX * sizeof *control->rtts_ns);
    if (control->rtts_ns && info->rtt_ns > 0 && control->count < PATH_CONTROL_SAMPLES_MAX)
        control->rtts_ns[control->count++] = info->rtt_ns;
}

/* Writable, refused, or out of time. A handshake that is refused tells nothing here: the rounds'
 * own connections will say it. */
static void handshake_wakes(struct loop_task *task, uint32_t events)
{
    struct path_handshake *handshake = (struct path_handshake *)task;
    struct sock_tcp_info info = {0};

    if (!sock_tcp_info(handshake->sock.fd, &info) && info.state == TCP_ESTABLISHED)
        handshake_sample(handshake->control, &info);
    else
        handshake->control->lost += !events;
    handshake_end(handshake);
}

static int handshake_begin(struct path_handshake *handshake)
{
    struct path_control *control = handshake->control;
    const struct linger abort = {.l_onoff = 1, .l_linger = 0};
    const int off = 0;
    int family = sock_family(control->address);

    int rc = sock_open(&handshake->sock, family, SOCK_NONBLOCK);
    if (!rc)
        rc = control->prepare(control->owner, &handshake->sock, family);
    if (!rc)
        rc = sock_setsockopt(&handshake->sock, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    if (!rc)
        rc = sock_setsockopt(&handshake->sock, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
    if (!rc)
        rc = sock_connect_start(&handshake->sock, control->address);
    if (rc && rc != -EINPROGRESS)
        return rc;
    rc = loop_watch(control->loop, &handshake->task, handshake->sock.fd, EPOLLOUT);
    if (!rc)
        loop_timer(control->loop, &handshake->task, clock_mono_ns() + GIVE_UP_NS);
    return rc;
}

static void make_ready(struct path_control *control)
{
    for (size_t i = 0; i < PATH_CONTROL_AT_ONCE; i++) {
        control->handshakes[i] = (struct path_handshake){.control = control, .sock = SOCK_INIT};
        loop_task_init(&control->handshakes[i].task, handshake_wakes);
    }
    control->ready = true;
}

void path_control_shake(struct path_control *control)
{
    if (!control->ready)
        make_ready(control);
    for (size_t i = 0; i < PATH_CONTROL_AT_ONCE; i++) {
        struct path_handshake *handshake = &control->handshakes[i];
        if (handshake->sock.fd >= 0)
            continue;
        if (handshake_begin(handshake) && handshake->sock.fd >= 0)
            handshake_end(handshake);
        return;
    }
}

void path_control_end(struct path_control *control)
{
    for (size_t i = 0; i < PATH_CONTROL_AT_ONCE && control->ready; i++)
        if (control->handshakes[i].sock.fd >= 0)
            handshake_end(&control->handshakes[i]);
}

void path_control_free(struct path_control *control)
{
    free(control->rtts_ns);
    control->rtts_ns = NULL;
    control->count = 0;
}
