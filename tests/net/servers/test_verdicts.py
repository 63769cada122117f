#!/usr/bin/python3
"""The acceptance runner tells right from wrong: made-up reports against its table."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
loader = importlib.machinery.SourceFileLoader("verdicts", os.path.join(HERE, "..", "verdicts"))
verdicts = importlib.util.module_from_spec(importlib.util.spec_from_loader("verdicts", loader))
loader.exec_module(verdicts)
# Every run takes the next number, and the report that has it.
PROBE = """
import os
number = 0
while True:
    try:
        os.close(os.open(f"{said}.taken.{{number}}", os.O_CREAT | os.O_EXCL))
        break
    except FileExistsError:
        number += 1
print(open(f"{said}.{{number % {count}}}").read())
"""
SERVER = """
import os, signal, sys
def end(*_):
    print("it leaks", file=sys.stderr)
    os._exit(int(os.environ.get("SERVER_STATUS", 0)))
signal.signal(signal.SIGTERM, end)
print("PORT 7", flush=True)
while True:
    signal.pause()
"""
CASES = {case.row: case for case in verdicts.CASES}


def finding(code, side="server", ms=0.0, summary=""):
    return {"code": code, "severity": "warning", "side": side, "count": 40,
            "cost_ns": int(ms * 1e6), "summary": summary}  # fmt: skip


def report(verdict, *findings, status=0, error=None, stderr=""):
    return {"verdict": verdict, "findings": list(findings), "exit_status": status,
            "stderr": stderr, "results": [{"error": error}]}  # fmt: skip


NAGLE, THINK, CORK = verdicts.NAGLE, verdicts.THINK, verdicts.CORK
UNSURE = report("inconclusive", finding("inconclusive", None, summary="cork or thought"))


class Judge(unittest.TestCase):
    def judged(self, row, given, expected, loaded=False):
        outcome, why = CASES[row].judge(given, loaded)
        self.assertEqual(outcome, expected, f"row {row}: {why}")

    def test_right_code_right_side_right_cost(self):
        self.judged("1", report(NAGLE, finding(NAGLE, ms=44)), "right")
        self.judged("1", report(NAGLE, finding(NAGLE, "client", ms=44)), "wrong")
        self.judged("1", report(NAGLE, finding(NAGLE, ms=3)), "wrong")
        self.judged("1", report(NAGLE, finding(NAGLE, ms=240)), "wrong")
        self.judged("1", report(NAGLE, finding(NAGLE, ms=240)), "right", loaded=True)
        self.judged("1", report(NAGLE), "wrong")
        self.judged("1", report(NAGLE, finding(NAGLE, ms=44), finding(THINK, ms=44)), "wrong")
        self.judged("1", report("ok"), "wrong")
        self.judged("1", UNSURE, "indefinite")
        self.judged("4", report(NAGLE, finding(NAGLE, "client", ms=44)), "right")

    def test_ok_must_not_warn(self):
        self.judged("2", report("ok"), "right")
        self.judged("2", report("ok", finding("high-rtt", ms=1)), "wrong")
        self.judged("3", report("ok"), "wrong")

    def test_never_holds_even_when_unsure(self):
        self.judged("7", report("inconclusive", finding(NAGLE, ms=5)), "wrong")
        self.judged("10", report("inconclusive", finding("inconclusive", None)), "wrong")
        self.judged("10", UNSURE, "indefinite")

    def test_costs_apart(self):
        self.judged("8", report(THINK, finding(THINK, ms=41.2), finding(NAGLE, ms=2.8)), "right")
        self.judged("8", report(THINK, finding(THINK, ms=41.2), finding(NAGLE, ms=44)), "wrong")
        self.judged("8", report(THINK, finding(THINK, ms=20)), "wrong")
        self.judged("9", report(NAGLE, finding(THINK, ms=40), finding(NAGLE, ms=44)), "right")
        self.judged("9", report(NAGLE, finding(NAGLE, ms=44)), "wrong")
        self.judged("9", report(NAGLE, finding(THINK, ms=84), finding(NAGLE, ms=44)), "wrong")

    def test_a_cork_that_cannot_be_seen(self):
        self.judged("10", report(CORK, finding(CORK, ms=208)), "right")
        maybe = finding(THINK, ms=208, summary="a TCP_CORK would look the same")
        self.judged("10small", report(THINK, maybe), "right")
        self.judged("10", report(THINK, maybe), "indefinite")
        self.judged("10small", report(THINK, finding(THINK, ms=208)), "wrong")

    def test_failures(self):
        refused = {"code": "connection-refused"}
        self.judged("13refused", report("connection-refused", status=4, error=refused), "right")
        self.judged("13refused", report("connection-refused", status=0, error=refused), "wrong")
        self.judged("13reset", report("ok", status=0), "wrong")
        told = "netkit tcp-probe: --split: no"
        self.judged("14split", {"exit_status": 2, "stderr": told}, "right")
        self.judged("14split", {"exit_status": 2, "stderr": ""}, "wrong")
        self.judged("14split", {"exit_status": None, "stderr": told}, "wrong")
        self.judged("13refused", {"exit_status": 4}, "wrong")
        self.judged("1", {}, "wrong")

    def test_how_many_are_enough(self):
        counted, other = CASES["1"], CASES["13reset"]
        self.assertEqual([verdicts.enough(counted, n, False) for n in (50, 2, 1)], [49, 1, 1])
        self.assertEqual([verdicts.enough(counted, n, True) for n in (50, 10, 1)], [40, 8, 1])
        self.assertEqual(verdicts.enough(other, 2, True), 2)


class Whole(unittest.TestCase):
    """The script from end to end, with a probe and a server that only pretend."""

    def verdicts(self, *reports, rows="1"):
        """Its status and what it prints, when the probe says these in turn."""
        with tempfile.TemporaryDirectory() as folder:
            said = os.path.join(folder, "said")
            for i, made in enumerate(reports):
                with open(f"{said}.{i}", "w", encoding="utf-8") as file:
                    json.dump(made, file)
            programs = {"NETKIT": PROBE.format(said=said, count=len(reports)),
                        "NETKIT_FIXTURE_SERVER": SERVER}  # fmt: skip
            for name, text in programs.items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(f"#!/usr/bin/python3\n{text}")
                os.chmod(file.name, 0o755)
            paths = {name: os.path.join(folder, name) for name in programs}
            ended = subprocess.run(
                [os.path.join(HERE, "..", "verdicts"), "--runs", "2", "--rows", rows,
                 "--keep", os.path.join(folder, "kept")],
                capture_output=True, text=True, env={**os.environ, **paths}, timeout=60)  # fmt: skip
            return ended.returncode, ended.stdout + ended.stderr

    def test_a_probe_that_never_decides_fails(self):
        status, said = self.verdicts(UNSURE)
        self.assertEqual(status, 1, said)
        self.assertIn("UNDECIDED verdicts 1 v4", said)

    def test_a_probe_that_is_right_passes(self):
        status, said = self.verdicts(report(NAGLE, finding(NAGLE, ms=44)))
        self.assertEqual(status, 0, said)

    def test_one_of_two_may_be_undecided(self):
        status, said = self.verdicts(UNSURE, report(NAGLE, finding(NAGLE, ms=44)))
        self.assertEqual(status, 0, said)
        self.assertIn("UNDECIDED verdicts 1 v4", said)

    def test_a_wrong_verdict_fails(self):
        right = report(NAGLE, finding(NAGLE, ms=44))
        status, said = self.verdicts(right, report("ok"))
        self.assertEqual(status, 1, said)

    def test_a_server_that_fails_says_why(self):
        status, said = self.verdicts(report("ok"), rows="2")
        self.assertEqual(status, 0, said)
        os.environ["SERVER_STATUS"] = "23"
        self.addCleanup(os.environ.pop, "SERVER_STATUS")
        status, said = self.verdicts(report("ok"), rows="2")
        self.assertEqual(status, 1, said)
        self.assertIn("status 23: it leaks", said)


if __name__ == "__main__":
    unittest.main()
