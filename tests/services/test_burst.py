#!/usr/bin/python3
"""accept-backlog --server: a burst of connections to real servers and to small ones, whose backlog is
known. Which server is good and which is not follows from their backlogs, not from how busy this
machine is: a queue that holds the whole burst cannot overflow. NETKIT names the binary."""
import os
import shutil
import tempfile
import unittest

from test_programs import HERE, PYTHON, need, netkit
from support import Undecided, busy_reason, may_be_undecided


@may_be_undecided
class Burst(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(os.path.join(HERE, "burst_server.py"), self.folder)

    def own(self, backlog, way, host="::"):
        return f"exec {PYTHON} {self.folder}/burst_server.py {host} {backlog} {way}"

    def burst(self, status, server, *arguments, port=8000):
        got, report, err = netkit("accept-backlog", "--server", server, "--port", str(port),
                                  *arguments)
        self.assertIsNotNone(report, err)
        if reason := busy_reason(report["results"][0]):
            raise Undecided(reason)
        self.assertEqual(got, status, str(report["results"][0]["observed"]) + err)
        self.assertEqual(len(report["results"]), 1)
        return report["results"][0], report

    def holds(self, result, backlog):
        observed = result["observed"]
        self.assertEqual(observed["limit"], backlog)
        self.assertEqual(observed["effective_backlog"], backlog)
        self.assertEqual(observed["queue_holds"], backlog + 1)
        self.assertTrue(observed["accepts_after_a_stop"])

    def good(self, connections, backlog, server, *arguments, port=8000):
        result, report = self.burst(0, server, "--connections", str(connections), *arguments,
                                    port=port)
        observed = result["observed"]
        self.assertEqual(report["verdict"], "ok")
        self.assertEqual(observed["connected_at_once"], connections)
        self.assertEqual(observed["overflows"], 0)
        self.assertTrue(observed["accepted_all"])
        self.holds(result, backlog)
        self.assertEqual([(row["connect"], row["clients"]) for row in result["tables"][0]["rows"]],
                         [("at once", connections)])
        return result

    def test_a_queue_that_is_long_enough(self):
        for family, host in (("-4", "0.0.0.0"), ("-6", "::")):
            self.good(200, 512, self.own(512, "quick", host), family)

    def test_at_a_rate(self):
        result = self.good(100, 128, self.own(128, "quick"), "--rate", "1000")
        # The last of them is due 99 ms after the first, and cannot be earlier.
        self.assertGreaterEqual(result["observed"]["burst_took_ns"], 99_000_000)

    def test_a_queue_that_is_too_short(self):
        for family in ("-4", "-6"):
            result, report = self.burst(1, self.own(1, "slow"), "--connections", "20", family,
                                        "--timeout", "3s")
            observed = result["observed"]
            self.assertEqual(report["verdict"], "accept-queue-overflow")
            self.assertIs(result["ok"], False)
            self.assertGreater(observed["overflows"], 0)
            self.assertLessEqual(observed["queue_max"], 2)
            self.assertEqual(observed["queue_holds"], 2)
            self.assertEqual(observed["effective_backlog"], 1)
            finding = report["findings"][0]
            self.assertEqual((finding["code"], finding["side"]),
                             ("accept-queue-overflow", "server"))
            self.assertIn("listen(fd, 20) instead of 1", finding["remedy"])

    def test_syns_wait_a_second(self):
        """Without cookies a SYN that finds no room is sent again, the first time after a second."""
        result, report = self.burst(1, self.own(1, "slow"), "--connections", "10", "--timeout",
                                    "3s", "--sysctl", "server:tcp_syncookies=0")
        self.assertIn(report["verdict"], ("accept-queue-overflow", "syn-queue-overflow"))
        self.assertGreater(result["observed"]["waited_for_syn"], 0)
        rows = {row["connect"]: row for row in result["tables"][0]["rows"]}
        self.assertGreaterEqual(rows["after 1 SYN more"]["first_ns"], 900_000_000)

    def test_the_setting_that_binds(self):
        result, report = self.burst(1, self.own(512, "deaf"), "--connections", "20", "--timeout",
                                    "3s", "--sysctl", "server:net.core.somaxconn=4")
        self.assertEqual(result["observed"]["limit"], 4)
        self.assertEqual(result["observed"]["somaxconn"], 4)
        # It accepts nothing: five are in the queue, and nobody else ever gets in.
        self.assertEqual(result["observed"]["queue_max"], 5)
        self.assertEqual(result["observed"]["unknown_to_server"] +
                         result["observed"]["not_decided"], 15)
        self.assertEqual(report["verdict"], "accept-queue-overflow")
        self.assertIn("net.core.somaxconn, which is 4, to 20", report["findings"][0]["remedy"])

    def test_one_that_never_accepts(self):
        result, report = self.burst(1, self.own(64, "deaf"), "--connections", "10", "--timeout",
                                    "3s")
        self.assertEqual(report["verdict"], "slow-accept")
        self.assertEqual(result["observed"]["queue_max"], 10)
        self.assertEqual(result["observed"]["effective_backlog"], 64)

    def test_one_that_ends(self):
        result, report = self.burst(1, self.own(64, "quits"), "--connections", "10")
        self.assertEqual(report["verdict"], "program-failed")
        self.assertEqual(result["observed"]["exit_status"], 7)

    def test_processes_of_another_session_are_stopped_too(self):
        result, _ = self.burst(0, self.own(30, "daemon"), "--connections", "20")
        self.holds(result, 30)

    def test_the_wire_is_not_the_server(self):
        result, _ = self.burst(1, self.own(64, "quick"), "--connections", "10", "--drop", "syn",
                               "--nth", "5", "--timeout", "3s")
        self.assertIsNone(result["ok"])
        self.assertIn("lost or late on the way", result["why"])

    def test_nobody_listens(self):
        result, _ = self.burst(1, "exit 3")
        self.assertIsNone(result["ok"])
        self.assertIn("exit status 3", result["why"])

    def test_redis(self):
        result = self.good(300, 511, f"exec {need('redis-server')} --port 6379 --save '' "
                           "--protected-mode no --bind '*' -::'*'", "-6", "--request", "redis",
                           port=6379)
        self.assertEqual(result["observed"]["listeners"], 1)

    def nginx(self, listen):
        config = os.path.join(self.folder, "nginx.conf")
        with open(os.path.join(self.folder, "index.html"), "w", encoding="ascii") as file:
            file.write("hello\n")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"daemon off; worker_processes 2; pid {self.folder}/pid;\n"
                       f"error_log {self.folder}/log;\nevents {{ worker_connections 1024; }}\n"
                       f"http {{ access_log off; client_body_temp_path {self.folder}/1; "
                       f"proxy_temp_path {self.folder}/2; fastcgi_temp_path {self.folder}/3; "
                       f"uwsgi_temp_path {self.folder}/4; scgi_temp_path {self.folder}/5; "
                       f"server {{ listen {listen}; root {self.folder}; }} }}\n")
        # As root, nginx would give its workers to another user, whom the lab does not have.
        return f"exec {need('nginx')} -c {config} -e {self.folder}/log" + (
            " -g 'user root;'" if os.geteuid() == 0 else "")

    def test_nginx(self):
        os.chmod(self.folder, 0o777)
        self.good(300, 511, self.nginx(80), "--request", "http", port=80)
        result, _ = self.burst(0, self.nginx("80 reuseport"), "--connections", "100", port=80)
        self.assertEqual(result["observed"]["listeners"], 2)
        self.assertIsNone(result["observed"]["effective_backlog"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
