#!/usr/bin/python3
"""tcp-probe over TLS: what a handshake agrees on, what it fails by, and what peers may do to it.

tests/net/verdicts --tls has the delays and their causes. Certificates are made on the spot."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import FAMILIES, LOOPBACK, families, find_programs  # noqa: E402

import certificates  # noqa: E402
from fixture import Server  # noqa: E402

find_programs("NETKIT")
NETKIT = os.environ["NETKIT"]
BOUND = 120  # seconds after which a run counts as endless
LINE = ["--send", r"hello\n"]
FEW = ["--rounds", "5", "--warmup", "0", "--no-interventions"]
ALERT, HANDSHAKE, DATA = 21, 22, 23


def probe(port, *options, host="localhost", family=4, tls=True):
    """The report, with exit_status."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [NETKIT, "tcp-probe", "--json", f"-{family}", *(["--tls"] if tls else []),
               "--resolve", f"localhost:{port}:{LOOPBACK[family]}", *options, target]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    try:
        report = json.loads(ended.stdout)
    except ValueError:
        raise AssertionError(f"{ended.returncode}: {ended.stderr}{ended.stdout}") from None
    report["exit_status"] = ended.returncode
    return report


class Peer:
    """A server that is a function of a connection, in a thread of its own for each."""

    def __init__(self, habit, family=4):
        self.listener = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
        self.listener.bind((LOOPBACK[family], 0))
        self.listener.listen(100)
        self.port = self.listener.getsockname()[1]
        self.habit = habit
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            connection.settimeout(BOUND)
            self.habit(connection)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def drain(connection):
    while connection.recv(65536):
        pass


def records(data):
    """The types and lengths of the TLS records in data, and what is left over."""
    found = []
    while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big"):
        size = 5 + int.from_bytes(data[3:5], "big")
        found.append((data[0], size))
        data = data[size:]
    return found, data


class Over:
    """TLS on a connection by hand: what comes and goes is seen, and can be changed."""

    def __init__(self, connection, certificate, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.minimum_version = context.maximum_version = version
        self.connection, self.came = connection, []
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.do(self.tls.do_handshake)
        self.came.clear()

    def do(self, what, *arguments):
        while True:
            try:
                result = what(*arguments)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.connection.recv(65536)
                if not data:
                    raise ConnectionError("closed") from None
                self.came.append(data)
                self.incoming.write(data)

    def flush(self):
        if data := self.outgoing.read():
            self.connection.sendall(data)

    def line(self):
        text = b""
        while not text.endswith(b"\n"):
            text += self.do(self.tls.read, 65536)
        return text

    def sealed(self, text):
        self.tls.write(text)
        return self.outgoing.read()


class Tls(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="netkit-tls-")
        place = cls.directory.name
        cls.authority = certificates.make(place, "authority", names="", authority=True)
        make = {"issuer": cls.authority}
        cls.good = certificates.make(place, "good", **make)
        cls.expired = certificates.make(place, "expired", days=(-10, -2), **make)
        cls.future = certificates.make(place, "future", days=(2, 10), **make)
        cls.other = certificates.make(place, "other", names="DNS:other.example", **make)
        cls.alone = certificates.make(place, "alone")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def server(self, *words, certificate=None, family="any"):
        return Server(["--tls", certificate or self.good, *words], family)

    def trusted(self, port, *options, **more):
        return probe(port, "--ca-file", self.authority, *options, **more)

    def is_good(self, report, rounds=True):
        shown = json.dumps(report, indent=1)
        (result,) = report["results"]
        self.assertTrue(result["ok"], shown)
        self.assertEqual(report["exit_status"], 0, shown)
        self.assertGreater(result["connect"]["tls_ns"], 0)
        self.assertEqual(result["tls"]["resumed"], False)
        return result

    def fails(self, report, code, *words, status=4):
        shown = json.dumps(report, indent=1)
        (result,) = report["results"]
        self.assertFalse(result["ok"], shown)
        self.assertEqual(result["error"]["code"], code, shown)
        self.assertEqual(report["verdict"], code, shown)
        self.assertEqual(report["exit_status"], status, shown)
        for word in words:
            self.assertIn(word, result["error"]["message"])
        return result

    # ---- what is agreed on

    def test_versions_and_round_trips(self):
        for version, name, trips in (("1.2", "TLSv1.2", 2), ("1.3", "TLSv1.3", 1)):
            for family in families():
                with self.subTest(version=version, family=family):
                    with self.server("--tls-version", version, "one-write") as server:
                        report = self.trusted(server.port, *LINE, *FEW, family=family)
                    tls = self.is_good(report)["tls"]
                    self.assertEqual(tls["version"], name)
                    self.assertEqual(tls["round_trips"], trips)
                    self.assertTrue(tls["verified"])
                    self.assertTrue(tls["cipher"])
                    self.assertIsNone(tls["alpn"])

    def test_a_second_hello_is_a_second_round_trip(self):
        def hello_again(connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.good)
            context.set_ecdh_curve("secp521r1")  # not the one that clients guess
            with context.wrap_socket(connection, server_side=True) as tls:
                while data := tls.recv(4096):
                    tls.sendall(b"answer\n" * data.count(b"\n"))

        with Peer(hello_again) as peer:
            tls = self.is_good(self.trusted(peer.port, *LINE, *FEW))["tls"]
        self.assertEqual((tls["version"], tls["round_trips"]), ("TLSv1.3", 2))

    def test_without_tls_there_is_none(self):
        with Server(["one-write"]) as server:
            (result,) = probe(server.port, *LINE, *FEW, tls=False)["results"]
        self.assertIsNone(result["tls"])
        self.assertIsNone(result["connect"]["tls_ns"])

    def test_alpn(self):
        with self.server("one-write") as server:
            tls = self.is_good(self.trusted(server.port, *LINE, *FEW, "--alpn", "h2,http/1.1"))
            self.assertEqual(tls["tls"]["alpn"], "http/1.1")
            self.fails(self.trusted(server.port, *LINE, *FEW, "--alpn", "h2,imap"),
                       "tls-handshake-failed", "no_application_protocol (120)")  # fmt: skip

    def test_h2_is_not_spoken(self):
        def chooses_h2(connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.good)
            context.set_alpn_protocols(["h2"])
            with context.wrap_socket(connection, server_side=True) as tls:
                while tls.recv(4096):
                    self.fail("something was said in HTTP/1.1")

        with Peer(chooses_h2) as peer:
            report = self.trusted(peer.port, "--preset", "http", "--alpn", "h2,http/1.1")
        self.fails(report, "unexpected-answer", "the server chose h2 by ALPN")
        self.assertEqual(report["findings"][0]["side"], "client")

    def test_connect_alone_is_a_handshake_a_round(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version), \
                    self.server("--tls-version", version, "one-write") as server:  # fmt: skip
                report = self.trusted(server.port, "--preset", "connect", "--rounds", "8")
                result = self.is_good(report)
                self.assertEqual((result["rounds"], result["connections"]), (8, 8))
                self.assertEqual(sum(ns for key, ns in result["breakdown"].items()
                             if not key.endswith(("_min_ns", "_max_ns"))), result["latency"]["p50_ns"])

    # ---- certificates

    def test_an_unknown_authority(self):
        with self.server("one-write") as server:
            for family in families():
                self.fails(probe(server.port, *LINE, *FEW, family=family), "tls-certificate",
                           "CN=authority")  # fmt: skip
                report = probe(server.port, *LINE, *FEW, "--insecure", family=family)
                result = self.is_good(report)
                self.assertFalse(result["tls"]["verified"])
                self.assertTrue(any("without --insecure" in n for n in result["notes"]))

    def test_signed_by_itself(self):
        with self.server("one-write", certificate=self.alone) as server:
            self.fails(probe(server.port, *LINE, *FEW), "tls-certificate", "self-signed")
            self.fails(self.trusted(server.port, *LINE, *FEW), "tls-certificate", "self-signed")
            report = probe(server.port, *LINE, *FEW, "--ca-file", self.alone)
            self.assertTrue(self.is_good(report)["tls"]["verified"])

    def test_out_of_its_time(self):
        for certificate, words in ((self.expired, "it was valid until"),
                                   (self.future, "it is valid from")):  # fmt: skip
            with self.server("one-write", certificate=certificate) as server:
                report = self.trusted(server.port, *LINE, *FEW)
                self.fails(report, "tls-certificate", words, "UTC")

    def test_for_another_name(self):
        with self.server("one-write", certificate=self.other) as server:
            self.fails(self.trusted(server.port, *LINE, *FEW), "tls-certificate", "other.example")
            self.fails(self.trusted(server.port, *LINE, *FEW, host="127.0.0.1"), "tls-certificate",
                       "other.example")  # fmt: skip
            result = self.is_good(
                self.trusted(server.port, *LINE, *FEW, "--sni", "other.example", host="127.0.0.1")
            )
            self.assertTrue(result["tls"]["verified"])

    def test_addresses_are_names_too(self):
        with self.server("one-write") as server:
            for family in families():
                report = self.trusted(server.port, *LINE, *FEW, host=LOOPBACK[family],
                                      family=family)  # fmt: skip
                self.assertTrue(self.is_good(report)["tls"]["verified"])

    def test_sni_is_the_name_and_never_an_address(self):
        asked = []

        def note(connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.good)
            context.sni_callback = lambda _, name, __: asked.append(name)
            with context.wrap_socket(connection, server_side=True) as tls:
                while tls.recv(4096):
                    tls.sendall(b"answer\n")

        with Peer(note) as peer:
            for host, options in (("localhost", []), ("127.0.0.1", []),
                                  ("127.0.0.1", ["--sni", "www.example", "--insecure"])):  # fmt: skip
                self.is_good(self.trusted(peer.port, *LINE, *FEW, *options, host=host))
        self.assertEqual(asked, ["localhost", None, "www.example"])

    def test_the_environment_has_no_say(self):
        with self.server("one-write", certificate=self.alone) as server:
            ended = subprocess.run(
                [NETKIT, "tcp-probe", "--tls", "--json", *LINE, f"localhost:{server.port}"],
                capture_output=True, text=True, timeout=BOUND,
                env={**os.environ, "SSL_CERT_FILE": self.alone, "OPENSSL_CONF": "/nowhere"},
            )  # fmt: skip
        self.assertEqual(json.loads(ended.stdout)["verdict"], "tls-certificate")

    def test_a_certificate_of_ours_is_wanted(self):
        for version in ("1.2", "1.3"):
            with self.server("--tls-version", version, "--tls-ask", "one-write") as server:
                report = self.trusted(server.port, *LINE, *FEW)
                (result,) = report["results"]
                # The server's RST may overtake its alert.
                self.assertIn(result["error"]["code"],
                              ("tls-handshake-failed", "connection-reset"))  # fmt: skip

    def asking(self, version, **require):
        """A server that takes only certificates of its authority, and waits until all is read."""

        def ask(connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.good)
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
            context.minimum_version = context.maximum_version = version
            tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            try:
                tls.do_handshake()
                while data := tls.recv(4096):
                    tls.sendall(b"answer\n" * data.count(b"\n"))
            except ssl.SSLError:
                drain(tls)
            finally:
                tls.close()

        return Peer(ask, **require)

    def test_a_certificate_of_ours_is_shown(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for family in families():
                with self.subTest(version=version, family=family), \
                        self.asking(version, family=family) as peer:  # fmt: skip
                    report = self.trusted(peer.port, *LINE, *FEW, "--cert", self.good, family=family)
                    tls = self.is_good(report)["tls"]
                    self.assertEqual(tls["client_certificate"], "given")
        with self.server("one-write") as server:
            report = self.trusted(server.port, *LINE, *FEW, "--cert", self.good)
            self.assertIsNone(self.is_good(report)["tls"]["client_certificate"])

    def test_a_certificate_of_ours_is_wanted_or_refused(self):
        """By the alert's name, also where it comes after the handshake (TLS 1.3)."""
        v12, v13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        for version, options, words in (
            (v12, [], ["handshake_failure (40)", "asked for a certificate of ours", "--cert"]),
            (v13, [], ["certificate_required (116)", "asked for a certificate of ours", "--cert"]),
            (v12, ["--cert", self.alone], ["unknown_ca (48)", "does not know the authority"]),
            (v13, ["--cert", self.alone], ["unknown_ca (48)", "does not know the authority"]),
            (v13, ["--cert", self.expired], ["certificate_expired (45)", "--cert has expired"]),
        ):
            with self.subTest(version=version, options=options), self.asking(version) as peer:
                report = self.trusted(peer.port, *LINE, *FEW, *options)
                self.fails(report, "tls-handshake-failed", *words)

    def test_a_server_that_asks_and_goes_on(self):
        def optional(connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.good)
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_OPTIONAL
            with context.wrap_socket(connection, server_side=True) as tls:
                while data := tls.recv(4096):
                    tls.sendall(b"answer\n" * data.count(b"\n"))

        with Peer(optional) as peer:
            for options, note in ((LINE, "answered nevertheless"),
                                  (["--preset", "connect"], "after the handshake")):  # fmt: skip
                result = self.is_good(self.trusted(peer.port, *options, *FEW))
                self.assertEqual(result["tls"]["client_certificate"], "asked")
                self.assertTrue(any(note in n for n in result["notes"]), result["notes"])

    def test_alerts_by_name(self):
        def sends(number):
            def habit(connection):
                connection.recv(4096)
                connection.sendall(bytes([ALERT, 3, 3, 0, 2, 2, number]))
                drain(connection)

            return habit

        for number, words in ((40, "handshake_failure (40)"), (48, "unknown_ca (48)"),
                              (80, "internal_error (80)"), (112, "unrecognized_name (112)"),
                              (115, "unknown_psk_identity (115)"),
                              (99, "of an unknown kind (99)")):  # fmt: skip
            with self.subTest(number=number), Peer(sends(number)) as peer:
                result = self.fails(self.trusted(peer.port, *LINE, *FEW), "tls-handshake-failed", words)
                self.assertNotIn("--cert", result["error"]["message"])

    def test_a_certificate_of_ours_that_cannot_be_used(self):
        place = self.directory.name
        key, other, locked, only = (os.path.join(place, f"{word}.part")
                                    for word in ("key", "other", "locked", "only"))  # fmt: skip
        certificates.openssl("pkey", "-in", self.good, "-out", key)
        certificates.openssl("pkey", "-in", self.alone, "-out", other)
        certificates.openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked)
        certificates.openssl("x509", "-in", self.good, "-out", only)
        empty = os.path.join(place, "empty")
        open(empty, "w", encoding="ascii").close()
        for options, words in (
            (["--cert", only], "holds no private key"),
            (["--cert", only, "--key", other], "does not fit"),
            (["--cert", only, "--key", locked], "is encrypted"),
            (["--cert", key], "holds no certificate"),
            (["--cert", empty], "is empty"),
            (["--cert", only, "--key", only], "holds no private key"),
            (["--cert", "/nowhere"], "No such file"),
            (["--cert", only, "--key", place], "Is a directory"),
        ):
            with self.subTest(options=options):
                ended = subprocess.run([NETKIT, "tcp-probe", "--tls", *options, ":1"],
                                       capture_output=True, text=True, timeout=BOUND)  # fmt: skip
                self.assertEqual(ended.returncode, 2, ended.stderr)
                self.assertIn(words, ended.stderr)

    def test_a_bad_ca_file(self):
        ended = subprocess.run([NETKIT, "tcp-probe", "--tls", "--ca-file", "/nowhere", ":1"],
                               capture_output=True, text=True, timeout=BOUND)  # fmt: skip
        self.assertEqual(ended.returncode, 3)
        self.assertIn("--ca-file /nowhere", ended.stderr)

    # ---- TLS on one side only

    def test_a_server_that_speaks_in_plain_text(self):
        with Server(["banner"]) as server:
            self.fails(self.trusted(server.port, *LINE), "tls-handshake-failed",
                       '"220 fixture ESMTP')  # fmt: skip

    def test_a_server_that_wants_tls(self):
        def alert(connection):
            connection.recv(4096)
            connection.sendall(bytes([ALERT, 3, 1, 0, 2, 2, 70]))

        def nginx(connection):
            connection.recv(4096)
            text = b"<center>The plain HTTP request was sent to HTTPS port</center>"
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s"
                               % (len(text), text))  # fmt: skip

        for habit in (alert, nginx):
            with self.subTest(habit=habit.__name__), Peer(habit) as peer:
                self.fails(probe(peer.port, "--preset", "http", tls=False), "no-response", "--tls")

    def test_every_plain_preset_is_told_of_tls(self):
        """By a ClientHello on a new connection, whatever the server made of the plain request."""

        def speaks(ending):
            def habit(connection):
                if connection.recv(1, socket.MSG_PEEK) != bytes([HANDSHAKE]):
                    ending(connection)
                    return
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.good)
                with context.wrap_socket(connection, server_side=True) as tls:
                    drain(tls)

            return habit

        def closes(connection):
            connection.recv(4096)

        def resets(connection):
            pass  # with what was sent unread

        for ending in (closes, resets, drain):
            for preset in ("http", "redis", "memcached", "smtp", "echo"):
                with self.subTest(ending=ending.__name__, preset=preset), \
                        Peer(speaks(ending)) as peer:  # fmt: skip
                    report = probe(peer.port, "--preset", preset, "--response-timeout", "400ms",
                                   tls=False)  # fmt: skip
                    self.fails(report, "no-response", "speaks TLS", "--tls")
                    self.assertEqual(report["findings"][-1]["evidence"]["cause"], "tls-wanted")

    def test_an_answer_of_another_protocol_on_a_port_of_tls(self):
        """As nginx answers what is no HTTP at all: in plain text, without a word of TLS."""

        def bad(connection):
            if connection.recv(1, socket.MSG_PEEK) != bytes([HANDSHAKE]):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                return
            connection.recv(4096)
            connection.sendall(bytes([ALERT, 3, 3, 0, 2, 2, 80]))
            drain(connection)

        with Peer(bad) as peer:
            report = probe(peer.port, "--preset", "redis", *FEW, tls=False)
            self.fails(report, "unexpected-answer", "400 Bad Request", "speaks TLS", "--tls")
            self.assertEqual(report["findings"][-1]["evidence"]["cause"], "tls-wanted")

    def test_other_bad_requests_are_answers(self):
        def bad(connection):
            while connection.recv(4096):
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n")

        with Peer(bad) as peer:
            report = probe(peer.port, "--preset", "http", *FEW, tls=False)
        self.assertEqual(report["results"][0]["answer"]["status"], 400)
        self.assertNotIn("--tls", json.dumps(report))

    # ---- how it ends

    def test_the_end_of_an_answer(self):
        for more, noted in (([], False), (["--tls-bare-close"], True)):
            with self.subTest(more=more), self.server(*more, "close-after") as server:
                report = self.trusted(server.port, *LINE, *FEW, "--until", "close")
                result = self.is_good(report)
                self.assertEqual(result["rounds"], 5)
                self.assertEqual(any("close_notify" in n for n in result["notes"]), noted)

    def test_close_notify_ends_an_answer_before_the_fin(self):
        def lingering(connection):
            over = Over(connection, self.good)
            over.line()
            connection.sendall(over.sealed(b"all there is\n"))
            with contextlib.suppress(ssl.SSLError):
                over.tls.unwrap()
            over.flush()
            drain(connection)  # until the client closes

        with Peer(lingering) as peer:
            report = self.trusted(peer.port, *LINE, *FEW, "--until", "close", "--stall", "1s")
        self.assertEqual(self.is_good(report)["rounds"], 5)

    def test_an_answer_that_is_cut_off(self):
        for more in ([], ["--tls-bare-close"]):
            with self.server(*more, "close-mid") as server:
                self.fails(self.trusted(server.port, *LINE), "response-truncated", "150 bytes")

    def test_a_server_that_closes_idle_connections(self):
        for version in ("1.2", "1.3"):
            with self.subTest(version=version), \
                    self.server("--tls-version", version, "close-after") as server:  # fmt: skip
                report = self.trusted(server.port, *LINE, "--rounds", "5", "--no-interventions")
                result = self.is_good(report)
                self.assertEqual(result["rounds"], 5)

    # ---- records

    def test_a_piece_is_a_record_and_a_write(self):
        seen = []

        def count(connection):
            over = Over(connection, self.good)
            while True:
                over.came.clear()
                over.line()
                seen.append(list(over.came))
                connection.sendall(over.sealed(b"answer\n"))

        with Peer(count) as peer:
            report = self.trusted(
                peer.port, "--send", r"a request in three\n", "--split", "2,7", "--gap", "30ms",
                "--socket-option", "TCP_NODELAY=on", *FEW,
            )  # fmt: skip
        self.is_good(report)
        self.assertEqual(len(seen), 5)
        for came in seen[1:]:  # the end of the handshake comes with the first request
            self.assertEqual([records(chunk) for chunk in came],
                             [([(DATA, 5 + size + 17)], b"") for size in (2, 7, 10)])  # fmt: skip

    def test_large_requests_and_answers(self):
        size = 3 << 20
        bulk = os.path.join(self.directory.name, "bulk")
        with open(bulk, "wb") as file:
            file.write(os.urandom(1 << 16) * (size >> 16))
        for version in ("1.2", "1.3"):
            with self.subTest(version=version), \
                    self.server("--tls-version", version, "--request-bytes", str(size),
                                "large-response", "2M") as server:  # fmt: skip
                report = self.trusted(server.port, "--send-file", bulk, "--until",
                                      f"bytes:{2 << 20}", *FEW)  # fmt: skip
                self.assertEqual(self.is_good(report)["rounds"], 5)

    def test_tickets_do_not_begin_an_answer(self):
        """The server's tickets come 60 ms before its answer: that time is the server's."""

        def thinks(connection):
            over = Over(connection, self.good)
            while True:
                over.line()
                time.sleep(0.06)
                connection.sendall(over.sealed(b"answer\n"))

        with Peer(thinks) as peer:
            report = self.trusted(peer.port, *LINE, "--rounds", "10", "--new-connection")
        result = self.is_good(report)
        self.assertGreater(result["breakdown"]["server_ns"] + result["breakdown"]["response_gap_ns"],
                           55e6)  # fmt: skip
        self.assertEqual(report["verdict"], "server-think-time", json.dumps(report, indent=1))

    def test_part_of_a_record_begins_an_answer(self):
        def halves(connection):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            over = Over(connection, self.good)
            while True:
                over.line()
                record = over.sealed(b"an answer in one record\n")
                connection.sendall(record[:20])
                time.sleep(0.06)
                connection.sendall(record[20:])

        for more in ([], ["--new-connection"]):
            with self.subTest(more=more), Peer(halves) as peer:
                result = self.is_good(self.trusted(peer.port, *LINE, *FEW, *more))
                self.assertGreater(result["breakdown"]["response_gap_ns"], 55e6)
                self.assertLess(result["wire"]["p50_ns"], 50e6)

    # ---- hostile peers

    def test_peers_that_never_finish(self):
        def silent(connection):
            drain(connection)

        def half(connection):
            connection.recv(4096)
            connection.sendall(bytes([HANDSHAKE, 3, 3, 1, 0, 2, 0, 0, 252]))
            drain(connection)

        def endless(connection):
            connection.recv(4096)
            while True:  # the limits of records and handshakes end this, or the time does
                connection.sendall(bytes([HANDSHAKE, 3, 3, 0, 1, 2]) * 1000)

        for habit in (silent, half, endless):
            with self.subTest(habit=habit.__name__), Peer(habit) as peer:
                self.fails(self.trusted(peer.port, *LINE, "--connect-timeout", "500ms"),
                           "tls-handshake-failed")  # fmt: skip

    def test_peers_that_talk_nonsense(self):
        answers = {
            "alert": bytes([ALERT, 3, 3, 0, 2, 2, 40]),
            "alerts": bytes([ALERT, 3, 3, 0, 2, 1, 90]) * 100,
            "too long": bytes([HANDSHAKE, 3, 3, 255, 255]) + b"x" * 70000,
            "empty": bytes([HANDSHAKE, 3, 3, 0, 0]) * 1000,
            "data": bytes([DATA, 3, 3, 0, 4]) + b"data",
            "noise": bytes([HANDSHAKE, 3, 3, 0, 200]) + os.urandom(200),
            "version": bytes([HANDSHAKE, 9, 9, 0, 4]) + b"data",
            "nothing": b"",
        }
        for name, answer in answers.items():

            def habit(connection, answer=answer):
                connection.recv(4096)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                drain(connection)

            with self.subTest(name=name), Peer(habit) as peer:
                self.fails(self.trusted(peer.port, *LINE), "tls-handshake-failed")

    def test_records_that_were_changed_on_the_way(self):
        def changed(connection):
            over = Over(connection, self.good)
            for number in range(3):
                over.line()
                record = bytearray(over.sealed(b"answer\n"))
                record[-1] ^= number == 2
                connection.sendall(record)
            drain(connection)

        with Peer(changed) as peer:
            self.fails(self.trusted(peer.port, *LINE, *FEW), "peer-aborted", "TLS", status=0)

    def test_a_reset_in_the_handshake(self):
        def resets(connection):
            connection.recv(4096)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        with Peer(resets) as peer:
            result = self.fails(self.trusted(peer.port, *LINE), "tls-handshake-failed", "aborted")
        self.assertEqual(result["error"]["errno"], "ECONNRESET")

    def test_many_at_once(self):
        with self.server("one-write") as server, self.server("two-writes") as slow, \
                Server(["banner"]) as plain:  # fmt: skip
            names = [f"127.0.0.{1}:{port}" for port in (server.port, slow.port, plain.port)] * 10
            ended = subprocess.run(
                [NETKIT, "tcp-probe", "--tls", "--json", "--ca-file", self.authority, *LINE,
                 "--rounds", "12", "--parallel", "30", *names],
                capture_output=True, text=True, timeout=BOUND,
            )  # fmt: skip
        results = json.loads(ended.stdout)["results"]
        counts = {True: 0, False: 0}
        for result in results:
            counts[result["ok"]] += 1
            self.assertEqual(result["ok"], not result["target"].endswith(str(plain.port)))
        self.assertEqual(counts, {True: 20, False: 10})


if __name__ == "__main__":
    certificates.require()
    unittest.main()
