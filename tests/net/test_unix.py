#!/usr/bin/python3
"""tcp-probe on Unix-domain sockets: what is timed, what is refused, and how failures are named."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import find_programs  # noqa: E402

find_programs("NETKIT")
THOUGHT_S = 0.03


def serve(listener, thought_s, once=False):
    def answer(connection):
        with connection:
            while line := connection.recv(4096):
                time.sleep(thought_s)
                connection.sendall(line)
                if once:
                    return

    while True:
        try:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
        except OSError:
            return


def probe(target, *options):
    """The exit status, the report, and what it says on standard error."""
    ended = subprocess.run([os.environ["NETKIT"], "tcp-probe", "--json", "-n", "10", *options, target],
                           capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else None, ended.stderr


ASK = ("--send", "hello\\n", "--until", "line")


class Unix(unittest.TestCase):
    def listen(self, thought_s=0.0, name=None, once=False):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = name or os.path.join(folder.name, "service.sock")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind("\0" + path[1:] if path.startswith("@") else path)
        listener.listen(64)
        threading.Thread(target=serve, args=(listener, thought_s, once), daemon=True).start()
        return f"unix:{path}"

    def test_a_conversation(self):
        for name in (None, f"@netkit-test-{os.getpid()}"):
            target = self.listen(name=name)
            status, report, said = probe(target, *ASK)
            result = report["results"][0]
            self.assertEqual(status, 0, said)
            self.assertEqual((result["address"], result["port"]), (target, None))
            self.assertEqual((result["ok"], result["rounds"]), (True, 10))
            self.assertIsNone(result["connect"]["rtt_ns"])
            self.assertEqual([arm["name"] for arm in result["arms"]], ["baseline"])
            self.assertIn("Unix-domain socket", result["notes"][0])

    def test_a_server_that_closes_after_each_answer(self):
        status, report, said = probe(self.listen(once=True), *ASK)
        result = report["results"][0]
        self.assertEqual((status, result["rounds"]), (0, 10), said)
        self.assertGreaterEqual(result["connections"], 10)

    def test_no_answer_is_lost(self):
        """Two writes of the client are apart, and the answer to the first is there before the second."""
        _, report, said = probe(self.listen(), "--send", "a\nb\n", "--until", "bytes:4", "--split", "2",
                                "--gap", "2ms", "--response-timeout", "5s")  # fmt: skip
        self.assertEqual(report["results"][0]["rounds"], 10, said)

    def test_thought_is_the_servers(self):
        _, report, _ = probe(self.listen(THOUGHT_S), *ASK)
        # On a busy machine the server may have waited for its turn; it is never anything else.
        self.assertIn(report["verdict"], ("server-think-time", "inconclusive"))
        self.assertGreaterEqual(report["results"][0]["breakdown"]["server_ns"], THOUGHT_S * 1e9 * 0.9)

    def test_the_answer_may_be_there_before_the_request_is_sent(self):
        asks = ("--send", "one\\ntwo\\n", "--split", "4", "--gap", "20ms", "--until", "text:two\\n")
        status, report, said = probe(self.listen(), *asks)
        self.assertEqual((status, report["results"][0]["rounds"]), (0, 10), said)

    def test_failures_are_named(self):
        target = self.listen()
        with tempfile.TemporaryDirectory() as folder:
            status, report, _ = probe(f"unix:{folder}/none", *ASK)
            self.assertEqual((status, report["verdict"]), (4, "name-not-found"))
            dead = os.path.join(folder, "dead.sock")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(dead)
            status, report, _ = probe(f"unix:{dead}", *ASK)
            self.assertEqual((status, report["verdict"]), (4, "connection-refused"))
        for options in (["--tos", "4"], ["--socket-option", "TCP_NODELAY=on"], ["--source", "::1"]):
            status, report, said = probe(target, *ASK, *options)
            self.assertEqual((status, report), (2, None))
            self.assertIn("has no effect", said)
        self.assertEqual(probe("unix:", *ASK)[0], 2)
        self.assertEqual(probe("unix:/" + "x" * 200, *ASK)[0], 2)


if __name__ == "__main__":
    unittest.main()
