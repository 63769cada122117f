#!/usr/bin/python3
"""A machine that has no descriptors or threads left says nothing of a service that is well: no run
may call it out of reach, and each says what is missing."""

import json
import os
import resource
import socket
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import find_programs, skip  # noqa: E402

find_programs("NETKIT")
NETKIT = os.environ["NETKIT"]
NOBODY = 65534
OK, FOUND, USAGE, MACHINE = 0, 1, 2, 3


class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        cls.port = cls.listener.getsockname()[1]
        threading.Thread(target=cls.serve, daemon=True).start()

    @classmethod
    def serve(cls):
        while True:
            cls.listener.accept()[0].close()

    def commands(self, host):
        target = f"{host}:{self.port}"
        return (["tcp-probe", "-4", "--preset", "connect", "--rounds", "2", target],
                ["tcp-probe", "-4", "--preset", "connect", "--rounds", "2", "--all-addresses", target],
                ["connect-timeout", "-4", "--tries", "1", "--target", target],
                ["accept-backlog", "-4", "--duration", "1ms", "--listener", target])  # fmt: skip

    def limited(self, words, limit, value):
        """As an ordinary user: root has as many processes as there are. The search for leaks of a
        sanitized build would need a thread of its own."""
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if not os.geteuid() else {}
        return subprocess.run([NETKIT, *words, "--json"], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
                              preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
                              check=False, **user)  # fmt: skip

    def test_descriptors(self):
        refused = set()
        for words in (*self.commands("127.0.0.1"), *self.commands("localhost")):
            for count in range(4, 24):
                with self.subTest(words, count=count):
                    ended = self.limited(words, resource.RLIMIT_NOFILE, count)
                    self.assertIn(ended.returncode, (OK, MACHINE), ended)
                    if ended.returncode == OK or not ended.stdout:
                        self.assertEqual(bool(ended.stderr), ended.returncode != OK, ended)
                        continue
                    report = json.loads(ended.stdout)
                    self.assertEqual(report["verdict"], "machine-refuses", ended)
                    (finding,) = report["findings"]
                    self.assertEqual(finding["side"], "client")
                    self.assertIn("ulimit -n", finding["remedy"])
                    refused.add(words[0])
        self.assertEqual(refused, {"tcp-probe", "connect-timeout", "accept-backlog"})

    def test_memory(self):
        """Of address space, from where the program can be loaded at all; a sanitizer wants much."""
        for words in (*self.commands("localhost"), ["doctor"]):
            for mib in (12, 15, 16, 17, 18, 22, 32, 64):
                with self.subTest(words, mib=mib):
                    loaded = self.limited(["help"], resource.RLIMIT_AS, mib << 20)
                    if loaded.returncode not in (OK, USAGE):
                        continue
                    ended = self.limited(words, resource.RLIMIT_AS, mib << 20)
                    if ended.returncode:
                        self.assertEqual(ended.returncode, MACHINE, ended)
                        self.assertTrue(ended.stderr)
                    if ended.returncode and ended.stdout:
                        self.assertEqual(json.loads(ended.stdout)["verdict"], "machine-refuses")

    def test_threads(self):
        for words in self.commands("localhost"):
            with self.subTest(words):
                ended = self.limited(words, resource.RLIMIT_NPROC, 0)
                if ended.returncode == OK and words == self.commands("localhost")[0]:
                    skip("this user may start threads without limit")
                self.assertEqual(ended.returncode, MACHINE, ended)
                self.assertIn("no thread", ended.stderr)
                if ended.stdout:
                    (finding,) = json.loads(ended.stdout)["findings"]
                    self.assertIn("ulimit -v", finding["remedy"])  # EAGAIN is also for want of memory


if __name__ == "__main__":
    unittest.main()
