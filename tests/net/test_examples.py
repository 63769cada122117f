#!/usr/bin/python3
"""The examples of tcp-probe's manual page, run as they stand there: the ports, names and files that
they speak of are made in namespaces of this test's own. Each has to end with the status and to say
what is written below, so an example that is added needs its line here."""

import contextlib
import json
import os
import re
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from support import enter_namespaces, find_programs  # noqa: E402

import certificates  # noqa: E402
from fixture import Server  # noqa: E402

find_programs("NETKIT")
PAGE = os.path.join(HERE, "..", "..", "man", "netkit-tcp-probe.1")


def examples():
    """The command lines between the marks, with what they are said to do."""
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    block = page.split('.\\" BEGIN EXAMPLES\n')[1].split('.\\" END EXAMPLES\n')[0]
    found = []
    for entry in block.split(".TP\n")[1:]:
        command, _ = entry.split("\n", 1)
        command = re.sub(r"\\f[A-Z]", "", command)
        for escape, text in ((r"\-", "-"), (r"\(aq", "'"), (r"\(dq", '"'), (r"\e", "\\")):
            command = command.replace(escape, text)
        found.append(command)
    return found


class Pong(socketserver.StreamRequestHandler):
    """As much of Redis as PING needs."""

    def handle(self):
        while self.rfile.readline():
            self.wfile.write(b"+PONG\r\n")


class DualStack(socketserver.ThreadingTCPServer):
    address_family = 10  # AF_INET6, which takes IPv4 as well
    allow_reuse_address = daemon_threads = True


def is_json(run):
    return json.loads(run.stdout)


def check_fleet(run):
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["result"] * 3 + ["finding", "summary"], run.stdout
    assert lines[-1]["counts"]["ok"] == 2, run.stdout


def says(*words):
    def check(run):
        for word in words:
            assert word in run.stdout, f"'{word}' is missing in:\n{run.stdout}"

    return check


def finds(code):
    def check(run):
        codes = [finding["code"] for finding in is_json(run)["findings"]]
        assert code in codes, f"{codes}"

    return check


# Port 8000 stalls, 8080 does not; cache.example answers a line to a line.
EXPECTED = {
    "netkit tcp-probe --preset http localhost:8000": (0, says("nagle-delayed-ack", "The server must")),
    "netkit tcp-probe --tls --ca-file ca.pem --preset http localhost:8443": (
        0, says("nagle-delayed-ack", "TLSv1.3")),
    "netkit tcp-probe --preset redis :6379": (0, says(":6379 ", "40 rounds")),
    "netkit tcp-probe --preset http --path /health --diagram '[::1]:8080'": (
        0, says("[::1]:8080", "one slow round")),
    r"netkit tcp-probe --send 'GET key\r\n' --split 4,5 --until line cache.example 7000": (
        0, says("nagle-delayed-ack", "The client must")),
    "netkit tcp-probe --preset connect --targets fleet.txt --parallel 256 --format ndjson": (
        0, check_fleet),
    "netkit tcp-probe --json --fail-on nagle-delayed-ack --preset http :8000": (
        1, finds("nagle-delayed-ack")),
}  # fmt: skip


class Examples(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        authority = certificates.make(self.folder, "ca", names="", authority=True)
        good = certificates.make(self.folder, "good", issuer=authority)
        stalls = ["--http", "two-writes"]
        for words in (["--port", "8000", *stalls], ["--port", "8443", "--tls", good, *stalls],
                      ["--port", "8080", "--http", "one-write"],
                      ["--port", "7000", "one-write"]):  # fmt: skip
            self.stack.enter_context(Server(words))
        pong = self.stack.enter_context(DualStack(("::", 6379), Pong))
        threading.Thread(target=pong.serve_forever, daemon=True).start()
        self.stack.callback(pong.shutdown)
        with open(os.path.join(self.folder, "fleet.txt"), "w", encoding="ascii") as file:
            file.write("# the fleet\n127.0.0.1:8000\n[::1]:8080\nlocalhost 9 # nobody\n")
        os.symlink(os.environ["NETKIT"], os.path.join(self.folder, "netkit"))

    def run_example(self, command):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}",
                       "LC_ALL": "C.UTF-8"}  # fmt: skip
        return subprocess.run(["bash", "-c", command], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=300)  # fmt: skip

    def test_each_runs_and_does_what_it_says(self):
        self.assertEqual(sorted(examples()), sorted(EXPECTED))
        for command in examples():
            status, check = EXPECTED[command]
            with self.subTest(command):
                # A busy machine may leave a diagnosis undecided; not three times in a row.
                for left in 2, 1, 0:
                    run = self.run_example(command)
                    try:
                        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
                        check(run)
                        break
                    except AssertionError:
                        if not left:
                            raise


def prepare_namespaces(folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts = os.path.join(folder, "hosts")
    with open(hosts, "w", encoding="ascii") as file:
        file.write("127.0.0.1 localhost cache.example\n::1 localhost\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


if __name__ == "__main__":
    certificates.require()
    enter_namespaces("--mount")
    with tempfile.TemporaryDirectory() as place:
        prepare_namespaces(place)
        unittest.main(argv=sys.argv)
