#include "probe/target_control.h"

#include "base/cleanup.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int prepare_control(void *owner, struct sock *sock, int family)
{
    return conn_prepare(owner, sock, family);
}

void target_control_shake(struct target *target, const struct sock_address *address)
{
    const struct target_shared *shared = target->shared;
    const struct arm_session *session = &target->session;

    bool only_connects = shared->plan->arms.only_connects && !shared->plan->greets;

    if (sock_family(address) == AF_UNIX || only_connects || session->warmup ||
        session->arm != ARM_BASELINE || !(shared->control || target->schedule.blocks))
        return;
    target->control.loop = shared->conn.loop;
    target->control.address = address;
    target->control.owner = (void *)shared->conn.settings;
    target->control.prepare = prepare_control;
    path_control_shake(&target->control);
}

void target_control_load(struct target *target)
{
    cleanup(fd) int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    char text[128] = "";
    unsigned running = 0;

    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 &&
        sscanf(text, "%*s %*s %*s %u/", &running) == 1) {
        target->runnable += running;
        target->load_looks++;
    }
}
