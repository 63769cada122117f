#!/usr/bin/python3
"""netkit connect-timeout on live targets, over the lab's wire: what is late, lost, held or answered
by somebody else on the way."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import Decisions  # noqa: E402

import lab  # noqa: E402

NETKIT = lab.NETKIT
LATE_NS = 20_000_000  # the differences that matter here are of 100 ms and more
SERVER = f"{sys.executable} -m http.server --bind :: 8000"


decisions = Decisions()


def setUpModule():
    lab.require_lab()


def tearDownModule():
    decisions.end()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def look(self, family, *faults, **options):
        """The results and findings of a client in a lab with these faults. On a busy machine the
        wire itself may be late, which its report says: such a run shows nothing of netkit."""
        results, late_ns = self.run_lab(family, *faults, **options)
        evidence = late_ns >= LATE_NS and f"the wire was {late_ns / 1e6:.0f} ms late"
        decides = decisions.decides(f"{self.id()} IPv{family} {' '.join(faults)}", evidence)
        return results if decides else []

    def run_lab(self, family, *faults, ports=(8000,), args=()):
        report = os.path.join(self.folder, "report.json")
        lab = os.path.join(self.folder, "lab.json")
        targets = " ".join(f"--target server:{port}" for port in ports)
        client = f"{NETKIT} connect-timeout -{family} --json -o {report} {targets} {' '.join(args)}"
        run = subprocess.run([NETKIT, "lab", f"-{family}", "--json", "-o", lab, *faults, "--server",
                              SERVER, "--client", client], capture_output=True, text=True,
                             timeout=120, check=False)  # fmt: skip
        self.assertIn(run.returncode, (0, 4), run.stderr)
        with open(report, encoding="utf-8") as file:
            report = json.load(file)
        findings = {finding["target"]: finding for finding in report["findings"]}
        with open(lab, encoding="utf-8") as file:
            late_ns = json.load(file)["results"][0]["wire"]["late_max_ns"]
        results = [(result, findings.get(result["target"])) for result in report["results"]]
        return results, late_ns

    def each(self, *faults, **options):
        for family in (4, 6):
            yield from self.look(family, *faults, **options)


class Wire(Case):
    def test_nothing_is_wrong(self):
        for result, finding in self.each():
            self.assertEqual((result["case"], finding), ("accepted", None), result)

    def test_a_long_way(self):
        for result, finding in self.each("--delay", "120ms"):
            self.assertEqual((result["case"], finding["code"]), ("slow-path", "high-rtt"), result)
            self.assertGreaterEqual(result["rtt_ns"], 240_000_000)

    def test_an_answer_that_is_late_once(self):
        late = ["--late", "syn-ack=400ms", "--count", "1"]
        for result, finding in self.each(*late):
            self.assertEqual(result["case"], "answered-late", result)
            self.assertEqual(finding["code"], "late-synack")
            self.assertEqual(result["syn_retransmits"], 0)
            self.assertIn("held", result["cannot_tell"])

    def test_an_answer_that_is_always_late(self):
        """Later than the second SYN, which looks like a loss; the timestamp tells."""
        for faults in (["--late", "syn-ack=1300ms"], ["--delay", "650ms"]):
            for result, finding in self.each(*faults):
                self.assertEqual(result["case"], "answered-late", result)
                self.assertEqual(finding["code"], "late-synack")
                self.assertEqual(result["syn_retransmits"], len(result["tries"]))
                self.assertIn("first SYN", finding["summary"])

    def test_every_first_syn_is_lost(self):
        """As often and as long as the late answers, but another SYN is answered."""
        faults = [word for nth in ("1", "2", "3") for word in ("--drop", "syn", "--nth", nth)]
        for result, finding in self.each(*faults, "--delay", "120ms"):
            self.assertEqual(result["case"], "answered-after-retries", result)
            self.assertEqual(finding["code"], "syn-retransmission")
            self.assertEqual(result["syn_retransmits"], len(result["tries"]))

    def test_a_syn_is_lost_and_so_is_its_answer(self):
        for flag in ("syn", "syn-ack"):
            for result, finding in self.each("--drop", flag, "--count", "1"):
                if flag == "syn-ack" and not result["syn_retransmits"]:
                    # Both timers are a second: the server's came first, and sent another answer.
                    self.assertEqual(result["case"], "answered-late", result)
                    self.assertIn("sent another", result["cannot_tell"])
                    continue
                self.assertEqual(result["case"], "answered-after-retries", result)
                self.assertEqual(finding["code"], "syn-retransmission")
                self.assertEqual(result["syn_retransmits"], 1)
                self.assertIn("lost", result["cannot_tell"])

    def test_nothing_comes_back(self):
        args = ["--connect-timeout", "1500ms"]
        for result, finding in self.each("--drop", "syn", args=args):
            self.assertEqual((result["case"], finding["code"]), ("silent", "connect-timeout"))
            self.assertEqual(result["syns_sent"], 2)

    def test_one_port_is_dropped(self):
        args = ["--connect-timeout", "1500ms"]
        for result, finding in self.each("--drop", "tcp dst port 9", ports=(8000, 9), args=args):
            if result["port"] == 8000:
                self.assertEqual(result["case"], "accepted", result)
            else:
                self.assertEqual((result["case"], finding["code"]), ("filtered", "filtered"))

    def test_a_reset_by_somebody_else_is_not_told_from_the_hosts(self):
        for result, finding in self.each("--answer-rst", "syn"):
            self.assertEqual((result["case"], finding["code"]), ("refused", "connection-refused"))
            self.assertIn("firewall", result["cannot_tell"])

    def test_icmp(self):
        wanted = {"net-unreachable": "network-unreachable", "host-unreachable": "host-unreachable",
                  "port-unreachable": "rejected", "admin-prohibited": "rejected"}  # fmt: skip
        for name, case in wanted.items():
            for result, _ in self.each("--answer-icmp", f"syn={name}"):
                self.assertEqual(result["case"], case, result)
                self.assertTrue(result["tries"][0]["icmp"]["from"])

    def test_refused_once_and_then_not(self):
        for result, finding in self.each("--answer-rst", "syn", "--count", "1"):
            self.assertEqual(result["case"], "unsteady", result)
            self.assertTrue(result["ok"])
            self.assertEqual(finding["severity"], "warning")


if __name__ == "__main__":
    unittest.main()
