/* One child of a host's init: a role or a program, in a process group of its own, with every signal
 * at its default. The init is single-threaded, so the child may do anything after the fork. */
#include "base/cleanup.h"
#include "lab/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define FIXED_FDS 3

/* Sorted out of the request: where each descriptor goes. */
struct plumbing {
    int channel;
    int stdio[FIXED_FDS];
    const int *fds;
    size_t fds_count;
};

static int plumb(const struct spawn *spawn, struct plumbing *out)
{
    const struct init_request *request = spawn->request;
    size_t next = 1;
    size_t wanted = 1 + (request->spawn.what == INIT_ROLE) + request->spawn.fds_count;

    for (int i = 0; i < FIXED_FDS; i++)
        wanted += request->spawn.stdio_present >> i & 1;
    if (wanted != spawn->fds_count || request->spawn.fds_count > LAB_FDS)
        return -EPROTO;
    *out = (struct plumbing){.channel = -1, .stdio = {-1, -1, -1}};
    if (request->spawn.what == INIT_ROLE)
        out->channel = spawn->fds[next++];
    for (int i = 0; i < FIXED_FDS; i++)
        if (request->spawn.stdio_present >> i & 1)
            out->stdio[i] = spawn->fds[next++];
    out->fds = spawn->fds + next;
    out->fds_count = request->spawn.fds_count;
    return 0;
}

static int redirect(const struct plumbing *plumbing)
{
    for (int i = 0; i < FIXED_FDS; i++)
        if (plumbing->stdio[i] >= 0 && dup2(plumbing->stdio[i], i) < 0)
            return -errno;
    return 0;
}

static _Noreturn void run_role(const struct spawn *spawn, const struct plumbing *plumbing)
{
    struct lab_role role = {
        .host = spawn->host,
        .channel = plumbing->channel,
        .fds = plumbing->fds,
        .fds_count = plumbing->fds_count,
        .arg = spawn->payload,
        .arg_bytes = spawn->request->spawn.arg_bytes,
        .trace = spawn->plan->trace,
    };
    int keep[LAB_FDS + 2];
    size_t keep_count = 0;

    for (size_t i = 0; i < plumbing->fds_count; i++)
        keep[keep_count++] = plumbing->fds[i];
    keep[keep_count++] = plumbing->channel;
    descriptors_keep(keep, keep_count);
    int status = spawn->request->spawn.role(&role);
    fflush(NULL);
    _exit(status);
}

/* The vector of NUL-terminated strings at *at; NULL with EPROTO when they are not there. */
static char **unpack(const char **at, const char *end, size_t count, size_t extra)
{
    char **list = calloc(count + extra + 1, sizeof *list);

    for (size_t i = 0; list && i < count; i++) {
        const char *nul = memchr(*at, '\0', (size_t)(end - *at));
        if (!nul) {
            free(list);
            errno = EPROTO;
            return NULL;
        }
        list[i] = (char *)*at;
        *at = nul + 1;
    }
    return list;
}

/* In a user namespace the rights end with the lab, and there is one user only. */
static bool is_confined(const struct spawn *spawn)
{
    return spawn->plain && !spawn->plan->rights.as_root;
}

static bool is_user(const struct spawn *spawn)
{
    return is_confined(spawn) && spawn->plan->rights.user.uid;
}

static int take_rights(const struct spawn *spawn)
{
    return is_confined(spawn) ? privilege_drop(&spawn->plan->rights.user, 0, NULL) : 0;
}

static void set_environment(const struct spawn *spawn, char *const *extra)
{
    int family = spawn->plan->ipv4 ? AF_INET : AF_INET6;

    setenv("NETKIT_CLIENT", lab_address_text(LAB_CLIENT, family), 1);
    setenv("NETKIT_SERVER", lab_address_text(LAB_SERVER, family), 1);
    if (is_user(spawn) && *spawn->plan->rights.user.name) {
        setenv("HOME", spawn->plan->rights.user.home, 1);
        setenv("USER", spawn->plan->rights.user.name, 1);
        setenv("LOGNAME", spawn->plan->rights.user.name, 1);
    }
    for (; extra && *extra; extra++)
        putenv(*extra);
}

/* Descriptors of the caller go to 3, 4, …; they are moved above that range first, because source
 * and target may overlap. */
static int place_fds(const struct plumbing *plumbing, int *failure)
{
    int high[LAB_FDS];

    *failure = fcntl(*failure, F_DUPFD_CLOEXEC, FIXED_FDS + LAB_FDS);
    if (*failure < 0)
        return -errno;
    for (size_t i = 0; i < plumbing->fds_count; i++) {
        high[i] = fcntl(plumbing->fds[i], F_DUPFD_CLOEXEC, FIXED_FDS + LAB_FDS);
        if (high[i] < 0)
            return -errno;
    }
    for (size_t i = 0; i < plumbing->fds_count; i++)
        if (dup2(high[i], FIXED_FDS + (int)i) < 0)
            return -errno;
    return 0;
}

static _Noreturn void run_command(const struct spawn *spawn, const struct plumbing *plumbing,
                                  int failure)
{
    const struct init_request *request = spawn->request;
    const char *at = spawn->payload, *end = spawn->payload + spawn->payload_bytes;
    bool shell = request->spawn.what == INIT_SHELL;
    char **argv = unpack(&at, end, request->spawn.argc, 2);
    char **env = unpack(&at, end, request->spawn.envc, 0);
    int rc = request->spawn.argc ? 0 : -EPROTO;

    if (!argv || !env)
        rc = -errno;
    if (!rc)
        rc = place_fds(plumbing, &failure);
    if (!rc)
        rc = take_rights(spawn);
    if (!rc) {
        set_environment(spawn, env);
        if (shell) {
            argv[2] = argv[0];
            argv[0] = (char *)"sh";
            argv[1] = (char *)"-c";
            execv("/bin/sh", argv);
        } else {
            execvp(argv[0], argv);
        }
        rc = -errno;
    }
    while (write(failure, &rc, sizeof rc) < 0 && errno == EINTR)
        ;
    _exit(127);
}

static _Noreturn void child_main(const struct spawn *spawn, const struct plumbing *plumbing,
                                 int failure)
{
    setpgid(0, 0);
    signals_default();
    /* What the caller had not yet written when the lab was opened is not this process's to write.
     */
    __fpurge(stdout);
    __fpurge(stderr);
    int rc = redirect(plumbing);
    if (rc) {
        while (write(failure, &rc, sizeof rc) < 0 && errno == EINTR)
            ;
        _exit(127);
    }
    if (spawn->request->spawn.what == INIT_ROLE)
        run_role(spawn, plumbing);
    run_command(spawn, plumbing, failure);
}

pid_t spawn_child(const struct spawn *spawn, struct error *error)
{
    struct plumbing plumbing;
    int failure[2], failed = 0;

    if (plumb(spawn, &plumbing) || (spawn->request->spawn.what == INIT_ROLE &&
                                    spawn->request->spawn.arg_bytes > spawn->payload_bytes))
        return error_set(error, EPROTO, "a malformed request");
    if (pipe2(failure, O_CLOEXEC))
        return error_sys(error, errno, "pipe");
    pid_t pid = fork();
    if (!pid)
        child_main(spawn, &plumbing, failure[1]);
    close(failure[1]);
    if (pid < 0)
        failed = -errno;
    else
        /* Until the command is executed, or the role has begun: the pipe closes then. */
        while (read(failure[0], &failed, sizeof failed) < 0 && errno == EINTR)
            ;
    close(failure[0]);
    if (failed)
        return error_sys(error, -failed, "%s",
                         spawn->request->spawn.what == INIT_ARGV ? spawn->payload : "process");
    setpgid(pid, pid);
    return pid;
}
