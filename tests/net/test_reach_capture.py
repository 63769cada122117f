#!/usr/bin/python3
"""netkit connect-timeout on live targets, with the right to capture: what only the packets say.
Here we are root in our own namespaces, so the right is there; one test gives it up."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import support  # noqa: E402,F401

from routers import enter  # noqa: E402
from test_reach import BRIEF, FAMILIES, ROUTERS, Case, listening, place, rules  # noqa: E402

enter()
NETKIT = os.environ["NETKIT"]
WITHOUT = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
TTL = 64 - ROUTERS  # of what comes from the server


class Captured(Case):
    def wires(self, result):
        self.assertTrue(result["tries"])
        for attempt in result["tries"]:
            self.assertIsNotNone(attempt["captured"], attempt)
        return [attempt["captured"] for attempt in result["tries"]]

    def others(self, port=80):
        return [w for f in FAMILIES for w in ("--target", place(self.row.last(f, 2), port))]

    def test_how_far_the_answers_came(self):
        self.stack.enter_context(listening(self.row["s"], 80))
        for _, result, finding in self.look_both(2, status=0):
            self.was(result, "accepted", None, finding)
            for wire in self.wires(result):
                self.assertEqual((wire["syns"], wire["synacks"]), (1, 1))
                self.assertEqual((wire["synack_ttl"], wire["rst_ttl"]), (TTL, None))
        for _, result, finding in self.look_both(2, *self.others(), port=81, status=0):
            self.was(result, "refused", "connection-refused", finding)
            for wire in self.wires(result):
                self.assertEqual((wire["syns"], wire["synacks"]), (1, 0))
                self.assertEqual((wire["synack_ttl"], wire["rst_ttl"]), (None, TTL))

    def test_an_rst_that_came_less_far(self):
        """The second router takes what is for that port for its own, and has no listener."""
        rules(self.row["r2"], "priority 10 ipproto tcp dport 82 lookup local")
        self.row["r2"].write("ipv4/conf/all/accept_local=1")
        for family in FAMILIES:
            address = self.row.last(family, 2)
            self.row["r2"].ip(f"rule add priority 50 to {address} lookup main",
                              f"address add {address} dev lo noprefixroute", family=family)  # fmt: skip
        self.stack.enter_context(listening(self.row["s"], 80))
        # A TTL alone is no verdict.
        for _, result, finding in self.look_both(2, port=82):
            self.was(result, "refused", "connection-refused", finding)
            self.assertEqual(self.wires(result)[0]["rst_ttl"], 63)
        for _, result, finding in self.look_both(2, *self.others(), port=82, status=0):
            self.was(result, "refused-on-the-way", "connection-rejected", finding)
            self.assertEqual(finding["side"], "network")
            self.assertIn("TTL 63", finding["summary"])
            self.assertIn(f"TTL {TTL}", finding["summary"])
            self.assertIn("NAT", result["cannot_tell"])

    def test_an_answer_that_this_host_drops(self):
        self.stack.enter_context(listening(self.row["s"], 80))
        rules(self.row["c"], "priority 10 iif near ipproto tcp sport 80 blackhole")
        for _, result, finding in self.look_both(2):
            self.was(result, "answer-not-taken", "answer-not-taken", finding)
            self.assertEqual(finding["side"], "client")
            wire = self.wires(result)[0]
            self.assertGreaterEqual(wire["syns"], 1)
            self.assertGreaterEqual(wire["synacks"], 1)

    def test_an_icmp_error_that_this_host_drops(self):
        self.row["r2"].ip(*(f"route add prohibit {self.row.last(f, 7)}" for f in FAMILIES))
        for family, protocol in ((4, "icmp"), (6, "ipv6-icmp")):
            self.row["c"].ip(f"rule add priority 10 iif near ipproto {protocol} blackhole",
                             family=family)  # fmt: skip
        for family, result, finding in self.look_both(7):
            self.was(result, "rejected", "connection-rejected", finding)
            self.assertEqual(result["tries"][0]["answer"], "none")
            router = self.routers(family)[1]
            self.assertEqual(self.wires(result)[0]["icmp"]["from"], router)
            self.assertIn(router, finding["summary"])
            self.assertIn("did not report", finding["summary"])

    def test_a_syn_that_never_left(self):
        """No carrier. The kernel stops the queue some time after it was lost."""
        self.row["r1"].ip("link set far down")
        look = self.row["c"].command("ip", "-o", "link", "show", "near")
        deadline = time.monotonic() + 60
        while "state UP" in subprocess.check_output(look, text=True):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        for _, result, finding in self.look_both(2):
            self.was(result, "not-sent", "syn-not-sent", finding)
            self.assertEqual(finding["side"], "client")
            self.assertEqual(self.wires(result)[0]["syns"], 0)

    def test_silence_on_the_way(self):
        self.row["r2"].ip(*(f"route add blackhole {self.row.last(f, 9)}" for f in FAMILIES))
        for _, result, finding in self.look_both(9):
            self.was(result, "silent", "connect-timeout", finding)
            wire = self.wires(result)[0]
            self.assertEqual(wire["syns"], result["syns_sent"])
            self.assertEqual(wire["synacks"], 0)
            self.assertIn("left this host", finding["summary"])


def segments(path):
    """(family, flags) of each packet of a file that was captured on "any"."""
    with open(path, "rb") as file:
        head = file.read(24)
        link = struct.unpack("=I", head[20:24])[0]
        skip = {113: 16, 276: 20}[link]
        while record := file.read(16):
            frame = file.read(struct.unpack("=IIII", record)[2])[skip:]
            version = frame[0] >> 4
            tcp = frame[40:] if version == 6 else frame[4 * (frame[0] & 15):]
            yield version, tcp[13]


class Files(Case):
    def setUp(self):
        super().setUp()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.file = os.path.join(self.folder, "packets.pcap")

    def run_netkit(self, *args, before=()):
        targets = [w for f in FAMILIES for w in ("--target", place(self.row.last(f, 2), 80))]
        return subprocess.run(
            [*before, *self.row["c"].command(NETKIT, "connect-timeout", "--json", *BRIEF, *targets,
                                             *args)],
            capture_output=True, text=True, timeout=120, check=False)  # fmt: skip

    def test_the_packets_are_kept(self):
        self.stack.enter_context(listening(self.row["s"], 80))
        run = self.run_netkit("--pcap", self.file, "--tries", "2")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(json.loads(run.stdout)["host"]["capture"], "pcap")
        flags = list(segments(self.file))
        for family in FAMILIES:
            for bits in (0x02, 0x12):  # SYN, SYN,ACK; of each try, in the file's own order
                self.assertEqual(flags.count((family, bits)), 2, flags)
            self.assertIn((family, 0x11), flags)  # FIN: all of the connection is there

    def test_the_tries_are_drawn(self):
        self.stack.enter_context(listening(self.row["s"], 80))
        run = self.run_netkit("--diagram", "--timeline", "--tries", "2")
        self.assertEqual(run.returncode, 0, run.stderr)
        report = json.loads(run.stdout)
        for family in FAMILIES:
            self.assertIn(f"{place(self.row.last(family, 2), 80)}: accepted, 2 tries",
                          report["diagram"])  # fmt: skip
        for words in ("#1 connect() = ", "#1 C>S SYN ", "#1 S>C SYN,ACK ", "#2 C>S SYN ",
                      "#2 S>C SYN,ACK ", "#2 C>S FIN"):  # fmt: skip
            self.assertEqual(report["timeline"].count(words), len(FAMILIES), words)

    def test_a_file_that_cannot_be_written(self):
        run = self.run_netkit("--pcap", os.path.join(self.folder, "missing", "x.pcap"))
        self.assertEqual(run.returncode, 3)
        self.assertIn("missing", run.stderr)

    def test_without_the_right(self):
        self.stack.enter_context(listening(self.row["s"], 80))
        run = self.run_netkit("--verbose", before=WITHOUT)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("were not captured", run.stderr)
        report = json.loads(run.stdout)
        self.assertEqual(report["host"]["capture"], "none")
        for result in report["results"]:
            self.assertEqual(result["case"], "accepted")
            self.assertEqual([t["captured"] for t in result["tries"]], [None] * 3)
        self.assertEqual(self.run_netkit(before=WITHOUT).stderr, "")
        for args in (["--pcap", self.file], ["--diagram"], ["--timeline"]):
            run = self.run_netkit(*args, before=WITHOUT)
            self.assertEqual(run.returncode, 3)
            self.assertIn(f"{args[0]}", run.stderr)
            self.assertIn("setcap", run.stderr)
            self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
            self.assertEqual(json.loads(run.stdout)["results"], [])
        self.assertFalse(os.path.exists(self.file))


if __name__ == "__main__":
    unittest.main()
