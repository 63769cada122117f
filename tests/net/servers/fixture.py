"""Starting the fixture server from Python tests, and a plain client to measure it with."""

import os
import select
import socket
import subprocess
import time

from support import FAMILIES, LOOPBACK, find_programs

TCP_QUICKACK = 12
find_programs("NETKIT_FIXTURE_SERVER")


class Server:
    """A running fixture server: `with Server(["--http", "two-writes"]) as server`."""

    def __init__(self, args, family="any"):
        binary = os.environ["NETKIT_FIXTURE_SERVER"]
        self.command = [binary, "--die-with-parent", "--family", str(family), *args]
        self.process = None
        self.port = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("PORT "):
            self.process.kill()
            _, errors = self.process.communicate()
            raise RuntimeError(f"{' '.join(self.command)} did not start: {line}{errors}")
        self.port = int(line.split()[1])
        return self

    def stop(self):
        """The exit status after SIGTERM, and what it wrote to standard error."""
        self.process.terminate()
        try:
            _, errors = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return None, "did not end within 30 s of SIGTERM"
        return self.process.returncode, errors

    def __exit__(self, *exception):
        if self.process.returncode is None:
            self.stop()

    def connect(self, family=4, options=()):
        sock = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
        sock.settimeout(30)
        for level, name, value in options:
            sock.setsockopt(level, name, value)
        try:
            sock.connect((LOOPBACK[family], self.port))
        except OSError:
            sock.close()
            raise
        return sock


class Round:
    """One exchange: when each piece of the answer came, in seconds since the request was sent."""

    def __init__(self, pieces):
        self.pieces = pieces

    @property
    def total(self):
        return self.pieces[-1][1]

    @property
    def first(self):
        return self.pieces[0][1]

    @property
    def gap(self):
        return self.total - self.first

    def bytes_before(self, seconds):
        return sum(size for size, at in self.pieces if at < seconds)


def exchange(sock, parts, answer_bytes, quickack=False):
    """Sends the parts in a write each, reads answer_bytes."""
    start = time.monotonic()
    for part in parts:
        sock.sendall(part)
    pieces, got = [], 0
    while got < answer_bytes:
        if quickack:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
        data = sock.recv(answer_bytes - got)
        if quickack:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
        if not data:
            raise ConnectionError(f"closed after {got} of {answer_bytes} bytes")
        got += len(data)
        pieces.append((len(data), time.monotonic() - start))
    return Round(pieces)
