#!/usr/bin/python3
"""Which address tcp-probe connects to, from where, and with which options: names with several
addresses, and what --all-addresses, --resolve, --source, --interface, --tos, --dscp and
--socket-option do on the wire. In namespaces of this test's own, with names of its own."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import FAMILIES, LOOPBACK, enter_namespaces, find_programs  # noqa: E402

find_programs("NETKIT")
PORT = 7000
LINE = ["--send", r"hello\n", "--until", "line", "--no-interventions", "--rounds", "3"]
TCP_INFO_SND_MSS = 16


def run(*args):
    command = [os.environ["NETKIT"], "tcp-probe", "--json", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


class Echo:
    """Sends lines back, and remembers who came and with which segment size."""

    def __init__(self, family):
        self.socket = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == 6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(("::" if family == 6 else "0.0.0.0", PORT))
        self.socket.listen(128)
        self.peers, self.mss = [], []

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, peer = self.socket.accept()
                info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                self.peers.append(peer[0])
                self.mss.append(struct.unpack_from("I", info, TCP_INFO_SND_MSS)[0])
                threading.Thread(target=self.echo, args=(client,), daemon=True).start()

    def echo(self, client):
        with client, contextlib.suppress(OSError):
            while data := client.recv(4096):
                client.sendall(data)


@contextlib.contextmanager
def deaf(family):
    """Its accept queue is full, so SYNs get no answer."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(FAMILIES[family], socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK[family], PORT))
        listener.listen(0)
        filler = stack.enter_context(socket.socket(FAMILIES[family], socket.SOCK_STREAM))
        filler.connect((LOOPBACK[family], PORT))
        yield


class Syns:
    """The type of service of each SYN on the loopback interface."""

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.socket.bind(("lo", 0))
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def seen(self):
        self.socket.setblocking(False)
        found = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, (_, protocol, *_) = self.socket.recvfrom(65536)
                if protocol == 0x0800 and packet[9] == 6:
                    flags, traffic_class = packet[4 * (packet[0] & 15) + 13], packet[1]
                elif protocol == 0x86DD and packet[6] == 6:
                    flags = packet[40 + 13]
                    traffic_class = struct.unpack_from("!I", packet)[0] >> 20 & 255
                else:
                    continue
                if flags & 0x12 == 2:
                    found.add(traffic_class)
        return found


@contextlib.contextmanager
def silent_name_server():
    """The beginning of a command whose names are asked of a server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, \
            tempfile.TemporaryDirectory(prefix="netkit-addresses-") as place:  # fmt: skip
        silent.bind(("127.0.0.99", 53))
        file = os.path.join(place, "resolv.conf")
        with open(file, "w", encoding="ascii") as out:
            out.write("nameserver 127.0.0.99\noptions timeout:30 attempts:2\n")
        yield ["unshare", "-m", "sh", "-ec", 'mount --bind "$0" /etc/resolv.conf; exec "$@"', file]


def wait_for_query(pid):
    """Until a resolver of the process has a socket connected to the silent server."""
    while True:
        with open(f"/proc/{pid}/net/udp", encoding="ascii") as table:
            if any(line.split()[2] == "6300007F:0035" for line in table):
                return
        time.sleep(0.01)


class Case(unittest.TestCase):
    maxDiff = None

    def report(self, *args, status=0):
        ended = run(*LINE, *args)
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        return json.loads(ended.stdout)

    def only(self, *args, status=0):
        (result,) = self.report(*args, status=status)["results"]
        return result


class Names(Case):
    def test_a_deaf_address_costs_a_quarter_of_a_second(self):
        with deaf(6), Echo(4):
            report = self.report(f"both.example:{PORT}")
        (result,) = report["results"]
        self.assertEqual((result["ok"], result["address"]), (True, "127.0.0.1"))
        (finding,) = [f for f in report["findings"] if f["code"] == "address-fallback"]
        self.assertEqual(finding["severity"], "warning")
        self.assertGreaterEqual(finding["cost_ns"], 250_000_000)
        self.assertIn(f"[::1]:{PORT}: no answer within", finding["summary"])
        # What the loser cost is not the winner's.
        self.assertLess(result["connect"]["connect_ns"], finding["cost_ns"])

    def test_a_refusing_address_is_passed_over_at_once(self):
        with Echo(4):
            report = self.report(f"both.example:{PORT}")
        (result,) = report["results"]
        self.assertEqual((result["ok"], result["address"]), (True, "127.0.0.1"))
        (finding,) = [f for f in report["findings"] if f["code"] == "address-fallback"]
        self.assertIn(f"[::1]:{PORT}: Connection refused", finding["summary"])

    def test_the_first_that_answers_is_taken(self):
        with Echo(4), Echo(6):
            report = self.report(f"both.example:{PORT}")
            self.assertEqual(report["results"][0]["address"], "::1")
            self.assertEqual(report["findings"], [])
            self.assertEqual(self.only("-4", f"both.example:{PORT}")["address"], "127.0.0.1")
            self.assertEqual(self.only("-6", f"both.example:{PORT}")["address"], "::1")
            result = self.only("-6", f"four.example:{PORT}", status=4)
            self.assertEqual(result["error"]["code"], "name-not-found")

    def test_all_addresses_are_targets(self):
        with Echo(4):
            report = self.report("--all-addresses", f"both.example:{PORT}", f"four.example:{PORT}")
        found = {r["target"]: r["error"] and r["error"]["code"] for r in report["results"]}
        self.assertEqual(found, {f"both.example:{PORT} ([::1]:{PORT})": "connection-refused",
                                 f"both.example:{PORT} (127.0.0.1:{PORT})": None,
                                 f"four.example:{PORT} (127.0.0.1:{PORT})": None})  # fmt: skip

    LOOK_UPS = (["tcp-probe"], ["tcp-probe", "--all-addresses"],
                ["connect-timeout", "--target"], ["accept-backlog", "--listener"])  # fmt: skip

    def test_a_look_up_obeys_the_timeout(self):
        """The resolver itself would take a minute for the name."""
        with silent_name_server() as within:
            for words in self.LOOK_UPS:
                with self.subTest(words):
                    command = [*within, os.environ["NETKIT"], *words, "silent.example:80"]
                    ended = subprocess.run([*command, "--timeout", "300ms"], capture_output=True,
                                           text=True, timeout=25)  # fmt: skip
                    self.assertEqual(ended.returncode, 4, ended)

    def test_a_look_up_obeys_signals(self):
        with silent_name_server() as within:
            for words in self.LOOK_UPS:
                with self.subTest(words):
                    command = [*within, os.environ["NETKIT"], *words, "silent.example:80"]
                    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          text=True) as process:  # fmt: skip
                        wait_for_query(process.pid)
                        process.send_signal(signal.SIGINT)
                        said = process.communicate(timeout=25)
                    self.assertEqual(process.returncode, 130, said)

    def test_resolve_answers_instead_of_the_resolver(self):
        with Echo(4), Echo(6):
            for name in "both.example", "nobody.example":
                for address in "127.0.0.5", "::1", "[::1]":
                    result = self.only("--resolve", f"{name}:{PORT}:{address}", f"{name}:{PORT}")
                    self.assertEqual(result["address"], address.strip("[]"))
            result = self.only("--resolve", f"nobody.example:{PORT + 1}:::1",
                               f"nobody.example:{PORT}", status=4)  # fmt: skip
            self.assertEqual(result["error"]["code"], "name-not-found")

    def test_targets_come_from_standard_input(self):
        command = [os.environ["NETKIT"], "tcp-probe", "--json", *LINE, "--targets", "-"]
        text = f"# a comment\n127.0.0.1:{PORT}\n\n  ::1 {PORT} # in two words\n"
        with Echo(4), Echo(6):
            ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        results = json.loads(ended.stdout)["results"]
        self.assertEqual(sorted(r["address"] for r in results), ["127.0.0.1", "::1"])


class Sockets(Case):
    def test_source(self):
        with Echo(4) as server:
            self.assertTrue(self.only("--source", "127.0.0.9", f"127.0.0.1:{PORT}")["ok"])
            self.assertEqual(set(server.peers), {"127.0.0.9"})
            result = self.only("--source", "192.0.2.1", f"127.0.0.1:{PORT}", status=3)
            self.assertEqual(result["error"]["code"], "no-local-address")
            self.assertEqual(result["error"]["errno"], "EADDRNOTAVAIL")
        with Echo(6) as server:
            self.assertTrue(self.only("--source", "fd00:2::9", f"[::1]:{PORT}")["ok"])
            self.assertEqual(set(server.peers), {"fd00:2::9"})

    def test_interface(self):
        with Echo(4), Echo(6):
            for target in f"127.0.0.1:{PORT}", f"[::1]:{PORT}":
                self.assertTrue(self.only("--interface", "lo", target)["ok"])
                result = self.only("--interface", "nosuch0", target, status=3)
                self.assertEqual(result["error"]["errno"], "ENODEV")

    def test_type_of_service(self):
        with Echo(4), Echo(6), Syns() as syns:
            for target in f"127.0.0.1:{PORT}", f"[::1]:{PORT}":
                for words, wanted in (["--tos", "16"], 16), (["--dscp", "46"], 46 << 2), ([], 0):
                    self.assertTrue(self.only(*words, target)["ok"])
                    self.assertEqual(syns.seen(), {wanted}, f"{target} {words}")

    def test_socket_option(self):
        for family, target in (4, f"127.0.0.1:{PORT}"), (6, f"[::1]:{PORT}"):
            with Echo(family) as server:
                self.only(target)
                self.only("--socket-option", "TCP_MAXSEG=500", target)
            self.assertGreater(server.mss[0], 1000)
            self.assertIn(server.mss[-1], (500, 488))  # with and without room for timestamps


def prepare_namespaces(folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "fd00:2::9/128", "dev", "lo", "nodad"], check=True)
    hosts = os.path.join(folder, "hosts")
    with open(hosts, "w", encoding="ascii") as file:
        file.write("127.0.0.1 both.example four.example\n::1 both.example\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


if __name__ == "__main__":
    enter_namespaces("--mount")
    with tempfile.TemporaryDirectory() as place:
        prepare_namespaces(place)
        unittest.main(argv=sys.argv)
