"""Cases that a diagnosis by points gets wrong, one of each kind, on real kernels: the lab's wire has
the path, tests/net/servers/play.py the server. NETKIT names the binary."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from support import find_programs, undecided  # noqa: E402

find_programs("NETKIT")
sys.path.insert(0, os.path.join(HERE, "lab"))
from lab import require_lab  # noqa: E402

PLAY = os.path.join(HERE, "servers", "play.py")
NETKIT = os.environ["NETKIT"]
LIMIT_S = 200
BOTH = (4, 6)
NAGLE = "nagle-delayed-ack nagle-round-trip"
LATE_WIRE_MS = 5


class Case:
    """right: "code side" ("none": nobody's) of findings of which one must be made, or nothing: nobody is blamed.
    Findings of the network are no blame where the path has what they say. unsure: it may also say
    that it can't tell."""

    def __init__(self, name, lab, play, probe, right="", never="", unsure=False, request=2,
                 families=BOTH, setup="", cost=None):  # fmt: skip
        self.name, self.lab, self.play, self.probe = name, lab.split(), play.split(), probe.split()
        self.right = [tuple(item.split()) for item in right.split("|") if item]
        self.never, self.unsure, self.request = never.split(), unsure, request
        self.families, self.setup, self.cost = families, setup, cost


# fmt: off
CASES = [
    Case("jitter, one write", "--delay 10ms --late any=0ms+10ms", "w:200", "--until bytes:200",
         never="server-think-time cork-hold nagle-delayed-ack"),
    Case("jitter and Nagle", "--delay 10ms --late any=0ms+10ms", "nagle w:100 w:100",
         "--until bytes:200", "nagle-delayed-ack server", never="server-think-time", unsure=True),
    Case("a request over a slow link", "--delay 10ms --rate 5M", "w:100",
         "--until bytes:100", request=100000, never="server-think-time"),
    Case("an answer over a slow link", "--rate 1M", "w:20000", "--until bytes:20000",
         never="server-think-time"),
    Case("a large answer over a slow link", "--rate 1M", "w:200000", "--until bytes:200000 -n 15",
         never="server-think-time"),
    Case("three segments at 100 kB/s", "--rate 100k", "w:3000", "--until bytes:3000",
         never="server-think-time nagle-delayed-ack"),
    Case("a cork and a round trip", "--delay 40ms", "nagle cork:1 w:200 w:200",
         "--until bytes:400", "cork-hold server", never="server-think-time nagle-delayed-ack", unsure=True),
    Case("Nagle over 90 ms", "--delay 45ms", "nagle w:100 w:100", "--until bytes:200",
         "nagle-delayed-ack server", never="server-think-time cork-hold"),
    Case("Nagle over 200 ms", "--delay 100ms", "nagle w:100 w:100", "--until bytes:200",
         "nagle-delayed-ack server", never="server-think-time cork-hold"),
    Case("our Nagle, acknowledged at once", "--delay 50ms", "quickack w:100",
         "--split 1 --until bytes:100", "nagle-round-trip client", never="nagle-delayed-ack server-think-time",
         request=20),
    Case("an initial window of one", "--delay 10ms", "s:300 w:2000", "--until bytes:2000 -n 15",
         "server-think-time server", never=NAGLE,
         setup="ip route change $(ip -{f} route show | grep -m1 '^[^d].*dev' ) initcwnd 1"),
    Case("a server that waits for its ACK", "", "w:100 unsent w:100", "--until bytes:200",
         "nagle-delayed-ack server", never="server-think-time"),
    Case("Nagle, and every second answer pauses", "", "nagle w:100 s:41 w:100 / nagle w:100 w:100",
         "--until bytes:200", "nagle-delayed-ack server"),
    Case("loss on the way back", "--drop data --dir s>c --probability 0.03 --delay 5ms", "w:100000",
         "--until bytes:100000", never="server-think-time nagle-delayed-ack"),
    Case("small answers lost", "--drop data --dir s>c --probability 0.3", "w:200",
         "--until bytes:200", "retransmission-timeout network|retransmission network",
         never="server-think-time cork-hold", unsure=True),
    Case("our send buffer", "lo", "w:100", "--socket-option SO_SNDBUF=4k --until bytes:100 -n 15",
         "send-buffer-limited client", request=100000, never="server-think-time zero-window"),
    Case("our receive buffer", "lo", "w:2000000", "--socket-option SO_RCVBUF=4k --until bytes:2000000 -n 10",
         never="server-think-time nagle-delayed-ack"),
    Case("the server's send buffer", "lo", "sndbuf=4096 w:200000", "--until bytes:200000",
         "peer-send-buffer-limited server", never="nagle-delayed-ack server-think-time"),
    Case("healthy over 200 ms", "--delay 100ms", "w:50", "--until bytes:50",
         never="server-think-time cork-hold inconclusive"),
    Case("a pause as long as the round trip", "--delay 17ms", "w:100 s:40 w:100",
         "--until bytes:200", "server-think-time server", never=NAGLE),
    Case("Nagle between rounds of rest", "--delay 10ms", "nagle w:100 w:100",
         "--interval 50ms --until bytes:200", "nagle-round-trip server|nagle-delayed-ack server",
         never="server-think-time"),
    Case("a pause behind more than an initial window", "--delay 10ms", "w:16000 s:60 w:16000",
         "--until bytes:32000", "server-think-time server", never="congestion-window-limited"),
    Case("a pause behind an initial window", "--delay 25ms", "w:14480 s:20 w:20000",
         "--until bytes:34480 -n 15", "server-think-time server", never="congestion-window-limited", unsure=True),
    Case("a pause behind more segments", "--delay 25ms", "w:28960 s:20 w:10000",
         "--until bytes:38960 -n 15", "server-think-time server", never="congestion-window-limited", unsure=True),
    Case("a round trip behind an initial window", "--delay 25ms", "w:14280 s:50 w:20000",
         "--until bytes:34280 -n 15", "inconclusive none",
         never="congestion-window-limited slow-start-round-trips server-think-time"),
    Case("a pause before segments that come together", "--delay 25ms", "w:4344 s:30 w:5000",
         "--until bytes:9344 --interval 300ms -n 12", "server-think-time server",
         never="congestion-window-limited bandwidth-limited", unsure=True),
    Case("answers that overlap", "--delay 10ms", "w:100 s:40 w:100", "--until bytes:100 -n 20",
         "inconclusive none", never=f"server-think-time {NAGLE}"),
    Case("what is left of an answer stalls", "--delay 10ms", "nagle w:100 w:100", "--until bytes:100 -n 20",
         "inconclusive none", never=f"server-think-time {NAGLE}"),
    Case("slow start", "--delay 25ms", "w:60000", "--until bytes:60000 --new-connection -n 12",
         "slow-start-round-trips network|congestion-window-limited network", never="server-think-time"),
    Case("slow start over 200 ms", "--delay 100ms", "w:100000",
         "--until bytes:100000 --new-connection -n 8",
         "slow-start-round-trips network|congestion-window-limited network",
         never="server-think-time cork-hold"),
    Case("late answers and bytes left over", "", "s:40 w:100 w:50", "--until bytes:100 -n 15",
         "inconclusive none", never="server-think-time"),
    Case("slow start after a rest", "--delay 25ms", "w:60000",
         "--until bytes:60000 --interval 500ms -n 12",
         "slow-start-round-trips network|congestion-window-limited network", never="server-think-time"),
    Case("no slow start on a connection in use", "--delay 25ms", "w:60000", "--until bytes:60000 -n 15",
         never="slow-start-round-trips server-think-time"),
    Case("pauses like slow start's", "--delay 25ms", "w:14480 s:50 w:28960 s:50 w:28960",
         "--until bytes:72400 --new-connection -n 12", "inconclusive none",
         never="slow-start-round-trips server-think-time"),
    Case("a request in slow start", "--delay 25ms", "w:100", "--until bytes:100 --new-connection -n 12",
         "slow-start-round-trips network|congestion-window-limited network", never="server-think-time",
         request=100000),
    Case("a large request over a slow link", "--delay 25ms --rate 1M", "w:100",
         "--until bytes:100 --interval 400ms -n 10", never="slow-start-round-trips server-think-time",
         request=100000),
    Case("a pause behind full segments", "--delay 5ms", "w:2896 s:50 w:2896", "--until bytes:5792",
         "server-think-time server", never="congestion-window-limited bandwidth-limited"),
    Case("a pause between two segments", "--delay 10ms", "w:1448 s:50 w:1448",
         "--until bytes:2896", "server-think-time server", never="bandwidth-limited"),
    Case("a pause before many segments", "--delay 10ms", "w:500 s:50 w:20000",
         "--until bytes:20500", "server-think-time server", never="bandwidth-limited"),
    Case("several pauses", "--delay 1ms", "w:20000 s:12 w:20000 s:12 w:20000 s:12 w:20000 s:12 w:20000",
         "--until bytes:100000", "server-think-time server", never="peer-send-buffer-limited"),
    Case("Nagle behind full segments", "--delay 10ms", "nagle w:40000 w:20100",
         "--until bytes:60100", never="congestion-window-limited server-think-time"),
    Case("Nagle in every third round", "--delay 10ms", "nagle w:100 w:100 / w:200 / w:200",
         "--until bytes:200", "nagle-delayed-ack server", never="server-think-time"),
    Case("a header and a body with Nagle", "--delay 10ms", "nagle w:200 w:3000",
         "--until bytes:3200", "nagle-round-trip server", never="server-think-time", unsure=True),
]
# fmt: on


def run(case, family, folder, more=()):
    """The report and how late the wire was, in ms; `more` are further options of tcp-probe."""
    report = os.path.join(folder, "report.json")
    wire = os.path.join(folder, "lab.json")
    target = "server:7000" if case.lab != ["lo"] else "[::1]:7000" if family == 6 else "127.0.0.1:7000"
    request = os.path.join(folder, "request")
    with open(request, "wb") as file:
        file.write(bytes(case.request))
    probe = [NETKIT, "tcp-probe", "--json", "-o", report, f"-{family}", "--send-file", request,
             *case.probe, *more, target]  # fmt: skip
    serve = ["/usr/bin/python3", "-S", "-E", PLAY, "7000", str(case.request), *case.play]
    server = (case.setup.replace("{f}", str(family)) + "; " if case.setup else "") + "exec "
    client = "exec " + shlex.join(probe)
    hosts = ["--server", server + shlex.join(serve), "--client", client]
    if case.lab == ["lo"]:  # both on one host, which listens before the probe begins
        hosts = ["--client", f"{shlex.join(serve)} & until grep -q :1B58 /proc/net/tcp6; "
                 f"do :; done; {client}"]  # fmt: skip
    options = [] if case.lab == ["lo"] else case.lab
    lab = [NETKIT, "lab", f"-{family}", "--json", "-o", wire, *options, *hosts]
    ended = subprocess.run(lab, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    try:
        with open(report, encoding="utf-8") as file, open(wire, encoding="utf-8") as seen:
            late_ns = json.load(seen)["results"][0]["wire"]["late_max_ns"]
            return json.load(file), late_ns / 1e6
    except (OSError, ValueError) as error:
        raise AssertionError(f"{error}: {ended.stderr}") from error


class PathCases(unittest.TestCase):
    def judge(self, case, family):
        with tempfile.TemporaryDirectory() as folder:
            report, late_ms = run(case, family, folder)
        findings = report["findings"]
        told = "; ".join(f"{f['code']} of {f['side']}: {f['summary']}" for f in findings)
        told = f"{case.name}, IPv{family}: verdict {report['verdict']}: {told or 'no findings'}"
        for finding in findings:
            self.assertNotIn(finding["code"], case.never, told)
            if finding["cost_ns"] is not None and "at_least_ns" in finding["evidence"]:
                self.assertLessEqual(finding["evidence"]["at_least_ns"], finding["cost_ns"] + 1, told)
        made = {(f["code"], f["side"] or "none") for f in findings}
        unsure = any(f["code"] == "inconclusive" for f in findings)
        if case.right and not (case.unsure and unsure) and not made & set(case.right):
            # A wire that this machine served late decides nothing: that is said, and counted.
            self.assertGreaterEqual(late_ms, LATE_WIRE_MS, told)
            undecided(case.name, f"the wire was {late_ms:.0f} ms late: {told}")

    def test_all(self):
        runs = [(case, family) for case in CASES for family in case.families]
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(self.judge, case, family) for case, family in runs]
            for (case, family), future in zip(runs, futures):
                with self.subTest(case=case.name, family=family):
                    future.result()


if __name__ == "__main__":
    require_lab()
    unittest.main()
