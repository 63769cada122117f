#!/usr/bin/python3
"""tcp-probe logs in to real servers of the distribution: databases, a directory, a broker. What they
refuse is told in their words. They run as test_services.py has it; root runs them as another user,
where they refuse to be root. NETKIT names the binary."""

import contextlib
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_services as services  # noqa: E402
from support import FAMILIES, LOOPBACK, families, need, skip  # noqa: E402

import certificates  # noqa: E402

NOBODY = 65534
PASSWORD = "a 'long' pass\\word"


def unprivileged(directory, *command):
    """The command, run by a user who owns the directory and is not root."""
    if os.geteuid():
        return list(command)
    for folder, _, names in os.walk(directory):
        for name in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(name, NOBODY, NOBODY)
    return [need("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def run(directory, *command, **options):
    done = subprocess.run(unprivileged(directory, *command), cwd=directory, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                          **options)  # fmt: skip
    if done.returncode:
        raise AssertionError(f"{command[0]}: {done.stdout}")


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def answer_all(listener, says):
    """Until the listener is shut down."""
    with contextlib.suppress(OSError):
        while True:
            conn, _ = listener.accept()
            with conn, contextlib.suppress(OSError):
                conn.sendall(says)
                conn.settimeout(1)
                conn.recv(65536)


def certificate(directory):
    """With its key, for the server; only its user may read it."""
    path = certificates.make(directory, "server")
    os.chmod(path, 0o600)
    return path


def postgres_programs():
    """Where they are: Debian has them in no PATH."""
    path = os.pathsep.join([*glob.glob("/usr/lib/postgresql/*/bin"), os.environ["PATH"]])
    found = {name: shutil.which(name, path=path) for name in ("initdb", "postgres", "pg_isready")}
    return found if all(found.values()) else skip("PostgreSQL is not installed")


class Logins(unittest.TestCase):
    def setUp(self):
        if not certificates.available():
            skip("openssl is not installed")
        files = tempfile.TemporaryDirectory(prefix="netkit-logins-")
        self.addCleanup(files.cleanup)
        self.password = write(files.name, "password", PASSWORD + "\n")
        self.wrong = write(files.name, "wrong", "wrong\n")
        self.certificate = os.path.join(files.name, "certificate")

    def shares(self, path):
        """The certificate, for those who connect."""
        shutil.copy(path, self.certificate)
        return path

    def probe(self, family, port, *options):
        host = f"[{LOOPBACK[family]}]" if family == 6 else LOOPBACK[family]
        ended = subprocess.run(
            [os.environ["NETKIT"], "tcp-probe", "--json", "--no-interventions", "--rounds", "20",
             *options, f"{host}:{port}"], capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return ended.returncode, json.loads(ended.stdout)

    def goes(self, port, *options):
        for family in families():
            with self.subTest(family=family, options=options):
                status, report = self.probe(family, port, *options)
                (result,) = report["results"]
                self.assertEqual(status, 0, json.dumps(report, indent=1))
                self.assertTrue(result["ok"], json.dumps(report, indent=1))
                self.assertEqual(result["rounds"], 20)
                codes = [finding["code"] for finding in report["findings"]]
                self.assertNotIn("unexpected-answer", codes)
                self.assertNotIn("nagle-delayed-ack", codes)

    def over_tls(self, port, *options):
        self.goes(port, "--starttls", "--ca-file", self.certificate, *options)

    def refuses(self, port, words, *options):
        """It says so before the rounds."""
        for family in families():
            with self.subTest(family=family, options=options):
                status, report = self.probe(family, port, *options)
                (result,) = report["results"]
                self.assertEqual(status, 4, json.dumps(report, indent=1))
                self.assertEqual(report["verdict"], "unexpected-answer")
                self.assertIn(words, result["error"]["message"])

    def answers_badly(self, port, words, *options):
        """It logs in, and the answer of each round is no success."""
        for family in families():
            with self.subTest(family=family, options=options):
                _, report = self.probe(family, port, *options)
                self.assertEqual(report["verdict"], "unexpected-answer")
                self.assertIn(words, report["findings"][0]["summary"])

    # ---- PostgreSQL

    def postgres(self, directory, port):
        programs = postgres_programs()
        data = os.path.join(directory, "data")
        key = self.shares(certificate(directory))
        run(directory, programs["initdb"], "-U", "admin", "-D", data, "--no-sync", "--locale=C",
            "--encoding=UTF8", "--auth=trust")  # fmt: skip
        secret = PASSWORD.replace("'", "''")
        run(directory, programs["postgres"], "--single", "-D", data, "postgres", input="".join(
            f"set password_encryption = '{kind}'\n" f"create role {name} login password '{secret}'\n"
            for name, kind in (("hashed", "md5"), ("salted", "scram-sha-256"),
                               ("plain", "scram-sha-256"))))  # fmt: skip
        rules = write(directory, "rules", "host all admin all trust\nhost all hashed all md5\n"
                      "host all salted all scram-sha-256\nhost all plain all password\n")
        settings = {"listen_addresses": ",".join(services.addresses()), "port": port,
                    "unix_socket_directories": "", "fsync": "off", "hba_file": rules, "ssl": "on",
                    "ssl_cert_file": key, "ssl_key_file": key}  # fmt: skip
        options = [f"--{name}={value}" for name, value in settings.items()]
        return unprivileged(directory, programs["postgres"], "-D", data, *options)

    def wait_for_postgres(self, port):
        """It listens before it is ready."""
        end = time.monotonic() + 30
        command = [postgres_programs()["pg_isready"], "-h", LOOPBACK[4], "-p", str(port)]
        while subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            self.assertLess(time.monotonic(), end, "PostgreSQL does not become ready")
            time.sleep(0.05)

    def test_postgres(self):
        with services.running(self.postgres, len(families())) as port:
            self.wait_for_postgres(port)
            asks = ("--preset", "postgres", "--database", "postgres")
            trusted = (*asks, "--user", "admin")
            salted = (*asks, "--user", "salted", "--password-file")
            self.goes(port, *trusted)
            for user in ("hashed", "salted", "plain"):
                self.goes(port, *asks, "--user", user, "--password-file", self.password)
            self.over_tls(port, *salted, self.password)
            self.goes(port, *trusted, "--query", "select generate_series(1, 500); select 2")
            self.goes(port, *trusted, "--new-connection")
            self.refuses(port, 'password authentication failed for user "salted"', *salted,
                         self.wrong)  # fmt: skip
            self.refuses(port, "wants a password for the user", *asks, "--user", "salted")
            self.refuses(port, 'database "none" does not exist', *trusted, "--database", "none")
            self.refuses(port, "the data of a COPY", *trusted, "--query", "copy pg_am from stdin")
            self.answers_badly(port, "syntax error", *trusted, "--query", "selec")

    # ---- MySQL

    def mariadb(self, directory, port):
        server, install = need("mariadbd"), need("mariadb-install-db")
        data = os.path.join(directory, "data")
        key = self.shares(certificate(directory))
        secret = PASSWORD.replace("\\", "\\\\").replace("'", "''")
        first = write(directory, "first", f"create user 'jo'@'%' identified by '{secret}';\n"
                      "create user 'open'@'%' identified by '';\n"
                      "create user 'other'@'%' identified via ed25519 using password('x');\n")
        run(directory, install, "--no-defaults", f"--datadir={data}", "--skip-test-db",
            "--auth-root-authentication-method=normal")  # fmt: skip
        return unprivileged(directory, server, "--no-defaults", f"--datadir={data}",
                            f"--port={port}", "--bind-address=" + ",".join(services.addresses()),
                            f"--socket={directory}/socket", f"--pid-file={directory}/pid",
                            f"--ssl-cert={key}", f"--ssl-key={key}", f"--init-file={first}",
                            "--innodb-buffer-pool-size=16M")  # fmt: skip

    def test_mariadb(self):
        with services.running(self.mariadb, len(families())) as port:
            asks = ("--preset", "mysql", "--user")
            jo = (*asks, "jo", "--password-file")
            self.goes(port, *jo, self.password)
            self.goes(port, *asks, "open", "--database", "information_schema")
            self.over_tls(port, *jo, self.password)
            self.goes(port, *jo, self.password, "--query",
                      "select 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 union select * from (select 1 a, 2 b,"
                      " 3 c, 4 d, 5 e, 6 f, 7 g, 8 h, 9 i, repeat('x', 100000) j) k")
            self.goes(port, *jo, self.password, "--query", "set @a = 1")
            self.goes(port, *jo, self.password, "--new-connection")
            self.refuses(port, "Access denied for user 'jo'", *jo, self.wrong)
            self.refuses(port, "using password: NO", *asks, "jo")
            self.refuses(port, "to database 'none'", *asks, "open", "--database", "none")
            self.answers_badly(port, "error in your SQL syntax", *jo, self.password, "--query",
                               "selec")  # fmt: skip
            # It speaks first, so that others notice it.
            for other in ("postgres", "ldap", "mqtt", "redis"):
                user = ("--user", "x") if other == "postgres" else ()
                self.refuses(port, "not what was expected", "--preset", other, *user)

    # ---- LDAP

    def slapd(self, directory, port):
        server = need("slapd")
        key = self.shares(certificate(directory))
        config = write(directory, "slapd.conf", f"pidfile {directory}/pid\n"
                       f'TLSCertificateFile "{key}"\nTLSCertificateKeyFile "{key}"\n'
                       "database config\nrootdn cn=admin,cn=config\nrootpw " +
                       '"' + PASSWORD.replace("\\", "\\\\") + '"\n')  # fmt: skip
        urls = " ".join(f"ldap://{f'[{a}]' if ':' in a else a}:{port}" for a in services.addresses())
        return [server, "-d", "0", "-f", config, "-h", urls]

    def test_slapd(self):
        with services.running(self.slapd, len(families())) as port:
            asks = ("--preset", "ldap")
            admin = (*asks, "--user", "cn=admin,cn=config", "--password-file")
            self.goes(port, *asks)
            self.goes(port, *admin, self.password)
            self.goes(port, *admin, self.password, "--new-connection")
            self.over_tls(port, *asks)
            self.over_tls(port, *admin, self.password)
            self.refuses(port, "invalidCredentials", *admin, self.wrong)
            self.refuses(port, "invalid DN", *asks, "--user", "nobody", "--password-file",
                         self.password)  # fmt: skip

    # ---- MQTT

    def mosquitto(self, tls):
        def command(directory, port):
            server, passwd = need("mosquitto"), need("mosquitto_passwd")
            users = os.path.join(directory, "users")
            run(directory, passwd, "-b", "-c", users, "jo", PASSWORD)
            key = self.shares(certificate(directory))
            listeners = "".join(
                f"listener {port} {address}\n" + f"certfile {key}\nkeyfile {key}\n" * tls
                for address in services.addresses())  # fmt: skip
            config = write(directory, "config",
                           f"{listeners}password_file {users}\nallow_anonymous false\n")
            return unprivileged(directory, server, "-c", config)

        return command

    def test_mosquitto(self):
        asks = ("--preset", "mqtt", "--user", "jo", "--password-file")
        with services.running(self.mosquitto(False), len(families())) as port:
            self.goes(port, *asks, self.password)
            self.goes(port, *asks, self.password, "--new-connection")
            self.refuses(port, "not authorized", *asks, self.wrong)
            self.refuses(port, "not authorized", "--preset", "mqtt")
        with services.running(self.mosquitto(True), len(families())) as port:
            self.goes(port, *asks, self.password, "--tls", "--ca-file", self.certificate)

    # ---- what is none of them

    def meets(self, code, words, says, *options):
        """A server that says this to whoever connects, and closes once it has heard something."""
        for family in families():
            with self.subTest(family=family, says=says, options=options), socket.create_server(
                (LOOPBACK[family], 0), family=FAMILIES[family]
            ) as listener:
                port = listener.getsockname()[1]
                thread = threading.Thread(target=answer_all, args=(listener, says), daemon=True)
                thread.start()
                status, report = self.probe(family, port, *options)
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                self.assertEqual(status, 4, json.dumps(report, indent=1))
                self.assertEqual(report["verdict"], code)
                self.assertIn(words, report["results"][0]["error"]["message"])

    def test_other_servers(self):
        presets = ("postgres", "mysql", "ldap", "mqtt")
        for preset in presets:
            options = ("--preset", preset, *(("--user", "x") if preset in presets[:2] else ()))
            for says in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-server\r\n", b"-ERR\r\n"):
                self.meets("unexpected-answer", "is not what was expected", says, *options)
            self.meets("no-response", "try --tls", b"\x15\3\1\0\2\2\x46", *options)
            self.meets("response-truncated", "0 bytes", b"", *options)
        self.meets("unexpected-answer", "a second request for a password",
                   b"R\0\0\0\x08\0\0\0\3" * 100, "--preset", "postgres", "--user", "x",
                   "--password-file", self.password)


if __name__ == "__main__":
    unittest.main()
