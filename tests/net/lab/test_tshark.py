#!/usr/bin/python3
"""What tshark reads in the capture of netkit lab, under every fault and in both families.

Every packet that the wire saw or made is in it, with right checksums; the exchange in the report is
the one in the capture; what was sent again is the same for both; and tshark's analysis remarks
nothing that the fault does not explain."""

import concurrent.futures
import decimal
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from support import Decisions  # noqa: E402

import lab  # noqa: E402

FLAGS = [(0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x20, "URG"), (0x10, "ACK"),
         (0x40, "ECE"), (0x80, "CWR")]  # fmt: skip
ICMP = {("3", "1"): "host-unreachable", ("3", "4"): "frag-needed", ("3", "13"): "admin-prohibited"}
ICMP6 = {("1", "3"): "host-unreachable", ("2", "0"): "frag-needed",
         ("1", "1"): "admin-prohibited"}  # fmt: skip

# The kernel announces a larger window when the application has read; no fault is needed for that.
ALWAYS = {"window_update"}
AGAIN = {"retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order"}
LOSS = AGAIN | {"duplicate_ack"}
KINDS = sorted(ALWAYS | LOSS | {"lost_segment", "ack_lost_segment", "keep_alive", "keep_alive_ack",
                                "zero_window", "zero_window_probe", "zero_window_probe_ack",
                                "window_full", "reused_ports"})  # fmt: skip

# Name: the options, what tshark may remark, the client's exit status.
FAULTS = {
    "none": ([], set(), 0),
    "delay": (["--delay", "10ms"], set(), 0),
    "rate": (["--rate", "2M"], set(), 0),
    "mtu": (["--mtu", "1300"], set(), 0),
    "drop-syn": (["--drop", "syn", "--count", "1"], LOSS, 0),
    "drop-syn-ack": (["--drop", "syn-ack", "--count", "1"], LOSS, 0),
    "drop-data": (["--drop", "s>c:data", "--nth", "3"], LOSS, 0),
    "drop-tail": (["--drop", "s>c:data", "--nth", "7"], LOSS, 0),
    "drop-ack": (["--drop", "ack", "--probability", "0.3"], LOSS, 0),
    "drop-fin": (["--drop", "fin", "--count", "1"], LOSS, 0),
    "duplicate": (["--duplicate", "any"], LOSS, 0),
    "reorder": (["--reorder", "s>c:data"], LOSS, 0),
    "corrupt": (["--corrupt", "s>c:data", "--nth", "4"], LOSS, 0),
    "late": (["--late", "s>c:data=30ms", "--nth", "5"], LOSS, 0),
    "jitter": (["--late", "data=0+3ms"], LOSS, 0),
    "hold": (["--hold", "s>c:data=4"], LOSS, 0),
    "hold-until": (["--hold", "syn-ack=until:c>s:syn#2"], LOSS, 0),
    "answer-rst": (["--answer-rst", "c>s:data", "--nth", "2"], set(), 1),
    "refuse": (["--answer-rst", "syn"], set(), 1),
    "icmp": (["--delay", "5ms", "--answer-icmp", "syn=host-unreachable"], LOSS, 1),
    "icmp-mtu": (["--answer-icmp", "s>c:greater 1300=frag-needed", "--nth", "2"], LOSS, 0),
    "cut": (["--cut", "s>c:data", "--nth", "3"], LOSS, 1),
}
# How long the client waits for bytes, where none will come.
PATIENCE_S = {"cut": 1}
# When the machine stalls, the kernel probes or times out. The capture has the proof: a segment sent
# again on a link that loses nothing. Such a run decides nothing, and is reported as undecided.
QUIET = {name for name, (_, allowed, _) in FAULTS.items() if not allowed}

FIELDS = ["frame.time_epoch", "ip.src", "ipv6.src", "tcp.flags", "tcp.stream", "ip.checksum.status",
          "tcp.checksum", "tcp.checksum.status", "icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code",
          "icmp.checksum.status", "icmpv6.checksum.status", "_ws.malformed",
          *(f"tcp.analysis.{kind}" for kind in KINDS)]  # fmt: skip


def flags_text(number):
    return ",".join(name for bit, name in FLAGS if number & bit)


def text_of(packet):
    """As the report writes it, but for who sent it."""
    if packet["icmp.type"]:
        kind = packet["icmp.type"].split(",")[0], packet["icmp.code"].split(",")[0]
        return f"ICMP {ICMP[kind]}"
    if packet["icmpv6.type"]:
        return f"ICMP {ICMP6[packet['icmpv6.type'], packet['icmpv6.code']]}"
    return flags_text(int(packet["tcp.flags"].split(",")[0], 16))


def checksums(packet):
    """Of the packet itself; an ICMP error quotes another behind its own. Linux writes ffff where the
    sum is 0: the same in ones' complement, and bad to tshark."""
    is_icmp = packet["icmp.type"] or packet["icmpv6.type"]
    own = ["icmp.checksum.status", "icmpv6.checksum.status"] if is_icmp else ["tcp.checksum.status"]
    if packet["tcp.checksum"].split(",")[0] == "0xffff":
        own = []
    return {packet[name].split(",")[0] for name in ["ip.checksum.status", *own] if packet[name]}


def kinds_of(packet):
    return {kind for kind in KINDS if packet[f"tcp.analysis.{kind}"]}


class Tshark(lab.Case):
    def setUp(self):
        super().setUp()
        self.decisions = Decisions()

    def one(self, name, family):
        options, allowed, status = FAULTS[name]
        pcap = self.path(f"{name}-{family}.pcap")
        family_options = ["-6"] if family == 6 else []
        run = self.lab(*family_options, *options, "--pcap", pcap,
                       *lab.programs(family, answer=9900, patience_s=PATIENCE_S.get(name)),
                       status=status)  # fmt: skip
        packets = lab.tshark(pcap, FIELDS)
        wire = run.result["wire"]
        self.assertEqual(len(packets), wire["seen"] + wire["answered"])
        self.assertEqual(len(run.connections), 1)
        connection = run.connections[0]
        times = [decimal.Decimal(packet["frame.time_epoch"]) for packet in packets]
        self.assertEqual(times, sorted(times))
        packets = [packet for packet in packets if packet["tcp.stream"]]

        # Each with right checksums, and the exchange of the report. That ends when netkit ends the
        # programs; the capture also has what they say at their end where an end is still open.
        if connection["end"] not in ("fin", "refused", "unreachable"):
            packets = packets[: len(connection["flags"])]
        for packet in packets:
            self.assertLessEqual(checksums(packet), {"1"}, packet)
            self.assertEqual(packet["_ws.malformed"], "", packet)
        self.assertEqual(connection["flags_omitted"], 0)
        reported = [line.split(" ", 1)[1].removesuffix(" x") for line in connection["flags"]]
        self.assertEqual(reported, [text_of(packet) for packet in packets])
        source = "ipv6.src" if family == 6 else "ip.src"
        client = packets[0][source].split(",")[0]
        for line, packet in zip(connection["flags"], packets):
            if line[0] != "W" and "ICMP" not in line:
                self.assertEqual(line[0] == "C", packet[source] == client, line)

        # What was sent again, and what the analysis remarks.
        remarks = [kinds_of(packet) for packet in packets]
        again = sum(bool(kinds & AGAIN) for kinds in remarks)
        evidence = again and f"{again} segments were sent again, and the link loses none"
        if name in QUIET and not self.decisions.decides(f"{self.id()} {name}", evidence):
            return
        self.assertEqual(sum(connection["retransmissions"].values()), again)
        self.assertLessEqual(set().union(*remarks), ALWAYS | allowed)
        for line, kinds in zip(connection["flags"], remarks):
            if line.endswith("SYN x"):
                self.assertFalse(kinds, "the first SYN was lost, not sent again")
        if allowed:
            faults = run.result["faults"]
            self.assertGreater(sum(fault["acted"] for fault in faults), 0, faults)

    def all_of(self, family):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            runs = {name: pool.submit(self.one, name, family) for name in FAULTS}
        for name, run in runs.items():
            with self.subTest(fault=name, family=family):
                run.result()
        self.decisions.end()

    def test_ipv4(self):
        self.all_of(4)

    def test_ipv6(self):
        self.all_of(6)


if __name__ == "__main__":
    lab.require_lab()
    unittest.main(verbosity=2)
