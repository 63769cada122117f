/* Connected TCP sockets over loopback, for tests. All functions fail the test when they fail. */
#ifndef TESTS_NET_PAIR_H
#define TESTS_NET_PAIR_H

#include "netkit/sock.h"

struct pair {
    struct sock listener, client, server; /* all blocking */
    struct sock_address address;          /* the listener's */
};

/* The loopback address of a family, port 0. */
struct sock_address loopback(int family);

/* An established connection; release with pair_close(). */
void pair_open(struct pair *pair, int family);
void pair_close(struct pair *pair);

/* A listener on loopback whose accept queue is full, so that the kernel drops further SYNs and a
 * connect to it stays in SYN-SENT. `filler` is the one connection that fills it. */
struct full_listener {
    struct sock listener;
    struct sock_address address;
    struct sock filler;
};
void full_listener_open(struct full_listener *full, int family);
void full_listener_close(struct full_listener *full);

/* Polls until condition(context), at most 10 s, and fails the test otherwise. */
void wait_for(const char *what, bool (*condition)(void *context), void *context);

#endif
