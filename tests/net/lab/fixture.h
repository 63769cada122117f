/* What the tests of the lab share. Every helper fails the test by itself. */
#ifndef TESTS_LAB_FIXTURE_H
#define TESTS_LAB_FIXTURE_H

#include "base/cleanup.h"
#include "base/clock.h"
#include "lab/fault.h"
#include "lab/lab.h"
#include "trace/trace.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PORT     7777
#define LIMIT_NS (10 * NS_PER_SEC) /* no test waits that long for anything unless it fails */

struct world {
    struct lab *lab;
    struct trace *trace;
    struct lab_stats stats; /* after world_close() */
    int family;
};

/* Asserts that rc is not negative, and shows the error. */
#define assert_ok(rc, error)                                                                       \
    do {                                                                                           \
        if ((rc) < 0)                                                                              \
            fail_msg("%s", (error)->text);                                                         \
    } while (0)

/* A lab with a trace of its own. world_close() asserts that the wire lost nothing. */
struct world world_open(const struct lab_config *config, int family);
void world_close(struct world *world);

void host_address(enum lab_host host, int family, uint16_t port, struct sockaddr_storage *out,
                  socklen_t *len);
/* A socket of the host's network stack in this process: socket(2)'s arguments. A negative errno. */
int lab_socket(struct lab *lab, enum lab_host host, int domain, int type, int protocol,
               struct error *error);
int host_socket(const struct world *world, enum lab_host host);
/* A listening socket of the server, in this process. */
int server_listens(const struct world *world, uint16_t port);
/* Connects a non-blocking socket of the host: returns when the SYN was sent. */
int connect_begins(const struct world *world, enum lab_host host, uint16_t from_port,
                   enum lab_host to, uint16_t port);
/* The connect's outcome: 0 or a negative errno. */
int connect_ends(int fd);
/* A blocking connect of the client to the server: the descriptor, or a negative errno. */
int client_connects(const struct world *world, uint16_t port);
/* client_connects() and accept. */
void connected_pair(const struct world *world, int listener, int *client, int *server);
/* One byte over and one back; both must arrive. */
void exchange(int a, int b);

int add_fault(const struct world *world, const char *line);
void wait_for(const struct world *world, const char *condition);
/* How many packets of this flag word passed in this direction ("c>s:syn"). */
int count_of(const struct world *world, const char *condition);

/* main() of every test program: 77 where the system refuses namespaces. */
int run_or_skip(int (*run)(void));

#endif
