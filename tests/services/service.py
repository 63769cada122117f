"""What the tests of real servers share: a server runs as whoever runs this, with its files in a
temporary directory and on a free port of loopback, and is waited for by its listening socket. A
server that is not installed is a skip with the reason; NETKIT_TESTS_MUST_RUN=1 makes it a failure.
NETKIT names the binary."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import LOOPBACK, families, find_programs, free_port, listeners, need, skip  # noqa: E402

import certificates  # noqa: E402

find_programs("NETKIT")
STARTS = 5


@contextlib.contextmanager
def running(make_command, sockets):
    """Runs make_command(directory, port) until that many sockets listen on the port, gives the
    port. The port was free a moment before; if somebody has taken it in between, and only then, it
    tries another one."""
    for _ in range(STARTS):
        port = free_port()
        if port is None:
            continue
        with tempfile.TemporaryDirectory(prefix="netkit-service-") as directory:
            log = os.path.join(directory, "log")
            with open(log, "w", encoding="utf-8") as output:
                process = subprocess.Popen(
                    make_command(directory, port), stdout=output, stderr=output, cwd=directory
                )
            try:
                if listens(process, port, sockets):
                    yield port
                    return
                with open(log, encoding="utf-8", errors="replace") as text:
                    trouble = text.read()
                if not re.search("address (already )?in use|EADDRINUSE", trouble, re.IGNORECASE):
                    raise AssertionError(f"{process.args[0]} did not start: {trouble}")
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    raise AssertionError(f"{process.args[0]} found {STARTS} ports in use: {trouble}")


def listens(process, port, sockets):
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        if listeners(port) >= sockets:
            return process.poll() is None
        time.sleep(0.01)
    return False


def addresses():
    return [LOOPBACK[family] for family in families()]


class Service(unittest.TestCase):
    maxDiff = None

    def run_probe(self, family, port, *options):
        """The report, and the exit status."""
        address = LOOPBACK[family]
        target = f"[{address}]:{port}" if family == 6 else f"{address}:{port}"
        ended = subprocess.run(
            [os.environ["NETKIT"], "tcp-probe", "--json", *options, target],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        self.assertTrue(ended.stdout, ended.stderr)
        return json.loads(ended.stdout), ended.returncode

    def probe(self, family, port, *options):
        """A conversation that is held to its end."""
        report, status = self.run_probe(family, port, *options)
        shown = json.dumps(report, indent=1)
        result = report["results"][0]
        self.assertEqual(status, 0, shown)
        self.assertTrue(result["ok"], shown)
        self.assertIsNone(result["error"], shown)
        self.assertGreater(result["rounds"], 0)
        return report

    def findings(self, report, code):
        return [f for f in report["findings"] if f["code"] == code]

    def certificate(self):
        if not certificates.available():
            skip("openssl is not installed")
        directory = tempfile.TemporaryDirectory(prefix="netkit-service-")
        self.addCleanup(directory.cleanup)
        return certificates.make(directory.name, "service")
