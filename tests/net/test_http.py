#!/usr/bin/python3
"""HTTP as people send it: URLs, methods, header lines and bodies, against servers that note what
they were asked."""

import contextlib
import os
import socket
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_conversation import FEW, Server, place, probe  # noqa: E402
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import FAMILIES, families  # noqa: E402

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def requests(connection):
    """Header and body of each request."""
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            if not (data := connection.recv(65536)):
                return
            pending += data
        header, pending = pending.split(b"\r\n\r\n", 1)
        header = header.decode()
        length = 0
        for line in header.split("\r\n")[1:]:
            name, value = line.split(":", 1)
            if name.lower() == "content-length":
                length = int(value)
        while len(pending) < length:
            pending += connection.recv(65536)
        body, pending = pending[:length], pending[length:]
        yield header, body


class Noting:
    """A habit that answers each request alike and keeps what came."""

    def __init__(self, answer=OK):
        self.answer = answer
        self.heard = []

    def __call__(self, connection):
        for header, body in requests(connection):
            self.heard.append((header, body))
            connection.sendall(self.answer)


def url(server, family, path="/"):
    return f"http://{place(server, family)}{path}"


class Requests(unittest.TestCase):
    def ask(self, *options, path="/", answer=OK, family=socket.AF_INET):
        habit = Noting(answer)
        with Server(habit, family) as server:
            _, result = probe(server, *FEW, *options, target=url(server, family, path))
        self.assertTrue(result["ok"], result)
        self.assertEqual(result["rounds"], 6)
        self.assertEqual(len(habit.heard), 6)
        self.assertEqual(len(set(habit.heard)), 1)
        return habit.heard[0]

    def test_a_url_says_what_to_ask(self):
        for family in families():
            with self.subTest(family=family):
                header, body = self.ask(path="/a/b?c=d", family=FAMILIES[family])
                lines = header.split("\r\n")
                self.assertEqual(lines[0], "GET /a/b?c=d HTTP/1.1")
                self.assertRegex(lines[1], r"^Host: (127\.0\.0\.1|\[::1\]):\d+$")
                self.assertEqual(body, b"")

    def test_a_url_without_a_path_takes_the_option(self):
        header, _ = self.ask("--path", "/here", path="")
        self.assertTrue(header.startswith("GET /here HTTP/1.1\r\n"), header)

    def test_header_lines(self):
        header, _ = self.ask("--header", "X-One: 1", "--header", "Accept:",
                             "--header", "host: elsewhere")  # fmt: skip
        self.assertIn("\r\nX-One: 1", header)
        self.assertIn("\r\nhost: elsewhere", header)
        self.assertNotIn("Host:", header)
        self.assertNotIn("Accept", header)

    def test_data_is_a_post_and_not_unescaped(self):
        header, body = self.ask("--data", r"a\n=b")
        self.assertTrue(header.startswith("POST / HTTP/1.1\r\n"), header)
        self.assertIn("Content-Type: application/x-www-form-urlencoded", header)
        self.assertEqual(body, rb"a\n=b")

    def test_a_file_is_sent_byte_for_byte(self):
        data = bytes(range(256)) * 20
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            header, body = self.ask("--method", "PUT", "--data", "@" + file.name)
        self.assertTrue(header.startswith("PUT / HTTP/1.1\r\n"), header)
        self.assertEqual(body, data)

    def test_answers_without_a_body_end_at_the_header(self):
        length = b"Content-Length: 5\r\n\r\n"
        self.ask("--method", "HEAD", answer=b"HTTP/1.1 200 OK\r\n" + length)
        self.ask(answer=b"HTTP/1.1 204 No Content\r\n\r\n")
        self.ask(answer=b"HTTP/1.1 304 Not Modified\r\n" + length)

    def test_header_and_body_in_two_writes(self):
        def noting(connection):
            while data := connection.recv(65536):
                pieces.append(data)
                if data.endswith(b"body"):
                    connection.sendall(OK)

        ways = (["--preset", "http", "--data", "body"],
                ["--send", r"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"])  # fmt: skip
        for way in ways:
            pieces = []
            with self.subTest(way=way), Server(noting) as server:
                report, _ = probe(server, *FEW, *way, "--split-body", "--gap", "20ms")
                self.assertEqual(report["parameters"]["writes"], 2)
                self.assertEqual(pieces[1::2], [b"body"] * 6)
                self.assertTrue(all(piece.endswith(b"\r\n\r\n") for piece in pieces[::2]))


class Targets(unittest.TestCase):
    def test_urls_beside_each_other(self):
        for family in families():
            family = FAMILIES[family]
            habits = Noting(), Noting()
            with Server(habits[0], family) as one, Server(habits[1], family) as other, \
                 tempfile.NamedTemporaryFile("w", suffix=".txt") as file:  # fmt: skip
                file.write(f"# two\n{url(one, family, '/one')} # the first\n"
                           f"  {url(other, family, '/other')}\nhttp://h/#no\n")  # fmt: skip
                file.flush()
                report, _ = probe(one, *FEW, "--targets", file.name,
                                  target=url(one, family, "/third"))  # fmt: skip
            results = {result["target"]: result for result in report["results"]}
            self.assertEqual(len(results), 4, results)
            self.assertFalse(results["http://h/#no"]["ok"])
            asked = {header.split()[1] for header, _ in habits[0].heard}
            self.assertEqual(asked, {"/one", "/third"})
            self.assertEqual({header.split()[1] for header, _ in habits[1].heard}, {"/other"})


BIG = 8 << 20  # more than the socket buffers of both sides take
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n%s\r\nbig\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def asked(connection, pending=b""):
    """Reads a header. What follows it, and how long the body is."""
    while b"\r\n\r\n" not in pending:
        if not (data := connection.recv(65536)):
            return None, 0
        pending += data
    header, rest = pending.split(b"\r\n\r\n", 1)
    (length,) = (int(line.split(b":")[1]) for line in header.split(b"\r\n")
                 if line.lower().startswith(b"content-length:"))  # fmt: skip
    return rest, length - len(rest)


def take(connection, left):
    while left > 0:
        if not (data := connection.recv(min(left, 65536))):
            return
        left -= len(data)


def codes(report):
    return {finding["code"] for finding in report["findings"]}


class Early(unittest.TestCase):
    def upload(self, habit, *options, family=socket.AF_INET, status=None, data=BIG):
        with tempfile.NamedTemporaryFile() as file, Server(habit, family) as server:
            file.truncate(data)
            return probe(server, *FEW, "--data", "@" + file.name, *options,
                         target=url(server, family), status=status)  # fmt: skip

    def closes(self, connection):
        asked(connection)
        connection.sendall(TOO_LARGE % b"Connection: close\r\n")

    def shuts_down_first(self, connection):
        asked(connection)
        connection.sendall(TOO_LARGE % b"")
        connection.shutdown(socket.SHUT_WR)

    def reads_on(self, connection):
        while True:
            rest, left = asked(connection)
            if rest is None:
                return
            connection.sendall(TOO_LARGE % b"")
            take(connection, left)

    def lingers(self, connection):
        asked(connection)
        connection.sendall(TOO_LARGE % b"Connection: close\r\n")
        connection.shutdown(socket.SHUT_WR)
        take(connection, BIG * 2)

    def aborts(self, connection):
        asked(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def test_an_answer_before_the_body_and_a_reset(self):
        for family in families():
            for habit in (self.closes, self.shuts_down_first):
                with self.subTest(family=family, habit=habit.__name__):
                    report, result = self.upload(habit, family=FAMILIES[family])
                    self.assertEqual(report["verdict"], "early-answer-reset", report)
                    (finding,) = (finding for finding in report["findings"]
                                  if finding["code"] == "early-answer-reset")  # fmt: skip
                    self.assertEqual(finding["side"], "server")
                    self.assertEqual(finding["evidence"]["tries"],
                                     finding["evidence"]["lost"] + result["answer"]["count"])  # fmt: skip
                    self.assertEqual(result["answer"]["status"], 413)

    def test_a_small_body_that_was_not_sent_yet(self):
        report, _ = self.upload(self.closes, "--split-body", "--gap", "50ms", data=1000)
        self.assertEqual(report["verdict"], "early-answer-reset", report)

    def test_an_early_answer_alone_is_none(self):
        for family in families():
            for habit in (self.reads_on, self.lingers):
                with self.subTest(family=family, habit=habit.__name__):
                    report, result = self.upload(habit, family=FAMILIES[family])
                    self.assertNotIn("early-answer-reset", codes(report), report)
                    self.assertEqual(result["rounds"], 6)

    def test_the_next_request_waits_as_a_clients_would(self):
        """A server that answers at the header leaves the body to its delayed ACK, which the next
        request of a client waits for."""
        for family in families():
            with Server(self.reads_on_small, FAMILIES[family]) as server:
                report, result = probe(server, "-n", "40", "--split-body", "--data", "x" * 100,
                                       target=url(server, FAMILIES[family]), status=None)  # fmt: skip
            self.assertIn(report["verdict"], ("nagle-delayed-ack", "inconclusive"), report["findings"])
            self.assertGreaterEqual(result["latency"]["p90_ns"], 30_000_000)

    def reads_on_small(self, connection):
        while (asked_for := asked(connection))[0] is not None:
            connection.sendall(OK)
            take(connection, asked_for[1])

    def test_a_reset_alone_is_none(self):
        report, result = self.upload(self.aborts, status=4)
        self.assertNotIn("early-answer-reset", codes(report), report)
        self.assertEqual(result["error"]["code"], "connection-reset")


class Expect(unittest.TestCase):
    """The body waits for 100 (Continue), or for a final status."""

    def ask(self, answer, *options, family=socket.AF_INET, wait="200ms"):
        bodies = []

        def habit(connection):
            rest = b""
            while rest is not None:
                rest, left = asked(connection)
                if rest is None or not answer(connection):
                    return
                bodies.append(len(rest) + left)
                take(connection, left)
                connection.sendall(OK)

        with Server(habit, family) as server:
            report, result = probe(server, *FEW, f"--expect-continue={wait}", "--data", "x" * 1000,
                                   *options, target=url(server, family), status=None)  # fmt: skip
        self.assertEqual(result["rounds"], 6, report)
        return report, result, bodies

    def test_a_server_that_asks_for_the_body(self):
        for family in families():
            report, result, bodies = self.ask(lambda connection: not connection.sendall(CONTINUE),
                                              wait="30s", family=FAMILIES[family])  # fmt: skip
            self.assertNotIn("expect-continue-wait", codes(report))
            self.assertEqual(bodies, [1000] * 6)
            self.assertEqual(result["answer"]["text"], "200 OK")
            self.assertLess(result["latency"]["max_ns"], 30_000_000_000)

    def test_a_server_that_ignores_it(self):
        for family in families():
            report, result, bodies = self.ask(lambda _: True, family=FAMILIES[family])
            self.assertEqual(report["verdict"], "expect-continue-wait", report)
            self.assertEqual(bodies, [1000] * 6)
            self.assertGreaterEqual(result["latency"]["min_ns"], 200_000_000)

    def test_a_wait_of_no_length_says_nothing(self):
        report, _, bodies = self.ask(lambda _: True, wait="1ms")
        self.assertNotIn("expect-continue-wait", codes(report))
        self.assertEqual(bodies, [1000] * 6)

    def test_a_final_status_takes_the_place_of_the_body(self):
        def refuse(connection):
            connection.sendall(b"HTTP/1.1 417 Expectation Failed\r\n")
            connection.sendall(b"Content-Length: 5\r\n\r\nhello")
            connection.recv(1)

        report, result, bodies = self.ask(refuse, wait="30s")
        self.assertEqual(bodies, [])
        self.assertEqual(result["answer"]["status"], 417)
        self.assertEqual(result["connections"], 6)
        self.assertEqual(report["verdict"], "unexpected-answer")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main(verbosity=2)
