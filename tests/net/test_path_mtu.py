#!/usr/bin/python3
"""netkit tcp-probe over a path that drops every packet above a size, and says nothing: in each
direction and family, beside services that are silent by themselves."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import families  # noqa: E402

import certificates  # noqa: E402
import lab  # noqa: E402

NETKIT = lab.NETKIT
UPLOAD = 900_000
# Answers each line: with so many bytes and a line end; 0: not at all; less: on every other
# connection. With a certificate, over TLS.
SERVER = """
import socket, ssl, sys, threading
size, count = int(sys.argv[1]), 0
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if sys.argv[2:] else None
if tls:
    tls.load_cert_chain(sys.argv[2])
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 8000))
s.listen(100)
def serve(connection, number):
    try:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        for line in connection.makefile("rb"):
            if size > 0 or size < 0 and number % 2:
                connection.sendall(b"x" * abs(size) + b"\\n")
    except OSError:
        pass
while True:
    connection = s.accept()[0]
    threading.Thread(target=serve, args=(connection, count), daemon=True).start()
    count += 1
"""


def setUpModule():
    lab.require_lab()


class PathMtu(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.server = self.keep("server.py", SERVER)
        self.upload = self.keep("upload", "u" * (UPLOAD - 1) + "\n")
        self.line = self.keep("line", "hello\n")

    def keep(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def probe(self, family, size, request, *options, faults=()):
        """The report of one run: its only result, and the findings by their code."""
        report = os.path.join(self.folder, f"report{family}.json")
        client = (f"{NETKIT} tcp-probe -{family} --json -o {report} --send-file {request} --until "
                  f"line -n 6 --no-interventions {' '.join(options)} server:8000")  # fmt: skip
        run = subprocess.run(
            [NETKIT, "lab", f"-{family}", "--json", *faults, "--server",
             f"{sys.executable} {self.server} {size}", "--client", client],
            capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        self.assertIn(run.returncode, (0, 4), run.stderr)
        with open(report, encoding="utf-8") as file:
            report = json.load(file)
        self.took_ns = report["duration_ns"]
        return report["results"][0], {f["code"]: f for f in report["findings"]}

    def each(self, *args, direction, largest=1400, timeout="5s", options=()):
        faults = ["--drop", f"greater {largest}", "--dir", direction]
        for family in families():
            yield self.probe(family, *args, "--response-timeout", timeout, *options, faults=faults)

    def check(self, result, findings, direction):
        self.assertEqual(result["error"]["code"], "path-mtu", result["error"])
        finding = findings["path-mtu"]
        self.assertEqual((finding["side"], finding["severity"]), ("network", "error"))
        self.assertEqual(finding["summary"], result["error"]["message"])
        self.assertEqual(finding["evidence"]["direction"], direction)
        self.assertEqual(finding["evidence"]["passed_mss"], 1220)
        self.assertIn(finding["evidence"]["stuck_mss"], (1440, 1460))
        self.assertNotIn("no-response", findings)

    def test_a_large_answer_never_comes(self):
        for result, findings in self.each(20000, self.line, direction="s>c"):
            self.check(result, findings, "from-server")
            self.assertIn("do not reach us", findings["path-mtu"]["summary"])

    def test_a_large_certificate_never_comes(self):
        certificates.require()
        names = ",".join(f"DNS:host{i}.example" for i in range(300))
        certificate = certificates.make(self.folder, "large", names=names)
        options = ["--tls", "--insecure", "--connect-timeout", "4s"]
        for result, findings in self.each(f"10 {certificate}", self.line, direction="s>c",
                                          options=options):  # fmt: skip
            self.check(result, findings, "from-server")
        result, _ = self.probe(4, f"10 {certificate}", self.line, *options)
        self.assertTrue(result["ok"], result)

    def test_a_large_request_never_arrives(self):
        """What our kernel took of it counts for nothing."""
        for result, findings in self.each(10, self.upload, direction="c>s"):
            self.check(result, findings, "to-server")
            self.assertIn("acknowledged 0 bytes", findings["path-mtu"]["summary"])

    def test_small_things_pass(self):
        for direction in ("s>c", "c>s"):
            for result, findings in self.each(10, self.line, direction=direction):
                self.assertTrue(result["ok"], result)
                self.assertNotIn("path-mtu", findings)

    def test_a_silent_server_is_silent(self):
        """On such a path, too; and finding that out takes no longer than the answer may."""
        for result, findings in self.each(0, self.line, direction="s>c", timeout="2s"):
            self.assertEqual(result["error"]["code"], "no-response")
            self.assertEqual(findings["no-response"]["side"], "server")
            self.assertGreaterEqual(self.took_ns, 4_000_000_000)

    def test_nothing_passes(self):
        for direction in ("s>c", "c>s"):
            for result, _ in self.each(20000, self.upload, direction=direction, largest=300,
                                       timeout="2s"):  # fmt: skip
                self.assertEqual(result["error"]["code"], "no-response")
                if direction == "c>s":
                    self.assertIn(f"acknowledged 0 of the request's {UPLOAD} bytes",
                                  result["error"]["message"])  # fmt: skip

    def test_every_other_connection_hangs(self):
        for family in families():
            result, findings = self.probe(family, -10, self.line, "--response-timeout", "2s")
            self.assertEqual(result["error"]["code"], "no-response")
            self.assertNotIn("path-mtu", findings)

    def test_the_time_of_the_whole_run_ends_it(self):
        options = ["--timeout", "3s"]
        for result, _ in self.each(0, self.line, direction="s>c", timeout="2s", options=options):
            self.assertEqual(result["error"]["code"], "no-response")
            self.assertIn("waited 2", result["error"]["message"])


if __name__ == "__main__":
    unittest.main()
