"""What the tests of this folder run: each command of netkit once in a form that takes a fraction of a
second, and what must hold of a run, however it was disturbed."""

import contextlib
import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import support  # for its paths

import certificates
import private_host

LIMIT_S = 60  # of a run that takes a fraction of a second: beyond that it hangs
NETKIT = "/tmp/netkit"
TLS_FILE = "/tmp/tls.pem"
assert support

_SERVER = """
import socket
c = socket.create_server(("", 7)).accept()[0]
while c.recv(100):
    c.sendall(bytes(100))
"""
_CLIENT = """
import socket
s = socket.create_connection(("server", 7))
s.sendall(b"x" * 10)
n = 0
while n < 100:
    n += len(s.recv(65536))
"""


def _python(text):
    return f"exec {shlex.quote(sys.executable)} -S -E -c {shlex.quote(text)}"


@dataclasses.dataclass
class Command:
    """One run. {http} and {tls} in its words are ports of servers, {folder} is where its files go."""

    words: list
    files: tuple = ()  # that a whole run makes in its folder
    scenario: bool = False  # status 1 is a scenario that decided nothing
    quick: bool = True


_PROBE = ["tcp-probe", "--rounds", "4", "--warmup", "1", "--arms", "baseline,nodelay",
          "--preset", "http"]  # fmt: skip
COMMANDS = {
    "probe": Command([*_PROBE, "--json", "127.0.0.1:{http}"]),
    "probe-v6": Command([*_PROBE, "--new-connection", "--json", "--output", "{folder}/report",
                         "--record", "{folder}/record", "--diagram-file", "{folder}/ladder.svg",
                         "--timeline", "[::1]:{http}"],
                        ("report", "record", "ladder.svg")),
    "probe-tls": Command([*_PROBE, "--tls", "--ca-file", TLS_FILE, "--json", "localhost:{tls}"]),
    "connect": Command(["connect-timeout", "--json", "--tries", "2", "--target", "127.0.0.1:{http}",
                        "--target", "[::1]:{http}"]),
    "listener": Command(["accept-backlog", "--json", "--duration", "300ms", "--listener", "127.0.0.1:{http}"]),
    "doctor": Command(["doctor", "--json"]),
    "lab": Command(["lab", "--json", "--pcap", "{folder}/pcap", "--output", "{folder}/report",
                    "--delay", "1ms", "--server", _python(_SERVER),
                    "--client", _python(_CLIENT)],
                   ("report", "pcap")),
    "connect-timeout": Command(["connect-timeout", "refused", "-4", "--json"], scenario=True),
    "linger-test": Command(["linger-test", "linger-zero", "-6", "--json"], scenario=True),
    "crash-sim": Command(["crash-sim", "host-reboot-sending", "-4", "--json"], scenario=True),
    "accept-backlog": Command(["accept-backlog", "full-with-abort", "-6", "--json"], scenario=True),
}  # fmt: skip


# ---- Servers ----


@contextlib.contextmanager
def servers():
    """Ports of an HTTP server, with and without TLS, on both loopback addresses."""
    with contextlib.ExitStack() as stack:
        ports = {}
        for name, more in (("http", []), ("tls", ["--tls", TLS_FILE])):
            server = stack.enter_context(subprocess.Popen(
                ["/tmp/fixture_server", "--die-with-parent", "--http", *more, "one-write"],
                stdout=subprocess.PIPE, text=True))  # fmt: skip
            stack.callback(server.kill)
            ports[name] = int(server.stdout.readline().split()[1])
        yield ports


def run_in_private_host(user, netkit, fixture_server, more, body):
    """Runs body(ports) there, with everything in /tmp that the commands need."""
    with tempfile.TemporaryDirectory() as folder:
        programs = {"netkit": netkit, "fixture_server": fixture_server,
                    "tls.pem": certificates.make(folder, "server"), **more}  # fmt: skip

        def with_servers():
            os.environ["HOME"] = private_host.HOME
            with servers() as ports:
                body(ports)
            print(f"all namespaces are free again: "
                  f"{private_host.namespaces_are_free(NAMESPACES) * 1e3:.0f} ms")  # fmt: skip

        return private_host.run_in_private_host(user, programs, with_servers, NAMESPACES)


NAMESPACES = 96


# ---- One run ----


@dataclasses.dataclass
class Ended:
    """How a run ended. `wrong` has what no run may do, however it was disturbed."""

    status: int = None
    said: str = ""
    printed: str = ""
    report: dict = None
    took_s: float = 0
    files: set = dataclasses.field(default_factory=set)
    wrong: list = dataclasses.field(default_factory=list)


def run(name, ports, environment=(), strike=None, limit_s=LIMIT_S):
    """Runs a command in a folder of its own; strike(process), if given, may disturb it meanwhile.
    The caller has to be the subreaper, and to have no other children."""
    command = COMMANDS[name]
    folder = tempfile.mkdtemp(prefix="run-")
    words = [word.format(folder=folder, **ports) if "{" in word and "\n" not in word else word
             for word in command.words]  # fmt: skip
    ended = Ended()
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": private_host.HOME,
                   "TMPDIR": folder, "LC_ALL": "C.UTF-8",
                   # The shim comes before the sanitizer, whose allocator may fail as malloc() does.
                   "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0:"
                                   "allocator_may_return_null=1", **dict(environment)}  # fmt: skip
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen([NETKIT, *words], cwd=folder, stdout=out, stderr=said,
                                   stdin=subprocess.DEVNULL, start_new_session=True,
                                   env=environment)  # fmt: skip
        if strike:
            strike(process)
        try:
            ended.status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            ended.wrong.append(f"hangs: {_stacks(process.pid)}")
            process.kill()
            process.wait()
        ended.took_s = time.monotonic() - started
        try:
            private_host.wait_for_nobody()
        except private_host.Left as left:
            ended.wrong.append(f"left {left}")
        out.seek(0)
        said.seek(0)
        ended.printed = out.read().decode(errors="replace")
        ended.said = said.read().decode(errors="replace")
    ended.files = set(os.listdir(folder))
    if not ended.files <= set(command.files):
        ended.wrong.append(f"left files {sorted(ended.files - set(command.files))}")
    if "report" in ended.files:
        with open(os.path.join(folder, "report"), encoding="utf-8", errors="replace") as file:
            ended.printed += file.read()
    shutil.rmtree(folder)
    if ended.printed.strip():
        try:
            ended.report = json.loads(ended.printed)
        except ValueError as error:
            ended.wrong.append(f"no JSON: {error}")
    for word in ("AddressSanitizer", "LeakSanitizer", "runtime error", "*** "):
        if word in ended.said:
            ended.wrong.append(f"{word} complains")
    return ended


def _stacks(pid):
    """What netkit's processes wait for, by the kernel."""
    found = []
    for number in [pid, *private_host.children_of(pid)]:
        with contextlib.suppress(OSError):
            name = private_host.read(f"/proc/{number}/comm").decode().strip()
            found.append(f"{name} in {private_host.read(f'/proc/{number}/wchan').decode()}")
    return ", ".join(found)


def died(status):
    """The name of the signal that ended a run, or None."""
    return signal.Signals(-status).name if status is not None and status < 0 else None
