#!/usr/bin/python3
"""tcp-probe --idle-limit and --interval: how long an idle connection is kept, and how it goes, by a
server that closes or resets, and by a path that forgets connections."""

import concurrent.futures
import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import families  # noqa: E402

import lab  # noqa: E402

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "servers", "idle_server.py")
ASK = ("--send", "'hello\\n'", "--until", "line", "--no-interventions", "--warmup", "1")
LIMIT_NS = 1.5e9
FOREVER = "600"


def setUpModule():
    lab.require_lab()


def probe(family, how, seconds, options, faults=()):
    """What tcp-probe reports of a server that is on the other side of a wire with these faults."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        out = os.path.join(folder, "report.json")
        asked = " ".join([lab.NETKIT, "tcp-probe", "--json", "-o", out, *ASK, *options, "server:80"])
        run = lab.Run(f"-{family}", *faults, "--server", f"/usr/bin/python3 {SERVER} 80 {how} {seconds}",
                      "--client", asked)  # fmt: skip
        if run.status:
            raise AssertionError(run.said)
        with open(out, encoding="utf-8") as report:
            return json.load(report)


def finding(report):
    found = [f for f in report["findings"] if f["code"] == "idle-close"]
    return found[0] if found else None


class Idle(unittest.TestCase):
    def each(self, check, **cases):
        """Runs check(name, report) of each case, in each family; they mostly wait."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = {(name, family): pool.submit(probe, family, *case)
                    for name, case in cases.items() for family in families()}  # fmt: skip
            for (name, family), run in runs.items():
                with self.subTest(name, family=family):
                    check(name, run.result())

    def test_a_server_that_closes_is_seen(self):
        def check(name, report):
            idle = report["results"][0]["idle"]
            self.assertEqual(idle["end"], name)
            self.assertEqual(finding(report)["severity"], "info" if name == "fin" else "warning")
            # Never before its time; how much later is the machine's.
            self.assertGreaterEqual(idle["dropped_ns"], LIMIT_NS * 0.99)
            self.assertLess(idle["kept_ns"], idle["dropped_ns"])
            # It waits for data, which keepalive is not.
            self.assertEqual(idle["keepalive"], None if idle["dropped_ns"] < 2e9 else "does-not-keep")

        self.each(check, fin=("fin", "1.5", ["--idle-limit=4s"]), rst=("rst", "1.5", ["--idle-limit=4s"]))

    def test_keepalive_does_not_help_against_an_application(self):
        def check(_, report):
            idle = report["results"][0]["idle"]
            self.assertEqual((idle["end"], idle["keepalive"]), ("fin", "does-not-keep"))

        self.each(check, own=("fin", "2.5", ["--idle-limit=4s", "--idle-keepalive", "1s"]))

    def test_a_connection_that_is_kept(self):
        def check(_, report):
            idle = report["results"][0]["idle"]
            self.assertEqual((idle["kept_ns"], idle["dropped_ns"]), (2 * 10**9, None))
            self.assertEqual(report["verdict"], "ok")

        self.each(check, kept=("fin", FOREVER, ["--idle-limit=2s"]))

    def test_a_server_that_closes_after_each_answer_has_no_limit(self):
        def check(_, report):
            self.assertIsNone(finding(report))
            self.assertIn("closes connections after each answer", " ".join(report["results"][0]["notes"]))

        self.each(check, habit=("answer", FOREVER, ["--idle-limit=2s"]))

    def test_a_path_that_forgets(self):
        """From a moment on the wire drops all, or answers data by RST: whatever is used later is
        lost, and was not seen to go."""

        def check(name, report):
            idle = report["results"][0]["idle"]
            self.assertEqual(idle["end"], name)
            self.assertEqual(finding(report)["side"], None)
            self.assertLessEqual(idle["kept_ns"] or 0, idle["dropped_ns"])

        options = ["--idle-limit=16s", "--response-timeout", "2s"]
        silence = ("--drop", "any", "--window", "6s..600s")
        reset = ("--answer-rst", "data", "--dir", "c>s", "--window", "6s..600s")
        self.each(check, **{"silence": ("fin", FOREVER, options, silence),
                            "rst-on-use": ("fin", FOREVER, options, reset)})  # fmt: skip

    def test_rests_between_rounds(self):
        """What --interval brings about is told with its time, and apart from a habit."""

        def check(name, report):
            result = report["results"][0]
            if name == "habit":
                self.assertIsNone(finding(report))
                self.assertIn("closes the connection after each answer", " ".join(result["notes"]))
                return
            found = finding(report)
            self.assertEqual(found["evidence"]["end"], name)
            # The server counts from its answer, which may be seen late.
            self.assertGreaterEqual(found["evidence"]["dropped_ns"], 0.5e9)
            self.assertNotIn("after each answer", " ".join(result["notes"]))

        rest = ["--interval", "2s", "-n", "2"]
        self.each(check, fin=("fin", "1", rest), rst=("rst", "1", rest), habit=("answer", FOREVER, rest))


if __name__ == "__main__":
    unittest.main()
