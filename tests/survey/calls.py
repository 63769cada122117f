"""What a server does with its connections, as strace saw it: which writes an answer is made of, and
which options of TCP it sets."""

import collections
import glob
import os
import re

TRACED = ("read,readv,recvfrom,recvmsg,recvmmsg,write,writev,sendto,sendmsg,sendmmsg,sendfile,"
          "splice,setsockopt,shutdown,close,bind,accept,accept4")  # fmt: skip
# -yy names both ends of a socket, -ff writes a file for each thread, so that no line is broken.
STRACE = ["strace", "-ff", "-ttt", "--seccomp-bpf", "-yy", "-s", "0", "-e", f"trace={TRACED}",
          "-e", "signal=none"]  # fmt: skip
OPTIONS = ("TCP_NODELAY", "TCP_QUICKACK", "TCP_CORK")

LINE = re.compile(r"(\d+\.\d+) (\w+)\((.*)\)\s+= (-?\d+)")
SOCKET = re.compile(r"\d+<(?:TCP(?:v6)?|UNIX-STREAM):\[((?:[^\]]|\](?!>))*)\]>")
OPTION = re.compile(rf"({'|'.join(OPTIONS)}), \[(\d)\]")
BOUND = re.compile(r"sin6?_port=htons\((\d+)\)")
# No segment on loopback is longer: a longer write is not small in the sense of Nagle's algorithm.
FULL_SEGMENT = 65483

Event = collections.namedtuple("Event", "time call socket arguments size")


def events(directory):
    """The calls on sockets that worked, in order of time."""
    found = []
    for path in glob.glob(os.path.join(directory, "calls.*")):
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                parts = LINE.match(line)
                if not parts or int(parts[4]) < 0:
                    continue
                time, call, arguments, size = parts.groups()
                sockets = SOCKET.findall(arguments)
                if sockets:
                    reads = call == "splice" and SOCKET.match(arguments)
                    call = "splice from" if reads else call
                    found.append(Event(float(time), call, sockets[0], arguments, int(size)))
    return sorted(found)


class Connection:
    """A connection of the server: its answers so far, and the options that hold."""

    def __init__(self, options):
        self.options = dict(options)
        self.answers = []
        self.listened = True  # nothing was written since the last read
        self.before = []  # options set since then

    def takes(self, event):
        """The next call. Whoever closed it before has left it to another process."""
        self.steps()[:] = [step for step in self.steps() if step[0] != "close"]
        if event.call in ("read", "readv", "recvfrom", "recvmsg", "recvmmsg", "splice from"):
            self.listened, self.before = True, []
        elif event.call == "setsockopt":
            option = OPTION.search(event.arguments)
            if option:
                self.options[option[1]] = int(option[2])
                self.steps().append((option[1], int(option[2])))
        elif event.call in ("shutdown", "close"):
            self.steps().append((event.call, None))
        elif event.size:
            more = " (MSG_MORE)" if "MSG_MORE" in event.arguments else ""
            if self.listened:
                self.answers.append(Answer(event, self.options, self.before))
            self.listened = False
            self.steps().append((event.call + more, event.size))

    def steps(self):
        """The calls of the answer that is being written, or of the one that may come."""
        return self.before if self.listened else self.answers[-1].steps


class Answer:
    """The calls between two reads."""

    def __init__(self, event, options, steps):
        self.options = dict(options)
        self.steps = steps

    def writes(self):
        return [(call, size) for call, size in self.steps
                if call not in OPTIONS and call not in ("shutdown", "close")]  # fmt: skip

    def stalls(self):
        """Whether Nagle's algorithm holds a part of it, by its writes and the options: a small
        write while an earlier small one is not acknowledged. None if the sizes leave it open."""
        options, corked, small, full, held = dict(self.options), 0, False, False, 0
        for call, value in self.steps:
            if call in ("shutdown", "close"):
                return False  # the FIN takes everything along
            if call in OPTIONS:
                options[call] = value
                if options.get("TCP_NODELAY"):
                    held = held if options.get("TCP_CORK") else 0
                sends = corked and not options.get("TCP_CORK")
            else:
                corked += value
                sends = not options.get("TCP_CORK") and "MSG_MORE" not in call
            if sends:
                held += corked if small and not options.get("TCP_NODELAY") else 0
                full = full or max(corked, held) >= FULL_SEGMENT
                small, corked = True, 0
        return None if held and full else held > 0

    def __str__(self):
        if len(self.writes()) > 4:
            sizes = [size for _, size in self.writes()]
            calls = collections.Counter(call for call, _ in self.writes())
            counts = " and ".join(f"{count} {call}" for call, count in calls.items())
            return (f"{counts}, {sum(sizes)} bytes in all, the first {sizes[0]}, "
                    f"the last {sizes[-1]}")  # fmt: skip
        words, between = [], []  # the same option is often set again and again
        for call, value in self.steps:
            word = f"{call}={value}" if call in OPTIONS else f"{call} {value or ''}".strip()
            between = [*between, word] if call in OPTIONS else []
            if between.count(word) < 2:
                words.append(word)
        return ", ".join(words)


class Habit:
    """How a server answers on its port, or on its socket of this path, from `start` to `end`."""

    def __init__(self, directory, port, path, start, end):
        listeners, self.listener, connections = {}, {}, {}
        self.set = set()
        place = f',"{path}"' if path else f":{port}"
        for event in events(directory):
            local, arrow, _ = event.socket.partition("->")
            local = event.socket if path else local
            if event.call == "bind":
                bound = BOUND.search(event.arguments)
                if bound and int(bound[1]) == port and not path:
                    self.listener.update(listeners.get(event.socket, {}))
            if not arrow:
                option = OPTION.search(event.arguments)
                if event.call == "setsockopt" and option:
                    listeners.setdefault(event.socket, {})[option[1]] = int(option[2])
                    if local.endswith(place):
                        self.listener[option[1]] = int(option[2])
            elif local.endswith(place) and start <= event.time <= end:
                if event.socket not in connections:
                    connections[event.socket] = Connection(self.listener)
                connections[event.socket].takes(event)
                option = OPTION.search(event.arguments)
                if event.call == "setsockopt" and option:
                    self.set.add((option[1], int(option[2])))
        self.answers = [c.answers for c in connections.values()]

    def usual(self):
        """The answer as it comes most often, of the last ones of each connection."""
        late = [answer for answers in self.answers
                for answer in answers[(len(answers) + 1) // 2 :] or answers]  # fmt: skip
        if not late:
            return None
        common = collections.Counter(map(str, late)).most_common(1)[0][0]
        return next(a for a in late if str(a) == common)

    def options(self):
        words = [f"{name} (on the listener)" for name, value in self.listener.items() if value]
        for name in sorted({name for name, _ in self.set}):
            values = {value for option, value in self.set if option == name}
            names = [{0: "off", 1: "on"}.get(v, str(v)) for v in sorted(values, reverse=True)]
            words.append(f"{name} {' and '.join(names)}")
        return ", ".join(words) or "none"
