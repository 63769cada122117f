#!/usr/bin/python3
"""accept-backlog on live listeners, in a network namespace whose counters are ours alone.

Each test plays a server and its clients itself, waits until the watch has seen what it is to see,
and ends it by SIGINT. So no verdict hangs on how fast this machine is. Where a queue has to drain
within a second, a machine that is too busy for that leaves the cause undecided; the wrong cause
always fails.
"""

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import INSIDE, Decisions, enter_namespaces, find_programs  # noqa: E402

find_programs("NETKIT")
NETKIT = os.environ["NETKIT"]
FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
BOUND = 30  # seconds for anything that is waited for


decisions = Decisions()


def tearDownModule():
    decisions.end()


def enter_namespace():
    """Goes on in a user and network namespace of this program's own."""
    enter_namespaces()
    raise_loopback()


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def setting(path, value):
    with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as file:
        file.write(str(value))


def counters():
    """All of /proc/net/netstat and /proc/net/snmp."""
    values = {}
    for path in ("/proc/net/netstat", "/proc/net/snmp"):
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
        for names, numbers in zip(lines[::2], lines[1::2]):
            values.update(zip(names.split()[1:], map(int, numbers.split()[1:])))
    return values


class Listener:
    """A socket that listens, and the clients that connect to it without waiting."""

    def __init__(self, case, family, host, backlog, port=0, reuse_port=False):
        self.socket = socket.socket(family)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind((host, port))
        self.socket.listen(backlog)
        self.family, self.host, self.clients = family, host, []
        self.port = self.socket.getsockname()[1]
        self.name = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        case.addCleanup(self.close)

    def close(self):
        self.socket.close()
        for client in self.clients:
            client.close()
        self.clients = []

    def connect(self, count):
        for _ in range(count):
            client = socket.socket(self.family)
            client.setblocking(False)
            client.connect_ex((self.host, self.port))
            self.clients.append(client)

    def accept_all(self):
        """What is in the queue, now. Returns how many."""
        self.socket.setblocking(False)
        count = 0
        while True:
            try:
                self.socket.accept()[0].close()
                count += 1
            except BlockingIOError:
                return count

    def queue(self):
        """The length of the accept queue, and its limit: tcpi_unacked and tcpi_sacked."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 40)
        return struct.unpack_from("=II", info, 24)


class Watch:
    """A running netkit accept-backlog, whose samples are read as they come."""

    def __init__(self, case, *args):
        self.case = case
        self.process = subprocess.Popen(
            [NETKIT, "accept-backlog", "--format", "ndjson", "--duration", "120s", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        self.samples, self.lines = [], []
        case.addCleanup(self.kill)
        self.until(lambda sample: True)

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise AssertionError("the watch ended: " + self.process.stderr.read())
        line = json.loads(text)
        self.lines.append(line)
        if line["type"] == "sample":
            self.samples.append(line)
        return line

    def until(self, condition):
        """Reads until a sample satisfies the condition, and gives it."""
        deadline = time.monotonic() + BOUND
        while time.monotonic() < deadline:
            line = self.line()
            if line["type"] == "sample" and condition(line):
                return line
        raise AssertionError(f"not seen within {BOUND} s; last: {self.samples[-3:]}")

    def for_ns(self, duration_ns):
        start_ns = self.samples[-1]["at_ns"]
        return self.until(lambda sample: sample["at_ns"] >= start_ns + duration_ns)

    def end(self, status=130):
        """Ends it, and reads the rest."""
        if status == 130:
            self.process.send_signal(signal.SIGINT)
        rest, errors = self.process.communicate(timeout=BOUND)
        self.lines += [json.loads(text) for text in rest.splitlines()]
        self.case.assertEqual(self.process.returncode, status, errors)
        self.case.assertEqual(errors, "")
        self.results = [line for line in self.lines if line["type"] == "result"]
        self.findings = [line for line in self.lines if line["type"] == "finding"]
        self.verdict = self.lines[-1]["verdict"]
        return self

    def result(self, name=None):
        found = [result for result in self.results if name in (None, result["listener"])]
        self.case.assertEqual(len(found), 1, self.results)
        return found[0]


class Case(unittest.TestCase):
    def setUp(self):
        setting("core/somaxconn", 4096)
        setting("ipv4/tcp_syncookies", 1)

    def decided(self, wanted, result):
        """What binds is what is wanted, or null: the queue did not drain within a second."""
        evidence = result["binds"] is None and "the queue was not seen to drain within a second"
        if decisions.decides(self.id(), evidence):
            self.assertEqual(result["binds"], wanted)


class Shapes(Case):
    def test_an_application_that_never_accepts(self):
        for family, host in FAMILIES:
            server = Listener(self, family, host, 5)
            before = counters()
            watch = Watch(self, "--listener", f":{server.port}")
            server.connect(16)
            watch.until(lambda sample: sample["queue"] == 6)
            watch.for_ns(1_500_000_000)
            watch.end()
            result = watch.result()
            rise = {name: value - before[name] for name, value in counters().items()}
            self.assertEqual(watch.verdict, "accept-queue-overflow", watch.findings)
            self.assertEqual(result["binds"], "application")
            self.assertEqual(result["limit"], 5)
            self.assertEqual(result["accept_queue"]["max"], 6)
            self.assertEqual(result["accepted"], {"min": 0, "max": 0})
            self.assertEqual(result["arrived"]["max"], 6)
            self.assertTrue(result["alone"])
            self.assertGreaterEqual(result["overflows"]["min"], 10)
            # SYNs are sent again: some may have come since the watch ended.
            self.assertLessEqual(result["overflows"]["max"], rise["ListenOverflows"])
            self.assertEqual(result["drops"], result["overflows"])
            server.close()

    def bursts(self, family, host, backlog):
        server = Listener(self, family, host, backlog)
        watch = Watch(self, "--listener", server.name, "--interval", "20ms")
        for _ in range(3):
            server.connect(40)
            server.accept_all()
            watch.until(lambda sample: sample["queue"] == 0)
            while server.accept_all():
                pass
            for client in server.clients:
                client.close()
            server.clients = []
            watch.until(lambda sample: sample["queue"] == 0)
        watch.for_ns(200_000_000)
        watch.end()
        server.close()
        result = watch.result()
        self.assertEqual(watch.verdict, "accept-queue-overflow", watch.findings)
        self.assertGreaterEqual(result["overflows"]["min"], 3 * 20)
        return result

    def test_bursts_that_the_backlog_does_not_hold(self):
        for family, host in FAMILIES:
            self.decided("backlog", self.bursts(family, host, 8))

    def test_bursts_that_somaxconn_does_not_hold(self):
        setting("core/somaxconn", 7)
        for family, host in FAMILIES:
            result = self.bursts(family, host, 100)
            self.assertEqual(result["limit"], 7)
            self.decided("somaxconn", result)

    def test_a_healthy_server(self):
        for family, host in FAMILIES:
            server = Listener(self, family, host, 128)
            watch = Watch(self, "--listener", f":{server.port}", "--fail-on", "any")
            accepted = 0
            for _ in range(20):
                server.connect(10)
                accepted += server.accept_all()
            while accepted < 200:
                accepted += server.accept_all()
            watch.for_ns(300_000_000)
            watch.end()
            result = watch.result()
            self.assertEqual(watch.verdict, "ok", watch.findings)
            self.assertTrue(result["ok"])
            self.assertEqual(result["arrived"], {"min": 200, "max": 200})
            self.assertEqual(result["accepted"], {"min": 200, "max": 200})
            self.assertEqual(result["drops"], {"min": 0, "max": 0})
            server.close()

    def test_connections_that_wait_for_accept(self):
        for family, host in FAMILIES:
            server = Listener(self, family, host, 128)
            server.connect(10)
            watch = Watch(self, "--listener", server.name)
            watch.until(lambda sample: sample["queue"] == 10)
            watch.for_ns(1_200_000_000)
            watch.end()
            self.assertEqual(watch.verdict, "slow-accept", watch.findings)
            self.assertGreater(watch.result()["wait_ns"], 1_000_000_000)
            server.close()


class Several(Case):
    """The counters are of the namespace: whose drops are they?"""

    def test_the_overflows_of_another_listener(self):
        for family, host in FAMILIES:
            healthy = Listener(self, family, host, 128)
            full = Listener(self, family, host, 3)
            watch = Watch(self, "--listener", healthy.name)
            healthy.connect(20)
            healthy.accept_all()
            full.connect(30)
            watch.for_ns(500_000_000)
            healthy.accept_all()
            watch.for_ns(300_000_000)
            watch.end()
            self.assertEqual(watch.verdict, "ok", watch.findings)
            self.assertFalse(watch.result()["alone"])
            self.assertEqual(watch.result()["drops"]["min"], 0)
            self.assertEqual(watch.result()["overflows"]["max"], 0)
            self.assertGreater(watch.result()["counters"]["ListenOverflows"], 20)
            healthy.close()
            full.close()

    def test_all_of_them(self):
        for family, host in FAMILIES:
            healthy = [Listener(self, family, host, 128) for _ in range(5)]
            full = Listener(self, family, host, 3)
            watch = Watch(self, "--all-listeners")
            full.connect(30)
            watch.until(lambda sample: sample["listener"] == full.name and sample["queue"] == 4)
            watch.for_ns(1_500_000_000)
            watch.end()
            self.assertEqual(len(watch.results), 6)
            self.assertEqual(watch.verdict, "accept-queue-overflow", watch.findings)
            self.assertEqual([finding["target"] for finding in watch.findings], [full.name])
            self.assertEqual(watch.result(full.name)["binds"], "application")
            self.assertEqual(watch.result(full.name)["overflows"],
                             watch.result(full.name)["drops"])
            for listener in healthy + [full]:
                listener.close()

    def test_sockets_that_share_a_port(self):
        for family, host in FAMILIES:
            first = Listener(self, family, host, 4, reuse_port=True)
            second = Listener(self, family, host, 4, port=first.port, reuse_port=True)
            watch = Watch(self, "--listener", f":{first.port}")
            first.connect(60)
            for _ in range(15):
                watch.for_ns(100_000_000)
                second.accept_all()
            watch.end()
            self.assertEqual(len(watch.results), 2)
            names = {result["listener"] for result in watch.results}
            self.assertEqual(names, {f"{first.name} (socket 1)", f"{first.name} (socket 2)"})
            stuck = [result for result in watch.results if result["binds"] == "application"]
            self.assertEqual(len(stuck), 1, watch.findings)
            self.assertEqual(stuck[0]["accept_queue"]["last"], 5)
            self.assertIsNone(stuck[0]["half_open"]["max"])
            first.close()
            second.close()

    def test_an_address_means_the_socket_that_it_reaches(self):
        wildcard = Listener(self, socket.AF_INET6, "::", 10, reuse_port=True)
        for target in (f"127.0.0.1:{wildcard.port}", f"[::1]:{wildcard.port}",
                       f":{wildcard.port}", str(wildcard.port)):  # fmt: skip
            watch = Watch(self, "--listener", target).end()
            self.assertEqual(watch.result()["listener"], f"[::]:{wildcard.port}")
        exact = Listener(self, socket.AF_INET, "127.0.0.1", 10, port=wildcard.port,
                         reuse_port=True)
        watch = Watch(self, "--listener", f"127.0.0.1:{wildcard.port}").end()
        self.assertEqual(watch.result()["listener"], exact.name)
        watch = Watch(self, "-6", "--listener", f":{wildcard.port}").end()
        self.assertEqual(watch.result()["listener"], f"[::]:{wildcard.port}")
        exact.close()
        wildcard.close()


class Life(Case):
    def test_a_listener_that_vanishes(self):
        for family, host in FAMILIES:
            server = Listener(self, family, host, 10)
            watch = Watch(self, "--listener", f":{server.port}")
            server.connect(3)
            watch.until(lambda sample: sample["queue"] == 3)
            server.socket.close()
            time.sleep(0.3)  # no line comes any more that could be waited for
            watch.end()
            self.assertIn(watch.verdict, ("listener-closed", "slow-accept"))
            closed = [line for line in watch.findings if line["code"] == "listener-closed"]
            self.assertEqual(len(closed), 1)
            self.assertEqual(closed[0]["count"], 3)
            self.assertIsNotNone(watch.result()["closed_ns"])
            server.close()

    def test_a_restart_that_loses_nobody(self):
        server = Listener(self, socket.AF_INET, "127.0.0.1", 10)
        watch = Watch(self, "--listener", server.name)
        server.socket.close()
        server = Listener(self, socket.AF_INET, "127.0.0.1", 20, port=server.port)
        watch.until(lambda sample: sample["limit"] == 20)
        watch.for_ns(200_000_000)
        watch.end()
        self.assertEqual(watch.verdict, "ok", watch.findings)
        self.assertEqual([line["severity"] for line in watch.findings], ["info"])
        self.assertEqual(sorted(result["limit"] for result in watch.results), [10, 20])
        server.close()

    def test_a_process(self):
        code = ("import socket, sys; a = socket.create_server(('127.0.0.1', 0), backlog=9);"
                "b = socket.create_server(('::1', 0), family=socket.AF_INET6, backlog=8);"
                "print(flush=True); sys.stdin.read()")  # fmt: skip
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:  # fmt: skip
            process.stdout.readline()
            watch = Watch(self, "--pid", str(process.pid))
            process.stdin.close()
            process.wait()
            watch.end(status=0)  # by itself, long before --duration
        self.assertEqual(sorted(result["limit"] for result in watch.results), [8, 9])
        self.assertEqual({line["code"] for line in watch.findings}, {"listener-closed"})
        self.assertEqual({result["pid"] for result in watch.results}, {process.pid})
        run = self.refused(4, "--pid", str(process.pid))
        self.assertIn(f"there is no process {process.pid}", run.stderr)

    def refused(self, status, *args):
        run = subprocess.run([NETKIT, "accept-backlog", *args], capture_output=True, text=True,
                             timeout=BOUND, check=False)  # fmt: skip
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        self.assertEqual(run.stdout, "")
        self.assertTrue(run.stderr.startswith("netkit accept-backlog: "), run.stderr)
        return run

    def test_what_cannot_be_watched(self):
        only_v6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
        port = only_v6.getsockname()[1]
        self.assertIn(f"nothing listens on 127.0.0.1:{port}",
                      self.refused(4, "--listener", f"127.0.0.1:{port}").stderr)
        self.refused(4, "-4", "--listener", f":{port}")
        self.assertIn("listens on no TCP port",
                      self.refused(4, "--pid", str(self.silent_process())).stderr)
        only_v6.close()
        self.refused(4, "--all-listeners")
        for args, reason in (
                ([], "say what to watch"),
                (["--listener", ":0"], "port"),
                (["--listener", "nonsense"], "nonsense"),
                (["--listener", ":80", "--interval", "0"], "--interval wants a duration"),
                (["--pid", "0"], "--pid"),
                (["--pid", "1", "--all-listeners"], "--all-listeners"),
                (["--listener", ":80", "--all-listeners"], "--all-listeners"),
                (["--listener", ":80", "more"], "more")):  # fmt: skip
            self.assertIn(reason, self.refused(2, *args).stderr)

    def silent_process(self):
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen(["sleep", "60"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process.pid


class Outside(unittest.TestCase):
    """As somebody who may look at no other process; the lab makes its own namespaces."""

    def test_a_process_of_somebody_else(self):
        if os.getuid() or os.environ.get(INSIDE):
            return
        copy = tempfile.mkdtemp()
        os.chmod(copy, 0o755)
        self.addCleanup(subprocess.run, ["rm", "-rf", copy], check=False)
        subprocess.run(["cp", NETKIT, f"{copy}/netkit"], check=True)
        run = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{copy}/netkit",
             "accept-backlog", "--pid", str(os.getpid())],
            capture_output=True, text=True, cwd="/", timeout=BOUND, check=False)  # fmt: skip
        self.assertEqual(run.returncode, 3, run.stdout + run.stderr)
        self.assertIn("may be read only by its owner", run.stderr)
        self.assertIn("--listener", run.stderr)


SERVER = """
import os, signal, socket, subprocess, sys, time
family = socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET
listener = socket.create_server(("::" if sys.argv[1] == "6" else "0.0.0.0", 8000),
                                family=family, backlog=int(sys.argv[2]))
with open(sys.argv[3] + "/report", "w") as report:
    watch = subprocess.Popen([os.environ["NETKIT"], "accept-backlog", "--listener", ":8000",
                              "--format", "ndjson", "--duration", "60s"], stdout=report)
    while watch.poll() is None and not os.path.exists(sys.argv[3] + "/stop"):
        time.sleep(0.02)
    watch.send_signal(signal.SIGINT)
    watch.wait()
open(sys.argv[3] + "/ended", "w").close()
"""
CLIENT = """
import glob, json, os, signal, socket, sys, time
folder = sys.argv[1]
family = socket.AF_INET6 if ":" in os.environ["NETKIT_SERVER"] else socket.AF_INET
def lines():
    with open(folder + "/report") as report:
        return [json.loads(line) for line in report.read().splitlines(True) if line[-1] == "\\n"]
def wait(condition):
    deadline = time.monotonic() + 30
    while not condition(lines()):
        if time.monotonic() > deadline:
            sys.exit("nothing came of it: %r" % lines()[-4:])
        time.sleep(0.05)
wait(lambda all: any(line["type"] == "sample" for line in all))
clients = []
def more(count):
    for _ in range(count):
        client = socket.socket(family)
        client.setblocking(False)
        client.connect_ex((os.environ["NETKIT_SERVER"], 8000))
        clients.append(client)
more(30)
def seen(all):
    samples = [line for line in all if line["type"] == "sample"]
    counters = [line for line in all if line["type"] == "counters"]
    more(1)
    return (max(line["half_open"] or 0 for line in samples) > 5
            and counters[-1]["counters"][sys.argv[2]] > 5)
wait(seen)
# The clients' FINs would end the handshakes, so the watch ends first.
open(folder + "/stop", "w").close()
wait(lambda all: os.path.exists(folder + "/ended"))
"""


class SynQueue(Case):
    """Half-open connections: on the lab's wire the last ACK of each handshake is lost."""

    def half_open(self, family, cookies, counter):
        folder = tempfile.mkdtemp()
        self.addCleanup(subprocess.run, ["rm", "-rf", folder], check=False)
        for name, text in (("server.py", SERVER), ("client.py", CLIENT)):
            with open(f"{folder}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        run = subprocess.run(
            [NETKIT, "lab", f"-{family}", "--drop", "ack", "--dir", "c>s", "--wait-listen", "8000",
             "--sysctl", f"server:tcp_syncookies={cookies}",
             "--server", f"exec {sys.executable} {folder}/server.py {family} 5 {folder}",
             "--client", f"exec {sys.executable} {folder}/client.py {folder} {counter}",
             "--json"],
            capture_output=True, text=True, timeout=3 * BOUND, check=False)  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stdout[-2000:] + run.stderr)
        with open(f"{folder}/report", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_syns_that_are_dropped(self):
        lines = self.half_open(4, 0, "TCPReqQFullDrop")
        self.check(lines)
        self.assertIn("tcp_syncookies=1", lines[-2]["remedy"])

    def test_syns_that_are_answered_with_cookies(self):
        self.check(self.half_open(6, 1, "TCPReqQFullDoCookies"))

    def check(self, lines):
        result = [line for line in lines if line["type"] == "result"][0]
        findings = [line for line in lines if line["type"] == "finding"]
        self.assertEqual([line["code"] for line in findings], ["syn-queue-overflow"], findings)
        self.assertEqual(result["binds"], "backlog")
        self.assertEqual(result["half_open"]["max"], 6)
        self.assertEqual(result["overflows"]["max"], 0)


class Live(Case):
    def test_a_terminal_shows_a_line(self):
        server = Listener(self, socket.AF_INET, "127.0.0.1", 9)
        server.connect(4)
        main, other = os.openpty()
        with subprocess.Popen([NETKIT, "accept-backlog", "--listener", server.name, "--duration",
                               "500ms"], stdout=subprocess.PIPE, stderr=other,
                              env=dict(os.environ, TERM="xterm", LC_ALL="C")) as process:
            os.close(other)
            shown = b""
            while True:
                try:
                    piece = os.read(main, 4096)
                except OSError:
                    break
                if not piece:
                    break
                shown += piece
            self.assertEqual(process.wait(), 0)
        os.close(main)
        self.assertRegex(shown.decode("ascii"),
                         re.escape(server.name) + r" [-_.:=+*#]+ 4 of 10, most 4, 0 of 1 s")
        self.assertTrue(shown.endswith(b"\r\x1b[K"))  # gone at the end
        server.close()

    def test_many_listeners_are_watched_through_few_lines(self):
        servers = [Listener(self, socket.AF_INET, "127.0.0.1", 9) for _ in range(300)]
        watch = Watch(self, "--all-listeners")
        servers[7].connect(2)
        watch.until(lambda sample: sample["queue"] == 2)
        watch.for_ns(300_000_000)
        count = len(watch.samples)
        self.assertLess(count, 330)
        watch.end()
        self.assertEqual(len(watch.results), 300)
        for server in servers:
            server.close()


if __name__ == "__main__":
    # Those that are outside of the namespace first: the rest runs in a process that is inside.
    if not os.environ.get(INSIDE):
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Outside)
        if not unittest.TextTestRunner().run(suite).wasSuccessful():
            sys.exit(1)
    enter_namespace()
    unittest.main()
