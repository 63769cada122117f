#!/usr/bin/python3
"""The fixture server really shows what its habits promise, told by a client that is not netkit.

Times are only compared with those of another habit or another client in the same run, never with a
number of milliseconds: a delayed acknowledgement is what the two-writes habit shows, and everything
else is said in proportion to that or to a sleep that the server was told.

With --report it prints what it measured instead of testing.
"""

import errno
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True  # the source tree may be read-only
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from support import families  # noqa: E402

from fixture import Server, exchange  # noqa: E402

ROUNDS = 9
CORK_ROUNDS = 5  # they take long
WARMUP = 2
ANSWER = 300
TCP_MAXSEG = socket.TCP_MAXSEG
SMALL_MSS = [(socket.IPPROTO_TCP, TCP_MAXSEG, 88)]
REQUEST = (b"a request in one write\n",)
SPLIT_REQUEST = (b"a request ", b"in two writes\n")


class Measured:
    """Medians over the rounds after the warm-up, and the first round of the connection."""

    def __init__(self, rounds):
        steady = rounds[WARMUP:]
        self.fresh = rounds[0].total
        self.total = statistics.median(r.total for r in steady)
        self.first = statistics.median(r.first for r in steady)
        self.gap = statistics.median(r.gap for r in steady)
        # The gap is the longest silence inside an answer: half of it parts before from after.
        self.early_bytes = statistics.median(
            r.bytes_before(r.first + max(r.gap, 1e-9) / 2) for r in steady
        )


def measure(habit, family, parts=REQUEST, answer=ANSWER, options=(), quickack=False, server=()):
    rounds = CORK_ROUNDS if "cork" in habit or "more" in habit else ROUNDS
    with Server([*server, "--response-bytes", str(answer), *habit.split()], family) as running:
        with running.connect(family, options) as sock:
            return Measured(
                [exchange(sock, parts, answer, quickack) for _ in range(WARMUP + rounds)]
            )


def first_exchange(habit, family):
    """How long the first exchange of a connection takes: the median of several connections."""
    totals = []
    with Server(["--response-bytes", str(ANSWER), *habit.split()], family) as running:
        for _ in range(ROUNDS):
            with running.connect(family) as sock:
                totals.append(exchange(sock, REQUEST, ANSWER).total)
    return statistics.median(totals)


def effective_mss(family):
    with Server(["one-write"], family) as running:
        with running.connect(family, SMALL_MSS) as sock:
            return sock.getsockopt(socket.IPPROTO_TCP, TCP_MAXSEG)


class HabitsShow(unittest.TestCase):
    """Each subject measures what it compares, in both families."""

    def each_family(self, check):
        for family in families():
            with self.subTest(family=family):
                check(family)

    def much_longer(self, slow, quick, times=3):
        self.assertGreater(slow, quick * times)

    def about(self, value, reference, times=1.6):
        self.assertGreater(value, reference / times)
        self.assertLess(value, reference * times)

    def test_two_writes_stall_after_the_first_exchange(self):
        def check(family):
            stalled = measure("two-writes", family)
            self.much_longer(stalled.total, measure("one-write", family).total)
            self.much_longer(stalled.total, measure("two-writes-nodelay", family).total)
            self.much_longer(stalled.total, measure("two-writes nodelay", family).total)
            self.much_longer(stalled.total, measure("uncork", family).total)
            self.much_longer(stalled.total, first_exchange("two-writes", family))
            self.much_longer(stalled.gap, stalled.first)

        self.each_family(check)

    def test_a_client_that_acknowledges_at_once_ends_the_stall(self):
        def check(family):
            stalled = measure("two-writes", family)
            self.much_longer(stalled.total, measure("two-writes", family, quickack=True).total)

        self.each_family(check)

    def test_thinking_is_in_front_and_no_socket_option_shortens_it(self):
        def check(family):
            short, long = measure("think 40ms", family), measure("think 160ms", family)
            self.much_longer(long.total, short.total, 2)
            self.much_longer(long.first, long.gap)
            self.about(measure("think 160ms", family, quickack=True).total, long.total)
            self.about(measure("think 160ms", family, options=SMALL_MSS).total, long.total)

        self.each_family(check)

    def test_half_sleep_is_inside_the_answer(self):
        def check(family):
            nagle = measure("half-sleep 130ms", family)
            nodelay = measure("half-sleep 130ms nodelay", family)
            self.about(nagle.total, nodelay.total)
            self.about(measure("half-sleep 130ms", family, quickack=True).total, nodelay.total)
            self.much_longer(nagle.gap, nagle.first)
            self.assertEqual(nagle.early_bytes, ANSWER // 2)

        self.each_family(check)

    def test_think_and_two_writes_add_up(self):
        def check(family):
            both = measure("think-and-two-writes 80ms", family)
            self.about(both.first, measure("think 80ms", family).total)
            self.about(both.gap, measure("two-writes", family).total)

        self.each_family(check)

    def test_a_cork_holds_longer_than_a_delayed_ack_and_quickack_does_not_end_it(self):
        def check(family):
            stalled = measure("two-writes", family)
            for habit in ("cork", "more"):
                corked = measure(habit, family)
                self.much_longer(corked.total, stalled.total, 2)
                self.much_longer(corked.first, corked.gap)
                self.about(measure(habit, family, quickack=True).total, corked.total)
            body = measure("cork-body", family, quickack=True)
            self.much_longer(body.gap, stalled.gap, 2)
            self.assertEqual(body.early_bytes, 100)

        self.each_family(check)

    def test_a_small_mss_lets_all_but_the_rest_of_a_corked_answer_out(self):
        def check(family):
            mss = effective_mss(family)
            answer = 7 * mss + mss // 2
            tail = measure("cork", family, answer=answer, options=SMALL_MSS)
            plain = measure("cork", family, answer=answer)
            self.assertEqual(tail.early_bytes, 7 * mss)
            self.about(tail.gap, plain.total)
            self.much_longer(plain.total, tail.first)
            whole = measure("cork", family, answer=7 * mss, options=SMALL_MSS)
            self.much_longer(plain.total, whole.total)

        self.each_family(check)

    def test_a_split_request_stalls_at_an_ordinary_reader_only(self):
        def check(family):
            stalled = measure("delayed-ack", family, parts=SPLIT_REQUEST)
            self.much_longer(stalled.total, measure("delayed-ack", family).total)
            self.much_longer(
                stalled.total, measure("quickack", family, parts=SPLIT_REQUEST).total
            )
            nodelay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
            self.much_longer(
                stalled.total,
                measure("delayed-ack", family, parts=SPLIT_REQUEST, options=nodelay).total,
            )

        self.each_family(check)

    def test_intermittent_stalls_every_kth_round(self):
        def check(family):
            with Server(["intermittent", "4"], family) as server, server.connect(family) as sock:
                rounds = [exchange(sock, REQUEST, ANSWER) for _ in range(24)]
            gaps = [r.gap for r in rounds]
            stalled = statistics.median(gaps[7::4])
            others = [gap for i, gap in enumerate(gaps) if i % 4 != 3]
            self.assertEqual(statistics.median(others), 0)
            self.assertGreater(stalled, max(statistics.quantiles(others, n=4)))
            self.assertTrue(all(len(r.pieces) > 1 for r in rounds[7::4]))

        self.each_family(check)


def read_exactly(sock, count):
    """MSG_WAITALL does nothing on a socket with a timeout."""
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def read_all(sock):
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


class Protocol(unittest.TestCase):
    def ask(self, args, request, count=None):
        with Server(args) as server, server.connect() as sock:
            sock.sendall(request)
            if count is None:
                return read_all(sock)
            return read_exactly(sock, count)

    def test_http_answers_have_the_announced_length(self):
        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        data = self.ask(["--http", "one-write"], request + request, 600)
        for answer in (data[:300], data[300:]):
            header, _, body = answer.partition(b"\r\n\r\n")
            self.assertTrue(header.startswith(b"HTTP/1.1 200 OK"))
            self.assertIn(b"Content-Length: 200", header)
            self.assertEqual((len(header) + 4, len(body)), (100, 200))

    def test_http_bodies_of_requests_are_read(self):
        request = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 70000\r\n\r\n"
        with Server(["--http", "one-write"]) as server, server.connect() as sock:
            sock.sendall(request)
            self.assertEqual(read_exactly(sock, 25)[:12], b"HTTP/1.1 100")
            sock.sendall(b"\n" * 70000)
            self.assertEqual(len(read_exactly(sock, 300)), 300)
            sock.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                sock.recv(1)

    def test_chunked_answers_decode(self):
        import http.client

        with Server(["--http", "chunked"]) as server:
            client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            for _ in range(5):
                client.request("GET", "/")
                self.assertEqual(client.getresponse().read(), b"hello\r\n0\r\n\r\n345x")
            client.close()

    def test_http_1_0_closes_after_the_answer(self):
        data = self.ask(["--http", "close-after"], b"GET / HTTP/1.0\r\n\r\n")
        self.assertIn(b"Connection: close\r\n", data)
        self.assertEqual(len(data), 300)

    def test_http_100_comes_first(self):
        data = self.ask(["--http", "http-100-continue"], b"GET / HTTP/1.1\r\n\r\n", 325)
        self.assertTrue(data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"))

    def test_requests_of_a_number_of_bytes(self):
        data = self.ask(["--request-bytes", "10", "one-write"], b"\n" * 30, 900)
        self.assertEqual(len(data), 900)

    def test_line_answers_end_with_the_only_line_end(self):
        self.assertEqual(self.ask(["one-write"], b"x\n", 300).index(b"\n"), 299)

    def test_close_mid_sends_half(self):
        self.assertEqual(len(self.ask(["close-mid"], b"x\n")), 150)

    def test_reset_mid_sends_half_then_rst(self):
        with Server(["reset-mid"]) as server, server.connect() as sock:
            sock.sendall(b"x\n")
            self.assertEqual(len(read_exactly(sock, 150)), 150)
            with self.assertRaises(ConnectionResetError):
                sock.recv(1)

    def test_banner_speaks_first(self):
        with Server(["banner"]) as server, server.connect() as sock:
            self.assertTrue(sock.recv(100).startswith(b"220 "))
            sock.sendall(b"NOOP\r\nQUIT\r\n")
            self.assertEqual(read_all(sock), b"250 ok\r\n221 bye\r\n")

    def test_trickle_comes_complete(self):
        self.assertEqual(len(self.ask(["--response-bytes", "150", "trickle"], b"x\n", 150)), 150)

    def test_large_answers_come_complete(self):
        self.assertEqual(len(self.ask(["large-response", "3M"], b"x\n", 3 << 20)), 3 << 20)
        args = ["paced-large-response", "300k", "64k", "1ms"]
        self.assertEqual(len(self.ask(args, b"x\n", 300 << 10)), 300 << 10)

    def test_silence(self):
        for habit in ("silent", "no-accept"):
            with Server([habit]) as server, server.connect() as sock:
                sock.sendall(b"x\n")
                sock.settimeout(0.2)
                with self.assertRaises(TimeoutError):
                    sock.recv(1)

    def test_never_complete_has_no_line_end(self):
        self.assertEqual(self.ask(["never-complete"], b"x\n", 20), b"x" * 20)

    def test_stop_reading_closes_the_window_and_then_answers(self):
        size = 1 << 20
        args = ["--rcvbuf", "8k", "--request-bytes", str(size), "stop-reading", "4k"]
        for duration in ("ever", "300ms"):
            with Server([*args, duration]) as server, server.connect() as sock:
                sock.settimeout(0.2 if duration == "ever" else 30)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
                if duration == "ever":
                    with self.assertRaises(TimeoutError):
                        sock.sendall(b"x" * size)
                else:
                    self.assertEqual(exchange(sock, (b"x" * size,), ANSWER).pieces[0][0], ANSWER)


class Robustness(unittest.TestCase):
    def test_it_survives_resets_at_any_moment(self):
        with Server(["two-writes"]) as server:
            for i in range(200):
                sock = server.connect(families()[i % len(families())])
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if i % 3:
                    sock.sendall(b"x\n" * (i % 7))
                sock.close()
            with server.connect() as sock:
                exchange(sock, REQUEST, ANSWER)
            self.assertEqual(server.stop(), (0, ""))

    def test_many_connections_at_once_and_one_after_the_other(self):
        with Server(["one-write"]) as server:
            socks = [server.connect() for _ in range(300)]
            for sock in socks:
                sock.sendall(b"x\n")
            for sock in socks:
                self.assertEqual(len(read_exactly(sock, ANSWER)), ANSWER)
                sock.close()
            for _ in range(300):
                with server.connect() as sock:
                    exchange(sock, REQUEST, ANSWER)
            self.assertEqual(server.stop(), (0, ""))

    def test_sigterm_ends_it_whatever_it_is_doing(self):
        for habit in ("silent", "think 1h", "stop-reading 0", "large-response 64M", "no-accept"):
            with self.subTest(habit=habit), Server(habit.split()) as server:
                socks = [server.connect() for _ in range(3)]
                for sock in socks:
                    sock.sendall(b"x\n")
                self.assertEqual(server.stop(), (0, ""))
                for sock in socks:
                    sock.close()

    def test_sigint_too(self):
        with Server(["one-write"]) as server:
            server.process.send_signal(signal.SIGINT)
            _, errors = server.process.communicate(timeout=30)
            self.assertEqual((server.process.returncode, errors), (0, ""))

    def test_an_endless_pause_ends_with_the_client(self):
        with Server(["stop-reading", "0"]) as server:
            with server.connect() as sock:
                sock.sendall(b"x\n")
            with server.connect() as sock:
                # The thread of the first connection closes it: the peer of a FIN-WAIT-2 socket
                # is gone once the kernel has no such pair any more.
                for _ in range(3000):
                    if count_sockets(server.port, "01 08".split()) <= 2:
                        return
                    time.sleep(0.01)
        self.fail("the first connection is still open")

    def test_families(self):
        for family in families():
            with Server(["one-write"], family) as server:
                server.connect(family).close()
                for other in set(families()) - {family}:
                    with self.assertRaises(OSError) as caught:
                        server.connect(other)
                    self.assertEqual(caught.exception.errno, errno.ECONNREFUSED)

    def test_bad_usage_is_told(self):
        binary = os.environ["NETKIT_FIXTURE_SERVER"]
        for args in (
            [],
            ["no-such-habit"],
            ["think", "soon"],
            ["think", "1ms", "2ms"],
            ["intermittent", "0"],
            ["paced-large-response", "1k", "0"],
            ["--family", "5", "one-write"],
            ["--header-bytes", "300", "one-write"],
            ["--http", "--header-bytes", "10", "one-write"],
            ["--http", "--request-bytes", "10", "one-write"],
            ["--port", "70000", "one-write"],
            ["--bogus"],
        ):
            with self.subTest(args=args):
                ended = subprocess.run([binary, *args], capture_output=True, text=True, timeout=30)
                self.assertEqual(ended.returncode, 2)
                self.assertNotEqual(ended.stderr, "")
                self.assertEqual(ended.stdout, "")

    def test_the_list_names_every_habit(self):
        binary = os.environ["NETKIT_FIXTURE_SERVER"]
        shown = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True)
        for line in shown.stdout.splitlines():
            with self.subTest(habit=line.split()[0]), Server([line.split()[0]]) as server:
                server.connect().close()
                self.assertEqual(server.stop(), (0, ""))


def count_sockets(port, states):
    """Connected sockets on this port, both ends counted, by the states of /proc/net/tcp."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            with open(table, encoding="ascii") as lines:
                for fields in map(str.split, list(lines)[1:]):
                    ends = [int(end.rsplit(":", 1)[1], 16) for end in fields[1:3]]
                    count += port in ends and fields[3] in states
    return count


def report():
    """A table of what each habit showed, for a person."""
    cases = [
        ("one-write", {}), ("two-writes", {}), ("two-writes", {"quickack": True}),
        ("two-writes", {"options": SMALL_MSS}), ("two-writes-nodelay", {}), ("uncork", {}),
        ("think 40ms", {}), ("half-sleep 65ms", {}), ("half-sleep 65ms nodelay", {}),
        ("half-sleep 41ms", {}), ("half-sleep 41ms", {"quickack": True}),
        ("half-sleep 41ms nodelay", {}), ("think-and-two-writes 40ms", {}),
        ("think-and-two-writes 40ms", {"quickack": True}),
        ("cork", {}), ("cork", {"answer": 60, "server": ["--header-bytes", "30"]}),
        ("cork", {"answer": 600}), ("cork", {"quickack": True}),
        ("cork", {"answer": 600, "options": SMALL_MSS}),
        ("cork-body", {}), ("cork-body", {"quickack": True}), ("cork-body", {"options": SMALL_MSS}),
        ("more", {}), ("more", {"quickack": True}), ("more", {"options": SMALL_MSS}),
        ("delayed-ack", {}), ("delayed-ack", {"parts": SPLIT_REQUEST}),
        ("quickack", {"parts": SPLIT_REQUEST}),
    ]  # fmt: skip
    print("v  first round   total      first      gap  (ms, medians)  bytes before the gap")
    for habit, how in cases:
        for family in families():
            m = measure(habit, family, **how)
            times = " ".join(f"{t * 1e3:10.2f}" for t in (m.fresh, m.total, m.first, m.gap))
            name = " ".join([habit] + [f"{k}={v}" for k, v in how.items() if k != "server"])
            print(f"{family} {times}  {m.early_bytes:8.0f}  {name}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--report"]:
        report()
    else:
        unittest.main()
