#!/usr/bin/python3
"""Thresholds, comparison with an earlier run, and results that come while others are measured."""

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
import unittest
import xml.dom.minidom

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import LOOPBACK, families, find_programs  # noqa: E402

from fixture import Server  # noqa: E402

find_programs("NETKIT")
NETKIT = os.environ["NETKIT"]
LINE = ["--send", r"hello\n", "--until", "line", "--no-interventions"]
BRIEF = ["--rounds", "8", "--warmup", "1"]


def command(*args):
    return [NETKIT, "tcp-probe", *LINE, *BRIEF, *args]


def probe(*args, **options):
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=300, **options)


def place(server, family=4):
    host = LOOPBACK[family]
    return f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def ended(self, run, status):
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)


class Thresholds(Case):
    def test_the_exit_status_says_it(self):
        with Server(["think", "30ms"]) as server:
            for family in families():
                target = place(server, family)
                self.ended(probe("--max-p50", "10s", "--max-connect", "10s", target), 0)
                run = probe("--max-p50", "20ms", "--max-connect", "10s", target)
                self.ended(run, 1)
                self.assertIn("1 of 2 exceeded", run.stdout)
                self.assertRegex(run.stdout, r"✗ max-p50|x max-p50")
                self.ended(probe("--max-tls", "10s", target), 1)  # there is no TLS

    def test_each_has_its_case(self):
        with Server(["think", "30ms"]) as server:
            limits = ["--max-p50", "20ms", "--max-p99", "10s", "--min-success", "100"]
            run = probe(*limits, "--format", "junit", place(server))
            self.ended(run, 1)
            cases = xml.dom.minidom.parseString(run.stdout).getElementsByTagName("testcase")
            failed = {case.getAttribute("name"): bool(case.getElementsByTagName("failure"))
                      for case in cases}  # fmt: skip
            target = place(server)
            self.assertTrue(failed[f"{target}: max-p50"])
            self.assertFalse(failed[f"{target}: max-p99"])
            self.assertFalse(failed["min-success"])
            run = probe(*limits, "--format", "tap", target)
            self.assertRegex(run.stdout, rf"(?m)^not ok \d+ - {re.escape(target)}: max-p50$")
            self.assertRegex(run.stdout, rf"(?m)^ok \d+ - {re.escape(target)}: max-p99$")
            report = json.loads(probe(*limits, "--json", target).stdout)
            checks = {check["name"]: check for check in report["thresholds"]}
            self.assertEqual(checks["max-p50"]["limit_ns"], 20_000_000)
            self.assertEqual(checks["max-p50"]["measured_ns"],
                             report["results"][0]["latency"]["p50_ns"])  # fmt: skip
            self.assertEqual(checks["min-success"]["measured"], 100)
            self.assertEqual([c["ok"] for c in report["thresholds"]], [False, True, True])

    def test_a_failed_target_exceeds(self):
        with Server(["one-write"]) as server, Server(["reset-mid"]) as broken:
            targets = [place(server), place(broken)]
            self.ended(probe("--min-success", "50", *targets), 0)
            self.ended(probe("--min-success", "50.1", *targets), 1)
            run = probe("--json", "--max-p99", "100s", *targets)
            self.ended(run, 1)
            checks = {c["target"]: c for c in json.loads(run.stdout)["thresholds"]}
            self.assertTrue(checks[targets[0]]["ok"])
            self.assertFalse(checks[targets[1]]["ok"])
            self.assertIsNone(checks[targets[1]]["measured_ns"])

    def test_metrics(self):
        with Server(["one-write"]) as server:
            run = probe("--prometheus", "--max-p50", "100s", place(server))
            self.ended(run, 0)
            self.assertIn(f'netkit_probe_up{{target="{place(server)}"}} 1\n', run.stdout)
            self.assertRegex(run.stdout, r'(?m)^netkit_threshold_exceeded\{threshold="max-p50",.* 0$')
            self.assertRegex(run.stdout, r'(?m)^netkit_probe_round_seconds_count\{.*\} 8$')


class Baseline(Case):
    """Thinking times this long keep a busy machine's noise below the five percent."""

    def recorded(self, habit, name):
        with Server(habit) as server:
            self.ended(probe("--json", "-o", self.path(name), place(server)), 0)

    def renamed(self, name, target):
        """The same report, as if that target had been asked."""
        with open(self.path(name), encoding="utf-8") as file:
            report = json.load(file)
        report["results"][0]["target"] = target
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(report, file)
        return self.path(name)

    def test_slower_same_and_faster(self):
        self.recorded(["think", "120ms"], "same.json")
        self.recorded(["think", "20ms"], "fast.json")
        self.recorded(["think", "400ms"], "slow.json")
        with Server(["think", "120ms"]) as server:
            target = place(server)
            judged = ["--json", "--fail-on", "regression", target, "--baseline"]
            run = probe(*judged, self.renamed("same.json", target))
            self.ended(run, 0)
            run = probe(*judged, self.renamed("fast.json", target))
            self.ended(run, 1)
            report = json.loads(run.stdout)
            found = [f for f in report["findings"] if f["code"] == "regression"]
            self.assertEqual([f["target"] for f in found], [target])
            self.assertGreater(found[0]["evidence"]["shift_ns"], 50_000_000)
            self.assertLess(found[0]["evidence"]["p_value"], 0.01)
            # The cause stays the verdict.
            self.assertEqual(report["verdict"], "server-think-time")
            run = probe(*judged, self.renamed("slow.json", target))
            self.ended(run, 0)
            self.assertIn("Improved", " ".join(json.loads(run.stdout)["results"][0]["notes"]))

    def test_what_stopped_answering(self):
        self.recorded(["one-write"], "well.json")
        with Server(["reset-mid"]) as server, Server(["one-write"]) as well:
            self.renamed("well.json", place(server))
            run = probe("--baseline", self.path("well.json"), "--fail-on", "regression",
                        place(server), place(well))  # fmt: skip
            self.ended(run, 1)
            self.assertIn("The earlier run has no such target", run.stdout)

    def test_nothing_in_common(self):
        self.recorded(["one-write"], "other.json")
        self.renamed("other.json", "other.example:1")
        with Server(["one-write"]) as server:
            run = probe("--baseline", self.path("other.json"), place(server))
            self.ended(run, 2)
            self.assertIn("none of these targets", run.stderr)

    def test_another_conversation(self):
        self.recorded(["one-write"], "line.json")
        with Server(["one-write"]) as server:
            self.renamed("line.json", place(server))
            run = probe("--new-connection", "--baseline", self.path("line.json"), place(server))
            self.ended(run, 0)
            self.assertIn('another "new_connection"', run.stderr)


class Stream(Case):
    def test_a_result_comes_at_once_and_a_closed_pipe_ends_the_run(self):
        with Server(["one-write"]) as server, Server(["silent"]) as silent:
            args = ["--format", "ndjson", "--parallel", "2", "--response-timeout", "300ms"]
            targets = [place(server)] + [place(silent)] * 200
            with subprocess.Popen(command(*args, *targets), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as run:  # fmt: skip
                first = json.loads(run.stdout.readline())
                self.assertEqual((first["type"], first["target"]), ("result", place(server)))
                self.assertIsNone(run.poll())
                run.stdout.close()
                errors = run.stderr.read()
                self.assertEqual(run.wait(timeout=300), 3, errors)
            self.assertIn("Broken pipe", errors)
            left = re.search(r"cannot be written: (\d+) of 201 targets were not probed", errors)
            self.assertTrue(left, errors)
            self.assertGreater(int(left.group(1)), 150)

    def test_a_file_appears_when_it_is_complete(self):
        with Server(["one-write"]) as server, Server(["silent"]) as silent:
            args = ["--format", "ndjson", "-o", self.path("out"), "--response-timeout", "500ms"]
            with subprocess.Popen(command(*args, place(server), place(silent)),
                                  stderr=subprocess.PIPE, text=True) as run:  # fmt: skip
                while run.poll() is None and not os.path.exists(self.path("out")):
                    self.assertLessEqual(len(os.listdir(self.folder)), 1)
                    time.sleep(0.002)
                with open(self.path("out"), encoding="utf-8") as file:
                    lines = [json.loads(line) for line in file]
                self.assertEqual(run.wait(timeout=300), 0, run.stderr.read())
            self.assertEqual(os.listdir(self.folder), ["out"])
            self.assertEqual([line["type"] for line in lines][:2], ["result", "result"])
            self.assertEqual(lines[-1]["type"], "summary")
            self.assertEqual(lines[-1]["counts"]["results"], 2)

    def test_what_was_there_survives_a_failure(self):
        with Server(["one-write"]) as server:
            run = probe("--format", "ndjson", "-o", self.path("no/such"), place(server))
            self.ended(run, 3)
            self.assertIn("cannot write", run.stderr)


class Progress(Case):
    """On standard error, if it is a terminal."""

    def on_terminal(self, *args, term="xterm"):
        main, end = pty.openpty()
        environment = {**os.environ, "TERM": term}
        with Server(["one-write"]) as server:
            with subprocess.Popen(command(*args, *[place(server)] * 30), stderr=end,
                                  stdout=subprocess.DEVNULL, env=environment) as run:  # fmt: skip
                os.close(end)
                said = b""
                try:
                    while piece := os.read(main, 4096):
                        said += piece
                except OSError:  # the terminal's other end has gone
                    pass
                os.close(main)
                self.assertEqual(run.wait(timeout=300), 0)
        return said.decode()

    def test_a_line_that_goes_away(self):
        said = self.on_terminal()
        self.assertRegex(said, r"\r\x1b\[K\d+ of 30 done, \d+ in flight")
        self.assertTrue(said.endswith("\r\x1b[K"), repr(said))
        self.assertNotIn("\n", said)

    def test_not_when_it_would_not_do(self):
        self.assertEqual(self.on_terminal("-q"), "")
        self.assertEqual(self.on_terminal(term="dumb"), "")


if __name__ == "__main__":
    unittest.main()
