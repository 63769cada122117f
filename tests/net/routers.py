"""Hosts in a row, each forwarding to the next, in network namespaces of a user namespace of our
own: no privilege is needed. A test re-executes itself in there (enter()), then builds a Row.

The hosts are c, r1, r2, ..., s. Link i, from 1, between the i-th host and the next one, is
10.0.i.0/24 and fd00:i::/64, with .1 and ::1 on the near side, .2 and ::2 on the far side.
Neighbours are permanent where there is somebody, so that no test waits for ARP except where that is
its subject.
"""

import shutil
import signal
import subprocess

from support import cannot_run, enter_namespaces


def enter():
    """Goes on in private namespaces. What runs in there ends with this process: it reads a pipe."""
    for program in ("nsenter", "ip"):
        if not shutil.which(program):
            cannot_run(f"{program} is not installed")
    enter_namespaces()


class Host:
    def __init__(self, name):
        self.name = name
        # It says that it is there when it is in its namespace; the pipe ends it.
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip

    def begin(self):
        self.process.stdout.readline()
        settings = ["ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1",
                    "ipv6/conf/all/accept_dad=0", "ipv6/conf/default/accept_dad=0"]  # fmt: skip
        self.write(*settings)
        # So that a rule may come before the host's own addresses.
        rules = ["rule add priority 100 lookup local", "rule del priority 0"]
        self.ip("link set lo up", *rules)
        self.ip(*rules, family=6)

    def command(self, *args):
        return ["nsenter", "-t", str(self.process.pid), "-n", *args]

    def run(self, *lines):
        subprocess.run(self.command("sh", "-ec", "\n".join(lines)), check=True)

    def ip(self, *lines, family=None):
        """What ip(8) does with these lines; the family is needed where no address shows it."""
        which = [f"-{family}"] if family else []
        subprocess.run(self.command("ip", *which, "-batch", "-"), check=True, text=True,
                       input="".join(f"{line}\n" for line in lines))  # fmt: skip

    def write(self, *settings):
        """Sysctls below net: "ipv4/ip_forward=1"."""
        pairs = (setting.split("=") for setting in settings)
        self.run(*(f"echo '{value}' > /proc/sys/net/{name}" for name, value in pairs))

    def popen(self, *args, **options):
        return subprocess.Popen(self.command(*args), **options)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Row:
    """c - r1 - ... - s, with that many routers."""

    def __init__(self, routers):
        names = ["c", *(f"r{i + 1}" for i in range(routers)), "s"]
        self.hosts = [Host(name) for name in names]
        self.by_name = dict(zip(names, self.hosts))
        for host in self.hosts:
            host.begin()
        self.links = range(1, len(names))
        for link in self.links:
            self._join(link)
        for i, host in enumerate(self.hosts):
            self._route(i, host)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for host in self.hosts:
            host.close()

    def __getitem__(self, name):
        return self.by_name[name]

    def _join(self, link):
        near, far = self.hosts[link - 1], self.hosts[link]
        macs = f"02:00:00:00:{link:02x}:01", f"02:00:00:00:{link:02x}:02"
        subprocess.run(["ip", "link", "add", "near", "netns", str(near.process.pid), "address",
                        macs[0], "type", "veth", "peer", "name", "far", "netns",
                        str(far.process.pid), "address", macs[1]], check=True)  # fmt: skip
        for host, device, side, other in ((near, "near", 1, 2), (far, "far", 2, 1)):
            neighbour = f"lladdr {macs[other - 1]} nud permanent dev {device}"
            host.ip(
                f"address add {self.address(4, link, side)}/24 dev {device}",
                f"address add {self.address(6, link, side)}/64 dev {device} nodad",
                f"link set {device} up",
                f"neigh replace {self.address(4, link, other)} {neighbour}",
                f"neigh replace {self.address(6, link, other)} {neighbour}",
            )

    def _route(self, i, host):
        """Host i lies between the links i and i + 1."""
        lines = []
        for link in self.links:
            if i <= link <= i + 1:
                continue
            via = (i + 1, 2) if link > i else (i, 1)
            lines += [f"route add {self.net(f, link)} via {self.address(f, *via)}" for f in (4, 6)]
        host.ip(*lines)

    @staticmethod
    def net(family, link):
        return f"10.0.{link}.0/24" if family == 4 else f"fd00:{link}::/64"

    @staticmethod
    def address(family, link, number):
        return f"10.0.{link}.{number}" if family == 4 else f"fd00:{link}::{number}"

    def last(self, family, number):
        """An address on the last link, where the server is number 2."""
        return self.address(family, self.links[-1], number)


def ended_by(process):
    """Ends a process that we started, and waits for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
