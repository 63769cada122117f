#!/usr/bin/python3
"""What tcp-probe says and hears before its rounds: greetings, --hello, logins; and servers that
never come to an end there, refuse, or speak another protocol."""

import os
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
