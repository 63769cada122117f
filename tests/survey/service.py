"""A server of the distribution, with a configuration of its own: how it is started on a free port
of loopback, in a directory that goes away, and ended with everything it started."""

import contextlib
import ctypes
import dataclasses
import glob
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import calls
import certificates
from support import LOOPBACK, free_port, listeners

# Where run --install puts packages that can't be installed beside others.
UNPACKED = "/opt/netkit-survey"
START_SECONDS = 30
STOP_SECONDS = 10
PR_SET_CHILD_SUBREAPER = 36


@dataclasses.dataclass
class Request:
    """What is asked, and what should be said of it: CODE or CODE/SIDE, or several with " or ".
    In the target, @HOST@ is where the service listens, over IPv4 or IPv6."""

    options: list
    expect: str = "ok"
    target: str = "@HOST@"

    def socket(self):
        """The path of the Unix-domain socket that is asked, or None."""
        return self.target.removeprefix("unix:") if self.target.startswith("unix:") else None

    def __str__(self):
        """As one would type it."""
        names = {"@DIR@/": "", "@CERT@": "certificate.pem", "@HOST@": "localhost",
                 "@BACKEND@": "8080"}  # fmt: skip
        words = []
        for word in (*self.options, self.target):
            for name, text in names.items():
                word = word.replace(name, text)
            words.append(word)
        return shlex.join(words)


# Of servers that start a process for each connection: that is quick or not, as the machine is.
FORKS = "ok or server-think-time/server"


@dataclasses.dataclass
class Service:
    """`command`, `files` and the options of the requests may have @DIR@ (its own directory), @WWW@
    (with index.html and large), @PORT@, @CERT@ (PEM, with the key), @BACKEND@ (the port of the
    service `behind` it) and @ROOT@ (where the package is)."""

    name: str
    package: str
    command: list
    requests: list
    files: dict = dataclasses.field(default_factory=dict)
    prepare: list = dataclasses.field(default_factory=list)
    ready: list = None  # a command that succeeds when it is, for one that listens too early
    behind: "Service" = None
    families: tuple = (4, 6)
    sockets: int = 0  # that listen; one for each family if not given
    root: bool = False
    unpacked: bool = False
    needs: tuple = ()  # more packages
    environment: dict = dataclasses.field(default_factory=dict)

    def home(self):
        return os.path.join(UNPACKED, self.package) if self.unpacked else ""

    def packages(self):
        return [self.package, *self.needs, *(self.behind.packages() if self.behind else [])]

    def missing(self):
        """Why it can't run here, or None."""
        if self.root and os.geteuid() != 0:
            return "needs root"
        for package in self.packages():
            if not version(package):
                return f"{package} is not installed"
        return None


def version(package):
    """The version of a package, as its authors count, or None if it isn't there."""
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    status, _, full = ended.stdout.partition(" ")
    note = os.path.join(UNPACKED, package, "VERSION")
    if status != "installed":
        if not os.path.exists(note):
            return None
        with open(note, encoding="ascii") as file:
            full = file.read().strip()
    return re.sub(r"^\d+:|[+~]dfsg.*|[+~]ds.*|-[^-]*$", "", full)


# ---- processes ----


def adopt_orphans():
    """Daemons that leave their parent become children of this process, so that none gets away."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root):
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
            pid, rest = file.read().split(" ", 1)
            fields = rest.rsplit(")", 1)[1].split()
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append((int(pid), rest))
    found, todo = [], [root]
    while todo:
        for pid, rest in children.get(todo.pop(), []):
            found.append((pid, rest.startswith("(strace)")))
            todo.append(pid)
    return found


def reap():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_all():
    """Ends every process below this one. strace ends with those that it looks at."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, strace in descendants(os.getpid()):
            if not strace or number == signal.SIGKILL:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        end = time.monotonic() + STOP_SECONDS
        while descendants(os.getpid()) and time.monotonic() < end:
            reap()
            time.sleep(0.02)
        reap()
        if not descendants(os.getpid()):
            return


def as_ordinary_user(service):
    """The words that make a command run as nobody, if root runs this and the service can do so."""
    if os.geteuid() or service.root:
        return []
    who = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]


class NotStarted(Exception):
    """What the server wrote instead of listening."""


@dataclasses.dataclass
class Running:
    """A service that listens on `port`; `words` are what the @WORDS@ stand for."""

    port: int
    words: dict
    directory: str
    calls: str  # where strace writes

    def fill(self, text):
        for word, value in self.words.items():
            text = text.replace(f"@{word}@", str(value))
        return text


@contextlib.contextmanager
def running(service, traced=False):
    """Starts it and gives a Running, with the calls in its directory if it is traced."""
    with tempfile.TemporaryDirectory(prefix="netkit-survey-") as directory:
        try:
            backend = start(service.behind, os.path.join(directory, "backend"), False, None) \
                if service.behind else None  # fmt: skip
            yield start(service, os.path.join(directory, "service"), traced, backend)
        finally:
            end_all()


def start(service, directory, traced, backend):
    port = next(filter(None, iter(free_port, 0)))
    words = {"DIR": directory, "WWW": os.path.join(directory, "www"), "PORT": port,
             "CERT": os.path.join(directory, "certificate.pem"), "ROOT": service.home(),
             "BACKEND": backend.port if backend else ""}  # fmt: skip
    this = Running(port, words, directory, directory + ".calls")
    lay_out(service, this)
    environment = {**os.environ, "HOME": directory, "TMPDIR": directory, "LC_ALL": "C.UTF-8",
                   **{k: this.fill(v) for k, v in service.environment.items()}}  # fmt: skip
    user = as_ordinary_user(service)
    log = os.path.join(directory, "log")
    strace = [*calls.STRACE, "-o", os.path.join(this.calls, "calls")] if traced else []
    with open(log, "w", encoding="utf-8") as output:
        for command in service.prepare:
            subprocess.run([*user, *map(this.fill, command)], stdout=output, stderr=output,
                           stdin=subprocess.DEVNULL, cwd=directory, env=environment,
                           check=False)  # fmt: skip
        process = subprocess.Popen(
            [*user, *strace, *map(this.fill, service.command)], stdout=output, stderr=output,
            stdin=subprocess.DEVNULL, cwd=directory, env=environment, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + START_SECONDS
    while not is_ready(service, this):
        ended = process.poll() is not None and not descendants(os.getpid())
        if ended or time.monotonic() > end:
            with open(log, encoding="utf-8", errors="replace") as text:
                raise NotStarted(text.read()[-1500:])
        time.sleep(0.02)
    return this


def is_ready(service, this):
    if listeners(this.port) < (service.sockets or len(service.families)):
        return False
    command = [this.fill(word) for word in service.ready or ["true"]]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def lay_out(service, this):
    """Its directory: configuration, pages, certificate; all of it belongs to who runs it."""
    os.makedirs(this.words["WWW"])
    os.makedirs(this.calls)
    os.chmod(os.path.dirname(this.directory), 0o755)
    pages = {"www/index.html": "<!doctype html><title>x</title><p>A page of some bytes.\n" * 4,
             "www/large": "Two hundred thousand bytes.\n" * 7143}  # fmt: skip
    for name, text in {**pages, **service.files}.items():
        path = os.path.join(this.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(this.fill(text))
    if certificates.available():
        certificates.make(this.directory, "certificate")
    user = as_ordinary_user(service)
    if user:
        who = pwd.getpwnam("nobody")
        shutil.chown(this.calls, who.pw_uid, who.pw_gid)
        for folder, _, names in os.walk(this.directory):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                shutil.chown(path, who.pw_uid, who.pw_gid)


def target(family, port):
    return f"[{LOOPBACK[family]}]:{port}" if family == 6 else f"{LOOPBACK[family]}:{port}"
