#!/usr/bin/python3
"""How tcp-probe holds a conversation, against servers of odd habits.

Each server is a function of a connection; it runs in a thread of its own for each. Times are only
ever bounded from below: what was asked for may come later on a busy machine, never earlier."""

import contextlib
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import FAMILIES, Decisions, families, find_programs, skip  # noqa: E402

find_programs("NETKIT")
NETKIT = os.environ["NETKIT"]
BOUND = 60  # seconds after which a run counts as endless


class Server:
    def __init__(self, habit, family=socket.AF_INET):
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.listener.listen(100)
        self.port = self.listener.getsockname()[1]
        self.habit = habit
        self.accepted = []  # when
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.accepted.append(time.monotonic())
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            self.habit(connection)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class OneAtATime(Server):
    """Serves a connection to its end before it accepts the next one."""

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.serve(self.listener.accept()[0])


@contextlib.contextmanager
def crowd(server, family, count):
    """So many clients, each of which comes back as soon as it was served."""
    over = threading.Event()

    def client():
        with contextlib.suppress(OSError):
            while not over.is_set():
                with socket.socket(family) as connection:
                    connection.connect(server.listener.getsockname()[:2])
                    connection.sendall(b"x\n")
                    while connection.recv(4096):
                        pass

    threads = [threading.Thread(target=client, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(BOUND)


def lines(connection):
    """The lines that the client sends, until it closes."""
    pending = b""
    while data := connection.recv(65536):
        pending += data
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            yield line


def answering(connection):
    for _ in lines(connection):
        connection.sendall(b"answer\n")


def probe(server, *options, target=None, status=0):
    command = [NETKIT, "tcp-probe", "--json", *options, target or f"127.0.0.1:{server.port}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    report = json.loads(ended.stdout)
    if status is not None and ended.returncode != status:
        raise AssertionError(f"status {ended.returncode}: {ended.stderr}{ended.stdout}")
    return report, report["results"][0]


def place(server, family):
    return f"[::1]:{server.port}" if family == socket.AF_INET6 else f"127.0.0.1:{server.port}"


FEW = ["--rounds", "6", "--warmup", "0", "--no-interventions"]
LINE = ["--send", r"hello, server\n", "--until", "line"]
MS = 1_000_000


class NewConnections(unittest.TestCase):
    NEW = ["--new-connection", "--rounds", "8", "--response-timeout", "20s"]

    def test_connections_wait_to_be_accepted(self):
        def slow(connection):
            next(lines(connection), None)
            time.sleep(0.02)
            connection.sendall(b"answer\n")

        decisions = Decisions()
        for family in families():
            family = FAMILIES[family]
            with OneAtATime(slow, family) as server, crowd(server, family, 11):
                report, _ = probe(server, *self.NEW, *LINE, target=place(server, family),
                                  status=None)  # fmt: skip
            found = {finding["code"]: finding for finding in report["findings"]}
            busy = found.get("inconclusive", {}).get("summary", "")
            if not decisions.decides(f"family {family}", busy if "wanted the" in busy else ""):
                continue
            self.assertEqual(set(found), {"slow-accept"}, report["findings"])
            self.assertEqual(found["slow-accept"]["side"], "server")
            self.assertGreater(found["slow-accept"]["evidence"]["accept_queue"], 3)
            self.assertGreater(found["slow-accept"]["cost_ns"], 60 * MS)
        decisions.end()

    def test_what_our_own_rounds_meet_is_a_note(self):
        """The service answers one request of a connection, and then does what no client of it ever
        sees."""

        def silent(connection):
            each = lines(connection)
            next(each, None)
            connection.sendall(b"answer\n")
            for _ in each:
                pass

        def rude(connection):
            each = lines(connection)
            next(each, None)
            connection.sendall(b"answer\n")
            next(each, None)
            connection.sendall(b"half an ans")

        def odd(connection):
            each = lines(connection)
            next(each, None)
            connection.sendall(b"answer\n")
            next(each, None)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        for habit, said in ((silent, "waited"), (rude, "closed"), (odd, "")):
            for family in families():
                family = FAMILIES[family]
                with self.subTest(habit=habit.__name__, family=family):
                    with Server(habit, family) as server:
                        began = time.monotonic()
                        report, result = probe(server, *self.NEW, *LINE,
                                               target=place(server, family), status=None)  # fmt: skip
                    errors = [found for found in report["findings"] if found["severity"] == "error"]
                    self.assertEqual(errors, [])
                    self.assertTrue(result["ok"])
                    self.assertIsNone(result["error"])
                    self.assertEqual(result["rounds"], 8)
                    self.assertLess(time.monotonic() - began, 15)
                    notes = [note for note in result["notes"] if "own rounds" in note]
                    self.assertEqual(len(notes), said != "", result["notes"])
                    self.assertIn(said, "".join(notes))

    def test_what_the_users_rounds_meet_is_an_error(self):
        with Server(lambda connection: next(lines(connection), None)) as server:
            _, result = probe(server, *self.NEW, *LINE, status=4)
        self.assertEqual(result["error"]["code"], "response-truncated")

    def test_a_server_that_closes_needs_no_arms(self):
        def once(connection):
            next(lines(connection), None)
            connection.sendall(b"answer\n")

        with Server(once) as server:
            _, result = probe(server, *self.NEW, *LINE)
        self.assertEqual(result["rounds"], 8)
        self.assertEqual([arm["name"] for arm in result["arms"]], ["baseline"])

    def test_a_duration_leaves_time_for_the_arms(self):
        for family in families():
            family = FAMILIES[family]
            for options in ([], ["--new-connection"]):
                with Server(answering, family) as server:
                    _, result = probe(server, *LINE, *options, "--duration", "4s",
                                      "--rounds", "1000000",
                                      target=place(server, family))  # fmt: skip
                self.assertEqual({arm["name"] for arm in result["arms"]},
                                 {"baseline", "nodelay", "quickack", "nodelay+quickack",
                                  "single-write"})  # fmt: skip


class Proxies(unittest.TestCase):
    def test_a_proxy_is_named_where_it_may_hide_a_stall(self):
        def proxy(connection):
            for line in lines(connection):
                if line == b"\r":
                    time.sleep(0.041)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nServer: a\r\n"
                                       b"VIA: 1.1 pro\x1bxy\r\nContent-Length: 2\r\n\r\nhi")  # fmt: skip

        decisions = Decisions()
        for family in families():
            family = FAMILIES[family]
            with Server(proxy, family) as server:
                report, _ = probe(server, "--preset", "http", "--rounds", "10",
                                  target=place(server, family), status=None)  # fmt: skip
            found = {finding["code"]: finding for finding in report["findings"]}
            median = report["results"][0]["breakdown"]["server_ns"]
            busy = found.get("inconclusive", {}).get("summary", "")
            late = f"{median} ns instead of 41 ms" if median > 49 * MS else ""
            if not decisions.decides(f"family {family}", busy or late):
                continue
            self.assertIn(r"through a proxy (VIA: 1.1 pro\x1bxy)",
                          found["server-think-time"]["remedy"])  # fmt: skip
        decisions.end()


class Costs(unittest.TestCase):
    def test_a_hold_during_our_own_pauses_costs_less(self):
        """The second piece is held for 40 ms, of which the third one's pause is 5 ms anyway."""
        decisions = Decisions()
        for family in families():
            family = FAMILIES[family]
            with Server(answering, family) as server:
                report, result = probe(server, "--send", "x" * 88 + r"\n", "--until", "line",
                                       "--split", "30,30,29", "--gap", "5ms",
                                       "--arms", "baseline,nodelay", "--rounds", "20",
                                       target=place(server, family), status=None)  # fmt: skip
            found = {finding["code"]: finding for finding in report["findings"]}
            busy = found.get("inconclusive", {}).get("summary", "")
            if not decisions.decides(f"family {family}", busy):
                continue
            stall = found["nagle-delayed-ack"]
            self.assertEqual(stall["side"], "client")
            p50 = {arm["name"]: arm["p50_ns"] for arm in result["arms"]}
            removed = p50["baseline"] - p50["nodelay"]
            self.assertGreater(stall["cost_ns"], 10 * MS)
            self.assertLess(stall["cost_ns"], stall["evidence"]["hold_ns"])
            self.assertLess(stall["cost_ns"], removed + 5 * MS, p50)
        decisions.end()

    def test_a_large_upload_is_not_acknowledged_late(self):
        play = os.path.join(os.path.dirname(os.path.abspath(__file__)), "servers", "play.py")
        for family in (4, 6):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "report")
                client = [NETKIT, "tcp-probe", f"-{family}", "--json", "-o", path, "--rounds", "10",
                          "--send", "x" * 99_999 + r"\n", "--until", "bytes:100", "server:7000"]
                ended = subprocess.run(
                    [NETKIT, "lab", f"-{family}", "--json", "--delay", "10ms", "--rate", "5M",
                     "--server", "exec " + shlex.join([sys.executable, play, "7000", "100000",
                                                       "w:100"]),
                     "--client", "exec " + shlex.join(client)],
                    capture_output=True, text=True, timeout=BOUND, check=False)  # fmt: skip
                if ended.returncode == 3:
                    skip(ended.stderr)
                with open(path, encoding="utf-8") as file:
                    report = json.load(file)
            self.assertEqual(report["results"][0]["rounds"], 10, report)
            codes = {finding["code"] for finding in report["findings"]}
            self.assertFalse(codes & {"delayed-ack", "server-think-time"}, report["findings"])


class Conversation(unittest.TestCase):
    def check_sum(self, result):
        self.assertEqual(sum(ns for key, ns in result["breakdown"].items()
                             if not key.endswith(("_min_ns", "_max_ns"))), result["latency"]["p50_ns"])
        self.assertTrue(all(part >= 0 for part in result["breakdown"].values()))

    def test_an_answer_may_be_complete_before_the_request_is(self):
        def early(connection):
            while first := connection.recv(1):
                connection.sendall(b"I know already\n")
                while first != b"\n":
                    first = connection.recv(1)

        with Server(early) as server:
            _, result = probe(server, *FEW, *LINE, "--split", "5", "--gap", "30ms",
                              "--response-timeout", "20s")  # fmt: skip
        self.assertEqual(result["rounds"], 6)
        self.check_sum(result)

    def test_an_early_byte_does_not_cut_the_pause_short(self):
        def early(connection):
            while first := connection.recv(1):
                connection.sendall(b"wait for it")
                while first != b"\n":
                    first = connection.recv(1)
                connection.sendall(b", here\n")

        with Server(early) as server:
            _, result = probe(server, *FEW, *LINE, "--split", "5", "--gap", "50ms")
        self.assertGreaterEqual(result["latency"]["min_ns"], 50 * MS)
        self.check_sum(result)

    def test_pauses_are_not_counted_against_the_response_timeout(self):
        with Server(answering) as server:
            _, result = probe(server, *FEW, *LINE, "--split", "2,2,2", "--gap", "400ms",
                              "--response-timeout", "1s", "--rounds", "1")  # fmt: skip
        self.assertGreaterEqual(result["latency"]["min_ns"], 1200 * MS)

    def test_until_close_takes_nothing_for_an_answer(self):
        def closing(connection):
            next(lines(connection), None)

        with Server(closing) as server:
            _, result = probe(server, *FEW, "--send", r"x\n", "--until", "close")
        self.assertEqual(result["rounds"], 6)
        self.check_sum(result)

    def test_until_close_lasts_until_the_close(self):
        def late(connection):
            next(lines(connection), None)
            connection.sendall(b"all there is\n")
            time.sleep(0.05)

        with Server(late) as server:
            _, result = probe(server, *FEW, "--send", r"x\n", "--until", "close")
            _, http = probe(server, *FEW, "--send", r"x\n", "--until", "close", "--new-connection")
        for one in (result, http):
            self.assertEqual(one["rounds"], 6)
            self.assertGreaterEqual(one["latency"]["min_ns"], 50 * MS)
            self.check_sum(one)

    def test_late_bytes_are_not_the_next_answer(self):
        def talkative(connection):
            for _ in lines(connection):
                time.sleep(0.03)
                connection.sendall(b"answer\n")
                time.sleep(0.01)
                connection.sendall(b"and one more thing\n")

        with Server(talkative) as server:
            report, result = probe(server, *FEW, *LINE, "--interval", "100ms")
        self.assertGreaterEqual(result["latency"]["min_ns"], 30 * MS)
        self.assertIn("beyond the end of an answer", json.dumps(report))

    def test_a_flood_is_not_read_for_ever(self):
        def flooding(connection):
            while True:
                connection.sendall(b"x\n" * 32768)

        with Server(flooding) as server:
            _, result = probe(server, *FEW, *LINE)
        self.assertEqual(result["rounds"], 6)

    def test_nothing_is_awaited(self):
        with Server(answering) as server:
            report, result = probe(server, *FEW, "--send", r"x\n", "--until", "nothing")
            self.assertNotIn("beyond the end", json.dumps(report))
        self.assertEqual(result["rounds"], 6)
        self.check_sum(result)

    def test_idle_ends_an_answer_and_is_not_part_of_it(self):
        def twice(connection):
            for _ in lines(connection):
                connection.sendall(b"one")
                time.sleep(0.02)
                connection.sendall(b"two")

        with Server(twice) as server:
            _, result = probe(server, *FEW, "--send", r"x\n", "--until", "idle:3s", "--rounds", "1")
        self.assertGreaterEqual(result["latency"]["min_ns"], 20 * MS)
        self.assertLess(result["latency"]["min_ns"], 3000 * MS)

    def test_a_server_that_only_ever_answers_once_is_given_up(self):
        """It closes when it gets a second request, each time; the probe reconnects, and ends."""

        def once(connection):
            each = lines(connection)
            next(each, None)
            connection.sendall(b"answer\n")
            next(each, None)

        with Server(once) as server:
            _, result = probe(server, *LINE, "--rounds", "20", "--arms", "baseline,nodelay")
        self.assertEqual(result["rounds"], 20)

    def test_a_server_that_answers_nothing_and_closes(self):
        with Server(lambda connection: next(lines(connection), None)) as server:
            _, result = probe(server, *LINE, status=4)
            self.assertEqual(result["error"]["code"], "response-truncated")
            # Once for the answer, and again to see what it does unasked, and to a ClientHello.
            self.assertLessEqual(len(server.accepted), 3)

    def test_http_says_that_it_will_close_and_is_believed(self):
        requests = []

        def http10(connection):
            pending = b""
            while data := connection.recv(65536):
                pending += data
                while b"\r\n\r\n" in pending:
                    pending = pending.split(b"\r\n\r\n", 1)[1]
                    requests.append(1)
                    if len(requests) % 2:
                        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                    else:
                        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
                                           b"Content-Length: 2\r\n\r\nhi")  # fmt: skip
                    time.sleep(0.02)
                    connection.shutdown(socket.SHUT_RDWR)
                    return

        with Server(http10) as server:
            _, result = probe(server, *FEW, "--preset", "http")
            self.assertEqual(result["rounds"], 6)
            self.assertEqual(len(requests), 6)
            self.assertEqual(len(server.accepted), 6)

    def test_a_large_answer_is_read_whole(self):
        body = os.urandom(700_000)

        def large(connection):
            for _ in lines(connection):
                connection.sendall(body)

        with Server(large) as server:
            _, result = probe(server, *FEW, "--send", r"x\n", "--until", f"bytes:{len(body)}")
        self.assertEqual(result["rounds"], 6)
        self.check_sum(result)

    def test_a_huge_request_is_written_whole(self):
        def counting(connection):
            while True:
                left = 3 << 20
                while left:
                    data = connection.recv(min(left, 65536))
                    if not data:
                        return
                    left -= len(data)
                connection.sendall(b"got it\n")

        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"netkit-request-{os.getpid()}")
        with open(path, "wb") as file:
            file.write(b"x" * (3 << 20))
        try:
            with Server(counting) as server:
                _, result = probe(server, *FEW, "--send-file", path, "--until", "line",
                                  "--split", "1,1M,1")  # fmt: skip
        finally:
            os.unlink(path)
        self.assertEqual(result["rounds"], 6)
        self.check_sum(result)

    def test_what_was_said_before_a_reset_is_heard(self):
        """A server that refuses a large request and hangs up with most of it unread."""

        def refusing(connection):
            connection.recv(1)
            connection.sendall(b"too large\n")

        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"netkit-request-{os.getpid()}")
        with open(path, "wb") as file:
            file.write(b"x" * (16 << 20))
        try:
            with Server(refusing) as server:
                _, result = probe(server, *FEW, "--send-file", path, "--until", "line")
        finally:
            os.unlink(path)
        self.assertEqual(result["rounds"], 6)
        self.check_sum(result)

    def no_answer(self, habit, *options, family=4):
        """The cause that is named of a server that never answers, and what is said of it."""
        with Server(habit, FAMILIES[family]) as server:
            host = "[::1]" if family == 6 else "127.0.0.1"
            report, result = probe(server, *(options or ["--preset", "redis"]), *FEW,
                                   target=f"{host}:{server.port}", status=4)  # fmt: skip
        self.assertFalse(result["ok"])
        finding = report["findings"][-1]
        return finding["evidence"].get("cause"), result["error"]["message"], finding

    def test_what_accepts_and_has_no_backend(self):
        def closes(connection):
            pass

        def resets(connection):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        for family in families():
            for habit in (closes, resets):
                for options in ([], ["--preset", "smtp"]):
                    with self.subTest(habit=habit.__name__, family=family, options=options):
                        cause, message, finding = self.no_answer(habit, *options, family=family)
                        self.assertEqual((cause, finding["side"]), ("ends-unasked", "server"))
                        self.assertIn("has no backend", message)

    def test_what_hangs_up_on_the_request(self):
        def unread(connection):
            connection.recv(1, socket.MSG_PEEK)

        def read(connection):
            connection.recv(4096)

        for habit, wanted in ((unread, "reset-on-request"), (read, "closed-on-request")):
            with self.subTest(habit=habit.__name__):
                cause, message, _ = self.no_answer(habit)
                self.assertEqual(cause, wanted)
                self.assertIn("nothing was sent stayed open", message)

    def test_an_answer_that_a_reset_cuts_off(self):
        def cut(connection):
            connection.recv(4096)
            connection.sendall(b"+half")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        cause, message, _ = self.no_answer(cut)
        self.assertEqual(cause, "answer-cut-off")
        self.assertIn("5 bytes", message)

    def test_a_silent_server_of_no_tls(self):
        def silent(connection):
            while connection.recv(4096):
                pass

        def echo(connection):
            if (data := connection.recv(4096)).startswith(b"\x16"):
                connection.sendall(data)
            while connection.recv(4096):
                pass

        for habit in (silent, echo):
            with self.subTest(habit=habit.__name__):
                cause, message, _ = self.no_answer(habit, "--preset", "redis", "--response-timeout",
                                                   "300ms")  # fmt: skip
                self.assertIsNone(cause)
                self.assertNotIn("--tls", message)

    def test_ipv6_with_a_zone(self):
        if 6 not in families():
            self.skipTest("no IPv6 here")
        hosts = []

        def http(connection):
            pending = b""
            while data := connection.recv(65536):
                pending += data
                while b"\r\n\r\n" in pending:
                    head, pending = pending.split(b"\r\n\r\n", 1)
                    hosts.extend(line for line in head.split(b"\r\n") if line[:5] == b"Host:")
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        with Server(http, socket.AF_INET6) as server:
            _, result = probe(server, *FEW, "--preset", "http", target=f"[::1%1]:{server.port}")
        self.assertEqual(result["rounds"], 6)
        # The zone means something on this host only (RFC 6874 section 3).
        self.assertEqual(set(hosts), {f"Host: [::1]:{server.port}".encode()})


class Frequency(unittest.TestCase):
    def test_interval_is_kept_on_one_connection(self):
        heard = []

        def hearing(connection):
            for _ in lines(connection):
                heard.append(time.monotonic())
                connection.sendall(b"answer\n")

        with Server(hearing) as server:
            probe(server, *FEW, *LINE, "--interval", "30ms")
        self.assertEqual(len(heard), 6)
        self.assertGreaterEqual(heard[-1] - heard[0], 0.08)

    def test_interval_is_kept_with_new_connections(self):
        for options in (["--new-connection", *LINE], ["--preset", "connect"]):
            with self.subTest(options=options), Server(answering) as server:
                began = time.monotonic()
                probe(server, *FEW, *options, "--interval", "30ms")
                # By our own clock: the server's thread may be late to accept what is queued.
                self.assertGreaterEqual(time.monotonic() - began, 0.08)
                deadline = time.monotonic() + 10
                while len(server.accepted) < 6 and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertEqual(len(server.accepted), 6)

    def test_interval_is_kept_when_the_server_closes(self):
        def once(connection):
            next(lines(connection), None)
            connection.sendall(b"answer\n")

        with Server(once) as server:
            _, result = probe(server, *FEW, *LINE, "--interval", "30ms")
            self.assertEqual(result["rounds"], 6)
            self.assertGreaterEqual(server.accepted[-1] - server.accepted[0], 0.08)

    def test_a_duration_is_not_slept_through(self):
        with Server(answering) as server:
            _, result = probe(server, *LINE, "--duration", "300ms", "--interval", "1h",
                              "--warmup", "0")  # fmt: skip
        self.assertGreaterEqual(result["rounds"], 1)

    def test_time_that_the_warmup_used_up(self):
        for option in ("--duration", "--timeout"):
            with self.subTest(option=option), Server(answering) as server:
                report, result = probe(server, *LINE, option, "300ms", "--interval", "1h")
                self.assertEqual(report["verdict"], "inconclusive")
                self.assertIn(f"{option} was over before the warm-up", result["error"]["message"])

    def test_a_duration_leaves_time_for_the_arms(self):
        def slow(connection):
            for _ in lines(connection):
                time.sleep(0.02)
                connection.sendall(b"answer\n")

        for options in ([], ["--new-connection"]):
            with self.subTest(options=options), Server(slow) as server:
                report, result = probe(server, *LINE, "--duration", "4s", *options)
                self.assertEqual(report["verdict"], "server-think-time")
                self.assertGreaterEqual(report["duration_ns"], 4000 * MS)
                names = {arm["name"]: arm["rounds"] for arm in result["arms"]}
                for name in ("baseline", "nodelay", "quickack", "nodelay+quickack", "single-write"):
                    self.assertGreaterEqual(names.get(name, 0), 5, names)

    def test_a_run_that_timeout_ends_says_so(self):
        with Server(answering) as server:
            report, result = probe(server, *LINE, "--interval", "50ms", "--timeout", "300ms")
        self.assertLess(result["rounds"], 40)
        self.assertIn("--timeout", json.dumps(result))

    def test_a_signal_in_a_long_rest(self):
        with Server(answering) as server:
            for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
                process = subprocess.Popen(
                    [NETKIT, "tcp-probe", "--json", *LINE, "--interval", "1h",
                     f"127.0.0.1:{server.port}"],
                    stdout=subprocess.PIPE)  # fmt: skip
                before = len(server.accepted)
                while len(server.accepted) == before:
                    time.sleep(0.01)
                process.send_signal(number)
                out, _ = process.communicate(timeout=BOUND)
                self.assertEqual(process.returncode, status)
                # None when the signal was faster than the news of the connection.
                self.assertLessEqual(len(json.loads(out)["results"]), 1)


if __name__ == "__main__":
    sys.exit(unittest.main())
