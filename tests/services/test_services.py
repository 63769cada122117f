#!/usr/bin/python3
"""tcp-probe against real servers of the distribution, with the habits that they are known for."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service import LOOPBACK, Service, addresses, families, need, running, skip  # noqa: E402

PYTHON = "/usr/bin/python3"
# Milliseconds: Linux delays an ACK for 40 to 200, and Nagle's share can be a little less.
DELAYED_ACK = (30, 210)


def http_server(family, *options):
    def command(directory, port):
        with open(os.path.join(directory, "index.html"), "w", encoding="ascii") as page:
            page.write("<!doctype html><title>x</title><p>A page of some bytes.\n" * 4)
        return [PYTHON, "-m", "http.server", *options, "--bind", LOOPBACK[family],
                "--directory", directory, str(port)]  # fmt: skip

    return command


HTTPS = """
import functools, http.server, ssl, sys
address, port, certificate, version, protocol = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
http.server.ThreadingHTTPServer.address_family = 10 if ":" in address else 2
handler = http.server.SimpleHTTPRequestHandler
handler.protocol_version = protocol
server = http.server.ThreadingHTTPServer((address, int(port)), handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def https_server(family, certificate, version, protocol):
    def command(directory, port):
        http_server(family)(directory, port)  # its page
        return [PYTHON, "-c", HTTPS, LOOPBACK[family], str(port), certificate,
                f"TLSv{version.replace('.', '_')}", protocol]  # fmt: skip

    return command


def redis(program):
    def command(directory, port):
        return [program, "--port", str(port), "--bind", *addresses(), "--save", "",
                "--appendonly", "no", "--dir", directory, "--daemonize", "no"]  # fmt: skip

    return command


def memcached(program):
    def command(directory, port):
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return [program, *user, "-U", "0", "-p", str(port), "-l", ",".join(addresses())]

    return command


NGINX = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/log;
{user} worker_processes 1;
events {{ worker_connections 128; }}
http {{
  access_log off; root {directory};
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 100000;
  server {{ {listen} {more} location / {{ return 200 "A page of some bytes.\\n"; }} }}
}}
"""


def nginx(program, certificate=None, version=None, more=""):
    def command(directory, port):
        ssl = " ssl" if certificate else ""
        listen = " ".join(
            f"listen {f'[{a}]' if ':' in a else a}:{port}{ssl};" for a in addresses()
        )
        if certificate:
            listen += f" ssl_certificate {certificate}; ssl_certificate_key {certificate};"
            listen += f" ssl_protocols TLSv{version};"
        user = "user root;" if os.geteuid() == 0 else ""
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(NGINX.format(directory=directory, listen=listen, user=user,
                                    more=more))
        # -e: the built-in log belongs to root, and nginx opens it before it reads the file.
        return [program, "-e", os.path.join(directory, "log"), "-p", directory, "-c", path]

    return command


class Services(Service):
    def is_ok(self, report):
        self.assertEqual(report["verdict"], "ok", json.dumps(report, indent=1))
        self.assertEqual(self.findings(report, "nagle-delayed-ack"), [])

    def test_python_http_1_1_stalls(self):
        helped = subprocess.run(
            [PYTHON, "-m", "http.server", "--help"], capture_output=True, text=True, check=True
        )
        if "--protocol" not in helped.stdout:
            skip("this Python's http.server has no --protocol")
        for family in families():
            with self.subTest(family=family):
                with running(http_server(family, "--protocol", "HTTP/1.1"), 1) as port:
                    report = self.probe(family, port, "--preset", "http")
                self.assertEqual(
                    report["verdict"], "nagle-delayed-ack", json.dumps(report, indent=1)
                )
                (stall,) = self.findings(report, "nagle-delayed-ack")
                self.assertEqual(stall["side"], "server")
                self.assertGreater(stall["cost_ns"] / 1e6, DELAYED_ACK[0])
                self.assertLess(stall["cost_ns"] / 1e6, DELAYED_ACK[1])

    def test_python_http_1_0_closes_and_does_not_stall(self):
        for family in families():
            with self.subTest(family=family):
                with running(http_server(family), 1) as port:
                    report = self.probe(family, port, "--preset", "http")
                # The two writes are there, but its FIN pushes the second: only a server of the
                # same code with persistent connections would stall.
                self.assertIn(
                    report["verdict"], ("ok", "stall-when-persistent"), json.dumps(report, indent=1)
                )
                self.assertEqual(self.findings(report, "nagle-delayed-ack"), [])

    def over_tls(self, family, port, certificate, version, *options):
        report = self.probe(family, port, "--tls", "--ca-file", certificate, *options)
        tls = report["results"][0]["tls"]
        self.assertEqual(tls["version"], f"TLSv{version}")
        self.assertEqual(tls["round_trips"], {"1.2": 2, "1.3": 1}[version])
        self.assertTrue(tls["verified"])
        return report

    def test_python_https_stalls(self):
        certificate = self.certificate()
        for version in ("1.2", "1.3"):
            for family in families():
                with self.subTest(version=version, family=family), running(
                    https_server(family, certificate, version, "HTTP/1.1"), 1
                ) as port:
                    report = self.over_tls(family, port, certificate, version, "--preset", "http")
                    self.assertEqual(
                        report["verdict"], "nagle-delayed-ack", json.dumps(report, indent=1)
                    )
                    (stall,) = self.findings(report, "nagle-delayed-ack")
                    self.assertEqual(stall["side"], "server")
                    self.assertGreater(stall["cost_ns"] / 1e6, DELAYED_ACK[0])
                    self.assertLess(stall["cost_ns"] / 1e6, DELAYED_ACK[1])

    def test_nginx_over_tls_is_ok(self):
        program, certificate = need("nginx"), self.certificate()
        for version in ("1.2", "1.3"):
            with running(nginx(program, certificate, version), len(families())) as port:
                for family in families():
                    with self.subTest(version=version, family=family):
                        self.is_ok(self.over_tls(family, port, certificate, version,
                                                 "--preset", "http", "--alpn", "http/1.1"))  # fmt: skip
                    plain = subprocess.run(
                        [os.environ["NETKIT"], "tcp-probe", "--json", "--preset", "http",
                         f"localhost:{port}"], capture_output=True, text=True, timeout=300,
                    )  # fmt: skip
                    (result,) = json.loads(plain.stdout)["results"]
                    self.assertIn("--tls", result["error"]["message"])

    def good(self, program, command, *options):
        with running(command(need(program)), len(families())) as port:
            for family in families():
                with self.subTest(family=family):
                    self.is_ok(self.probe(family, port, *options))

    def test_redis_is_ok(self):
        self.good("redis-server", redis, "--preset", "redis")

    def test_nginx_is_ok(self):
        self.good("nginx", nginx, "--preset", "http")

    def ask(self, address, port, *options):
        host = f"[{address}]" if ":" in address else address
        ended = subprocess.run(
            [os.environ["NETKIT"], "tcp-probe", "--json", "--rounds", "6", "--no-interventions",
             *options, f"http://{host}:{port}/up"],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        report = json.loads(ended.stdout)
        self.assertEqual(report["results"][0]["rounds"], 6, ended.stdout)
        return report, report["results"][0]

    def test_nginx_refuses_an_upload(self):
        """It answers at once, and reads on until the client has said all: no reset."""
        for more in ("", "lingering_close off;"):
            program = functools.partial(nginx, more=more)
            with running(program(need("nginx")), len(families())) as port, \
                 tempfile.NamedTemporaryFile() as file:  # fmt: skip
                file.truncate(8 << 20)
                for address in addresses():
                    report, result = self.ask(address, port, "--data", "@" + file.name)
                    self.assertEqual(result["answer"]["status"], 413, report)
                    self.assertEqual(self.findings(report, "early-answer-reset"), [], report)

    def test_nginx_asks_for_a_body(self):
        """A proxy says 100 (Continue) when it wants the body."""
        program = functools.partial(nginx, more="location /up { proxy_pass http://unix:/none; }")
        with running(program(need("nginx")), len(families())) as port:
            for address in addresses():
                report, result = self.ask(address, port, "--data", "x", "--expect-continue=30s")
                self.assertEqual(result["answer"]["status"], 502, report)
                self.assertLess(result["latency"]["max_ns"], 30e9)

    def test_memcached_is_ok(self):
        self.good("memcached", memcached, "--preset", "memcached")


if __name__ == "__main__":
    unittest.main()
