#!/usr/bin/python3
"""What the commands that talk to live services have given up when the first byte of a stranger
comes: asked of the kernel while a server keeps them waiting."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import LOOPBACK, find_programs  # noqa: E402

find_programs("NETKIT")
NETKIT = os.environ["NETKIT"]
ROOT = os.geteuid() == 0
USER = 65534
PROBE = ("tcp-probe", "--send", "hello\\n", "--until", "line", "-n", "2", "--no-interventions")
WRITES_FILES = 1 << 1  # CAP_DAC_OVERRIDE
CAPTURES = 1 << 13  # CAP_NET_RAW
BY_SUDO = os.environ | {"SUDO_UID": str(USER), "SUDO_GID": str(USER)}
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}


def has_filters():
    said = subprocess.run([NETKIT, "--version", "--verbose"], capture_output=True, text=True,
                          check=True).stdout  # fmt: skip
    with open("/proc/self/status", encoding="ascii") as file:
        return "filter of system calls: seccomp" in said and "Seccomp:" in file.read()


def threads_of(pid):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as file:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class Rights(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def met(self, *args, family=4, env=None, name=None):
        """The states of netkit's threads while it waits for an answer; its end, and what it said."""
        listener = socket.create_server((LOOPBACK[family], 0),
                                        family=socket.AF_INET6 if family == 6 else socket.AF_INET)
        host = name or ("[::1]" if family == 6 else LOOPBACK[4])
        with listener, subprocess.Popen([NETKIT, *args, f"{host}:{listener.getsockname()[1]}"],
                                        env=env or PLAIN, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        cwd=self.folder) as run:  # fmt: skip
            listener.settimeout(15)
            connection = listener.accept()[0]
            threads = None
            while line := connection.recv(100):
                if threads is None:
                    threads = list(threads_of(run.pid))
                connection.sendall(line)
            connection.close()
            # Any further connection: the control, other arms.
            listener.settimeout(0.01)
            while run.poll() is None:
                try:
                    with listener.accept()[0] as more:
                        while line := more.recv(100):
                            more.sendall(line)
                except TimeoutError:
                    pass
            said = run.communicate()
        return threads, run.returncode, said

    def assert_harmless(self, threads, user=None, allowed=0):
        self.assertTrue(threads)
        for one in threads:
            self.assertEqual(one["NoNewPrivs"], "1", one)
            self.assertFalse(int(one["CapPrm"], 16) & ~allowed, one)
            self.assertFalse(int(one["CapEff"], 16) & ~allowed, one)
            if user:
                self.assertEqual(set(one["Uid"].split()), {str(user)}, one)
                self.assertEqual(set(one["Gid"].split()), {str(user)}, one)
            if has_filters():
                self.assertEqual(one["Seccomp"], "2", one)

    def test_a_probe(self):
        for family in (4, 6):
            threads, status, said = self.met(*PROBE, family=family)
            self.assertEqual(status, 0, said)
            self.assert_harmless(threads)

    def test_a_name_is_looked_up_by_a_thread_without_rights(self):
        threads, status, said = self.met(*PROBE, "-4", name="localhost")
        self.assertEqual(status, 0, said)
        self.assertGreater(len(threads), 1)
        self.assert_harmless(threads)

    def test_names_are_asked_for_without_rights(self):
        """A name server is a stranger. Its first question comes from whom?"""
        if not ROOT:
            return  # another name server needs a mount
        file = os.path.join(self.folder, "resolv.conf")
        with open(file, "w", encoding="ascii") as out:
            out.write("nameserver 127.0.0.98\n")
        for options in ((PROBE[0], "--all-addresses", "--pcap", "x.pcap", *PROBE[1:]), PROBE,
                        ("connect-timeout", "--target")):  # fmt: skip
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind(("127.0.0.98", 53))
                server.settimeout(15)
                with subprocess.Popen(["unshare", "-m", "sh", "-ec",
                                       'mount --bind "$0" /etc/resolv.conf; exec "$@"', file,
                                       NETKIT, *options, "service.example:7"],
                                      env=BY_SUDO, cwd=self.folder, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL) as run:  # fmt: skip
                    server.recvfrom(512)
                    threads = list(threads_of(run.pid))
                    run.terminate()
            self.assertGreater(len(threads), 1)
            self.assertEqual({int(one["CapPrm"], 16) for one in threads[1:]}, {0}, threads)
            for one in threads:
                self.assertFalse(int(one["CapPrm"], 16) & ~(WRITES_FILES | CAPTURES), one)
                if has_filters():
                    self.assertEqual(one["Seccomp"], "2", one)

    def test_a_file_that_only_root_reads(self):
        authority = os.path.join(self.folder, "ca.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                        "/CN=localhost", "-keyout", os.devnull, "-out", authority],
                       check=True, capture_output=True)  # fmt: skip
        os.chmod(authority, 0o600)
        os.chmod(self.folder, 0o755)
        with socket.create_server((LOOPBACK[4], 0)) as listener:
            port = listener.getsockname()[1]
            with subprocess.Popen([NETKIT, *PROBE, "--tls", "--ca-file", authority,
                                   f"127.0.0.1:{port}"], env=BY_SUDO, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, cwd=self.folder) as run:  # fmt: skip
                listener.settimeout(15)
                with listener.accept()[0] as connection:
                    self.assertTrue(connection.recv(100))
                    self.assert_harmless(list(threads_of(run.pid)), USER if ROOT else None)
                run.communicate()

    def test_a_signal_leaves_the_report_only(self):
        if ROOT:
            os.chown(self.folder, USER, USER)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            folder = tempfile.mkdtemp(dir=self.folder)
            if ROOT:
                os.chown(folder, USER, USER)
            with socket.create_server((LOOPBACK[4], 0)) as listener:
                listener.settimeout(15)
                host = f"127.0.0.1:{listener.getsockname()[1]}"
                with subprocess.Popen([NETKIT, *PROBE, "--json", "-o", "report", "--record",
                                       "record", host], env=PLAIN, cwd=folder,
                                      stderr=subprocess.DEVNULL) as run:  # fmt: skip
                    with listener.accept()[0] as connection:
                        connection.recv(100)
                        run.send_signal(number)
                        self.assertEqual(run.wait(60), 128 + number)
            self.assertLessEqual({"report"}, set(os.listdir(folder)))
            self.assertLessEqual(set(os.listdir(folder)), {"report", "record"})
            with open(os.path.join(folder, "report"), encoding="utf-8") as file:
                self.assertTrue(json.load(file)["interrupted"])

    def test_for_who_called_sudo(self):
        os.chmod(self.folder, 0o755)
        threads, status, said = self.met(*PROBE, env=BY_SUDO)
        self.assertEqual(status, 0, said)
        self.assert_harmless(threads, USER if ROOT else None)

    def test_outputs_belong_to_who_can_write_them(self):
        if not ROOT:
            return  # all of them are the user's
        os.chown(self.folder, USER, USER)
        names = ("x.pcap", "report", "record", "picture.svg")
        threads, status, said = self.met(*PROBE, "--pcap", names[0], "-o", names[1], "--record",
                                         names[2], "--diagram-file", names[3])  # fmt: skip
        self.assertEqual(status, 0, said)
        for one in threads:  # a capture was opened, and its right is gone
            self.assertEqual(int(one["CapEff"], 16), 0, one)
            self.assertEqual(one["Uid"].split()[0], str(USER))
        for name in names:
            info = os.stat(os.path.join(self.folder, name))
            self.assertEqual(info.st_uid, USER, name)
            self.assertGreater(info.st_size, 24, name)

    def test_root_writes_where_only_root_can(self):
        if not ROOT:
            return
        path = os.path.join(self.folder, "report")  # of mode 0700, and root's
        threads, status, said = self.met(*PROBE, "-o", path, "--pcap", path + ".pcap", env=BY_SUDO)
        self.assertEqual(status, 0, said)
        self.assert_harmless(threads, allowed=WRITES_FILES)
        self.assertEqual(os.stat(path).st_uid, 0)
        self.assertGreater(os.stat(path + ".pcap").st_size, 24)

    def test_a_socket_that_only_root_may_use(self):
        path = os.path.join(self.folder, "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen()
            ended = subprocess.run([NETKIT, "tcp-probe", "--preset", "connect", "-n", "1",
                                    f"unix:{path}"], env=BY_SUDO, capture_output=True, text=True,
                                   timeout=60, check=False)  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_an_option_that_only_root_may_set(self):
        if not ROOT:
            return
        ended = self.met(*PROBE, "--socket-option", "SO_PRIORITY=7", env=BY_SUDO)
        self.assertEqual(ended[1], 0, ended[2])

    def test_a_connect(self):
        with socket.create_server((LOOPBACK[4], 0)) as listener:
            port = listener.getsockname()[1]
            ended = subprocess.run([NETKIT, "connect-timeout", "--json", "--target",
                                    f"127.0.0.1:{port}"], env=PLAIN, capture_output=True,
                                   text=True, timeout=60, check=False)  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stderr)
        if ROOT:  # the capture was opened before its right was given up
            self.assertIn('"capture": "pcap"', re.sub(r"\s+", " ", ended.stdout))

    def test_root_follows_no_link_of_another_user(self):
        if not ROOT:
            return
        with tempfile.TemporaryDirectory() as elsewhere:
            secret = os.path.join(elsewhere, "secret")
            with open(secret, "w", encoding="ascii") as out:
                out.write("kept")
            os.chown(self.folder, USER, USER)
            for target in (secret, os.path.join(elsewhere, "new")):
                path = os.path.join(self.folder, "report.json")
                os.symlink(target, path)
                os.chown(path, USER, USER, follow_symlinks=False)
                ended = subprocess.run([NETKIT, *PROBE, "-o", path, "127.0.0.1:1"], env=PLAIN,
                                       capture_output=True, text=True, check=False)  # fmt: skip
                self.assertEqual(ended.returncode, 3, ended)
                self.assertIn("a link of another user's", ended.stderr)
                os.unlink(path)
            self.assertEqual(os.listdir(elsewhere), ["secret"])
            with open(secret, encoding="ascii") as file:
                self.assertEqual(file.read(), "kept")

    def test_a_group_of_roots_is_given_up_too(self):
        if not ROOT:
            return
        os.chown(self.folder, USER, 0)
        os.chmod(self.folder, 0o755)
        path = os.path.join(self.folder, "report")
        threads, status, said = self.met(*PROBE, "-o", path)
        self.assertEqual(status, 0, said)
        self.assert_harmless(threads, USER)

    def test_a_parent_that_ignores_its_children(self):
        if not ROOT:
            return
        os.chmod(self.folder, 0o755)
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            with socket.create_server(("127.0.0.1", 0)) as listener, subprocess.Popen(
                    [NETKIT, *PROBE, f"127.0.0.1:{listener.getsockname()[1]}"], env=BY_SUDO,
                    restore_signals=False, stdout=subprocess.DEVNULL,
                    cwd=self.folder) as run:  # fmt: skip
                listener.settimeout(15)
                with listener.accept()[0] as connection:
                    connection.recv(100)
                    self.assert_harmless(list(threads_of(run.pid)), USER)
                run.kill()
        finally:
            signal.signal(signal.SIGCHLD, before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
