#!/usr/bin/python3
"""What tcp-probe says and hears before its rounds: greetings, --hello, logins; and servers that
never come to an end there, refuse, or speak another protocol."""

import os
import socket
import struct
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_conversation import FAMILIES, FEW, MS, Server, families, lines, place, probe  # noqa: E402

GREETING = ["--greeting", "line", "--send", ""]
PING = ["--send", r"ping\n"]
SOON = ["--response-timeout", "300ms"]


def greeting(text, delay=0.0):
    def habit(connection):
        time.sleep(delay)
        connection.sendall(text)
        for _ in lines(connection):
            pass

    return habit


def dribble(piece):
    def habit(connection):
        while True:
            connection.sendall(piece)
            time.sleep(0.005)

    return habit


class Greetings(unittest.TestCase):
    def test_a_banner_is_timed_from_the_handshake_on(self):
        for family in families():
            with Server(greeting(b"220 hi\r\n", 0.1), FAMILIES[family]) as server:
                report, result = probe(server, *GREETING, *FEW,
                                       target=place(server, FAMILIES[family]))  # fmt: skip
                self.assertEqual(len(server.accepted), 6)
                # A round begins when the greeting can be heard, which a busy machine puts off.
                self.assertGreaterEqual(result["latency"]["max_ns"], 50 * MS)
                self.assertIn(report["verdict"], ("server-think-time", "inconclusive"))
                told = [f["summary"] + f["remedy"] for f in report["findings"]]
                self.assertNotIn("request", "".join(told) if report["verdict"][0] == "s" else "")
                self.assertIn("Nothing was sent", result["notes"][0])

    def test_what_follows_a_banner_is_the_servers_business(self):
        with Server(greeting(b"SSH-2.0-x\r\n\0\0\0\4more")) as server:
            _, result = probe(server, "--preset", "ssh", *FEW)
        self.assertEqual(result["answer"]["text"], "SSH-2.0-x")
        self.assertEqual(len(result["notes"]), 1)

    def test_a_greeting_of_refusal(self):
        for preset, text in (("smtp", b"554 no service\r\n"), ("smtp", b"421-busy\r\n421 x\r\n"),
                             ("ftp", b"421 too many\r\n"), ("pop3", b"-ERR full\r\n"),
                             ("imap", b"* BYE full\r\n")):  # fmt: skip
            with self.subTest(text=text), Server(greeting(text)) as server:
                _, result = probe(server, "--preset", preset, *FEW, status=4)
                self.assertEqual(result["error"]["code"], "unexpected-answer")
                self.assertIn(text.decode().split("\r")[0], result["error"]["message"])

    def test_another_protocol(self):
        greetings = {"smtp": b"220 smtp\r\n", "pop3": b"+OK pop3\r\n", "imap": b"* OK imap\r\n",
                     "ssh": b"SSH-2.0-x\r\n"}  # fmt: skip
        for spoken, text in greetings.items():
            with Server(greeting(text)) as server:
                for preset in greetings:
                    if preset == spoken:
                        continue
                    with self.subTest(preset=preset, spoken=spoken):
                        _, result = probe(server, "--preset", preset, *FEW, status=4)
                        self.assertEqual(result["error"]["code"], "unexpected-answer")


class Preambles(unittest.TestCase):
    def test_one_that_never_ends(self):
        for options in (["--greeting", "line", *PING], ["--hello", r"a\n", *PING],
                        ["--preset", "imap"]):  # fmt: skip
            with self.subTest(options=options), Server(dribble(b"x")) as server:
                _, result = probe(server, *options, *FEW, *SOON, status=4)
                self.assertEqual(result["error"]["code"], "no-response")
                self.assertIn("waited 300 ms for a line end before", result["error"]["message"])
                self.assertIn('"x', result["error"]["message"])
        with Server(dribble(b"220-more\r\n")) as server:
            _, result = probe(server, "--preset", "smtp", *FEW, *SOON, status=4)
        self.assertEqual(result["error"]["code"], "no-response")

    def test_hellos_that_await_nothing(self):
        heard = []

        def habit(connection):
            for line in lines(connection):
                heard.append(line)
                if line == b"ping":
                    connection.sendall(b"pong\n")

        nothing = ["--hello-until", "nothing"]
        with Server(habit) as server:
            probe(server, "--hello", r"a\n", *nothing, "--hello", r"b\n", *nothing, *PING, *FEW)
        self.assertEqual(heard, [b"a", b"b"] + [b"ping"] * 6)

    def test_silence_completes_an_answer(self):
        def habit(connection):
            connection.sendall(b"several\r\nlines\r\n")
            for _ in lines(connection):
                connection.sendall(b"250 ok\r\n")

        with Server(habit) as server:
            report, _ = probe(server, "--greeting", "idle:50ms", "--hello", r"a\n", "--hello-until",
                              "idle:50ms", *PING, "--expect", "^250 ok$", *FEW)  # fmt: skip
        self.assertNotIn("unexpected-answer", [f["code"] for f in report["findings"]])

    def test_plain_text_behind_the_word_for_tls(self):
        """It could have been put there by anybody on the path."""

        def habit(connection):
            connection.sendall(b"220 hi\r\n")
            for line in lines(connection):
                connection.sendall(b"250 ok\r\n" if line.startswith(b"EHLO") else b"220 go\r\n250 x\r\n")

        with Server(habit) as server:
            _, result = probe(server, "--preset", "smtp", "--starttls", *FEW, status=4)
        self.assertEqual(result["error"]["code"], "unexpected-answer")
        self.assertIn("7 bytes in plain text where TLS has to begin", result["error"]["message"])

    def test_the_proxy_header_comes_first(self):
        """In one segment with the request, and alone before a server's greeting."""
        signature = b"\r\n\r\n\0\r\nQUIT\n\x21"
        for family in families():
            for version in ("v1", "v2"):
                with self.subTest(family=family, version=version):
                    seen = self.proxied(FAMILIES[family], version)
                    ours, peer = seen["peer"][:2], seen["name"][:2]
                    if version == "v1":
                        text = f"PROXY TCP{family} {ours[0]} {peer[0]} {ours[1]} {peer[1]}\r\n"
                        wanted = text.encode()
                    else:
                        pack = socket.inet_pton
                        addresses = pack(FAMILIES[family], ours[0]) + pack(FAMILIES[family], peer[0])
                        wanted = signature + bytes([0x11 if family == 4 else 0x21, 0, len(addresses) + 4])
                        wanted += addresses + struct.pack("!HH", ours[1], peer[1])
                    self.assertEqual(seen["bytes"], wanted + b"ping\n")

    def proxied(self, family, version):
        """The first bytes that a server gets, in one read, and the ends of its connection."""
        seen = {}

        def habit(connection):
            first = connection.recv(4096)
            seen.setdefault("bytes", first)
            seen.setdefault("peer", connection.getpeername())
            seen.setdefault("name", connection.getsockname())
            connection.sendall(b"pong\n")
            for _ in lines(connection):
                connection.sendall(b"pong\n")

        with Server(habit, family) as server:
            probe(server, "--proxy-protocol", version, *PING, *FEW, target=place(server, family))
        return seen

    def test_what_is_expected(self):
        def habit(connection):
            for _ in lines(connection):
                connection.sendall(b"250-one\r\n250 two\r\n")

        reply = [*PING, "--until", "reply", *FEW]
        for expected, right in (("250", True), ("200,250", True), ("200", False), ("^250 two$", True),
                                ("three", False)):  # fmt: skip
            with self.subTest(expected=expected), Server(habit) as server:
                report, result = probe(server, *reply, "--expect", expected)
                found = [f["code"] for f in report["findings"]]
                self.assertEqual("unexpected-answer" not in found, right)
                self.assertEqual(result["ok"], right)
                self.assertEqual(result["answer"]["unexpected"], 0 if right else result["answer"]["count"])
                self.assertEqual(result["answer"]["status"], 250)

    def test_a_hello_from_a_file(self):
        heard = []

        def habit(connection):
            for line in lines(connection):
                heard.append(line)
                connection.sendall(b"ok\n")

        with tempfile.NamedTemporaryFile() as file, Server(habit) as server:
            file.write(b"AUTH x\n")
            file.flush()
            probe(server, "--hello-file", file.name, "--hello", r"SELECT 1\n", *PING, *FEW)
        self.assertEqual(heard[:3], [b"AUTH x", b"SELECT 1", b"ping"])

    def test_a_password_is_refused_and_not_told(self):
        def habit(connection):
            connection.sendall(b"+OK\r\n")
            for line in lines(connection):
                connection.sendall(b"-ERR go away\r\n" if b"PASS" in line else b"+OK\r\n")

        with tempfile.NamedTemporaryFile("w") as file, Server(habit) as server:
            file.write("very secret\n")
            file.flush()
            report, result = probe(server, "--preset", "pop3", "--user", "anna",
                                   "--password-file", file.name, *FEW, status=4)  # fmt: skip
        self.assertEqual(result["error"]["code"], "unexpected-answer")
        self.assertIn("-ERR go away", result["error"]["message"])
        self.assertNotIn("very secret", str(report))


if __name__ == "__main__":
    unittest.main()
