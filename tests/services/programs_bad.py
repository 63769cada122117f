#!/usr/bin/python3
"""Small clients and servers with one habit each, good and bad: programs_bad.py HABIT HOST PORT."""
import fcntl
import os
import signal
import socket
import struct
import sys
import termios
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


def connect(host, port):
    return socket.create_connection((host, port))


def read_all(conn):
    got = b""
    while chunk := conn.recv(65536):
        got += chunk
    return got


# Clients.

def waits_for_ever(host, port):
    conn = connect(host, port)
    conn.sendall(REQUEST)
    read_all(conn)
    sys.exit(1)


def believes_what_came(host, port):
    """Takes the end of the stream for the end of the answer."""
    conn = connect(host, port)
    conn.sendall(REQUEST)
    read_all(conn)


def reconnects(host, port):
    while True:
        try:
            conn = connect(host, port)
            conn.sendall(REQUEST)
            read_all(conn)
            conn.close()
        except OSError:
            pass
        time.sleep(0.1)


def keeps_alive(host, port):
    conn = connect(host, port)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
        conn.setsockopt(socket.IPPROTO_TCP, option, value)
    conn.recv(1)
    sys.exit(1)


def resets(host, port):
    """Closes with most of the answer unread."""
    conn = connect(host, port)
    conn.sendall(REQUEST)
    conn.recv(10)
    time.sleep(0.2)
    conn.close()


def asks(host, port, options):
    """Waits without a limit of its own for an answer to a request."""
    conn = connect(host, port)
    for level, option, value in options:
        conn.setsockopt(level, option, value)
    try:
        conn.sendall(REQUEST)
        read_all(conn)
    finally:
        sys.exit(1)


def asks_with_keepalive(host, port):
    asks(host, port, ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                      (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
                      (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
                      (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)))


def asks_with_user_timeout(host, port):
    asks(host, port, ((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1500),))


def writes_and_goes(host, port):
    with connect(host, port) as conn:
        conn.sendall(REQUEST)


def read_answer(conn):
    """netkit's answer has 64 KiB of body."""
    left = 65536
    while left > 0 and (chunk := conn.recv(65536)):
        left -= len(chunk)
    return left <= 0


def asks_again(host, port):
    """On the same connection, when the answer is late."""
    conn = connect(host, port)
    conn.sendall(REQUEST)
    conn.settimeout(0.5)
    while True:
        try:
            sys.exit(not read_answer(conn))
        except TimeoutError:
            conn.sendall(REQUEST)


def gives_up_and_reconnects(host, port):
    for _ in range(20):
        try:
            with socket.create_connection((host, port), timeout=1) as conn:
                conn.sendall(REQUEST)
                sys.exit(not read_answer(conn))
        except OSError:
            pass
    sys.exit(1)


def gives_up(host, port):
    """And calls that a success."""
    try:
        with socket.create_connection((host, port), timeout=1) as conn:
            conn.sendall(REQUEST)
            read_answer(conn)
    except OSError:
        pass


def uploads_and_then_reads(host, port):
    conn = connect(host, port)
    conn.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + bytes(3000000))
    sys.exit(not conn.recv(65536).startswith(b"HTTP/1.1 200"))


# Servers.

def listen(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=64)
    return listener


def read_request(conn):
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = conn.recv(65536)
        if not chunk:
            break
        got += chunk
    return got


TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def is_upload(request):
    return request.startswith(b"POST")


def refuses_early(host, port):
    """Refuses an upload by its head, and closes with the body unread."""
    listener = listen(host, port)
    while True:
        conn, _ = listener.accept()
        conn.sendall(TOO_LARGE if is_upload(read_request(conn)) else ANSWER)
        conn.close()


def refuses_early_and_lingers(host, port):
    """The same, and throws the body away before it closes."""
    listener = listen(host, port)
    while True:
        conn, _ = listener.accept()
        conn.sendall(TOO_LARGE if is_upload(read_request(conn)) else ANSWER)
        conn.shutdown(socket.SHUT_WR)
        while conn.recv(65536):
            pass
        conn.close()


def refuses_early_and_waits(host, port):
    """Refuses an upload, and neither reads on nor closes."""
    listener = listen(host, port)
    held = []
    while True:
        conn, _ = listener.accept()
        conn.sendall(TOO_LARGE if is_upload(read_request(conn)) else ANSWER)
        held.append(conn)


def read_upload(conn):
    got = read_request(conn)
    length = int(got.lower().partition(b"content-length:")[2].partition(b"\r")[0] or 0)
    left = length - len(got.partition(b"\r\n\r\n")[2])
    while left > 0:
        left -= len(conn.recv(65536))
    return got


def answers_and_aborts(host, port, wait):
    """Reads and answers, with more than a hundred segments, waits, and closes with SO_LINGER 0."""
    listener = listen(host, port)
    body = b"x" * 400000
    while True:
        conn, _ = listener.accept()
        if read_upload(conn):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            wait(conn)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        conn.close()


def aborts(host, port):
    """As soon as the client has everything (SIOCOUTQ)."""
    def wait(conn):
        while struct.unpack("i", fcntl.ioctl(conn, termios.TIOCOUTQ, b"\0" * 4))[0]:
            time.sleep(0.001)
    answers_and_aborts(host, port, wait)


def aborts_at_the_end(host, port):
    """When the client has closed."""
    answers_and_aborts(host, port, lambda conn: conn.recv(1))


def forks(host, port, reaps):
    if reaps:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = listen(host, port)
    while True:
        conn, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            try:
                if read_request(conn):
                    conn.sendall(ANSWER)
            except OSError:
                pass
            os._exit(0)
        conn.close()


def forks_and_forgets(host, port):
    forks(host, port, False)


def forks_and_reaps(host, port):
    forks(host, port, True)


def never_closes(host, port):
    """Answers, and forgets about the connection."""
    import select
    listener = listen(host, port)
    held = []
    while True:
        ready, _, _ = select.select([listener] + [c for c in held if c], [], [])
        for one in ready:
            if one is listener:
                conn, _ = listener.accept()
                held.append(conn)
                continue
            try:
                got = one.recv(65536)
            except OSError:
                got = b""
            if b"\r\n\r\n" in got:
                one.sendall(ANSWER)
            held[held.index(one)] = None  # not asked again, and not closed
            leaked.append(one)


leaked = []


def dies_of_sigpipe(host, port):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    listener = listen(host, port)
    while True:
        conn, _ = listener.accept()
        try:
            if read_request(conn):
                conn.sendall(ANSWER)
                time.sleep(0.3)
                conn.send(b"x")
                time.sleep(0.1)
                conn.send(b"x")
        except OSError:
            pass
        conn.close()


def no_half_close(host, port):
    """Takes the end of the client's half for its end."""
    import select
    listener = listen(host, port)
    while True:
        conn, _ = listener.accept()
        read_request(conn)
        select.select([conn], [], [], 0.2)
        try:
            gone = conn.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        except BlockingIOError:
            gone = False
        if not gone:
            conn.sendall(ANSWER)
        conn.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
