"""A private host for runs that must leave nothing behind: a user, network and mount namespace, whose
counters and directories are nobody else's, and the checks that nothing is left in it.

In it netkit is an ordinary user without capabilities, or has all of them ("root"), which takes the
path without a user namespace of its own."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import time
import traceback

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_CHILD_SUBREAPER = 36
SKIP = 77
NOBODY = 65534
NAMESPACES = 24  # a lab needs three, and the kernel releases them a little later
LIMIT_S = 20  # of every wait: only a failure takes that long
PRIVATE = ["/tmp", "/var/tmp", "/dev/shm"]
HOME = "/tmp/home"
libc = ctypes.CDLL(None, use_errno=True)


class Left(Exception):
    pass


def checked(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def read(path):
    with open(path, "rb") as file:
        return file.read()


# ---- The private host ----


def become(user):
    if user == "self" or os.geteuid():
        return
    uid = NOBODY if user == "nobody" else 0
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: /proc/self stays ours


def enter_private_host(namespaces):
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS), "unshare")
    write("/proc/self/uid_map", f"{uid} {uid} 1")
    write("/proc/self/setgroups", "deny")
    write("/proc/self/gid_map", f"{gid} {gid} 1")
    write("/proc/sys/user/max_net_namespaces", str(namespaces))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    checked(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount")
    for path in PRIVATE:
        if os.path.isdir(path):
            checked(libc.mount(b"none", path.encode(), b"tmpfs", 0, None), f"mount {path}")


def become_subreaper():
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def drop_capabilities():
    """What is left lets root's uid be mapped again, and no more."""
    version_and_pid = struct.pack("II", 0x20080522, 0)
    little = 0 if os.geteuid() else 1 << 31  # CAP_SETFCAP
    sets = struct.pack("IIIIII", little, little, 0, 0, 0, 0)
    checked(libc.capset(version_and_pid, sets), "capset")


def _child(user, programs, namespaces, body):
    try:
        become(user)
        try:
            enter_private_host(namespaces)
        except OSError as error:
            print(f"SKIP: this system refuses a private host: {error}")
            return SKIP
        become_subreaper()
        os.mkdir(HOME)
        for name, contents in programs.items():
            with open(os.open(f"/tmp/{name}", os.O_WRONLY | os.O_CREAT, 0o755), "wb") as file:
                file.write(contents)
        # The capabilities of a user namespace are complete only after an exec or a fork.
        if user != "root":
            drop_capabilities()
        body()
        return 0
    except Left as left:
        print(f"LEFT: {left}")
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc(file=sys.stdout)
    return 1


def run_in_private_host(user, programs, body, namespaces=NAMESPACES):
    """Runs body() in a private host as "nobody", "root" or who we are ("self"), who is the subreaper
    of all that it starts. The files that `programs` names are copied to /tmp/NAME: the host has a
    /tmp of its own. Returns the exit status: 1 if it raised anything, SKIP if the system refuses."""
    contents = {name: read(path) for name, path in programs.items()}
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = _child(user, contents, namespaces, body)
        sys.stdout.flush()
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# ---- What must not change ----

COUNTERS = ["dev", "snmp", "snmp6", "netstat", "route", "ipv6_route", "if_inet6", "igmp", "arp",
            "tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "unix"]  # fmt: skip


def snapshot():
    """Interfaces, counters, tables and settings, each by its name."""
    found = {}
    for name in COUNTERS:
        if name == "unix":  # numbers of sockets everywhere in the namespace: only how many
            found[name] = len(read("/proc/net/unix").splitlines())
        elif os.path.exists(f"/proc/net/{name}"):
            found[name] = read(f"/proc/net/{name}")
    for folder, _, names in os.walk("/proc/sys/net"):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found[path] = read(path)
            except OSError as error:
                found[path] = error.errno
    found["interfaces"] = socket.if_nameindex()
    return found


def changed(before, after):
    return sorted(key for key in before.keys() | after.keys()
                  if before.get(key) != after.get(key))  # fmt: skip


def files():
    return {os.path.join(folder, name)
            for place in PRIVATE
            for folder, _, names in os.walk(place) for name in names}  # fmt: skip


# ---- What must not be left ----


def children_of(pid):
    try:
        return [int(n) for n in read(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def wait_for_nobody():
    """Returns the seconds until no descendant was left."""
    start = time.monotonic()
    while time.monotonic() < start + LIMIT_S:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.001)
        except ChildProcessError:
            return time.monotonic() - start
    left = []
    for pid in children_of(os.getpid()):
        left.append(f"{pid} {read(f'/proc/{pid}/comm').decode().strip()}")
        os.kill(pid, signal.SIGKILL)
    raise Left(f"processes: {left}")


def namespaces_are_free(allowed=NAMESPACES):
    """Takes all that are allowed; a try that fails leaves some to be released itself."""
    start = time.monotonic()
    wait_s = 0.05
    while time.monotonic() < start + LIMIT_S:
        pid = os.fork()
        if not pid:
            kept = []
            for _ in range(allowed - 1):  # the private host has one
                if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET if not kept else CLONE_NEWNET) < 0:
                    os._exit(1)
                kept.append(os.open("/proc/self/ns/net", os.O_RDONLY))
            os._exit(0)
        if os.waitpid(pid, 0)[1] == 0:
            return time.monotonic() - start
        time.sleep(wait_s)
        wait_s *= 2
    raise Left("network namespaces")
