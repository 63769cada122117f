#!/usr/bin/python3
"""Why the connections in a queue are not taken: accept-backlog beside servers that do not take them,
each for a reason of its own (accept_habits.py), and beside what looks like one and is not.

A watch ends when it has seen enough of the queue. A cause that a busy machine leaves undecided is
decided by the looks that the report itself counts; a wrong cause always fails.
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import Decisions  # noqa: E402

from test_backlog_live import BOUND, FAMILIES, NETKIT, Case, Listener, Watch, enter_namespace  # noqa: E402

HABITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "accept_habits.py")
CONNECTIONS = 30
decisions = Decisions()


def tearDownModule():
    decisions.end()


class Server:
    """A server with a habit, and clients that wait for it. Its session is its own: of this one there
    are processes outside of the user namespace, which nobody inside can look at."""

    def __init__(self, case, habit, family, *args):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [sys.executable, HABITS, habit, "6" if family == socket.AF_INET6 else "4", *args],
            stdout=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
        case.addCleanup(self.stop)
        self.port = int(self.process.stdout.readline())
        self.habit, self.family, self.clients = habit, family, []
        self.host = "::1" if family == socket.AF_INET6 else "127.0.0.1"

    def stop(self):
        for client in self.clients:
            client.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    connect = Listener.connect

    def crowd(self, count):
        """Connects them while the server is stopped: all of them are one event to it."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        self.connect(count)
        self.process.send_signal(signal.SIGCONT)


class Watched(Case):
    def watched(self, server, *args, ns=2_500_000_000):
        watch = Watch(self, "--listener", f":{server.port}", *args)
        # Where it accepts one an event, it must not have time to do so between two of them.
        (server.crowd if server.habit == "edge" else server.connect)(CONNECTIONS)
        watch.until(lambda sample: sample["queue"] > 5)
        watch.for_ns(ns)
        return watch.end()

    def finding(self, watch):
        found = [line for line in watch.findings if line["code"] == "slow-accept"]
        self.assertEqual(len(found), 1, watch.findings)
        return found[0]

    def decided(self, wanted, watch):
        """The cause, unless too few looks found the machine idle enough to tell."""
        result, finding = watch.result(), self.finding(watch)
        evidence = finding["evidence"]
        self.assertIn(result["cause"], (wanted, None), finding)
        most = max(value for name, value in evidence.items()
                   if name.startswith("looks_") and name != "looks_hidden")  # fmt: skip
        doubt = result["cause"] is None and (
            evidence["looks"] < 5 or most < 0.8 * evidence["looks"]) and f"looks: {evidence}"
        if decisions.decides(self.id(), doubt):
            self.assertEqual(result["cause"], wanted, finding)
        return finding


class Causes(Watched):
    def check(self, habit, wanted, *words):
        for family, _ in FAMILIES:
            server = Server(self, habit, family)
            watch = self.watched(server)
            finding = self.decided(wanted, watch)
            if watch.result()["cause"]:
                for word in words:
                    self.assertIn(word, finding["summary"])
            server.stop()

    def test_out_of_descriptors(self):
        self.check("descriptors", "descriptors", "its limit of 12", "EMFILE")

    def test_out_of_descriptors_and_never_asleep(self):
        self.check("descriptors_spinning", "descriptors")

    def test_stopped(self):
        self.check("stopped", "stopped", "is stopped")

    def test_workers_that_are_stopped_and_their_parent_that_is_not(self):
        self.check("supervised", "stopped", "beside 3 more")

    def test_busy(self):
        self.check("busy", "busy", "of a processor")

    def test_asleep(self):
        self.check("sleeping", "waiting", "nanosleep")

    def test_one_connection_at_a_time(self):
        self.check("reading", "waiting")

    def test_a_parent_that_waits_for_its_child(self):
        self.check("forking", "waiting", "do_wait")

    def test_an_event_loop_that_has_paused(self):
        self.check("paused", "waiting")

    def unnamed(self, habit, *args, words=()):
        for family, _ in FAMILIES:
            server = Server(self, habit, family)
            watch = self.watched(server, *args)
            finding = self.finding(watch)
            self.assertIsNone(watch.result()["cause"], finding)
            for word in words if finding["evidence"]["looks"] >= 5 else ():
                self.assertIn(word, finding["summary"])
            server.stop()

    def test_one_stopped_and_one_not(self):
        self.unnamed("one_of_two_stopped", words=["stopped", "asleep"])

    def test_asleep_in_another_epoll_set(self):
        """Which one shows in the thread's system call; where that is hidden nothing is named."""
        for family, _ in FAMILIES:
            server = Server(self, "in_another_set", family)
            self.assertIn(self.watched(server).result()["cause"], ("waiting", None))
            server.stop()

    def test_workers_of_which_only_one_is_woken(self):
        for family, _ in FAMILIES:
            server = Server(self, "exclusive", family)
            self.assertIn(self.watched(server).result()["cause"], ("stopped", None))
            server.stop()

    def test_edge_triggered_without_a_try(self):
        for habit in ("edge", "edge_occupied", "edge_periodic"):
            self.unnamed(habit)


class Tries(Watched):
    """--try-connections."""

    def tried(self, habit):
        for family, _ in FAMILIES:
            server = Server(self, habit, family)
            watch = self.watched(server, "--try-connections", ns=5_000_000_000)
            yield watch, self.finding(watch)
            server.stop()

    def test_one_accept_an_event(self):
        for watch, finding in self.tried("edge"):
            evidence = finding["evidence"]
            self.assertIn(watch.result()["cause"], ("edge-triggered", None), finding)
            doubt = evidence["released_one"] < 3 and f"too few tries: {evidence}"
            if decisions.decides(self.id(), doubt):
                self.assertEqual(watch.result()["cause"], "edge-triggered", finding)
                self.assertIn("until EAGAIN", finding["remedy"])
                self.assertIn("netkit's own", watch.result()["notes"][0])

    def test_what_looks_like_it(self):
        for habit in ("edge_occupied", "edge_periodic", "sleeping", "stopped"):
            for watch, finding in self.tried(habit):
                self.assertNotEqual(watch.result()["cause"], "edge-triggered", finding)

    def test_nothing_is_connected_unasked_or_where_nothing_waits(self):
        for family, host in FAMILIES:
            server = Listener(self, family, host, 20)
            watch = Watch(self, "--listener", server.name, "--try-connections")
            watch.for_ns(2_000_000_000)
            self.assertEqual(watch.end().result()["arrived"], {"min": 0, "max": 0})
            server.connect(3)
            watch = Watch(self, "--listener", server.name)
            watch.for_ns(2_000_000_000)
            self.assertEqual(watch.end().result()["arrived"], {"min": 0, "max": 0})
            server.close()


class Groups(Watched):
    def test_of_two_that_share_a_port_only_one_is_stopped(self):
        for family, _ in FAMILIES:
            first = Server(self, "sleeping", family)
            first.stop()
            group = [Server(self, habit, family, str(first.port))
                     for habit in ("stopped", "sleeping")]  # fmt: skip
            watch = Watch(self, "--listener", f":{first.port}")
            group[0].connect(2 * CONNECTIONS)
            watch.until(lambda sample: sample["queue"] > 5)
            watch.for_ns(3_000_000_000)
            watch.end()
            causes = {result["pid"]: result["cause"] for result in watch.results}
            for server, cause in zip(group, ("stopped", "waiting")):
                self.assertIn(causes.get(server.process.pid), (cause, None), watch.findings)
                server.stop()


class Gone(Case):
    def test_clients_that_have_gone_count(self):
        for family, host in FAMILIES:
            server = Listener(self, family, host, 20)
            server.connect(9)
            for client in server.clients[:3]:
                client.close()
            for client in server.clients[3:5]:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            watch = Watch(self, "--listener", server.name)
            watch.for_ns(1_500_000_000)
            watch.end()
            self.assertEqual(watch.result()["accept_queue"]["last"], 9)
            self.assertEqual(watch.result()["gone"], 5)
            self.assertIn("5 of those in the queue", watch.findings[0]["summary"])
            server.close()

    def test_what_a_server_has_accepted_and_kept_does_not(self):
        for family, host in FAMILIES:
            server = Listener(self, family, host, 20)
            server.connect(5)
            kept = [server.socket.accept()[0] for _ in range(3)]
            for client in server.clients[:3]:
                client.close()  # CLOSE-WAIT, and the server's
            watch = Watch(self, "--listener", server.name)
            watch.for_ns(1_500_000_000)
            self.assertEqual(watch.end().result()["gone"], 0)
            for one in kept:
                one.close()
            server.close()


class Alike(Case):
    def text(self, *args):
        run = subprocess.run([NETKIT, "accept-backlog", "--all-listeners", "--duration", "1500ms",
                              "--color", "never", *args],
                             capture_output=True, text=True, timeout=BOUND, check=False)  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_blocks_that_are_alike_are_one(self):
        servers = [Listener(self, *FAMILIES[number % 2], 20) for number in range(7)]
        for number, server in enumerate(servers):
            server.connect(3 + number)
        text = self.text()
        self.assertEqual(text.count("slow-accept"), 1, text)
        self.assertIn("the same at 6 more", text)
        for server in servers:
            self.assertEqual(text.count(server.name), 1, text)
        text = self.text("-v")
        self.assertEqual(text.count("slow-accept"), 7, text)
        for server in servers:
            server.close()

    def test_blocks_that_are_not_alike_stay(self):
        slow = [Listener(self, socket.AF_INET, "127.0.0.1", 20) for _ in range(2)]
        for server in slow:
            server.connect(3)
        stopped = Server(self, "stopped", socket.AF_INET)
        stopped.connect(3)
        text = self.text()
        self.assertEqual(text.count("slow-accept"), 2, text)
        self.assertIn("the same at 1 more", text)
        os.kill(stopped.process.pid, signal.SIGCONT)
        stopped.stop()


if __name__ == "__main__":
    enter_namespace()
    unittest.main()
