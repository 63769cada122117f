#!/usr/bin/python3
"""Servers that do not take the connections that wait for them, each for a reason of its own.

    tests/net/accept_habits.py HABIT 4|6 [PORT]

It writes its port to standard output when it listens, and runs until it is killed.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
import sys
import time

BACKLOG = 100


def listen(family, port=0, reuse_port=False):
    listener = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("::1" if family == "6" else "127.0.0.1", port))
    listener.listen(BACKLOG)
    return listener


def ready(listener):
    print(listener.getsockname()[1], flush=True)


def edge_set(listener, flags=select.EPOLLIN | select.EPOLLET):
    listener.setblocking(False)
    events = select.epoll()
    events.register(listener, flags)
    return events


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


# ---- causes ----


def descriptors(listener, pause=0.05):
    """Keeps every connection, and tries again later when it has no descriptor left."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
    ready(listener)
    kept = []
    while True:
        try:
            kept.append(listener.accept()[0])
        except OSError:
            time.sleep(pause)


def descriptors_spinning(listener):
    """The same, and it tries again at once."""
    descriptors(listener, 0)


def stopped(listener):
    ready(listener)
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        listener.accept()


def edge(listener):
    """Edge-triggered, one accept an event."""
    events = edge_set(listener)
    ready(listener)
    kept = []
    while True:
        events.poll()
        kept.append(listener.accept()[0])


def busy(listener):
    """Computes for each connection, in one thread."""
    ready(listener)
    while True:
        connection = listener.accept()[0]
        end = time.monotonic() + 3
        while time.monotonic() < end:
            sum(range(1000))
        connection.close()


def sleeping(listener):
    """Waits for something else between two calls of accept()."""
    ready(listener)
    while True:
        connection = listener.accept()[0]
        time.sleep(3)
        connection.close()


def reading(listener):
    """Serves one connection at a time, and that one says nothing."""
    ready(listener)
    while True:
        listener.accept()[0].recv(100)


def forking(listener):
    """Forks for each connection, and waits for the child."""
    ready(listener)
    while True:
        connection = listener.accept()[0]
        child = os.fork()
        if not child:
            die_with_parent()
            time.sleep(1000)
        connection.close()
        os.waitpid(child, 0)


def paused(listener):
    """An event loop that has taken the listener out of its set, as at a limit of its own."""
    events = edge_set(listener, select.EPOLLIN)
    ready(listener)
    events.poll()
    kept = listener.accept()
    events.unregister(listener)
    events.poll()
    del kept


def supervised(listener):
    """A parent that waits for signals, and workers that are stopped."""
    workers = []
    for _ in range(3):
        workers.append(os.fork())
        if not workers[-1]:
            die_with_parent()
            os.kill(os.getpid(), signal.SIGSTOP)
    for worker in workers:
        os.waitpid(worker, os.WUNTRACED)
    ready(listener)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.sigwait([signal.SIGUSR1])


# ---- look-alikes ----


def edge_occupied(listener):
    """Edge-triggered; its loop waits for something else before it takes the next connection."""
    events = edge_set(listener)
    ready(listener)
    events.poll()
    listener.accept()
    while True:
        events.poll()


def edge_periodic(listener, period=0.55):
    """Edge-triggered, and accepts one connection each time it has done something else."""
    events = edge_set(listener)
    ready(listener)
    events.poll()
    kept = []
    while True:
        with contextlib.suppress(BlockingIOError):
            kept.append(listener.accept()[0])
        end = time.monotonic() + period
        while time.monotonic() < end:
            events.poll(end - time.monotonic())


def one_of_two_stopped(listener):
    """One of the processes that hold the listener is stopped, the other waits for something else."""
    child = os.fork()
    if not child:
        die_with_parent()
        time.sleep(1000)
    ready(listener)
    os.kill(os.getpid(), signal.SIGSTOP)


def in_another_set(listener):
    """It sleeps in an epoll set, and the listener is in another one."""
    events = edge_set(listener, select.EPOLLIN)
    ready(listener)
    other = select.epoll()
    other.register(os.pipe()[0], select.EPOLLIN)
    events.poll()
    listener.accept()
    other.poll()


def exclusive(listener):
    """Two workers in epoll sets of their own, of which one is woken, and stops before it accepts."""
    for _ in range(2):
        if not os.fork():
            die_with_parent()
            events = edge_set(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
            events.poll()
            os.kill(os.getpid(), signal.SIGSTOP)
    ready(listener)
    signal.pause()


if __name__ == "__main__":
    die_with_parent()
    habit = globals()[sys.argv[1]]
    habit(listen(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0, len(sys.argv) > 3))
