"""What the tests of netkit lab share: running it, small programs for its hosts, tshark."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest

from support import cannot_run, find_programs

find_programs("NETKIT")
NETKIT = os.environ["NETKIT"]
LIMIT_S = 120

# sys.argv[1]: how many bytes the server answers with.
_SERVER = """
import socket, sys
s = socket.create_server(("", 7), family=socket.AF_INET6 if ":" in "{address}" else socket.AF_INET)
while True:
    c = s.accept()[0]
    while c.recv(100):
        c.sendall(bytes({answer}))
    c.close()
"""
_CLIENT = """
import socket, sys
s = socket.create_connection(("server", 7))
s.settimeout({patience_s})
for i in range({rounds}):
    s.sendall(b"x" * {request})
    n = 0
    while n < {answer}:
        got = len(s.recv(1 << 16))
        if not got:
            sys.exit("the server went away")
        n += got
s.shutdown(socket.SHUT_WR)
s.recv(1)
"""


def python(text):
    """A shell's command that runs a few lines of Python."""
    return f"exec {shlex.quote(sys.executable)} -S -E -c {shlex.quote(text)}"


def programs(family=4, rounds=3, request=10, answer=20000, patience_s=None):
    """A client ends with status 1 when nothing comes for so long, if that is given."""
    values = {"address": "::" if family == 6 else "0", "rounds": rounds, "request": request,
              "answer": answer, "patience_s": patience_s}  # fmt: skip
    return ["--server", python(_SERVER.format(**values)),
            "--client", python(_CLIENT.format(**values))]  # fmt: skip


class Run:
    """One netkit lab with a report in JSON; what the programs printed is in `said`."""

    def __init__(self, *args, timeout=LIMIT_S):
        ended = subprocess.run([NETKIT, "lab", "--json", *args], capture_output=True, text=True,
                               timeout=timeout, check=False)  # fmt: skip
        self.status = ended.returncode
        self.said = ended.stderr
        self.report = json.loads(ended.stdout) if ended.stdout else None

    @property
    def result(self):
        return self.report["results"][0]

    @property
    def connections(self):
        return self.result["connections"]

    def codes(self):
        return {finding["code"] for finding in self.report["findings"]}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def lab(self, *args, status=0):
        run = Run(*args)
        self.assertEqual(run.status, status, run.said)
        if run.report and run.report["results"]:
            self.assertEqual(run.result["wire"]["lost"], 0, run.said)
        return run


def require_lab():
    """Ends the program with 77 where the system grants no lab."""
    ended = subprocess.run([NETKIT, "lab", "--client", "true"], capture_output=True, text=True,
                           timeout=LIMIT_S, check=False)  # fmt: skip
    if ended.returncode == 3:
        cannot_run(ended.stderr)


def tshark(path, fields):
    """The packets of a capture as dicts; a field that a packet lacks is ""."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=a",
               "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]  # fmt: skip
    for field in fields:
        command += ["-e", field]
    home = os.environ | {"HOME": os.path.dirname(path)}  # its own, not that of another user
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S,
                         env=home).stdout  # fmt: skip
    return [dict(zip(fields, line.split("\t"))) for line in out.splitlines()]
