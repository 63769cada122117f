#!/usr/bin/python3
"""netkit connect-timeout on live targets, over a row of forwarding hosts: every case with the host
that causes it, for IPv4 and IPv6, and the path to it. What is expected follows from how the hosts
are set up, never from a time."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import find_programs  # noqa: E402

from routers import Row, ended_by, enter  # noqa: E402

find_programs("NETKIT")
enter()
NETKIT = os.environ["NETKIT"]
FAMILIES = (4, 6)
ROUTERS = 3
HOPS = ROUTERS + 1
# Silence is waited for; an answer comes at once, or when a SYN is sent again (after 1 s).
BRIEF = ["--connect-timeout", "1500ms"]
PATH = ["--path", "--hop-timeout", "400ms"]

LISTENER = """
import socket, sys
backlog, ports = int(sys.argv[1]), [int(port) for port in sys.argv[2:]]
for port in ports:
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        listener = socket.socket(family)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(backlog)
        globals().setdefault("kept", {})[family] = listener
print("ready", flush=True)
for line in sys.stdin:  # "accept 4": one connection
    word, family = line.split()
    kept[socket.AF_INET if family == "4" else socket.AF_INET6].accept()[0].close()
    print("accepted", flush=True)
"""


def place(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@contextlib.contextmanager
def listening(host, *ports, backlog=128):
    process = host.popen(sys.executable, "-c", LISTENER, str(backlog), *map(str, ports),
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the listener did not start")
        yield process
    finally:
        process.stdin.close()
        ended_by(process)
        process.stdout.close()


def rules(host, *words):
    """A rule for each family: what the hosts do with packets to one port, where there is no nft."""
    for family in FAMILIES:
        host.ip(f"rule add {' '.join(words)}", family=family)


class Case(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.row = stack.enter_context(Row(ROUTERS))
        self.stack = stack

    def look(self, *args, host="c", status=None):
        """The results of one run, by address and port; and the findings by target."""
        run = subprocess.run(self.row[host].command(NETKIT, "connect-timeout", "--json", *args),
                             capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        self.assertIn(run.returncode, (0, 4) if status is None else (status,), run.stderr)
        report = json.loads(run.stdout)
        self.assertEqual(report["schema"], "netkit/1")
        self.findings = {finding["target"]: finding for finding in report["findings"]}
        found = {(result["address"], result["port"]): result for result in report["results"]}
        self.assertEqual(any(result["ok"] for result in found.values()), run.returncode == 0)
        return found

    def look_both(self, number, *args, port=80, status=4, host="c"):
        """One target a family, on the last link: [(family, result, finding)]."""
        places = {family: self.row.last(family, number) for family in FAMILIES}
        targets = [word for address in places.values()
                   for word in ("--target", place(address, port))]  # fmt: skip
        found = self.look(*BRIEF, *targets, *args, status=status, host=host)
        return [(family, found[address, port], self.findings.get(place(address, port)))
                for family, address in places.items()]  # fmt: skip

    def routers(self, family):
        """The address at which each router answers a SYN that dies there."""
        return [self.row.address(family, link, 2) for link in self.row.links[:-1]]

    def has_path(self, result, family, routers, answer=None, end=None):
        """So many routers, in order, then `answer` at the next hop."""
        hops = result["path"]["hops"]
        self.assertEqual([hop["hop"] for hop in hops], list(range(1, len(hops) + 1)))
        got = [hop["address"] for hop in hops if hop["answer"] == "router"]
        self.assertEqual(got, self.routers(family)[:routers])
        if answer:
            self.assertEqual(len(hops), routers + 1)
            self.assertEqual(hops[routers]["answer"], answer)
        for hop in hops[:routers]:
            self.assertTrue(hop["syn_retransmits"] or hop["rtt_ns"] > 0, hop)
        if end:
            self.assertIn(end, result["path"]["end"])

    def was(self, result, case, code, finding):
        self.assertEqual(result["case"], case, result)
        if result["ok"]:
            self.assertIsNone(result["error"])
        else:
            self.assertEqual(result["error"]["code"], code)
        if code:
            self.assertEqual(finding["code"], code)
        else:
            self.assertIsNone(finding)


class Answers(Case):
    def test_accepted(self):
        self.stack.enter_context(listening(self.row["s"], 80))
        for family, result, finding in self.look_both(2, *PATH, status=0):
            self.was(result, "accepted", None, finding)
            self.has_path(result, family, ROUTERS, "connected", f"hop {HOPS}")
            self.assertEqual([t["answer"] for t in result["tries"]], ["connected"] * 3)
            self.assertEqual(result["route"]["gateway"], self.row.address(family, 1, 2))
            self.assertEqual(result["route"]["source"], self.row.address(family, 1, 1))
            self.assertIsNone(result["cannot_tell"])

    def test_refused(self):
        for family, result, finding in self.look_both(2, *PATH):
            self.was(result, "refused", "connection-refused", finding)
            self.assertEqual(result["error"]["errno"], "ECONNREFUSED")
            self.assertIn("firewall", result["cannot_tell"])
            self.has_path(result, family, ROUTERS, "rst", f"hop {HOPS}")

    def test_refused_by_something_before_the_host(self):
        """The second router takes what is for that port for its own, and has no listener."""
        rules(self.row["r2"], "priority 10 ipproto tcp dport 82 lookup local")
        self.row["r2"].write("ipv4/conf/all/accept_local=1")
        for family in FAMILIES:
            address = self.row.last(family, 2)
            self.row["r2"].ip(f"rule add priority 50 to {address} lookup main",
                              f"address add {address} dev lo noprefixroute", family=family)  # fmt: skip
        self.stack.enter_context(listening(self.row["s"], 80))
        others = [w for f in FAMILIES for w in ("--target", place(self.row.last(f, 2), 80))]
        for family, result, finding in self.look_both(2, *PATH, *others, port=82, status=0):
            self.was(result, "refused-on-the-way", "connection-rejected", finding)
            self.assertEqual(finding["side"], "network")
            self.has_path(result, family, 1, "rst", "hop 2")


class Rejections(Case):
    def rejected_by(self, result, family, finding, address, hop):
        self.assertEqual([t["answer"] for t in result["tries"]], ["icmp"])
        icmp = result["tries"][0]["icmp"]
        self.assertEqual(icmp["from"], address)
        self.assertFalse(icmp["ours"])
        self.assertEqual(finding["evidence"]["icmp_from"], address)
        self.assertIn(address, finding["summary"])
        self.has_path(result, family, hop - 1, "icmp", f"hop {hop}")
        self.assertEqual(result["path"]["hops"][hop - 1]["address"], address)
        return icmp["name"]

    def test_a_router_prohibits(self):
        self.row["r2"].ip(*(f"route add prohibit {self.row.last(f, 7)}" for f in FAMILIES))
        for family, result, finding in self.look_both(7, *PATH):
            self.was(result, "rejected", "connection-rejected", finding)
            name = self.rejected_by(result, family, finding, self.routers(family)[1], 2)
            self.assertEqual(name, "admin-prohibited")
            self.assertEqual(result["error"]["errno"], "EHOSTUNREACH" if family == 4 else "EACCES")
            self.assertEqual(finding["side"], "network")

    def test_the_host_itself_prohibits(self):
        rules(self.row["s"], "priority 10 ipproto tcp dport 85 prohibit")
        for family, result, finding in self.look_both(2, *PATH, port=85):
            self.was(result, "rejected", "connection-rejected", finding)
            self.assertEqual(result["tries"][0]["icmp"]["from"], self.row.last(family, 2))
            self.assertEqual(finding["side"], "server")
            self.assertIn("target's own address", finding["summary"])

    def test_a_router_has_no_route(self):
        self.row["r2"].ip(*(f"route del {self.row.net(f, HOPS)}" for f in FAMILIES))
        for family, result, finding in self.look_both(7, *PATH):
            self.was(result, "network-unreachable", "network-unreachable", finding)
            self.rejected_by(result, family, finding, self.routers(family)[1], 2)

    def test_a_router_finds_nobody(self):
        patience = ["--connect-timeout", "30s"]
        for family, result, finding in self.look_both(55, *patience):
            self.was(result, "host-unreachable", "host-unreachable", finding)
            self.assertEqual(result["tries"][0]["icmp"]["from"], self.routers(family)[2])
            self.assertIn("route", result["cannot_tell"])

    def test_a_circle(self):
        """Two routers that each take the other for the way."""
        for family, net in ((4, "10.9.0.0/24"), (6, "fd09::/64")):
            for name, hop in (("c", (1, 2)), ("r1", (2, 2)), ("r2", (2, 1))):
                self.row[name].ip(f"route add {net} via {self.row.address(family, *hop)}")
        found = self.look(*BRIEF, "--target", "10.9.0.1:80", "--target", "[fd09::1]:80")
        for result in found.values():
            self.assertEqual(result["case"], "routing-loop")
            self.assertEqual(self.findings[result["target"]]["code"], "routing-loop")


class Silence(Case):
    def test_a_router_swallows(self):
        self.row["r2"].ip(*(f"route add blackhole {self.row.last(f, 9)}" for f in FAMILIES))
        for family, result, finding in self.look_both(9, *PATH):
            self.was(result, "silent", "connect-timeout", finding)
            self.assertIsNone(finding["side"])
            self.has_path(result, family, 1, end=f"{self.routers(family)[0]} (hop 1)")
            self.assertIn("does not prove", result["path"]["end"])
            self.assertEqual([h["answer"] for h in result["path"]["hops"][1:]],
                             ["none"] * (len(result["path"]["hops"]) - 1))  # fmt: skip
            predicted = result["syns_predicted"]
            self.assertGreaterEqual(result["syns_sent"], predicted["min"])
            self.assertLessEqual(result["syns_sent"], predicted["max"])
            for word in ("filter", "down", "accept queue"):
                self.assertIn(word, result["cannot_tell"])

    def test_one_port_is_swallowed_and_another_is_not(self):
        rules(self.row["r2"], "priority 10 ipproto tcp dport 81 blackhole")
        self.stack.enter_context(listening(self.row["s"], 80))
        others = [w for f in FAMILIES for w in ("--target", place(self.row.last(f, 2), 80))]
        for family, result, finding in self.look_both(2, *PATH, *others, port=81, status=0):
            self.was(result, "filtered", "filtered", finding)
            self.assertIn(place(self.row.last(family, 2), 80), finding["summary"])
            self.has_path(result, family, 1)

    def test_the_host_swallows(self):
        """Behind the last router, which the other port's distance tells."""
        rules(self.row["s"], "priority 10 ipproto tcp dport 84 blackhole")
        self.stack.enter_context(listening(self.row["s"], 80))
        others = [w for f in FAMILIES for w in ("--target", place(self.row.last(f, 2), 80))]
        for family, result, finding in self.look_both(2, *PATH, *others, port=84, status=0):
            self.was(result, "filtered", "filtered", finding)
            self.has_path(result, family, ROUTERS, end="the last router before the host")

    def test_nobody_on_the_link(self):
        found = self.look("--target", "10.0.1.77:80", "--target", "[fd00:1::77]:80")
        for result in found.values():
            finding = self.findings[result["target"]]
            self.was(result, "no-neighbour", "host-unreachable", finding)
            self.assertTrue(result["tries"][0]["icmp"]["ours"])
            self.assertEqual(result["route"]["neighbour"], "FAILED")
            self.assertIsNone(result["cannot_tell"])
            self.assertIn("own link", finding["summary"])

    def test_less_patience_than_neighbour_discovery(self):
        found = self.look(*BRIEF, "--target", "10.0.1.78:80", "--target", "[fd00:1::78]:80")
        for result in found.values():
            self.assertEqual(result["case"], "no-neighbour")
            self.assertEqual(result["route"]["neighbour"], "INCOMPLETE")

    def test_no_gateway(self):
        self.row["c"].ip("route add 10.8.0.0/24 via 10.0.1.99",
                         "route add fd08::/64 via fd00:1::99")  # fmt: skip
        found = self.look("--target", "10.8.0.1:80", "--target", "[fd08::1]:80")
        for result in found.values():
            finding = self.findings[result["target"]]
            self.was(result, "no-neighbour", "host-unreachable", finding)
            self.assertIn(result["route"]["gateway"], finding["summary"])


class Here(Case):
    def test_what_our_own_tables_say(self):
        kinds = ((1, "prohibit"), (2, "unreachable"), (3, "blackhole"))
        self.row["c"].ip(*(f"route add {kind} {net}{i}" for net in ("10.9.0.", "fd09::")
                           for i, kind in kinds))  # fmt: skip
        wanted = {1: ("not-permitted", "EACCES"), 2: ("no-route", "EHOSTUNREACH"),
                  3: ("no-route", "EINVAL"), 99: ("no-route", "ENETUNREACH")}  # fmt: skip
        addresses = {f"10.9.0.{i}": i for i in (1, 2, 3)} | {f"fd09::{i}": i for i in (1, 2, 3)}
        addresses |= {"10.99.0.1": 99, "fd99::1": 99}
        targets = [word for address in addresses for word in ("--target", place(address, 80))]
        found = self.look(*targets, *PATH, status=3)
        for address, number in addresses.items():
            with self.subTest(address=address):
                result = found[address, 80]
                self.assertEqual((result["case"], result["error"]["errno"]), wanted[number])
                self.assertEqual(self.findings[result["target"]]["side"], "client")
                self.assertIsNone(result["path"])

    def hold(self, address, count):
        """So many connections to a listener, as long as the test runs."""
        holder = self.row["c"].popen(
            sys.executable, "-c", "import socket, sys; s = [socket.create_connection((sys.argv[1],"
            " 80)) for _ in range(int(sys.argv[2]))]; print(flush=True); sys.stdin.read()",
            address, str(count), stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        holder.stdout.readline()

        def end():
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()

        self.stack.callback(end)

    def converse(self, target, *args, status):
        """The only result of tcp-probe, and its finding."""
        run = subprocess.run(
            self.row["c"].command(NETKIT, "tcp-probe", "--json", "--send", r"x\n", *args, target),
            capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        self.assertEqual(run.returncode, status, run.stderr)
        report = json.loads(run.stdout)
        return report["results"][0], report["findings"][0]

    def lacks_address(self, result, finding, number):
        self.assertEqual(result["error"]["code"], "no-local-address", result)
        self.assertEqual(result["error"]["errno"], number)
        self.assertEqual((finding["code"], finding["side"]), ("no-local-address", "client"))

    def test_no_port_left(self):
        self.row["c"].write("ipv4/ip_local_port_range=40000 40019")
        self.stack.enter_context(listening(self.row["r1"], 80))
        for family in FAMILIES:
            address = self.row.address(family, 1, 2)
            self.hold(address, 20)
            result = self.look("--target", place(address, 80), status=3)[address, 80]
            self.lacks_address(result, self.findings[result["target"]], "EADDRNOTAVAIL")
            self.assertEqual(result["case"], "no-local-address")
            self.assertIsNone(result["cannot_tell"])
            self.assertIn("20 of the 20 local ports",
                          self.findings[result["target"]]["summary"])  # fmt: skip
            result, finding = self.converse(place(address, 80), status=3)
            self.lacks_address(result, finding, "EADDRNOTAVAIL")
            self.assertIn("20 of the 20 local ports (40000-40019", finding["summary"])
            evidence = finding["evidence"]
            self.assertEqual([evidence[key] for key in ("port_first", "port_last", "ports_taken")],
                             [40000, 40019, 20])  # fmt: skip

    def test_no_such_address_of_ours(self):
        """Ports enough, so that they are not what is missing."""
        self.stack.enter_context(listening(self.row["r1"], 80))
        for family in FAMILIES:
            address = self.row.address(family, 1, 2)
            result, finding = self.converse(place(address, 80), "--source",
                                            self.row.last(family, 2), status=3)  # fmt: skip
            self.lacks_address(result, finding, "EADDRNOTAVAIL")
            self.assertIn(f"{self.row.last(family, 2)} (--source) is no address of this host",
                          finding["summary"])  # fmt: skip


    def both(self, target, *prefix, status):
        """The errors and the findings of both commands, run by `prefix`."""
        for command, option in (("connect-timeout", ["--target"]), ("tcp-probe", [])):
            run = subprocess.run(
                self.row["c"].command(*prefix, NETKIT, command, "--json", *option, target),
                capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
            self.assertEqual(run.returncode, status, run.stderr)
            report = json.loads(run.stdout)
            yield report["results"][0]["error"], report["findings"][0]

    def same(self, target, code, cause, words, *prefix, status=4, side="client"):
        """Both commands say the same of a connect that never began."""
        (error, finding), (other, another) = self.both(target, *prefix, status=status)
        for one in (finding, another):
            self.assertEqual((one["code"], one["side"], one["evidence"]["cause"]),
                             (code, side, cause))  # fmt: skip
            self.assertIn(words, one["summary"])
        self.assertEqual((error["code"], error["errno"]), (other["code"], other["errno"]))
        self.assertEqual(finding["remedy"], another["remedy"])
        return finding, another

    def refused(self, address, *args, **more):
        finding, another = self.same(place(address, 80), *args, **more)
        clause = finding["summary"].rstrip(".")
        self.assertTrue(another["summary"].lower().endswith(clause.lower()), another["summary"])

    def test_both_commands_say_the_same(self):
        kinds = ((1, "prohibit"), (2, "unreachable"), (3, "blackhole"))
        self.row["c"].ip(*(f"route add {kind} {net}{i}" for net in ("10.9.0.", "fd09::")
                           for i, kind in kinds))  # fmt: skip
        for net, far in (("10.9.0.", "10.99.0.1"), ("fd09::", "fd99::1")):
            self.refused(far, "network-unreachable", "no-route", "no route to it")
            self.refused(f"{net}1", "not-permitted", "route-prohibited", "'prohibit'", status=3)
            self.refused(f"{net}2", "network-unreachable", "route-unreachable", "'unreachable'")
            self.refused(f"{net}3", "network-unreachable", "route-blackhole", "'blackhole'")

    def test_ipv6_is_switched_off(self):
        setting = "net.ipv6.conf.{}.disable_ipv6 is 1"
        self.row["c"].write("ipv6/conf/lo/disable_ipv6=1")
        self.refused("::1", "no-local-address", "ipv6-off", setting.format("lo"), status=3)
        self.row["c"].write("ipv6/conf/all/disable_ipv6=1")
        for address in ("::1", "2001:db8::1"):
            self.refused(address, "no-local-address", "ipv6-off", setting.format("all"), status=3)

    def test_lo_is_down(self):
        for address in ("127.0.0.1", "::1"):
            self.refused(address, "network-unreachable", "loopback-down", "lo", "unshare", "-n")

    def test_no_name_server_answers(self):
        """On loopback, where none listens; or there is none."""
        place = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="netkit-reach-"))
        file = os.path.join(place, "resolv.conf")
        mount = ["unshare", "-m", "sh", "-ec",
                 'mount --bind "$0" /etc/resolv.conf; exec "$@"', file]  # fmt: skip
        for line, cause, side, words in (
            ("nameserver 127.0.0.99\n", "name-server-silent", None, "127.0.0.99"),
            ("# none\n", "no-name-server", "client", "names no name server"),
        ):
            with open(file, "w", encoding="ascii") as out:
                out.write(line)
            self.same("service.example:80", "name-not-found", cause, words, *mount, side=side)


class Overload(Case):
    def fill(self, host, family):
        """Takes the only place in the accept queue (backlog 0), and leaves it taken."""
        address = self.row.last(family, 2)
        holder = self.row[host].popen(
            sys.executable, "-c", "import socket, sys; s = socket.create_connection((sys.argv[1], "
            "80)); print(flush=True); sys.stdin.read()", address,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        holder.stdout.readline()

        def end():
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()

        self.stack.callback(end)

    def dropped(self):
        """How many SYNs the server's listeners have dropped."""
        with open(f"/proc/{self.row['s'].process.pid}/net/netstat", encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith("TcpExt:")]
        return int(dict(zip(*lines))["ListenDrops"])

    def test_seen_on_the_host_itself(self):
        self.stack.enter_context(listening(self.row["s"], 80, backlog=0))
        for family in FAMILIES:
            self.fill("s", family)
        for _, result, finding in self.look_both(2, host="s"):
            self.was(result, "listener-overloaded", "accept-queue-overflow", finding)
            self.assertEqual(finding["side"], "server")
            self.assertIsNone(result["cannot_tell"])

    def test_from_outside_it_looks_like_a_filter(self):
        self.stack.enter_context(listening(self.row["s"], 80, backlog=0))
        for family in FAMILIES:
            self.fill("c", family)
        for _, result, finding in self.look_both(2):
            self.was(result, "silent", "connect-timeout", finding)
            self.assertIn("accept queue", result["cannot_tell"])

    def answered_after(self, host):
        """The queue is emptied once a SYN was dropped, so that the next one is answered."""
        server = self.stack.enter_context(listening(self.row["s"], 80, backlog=0))
        for family in FAMILIES:
            self.fill(host, family)
            before = self.dropped()
            address = self.row.last(family, 2)
            run = self.row[host].popen(NETKIT, "connect-timeout", "--json", "--tries", "1",
                                       "--target", place(address, 80), text=True,
                                       stdout=subprocess.PIPE)  # fmt: skip
            deadline = time.monotonic() + 60
            while self.dropped() == before and time.monotonic() < deadline:
                time.sleep(0.01)
            # The listener of this host is looked at 200 ms after the SYN, before the next one.
            time.sleep(0.4 if host == "s" else 0)
            server.stdin.write(f"accept {family}\n")
            server.stdin.flush()
            self.assertEqual(server.stdout.readline(), "accepted\n")
            report = json.loads(run.communicate(timeout=60)[0])
            self.assertEqual(run.returncode, 0)
            server.stdin.write(f"accept {family}\n")
            server.stdin.flush()
            server.stdout.readline()
            yield report["results"][0], report["findings"][0]

    def test_answered_once_there_is_room(self):
        for result, finding in self.answered_after("c"):
            self.was(result, "answered-after-retries", "syn-retransmission", finding)
            self.assertGreater(result["tries"][0]["syn_retransmits"], 0)
            self.assertIn("accept queue", result["cannot_tell"])
            self.assertIsNone(finding["side"])

    def test_answered_once_there_is_room_on_the_host_itself(self):
        for result, finding in self.answered_after("s"):
            self.was(result, "listener-overloaded", "accept-queue-overflow", finding)
            self.assertEqual(finding["side"], "server")


class Forms(Case):
    def test_every_format_and_the_text(self):
        targets = [word for port in (80, 81)
                   for word in ("--target", place(self.row.last(4, 2), port))]  # fmt: skip
        targets += PATH
        for form, word in (("junit", "cannot tell: "), ("tap", "not ok 2"), ("ndjson", '"summary"'),
                           ("text", "to find out")):  # fmt: skip
            run = subprocess.run(
                self.row["c"].command(NETKIT, "connect-timeout", "--format", form, *targets),
                capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
            self.assertEqual(run.returncode, 4, run.stderr)
            self.assertIn(word, run.stdout)
            if form == "text":
                self.assertTrue(all(len(line) <= 80 for line in run.stdout.splitlines()))


class Ends(Case):
    """A run that ends early says how far it came."""

    def setUp(self):
        super().setUp()
        self.row["r1"].ip(f"route add blackhole {self.row.last(4, 9)}")
        self.target = place(self.row.last(4, 9), 80)

    def test_time_is_up(self):
        found = self.look("--timeout", "2s", "--target", self.target, status=4)
        result = found[self.row.last(4, 9), 80]
        self.assertEqual(result["case"], "silent")
        self.assertGreaterEqual(result["syns_sent"], 1)

    def test_interrupted(self):
        run = self.row["c"].popen(NETKIT, "connect-timeout", "--json", "--connect-timeout", "60s",
                                  "--target", self.target, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)  # fmt: skip
        with open(f"/proc/{self.row['c'].process.pid}/net/tcp", encoding="ascii") as table:
            deadline = time.monotonic() + 60
            while " 02 " not in table.read() and time.monotonic() < deadline:  # SYN-SENT
                time.sleep(0.01)
                table.seek(0)
        run.send_signal(signal.SIGINT)
        report = json.loads(run.communicate(timeout=60)[0])
        self.assertEqual(run.returncode, 130)
        self.assertTrue(report["interrupted"])
        self.assertEqual(report["results"][0]["case"], "silent")


if __name__ == "__main__":
    unittest.main()
