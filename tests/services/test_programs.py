#!/usr/bin/python3
"""Programs in a lab whose other side dies (crash-sim), and how they end their connections
(linger-test): real ones, and small ones with one habit each. The verdict has to be right for the
good and the bad. Both families; every wait is bounded by netkit itself. NETKIT names the binary."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
from support import Undecided, busy_reason, find_programs, may_be_undecided, need  # noqa: E402

find_programs("NETKIT")
PYTHON = "/usr/bin/python3"


def netkit(*arguments):
    done = subprocess.run([os.environ["NETKIT"], *arguments, "--json"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = None
    return done.returncode, report, done.stderr


class Case(unittest.TestCase):
    def setUp(self):
        # Readable for whoever runs in the lab, wherever the sources are.
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(os.path.join(HERE, "programs_bad.py"), self.folder)

    def client(self, habit):
        return f"exec {PYTHON} {self.folder}/programs_bad.py {habit} {{host}} {{port}}"

    def server(self, habit, family):
        host = "::" if family == 6 else "0.0.0.0"
        return f"exec {PYTHON} {self.folder}/programs_bad.py {habit} {host} 8000"

    def results(self, status, *arguments):
        got, report, err = netkit(*arguments)
        self.assertIsNotNone(report, err)
        for reason in filter(None, map(busy_reason, report["results"])):
            raise Undecided(reason)
        self.assertEqual(got, status, json.dumps(report["results"], indent=1) + err)
        return {result["scenario"]: result for result in report["results"]}, report

    def one(self, status, command, scenario, *arguments):
        results, report = self.results(status, command, scenario, *arguments)
        return results[scenario], report


@may_be_undecided
class Clients(Case):
    def test_a_client_with_a_limit_notices_every_death(self):
        curl = need("curl")
        results, _ = self.results(
            0, "crash-sim", "process-crash-unread", "process-crash-writing", "host-crash-sending",
            "host-crash-receiving", "host-reboot-reading", "nat-timeout", "-6", "--client",
            f"{curl} -s --max-time 2 http://{{host}}:{{port}}/", "--timeout", "20s")
        for result in results.values():
            self.assertTrue(result["observed"]["noticed"])
            self.assertNotIn(result["observed"]["exit_status"], (0, None), result["scenario"])
        self.assertEqual(results["process-crash-writing"]["observed"]["exit_status"], 18)
        self.assertEqual(results["host-crash-receiving"]["observed"]["exit_status"], 28)

    def test_a_client_without_one_hangs(self):
        for family in "46":
            result, report = self.one(
                1, "crash-sim", "host-crash-receiving", f"-{family}", "--client",
                self.client("waits_for_ever"), "--timeout", "3s")
            self.assertIs(result["ok"], False)
            self.assertEqual(report["verdict"], "dead-peer-unnoticed")
            self.assertIs(result["observed"]["noticed"], False)
            self.assertIsNone(result["observed"]["exit_status"])

    def test_what_is_in_flight_decides_what_helps(self):
        """Keepalive is silent while data are unacknowledged, TCP_USER_TIMEOUT while none are."""
        for family in "46":
            for habit, sending, receiving in (("asks_with_keepalive", False, True),
                                              ("asks_with_user_timeout", True, False)):
                results, report = self.results(
                    1, "crash-sim", "host-crash-sending", "host-crash-receiving", f"-{family}",
                    "--client", self.client(habit), "--timeout", "12s")
                self.assertEqual(report["verdict"], "dead-peer-unnoticed")
                seen = {name: result["observed"] for name, result in results.items()}
                self.assertIs(seen["host-crash-sending"]["noticed"], sending, habit)
                self.assertIs(seen["host-crash-receiving"]["noticed"], receiving, habit)
                self.assertGreater(seen["host-crash-sending"]["unacknowledged_bytes"], 0)
                self.assertEqual(seen["host-crash-receiving"]["unacknowledged_bytes"], 0)
                self.assertIs(seen["host-crash-receiving"]["sent_afterwards"], False)
                remedy = report["findings"][0]["remedy"]
                self.assertIn("keepalive is silent" if receiving else "SO_KEEPALIVE", remedy)

    def test_what_was_never_acknowledged_was_not_delivered(self):
        result, report = self.one(1, "crash-sim", "host-crash-sending", "--client",
                                  self.client("writes_and_goes"))
        self.assertEqual(report["verdict"], "dead-peer-unnoticed")
        self.assertIs(result["observed"]["claims_success"], True)

    def test_a_pause_says_what_the_client_did(self):
        curl = f"{need('curl')} -s -o /dev/null http://{{host}}:{{port}}/"
        for command, did in ((curl, "waited"), (self.client("asks_again"), "sent-again"),
                             (self.client("gives_up_and_reconnects"), "reconnected")):
            for family in "46":
                result, _ = self.one(0, "crash-sim", "network-pause", f"-{family}", "--client",
                                     command)
                self.assertEqual(result["observed"]["survived_by"], did)
                self.assertEqual(result["observed"]["exit_status"], 0)
        result, report = self.one(1, "crash-sim", "network-pause", "--client",
                                  self.client("gives_up"))
        self.assertIsNone(result["observed"]["survived_by"])
        self.assertEqual(report["verdict"], "truncation-accepted")

    def test_an_early_answer_that_is_reset(self):
        """curl reads what has come when a write fails; the other one does not."""
        curl = f"{need('curl')} -s -o /dev/null -H Expect: --data-binary @{self.folder}/body " \
               "http://{host}:{port}/"
        with open(os.path.join(self.folder, "body"), "wb") as file:
            file.write(bytes(3000000))
        for family in "46":
            result, _ = self.one(0, "linger-test", "early-answer", f"-{family}", "--client", curl)
            self.assertIs(result["observed"]["uploads"], True)
            result, report = self.one(1, "linger-test", "early-answer", f"-{family}", "--client",
                                      self.client("uploads_and_then_reads"))
            self.assertEqual(report["verdict"], "early-answer-reset")
            self.assertEqual(report["findings"][0]["side"], "client")
        result, _ = self.one(0, "linger-test", "early-answer", "--client",
                             f"{need('curl')} -s http://{{host}}:{{port}}/")
        self.assertIs(result["observed"]["uploads"], False)

    def test_uploads_are_read_whole(self):
        curl = f"{need('curl')} -s -o /dev/null -T - http://{{host}}:{{port}}/"
        result, _ = self.one(0, "linger-test", "kept-open", "--client",
                             f"head -c 300000 /dev/zero | {curl}")
        self.assertEqual(result["observed"]["exit_status"], 0)

    def test_half_an_answer_is_no_answer(self):
        result, report = self.one(1, "crash-sim", "process-crash-writing", "--client",
                                  self.client("believes_what_came"))
        self.assertEqual(report["verdict"], "truncation-accepted")
        self.assertIs(result["observed"]["claims_success"], True)
        code = "import urllib.request as u; u.urlopen('http://{host}:{port}/').read()"
        result, _ = self.one(0, "crash-sim", "process-crash-writing", "--client",
                             f'exec {PYTHON} -c "{code}"')
        self.assertEqual(result["observed"]["exit_status"], 1)

    def test_keepalive_notices_an_idle_death(self):
        result, _ = self.one(0, "crash-sim", "host-crash-idle", "--client",
                             self.client("keeps_alive"), "--timeout", "20s")
        # Idle 1 s, then two probes a second apart: three seconds at least.
        self.assertGreaterEqual(result["observed"]["detect_ns"], 2_500_000_000)

    def test_a_client_that_connects_again_is_counted(self):
        result, _ = self.one(0, "crash-sim", "process-crash-reading", "--client",
                             self.client("reconnects"), "--timeout", "2s")
        self.assertGreaterEqual(result["observed"]["retries"], 2)
        self.assertIsNotNone(result["observed"]["retry_interval_ns"])

    def test_redis(self):
        result, _ = self.one(0, "crash-sim", "process-crash-reading", "--serve", "redis",
                             "--client", f"{need('redis-cli')} -h {{host}} -p {{port}} ping")
        self.assertTrue(result["observed"]["noticed"])

    def test_a_bound_on_the_detection(self):
        result, report = self.one(
            1, "crash-sim", "host-crash-receiving", "--max-detect", "300ms", "--client",
            f"{need('curl')} -s --max-time 2 http://{{host}}:{{port}}/")
        self.assertIs(result["observed"]["noticed"], True)
        self.assertEqual(report["verdict"], "dead-peer-unnoticed")

    def test_points(self):
        for scenario, point in (("process-crash-reading", "connect"),
                                ("process-crash-reading", "bytes:10"),
                                ("process-crash-reading", "response-bytes:1000"),
                                ("process-crash-unread", "time:200ms")):
            result, _ = self.one(0, "crash-sim", scenario, "--after", point, "--client",
                                 f"{need('curl')} -s http://{{host}}:{{port}}/")
            self.assertTrue(result["observed"]["noticed"], point)

    def test_clients_of_which_nothing_can_be_said(self):
        for command, why in (("true", "ended"), ("yes", "did nothing"), ("exit 7", "exit status 7")):
            result, _ = self.one(1, "crash-sim", "host-crash-idle", "--client", command,
                                 "--timeout", "1s")
            self.assertIsNone(result["ok"])
            self.assertIn(why, result["why"])

    def test_an_end_with_reset_is_seen(self):
        result, report = self.one(1, "linger-test", "kept-open", "--client", self.client("resets"))
        self.assertEqual(report["verdict"], "peer-aborted")
        self.assertIn("client RST", result["observed"]["ended_by"])
        result, _ = self.one(0, "linger-test", "kept-open", "-6", "--client",
                             f"{need('curl')} -s http://{{host}}:{{port}}/")
        self.assertEqual(result["observed"]["time_wait_at"], "client")


@may_be_undecided
class Servers(Case):
    def suite(self, *arguments):
        results, _ = self.results(0, "crash-sim", "--suite", *arguments, "--timeout", "3s")
        self.assertEqual(len(results), 5)
        for result in results.values():
            self.assertTrue(result["observed"]["alive"] and result["observed"]["answers_after"])
        self.assertGreater(results["client-vanishes"]["observed"]["established"], 0)

    def test_python(self):
        self.suite("--port", "8000", "--server", f"exec {PYTHON} -m http.server 8000")

    def test_redis(self):
        self.suite("--port", "6379", "--request", "redis", "-6", "--server",
                   f"exec {need('redis-server')} --port 6379 --save '' --protected-mode no "
                   "--bind '*' -::'*'")

    def test_nginx(self):
        with open(os.path.join(self.folder, "index.html"), "w", encoding="ascii") as file:
            file.write("hello\n")
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"daemon off; master_process off; pid {self.folder}/pid; "
                       f"error_log {self.folder}/log;\nevents {{ worker_connections 64; }}\n"
                       f"http {{ access_log off; client_body_temp_path {self.folder}/1; "
                       f"proxy_temp_path {self.folder}/2; fastcgi_temp_path {self.folder}/3; "
                       f"uwsgi_temp_path {self.folder}/4; scgi_temp_path {self.folder}/5; "
                       f"server {{ listen 80; root {self.folder}; }} }}\n")
        command = f"exec {need('nginx')} -c {config} -e {self.folder}/log"
        # Started by root it changes the owner of its folders.
        self.suite("--as-root", "--port", "80", "--server", command)
        results, _ = self.results(0, "linger-test", "--suite", "--as-root", "--port", "80",
                                  "--server", command, "--timeout", "3s")
        self.assertEqual(results["half-closed"]["observed"]["read_to_end"], "EOF")

    def test_zombies(self):
        for family in (4, 6):
            result, report = self.one(1, "crash-sim", "zombie-children", f"-{family}", "--port",
                                      "8000", "--timeout", "2s", "--server",
                                      self.server("forks_and_forgets", family))
            self.assertEqual(report["verdict"], "zombie-processes")
            self.assertGreaterEqual(result["observed"]["zombies"], 5)
            self.one(0, "crash-sim", "zombie-children", f"-{family}", "--port", "8000",
                     "--server", self.server("forks_and_reaps", family))

    def test_close_wait(self):
        for family in (4, 6):
            server = self.server("never_closes", family)
            result, report = self.one(1, "crash-sim", "client-crash-mid-request", f"-{family}",
                                      "--port", "8000", "--timeout", "2s", "--server", server)
            self.assertEqual(report["verdict"], "close-wait-leak")
            self.assertGreaterEqual(result["observed"]["close_wait"], 5)
            result, report = self.one(1, "linger-test", "silent", f"-{family}", "--port", "8000",
                                      "--timeout", "2s", "--server", server)
            self.assertEqual(report["verdict"], "close-wait-leak")

    def test_sigpipe(self):
        result, report = self.one(1, "crash-sim", "client-crash-mid-response", "--port", "8000",
                                  "--timeout", "5s", "--server", self.server("dies_of_sigpipe", 4))
        self.assertEqual(result["observed"]["signal"], "SIGPIPE")
        self.assertEqual(report["verdict"], "program-failed")

    def test_half_close(self):
        result, report = self.one(1, "linger-test", "half-closed", "--port", "8000", "--timeout",
                                  "3s", "--server", self.server("no_half_close", 4))
        self.assertEqual(report["verdict"], "response-truncated")
        self.assertEqual(result["observed"]["answer_bytes"], 0)

    def test_early_answers(self):
        for family in (4, 6):
            common = (f"-{family}", "--port", "8000", "--timeout", "5s", "--server")
            result, report = self.one(1, "linger-test", "early-answer", *common,
                                      self.server("refuses_early", family))
            self.assertEqual(report["verdict"], "early-answer-reset")
            self.assertEqual(report["findings"][0]["side"], "server")
            self.assertIn(result["observed"]["write"], ("EPIPE", "ECONNRESET"))
            self.assertGreater(result["observed"]["answer_bytes"], 0)
            self.assertIs(result["observed"]["whole_request_acknowledged"], False)
            result, _ = self.one(0, "linger-test", "early-answer", *common,
                                 self.server("refuses_early_and_lingers", family))
            self.assertIs(result["observed"]["whole_request_acknowledged"], True)
        result, report = self.one(1, "linger-test", "early-answer", "--port", "8000", "--server",
                                  self.server("refuses_early_and_waits", 4))
        self.assertEqual(report["verdict"], "no-response")

    def test_an_abort_is_seen_behind_a_hundred_segments(self):
        for family in (4, 6):
            for scenario in ("answered", "early-answer"):
                result, report = self.one(1, "linger-test", scenario, f"-{family}", "--port",
                                          "8000", "--server", self.server("aborts", family))
                self.assertEqual(report["verdict"], "connection-reset")
                self.assertEqual(result["observed"]["reset_cause"], "linger-zero")
                self.assertEqual(result["observed"]["ended_by"], "server RST")

    def test_an_abort_after_the_client_has_closed_costs_nothing(self):
        result, _ = self.one(0, "linger-test", "answered", "--port", "8000", "--server",
                             self.server("aborts_at_the_end", 4))
        self.assertEqual(result["observed"]["ended_by"], "client FIN, server RST")

    def test_servers_of_which_nothing_can_be_said(self):
        for command, why in (("exit 3", "exit status 3"), ("sleep 100", "did not listen"),
                             (f"exec {PYTHON} -m http.server 9000", "did not listen")):
            result, _ = self.one(1, "crash-sim", "client-crash-mid-request", "--port", "8000",
                                 "--timeout", "1s", "--server", command)
            self.assertIsNone(result["ok"])
            self.assertIn(why, result["why"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
