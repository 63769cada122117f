"""What the tests and measurements in Python share: the programs that they try, what they say when
they cannot run or cannot decide, ports, private namespaces, and a busy machine.

Importing it makes the modules beside the tests importable: fixture, certificates, routers, lab."""

import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(TESTS, folder) for folder in ("net", "net/servers", "net/lab")]
# Where the servers and the tools of the system are, for a user who is not root, too.
os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"

MUST_RUN = os.environ.get("NETKIT_TESTS_MUST_RUN") == "1"
SKIPPED = 77
INSIDE = "NETKIT_TEST_INSIDE"
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
# A listening socket, in the tables of /proc/net.
LISTEN = "0A"
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

# The environment variables that ctest sets, and where a build has what they name.
PROGRAMS = {
    "NETKIT": "netkit",
    "NETKIT_FIXTURE_SERVER": "tests/net/servers/fixture_server",
    "NETKIT_CROWD_SERVER": "tests/net/servers/crowd_server",
    "NETKIT_BENCH": "tests/bench",
    "NETKIT_FAULT_SHIM": "tests/faults/libfault_shim.so",
}
BUILDS = ("build/release", "build/dev")


def find_programs(*names):
    """Sees to it that these variables are set: to what the environment says, else to the programs
    of the build that $NETKIT is in, or of the first build that has all of them."""
    missing = [name for name in names if name not in os.environ]
    tree = os.path.dirname(TESTS)
    builds = [os.path.join(tree, build) for build in BUILDS]
    if "NETKIT" in os.environ:
        builds = [os.path.dirname(os.path.abspath(os.environ["NETKIT"]))]
    for build in builds:
        paths = {name: os.path.join(build, PROGRAMS[name]) for name in missing}
        if all(map(os.path.exists, paths.values())):
            os.environ.update(paths)
            return
    wanted = ", ".join(PROGRAMS[name] for name in missing)
    sys.exit(
        f"{os.path.basename(sys.argv[0])}: {' and '.join(builds)} lack {wanted}; build them (cmake "
        "--preset release -DNETKIT_TESTS=ON && cmake --build build/release) or set "
        f"{', '.join(missing)}"
    )


# ---- what cannot run, and what cannot be decided ----


def cannot_run(reason):
    """Ends the program: skipped, or failed where every test must run."""
    print(f"SKIP: {reason}")
    sys.exit(1 if MUST_RUN else SKIPPED)


def skip(reason):
    """Ends one test of unittest: skipped, or failed where every test must run."""
    if MUST_RUN:
        raise AssertionError(f"{reason}, and NETKIT_TESTS_MUST_RUN is set")
    raise unittest.SkipTest(reason)


def need(program):
    """The path of a program that one test of unittest needs."""
    return shutil.which(program) or skip(f"{program} is not installed")


def undecided(what, evidence):
    """Says that a run decided nothing, and by which evidence of its own. scripts/test counts these
    lines. The reader of a summary has to see that they are few."""
    print(f"UNDECIDED {what}: {evidence}", flush=True)


class Decisions:
    """Of runs that a stalled machine may leave undecided, at least one has to decide something:
    call end() when all are through."""

    def __init__(self):
        self.decided, self.undecided = 0, 0

    def decides(self, what, evidence):
        """Whether a run counts: not if there is evidence (text) that it shows nothing."""
        if evidence:
            undecided(what, evidence)
            self.undecided += 1
        else:
            self.decided += 1
        return not evidence

    def end(self):
        if self.undecided and not self.decided:
            raise AssertionError(f"none of {self.undecided} runs decided anything")


# How netkit says that a scenario is inconclusive since the machine was too busy:
# lib/scenario/engine/verdict.c and lib/scenario/crash/crash_timer.c.
BUSY = re.compile(r"wire was \d+ ms late|process wait for \d+ ms|had to wait \d+ ms|was so busy that")


def busy_reason(result):
    """Why a result of a scenario decides nothing, or None if it does."""
    why = result["why"] or ""
    return why if result["ok"] is None and BUSY.search(why) else None


class Undecided(Exception):
    """A test's run shows nothing, for the reason that it says."""


def may_be_undecided(case):
    """Decorates a TestCase: a test of it may raise Undecided; all of them must not."""
    decisions = Decisions()

    def wrapped(test):
        @functools.wraps(test)
        def run(self):
            reason = None
            try:
                test(self)
            except Undecided as why:
                reason = str(why)
            decisions.decides(self.id(), reason)

        return run

    for name in [name for name in vars(case) if name.startswith("test_")]:
        setattr(case, name, wrapped(getattr(case, name)))
    case.setUpClass = classmethod(lambda cls: cls.addClassCleanup(decisions.end))
    return case


# ---- places to run in ----


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def families():
    return (4, 6) if has_ipv6() else (4,)


def free_port():
    """A port that is free for both families, or None if the first that was tried is not."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.socket(socket.AF_INET))
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        if has_ipv6():
            second = stack.enter_context(socket.socket(socket.AF_INET6))
            second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                second.bind(("::1", port))
            except OSError:
                return None
        return port


def listeners(port):
    """How many sockets listen on that port, by the kernel's tables."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
            for fields in map(str.split, list(lines)[1:]):
                count += fields[3] == LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port
    return count


def enter_namespaces(*more):
    """Goes on in private namespaces: this program again, as root of a user namespace, with a
    network of its own (and what unshare's options in `more` say). Returns when inside."""
    if os.environ.get(INSIDE):
        return
    command = ["unshare", "--user", "--map-root-user", "--net", *more]
    if not shutil.which(command[0]):
        cannot_run("unshare is not installed")
    possible = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if possible.returncode:
        cannot_run(f"no namespaces: {possible.stderr.strip()}")
    os.execvpe(command[0], [*command, sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})


def sysctl(name, value):
    with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
        file.write(f"{value}\n")


# It ends with whoever started it.
BUSY_LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1000000):
        pass
"""


@contextlib.contextmanager
def busy_machine(wanted=True):
    """Every processor has a loop of the same priority to run, if that is wanted."""
    loops = []
    try:
        for _ in range(len(os.sched_getaffinity(0)) if wanted else 0):
            loops.append(subprocess.Popen([sys.executable, "-S", "-E", "-c", BUSY_LOOP]))
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
