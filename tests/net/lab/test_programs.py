#!/usr/bin/python3
"""Real programs of the distribution in the lab: what they report agrees with what was set.

What a link's delay and rate bound from one side holds on any machine and is asserted as it is. The
other side only has a machine that is far too busy to fear: there the best of several counts, and
it may be twice the ideal."""

import csv
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from support import need  # noqa: E402

import lab  # noqa: E402

NGINX = """
daemon off; error_log stderr; pid {folder}/pid; worker_processes 1; {user}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
    uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
    server {{ listen 80; listen [::]:80; root {folder}; }}
}}
"""
CURL = ('for i in 1 2 3; do curl -s -o /dev/null -w '
        '"%{time_connect} %{time_starttransfer} %{speed_download} %{size_download}\\n" '
        'http://server/file; done > ')  # fmt: skip
REDIS = 'redis-server --port 6379 --save "" --protected-mode no --dir . > redis.log'
HEADERS = 0.97  # of a full frame at most that much is payload
CHANCE = ["--probability", "0.04"]
UDP_FAULTS = 12


class Case(lab.Case):
    def setUp(self):
        super().setUp()
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def near(self, value, ideal, over=2.0):
        """At least what was set, and not much more."""
        self.assertGreaterEqual(value, ideal)
        self.assertLess(value, over * ideal)


class Http(Case):
    def nginx(self, *options, size=300_000):
        with open("conf", "w", encoding="ascii") as file:
            user = "" if os.geteuid() else "user root;"
            file.write(NGINX.format(folder=self.folder, user=user))
        with open("file", "wb") as file:
            file.write(bytes(size))
        server = f"{need('nginx')} -p {self.folder} -c {self.folder}/conf"
        need("curl")
        run = self.lab(*options, "--server", server, "--client", CURL + "times")
        with open("times", encoding="ascii") as file:
            rows = [[float(word) for word in line.split()] for line in file]
        self.assertEqual(len(rows), 3)
        for row in rows:
            self.assertEqual(row[3], size)
        return run, rows

    def test_nginx_and_curl_measure_the_delay(self):
        for family in ([], ["-6"]):
            for delay_ms in (10, 60):
                _, rows = self.nginx(*family, "--delay", f"{delay_ms}ms", size=1000)
                self.near(min(row[0] for row in rows), 2 * delay_ms / 1e3)
                self.near(min(row[1] - row[0] for row in rows), 2 * delay_ms / 1e3)

    def test_nginx_and_curl_measure_the_rate(self):
        _, rows = self.nginx("--rate", "400k")
        rate = 400 * 1024
        for row in rows:
            self.assertLess(row[2], HEADERS * rate)
        self.assertGreater(max(row[2] for row in rows), rate / 2)

    def test_a_lost_syn_costs_a_second(self):
        run, rows = self.nginx("--drop", "syn", "--count", "1", size=1000)
        self.assertGreater(rows[0][0], 0.99)
        self.assertLess(min(rows[1][0], rows[2][0]), 0.5)
        self.assertEqual(run.connections[0]["flags"][:2], ["C>S SYN x", "C>S SYN"])
        self.assertIn("syn-retransmission", run.codes())

    def test_the_example_of_the_manual(self):
        """Python's server listens in one family only; the client asks in that one."""
        need("curl")
        run = self.lab("--delay", "20ms", "--drop", "syn", "--count", "1", "--server",
                       f"{sys.executable} -m http.server 8000", "--client",
                       "curl -s -o page http://server:8000/")  # fmt: skip
        self.assertEqual(len(run.connections), 1)
        self.assertEqual(run.connections[0]["flags"][:4],
                         ["C>S SYN x", "C>S SYN", "S>C SYN,ACK", "C>S ACK"])  # fmt: skip
        self.assertEqual(run.connections[0]["retransmissions"]["client"], 1)
        with open("page", encoding="utf-8") as page:
            self.assertIn("Directory listing", page.read())


class Redis(Case):
    def test_its_latency_is_the_delay(self):
        need("redis-server")
        need("redis-benchmark")
        client = ("redis-cli -h server ping > pong && "
                  "redis-benchmark -h server -n 8 -c 1 -t ping_mbulk --csv > csv")  # fmt: skip
        for family in ([], ["-6"]):
            bind = "--bind :: 0.0.0.0" if family else "--bind 0.0.0.0"
            self.lab(*family, "--delay", "15ms", "--server", f"{REDIS} {bind}", "--client", client)
            with open("pong", encoding="ascii") as file:
                self.assertEqual(file.read(), "PONG\n")
            with open("csv", encoding="ascii") as file:
                row = list(csv.DictReader(file))[0]
            self.near(float(row["min_latency_ms"]), 30)
            self.assertGreaterEqual(float(row["avg_latency_ms"]), 30)


class Iperf(Case):
    """The connection over which iperf3 talks about the test comes first, then the test's."""

    def iperf(self, client, *options):
        need("iperf3")
        run = self.lab(*options, "--server", "iperf3 -s -1 -J > server.json", "--client",
                       f"iperf3 -c server -J {client} > client.json")  # fmt: skip
        ends = []
        for name in ("client.json", "server.json"):
            with open(name, encoding="ascii") as file:
                ends.append(json.load(file)["end"])
        return run, *ends

    def test_tcp_sees_delay_and_rate(self):
        _, end, _ = self.iperf("-n 300k", "--delay", "20ms")
        self.near(end["streams"][0]["sender"]["min_rtt"], 40_000)
        _, end, _ = self.iperf("-n 400k", "--rate", "400k")
        received = end["sum_received"]["bits_per_second"] / 8 / (400 * 1024)
        self.assertLess(received, HEADERS)
        self.assertGreater(received, 0.5)

    def test_tcp_counts_what_was_lost(self):
        run, end, _ = self.iperf("-n 1M", "--delay", "1ms", "--drop", "c>s:greater 1000", *CHANCE)
        lost = run.result["faults"][0]["acted"]
        self.assertGreater(lost, 5)
        counted = end["streams"][0]["sender"]["retransmits"]
        seen = run.connections[1]["retransmissions"]["client"]
        # iperf3 reads its last count before the last segment.
        self.assertLessEqual(counted, seen)
        self.assertGreater(counted, seen / 2)
        self.assertGreater(seen, lost / 2)

    def test_udp_counts_what_was_lost(self):
        run, end, _ = self.udp("--drop")
        self.assertEqual(end["sum"]["lost_packets"], run.result["faults"][0]["acted"])

    def test_udp_counts_what_changed_places(self):
        run, end, server = self.udp("--reorder")
        changed = run.result["faults"][0]["acted"]
        # Of two in a row that change places one does; what comes after the end is not counted.
        self.assertLessEqual(server["streams"][0]["udp"]["out_of_order"], changed)
        self.assertGreater(server["streams"][0]["udp"]["out_of_order"], changed * 0.7)
        self.assertEqual(end["sum"]["lost_packets"], 0)

    def test_udp_counts_what_came_twice(self):
        run, _, server = self.udp("--duplicate")
        twice = run.result["faults"][0]["acted"]
        self.assertLessEqual(server["streams"][0]["udp"]["out_of_order"], twice)
        self.assertGreater(server["streams"][0]["udp"]["out_of_order"], twice * 0.7)

    def udp(self, action):
        # So slow that the receiver's buffer is enough when it does not run for half a second; and
        # the last are not lost, or nobody would know that there were more.
        run, end, server = self.iperf("-u -b 2M -l 1000 -n 250k", action,
                                      "c>s:udp and greater 500", "--probability", "0.1",
                                      "--count", str(UDP_FAULTS))  # fmt: skip
        self.assertEqual(run.result["faults"][0]["acted"], UDP_FAULTS)
        return run, end, server


if __name__ == "__main__":
    lab.require_lab()
    unittest.main(verbosity=2)
