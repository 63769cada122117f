#!/usr/bin/python3
"""Nothing that a file or a peer wrote reaches the terminal raw: over all commands that read or hear
something, all formats, standard output and standard error.

What is looked for is looked for in bytes: controls (C0 but for newline and tab, DEL, C1, raw or as
UTF-8), and characters that are not seen or that change the direction of writing."""

import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unicodedata
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from test_conversation import Server  # noqa: E402

NETKIT = os.environ["NETKIT"]
FORMATS = ("text", "json", "ndjson", "junit", "tap", "prometheus")
UNSEEN = "\u061c\u00ad\u2060\u200b\u202e\u2066\u2028\ufeff\U000e0041"
# A window title, the clipboard, a cleared screen, C1, and what is not seen.
HOSTILE = ("\x1b]0;owned\x07\x1b[2J\x1b]52;c;eA==\x07\x7f\x08\x0b\x0c\x9b31m\x85" + UNSEEN).encode() \
    + b"\x9b2J\xc0\x9b\xff"  # fmt: skip
ONE_LINE = HOSTILE.replace(b"\x0b", b"").replace(b"\x0c", b"")
PR_SET_NAME = 15


def raw_in(data):
    """The first thing that a terminal would act on, or None."""
    for match in re.finditer(rb"[\x00-\x08\x0b-\x1f\x7f]", data):
        return match.group()
    text = data.decode(errors="surrogateescape")
    for character in text:
        if "\udc80" <= character <= "\udcff":
            return f"byte {ord(character) - 0xdc00:#x}"
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp"):
            return f"U+{ord(character):04X}"
    return None


class Raw(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="netkit-terminal-")
        self.addCleanup(self.folder.cleanup)
        self.heard = 0

    def file(self, content, name="file"):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as out:
            out.write(content)
        return path

    def clean(self, *words, formats=FORMATS, **more):
        """Each run says something, and nothing raw. Hostile bytes may be among the words."""
        for form in formats:
            with self.subTest(words, form=form):
                ended = subprocess.run([NETKIT, *words, "--format", form], capture_output=True,
                                       timeout=120, check=False, **more)  # fmt: skip
                self.assertTrue(ended.stdout or ended.stderr)
                for data in (ended.stdout, ended.stderr):
                    self.assertIsNone(raw_in(data), data[-3000:])
                self.heard += b"owned" in ended.stdout + ended.stderr

    def tearDown(self):
        # A test in which the hostile text never appears would not show anything.
        if self.heard == 0 and not self._outcome.result.skipped:
            self.fail("the hostile text was not shown at all")


class Files(Raw):
    def test_targets(self):
        lines = (ONE_LINE + b":1", b"host:" + ONE_LINE, b"a b c " + ONE_LINE, ONE_LINE * 40,
                 b"http://" + ONE_LINE + b"/", b"unix:" + ONE_LINE, b"[" + ONE_LINE + b"]:1")  # fmt: skip
        for line in lines:
            path = self.file(line + b"\n127.0.0.1:1\n")
            for command in (["tcp-probe"], ["connect-timeout"]):
                self.clean(*command, "--timeout", "2s", "--targets", path)

    def test_faults(self):
        for line in (b"--" + ONE_LINE, b"--drop " + ONE_LINE, b"--hold syn=" + ONE_LINE,
                     b"--drop syn --count " + ONE_LINE, b"--drop 'tcp port " + ONE_LINE + b"'",
                     b"--drop syn --window " + ONE_LINE, b"--answer-icmp syn=" + ONE_LINE,
                     ONE_LINE):  # fmt: skip
            path = self.file(line + b"\n")
            self.clean("lab", "--faults", path, "--client", "true", formats=("text", "json"))
            self.clean("linger-test", "--list", "--faults", path, formats=("text",))

    def test_words(self):
        bad = ONE_LINE
        for words in (["tcp-probe", bad], ["tcp-probe", b":1" + bad], ["tcp-probe", b"--" + bad],
                      ["tcp-probe", "--preset", bad], ["tcp-probe", "--record", b"/no/" + bad, ":1"],
                      ["tcp-probe", "--header", bad, "--preset", "http", ":1"],
                      ["tcp-probe", "--ca-file", bad, "--tls", ":1"],
                      ["tcp-probe", "--socket-option", bad + b"=1", ":1"],
                      ["tcp-probe", "--source", bad, ":1"],
                      ["tcp-probe", "--resolve", bad, ":1"],
                      ["tcp-probe", "--send", b"\\q" + bad, ":1"],
                      ["tcp-probe", "--send-file", b"/no/" + bad, ":1"],
                      ["tcp-probe", "-o", b"/no/" + bad, ":1"],
                      ["tcp-probe", "--baseline", b"/no/" + bad, ":1"],
                      ["accept-backlog", "--listener", bad],
                      ["lab", "--client", "true", "--hold", b"syn=" + bad],
                      ["lab", "--client", "true", "--sysctl", b"client:" + bad + b"=1"],
                      ["connect-timeout", bad], ["explain", bad], [bad],
                      ["doctor", "--root", b"/no/" + bad]):  # fmt: skip
            with self.subTest(words):
                ended = subprocess.run([NETKIT, *words], capture_output=True, timeout=120,
                                       check=False)  # fmt: skip
                self.assertIsNone(raw_in(ended.stdout), ended.stdout)
                self.assertIsNone(raw_in(ended.stderr), ended.stderr)
                self.heard += b"owned" in ended.stdout + ended.stderr

    def test_baselines(self):
        shown = HOSTILE.decode("latin-1")
        for report in ({"schema": shown}, {"schema": "netkit/1", "command": shown},
                       {"schema": "netkit/1", "command": "tcp-probe", "parameters": {shown: 1},
                        "results": [{"target": shown}]}):  # fmt: skip
            path = self.file(json.dumps(report).encode())
            self.clean("tcp-probe", "--baseline", path, "127.0.0.1:1")
        self.clean("tcp-probe", "--baseline", self.file(b'{"' + HOSTILE, HOSTILE.decode("latin-1")),
                   "127.0.0.1:1")  # fmt: skip

    def test_a_copy_of_proc(self):
        root = os.path.join(self.folder.name, "owned\x1b[2J")
        table = b"TcpExt: " + ONE_LINE + b" A\nTcpExt: 1 2\n"
        for name, content in {
            "sys/net/ipv4/tcp_congestion_control": ONE_LINE, "sys/net/ipv4/tcp_rmem": ONE_LINE,
            "sys/net/ipv4/tcp_syn_retries": b"6", "sys/net/ipv4/ip_local_port_range": ONE_LINE,
            "sys/kernel/osrelease": ONE_LINE, "net/netstat": table, "net/snmp": table,
            "net/sockstat": ONE_LINE, "uptime": ONE_LINE,
        }.items():  # fmt: skip
            path = os.path.join(root, "proc", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(content + b"\n")
        self.clean("doctor", "-v", "--root", root)


class Peers(Raw):
    """Whatever the protocol, the peer says the same."""

    ANSWERS = (ONE_LINE + b"\r\n", b"HTTP/1.1 500 " + ONE_LINE + b"\r\nServer: " + ONE_LINE +
               b"\r\nVia: " + ONE_LINE + b"\r\nContent-Length: 3\r\n\r\nabc",
               b"-ERR " + ONE_LINE + b"\r\n", b"550 " + ONE_LINE + b"\r\n",
               b"* BYE " + ONE_LINE + b"\r\n", b"SSH-2.0-" + ONE_LINE + b"\r\n",
               struct.pack("<I", 3 + len(ONE_LINE))[:3] + b"\0\xff\x15\x04" + ONE_LINE,
               b"E" + struct.pack(">I", len(ONE_LINE) + 8) + b"SFATAL\0M" + ONE_LINE + b"\0\0")  # fmt: skip
    PRESETS = ("http", "redis", "memcached", "smtp", "imap", "pop3", "ftp", "ssh", "postgres", "mysql",
               "ldap", "mqtt", "dns", "echo")  # fmt: skip

    def serving(self, answer, greets):
        def habit(connection):
            if greets:
                connection.sendall(answer)
            while connection.recv(4096):
                connection.sendall(answer)

        return Server(habit)

    def test_presets(self):
        for i, preset in enumerate(self.PRESETS):
            for k, answer in enumerate(self.ANSWERS):
                with self.serving(answer, preset not in ("http", "redis", "memcached", "echo")) as server:
                    # Each pair once; which of the formats is another question.
                    self.clean("tcp-probe", "--preset", preset, "--rounds", "2", "--warmup", "0",
                               "--no-interventions", "--response-timeout", "200ms", "--timeout", "1s",
                               f"127.0.0.1:{server.port}", formats=(FORMATS[(i + k) % 6],))  # fmt: skip

    def test_all_formats(self):
        for answer in self.ANSWERS[:2]:
            with self.serving(answer, False) as server:
                for more in ([], ["--timeline"], ["--diagram=text"], ["--diagram=mermaid"],
                             ["--diagram=svg"], ["-v", "--expect", "200"]):  # fmt: skip
                    self.clean("tcp-probe", "--preset", "http", "--rounds", "2", "--warmup", "0",
                               "--no-interventions", "--response-timeout", "200ms", "--timeout", "1s",
                               *more, f"127.0.0.1:{server.port}")  # fmt: skip
                self.clean("tcp-probe", "--tls", "--rounds", "1", "--timeout", "1s", "--preset",
                           "http", f"127.0.0.1:{server.port}")  # fmt: skip

    def test_a_process_that_listens(self):
        """Its name is its own choice."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        port = listener.getsockname()[1]
        pid = os.fork()
        if not pid:
            ctypes.CDLL(None).prctl(PR_SET_NAME, b"owned\x1b[2J\xe2\x80\xae", 0, 0, 0)
            while True:
                signal.pause()
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, 9)
        listener.close()
        for _ in range(2):
            self.addCleanup(socket.create_connection(("127.0.0.1", port)).close)
        watch = ("accept-backlog", "-v", "--duration", "300ms", "--interval", "20ms")
        # By its number it is always named; of the holder of an address, only if no other can be.
        for which in (("--pid", f"{pid}"), ("--listener", f"127.0.0.1:{port}")):
            self.clean(*watch, *which, formats=FORMATS[:5])


if __name__ == "__main__":
    unittest.main()
