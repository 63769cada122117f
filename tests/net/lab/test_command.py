#!/usr/bin/python3
"""netkit lab on the command line: what it refuses and how, its exit status, its outputs, and
several of it at once."""

import concurrent.futures
import contextlib
import ctypes
import errno
import json
import os
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from support import busy_machine  # noqa: E402

import lab  # noqa: E402

TRUE = ["--client", "true"]
LISTENER = lab.python("import socket, time\ns = socket.create_server(('', 7))\ntime.sleep(1000)")
SLEEPER = "sleep 1000"
libc = ctypes.CDLL(None, use_errno=True)


def refuse_namespaces():
    """A user namespace that allows no other, and no capability."""
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(0x10000000) < 0:
        os._exit(99)
    for path, text in (("/proc/self/uid_map", f"{uid} {uid} 1"), ("/proc/self/setgroups", "deny"),
                       ("/proc/self/gid_map", f"{gid} {gid} 1"),
                       ("/proc/sys/user/max_user_namespaces", "0")):  # fmt: skip
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    libc.prctl(24, 21, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_ADMIN: root's exec would get it back
    libc.capset(struct.pack("II", 0x20080522, 0), bytes(24))


class Case(lab.Case):
    def run_lab(self, *args, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.run([lab.NETKIT, "lab", *args], text=True, timeout=lab.LIMIT_S,
                              check=False, **options)  # fmt: skip

    def refused(self, status, words, *args, **options):
        ended = self.run_lab(*args, **options)
        said = (ended.stdout or "") + ended.stderr
        self.assertEqual(ended.returncode, status, said)
        for word in words:
            self.assertIn(word, said)
        return said


class BadInput(Case):
    def test_a_filter(self):
        said = self.refused(2, ["--drop tcp prot 80: bad filter", "syntax error"],
                            "--drop", "tcp prot 80", *TRUE)  # fmt: skip
        lines = said.splitlines()
        self.assertEqual(lines[1:], ["  tcp prot 80", "      ^~~~"])
        said = self.refused(2, ["--hold (tcp and port nosuch)", "unknown port 'nosuch'"],
                            "--hold", "(tcp and port nosuch)=2s", *TRUE)  # fmt: skip
        self.assertEqual(said.splitlines()[2].index("^"),
                         said.splitlines()[1].index("nosuch"))  # fmt: skip

    def test_a_filter_in_a_file(self):
        path = self.path("faults")
        with open(path, "w", encoding="ascii") as file:
            file.write("# none of them\n--drop syn --count 1\n--drop 'tcp prot 80'\n")
        self.refused(2, ["--drop tcp prot 80: bad filter", "^~~~"], "--faults", path, *TRUE)
        with open(path, "w", encoding="ascii") as file:
            file.write("# none of them\n--drop syn --nth none\n")
        self.refused(2, [f"{path}:2: --nth", "'none'"], "--faults", path, *TRUE)
        self.refused(2, ["nosuchfile"], "--faults", self.path("nosuchfile"), *TRUE)

    def test_values(self):
        for option in (["--delay", "-5ms"], ["--delay=-5ms"], ["--delay", "soon"],
                       ["--rate", "0"], ["--mtu", "20"], ["--probability", "2"],
                       ["--wait-listen", "70000"], ["--hold", "syn=until:server=NOWHERE"],
                       ["--answer-icmp", "syn=nosuch"], ["--late", "syn"],
                       ["--sysctl", "client:tcp_retries2=many"], ["--sysctl", "router:x=1"],
                       ["--mtu", "100", "-6"], ["--count", "1"]):  # fmt: skip
            with self.subTest(option=option):
                before = ["--drop", "syn"] if option[0] == "--probability" else []
                said = self.refused(2, [], *before, *option, *TRUE)
                name = option[0].split("=")[0].lstrip("-")
                if name == "sysctl":
                    name = option[1].split(":")[0]
                elif "-6" in option:
                    name = "MTU of 100"
                self.assertIn(name, said)

    def test_nothing_to_run(self):
        self.refused(2, ["--server", "--client"])
        self.refused(2, ["command is empty"], "--client", "")
        self.refused(2, ["standard output", "--output"], "--pcap", "-", *TRUE)

    def test_no_namespaces(self):
        said = self.refused(3, ["sysctl -w user.max_user_namespaces"], *TRUE,
                            preexec_fn=refuse_namespaces)  # fmt: skip
        self.assertEqual(len(said.splitlines()), 1)


class Ends(Case):
    def test_commands_that_do_not_exist(self):
        nosuch = self.path("nosuch")
        self.refused(127, ["no such command"], "--client", nosuch)
        self.refused(127, ["no such command"], "--client", nosuch, "--server", LISTENER)
        self.refused(4, ["status 127 before it listened"], "--server", nosuch, *TRUE)
        self.refused(126, ["cannot be executed"], "--client", "/etc/hosts")

    def test_statuses_are_passed_on(self):
        self.refused(7, ["status 7"], "--client", "exit 7")
        self.refused(128 + 9, ["SIGKILL"], "--client", "kill -9 $$")
        self.refused(5, ["status 5"], "--server", "exit 5")

    def test_a_server_that_never_listens(self):
        for where in ([], ["--wait-listen", "80"]):
            self.refused(4, ["never listened", "not started"], *where, "--timeout", "300ms",
                         "--server", SLEEPER, *TRUE)  # fmt: skip
        # Elsewhere is not there.
        self.refused(4, ["never listened on port 80"], "--wait-listen", "80", "--timeout", "500ms",
                     "--server", LISTENER, *TRUE)  # fmt: skip
        self.refused(4, ["status 0 before it listened"], "--server", "true", *TRUE)

    def test_a_port_that_is_taken(self):
        twice = f"({LISTENER}) & (sleep 0.2; {LISTENER})"
        said = self.refused(0, ["Address already in use", "status 1"], "--server", twice,
                            "--client", "sleep 3")  # fmt: skip
        self.assertIn("The server ended with status 1", said)

    def test_the_time_is_up(self):
        self.refused(124, ["still ran"], "--timeout", "500ms", "--client", SLEEPER)


class Outputs(Case):
    def test_a_full_disk(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            for options in ([], ["--json"], ["--format", "junit"]):
                self.refused(3, ["standard output", "No space left"], *options, *TRUE, stdout=full)
        for option in ("--output", "--diagram-file", "--pcap"):
            asks = "exec 3<>/dev/tcp/server/7"  # something to draw and to keep
            self.refused(3, ["/dev/full", "No space left"], option, "/dev/full",
                         "--client", f"bash -c '{asks}' 2>/dev/null || true")  # fmt: skip
        self.refused(3, ["/nosuchdir/x", "No such file"], "--pcap", "/nosuchdir/x", *TRUE)

    def test_a_closed_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)
        self.refused(3, ["standard output", "Broken pipe"], *TRUE, stdout=writer)
        os.close(writer)

    def test_what_the_programs_print(self):
        ended = self.run_lab("--client", "echo out; echo err >&2")
        self.assertEqual(ended.stdout.splitlines()[0], "out")
        self.assertEqual(ended.stderr, "err\n")
        ended = self.run_lab("--json", "--client", "echo out")
        self.assertEqual(ended.stderr, "out\n")
        json.loads(ended.stdout)
        ended = self.run_lab("--client", "cat", input="through\n")
        self.assertEqual(ended.stdout.splitlines()[0], "through")

    def test_a_short_exchange_is_drawn(self):
        lost = ["--drop", "syn", "--count", "1"]
        short = lab.programs(rounds=1, answer=100)
        for options, drawn in ((short, True), (["--quiet", *short], False),
                               (lab.programs(rounds=20, answer=3000), False)):  # fmt: skip
            said = self.run_lab(*lost, *options).stdout
            self.assertEqual("(dropped by fault 1)" in said, drawn, said)
        self.assertRegex(self.run_lab(*short).stdout, r"SYN,ACK seq 0 ack 1 .*\n.*SYN-RECEIVED")

    def test_a_capture_through_a_pipe(self):
        ended = subprocess.run([lab.NETKIT, "lab", "--pcap", "-", "--output", self.path("report"),
                                "--client", "echo out"], capture_output=True, timeout=lab.LIMIT_S,
                               check=False)  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(ended.stdout[:4], struct.pack("=I", 0xA1B23C4D))
        self.assertEqual(ended.stderr, b"out\n")


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def below(pid):
    """Every process of a run, its own included."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                parents.setdefault(int(status_of(name)["PPid"]), []).append(int(name))
    found, more = [], [pid]
    while more:
        found.append(more.pop())
        more += parents.get(found[-1], [])
    return found


ROOT = os.geteuid() == 0
USER = 65534
BY_SUDO = os.environ | {"SUDO_UID": str(USER), "SUDO_GID": str(USER)}
NEWNET = 0x40000000


class Rights(Case):
    """What programs and netkit's own processes may do, and as whom they do it."""

    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)

    def users_folder(self):
        path = self.path("theirs")
        os.mkdir(path)
        os.chown(path, USER, USER)
        return path

    def said_by(self, command, *args, **options):
        ended = self.run_lab("-o", "/dev/null", "--client", command, *args, **options)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout.split()

    def test_other_namespaces_are_out_of_reach(self):
        reach = lab.python(f"import ctypes, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n"
                           f"sys.exit(ctypes.get_errno() if libc.setns(0, {NEWNET}) else 0)")  # fmt: skip
        with open("/proc/self/ns/net", encoding="ascii") as machines:
            self.refused(errno.EPERM, [], "--client", reach, stdin=machines)
            self.refused(errno.EPERM, [], "--client", reach, stdin=machines, env=BY_SUDO)
        if ROOT:  # what would be out of reach is there
            with open("/proc/self/ns/net", encoding="ascii") as machines:
                self.refused(0, [], "--as-root", "--client", reach, stdin=machines)

    def test_programs_have_no_rights(self):
        rights = "grep -E '^(CapEff|CapPrm|CapAmb):' /proc/self/status"
        self.assertEqual(set(self.said_by(rights)[1::2]), {"0" * 16})
        if ROOT:
            self.assertEqual(self.said_by("grep NoNewPrivs /proc/self/status")[1], "1")
            self.assertNotIn("0" * 16, self.said_by("grep CapEff /proc/self/status", "--as-root"))

    def test_low_ports_need_no_rights(self):
        server = lab.python("import socket\nsocket.create_server(('', 80)).accept()")
        for env in os.environ, BY_SUDO:
            self.assertEqual(self.said_by("echo reached", "--server", server, env=env), ["reached"])

    def test_programs_run_as_who_called_sudo(self):
        user = [str(USER if ROOT else os.geteuid())]
        self.assertEqual(self.said_by("id -u", env=BY_SUDO, cwd=self.folder), user)
        self.assertEqual(self.said_by("id -u", "--as-root", env=BY_SUDO), [str(os.geteuid())])
        for strange in ("", "-1", "x", "4294967295", "99999999999999999999"):
            env = BY_SUDO | {"SUDO_UID": strange}
            self.assertEqual(self.said_by("id -u", env=env), [str(os.geteuid())])

    def test_programs_and_files_belong_to_the_owner_of_the_directory(self):
        if not ROOT:
            return  # there is nothing to give up
        folder = self.users_folder()
        self.run_lab("--pcap", "x.pcap", "-o", "report", "--client", "id -u > who", cwd=folder)
        for name in ("x.pcap", "report", "who"):
            self.assertEqual(os.stat(os.path.join(folder, name)).st_uid, USER, name)
        with open(os.path.join(folder, "who"), encoding="ascii") as file:
            self.assertEqual(file.read(), f"{USER}\n")
        # What the user cannot write is written by root.
        ended = self.run_lab("-o", self.path("roots"), "--pcap", self.path("roots.pcap"), *TRUE,
                             env=BY_SUDO)  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertEqual(os.stat(self.path("roots")).st_uid, 0)
        self.assertEqual(os.stat(self.path("roots.pcap")).st_uid, 0)

    def test_scenarios_start_programs_as_the_user(self):
        if not ROOT:
            return
        for command in (["crash-sim", "process-crash-idle", "--client"],
                        ["accept-backlog", "--port", "7", "--connections", "1", "--server"]):  # fmt: skip
            for as_root in ([], ["--as-root"]):
                folder = tempfile.mkdtemp(dir=self.folder)
                os.chmod(folder, 0o777)
                program = f"id -u > {folder}/who; {LISTENER}" if "--server" in command \
                          else f"id -u > {folder}/who"  # fmt: skip
                subprocess.run([lab.NETKIT, *command, program, *as_root, "--timeout", "20s"],
                               env=BY_SUDO, capture_output=True, check=False,
                               timeout=lab.LIMIT_S)  # fmt: skip
                with open(os.path.join(folder, "who"), encoding="ascii") as file:
                    self.assertEqual(file.read(), "0\n" if as_root else f"{USER}\n", command)

    def test_a_program_that_fails_without_rights_is_told_how_to_get_them(self):
        for options, hint in (([], ROOT), (["--as-root"], False)):
            for form in ([], ["--json"]):
                ended = self.run_lab("--client", "exit 3", *options, *form, env=BY_SUDO)
                self.assertEqual(ended.returncode, 3, ended.stderr)
                said = " ".join((ended.stdout + ended.stderr).split())
                self.assertEqual("needs --as-root" in said, hint, said)
        self.assertNotIn("--as-root", self.run_lab(*TRUE, env=BY_SUDO).stdout)

    def test_a_capture_is_nobody_elses_to_read(self):
        new, old = self.path("new.pcap"), self.path("old.pcap")
        with open(old, "w", encoding="ascii"):
            os.chmod(old, 0o640)
        self.refused(0, [], "--pcap", new, *TRUE)
        self.refused(0, [], "--pcap", old, *TRUE)
        self.assertEqual(stat.S_IMODE(os.stat(new).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(old).st_mode), 0o640)

    def test_settings_that_cannot_be_written(self):
        """As in a container without --privileged: nothing can be pinned, and the run says so."""
        words = ["settings of the hosts are this system's", "Read-only file system"]
        own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
        script = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$@\""
        for format in ([], ["--json"]):
            ended = subprocess.run([*own, "sh", "-c", script, "sh", lab.NETKIT, "lab", *format, *TRUE],
                                   capture_output=True, text=True, timeout=lab.LIMIT_S,
                                   check=False)  # fmt: skip
            self.assertEqual(ended.returncode, 0, ended)
            for word in words:
                self.assertIn(word, " ".join(ended.stdout.split()))

    def test_a_capture_stays_until_the_run_begins(self):
        new, old = self.path("unmade.pcap"), self.path("kept.pcap")
        with open(old, "w", encoding="ascii") as file:
            file.write("before")
        for path in (new, old):
            self.refused(3, ["tcp_no_such_setting"], "--pcap", path,
                         "--sysctl", "client:tcp_no_such_setting=1", *TRUE)  # fmt: skip
        self.assertFalse(os.path.exists(new))
        with open(old, encoding="ascii") as file:
            self.assertEqual(file.read(), "before")

    def test_who_decodes_packets_has_given_up_its_rights(self):
        reader, writer = os.pipe()
        # The client begins when the wire forwards, and ends when it is told.
        with subprocess.Popen([lab.NETKIT, "lab", "-q", "--client", "echo; exec cat"],
                              stdin=reader, stdout=subprocess.PIPE, text=True,
                              env=BY_SUDO) as run:  # fmt: skip
            run.stdout.readline()
            processes = [status_of(pid) for pid in below(run.pid)]
            os.close(reader)
            os.close(writer)
            run.communicate(timeout=lab.LIMIT_S)
        decoding = [one for one in processes if one["Name"] in ("netkit", "netkit-wire")]
        self.assertEqual(len(decoding), 2, processes)
        for one in decoding:
            self.assertEqual(one["CapEff"], "0" * 16, one)
            self.assertEqual(one["CapPrm"], "0" * 16, one)
            self.assertEqual(one["NoNewPrivs"], "1", one)
            self.assertNotEqual(one["Uid"].split()[0], "0", one)
        version = subprocess.run([lab.NETKIT, "--version", "--verbose"], capture_output=True,
                                 text=True, check=True).stdout  # fmt: skip
        if "system calls: seccomp" in version:
            self.assertEqual({one["Seccomp"] for one in decoding if one["Name"] == "netkit-wire"},
                             {"2"})  # fmt: skip


class Together(Case):
    """Several at once, again and again, all with the same ports and addresses."""

    ROUNDS = 3
    AT_ONCE = 8

    def one(self, number):
        family = 4 + number % 2 * 2
        count = number // 2 % 3
        faults = ["--drop", "syn", "--count", str(count)] if count else []
        return count, lab.Run(*(["-6"] if family == 6 else []), *faults,
                              "--sysctl", "client:tcp_syn_linear_timeouts=4", "--pcap",
                              self.path(f"{number}.pcap"),
                              *lab.programs(family, answer=1000 + number, rounds=2))  # fmt: skip

    def test_none_disturbs_another(self):
        for _ in range(self.ROUNDS):
            with concurrent.futures.ThreadPoolExecutor(self.AT_ONCE) as pool:
                runs = list(pool.map(self.one, range(self.AT_ONCE)))
            for number, (count, run) in enumerate(runs):
                self.assertEqual(run.status, 0, run.said)
                self.assertEqual(run.result["wire"]["lost"], 0)
                self.assertEqual(len(run.connections), 1)
                connection = run.connections[0]
                syns = [flags for flags in connection["flags"] if flags.startswith("C>S SYN")]
                self.assertEqual(syns, ["C>S SYN x"] * count + ["C>S SYN"])
                self.assertEqual(connection["end"], "fin")
                server = connection["payload_bytes"]["server"]
                again = connection["retransmissions"]["server"]
                self.assertIn(server, [2000 + 2 * number + sent * (1000 + number)
                                       for sent in range(again + 1)])  # fmt: skip


class Late(Case):
    """Every processor is busy, and netkit is what gets least of it: the wire is late by many
    milliseconds. What is lost, held and refused, and what is said of it, stays the same."""

    CASES = {
        "syn-retransmission": (["--drop", "syn", "--count", "1"], 0,
                               ["C>S SYN x", "C>S SYN"]),
        "synack-retransmission": (["--hold", "syn-ack=until:s>c:syn-ack#2"], 0,
                                  ["C>S SYN", "S>C SYN,ACK"]),
        "connection-refused": (["--answer-rst", "syn"], 1, ["C>S SYN x", "W>C RST,ACK"]),
        "host-unreachable": (["--delay", "1ms", "--answer-icmp", "syn=host-unreachable"], 1,
                             ["C>S SYN x", "W>C ICMP host-unreachable"]),
        None: (["--delay", "1ms"], 0, ["C>S SYN"]),
    }  # fmt: skip

    def test_no_verdict_depends_on_it(self):
        with busy_machine():
            for code, (options, status, begin) in self.CASES.items():
                with self.subTest(code=code):
                    ended = self.run_lab("--json", *options, *lab.programs(rounds=1, answer=3000),
                                         preexec_fn=lambda: os.nice(5))  # fmt: skip
                    self.check(code, status, begin, ended)

    def check(self, code, status, begin, ended):
        self.assertEqual(ended.returncode, status, ended.stderr)
        report = json.loads(ended.stdout)
        result = report["results"][0]
        self.assertEqual(result["wire"]["lost"], 0)
        self.assertEqual(result["connections"][0]["flags"][: len(begin)], begin)
        late_ns = result["wire"]["late_max_ns"]
        self.assertEqual(any("late" in note for note in result["notes"]), late_ns > 50_000_000)
        codes = [finding["code"] for finding in report["findings"]
                 if finding["severity"] != "info"]  # fmt: skip
        if code:
            self.assertIn(code, codes)
        elif late_ns < 50_000_000:
            self.assertEqual(codes, [])


if __name__ == "__main__":
    lab.require_lab()
    unittest.main(verbosity=2)
